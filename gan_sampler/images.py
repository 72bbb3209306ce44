"""Conversion of arrays of images in any accepted layout to float tensors in [-1, 1] and back.

Shapes, channels, dtypes and value ranges are handled here. All other modules use tensors of shape
``(n, channels, height, width)`` with values in [-1, 1].
"""

import math
import os
import sys
from dataclasses import dataclass, replace
from numbers import Integral, Real

import numpy as np
import torch
from PIL import Image
from scipy.sparse import issparse
from sklearn.utils import check_array, gen_batches
from sklearn.utils._param_validation import StrOptions

MIN_SIDE = 8  # pixels; smaller images cannot be down-sampled by the networks
MAX_CHANNELS = 4
_BLOCK = 1024  # images checked at a time, so that X is never copied as a whole
_FLOAT64_INTEGERS = 2**53  # up to here float64 represents every integer exactly
_NARROW = 2**62  # ranges below this have differences that fit into signed 64-bit integers
# Modes of Pillow images whose values are brightness.
_BRIGHTNESS_MODES = {"1", "L", "LA", "RGB", "RGBA", "I", "I;16", "I;16L", "I;16B", "I;16N", "F"}

# Constraints of the three parameters of `check_images`, for every estimator of images.
IMAGE_PARAMETER_CONSTRAINTS = {
    "image_shape": [tuple, list, StrOptions({"row"}), None],
    "data_format": [StrOptions({"auto", "channels_first", "channels_last"})],
    "value_range": [tuple, list, None],
}

_IMAGE_LAYOUTS = (
    "(n, H, W), (n, H, W, C), (n, C, H, W) with C in 1..4, or rows (n, H * W * C) with image_shape=(H, W) or (H, W, C)"
)


