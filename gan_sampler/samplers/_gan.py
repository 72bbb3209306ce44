"""What samplers that train a generator for each class share: training, checkpoints, files, drawing more."""

import contextlib
import dataclasses
import hashlib
import os
import re
import warnings
from abc import abstractmethod
from importlib.metadata import version
from numbers import Integral, Real
from pathlib import Path

import joblib
import numpy as np
import torch
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import Interval
from tqdm.auto import tqdm

from ..runtime import draw_seed, isolated, keep_freed_memory, resolve_device, stacklevel_of_user, threads
from ..training import (
    Checkpoint,
    PixelFrechetDistance,
    PixelFrechetDistanceByClass,
    draw,
)
from ._base import BaseImageOverSampler, check_label, plain_label
from ._persistence import load_sampler, save_sampler, to_json

_ALL_CLASSES = None  # stands for the label where all are learnt together; no class can be called so
# How long, where and how visibly: an interrupted training may go on with other values of these.
_FREE_TO_CHANGE = {
    "sampling_strategy",
    "synthetic_classes",
    "synthetic_ratio",
    "herding",
    "quality",
    "n_steps",
    "max_time",
    "n_iter_no_change",
    "checkpoint_dir",
    "n_jobs",
    "device",
    "random_state",
    "verbose",
}
_LEAST_DIVERSITY = 0.3  # of the real images' own; see CollapseWarning


class CollapseWarning(UserWarning):
    """The images that a generator draws are much more alike than the real ones."""


