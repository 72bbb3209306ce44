"""DICOM files as arrays, with pydicom. Only what holds the same brightness in every file of a set is read."""

import functools
import importlib.util

import numpy as np

SUFFIXES = (".dcm", ".dicom")
_MAGIC, _AT = b"DICM", 128  # behind the preamble
_LARGEST = np.iinfo(np.uint16).max
_SHIFT = 2**15  # added where values may be negative, so that each of them fits 16 bits without sign


@functools.cache
def can_read():
    """Whether pydicom is installed."""
    return importlib.util.find_spec("pydicom") is not None


def is_dicom(file):
    """Whether an open file is one of DICOM; it is left at its beginning."""
    start = file.read(_AT + len(_MAGIC))
    file.seek(0)
    return start[_AT:] == _MAGIC


def read_pixels(file, refused):
    """Return the pixels of an open DICOM file.

    Parameters
    ----------
    file : binary file
        At its beginning.
    refused : type of Exception
        Raised with a reason where an image should not be read.

    Returns
    -------
    pixels : ndarray of shape (height, width), uint8 or uint16, or (height, width, 3), uint8
        Grey values after the rescale slope and intercept, dark to bright, whatever the file says. Where the header
        allows values below zero, 32,768 is added.
    """
    if not can_read():
        raise refused('it is a DICOM file, which needs pydicom: pip install "gan-sampler[dicom]"')
    import pydicom

    dataset = pydicom.dcmread(file)
    _check(dataset, refused)
    try:
        pixels = dataset.pixel_array
    except (RuntimeError, NotImplementedError) as exc:  # compressed in a way that takes another package
        raise refused(f"pydicom cannot decode it ({' '.join(str(exc).split())})") from exc
    photometric = dataset.PhotometricInterpretation
    if dataset.SamplesPerPixel == 3:
        if photometric.startswith("YBR"):
            pixels = pydicom.pixels.convert_color_space(pixels, photometric, "RGB")
        if pixels.dtype != np.uint8:
            raise refused("it holds colours of more than 8 bits, save them with 8")
        return pixels
    low, high = _range_stored(dataset)
    slope, intercept = float(dataset.get("RescaleSlope") or 1), float(dataset.get("RescaleIntercept") or 0)
    if abs(slope) < 1:
        raise refused(
            f"its rescale slope is {slope:g}, so that different values would become one when rounded, save it with 16 "
            "bits and a slope of at least 1"
        )
    low, high = sorted(round(value * slope + intercept) for value in (low, high))
    values = np.rint(pixels * slope + intercept).astype(np.int64)
    if photometric == "MONOCHROME1":  # high values are dark
        values = low + high - values
    if low < 0:
        values, low, high = values + _SHIFT, low + _SHIFT, high + _SHIFT
    if values.min() < 0 or values.max() > _LARGEST:
        raise refused(f"its values, {values.min()} to {values.max()}, do not fit 16 bits without sign")
    return values.astype(np.uint8 if low >= 0 and high <= np.iinfo(np.uint8).max else np.uint16)


def shape_and_mode(file):
    """Return height, width and Pillow's word for the kind of pixels of an open DICOM file, from its head."""
    import pydicom

    dataset = pydicom.dcmread(file, stop_before_pixels=True)
    mode = "RGB" if dataset.SamplesPerPixel == 3 else "L" if dataset.BitsStored <= 8 else "I;16"
    return (int(dataset.Rows), int(dataset.Columns)), mode


def _check(dataset, refused):
    if "PixelData" not in dataset:
        raise refused("it is a DICOM file without pixels")
    n_frames = int(dataset.get("NumberOfFrames") or 1)
    if n_frames > 1:
        raise refused(f"it holds {n_frames} frames, save each as a file")
    known = {"MONOCHROME1", "MONOCHROME2"} if dataset.SamplesPerPixel == 1 else {"RGB", "YBR_FULL", "YBR_FULL_422"}
    if dataset.PhotometricInterpretation not in known:
        raise refused(
            f"its photometric interpretation is {dataset.PhotometricInterpretation}; MONOCHROME1, MONOCHROME2 and RGB "
            "are read"
        )


def _range_stored(dataset):
    """Return the smallest and the largest value that the header allows."""
    bits = int(dataset.BitsStored)
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if dataset.PixelRepresentation else (0, 2**bits - 1)
