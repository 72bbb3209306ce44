"""What keeps a classifier from taking "looks generated" for the class? Remedies for the artefact shortcut, compared.

    python benchmarks/remedies.py --data path/to/chest_xray
    python benchmarks/remedies.py --data elpv --out docs/results/remedies_elpv.csv

For each seed one generator is trained for each class, once for all remedies. A remedy turns training images into
training images, and may change test images too. Classifiers learn from what it gives and are tested on real images of
the split that came with the data, or else of a random quarter for each seed. Rows are appended to a CSV file, and those
that it holds are not computed again; the table is printed from it at the end.
"""

import argparse
import functools
import io
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import sources
from grid import make_splits, versions
from metrics import class_scores, evaluate
from PIL import Image
from pipelines import EqualLength
from scipy.ndimage import gaussian_filter
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import euclidean_distances
from sklearn.model_selection import cross_val_predict
from sklearn.svm import SVC

from gan_sampler import (
    ANNClassifier,
    AugmentationOverSampler,
    CNNClassifier,
    DCGANOverSampler,
    EfficientNetLite0Embedder,
)
from gan_sampler.quality import realism
from gan_sampler.samplers._herding import herd

SIZE = 32  # pixels
INPUT_SIZE = 64  # pixels of the embedder's input
N_HERDED = 1000  # images herded together
NETWORKS = {"cnn": (CNNClassifier, 8), "ann": (ANNClassifier, 10)}  # passes over as many images as balancing gives
ON_FEATURES = {
    "forest": functools.partial(RandomForestClassifier, 100, n_jobs=1),
    "svm": lambda random_state: SVC(),
}
CLASSIFIERS = (*NETWORKS, *ON_FEATURES)


@dataclass
class Train:
    """Training images of one seed, and a generator for each class.

    Parameters
    ----------
    X : ndarray of shape (n, SIZE, SIZE), uint8
        Real images.
    y : ndarray of shape (n,), int
        Labels.
    sampler : DCGANOverSampler
        Fitted, with a generator for each class.
    seed : int
        Of all that is drawn.
    """

    X: np.ndarray
    y: np.ndarray
    sampler: DCGANOverSampler
    seed: int

    def __post_init__(self):
        counts = np.bincount(self.y)
        self.rare, self.n_missing, self.largest = counts.argmin(), counts.max() - counts.min(), counts.max()

    def real(self, label):
        """Return the real images of a class."""
        return self.X[self.y == label]

    def draw(self, label, n_images, draw_seed=0):
        """Return synthetic images of a class."""
        return self.sampler.sample(n_images, int(label), random_state=1000 * self.seed + draw_seed)

    def plus(self, *additions):
        """Return the real images with (images, label) added."""
        X = np.concatenate([self.X, *(images for images, _ in additions)])
        return X, np.concatenate([self.y, *(np.full(len(images), label) for images, label in additions)])

    def augmented(self, n_images):
        """Return real images of the rare class, slightly changed, all equally often."""
        sampler = AugmentationOverSampler(sampling_strategy={self.rare: n_images + len(self.real(self.rare))})
        return sampler.set_params(random_state=self.seed).fit_resample(self.X, self.y)[0][len(self.X) :]

    def repeats(self, n_images=None):
        """Return real images of the rare class, each as often, as many as balance needs."""
        images = self.real(self.rare)
        rows = np.random.RandomState(self.seed).permutation(len(images))
        return images[np.resize(rows, self.n_missing if n_images is None else n_images)]


def nothing(train):
    """Return the images as they are."""
    return train.X, train.y


def repetition(train):
    """Balance by repeating real images."""
    return train.plus((train.repeats(), train.rare))


def plain(train):
    """Balance by synthetic images."""
    return train.plus((train.draw(train.rare, train.n_missing), train.rare))


def augmented(train):
    """Balance by slightly changed real images."""
    return train.plus((train.augmented(train.n_missing), train.rare))


def augmented_in_every_class(train, ratio):
    """Balance by repeating real images, and add as many slightly changed ones to every class."""
    sampler = AugmentationOverSampler(synthetic_classes="all", synthetic_ratio=ratio, random_state=train.seed)
    return sampler.fit_resample(train.X, train.y)


