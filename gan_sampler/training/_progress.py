"""Clock, losses and history of a training."""

import contextlib
import time
from numbers import Integral

import torch

from .._snapshots import rank
from ..runtime import draw_seed, draws_from_torch

REPORT_EVERY = 50  # steps between two reports; each waits for the device
_LOSSES = ("loss_discriminator", "loss_generator")


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C in a training that had something to keep.

    Parameters
    ----------
    network : torch.nn.Module
        The best snapshot so far, frozen.
    history : list of dict
        The reports so far.
    """

    def __init__(self, network, history):
        super().__init__(f"Training was interrupted after the report at step {history[-1]['step']}.")
        self.network, self.history = network, history

    def __reduce__(self):  # an exception is pickled by the arguments of its message
        return type(self), (self.network, self.history)


class CallbackError(Exception):
    """An exception in a callback, in a training that had something to keep; the exception is its cause.

    Parameters
    ----------
    network : torch.nn.Module
        The best snapshot so far, frozen.
    history : list of dict
        The reports so far.
    """

    def __init__(self, network, history):
        super().__init__(f"The callback raised an exception at the report of step {history[-1]['step']}.")
        self.network, self.history = network, history

    def __reduce__(self):
        return type(self), (self.network, self.history)


class TrainingProgress:
    """How far a training has come: what a callback is called with at each report.

    Parameters
    ----------
    record : dict
        The newest entry of the history.
    n_steps : int
        Number of updates that the training is to make.
    draw : callable
        Called as ``draw(n, seed, index)``; returns a tensor of n images in [-1, 1] of the class of this index, which is
        None where the training is of a single class.
    label : object, default=None
        The class that is trained.
    indices : dict of label to int or None, default=None
        Index of each class that images can be drawn of, where a training is of several.
    to_user : callable or None, default=None
        Brings a tensor of images into the form that the user has; None leaves it.

    Attributes
    ----------
    label : object
        The class that is trained. None where one training is of all classes, as in `ConditionalDCGANOverSampler`.
    labels : list
        The classes that `sample` can draw; empty under `gan_sampler.training.train_gan`, which knows no labels.
    step : int
        Updates of the generator so far.
    n_steps : int
        Updates that the training is to make, unless it ends earlier.
    record : dict of str to float
        What enters `history_` at this report: ``step``, ``seconds``, the mean losses since the last report and, where
        the sampler has them, ``score``, ``variance_ratio`` and ``spectral_distance``; of several classes
        also those of each, as ``score_sick`` for the class ``"sick"``. A copy: it may be changed.

    Examples
    --------
    >>> import numpy as np
    >>> from gan_sampler import DCGANOverSampler
    >>> def follow(progress):
    ...     print(progress.label, progress.step, sorted(progress.record)[:2], progress.sample(4).shape)
    ...     return progress.step >= 100  # True ends the training of this class
    >>> rng = np.random.default_rng(0)
    >>> X = rng.integers(0, 256, size=(30, 16, 16), dtype=np.uint8)
    >>> y = np.array(["sick"] * 10 + ["well"] * 20)
    >>> sampler = DCGANOverSampler(n_steps=500, callback=follow, random_state=0)
    >>> X_res, y_res = sampler.fit_resample(X, y)
    sick 50 ['loss_discriminator', 'loss_generator'] (4, 16, 16)
    sick 100 ['loss_discriminator', 'loss_generator'] (4, 16, 16)
    """

    def __init__(self, record, n_steps, draw, *, label=None, indices=None, to_user=None):
        self.record, self.n_steps, self.label = dict(record), n_steps, label
        self.step = record["step"]
        self._draw, self._indices, self._to_user = draw, indices, to_user
        self.labels = list(indices) if indices is not None else [] if label is None else [label]

    def sample(self, n, label=None, *, random_state=0):
        """Draw images as the averaged generator makes them at this moment; the training goes on as if none were drawn.

        Available until the callback returns. Batches are normalised by their own statistics, as those that are scored.

        Parameters
        ----------
        n : int
            Number of images.
        label : object, default=None
            Class to draw, one of `labels`. None stands for all of them, class by class, in equal numbers or nearly so.
        random_state : int, RandomState instance or None, default=0
            Seed. The default gives the same noise at every report, so that pictures can be followed; None gives other
            noise at each call.

        Returns
        -------
        images : ndarray of shape (n, *X.shape[1:])
            In the layout, dtype and value range of the images that are fitted. Under `gan_sampler.training.train_gan`,
            a tensor of shape (n, channels, height, width) in [-1, 1].

        Raises
        ------
        ValueError
            When `n` is negative or no integer, or `label` none of `labels`.
        RuntimeError
            When the callback has returned: the training has moved on.
        """
        if self._draw is None:
            raise RuntimeError(
                "sample draws from a training that has moved on; call it inside of the callback, and keep the images."
            )
        if not isinstance(n, Integral) or isinstance(n, bool) or n < 0:
            raise ValueError(f"n must be an integer of at least 0; got {n!r}.")
        if label is not None and label not in self.labels:
            raise ValueError(
                f"label must be None or one of the classes in this training, {self.labels}; got {label!r}."
            )
        seed = draw_seed(random_state)
        if self._indices is None:
            images = self._draw(n, seed, None)
        else:
            wanted = self.labels if label is None else [label]
            counts = [n // len(wanted) + (i < n % len(wanted)) for i in range(len(wanted))]
            images = torch.cat(
                [self._draw(k, seed, self._indices[each]) for each, k in zip(wanted, counts, strict=True)]
            )
        return images if self._to_user is None else self._to_user(images)

    def close(self):
        """Refuse further images: the networks are about to change."""
        self._draw = None


class Progress:
    """How far a training has come, and at which report it was best.

    Parameters
    ----------
    device : torch.device
        Where losses are summed, so that a step does not wait for the device.
    n_steps : int
        Number of updates.
    max_time : float or None, default=None
        Seconds after which training is over even if steps are left.
    n_iter_no_change : int or None, default=None
        Number of reports in a row without a better score after which it is over, too.
    least_steps : int, default=1
        Updates that are made whatever `max_time` says.

    Attributes
    ----------
    step : int
        Updates made.
    seconds : float
        Time taken by them.
    history : list of dict
        At each report ``step``, ``seconds``, the means of the losses since the last one, and what `report` was given.
    best_step : int
        Step of the best report, 0 before the first.
    best_score : float or None
        Its score.
    """

    def __init__(self, *, device, n_steps, max_time=None, n_iter_no_change=None, least_steps=1):
        self.n_steps, self.max_time, self.n_iter_no_change = n_steps, max_time, n_iter_no_change
        self.least_steps = least_steps
        self.losses = torch.zeros(len(_LOSSES), dtype=torch.float32, device=device)
        self.step, self.seconds, self.history = 0, 0.0, []
        self.best_step, self.best_score, self._best = 0, None, None
        self._is_stopped = False
        self._start = time.monotonic()

    @property
    def is_over(self):
        """Whether the step last counted was the last."""
        if self.step >= self.n_steps or self._is_stopped:
            return True
        if self.step < self.least_steps:
            return False
        if self.max_time is not None and self.seconds >= self.max_time:
            return True
        if self.n_iter_no_change is None:
            return False
        return sum(record["step"] > self.best_step for record in self.history) >= self.n_iter_no_change

    def count(self, *losses):
        """Count a step and its losses, of discriminator and generator; return whether it is time for a report."""
        self.step += 1
        self.losses += torch.stack([loss.detach().float() for loss in losses])
        self.seconds = time.monotonic() - self._start
        return self.step % REPORT_EVERY == 0 or self.is_over

    def steps_since_report(self):
        """Return the number of updates since the last report."""
        return self.step - (self.history[-1]["step"] if self.history else 0)

    def mean_losses(self):
        """Return the mean of each loss since the last report; waits for the device."""
        return dict(zip(_LOSSES, (self.losses / self.steps_since_report()).tolist(), strict=True))

    def would_be_best(self, scores):
        """Return whether a report of these scores would be the best so far: by its `rank`, or if it has no score."""
        if self._best is None or "score" not in scores:
            return True
        return rank(scores) < rank(self._best)

    def report(self, scores):
        """Enter losses and scores in the history.

        Parameters
        ----------
        scores : dict of str to float
            What else shall stand in the history. Its `rank` decides whether this report is the best so far; without a
            ``score`` it is.

        Returns
        -------
        record : dict
            The new entry.
        """
        record = {"step": self.step, "seconds": self.seconds, **self.mean_losses(), **scores}
        self.losses.zero_()
        if self.would_be_best(scores):
            self._best, self.best_step, self.best_score = record, self.step, scores.get("score")
        self.history.append(record)
        return record

    def state_dict(self):
        """Return what `load_state_dict` takes to go on from here, in words of JSON; `losses` are kept by the caller."""
        names = ("step", "seconds", "best_step", "best_score")
        return {**{name: getattr(self, name) for name in names}, "history": [dict(record) for record in self.history]}

    def load_state_dict(self, state):
        """Go to where `state_dict` was called; the clock goes on from the seconds counted there at a new start."""
        self.step, self.seconds = state["step"], state["seconds"]
        self.best_step, self.best_score = state["best_step"], state["best_score"]
        self.history = [dict(record) for record in state["history"]]
        self._best = next((record for record in self.history if record["step"] == self.best_step), None)

    def call_back(self, callback, draw, keep, networks):
        """Show the newest report to the callback of a user, and let it be the last one if that returns True.

        Parameters
        ----------
        callback : callable or None
            Called with a `TrainingProgress`.
        draw : callable
            Called as ``draw(n, seed, index)``; draws images at this moment without changing anything.
        keep : callable
            Returns the best snapshot, frozen, for what is kept when the callback raises an exception.
        networks : iterable of torch.nn.Module
            What is trained; may draw from torch's own random streams.

        Raises
        ------
        CallbackError
            When the callback raised an exception, from which it is raised.
        """
        if callback is None:
            return
        progress = TrainingProgress(self.history[-1], self.n_steps, draw)
        # Elsewhere the training has a stream of its own, and torch's belong to whoever else runs in this process.
        is_shared = any(map(draws_from_torch, networks))
        try:
            with _kept_random_streams(self.losses.device) if is_shared else contextlib.nullcontext():
                answer = callback(progress)
        except Exception as exc:
            raise CallbackError(keep(), self.history) from exc
        finally:
            progress.close()
        # True alone, also NumPy's, which comparisons give; what a function in one line happens to return stops nothing.
        self._is_stopped = type(answer).__name__ in ("bool", "bool_") and bool(answer)

    def start_clock(self):
        """Let time count from now on, in addition to the seconds counted so far."""
        self._start = time.monotonic() - self.seconds


def _kept_random_streams(device):
    on_accelerator = device.type != "cpu"
    return torch.random.fork_rng(
        devices=[device] if on_accelerator else [], device_type=device.type if on_accelerator else "cuda"
    )
