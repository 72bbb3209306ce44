"""
=======================================================
Solar cells: what a first, too short training tells you
=======================================================

Electroluminescence images of solar cells [1]_. Defective cells are the rarer ones; what makes them so is a crack of a pixel's
width or a dark area. This page trains for some seconds, which is too little, and shows how you learn that.

.. [1] C. Buerhop-Lutz et al., "A Benchmark for Visual Identification of Defective Solar Cells in Electroluminescence
   Imagery", EU PVSEC 2018.
"""

# %%
# The images come in a package, ``pip install elpv-dataset``. Here they are 24 x 24 pixels, and cells of one kind.

import warnings

import matplotlib.pyplot as plt
import numpy as np

from gan_sampler import DCGANOverSampler
from gan_sampler.datasets import load_elpv
from gan_sampler.displays import SyntheticImagesDisplay, TrainingHistoryDisplay

cells = load_elpv(image_size=24)
mono = cells.cell_type == "mono"
X, y = cells.images[mono], cells.target[mono]
print(X.shape, dict(zip(*np.unique(y, return_counts=True), strict=True)))

# %%
# A first training, with narrow networks:

with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    sampler = DCGANOverSampler(n_steps=500, base_channels=16, random_state=0)
    X_resampled, y_resampled = sampler.fit_resample(X, y)
for warning in told:
    print(f"{warning.category.__name__}: {warning.message}")

# %%

display = SyntheticImagesDisplay.from_estimator(sampler, X, y, n_images=8, random_state=0)

# %%
# **Reading.** The generator has found the frame, the bars and the clouds of grey, and lines that may become cracks. But the
# images are speckled, and the bars of real cells are straight and thin. The warning said so without a look: the power
# spectrum of the images is far from that of real ones.

display = TrainingHistoryDisplay.from_estimator(sampler, quantities=["score", "spectral_distance"])
plt.show()

# %%
# **Reading.** Both curves still fall when the training ends, so it was too short, and not stuck. The next step is the default
# of 5,000 steps and 32 channels, some minutes on a processor, or ``max_time=1200`` for twenty. To keep such images away
# from a classifier when nobody looks, set ``on_poor_quality="repeat"``: then real images are repeated in their place.