@dataclass(frozen=True)
class ImageFormat:
    """Layout, dtype and value range of an array of images.

    Parameters
    ----------
    height, width : int
        Size of an image, in pixels.
    channels : int
        Number of channels stored, 1 to 4.
    layout : {"HW", "HWC", "CHW"}
        Order of the axes of one image.
    ravelled : bool
        Whether each image is stored as one row.
    dtype : numpy.dtype
        Element type of the array.
    value_range : tuple of (float, float) or (int, int)
        Values that correspond to -1 and 1 in tensors; integers for integer images, since floats cannot represent all of
        them.
    grey_as_rgb : bool, default=False
        Whether the three stored channels are equal, so that tensors have only one.
    """

    height: int
    width: int
    channels: int
    layout: str
    ravelled: bool
    dtype: np.dtype
    value_range: tuple
    grey_as_rgb: bool = False

    @property
    def image_shape(self):
        """Shape of one image in the order of its axes: (H, W), (H, W, C) or (C, H, W)."""
        sizes = {"H": self.height, "W": self.width, "C": self.channels}
        return tuple(sizes[axis] for axis in self.layout)

    @property
    def row_shape(self):
        """Shape of one element of the array: that of an image, or ``(n_features,)`` when ravelled."""
        return (self.n_features,) if self.ravelled else self.image_shape

    @property
    def n_features(self):
        """Number of values that one image stores."""
        return self.height * self.width * self.channels

    @property
    def tensor_shape(self):
        """Shape of one image as a tensor: (channels, H, W), one channel when `grey_as_rgb`."""
        return (1 if self.grey_as_rgb else self.channels, self.height, self.width)

    @property
    def limits(self):
        """Smallest and largest value of the dtype within `value_range`."""
        (low, high), (least, most) = self.value_range, _dtype_limits(self.dtype)
        if self.dtype.kind in "biu":
            return max(math.ceil(low), least), min(math.floor(high), most)
        return _round_inwards(max(low, least), np.inf, self.dtype), _round_inwards(min(high, most), -np.inf, self.dtype)

    @property
    def fits_floats(self):
        """Whether `to_rows` and `from_rows` are exact; they are not for 64-bit integers with a range above 2**53."""
        lowest, highest = self.limits
        return self.dtype.kind not in "iu" or max(abs(lowest - self._base), highest - self._base) <= _FLOAT64_INTEGERS

    @property
    def _base(self):
        """Integer that is subtracted before conversion to floats, if floats cannot represent the values exactly."""
        low, high = self.value_range
        is_far_off = self.dtype.kind in "iu" and max(-low, high) > _FLOAT64_INTEGERS
        return self.limits[0] if is_far_off and high - low < _NARROW else 0

    @property
    def _exact(self):
        """Float type of computations: float32 where it represents all values of the dtype and the range."""
        (low, high), (least, most) = self.value_range, _dtype_limits(self.dtype)
        return np.float32 if self.dtype.itemsize <= 2 and least <= low and high <= most else np.float64

    def _as_floats(self, X, dtype):
        """Return values minus `_base` as floats."""
        base = self._base
        if base:  # modulo 2**64, which is exact for integers of any size and sign
            X = (X.astype(np.uint64) - np.uint64(base % 2**64)).astype(np.int64)
        return X.astype(dtype, copy=False)

    def _as_stored(self, values):
        """Return the nearest values within `limits`; the inverse of `_as_floats`."""
        base = self._base
        lowest, highest = (limit - base for limit in self.limits)
        if self.dtype.kind == "f":  # not numpy.clip, which may change the sign of a zero
            values = np.where(values < lowest, lowest, np.where(values > highest, highest, values))
            return values.astype(self.dtype)
        values = np.rint(values)
        if self.dtype.itemsize < 8:
            return np.clip(values, lowest, highest).astype(self.dtype)
        stored = _cast_to_64_bits(values, np.dtype(np.int64) if base else self.dtype, lowest, highest)
        return (stored.astype(np.uint64) + np.uint64(base % 2**64)).astype(self.dtype) if base else stored

    def to_tensor(self, X):
        """Return the images of `X` as a float32 tensor in [-1, 1].

        Parameters
        ----------
        X : ndarray of shape (n, *row_shape)
            Images in this format.

        Returns
        -------
        images : torch.Tensor of shape (n, *tensor_shape), float32
            Images on the CPU, sharing no memory with `X`.
        """
        low, high = self.value_range
        X = np.asarray(X)
        # float32 is precise enough for the result, but the offset must be subtracted before, for narrow ranges of large
        # values.
        exact = self._exact
        offset, scale = exact(low - self._base), exact(2 / ((high - low) or 1))
        images = np.empty((len(X), *self.tensor_shape), dtype=np.float32)
        for block in gen_batches(len(X), _BLOCK):  # blocks, to limit memory
            values = self._as_floats(self._shown_channels(X[block]), exact)
            images[block] = (values - offset) * scale - exact(1)
        return torch.from_numpy(images)

    def to_compact_tensor(self, X):
        """Return the images of `X` as uint8 if they are stored so, with a quarter of the memory of `to_tensor`.

        Parameters
        ----------
        X : ndarray of shape (n, *row_shape)
            Images in this format.

        Returns
        -------
        images : torch.Tensor of shape (n, *tensor_shape)
            uint8, where 0 and 255 correspond to -1 and 1, if `X` is uint8 of the full range; else as from `to_tensor`.
        """
        if self.dtype != np.uint8 or self.value_range != (0, 255):
            return self.to_tensor(X)
        return torch.from_numpy(np.array(self._shown_channels(np.asarray(X)), order="C"))

    def to_array(self, images):
        """Return a tensor of images in this format; the inverse of `to_tensor`.

        Parameters
        ----------
        images : torch.Tensor of shape (n, *tensor_shape)
            Images in [-1, 1]; values outside are clipped.

        Returns
        -------
        X : ndarray of shape (n, *row_shape)
            Images of this format's layout, dtype and value range.
        """
        low, high = self.value_range
        exact = torch.float32 if self._exact is np.float32 else torch.float64
        unit = images.detach().cpu().to(exact).clamp(-1, 1).numpy()
        values = self._as_stored((unit + 1) * ((high - low) / 2) + float(low - self._base))
        if self.grey_as_rgb:
            values = np.repeat(values, self.channels, axis=1)
        if self.layout == "HW":
            values = values[:, 0]
        elif self.layout == "HWC":
            values = np.moveaxis(values, 1, -1)
        return np.ascontiguousarray(values.reshape(len(values), *self.row_shape))

    def to_rows(self, X):
        """Return the pixels of images as rows of floats.

        Parameters
        ----------
        X : ndarray of shape (n, *row_shape)
            Images in this format.

        Returns
        -------
        rows : ndarray of shape (n, n_features)
            The values of `X`: floats unchanged, but float16 as float32; integers and booleans as the smaller of float32
            and float64 that represents them. For 64-bit integers beyond 2**53, the differences from the smallest value,
            which are rounded if they are beyond 2**53 themselves; see `fits_floats`.
        """
        rows = X.reshape(len(X), self.n_features)
        if self.dtype.kind == "f":  # differences of float16 may overflow float16
            return rows.astype(max(self.dtype.newbyteorder("="), np.dtype(np.float32)), copy=False)
        return self._as_floats(rows, np.float32 if self.dtype.itemsize <= 2 else np.float64)

    def from_rows(self, rows):
        """Return images from rows of pixels, rounded and clipped; the inverse of `to_rows`."""
        return self._as_stored(rows).reshape(len(rows), *self.row_shape)

    def fill(self, X, batches):
        """Write tensors of images, batch by batch, into rows of an array.

        Parameters
        ----------
        X : ndarray of shape (n, *row_shape)
            Overwritten.
        batches : iterable of torch.Tensor of shape (m, *tensor_shape)
            Images in [-1, 1]; the batches add up to n.
        """
        filled = 0
        for images in batches:
            X[filled : filled + len(images)] = self.to_array(images)
            filled += len(images)

    def collapse_grey(self, X, rows):
        """Return this format with `grey_as_rgb` set if all images ``X[rows]`` have three equal channels."""
        if self.channels != 3:
            return self
        for block in gen_batches(len(rows), _BLOCK):
            if not self._is_grey(X[rows[block]]):
                return self
        return replace(self, grey_as_rgb=True)

    def _is_grey(self, X):
        images = self._channels_first(X)
        return np.array_equal(images[:, 0], images[:, 1]) and np.array_equal(images[:, 0], images[:, 2])

    def check_same(self, X, *, input_name="X", seen=None):
        """Return `X` as an array; raise an error if its images do not have this format.

        Parameters
        ----------
        X : array-like
            Images.
        input_name : str, default="X"
            Name of `X` in error messages.
        seen : str or None, default=None
            Origin of this format, for error messages; None is an earlier fit.

        Raises
        ------
        ValueError
            When images have another shape, another type of numbers (booleans, integers, floats), values far outside the
            value range, or colour although the first images had none.
        """
        X = as_numeric_array(X, input_name)
        as_known = " as in `n_features_in_`" if seen is None else ""
        seen = seen or "seen at fit"
        if X.shape[1:] != self.row_shape:
            raise ValueError(
                f"{input_name} must hold images of the shape {seen}, {self.row_shape}; got elements of shape "
                f"{X.shape[1:]}, {self.n_features} features were expected{as_known}. Load both sets at the same size "
                "and in the same layout."
            )
        (low, high), (lowest, highest) = self.value_range, _extremes(X)
        slack = 0 if self.dtype == np.uint8 else high - low  # new images may exceed the range somewhat
        other_kind = (X.dtype.kind == "f") != (self.dtype.kind == "f")
        other_kind |= X.dtype.kind == "b" and self.dtype.kind != "b" and self.value_range != (0, 1)
        if other_kind or lowest < low - slack or highest > high + slack:
            raise ValueError(
                f"{input_name} must be of the kind {seen}, {self.dtype} from {_shown(low)} to {_shown(high)}; got "
                f"{X.dtype} from {_shown(lowest)} to {_shown(highest)}, which would be read at another brightness. "
                f"Convert one of the two sets{'' if other_kind else ', or pass value_range'}."
            )
        if self.grey_as_rgb and not self._is_grey(X):
            raise ValueError(
                f"{input_name} must hold images without colour, three equal channels like the images {seen}; got "
                "channels that differ. Let both have colour, or make these grey."
            )
        return X

    def _shown_channels(self, X):
        images = self._channels_first(X)
        return images[:, :1] if self.grey_as_rgb else images

    def _channels_first(self, X):
        X = X.reshape(len(X), *self.image_shape)
        if self.layout == "HW":
            return X[:, None]
        return np.moveaxis(X, -1, 1) if self.layout == "HWC" else X


