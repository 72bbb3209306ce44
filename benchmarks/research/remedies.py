"""What keeps a classifier from taking the artefacts of synthetic images for the class? Remedies, compared.

    python benchmarks/research/remedies.py --data path/to/chest_xray
    python benchmarks/research/remedies.py --data elpv --out docs/results/remedies_elpv.csv

For each seed one generator is trained for each class, once for all remedies. A remedy turns training images into
training images, and may change test images too. Classifiers learn from what it gives and are tested on real images of
the split that came with the data, or else of a random quarter for each seed. Rows are appended to a CSV file, and those
that it holds are not computed again; the table is printed from it at the end.
"""

import io
from dataclasses import dataclass
from functools import partial

import joblib
import numpy as np
from common import add_choice, add_generators, complete, load_images, made_by, make_parser, run, train_generators
from PIL import Image
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
from gan_sampler.evaluation._metrics import class_probabilities, class_scores, evaluate
from gan_sampler.evaluation._splits import make_splits
from gan_sampler.quality import realism
from gan_sampler.samplers._herding import herd

SIZE = 32  # pixels
INPUT_SIZE = 64  # pixels of the embedder's input
N_HERDED = 1000  # images herded together
NETWORKS = {"cnn": (CNNClassifier, 8), "ann": (ANNClassifier, 10)}  # passes over as many images as balancing gives
ON_FEATURES = {
    "forest": partial(RandomForestClassifier, 100, n_jobs=1),
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
        wanted = {self.rare: n_images + len(self.real(self.rare))}
        sampler = AugmentationOverSampler(sampling_strategy=wanted, repeated_share=0, random_state=self.seed)
        return sampler.fit_resample(self.X, self.y)[0][len(self.X) :]

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
    synthetic = [(draw(train, label, n_images), label) for label in np.unique(train.y)]
    return train.plus((repeats(train, train.n_missing), train.rare), *synthetic)


def half_synthetic(train, other_half=Train.repeats):
    """Balance half by synthetic images and half by repeated, or otherwise changed, real ones."""
    half = train.n_missing // 2
    synthetic = train.draw(train.rare, train.n_missing - half)
    return train.plus((other_half(train, half), train.rare), (synthetic, train.rare))


def real_detail(train, sigma=1.0):
    """Give each synthetic image the fine detail of a real one of its class."""
    synthetic = train.draw(train.rare, train.n_missing).astype(float)
    donors = train.repeats().astype(float)
    mixed = _blurred(synthetic, sigma) + donors - _blurred(donors, sigma)
    return train.plus((np.clip(np.rint(mixed), 0, 255).astype(np.uint8), train.rare))


def drawn_and_chosen(train, label, n_images, choose, describe, n_times=4):
    """Draw four times as many images of a class as wanted and keep those that `choose` says by their features."""
    synthetic = train.draw(label, n_times * n_images)
    return synthetic[choose(describe(train.real(label)), describe(synthetic), n_images)]


def chosen(train, choose, describe):
    """Balance by synthetic images, chosen from four times as many."""
    return train.plus((drawn_and_chosen(train, train.rare, train.n_missing, choose, describe), train.rare))


def most_plausible(real, synthetic, n_kept):
    """Choose by the realism score."""
    return np.argsort(-realism(real, synthetic))[:n_kept]


def taken_for_real(real, synthetic, n_kept):
    """Choose by what a discriminator trained afterwards, a random forest, says of images it has not seen."""
    forest = RandomForestClassifier(random_state=0)
    X, is_real = np.concatenate([real, synthetic]), np.repeat([1, 0], [len(real), len(synthetic)])
    scores = cross_val_predict(forest, X, is_real, method="predict_proba")[len(real) :, 1]
    return np.argsort(-scores, kind="stable")[:n_kept]


def nearest_each(real, synthetic, n_kept):
    """Choose for each real image in turn the nearest of those that are nearest to it, then the second, and so on."""
    distances = euclidean_distances(synthetic, real)
    owner = distances.argmin(1)
    order = np.lexsort([distances.min(1), owner])
    starts = np.searchsorted(owner[order], owner[order])
    rank = np.empty(len(synthetic), dtype=int)
    rank[order] = np.arange(len(synthetic)) - starts
    return np.lexsort([distances.min(1), rank])[:n_kept]


def herded(real, synthetic, n_kept):
    """Choose by kernel herding, in blocks so that the time stays proportional."""
    blocks = np.array_split(np.arange(len(synthetic)), -(-n_kept // N_HERDED))
    sizes = [len(block) for block in np.array_split(np.arange(n_kept), len(blocks))]
    kept = [block[herd(real, synthetic[block], size)] for block, size in zip(blocks, sizes, strict=True)]
    return np.concatenate(kept)


def _blurred(images, sigma):
    return gaussian_filter(images, (0, sigma, sigma))


def pixels(images):
    """Describe images by their pixels."""
    return images.reshape(len(images), -1) / 255.0


def features(images):
    """Describe images by what EfficientNet-Lite0 sees in them."""
    return EfficientNetLite0Embedder(input_size=INPUT_SIZE, device="cpu").fit(images[:2]).transform(images)


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


by_features = partial(drawn_and_chosen, choose=herded, describe=features)
REMEDIES = {
    "nothing": nothing,
    "repetition": repetition,
    "synthetic": plain,
    "synthetic, half repeated": half_synthetic,
    "synthetic, half augmented": partial(half_synthetic, other_half=Train.augmented),
    "synthetic in every class, ratio 1/8": partial(every_class, ratio=0.125),
    "synthetic in every class, ratio 1/4": partial(every_class, ratio=0.25),
    "synthetic in every class, ratio 1/2": partial(every_class, ratio=0.5),
    "synthetic in every class, ratio 1": partial(every_class, ratio=1.0),
    "synthetic in every class, ratio 2": partial(every_class, ratio=2.0),
    "synthetic in every class, ratio 1/2, augmented repeats": partial(every_class, ratio=0.5, repeats=Train.augmented),
    "synthetic in every class, ratio 1/4, augmented repeats": partial(every_class, ratio=0.25, repeats=Train.augmented),
    "synthetic with real detail": real_detail,
    "synthetic, the most plausible quarter": partial(chosen, choose=most_plausible, describe=pixels),
    "synthetic, the quarter taken for real": partial(chosen, choose=taken_for_real, describe=pixels),
    "synthetic, the quarter nearest each real one": partial(chosen, choose=nearest_each, describe=pixels),
    "synthetic, the herded quarter": partial(chosen, choose=herded, describe=pixels),
    "synthetic, the quarter herded by features": partial(chosen, choose=herded, describe=features),
    "synthetic in every class, ratio 1/4, herded by features": partial(every_class, ratio=0.25, draw=by_features),
    "synthetic, noise on all": plain,
    "synthetic, JPEG on all": plain,
    "synthetic, blur on all": plain,
    "repetition, noise on all": repetition,
    "augmented": augmented,
    "augmented in every class, ratio 1/2": partial(augmented_in_every_class, ratio=0.5),
}
TRANSFORMS = {  # of all images, real and synthetic, for training and for testing
    "synthetic, noise on all": with_noise,
    "synthetic, JPEG on all": through_jpeg,
    "synthetic, blur on all": smoothed,
    "repetition, noise on all": with_noise,
}


def transformed(images, remedy, seed):
    """Return images as a remedy has them seen."""
    return TRANSFORMS[remedy](images, seed) if remedy in TRANSFORMS else images


def run_cell(remedy, classifier, seed, data, n_steps, folder):
    """Train and test one classifier on what one remedy gives, and return its row in a list."""
    (split,) = make_splits(data, [seed])
    X, y = data.images[split.train], data.target[split.train]
    train = Train(X, y, train_generators(X, y, seed, n_steps, folder), seed)
    X, y = REMEDIES[remedy](train)
    X, X_test = transformed(X, remedy, seed), transformed(data.images[split.test], remedy, seed + 1)
    if classifier in NETWORKS:
        network, n_passes = NETWORKS[classifier]
        # As many images seen as with balanced ones, so that no remedy wins by training longer.
        as_long = {"max_epochs": n_passes, "iterator_train__epoch_size": 2 * train.largest}
        fitted = network(**as_long, device="cpu", random_state=seed).fit(X, y)
    else:
        embedder = EfficientNetLite0Embedder(input_size=INPUT_SIZE, device="cpu", memory=f"{folder}/features")
        X, X_test = embedder.fit(X).transform(X), embedder.transform(X_test)
        fitted = ON_FEATURES[classifier](random_state=seed).fit(X, y)
    metrics = evaluate(
        data.target[split.test],
        fitted.predict(X_test),
        class_scores(fitted, X_test),
        class_probabilities(fitted, X_test),
        data.target_names,
        int(train.rare),
    )
    return [{"remedy": remedy, "classifier": classifier, "seed": seed, "n_train": len(X), **metrics}]


def compute_table(options):
    """Return the table, with what it lacked."""
    data = load_images(options.data, SIZE)
    splits = make_splits(data, options.seeds)
    joblib.Parallel(n_jobs=options.n_jobs)(
        joblib.delayed(train_generators)(
            data.images[split.train], data.target[split.train], split.seed, options.n_steps, options.cache
        )
        for split in splits
    )
    return complete(
        options,
        partial(run_cell, data=data, n_steps=options.n_steps, folder=options.cache),
        [(r, c, s) for c in options.classifiers for s in options.seeds for r in options.remedies],
        by=("remedy", "classifier", "seed"),
        digest=made_by([__file__], [data], options.n_steps),
    )


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


def main():
    """Read the command line, compute what is missing, print the table."""
    parser = make_parser(__doc__, out="docs/results/remedies.csv", seeds=(0, 1, 2))
    add_generators(parser)
    add_choice(parser, "--remedies", list(REMEDIES))
    add_choice(parser, "--classifiers", list(CLASSIFIERS))
    run(parser, parser.parse_args(), compute_table, show)


if __name__ == "__main__":
    main()
