"""The work of an evaluation as jobs, which read images from the store and write their results to it."""

import contextlib
import errno
import functools
import hashlib
import shutil
import threading
import time
import traceback
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_curve
from threadpoolctl import threadpool_limits

from gan_sampler.evaluation._metrics import class_probabilities, class_scores, evaluate
from gan_sampler.evaluation._models import Classifier, Embedder, with_seed
from gan_sampler.evaluation._settings import Settings
from gan_sampler.evaluation._splits import THRESHOLD_FOLDS, Split, split_off_validation, stratified_folds
from gan_sampler.evaluation._store import (
    Store,
    StoreError,
    StoreWarning,
    Taken,
    digest_of,
    refuse,
    this_host,
    utc_now,
    versions,
)
from gan_sampler.evaluation._treatments import Treatment, describe
from gan_sampler.runtime import resolve_device, threads
from gan_sampler.samplers import BaseImageOverSampler

N_EXAMPLES = 64  # synthetic images of each class kept for the report
_MOST_RECORDS = 50  # of a sampler's history that the record of a cell keeps
_MOST_WARNINGS = 20
_MOST_TRIES = 3  # of reading a result that was just written
MOST_DEATHS = 3  # killed workers of one job
KILLED = (
    f"its worker was killed {MOST_DEATHS} times, perhaps because of too little memory: use smaller images, a smaller "
    "model, or fewer workers (n_jobs)"
)
POLL_INTERVAL = 2.0  # seconds, while another process works on a needed result
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
# Warnings, memory and the number of threads of a job are those of the whole process, so one job runs at a time.
_ONE_AT_A_TIME = threading.RLock()


@dataclass(frozen=True)
class Context:
    """Data, settings and environment of all jobs of an evaluation.

    Parameters
    ----------
    root : str
        Folder of the store, the same on every machine that works on it.
    source : str
        Hash of the images, which is their name in the store.
    name : str
        Name of the data.
    settings : Settings
        Sizes and lengths of training.
    device : str
        Device of networks: "cpu", "cuda:0"; its type is part of every key, because it affects rounding.
    n_threads : int, default=1
        Number of threads of each job; the same on every machine, because it affects rounding on the CPU.
    versions : dict
        Versions of packages in the process that started the evaluation.
    """

    root: str
    source: str
    name: str
    settings: Settings
    device: str
    n_threads: int = 1
    versions: dict = field(default_factory=versions)

    @property
    def store(self):
        """The store."""
        return Store(self.root)

    def load(self):
        """Return images (memory map), target, groups and names of the classes."""
        return _load(self.root, self.source)

    def key(self, *parts):
        """Return the key of a result: a hash of `parts`, data, versions, type of device and number of threads."""
        return digest_of(self.source, self.versions, torch.device(self.device).type, self.n_threads, *parts)


@functools.lru_cache(maxsize=2)
def _load(root, source):
    images, values = Store(root).read_data(source)
    target = np.array(values["target"])
    groups = None if values["groups"] is None else np.array(values["groups"])
    return images, target, groups, values["target_names"]


@functools.lru_cache(maxsize=64)
def _inner_folds(root, source, train, seed):
    """Return the folds for tuning a threshold, as rows of the data; `train` are the bytes of an array of rows."""
    _, target, groups, names = _load(root, source)
    train = np.frombuffer(train, dtype=np.int64)
    folds = stratified_folds(
        target[train],
        None if groups is None else groups[train],
        THRESHOLD_FOLDS,
        seed,
        "A tuned threshold",
        names,
        "Leave out tuned thresholds, or collect more images.",
    )
    return [(train[rows], train[held_out]) for rows, held_out in folds]


