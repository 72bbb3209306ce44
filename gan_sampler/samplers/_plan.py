"""How many images a fit adds to each class, and the arrays of its output."""

import math
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral

import numpy as np

from ..runtime import memory_of_this_machine
from ._labels import plain_label


@dataclass
class Plan:
    """Numbers of images that are added to the classes.

    Attributes
    ----------
    rows : dict of label to ndarray of int
        Rows of the images of each class that gets synthetic images.
    n_repeated : dict of label to int
        Number of real images to repeat.
    n_synthetic : dict of label to int
        Number of images to generate.
    """

    rows: dict
    n_repeated: dict
    n_synthetic: dict

    def repeat_instead(self, label):
        """Replace the synthetic images of a class by repeated ones."""
        self.n_repeated[label] = self.n_repeated.get(label, 0) + self.n_synthetic.pop(label)


def check_counts(counts, form, y):
    """Raise a ValueError unless `counts`, from a `sampling_strategy` of this form, is valid for labels `y`."""
    wanted = f"sampling_strategy must be {form} of classes to numbers of images"
    if not isinstance(counts, Mapping):
        raise ValueError(f"{wanted}; got {type(counts).__name__}.")
    present = Counter(y.tolist())
    for label, n_images in counts.items():
        label = plain_label(label)
        if isinstance(n_images, bool | np.bool_) or not isinstance(n_images, Integral):
            raise ValueError(f"{wanted}, whole ones; got {n_images!r} for class {label!r}.")
        if n_images > sys.maxsize:
            raise MemoryError(
                f"sampling_strategy asks for {n_images:,} images of class {label!r}; no array can have them."
            )
        if label not in present:
            raise ValueError(f"{wanted}; class {label!r} is not present in the data, which have {sorted(present)}.")
        if n_images < present[label]:
            raise ValueError(
                f"{wanted}, which should be greater or equal to the original number of images; got {n_images} for "
                f"class {label!r}, of which there are {present[label]}. To have fewer, use an under-sampler."
            )


def make_plan(y, sampling_strategy, repeated_share, synthetic_classes, synthetic_ratio):
    """Return the numbers of images to add to each class.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels.
    sampling_strategy : dict of label to int
        Number of images to add to each class, from imbalanced-learn's `check_sampling_strategy`.
    repeated_share : float
        With "resampled", the share of these, in [0, 1), that are repeated real images; at least one is synthetic.
    synthetic_classes : {"resampled", "all"}
        Whether these are repeated and synthetic, or all repeated while every class gets the same number of synthetic
        images.
    synthetic_ratio : float
        With "all", the number of synthetic images of each class as a fraction of the size of the largest class.

    Returns
    -------
    plan : Plan
        Classes without added images are left out.
    """
    wanted = {label: n_images for label, n_images in sampling_strategy.items() if n_images > 0}
    if synthetic_classes == "resampled":
        n_synthetic = {label: max(1, round((1 - repeated_share) * n_images)) for label, n_images in wanted.items()}
        n_repeated = {label: wanted[label] - n for label, n in n_synthetic.items() if n < wanted[label]}
    else:
        labels, counts = np.unique(y, return_counts=True)
        n_each = max(1, round(synthetic_ratio * int(counts.max())))
        n_repeated, n_synthetic = wanted, dict.fromkeys(map(plain_label, labels), n_each)
    return Plan({label: np.flatnonzero(y == label) for label in n_synthetic}, n_repeated, n_synthetic)


class Resampled:
    """The resampled images and labels: the originals, then the added images class by class.

    Parameters
    ----------
    X : ndarray of shape (n, ...)
        The originals.
    y : ndarray of shape (n,)
        Their labels.
    n_new : int
        Number of images that will be added. Memory is allocated here, before training.

    Attributes
    ----------
    X, y : ndarray
        The resampled images and labels.
    is_synthetic : ndarray of bool
        Which of them are synthetic.
    """

    def __init__(self, X, y, n_new):
        n = len(X) + n_new
        needed = n * math.prod(X.shape[1:]) * X.itemsize
        try:
            if needed > memory_of_this_machine():
                raise MemoryError
            self.X = np.empty((n, *X.shape[1:]), dtype=X.dtype)
            self.y = np.empty(n, dtype=y.dtype)
            self.is_synthetic = np.zeros(n, dtype=bool)
        # OverflowError and ValueError: larger than an array can be.
        except (MemoryError, OverflowError, ValueError) as exc:
            raise MemoryError(
                f"sampling_strategy asks for {n_new:,} new images, with which there would be {n:,}: "
                f"{needed / 2**30:,.1f} GiB, for which there is no room in memory. Ask for fewer."
            ) from exc
        self.X[: len(X)], self.y[: len(X)] = X, y
        self._n_originals = self._filled = len(X)
        self._n_uses = np.zeros(len(X), dtype=np.int64)  # as repeated images

    def add(self, label, n_images):
        """Reserve rows for images of a class, and return them as a slice of `X`."""
        place = slice(self._filled, self._filled + n_images)
        self.y[place], self.is_synthetic[place] = label, True
        self._filled += n_images
        return place

    def repeat(self, rows, place):
        """Write repeated images from `rows` to a slice; all are repeated equally often up to a difference of one."""
        rows = rows[np.argsort(self._n_uses[rows], kind="stable")]
        taken = np.resize(rows, place.stop - place.start)
        np.add.at(self._n_uses, taken, 1)
        np.take(self.X, taken, axis=0, out=self.X[place], mode="clip")
        self.is_synthetic[place] = False

    def count(self):
        """Return the number of ``real``, ``repeated`` and ``synthetic`` images of each class, as dicts by label."""
        is_new = np.arange(len(self.y)) >= self._n_originals
        kinds = {"real": ~is_new, "repeated": is_new & ~self.is_synthetic, "synthetic": self.is_synthetic}
        return {
            plain_label(label): {
                kind: int(np.count_nonzero(chosen & (self.y == label))) for kind, chosen in kinds.items()
            }
            for label in np.unique(self.y)
        }

    def sort(self):
        """Move repeated images before synthetic ones."""
        new = slice(self._n_originals, None)
        order = np.argsort(self.is_synthetic[new], kind="stable")
        if not np.array_equal(order, np.arange(len(order))):
            for array in (self.X, self.y, self.is_synthetic):
                array[new] = array[new][order]