class BaseGANOverSampler(BaseImageOverSampler):
    """Base class of samplers that train one generator a class, or one for all classes.

    A subclass implements `_networks`, which makes the networks to train, and `_train`, which trains them on the images
    of one class. If one training serves all classes, it sets `_is_conditional`, and `_generator_of` takes the generator
    of one class out of the result.

    Warning: This class should not be used directly. Use the derived classes instead.
    """

    _parameter_constraints: dict = {
        **BaseImageOverSampler._parameter_constraints,
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "max_time": [Interval(Real, 0, None, closed="neither"), None],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), None],
        "checkpoint_dir": [str, os.PathLike, None],
        "device": [*BaseImageOverSampler._parameter_constraints["device"], list, tuple],
    }

    _network_attributes = ("generators_",)
    _is_conditional = False

    @abstractmethod
    def _networks(self, image_shape, n_classes):
        """Make the networks to train.

        Parameters
        ----------
        image_shape : tuple of (int, int, int)
            Channels, height and width of the images.
        n_classes : int
            Number of classes that they learn; 1 unless `_is_conditional`.

        Returns
        -------
        networks : tuple of torch.nn.Module
            Untrained, on the CPU; the first is the generator, with attribute ``latent_dim``.
        """

    @abstractmethod
    def _train(self, networks, images, **how):
        """Train the networks on images.

        Parameters
        ----------
        networks : tuple of torch.nn.Module
            From `_networks`, on the images' device; changed in place.
        images : torch.Tensor of shape (n, channels, height, width)
            Real images: uint8 in 0..255, or float32 in [-1, 1].
        **how
            ``classes``, ``score``, ``resume_from`` and ``report``, as `gan_sampler.training.train_gan` takes them.

        Returns
        -------
        generator : torch.nn.Module
            Frozen.
        history : list of dict
            One record for each report.
        """

    def _generator_of(self, generator, index):
        """Return the generator of the class of this index, noise to images, from what was trained."""
        return generator

    def _resolve_devices(self):
        words = self.device if isinstance(self.device, list | tuple) else [self.device]
        if not words:
            raise ValueError("device must name at least one device; got an empty list.")
        return [resolve_device(word) for word in words]

    def _rows_learnt(self, y, rows):
        only_those = self.pretrain is None and not self._is_conditional
        return super()._rows_learnt(y, rows) if only_those else np.arange(len(y))

    def _learn(self, X, y, rows, random_state):
        """Train a generator for each class, and set `generators_` and `history_`."""
        self.generators_, self.history_ = {}, {}
        if not rows:
            return
        devices = self._resolve_devices()
        # A seed for every class, so that those of some do not depend on whether others are over-sampled too.
        seeds = {label: draw_seed(random_state) for label in [_ALL_CLASSES, *np.unique(y)]}
        how = {"n_threads": torch.get_num_threads(), "folder": _make_folder(self.checkpoint_dir)}
        if self._is_conditional:
            labels, classes = np.unique(y, return_inverse=True)
            indices = {label: int(np.flatnonzero(labels == label)[0]) for label in rows}
            how |= {"classes": classes, "scored": list(indices.values())}
            generator, history, _ = _train_one(self, X, _ALL_CLASSES, devices[0], seeds[_ALL_CLASSES], **how)
            for label, index in indices.items():
                own = [{**_without_diversity(r), "diversity": r[f"diversity_{index}"]} for r in history]
                self._keep(label, self._generator_of(generator, index), own)
            return
        if self.pretrain is not None:
            how["pretrained_on"] = _describe(X)
            _, _, how["start"] = _train_one(self, X, _ALL_CLASSES, devices[0], seeds[_ALL_CLASSES], **how)
        n_jobs = _usable_n_jobs(self.n_jobs)
        _warn_of_too_many_threads(joblib.effective_n_jobs(n_jobs), len(rows), how["n_threads"], devices)
        trainings = joblib.Parallel(n_jobs=n_jobs)(
            joblib.delayed(_train_one)(self, X[found], label, devices[i % len(devices)], seeds[label], **how)
            for i, (label, found) in enumerate(rows.items())
        )
        for label, (generator, history, _) in zip(rows, trainings, strict=True):
            self._keep(label, generator, history)

    def _keep(self, label, generator, history):
        self.generators_[label] = generator.to(self.device_)
        self.history_[label] = history
        warn_of_collapse(label, **at_best(history))

    def _check_has_generators(self):
        if not hasattr(self, "generators_"):
            raise NotFittedError(
                f"This {type(self).__name__} has no generators yet. Call fit_resample, which trains them (fit alone "
                "does not), or read a sampler with load."
            )

    def _synthesise(self, X, y, label, n_images):
        return draw(self.generators_[label], n_images)

    def sample(self, n, label, *, random_state=None):
        """Draw more images of a class without training.

        Parameters
        ----------
        n : int
            Number of images.
        label : object
            One of the classes that were over-sampled, the keys of `generators_`.
        random_state : int, RandomState instance or None, default=None
            Seed of the noise; None draws other images at each call.

        Returns
        -------
        images : ndarray of shape (n, *X.shape[1:])
            Images in the layout, dtype and value range seen at fit.

        Raises
        ------
        NotFittedError
            When there is no generator yet.
        ValueError
            When `label` is no class with a generator, or `n` is negative.
        """
        self._check_has_generators()
        check_label(label, self.generators_)
        if not isinstance(n, Integral) or n < 0:
            raise ValueError(f"n must be an integer of at least 0; got {n!r}.")
        generator = self.generators_[label]
        images = np.empty((n, *self.image_format_.row_shape), dtype=self.image_format_.dtype)
        with isolated(next(generator.parameters()).device, draw_seed(random_state)):
            self.image_format_.fill(images, draw(generator, n))
        return images

    def save(self, path):
        """Write the fitted sampler to a file that `load` reads on any machine.

        Parameters
        ----------
        path : str or path-like
            File to make or replace: safetensors, with parameters, histories and the format of the images as JSON in
            its header. It holds all that `sample` needs, no training image and nothing that runs when it is read.
            `synthetic_mask_`, `quality_` and `feature_names_in_` are not kept, nor is a transformer in `herding` or
            `quality`, in whose place stands True.

        Raises
        ------
        NotFittedError
            When there is no generator yet.
        ValueError
            When a parameter is of a kind that a file cannot hold, such as a function for `sampling_strategy`.

        Warns
        -----
        UserWarning
            When a transformer is replaced by True.
        """
        save_sampler(self, path)

    @classmethod
    def load(cls, path, *, device="cpu"):
        """Read a sampler that `save` wrote.

        Parameters
        ----------
        path : str or path-like
            The file.
        device : str or torch.device, default="cpu"
            Where to draw; the parameter `device` of the sampler is what it was.

        Returns
        -------
        sampler : BaseGANOverSampler
            Fitted: it draws with `sample`, and can be fitted anew.

        Raises
        ------
        FileNotFoundError
            When there is no such file.
        ValueError
            When it does not hold a sampler of this class.
        """
        return load_sampler(cls, path, device)


