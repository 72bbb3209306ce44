"""Does the cheap judgement at every fit call the images unusable that features say are?

    python benchmarks/research/usable.py --data path/to/chest_xray

Generators are trained as `DCGANOverSampler` does by default, on one thread, and the images drawn at some steps are
judged twice: by `is_unusable`, from pixels alone, and in features of EfficientNet-Lite0, by KID, precision, coverage
and utility of 128 of them against 500 real images of the class, most of which the training has not seen.
"""

import functools
import warnings

import numpy as np
import torch
from common import (
    Snapshots,
    add_choice,
    complete,
    load_images,
    made_by,
    make_parser,
    rarest_class,
    run,
    thin,
    training_part,
)
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


def train(images, n_steps):
    """Return the snapshots of a training as `DCGANOverSampler` does it by default."""
    shape, snapshots = images.shape[1:], Snapshots(images)
    is_mild = len(images) < 150 * (shape[1] * shape[2] / 32**2) ** 2  # as DCGANOverSampler's augmentation="auto"
    with threads(1), isolated(torch.device("cpu"), 0):
        train_gan(
            Generator(shape, base_channels=32),
            Discriminator(shape, base_channels=32),
            images,
            n_steps=n_steps,
            batch_size=16,
            learning_rate=1e-3,
            augment=augment_mildly if is_mild else None,
            score=snapshots,
        )
    return snapshots.found


def judge(task, seed, data, memory):
    """Return a row for each step of a task, and one for real images that were not trained on, where there are any."""
    word, size, n_images, steps = TASKS[task]
    data = data[word, size]
    is_rarest, is_left = data.target == rarest_class(data), np.zeros(len(data.target), dtype=bool)
    is_left[thin(data, n_images, seed)] = True
    images, held_out = (torch.from_numpy(data.images[is_rarest & chosen])[:, None] for chosen in (is_left, ~is_left))
    found = train(images, max(steps))
    sets = {step: found[step] for step in steps}
    if len(held_out) >= N_JUDGED:
        sets["held-out real"] = held_out[:256], PixelFrechetDistance(images)(held_out[:256] / 127.5 - 1)

    own, rest = data.images[is_rarest], data.images[~is_rarest]
    own = own[np.sort(np.random.RandomState(1).permutation(len(own))[:N_REAL])]
    rest = rest[np.random.RandomState(0).permutation(len(rest))[:N_REST]]
    embedder = EfficientNetLite0Embedder(memory=memory).fit(own)
    real, others = (embedder.transform(x).astype(np.float64) for x in (own, rest))
    classifier, rows = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"), []
    for step, (judged, record) in sets.items():
        features = embedder.transform(judged[:N_JUDGED, 0].numpy()).astype(np.float64)
        measures = fidelity_and_diversity(real, features)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*variables are collinear")
            of_synthetic, of_real = utility(real, features, others, classifier, np.random.RandomState(0))
        rows.append(
            {
                "task": task,
                "seed": seed,
                "step": step,
                **record,
                "is_unusable": is_unusable(record),
                "kid": kernel_inception_distance(real, features)[0],
                "precision": measures["precision"],
                "coverage": measures["coverage"],
                "utility": of_synthetic,
                "utility_of_real": of_real,
            }
        )
    return rows


def compute_table(options):
    """Return the table, with what it lacked."""
    names = {TASKS[task][:2] for task in options.tasks}
    data = {
        (word, size): training_part(load_images(options.data if word == "chest_xray" else word, size))
        for word, size in sorted(names)
    }
    return complete(
        options,
        functools.partial(judge, data=data, memory=options.memory),
        [(task, seed) for task in options.tasks for seed in options.seeds],
        by=("task", "seed"),
        digest=made_by([__file__], data.values()),
    )


def show(table):
    """Return the table as Markdown."""
    return table.drop(columns="made_by", errors="ignore").round(2).to_markdown(index=False)


def main():
    """Read the command line, compute what is missing, print the table."""
    parser = make_parser(__doc__, out="docs/results/usable.csv")
    add_choice(parser, "--tasks", list(TASKS))
    parser.add_argument("--memory", help="folder in which features are cached")
    run(parser, parser.parse_args(), compute_table, show)


if __name__ == "__main__":
    main()
