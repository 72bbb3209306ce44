"""Why the defaults of DCGANOverSampler are what they are: variants of training, compared after equal seconds.

    python benchmarks/research/defaults.py --data path/to/chest_xray

Every variant trains on every task for the same processor time on one thread. KID of 500 images to the whole class, in
EfficientNet-Lite0 features, compares them; no variant sees it in training. Rows are appended to a CSV file as they
are done, and those that it holds are not trained again; the table is printed from it at the end.
"""

import functools
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import variants
from common import (
    REPORT_EVERY,
    Snapshots,
    UsageError,
    add_choice,
    as_bytes,
    complete,
    load_images,
    made_by,
    make_parser,
    rarest_class,
    run,
    thin,
    training_part,
)
from scipy.stats import spearmanr

from gan_sampler import EfficientNetLite0Embedder
from gan_sampler.networks import Discriminator, Generator
from gan_sampler.quality import kernel_inception_distance
from gan_sampler.runtime import isolated, keep_freed_memory, threads
from gan_sampler.training import (
    LOSSES,
    PixelFrechetDistance,
    augment_mildly,
    brighten,
    draw,
    stretch_contrast,
    train_gan,
    translate,
)

N_JUDGED = 500  # images
EACH = 5  # reports, of which one is compared with KID
CACHE = str(Path(tempfile.gettempdir()) / "gan_sampler_defaults")  # of the real images' features

# name: data set, image size, number of images to train on (None for all), seconds of processor time
TASKS = {
    "xray-32-all": ("chest_xray", 32, None, 60),
    "xray-32-40": ("chest_xray", 32, 40, 60),
    "cells-32-all": ("elpv", 32, None, 60),
    "digits-28-all": ("digits", 28, None, 60),
    "xray-32-100": ("chest_xray", 32, 100, 60),
    "xray-32-400": ("chest_xray", 32, 400, 60),
    "cells-32-100": ("elpv", 32, 100, 60),
    "digits-28-40": ("digits", 28, 40, 60),
    "xray-64-all": ("chest_xray", 64, None, 120),
}
SCREENING = ("xray-32-all", "xray-32-40", "cells-32-all")

