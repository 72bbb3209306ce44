"""Images as pictures: bytes of grey or colour, laid out side by side, as PNG; no matplotlib is needed."""

import base64
import io

import numpy as np

_LARGEST_SIDE = 224  # pixels of an image in a picture of many
_COMPARED_SIDE = 32  # pixels of images that are compared by their pixels
_BLOCK = 256  # images converted together


def as_bytes(images, value_range=None):
    """Return images as bytes of grey levels or colours.

    Parameters
    ----------
    images : ndarray of shape (n, H, W) or (n, H, W, C)
        Images. A second channel of two and a fourth one, opacity, are left out.
    value_range : tuple of (float, float) or None, default=None
        Values of black and white; None stands for 0..255 for uint8 and for what is found in the images otherwise.

    Returns
    -------
    images : ndarray of shape (n, H, W) or (n, H, W, 3), uint8
    """
    images = np.asarray(images)
    if images.ndim == 4:
        images = images[..., 0] if images.shape[3] < 3 else images[..., :3]
    if images.dtype == np.uint8 and value_range is None:
        return images
    if not images.size:
        return images.astype(np.uint8)
    low, high = map(float, value_range or (images.min(), images.max()))
    unit = (images.astype(np.float64) - low) / ((high - low) or 1)
    return np.rint(unit.clip(0, 1) * 255).astype(np.uint8)


def displayable(image_format, X, side=_LARGEST_SIDE):
    """Return images of any format as bytes, averaged down so that no side is longer than `side`.

    Parameters
    ----------
    image_format : ImageFormat
        How `X` holds them.
    X : ndarray of shape (n, ...)
        Images.
    side : int
        Pixels.

    Returns
    -------
    images : ndarray of shape (n, H, W) or (n, H, W, 3), uint8
    """
    images = _averaged(image_format.to_tensor(X), side)
    return as_bytes(images.permute(0, 2, 3, 1).numpy(), (-1, 1))


def pixel_rows(image_format, X):
    """Return images as rows of float32 in [-1, 1], averaged down to 32 pixels a side at most, to be compared."""
    blocks = [
        _averaged(image_format.to_tensor(X[start : start + _BLOCK]), _COMPARED_SIDE).flatten(1).numpy()
        for start in range(0, len(X), _BLOCK)
    ]
    return np.concatenate(blocks)


def _averaged(images, side):
    from torch.nn.functional import adaptive_avg_pool2d

    scale = side / max(images.shape[2:])
    return images if scale >= 1 else adaptive_avg_pool2d(images, [max(1, round(scale * n)) for n in images.shape[2:]])


def lay_out(cells, *, row_gaps=(), column_gaps=()):
    """Paste images of one size on a transparent ground.

    Parameters
    ----------
    cells : dict of (int, int) to ndarray of shape (H, W) or (H, W, 3), uint8
        The image in each row and column that has one.
    row_gaps, column_gaps : collection of int
        Rows and columns before which a wider gap is left.

    Returns
    -------
    picture : ndarray of shape (height, width, 4), uint8
        The picture, with opacity as fourth channel.
    tops, lefts : list of int
        Pixels at which each row and column starts.
    """
    height, width = next(iter(cells.values())).shape[:2]
    gap, wide = (max(1, round(max(height, width) / share)) for share in (24, 5))
    n_rows, n_columns = (max(places) + 1 for places in zip(*cells, strict=True))
    tops = [row * (height + gap) + wide * sum(r <= row for r in row_gaps) for row in range(n_rows)]
    lefts = [column * (width + gap) + wide * sum(c <= column for c in column_gaps) for column in range(n_columns)]
    picture = np.zeros((tops[-1] + height, lefts[-1] + width, 4), dtype=np.uint8)
    for (row, column), image in cells.items():
        place = picture[tops[row] : tops[row] + height, lefts[column] : lefts[column] + width]
        place[..., :3] = image[..., None] if image.ndim == 2 else image
        place[..., 3] = 255
    return picture, tops, lefts


def png_data_uri(picture, factor=1):
    """Return a picture as the address of an image within an HTML page, each pixel repeated `factor` times.

    Parameters
    ----------
    picture : ndarray of shape (height, width, 4), uint8
        As `lay_out` returns it.
    factor : int, default=1
        Enlargement.

    Returns
    -------
    address : str
        ``data:image/png;base64,...``
    """
    from PIL import Image

    if factor > 1:
        picture = picture.repeat(factor, axis=0).repeat(factor, axis=1)
    opacity, colours = picture[..., 3], picture[..., :3]
    is_grey = (colours == colours[..., :1]).all()
    image = np.stack([colours[..., 0], opacity], axis=-1) if is_grey else picture  # half the bytes
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(stream, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"


def nearest_rows(features_new, labels_new, features, labels):
    """Return, for each new image, the nearest known one of its class.

    Parameters
    ----------
    features_new, features : ndarray of shape (n_new, d) and (n, d)
        What new and known images are compared in.
    labels_new, labels : ndarray of shape (n_new,) and (n,)
        Their classes; each new one stands among the known.

    Returns
    -------
    rows : ndarray of shape (n_new,), int
        Place of the nearest one.
    distances : ndarray of shape (n_new,)
        Euclidean distance to it.
    """
    from sklearn.neighbors import NearestNeighbors

    rows, distances = np.zeros(len(labels_new), dtype=np.int64), np.zeros(len(labels_new))
    for label in np.unique(labels_new):
        own, of_class = labels_new == label, np.flatnonzero(labels == label)
        found = NearestNeighbors(n_neighbors=1).fit(features[of_class]).kneighbors(features_new[own])
        distances[own], rows[own] = found[0][:, 0], of_class[found[1][:, 0]]
    return rows, distances
