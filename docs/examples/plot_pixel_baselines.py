"""
===============================================================
Baselines on pixels: repetition, SMOTE, ADASYN and augmentation
===============================================================

:class:`~gan_sampler.PixelSampler` lets any over-sampler of imbalanced-learn work on images, and
:class:`~gan_sampler.AugmentationOverSampler` changes real images a little. Both take milliseconds. A GAN that does
not do better than these is not worth its training.
"""

# %%
# The wrapped sampler sees rows of pixels; images come back in the shape and dtype that went in. Augmentation repeats
# real images, too, three quarters of what it adds by default; ``repeated_share=0`` leaves the changed ones alone.

import matplotlib.pyplot as plt
import numpy as np
from imblearn.over_sampling import ADASYN, SMOTE, BorderlineSMOTE, RandomOverSampler
from sklearn.datasets import load_digits

from gan_sampler import AugmentationOverSampler, PixelSampler

digits = load_digits()
images = (digits.images * 255 / 16).astype(np.uint8)
fives, others = images[digits.target == 5][:40], images[digits.target != 5][:400]
X, y = np.concatenate([fives, others]), np.array(["five"] * 40 + ["other"] * 400)

samplers = {
    "RandomOverSampler": PixelSampler(RandomOverSampler(random_state=0)),
    "SMOTE": PixelSampler(SMOTE(random_state=0)),
    "BorderlineSMOTE": PixelSampler(BorderlineSMOTE(random_state=0)),
    "ADASYN": PixelSampler(ADASYN(random_state=0)),
    "Augmentation": AugmentationOverSampler(repeated_share=0, random_state=0),
}
made = {}
for name, sampler in samplers.items():
    X_resampled, y_resampled = sampler.fit_resample(X, y)
    made[name] = X_resampled[len(X) :]
    print(f"{name:18} {len(made[name])} new images, {X_resampled.dtype}, {(y_resampled == 'five').sum()} fives in all")

# %%

fig, axes = plt.subplots(len(made) + 1, 10, figsize=(7, 4.9), layout="constrained")
for row, (name, drawn) in zip(axes, {"real": fives, **made}.items(), strict=True):
    for ax, image in zip(row, drawn, strict=False):
        ax.imshow(image, cmap="gray", vmin=0, vmax=255)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(name, rotation=0, ha="right", va="center")
plt.show()

# %%
# **Reading.** SMOTE and its relatives put a new image on the line between two real ones, so it shows both, like a
# double exposure. ADASYN and BorderlineSMOTE do that where the class touches others. Augmentation keeps strokes
# sharp, because each image comes from one real image, moved and turned.
#
# How far are they from the real images?

fig, ax = plt.subplots(layout="constrained", figsize=(6.4, 3))
distances = []
for drawn in made.values():
    to_real = np.linalg.norm(drawn[:, None].astype(float) - fives[None].astype(float), axis=(2, 3)) / 8
    distances.append(to_real.min(1))
ax.boxplot(distances, orientation="horizontal", tick_labels=list(made))
ax.invert_yaxis()
ax.set(xlabel="distance to the nearest real image (grey values, 0 to 255)")
plt.show()

# %%
# **Reading.** Repetition is at 0: it adds no image, and only weights the rare class. SMOTE stays between real images.
# Augmentation goes furthest, and whether a turned image is still of its class is for you to know: a turned six can be
# a nine.
