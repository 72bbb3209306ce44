"""When a training is written to disk."""

import time
import warnings

from ..runtime import stacklevel_of_user

_SHARE = 0.02  # of the time of training that writing may take
_LEAST_SECONDS = 20.0  # between two writes


class CheckpointKeeper:
    """Writes the newest state of a training now and then, and at the end.

    The first state is written at once, the next ones at least 20 seconds apart, or 50 times as long as the last write
    took, whichever is longer; so a training that is killed loses less than that, and writing takes at most 2 % of its
    time.

    A state that cannot be written, as on a full disk, is told in a warning, and the next one tried.

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
        """Return the state to start from; None where there is none."""
        if self._start is None:
            self._start = self.checkpoint.read()
        return self._start

    def keep(self, state):
        """Take the newest state, and write it if it is time to."""
        self._start, self._waiting = None, state
        if time.monotonic() >= self._next_write:
            self.flush()

    def flush(self):
        """Write the newest state unless it is written."""
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
        self._next_write = end + max(_LEAST_SECONDS, (end - start) / _SHARE)
