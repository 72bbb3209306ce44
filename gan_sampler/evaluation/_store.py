"""The folder of an evaluation: records, shared work, leases, and the state that `gan-sampler status` reads."""

import contextlib
import errno
import functools
import hashlib
import importlib.metadata
import json
import math
import os
import re
import socket
import threading
import time
import uuid
import warnings
import zipfile
import zlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil
from filelock import FileLock

PACKAGES = ("torch", "torchvision", "skorch", "scikit-learn", "imbalanced-learn", "numpy")
DEFAULT_CACHE_LIMIT = 150 * 2**20  # bytes; in addition to records, tables and the report, which are small
_PRESENTATION = (  # changes in these files do not change results
    "cli",
    "displays",
    "evaluation/_answer.py",
    "evaluation/_compare.py",
    "evaluation/_comparison.py",
    "evaluation/_estimate.py",
    "evaluation/_figures.py",
    "evaluation/_pictures.py",
    "evaluation/_records.py",
    "evaluation/_report",
    "evaluation/_room.py",
    "evaluation/_statistics.py",
    "evaluation/_store.py",
    "evaluation/_tables.py",
)
_HEARTBEAT = 5.0  # seconds between two updates of a lease
_SILENCE = 60.0  # seconds without an update, after which the holder of a lease counts as dead
_ABANDONED = 600.0  # seconds after which an unfinished file of a process on another machine is removed
_SAME_PROCESS = 1000  # milliseconds; tolerance of the start time of a process
_RUN = "run-"  # prefix of the lease of a whole run
_DAMAGES = (  # exceptions of zipfile, NumPy and JSON for arbitrary content
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    EOFError,
    OSError,
    RuntimeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP)  # errors of file systems without hard links