@dataclass(frozen=True)
class SampleJob:
    """Generate the images of treatments that may share trainings, one treatment after another.

    Parameters
    ----------
    train : ndarray of int
        Rows of the training images.
    seed : int
        Seed of the samplers.
    treatments : tuple of Treatment
        Treatments of one family.
    classifier_on : {"images", "features"}
        Input of the classifiers that use the images.
    """

    train: np.ndarray = field(repr=False)
    seed: int
    treatments: tuple
    classifier_on: str

    @property
    def name(self):
        """Readable name, for logs."""
        return f"images of {', '.join(treatment.label for treatment in self.treatments)}, seed {self.seed}"

    def keys(self, context):
        """Keys of the results."""
        return [self.key(context, treatment) for treatment in self.treatments]

    def lease(self, context):
        """Key of the lease: trainings that may share checkpoints run in one process at a time."""
        return self._family_key(context) if self.treatments[0].family else self.keys(context)[0]

    def _family_key(self, context):
        return context.key("checkpoints", self.train, self.seed, self.treatments[0].family)

    def key(self, context, treatment):
        """Key of the result of one treatment."""
        return context.key("images", self.train, describe(self._build(context, treatment)))

    def _build(self, context, treatment):
        _, target, _, _ = context.load()
        return treatment.build(self.classifier_on, target[self.train], self.seed, context.settings)

    def run(self, context):
        """Fit the samplers and write their images; a failure of one does not affect the others."""
        for treatment in self.treatments:
            key = self.key(context, treatment)
            if not _is_there(context, key):
                with _kept_failure(context, key):
                    self._make(context, treatment, key)
        self.forget_checkpoints(context)

    def _make(self, context, treatment, key):
        images, target, _, _ = context.load()
        X, y, sampler = images[self.train], target[self.train], self._build(context, treatment)
        folder = self._checkpoint_folder(context, treatment, sampler)
        if folder is not None:
            sampler.set_params(checkpoint_dir=folder)
        with peak_memory() as peak, recorded_warnings() as issued:
            start = time.perf_counter()
            X_resampled, y_resampled = sampler.fit_resample(X, y)
            seconds = time.perf_counter() - start
        _check_images(X_resampled, X, treatment)
        index = find_originals(X, X_resampled)
        new = X_resampled[_first_of_each_new(index)]
        history = plain_history(sampler)
        values = {
            # Includes training that another treatment of the family has done before.
            "seconds": max(seconds, sum(records[-1].get("seconds", 0) for records in history.values() if records)),
            "peak_memory": peak(),
            "warnings": issued,
            "history": history,
        }
        # Samplers of this package also repeat real images with a small change, which are new, but not synthetic.
        of_images = isinstance(sampler, BaseImageOverSampler)
        is_synthetic = sampler.synthetic_mask_ if of_images else index < 0
        arrays = {"index": index, "labels": y_resampled, "new": new, "is_synthetic": is_synthetic}
        context.store.write_shared(key, arrays, values)

    def _checkpoint_folder(self, context, treatment, sampler):
        """Return the checkpoint folder of a GAN's training; treatments that train the same GAN share it."""
        if not treatment.family:
            return None
        images, _, _, _ = context.load()
        # Not shared if results depend on the classes that are trained: with colour channels, or with a time limit.
        shares = images.ndim == 3 and sampler.max_time is None
        return self._family_folder(context) / ("shared" if shares else treatment.name.replace("/", "_"))

    def _family_folder(self, context):
        return context.store.checkpoints / self._family_key(context)

    def forget_checkpoints(self, context):
        """Remove checkpoints, unless a training has failed and can continue in another run."""
        if all(map(context.store.has_shared, self.keys(context))):
            shutil.rmtree(self._family_folder(context), ignore_errors=True)


