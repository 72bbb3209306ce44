"""What a folder that is being written remembers, so that the same command goes on after an interruption."""

import contextlib
import hashlib
import json
import os
import shutil
from pathlib import Path

from gan_sampler.datasets._places import check_empty

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None

STATE = ".gan_sampler.json"
WORK = ".gan_sampler"  # folder of checkpoints, removed at the end


class FolderState:
    """The state of a folder.

    Parameters
    ----------
    root : Path
        The folder, which need not exist.
    options : dict
        What was asked for: all that changes the result, in the words of JSON, by what a message calls it.
    source : str
        Digest of what is read.
    command : str
        The command line.
    free : iterable of str, default=()
        Options that may change until it is finished.

    Attributes
    ----------
    summary : dict or None
        What came of it, where it is finished.
    """

    def __init__(self, root, options, source, command, free=()):
        self._free = set(free)
        self.root = Path(root)
        self.options = json.loads(json.dumps(options))
        self.source, self.command = source, command
        self.summary = None

    @property
    def work(self):
        """Folder of what is needed until the end."""
        return self.root / WORK

    def check(self):
        """Read the state; raise unless the folder is new, empty, or of the same command.

        Returns
        -------
        is_known : bool
            Whether the same command has been here.
        """
        file = self.root / STATE
        if not file.is_file():
            check_empty(self.root, "DST")
            return False
        try:
            there = json.loads(file.read_text(encoding="utf-8"))
            known = there["options"], there["source"], there["command"]
        except (ValueError, KeyError, TypeError) as exc:
            raise ValueError(f"{str(file)!r} is damaged. Delete the folder, or name another DST.") from exc
        is_finished = there.get("summary") is not None
        work = "finished work" if is_finished else "unfinished work"
        differences = [
            f"{name} was {known[0].get(name)}, is {self.options.get(name)}"
            for name in sorted({*known[0], *self.options})
            if known[0].get(name) != self.options.get(name) and (is_finished or name not in self._free)
        ]
        if differences:
            raise FileExistsError(
                f"DST must be a new or empty folder; {str(self.root)!r} holds the {work} of another command: "
                f"{'; '.join(differences)}. {'N' if is_finished else f'Go on with {known[2]!r}, n'}ame another DST, or "
                "delete this one."
            )
        if known[1] != self.source:
            raise FileExistsError(
                f"The files of SRC are not those that {str(self.root)!r} was begun with: some were added, removed or "
                "changed. Name another DST, or delete this one."
            )
        self.summary = there.get("summary")
        return True

    def write(self, summary=None):
        """Write the state, with what came of it at the end."""
        self.summary = summary
        self.root.mkdir(parents=True, exist_ok=True)
        content = {
            "about": "written by gan-sampler: what this folder was made with",
            "command": self.command,
            "options": self.options,
            "source": self.source,
            "summary": summary,
        }
        part = self.root / f"{STATE}.part"
        part.write_text(json.dumps(content, indent=1), encoding="utf-8")
        os.replace(part, self.root / STATE)

    @contextlib.contextmanager
    def lock(self):
        """Keep other processes from writing to the folder."""
        self.work.mkdir(parents=True, exist_ok=True)
        with open(self.work / "lock", "w") as file:
            if fcntl is not None:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as exc:
                    raise FileExistsError(
                        f"Another process is writing to {str(self.root)!r}. Wait for it, or name another DST."
                    ) from exc
                except OSError:  # a disk without locks
                    pass
            yield

    def take_back(self, places):
        """Remove what was put here: the files at these places, the state, and folders that are then empty."""
        self.remove_work()
        for place in [*places, STATE]:
            (self.root / place).unlink(missing_ok=True)
        for folder, _, _ in os.walk(self.root, topdown=False):
            with contextlib.suppress(OSError):  # somebody else's file is in it
                os.rmdir(folder)

    def remove_work(self):
        """Remove what nobody needs any more."""
        shutil.rmtree(self.work, ignore_errors=True)


def digest_of_files(files):
    """Return what changes when a file is added, removed or changed, from names, sizes and times."""
    hashed = hashlib.sha256()
    for file in files:
        status = os.stat(file.path)
        line = f"{file.filename}\0{file.label}\0{file.split}\0{status.st_size}\0{status.st_mtime_ns}\n"
        hashed.update(line.encode("utf-8", "surrogateescape"))
    return hashed.hexdigest()
