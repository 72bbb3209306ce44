"""
===============================
Networks and a loss of your own
===============================

A sampler is a base class with one method to fill in. :class:`~gan_sampler.samplers.BaseGANOverSampler` trains, keeps
the best snapshot, saves, loads and draws; ``_networks`` says with which networks.
"""

# %%
# Dense networks, for images as small as these:

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import softplus

from gan_sampler import DCGANOverSampler
from gan_sampler.displays import TrainingHistoryDisplay
from gan_sampler.samplers import BaseGANOverSampler
from gan_sampler.training import Loss


class DenseGANOverSampler(BaseGANOverSampler):
    """A GAN of fully connected layers."""

    def _networks(self, image_shape, n_classes):
        n_pixels = int(np.prod(image_shape))  # channels * height * width
        generator = nn.Sequential(
            *(nn.Linear(32, 128), nn.BatchNorm1d(128), nn.ReLU()),
            *(nn.Linear(128, 128), nn.BatchNorm1d(128), nn.ReLU()),
            *(nn.Linear(128, n_pixels), nn.Tanh(), nn.Unflatten(1, image_shape)),
        )
        generator.latent_dim = 32  # length of the noise
        discriminator = nn.Sequential(
            nn.Flatten(), nn.Linear(n_pixels, 128), nn.LeakyReLU(0.2), nn.Linear(128, 1), nn.Flatten(0)
        )  # logits of shape (n,)
        return generator, discriminator


# %%
# A loss is two functions of logits. With one-sided label smoothing the discriminator is asked for a probability of
# 0.9, and not of 1, that a real image is real. The generator's loss stays as it is.


def discriminator_loss(real_logits, fake_logits):
    """Return the binary cross-entropy with a target of 0.9 for real images."""
    real = 0.9 * softplus(-real_logits) + 0.1 * softplus(real_logits)
    return real.mean() + softplus(fake_logits).mean()


def generator_loss(fake_logits):
    """Return the non-saturating loss."""
    return softplus(-fake_logits).mean()


smoothed = Loss("smoothed", discriminator_loss, generator_loss, one_pass=True)

# %%
# Both go where the package's own would go.

digits = load_digits()
X, y = (digits.images * 255 / 16).astype(np.uint8), np.where(digits.target == 8, "eight", "other")
samplers = {
    "dense networks": DenseGANOverSampler(n_steps=2000, random_state=0),
    "smoothed labels": DCGANOverSampler(loss=smoothed, n_steps=800, random_state=0),
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