@dataclass(frozen=True)
class EmbedJob:
    """Compute the features of all real images, and of the new images of samplers.

    Parameters
    ----------
    embedder : Embedder
        The embedder.
    train : ndarray of int or None
        Rows of the real training images at fit. None for a frozen embedder.
    seed : int
        Seed of its training.
    samples : tuple of (SampleJob, Treatment)
        Samples whose new images are embedded too. With samples, a frozen embedder does not embed the real images, which
        is a separate job that many samplers share.
    """

    embedder: Embedder
    train: np.ndarray | None = field(repr=False)
    seed: int
    samples: tuple = ()

    @property
    def name(self):
        """Readable name, for logs."""
        of_what = ", ".join(treatment.label for _, treatment in self.samples) or "real images"
        return f"features of {self.embedder.label}, {of_what}"

    def keys(self, context):
        """Keys of the results."""
        of_real = [] if self.embedder.is_frozen and self.samples else [self.key(context)]
        return of_real + [self.key(context, sample.key(context, treatment)) for sample, treatment in self.samples]

    def lease(self, context):
        """Key of the lease."""
        return self.keys(context)[0]

    def key(self, context, of_sample=""):
        """Key of the features of the real images, or of a sample."""
        estimator = with_seed(self.embedder.estimator, self.seed)
        parts = [describe(estimator), self.embedder.weights]
        if not self.embedder.is_frozen:
            _, target, _, _ = context.load()
            parts += [self.train, target[self.train]]
        return context.key("features", *parts, of_sample)

    def run(self, context):
        """Fit the embedder and write the features."""
        images, target, _, _ = context.load()
        store = context.store
        rows = slice(None) if self.train is None else self.train
        with peak_memory() as peak, recorded_warnings() as issued:
            start = time.perf_counter()
            estimator = with_seed(self.embedder.estimator, self.seed).fit(images[rows], target[rows])
            is_wanted = not (self.embedder.is_frozen and self.samples)
            features = None
            # Not repeated, so that its time stays the one in the records.
            if is_wanted and not store.has_shared(self.key(context)):
                features = transform_in_blocks(estimator, images)
            seconds = time.perf_counter() - start
        if features is not None:
            values = {"seconds": seconds, "peak_memory": peak(), "warnings": issued}
            store.write_shared(self.key(context), {"features": features}, values)
        for sample, treatment in self.samples:
            key = self.key(context, sample.key(context, treatment))
            with _kept_failure(context, key):  # a failure of the sampler, which does not affect other samples
                arrays, _ = read_sample(context, sample, treatment)
                start = time.perf_counter()
                features = transform_in_blocks(estimator, arrays["new"])
                store.write_shared(key, {"features": features}, {"seconds": time.perf_counter() - start})


