"""A small evaluation to be attacked: digits, a GAN of a few steps, a PCA of the user's, trees that count their fits.

As a program it works on a store until it is killed or done: ``python -m attacks.grids STORE [N_JOBS]``.
"""

import argparse
import json
import os
import sys
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from gan_sampler import DCGANOverSampler
from gan_sampler.evaluation._data import from_arrays
from gan_sampler.evaluation._jobs import Context
from gan_sampler.evaluation._models import choose_classifiers, choose_embedders
from gan_sampler.evaluation._run import choose_n_jobs, make_cells, run_grid
from gan_sampler.evaluation._settings import Settings
from gan_sampler.evaluation._splits import make_splits
from gan_sampler.evaluation._store import Store
from gan_sampler.evaluation._treatments import Treatment, choose_treatments

OF_THE_MOMENT = ("seconds", "date", "host", "peak_memory", "sampler_memory")  # what differs between equal runs
# Parameters of estimators are part of a result's name, so what a test asks of them comes another way.
SLOW, COUNTER = "GAN_SAMPLER_TEST_SECONDS", "GAN_SAMPLER_TEST_COUNTER"


def count(what):
    """Add a line to the file named in the environment, if one is, and take the time asked for there."""
    if os.environ.get(COUNTER):
        with open(os.environ[COUNTER], "a") as stream:
            stream.write(f"{what} {os.getpid()}\n")
    time.sleep(float(os.environ.get(SLOW, 0)))


class Components(TransformerMixin, BaseEstimator):
    """Principal components of images."""

    def __init__(self, n_components=8):
        self.n_components = n_components

    def fit(self, X, y=None):
        """Fit on real images."""
        count("embedder")
        self.pca_ = PCA(self.n_components, random_state=0).fit(X.reshape(len(X), -1))
        return self

    def transform(self, X):
        """Return features."""
        return self.pca_.transform(X.reshape(len(X), -1))


class CountedTree(DecisionTreeClassifier):
    """A tree that counts its fits and warns."""

    def fit(self, X, y):
        """Fit."""
        count("tree")
        warnings.warn("a tree was grown", RuntimeWarning, stacklevel=2)
        return super().fit(X, y)


class CountedSVC(SVC):
    """A machine that counts its fits."""

    def fit(self, X, y):
        """Fit."""
        count("svm")
        return super().fit(X, y)


class CountedGAN(DCGANOverSampler):
    """A GAN of a few steps that counts its fits."""

    def fit_resample(self, X, y):
        """Train and draw."""
        count("gan")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return super().fit_resample(X, y)


class BrokenGAN(CountedGAN):
    """A GAN that cannot be trained."""

    def fit_resample(self, X, y):
        """Fail."""
        count("broken")
        raise RuntimeError("on purpose")


class DeadlyTree(CountedTree):
    """A tree that kills the process that grows it, as the kernel does where memory ends."""

    def fit(self, X, y):
        """Die."""
        count("deadly")
        os.kill(os.getpid(), 9)


def gan(name="gan", kind=CountedGAN):
    """Return a treatment."""
    return Treatment(
        name, name, kind(n_steps=4, base_channels=2, latent_dim=4, random_state=0, device="cpu"), family="gan"
    )


def digits():
    """Return images of threes and eights, of which eights are rare."""
    X, y = load_digits(return_X_y=True)
    rows = np.sort(np.r_[np.flatnonzero(y == 3)[:60], np.flatnonzero(y == 8)[:16]])
    images = (X[rows].reshape(-1, 8, 8) * 15).astype(np.uint8)
    return from_arrays(images, y[rows], groups=np.arange(len(rows)), name="digits", target_names=["3", "8"])


def prepare(root, *, seeds=(0, 1), samplers=("none", "smote", "gan"), classifiers=("tree", "svm"), device="cpu"):
    """Return context and cells of a grid in the store `root`."""
    data, settings = digits(), Settings()
    kinds = {"tree": CountedTree(), "svm": CountedSVC(), "deadly": DeadlyTree()}
    gans = {"gan": gan(), "broken": gan("broken", BrokenGAN)}
    treatments = choose_treatments({name: gans.get(name) for name in samplers}, settings, "cpu")
    found = choose_classifiers({name: kinds[name] for name in classifiers}, settings, "cpu")
    embedders = choose_embedders({"components": Components()}, settings, "cpu")
    store = Store(root)
    values = {"target": data.target.tolist(), "target_names": list(data.target_names), "filenames": None}
    store.write_data(data.fingerprint, data.images, {**values, "groups": [str(group) for group in data.groups]})
    context = Context(str(store.root.resolve()), data.fingerprint, data.name, settings, device)
    return context, make_cells(context, make_splits(data, seeds), treatments, found, embedders)


def run(root, n_jobs=1, **options):
    """Compute a grid; return how many cells it saw through."""
    Store(root).remove_abandoned()
    context, cells = prepare(root, **options)
    return run_grid(context, cells, n_jobs=choose_n_jobs(context, n_jobs), progress=False)


def results(root):
    """Return the records of a store by key, without what differs between equal runs."""
    return {record["key"]: _timeless(record) for record in Store(root).records()}


def _timeless(record):
    kept = {name: value for name, value in record.items() if name not in OF_THE_MOMENT}
    kept["history"] = {
        label: [{name: value for name, value in entry.items() if name != "seconds"} for entry in entries]
        for label, entries in record["history"].items()
    }
    return kept


def table(root):
    """Return the metrics of a store as text."""
    lines = [
        json.dumps([record["treatment"], record["classifier"], record["seed"], record["metrics"]], sort_keys=True)
        for record in results(root).values()
    ]
    return "\n".join(sorted(lines)).encode()


def left_over(root):
    """Return the files of a store that a finished run should not leave."""
    folders = [Path(root, "leases"), Store(root).checkpoints]
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file() and file.name != "lock"]
    return sorted({*files, *Path(root).rglob(".*")})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("store")
    parser.add_argument("n_jobs", type=int, nargs="?", default=2)
    parser.add_argument("--backend", default="loky")
    parser.add_argument("--processes", type=int, default=1, help="that do the same at the same time")
    options, parent = parser.parse_args(), os.getpid()
    # Another name than "__main__", so that workers find the classes.
    from attacks import grids

    children = [os.fork() for _ in range(options.processes - 1) if os.getpid() == parent]
    with joblib.parallel_config(backend=options.backend):
        print(grids.run(options.store, options.n_jobs))  # noqa: T201
    if os.getpid() == parent and any(os.waitpid(child, 0)[1] for child in children):
        sys.exit(1)


if __name__ == "__main__":
    main()