def check_images(X, *, image_shape=None, data_format="auto", value_range=None, input_name="X"):
    """Check that `X` holds images, and return their format.

    Parameters
    ----------
    X : array-like
        Images as ``(n, H, W)``, ``(n, H, W, C)``, ``(n, C, H, W)`` with C in 1..4, or as rows
        ``(n, H * W * C)`` with `image_shape`: an array, a data frame of rows, a tensor on the CPU, or a list of arrays
        or Pillow images, all of one size and of one mode whose values are brightness. Lists are converted to arrays.
        Accepted are booleans, integers of 8 to 64 bits and floats of 16 to 64 bits, in either byte order; text and
        objects are converted to float64 if they are numbers that float64 represents.
    image_shape : tuple of int, "row" or None, default=None
        Shape of one image, ``(H, W)`` or ``(H, W, C)``; needed if `X` is 2-D. ``"row"`` reads each row as an image of
        ``1 x n_features`` pixels.
    data_format : {"auto", "channels_first", "channels_last"}, default="auto"
        Position of the channel axis in 4-D input; "auto" takes the axis that has at most 4 entries. Rows of 2-D input
        are read as channels last unless "channels_first" is given.
    value_range : tuple of (float, float) or None, default=None
        Smallest and largest value that a pixel can have. None stands for (0, 255) for uint8, and for the smallest and
        largest value in `X` for every other dtype.
    input_name : str, default="X"
        Name of `X` in error messages.

    Returns
    -------
    X : ndarray
        The images; not copied if `X` is an array.
    image_format : ImageFormat
        Their format.

    Raises
    ------
    ValueError
        When the images are not numeric, not finite or too small, have the wrong number of axes or channels, when
        channels first and last are both possible, when `image_shape` does not match, or when the range of values
        overflows or underflows float64.
    TypeError
        When `X` is sparse, or an array of objects that are not numbers.
    """
    X = as_numeric_array(X, input_name)
    if X.ndim == 2:
        height, width, channels, layout = _row_layout(X, image_shape, data_format, input_name)
    elif X.ndim in (3, 4):
        height, width, channels, layout = _image_layout(X, data_format, input_name)
        _check_shape_agrees(X, (height, width, channels), image_shape, input_name)
    else:
        raise ValueError(f"{input_name} must be {_IMAGE_LAYOUTS}; got {X.ndim} axes, shape {X.shape}.")
    if not isinstance(image_shape, str) and min(height, width) < MIN_SIDE:
        raise ValueError(
            f"{input_name} must hold images of at least {MIN_SIDE} x {MIN_SIDE} pixels; got {height} x {width} "
            f"from shape {X.shape}. Pad or enlarge them first."
        )
    image_format = ImageFormat(
        height=height,
        width=width,
        channels=channels,
        layout=layout,
        ravelled=X.ndim == 2,
        dtype=X.dtype,
        value_range=_check_value_range(X, value_range, input_name),
    )
    return X, image_format


