"""What a training needs to go on after an interruption."""

import hashlib
import io
import json
import re
from importlib.metadata import version

import numpy as np
import torch
from skorch.history import History

from .._checkpoint import BaseCheckpoint
from .._files import make_folder
from .._keeper import CheckpointKeeper

# Parameters that may change when an interrupted training continues: the weights after an epoch do not depend on them.
_FREE_TO_CHANGE = {
    "max_epochs",
    "n_iter_no_change",
    "checkpoint_dir",
    "device",
    "verbose",
    "random_state",
    "warm_start",
}


def make_keeper(classifier, X, codes, validation, seed):
    """Return what saves the state of a training regularly; None without `checkpoint_dir`.

    Parameters
    ----------
    classifier : BaseClassifier
        Its parameters, with the data and the seed, say which states belong to this training.
    X, codes : array-like, ndarray of int
        Training inputs and their labels.
    validation : tuple of (ndarray, ndarray) or None
        Validation inputs and their labels.
    seed : int
        Seed of the training.
    """
    folder = make_folder(classifier.checkpoint_dir)
    if folder is None:
        return None
    kind = type(classifier)
    parameters = classifier.get_params(deep=False)
    about = {
        "classifier": f"{kind.__module__}.{kind.__qualname__}",
        "versions": {name: version(name) for name in ("gan-sampler", "skorch", "torch")},
        "parameters": {name: _as_text(value) for name, value in parameters.items() if name not in _FREE_TO_CHANGE},
        "training": [_describe(X), _describe(codes)],
        "validation": None if validation is None else [_describe(values) for values in validation],
        "seed": None if classifier.random_state is None else seed,  # without one, a fit may continue with any
    }
    return CheckpointKeeper(BaseCheckpoint(folder / f"{kind.__name__}.safetensors", about))


def state_of(classifier, best):
    """Return the state after an epoch, as `BaseCheckpoint.write` takes it.

    Parameters
    ----------
    classifier : BaseClassifier
        In training.
    best : dict or None
        ``state_dict`` of the module after the best epoch, with early stopping.
    """
    device = classifier.device_
    weights = {
        "module": classifier.module_.state_dict(),
        "criterion": classifier.criterion_.state_dict(),
        "optimizer": classifier.optimizer_.state_dict(),
        "best": best,
        "random_state": torch.get_rng_state(),
    }
    if device.type != "cpu":
        weights["random_state of the device"] = torch.get_device_module(device).get_rng_state(device)
    file = io.BytesIO()
    torch.save(weights, file)  # also keeps memory formats, and values of an optimizer that are not tensors
    history = json.loads(json.dumps(classifier.history.to_list(), default=lambda value: value.item()))  # NumPy scalars
    return {"state": torch.frombuffer(file.getbuffer(), dtype=torch.uint8)}, {"history": history}


def restore(classifier, keeper):
    """Return a classifier that has just been initialized to its saved state, if there is one.

    Parameters
    ----------
    classifier : BaseClassifier
        Changed in place, with torch's random state.
    keeper : CheckpointKeeper
        Where the state may be.

    Returns
    -------
    best : dict or None
        ``state_dict`` of the module after the best epoch so far, with early stopping.

    Raises
    ------
    ValueError
        When the state belongs to another training, or to a longer one.
    """
    saved = keeper.read()
    if saved is None:
        return None
    tensors, progress = saved
    history = progress["history"]
    if len(history) > classifier.max_epochs:
        raise ValueError(
            f"max_epochs must be at least {len(history)}, the epochs that checkpoint_dir already holds in "
            f"{keeper.path}; got {classifier.max_epochs}. Raise max_epochs, delete the file or name another "
            "checkpoint_dir."
        )
    device = classifier.device_
    weights = torch.load(io.BytesIO(tensors["state"].numpy().tobytes()), weights_only=True, map_location="cpu")
    classifier.module_.load_state_dict(weights["module"])
    classifier.criterion_.load_state_dict(weights["criterion"])
    classifier.optimizer_.load_state_dict(weights["optimizer"])
    classifier.history_ = History(history)
    torch.set_rng_state(weights["random_state"])
    if device.type != "cpu":
        torch.get_device_module(device).set_rng_state(weights["random_state of the device"], device)
    return weights["best"]


def _as_text(value):
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _describe(values):
    values = np.ascontiguousarray(values)
    return {"shape": list(values.shape), "dtype": str(values.dtype), "sha256": hashlib.sha256(values).hexdigest()[:16]}
