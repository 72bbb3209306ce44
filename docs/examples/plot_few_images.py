"""
==============================================
Few images: what augmentation changes in a GAN
==============================================

With few images of a class, a discriminator memorises them, and the generator learns to copy. ``augmentation="mild"``
changes every image a little, real or generated, before the discriminator sees it.
"""

# %%
# Twenty images of a three to learn from. The others are set aside: they show how far a new, real three is from these
# twenty.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from gan_sampler import AugmentationOverSampler, DCGANOverSampler

digits = load_digits()
images = (digits.images * 255 / 16).astype(np.uint8)
threes = images[digits.target == 3]
train, unseen = threes[:20], threes[20:]
X = np.concatenate([train, images[digits.target != 3][:200]])
y = np.array(["three"] * len(train) + ["other"] * 200)

samplers = {
    "DCGAN, mild": DCGANOverSampler(n_steps=900, augmentation="mild", random_state=0),
    "DCGAN, none": DCGANOverSampler(n_steps=900, augmentation=None, random_state=0),
    "no GAN": AugmentationOverSampler(random_state=0),
}
made = {}
for name, sampler in samplers.items():
    X_resampled, _ = sampler.fit_resample(X, y)
    made[name] = X_resampled[sampler.synthetic_mask_]

# %%
# Each synthetic image, above the nearest of the twenty real ones:


def find_nearest(images):
    """Return the training image that is nearest to each image, and how far it is in grey values."""
    distances = np.linalg.norm(images[:, None].astype(float) - train[None], axis=(2, 3)) / 8
    return train[distances.argmin(1)], distances.min(1)


fig, axes = plt.subplots(2 * len(made), 10, figsize=(7, 4.2), layout="constrained")
for pair, (name, drawn) in zip(axes.reshape(len(made), 2, 10), made.items(), strict=True):
    for column, (image, real) in enumerate(zip(drawn[:10], find_nearest(drawn[:10])[0], strict=True)):
        for ax, shown in zip(pair[:, column], (image, real), strict=True):
            ax.imshow(shown, cmap="gray", vmin=0, vmax=255)
            ax.set(xticks=[], yticks=[])
    pair[0, 0].set_ylabel(name, rotation=0, ha="right", va="center")
    pair[1, 0].set_ylabel("nearest real", rotation=0, ha="right", va="center", color="gray")
plt.show()

# %%

distances = {name: find_nearest(drawn)[1] for name, drawn in {**made, "unseen real": unseen}.items()}
fig, ax = plt.subplots(layout="constrained", figsize=(6.4, 2.8))
ax.boxplot(list(distances.values()), orientation="horizontal", tick_labels=list(distances))
ax.invert_yaxis()
ax.set(xlabel="distance to the nearest of the 20 real images (grey values)", xlim=(0, None))
plt.show()

# %%
# **Reading.** "unseen real" is how far new, real threes are from the twenty. Without augmentation the generator stays
# nearer to its training images than that. With it, it goes further from them, and the images are still threes.
# ``augmentation="auto"``, the default, turns it on for classes as small as this one.
# :class:`~gan_sampler.AugmentationOverSampler` stays nearest, because each of its images is a real one, moved, turned
# and changed in contrast.
#
# No sampler reaches the distance of unseen images: twenty images do not show all ways to write a three, and none of
# these methods can know the others. See :doc:`/guide/few_images`.
