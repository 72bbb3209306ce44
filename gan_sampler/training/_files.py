"""Tensors and plain values in one file: safetensors, with the values as JSON and a checksum in its header."""

import contextlib
import errno
import hashlib
import json
import os
import stat
import uuid
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None

_VALUES = "gan_sampler"  # of the JSON in the header
_LENGTH_BYTES = 8  # in which a safetensors file says how long its header is
_START = b'{"__metadata__":{"sha256":"'  # so that the checksum stands at the same place in every file
_CHECKSUM = slice(_LENGTH_BYTES + len(_START), _LENGTH_BYTES + len(_START) + 2 * hashlib.sha256().digest_size)
_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_PROBE_BYTES = 4096  # a file system may have room for the name of a file and none for a byte of it


def write_file(path, tensors, values, *, argument="path"):
    """Write tensors and plain values to one file, which is never seen half written.

    Parameters
    ----------
    path : path-like
        File to make or replace. One file, not two, because two cannot be replaced at the same instant. A symbolic link
        stays, and what it leads to is replaced; the new file has the permissions of the old one.
    tensors : dict of str to torch.Tensor
        Tensors on any device.
    values : dict
        What JSON can hold.
    argument : str, default="path"
        Whose value `path` is, in error messages.

    Raises
    ------
    TypeError, ValueError
        When `path` can be no name of a file.
    OSError
        When the folder does not exist, the disk is full or the like; a file that was there is as it was.
    """
    path = _check_path(path, argument)
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"Could not write {path}: there is no folder {target.parent}. Make it, or change {argument}."
        )
    try:
        with _unfinished(target.parent, target.name) as (file, unfinished):
            if target.exists():
                unfinished.chmod(stat.S_IMODE(target.stat().st_mode))
            _write(file, tensors, values)
            _sync(file)  # the name must not reach the disk before the bytes do
            if fcntl is None:
                file.close()  # Windows renames no open file, while a lock lasts only as long as the file is open
            unfinished.replace(target)
        _sync_folder(target.parent)
    except OSError as exc:
        raise _retold(
            exc,
            f"Could not write {path}: {exc.strerror or exc}. {argument} must be in a folder that can be written to, on "
            "a disk with room: free some, change the permissions or name another place.",
        ) from exc


def read_file(path, *, argument="path"):
    """Read what `write_file` wrote, to the bit; nothing in the file is run.

    Parameters
    ----------
    path : path-like
        The file.
    argument : str, default="path"
        Whose value `path` is, in error messages.

    Returns
    -------
    tensors : dict of str to torch.Tensor
        Tensors on the CPU.
    values : dict
        The plain values.

    Raises
    ------
    TypeError
        When `path` can be no name of a file.
    OSError
        When there is no such file, or it cannot be read.
    ValueError
        When it is not a file of this package's, or a single bit of it has changed.
    """
    path = _check_path(path, argument)
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}. {argument} must name one that gan_sampler wrote.")
    with path.open("rb") as file:
        if file.read(_CHECKSUM.stop)[_LENGTH_BYTES : _CHECKSUM.start] != _START:  # before all of another file is read
            raise _refusal(path, "it does not begin like one")
        file.seek(0)
        content = file.read()  # once, so that what is checked is what is used
    if _hash_beside_checksum(content).hexdigest().encode() != content[_CHECKSUM]:
        raise _refusal(path, f"its {len(content)} bytes do not match its checksum")
    try:
        return _parse(content)
    except (SafetensorError, KeyError, OverflowError, RuntimeError, TypeError, ValueError) as exc:
        raise _refusal(path, f"{type(exc).__name__}: {exc}") from exc


def check_writable(folder, *, argument="checkpoint_dir"):
    """Raise where no file can be written to a folder, by writing a small one and removing it.

    Parameters
    ----------
    folder : path-like
        An existing folder.
    argument : str, default="checkpoint_dir"
        Whose value it is, in the error message.

    Raises
    ------
    OSError
        When there is no such folder, it may not be written to, or the disk is full.
    """
    try:
        with _unfinished(Path(folder), "check_writable") as (file, _):
            file.write(bytes(_PROBE_BYTES))
            _sync(file)
    except OSError as exc:
        raise _retold(
            exc,
            f"{argument} must be a folder that can be written to; got {str(folder)!r}: {exc.strerror or exc}. Free "
            "some room, change its permissions or name another.",
        ) from exc


def check_tensors(found, wanted, message):
    """Raise unless each tensor that is wanted was found, in its shape and dtype.

    Parameters
    ----------
    found, wanted : dict of str to torch.Tensor
        Tensors by name; those on the meta device have all that is looked at.
    message : str
        What the error says before it lists differences.

    Raises
    ------
    ValueError
        With the first differences.
    """
    differences = [
        f"{name}: {_kind(found.get(name))} there, {_kind(tensor)} here"
        for name, tensor in wanted.items()
        if _kind(found.get(name)) != _kind(tensor)
    ]
    if differences:
        raise ValueError(f"{message}:\n{listed(differences)}")


