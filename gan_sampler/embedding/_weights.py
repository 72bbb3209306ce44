"""Weights of the networks: files of them are read without running code, and must fit."""

import os
import pickle

import torch

IMAGENET = "IMAGENET1K_V1"


def read_state_dict(path):
    """Read a file of weights; other pickled objects are refused."""
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"weights must be {IMAGENET!r}, None, a state_dict or the path of a file that holds one; got "
            f"{os.fspath(path)!r}, and there is no such file."
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, LookupError, AttributeError, TypeError) as exc:
        raise ValueError(
            f"weights={os.fspath(path)!r} is no file of weights that torch can load: {first_line(exc)}. "
            "Write one with torch.save(network.state_dict(), path), or with save_weights(path) of a fitted embedder."
        ) from exc


def load_state_dict(network, state_dict, *, head):
    """Load `state_dict`, with or without the weights of a head of any number of classes."""
    is_state_dict = isinstance(state_dict, dict) and all(
        isinstance(name, str) and torch.is_tensor(value) for name, value in state_dict.items()
    )
    if not is_state_dict:
        raise ValueError(
            "weights must hold a state_dict, tensors by parameter name; got a "
            f"{type(state_dict).__name__} of something else. Take network.state_dict() of the network itself."
        )
    backbone = {name: value for name, value in state_dict.items() if not name.startswith(f"{head}.")}
    try:
        network.load_state_dict(backbone)
    except RuntimeError as exc:
        expected, found = next(iter(network.state_dict())), next(iter(backbone), "nothing")
        raise ValueError(
            f"weights do not fit the network: it expects parameters like {expected!r} ({len(network.state_dict())} in "
            f"all, {head}.* may be left out or given); got {len(backbone)}, beginning with {found!r}. "
            "Pass the state_dict of the same network, without a prefix before its names."
        ) from exc


def first_line(exc):
    """Return the first line of the message of an exception, without its full stop."""
    return (str(exc).splitlines() or [type(exc).__name__])[0].rstrip(".")