@dataclass(frozen=True)
class Cell:
    """One cell of the grid: a treatment and a classifier on a split.

    Parameters
    ----------
    split : Split
        Rows of images, and the seed; with validation images for a network that stops early.
    treatment : Treatment
        Treatment of the class imbalance.
    classifier : Classifier
        Classifier to train.
    embedder : Embedder or None
        Embedder, for classifiers of features.
    """

    split: Split
    treatment: Treatment
    classifier: Classifier
    embedder: Embedder | None = None

    @property
    def name(self):
        """Readable name, for logs."""
        embedder = f" on {self.embedder.label}" if self.embedder else ""
        where = f"{self.split.name} split, seed {self.split.seed}"
        return f"{self.treatment.label} > {self.classifier.label}{embedder}, {where}"

    def describe(self, context):
        """Return all settings that can change the result."""
        _, target, _, _ = context.load()
        y_train, seed, classifier = target[self.split.train], self.split.seed, self.classifier
        embedder = self.embedder
        parts = {
            "sampler": describe(self.treatment.build(classifier.on, y_train, seed, context.settings)),
            "classifier": describe(self.build_classifier(y_train)),
            "embedder": describe(embedder and with_seed(embedder.estimator, seed)),
        }
        settings = {
            f"{part}__{name}".rstrip("_"): text for part, found in parts.items() for name, text in found.items()
        }
        settings |= {"tunes_threshold": str(self.treatment.tunes_threshold), "sampler_on": self.treatment.on}
        return settings if embedder is None else settings | {"embedder_is_frozen": str(embedder.is_frozen)}

    def build_classifier(self, y_train):
        """Return the unfitted classifier."""
        class_weight = "balanced" if self.treatment.weights else None
        return self.classifier.build(y_train, self.split.seed, class_weight)

    def key(self, context):
        """Return the key of the result."""
        weights = self.embedder.weights if self.embedder else ""
        split = self.split
        validation = [] if split.validation is None else [split.validation]
        return context.key("cell", split.train, split.test, *validation, self.describe(context), weights)

    def keys(self, context):
        """Keys of the results."""
        return [self.key(context)]

    def lease(self, context):
        """Key of the lease."""
        return self.key(context)

    def inner_splits(self, context):
        """Return the folds of the training images for tuning a threshold, as splits; empty without a threshold."""
        if not self.treatment.tunes_threshold:
            return []
        folds = _inner_folds(context.root, context.source, self.split.learnt_from.tobytes(), self.split.seed)
        splits = [Split("inner", self.split.seed, rows, held_out) for rows, held_out in folds]
        if not self.classifier.needs_validation:
            return splits
        _, target, groups, names = context.load()
        return [split_off_validation(split, target, groups, names) for split in splits]

    def shared_jobs(self, context):
        """Return the jobs that this cell depends on: samples, features of real images, features of new images."""
        samples, real, new = [], [], []
        for split in [self.split, *self.inner_splits(context)]:
            sample = self.sample(split)
            samples += [sample] if sample else []
            if self.embedder is not None:
                of_sample = ((sample, self.treatment),) if sample else ()
                if self.embedder.is_frozen:
                    real.append(self.embed(split))
                    new += [self.embed(split, of_sample)] if sample else []
                else:
                    new.append(self.embed(split, of_sample))
        return samples, real, new

    def sample(self, split):
        """Return the job that generates images for the training images of `split`, or None."""
        if not self.treatment.samples_images(self.classifier):
            return None
        return SampleJob(split.train, split.seed, (self.treatment,), self.classifier.on)

    def embed(self, split, samples=()):
        """Return the job that computes features for `split`."""
        if self.embedder.is_frozen:
            return EmbedJob(self.embedder, None, 0, samples)
        return EmbedJob(self.embedder, split.train, split.seed, samples)

    def run(self, context):
        """Fit, predict, score, and write the record."""
        _, target, _, names = context.load()
        split = self.split
        rarest = rarest_class(target[split.learnt_from])  # as in the record; `train` of a reference may have another
        with recorded_warnings() as issued, peak_memory() as peak:
            found = self._fit_predict(context, split)
            threshold = self._tune_threshold(context, rarest, found) if self.treatment.tunes_threshold else None
        y_true, y_pred = target[split.test], found["y_pred"]
        scores, probabilities = found["scores"], found["probabilities"]
        if threshold is not None:
            y_pred = np.where(scores[:, rarest] >= threshold, rarest, 1 - rarest)  # only for two classes
        metrics = evaluate(y_true, y_pred, scores if self.classifier.ranks else None, probabilities, names, rarest)
        notes = found["notes"]
        context.store.write_record(
            self.blank_record(context)
            | {
                "metrics": {
                    name: None if value is None or np.isnan(value) else float(value) for name, value in metrics.items()
                },
                "threshold": threshold,
                "y_pred": y_pred.tolist(),
                "scores": None if scores is None else scores.tolist(),
                "probabilities": None if probabilities is None else probabilities.tolist(),
                "peak_memory": peak(),
                "warnings": notes.pop("warnings") + [{**warning, "from": "classifier"} for warning in issued],
                **notes,
            }
        )
        self.forget_checkpoints(context)

    def forget_checkpoints(self, context):
        """Remove the checkpoints of the classifier, unless it has failed and can continue in another run."""
        if is_done(context, self):
            shutil.rmtree(self._checkpoint_folder(context), ignore_errors=True)

    def _checkpoint_folder(self, context):
        return context.store.checkpoints / self.key(context)

    def _tune_threshold(self, context, rarest, found):
        """Return the threshold with the best balanced accuracy on held-out folds of the training images.

        The time of the fits in the folds is added to the notes of `found`.
        """
        _, target, _, _ = context.load()
        is_rarest, scores, seconds = [], [], found["notes"]["seconds"]
        is_shared = self.embedder is not None and self.embedder.is_frozen  # the same features in all folds
        for split in self.inner_splits(context):
            of_fold = self._fit_predict(context, split)
            is_rarest.append(target[split.test] == rarest)
            scores.append(of_fold["scores"][:, rarest])
            for part in ("sampler", "embedder_new", "fit", *(() if is_shared else ("embedder",))):
                seconds[part] += of_fold["notes"]["seconds"][part]
        return best_threshold(np.concatenate(is_rarest), np.concatenate(scores))

    def _fit_predict(self, context, split):
        _, target, _, names = context.load()
        X_train, y_train, X_val, X_test, notes = self._inputs(context, split)
        _check_labels(y_train, names)
        classifier = self.build_classifier(target[split.train])
        if self.classifier.is_network:
            folder = self._checkpoint_folder(context) / digest_of(split.train)
            classifier.set_params(checkpoint_dir=folder)
        validation = {} if X_val is None else {"X_val": X_val, "y_val": target[split.validation]}
        start = time.perf_counter()
        classifier.fit(X_train, y_train, **validation)
        fitted = time.perf_counter()
        y_pred = classifier.predict(X_test)
        found = {
            "y_pred": y_pred,
            "scores": class_scores(classifier, X_test),
            "probabilities": class_probabilities(classifier, X_test),
        }
        notes["seconds"] |= {"fit": fitted - start, "predict": time.perf_counter() - fitted}
        counts = np.bincount(y_train, minlength=len(names))
        notes["class_counts_resampled"] = dict(zip(names, counts.tolist(), strict=True))
        notes["n_train_resampled"] = len(y_train)
        return {**found, "notes": notes}

    def _inputs(self, context, split):
        """Return training inputs and labels, validation inputs or None, test inputs, and notes on times and more."""
        images, target, _, names = context.load()
        rows = split.train
        notes = {
            "seconds": {"sampler": 0.0, "embedder": 0.0, "embedder_new": 0.0},
            "sampler_memory": None,
            "n_synthetic": 0,
            "warnings": [],
            "history": {},
        }
        base, sample = images, self.sample(split)
        if self.embedder is not None:
            arrays, values = read_or_run(context, self.embed(split))
            base, notes["seconds"]["embedder"] = arrays["features"], values["seconds"]
            notes["warnings"] = [{**warning, "from": "embedder"} for warning in values["warnings"]]
        if sample is not None:
            arrays, values = read_sample(context, sample, self.treatment)
            new = arrays["new"]
            if self.embedder is not None:
                embedded, of_new = read_or_run(context, self.embed(split, ((sample, self.treatment),)), -1)
                new, notes["seconds"]["embedder_new"] = embedded["features"], of_new["seconds"]
            notes["seconds"]["sampler"], notes["sampler_memory"] = values["seconds"], values["peak_memory"]
            notes["n_synthetic"] = int(arrays["is_synthetic"].sum())
            notes["warnings"] += [{**warning, "from": "sampler"} for warning in values["warnings"]]
            notes["history"] = {names[int(label)]: thin(found) for label, found in values["history"].items()}
            X_train, y_train = assemble(base, rows, arrays["index"], new), arrays["labels"]
        elif self.treatment.sampler is not None:
            sampler = self.treatment.build("features", target[rows], split.seed, context.settings)
            start = time.perf_counter()
            with recorded_warnings() as issued:
                X_train, y_train = sampler.fit_resample(base[rows], target[rows])
            notes["seconds"]["sampler"] = time.perf_counter() - start
            notes["n_synthetic"] = int((find_originals(base[rows], X_train) < 0).sum())
            notes["warnings"] += [{**warning, "from": "sampler"} for warning in issued]
        else:
            X_train, y_train = base[rows], target[rows]
        X_val = None if split.validation is None else base[split.validation]
        return X_train, y_train, X_val, base[split.test], notes

    def blank_record(self, context):
        """Return the record of a cell without results."""
        _, target, groups, names = context.load()
        split = self.split
        y_train, y_test = target[split.learnt_from], target[split.test]
        counts, test_counts = (
            dict(zip(names, np.bincount(y, minlength=len(names)).tolist(), strict=True)) for y in (y_train, y_test)
        )
        return {
            "key": self.key(context),
            "data": context.name,
            "source": context.source,
            **self.place(),
            "treatment_label": self.treatment.label,
            "treatment_kind": self.treatment.kind,
            "classifier_label": self.classifier.label,
            "embedder_label": self.embedder.label if self.embedder else None,
            "ranks": self.classifier.ranks,
            "classes": list(names),
            "rarest": rarest_class(y_train),
            "class_counts": counts,
            "class_counts_test": test_counts,
            "class_counts_resampled": counts,
            "n_train": len(y_train),
            "n_train_resampled": len(y_train),
            "n_validation": 0 if split.validation is None else len(split.validation),
            "n_synthetic": 0,
            "n_test": len(y_test),
            "rows": split.test.tolist(),
            "groups": None if groups is None else np.unique(groups, return_inverse=True)[1][split.test].tolist(),
            "y_true": y_test.tolist(),
            "y_pred": None,
            "scores": None,
            "probabilities": None,
            "threshold": None,
            "metrics": None,
            "seconds": None,
            "peak_memory": None,
            "sampler_memory": None,
            "warnings": [],
            "history": {},
            "error": None,
            "traceback": None,
            "host": this_host(),
            "device": context.device,
            "date": utc_now(),
            "n_threads": context.n_threads,
            "versions": context.versions,
            "settings": self.describe(context),
        }

    def place(self):
        """Return the position of the cell in the grid."""
        return {
            "split": self.split.name,
            "seed": int(self.split.seed),
            "treatment": self.treatment.name,
            "classifier": self.classifier.name,
            "embedder": self.embedder.name if self.embedder else None,
        }


