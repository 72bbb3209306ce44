"""The state of a training on disk, from which an interrupted training continues."""

import json
import reprlib
from pathlib import Path

from ._files import listed, read_file, write_file

MISSING = object()  # stands for an entry that one of two dicts lacks
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60


class BaseCheckpoint:
    """The state of a training on disk. A subclass checks the plain values of a state that has been read.

    Parameters
    ----------
    path : path-like
        Its file; the folder is made when the first state is written.
    about : dict
        Everything that the result depends on (data, parameters, seed), as values that JSON can hold. A state is only
        returned to the training that wrote it.
    """

    def __init__(self, path, about):
        self.path = Path(path)
        self.about = json.loads(json.dumps(about))  # as it is when it has been read from the file

    def read(self):
        """Return the state that was written last, as `write` got it; None where there is none.

        Raises
        ------
        ValueError
            When the file belongs to other data or parameters, with each difference, or is damaged.
        """
        if not self.path.exists():
            return None
        tensors, values = read_file(self.path, argument="checkpoint_dir")
        if "about" not in values:
            found = "a sampler written by save" if "sampler" in values else "neither"
            raise ValueError(
                f"{self.path} must hold a checkpoint of a training; got {found}. Move it, or name another "
                "checkpoint_dir."
            )
        differences = list(_differences(values["about"], self.about))
        if differences:
            raise ValueError(
                f"checkpoint_dir holds a training on other data or parameters, {self.path}:\n{listed(differences)}\n"
                "To go on with it, fit with what it was started with; to start anew, delete the file or name "
                "another checkpoint_dir. The folds of a cross-validation cannot share one: leave it out there."
            )
        try:
            self._check_progress(values.get("progress"))
        except ValueError as exc:
            raise ValueError(
                f"{self.path} holds no state that a training could go on from: {exc}. Delete it, or name another "
                "checkpoint_dir."
            ) from exc
        return tensors, values["progress"]

    def write(self, state):
        """Write `state` and replace an earlier one.

        Parameters
        ----------
        state : tuple of (dict of str to torch.Tensor, dict)
            Tensors, and values that JSON can hold.

        Raises
        ------
        OSError
            When it cannot be written; an earlier file is unchanged.
        """
        tensors, progress = state
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_file(self.path, tensors, {"about": self.about, "progress": progress}, argument="checkpoint_dir")

    def _check_progress(self, progress):
        """Raise a ValueError where the plain values of a state are not what a training can go on from."""


def _differences(there, here, name=""):
    """Yield each entry in which two nested values differ; dicts and lists are compared entry by entry."""
    if isinstance(there, dict) and isinstance(here, dict):
        if there.keys() == here.keys() == {"type", "value"} and there["type"] == here["type"]:
            # A value that JSON cannot hold, stored with its type.
            yield from _differences(there["value"], here["value"], name)
            return
        for key in sorted(there.keys() | here.keys()):
            full_name = f"{name}.{key}" if name else key
            yield from _differences(there.get(key, MISSING), here.get(key, MISSING), full_name)
    elif isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        for i, (left, right) in enumerate(zip(there, here, strict=True)):
            yield from _differences(left, right, f"{name}[{i}]")
    elif there != here:
        yield f"{name}: {short_repr(there)} there, {short_repr(here)} in this fit"


def short_repr(value):
    """Return the repr of a value, shortened, for error messages; "nothing" for `MISSING`."""
    if value is MISSING:
        return "nothing"
    short = _SHORT.repr(value)
    is_cut = isinstance(value, str | list) and short != repr(value)
    return f"{short} (of length {len(value)})" if is_cut else short
