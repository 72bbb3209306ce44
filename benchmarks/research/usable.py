"""Does the cheap judgement at every fit call the images unusable that features say are?

    python benchmarks/usable.py --data path/to/chest_xray

Generators are trained as `DCGANOverSampler` does by default, on one thread, and the images drawn at some steps are
judged twice: by `is_unusable`, from pixels alone, and in features of EfficientNet-Lite0, by KID, precision, coverage
and utility of 128 of them against 500 real images of the class, most of which the training has not seen.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import sources
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from gan_sampler import EfficientNetLite0Embedder
from gan_sampler.networks import Discriminator, Generator
from gan_sampler.quality import kernel_inception_distance
from gan_sampler.quality._measures import fidelity_and_diversity, utility
from gan_sampler.runtime import isolated, threads
from gan_sampler.training import PixelFrechetDistance, augment_mildly, is_unusable, train_gan

# name: data set, image size, images trained on, steps looked at
TASKS = {
    "xray-64-100": ("chest_xray", 64, 100, (100, 200, 300, 500, 1000, 2000)),
    "elpv-64-40": ("elpv", 64, 40, (100, 200, 300)),
    "digits-8-174": ("digits", 8, 174, (100, 200, 300, 500, 1000, 2000)),
    "xray-32-40": ("chest_xray", 32, 40, (100, 300, 500, 1000, 2000, 4000)),
    "digits-8-40": ("digits", 8, 40, (100, 300, 500, 1000, 2000)),
    "xray-32-400": ("chest_xray", 32, 400, (100, 300, 1000, 2000, 4000)),
    "elpv-32-100": ("elpv", 32, 100, (100, 300, 1000, 2000)),
}
N_JUDGED, N_REAL, N_REST = 128, 500, 300  # images


class Watched:
    """A score that keeps the images it is shown at some steps."""

    n_images = PixelFrechetDistance.n_images

    def __init__(self, steps):
        self.steps, self.step, self.drawn = steps, 0, {}

    def __call__(self, images):
        """Keep images; every report counts as the best so far."""
        self.step += 50
        if self.step in self.steps:
            self.drawn[self.step] = images.add(1).mul(127.5).round().byte()
        return {"score": -self.step}


def train(images, steps):
    """Return the images drawn at each of `steps`, as uint8 tensors."""
    shape, watched = images.shape[1:], Watched(steps)
    is_mild = len(images) < 150 * (shape[1] * shape[2] / 32**2) ** 2  # as DCGANOverSampler's augmentation="auto"
    with threads(1), isolated(torch.device("cpu"), 0):
        train_gan(
            Generator(shape, base_channels=32),
            Discriminator(shape, base_channels=32),
            images,
            n_steps=max(steps),
            batch_size=16,
            learning_rate=1e-3,
            augment=augment_mildly if is_mild else None,
            score=watched,
        )
    return watched.drawn


def run(task, chest_xray, memory):
    """Yield a row for each step of a task, and one for real images that were not trained on, where there are any."""
    word, size, n_images, steps = TASKS[task]
    data = sources.load(chest_xray if word == "chest_xray" else word, image_size=size)
    if data.split is not None:
        data = data.take(data.split == "train")
    rare = np.bincount(data.target).argmin()
    own, rest = data.images[data.target == rare], data.images[data.target != rare]
    rows = np.sort(np.random.RandomState(0).permutation(len(own))[:n_images])
    images = torch.from_numpy(own[rows])[:, None]
    sets = train(images, steps)
    held_out = np.delete(own, rows, axis=0)
    if len(held_out) >= N_JUDGED:
        sets["held-out real"] = torch.from_numpy(held_out[:256])[:, None]

    own = own[np.sort(np.random.RandomState(1).permutation(len(own))[:N_REAL])]
    rest = rest[np.random.RandomState(0).permutation(len(rest))[:N_REST]]
    embedder = EfficientNetLite0Embedder(memory=memory).fit(own)
    real, others = (embedder.transform(x).astype(np.float64) for x in (own, rest))
    score, classifier = PixelFrechetDistance(images), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    for step, drawn in sets.items():
        record = score(drawn / 127.5 - 1)
        features = embedder.transform(drawn[:N_JUDGED, 0].numpy()).astype(np.float64)
        measures = fidelity_and_diversity(real, features)
        of_synthetic, of_real = utility(real, features, others, classifier, np.random.RandomState(0))
        yield {
            "task": task,
            "step": step,
            **record,
            "is_unusable": is_unusable(record),
            "kid": kernel_inception_distance(real, features)[0],
            "precision": measures["precision"],
            "coverage": measures["coverage"],
            "utility": of_synthetic,
            "utility_of_real": of_real,
        }


def main():
    """Read the command line, train, write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="chest_xray", help="folder of the chest X-rays")
    parser.add_argument("--out", type=Path, default=Path("docs/results/usable.csv"), help="the CSV file")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS, metavar="TASK", help=", ".join(TASKS))
    parser.add_argument("--memory", help="folder in which features are cached")
    options = parser.parse_args()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*variables are collinear")
        table = pd.DataFrame([row for task in options.tasks for row in run(task, options.data, options.memory)])
    table.to_csv(options.out, index=False, float_format="%.4f")
    print(table.round(2).to_markdown(index=False))


if __name__ == "__main__":
    main()