# Running a job


class SharedWorkFailed(RuntimeError):  # noqa: N818, describes the event
    """A job that a cell depends on has failed; the message is that of the first failure."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a job."""

    state: str  # "done", "failed" or "taken"
    error: str | None = None
    seconds: float = 0.0


def work(context, job):
    """Run a job, unless another process is running it, and return the outcome; called by workers."""
    _check_versions(context)
    with _ONE_AT_A_TIME:
        return _do(context, job)


def _do(context, job):
    start = time.perf_counter()
    device = resolve_device(context.device)
    try:
        with (
            context.store.lease(job.lease(context), job.name) as n_deaths,
            threads(context.n_threads),
            threadpool_limits(context.n_threads),
        ):
            if is_done(context, job):  # another process was faster
                return Outcome("done")
            try:
                if n_deaths >= MOST_DEATHS:  # clusters restart jobs repeatedly without reporting it to joblib
                    raise RuntimeError(KILLED)
                job.run(context)
            except Exception as exc:  # an error of one job must not stop the others; it is reported
                keep_failure(context, job, exc)
            finally:
                if device.type == "cuda":
                    torch.cuda.empty_cache()
    except Taken:
        return Outcome("taken")
    error = _error_of(context, job)
    return Outcome("failed" if error else "done", error, time.perf_counter() - start)


