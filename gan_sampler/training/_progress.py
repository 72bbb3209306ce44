"""Clock, losses and history of a training, whatever it trains."""

import math
import time

import torch

from .._snapshots import rank

REPORT_EVERY = 50  # steps between two reports; each waits for the device


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


class Progress:
    """How far a training has come, and at which report it was best.

    Parameters
    ----------
    names : sequence of str
        Names of the losses.
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

    def __init__(self, names, *, device, n_steps, max_time=None, n_iter_no_change=None, least_steps=1):
        self.names = names
        self.n_steps, self.max_time, self.n_iter_no_change = n_steps, max_time, n_iter_no_change
        self.least_steps = least_steps
        self.losses = torch.zeros(len(names), dtype=torch.float32, device=device)
        self.step, self.seconds, self.history = 0, 0.0, []
        self.best_step, self.best_score, self._best = 0, None, None
        self._start = time.monotonic()

    @property
    def is_over(self):
        """Whether the step last counted was the last."""
        if self.step >= self.n_steps:
            return True
        if self.step < self.least_steps:
            return False
        if self.max_time is not None and self.seconds >= self.max_time:
            return True
        if self.n_iter_no_change is None:
            return False
        return sum(record["step"] > self.best_step for record in self.history) >= self.n_iter_no_change

    def count(self, *losses):
        """Count a step and its losses; return whether it is time for a report."""
        self.step += 1
        self.losses += torch.stack([loss.detach().float() for loss in losses])
        self.seconds = time.monotonic() - self._start
        return self.step % REPORT_EVERY == 0 or self.is_over

    def steps_since_report(self):
        """Return the number of updates since the last report."""
        return self.step - (self.history[-1]["step"] if self.history else 0)

    def mean_losses(self):
        """Return the mean of each loss since the last report; waits for the device."""
        return dict(zip(self.names, (self.losses / self.steps_since_report()).tolist(), strict=True))

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

    def start_clock(self):
        """Let time count from now on, in addition to the seconds counted so far."""
        self._start = time.monotonic() - self.seconds


def check_finite(scores, step):
    """Raise a FloatingPointError when the score of a report at this step is not finite."""
    if not math.isfinite(scores["score"]):
        raise FloatingPointError(f"losses or weights were no longer finite by step {step}")
