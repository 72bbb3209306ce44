"""The entry points: `compare` runs an evaluation; `prepare` only plans it."""

import contextlib
import shutil
import tempfile
import time
import warnings
import weakref
from numbers import Integral

import joblib
import numpy as np
from humanize import naturaldelta, naturalsize

from gan_sampler.evaluation import _estimate
from gan_sampler.evaluation._comparison import Comparison, check_metric
from gan_sampler.evaluation._data import ImageData, from_arrays
from gan_sampler.evaluation._docstrings import document
from gan_sampler.evaluation._jobs import Context, find_examples, is_done
from gan_sampler.evaluation._models import choose_classifiers, choose_embedders
from gan_sampler.evaluation._pictures import make_pictures
from gan_sampler.evaluation._records import THRESHOLD_SUFFIX
from gan_sampler.evaluation._run import bytes_of_worker, choose_n_jobs, make_cells, plan_shared, run_grid
from gan_sampler.evaluation._settings import default_choice, default_settings
from gan_sampler.evaluation._splits import make_splits, thin_rarest
from gan_sampler.evaluation._store import DEFAULT_CACHE_LIMIT, Store, digest_of, utc_now, versions
from gan_sampler.evaluation._treatments import check_treatments, choose_treatments, usable_treatments
from gan_sampler.runtime import resolve_device


@document
def compare(
    X,
    y=None,
    *,
    samplers=None,
    classifiers=None,
    embedders=None,
    cv=None,
    groups=None,
    scoring="roc_auc",
    store=None,
    n_jobs=None,
    random_state=0,
    n_repeats=5,
    n_rare=None,
    settings=None,
    n_steps=None,
    max_time=None,
    on_error="skip",
    device="auto",
    cache_limit=DEFAULT_CACHE_LIMIT,
    target_names=None,
    filenames=None,
    name="data",
    verbose=1,
):
    """Measure whether over-sampling helps: compare samplers with several classifiers on held-out images.

    Parameters
    ----------
    X : array-like of shape (n, H, W), (n, H, W, C) or (n, C, H, W), or ImageData
        Images.
    y : array-like of shape (n,) or None, default=None
        Labels. None with `ImageData`, which has them.
    {samplers}
    {classifiers}
    {embedders}
    {cv}
    groups : array-like of shape (n,) or None, default=None
        Group (patient) of each image. A group is never in both training and test.
    {scoring}
    store : path-like or None, default=None
        Folder of all results. An interrupted run continues from there, and several processes and machines can share it.
        None uses a temporary folder, which is removed with the returned object.
    {n_jobs}
    random_state : int, default=0
        Seed of the first repeat; each further repeat adds 1.
    n_repeats : int, default=5
        Number of repeats with different seeds. With one repeat there is no significance test.
    {n_rare}
    {settings}
    {n_steps}
    {max_time}
    on_error : {{"skip", "raise"}}, default="skip"
        Whether a failure is recorded, marked in the tables and skipped, or stops the run.
    {device}
    cache_limit : int, default=150 * 2**20
        Bytes of images, features and samples that are kept in `store` for later runs.
    target_names : sequence of str or None, default=None
        Names of the sorted labels. None takes the labels.
    filenames : array-like of shape (n,) or None, default=None
        File of each image, for the list of wrong predictions.
    name : str, default="data"
        Name of the data in tables and report.
    verbose : int, default=1
        Whether to print the plan and to show a progress bar.

    Returns
    -------
    comparison : Comparison
        Tables, tests, answer and report.

    Raises
    ------
    ValueError
        When an argument is invalid, or the data cannot be split without leakage and with every class in both parts.
    StoreError
        When the results cannot be written; finished results are kept.

    Warns
    -----
    UserWarning
        When no groups are known: images of one patient may then be in both training and test.

    See Also
    --------
    sklearn.model_selection.cross_validate : Cross-validation of one estimator.
    gan_sampler.quality_report : Quality of synthetic images.

    Notes
    -----
    For each classifier on features, all samplers use the same embedder, fitted on the real training images only.
    An epoch of a network has the same number of images whatever the sampler, so that more images do not mean more
    training. Networks are trained until the loss on real images stops falling: a fifth of the training images, by
    groups, that no sampler sees and that is the same for every sampler.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from gan_sampler.evaluation import compare
    >>> X, y = load_digits(return_X_y=True)
    >>> X, y = X.reshape(-1, 8, 8)[:300], y[:300] == 8
    >>> comparison = compare(
    ...     X, y, samplers=["none", "smote"], classifiers=["svm"], embedders=["efficientnet_lite0"], n_repeats=2,
    ...     n_jobs=1, verbose=0, groups=range(300),
    ... )
    >>> comparison.table("roc_auc").shape  # mean, std and n of one classifier
    (2, 3)
    """
    _check_on_error(on_error)
    seeds = _seeds(random_state, n_repeats)
    if isinstance(X, ImageData):
        given = {"y": y, "groups": groups, "target_names": target_names, "filenames": filenames}
        if twice := [argument for argument, value in given.items() if value is not None]:
            raise ValueError(f"{', '.join(twice)} must be left out where X is an ImageData, which holds them.")
        data = X
    else:
        data = from_arrays(X, y, groups=groups, name=name, target_names=target_names, filenames=filenames)
    with _folder(store) as (folder, belongs_to):
        evaluation = prepare(
            data,
            folder,
            samplers=samplers,
            classifiers=classifiers,
            embedders=embedders,
            cv=cv,
            scoring=scoring,
            seeds=seeds,
            n_rare=n_rare,
            settings=settings,
            n_steps=n_steps,
            max_time=max_time,
            device=device,
            n_jobs=n_jobs,
            command="gan_sampler.evaluation.compare",
        )
        if verbose:
            print(evaluation.plan())  # noqa: T201
        comparison = evaluation.run(on_error=on_error, cache_limit=cache_limit, progress=bool(verbose))
        belongs_to(comparison)
    return comparison