def is_done(context, job):
    """Whether the results of a job, or its failure in this run, are in the store."""
    keys = job.keys(context)
    if isinstance(job, Cell):
        record = context.store.find_record(keys[0])
        return record is not None and record["error"] is None
    return all(_is_there(context, key) for key in keys)


def _is_there(context, key):
    return context.store.has_shared(key) or context.store.failure(key) is not None


def keep_failure(context, job, exc):
    """Record the failure of a job; raise an error if the store cannot be written to, since then all jobs would fail."""
    _raise_if_disk_error(context, exc)
    if isinstance(job, Cell):
        error, trace = _error_and_traceback(exc)
        context.store.write_record(job.blank_record(context) | {"error": error, "traceback": trace})
        return
    for key in job.keys(context):
        if not context.store.has_shared(key):
            context.store.write_failure(key, *_error_and_traceback(exc))


@contextlib.contextmanager
def _kept_failure(context, key):
    """Record an error of the block under `key`, and continue."""
    try:
        yield
    except Exception as exc:  # as in `_do`
        _raise_if_disk_error(context, exc)
        context.store.write_failure(key, *_error_and_traceback(exc))


def _error_and_traceback(exc):
    if isinstance(exc, SharedWorkFailed):
        return exc.args
    return f"{type(exc).__name__}: {exc}", "".join(traceback.format_exception(exc))