def _dtype_limits(dtype):
    """Return the smallest and the largest number of a dtype, as Python's numbers."""
    if dtype.kind == "b":
        return 0, 1
    info = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
    return info.min if dtype.kind in "iu" else float(info.min), info.max if dtype.kind in "iu" else float(info.max)


def _round_inwards(value, towards, dtype):
    """Return `value` rounded to a float dtype, in the direction of `towards`."""
    dtype = dtype.newbyteorder("=")
    rounded = dtype.type(value)
    if (float(rounded) - value) * towards < 0:
        rounded = np.nextafter(rounded, dtype.type(towards))
    return float(rounded)


def _cast_to_64_bits(values, dtype, lowest, highest):
    """Return whole numbers in float64 as 64-bit integers from `lowest` to `highest`."""
    # float64 rounds a limit such as 2**63 - 1 up, and a cast of that would wrap.
    too_small, too_large = values <= float(lowest), values >= float(highest)
    stored = np.where(too_small | too_large, 0, values).astype(dtype)
    stored[too_small], stored[too_large] = lowest, highest
    return stored


def _extremes(X):
    """Return the smallest and the largest value of an array as Python numbers, which do not overflow."""
    number = float if X.dtype.kind == "f" else int
    return number(X.min()), number(X.max())


def _shown(value):
    return f"{value:g}" if isinstance(value, float) else str(value)