@contextlib.contextmanager
def _folder(store):
    """Yield the folder of the results, and a function that ties a temporary folder to the lifetime of an object."""
    if store is not None:
        yield store, lambda comparison: None
        return
    folder = tempfile.mkdtemp(prefix="gan_sampler_")
    owners = []
    try:
        yield folder, owners.append
    finally:
        if owners:
            weakref.finalize(owners.pop(), shutil.rmtree, folder, ignore_errors=True)
        else:  # stopped or refused
            shutil.rmtree(folder, ignore_errors=True)


def _check_on_error(on_error):
    if on_error not in ("skip", "raise"):
        raise ValueError(f"on_error must be 'skip' or 'raise'; got {on_error!r}.")


def _seeds(random_state, n_repeats):
    for argument, value, least in (("random_state", random_state, 0), ("n_repeats", n_repeats, 1)):
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            raise ValueError(f"{argument} must be an integer of at least {least}; got {value!r}.")
    return [int(random_state) + repeat for repeat in range(n_repeats)]


@document
def prepare(
    data,
    store,
    *,
    samplers=None,
    classifiers=None,
    embedders=None,
    cv=None,
    scoring="roc_auc",
    seeds=(0,),
    n_rare=None,
    settings=None,
    n_steps=None,
    max_time=None,
    device="auto",
    n_jobs=None,
    resnet18_weights=None,
    download=False,
    command="",
    notes=(),
):
    """Plan an evaluation; all arguments are checked before anything is trained.

    Parameters
    ----------
    data : ImageData
        Images, labels and groups.
    store : path-like
        Folder of the results.
    {samplers}
    {classifiers}
    {embedders}
    {cv}
    {scoring}
    seeds : sequence of int, default=(0,)
        Seed of each repeat.
    {n_rare}
    {settings}
    {n_steps}
    {max_time}
    {device}
    {n_jobs}
    resnet18_weights : path-like or None, default=None
        File of ImageNet weights of ResNet18. None takes torch's cache.
    download : bool, default=False
        Whether ImageNet weights of ResNet18 may be downloaded.
    command : str, default=""
        Command that the user entered, for the report.
    notes : sequence of str, default=()
        What a reader of the results must know: shown in the plan and in the report.

    Returns
    -------
    evaluation : Evaluation
        The plan; its method `run` computes it.

    Raises
    ------
    ValueError
        When an argument is invalid, or the data cannot be split without leakage and with every class in both parts.

    Warns
    -----
    UserWarning
        When no groups are known: images of one patient may then be in both training and test.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from gan_sampler.evaluation import from_arrays, prepare
    >>> X = np.random.default_rng(0).integers(0, 256, size=(60, 16, 16), dtype=np.uint8)
    >>> data = from_arrays(X, np.repeat([0, 1], [40, 20]), groups=range(60))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     plan = prepare(data, folder, samplers=["augmentation"], classifiers=["cnn"], seeds=(0, 1), device="cpu")
    >>> len(plan.cells)  # two samplers, as "none" is included, with two seeds
    4
    """
    resolved = resolve_device(device)
    scoring = check_metric(scoring)
    if settings is None:
        settings = default_settings(data.images.shape[1:], resolved)
    settings = settings.with_limits(n_steps, max_time)
    some_samplers, some_classifiers = default_choice(len(data.target_names), resolved)
    asked = some_classifiers if classifiers is None else classifiers
    classifiers = choose_classifiers(asked, settings, str(resolved))
    asked = some_samplers if samplers is None else samplers
    treatments = choose_treatments(asked, settings, str(resolved), len(data.target_names))
    if samplers is None:
        treatments = usable_treatments(treatments, classifiers)
    check_treatments(treatments, classifiers)
    on_features = any(classifier.on == "features" for classifier in classifiers)
    embedders = (
        choose_embedders(embedders, settings, str(resolved), resnet18_weights, download=download) if on_features else []
    )
    if data.groups is None:
        warnings.warn(_NO_GROUPS, stacklevel=3)
    splits = make_splits(data, seeds, cv)
    if n_rare is not None:
        splits = [thin_rarest(split, data.target, n_rare) for split in splits]
    _check_references(treatments, splits)
    store = Store(store)
    store.remove_abandoned()
    source = data.fingerprint
    _keep_data(store, source, data)
    context = Context(str(store.root.resolve()), source, data.name, settings, str(resolved))
    cells = make_cells(context, splits, treatments, classifiers, embedders)
    for cell in cells:
        cell.inner_splits(context)  # raises an error if a threshold cannot be tuned
    return Evaluation(context, data, cells, scoring=scoring, n_jobs=n_jobs, n_rare=n_rare, command=command, notes=notes)


