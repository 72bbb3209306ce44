"""
============================================
Few images: what augmentation changes in a GAN
============================================

With few images of a class, a discriminator memorises them, and the generator then learns to copy. ``augmentation="mild"``
changes every image a little, real or generated, before the discriminator sees it.
"""

# %%
# Rings of random place, size and thickness: 24 of them are there to learn from.

import matplotlib.pyplot as plt
import numpy as np

from gan_sampler import AugmentationOverSampler, DCGANOverSampler

rng = np.random.default_rng(0)
rows, columns = np.mgrid[:16, :16]


def draw_rings(n):
    """Return images of rings on a dark ground."""
    y, x = rng.uniform(6, 9.5, (2, n, 1, 1))
    radius, thickness = rng.uniform(3, 5.5, (n, 1, 1)), rng.uniform(0.8, 1.6, (n, 1, 1))
    distance = abs(np.hypot(rows - y, columns - x) - radius)
    return (230 * np.exp(-((distance / thickness) ** 2)) + rng.uniform(0, 20, (n, 16, 16))).astype(np.uint8)


n_rings = 24
X = np.concatenate([draw_rings(n_rings), rng.integers(0, 60, (200, 16, 16), dtype=np.uint8)])
y = np.array(["ring"] * n_rings + ["empty"] * 200)

samplers = {
    "DCGAN, mild": DCGANOverSampler(n_steps=400, base_channels=16, augmentation="mild", random_state=0),
    "DCGAN, none": DCGANOverSampler(n_steps=400, base_channels=16, augmentation=None, random_state=0),
    "no GAN": AugmentationOverSampler(random_state=0),
}
made = {}
for name, sampler in samplers.items():
    X_resampled, _ = sampler.fit_resample(X, y)
    made[name] = X_resampled[len(X) :]

# %%
# Each synthetic image, above the nearest of the 24 real ones:


def nearest(images):
    """Return the real ring that is nearest to each image, and how far it is."""
    distances = np.linalg.norm(images[:, None].astype(float) - X[None, :n_rings], axis=(2, 3)) / 16
    return X[distances.argmin(1)], distances.min(1)


fig, axes = plt.subplots(2 * len(made), 10, figsize=(7, 4.6), layout="constrained")
for pair, (name, images) in zip(axes.reshape(len(made), 2, 10), made.items(), strict=True):
    for column, (image, real) in enumerate(zip(images[:10], nearest(images[:10])[0], strict=True)):
        for ax, shown in zip(pair[:, column], (image, real), strict=True):
            ax.imshow(shown, cmap="gray", vmin=0, vmax=255)
            ax.set(xticks=[], yticks=[])
    pair[0, 0].set_ylabel(name, rotation=0, ha="right", va="center")
    pair[1, 0].set_ylabel("nearest real", rotation=0, ha="right", va="center", color="gray")
plt.show()

# %%

fig, ax = plt.subplots(layout="constrained", figsize=(6.4, 3))
unseen = nearest(draw_rings(150))[1]
ax.boxplot(
    [*(nearest(images)[1] for images in made.values()), unseen],
    orientation="horizontal",
    tick_labels=[*made, "new real"],
)
ax.set(xlabel="distance to the nearest of the 24 real images (grey values)", xlim=(0, None))
plt.show()

# %%
# **Reading.** "new real" are rings that no sampler has seen: a good sampler is about as far from the training images as they
# are. Both GANs are, so neither copies, and with augmentation they keep a little more distance. ``augmentation="auto"``, the
# default, turns it on for classes as small as this one. :class:`~gan_sampler.AugmentationOverSampler` stays nearer: each
# of its images is a real one, moved, turned and changed in contrast. For 24 images that is a good first choice.
#
# The rings of both GANs are uneven, where real ones are round. 24 images and some seconds do not give more. See
# :doc:`/guide/few_images` for what does.