def as_numeric_array(X, input_name):
    """Return `X` as a finite numeric ndarray of at least two axes."""
    _refuse_text(X, input_name)
    is_frame = hasattr(X, "iloc") and hasattr(X, "columns")
    if is_frame and not all(dtype.kind in "biuf" and getattr(dtype, "itemsize", 8) <= 8 for dtype in X.dtypes):
        X = X.to_numpy()
    elif not is_frame and not issparse(X):  # handled by scikit-learn
        X = _read_as_array(X, input_name)
    if isinstance(X, np.ndarray):
        X = _check_array_is_numeric(X, input_name)
    with np.errstate(over="ignore", invalid="ignore"):  # it computes the sum first, which may overflow
        X = check_array(X, allow_nd=True, dtype="numeric", input_name=input_name, ensure_min_samples=0)
    if len(X) == 0:
        raise ValueError(
            f"{input_name} must hold at least one image: found array with 0 sample(s) (shape={X.shape}) while a "
            "minimum of 1 is required."
        )
    return X


def _refuse_text(X, input_name):
    text = str | bytes | os.PathLike
    if isinstance(X, text) or (isinstance(X, list | tuple) and X and isinstance(X[0], text)):
        raise ValueError(_text_message(input_name))


def _text_message(input_name):
    return (
        f"{input_name} must be {_IMAGE_LAYOUTS}; got text. Read names of files first, for example with "
        "gan_sampler.datasets.load_image_folder; labels belong into y."
    )


def _read_as_array(X, input_name):
    """Return a container other than a data frame as an array."""
    if isinstance(X, list | tuple):
        _check_pictures(X, input_name)
    elif not hasattr(X, "__array__"):
        raise ValueError(
            f"{input_name} must be {_IMAGE_LAYOUTS}; got {'None' if X is None else type(X).__name__}. Make an array of "
            "the images first, for example with numpy.stack."
        )
    if np.ma.is_masked(X):
        raise ValueError(f"{input_name} must have no masked values; got some. Fill them, with {input_name}.filled(0).")
    try:
        return np.asarray(X, dtype=_shared_dtype(X))
    except ValueError as exc:
        raise ValueError(f"{input_name} must hold images of one size; got a list of unlike shapes.") from exc
    except (RuntimeError, TypeError) as exc:  # from tensors that NumPy cannot read
        raise ValueError(
            f"{input_name} must be readable as a NumPy array; got {_described(X)}: {str(exc).rstrip('.')}. "
            f"Of a tensor, pass {input_name}.detach().cpu().float().numpy()."
        ) from exc


def _check_pictures(X, input_name):
    """Refuse Pillow images whose values are not brightness, such as indices of a palette."""
    modes = {image.mode for image in X if isinstance(image, Image.Image)}
    if len(modes) > 1 or not modes <= _BRIGHTNESS_MODES:
        raise ValueError(
            f"{input_name} must hold pictures of one mode in which values are brightness, such as L or RGB; got "
            f"{', '.join(sorted(modes))}. Convert each with image.convert('L') or image.convert('RGB')."
        )


