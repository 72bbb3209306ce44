"""
======================================================
Solar cells: what a first, too short training tells you
======================================================

Electroluminescence images of solar cells [1]_: defective cells are the rarer ones, and what makes them so is a crack of
a pixel's width or a dark area. This page trains for ten seconds, which is too little, and shows how you learn that.

.. [1] C. Buerhop-Lutz et al., "A Benchmark for Visual Identification of Defective Solar Cells in Electroluminescence
   Imagery", EU PVSEC 2018.
"""
