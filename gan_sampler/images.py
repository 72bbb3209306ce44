"""Arrays of images in any accepted layout, to float tensors in [-1, 1] and back.

The only file that knows shapes, channels, dtypes and value ranges. Everything else sees tensors of shape
``(n, channels, height, width)`` with values in [-1, 1].
"""

import os
from dataclasses import dataclass, replace
from numbers import Integral

import numpy as np
import torch
from sklearn.utils import check_array, gen_batches
from sklearn.utils._param_validation import StrOptions

MIN_SIDE = 8  # pixels; below this the strides of the networks have nothing to work on
MAX_CHANNELS = 4
_BLOCK = 1024  # images looked at together, so that a check of X never copies X

# What every estimator that takes images accepts for the three parameters of `check_images`.
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
    """How an array holds its images: all that is needed to read them and to write them back.

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
    value_range : tuple of (float, float)
        Values that stand for -1 and 1 in tensors.
    grey_as_rgb : bool, default=False
        Whether the three stored channels are equal, so that tensors carry just one of them.
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
        # 64-bit integers and floats lose nothing that a picture could show by passing through float32, but the
        # offset must be taken off before, where a narrow range sits on a large value.
        exact = np.float32 if self.dtype.itemsize <= 2 else np.float64
        images = np.empty((len(X), *self.tensor_shape), dtype=np.float32)
        for block in gen_batches(len(X), _BLOCK):  # so that no intermediate is as large as the result
            values = self._shown_channels(X[block]).astype(exact)
            images[block] = (values - exact(low)) * exact(2 / ((high - low) or 1)) - exact(1)
        return torch.from_numpy(images)

    def to_compact_tensor(self, X):
        """Return the images of `X` as uint8 where they are stored so, in a quarter of the memory of `to_tensor`.

        Parameters
        ----------
        X : ndarray of shape (n, *row_shape)
            Images in this format.

        Returns
        -------
        images : torch.Tensor of shape (n, *tensor_shape)
            uint8, where 0 and 255 stand for -1 and 1, if `X` is uint8 of the full range; else as `to_tensor`.
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
        exact = torch.float32 if self.dtype.itemsize <= 2 else torch.float64
        unit = images.detach().cpu().to(exact).clamp(-1, 1).numpy()
        values = (unit + 1) * ((high - low) / 2) + low
        if self.dtype.kind in "biu":
            values = np.rint(values)
        # A rounding error must not leave the range, nor a range that is wider than the dtype make integers wrap.
        low, high = max(low, _smallest(self.dtype)), min(high, _largest(self.dtype))
        values = np.clip(values, low, high).astype(self.dtype)
        if self.grey_as_rgb:
            values = np.repeat(values, self.channels, axis=1)
        if self.layout == "HW":
            values = values[:, 0]
        elif self.layout == "HWC":
            values = np.moveaxis(values, 1, -1)
        return np.ascontiguousarray(values.reshape(len(values), *self.row_shape))

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
        """Return this format with `grey_as_rgb` set when the images ``X[rows]`` all hold three equal channels."""
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
        """Return `X` as an array, or raise when its elements are not images of this format's shape.

        Parameters
        ----------
        X : array-like
            Images.
        input_name : str, default="X"
            Name of `X` in error messages.
        seen : str or None, default=None
            Where this format comes from, in error messages; None stands for an earlier fit.

        Raises
        ------
        ValueError
            When the shape of an element is another, when the values stand for other brightness (booleans, integers
            and floats, or values far outside the range of the first images), or when images have colour where the
            first had none.
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
        low, high = self.value_range
        slack = 0 if self.dtype == np.uint8 else high - low  # new images may be somewhat brighter than those at fit
        other_kind = (X.dtype.kind == "f") != (self.dtype.kind == "f")
        other_kind |= X.dtype.kind == "b" and self.value_range != (0, 1)
        if other_kind or X.min() < low - slack or X.max() > high + slack:
            raise ValueError(
                f"{input_name} must be of the kind {seen}, {self.dtype} from {low:g} to {high:g}; got {X.dtype} "
                f"from {X.min():g} to {X.max():g}, which would be read at another brightness. Convert one of the two "
                f"sets{'' if other_kind else ', or pass value_range'}."
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
    """Check that `X` holds images, and find out how.

    Parameters
    ----------
    X : array-like
        Images as ``(n, H, W)``, ``(n, H, W, C)``, ``(n, C, H, W)`` with C in 1..4, or as rows
        ``(n, H * W * C)`` with `image_shape`.
    image_shape : tuple of int, "row" or None, default=None
        Shape ``(H, W)`` or ``(H, W, C)`` of one image; needed for rows. ``"row"`` reads a row as a
        ``1 x n_features`` image.
    data_format : {"auto", "channels_first", "channels_last"}, default="auto"
        Where the channels of 4-D input stand. Rows were ravelled from channels-last images unless
        ``"channels_first"`` is given.
    value_range : tuple of (float, float) or None, default=None
        Smallest and largest value an image can have. None stands for 0..255 for uint8, and for what is found
        in `X` for every other dtype.
    input_name : str, default="X"
        Name of `X` in error messages.

    Returns
    -------
    X : ndarray
        The images, not copied when they were an array already.
    image_format : ImageFormat
        How they are stored.

    Raises
    ------
    ValueError
        When the images are not numeric, not finite, too small, of a rank or channel count that cannot be read,
        when channels first and last are both possible, or when `image_shape` does not fit.
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


