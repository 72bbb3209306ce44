"""One image file, turned into an array. Any bytes may be in it: nothing here trusts a file."""

import functools
import io
import os
import stat
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from gan_sampler.datasets import _dicom

# Pillow tries every reader it has on any file, whatever its name, and some start other programs (EPS: Ghostscript) or
# hold no pictures to train on. These are tried, and no others.
_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")

# Modes without a range, or that Pillow has no conversion for.
_NOT_CONVERTED = {"F": "floats, save it with 8 or 16 bits", "LAB": "CIELAB colours, save it as RGB"}
_HOW_TO_RAISE_THE_LIMIT = (
    "A small file can fill the memory so. If you trust it, set PIL.Image.MAX_IMAGE_PIXELS to a larger number, else "
    "save it smaller"
)


class RefusedImageError(ValueError):
    """An image that could be decoded, but should not be."""


@functools.cache
def formats():
    """Return the names of the formats that are read: those of the list that this Pillow has."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


@functools.cache
def suffixes():
    """Return the endings of the names of image files, in lower case."""
    return tuple(sorted(suffix for suffix, name in Image.registered_extensions().items() if name in formats()))


def readable():
    """Return the names of all formats that are read here, for messages."""
    return (*formats(), "DICOM") if _dicom.can_read() else formats()


def read_image(path, size, color):
    """Return one image as an array.

    Parameters
    ----------
    path : Path
        The file.
    size : tuple of (int, int) or None
        Height and width to resize to.
    color : {"auto", "grey", "rgb"}
        As for `load_image_folder`.

    Returns
    -------
    pixels : ndarray of shape (height, width) or (height, width, 3), uint8 or uint16

    Raises
    ------
    Exception
        Of whatever class: Pillow's readers raise many on damaged bytes. `explain` puts them into words.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would never end, a device never stop
        raise RefusedImageError("it is a pipe, a device, a socket or a folder, not a file")
    with _File(path) as file:
        if _dicom.is_dicom(file):
            return _read_dicom(file, size, color)
        return _read_with_pillow(file, size, color)


def _read_with_pillow(file, size, color):
    with Image.open(file, formats=formats()) as image:
        _check_extent(image)
        # A JPEG can be decoded at 1/2, 1/4 or 1/8 of its size, and as grey, for much less work. Twice the size asked
        # for is left to the better filter below; one side for both, as a photo may yet be turned.
        image.draft("L" if color == "grey" else None, image.size if size is None else (2 * max(size),) * 2)
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode in _NOT_CONVERTED:
            raise RefusedImageError(f"it holds {_NOT_CONVERTED[image.mode]}")
        if image.mode.startswith("I"):
            return _resize_uint16(_as_uint16(np.asarray(image)), size)
        pixels = _resize_uint8(_as_grey_or_rgb(image, color), size)
    return pixels[..., 0] if _is_grey_in_colours(pixels, color) else pixels


def _read_dicom(file, size, color):
    (height, width), _ = _dicom.shape_and_mode(file) if _dicom.can_read() else ((1, 1), None)
    _check_n_pixels(height, width)
    file.seek(0)
    pixels = _dicom.read_pixels(file, RefusedImageError)
    if pixels.dtype == np.uint16:
        return _resize_uint16(pixels, size)
    pixels = _resize_uint8(_as_grey_or_rgb(Image.fromarray(pixels), color), size)
    return pixels[..., 0] if _is_grey_in_colours(pixels, color) else pixels


def _is_grey_in_colours(pixels, color):
    return color == "auto" and pixels.ndim == 3 and bool((pixels == pixels[..., :1]).all())


@dataclass(frozen=True)
class Head:
    """What the first bytes of an image file tell.

    Parameters
    ----------
    format, mode : str
        Pillow's words.
    size : tuple of (int, int)
        Height and width, as EXIF data turns them.
    compression : str or None, default=None
        Of TIFF files.
    quantization : dict or None, default=None
        Tables of JPEG files.
    """

    format: str
    mode: str
    size: tuple
    compression: str | None = None
    quantization: dict | None = None


