"""Which image files there are below a folder, and what else is there."""

import os
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePath

from gan_sampler.datasets import _dicom
from gan_sampler.datasets._decoding import readable, suffixes

_SPLIT_OF_FOLDER = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
SPLITS = ("train", "val", "test")
_CLUTTER = ("__macosx", "desktop.ini", "thumbs.db")  # what systems leave behind, beside names with a leading dot
MANIFEST = "manifest.csv"  # what `save_image_folder` lists the synthetic images in, beside the class folders
_PACKED = (".bz2", ".gz", ".xz", ".zip")  # what stands before them tells more: .nii.gz
_MAX_KINDS = 6  # named in a warning


@dataclass(frozen=True)
class ImageFile:
    """A file with what its place among the folders says of it."""

    path: Path
    filename: str  # relative to the data set, with forward slashes
    label: str
    split: str | None = None


class PassedOver:
    """What is there and is not read: other files are counted, folders that cannot be read are told.

    Parameters
    ----------
    on_error : {"raise", "skip"}, default="raise"
        What a folder that cannot be read does: raise an error, or wait to be warned of.
    """

    def __init__(self, on_error="raise"):
        self._on_error = on_error
        self._kinds = Counter()
        self.problems = []

    def add_files(self, names):
        """Count files that are no images."""
        self._kinds.update(map(_kind, names))

    def add_folder(self, folder, reason):
        """Take up a folder, a str, that cannot be read."""
        message = f"{folder!r} cannot be read as a folder: {reason}."
        if self._on_error == "raise":
            raise ValueError(f"{message} Mend or remove it, or leave it out: load_image_folder(..., on_error='skip').")
        self.problems.append(message)

    def warn(self, root, stacklevel):
        """Warn of each folder, and of all files at once."""
        for problem in self.problems:
            warnings.warn(f"{problem} What it holds is left out.", stacklevel=stacklevel + 1)
        n_files = self._kinds.total()
        if n_files:
            warnings.warn(
                f"{n_files} {'file was' if n_files == 1 else 'files were'} not read in {str(root)!r}: "
                f"{_count_kinds(self._kinds)}. Only {', '.join(readable())} files in class folders are: convert the "
                f"others, or move them away.{_dicom_remedy(self._kinds)}",
                stacklevel=stacklevel + 1,
            )


def _kind(name):
    endings = PurePath(name).suffixes
    if not endings:
        return "without suffix"
    kind = "".join(endings[-2:] if endings[-1].lower() in _PACKED else endings[-1:]).lower()
    return kind if kind.isprintable() else ascii(kind)


def _dicom_remedy(kinds):
    is_dicom = any(kind in _dicom.SUFFIXES for kind in kinds) and not _dicom.can_read()
    return ' For DICOM files: pip install "gan-sampler[dicom]".' if is_dicom else ""


def _count_kinds(kinds):
    named = [f"{count} {kind}" for kind, count in kinds.most_common(_MAX_KINDS)]
    n_others = kinds.total() - sum(count for _, count in kinds.most_common(_MAX_KINDS))
    return ", ".join(named + ([f"{n_others} others"] if n_others else []))


def check_path(name, path):
    """Return `path`, the argument called `name`, as a Path."""
    text = os.fspath(path)
    if not isinstance(text, str) or not text or "\0" in text:
        raise ValueError(
            f"{name} must be the path of a folder, a text that is not empty and has no null character; got {path!r}. "
            "The current folder is '.'."
        )
    return Path(text)


def list_files(root, passed_over):
    """Return the image files below `root`, in order, and tell `passed_over` of the others."""
    if not root.exists():
        raise FileNotFoundError(f"path must be a folder that exists; got {str(root)!r}.")
    if not root.is_dir():
        raise NotADirectoryError(f"path must be a folder; got the file {str(root)!r}.")
    folders = _class_folders(root, passed_over)
    split_of = {folder.name: _SPLIT_OF_FOLDER.get(folder.name.lower()) for folder in folders}
    if not any(split_of.values()):
        return _files_by_class(root, root, folders, None, passed_over)
    _check_split_folders(root, split_of)
    files = [
        file
        for folder in sorted(folders, key=lambda folder: SPLITS.index(split_of[folder.name]))
        for file in _files_by_class(
            root, folder, _class_folders(folder, passed_over), split_of[folder.name], passed_over
        )
    ]
    _check_same_classes(files)
    return files


def _class_folders(folder, passed_over):
    names = [entry.name for entry in folder.iterdir() if not is_clutter(entry.name) and entry.name != MANIFEST]
    folders = {name for name in names if (folder / name).is_dir()}
    passed_over.add_files(name for name in names if name not in folders)
    return [folder / name for name in sorted(folders)]


