"""
======================================
First over-sampling: more of one digit
======================================

The data set shows handwritten digits, and only every tenth image is an eight. A
:class:`~gan_sampler.DCGANOverSampler` learns to draw eights and makes as many as are missing.
"""

# %%
# Images go in as an array of shape ``(n, height, width)``. Labels are numbers or words.

import numpy as np
from sklearn.datasets import load_digits

from gan_sampler import DCGANOverSampler

digits = load_digits()
X = (digits.images * 255 / 16).astype(np.uint8)
y = np.where(digits.target == 8, "eight", "other")
print(X.shape, dict(zip(*np.unique(y, return_counts=True), strict=True)))

# %%
# One call trains a generator on the eights and returns a balanced data set: the real images first and unchanged, and
# those that were added after them. By default three quarters of these are real eights, repeated, half of them with a
# small random change (``augmented_share=0.5``), and a quarter is synthetic (``repeated_share=0.75``).
# ``synthetic_mask_`` tells which are synthetic, and ``class_counts_`` how many.
# The default is 5,000 steps; 1,500 are enough for images of 8 x 8 pixels and take some seconds.

sampler = DCGANOverSampler(n_steps=1500, random_state=0)
X_resampled, y_resampled = sampler.fit_resample(X, y)

assert np.array_equal(X_resampled[: len(X)], X)
print(X_resampled.shape, sampler.class_counts_["eight"])

# %%
# What was made of the classes:

from gan_sampler.displays import ClassDistributionDisplay, SyntheticImagesDisplay

display = ClassDistributionDisplay.from_estimator(sampler)

# %%
# **Reading.** Both classes now have 1,623 images. Of the eights 174 are original, 1,087 are repeated, and 362 are
# synthetic, so nearly a quarter of the eights that a classifier sees is the generator's idea of one. Look at it before
# you use it:

display = SyntheticImagesDisplay.from_estimator(sampler, X, y, n_images=8, random_state=0)

# %%
# **Reading.** The synthetic images have the two loops and the slants of handwritten eights. Each stands above the
# real image that is nearest to it. None is the same image, so the generator did not just store its training images.
#
# A fitted sampler draws more images without training:

more = sampler.sample(100, "eight", random_state=1)
print(more.shape, more.dtype)

# %%
# Next: :ref:`is it good <sphx_glr_gallery_plot_quality_report.py>`, and
# :ref:`does it help <sphx_glr_gallery_plot_does_it_help.py>`?

# sphinx_gallery_thumbnail_number = 2