def read_head(path):
    """Return the head of an image file; None where it cannot be read, of which `read_image` tells why."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        with _File(path) as file:
            if _dicom.is_dicom(file):
                size, mode = _dicom.shape_and_mode(file)
                return Head("DICOM", mode, size)
            return _head_by_pillow(file)
    except Exception:  # there is no list of what Pillow's readers raise on damaged bytes
        return None


def _head_by_pillow(file):
    with Image.open(file, formats=formats()) as image:
        is_turned = image.getexif().get(ExifTags.Base.Orientation, 1) in range(5, 9)
        return Head(
            image.format,
            image.mode,
            image.size if is_turned else image.size[::-1],
            image.info.get("compression"),
            getattr(image, "quantization", None),
        )


def explain(exc):
    """Return in words why `read_image` failed."""
    if isinstance(exc, RefusedImageError):
        return str(exc)
    if isinstance(exc, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return f"{exc} {_HOW_TO_RAISE_THE_LIMIT}"
    if isinstance(exc, UnidentifiedImageError):
        return f"its content is damaged, or of none of the formats {', '.join(readable())}"
    if isinstance(exc, OSError) and exc.errno is not None:  # of the system, not of Pillow
        return f"it cannot be opened ({exc.strerror})"
    return f"it is damaged ({type(exc).__name__}: {exc})"


class _File(io.BufferedReader):
    """A file that sets memory aside for no more bytes than it has, however many it is asked for.

    One flipped bit in a length inside a PNG or JPEG 2000 file has Pillow ask for four gigabytes.
    """

    def __init__(self, path):
        super().__init__(io.FileIO(path))
        self._size = os.fstat(self.fileno()).st_size

    def read(self, size=-1, /):
        if size is None or size < 0:
            return super().read()
        return super().read(min(size, max(self._size - self.tell(), 0)))


def _check_extent(image):
    """Refuse what would take much memory, or gives no pixels, while only the head of the file is read."""
    _check_n_pixels(*image.size[::-1])
    # The further pictures of an MPO are previews or depths of the one photo. Else they are a stack or a film, of which
    # taking the first would drop the others without a word.
    n_frames = getattr(image, "n_frames", 1)
    if n_frames > 1 and image.format != "MPO":
        raise RefusedImageError(f"it holds {n_frames} frames, save each as a file")


def _check_n_pixels(height, width):
    if not width or not height:
        raise RefusedImageError(f"it has no pixels, {height} x {width}")
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:
        raise RefusedImageError(
            f"it has {height} x {width} pixels, more than the {limit:,} that are decoded. {_HOW_TO_RAISE_THE_LIMIT}"
        )


def _as_grey_or_rgb(image, color):
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # else Pillow warns
    return image.convert("L" if color == "grey" or image.mode in ("1", "L", "LA") else "RGB")


def _resize_uint8(image, size):
    if size is not None and image.size != size[::-1]:
        image = image.resize(size[::-1], Image.Resampling.LANCZOS)
    return np.asarray(image)


def _as_uint16(pixels):
    # Pillow gives 16-bit files as 32-bit integers in its older versions, and really wider ones in all.
    if pixels.min() < 0 or pixels.max() > np.iinfo(np.uint16).max:
        raise RefusedImageError(f"its values, {pixels.min()} to {pixels.max()}, do not fit 16 bits without sign")
    return pixels.astype(np.uint16)


def _resize_uint16(pixels, size):
    if size is None or pixels.shape == size:
        return pixels
    image = Image.fromarray(pixels.astype(np.float32))  # older Pillows have no filters for 16-bit integers
    resized = np.asarray(image.resize(size[::-1], Image.Resampling.LANCZOS))
    return np.rint(resized).clip(0, np.iinfo(np.uint16).max).astype(np.uint16)  # Lanczos overshoots at edges
