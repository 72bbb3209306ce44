"""Regular saving of a training's state."""

import time
import warnings

from .runtime import stacklevel_of_user

_MAX_SHARE = 0.02  # of the training time that writing may take
_LEAST_SECONDS = 20.0  # between two writes


class CheckpointKeeper:
    """Writes the latest state of a training at intervals, and at the end.

    The first state is written at once. The interval is 20 seconds, or 50 times the duration of the last write if that
    is longer: this is the most that a killed training loses, and writing takes at most 2 % of the time.

    If a state cannot be written, as on a full disk, a warning is issued, and training continues to the next state.

    Parameters
    ----------
    checkpoint : Checkpoint
        Where to write.
    """

    def __init__(self, checkpoint):
        self.checkpoint = checkpoint
        self._start = None
        self._waiting = None
        self._next_write = 0.0

    @property
    def path(self):
        """File of the checkpoint."""
        return self.checkpoint.path

    def read(self):
        """Return the state to start from, or None."""
        if self._start is None:
            self._start = self.checkpoint.read()
        return self._start

    def keep(self, state):
        """Take the latest state, and write it if the interval is over."""
        self._start, self._waiting = None, state
        if time.monotonic() >= self._next_write:
            self.flush()

    def flush(self):
        """Write the latest state unless it has been written."""
        if self._waiting is None:
            return
        start = time.monotonic()
        try:
            self.checkpoint.write(self._waiting)
        except OSError as exc:  # a full disk must not cost the training
            warnings.warn(
                f"The state of a training could not be written, and the training goes on without it: {exc}",
                UserWarning,
                stacklevel=stacklevel_of_user(),
            )
        self._waiting = None
        end = time.monotonic()
        self._next_write = end + max(_LEAST_SECONDS, (end - start) / _MAX_SHARE)
