"""The grid: splits, cells, and the running, keeping and finding again of one cell."""

import contextlib
import functools
import hashlib
import importlib.metadata
import json
import os
import shutil
import time
import traceback
import uuid
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path

import joblib
import numpy as np
from metrics import class_scores, evaluate
from pipelines import (
    ON_FEATURES,
    Embedding,
    build_pipeline,
    choose_embeddings,
    count_classes,
    describe,
    make_embedder,
    rarest_class,
)
from presets import Preset
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sources import Images

import gan_sampler

N_PARTS = 4  # one part in four is for testing, where the data brings no test images of its own


def versions():
    """Return the versions of what computes the numbers; between releases, source tells gan_sampler's apart."""
    packages = ("torch", "torchvision", "skorch", "scikit-learn", "imbalanced-learn", "numpy")
    return {
        "gan_sampler": gan_sampler.__version__,
        "source": _hash_of_source(),
        **{name: importlib.metadata.version(name) for name in packages},
    }


@functools.cache  # what is running stays what it was, also when files change meanwhile
def _hash_of_source():
    package = Path(gan_sampler.__file__).parent
    files = sorted(package.rglob("*.py"))
    return joblib.hash([(file.relative_to(package).as_posix(), file.read_bytes()) for file in files])[:12]


@dataclass(frozen=True)
class Split:
    """Which images train and which test, and the seed of everything random.

    Parameters
    ----------
    name : str
        "official", "random" or "fold k".
    seed : int
        `random_state`.
    train, test : ndarray of int
        Rows of the images.
    """

    name: str
    seed: int
    train: np.ndarray = field(compare=False, repr=False)
    test: np.ndarray = field(compare=False, repr=False)


@dataclass(frozen=True)
class Cell:
    """One number to be found: a sampler and a classifier on a split.

    Parameters
    ----------
    split : Split
        Which images, which seed.
    sampler, classifier : str
        Names.
    embedding : Embedding or None
        For classifiers that see features.
    """

    split: Split
    sampler: str
    classifier: str
    embedding: Embedding | None = None

    @property
    def name(self):
        """For progress bars and error lists."""
        embedder = f" on {self.embedding.name}" if self.embedding else ""
        return f"{self.sampler} > {self.classifier}{embedder}, {self.split.name} split, seed {self.split.seed}"


def make_splits(data, seeds, cv=None):
    """Split the data, once for each seed.

    Parameters
    ----------
    data : Images
        The data; its groups are never torn apart.
    seeds : sequence of int
        Seeds.
    cv : int or None, default=None
        Number of folds over all images. None takes the split that the data came with, with its validation images
        in neither part, and else a stratified one with a quarter of the images for testing.

    Returns
    -------
    splits : list of Split
    """
    if cv is None and data.has_official_split:
        train, test = np.flatnonzero(data.split == "train"), np.flatnonzero(data.split == "test")
        return [Split("official", seed, train, test) for seed in seeds]
    splits = []
    for seed in seeds:
        folds = list(_folds(data, cv or N_PARTS, seed))
        if cv is None:
            splits.append(Split("random", seed, *folds[0]))
        else:
            splits += [Split(f"fold {number}", seed, *fold) for number, fold in enumerate(folds, start=1)]
    return splits


def thin_minority(split, target, n_images):
    """Return a split with `n_images` training images of the class that is rarest among them, drawn by its seed.

    Parameters
    ----------
    split : Split
        Any.
    target : ndarray of shape (n,)
        Labels of all images.
    n_images : int
        At most as many as there are.
    """
    is_minority = target[split.train] == rarest_class(target[split.train])
    rows = np.flatnonzero(is_minority)
    if n_images > len(rows):
        raise ValueError(f"--n-minority must be at most {len(rows)}, as many as train; got {n_images}.")
    kept = np.random.RandomState(split.seed).permutation(rows)[:n_images]
    return replace(split, train=split.train[np.sort(np.concatenate([np.flatnonzero(~is_minority), kept]))])


def _folds(data, n_splits, seed):
    fewest = min(count_classes(data.target).values())
    if n_splits > fewest:
        raise ValueError(f"--cv must be at most {fewest}, the size of the smallest class; got {n_splits}.")
    if data.groups is None:
        folds = StratifiedKFold(n_splits, shuffle=True, random_state=seed)
    else:
        folds = StratifiedGroupKFold(n_splits, shuffle=True, random_state=seed)
    return folds.split(data.images, data.target, data.groups)


def make_cells(splits, samplers, classifiers, embeddings):
    """Return all cells, in an order in which cells that share a sampler's work follow each other."""
    return [
        Cell(split, sampler, classifier, embedding)
        for split in splits
        for sampler in samplers
        for classifier in classifiers
        for embedding in (embeddings if classifier in ON_FEATURES else (None,))
    ]


