"""Tensors and JSON values in one safetensors file, with a checksum in its header."""

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

_VALUES = "gan_sampler"  # key of the JSON values in the header
_LENGTH_BYTES = 8  # of the length of the header, at the start of a safetensors file
_START = b'{"__metadata__":{"sha256":"'  # so that the checksum is at the same position in every file
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
_PROBE_BYTES = 4096  # a full file system may still create an empty file


def write_file(path, tensors, values, *, argument="path"):
    """Write tensors and values to one file atomically: no reader sees an incomplete file.

    Parameters
    ----------
    path : path-like
        File to create or replace. It is one file because two cannot be replaced atomically. Of a symbolic link the
        target is replaced; the new file has the permissions of the old one.
    tensors : dict of str to torch.Tensor
        Tensors on any device.
    values : dict
        Values that JSON can hold.
    argument : str, default="path"
        Name of the parameter that `path` comes from, for error messages.

    Raises
    ------
    TypeError, ValueError
        When `path` cannot be the name of a file.
    OSError
        When it cannot be written, as on a full disk; an earlier file is unchanged.
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
            _sync(file)  # the content must be on disk before the file gets its name
            if fcntl is None:
                file.close()  # Windows cannot rename an open file; elsewhere closing it would release the lock
            unfinished.replace(target)
        _sync_folder(target.parent)
    except OSError as exc:
        raise _with_message(
            exc,
            f"Could not write {path}: {exc.strerror or exc}. {argument} must be in a folder that can be written to, on "
            "a disk with room: free some, change the permissions or name another place.",
        ) from exc


def read_file(path, *, argument="path"):
    """Read a file that `write_file` wrote. Nothing in the file is executed.

    Parameters
    ----------
    path : path-like
        The file.
    argument : str, default="path"
        Name of the parameter that `path` comes from, for error messages.

    Returns
    -------
    tensors : dict of str to torch.Tensor
        Tensors on the CPU.
    values : dict
        The plain values.

    Raises
    ------
    TypeError
        When `path` cannot be the name of a file.
    OSError
        When there is no such file, or it cannot be read.
    ValueError
        When it was not written by this package, or has been changed or damaged.
    """
    path = _check_path(path, argument)
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}. {argument} must name one that gan_sampler wrote.")
    with path.open("rb") as file:
        # Without reading other, perhaps large, files completely.
        if file.read(_CHECKSUM.stop)[_LENGTH_BYTES : _CHECKSUM.start] != _START:
            raise _invalid_file(path, "it does not begin like one")
        file.seek(0)
        content = file.read()  # read once, so that the content that is checked is the content that is used
    if _hash_beside_checksum(content).hexdigest().encode() != content[_CHECKSUM]:
        raise _invalid_file(path, f"its {len(content)} bytes do not match its checksum")
    try:
        return _parse(content)
    except (SafetensorError, KeyError, OverflowError, RuntimeError, TypeError, ValueError) as exc:
        raise _invalid_file(path, f"{type(exc).__name__}: {exc}") from exc


def check_writable(folder, *, argument="checkpoint_dir"):
    """Raise an error if no file can be written to a folder; a small one is written and removed.

    Parameters
    ----------
    folder : path-like
        An existing folder.
    argument : str, default="checkpoint_dir"
        Name of the parameter that the folder comes from, for the error message.

    Raises
    ------
    OSError
        When there is no such folder, it is not writable, or the disk is full.
    """
    try:
        with _unfinished(Path(folder), "check_writable") as (file, _):
            file.write(bytes(_PROBE_BYTES))
            _sync(file)
    except OSError as exc:
        raise _with_message(
            exc,
            f"{argument} must be a folder that can be written to; got {str(folder)!r}: {exc.strerror or exc}. Free "
            "some room, change its permissions or name another.",
        ) from exc


def make_folder(folder, *, argument="checkpoint_dir"):
    """Make a folder to write to, and return its absolute path, the same in every process; None for None.

    Parameters
    ----------
    folder : path-like or None
        The folder; it may exist.
    argument : str, default="checkpoint_dir"
        Name of the parameter that the folder comes from, for error messages.

    Returns
    -------
    path : Path or None

    Raises
    ------
    OSError
        When it cannot be made or written to, or the disk is full.
    """
    if folder is None:
        return None
    path = Path(folder).expanduser().absolute()
    try:
        if not str(folder):
            raise OSError("an empty path")
        path.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OSError(f"{argument} must be a folder that can be made and written to; got {folder!r}: {exc}") from exc
    check_writable(path, argument=argument)
    return path


def check_tensors(found, wanted, message):
    """Raise an error unless each wanted tensor was found, with its shape and dtype.

    Parameters
    ----------
    found, wanted : dict of str to torch.Tensor
        Tensors by name, on any device, also the meta device.
    message : str
        Text of the error before the list of differences.

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
    """Return the first lines of a list, indented, and the number of further ones."""
    more = [f"... and {len(lines) - n_shown} more"] if len(lines) > n_shown else []
    return "\n".join(f"  {line}" for line in [*lines[:n_shown], *more])


