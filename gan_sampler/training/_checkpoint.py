"""Tensors and plain values in one file: safetensors, with the values as JSON in its header."""

import json
import os
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

_KEY = "gan_sampler"  # of the JSON in the header


def write_file(path, tensors, values):
    """Write tensors and plain values to one file, which is never seen half written.

    Parameters
    ----------
    path : path-like
        File to make or replace. One file, not two, because two cannot be replaced at the same instant.
    tensors : dict of str to torch.Tensor
        Tensors on any device.
    values : dict
        What JSON can hold.

    Raises
    ------
    OSError
        When the folder does not exist, the disk is full or the like; a file that was there is as it was.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"path must name a file; got the folder {path}.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"Could not write {path}: there is no folder {path.parent}.")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")  # no two processes write to one
    try:
        unfinished.touch()
        mode = unfinished.stat().st_mode  # as of any new file; safetensors lets nobody else read its own
        save_file(
            {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
            unfinished,
            metadata={_KEY: json.dumps(values)},
        )
        unfinished.chmod(mode)
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())  # the name must not reach the disk before the bytes do
        unfinished.replace(path)
    except SafetensorError as exc:
        raise OSError(f"Could not write {path}: {exc}.") from exc
    finally:
        unfinished.unlink(missing_ok=True)


def read_file(path):
    """Read what `write_file` wrote.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    tensors : dict of str to torch.Tensor
        Tensors on the CPU.
    values : dict
        The plain values.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        When it is not a file of this package's.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            values = json.loads(file.metadata()[_KEY])
            return {name: file.get_tensor(name) for name in file.keys()}, values  # noqa: SIM118  (no mapping)
    except (SafetensorError, TypeError, KeyError, json.JSONDecodeError) as exc:
        raise ValueError(
            f"{path} is no file written by gan_sampler, or a damaged one ({type(exc).__name__}: {exc}). Name a file "
            "that save or checkpoint_dir made; delete it if it is one."
        ) from exc


class Checkpoint:
    """A training on disk.

    Parameters
    ----------
    path : path-like
        Its file; the folder is made when the first state is written.
    about : dict
        What was trained on what: plain values, also nested. A state is only given back to the training it came from.
    """

    def __init__(self, path, about):
        self.path = Path(path)
        self.about = json.loads(json.dumps(about))  # as it will be read again

    def read(self):
        """Return the state last written, as `train_gan` takes it for `resume_from`; None where there is none.

        Raises
        ------
        ValueError
            When the file belongs to other data or parameters, with each difference, or is damaged.
        """
        if not self.path.is_file():
            return None
        tensors, values = read_file(self.path)
        if "about" not in values:
            raise ValueError(f"{self.path} must hold a checkpoint of a training; got a sampler written by save.")
        differences = list(_differences(values["about"], self.about))
        if differences:
            raise ValueError(
                f"checkpoint_dir holds a training on other data or parameters, {self.path}:\n"
                + "\n".join(f"  {difference}" for difference in differences)
                + "\nTo go on with it, fit with what it was started with; to start anew, delete the file or name "
                "another checkpoint_dir. The folds of a cross-validation cannot share one: leave it out there."
            )
        return tensors, values["progress"]

    def write(self, state):
        """Replace the file by `state`, a tuple as `TrainingState.capture` returns it."""
        tensors, progress = state
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_file(self.path, tensors, {"about": self.about, "progress": progress})


def _differences(there, here, name=""):
    for key in sorted(there.keys() | here.keys()):
        full_name = f"{name}{key}"
        left, right = there.get(key), here.get(key)
        if isinstance(left, dict) and isinstance(right, dict):
            yield from _differences(left, right, f"{full_name}.")
        elif left != right:
            yield f"{full_name}: {left!r} there, {right!r} in this fit"