def versions():
    """Return the versions of the packages that compute results; "source" is a hash of gan_sampler's code."""
    return {
        "gan_sampler": importlib.metadata.version("gan-sampler"),
        "source": _hash_of_source(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
    }


@functools.cache  # cached, because changes of files do not affect the running process
def _hash_of_source():
    package = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        name = file.relative_to(package).as_posix()
        if not name.startswith(_PRESENTATION):
            digest.update(f"{name}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def digest_of(*parts):
    """Return a hash of `parts`, arrays and JSON values, independent of the order of keys."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).view(np.uint8).data)
        else:
            digest.update(json.dumps(part, sort_keys=True).encode())
        digest.update(b"\0")
    return digest.hexdigest()[:24]


@contextlib.contextmanager
def atomic(file):
    """Yield a temporary path that replaces `file` at the end, so that a killed run leaves no incomplete file.

    Parameters
    ----------
    file : Path
        File to create or replace; its folder is created if it does not exist.

    Raises
    ------
    StoreError
        When it cannot be written, as on a full disk; an earlier file is unchanged.
    """
    temporary = _temporary(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb+") as stream:
            os.fsync(stream.fileno())  # the content must be on disk before the file gets its name
        os.replace(temporary, file)
        _sync_folder(file.parent)
    except OSError as exc:
        raise refuse(exc, file.parent) from exc
    finally:
        with contextlib.suppress(OSError):  # usually already renamed; a later run removes the rest
            temporary.unlink()


def _temporary(file):
    """Return the name of a temporary file for `file`, which identifies the writing process."""
    # A unique part, because several threads of the process may write.
    return file.with_name(f".{file.name}.{_this_machine()}-{os.getpid()}-{_start_time()}.{uuid.uuid4().hex}.tmp")


_WRITER = re.compile(r"\.(?P<machine>[0-9a-f]{8})-(?P<pid>\d+)-(?P<began>\d+)\.[0-9a-f]{32}\.tmp$")


def _is_abandoned(temporary):
    """Whether the writer of a temporary file has ended."""
    writer = _WRITER.search(temporary.name)
    if writer and writer["machine"] == _this_machine():
        return not _is_running(int(writer["pid"]), int(writer["began"]))
    return time.time() - temporary.stat().st_mtime > _ABANDONED


def _sync_folder(folder):
    with contextlib.suppress(OSError):  # not supported everywhere; the content of the file is safe
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_json(file, values):
    """Write JSON values with a checksum."""
    text = json.dumps(values, sort_keys=True)
    with atomic(file) as temporary:
        temporary.write_text(f'{{"sha256": "{_checksum(text)}", "values": {text}}}', encoding="utf-8")


def read_json(file):
    """Return the values that `write_json` wrote.

    Raises
    ------
    ValueError
        When the file has other content, or was changed or damaged.
    """
    try:
        found = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as exc:  # ValueError also for bytes that are not text
        raise ValueError(f"{file} is damaged: it holds no JSON ({exc})") from exc
    if not isinstance(found, dict) or set(found) != {"sha256", "values"}:
        raise ValueError(f"{file} is no file of an evaluation: it has no sha256 and values")
    if _checksum(json.dumps(found["values"], sort_keys=True)) != found["sha256"]:
        raise ValueError(f"{file} is damaged: its checksum does not fit")
    return found["values"]


def _checksum(text):
    return hashlib.sha256(text.encode()).hexdigest()


def _read_arrays(file):
    """Return the arrays of an .npz file by name."""
    with zipfile.ZipFile(file):  # NumPy would also read other formats
        found = np.load(file, allow_pickle=False)
    with found:
        return {name: found[name] for name in found.files}


def _in_order(arrays):
    return [part for name in sorted(arrays) for part in (name, arrays[name])]


class Taken(Exception):  # noqa: N818, not an error
    """Another running process is working on this."""


class StoreWarning(UserWarning):
    """A file of an evaluation is damaged; what it held is computed again."""


class StoreError(OSError):
    """The folder of an evaluation cannot be written to, for example because the disk is full; it is not damaged."""


def refuse(exc, folder):
    """Return a `StoreError` for an `OSError` of writing to `folder`."""
    reason = exc.strerror or f"the disk seems to be full ({exc})"  # NumPy drops the message of the system
    return StoreError(
        exc.errno or errno.ENOSPC,
        f"The results could not be written to {folder}: {reason}. Finished results are kept: free some space, or make "
        "the folder writable, and start the same command again",
    )


class Store:
    """The folder of an evaluation; several processes and machines can work on it at the same time.

    It has no pickles, so reading a folder from others does not execute code.

    Parameters
    ----------
    root : path-like
        The folder; created if it does not exist.
    """

    def __init__(self, root):
        self.root = Path(root)

    # Records of cells

    def find_record(self, key):
        """Return the record of a cell, or None.

        For a file with other content there is a warning, and it gets the suffix ``.damaged``.
        """
        return self._find(self.root / "cells" / f"{key}.json", "record")

    def records(self):
        """Return all records, including those of failed cells."""
        keys = sorted(file.stem for file in (self.root / "cells").glob("*.json"))
        return [record for record in map(self.find_record, keys) if record is not None]

    def write_record(self, record):
        """Write the record of a cell."""
        write_json(self.root / "cells" / f"{record['key']}.json", record)

    # Descriptions of commands

    def manifests(self):
        """Return the descriptions of all commands, oldest first."""
        files = sorted((self.root / "manifests").glob("*.json"))
        found = [manifest for manifest in (self._find(file, "manifest") for file in files) if manifest is not None]
        return sorted(found, key=lambda manifest: manifest["started"])

    def write_manifest(self, manifest):
        """Write the description of a command."""
        write_json(self.root / "manifests" / f"{manifest['key']}.json", manifest)

    def _find(self, file, kind):
        try:
            values = read_json(file)
            if values.get("key") != file.stem:
                raise ValueError(f"{file} is the {kind} of another key, {values.get('key')}")
        except FileNotFoundError:
            return None
        except (ValueError, AttributeError) as exc:
            kept = file.with_name(f"{file.name}.damaged")
            with contextlib.suppress(FileNotFoundError):  # another process was faster
                os.replace(file, kept)
            warnings.warn(
                f"{exc}. It is ignored and, if the {kind} is needed, computed again. The file was renamed to "
                f"{kept.name}; delete it if it is of no use.",
                StoreWarning,
                stacklevel=3,
            )
            return None
        return values

    # Work that cells share

    def has_shared(self, key):
        """Whether the shared work `key` is in the folder."""
        return self._shared(key).exists()

    def read_shared(self, key):
        """Return the arrays and values of the shared work `key`, or None.

        A damaged file is removed, because its content can be computed again.
        """
        file = self._shared(key)
        try:
            arrays = _read_arrays(file)
            text = json.loads(arrays.pop("values").tobytes())
            values = text["values"]
            if digest_of(*_in_order(arrays)) != text["digest"]:
                raise ValueError("its digest does not fit")
        except FileNotFoundError:
            return None
        except _DAMAGES as exc:
            text = f"{file} is damaged ({exc}); it is removed and computed again."
            warnings.warn(text, StoreWarning, stacklevel=2)
            file.unlink(missing_ok=True)
            return None
        with contextlib.suppress(OSError):  # the least recently used is removed first
            os.utime(file)
        return arrays, values

    def write_shared(self, key, arrays, values):
        """Write arrays and values of the shared work `key`."""
        arrays = {name: np.asarray(array) for name, array in arrays.items()}
        text = json.dumps({"digest": digest_of(*_in_order(arrays)), "values": values})
        text = np.frombuffer(text.encode(), dtype=np.uint8)
        with atomic(self._shared(key)) as temporary, open(temporary, "wb") as stream:
            np.savez(stream, **arrays, values=text)

    def _shared(self, key):
        return self.root / "cache" / f"{key}.npz"

    @property
    def checkpoints(self):
        """Folder of the checkpoints of unfinished trainings."""
        return self.root / "cache" / "checkpoints"

    # Images

    def write_data(self, source, images, values):
        """Write the images and their metadata for all processes; images are read with `mmap`."""
        write_json(self.root / "data" / f"{source}.json", {"key": source, **values})
        file = self._images(source)
        if not _holds(file, images):
            with atomic(file) as temporary, open(temporary, "wb") as stream:
                np.save(stream, images, allow_pickle=False)

    def read_data(self, source):
        """Return the images, as a memory map, and their metadata."""
        return np.load(self._images(source), mmap_mode="r", allow_pickle=False), self.read_data_values(source)

    def read_data_values(self, source):
        """Return the metadata of the images."""
        return read_json(self.root / "data" / f"{source}.json")

    def has_images(self, source):
        """Whether the images are in the folder."""
        return self._images(source).exists()

    def _images(self, source):
        return self.root / "cache" / f"images-{source}.npy"

    # Pictures of the report

    def write_pictures(self, key, pictures):
        """Write the pictures of the report of a command, a dict of arrays."""
        with atomic(self._pictures(key)) as temporary, open(temporary, "wb") as stream:
            np.savez_compressed(stream, **pictures)

    def read_pictures(self, key):
        """Return the pictures from `write_pictures`, or None; a damaged file is removed."""
        file = self._pictures(key)
        try:
            return _read_arrays(file)
        except FileNotFoundError:
            return None
        except _DAMAGES as exc:
            warnings.warn(f"{file} is damaged ({exc}); it is removed and made again.", StoreWarning, stacklevel=2)
            file.unlink(missing_ok=True)
            return None

    def _pictures(self, key):
        return self.root / "pictures" / f"{key}.npz"

    # Leases

    @contextlib.contextmanager
    def lease(self, key, what=""):
        """Hold the exclusive right to compute `key` in a block; yield how many holders have died in this run.

        `what` is a readable name of the work.

        The holder updates its lease regularly. A holder without an update for a minute, or whose process on this
        machine has ended, counts as dead. If two processes ever hold the same lease, both compute the same results and
        replace files atomically, so only time is lost.

        Raises
        ------
        Taken
            When another running process holds it.
        """
        file = self._lease(key)
        mine = self._take(file, what)
        is_done = threading.Event()

        def beat():
            while not is_done.wait(_HEARTBEAT):
                with contextlib.suppress(OSError):  # missing if another process took this one for dead
                    os.utime(file)

        heart = threading.Thread(target=beat, name="lease", daemon=True)
        heart.start()
        try:
            yield json.loads(mine)["deaths"]
        finally:
            is_done.set()
            heart.join()
            with contextlib.suppress(OSError):  # a lease that cannot be removed expires after a minute
                if file.read_text(encoding="utf-8") == mine:
                    file.unlink()

    def has_lease(self, key):
        """Whether there is a lease of `key`, of a running or a dead process."""
        return self._lease(key).exists()

    def _lease(self, key):
        return self.root / "leases" / f"{key}.json"

    def _take(self, file, what):
        """Take a lease and return its content."""
        n_deaths = 0
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            for _ in range(2):
                content = json.dumps({**_this_process(), "what": what, "deaths": n_deaths})
                if _create(file, content):
                    return content
                if self._state(file) == "alive":
                    break
                n_deaths = self._count_deaths(file)
                self._remove_dead(file)
        except OSError as exc:
            raise refuse(exc, file.parent) from exc
        raise Taken(file.stem)

    def _remove_dead(self, file):
        """Remove a lease if its holder is still dead; checked under a lock, because others may replace it."""
        with FileLock(file.with_name("lock")):
            if self._state(file) == "dead":
                file.unlink(missing_ok=True)

    def _count_deaths(self, file):
        try:
            holder = json.loads(file.read_bytes())
        except (FileNotFoundError, ValueError):
            return 0
        began, _ = min(self._runs(), default=(math.inf, ""))
        return holder.get("deaths", 0) + 1 if holder["at"] >= began else 0  # otherwise its whole run was killed

    def _state(self, file):
        """Return the state of a lease: "alive" or "dead", for its holder, or "free"."""
        try:
            age = self._now() - file.stat().st_mtime
            holder = json.loads(file.read_bytes())
        except FileNotFoundError:
            return "free"
        except ValueError:
            return "dead"
        if age > _SILENCE:
            return "dead"
        # On another machine, only the updates of the lease are known.
        is_alive = holder["machine"] != _this_machine() or _is_running(holder["pid"], holder["began"])
        return "alive" if is_alive else "dead"

    def _now(self):
        """Return the time of the file system's clock, which the times of files refer to."""
        probe = _temporary(self.root / "leases" / "clock")
        try:
            probe.touch()
            return probe.stat().st_mtime
        except OSError:  # a reader may have no permission to write
            return time.time()
        finally:
            with contextlib.suppress(OSError):
                probe.unlink()

    @contextlib.contextmanager
    def run(self):
        """Register a run for a block; the first run removes earlier failures, so that the work is tried again."""
        key = f"{_RUN}{uuid.uuid4().hex}"
        with self.lease(key):
            if min(self._runs(), default=("", key))[1] == key:
                for file in (self.root / "failures").glob("*.json"):
                    file.unlink(missing_ok=True)
            yield

    def _runs(self):
        """Return start time and key of each active run."""
        return [(lease["at"], lease["key"]) for lease in self._living() if lease["key"].startswith(_RUN)]

    def running(self):
        """Return the active work: a list of dicts with key, what (readable name), host, pid and since (ISO 8601)."""
        names = ("key", "what", "host", "pid", "since")
        found = [lease for lease in self._living() if not lease["key"].startswith(_RUN)]
        return [{name: lease[name] for name in names} for lease in found]

    def _living(self):
        found = []
        for file in sorted((self.root / "leases").glob("*.json")):
            with contextlib.suppress(FileNotFoundError, ValueError):
                if self._state(file) == "alive":
                    holder = json.loads(file.read_bytes())
                    names = ("what", "host", "pid", "since", "at")
                    found.append({"key": file.stem, **{name: holder[name] for name in names}})
        return found

    # Failures of shared work, so that a failed training is not repeated for every cell

    def failure(self, key):
        """Return error and traceback of shared work that failed in this run, or None."""
        return self._find(self.root / "failures" / f"{key}.json", "failure")

    def write_failure(self, key, error, trace):
        """Write the error of shared work."""
        write_json(self.root / "failures" / f"{key}.json", {"key": key, "error": error, "traceback": trace})

    # Maintenance

    def log(self, line):
        """Add a line to run.log."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            # One write, so that lines of several processes do not mix.
            with open(self.root / "run.log", "a", encoding="utf-8") as stream:
                stream.write(f"{utc_now()} {line}\n")
        except OSError as exc:
            raise refuse(exc, self.root) from exc

    def cache_size(self):
        """Return the size of the cache in bytes."""
        return sum(size for _, size, _ in self._cached())

    def prune(self, limit, keep=()):
        """Remove shared work, least recently used first and images last, until the cache has at most `limit` bytes.

        Nothing is removed while any run is active; the last one that ends does it.

        Parameters
        ----------
        limit : int
            Largest size of the cache, in bytes.
        keep : container of str, default=()
            Names of files, without suffix, that are not removed.
        """
        if self._runs():
            return
        found = sorted(self._cached(), key=lambda entry: (entry[2].name.startswith("images-"), *entry))
        total = sum(size for _, size, _ in found)
        for _, size, file in found:
            if total <= limit:
                return
            if file.stem not in keep:
                file.unlink(missing_ok=True)
                total -= size

    def _cached(self):
        found = []
        for file in (self.root / "cache").rglob("*"):
            with contextlib.suppress(FileNotFoundError):
                if file.is_file():
                    status = file.stat()
                    found.append((status.st_mtime, status.st_size, file))
        return found

    def remove_abandoned(self):
        """Remove temporary files and leases of killed processes."""
        for file in self.root.rglob(".*.tmp"):
            with contextlib.suppress(FileNotFoundError):
                if _is_abandoned(file):
                    file.unlink()
        for file in (self.root / "leases").glob("*.json"):
            self._remove_dead(file)


def _holds(file, images):
    try:
        return np.array_equal(np.load(file, mmap_mode="r", allow_pickle=False), images)
    except (FileNotFoundError, ValueError, EOFError):
        return False


def _create(file, content):
    """Create a file atomically; return False if it already exists."""
    mine = _temporary(file)
    try:
        mine.write_text(content, encoding="utf-8")
        os.link(mine, file)
    except FileExistsError:
        return False
    except OSError as exc:
        if exc.errno not in _NO_LINKS:
            raise
        try:
            with open(file, "x", encoding="utf-8") as stream:
                stream.write(content)
        except FileExistsError:
            return False
    finally:
        mine.unlink(missing_ok=True)
    return True


def this_host():
    """Return the name of this machine."""
    return socket.gethostname()


def utc_now(timespec="seconds"):
    """Return date and time in UTC, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec=timespec)


@functools.cache
def _this_machine():
    """Return an identifier of this machine, boot and container, within which process ids are unique."""
    try:
        boot, space = Path("/proc/sys/kernel/random/boot_id").read_text(), os.readlink("/proc/self/ns/pid")
    except OSError:  # not Linux: no containers, and `_start_time` distinguishes boots
        boot, space = "", ""
    return hashlib.sha256(f"{this_host()}\0{boot}\0{space}".encode()).hexdigest()[:8]


def _start_time(pid=None):
    """Return the start time of a process in milliseconds, by default this one; process ids are reused."""
    return round(1000 * psutil.Process(pid).create_time())


def _this_process():
    process = {"pid": os.getpid(), "began": _start_time(), "since": utc_now(), "at": time.time()}
    return {"host": this_host(), "machine": _this_machine(), **process}


def _is_running(pid, began):
    """Whether a process of this machine is running."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE and abs(_start_time(pid) - began) < _SAME_PROCESS
    except psutil.ZombieProcess:
        return False
    except psutil.NoSuchProcess:
        return psutil.pid_exists(pid)  # processes of other users may be hidden