def _kind(tensor):
    return "nothing" if tensor is None else f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _write(file, tensors, values):
    """Write a safetensors file with a checksum, copying at most one tensor at a time.

    The function of the safetensors library needs copies of all tensors on the CPU, and opens the file itself, so that
    it could not be locked.
    """
    # Larger elements first, so that all are aligned.
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
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
    """Return tensors and values of the content of a file; its checksum is valid, but it may be hand-made."""
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    header = json.loads(content[_LENGTH_BYTES : _LENGTH_BYTES + length])
    values = json.loads(header.pop("__metadata__")[_VALUES])
    if not isinstance(values, dict):
        raise ValueError(f"a dict of values must stand in its header; got {type(values).__name__}")
    unknown = {entry["dtype"] for entry in header.values()} - set(_DTYPES.values())
    if unknown:
        raise ValueError(f"tensors must be of dtype {', '.join(_DTYPES.values())}; got {', '.join(map(str, unknown))}")
    return load(content), values


def _invalid_file(path, why):
    return ValueError(
        f"{path} is no file written by gan_sampler, or a damaged one: {why}. Name a file that save or checkpoint_dir "
        "made. If this is one, restore it from a copy; without one, delete it and train anew."
    )


def _check_path(path, argument):
    """Return `path` as a Path if it is, or can become, a regular file."""
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise TypeError(f"{argument} must be a string or a path; got {path!r}.")
    text = os.fspath(path)
    if not text:
        raise ValueError(f"{argument} must name a file; got an empty string.")
    try:
        mode = os.stat(text).st_mode
    except FileNotFoundError:
        return Path(text)
    except ValueError as exc:  # a null character, or one that the file system does not allow
        raise ValueError(f"{argument} must name a file; got {text!r}: {exc}.") from exc
    except OSError as exc:
        raise _with_message(
            exc, f"{argument} must name a file that can be reached; got {text!r}: {exc.strerror}."
        ) from exc
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{argument} must name a file; got the folder {text}. Add a name.")
    if not stat.S_ISREG(mode):
        raise OSError(f"{argument} must name a regular file; got {text}, a pipe, socket or device. Name another.")
    return Path(text)


def _with_message(exc, message):
    """Return an exception of the same class and errno with another message."""
    changed = type(exc)(message)
    changed.errno = exc.errno
    return changed


@contextlib.contextmanager
def _unfinished(folder, name):
    """Yield a new temporary file, open and locked, and its path; it is removed at the end unless it was renamed.

    The kernel releases the lock when the process ends for any reason. So temporary files for the same `name` that are
    not locked were abandoned, and are removed first.
    """
    # A hash, because the name may be too long.
    prefix = f".gan_sampler-{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}-"
    _remove_abandoned(folder, prefix)
    file, path = _open_locked(folder, prefix)
    with file:
        try:
            yield file, path
        finally:
            path.unlink(missing_ok=True)


def _open_locked(folder, prefix):
    while True:
        path = folder / f"{prefix}{uuid.uuid4().hex}.part"  # process ids are not unique across containers
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
    """Lock a new file; return whether it still exists: another process may have removed it before the lock."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as exc:
        if exc.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL):  # on a file system without locks
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
        except OSError:  # in use, owned by another user, already removed, or on a file system without locks
            continue


def _sync(file):
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder):
    """Write a new directory entry to disk, where the file system supports it."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as exc:
        if exc.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems without support for it
            raise
    finally:
        os.close(descriptor)
