"""The folder that keeps an evaluation: records, shared work, leases, and what `gan-sampler status` reads."""

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
DEFAULT_CACHE_LIMIT = 150 * 2**20  # bytes; records, tables and the report come on top and stay small
_PRESENTATION = (  # changes here change no number
    "cli",
    "displays",
    "evaluation/_answer.py",
    "evaluation/_compare.py",
    "evaluation/_comparison.py",
    "evaluation/_estimate.py",
    "evaluation/_figures.py",
    "evaluation/_pictures.py",
    "evaluation/_records.py",
    "evaluation/_report.py",
    "evaluation/_statistics.py",
    "evaluation/_store.py",
    "evaluation/_tables.py",
)
_BEAT = 5.0  # seconds between two signs of life of a lease
_SILENCE = 60.0  # seconds without one, after which its holder counts as dead
_ABANDONED = 600.0  # seconds after which an unfinished file of a process on another machine is removed
_SAME_PROCESS = 1000  # milliseconds within which its beginning is told the same each time
_RUN = "run-"  # in front of the lease of a whole run
_DAMAGES = (  # what zipfile, NumPy and JSON raise where they read anything
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
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP)  # of a file system that has no hard links


def versions():
    """Return the versions of what computes the numbers; between releases, source tells gan_sampler's apart."""
    return {
        "gan_sampler": importlib.metadata.version("gan-sampler"),
        "source": _hash_of_source(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
    }


@functools.cache  # what is running stays what it was, also when files change meanwhile
def _hash_of_source():
    package = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        name = file.relative_to(package).as_posix()
        if not name.startswith(_PRESENTATION):
            digest.update(f"{name}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def digest_of(*parts):
    """Return a name made of the content of `parts`: arrays, and what JSON can hold, with keys in any order."""
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
    """Give a temporary path that takes the place of `file` at the end, so that a killed run leaves no half file.

    Parameters
    ----------
    file : Path
        File to make or replace; its folder is made where it is missing.

    Raises
    ------
    StoreError
        When the disk is full, the folder cannot be written to, or the like; a file that was there is as it was.
    """
    temporary = _temporary(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb+") as stream:
            os.fsync(stream.fileno())  # the name must not reach the disk before the bytes do
        os.replace(temporary, file)
        _sync_folder(file.parent)
    except OSError as exc:
        raise refuse(exc, file.parent) from exc
    finally:
        with contextlib.suppress(OSError):  # missing as a rule, and what is left here is removed by a later run
            temporary.unlink()


def _temporary(file):
    """Return a name for a file that will take the place of `file`; it tells which process writes it."""
    # The process alone would not do: its threads have it in common.
    return file.with_name(f".{file.name}.{_this_machine()}-{os.getpid()}-{_began()}.{uuid.uuid4().hex}.tmp")


_WRITER = re.compile(r"\.(?P<machine>[0-9a-f]{8})-(?P<pid>\d+)-(?P<began>\d+)\.[0-9a-f]{32}\.tmp$")


def _is_abandoned(temporary):
    """Whether nobody will finish this file."""
    writer = _WRITER.search(temporary.name)
    if writer and writer["machine"] == _this_machine():
        return not _lives(int(writer["pid"]), int(writer["began"]))
    return time.time() - temporary.stat().st_mtime > _ABANDONED


def _sync_folder(folder):
    with contextlib.suppress(OSError):  # not every system can flush a folder; the bytes of the file are safe
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_json(file, values):
    """Write plain values with a checksum of them."""
    text = json.dumps(values, sort_keys=True)
    with atomic(file) as temporary:
        temporary.write_text(f'{{"sha256": "{_checksum(text)}", "values": {text}}}', encoding="utf-8")


def read_json(file):
    """Return what `write_json` wrote.

    Raises
    ------
    ValueError
        When the file holds anything else, or was changed or damaged.
    """
    try:
        found = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as exc:  # ValueError also where it is no text
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
    with zipfile.ZipFile(file):  # of anything else, NumPy makes an array or what it likes
        found = np.load(file, allow_pickle=False)
    with found:
        return {name: found[name] for name in found.files}


def _in_order(arrays):
    return [part for name in sorted(arrays) for part in (name, arrays[name])]


class Taken(Exception):  # noqa: N818, it is no error
    """Another living process works at this."""


class StoreWarning(UserWarning):
    """A file of an evaluation is damaged; what it held is computed again."""


class StoreError(OSError):
    """The folder of an evaluation cannot be written to: the disk is full, or the like. Nothing in it is damaged."""


def refuse(exc, folder):
    """Return what to raise where an `OSError` says that `folder` cannot be written to."""
    reason = exc.strerror or f"the disk seems to be full ({exc})"  # NumPy does not tell what the system said
    return StoreError(
        exc.errno or errno.ENOSPC,
        f"The results could not be written to {folder}: {reason}. What was finished is kept: free some room, or make "
        "the folder writable, and start the same command again",
    )


class Store:
    """A folder that keeps everything of an evaluation; several processes and machines may work on it at once.

    It holds no pickles: reading a folder that comes from others runs nothing.

    Parameters
    ----------
    root : path-like
        The folder; made where it is missing.
    """

    def __init__(self, root):
        self.root = Path(root)

    # Records of cells

    def find_record(self, key):
        """Return the record of a cell, or None.

        A file that holds something else is named in a warning, and kept with ``.damaged`` behind its name.
        """
        return self._find(self.root / "cells" / f"{key}.json", "record")

    def records(self):
        """Return all records, those of failed cells included."""
        keys = sorted(file.stem for file in (self.root / "cells").glob("*.json"))
        return [record for record in map(self.find_record, keys) if record is not None]

    def write_record(self, record):
        """Keep the record of a cell."""
        write_json(self.root / "cells" / f"{record['key']}.json", record)

    # What was asked for

    def manifests(self):
        """Return what each command asked for, the oldest first."""
        files = sorted((self.root / "manifests").glob("*.json"))
        found = [manifest for manifest in (self._find(file, "manifest") for file in files) if manifest is not None]
        return sorted(found, key=lambda manifest: manifest["started"])

    def write_manifest(self, manifest):
        """Keep what a command asked for."""
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
                f"{exc}. It is left out and, if a {kind} is needed, made again. The file is now {kept.name}: look at "
                "it if it may be of use, else delete it.",
                StoreWarning,
                stacklevel=3,
            )
            return None
        return values

    # Work that cells share

    def has_shared(self, key):
        """Whether the shared work `key` is there."""
        return self._shared(key).exists()

    def read_shared(self, key):
        """Return the arrays and the plain values that were kept under `key`, or None.

        A damaged file counts as none and is removed, for its content can be computed again.
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
        with contextlib.suppress(OSError):  # what was used last is removed last
            os.utime(file)
        return arrays, values

    def write_shared(self, key, arrays, values):
        """Keep arrays and plain values under `key`."""
        arrays = {name: np.asarray(array) for name, array in arrays.items()}
        text = json.dumps({"digest": digest_of(*_in_order(arrays)), "values": values})
        text = np.frombuffer(text.encode(), dtype=np.uint8)
        with atomic(self._shared(key)) as temporary, open(temporary, "wb") as stream:
            np.savez(stream, **arrays, values=text)

    def _shared(self, key):
        return self.root / "cache" / f"{key}.npz"

    @property
    def checkpoints(self):
        """Folder of the checkpoints of trainings that are under way."""
        return self.root / "cache" / "checkpoints"

    # Images, which every process reads by path

    def write_data(self, source, images, values):
        """Keep the images and what is known of them; both are read by other processes, the images by `mmap`."""
        write_json(self.root / "data" / f"{source}.json", {"key": source, **values})
        file = self._images(source)
        if not _holds(file, images):
            with atomic(file) as temporary, open(temporary, "wb") as stream:
                np.save(stream, images, allow_pickle=False)

    def read_data(self, source):
        """Return the images, mapped into memory, and what is known of them."""
        return np.load(self._images(source), mmap_mode="r", allow_pickle=False), self.read_data_values(source)

    def read_data_values(self, source):
        """Return what is known of the images."""
        return read_json(self.root / "data" / f"{source}.json")

    def has_images(self, source):
        """Whether the images are still there."""
        return self._images(source).exists()

    def _images(self, source):
        return self.root / "cache" / f"images-{source}.npy"

    # Pictures of the report

    def write_pictures(self, key, pictures):
        """Keep what the report of a command shows of images: a dict of arrays."""
        with atomic(self._pictures(key)) as temporary, open(temporary, "wb") as stream:
            np.savez_compressed(stream, **pictures)

    def read_pictures(self, key):
        """Return what `write_pictures` kept, or None; a damaged file is removed, for it can be made again."""
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

    # Who works at what

    @contextlib.contextmanager
    def lease(self, key, what=""):
        """Hold the right to compute `key` while the block runs; give how many holders died at it in this run.

        `what` is its name for people.

        The holder gives signs of life; one that has given none for a minute, or whose process has ended on this
        machine, counts as dead. Should two processes ever hold one lease, both compute the same, and files are
        replaced whole: time is lost and nothing else.

        Raises
        ------
        Taken
            When another living process holds it.
        """
        file = self._lease(key)
        mine = self._take(file, what)
        is_done = threading.Event()

        def beat():
            while not is_done.wait(_BEAT):
                with contextlib.suppress(OSError):  # missing: somebody took this process for dead
                    os.utime(file)

        heart = threading.Thread(target=beat, name="lease", daemon=True)
        heart.start()
        try:
            yield json.loads(mine)["deaths"]
        finally:
            is_done.set()
            heart.join()
            with contextlib.suppress(OSError):  # what cannot be removed counts as dead in a minute
                if file.read_text(encoding="utf-8") == mine:
                    file.unlink()

    def has_lease(self, key):
        """Whether a process, dead or alive, has begun with `key` and not ended."""
        return self._lease(key).exists()

    def _lease(self, key):
        return self.root / "leases" / f"{key}.json"

    def _take(self, file, what):
        """Write a lease and return its content."""
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
        """Remove a lease, if its holder is still the dead one: others see that it is dead at the same time."""
        with FileLock(file.with_name("lock")):
            if self._state(file) == "dead":
                file.unlink(missing_ok=True)

    def _count_deaths(self, file):
        try:
            holder = json.loads(file.read_bytes())
        except (FileNotFoundError, ValueError):
            return 0
        began, _ = min(self._runs(), default=(math.inf, ""))
        return holder.get("deaths", 0) + 1 if holder["at"] >= began else 0  # else it was killed with its whole run

    def _state(self, file):
        """Return whether the holder of a lease is "alive" or "dead", or that the lease is "free"."""
        try:
            age = self._now() - file.stat().st_mtime
            holder = json.loads(file.read_bytes())
        except FileNotFoundError:
            return "free"
        except ValueError:
            return "dead"
        if age > _SILENCE:
            return "dead"
        # On another machine, only signs of life tell.
        is_alive = holder["machine"] != _this_machine() or _lives(holder["pid"], holder["began"])
        return "alive" if is_alive else "dead"

    def _now(self):
        """Return the time by the clock of the file system, which is that of the files' times."""
        probe = _temporary(self.root / "leases" / "clock")
        try:
            probe.touch()
            return probe.stat().st_mtime
        except OSError:  # who only looks on may have no right to write
            return time.time()
        finally:
            with contextlib.suppress(OSError):
                probe.unlink()

    @contextlib.contextmanager
    def run(self):
        """Count as a run while the block runs, and let work be tried again that failed when no run was under way."""
        key = f"{_RUN}{uuid.uuid4().hex}"
        with self.lease(key):
            if min(self._runs(), default=("", key))[1] == key:
                for file in (self.root / "failures").glob("*.json"):
                    file.unlink(missing_ok=True)
            yield

    def _runs(self):
        """Return when each living run has started, and its key."""
        return [(lease["at"], lease["key"]) for lease in self._living() if lease["key"].startswith(_RUN)]

    def running(self):
        """Return what is being computed: a list of key, what (for people), host, pid and since (ISO 8601)."""
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

    # Failures of shared work, so that a training that failed is not tried once for every cell

    def failure(self, key):
        """Return the error of shared work that failed in this run, with its traceback, or None."""
        return self._find(self.root / "failures" / f"{key}.json", "failure")

    def write_failure(self, key, error, trace):
        """Keep the error of shared work."""
        write_json(self.root / "failures" / f"{key}.json", {"key": key, "error": error, "traceback": trace})

    # Order

    def log(self, line):
        """Add a line to run.log."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with open(self.root / "run.log", "a", encoding="utf-8") as stream:  # one write: lines stay whole
                stream.write(f"{utc_now()} {line}\n")
        except OSError as exc:
            raise refuse(exc, self.root) from exc

    def cache_size(self):
        """Return the size in bytes of what can be computed again."""
        return sum(size for _, size, _ in self._cached())

    def prune(self, limit, keep=()):
        """Remove shared work, the longest unused first and images last, until the cache is at most `limit` bytes.

        Nothing is removed while a run is under way, in whatever process: the last one to end does it.

        Parameters
        ----------
        limit : int
            Bytes.
        keep : container of str
            Names of files, without suffix, that stay.
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
        """Remove unfinished files and leases that killed processes left behind."""
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
    """Write a file that is not there yet, which nobody sees half written; return whether it was not there."""
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
    """Return what tells this start of this machine, and this container, from others, whose processes count alike."""
    try:
        boot, space = Path("/proc/sys/kernel/random/boot_id").read_text(), os.readlink("/proc/self/ns/pid")
    except OSError:  # no Linux: there is one space of processes, and `_began` tells one start from another
        boot, space = "", ""
    return hashlib.sha256(f"{this_host()}\0{boot}\0{space}".encode()).hexdigest()[:8]


def _began(pid=None):
    """Return when a process, by default this one, has begun, in milliseconds; numbers of processes are given again."""
    return round(1000 * psutil.Process(pid).create_time())


def _this_process():
    process = {"pid": os.getpid(), "began": _began(), "since": utc_now(), "at": time.time()}
    return {"host": this_host(), "machine": _this_machine(), **process}


def _lives(pid, began):
    """Whether a process of this machine has not ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE and abs(_began(pid) - began) < _SAME_PROCESS
    except psutil.ZombieProcess:
        return False
    except psutil.NoSuchProcess:
        return psutil.pid_exists(pid)  # systems may hide processes of other users
