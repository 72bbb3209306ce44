"""
===============================================
PyTorch: fresh synthetic images for every epoch
===============================================

``fit_resample`` makes synthetic images once. A training loop can have other ones in every epoch:
:class:`~gan_sampler.data.BalancedDataset` draws them from the fitted sampler, and
:class:`~gan_sampler.data.BalancedDataLoader` goes on to the next ones by itself.
"""

# %%
# Handwritten digits, of which the eights are made rare: 25 of them are left to train on, against 800 other digits.

from collections import Counter

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler
from torchvision.transforms import v2

from gan_sampler import DCGANOverSampler
from gan_sampler.data import BalancedDataLoader, BalancedDataset

digits = load_digits()
X = (digits.images * 255 / 16).astype(np.uint8)
y = np.where(digits.target == 8, "eight", "other")
X, X_test, y, y_test = train_test_split(X, y, stratify=y, test_size=0.5, random_state=0)
is_kept = (y == "other") | (np.cumsum(y == "eight") <= 25)
X, y = X[is_kept], y[is_kept]
print(Counter(y.tolist()))

# %%
# The sampler is fitted once, on training images alone. The images that ``fit_resample`` returns are not needed here.

sampler = DCGANOverSampler(n_steps=500, random_state=0)
sampler.fit_resample(X, y)

# %%
# The data set has as many elements as the balanced set: real images, half as many repeated eights as are missing, and
# as many synthetic ones, by the default of ``repeated_share``. Transforms of torchvision see one image at a time, a
# tensor of shape ``(channels, height, width)`` in uint8, real and synthetic ones alike.

transform = v2.Compose([v2.RandomCrop(8, padding=1), v2.ToDtype(torch.float32, scale=True)])
dataset = BalancedDataset(sampler, X, y, transform=transform, random_state=0)
loader = BalancedDataLoader(dataset, batch_size=64)
print(dataset, len(loader), "batches")

# %%
# A small network and a plain loop. Nothing in it knows of over-sampling. The batches depend on ``random_state``
# alone, not on ``num_workers``.


def train(loader, n_epochs=8):
    """Train a network on what a loader gives, and return its balanced accuracy after each epoch."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * 16, 2)
    )
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    accuracies = []
    for _ in range(n_epochs):
        for images, classes in loader:
            loss = nn.functional.cross_entropy(network(images), classes)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        with torch.no_grad():
            logits = network(torch.from_numpy(X_test[:, None]).float() / 255)
        predicted = np.array(dataset.classes)[logits.argmax(1)]
        accuracies.append(balanced_accuracy_score(y_test, predicted))
    return accuracies


accuracies = {"repeated and fresh synthetic eights": train(loader)}

# %%
# For comparison, the same loop with the 25 real eights repeated as often, and with the real images as they are:


class RealImages(TensorDataset):
    """Real images with the transforms of the balanced set."""

    def __getitem__(self, index):
        image, label = super().__getitem__(index)
        return transform(image), label


targets = torch.tensor([dataset.class_to_idx[label] for label in y])
real = RealImages(torch.from_numpy(X[:, None]), targets)
weights = 1 / targets.bincount()[targets].double()
torch.manual_seed(0)
repeating = WeightedRandomSampler(weights, len(dataset))
accuracies["real eights repeated"] = train(DataLoader(real, batch_size=64, sampler=repeating))
accuracies["nothing done"] = train(DataLoader(real, batch_size=64, shuffle=True))

fig, ax = plt.subplots(layout="constrained", figsize=(6.4, 3.4))
for name, own in accuracies.items():
    ax.plot(np.arange(1, len(own) + 1), own, marker="o", label=name)
ax.set(xlabel="epoch", ylabel="balanced accuracy, test images", ylim=(0.45, 1))
fig.legend(loc="outside upper center", ncols=3, frameon=False)
plt.show()

# %%
# **Reading.** With the real images as they are, the network calls everything "other" in these epochs. Both other ways
# show it the two classes equally often, and here repeating the real eights does as well as synthetic ones: try that
# first. :ref:`Does it help <sphx_glr_gallery_plot_does_it_help.py>` shows how to find out on data of your own.
#
# The synthetic part of three epochs. The real images stay, these change:

raw = BalancedDataset(sampler, X, y, random_state=0)
fig, axes = plt.subplots(3, 10, figsize=(7, 2.4), layout="constrained")
for epoch, row in enumerate(axes):
    raw.set_epoch(epoch)
    for ax, index in zip(row, np.flatnonzero(raw.synthetic_mask), strict=False):
        ax.imshow(raw[index][0][0], cmap="gray", vmin=0, vmax=255)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(f"epoch {epoch}", rotation=0, ha="right", va="center")
plt.show()

# %%
# Images in files need no array: ``BalancedDataset(sampler, torchvision.datasets.ImageFolder("scans"))`` reads
# them when they are needed.