def _smallest(dtype):
    return np.iinfo(dtype).min if dtype.kind in "iu" else 0 if dtype.kind == "b" else -np.inf


def _largest(dtype):
    return np.iinfo(dtype).max if dtype.kind in "iu" else 1 if dtype.kind == "b" else np.inf


def as_numeric_array(X, input_name):
    """Return `X` as a finite numeric ndarray of at least two axes."""
    if isinstance(X, str | os.PathLike) or (
        isinstance(X, list | tuple | np.ndarray) and len(X) and isinstance(X[0], str | os.PathLike)
    ):
        raise ValueError(
            f"{input_name} must be {_IMAGE_LAYOUTS}; got text. Read names of files first, for example with "
            "gan_sampler.datasets.load_image_folder; labels belong into y."
        )
    if not hasattr(X, "__len__") and not hasattr(X, "__array__"):
        raise ValueError(
            f"{input_name} must be {_IMAGE_LAYOUTS}; got {'None' if X is None else type(X).__name__}. Make an array of "
            "the images first, for example with numpy.stack."
        )
    if isinstance(X, list | tuple):
        try:
            X = np.asarray(X)
        except ValueError as exc:
            raise ValueError(f"{input_name} must hold images of one size; got a list of unlike shapes.") from exc
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1 and len(X) and np.ndim(X[0]) > 0:
        shapes = sorted({np.shape(image) for image in X})
        raise ValueError(
            f"{input_name} must be one numeric array of images of one size; got dtype object with elements of "
            f"shapes {', '.join(map(str, shapes[:3]))}. Load the images at one size, for example with "
            "gan_sampler.datasets.load_image_folder(path, image_size=64), or numpy.stack them."
        )
    if isinstance(X, np.ndarray) and X.ndim < 2:
        raise ValueError(
            f"{input_name} must be {_IMAGE_LAYOUTS}; got {X.ndim} axes, shape {X.shape}. Reshape your data; a single "
            f"image needs a leading axis, {input_name}[None]."
        )
    if isinstance(X, np.ndarray) and X.dtype.kind in "OSU":
        try:
            X = X.astype(np.float64)
        except ValueError as exc:
            raise ValueError(
                f"{input_name} must be a numeric array of images; got dtype {X.dtype}: {exc}. Convert it, for example "
                f"with {input_name}.astype(numpy.uint8), or load the images behind the names it holds."
            ) from exc
    return check_array(X, allow_nd=True, dtype="numeric", input_name=input_name)


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
        return 0.0, 255.0
    found = float(X.min()), float(X.max())
    if value_range is None:
        return found
    try:
        low, high = map(float, value_range)
    except (TypeError, ValueError, OverflowError):
        low, high = np.nan, np.nan
    if not -np.inf < low < high < np.inf:
        raise ValueError(f"value_range must be two finite numbers (low, high) with low < high; got {value_range!r}.")
    if found[0] < low or found[1] > high:
        raise ValueError(
            f"value_range={tuple(value_range)} must hold every value of {input_name}; got values from {found[0]:g} "
            f"to {found[1]:g}. Correct value_range, or leave it out to have it found."
        )
    return low, high