# Every variant is named by what differs from this.
START = {
    "generator": {"base_channels": 32, "norm": "batch"},
    "discriminator": {"base_channels": 32, "norm": None},
    "train": {"batch_size": 32, "learning_rate": 2e-4, "beta_1": 0.5, "ema_decay": 0.999, "score": True},
}
VARIANTS = {
    "start": {},
    # The recipe of the student report that this package started from, as in presets.py.
    "report's recipe": {
        "generator": {"base_channels": 128, "channels": "flat", "base_size": 8, "norm": None},
        "discriminator": {"base_channels": 128, "channels": "flat", "dropout": 0.4},
        "train": {"ema_decay": 0.0, "score": False},
    },
    "last average, no snapshots": {"train": {"score": False}},
    "batch 16": {"train": {"batch_size": 16}},
    "batch 64": {"train": {"batch_size": 64}},
    "learning rate 4e-4": {"train": {"learning_rate": 4e-4}},
    "learning rate 4e-4, batch 16": {"train": {"learning_rate": 4e-4, "batch_size": 16}},
    "learning rate 1e-3": {"train": {"learning_rate": 1e-3}},
    "learning rate 1e-3, batch 16": {"train": {"learning_rate": 1e-3, "batch_size": 16}},
    "D batch norm, 4e-4, batch 16": {
        "discriminator": {"norm": "batch"},
        "train": {"learning_rate": 4e-4, "batch_size": 16},
    },
    "D batch norm, 1e-3, batch 16": {
        "discriminator": {"norm": "batch"},
        "train": {"learning_rate": 1e-3, "batch_size": 16},
    },
    "D batch norm, 4e-4, batch 16, mild": {
        "discriminator": {"norm": "batch"},
        "train": {"learning_rate": 4e-4, "batch_size": 16, "augment": augment_mildly},
    },
    "1e-3, batch 16, mild": {"train": {"learning_rate": 1e-3, "batch_size": 16, "augment": augment_mildly}},
    "1e-3, batch 16, lazy R1, gamma 1": {
        "train": {"learning_rate": 1e-3, "batch_size": 16, "penalty": functools.partial(variants.lazy_r1, 1.0)}
    },
    "1e-3, batch 16, adaptive mild": {
        "train": {"learning_rate": 1e-3, "batch_size": 16},
        "adaptive": functools.partial(variants.AdaptiveAugmentation, augment_mildly),
    },
    "4e-4, batch 16, mild": {"train": {"learning_rate": 4e-4, "batch_size": 16, "augment": augment_mildly}},
    "two rates, 1e-4 and 4e-4": {"train": {"learning_rate": 1e-4, "discriminator_learning_rate": 4e-4}},
    "least squares": {"train": {"loss": LOSSES["least_squares"]}},
    "LeCam .3": {"train": {"loss": variants.lecam}},
    "lazy R1, gamma 1": {"train": {"penalty": functools.partial(variants.lazy_r1, 1.0)}},
    "D batch norm": {"discriminator": {"norm": "batch"}},
    "D spectral norm, hinge, two rates": {
        "discriminator": {"norm": "spectral"},
        "train": {"loss": LOSSES["hinge"], "learning_rate": 1e-4, "discriminator_learning_rate": 4e-4},
    },
    "G no norm": {"generator": {"norm": None}},
    "translation": {"train": {"augment": translate}},
    "mild: translation, brightness, contrast": {"train": {"augment": augment_mildly}},
    "DiffAugment: all at full strength": {
        "train": {
            "augment": variants.in_turn(
                functools.partial(brighten, reach=0.5),
                functools.partial(stretch_contrast, reach=0.5),
                translate,
                variants.cutout,
            )
        }
    },
    "16 base channels": {"generator": {"base_channels": 16}, "discriminator": {"base_channels": 16}},
    "64 base channels": {"generator": {"base_channels": 64}, "discriminator": {"base_channels": 64}},
    "1e-3, batch 16, mild, style-based G": {
        "make_generator": variants.StyleGenerator,
        "train": {"learning_rate": 1e-3, "batch_size": 16, "augment": augment_mildly},
    },
    "4e-4, batch 16, mild, style-based G": {
        "make_generator": variants.StyleGenerator,
        "train": {"learning_rate": 4e-4, "batch_size": 16, "augment": augment_mildly},
    },
    "1e-3, batch 16, mild, skip-excited G": {
        "make_generator": variants.SkipExcitedGenerator,
        "train": {"learning_rate": 1e-3, "batch_size": 16, "augment": augment_mildly},
    },
}


def load_task(task, seed, data):
    """Return what a task trains on, and all images of its class to compare with.

    Returns
    -------
    images : torch.Tensor of shape (n, 1, size, size)
        Those of the rarest class that the task leaves.
    real : ndarray of shape (n, size, size)
    """
    word, size, n_images, _ = TASKS[task]
    data = data[word, size]
    rarest, rows = rarest_class(data), thin(data, n_images, seed)
    images = data.images[rows[data.target[rows] == rarest]]
    return torch.from_numpy(images)[:, None], data.images[data.target == rarest]


def train(images, variant, seconds, seed):
    """Train a variant for `seconds` of processor time; return 500 images of it, and what a row of the table holds."""
    n_steps = max(1, round(seconds / _seconds_per_step(images, variant)))
    start = time.process_time()
    generator, history = _train(images, variant, n_steps, seed)
    spent = time.process_time() - start
    with isolated(torch.device("cpu"), seed + 1):
        drawn = torch.cat(list(draw(generator, N_JUDGED)))
    last = history[-1]
    losses = f"{last['loss_discriminator']:.2f} / {last['loss_generator']:.2f}"
    return as_bytes(drawn)[:, 0].numpy(), {"n_steps": n_steps, "seconds": round(spent, 1), "losses": losses}


def _seconds_per_step(images, variant):
    seconds = {}
    for n_steps in (5, 10, 50):  # the first warms up; of the others the difference counts, without what is done once
        start = time.process_time()
        _train(images, variant, n_steps, 0)
        seconds[n_steps] = time.process_time() - start
    return (seconds[50] - seconds[10]) / 40


def _train(images, variant, n_steps, seed, score=None):
    chosen = {part: {**START[part], **variant.get(part, {})} for part in START}
    with threads(1), isolated(torch.device("cpu"), seed):
        networks = (
            variant.get("make_generator", Generator)(images.shape[1:], **chosen["generator"]),
            Discriminator(images.shape[1:], **chosen["discriminator"]),
        )
        options = chosen["train"]
        for name in ("loss", "penalty"):  # those that remember something are made anew for each training
            if callable(options.get(name)):
                options[name] = options[name]()
        if "adaptive" in variant:
            options["augment"] = variant["adaptive"]()
            options["penalty"] = options["augment"].penalty
        options["score"] = score or (PixelFrechetDistance(images) if options["score"] else None)
        return train_gan(*networks, images, n_steps=n_steps, **options)


