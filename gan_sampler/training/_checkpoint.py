"""The state of a GAN's training on disk."""

from .._checkpoint import MISSING, BaseCheckpoint, short_repr

_LARGEST_COUNT = 2**53  # beyond it a float, which some counts become, is no longer exact


class Checkpoint(BaseCheckpoint):
    """The state of a training on disk, as from `TrainingState.capture`.

    Parameters
    ----------
    path : path-like
        Its file; the folder is made when the first state is written.
    about : dict
        Everything that the result depends on (data, parameters, seed), as values that JSON can hold. A state is only
        returned to the training that wrote it.
    """

    def _check_progress(self, progress):
        _check_progress(progress)


def _check_progress(progress):
    """Raise where the plain values of a state are not what `TrainingState.progress` can be.

    They are used in conditions and as indices: with an invalid step a training might never end.
    """
    if not isinstance(progress, dict):
        raise ValueError(f"progress must be a dict; got {short_repr(progress)}")
    for name, (is_valid, what) in _PROGRESS.items():
        value = progress.get(name, MISSING)
        if value is MISSING or not is_valid(value):
            raise ValueError(f"{name} must be {what}; got {short_repr(value)}")
    steps = [record["step"] for record in progress["history"]]
    if steps != sorted(set(steps)) or max([progress["best_step"], *steps]) > progress["step"]:
        raise ValueError(
            f"the steps of history must rise up to step, {progress['step']}; got {short_repr(steps)} and best_step "
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
