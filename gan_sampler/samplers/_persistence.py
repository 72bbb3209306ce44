"""Parameters and fitted attributes in the words of JSON, and back."""

from pathlib import PurePath

import numpy as np
import torch

_TYPE, _VALUE = "type", "value"


def to_json(value, name):
    """Return `value` in the words of JSON, from which `from_json` makes an equal value again; of a path, its string.

    Parameters
    ----------
    value : object
        None, a bool, number, str, path, device, RandomState, NumPy scalar or dtype, or a list, tuple or dict of these.
    name : str
        What it is called, for the message.

    Raises
    ------
    ValueError
        When it is of another type.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, list):
        return [to_json(element, name) for element in value]
    if isinstance(value, tuple):
        return _typed("tuple", to_json(list(value), name))
    if isinstance(value, dict):
        return _typed("dict", [[to_json(key, name), to_json(element, name)] for key, element in value.items()])
    if isinstance(value, np.dtype):
        return _typed("dtype", value.str)
    if isinstance(value, np.generic):
        return _typed(value.dtype.str, value.item())
    if isinstance(value, np.random.RandomState):
        algorithm, keys, *position = value.get_state()
        return _typed("RandomState", [algorithm, keys.tolist(), *position])
    if isinstance(value, torch.device):
        return _typed("device", str(value))
    if isinstance(value, PurePath):
        return str(value)
    raise ValueError(
        f"{name} must be made of numbers, strings, lists, tuples and dicts to be written to a file; got {value!r}."
    )


def from_json(value):
    """Return what `to_json` was given."""
    if isinstance(value, list):
        return [from_json(element) for element in value]
    if not isinstance(value, dict):
        return value
    kind, inner = value[_TYPE], from_json(value[_VALUE])
    if kind == "tuple":
        return tuple(inner)
    if kind == "dict":
        return dict(inner)
    if kind == "dtype":
        return np.dtype(inner)
    if kind == "RandomState":
        random_state = np.random.RandomState()
        random_state.set_state(tuple(inner))
        return random_state
    if kind == "device":
        return torch.device(inner)
    return np.array(inner, dtype=kind)[()]


def _typed(kind, value):
    return {_TYPE: kind, _VALUE: value}
