"""Estimate of the duration of an evaluation, from trial runs of a few steps."""

import functools
import time
import warnings

import numpy as np
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from gan_sampler.evaluation._splits import THRESHOLD_FOLDS
from gan_sampler.runtime import threads

_STEPS = (2, 6)  # of the trial runs; the difference excludes the constant cost of a fit
_N_TRIAL = 64  # images
_OF_FEATURES = 2.0  # seconds, of a classifier on features
_EPOCHS_UNTIL_CONVERGENCE = 20  # of a network that stops early
_ON_IMAGES = 5.0  # seconds, of a network without a trial run


def cost_of(context, job):
    """Return the estimated seconds of a job; only ratios between jobs matter."""
    rates = _rates(context.root, context.source)
    kind = type(job).__name__
    if kind == "SampleJob":
        return sum(_cost_of_sampler(job.train, treatment, rates, context) for treatment in job.treatments)
    if kind == "EmbedJob":
        images, _, _, _ = context.load()
        n_images = 0 if job.embedder.is_frozen and job.samples else len(images)
        n_fitted = 0 if job.embedder.is_frozen else 3 * len(job.train) * _epochs(job.embedder.estimator)
        n_new = len(job.train) if job.train is not None else len(images)
        return 1 + (n_images + n_fitted + n_new * len(job.samples)) * rates.get("embedder", 0.005)
    n_fits = 1 + THRESHOLD_FOLDS if job.treatment.tunes_threshold else 1
    if job.classifier.on == "features":
        return _OF_FEATURES * n_fits
    rate = rates.get(job.classifier.name)
    if rate is None:
        return n_fits * _ON_IMAGES
    n_epochs = job.classifier.estimator.max_epochs
    if job.classifier.needs_validation:
        n_epochs = min(n_epochs, _EPOCHS_UNTIL_CONVERGENCE)
    return n_fits * len(job.split.train) * n_epochs * 1.5 * rate


def _epochs(estimator):
    return getattr(estimator, "fine_tune_epochs", 1)


def _cost_of_sampler(train, treatment, rates, context):
    """Return the estimated seconds of a sampler's training: steps at the measured rate, at most its time limit."""
    if getattr(treatment.sampler, "n_steps", None) is None:
        return 1.0
    steps = treatment.build("images", context.load()[1][train], 0, context.settings).n_steps
    n_classes = len(set(context.load()[1][train].tolist()))
    n_trained = (
        n_classes if getattr(treatment.sampler, "synthetic_classes", "resampled") == "all" else max(1, n_classes - 1)
    )
    seconds = steps * rates.get(type(treatment.sampler).__name__, 0.05) * n_trained
    max_time = getattr(treatment.sampler, "max_time", None)
    return seconds if max_time is None else min(seconds, max_time)


_MEASURED = {}


def _rates(root, source):
    return _MEASURED.get((root, source), {})


def measure_rates(context, treatments, classifiers, embedders):
    """Measure the speed of every kind of training in a few steps, for `cost_of`.

    Parameters
    ----------
    context : Context
        Data and device.
    treatments, classifiers, embedders : list
        Those of the evaluation.
    """
    images, target, _, _ = context.load()
    rows = _few_of_each(target)
    X, y = np.ascontiguousarray(images[rows]), target[rows]
    rates = {}
    with warnings.catch_warnings(), threads(context.n_threads), threadpool_limits(context.n_threads):
        warnings.simplefilter("ignore")  # images of trial runs are expected to be poor
        for treatment in treatments:
            name = type(treatment.sampler).__name__
            if getattr(treatment.sampler, "n_steps", None) is not None and name not in rates:
                fit = functools.partial(_fit_sampler, treatment.sampler, X, y)
                rates[name] = _try(lambda fit=fit: _seconds_per_step(fit))
        for classifier in classifiers:
            if classifier.is_network:
                fit = functools.partial(_fit_network, classifier, X, y)
                rates[classifier.name] = _try(lambda fit=fit: _seconds_per_step(fit, steps=(1, 2)) / _N_TRIAL)
        if embedders:
            rates["embedder"] = _try(functools.partial(_seconds_per_image, embedders[0].estimator, X, y))
    rates = {name: rate for name, rate in rates.items() if rate is not None}
    _MEASURED[context.root, context.source] = rates


def _try(measure):
    """Return the result of a trial run, or None if it fails; the actual run reports errors."""
    try:
        return measure()
    except Exception:
        return None


def _seconds_per_image(embedder, X, y):
    estimator = clone(embedder).set_params(**_without_training(embedder)).fit(X, y)
    start = time.perf_counter()
    estimator.transform(X)
    return (time.perf_counter() - start) / len(X)


def _without_training(estimator):
    return {"fine_tune_epochs": 0} if hasattr(estimator, "fine_tune_epochs") else {}


def _few_of_each(target):
    """Return rows of about 64 images, two fewer of the first class, so that there is a class to over-sample."""
    labels = np.unique(target)
    n_each = max(4, _N_TRIAL // len(labels))
    rows = [np.flatnonzero(target == label)[:n_each] for label in labels]
    rows[0] = rows[0][: max(2, len(rows[0]) - 2)]
    return np.concatenate(rows)


def _fit_sampler(sampler, X, y, steps):
    settings = {"n_steps": steps, "random_state": 0, "verbose": 0, "max_time": None}
    settings = {name: value for name, value in settings.items() if name in sampler.get_params()}
    clone(sampler).set_params(**settings).fit_resample(X, y)


def _fit_network(classifier, X, y, steps):
    rows = np.resize(np.arange(len(X)), _N_TRIAL * steps)
    network = clone(classifier.estimator).set_params(max_epochs=1, early_stopping=False, random_state=0)
    network.fit(X[rows], y[rows])


def _seconds_per_step(fit, steps=_STEPS):
    times = []
    fit(steps=steps[0])  # warm-up: excludes what is loaded at the first use
    for n_steps in steps:
        start = time.perf_counter()
        fit(steps=n_steps)
        times.append(time.perf_counter() - start)
    return max((times[1] - times[0]) / (steps[1] - steps[0]), 1e-4)


def total_seconds(context, stages, n_workers):
    """Return the estimated seconds of all jobs, divided by the number of workers."""
    return sum(cost_of(context, job) for stage in stages for job in stage) / max(1, n_workers)
