"""
====================================
Five pictures of a fitted sampler
====================================

The displays of :mod:`gan_sampler.displays` are built as those of scikit-learn are: ``from_estimator`` or
``from_predictions`` makes one and draws it, ``plot(ax=...)`` draws it again, and the objects of matplotlib are kept as
attributes.
"""

# %%

import numpy as np
from sklearn.datasets import load_digits

from gan_sampler import DCGANOverSampler
from gan_sampler.displays import (
    ClassDistributionDisplay,
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

display = ClassDistributionDisplay.from_estimator(sampler, y, y_resampled)

# %%
# What do they look like, and which real image is nearest to each?

display = SyntheticImagesDisplay.from_estimator(sampler, X, y, n_images=8, random_state=0)

# %%
# How did the training go, and which snapshot was kept?

display = TrainingHistoryDisplay.from_estimator(sampler)