def is_clutter(name):
    """Whether systems leave such a name behind: nobody wants a word about it."""
    return name.startswith(".") or name.lower() in _CLUTTER


def _check_split_folders(root, folders):
    others = [name for name, split in folders.items() if split is None]
    if others:
        raise ValueError(
            f"path must hold either class folders or the folders train, val and test; got both in {str(root)!r}: "
            f"{', '.join(sorted(folders))}. Move away {', '.join(others)}, or pass one of the folders."
        )
    if len(set(folders.values())) < len(folders):
        raise ValueError(
            f"path must hold one folder for each of train, val and test; got {', '.join(sorted(folders))} in "
            f"{str(root)!r}. Merge those that mean the same."
        )


def _files_by_class(root, folder, class_folders, split, passed_over):
    if not class_folders:
        n_loose = sum(_is_image(entry.name) for entry in folder.iterdir())
        raise ValueError(
            f"path must hold one folder of images per class; {str(folder)!r} has no folder in it"
            f"{f', but {n_loose} image files' if n_loose else ''}. Put the images of each class into a folder named "
            "after the class."
        )
    seen = {_identity(above): str(above) for above in (root, folder)}
    return [
        file for class_folder in class_folders for file in class_files(root, class_folder, split, passed_over, seen)
    ]


def class_files(root, class_folder, split, passed_over, seen):
    """Return the images of one class, in order.

    Parameters
    ----------
    root, class_folder : Path
        Folder of the data set, and the one in it that holds the class.
    split : str or None
        What the class folder lies in.
    passed_over : PassedOver
        Is told of what is not read.
    seen : dict
        Folders that must not be met again; those of the class are added.
    """
    images, others = _walk(class_folder, passed_over, seen)
    if not images:
        kinds = Counter(map(_kind, others))
        found = _count_kinds(kinds) or "none"
        raise ValueError(
            f"every class folder must hold images ({', '.join(readable())}); got {found} in {str(class_folder)!r}. "
            f"{' '.join([*passed_over.problems, 'Add images or remove the folder.'])}{_dicom_remedy(kinds)}"
        )
    passed_over.add_files(others)
    filenames = sorted(Path(path).relative_to(root).as_posix() for path in images)
    return [ImageFile(root / filename, filename, class_folder.name, split) for filename in filenames]


def _walk(top, passed_over, seen):
    """Return the paths of the image files below `top`, and the names of the other files; links are followed."""
    # os.walk goes round in loops of links, and in Python 3.11 only as deep as Python may call.
    images, others, pending = [], [], [str(top)]
    while pending:
        folder = pending.pop()
        try:
            identity, entries = _identity(folder), _entries(folder)
        except OSError as exc:
            passed_over.add_folder(folder, exc.strerror)
            continue
        if identity in seen:
            passed_over.add_folder(
                folder, f"it is {seen[identity]!r} by another name, and its images would count twice"
            )
            continue
        seen[identity] = folder
        for entry in entries:
            if is_clutter(entry.name):
                continue
            if _is_folder(entry):
                pending.append(entry.path)
            elif _is_image(entry.name):
                images.append(entry.path)
            else:
                others.append(entry.name)
    return images, others


def _identity(folder):
    """Return what is the same for all paths of one folder."""
    status = os.stat(folder)
    # Some file systems of networks number nothing; there all folders count as different.
    return (status.st_dev, status.st_ino) if status.st_ino else folder


def _entries(folder):
    with os.scandir(folder) as entries:
        return list(entries)


def _is_folder(entry):
    try:
        return entry.is_dir()
    except OSError:  # a link that cannot be followed: listing or reading it will say why
        return not _is_image(entry.name)


def _is_image(name):
    endings = suffixes() + (_dicom.SUFFIXES if _dicom.can_read() else ())
    return name.lower().endswith(endings) and not is_clutter(name)


def _check_same_classes(files):
    classes = {}
    for file in files:
        classes.setdefault(file.split, set()).add(file.label)
    if len(set(map(frozenset, classes.values()))) > 1:
        found = "; ".join(f"{split}: {', '.join(sorted(names))}" for split, names in classes.items())
        raise ValueError(
            f"train, val and test must have the same class folders; got {found}. Rename the folders that differ, or "
            "merge the splits."
        )


def raise_if_classes_are_deeper(root, files):
    """Refuse a path one level too high, which would make one class of a whole data set, without a sound."""
    file = files[0]
    class_folder = root.joinpath(*PurePath(file.filename).parts[: 1 if file.split is None else 2])
    inner = [folder.name for folder in _class_folders(class_folder, PassedOver())]
    if inner:
        raise ValueError(
            f"path must hold one folder per class; got {file.label!r} alone in {str(root)!r}, with the folders "
            f"{', '.join(inner)} in it. If those are the classes or splits, pass {str(class_folder)!r}."
        )
