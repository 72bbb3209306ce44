"""
=====================================
Lightning: the loader is all it takes
=====================================

`Lightning <https://lightning.ai/docs/pytorch>`_ trains on any loader of PyTorch's, and so on a
:class:`~gan_sampler.data.BalancedDataLoader`. This script is not run when this site is built: it needs
``pip install lightning``.
"""

# %%
# Digits, with 25 eights against 800 other digits, and a sampler that has learnt to draw eights.

import lightning
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torchvision.transforms import v2

from gan_sampler import DCGANOverSampler
from gan_sampler.data import BalancedDataLoader, BalancedDataset

digits = load_digits()
X = (digits.images * 255 / 16).astype(np.uint8)[:900]
y = np.where(digits.target == 8, "eight", "other")[:900]
is_kept = (y == "other") | (np.cumsum(y == "eight") <= 25)
X, y = X[is_kept], y[is_kept]

sampler = DCGANOverSampler(n_steps=500, random_state=0)
sampler.fit_resample(X, y)

# %%
# A module as any other:


class Classifier(lightning.LightningModule):
    """A small convolutional network."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * 16, 2)
        )

    def training_step(self, batch, index):
        """Return the loss of a batch."""
        images, classes = batch
        return nn.functional.cross_entropy(self.layers(images), classes)

    def configure_optimizers(self):
        """Return the optimiser."""
        return torch.optim.Adam(self.parameters(), lr=3e-3)


# %%
# Lightning begins an epoch by iterating over the loader, which then goes on to other synthetic images. With several
# devices, Lightning gives each its share of the set; every process then draws all synthetic images of an epoch, the
# same ones, so ``random_state`` must be an int.

dataset = BalancedDataset(sampler, X, y, transform=v2.ToDtype(torch.float32, scale=True), random_state=0)
loader = BalancedDataLoader(dataset, batch_size=64)
trainer = lightning.Trainer(max_epochs=5, accelerator="cpu", logger=False, enable_checkpointing=False)
trainer.fit(Classifier(), loader)
print("epochs of images:", dataset.epoch + 1)
