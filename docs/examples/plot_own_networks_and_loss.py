"""
===============================
Networks and a loss of your own
===============================

:class:`~gan_sampler.GANOverSampler` takes networks and a loss as parameters. It trains them, keeps the best snapshot,
saves, loads and draws, as it does for the networks of the package.
"""

# %%
# Networks are given as classes, or as functions that make them: each class of images gets new ones. They are called
# with the shape of an image. Dense networks, for images as small as these:

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import softplus

from gan_sampler import GANOverSampler
from gan_sampler.displays import TrainingHistoryDisplay
from gan_sampler.training import Loss


class DenseGenerator(nn.Sequential):
    """Noise to images by fully connected layers."""

    def __init__(self, image_shape, latent_dim=100, width=128):
        n_pixels = int(np.prod(image_shape))  # channels * height * width
        super().__init__(
            *(nn.Linear(latent_dim, width), nn.BatchNorm1d(width), nn.ReLU()),
            *(nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU()),
            *(nn.Linear(width, n_pixels), nn.Tanh(), nn.Unflatten(1, image_shape)),
        )
        self.latent_dim = latent_dim  # length of the noise


def make_discriminator(image_shape, width=128):
    """Return a network from images to logits of shape (n,)."""
    n_pixels = int(np.prod(image_shape))
    return nn.Sequential(
        nn.Flatten(), nn.Linear(n_pixels, width), nn.LeakyReLU(0.2), nn.Linear(width, 1), nn.Flatten(0)
    )


# %%
# A loss is two functions of logits. With one-sided label smoothing the discriminator is asked for a probability of
# 0.9, and not of 1, that a real image is real. The generator's loss stays as it is.


def smoothed(target=0.9):
    """Return the non-saturating loss with another target for real images."""

    def discriminator_loss(real_logits, fake_logits):
        real = target * softplus(-real_logits) + (1 - target) * softplus(real_logits)
        return real.mean() + softplus(fake_logits).mean()

    def generator_loss(fake_logits):
        return softplus(-fake_logits).mean()

    return Loss("smoothed", discriminator_loss, generator_loss, one_pass=True)


# %%
# Parameters of networks and losses are set with a prefix, as in skorch. What is not given is that of
# :class:`~gan_sampler.DCGANOverSampler`.

digits = load_digits()
X, y = (digits.images * 255 / 16).astype(np.uint8), np.where(digits.target == 8, "eight", "other")
samplers = {
    "dense networks": GANOverSampler(
        generator=DenseGenerator,
        generator__latent_dim=32,
        discriminator=make_discriminator,
        n_steps=2000,
        random_state=0,
    ),
    "smoothed labels": GANOverSampler(loss=smoothed, loss__target=0.9, n_steps=800, random_state=0),
}
for sampler in samplers.values():
    sampler.fit_resample(X, y)

fig, axes = plt.subplots(len(samplers), 10, figsize=(7, 1.7), layout="constrained")
for row, (name, sampler) in zip(axes, samplers.items(), strict=True):
    for ax, image in zip(row, sampler.sample(10, "eight", random_state=0), strict=True):
        ax.imshow(image, cmap="gray", vmin=0, vmax=255)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(name, rotation=0, ha="right", va="center")
plt.show()

# %%
# **Reading.** Both draw eights. Those of the dense networks are less clear: without convolutions each pixel has to be
# learnt by itself. A step of theirs takes less time, and they had more of them.

display = TrainingHistoryDisplay({name: sampler.history_["eight"] for name, sampler in samplers.items()}).plot(
    quantities=["score"]
)

# %%
# **Reading.** The score says the same: about 1 is as good as real images that were not seen. The dense networks stop
# at 2. It is the same number for all samplers and losses, so it tells which of two ideas is the better one, where
# losses cannot.
