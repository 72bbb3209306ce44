"""Many image files, read in threads into one array."""

import contextlib
import math
import os
import warnings
from numbers import Integral

import numpy as np
from joblib import Parallel, delayed
from sklearn.utils import Bunch, gen_batches
from sklearn.utils._param_validation import Interval
from tqdm import tqdm

from gan_sampler.datasets._decoding import explain, read_image
from gan_sampler.runtime import memory_of_this_machine

READ_CONSTRAINTS = {
    "image_size": [Interval(Integral, 1, None, closed="left"), tuple, list, None],
    "n_jobs": [Integral, None],
    "verbose": ["verbose"],
}
_BLOCK = 64  # files read before their images are moved into the output


def load(files, *, root, image_size, color, n_jobs, verbose, groups=None, on_error="raise", descr=None):
    """Read `files` and return the Bunch that `load_image_folder` documents."""
    group_of = None if groups is None else {file: groups(file.filename) for file in files}  # may raise: so first
    images, kept = read_files(
        files, image_size=image_size, color=color, on_error=on_error, n_jobs=n_jobs, verbose=verbose
    )
    lost = sorted({file.label for file in files} - {file.label for file in kept})
    if lost:
        raise ValueError(f"every class must keep an image; no file could be read of {', '.join(lost)}.")
    target = np.array([file.label for file in kept])
    return Bunch(
        images=images,
        target=target,
        target_names=np.unique(target),
        groups=None if group_of is None else np.array([group_of[file] for file in kept]),
        filenames=np.array([file.filename for file in kept]),
        split=None if kept[0].split is None else np.array([file.split for file in kept]),
        path=os.path.abspath(root),
        DESCR=descr or _describe(images, target),
    )


def _describe(images, target):
    counts = "\n".join(f"{name}: {count}" for name, count in zip(*np.unique(target, return_counts=True), strict=True))
    return f"{len(images)} images of shape {images.shape[1:]}, {images.dtype}, loaded from a folder\n\n{counts}\n"


def read_files(files, *, image_size, color, n_jobs, verbose, on_error="raise"):
    """Return the images of `files` as one array, and the files that could be read."""
    size = _check_image_size(image_size)
    if size is not None:  # the least that it can come to: better told now than after hours
        allocate((len(files), *size, *((3,) if color == "rgb" else ())), np.dtype(np.uint8))
    stack = _ImageStack(len(files), color)
    kept = []
    reads = _read_in_threads(files, size, color, n_jobs)
    for file, (pixels, problem) in tqdm(
        reads, total=len(files), desc="Reading images", unit="image", disable=not verbose
    ):
        if problem is None:
            stack.append(pixels, file.filename)
            kept.append(file)
            continue
        message = f"{str(file.path)!r} cannot be read as an image: {explain(problem)}."
        if on_error == "raise":
            advice = "Replace it, or leave it out: load_image_folder(..., on_error='skip')."
            raise ValueError(f"{message} {advice}") from problem
        warnings.warn(f"{message} The file is left out.", stacklevel=5)
    return stack.images, kept


def _check_image_size(image_size):
    """Return `image_size` as (height, width), or None."""
    if image_size is None:
        return None
    size = (image_size, image_size) if isinstance(image_size, Integral) else tuple(image_size)
    if len(size) != 2 or not all(_is_side(side) for side in size):
        raise ValueError(f"image_size must be a positive int, (height, width) in pixels or None; got {image_size!r}.")
    return tuple(int(side) for side in size)


def _is_side(side):
    return isinstance(side, Integral) and not isinstance(side, bool) and side > 0


def _read_in_threads(files, size, color, n_jobs):
    """Yield each file with what `_try_to_read` returns of it, in order."""
    # Threads suffice, for Pillow lets others run while it decodes. By the block, so that the images lie in the
    # output alone, and no task is left over when the caller stops at an error.
    with Parallel(n_jobs=n_jobs, prefer="threads") as parallel:
        for block in gen_batches(len(files), _BLOCK):
            reads = parallel(delayed(_try_to_read)(file.path, size, color) for file in files[block])
            yield from zip(files[block], reads, strict=True)


def _try_to_read(path, size, color):
    """Return (pixels, None), or (None, exception) where the caller has to decide."""
    try:
        return read_image(path, size, color), None
    except MemoryError as exc:  # the machine's fault, not the file's
        raise MemoryError(
            f"There is not enough memory to read {str(path)!r}. Free memory, or pass a smaller n_jobs."
        ) from exc
    except Exception as exc:  # there is no list of what Pillow's readers raise on damaged bytes
        return None, exc


class _ImageStack:
    """Array that takes up images one by one, and gets its shape, dtype and channels from them.

    It starts grey and turns to colour at the first coloured image, so that the array is as good as always
    allocated once: coloured sets rarely begin with a grey image.
    """

    def __init__(self, n_max, color):
        self._n_max = n_max
        self._color = color
        self._array = None
        self._first = None  # file name of the first image, for errors
        self._n = 0

    @property
    def images(self):
        return self._array[: self._n] if self._n else np.empty((0, 0, 0), dtype=np.uint8)

    def append(self, pixels, filename):
        if self._array is None:
            channels = (3,) if self._color == "rgb" or pixels.ndim == 3 else ()
            self._array = allocate((self._n_max, *pixels.shape[:2], *channels), pixels.dtype)
            self._first = filename
        self._check_fits(pixels, filename)
        if pixels.ndim == 3 and self._array.ndim == 3:
            grey = self._array
            self._array = allocate((*grey.shape, 3), grey.dtype)
            self._array[: self._n] = grey[: self._n, ..., None]
        self._array[self._n] = pixels[..., None] if self._array.ndim > pixels.ndim + 1 else pixels
        self._n += 1

    def _check_fits(self, pixels, filename):
        height, width = self._array.shape[1:3]
        if pixels.shape[:2] != (height, width):
            raise ValueError(
                f"images must be of one size (height x width) with image_size=None; got {height} x {width} in "
                f"{self._first!r} and {pixels.shape[0]} x {pixels.shape[1]} in {filename!r}. Pass image_size, "
                "for example image_size=64, to resize them."
            )
        if pixels.dtype != self._array.dtype:
            raise ValueError(
                f"images must be of one bit depth; got {self._array.dtype} in {self._first!r} and {pixels.dtype} in "
                f"{filename!r}, whose values cannot be compared. Save them all with 8 or all with 16 bits."
            )


def allocate(shape, dtype):
    """Return an empty array, or say how many bytes it would have had."""
    needed = math.prod(shape) * dtype.itemsize
    if needed <= memory_of_this_machine():
        with contextlib.suppress(MemoryError):
            return np.empty(shape, dtype)
    raise MemoryError(
        f"The images need {needed:,} bytes of memory, {shape[0]:,} times {' x '.join(map(str, shape[1:]))} in {dtype}, "
        "and this machine cannot give them. Pass a smaller image_size, or load fewer files at a time."
    )
