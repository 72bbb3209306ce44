"""
===========================================
Solar cells: over-sample the defective ones
===========================================

Electroluminescence images of solar cells [1]_. Defective cells are the rarer ones; what makes them so is a crack of a
pixel's width or a dark area. This page trains for some seconds, and shows how far that goes.

.. [1] C. Buerhop-Lutz et al., "A Benchmark for Visual Identification of Defective Solar Cells in Electroluminescence
   Imagery", EU PVSEC 2018.
"""

# %%
# The images come in a package, ``pip install elpv-dataset``. Here they are 24 x 24 pixels, and cells of one kind.

import numpy as np

from gan_sampler import DCGANOverSampler
from gan_sampler.datasets import load_elpv
from gan_sampler.displays import SyntheticImagesDisplay, TrainingHistoryDisplay

cells = load_elpv(image_size=24)
mono = cells.cell_type == "mono"
X, y = cells.images[mono], cells.target[mono]
print(X.shape, dict(zip(*np.unique(y, return_counts=True), strict=True)))

# %%
# A first training, with narrow networks and a tenth of the steps of the default:

sampler = DCGANOverSampler(n_steps=500, base_channels=16, random_state=0)
X_resampled, y_resampled = sampler.fit_resample(X, y)
print({name: round(value, 2) for name, value in sampler.history_["defective"][-1].items()})

# %%

display = SyntheticImagesDisplay.from_estimator(sampler, X, y, n_images=8, random_state=0)

# %%
# **Reading.** The generator has learnt the frame, both patterns of bars, bright and dark cells, and some dark areas.
# It has not learnt cracks: those of real cells are thin, sharp and branched, and here they are at most a faint line.
# So most of these images show cells, but few show what makes a cell defective. No measure of pixels says that; only a
# look, or a classifier that is tested on real cells.

display = TrainingHistoryDisplay.from_estimator(sampler, quantities=["score", "spectral_distance"])

# %%
# **Reading.** Both curves still fall when the training ends, so it was too short, and not stuck. A spectral distance
# above 0.7, speckle or blur, would have been warned of; 0.6 is close to that. The next step is the default of 5,000
# steps and 32 channels, minutes on a processor, with larger images, in which a crack is more than a pixel wide.
