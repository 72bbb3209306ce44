"""One training of a sampler's networks, in this or another process."""

import contextlib
import pickle
import traceback
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from ..runtime import end_with_parent, isolated, random_stream, this_process, threads, training_context
from ..training import (
    CallbackError,
    CheckpointKeeper,
    PixelFrechetDistance,
    PixelFrechetDistanceByClass,
    TrainingInterrupted,
)
from ._bars import TrainingBar
from ._callback import KEPT, for_training, raised_by
from ._factories import try_networks
from ._persistence import describe_network


class Trained(NamedTuple):
    """Result of a training.

    Parameters
    ----------
    name : str
        Name of the training, for messages.
    generator : torch.nn.Module
        Frozen, on the CPU.
    history : list of dict
        One record for each report.
    is_cut_off : bool
        Whether `max_time` ended it early.
    interruption : str or None
        Message about Ctrl-C and how to continue; None if it was not interrupted.
    error : Exception or None
        Exception that the callback raised, if it did.
    """

    name: str
    generator: torch.nn.Module
    history: list
    is_cut_off: bool
    interruption: str | None = None
    error: Exception | None = None


def is_cut_off(history, n_steps, max_time):
    """Return whether `max_time` ended a training; neither a callback nor early stopping, which are no fault."""
    last = history[-1]
    return max_time is not None and last["step"] < n_steps and last["seconds"] >= max_time


@dataclass
class Training:
    """A training; can be pickled and run in another process.

    Parameters
    ----------
    sampler : BaseGANOverSampler
        Provides the networks (`_make_network`) and the training (`_train`).
    name : str
        Name of the training, for messages: ``"class 'sick'"``.
    X : ndarray of shape (n, ...)
        The images, in the sampler's format.
    seed : int
        Seed of networks and training.
    device : torch.device
        Where to train.
    n_threads : int
        Threads inside torch's operators.
    max_time : float or None
        Time limit, in seconds.
    checkpoint : Checkpoint or None, default=None
        Where its state is saved.
    position : str, default=""
        Its number among several, for the progress bar: ``"1 of 3"``.
    """

    sampler: object
    name: str
    X: np.ndarray
    seed: int
    device: torch.device
    n_threads: int
    max_time: float | None
    checkpoint: object = None
    position: str = ""
    _sender: tuple = field(default_factory=this_process)

    classes = label = indices = None  # of a training on all classes, on one class, and again on all classes

    def score(self, images):
        """Return the function that scores snapshots, or None."""
        return PixelFrechetDistance(images)

    def run(self):
        """Train.

        Returns
        -------
        trained : Trained

        Raises
        ------
        FloatingPointError
            When it diverged.
        ValueError
            When the checkpoint is of a longer training.
        """
        sampler, device = self.sampler, self.device
        watched = contextlib.nullcontext() if this_process() == self._sender else end_with_parent(self._sender)
        with watched, threads(self.n_threads):
            networks = self._make_networks()
            keeper, first_step = None, 0
            if self.checkpoint is not None:
                self.checkpoint.about["networks"] = [describe_network(network) for network in networks]
                keeper = CheckpointKeeper(self.checkpoint)
                first_step = self._check_resumption(keeper)
            bar = TrainingBar(
                f"{type(sampler).__name__} {self.name}{self.position and f' ({self.position})'}",
                n_steps=sampler.n_steps,
                max_time=self.max_time,
                verbose=sampler.verbose,
                first_step=first_step,
            )
            if first_step:
                bar.say(f"{self.name}: going on from step {first_step:,} in {keeper.path}")
            with bar, training_context(device, self.seed, networks):
                images = sampler.image_format_.to_compact_tensor(self.X).to(device)
                trained, interruption, error = self._train(networks, images, keeper, bar)
        generator, history = trained
        ended_early = is_cut_off(history, sampler.n_steps, self.max_time)
        return Trained(self.name, generator.cpu(), history, ended_early, interruption, error)

    def _make_networks(self):
        """Return generator and discriminator, new ones, on the device."""
        sampler, shape = self.sampler, self.sampler.image_format_.tensor_shape
        n_classes, index = (1, ()) if self.classes is None else (int(self.classes.max()) + 1, (0,))
        with isolated(self.device, self.seed):
            networks = [
                sampler._make_network(name, shape, n_classes).to(self.device) for name in ("generator", "discriminator")
            ]
            try_networks(networks, shape, self.device, *index)
        return networks

    def _train(self, networks, images, keeper, bar):
        sampler = self.sampler
        try:
            trained = sampler._train(
                networks,
                images,
                classes=None if self.classes is None else torch.from_numpy(self.classes).to(images.device),
                max_time=self.max_time,
                score=None if sampler.snapshot == "last" else self.score(images),
                stream=random_stream(images.device, self.seed),
                checkpoint=keeper,
                report=bar.report,
                callback=for_training(sampler.callback, sampler.image_format_, label=self.label, indices=self.indices),
            )
        except CallbackError as exc:
            return (exc.network, exc.history), None, self._error_of_callback(exc)
        except FloatingPointError as exc:
            raise FloatingPointError(f"Training on {self.name} diverged: {exc}. Use a smaller learning_rate.") from exc
        except TrainingInterrupted as exc:
            return (exc.network, exc.history), self._interruption(exc.history[-1]["step"]), None
        except KeyboardInterrupt as exc:
            raise KeyboardInterrupt(
                f"Training on {self.name} was interrupted before its first report, so that nothing of it is kept."
            ) from exc
        return trained, None, None

    def _error_of_callback(self, failure):
        """Return what the callback raised, in a form that reaches the process in which the fit was called."""
        error = raised_by(failure, self.name)
        if this_process() == self._sender:
            return error
        error.add_note("".join(traceback.format_exception(error)))  # which does not pickle
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # an exception's own __init__ and __reduce__ can raise anything
            return RuntimeError(f"callback raised an exception: {''.join(traceback.format_exception(error))}")
        return error

    def _check_resumption(self, keeper):
        """Return the step from which training continues."""
        state = keeper.read()
        step = 0 if state is None else state[1]["step"]
        n_steps = self.sampler.n_steps
        if step > n_steps:
            raise ValueError(
                f"n_steps must be at least {step}, the steps that checkpoint_dir already holds in {keeper.path}; got "
                f"{n_steps}. Raise n_steps, delete the file or name another checkpoint_dir."
            )
        return step

    def _interruption(self, step):
        where = f"Training on {self.name} was interrupted; its last report was at step {step:,}."
        if self.checkpoint is not None:
            return f"{where} Its state lies in {self.checkpoint.path}: run the same fit again to go on from there."
        return f"{where} {KEPT}"


@dataclass
class ClassTraining(Training):
    """Training on the images of one class.

    Parameters
    ----------
    label : object
        The class.
    """

    label: object = None


@dataclass
class ConditionalTraining(Training):
    """Training of class-conditional networks on the images of every class.

    Parameters
    ----------
    classes : ndarray of shape (n,), int
        Index of the class of each image.
    scored : list of int
        Indices of the classes whose scores decide which snapshot is the best.
    indices : dict of label to int
        These indices by label.
    """

    classes: np.ndarray = None
    scored: list = field(default_factory=list)
    indices: dict = field(default_factory=dict)

    def score(self, images):
        return PixelFrechetDistanceByClass(images, torch.from_numpy(self.classes).to(images.device), self.scored)
