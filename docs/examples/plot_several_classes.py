"""
======================================================
Several rare classes: one network that knows the class
======================================================

:class:`~gan_sampler.ConditionalDCGANOverSampler` trains one generator for all classes. It gets the class as an input,
so that a rare class can use what the network learnt from the common ones.
"""

# %%
# Four digits; each has fewer images than the one before.

import numpy as np
from sklearn.datasets import load_digits

from gan_sampler import ConditionalDCGANOverSampler
from gan_sampler.displays import ClassDistributionDisplay, LatentWalkDisplay, SyntheticImagesDisplay

digits = load_digits()
names = np.array(["zero", "one", "two", "three"])
rows = np.concatenate([np.flatnonzero(digits.target == k)[:n] for k, n in enumerate((170, 120, 80, 40))])
X, y = (digits.images[rows] * 255 / 16).astype(np.uint8), names[digits.target[rows]]

sampler = ConditionalDCGANOverSampler(n_steps=1200, random_state=0)
X_resampled, y_resampled = sampler.fit_resample(X, y)
display = ClassDistributionDisplay.from_estimator(sampler)

# %%
# **Reading.** "zero" has enough images and gets none. The others are brought up to it, half by repeated images and
# half by synthetic ones; ``repeated_share`` sets the share. A dict asks for other numbers of images:
# ``sampling_strategy={"three": 100}``.

display = SyntheticImagesDisplay.from_estimator(sampler, X, y, n_images=4, random_state=0)

# %%
# **Reading.** One generator draws three different digits. Most can be read; some twos are unclear. "three" was learnt
# from 40 images, and its images are as clear as those of the other two.
#
# The same noise with another class
# ---------------------------------
#
# A walk goes from one noise vector to another. All classes take the same way.

display = LatentWalkDisplay.from_estimator(sampler, n_walks=1, n_steps=10, random_state=3)

# %%
# **Reading.** Images change gradually along each row: the generator has learnt a continuum, not a list of images.
# Slant and thickness of the stroke change alike in all rows, because the noise decides them, and the class decides
# the digit.
