"""Measures of synthetic images: fidelity, coverage, copies, and whether a classifier can learn from them."""

from ._measures import import_prdc, kernel_inception_distance, realism
from ._registry import MEASURES, Measure, Sets, register
from ._report import MIN_IMAGES, QualityReport, QualityWarning, quality_report

__all__ = [
    "MEASURES",
    "MIN_IMAGES",
    "Measure",
    "QualityReport",
    "QualityWarning",
    "Sets",
    "import_prdc",
    "kernel_inception_distance",
    "quality_report",
    "realism",
    "register",
]