def _train_one(
    sampler,
    X,
    label,
    device,
    seed,
    *,
    n_threads,
    folder,
    start=None,
    pretrained_on=None,
    classes=None,
    scored=None,
):
    """Train on the images of one class, or of all, here or in another process.

    Returns
    -------
    generator : torch.nn.Module
        Frozen, on the CPU.
    history : list of dict
    states : list of dict or None
        State of each network after a training on all classes, on the CPU, for `start` of others.
    """
    name = str(label)
    if label is _ALL_CLASSES:
        name = "pretraining" if classes is None else "all classes"
    bar = tqdm(total=sampler.n_steps, desc=f"{type(sampler).__name__} {name}", unit="step", disable=not sampler.verbose)
    checkpoint = None
    if folder is not None:
        checkpoint = _checkpoint(sampler, X, label, seed, folder, pretrained_on, classes, scored)

    def report(record, state):
        if checkpoint is not None:
            checkpoint.write(state)
        numbers = {name: f"{record[name]:.3f}" for name in record if name not in ("step", "seconds")}
        bar.set_postfix(numbers, refresh=False)
        bar.update(record["step"] - bar.n)

    memory = keep_freed_memory() if device.type == "cpu" else contextlib.nullcontext()
    with bar, threads(n_threads), isolated(device, seed), memory:
        images = sampler.image_format_.to_compact_tensor(X).to(device)
        n_classes = 1 if classes is None else classes.max() + 1
        networks = [network.to(device) for network in sampler._networks(sampler.image_format_.tensor_shape, n_classes)]
        for network, weights in zip(networks, start or [], strict=False):
            network.load_state_dict(weights)
        if classes is not None:
            classes = torch.from_numpy(classes).to(device)
            score = PixelFrechetDistanceByClass(images, classes, scored)
        else:
            score = None if label is _ALL_CLASSES else PixelFrechetDistance(images)
        try:
            generator, history = sampler._train(
                networks,
                images,
                classes=classes,
                score=score,
                resume_from=None if checkpoint is None else _read(checkpoint, sampler.n_steps),
                report=report,
            )
        except FloatingPointError as exc:
            raise FloatingPointError(
                f"Training on {'all classes' if label is _ALL_CLASSES else f'class {plain_label(label)!r}'} diverged: "
                f"{exc}. Use a smaller learning_rate."
            ) from exc
        states = None
        if label is _ALL_CLASSES:
            states = [{name: tensor.cpu() for name, tensor in network.state_dict().items()} for network in networks]
    return generator.cpu(), history, states