def _shared_dtype(X):
    """Return the common dtype of the arrays in a list, or None; NumPy would change its byte order."""
    dtypes = {element.dtype for element in X if isinstance(element, np.ndarray)} if isinstance(X, list | tuple) else {}
    return dtypes.pop() if len(dtypes) == 1 and all(isinstance(element, np.ndarray) for element in X) else None


def _described(X):
    element = X[0] if isinstance(X, list | tuple) else X
    return f"{'a list of ' if element is not X else ''}{type(element).__name__}"


def _check_array_is_numeric(X, input_name):
    """Return an array of at least two axes with an accepted dtype, or raise an error."""
    if X.dtype.kind in "OSU" and X.ndim == 1 and len(X):
        if isinstance(X[0], str | bytes | os.PathLike):
            raise ValueError(_text_message(input_name))
        if np.ndim(X[0]) > 0:
            shapes = sorted({np.shape(image) for image in X})
            raise ValueError(
                f"{input_name} must be one numeric array of images of one size; got dtype object with elements of "
                f"shapes {', '.join(map(str, shapes[:3]))}. Load the images at one size, for example with "
                "gan_sampler.datasets.load_image_folder(path, image_size=64), or numpy.stack them."
            )
    if X.ndim < 2:
        raise ValueError(
            f"{input_name} must be {_IMAGE_LAYOUTS}; got {X.ndim} axes, shape {X.shape}. Reshape your data; a single "
            f"image needs a leading axis, {input_name}[None], and labels belong into y."
        )
    if X.dtype.kind in "OSU":
        X = _read_numbers(X, input_name)
    if X.dtype.kind not in "biuf":
        raise ValueError(
            f"{input_name} must be an array of booleans, integers or floats; got dtype {X.dtype}. Complex data not "
            f"supported, nor are dates and records: make brightness of them first, for example with numpy.abs."
        )
    if X.dtype.kind == "f" and X.dtype.itemsize > 8:
        raise ValueError(
            f"{input_name} must be of floats of at most 64 bits; got dtype {X.dtype}, which torch does not have. Pass "
            f"{input_name}.astype(numpy.float64)."
        )
    return X


def _read_numbers(X, input_name):
    """Return objects or text as float64; raise an error if they are not numbers that float64 represents."""
    try:
        numbers = X.astype(np.float64)
    except (ValueError, TypeError, OverflowError) as exc:
        error = TypeError if isinstance(exc, TypeError) else ValueError
        raise error(
            f"{input_name} must be a numeric array of images; got dtype {X.dtype}: {exc}. Convert it, for example "
            f"with {input_name}.astype(numpy.uint8), or load the images behind the names it holds."
        ) from exc
    if X.dtype.kind == "O" and np.isfinite(numbers).all() and not np.array_equal(numbers, X):
        raise ValueError(
            f"{input_name} must be a numeric array of images; got dtype object, of numbers that float64 does not hold. "
            f"Convert it, for example with {input_name}.astype(numpy.int64)."
        )
    return numbers


def _row_layout(X, image_shape, data_format, input_name):
    n_features = X.shape[1]
    if image_shape is None:
        raise ValueError(
            f"{input_name} has shape {X.shape}: rows say nothing about height, width and channels. Pass "
            "image_shape=(H, W) or image_shape=(H, W, C), or reshape to (n, H, W). To read each row as a "
            '1 x n image on purpose, pass image_shape="row".'
        )
    if isinstance(image_shape, str):
        return 1, n_features, 1, "HW"
    height, width, *rest = _check_image_shape(image_shape)
    channels = rest[0] if rest else 1
    if height * width * channels != n_features:
        raise ValueError(
            f"image_shape={tuple(image_shape)} does not fit {input_name}: it asks for {height * width * channels} "
            f"values a row; got {n_features} (shape {X.shape})."
        )
    _check_channels(channels, f"image_shape={tuple(image_shape)}")
    if not rest:
        return height, width, 1, "HW"
    return height, width, channels, "CHW" if data_format == "channels_first" else "HWC"


