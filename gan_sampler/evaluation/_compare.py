"""The entry points: `compare` runs an evaluation; `prepare` lays one out first."""

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
    """Measure whether over-sampling helps: every sampler with every classifier, on images that nothing was trained on.

    Parameters
    ----------
    X : array-like of shape (n, H, W), (n, H, W, C) or (n, C, H, W), or ImageData
        Images.
    y : array-like of shape (n,), default=None
        Labels. None with `ImageData`, which has them.
    samplers : sequence of str, or dict of str to sampler, default=None
        What is compared, by name (``"none"``, ``"class_weight"``, ``"threshold"``, ``"random"``, ``"smote"``,
        ``"adasyn"``, ``"augmentation"``, ``"deep_smote"``, ``"dcgan"``, ``"dcgan_every_class"``, ``"conditional"``,
        ``"cyclegan"``), with ``+threshold`` behind a name to tune the threshold on top, or any objects with
        ``fit_resample`` under names of yours. Doing nothing is always among them. None takes a choice that answers the
        question in reasonable time.
    classifiers : sequence of str, or dict of str to estimator, default=None
        What is trained on the images that each sampler gives, by name (``"tree"``, ``"forest"``, ``"svm"``,
        ``"logistic"`` on features, ``"ann"``, ``"cnn"``, ``"densenet121"`` on the images), or estimators of yours.
    embedders : sequence of str, or dict of str to transformer, default=None
        What turns images into features. None takes ResNet18 where its ImageNet weights are at hand, and else
        EfficientNet-Lite0.
    cv : int, splitter, iterable or None, default=None
        Folds, as in `sklearn.model_selection.cross_validate`. None takes the split that the data came with, and else a
        stratified quarter for testing, drawn anew in each repeat. Groups are never torn apart.
    groups : array-like of shape (n,), default=None
        Group (patient) of each image.
    scoring : str, default="roc_auc"
        The metric that the answer is about; all are computed.
    store : path-like, default=None
        Folder that keeps all results, so that a run that was stopped goes on where it was, in any number of processes
        and machines. None uses a temporary folder, which is gone with the returned object.
    n_jobs : int, default=None
        Workers, as in joblib. None takes one for each core, as far as memory holds them, or what a surrounding
        `joblib.parallel_config` says, which also carries the work to a cluster (``backend="dask"``).
    random_state : int, default=0
        Seed of the first repeat; the following ones count up from it.
    n_repeats : int, default=5
        How often everything is repeated with another seed. With one there is no test of significance.
    n_rare : int, default=None
        Train with so many images of the rarest class, drawn anew in each repeat; testing keeps all. None keeps all.
    settings : Settings, default=None
        Lengths and sizes. None chooses by image size and device.
    n_steps : int, default=None
        Steps of the generators' training.
    max_time : float, default=None
        Seconds that each GAN sampler trains at most.
    on_error : {"skip", "raise"}, default="skip"
        Whether what fails is recorded, marked in every table and passed over, or stops the run.
    device : str, default="auto"
        Device of the networks.
    cache_limit : int, default=150 MiB
        Bytes of images, features and samples that are kept for later runs in `store`.
    target_names : sequence of str, default=None
        Names of the sorted labels.
    filenames : array-like of shape (n,), default=None
        File of each image, so that wrong predictions can be looked at.
    name : str, default="data"
        Name of the data in tables and report.
    verbose : int, default=1
        Whether to print the plan and to show a bar.

    Returns
    -------
    comparison : Comparison

    Raises
    ------
    ValueError
        When an argument is wrong, or the data cannot be split honestly.
    StoreError
        When the results cannot be written; what was finished is kept.

    Warns
    -----
    UserWarning
        When no groups are known: images of one patient may then be in training and test.

    See Also
    --------
    sklearn.model_selection.cross_validate : For one estimator.
    gan_sampler.quality_report : Whether the images are good.

    Notes
    -----
    A classifier of features sees real images through one embedder, fitted on real training images alone. Networks see
    equally many images in training whatever the sampler, so that more images are not also more training.

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
    """Give the folder of the results, and a function to be told the object with which a temporary one ends."""
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
):
    """Lay out an evaluation; everything that can be wrong with the arguments shows here, before anything is trained.

    Parameters
    ----------
    data : ImageData
        Images, labels, groups.
    store : path-like
        Folder of the results.
    seeds : sequence of int, default=(0,)
        Seed of each repeat.
    resnet18_weights : path or None, default=None
        File of ImageNet weights.
    download : bool, default=False
        Whether ImageNet weights of ResNet18 may be downloaded.
    command : str, default=""
        What the user typed.
    samplers, classifiers, embedders, cv, scoring, n_rare, settings, n_steps, max_time, device, n_jobs
        As in `compare`.

    Returns
    -------
    evaluation : Evaluation
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
    store = Store(store)
    store.remove_abandoned()
    source = data.fingerprint
    _keep_data(store, source, data)
    context = Context(str(store.root.resolve()), source, data.name, settings, str(resolved))
    cells = make_cells(splits, treatments, classifiers, embedders)
    for cell in cells:
        cell.inner_splits(context)  # what a threshold cannot be tuned on is refused now
    return Evaluation(context, data, cells, scoring=scoring, n_jobs=n_jobs, command=command)


