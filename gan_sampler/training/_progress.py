"""Clock, history and best snapshot of a training that has neither checkpoints nor a way back."""

import copy
import time

import torch

from ._loop import REPORT_EVERY


class Progress:
    """How far a training has come, and the best it has been through.

    Parameters
    ----------
    names : sequence of str
        Names of the losses.
    network : torch.nn.Module
        What is kept at its best.
    n_steps : int
        Number of updates.
    max_time : float or None
        Seconds after which training is over even if steps are left.

    Attributes
    ----------
    history : list of dict
        At each report ``step``, ``seconds``, the means of the losses since the last one, and what `report` was told.
    is_over : bool
        Whether the step last counted was the last.
    """

    def __init__(self, names, network, *, n_steps, max_time=None):
        self.names, self.network = names, network
        self.n_steps, self.max_time = n_steps, max_time
        self.step, self.seconds, self.is_over, self.history = 0, 0.0, False, []
        self._losses = torch.zeros(len(names), device=next(network.parameters()).device)
        self._best = float("inf"), None
        self._start = time.monotonic()

    def count(self, *losses):
        """Count a step and its losses, which stay on their device; return whether it is time for a report."""
        self.step += 1
        self._losses += torch.stack([loss.detach() for loss in losses])
        self.seconds = time.monotonic() - self._start
        self.is_over = self.step >= self.n_steps or (self.max_time is not None and self.seconds >= self.max_time)
        return self.is_over or self.step % REPORT_EVERY == 0

    def mean_losses(self):
        """Return the mean of each loss since the last report; waits for the device."""
        n_since = self.step - (self.history[-1]["step"] if self.history else 0)
        return dict(zip(self.names, (self._losses / n_since).tolist(), strict=True))

    def report(self, score, also=None):
        """Enter the losses in the history, and remember the network if its score is the smallest so far.

        Parameters
        ----------
        score : float
            The lower the better.
        also : dict of str to float or None, default=None
            What else shall stand in the history.

        Returns
        -------
        record : dict
            The new entry.

        Raises
        ------
        FloatingPointError
            When `score` is not finite.
        """
        self.history.append({"step": self.step, "seconds": self.seconds, **self.mean_losses(), **(also or {})})
        self._losses.zero_()
        if not score < float("inf"):
            raise FloatingPointError(f"losses or weights were no longer finite by step {self.step}")
        if score < self._best[0]:
            self._best = score, copy.deepcopy(self.network.state_dict())
        return self.history[-1]

    def go_to_best(self):
        """Give the network the weights that it had at the report with the smallest score."""
        self.network.load_state_dict(self._best[1])
