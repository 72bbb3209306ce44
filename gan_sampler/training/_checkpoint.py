"""The state of a training on disk, from which an interrupted training continues."""

import json
import reprlib
from pathlib import Path

from ._files import listed, read_file, write_file

_LARGEST_COUNT = 2**53  # beyond it a float, which some counts become, is no longer exact
_MISSING = object()  # stands for an entry that one of two dicts lacks
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60


class Checkpoint:
    """The state of a training on disk.

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
        """Return the state that was written last, as from `TrainingState.capture`; None where there is none.

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
            _check_progress(values.get("progress"))
        except ValueError as exc:
            raise ValueError(
                f"{self.path} holds no state that a training could go on from: {exc}. Delete it, or name another "
                "checkpoint_dir."
            ) from exc
        return tensors, values["progress"]

    def write(self, state):
        """Write `state`, as from `TrainingState.capture`, and replace an earlier one.

        Raises
        ------
        OSError
            When it cannot be written; an earlier file is unchanged.
        """
        tensors, progress = state
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_file(self.path, tensors, {"about": self.about, "progress": progress}, argument="checkpoint_dir")


def _differences(there, here, name=""):
    """Yield each entry in which two nested values differ; dicts and lists are compared entry by entry."""
    if isinstance(there, dict) and isinstance(here, dict):
        if there.keys() == here.keys() == {"type", "value"} and there["type"] == here["type"]:
            # A value that JSON cannot hold, stored with its type.
            yield from _differences(there["value"], here["value"], name)
            return
        for key in sorted(there.keys() | here.keys()):
            full_name = f"{name}.{key}" if name else key
            yield from _differences(there.get(key, _MISSING), here.get(key, _MISSING), full_name)
    elif isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        for i, (left, right) in enumerate(zip(there, here, strict=True)):
            yield from _differences(left, right, f"{name}[{i}]")
    elif there != here:
        yield f"{name}: {_short_repr(there)} there, {_short_repr(here)} in this fit"


def _short_repr(value):
    if value is _MISSING:
        return "nothing"
    short = _SHORT.repr(value)
    is_cut = isinstance(value, str | list) and short != repr(value)
    return f"{short} (of length {len(value)})" if is_cut else short


def _check_progress(progress):
    """Raise where the plain values of a state are not what `TrainingState.progress` can be.

    They are used in conditions and as indices: with an invalid step a training might never end.
    """
    if not isinstance(progress, dict):
        raise ValueError(f"progress must be a dict; got {_short_repr(progress)}")
    for name, (is_valid, what) in _PROGRESS.items():
        value = progress.get(name, _MISSING)
        if value is _MISSING or not is_valid(value):
            raise ValueError(f"{name} must be {what}; got {_short_repr(value)}")
    steps = [record["step"] for record in progress["history"]]
    if steps != sorted(set(steps)) or max([progress["best_step"], *steps]) > progress["step"]:
        raise ValueError(
            f"the steps of history must rise up to step, {progress['step']}; got {_short_repr(steps)} and best_step "
            f"{progress['best_step']}"
        )


def _is_count(value):
    return type(value) is int and 0 <= value <= _LARGEST_COUNT


def _is_number(value):
    return type(value) in (int, float)


def _is_duration(value):
    return _is_number(value) and 0 <= value <= _LARGEST_COUNT


def _is_record(value):
    if not isinstance(value, dict) or not all(map(_is_number, value.values())):
        return False
    return _is_count(value.get("step")) and _is_duration(value.get("seconds"))


_COUNT = _is_count, "an integer of at least 0"
_PROGRESS = {
    "step": _COUNT,
    "seconds": (_is_duration, "a finite number of at least 0"),
    "n_rollbacks": _COUNT,
    "best_step": _COUNT,
    "best_score": (lambda value: value is None or _is_number(value), "a number or None"),
    "positions": (lambda value: isinstance(value, list) and all(map(_is_count, value)), "a list of such integers"),
    "history": (
        lambda value: isinstance(value, list) and all(map(_is_record, value)),
        "a list of dicts with a step and seconds each",
    ),
}