def run_cell(task, name, seed, data, seconds=None):
    """Train one variant on one task, and return its row in a list."""
    images, real = load_task(task, seed, data)
    drawn, row = train(images, VARIANTS[name], seconds or TASKS[task][3], seed)
    with threads(1):
        embedder = EfficientNetLite0Embedder(memory=CACHE).fit(real)
        real_features, drawn_features = (embedder.transform(x).astype(np.float64) for x in (real, drawn))
    half = np.random.RandomState(0).permutation(len(real))[: len(real) // 2]
    others = np.setdiff1d(np.arange(len(real)), half)
    return [
        {
            "task": task,
            "variant": name,
            "seed": seed,
            "n_images": len(images),
            "kid": kernel_inception_distance(real_features, drawn_features)[0],
            "kid_between_halves": kernel_inception_distance(real_features[half], real_features[others])[0],
            **row,
        }
    ]


def check_score(task, name, seed, data, *, n_steps):
    """Compare the score that chooses snapshots with KID over one training, and return a row in a list."""
    images, real = load_task(task, seed, data)
    score = Snapshots(images)
    _train(images, VARIANTS[name], n_steps, seed, score)
    snapshots = list(score.found.values())[EACH - 1 :: EACH]
    scores = [record["score"] for _, record in snapshots]
    with threads(1):
        embedder = EfficientNetLite0Embedder(memory=CACHE).fit(real)
        features = embedder.transform(real).astype(np.float64)
        kids = [
            kernel_inception_distance(features, embedder.transform(drawn[:, 0].numpy()).astype(np.float64))[0]
            for drawn, _ in snapshots
        ]
    return [
        {
            "task": task,
            "variant": name,
            "seed": seed,
            "n_snapshots": len(kids),
            "rank_correlation": spearmanr(scores, kids).statistic,
            "kid_of_chosen": kids[int(np.argmin(scores))],
            "kid_of_last": kids[-1],
            "kid_of_best": min(kids),
        }
    ]


def compute_table(options):
    """Return the table, with what it lacked."""
    least = 2 * EACH * REPORT_EVERY  # two snapshots can be ranked
    if options.check_score is not None and options.check_score < least:
        raise UsageError(f"--check-score must be at least {least} steps; got {options.check_score}")
    names = {TASKS[task][:2] for task in options.tasks}
    data = {
        (word, size): training_part(load_images(options.data if word == "chest_xray" else word, size))
        for word, size in sorted(names)
    }
    compute = functools.partial(run_cell, data=data, seconds=options.seconds)
    if options.check_score:
        compute = functools.partial(check_score, data=data, n_steps=options.check_score)
    return complete(
        options,
        compute,
        [(task, name, seed) for seed in options.seeds for task in options.tasks for name in options.variants],
        by=("task", "variant", "seed"),
        digest=made_by([__file__, variants.__file__], data.values(), options.check_score, options.seconds),
    )


def show(table):
    """Return KID, the mean of the seeds, of variants by tasks, or the comparison of scores as it is, as Markdown."""
    table = table.drop(columns="made_by", errors="ignore")
    if "kid" in table:
        table = table.pivot_table(index="variant", columns="task", values="kid")
        table = table.reindex(index=[v for v in VARIANTS if v in table.index], columns=[t for t in TASKS if t in table])
    return table.round(3).to_markdown()


def main():
    """Read the command line, train what is missing, print the table."""
    keep_freed_memory()
    parser = make_parser(__doc__, out="docs/results/defaults.csv")
    add_choice(parser, "--tasks", list(TASKS), SCREENING)
    add_choice(parser, "--variants", list(VARIANTS))
    parser.add_argument("--seconds", type=float, help="processor time of a training; default: that of its task")
    parser.add_argument(
        "--check-score",
        type=int,
        metavar="STEPS",
        help="compare the snapshots' score with KID over so many steps instead",
    )
    run(parser, parser.parse_args(), compute_table, show)


if __name__ == "__main__":
    main()