def _checkpoint(sampler, X, label, seed, folder, pretrained_on, classes, scored):
    free = _FREE_TO_CHANGE - ({"n_steps"} if sampler.pretrain else set())  # both trainings would grow, one for nothing
    about = {
        "sampler": type(sampler).__name__,
        "gan_sampler": version("gan-sampler"),
        "parameters": {
            name: to_json(value, name) for name, value in sampler.get_params(deep=False).items() if name not in free
        },
        "class": "all" if label is _ALL_CLASSES else repr(plain_label(label)),
        "images": _describe(X),
        "image_format": to_json(dataclasses.asdict(sampler.image_format_), "image_format_"),
        "pretrained_on": pretrained_on,
        "seed": None if sampler.random_state is None else seed,  # any seed is as good as another where none was set
    }
    if classes is not None:
        about["y"] = hashlib.sha256(np.ascontiguousarray(classes)).hexdigest()[:16]
        about["classes over-sampled"] = scored
        name = "all"
    elif label is _ALL_CLASSES:
        name = "pretraining"
    else:  # readable, but no two labels share a file
        digest = hashlib.sha256(repr(plain_label(label)).encode()).hexdigest()[:8]
        name = f"class-{re.sub(r'[^A-Za-z0-9_.-]+', '_', str(label))[:40]}-{digest}"
    return Checkpoint(folder / f"{type(sampler).__name__}-{name}.safetensors", about)


def _read(checkpoint, n_steps):
    state = checkpoint.read()
    if state is not None and state[1]["step"] > n_steps:
        raise ValueError(
            f"n_steps must be at least {state[1]['step']}, the steps that checkpoint_dir already holds in "
            f"{checkpoint.path}; got {n_steps}. Raise n_steps, delete the file or name another checkpoint_dir."
        )
    return state


def _usable_n_jobs(n_jobs):
    """Return `n_jobs`, or 1 where joblib would start threads, as it does inside another of its workers.

    Random streams belong to a process: two trainings in one would disturb each other.
    """
    backend, _ = joblib.parallel.get_active_backend(prefer="processes")
    return 1 if getattr(backend, "supports_sharedmem", False) else n_jobs


def _make_folder(folder):
    """Make a folder, and return a path to it that means the same in every process; None where there is none."""
    if folder is None:
        return None
    path = Path(folder).expanduser().absolute()
    try:
        if not str(folder):
            raise OSError("an empty path")
        path.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OSError(
            f"checkpoint_dir must be a folder that can be made and written to; got {folder!r}: {exc}"
        ) from exc
    return path


def _without_diversity(record):
    return {name: value for name, value in record.items() if not name.startswith("diversity")}


def _describe(X):
    digest = hashlib.sha256(np.ascontiguousarray(X)).hexdigest()
    return {"n": len(X), "shape": list(X.shape[1:]), "dtype": str(X.dtype), "sha256": digest[:16]}


def at_best(history):
    """Return the diversity at the best report, and the number of steps that it took to find it the best."""
    best = min(history, key=lambda record: record["score"])
    return {"diversity": best["diversity"], "n_steps": history[-1]["step"]}


def warn_of_collapse(label, diversity, n_steps, hint="; history_ shows how it went"):
    """Warn when the images of a class have much less variance than real ones."""
    if diversity < _LEAST_DIVERSITY:
        warnings.warn(
            f"The images drawn for class {plain_label(label)!r} are much more alike than the real ones: their "
            f"diversity is {diversity:.2f} of that of the real images (1 would be as much), after "
            f"{n_steps} steps. Train longer (n_steps), with a smaller learning_rate, or on more images{hint}.",
            CollapseWarning,
            stacklevel=stacklevel_of_user(),
        )


def _warn_of_too_many_threads(n_jobs, n_classes, n_threads, devices):
    n_processes, n_cores = min(n_jobs, n_classes), joblib.cpu_count()
    if n_processes > 1 and n_processes * n_threads > n_cores and any(device.type == "cpu" for device in devices):
        warnings.warn(
            f"n_jobs={n_jobs} starts {n_processes} trainings of {n_threads} torch threads each on {n_cores} cores, "
            "which slows all of them down. Call torch.set_num_threads(1) before, or set OMP_NUM_THREADS=1; the "
            "threads are not reduced here because the images would then depend on n_jobs.",
            UserWarning,
            stacklevel=stacklevel_of_user(),
        )