def listed(lines, n_shown=10):
    """Return the first lines of a list, indented, and how many more there are."""
    more = [f"... and {len(lines) - n_shown} more"] if len(lines) > n_shown else []
    return "\n".join(f"  {line}" for line in [*lines[:n_shown], *more])


def _kind(tensor):
    return "nothing" if tensor is None else f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _write(file, tensors, values):
    """Write what the safetensors library would, with a checksum, and no more than one tensor copied at a time.

    The library takes all of them on the CPU and contiguous, and opens the file by name, so that it could not be locked.
    """
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))  # so that all are aligned
    entries, end = {}, 0
    for name in names:
        start, end = end, end + tensors[name].nbytes
        shape = list(tensors[name].shape)
        entries[name] = {"dtype": _DTYPES[tensors[name].dtype], "shape": shape, "data_offsets": [start, end]}
    metadata = {"sha256": "0" * (_CHECKSUM.stop - _CHECKSUM.start), _VALUES: json.dumps(values)}
    header = json.dumps({"__metadata__": metadata, **entries}, separators=(",", ":")).encode()
    header += b" " * (-len(header) % _LENGTH_BYTES)
    head = len(header).to_bytes(_LENGTH_BYTES, "little") + header
    checksum = _hash_beside_checksum(head)
    file.write(head)
    for name in names:
        data = tensors[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
        checksum.update(data)
        file.write(data)
    file.seek(_CHECKSUM.start)
    file.write(checksum.hexdigest().encode())


def _hash_beside_checksum(content):
    view = memoryview(content)
    hashed = hashlib.sha256(view[: _CHECKSUM.start])
    hashed.update(view[_CHECKSUM.stop :])
    return hashed


def _parse(content):
    """Return tensors and values of a whole file, which may have been made by hand, with the right checksum."""
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    header = json.loads(content[_LENGTH_BYTES : _LENGTH_BYTES + length])
    values = json.loads(header.pop("__metadata__")[_VALUES])
    if not isinstance(values, dict):
        raise ValueError(f"a dict of values must stand in its header; got {type(values).__name__}")
    unknown = {entry["dtype"] for entry in header.values()} - set(_DTYPES.values())
    if unknown:
        raise ValueError(f"tensors must be of dtype {', '.join(_DTYPES.values())}; got {', '.join(map(str, unknown))}")
    return load(content), values


def _refusal(path, why):
    return ValueError(
        f"{path} is no file written by gan_sampler, or a damaged one: {why}. Name a file that save or checkpoint_dir "
        "made. If this is one, restore it from a copy; without one, delete it and train anew."
    )


def _check_path(path, argument):
    """Return `path` as a Path if it can be, or become, the name of a regular file."""
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise TypeError(f"{argument} must be a string or a path; got {path!r}.")
    text = os.fspath(path)
    if not text:
        raise ValueError(f"{argument} must name a file; got an empty string.")
    try:
        mode = os.stat(text).st_mode
    except FileNotFoundError:
        return Path(text)
    except ValueError as exc:  # "\0", or characters that no file system knows
        raise ValueError(f"{argument} must name a file; got {text!r}: {exc}.") from exc
    except OSError as exc:
        raise _retold(exc, f"{argument} must name a file that can be reached; got {text!r}: {exc.strerror}.") from exc
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{argument} must name a file; got the folder {text}. Add a name.")
    if not stat.S_ISREG(mode):
        raise OSError(f"{argument} must name a regular file; got {text}, a pipe, socket or device. Name another.")
    return Path(text)


def _retold(exc, message):
    """Return an exception of the same class and errno with another message."""
    retold = type(exc)(message)
    retold.errno = exc.errno
    return retold


@contextlib.contextmanager
def _unfinished(folder, name):
    """Yield a new file, open and locked, and its path; it is removed at the end unless it was given another name.

    The kernel drops the lock with the process, however that ends. Files of the same purpose, `name`, whose lock can be
    had are therefore nobody's, and are removed first.
    """
    prefix = f".gan_sampler-{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}-"  # as short for long names
    _remove_abandoned(folder, prefix)
    file, path = _open_locked(folder, prefix)
    with file:
        try:
            yield file, path
        finally:
            path.unlink(missing_ok=True)


def _open_locked(folder, prefix):
    while True:
        path = folder / f"{prefix}{uuid.uuid4().hex}.part"  # process ids are the same in many containers
        file = path.open("xb")
        try:
            if _lock(file):
                return file, path
        except BaseException:
            file.close()
            path.unlink(missing_ok=True)
            raise
        file.close()


def _lock(file):
    """Lock a new file; return whether it is still there, not taken for abandoned in the instant before."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as exc:
        if exc.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL):  # on a disk without locks
            raise
    return os.fstat(file.fileno()).st_nlink > 0


def _remove_abandoned(folder, prefix):
    if fcntl is None:
        return
    for path in folder.glob(f"{prefix}*.part"):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            finally:
                os.close(descriptor)
        except OSError:  # a living writer's, another user's, gone by now, or on a disk without locks
            continue


def _sync(file):
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder):
    """Let a new name in a folder survive a power cut, where the file system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as exc:
        if exc.errno not in (errno.EINVAL, errno.ENOTSUP):  # what those answer that know no such thing
            raise
    finally:
        os.close(descriptor)