def every_class(train, ratio, repeats=Train.repeats, draw=Train.draw):
    """Balance by repeating real images, and add as many synthetic ones to every class."""
    n_images = round(ratio * train.largest)
    made = [(draw(train, label, n_images), label) for label in np.unique(train.y)]
    return train.plus((repeats(train, train.n_missing), train.rare), *made)


def half_synthetic(train, other_half=Train.repeats):
    """Balance half by synthetic images and half by repeated, or otherwise changed, real ones."""
    half = train.n_missing // 2
    made = train.draw(train.rare, train.n_missing - half)
    return train.plus((other_half(train, half), train.rare), (made, train.rare))


def real_detail(train, sigma=1.0):
    """Give each synthetic image the fine detail of a real one of its class."""
    made = train.draw(train.rare, train.n_missing).astype(float)
    donors = train.repeats().astype(float)
    mixed = _blurred(made, sigma) + donors - _blurred(donors, sigma)
    return train.plus((np.clip(np.rint(mixed), 0, 255).astype(np.uint8), train.rare))


def drawn_and_chosen(train, label, n_images, choose, describe, n_times=4):
    """Draw four times as many images of a class as wanted and keep those that `choose` says by their features."""
    made = train.draw(label, n_times * n_images)
    return made[choose(describe(train.real(label)), describe(made), n_images)]


def chosen(train, choose, describe):
    """Balance by synthetic images, chosen from four times as many."""
    return train.plus((drawn_and_chosen(train, train.rare, train.n_missing, choose, describe), train.rare))


def most_plausible(real, made, n_kept):
    """Choose by the realism score."""
    return np.argsort(-realism(real, made))[:n_kept]


def taken_for_real(real, made, n_kept):
    """Choose by what a discriminator trained afterwards, a random forest, says of images it has not seen."""
    forest = RandomForestClassifier(random_state=0)
    X, is_real = np.concatenate([real, made]), np.repeat([1, 0], [len(real), len(made)])
    scores = cross_val_predict(forest, X, is_real, method="predict_proba")[len(real) :, 1]
    return np.argsort(-scores, kind="stable")[:n_kept]


def nearest_each(real, made, n_kept):
    """Choose for each real image in turn the nearest of those that are nearest to it, then the second, and so on."""
    distances = euclidean_distances(made, real)
    owner = distances.argmin(1)
    order = np.lexsort([distances.min(1), owner])
    starts = np.searchsorted(owner[order], owner[order])
    rank = np.empty(len(made), dtype=int)
    rank[order] = np.arange(len(made)) - starts
    return np.lexsort([distances.min(1), rank])[:n_kept]