def _count(number, noun):
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _keep_data(store, source, data):
    """Put the images and what is known of them where every process finds them."""
    values = {
        "target": data.target.tolist(),
        "groups": None if data.groups is None else [str(group) for group in data.groups],
        "target_names": list(data.target_names),
        "filenames": None if data.filenames is None else [str(name) for name in data.filenames],
    }
    store.write_data(source, data.images, values)


_NO_GROUPS = (
    "No groups (patients) are known for these images: where several images show one patient, they stand in training "
    "and test, and every number is too good. Pass groups (--groups)."
)


class Evaluation:
    """A grid of cells that is laid out and not yet computed; `prepare` makes it.

    Parameters
    ----------
    context : Context
        What all jobs share.
    data : ImageData
        The data.
    cells : list of Cell
        The grid.
    scoring : str
        The metric that the answer is about.
    n_jobs : int or None
        Workers.
    command : str
        What the user typed.
    """

    def __init__(self, context, data, cells, *, scoring, n_jobs, command):
        self.context = context
        self.data = data
        self.cells = cells
        self.scoring = scoring
        self.n_jobs = choose_n_jobs(context, n_jobs)
        self.command = command
        self._manifest = self._describe()

    def plan(self, measure=True):
        """Return what will be done and about how long it takes, as text.

        Parameters
        ----------
        measure : bool, default=True
            Whether trial runs of some seconds tell how fast this machine is; else the length is guessed.

        Returns
        -------
        plan : str
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
        """Compute what is not in the store yet.

        Parameters
        ----------
        on_error : {"skip", "raise"}, default="skip"
            Whether what fails is passed over.
        cache_limit : int, default=150 MiB
            Bytes that are kept for later runs.
        progress : bool, default=True
            Whether to show a bar.
        include_real_images : bool, default=False
            Whether the store keeps the few real images that the report would show.

        Returns
        -------
        comparison : Comparison
        """
        _check_on_error(on_error)
        context, store = self.context, self.context.store
        start = time.perf_counter()
        _keep_data(store, context.source, self.data)  # another run may have cut the cache since
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
        """Keep what the report shows of images: those of the first split."""
        split = self.cells[0].split
        new_images = find_examples(self.context, [cell for cell in self.cells if cell.split is split])
        embedder = next((cell.embedder for cell in self.cells if cell.embedder and cell.embedder.is_frozen), None)
        features_of = None
        if embedder is not None:
            from sklearn.base import clone

            # On all images, as for the cells: the range of floats is that of what it is fitted on.
            estimator = clone(embedder.estimator).fit(self.data.images, self.data.target)
            features_of = estimator.transform
        pictures = make_pictures(
            self.data, split, new_images, features_of, random_state=0, include_real_images=include_real_images
        )
        self.context.store.write_pictures(self._manifest["key"], pictures)

    def _describe(self):
        first = self.cells[0].split
        names = self.data.target_names
        counts = {
            part: dict(zip(names, np.bincount(self.data.target[rows], minlength=len(names)).tolist(), strict=True))
            for part, rows in (("train", first.train), ("test", first.test))
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
            "shape": list(self.data.images.shape),
            "classes": list(names),
            "class_counts": counts,
            "split_about": self._about_split(),
            "groups_about": self._about_groups(),
            "splits": {
                f"{split.name}, seed {split.seed}": digest_of(split.train, split.test)
                for split in {id(cell.split): cell.split for cell in self.cells}.values()
            },
            "treatments": {cell.treatment.name: cell.treatment.label for cell in self.cells},
            "classifiers": {cell.classifier.name: cell.classifier.label for cell in self.cells},
            "embedders": {cell.embedder.name: cell.embedder.about for cell in self.cells if cell.embedder},
            "settings": settings.used(self._names()),
            "versions": versions(),
            "equal_length": settings.equal_length,
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
        splits = list({(cell.split.name, cell.split.seed) for cell in self.cells})
        n_seeds = len({seed for _, seed in splits})
        seeds = _count(n_seeds, "seed")
        first = self.cells[0].split.name
        if first == "official":
            return f"as it came with the data (its validation images, if any, are in neither part), {seeds}."
        if first == "random":
            return f"a stratified quarter for testing, drawn anew for every seed, {seeds}."
        return f"{len(splits) // n_seeds} folds over all images, {seeds}."

    def _about_groups(self):
        if self.data.groups is None:
            return _NO_GROUPS
        n_groups = len(np.unique(self.data.groups))
        return f"Images of one group (patient) stay together: {n_groups:,} groups."