def _image_layout(X, data_format, input_name):
    if X.ndim == 3:
        return X.shape[1], X.shape[2], 1, "HW"
    first, last = X.shape[1] <= MAX_CHANNELS, X.shape[3] <= MAX_CHANNELS
    if data_format == "auto":
        if first and last:
            raise ValueError(
                f"data_format='auto' cannot tell where the channels of {input_name} stand: shape {X.shape} has at "
                "most 4 entries on both the second and the last axis. Pass data_format='channels_first' or "
                "data_format='channels_last'."
            )
        data_format = "channels_first" if first else "channels_last"
    if data_format == "channels_first":
        channels, height, width = X.shape[1:]
        layout = "CHW"
    else:
        height, width, channels = X.shape[1:]
        layout = "HWC"
    _check_channels(channels, f"{input_name} of shape {X.shape}, read as {data_format},")
    return height, width, channels, layout


def _check_channels(channels, what):
    if not 1 <= channels <= MAX_CHANNELS:
        raise ValueError(
            f"{what} must have 1 to {MAX_CHANNELS} channels; got {channels}. Accepted are {_IMAGE_LAYOUTS}."
        )


def _check_image_shape(image_shape):
    if len(image_shape) not in (2, 3) or not all(isinstance(side, Integral) and side > 0 for side in image_shape):
        raise ValueError(f"image_shape must be (H, W) or (H, W, C) in positive integers; got {image_shape!r}.")
    return image_shape


def _check_shape_agrees(X, found, image_shape, input_name):
    if image_shape is None:
        return
    if isinstance(image_shape, str):
        raise ValueError(f'image_shape="row" is for 2-D {input_name}; got shape {X.shape}. Leave image_shape out.')
    height, width, *rest = _check_image_shape(image_shape)
    if found[:2] != (height, width) or (rest and rest[0] != found[2]):
        raise ValueError(
            f"image_shape={tuple(image_shape)} does not fit {input_name} of shape {X.shape}, which holds images of "
            f"height {found[0]}, width {found[1]} and {found[2]} channel(s). Leave image_shape out, or correct it."
        )


def _check_value_range(X, value_range, input_name):
    if value_range is None and X.dtype == np.uint8:
        return 0, 255
    found = _extremes(X)
    low, high = found if value_range is None else _read_value_range(value_range, is_integer=X.dtype.kind in "biu")
    if found[0] < low or found[1] > high:
        raise ValueError(
            f"value_range={tuple(value_range)} must hold every value of {input_name}; got values from "
            f"{_shown(found[0])} to {_shown(found[1])}. Correct value_range, or leave it out to have it found."
        )
    if low < high and not sys.float_info.min <= high - low <= sys.float_info.max:
        whole, remedy = ("value_range", "Correct it") if value_range is not None else (input_name, "Rescale it")
        raise ValueError(
            f"{whole} must span a range that float64 has a number for, from {sys.float_info.min:.1e} to "
            f"{sys.float_info.max:.1e}; got {low:g} to {high:g}. {remedy}, for example to 0..1."
        )
    return low, high


def _read_value_range(value_range, *, is_integer):
    """Return the two limits, as integers if images and limits are integers, else as floats."""
    low, high = np.nan, np.nan
    if len(value_range) == 2 and all(isinstance(limit, Real) for limit in value_range):
        are_integers = is_integer and all(isinstance(limit, Integral) for limit in value_range)
        low, high = (int(limit) if are_integers else _as_float(limit) for limit in value_range)
    if not -sys.float_info.max <= low < high <= sys.float_info.max:
        raise ValueError(f"value_range must be two finite numbers (low, high) with low < high; got {value_range!r}.")
    return low, high


def _as_float(number):
    try:
        return float(number)
    except OverflowError:  # of integers
        return np.inf
