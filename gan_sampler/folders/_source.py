"""Where the images of a command come from: a folder of files, or arrays in a file."""

import hashlib
import os
from pathlib import Path

from gan_sampler.datasets._places import check_apart
from gan_sampler.folders._listing import count_classes, find_files, read_images
from gan_sampler.folders._state import digest_of_files


def find_source(path, notes, *, skip_unreadable=False, argument="SRC", least_classes=2):
    """Return the source of images at a path, an image folder or an ``.npz`` file; parameters as of `find_files`."""
    path = Path(path)
    if path.suffix.lower() == ".npz" and path.is_file():
        return ArraySource(path, argument, least_classes)
    return FolderSource(path, notes, skip_unreadable, argument, least_classes)


class FolderSource:
    """A folder of image files.

    Attributes
    ----------
    counts : dict of str to int
        Number of training images of each class.
    n_others : int
        Number of files of the validation and test part.
    n_bytes : int
        Size of all files.
    """

    def __init__(self, path, notes, skip_unreadable, argument, least_classes):
        self.path = path
        self._skip_unreadable = skip_unreadable
        self.files, self._train_files = find_files(
            path, notes, skip_unreadable=skip_unreadable, argument=argument, least_classes=least_classes
        )
        self.counts = count_classes(self._train_files)
        self.n_others = len(self.files) - len(self._train_files)

    @property
    def n_bytes(self):
        """Size of all files."""
        return sum(os.path.getsize(file.path) for file in self.files)

    @property
    def devices(self):
        """Numbers of the disks that files lie on."""
        return {os.stat(folder).st_dev for folder in {file.path.parent for file in self.files}}

    def digest(self):
        """Return what changes with the files."""
        return digest_of_files(self.files)

    def check_apart(self, path, argument):
        """Raise where a path lies in the folder, or in one that a link in it leads to."""
        check_apart(path, self.path, {file.path.parent for file in self.files}, argument=argument)

    def load(self, *, image_size=None, n_images=None, verbose=0):
        """Return the training images, of each class `n_images` at most."""
        files, taken = [], {}
        for file in self._train_files:
            taken[file.label] = taken.get(file.label, 0) + 1
            if n_images is None or taken[file.label] <= n_images:
                files.append(file)
        return read_images(
            files,
            self.path,
            image_size=image_size,
            skip_unreadable=self._skip_unreadable,
            n_jobs=-1,
            verbose=verbose,
        )

    def check_sizes(self, image_size):
        """Raise as `load` would, while only the heads of files are read."""
        if image_size is not None:
            return
        from joblib import Parallel, delayed

        from gan_sampler.datasets._decoding import read_head

        heads = Parallel(n_jobs=-1, prefer="threads")(delayed(read_head)(file.path) for file in self._train_files)
        first = None
        for file, head in zip(self._train_files, heads, strict=True):
            if head is None:
                continue
            first = first or (file, head)
            if head.size != first[1].size:
                sizes = [f"{h.size[0]} x {h.size[1]} in {f.filename!r}" for f, h in (first, (file, head))]
                raise ValueError(
                    f"The images differ in size (height x width): {' and '.join(sizes)}. Add --image-size, for example "
                    "--image-size 64, the size that synthetic images will have; originals stay as they are."
                )

    def originals(self, data):
        """Return the originals of training images that were loaded, and what lies beside them."""
        from gan_sampler.datasets._saving import Originals

        others = [file for file in self.files if file.split not in (None, "train")]
        has_splits = self.files[0].split is not None
        return Originals(
            data.images,
            data.target,
            [*data.filenames.tolist(), *(file.filename for file in others)],
            self.path,
            [*data.target.tolist(), *(file.label for file in others)],
            [*data.split.tolist(), *(file.split for file in others)] if has_splits else None,
        )


class ArraySource:
    """Arrays in an ``.npz`` file; attributes and methods as of `FolderSource`."""

    devices = frozenset()  # nothing to be linked

    def __init__(self, path, argument, least_classes):
        import numpy as np

        from gan_sampler.datasets._npz import load_npz

        self.path = path
        self._data = load_npz(path)
        self._is_train = np.ones(len(self._data.images), dtype=bool)
        if self._data.split is not None:
            self._is_train = self._data.split == "train"
        labels, counts = np.unique(self._data.target[self._is_train], return_counts=True)
        self.counts = dict(zip(labels.tolist(), counts.tolist(), strict=True))
        self.n_others = int((~self._is_train).sum())
        self.n_bytes = path.stat().st_size
        if len(self.counts) < least_classes:
            raise ValueError(f"{argument} must hold at least {least_classes} classes; got {', '.join(self.counts)}.")

    def digest(self):
        """Return what changes with the file."""
        status = self.path.stat()
        return hashlib.sha256(f"{status.st_size} {status.st_mtime_ns}".encode()).hexdigest()

    def check_apart(self, path, argument):
        """Raise nothing: a folder cannot lie in a file."""

    def check_sizes(self, image_size):
        """Raise where a size was asked for."""
        if image_size is not None:
            raise ValueError(f"image_size must be left out for {self.path}; its images are taken as they are.")

    def load(self, *, image_size=None, n_images=None, verbose=0):
        """Return the training images, of each class `n_images` at most."""
        import numpy as np
        from sklearn.utils import Bunch

        from gan_sampler.datasets._saving import check_images_and_labels

        self.check_sizes(image_size)
        rows = np.flatnonzero(self._is_train)
        if n_images is not None:
            target = self._data.target[rows]
            rows = np.concatenate([rows[target == label][:n_images] for label in self.counts])
        images, target = check_images_and_labels(self._data.images[rows], self._data.target[rows])
        return Bunch(images=images, target=target)

    def originals(self, data):
        """Return the originals of training images that were loaded, and what lies beside them."""
        from gan_sampler.datasets._saving import Originals, check_images_and_labels

        others = self._data.images[:0], self._data.target[:0]
        if self.n_others:
            others = check_images_and_labels(self._data.images[~self._is_train], self._data.target[~self._is_train])
        split = None
        if self._data.split is not None:
            split = [*["train"] * len(data.target), *self._data.split[~self._is_train].tolist()]
        labels = [*data.target.tolist(), *others[1].tolist()]
        return Originals(data.images, data.target, None, None, labels, split, others=others[0])
