"""How fast `BalancedDataLoader` is beside a loader of a stored balanced set: ``python benchmarks/streaming.py``.

Both give the same number of images in batches of the same size. The stored set holds the real images and the synthetic
ones that were drawn once; `BalancedDataLoader` draws others for every epoch, and its time includes that. Both run in
turns in one process, so that what else the machine does meets both, and the ratio is the median over rounds. Needs no
data: what the images show does not matter to their speed.
"""

import argparse
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from gan_sampler import DCGANOverSampler
from gan_sampler.data import BalancedDataLoader, BalancedDataset

AUGMENT = [
    v2.RandomHorizontalFlip(),
    v2.RandomAffine(degrees=10, translate=(0.05, 0.05)),
    v2.ColorJitter(brightness=0.1, contrast=0.1),
]


class StoredSet(Dataset):
    """Images and classes in memory."""

    def __init__(self, X, y, transform):
        self.images, self.classes = torch.from_numpy(X)[:, None], np.unique(y, return_inverse=True)[1].tolist()
        self.transform = transform

    def __len__(self):
        return len(self.classes)

    def __getitem__(self, index):
        return self.transform(self.images[index]), self.classes[index]


class Trainer:
    """A small CNN that is trained on what a loader gives."""

    def __init__(self, size, device):
        self.device = device
        self.network = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1, stride=2),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1, stride=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * (size // 4) ** 2, 128),
            nn.ReLU(),
            nn.Linear(128, 2),
        ).to(device)
        self.adam = torch.optim.Adam(self.network.parameters())

    def __call__(self, images, classes):
        """Make one step."""
        loss = nn.functional.cross_entropy(self.network(images.to(self.device)), classes.to(self.device))
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()


def seconds_of(loader, step, n_epochs):
    """Return the time that epochs take."""
    start = time.perf_counter()
    for _ in range(n_epochs):
        for images, classes in loader:
            if step is not None:
                step(images, classes)
    if step is not None and step.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def compare(stored, balanced, step, *, n_epochs, n_rounds):
    """Return the images a second of both loaders and the median ratio, after an epoch that is not counted."""
    loaders = stored, balanced
    for loader in loaders:
        seconds_of(loader, step, 1)
    times = [[seconds_of(loader, step, n_epochs) for loader in loaders] for _ in range(n_rounds)]
    n_images = n_epochs * len(stored.dataset)
    rates = [n_images / statistics.median(own) for own in zip(*times, strict=True)]
    return *rates, statistics.median(of_stored / of_balanced for of_stored, of_balanced in times)


def write_folder(root, X, y):
    """Write images into a folder for each class."""
    for i, (image, label) in enumerate(zip(X, y, strict=True)):
        (root / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(root / label / f"{i}.png")
    return root


def pairs_of_sets(sampler, X, y, X_resampled, y_resampled, folder, **options):
    """Yield a name, a stored set and a balanced one for each kind of images."""
    plain = v2.ToDtype(torch.float32, scale=True)
    for name, transform in (("arrays", plain), ("arrays, augmented", v2.Compose([*AUGMENT, plain]))):
        stored = StoredSet(X_resampled, y_resampled, transform)
        yield name, stored, BalancedDataset(sampler, X, y, transform=transform, random_state=0, **options)
    from_files = v2.Compose([v2.Grayscale(), v2.ToImage(), *AUGMENT, plain])
    stored = ImageFolder(write_folder(folder / "stored", X_resampled, y_resampled), transform=from_files)
    real = ImageFolder(write_folder(folder / "real", X, y), transform=from_files)
    yield "files, augmented", stored, BalancedDataset(sampler, real, random_state=0, **options)


def make_images(n_images, size, seed):
    """Return noise of two classes, a tenth of it of the rare one."""
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 256, size=(n_images, size, size), dtype=np.uint8)
    return X, np.where(np.arange(n_images) % 10 == 0, "rare", "common")


def run(*, n_images, size, batch_size, n_workers, n_epochs, n_rounds, device, refresh):
    """Yield a row of the table for each comparison."""
    X, y = make_images(n_images, size, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that images of a sampler that learnt nothing are poor
        sampler = DCGANOverSampler(n_steps=1, repeated_share=0, device=device, random_state=0)
        X_resampled, y_resampled = sampler.fit_resample(X, y)
    with tempfile.TemporaryDirectory() as folder:
        sets = pairs_of_sets(sampler, X, y, X_resampled, y_resampled, Path(folder), refresh=refresh)
        for name, stored, balanced in sets:
            for n in n_workers:
                options = {"batch_size": batch_size, "num_workers": n, "persistent_workers": n > 0}
                loaders = DataLoader(stored, shuffle=True, **options), BalancedDataLoader(balanced, **options)
                for what, step in (("loading", None), ("training", Trainer(size, sampler.device_))):
                    yield name, n, what, *compare(*loaders, step, n_epochs=n_epochs, n_rounds=n_rounds)


def main(arguments=None):
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=2000, help="real images, a tenth of them rare")
    parser.add_argument("--size", type=int, default=32, help="their side, in pixels")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--epochs", type=int, default=2, help="in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--refresh", type=float, default=1.0, help="share of synthetic images drawn anew an epoch")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args(arguments)
    print(f"{'images':<20}{'workers':>8}  {'what':<10}{'stored/s':>10}{'balanced/s':>12}{'ratio':>8}")
    rows = run(
        n_images=options.images,
        size=options.size,
        batch_size=options.batch_size,
        n_workers=options.workers,
        n_epochs=options.epochs,
        n_rounds=options.rounds,
        device=options.device,
        refresh=options.refresh,
    )
    for name, n_workers, what, stored, balanced, ratio in rows:
        print(f"{name:<20}{n_workers:>8}  {what:<10}{stored:>10.0f}{balanced:>12.0f}{ratio:>8.2f}", flush=True)


if __name__ == "__main__":
    main()
