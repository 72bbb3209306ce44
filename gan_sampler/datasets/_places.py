"""Where a folder may be written: a new or an empty one, apart from the folders that are read."""

import errno
import os
import shutil
from pathlib import Path

# What file systems answer that cannot link, or not here: across disks, for files of other users, too many links.
_NO_LINKS = {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
_PART = ".part"
_COARSE_TIME = 2  # seconds that times of files are rounded to on some disks


def check_empty(root, argument="path"):
    """Raise unless `root` does not exist or is an empty folder."""
    if os.path.lexists(root) and not root.is_dir():
        raise FileExistsError(f"{argument} must be a new or empty folder; got the file {str(root)!r}.")
    if root.is_dir() and any(root.iterdir()):
        raise FileExistsError(
            f"{argument} must be a new or empty folder; {str(root)!r} holds files. Name another, or empty it."
        )


def check_apart(root, source, inner=(), argument="path"):
    """Raise where a folder to be written lies in one that is read, or the other way round, also through links.

    Parameters
    ----------
    root : Path
        Folder to be written; it need not exist.
    source : Path
        Folder that is read.
    inner : iterable of Path, default=()
        Folders below `source` that files lie in; links may have led there.
    argument : str, default="path"
        What `root` is called.
    """
    root = Path(os.path.realpath(root))
    above = {_identity(folder): folder for folder in (root, *root.parents) if folder.is_dir()}
    for folder in {Path(os.path.realpath(folder)) for folder in (source, *inner)}:
        if _identity(folder) in above or folder in (root, *root.parents):
            raise ValueError(
                f"{argument} must not lie in the folder that is read, where nothing is written; got {str(root)!r}, "
                f"which lies in {str(folder)!r}. Name a folder beside it."
            )
    source = Path(os.path.realpath(source))
    if root.is_dir() and _identity(root) in {_identity(folder) for folder in source.parents}:
        raise ValueError(
            f"{argument} must not be a folder above the one that is read; got {str(root)!r}, in which {str(source)!r} "
            "lies. Name a folder beside it."
        )


def _identity(folder):
    status = os.stat(folder)
    return (status.st_dev, status.st_ino) if status.st_ino else os.fspath(folder)


class FolderWriter:
    """Puts files into a folder, none of them ever half written, and none written through to what it is linked with.

    Parameters
    ----------
    root : Path
        The folder.
    copy : bool, default=False
        Whether originals are copied, rather than linked where that is possible.

    Attributes
    ----------
    n_linked, n_copied, n_written : int
        How many files came in which way.
    no_links : str or None
        Why links were not possible.
    """

    def __init__(self, root, copy=False):
        self.root = Path(root)
        self.n_linked = self.n_copied = self.n_written = 0
        self.no_links = None
        self._copy = copy

    def add_original(self, source, relative):
        """Link or copy a file to its place."""
        source, target = os.path.realpath(source), self._place(relative)
        if os.path.lexists(target):  # from a run that was interrupted
            self._check_is(source, target)
            return
        if not self._copy and self.no_links is None:
            try:
                os.link(source, target)
            except OSError as exc:
                if exc.errno not in _NO_LINKS:
                    raise
                self.no_links = exc.strerror
            else:
                self.n_linked += 1
                return
        status, part = os.stat(source), _part_of(target)
        shutil.copyfile(source, part)
        os.utime(part, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.replace(part, target)
        self.n_copied += 1

    def _check_is(self, source, target):
        there, here = os.stat(source), os.stat(target)
        if os.path.samestat(there, here):
            self.n_linked += 1
        elif there.st_size == here.st_size and abs(there.st_mtime - here.st_mtime) <= _COARSE_TIME:
            self.n_copied += 1
        else:
            raise FileExistsError(
                f"{str(target)!r} is not the file {source!r} that belongs there. Name another folder, or delete this."
            )

    def write(self, content, relative):
        """Write an image, given as bytes, to a file."""
        self.put(content, relative)
        self.n_written += 1

    def put(self, content, relative):
        """Write bytes to a file, in place of one of that name."""
        target = self._place(relative)
        part = _part_of(target)
        part.write_bytes(content)
        os.replace(part, target)  # the name gets a new file; what another name leads to is as it was

    def remove_unfinished(self):
        """Remove what an interrupted run left half written."""
        for part in self.root.rglob(f".*{_PART}"):
            part.unlink()

    def _place(self, relative):
        target = self.root / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        return target


def _part_of(target):
    name = os.fsdecode(os.fsencode(target.name)[-100:])  # of bytes, of which a name has at most 255
    return target.with_name(f".{name}{_PART}")
