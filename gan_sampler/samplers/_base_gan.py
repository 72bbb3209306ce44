"""Base class of samplers with generators: training, checkpoints, files, `sample`."""

import copy
import dataclasses
import hashlib
import math
import os
import pickle
import re
import warnings
from abc import abstractmethod
from importlib.metadata import version
from numbers import Integral, Real

import joblib
import numpy as np
import torch
from joblib.externals.loky.backend.reduction import dumps as dumps_for_processes
from sklearn.exceptions import NotFittedError
from sklearn.utils import gen_batches
from sklearn.utils._param_validation import Interval, StrOptions

from .._files import make_folder
from ..runtime import (
    check_precision,
    draw_seed,
    random_stream,
    resolve_device,
    stacklevel_of_user,
    warn_of_slow_precision,
)
from ..training import (
    Checkpoint,
    Loss,
    augment_mildly,
    check_loss,
    draw,
    identity_of,
    name_of,
    of_class,
    train_gan,
)
from ._base import BaseImageOverSampler
from ._docstrings import document
from ._factories import FactoryParametersMixin, check_factory, check_network
from ._input import warn_of_narrow_range
from ._judging import best_record, warn_of_early_end
from ._labels import check_label
from ._persistence import load_sampler, save_sampler, to_json
from ._training import ClassTraining, ConditionalTraining
from ._transforms import BATCH_SIZE, transformed

_ALL_CLASSES = None  # key in place of a label for a training on all classes; None cannot be a label
# Parameters that may change when an interrupted training continues: the weights do not depend on them.
_FREE_TO_CHANGE = {
    "sampling_strategy",
    "repeated_share",
    "augmented_share",
    "synthetic_classes",
    "synthetic_ratio",
    "herding",
    "quality",
    "on_poor_quality",
    "n_steps",
    "max_time",
    "n_iter_no_change",
    "checkpoint_dir",
    "n_jobs",
    "callback",
    "device",
    "random_state",
    "verbose",
}
# augmentation="auto" is on for fewer images than this: 150 of 32 x 32 pixels, and proportional to the square of the
# area, so 2,400 of 64 x 64. A rule of thumb, from the experiments in docs/training.md.
_SMALL_CLASS, _SMALL_CLASS_PIXELS = 150, 32 * 32
# That may be functions.
_SENT_TO_PROCESSES = ("callback", "generator", "discriminator", "backbone", "loss", "augmentation")


