"""Small data sets, estimators that take notes, and evaluations of them."""

import numpy as np
from PIL import Image
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state

from gan_sampler.evaluation._compare import prepare
from gan_sampler.evaluation._data import from_arrays
from gan_sampler.evaluation._run import run_grid
from gan_sampler.evaluation._settings import Settings

TINY = Settings(
    dcgan={"n_steps": 2, "batch_size": 8, "base_channels": 8},
    ann={"max_epochs": 2},
    cnn={"max_epochs": 1},
    densenet121={"max_epochs": 1},
    embedder_size=32,
    scratch_epochs=1,
    trees=5,
)
N_DISCS, N_SQUARES = 14, 42
NUMBER = (0, 0)  # pixel that holds the number of an image in `numbered_noise`


def toy_images(n, square, seed):
    """Discs or squares on noise."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, size=(n, 16, 16), dtype=np.uint8)
    rows, columns = np.mgrid[:16, :16]
    for image in images:
        x, y = rng.integers(5, 11, size=2)
        far = np.maximum(abs(rows - x), abs(columns - y)) if square else np.hypot(rows - x, columns - y)
        image[far <= 4] += 180
    return images


def toy_arrays(counts=(N_DISCS, N_SQUARES)):
    """Images of as many classes as there are counts, with their labels."""
    images = [toy_images(count, label % 2 == 1, label) for label, count in enumerate(counts)]
    return np.concatenate(images), np.repeat(np.arange(len(counts)), counts)


def toy_data(counts=(N_DISCS, N_SQUARES), **columns):
    """Discs and squares, each of a patient of its own."""
    images, labels = toy_arrays(counts)
    names = [f"class {label}" for label in range(len(counts))]
    columns = {"groups": np.arange(len(labels)), "name": "toy", "target_names": names} | columns
    return from_arrays(images, labels, **columns)


def numbered_noise(n=120, n_rare=40, seed=0, **columns):
    """Pure noise whose first pixel is the number of the image."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, size=(n, 8, 8), dtype=np.uint8)
    images[:, *NUMBER] = np.arange(n)
    labels = np.ones(n, dtype=int)
    labels[rng.permutation(n)[:n_rare]] = 0
    return from_arrays(images, labels, **({"groups": np.arange(n), "name": "noise"} | columns))


def write_folder(folder, counts, names="image-{}.png"):
    for label, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        for number, image in enumerate(toy_images(count, label % 2 == 1, label)):
            Image.fromarray(image).save(folder / name / names.format(number))


class Pixels(TransformerMixin, BaseEstimator):
    """An embedder without a network: pixels as floats."""

    def fit(self, X, y=None):
        self.n_features_in_ = int(np.prod(X.shape[1:]))
        return self

    def transform(self, X):
        return X.reshape(len(X), -1).astype(np.float32)


class Memory(TransformerMixin, BaseEstimator):
    """An embedder as bad as can be: it knows the label of every image it was fitted on, and nothing of others."""

    fitted_on = []  # numbers of the images, one set for each fit of any copy

    def fit(self, X, y):
        self.known_ = {image.tobytes(): label for image, label in zip(X, y, strict=True)}
        self.fitted_on.append({int(image[NUMBER]) for image in X})
        return self

    def transform(self, X):
        labels = [self.known_.get(image.tobytes(), 0.5) for image in X]
        noise = X[:, 1, 1] / 1e3  # so that images it does not know differ
        return np.column_stack([labels + noise, X[:, *NUMBER]]).astype(np.float32)


class Copies(BaseEstimator):
    """A sampler that repeats rows of the rarest class and reorders all, and notes the numbers of the rows it got."""

    fitted_on = []

    def __init__(self, of="images", random_state=None):
        self.of = of
        self.random_state = random_state

    def fit_resample(self, X, y):
        self.fitted_on.append({int(number) for number in (X[:, *NUMBER] if X.ndim == 3 else X[:, -1])})
        rng = check_random_state(self.random_state)
        labels, counts = np.unique(y, return_counts=True)
        rare = np.flatnonzero(y == labels[counts.argmin()])
        rows = rng.permutation(np.r_[np.arange(len(y)), rng.choice(rare, counts.max() - counts.min())])
        return X[rows], y[rows]


class Fails(BaseEstimator):
    """A sampler that cannot."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit_resample(self, X, y):
        raise RuntimeError("no luck today")


def lay_out(data, folder, **options):
    """Prepare a small evaluation."""
    options = {"classifiers": ["svm"], "embedders": {"pixels": Pixels()}, "settings": TINY, "device": "cpu"} | options
    return prepare(data, folder, **options)


def run(evaluation, n_jobs=1):
    """Run an evaluation, and return its records by treatment, classifier, split and seed."""
    run_grid(evaluation.context, evaluation.cells, n_jobs=n_jobs, progress=False)
    found = (evaluation.context.store.find_record(cell.key(evaluation.context)) for cell in evaluation.cells)
    return {(r["treatment"], r["classifier"], r["split"], r["seed"]): r for r in found if r is not None}


def records_of(data, folder, **options):
    """Run a small evaluation, and return its records by treatment and classifier; of the last split."""
    return {key[:2]: record for key, record in run(lay_out(data, folder, **options)).items()}