def _raise_if_disk_error(context, exc):
    if isinstance(exc, StoreError):
        raise exc
    if isinstance(exc, OSError) and exc.errno in _DISK_ERRORS:
        raise refuse(exc, context.root) from exc


def _error_of(context, job):
    if isinstance(job, Cell):
        record = context.store.find_record(job.key(context))
        return record and record["error"]
    failures = (context.store.failure(key) for key in job.keys(context))
    return next((failure["error"] for failure in failures if failure is not None), None)


def _check_versions(context):
    if versions() != context.versions:
        changed = [name for name, version in versions().items() if context.versions.get(name) != version]
        raise RuntimeError(
            f"This worker must have the versions of the process that started the evaluation; {', '.join(changed)} "
            f"differ: {versions()} here, {context.versions} there. Install the same on every machine, and start anew."
        )


def read_or_run(context, job, which=0):
    """Return the result of a job; if it is not in the store, run the job or wait for another process."""
    key = job.keys(context)[which]
    n_tries = 0
    while (found := context.store.read_shared(key)) is None:
        failure = context.store.failure(key)
        if failure is not None:
            raise SharedWorkFailed(failure["error"], failure["traceback"])
        if n_tries == _MOST_TRIES:
            raise OSError(f"{job.name} were written {n_tries} times, and could never be read. Check the disk.")
        if _do(context, job).state == "taken":
            time.sleep(POLL_INTERVAL)
        else:
            n_tries += 1
    return found


def read_sample(context, sample, treatment):
    """Return the result of a sampler."""
    key = sample.key(context, treatment)
    which = sample.keys(context).index(key)
    return read_or_run(context, sample, which)


def find_examples(context, cells):
    """Return examples of synthetic images from the samplers of some cells of one split.

    Returns
    -------
    found : dict of str to (ndarray, ndarray)
        For each treatment at most 64 images of each class and their labels; treatments whose samples were removed from
        the cache are left out.
    """
    found = {}
    for cell in cells:
        sample = cell.sample(cell.split)
        if sample is None or cell.treatment.name in found:
            continue
        kept = context.store.read_shared(sample.key(context, cell.treatment))
        if kept is None:
            continue
        arrays, _ = kept
        first = _first_of_each_new(arrays["index"])
        labels, is_synthetic = arrays["labels"][first], arrays["is_synthetic"][first]
        shown = [np.flatnonzero(is_synthetic & (labels == label))[:N_EXAMPLES] for label in np.unique(labels)]
        if shown:
            rows = np.concatenate(shown)
            found[cell.treatment.name] = arrays["new"][rows], labels[rows]
    return found


# Helpers


def rarest_class(y):
    """Return the label with the fewest images; the first one in a tie."""
    labels, counts = np.unique(y, return_counts=True)
    return int(labels[counts.argmin()])


def best_threshold(is_positive, scores):
    """Return the threshold with the largest balanced accuracy, midway between two neighbouring scores."""
    false_positives, true_positives, thresholds = roc_curve(is_positive, scores, drop_intermediate=False)
    best = int(np.argmax(true_positives - false_positives))
    at = thresholds[best]
    below = scores[scores < at]
    if not np.isfinite(at):  # nothing is positive
        return float(np.nextafter(scores.max(), np.inf))
    return float((at + below.max()) / 2) if below.size else float(at)