@document
class BaseGANOverSampler(FactoryParametersMixin, BaseImageOverSampler):
    """Base class of samplers that train one generator for each class, or one for all classes.

    It trains the networks and has all parameters of training. A subclass implements `_factories`, which says how the
    networks are made, and sets `_is_conditional` if one training serves all classes.

    Warning: This class should not be used directly. Use derived classes instead.

    Parameters
    ----------
    {sampling_strategy}
    {image_shape}
    {data_format}
    {value_range}
    {loss}
    n_steps : int, default=5000
        Number of updates of the generator.
    {max_time}
    {n_iter_no_change}
    {batch_size}
    {learning_rate}
    {beta_1}
    {ema_decay}
    {precision}
    {snapshot}
    {collapse_grey}
    {augmentation}
    {checkpoint_dir}
    {n_jobs}
    {callback}
    {repeated_share}
    {augmented_share}
    {synthetic_classes}
    {synthetic_ratio}
    {herding}
    {quality}
    {on_poor_quality}
    {device_or_devices}
    {random_state}
    {verbose}

    Attributes
    ----------
    {sampling_strategy_}
    {synthetic_mask_}
    {class_counts_}
    generators_ : dict
        The trained generator of each over-sampled class.
    history_ : dict
        For each over-sampled class a list of dicts, one for every 50 steps.
    {quality_}
    {image_shape_}
    {n_features_in_}
    {feature_names_in_}
    {device_}
    """

    _parameter_constraints: dict = {
        **BaseImageOverSampler._parameter_constraints,
        "loss": [str, Loss, tuple, callable],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "max_time": [Interval(Real, 0, None, closed="neither"), None],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "ema_decay": [Interval(Real, 0, 1, closed="left")],
        "precision": [StrOptions({"auto", "float32", "bfloat16"})],
        "snapshot": [StrOptions({"best", "last"})],
        "collapse_grey": ["boolean"],
        "augmentation": [StrOptions({"auto", "mild"}), callable, None],
        "checkpoint_dir": [str, os.PathLike, None],
        "n_jobs": [Integral, None],
        "callback": [callable, None],
        "augmented_share": [Interval(Real, 0, 1, closed="both")],
        "device": [*BaseImageOverSampler._parameter_constraints["device"], list, tuple],
    }

    _is_conditional = False

    def __init__(
        self,
        *,
        sampling_strategy="auto",
        image_shape=None,
        data_format="auto",
        value_range=None,
        loss="non_saturating",
        n_steps=5000,
        max_time=None,
        n_iter_no_change=None,
        batch_size=16,
        learning_rate=1e-3,
        beta_1=0.5,
        ema_decay=0.999,
        precision="auto",
        snapshot="best",
        collapse_grey=True,
        augmentation="auto",
        checkpoint_dir=None,
        n_jobs=None,
        callback=None,
        repeated_share=0.75,
        augmented_share=0.5,
        synthetic_classes="resampled",
        synthetic_ratio=0.25,
        herding=False,
        quality=False,
        on_poor_quality="warn",
        device="auto",
        random_state=None,
        verbose=0,
    ):
        super().__init__(
            sampling_strategy=sampling_strategy,
            image_shape=image_shape,
            data_format=data_format,
            value_range=value_range,
            repeated_share=repeated_share,
            synthetic_classes=synthetic_classes,
            synthetic_ratio=synthetic_ratio,
            herding=herding,
            quality=quality,
            on_poor_quality=on_poor_quality,
            device=device,
            random_state=random_state,
            verbose=verbose,
        )
        self.loss = loss
        self.n_steps = n_steps
        self.max_time = max_time
        self.n_iter_no_change = n_iter_no_change
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.ema_decay = ema_decay
        self.precision = precision
        self.snapshot = snapshot
        self.collapse_grey = collapse_grey
        self.augmentation = augmentation
        self.augmented_share = augmented_share
        self.checkpoint_dir = checkpoint_dir
        self.n_jobs = n_jobs
        self.callback = callback

    @abstractmethod
    def _factories(self):
        """Return what makes the networks to train.

        Returns
        -------
        factories : dict of str to callable
            Under "generator" and "discriminator". Each is called with channels, height and width of the images, as a
            tuple, and the number of classes if `_is_conditional`, and returns an untrained network on the CPU. A
            generator has an attribute ``latent_dim`` and, if `_is_conditional`, a method ``of_class(index)`` that
            returns the generator of one class. To check files, it is also made on torch's meta device, so all its
            tensors must be in its ``state_dict``.
        """

    def _make_network(self, name, image_shape, n_classes):
        """Return a new network; `name` is "generator" or "discriminator"."""
        given = (image_shape, n_classes) if self._is_conditional else (image_shape,)
        return check_network(self._factories()[name](*given), name, is_conditional=self._is_conditional)

    def _make_loss(self):
        """Return the `Loss` that the parameters ask for."""
        loss, parameters = self.loss, self._parameters_of("loss")
        if callable(loss):
            check_factory("loss", loss, parameters)
            loss = loss(**parameters)
            if isinstance(loss, str) or callable(loss):
                raise ValueError(
                    f"loss must return a gan_sampler.training.Loss or a tuple of two functions where it is a function "
                    f"itself; {name_of(self.loss)} returned {loss!r}."
                )
        elif parameters:
            raise ValueError(
                f"loss must be a function that takes {', '.join(parameters)}, where loss__{next(iter(parameters))} is "
                f"set; got {loss!r}."
            )
        return check_loss(loss)

    def _validate_params(self):
        super()._validate_params()
        self._make_loss()
        if self.snapshot == "last" and self.n_iter_no_change is not None:
            raise ValueError(
                f"n_iter_no_change must be None with snapshot='last', which computes no scores in training; got "
                f"{self.n_iter_no_change}. Leave it out, or pass snapshot='best'."
            )

    def _augment(self, images, classes):
        """Return the augmentation of a training on these images, or None."""
        if callable(self.augmentation):
            return self.augmentation
        few = _SMALL_CLASS * (images.shape[2] * images.shape[3] / _SMALL_CLASS_PIXELS) ** 2
        n_images = len(images) if classes is None else classes.bincount().min()  # of the rarest class
        is_mild = self.augmentation == "mild" or (self.augmentation == "auto" and n_images < few)
        return augment_mildly if is_mild else None

    def _train(self, networks, images, **options):
        """Train the networks on images.

        Parameters
        ----------
        networks : tuple of torch.nn.Module
            Generator and discriminator, on the images' device; changed in place.
        images : torch.Tensor of shape (n, channels, height, width)
            Real images: uint8 in 0..255, or float32 in [-1, 1].
        **options
            ``classes``, ``max_time``, ``score``, ``stream``, ``checkpoint``, ``report`` and ``callback`` of
            `gan_sampler.training.train_gan`.

        Returns
        -------
        generator : torch.nn.Module
            Frozen.
        history : list of dict
            One record for each report.
        """
        return train_gan(
            *networks,
            images,
            loss=self._make_loss(),
            augment=self._augment(images, options["classes"]),
            n_steps=self.n_steps,
            n_iter_no_change=self.n_iter_no_change,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            beta_1=self.beta_1,
            ema_decay=self.ema_decay,
            precision=self.precision,
            **options,
        )

    def _generator_of(self, generator, index):
        """Return the generator, noise to images, of the class with this index."""
        return generator.of_class(index) if self._is_conditional else generator

    def _resolve_devices(self):
        devices = self.device if isinstance(self.device, list | tuple) else [self.device]
        if not devices:
            raise ValueError("device must name at least one device; got an empty list.")
        return [resolve_device(device) for device in devices]

    def _training_rows(self, y, rows):
        return np.arange(len(y)) if self._is_conditional else super()._training_rows(y, rows)

    def _learnt_format(self, X, rows):
        return super()._learnt_format(X, rows) if self.collapse_grey else self.image_format_

    def _learn(self, X, y, rows, random_states):
        """Train a generator for each class, and set `generators_` and `history_`."""
        self.generators_, self.history_ = {}, {}
        self._cut_off = {}  # trainings that max_time ended early: last step by name
        if not rows:
            return
        warn_of_narrow_range(X, self.image_format_, self.value_range)
        devices = self._resolve_devices()
        for device in devices:
            check_precision(self.precision, device)
        warn_of_slow_precision(self.precision, devices)
        seeds = {label: draw_seed(random_state) for label, random_state in random_states.items()}
        trained = self._without_fit()  # the copy for other processes has no generators
        trained.image_format_ = self.image_format_
        shared = {"sampler": trained, "n_threads": torch.get_num_threads()}
        folder = make_folder(self.checkpoint_dir)
        train = self._train_on_all_classes if self._is_conditional else self._train_each_class
        train(X, y, rows, seeds, devices, folder, shared)
        warn_of_early_end({name: (step, self.n_steps) for name, step in self._cut_off.items()})

    def _train_on_all_classes(self, X, y, rows, seeds, devices, folder, shared):
        labels, classes = np.unique(y, return_inverse=True)
        indices = {label: int(np.flatnonzero(labels == label)[0]) for label in rows}
        scored = list(indices.values())
        seed = seeds[_ALL_CLASSES]
        checkpoint = self._checkpoint(
            folder, "all", X, seed, y=hashlib.sha256(np.ascontiguousarray(classes)).hexdigest()[:16], scored=scored
        )
        trained = ConditionalTraining(
            name="all classes",
            X=X,
            seed=seed,
            device=devices[0],
            max_time=self.max_time,
            checkpoint=checkpoint,
            classes=classes,
            scored=scored,
            indices=indices,
            **shared,
        ).run()
        for label, index in indices.items():
            own = [_record_of(record, index) for record in trained.history]
            self._keep(label, self._generator_of(trained.generator, index), own)
        self._note_end(trained)

    def _train_each_class(self, X, y, rows, seeds, devices, folder, shared):
        n_jobs = joblib.effective_n_jobs(self.n_jobs)
        n_at_once = min(n_jobs, len(rows))
        if n_at_once > 1:
            self._check_pickles()
        _warn_of_too_many_threads(self.n_jobs, n_at_once, shared["n_threads"], devices)
        trainings = (
            ClassTraining(
                name=f"class {label!r}",
                label=label,
                X=X[found],
                seed=seeds[label],
                device=devices[i % len(devices)],
                max_time=None if self.max_time is None else self.max_time / math.ceil(len(rows) / n_at_once),
                checkpoint=self._checkpoint(
                    folder, _name_of_class(label), X[found], seeds[label], **{"class": repr(label)}
                ),
                position=f"class {i + 1} of {len(rows)}" if len(rows) > 1 else "",
                **shared,
            )
            for i, (label, found) in enumerate(rows.items())
        )
        try:
            for label, trained in zip(rows, _run(trainings, self.n_jobs), strict=True):
                self._keep(label, trained.generator, trained.history)
                self._note_end(trained)
        except KeyboardInterrupt as exc:
            if exc.args or n_at_once == 1:  # the message says where; otherwise it was in other processes
                raise
            raise KeyboardInterrupt(self._interruption(folder)) from exc

    def _check_pickles(self):
        """Raise a ValueError where a function cannot go to the processes that joblib would start."""
        backend, _ = joblib.parallel.get_active_backend(prefer="processes")
        if getattr(backend, "uses_threads", False):
            return
        parameters = self.get_params(deep=False)
        for name, value in parameters.items():
            if name not in _SENT_TO_PROCESSES and not self._is_factory_parameter(name):
                continue
            try:
                dumps_for_processes(value)
            except (TypeError, ValueError, AttributeError, RuntimeError, pickle.PicklingError) as exc:
                raise ValueError(
                    f"{name} must be picklable with n_jobs={self.n_jobs}, since classes are trained in other "
                    f"processes; got {value!r}: {exc}. Pass n_jobs=None, or open what it uses inside of it."
                ) from exc

    def _keep(self, label, generator, history):
        self.generators_[label] = generator.to(self.device_)
        self.history_[label] = history

    def _interruption(self, folder):
        message = f"Training with n_jobs={self.n_jobs} was interrupted."
        if self.generators_:
            done = list(self.generators_)
            message += f" Classes that were done, {done}, are in generators_, and sample draws from them."
        if folder is not None:
            message += f" The states of the others lie in {folder}: run the same fit again to go on from there."
        return message

    def _note_end(self, trained):
        if trained.error is not None:
            self._callback_error = trained.error
            raise trained.error
        if trained.interruption is not None:
            raise KeyboardInterrupt(trained.interruption)
        if trained.is_cut_off:
            self._cut_off[trained.name] = trained.history[-1]["step"]

    def _change_repeated(self, images, random_state):
        # A row that is no picture has no neighbourhood to move in.
        keeps_all = self.synthetic_classes == "all" or self.image_shape == "row"
        n_changed = 0 if keeps_all else round(self.augmented_share * len(images))
        changed = images[len(images) - n_changed :]  # as many of each real image as of the others, up to one
        for batch in gen_batches(n_changed, BATCH_SIZE) if n_changed else ():
            real = self.image_format_.to_tensor(changed[batch]).to(self.device_)
            self.image_format_.fill(changed[batch], transformed(real, range(len(real)), random_state))

    def _score(self, X, y, label, random_state):
        if self.snapshot == "last":
            return super()._score(X, y, label, random_state)
        return best_record(self.history_[label])

    def _has_fitted_networks(self):
        return bool(getattr(self, "generators_", None))

    def __getstate__(self):
        state = super().__getstate__()
        if "generators_" in state:  # so that the pickle can be loaded on machines without this accelerator
            generators = {label: copy.deepcopy(generator).cpu() for label, generator in state["generators_"].items()}
            state = {**state, "generators_": generators, "device_": torch.device("cpu")}
        return state

    def _advice(self):
        if self._cut_off:
            return "Give training more time (max_time); history_ shows how it went."
        return (
            "Train longer (n_steps), with a smaller learning_rate, or on more or smaller images; history_ shows how it "
            "went."
        )

    def _check_has_generators(self):
        if not hasattr(self, "generators_"):
            raise NotFittedError(
                f"This {type(self).__name__} has no generators yet. Call fit_resample, which trains them (fit alone "
                "does not), or read a sampler with load."
            )

    def _synthesise(self, X, y, label, n_images, random_state):
        return self._draw(label, n_images, draw_seed(random_state))

    def _draw(self, label, n_images, seed):
        generator = self.generators_[label]
        return draw(generator, n_images, random_stream(next(generator.parameters()).device, seed))

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
        MemoryError
            When there is no room for the images.
        """
        self._check_has_generators()
        check_label(label, self.generators_)
        if not isinstance(n, Integral) or isinstance(n, bool) or n < 0:
            raise ValueError(f"n must be an integer of at least 0; got {n!r}.")
        try:
            images = np.empty((n, *self.image_format_.row_shape), dtype=self.image_format_.dtype)
        # OverflowError and ValueError: larger than an array can be.
        except (MemoryError, OverflowError, ValueError) as exc:
            raise MemoryError(f"n={n} images do not fit in memory. Draw fewer at a time.") from exc
        self.image_format_.fill(images, self._draw(label, n, draw_seed(random_state)))
        return images

    def save(self, path):
        """Write the fitted sampler to a file that `load` reads on any machine.

        Parameters
        ----------
        path : str or path-like
            File to create or replace: safetensors, with parameters, histories and the format of the images as JSON in
            its header. It holds everything that `sample` needs, no training images and no code. `synthetic_mask_`,
            `quality_` and `feature_names_in_` are not saved, and a transformer in `herding` or `quality` is replaced by
            True.

        Raises
        ------
        NotFittedError
            When there is no generator yet.
        ValueError
            When a parameter is of a kind that a file cannot hold, such as a function for `sampling_strategy`.

        Warns
        -----
        UserWarning
            When a parameter that a file cannot hold, such as a transformer or a loss of your own, is replaced by its
            nearest kind that it can. Pass it to `load`.
        """
        save_sampler(self, path)

    @classmethod
    def load(cls, path, *, device="cpu", **parameters):
        """Read a sampler that `save` wrote.

        Parameters
        ----------
        path : str or path-like
            The file.
        device : str or torch.device, default="cpu"
            Where to draw; the parameter `device` of the sampler is what it was.
        **parameters : dict
            Parameters of the sampler that take the place of those in the file, such as functions, which it does not
            hold: ``loss=my_loss``. A generator of your own must be passed, because its code is not in the file.

        Returns
        -------
        sampler : object
            Of this class and fitted: it draws with `sample`, and can be fitted anew.

        Raises
        ------
        FileNotFoundError
            When there is no such file.
        ValueError
            When it does not hold a sampler of this class, or one with other networks than the parameters ask for.
        """
        return load_sampler(cls, path, device, parameters)

    def _checkpoint(self, folder, name, X, seed, **about):
        """Return the checkpoint of a training, with all that its result depends on; None without a folder.

        The networks are described when they are made.
        """
        if folder is None:
            return None
        free = _FREE_TO_CHANGE | {"loss"}  # it has its own entry
        about = {
            "sampler": f"{type(self).__module__}.{type(self).__qualname__}",
            "loss": self._make_loss().identity,
            "versions": {name: version(name) for name in ("gan-sampler", "torch")},
            "parameters": {
                name: _plain_or_identity(value, name)
                for name, value in self.get_params(deep=False).items()
                if name not in free
            },
            "images": _describe(X),
            "image_format": to_json(dataclasses.asdict(self.image_format_), "image_format_"),
            "seed": None if self.random_state is None else seed,  # without a given seed, a fit may continue with any
            **about,
        }
        return Checkpoint(folder / f"{type(self).__name__}-{name}.safetensors", about)


def _run(trainings, n_jobs):
    """Yield the results of trainings in their order, as soon as they are available."""
    backend, _ = joblib.parallel.get_active_backend(prefer="processes")
    return_as = "generator" if backend.supports_return_generator else "list"
    yield from joblib.Parallel(n_jobs=n_jobs, return_as=return_as)(map(joblib.delayed(ClassTraining.run), trainings))


def _record_of(record, index):
    """Return the record of one class from that of a training on all classes."""
    common = {
        name: value
        for name, value in record.items()
        if not name.startswith(("score_", "variance_ratio_", "spectral_distance_"))
    }
    if "score" not in record:  # snapshot="last"
        return common
    return {**common, **of_class(record, index), "mean_score": record["score"]}


def _name_of_class(label):
    """Return a readable and unique file name for a label."""
    digest = hashlib.sha256(repr(label).encode()).hexdigest()[:8]
    return f"class-{re.sub(r'[^A-Za-z0-9_.-]+', '_', str(label))[:40]}-{digest}"


def _describe(X):
    digest = hashlib.sha256(np.ascontiguousarray(X)).hexdigest()
    return {"n": len(X), "shape": list(X.shape[1:]), "dtype": str(X.dtype), "sha256": digest[:16]}


def _plain_or_identity(value, name):
    """Return a parameter as JSON can hold it, or a description where it is a function or another object."""
    try:
        return to_json(value, name)
    except ValueError:
        return identity_of(value)


def _warn_of_too_many_threads(n_jobs, n_at_once, n_threads, devices):
    n_cores = joblib.cpu_count()
    if n_at_once > 1 and n_at_once * n_threads > n_cores and any(device.type == "cpu" for device in devices):
        warnings.warn(
            f"n_jobs={n_jobs} starts {n_at_once} trainings of {n_threads} torch threads each on {n_cores} cores, "
            "which slows all of them down. Call torch.set_num_threads(1) before, or set OMP_NUM_THREADS=1; the "
            "threads are not reduced here because the images would then depend on n_jobs.",
            UserWarning,
            stacklevel=stacklevel_of_user(),
        )