def _check_references(treatments, splits):
    references = [treatment.name for treatment in treatments if treatment.restores]
    if references and not any(len(split.removed) for split in splits):
        raise ValueError(
            f"samplers must not hold {references[0]!r} unless n_rare leaves out training images of the rarest class, "
            "which this reference adds again. Set n_rare, or leave the reference out."
        )


def _count(number, noun):
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _keep_data(store, source, data):
    """Write images and their metadata to the store, where every process can read them."""
    values = {
        "target": data.target.tolist(),
        "groups": None if data.groups is None else [str(group) for group in data.groups],
        "target_names": list(data.target_names),
        "filenames": None if data.filenames is None else [str(name) for name in data.filenames],
    }
    store.write_data(source, data.images, values)


_NO_GROUPS = (
    "No groups (patients) are known for these images: if several images show one patient, they may be in both training "
    "and test, and then every number is too good. Pass groups (--groups)."
)


class Evaluation:
    """A planned grid of cells; made by `prepare`.

    Parameters
    ----------
    context : Context
        Context of all jobs.
    data : ImageData
        The data set.
    cells : list of Cell
        The cells of the grid.
    scoring : str
        Metric of the answer.
    n_jobs : int or None
        Number of workers.
    n_rare : int or None, default=None
        Number of training images that the rarest class was reduced to.
    command : str, default=""
        Command that the user entered.
    notes : sequence of str, default=()
        What a reader of the results must know.
    """

    def __init__(self, context, data, cells, *, scoring, n_jobs, n_rare=None, command="", notes=()):
        self.context = context
        self.data = data
        self.cells = cells
        self.scoring = scoring
        self.n_jobs = choose_n_jobs(context, n_jobs)
        self.n_rare = n_rare
        self.command = command
        # Those of references hold more training images than the treatments have.
        self._splits = list({cell.split: cell.split for cell in cells if not cell.treatment.restores}.values())
        self.notes = list(notes)
        self._manifest = self._describe()

    def plan(self, measure=True):
        """Return a description of the run and an estimate of its duration.

        Parameters
        ----------
        measure : bool, default=True
            Whether to measure the speed of this machine in trial runs of some seconds; otherwise it is guessed.

        Returns
        -------
        plan : str
            Several lines of text.
        """
        context, manifest = self.context, self._manifest
        if measure:
            self._measure_rates()
        todo = self._todo()
        stages = [*plan_shared(context, todo), todo]
        n_workers = self._n_workers()
        seconds = _estimate.total_seconds(context, stages, n_workers)
        counts = ", ".join(f"{count:,} {name}" for name, count in manifest["class_counts"]["train"].items())
        lines = [
            f"{manifest['name']}: {len(self.data.target):,} images of {' x '.join(map(str, manifest['shape'][1:]))}, "
            f"training on {counts}",
            f"Split: {manifest['split_about']}"
            + ("" if self.data.groups is None else f" {manifest['groups_about']}"),  # else there was a warning
            f"Samplers: {', '.join(manifest['treatments'])}",
            f"Classifiers: {', '.join(manifest['classifiers'])}",
            *(f"Embedder {name}: {about}" for name, about in manifest["embedders"].items()),
            *([f"Settings: {', '.join(map(' '.join, manifest['settings'].items()))}"] if manifest["settings"] else []),
            *(f"Note: {note}" for note in self.notes),
            f"{len(self.cells)} cells, {len(todo)} of them to compute, on {context.device} in "
            f"{_count(n_workers, 'worker')} of {_count(context.n_threads, 'thread')}, each of about "
            f"{naturalsize(bytes_of_worker(context), binary=True)}",
            f"This takes about {naturaldelta(max(seconds, 1))}." if todo else "Nothing is left to compute.",
            f"Results: {context.root}",
        ]
        return "\n".join(lines)

    def _measure_rates(self):
        treatments = {cell.treatment.name: cell.treatment for cell in self.cells}
        classifiers = {cell.classifier.name: cell.classifier for cell in self.cells}
        embedders = {cell.embedder.name: cell.embedder for cell in self.cells if cell.embedder}
        if self._todo():
            found = (list(objects.values()) for objects in (treatments, classifiers, embedders))
            _estimate.measure_rates(self.context, *found)

    def _todo(self):
        return [cell for cell in self.cells if not is_done(self.context, cell)]

    def _n_workers(self):
        return joblib.effective_n_jobs(self.n_jobs)

    def run(self, *, on_error="skip", cache_limit=DEFAULT_CACHE_LIMIT, progress=True, include_real_images=False):
        """Compute the cells that are not in the store yet.

        Parameters
        ----------
        on_error : {"skip", "raise"}, default="skip"
            Whether a failure is recorded and skipped, or stops the run.
        cache_limit : int, default=150 * 2**20
            Bytes of images, features and samples that are kept in the store for later runs.
        progress : bool, default=True
            Whether to show a progress bar.
        include_real_images : bool, default=False
            Whether the store keeps the few real images that a report can show.

        Returns
        -------
        comparison : Comparison
            The results.
        """
        _check_on_error(on_error)
        context, store = self.context, self.context.store
        start = time.perf_counter()
        _keep_data(store, context.source, self.data)  # another run may have pruned the cache since
        store.write_manifest(self._manifest)
        try:
            n_computed = run_grid(context, self.cells, n_jobs=self.n_jobs, on_error=on_error, progress=progress)
            if n_computed or store.read_pictures(self._manifest["key"]) is None:
                self._keep_pictures(include_real_images)
        finally:
            self._manifest["seconds"] += time.perf_counter() - start
            store.write_manifest(self._manifest)
        store.prune(cache_limit)
        return Comparison(store.root, manifest_key=self._manifest["key"])

    def _keep_pictures(self, include_real_images):
        """Write the pictures of the report, with images of the first split."""
        split = self._splits[0]
        # Splits of one name and seed are equal; a network that stops early sees a part of the training images.
        new_images = find_examples(self.context, [cell for cell in self.cells if cell.split == split])
        embedder = next((cell.embedder for cell in self.cells if cell.embedder and cell.embedder.is_frozen), None)
        features_of = None
        if embedder is not None:
            from sklearn.base import clone

            # Fitted on all images, as for the cells, because the value range of floats is that of the images at fit.
            estimator = clone(embedder.estimator).fit(self.data.images, self.data.target)
            features_of = estimator.transform
        pictures = make_pictures(
            self.data, split, new_images, features_of, random_state=0, include_real_images=include_real_images
        )
        self.context.store.write_pictures(self._manifest["key"], pictures)

    def _describe(self):
        first = self._splits[0]
        names = self.data.target_names
        counts = {
            part: dict(zip(names, np.bincount(self.data.target[rows], minlength=len(names)).tolist(), strict=True))
            for part, rows in (("train", first.learnt_from), ("test", first.test))
        }
        settings = self.context.settings
        cells = [{"key": cell.key(self.context), **cell.place()} for cell in self.cells]
        known = {
            "name": self.data.name,
            "source": self.context.source,
            "command": self.command,
            "device": self.context.device,
            "n_threads": self.context.n_threads,
            "scoring": self.scoring,
            "n_rare": self.n_rare,
            "shape": list(self.data.images.shape),
            "classes": list(names),
            "class_counts": counts,
            "split_about": self._about_split(),
            "groups_about": self._about_groups(),
            "splits": {
                f"{split.name}, seed {split.seed}": digest_of(split.learnt_from, split.test) for split in self._splits
            },
            "treatments": {cell.treatment.name: cell.treatment.label for cell in self.cells},
            "classifiers": {cell.classifier.name: cell.classifier.label for cell in self.cells},
            "embedders": {cell.embedder.name: cell.embedder.about for cell in self.cells if cell.embedder},
            "settings": settings.used(self._names()),
            "versions": versions(),
            "equal_length": settings.equal_length,
            "notes": self.notes,
        }
        key = digest_of(known, cells)[:12]
        previous = next((found for found in self.context.store.manifests() if found["key"] == key), {})
        return {
            "key": key,
            "started": previous.get("started", utc_now("milliseconds")),  # the order of commands
            "seconds": previous.get("seconds", 0.0),
            "n_jobs": self._n_workers(),
            **known,
            "cells": cells,
        }

    def _names(self):
        """Return the names of all samplers, classifiers and embedders."""
        names = {cell.treatment.name.removesuffix(THRESHOLD_SUFFIX) for cell in self.cells}
        names |= {cell.classifier.name for cell in self.cells}
        return names | {cell.embedder.name for cell in self.cells if cell.embedder}

    def _about_split(self):
        splits = [(split.name, split.seed) for split in self._splits]
        n_seeds = len({seed for _, seed in splits})
        seeds = _count(n_seeds, "seed")
        first = self._splits[0].name
        if first == "official":
            about = f"the one of the data set (its validation images, if any, are not used), {seeds}."
        elif first == "random":
            about = f"a stratified quarter for testing, drawn anew for every seed, {seeds}."
        else:
            about = f"{len(splits) // n_seeds} folds over all images, {seeds}."
        validating = [cell.split for cell in self.cells if cell.classifier.needs_validation]
        if not validating:
            return about
        n_images = len(validating[0].validation)
        return f"{about} Networks that stop early are validated on {n_images:,} of the training images."

    def _about_groups(self):
        if self.data.groups is None:
            return _NO_GROUPS
        n_groups = len(np.unique(self.data.groups))
        return f"Images of one group (patient) stay together: {n_groups:,} groups."