def find_originals(X, X_resampled):
    """Return which rows of a sampler's output are rows of its input.

    Returns
    -------
    index : ndarray of shape (n_resampled,), int
        Row of the input that equals each row, the first one of several. Distinct new rows are numbered -1, -2, ... in
        the order of their first appearance.
    """
    dtype = np.result_type(X, X_resampled)
    place, n_new = {}, 0
    for i, row in enumerate(X):
        place.setdefault(_digest(row, dtype), i)
    index = np.empty(len(X_resampled), dtype=np.int64)
    for i, row in enumerate(X_resampled):
        index[i] = place.setdefault(_digest(row, dtype), -1 - n_new)
        n_new = max(n_new, -index[i])
    return index


def _first_of_each_new(index):
    """Return where each distinct new row is for the first time, in the order of their numbers."""
    numbers, first = np.unique(-index, return_index=True)
    return first[numbers > 0]


def _digest(row, dtype):
    return hashlib.blake2b(np.ascontiguousarray(row, dtype=dtype).data, digest_size=16).digest()


def _check_images(X_resampled, X, treatment):
    """Raise an error if a sampler returns images of another shape or dtype."""
    if X_resampled.shape[1:] != X.shape[1:] or X_resampled.dtype != X.dtype:
        raise ValueError(
            f"samplers must return images of the kind they get, {X.dtype} of shape {X.shape[1:]}; {treatment.name!r} "
            f"gave {X_resampled.dtype} of shape {X_resampled.shape[1:]}. A sampler of rows needs a PixelSampler."
        )


def _check_labels(y, names):
    """Raise an error if a sampler has removed all images of a class, since scores need every class."""
    found = np.unique(y)
    if not np.array_equal(found, np.arange(len(names))):
        raise ValueError(
            f"samplers must keep images of every class, {', '.join(names)}; the labels {found.tolist()} are left of "
            f"{list(range(len(names)))}. Let the sampler remove less."
        )


def assemble(base, rows, index, new):
    """Return the training inputs of a sampler's output: rows of `base` and distinct new ones, in its order."""
    out = np.empty((len(index), *base.shape[1:]), dtype=base.dtype)
    out[index >= 0] = base[rows[index[index >= 0]]]
    if len(new):
        out[index < 0] = new[-1 - index[index < 0]]
    return out


def transform_in_blocks(estimator, images, size=512):
    """Return the features of images, computed in blocks to limit memory."""
    blocks = [estimator.transform(np.ascontiguousarray(images[i : i + size])) for i in range(0, len(images), size)]
    return np.concatenate(blocks) if blocks else np.empty((0, 0), dtype=np.float32)


def plain_history(sampler):
    """Return the history of a sampler's training as JSON values: a list for each class.

    An attribute `history_` of another form, as of samplers of other packages, is ignored.
    """
    history, kept = getattr(sampler, "history_", {}), {}
    if not isinstance(history, dict):
        return kept
    for label, records in history.items():
        is_history = isinstance(records, list) and all(isinstance(record, dict) for record in records)
        if is_history and isinstance(label, int | np.integer):
            kept[str(label)] = [
                {name: value for name, value in record.items() if isinstance(value, int | float | str | bool)}
                for record in (_plain(record) for record in records)
            ]
    return kept


def _plain(record):
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in record.items()}


def thin(records):
    """Return at most 50 records of a training, evenly spaced."""
    places = np.unique(np.linspace(0, len(records) - 1, _MOST_RECORDS).round().astype(int)) if records else []
    return [records[place] for place in places]


@contextlib.contextmanager
def recorded_warnings():
    """Yield a list that holds the warnings of the block after its end; warnings of the store are issued."""
    recorded = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield recorded
        found = list(caught)
    for warning in found:
        if issubclass(warning.category, StoreWarning):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
            continue
        entry = {"category": warning.category.__name__, "message": str(warning.message)}
        if entry not in recorded and len(recorded) < _MOST_WARNINGS:
            recorded.append(entry)


@contextlib.contextmanager
def peak_memory():
    """Yield a function that returns the peak memory of this process in the block, in bytes, or None."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    try:
        reset.write_text("5")  # resets the peak, where the kernel allows it
    except OSError:
        yield lambda: None
        return

    def read():
        lines = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(lines[0].split()[1]) * 1024 if lines else None

    yield read
