"""Arrays as image files, of the format and mode that other files have."""

import collections
import io
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from gan_sampler.datasets._decoding import formats, read_head

_LOOKED_AT = 100  # files of a class whose heads decide
_SUFFIXES = {"JPEG": ".jpg", "JPEG2000": ".jp2", "TIFF": ".tif", "PPM": ".ppm"}  # the others are called like it
_WITH_16_BITS = ("PNG", "TIFF", "JPEG2000", "PPM")
_WRITTEN_AS = {"MPO": "JPEG"}  # photos of telephones, with previews behind them
_LOSSLESS_TIFF = ("packbits", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate")
_OPTIONS = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}, "AVIF": {"quality": 100}}
_MODES = ("L", "LA", "RGB", "RGBA")  # of originals that are written in; others become L or RGB


@dataclass(frozen=True)
class FileKind:
    """How images are written.

    Parameters
    ----------
    format : str
        Pillow's name of the format.
    suffix : str
        Ending of the names.
    mode : str or None, default=None
        Pillow's mode of 8-bit images, None for L or RGB as they are.
    options : dict, default={}
        As `PIL.Image.Image.save` takes them.
    """

    format: str
    suffix: str
    mode: str | None = None
    options: dict = field(default_factory=dict)


def named_kind(file_format):
    """Return the kind that a user names, as "png" or "jpeg"."""
    names = {name.lower(): name for name in formats()} | {"jpg": "JPEG", "tif": "TIFF", "jp2": "JPEG2000"}
    if file_format.lower().removeprefix(".") not in names:
        raise ValueError(f"file_format must be one of {', '.join(map(str.lower, formats()))}; got {file_format!r}.")
    name = names[file_format.lower().removeprefix(".")]
    return FileKind(name, _SUFFIXES.get(name, f".{name.lower()}"), options=_OPTIONS.get(name, {}))


def kind_of_files(paths, size=None):
    """Return the kind that most of some files are of.

    Parameters
    ----------
    paths : sequence of Path
        The files, at least one.
    size : tuple of (int, int) or None, default=None
        Height and width of the images that will be written. JPEG files of this size get the quantisation of the
        originals; those of another do not need to be as coarse, for what it did to the originals was resized with them.
    """
    step = -(-len(paths) // _LOOKED_AT)
    heads = [(path, head) for path in paths[::step] if (head := read_head(path)) is not None]
    if not heads:
        return named_kind("png")
    if all(head.format == "DICOM" for _, head in heads):  # a file of that format is a claim about a patient
        return named_kind("png")
    named = [((_WRITTEN_AS.get(head.format, head.format), path.suffix), head) for path, head in heads]
    kinds = collections.Counter(found for found, _ in named if found[0] != "DICOM")
    (name, suffix), _ = kinds.most_common(1)[0]
    same = [head for found, head in named if found == (name, suffix)]
    mode = collections.Counter(head.mode for head in same).most_common(1)[0][0]
    first = next(head for head in same if head.mode == mode)
    options = dict(_OPTIONS.get(name, {}))
    if name == "JPEG" and first.quantization and first.size == size:
        options = {"qtables": first.quantization}
    if name == "TIFF" and first.compression in _LOSSLESS_TIFF:
        options = {"compression": first.compression}
    is_own = suffix.lower() in _suffixes_of(name)  # content, not the name, decided on the format
    return FileKind(name, suffix if is_own else named_kind(name).suffix, mode if mode in _MODES else None, options)


def _suffixes_of(name):
    return {suffix for suffix, found in Image.registered_extensions().items() if found == name}


def check_kind(kind, dtype, what):
    """Raise where files of a kind would not hold what images have."""
    if dtype == np.uint16 and kind.format not in _WITH_16_BITS:
        raise ValueError(
            f"file_format must hold 16 bits, as {what} do; {kind.format} holds 8. Choose png or tiff, or save the "
            "images with 8 bits first."
        )
    side = np.zeros((8, 8), dtype=dtype)
    try:
        encode(side, kind)
    except (OSError, KeyError, ValueError) as exc:
        raise ValueError(f"file_format must be one that can be written here; {kind.format} is not: {exc}.") from exc


def encode(pixels, kind):
    """Return an image as the content of a file.

    Parameters
    ----------
    pixels : ndarray of shape (height, width) or (height, width, 3), uint8, or (height, width), uint16
    kind : FileKind

    Returns
    -------
    content : bytes
    """
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if pixels.dtype == np.uint8 and kind.mode is not None:
        is_grey = pixels.ndim == 2 or (pixels == pixels[..., :1]).all()
        if is_grey or kind.mode in ("RGB", "RGBA"):
            image = image.convert(kind.mode)
    stream = io.BytesIO()
    image.save(stream, format=kind.format, **kind.options)
    return stream.getvalue()
