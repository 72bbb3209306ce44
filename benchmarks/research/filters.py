"""Does it help to draw more images than needed and keep some? Rules of choice, by what quality they give.

    python benchmarks/filters.py --data elpv

Each rule keeps 1,000 of 4,000 synthetic images of the rarest class, by pixels or by features of EfficientNet-Lite0, and
knows one half of the real images. The images kept are judged beside the other half: in the same features, in those of a
CNN that learnt to tell the classes apart and that no rule has seen, and by a random forest that learns to tell the two
from the pixels. The rules are those of remedies.py, which tells what classifiers make of their images. A CSV file is
written, and printed as a table.
"""

import argparse
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import remedies
import sources
from grid import make_splits
from sklearn.ensemble import RandomForestClassifier
from torch import nn

from gan_sampler import CNNClassifier
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


def train_judge(X, y, seed):
    """Return a function from images to the features of a CNN that learnt the classes."""
    network = CNNClassifier(max_epochs=8, device="cpu", random_state=seed).fit(X, y)
    network.module_.layers[-1] = nn.Identity()
    return lambda images: network.forward(images).numpy()


def run_split(split, data, cache):
    """Return the rows of one split and its seed."""
    seed, X, y = split.seed, data.images[split.train], data.target[split.train]
    train = remedies.Train(X, y, remedies.train_generators(data, split.train, seed, cache), seed)
    real = train.real(train.rare)
    order = np.random.RandomState(seed).permutation(len(real))
    known, unknown = real[order[: len(real) // 2]], real[order[len(real) // 2 :]]
    made = train.draw(train.rare, N_TIMES * N_KEPT)
    found = []
    judges = {"same features": remedies.features, "features of a CNN": train_judge(X, y, seed)}
    judged = {
        name: [describe(images).astype(np.float64) for images in (unknown, made)] for name, describe in judges.items()
    }
    for by, describe in CHOSEN_BY.items():
        described = describe(known), describe(made)
        for rule, choose in RULES.items():
            if choose is None and by != "pixels":
                continue
            kept = np.arange(N_KEPT) if choose is None else choose(*described, N_KEPT)
            row = {"seed": seed, "rule": rule, "by": by if choose else "-"}
            for name, (of_unknown, of_made) in judged.items():
                measures = fidelity_and_diversity(of_unknown, of_made[kept])
                row[f"KID, {name}"] = kernel_inception_distance(of_unknown, of_made[kept])[0]
                row |= {f"{measure}, {name}": measures[measure] for measure in ("density", "coverage")}
            forest, folds = RandomForestClassifier(random_state=seed), np.random.RandomState(seed)
            row["AUC, pixels"] = two_sample_auc(remedies.pixels(unknown), remedies.pixels(made[kept]), forest, folds)
            found.append(row)
    return found


def main():
    """Read the command line, compute, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="elpv", help="as in run.py")
    parser.add_argument("--out", type=Path, default=Path("docs/results/filters.csv"), help="the CSV file")
    parser.add_argument(
        "--cache", type=Path, default=Path("results/remedies"), help="folder of remedies.py's generators"
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--n-jobs", type=int, default=1, help="seeds side by side")
    parser.add_argument("--show", action="store_true", help="print the table of the file and compute nothing")
    options = parser.parse_args()
    if options.show and not options.out.is_file():
        parser.error(f"--out must be a file that this command wrote; there is no {options.out}")
    if not options.show:
        try:
            data = sources.load(options.data, image_size=remedies.SIZE)
        except (ValueError, OSError, ImportError) as exc:
            parser.error(str(exc))
        found = joblib.Parallel(n_jobs=options.n_jobs)(
            joblib.delayed(run_split)(split, data, options.cache) for split in make_splits(data, options.seeds)
        )
        options.out.parent.mkdir(parents=True, exist_ok=True)
        pd.concat(map(pd.DataFrame, found)).to_csv(options.out, index=False)
    print(show(pd.read_csv(options.out)))


def show(table):
    """Return means over the seeds as Markdown."""
    return (
        table.drop(columns="seed")
        .groupby(["rule", "by"], sort=False)
        .mean()
        .round(2)
        .reset_index()
        .to_markdown(index=False)
    )


if __name__ == "__main__":
    main()
