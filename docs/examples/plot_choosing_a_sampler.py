"""
========================================
Choosing a sampler: five of them at work
========================================

Every sampler has the same call, so trying another one is a change of one line. Here five of them make images of the
same rare digit, from the same 60 real ones.
"""

# %%
# The data: 60 images of a three, and all other digits.

import time

import matplotlib.pyplot as plt
import numpy as np
from imblearn.over_sampling import SMOTE, RandomOverSampler
from sklearn.datasets import load_digits

from gan_sampler import (
    AugmentationOverSampler,
    ConditionalDCGANOverSampler,
    DCGANOverSampler,
    PixelSampler,
)

digits = load_digits()
images = (digits.images * 255 / 16).astype(np.uint8)
is_three = digits.target == 3
chosen = np.r_[np.flatnonzero(is_three)[:60], np.flatnonzero(~is_three)[:400]]
X, y = images[chosen], np.where(is_three[chosen], "three", "other")

# %%
# The steps are few, so that this page is built in seconds. A training that is too short ends with a warning. The
# samplers of this package repeat real images beside synthetic ones by default; ``repeated_share=0`` leaves only the
# synthetic ones, which are shown here.

samplers = {
    "repetition": PixelSampler(RandomOverSampler(random_state=0)),
    "augmentation": AugmentationOverSampler(repeated_share=0, random_state=0),
    "SMOTE": PixelSampler(SMOTE(random_state=0)),
    "DCGAN": DCGANOverSampler(n_steps=700, repeated_share=0, random_state=0),
    "conditional DCGAN": ConditionalDCGANOverSampler(n_steps=400, repeated_share=0, random_state=0),
}
made, seconds = {}, {}
for name, sampler in samplers.items():
    start = time.perf_counter()
    X_resampled, y_resampled = sampler.fit_resample(X, y)
    seconds[name] = time.perf_counter() - start
    made[name] = X_resampled[len(X) :]

# %%

fig, axes = plt.subplots(len(made) + 1, 10, figsize=(7, 4.9), layout="constrained")
for row, (name, drawn) in zip(axes, {"real": X[y == "three"], **made}.items(), strict=True):
    for ax, image in zip(row, drawn, strict=False):
        ax.imshow(image, cmap="gray", vmin=0, vmax=255)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(name, rotation=0, ha="right", va="center")
plt.show()
for name, took in seconds.items():
    print(f"{name:20}{took:5.1f} s")

# %%
# **Reading.** Repetition shows images that are real and nothing new. Augmentation shifts and turns them. SMOTE mixes
# two neighbours, and where they differ the strokes are grey. The two GANs draw strokes of their own, at a higher
# price: seconds here, minutes to hours for larger images. Start with what is cheap, and compare: the :doc:`decision
# tree </guide/choosing_a_sampler>` says in which order.
