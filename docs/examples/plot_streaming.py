"""
==========================================
A stream without end, balanced as it comes
==========================================

Images come one after another, from a camera or a scanner, and the rare class is rare in the stream.
:class:`~gan_sampler.data.BalancedIterableDataset` gives out each image as it comes, counts classes, trains a
generator when there is enough to learn from, and adds images of the classes that fall behind.
"""

# %%
# A stand-in for a camera: rings are common, and one image in twelve is a cross. Crosses come only after the 300th
# image.

import itertools

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from gan_sampler import DCGANOverSampler
from gan_sampler.data import BalancedIterableDataset

rows, columns = np.mgrid[:16, :16]


def camera(seed=0):
    """Yield images and classes without end: 0 is a ring, 1 a cross."""
    rng = np.random.default_rng(seed)
    for i in itertools.count():
        label = int(i >= 300 and rng.random() < 1 / 12)
        y, x = rng.uniform(6, 9, 2)
        size = rng.uniform(3.5, 5.5)
        if label:
            distance = np.minimum(abs(rows - y), abs(columns - x)) + 9 * (np.hypot(rows - y, columns - x) > size)
        else:
            distance = abs(np.hypot(rows - y, columns - x) - size)
        image = 220 * np.exp(-((distance / 1.2) ** 2)) + rng.uniform(0, 30, (16, 16))
        yield image.astype(np.uint8), label


# %%
# The sampler is not fitted: a copy of it is trained inside of the stream, as soon as there are 25 crosses. The stream
# waits for that, so it gets few steps. ``return_synthetic`` tells synthetic images from real ones, for the picture
# below.

sampler = DCGANOverSampler(n_steps=500)
dataset = BalancedIterableDataset(camera(), sampler, window=500, min_images=25, return_synthetic=True, random_state=0)
loader = DataLoader(dataset, batch_size=50)

# %%
# A classifier that is trained while images come. The loop ends after 40 batches; the stream would not.

torch.manual_seed(0)
network = nn.Sequential(nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 2))
optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
given, last = [], None
for images, classes, is_synthetic in itertools.islice(loader, 40):
    loss = nn.functional.cross_entropy(network(images / 255), classes)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    given.append((classes.numpy(), is_synthetic.numpy()))
    last = images, classes, is_synthetic
print(f"{dataset.n_seen} images came, {dataset.n_repeated} were repeated and {dataset.n_synthetic} drawn")

# %%
# What each batch was made of:

shares = np.array([[(c == 0).mean(), ((c == 1) & ~s).mean(), ((c == 1) & s).mean()] for c, s in given])
fig, ax = plt.subplots(layout="constrained", figsize=(6.4, 3.2))
ax.stackplot(
    np.arange(1, len(shares) + 1),
    100 * shares.T,
    labels=["rings, real", "crosses, real or repeated", "crosses, synthetic"],
    colors=["#c8ccd4", "#5b8ff9", "#f6a04d"],
    step="mid",
)
ax.axhline(50, color="black", linewidth=0.8, linestyle=":")
ax.set(xlabel="batch", ylabel="share of the batch (%)", ylim=(0, 100), xlim=(1, len(shares)))
fig.legend(loc="outside upper center", ncols=3, frameon=False, fontsize="small")
plt.show()

# %%
# **Reading.** Until the first cross comes there is nothing to balance. Then recent crosses are repeated, one after
# each ring at most, until there are 25 of them and a generator is trained. From there on every fourth one of the
# missing ones is drawn, since the ``repeated_share`` of the sampler is 0.75.
# First a little more than half are crosses, to make up for the time without, and later a little less.
#
# Crosses of the last batch, the synthetic ones framed:

images, classes, is_synthetic = last
order = torch.argsort(is_synthetic[classes == 1].int(), stable=True)
crosses, flags = images[classes == 1][order], is_synthetic[classes == 1][order]
fig, axes = plt.subplots(2, 10, figsize=(7, 1.6), layout="constrained")
for ax in axes.flat:
    ax.set_axis_off()
for ax, image, flag in zip(axes.flat, crosses, flags, strict=False):
    ax.imshow(image[0], cmap="gray", vmin=0, vmax=255)
    if flag:
        ax.add_patch(plt.Rectangle((-0.5, -0.5), 16, 16, fill=False, edgecolor="#f6a04d", linewidth=4))
plt.show()

# %%
# With ``refit_every=2000`` generators would be trained anew every 2,000 images, on what is recent then.
