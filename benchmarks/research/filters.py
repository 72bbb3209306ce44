"""Does it help to draw more images than needed and keep some? Rules of choice, by what quality they give.

    python benchmarks/research/filters.py --data elpv

Each rule keeps 1,000 of 4,000 synthetic images of the rarest class, by pixels or by features of EfficientNet-Lite0, and
knows one half of the real images. The images kept are judged beside the other half: in the same features, in those of a
CNN that learnt to tell the classes apart and that no rule has seen, and by a random forest that learns to tell the two
from the pixels. The rules are those of remedies.py, which tells what classifiers make of their images. A CSV file is
written, and printed as a table.
"""

import functools

import numpy as np
import remedies
from common import add_generators, complete, load_images, made_by, make_parser, run, train_generators
from sklearn.ensemble import RandomForestClassifier
from torch import nn

from gan_sampler import CNNClassifier
from gan_sampler.evaluation._splits import make_splits
from gan_sampler.quality import kernel_inception_distance
from gan_sampler.quality._measures import fidelity_and_diversity, two_sample_auc

N_KEPT, N_TIMES = 1000, 4
RULES = {
    "first come": None,
    "most plausible": remedies.most_plausible,
    "taken for real": remedies.taken_for_real,
    "nearest each real one": remedies.nearest_each,
    "herded": remedies.herded,
}
CHOSEN_BY = {"pixels": remedies.pixels, "features": remedies.features}


def train_cnn(X, y, seed):
    """Return a function from images to the features of a CNN that learnt the classes."""
    network = CNNClassifier(max_epochs=8, device="cpu", random_state=seed).fit(X, y)
    network.module_.layers[-1] = nn.Identity()
    return lambda images: network.forward(images).numpy()


def run_seed(seed, data, n_steps, folder):
    """Return the rows of one seed."""
    (split,) = make_splits(data, [seed])
    X, y = data.images[split.train], data.target[split.train]
    train = remedies.Train(X, y, train_generators(X, y, seed, n_steps, folder), seed)
    real = train.real(train.rare)
    order = np.random.RandomState(seed).permutation(len(real))
    known, unknown = real[order[: len(real) // 2]], real[order[len(real) // 2 :]]
    synthetic = train.draw(train.rare, N_TIMES * N_KEPT)
    judged_by = {"same features": remedies.features, "features of a CNN": train_cnn(X, y, seed)}
    judged = {
        name: [describe(images).astype(np.float64) for images in (unknown, synthetic)]
        for name, describe in judged_by.items()
    }
    rows = []
    for by, describe in CHOSEN_BY.items():
        described = describe(known), describe(synthetic)
        for rule, choose in RULES.items():
            if choose is None and by != "pixels":
                continue
            kept = np.arange(N_KEPT) if choose is None else choose(*described, N_KEPT)
            row = {"seed": seed, "rule": rule, "by": by if choose else "-"}
            for name, (of_unknown, of_synthetic) in judged.items():
                measures = fidelity_and_diversity(of_unknown, of_synthetic[kept])
                row[f"KID, {name}"] = kernel_inception_distance(of_unknown, of_synthetic[kept])[0]
                row |= {f"{measure}, {name}": measures[measure] for measure in ("density", "coverage")}
            pixels = (remedies.pixels(images) for images in (unknown, synthetic[kept]))
            forest, folds = RandomForestClassifier(random_state=seed), np.random.RandomState(seed)
            rows.append({**row, "AUC, pixels": two_sample_auc(*pixels, forest, folds)})
    return rows


def compute_table(options):
    """Return the table, with what it lacked."""
    data = load_images(options.data, remedies.SIZE)
    return complete(
        options,
        functools.partial(run_seed, data=data, n_steps=options.n_steps, folder=options.cache),
        [(seed,) for seed in options.seeds],
        by=("seed",),
        digest=made_by([__file__, remedies.__file__], [data], options.n_steps),
    )


def show(table):
    """Return means over the seeds as Markdown."""
    return (
        table.drop(columns=["seed", "made_by"], errors="ignore")
        .groupby(["rule", "by"], sort=False)
        .mean()
        .round(2)
        .reset_index()
        .to_markdown(index=False)
    )


def main():
    """Read the command line, compute what is missing, print the table."""
    parser = make_parser(__doc__, out="docs/results/filters.csv", data="elpv", seeds=(0, 1, 2), n_jobs=1)
    add_generators(parser)
    run(parser, parser.parse_args(), compute_table, show)


if __name__ == "__main__":
    main()
