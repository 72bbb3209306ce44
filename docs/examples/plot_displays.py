"""
=================================
Five pictures of a fitted sampler
=================================

The displays of ``gan_sampler.displays`` are built as those of scikit-learn are: ``from_estimator`` or
``from_predictions`` makes one and draws it, ``plot(ax=...)`` draws it again, and the objects of matplotlib are kept
as attributes.
"""

# %%

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.preprocessing import FunctionTransformer

from gan_sampler import DCGANOverSampler
from gan_sampler.displays import (
    ClassDistributionDisplay,
    EmbeddingDisplay,
    LatentWalkDisplay,
    SyntheticImagesDisplay,
    TrainingHistoryDisplay,
)

digits = load_digits()
X = (digits.images * 255 / 16).astype(np.uint8)
y = np.select([digits.target == 8, digits.target == 1], ["eight", "one"], "other")
sampler = DCGANOverSampler(n_steps=700, sampling_strategy={"eight": 500, "one": 400}, random_state=0)
X_resampled, y_resampled = sampler.fit_resample(X, y)

# %%
# How many images of each class?

display = ClassDistributionDisplay.from_estimator(sampler)

# %%
# **Reading.** "other" is the largest class and gets none; the dict asked for 500 and 400 of the others. Three quarters
# of what is added are repeated, the default of ``repeated_share``.
#
# What do they look like, and which real image is nearest to each?

display = SyntheticImagesDisplay.from_estimator(sampler, X, y, n_images=8, random_state=0)

# %%
# **Reading.** On the left real images, on the right synthetic ones, each above the real image that is nearest to it.
# Pairs that are equal would be copies; here they are alike and not equal.
#
# How did the training go, and which snapshot was kept?

display = TrainingHistoryDisplay.from_estimator(sampler)

# %%
# **Reading.** The score, a distance to the real images, falls: about 1 is as good as real images that were not seen.
# The losses of a GAN need not fall, because each network makes it harder for the other. The mark is at the snapshot
# that images are drawn from.
#
# Do the synthetic images lie among the real ones? Each is a point, here by the first two principal components:

to_rows = FunctionTransformer(lambda images: images.reshape(len(images), -1))
display = EmbeddingDisplay.from_estimator(sampler, X, y, transformer=PCA(2), embedder=to_rows, random_state=0)

# %%
# **Reading.** The crosses of each class lie where its dots lie, and fill nearly all of the same area. Crosses in a
# place of their own would mean images that are unlike any real one; an area of dots without crosses would mean a kind
# of image that the generator has not learnt.
#
# What lies between two images?

display = LatentWalkDisplay.from_estimator(sampler, n_walks=2, n_steps=10, random_state=0)

# %%
# **Reading.** Neighbours in a row differ a little, and each image is a digit. A row that jumped from one image to
# another would mean that the generator has stored images.
#
# Displays take axes, and so stand beside others in one figure:

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
TrainingHistoryDisplay.from_estimator(sampler, quantities=["score"], ax=left)
ClassDistributionDisplay.from_estimator(sampler, ax=right)
right.set_title("What was made of the classes")
plt.show()

# sphinx_gallery_thumbnail_number = 4