def herded(real, made, n_kept):
    """Choose by kernel herding, in blocks so that the time stays proportional."""
    blocks = np.array_split(np.arange(len(made)), -(-n_kept // N_HERDED))
    sizes = [len(block) for block in np.array_split(np.arange(n_kept), len(blocks))]
    return np.concatenate([block[herd(real, made[block], size)] for block, size in zip(blocks, sizes, strict=True)])


def _blurred(images, sigma):
    return gaussian_filter(images, (0, sigma, sigma))


def pixels(images):
    """Describe images by their pixels."""
    return images.reshape(len(images), -1) / 255.0


def features(images):
    """Describe images by what EfficientNet-Lite0 sees in them."""
    return EfficientNetLite0Embedder(input_size=INPUT_SIZE, device="cpu").fit(images[:2]).transform(images)


def as_is(images, seed):
    """Leave images alone."""
    return images


def with_noise(images, seed, spread=8):
    """Add the same mild noise to all images, real and synthetic, for training and for testing."""
    noise = np.random.RandomState(seed).normal(0, spread, images.shape)
    return np.clip(np.rint(images + noise), 0, 255).astype(np.uint8)


def through_jpeg(images, seed, quality=50):
    """Send all images, real and synthetic, for training and for testing, through JPEG."""
    return np.stack([_jpeg(image, quality) for image in images])


def _jpeg(image, quality):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def smoothed(images, seed, sigma=0.7):
    """Blur all images, real and synthetic, for training and for testing."""
    return np.rint(_blurred(images.astype(float), sigma)).astype(np.uint8)


# name: (what it trains on, what all images pass through)
REMEDIES = {
    "nothing": (nothing, as_is),
    "repetition": (repetition, as_is),
    "synthetic": (plain, as_is),
    "synthetic, half repeated": (half_synthetic, as_is),
    "synthetic, half augmented": (functools.partial(half_synthetic, other_half=Train.augmented), as_is),
    "synthetic in every class, ratio 1/8": (functools.partial(every_class, ratio=0.125), as_is),
    "synthetic in every class, ratio 1/4": (functools.partial(every_class, ratio=0.25), as_is),
    "synthetic in every class, ratio 1/2": (functools.partial(every_class, ratio=0.5), as_is),
    "synthetic in every class, ratio 1": (functools.partial(every_class, ratio=1.0), as_is),
    "synthetic in every class, ratio 2": (functools.partial(every_class, ratio=2.0), as_is),
    "synthetic in every class, ratio 1/2, augmented repeats": (
        functools.partial(every_class, ratio=0.5, repeats=Train.augmented),
        as_is,
    ),
    "synthetic in every class, ratio 1/4, augmented repeats": (
        functools.partial(every_class, ratio=0.25, repeats=Train.augmented),
        as_is,
    ),
    "synthetic with real detail": (real_detail, as_is),
    "synthetic, the most plausible quarter": (functools.partial(chosen, choose=most_plausible, describe=pixels), as_is),
    "synthetic, the quarter taken for real": (functools.partial(chosen, choose=taken_for_real, describe=pixels), as_is),
    "synthetic, the quarter nearest each real one": (
        functools.partial(chosen, choose=nearest_each, describe=pixels),
        as_is,
    ),
    "synthetic, the herded quarter": (functools.partial(chosen, choose=herded, describe=pixels), as_is),
    "synthetic, the quarter herded by features": (
        functools.partial(chosen, choose=herded, describe=features),
        as_is,
    ),
    "synthetic, the quarter taken for real by features": (
        functools.partial(chosen, choose=taken_for_real, describe=features),
        as_is,
    ),
    "synthetic in every class, ratio 1/4, herded by features": (
        functools.partial(
            every_class, ratio=0.25, draw=functools.partial(drawn_and_chosen, choose=herded, describe=features)
        ),
        as_is,
    ),
    "synthetic in every class, ratio 1/2, herded by features": (
        functools.partial(
            every_class, ratio=0.5, draw=functools.partial(drawn_and_chosen, choose=herded, describe=features)
        ),
        as_is,
    ),
    "synthetic, noise on all": (plain, with_noise),
    "synthetic, JPEG on all": (plain, through_jpeg),
    "synthetic, blur on all": (plain, smoothed),
    "repetition, noise on all": (repetition, with_noise),
    "augmented": (augmented, as_is),
    "augmented in every class, ratio 1/2": (functools.partial(augmented_in_every_class, ratio=0.5), as_is),
}


def train_generators(data, train, seed, folder):
    """Return a sampler fitted to the training images of every class, from its file where there is one."""
    counts = np.bincount(data.target[train])
    sampler = DCGANOverSampler(sampling_strategy={label: n + 1 for label, n in enumerate(counts)}, random_state=seed)
    digest = joblib.hash((data.images[train], data.target[train], sampler.get_params(), versions()))[:12]
    file = Path(folder) / f"generators-{digest}.safetensors"
    if file.is_file():
        return DCGANOverSampler.load(file)
    sampler.fit_resample(data.images[train], data.target[train])
    file.parent.mkdir(parents=True, exist_ok=True)
    sampler.save(file)
    return sampler


def run_cell(remedy, classifier, split, data, folder):
    """Train and test one classifier on what one remedy gives, and return its row."""
    seed = split.seed
    sampler = train_generators(data, split.train, seed, folder)
    train = Train(data.images[split.train], data.target[split.train], sampler, seed)
    resample, pass_through = REMEDIES[remedy]
    X, y = resample(train)
    X, X_test = pass_through(X, seed), pass_through(data.images[split.test], seed + 1)
    y_test = data.target[split.test]
    if classifier in NETWORKS:
        network, n_passes = NETWORKS[classifier]
        # As many images seen as with balanced ones, so that no remedy wins by training longer.
        n_images = n_passes * 2 * train.largest
        fitted = EqualLength(network(device="cpu", random_state=seed), n_images).fit(X, y)
    else:
        embedder = EfficientNetLite0Embedder(input_size=INPUT_SIZE, device="cpu", memory=str(Path(folder) / "features"))
        X, X_test = embedder.fit(X).transform(X), embedder.transform(X_test)
        fitted = ON_FEATURES[classifier](random_state=seed).fit(X, y)
    metrics = evaluate(y_test, fitted.predict(X_test), class_scores(fitted, X_test), fitted.classes_, train.rare)
    return {"remedy": remedy, "classifier": classifier, "seed": seed, "n_train": len(X), **metrics}


def made_by(data):
    """Return a digest of data, this file and versions: rows are only taken for known where it is the same."""
    return joblib.hash((data.images, data.target, Path(__file__).read_bytes(), versions()))[:12]


def main():
    """Read the command line, compute what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="chest_xray", help="folder of the chest X-rays, or as in run.py")
    parser.add_argument(
        "--out", type=Path, default=Path("docs/results/remedies.csv"), help="the CSV file (default: %(default)s)"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path("results/remedies"),
        help="folder for generators and features (default: %(default)s)",
    )
    parser.add_argument(
        "--remedies",
        nargs="+",
        default=list(REMEDIES),
        choices=REMEDIES,
        metavar="REMEDY",
        help="some of: " + "; ".join(REMEDIES) + " (default: all)",
    )
    parser.add_argument("--classifiers", nargs="+", default=CLASSIFIERS, choices=CLASSIFIERS, help="default: all")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="default: 0 1 2")
    parser.add_argument(
        "--n-jobs", type=int, default=2, help="cells side by side; set OMP_NUM_THREADS=1 with more than 1"
    )
    parser.add_argument("--show", action="store_true", help="print the table of the file and compute nothing")
    options = parser.parse_args()
    if options.show and not options.out.is_file():
        parser.error(f"--out must be a file that this command wrote; there is no {options.out}")
    if options.show:
        print(show(pd.read_csv(options.out)))
        return

    try:
        data = sources.load(options.data, image_size=SIZE)
    except (ValueError, OSError, ImportError) as exc:
        parser.error(str(exc))
    splits = {split.seed: split for split in make_splits(data, options.seeds)}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    columns = ["remedy", "classifier", "seed", "made_by"]
    done = pd.read_csv(options.out) if options.out.is_file() else pd.DataFrame(columns=columns)
    digest = made_by(data)
    if len(done) and set(done["made_by"]) != {digest}:
        parser.error(
            f"{options.out} holds rows of other data, settings or versions; move it away, or name another --out"
        )
    known = set(done[["remedy", "classifier", "seed"]].itertuples(index=False, name=None))
    wanted = [(r, c, s) for c in options.classifiers for s in options.seeds for r in options.remedies]
    cells = [cell for cell in wanted if cell not in known]
    print(f"{len(cells)} cells to do, {len(wanted) - len(cells)} known", flush=True)
    workers = joblib.Parallel(n_jobs=options.n_jobs)
    workers(joblib.delayed(train_generators)(data, split.train, seed, options.cache) for seed, split in splits.items())
    rows = joblib.Parallel(n_jobs=options.n_jobs, return_as="generator_unordered")(
        joblib.delayed(run_cell)(remedy, classifier, splits[seed], data, options.cache)
        for remedy, classifier, seed in cells
    )
    for row in rows:
        pd.DataFrame([{**row, "made_by": digest}]).to_csv(
            options.out, mode="a", header=not options.out.is_file(), index=False
        )
        print(f"{row['remedy']}, {row['classifier']}, seed {row['seed']}: {row['balanced_accuracy']:.3f}", flush=True)
    print(show(pd.read_csv(options.out)))


def show(table):
    """Return balanced accuracy / ROC-AUC, means over the seeds in brackets, as Markdown: remedies by classifiers."""
    grouped = table.groupby(["remedy", "classifier"])
    means = grouped[["balanced_accuracy", "roc_auc"]].mean().map("{:.3f}".format)
    seeds = grouped["seed"].apply(lambda found: " ".join(map(str, sorted(found))))
    text = means["balanced_accuracy"] + " / " + means["roc_auc"] + " (" + seeds + ")"
    text = text.unstack(fill_value="")
    rows, columns = (
        [name for name in names if name in there]
        for names, there in ((REMEDIES, text.index), (("forest", "svm", "ann", "cnn"), text.columns))
    )
    return text.loc[rows, columns].to_markdown()


if __name__ == "__main__":
    main()