class Experiment:
    """What the cells of a run have in common, and the folder that keeps them.

    The folder's ``cache`` holds pickles, which can run any program when they are read: go on only with a folder that
    nobody else can write to, and delete ``cache`` in one that comes from others; it is then made again.

    Parameters
    ----------
    data : Images
        The data.
    preset : Preset
        Lengths and sizes.
    out : path
        Folder for everything that is kept; of your own, as its pickles are trusted.
    device : str, default="auto"
        Device of the networks.
    resnet18_weights : path or None, default=None
        File of ImageNet weights.
    verbose : int, default=0
        Whether trainings show their own progress bars.
    """

    def __init__(self, data: Images, preset: Preset, out, *, device="auto", resnet18_weights=None, verbose=0):
        self.data = data
        self.preset = preset
        self.out = Path(out)
        self.device = device
        self.verbose = verbose
        self.fingerprint = joblib.hash((data.images, data.target))
        # Another version may draw other images from the same settings, so it does not read this one's cache.
        self.memory = joblib.Memory(self.out / "cache" / joblib.hash(versions())[:12], verbose=0)
        if resnet18_weights is not None:
            resnet18_weights = self._keep_by_content(resnet18_weights)
        self.embeddings = choose_embeddings(preset, resnet18_weights)

    def _keep_by_content(self, file):
        """Copy a file of weights to where its name says what it holds, and return that path."""
        with open(file, "rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        kept = self.out / "weights" / f"resnet18-{digest[:16]}.pth"
        if not kept.exists():
            with _atomic(kept) as temporary:
                shutil.copyfile(file, temporary)
        return kept

    def pipeline(self, cell):
        """Return the unfitted Pipeline of a cell; nothing is trained for it here."""
        embedder = None
        if cell.embedding is not None:
            embedder = make_embedder(
                cell.embedding,
                preset=self.preset,
                seed=cell.split.seed,
                device=self.device,
                memory=self.memory,
                weights_file=self._weights_file(cell),
            )
        return build_pipeline(
            cell.sampler,
            cell.classifier,
            embedder,
            preset=self.preset,
            seed=cell.split.seed,
            y_train=self.data.target[cell.split.train],
            device=self.device,
            memory=self.memory,
            checkpoint_dir=self._checkpoint_dir(cell),
            verbose=self.verbose,
        )

    def _checkpoint_dir(self, cell):
        """Return where the GANs of a split are kept, so that no two cells train the same one.

        Where images have channels, samplers share none: which classes they learn decides whether colour is learnt.
        """
        whose = None if self.data.images.ndim == 3 else cell.sampler
        settings = (self.preset.dcgan, self.preset.gan_epochs)
        key = joblib.hash((self._split_key(cell.split), cell.split.seed, settings, whose))
        return Path(self.memory.location, "checkpoints", key)

    def key(self, cell):
        """Return the name that a cell's result is kept under: a hash of data, settings and versions."""
        return joblib.hash((self._split_key(cell.split), describe(self.pipeline(cell)), versions()))

    def _split_key(self, split):
        return joblib.hash((self.fingerprint, split.train, split.test))

    def _weights_file(self, cell):
        """Return where the ResNet18 fine-tuned on this cell's training images is kept; None when frozen."""
        if not cell.embedding.fine_tune_epochs:
            return None
        settings = describe(self._untuned_embedder(cell))
        name = joblib.hash((self.fingerprint, cell.split.train, settings, versions()))
        return self.out / "weights" / f"{name}.pth"

    def _untuned_embedder(self, cell):
        return make_embedder(
            cell.embedding, preset=self.preset, seed=cell.split.seed, device=self.device, verbose=self.verbose
        )

    def _fine_tune_once(self, cell):
        if cell.embedding is None or not cell.embedding.fine_tune_epochs:
            return
        file = self._weights_file(cell)
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            train = cell.split.train
            self._untuned_embedder(cell).fit(self.data.images[train], self.data.target[train]).save_weights(file)

    def find(self, cell):
        """Return the kept record of a cell, or None; one that failed is returned too, with its error.

        A file that holds something else is named in a warning, and kept with `.damaged` behind its name.
        """
        file = self._cell_file(cell)
        if not file.exists():
            return None
        try:
            return _check_record(json.loads(file.read_bytes()), file.stem)
        except (ValueError, RecursionError) as exc:  # a ValueError also where it is no JSON or no text
            kept = file.with_name(f"{file.name}.damaged")
            os.replace(file, kept)
            warnings.warn(
                f"{file} is no record of {cell.name}, or a damaged one ({exc}). That cell is computed again. The file "
                f"is now {kept.name}: look at it if it may be of use, else delete it.",
                stacklevel=2,
            )
            return None

    def run(self, cell):
        """Compute a cell and keep its record, also when it fails.

        Returns
        -------
        record : dict
            `metrics` is None and `error` the exception when the cell failed.
        """
        record = self._blank_record(cell)
        try:
            record |= self._compute(cell)
        except Exception as exc:  # whatever goes wrong in one cell must not cost the others; the report names it
            record["error"] = f"{type(exc).__name__}: {exc}"
            record["traceback"] = traceback.format_exc()
        with _atomic(self._cell_file(cell)) as temporary:
            temporary.write_text(json.dumps(record), encoding="utf-8")
        return record

    def _cell_file(self, cell):
        return self.out / "cells" / f"{self.key(cell)}.json"

    def _blank_record(self, cell):
        y_train = self.data.target[cell.split.train]
        return {
            "key": self.key(cell),
            "data": self.data.name,
            "split": cell.split.name,
            "seed": cell.split.seed,
            "sampler": cell.sampler,
            "classifier": cell.classifier,
            "embedder": cell.embedding.name if cell.embedding else None,
            "minority": rarest_class(y_train),
            "class_counts": _by_text(count_classes(y_train)),
            "n_train": len(y_train),
            "n_test": len(cell.split.test),
            "metrics": None,
            "error": None,
            "versions": versions(),
            "settings": describe(self.pipeline(cell)),
        }

    def _compute(self, cell):
        images, target = self.data.images, self.data.target
        X_train, y_train = images[cell.split.train], target[cell.split.train]
        X_test, y_test = images[cell.split.test], target[cell.split.test]

        start = time.perf_counter()
        self._fine_tune_once(cell)
        pipeline = self.pipeline(cell).fit(X_train, y_train)
        fitted = time.perf_counter()
        y_pred = pipeline.predict(X_test)
        predicted = time.perf_counter()

        scores = class_scores(pipeline, X_test)
        metrics = evaluate(y_test, y_pred, scores, pipeline.classes_, rarest_class(y_train))
        return {
            "metrics": {name: None if np.isnan(value) else value for name, value in metrics.items()},
            "fit_seconds": fitted - start,
            "predict_seconds": predicted - fitted,
            **self._sampler_notes(cell, pipeline, y_train),
            "classes": pipeline.classes_.tolist(),
            "y_true": y_test.tolist(),
            "y_pred": y_pred.tolist(),
            "scores": scores.tolist(),
        }

    def _sampler_notes(self, cell, pipeline, y_train):
        sampler = pipeline.named_steps.get("sampler")
        if sampler is None:
            counts, n_synthetic, seconds = count_classes(y_train), 0, 0.0
        else:
            counts, n_synthetic, seconds = sampler.counts_after_, sampler.n_synthetic_, sampler.seconds_
            if sampler.examples_.ndim > 2:  # images, not features
                self._keep_examples(cell, sampler.examples_)
        return {
            "sampler_seconds": seconds,
            "class_counts_resampled": _by_text(counts),
            "n_train_resampled": sum(counts.values()),
            "n_synthetic": n_synthetic,
        }

    def examples_file(self, split, sampler):
        """Return where images that a sampler made are kept for the figures."""
        settings = describe(self.pipeline(Cell(split, sampler, "ann")).named_steps["sampler"])
        name = joblib.hash((self._split_key(split), settings, versions()))
        return self.out / "examples" / f"{sampler}-{name}.npy"

    def _keep_examples(self, cell, images):
        file = self.examples_file(cell.split, cell.sampler)
        if not file.exists():
            with _atomic(file) as temporary, open(temporary, "wb") as stream:
                np.save(stream, images)


def _check_record(record, key):
    """Return `record` when it is that of the cell with `key`."""
    if not (isinstance(record, dict) and {"key", "metrics", "error"} <= record.keys()):
        raise ValueError("it has no key, metrics and error")
    if record["key"] != key:
        raise ValueError(f"its key is {record['key']}")
    return record


def _by_text(counts):
    """Return counts as JSON will give them back: with keys of text."""
    return {str(label): count for label, count in counts.items()}


@contextlib.contextmanager
def _atomic(file):
    """Give a temporary path that takes the place of `file` at the end, so that a killed run leaves no half file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    # Not by process: threads have one in common, and two machines on one folder may count alike.
    temporary = file.with_name(f".{file.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        with open(temporary, "rb+") as stream:
            os.fsync(stream.fileno())  # the name must not reach the disk before the bytes do
        os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)
