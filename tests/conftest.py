"""Toy images that show their class: discs are common, squares are rare."""

import os
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from gan_sampler.quality import _report

CHEST_XRAY = Path(
    os.environ.get("GAN_SAMPLER_CHEST_XRAY", Path(__file__).resolve().parents[2] / "shared" / "data" / "chest_xray")
)
needs_chest_xrays = pytest.mark.skipif(
    not CHEST_XRAY.is_dir(),
    reason="the chest X-rays are not on this machine: set GAN_SAMPLER_CHEST_XRAY to the folder of train, val and test",
)


class KeptStates(list):
    """A checkpoint in memory: the states of all reports."""

    def read(self):
        """Start anew."""

    def keep(self, state):
        """Remember the state."""
        self.append(state)

    def flush(self):
        """Have nothing left to write."""


def make_shapes(n_discs=24, n_squares=10, size=12, seed=0):
    """Return uint8 images (n, size, size) of discs ("disc") and squares ("square"), with noise."""
    rng = np.random.RandomState(seed)
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    images, labels = [], []
    for label, n_images in (("disc", n_discs), ("square", n_squares)):
        for _ in range(n_images):
            y, x = rng.uniform(-1, 1, 2)
            radius = size * rng.uniform(0.25, 0.35)
            distance = (
                np.hypot(rows - y, columns - x) if label == "disc" else np.maximum(abs(rows - y), abs(columns - x))
            )
            images.append(np.where(distance < radius, 210, 30) + rng.randint(-20, 21, (size, size)))
            labels.append(label)
    order = rng.permutation(len(labels))
    return np.array(images, dtype=np.uint8)[order], np.array(labels)[order]


def make_patch_discriminator(image_shape, base_channels=4):
    """Return a discriminator with a logit for each of the overlapping patches of an image; one at 8 x 8 pixels."""
    return nn.Sequential(
        nn.Conv2d(image_shape[0], base_channels, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(base_channels, 1, 4),
    )


@pytest.fixture
def shapes():
    return make_shapes()


@pytest.fixture(autouse=True, scope="session")
def small_forest():
    """Judge images by a fifth of the trees: they would take most of the time of a quality report."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(_report._FOREST, "n_estimators", 20)
        yield
