"""Images and labels as a folder of files, with the originals linked and the synthetic images listed."""

import csv
import itertools
import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath

import numpy as np
from sklearn.utils import Bunch, gen_batches
from sklearn.utils._param_validation import validate_params
from tqdm import tqdm

from gan_sampler.datasets._encoding import check_kind, encode, kind_of_files, named_kind
from gan_sampler.datasets._listing import MANIFEST, check_path, is_clutter
from gan_sampler.datasets._places import FolderWriter, check_apart, check_empty
from gan_sampler.images import check_images

COLUMNS = ("file", "class", "seed", "sampler", "version", "nearest_real", "distance", "near_copy")
_BLOCK = 256  # images made smaller together
_COARSE = 64  # pixels to which the sides of larger images are averaged down before they are compared
_LONGEST = 100  # bytes of a class's name in the name of a file; file systems allow 255 for all of it


@validate_params(
    {
        "path": [str, os.PathLike],
        "X": ["array-like"],
        "y": ["array-like"],
        "data": [dict, None],
        "copy": ["boolean"],
        "file_format": [str, None],
        "verbose": ["verbose"],
    },
    prefer_skip_nested_validation=True,
)
def save_image_folder(path, X, y, *, data=None, sampler=None, copy=False, file_format=None, verbose=0):
    """Write images to a folder that has one folder per class, as `load_image_folder` reads it.

    With `data`, the images that were loaded are linked, not written again, and images behind them are taken for made by
    an over-sampler. They get names such as ``synthetic_NORMAL_000001_seed0.png``, which no original has, and a line in
    ``manifest.csv``.

    Parameters
    ----------
    path : str or path-like
        Folder to make; an existing one must be empty, and not lie in the folder that `data` came from.
    X : array-like of shape (n, H, W), (n, H, W, C) or (n, C, H, W), uint8 or uint16
        Images. With `data`, they begin with all of its images, those of its training part where it has a `split`, in
        their order, as the over-samplers of this package and of imbalanced-learn return them.
    y : array-like of shape (n,)
        Labels: names of the class folders.
    data : :class:`~sklearn.utils.Bunch` or None, default=None
        What was loaded, from `load_image_folder` or another function of this module. Files of its validation and test
        part are linked too. None writes every image to a file of its own.
    sampler : sampler object or None, default=None
        Fills the columns ``sampler`` and ``seed`` of the manifest: its class, and its `random_state` where that is an
        integer. Without `data`, its `synthetic_mask_` tells which images are synthetic.
    copy : bool, default=False
        Whether originals are copied. Otherwise they are hard links, which take no room and stay when the folder of
        `data` is moved or deleted; a program that overwrites the file in `path` overwrites the original. Where links
        are not possible, as on another disk, files are copied.
    file_format : str or None, default=None
        Format of the images written: ``"png"``, ``"jpeg"``, ``"tiff"`` and what else Pillow writes. None stands for
        the format and mode of most original files of the class, or PNG where there are none or they are DICOM.
    verbose : int, default=0
        Whether to show a progress bar.

    Returns
    -------
    saved : :class:`~sklearn.utils.Bunch`
        With:

        path : str
            The folder, absolute.
        filenames : ndarray of shape (n,), str
            File of each image, relative to `path`, with forward slashes.
        manifest : list of dict
            The lines of ``manifest.csv``: ``file``, ``class``, ``seed``, ``sampler``, ``version`` (of this package),
            ``nearest_real`` (file of the real training image of the class with the smallest distance), ``distance``
            (root mean square of the difference of pixels, as a share of the range of values; 0 to 1) and ``near_copy``
            (``"yes"`` or ``"no"``; empty where there are fewer than five different real images).
        n_linked, n_copied, n_written : int
            Number of files linked, copied and written.

    Raises
    ------
    FileExistsError
        When `path` is a file, or a folder with files in it.
    ValueError
        When `path` lies in the folder of `data` or the other way round; images or labels cannot be written; they do
        not begin with those of `data`; `file_format` is not known or would lose bits.
    OSError
        When a file cannot be written.

    See Also
    --------
    load_image_folder : Read such a folder.

    Notes
    -----
    Images that repeat an original to the last bit, as those of ``RandomOverSampler``, are linked to its file, under
    names that begin with ``repeated_``; they stand in the manifest, too. So do those that the sampler has repeated with
    a small change (`augmented_share` of samplers with a GAN), as ``augmented_``. Both need `data`; without it only
    synthetic images are named after what they are.

    Images are compared as they are, sides of more than 64 pixels averaged down to at most 64. A near-copy is much
    nearer to a real image than other real images are, as in the measure `near_copies` of
    `gan_sampler.quality_report`, which looks at features, too.

    JPEG files of the originals' size are quantised like them. Where images were resized, they are written with a
    quality of 95, because compression did its work on the originals before they were made smaller.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from imblearn.over_sampling import SMOTE
    >>> from gan_sampler import PixelSampler
    >>> from gan_sampler.datasets import load_image_folder, save_image_folder
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.integers(256, size=(30, 16, 16), dtype=np.uint8), np.repeat(["ill", "well"], [10, 20])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = save_image_folder(f"{folder}/scans", X, y)
    ...     data = load_image_folder(f"{folder}/scans")
    ...     sampler = PixelSampler(SMOTE(random_state=0))
    ...     X_res, y_res = sampler.fit_resample(data.images, data.target)
    ...     saved = save_image_folder(f"{folder}/balanced", X_res, y_res, data=data, sampler=sampler)
    >>> saved.n_linked, saved.n_written, saved.manifest[0]["file"]
    (30, 10, 'ill/synthetic_ill_000001_seed0.png')
    """
    root = check_path("path", path)
    check_empty(root)
    images, labels = check_images_and_labels(X, y)
    originals = Originals.of(data, images, labels)
    if originals.root is not None:
        check_apart(root, originals.root, originals.folders)
    words = _name_kinds(sampler, len(images), originals.n_images)
    kinds = originals.kinds(file_format, images)
    for label in np.unique(labels[originals.n_images :]).tolist():
        kind = kinds.setdefault(label, named_kind(file_format or "png"))
        check_kind(kind, images.dtype, "the images of X")
    root.mkdir(parents=True, exist_ok=True)
    writer = FolderWriter(root, copy)
    originals.add_to(writer, verbose)
    made = write_images(
        writer,
        images,
        labels,
        words,
        originals,
        kinds,
        about=describe_sampler(sampler),
        verbose=verbose,
    )
    if originals.n_images or any(words):
        writer.put(manifest_bytes(made.manifest), MANIFEST)
    return Bunch(
        path=os.path.abspath(root),
        filenames=np.array([*originals.places[: originals.n_images], *made.places]),
        manifest=made.manifest,
        n_linked=writer.n_linked,
        n_copied=writer.n_copied,
        n_written=writer.n_written,
    )


def check_images_and_labels(X, y):
    """Return images as (n, H, W) or (n, H, W, 3), and names of classes."""
    X, image_format = check_images(X)
    if X.dtype not in (np.uint8, np.uint16):
        raise ValueError(
            f"X must be of uint8 or uint16, which image files hold; got {X.dtype} from {X.min():g} to {X.max():g}. "
            "Convert it, for example values of 0..1 with (255 * X).round().astype(numpy.uint8)."
        )
    if image_format.layout == "CHW":
        X = np.moveaxis(X, 1, -1)
    if X.ndim == 4 and X.shape[3] == 1:
        X = X[..., 0]
    if X.ndim == 4 and (X.shape[3] != 3 or X.dtype == np.uint16):
        raise ValueError(
            f"X must hold grey images, or 8-bit images of three channels; got {X.shape[3]} channels of {X.dtype}."
        )
    labels = np.asarray(y)
    if labels.shape != (len(X),):
        raise ValueError(f"y must hold a label for each of the {len(X)} images of X; got shape {labels.shape}.")
    labels = labels.astype(str)
    for label in np.unique(labels).tolist():
        if not label or "/" in label or "\\" in label or "\0" in label or is_clutter(label):
            raise ValueError(
                f"y must hold labels that folders can be named after; got {label!r}. Rename that class, without "
                "slashes and a dot in front."
            )
    return X, labels


def _name_kinds(sampler, n_images, n_originals):
    """Return what each image is to be called: "synthetic", "augmented", i.e. repeated with a change, or None."""
    mask = getattr(sampler, "synthetic_mask_", None)
    if mask is None or len(mask) != n_images:
        mask = np.full(n_images, n_originals > 0)
    repeated = "augmented" if n_originals else None
    words = ["synthetic" if is_synthetic else repeated for is_synthetic in mask]
    return [None] * n_originals + words[n_originals:]


@dataclass(frozen=True)
class About:
    """What the manifest says of a sampler."""

    sampler: str = ""
    seed: int | None = None


def describe_sampler(sampler):
    """Return what the manifest says of a sampler, or of None."""
    if sampler is None:
        return About()
    inner = getattr(sampler, "sampler", None)
    name = type(sampler).__name__ + (f"({type(inner).__name__}())" if inner is not None else "")
    seed = getattr(sampler if inner is None else inner, "random_state", None)
    return About(name, int(seed) if isinstance(seed, int | np.integer) else None)


class Originals:
    """The images that were there before, and their files.

    Parameters
    ----------
    images : ndarray of shape (n, ...)
        Of the training part.
    labels : ndarray of shape (n,), str
        Their classes.
    filenames : sequence of str or None
        File of each, relative to `root`, and of what lies beside the training part, behind them. None without files.
    root : Path or None
        Where the files lie.
    all_labels, all_splits : sequence of str, or None for the latter
        Class and split of each file, or of each image where there are none.
    others : ndarray or None, default=None
        Images beside the training part, where there are no files.
    """

    def __init__(self, images, labels, filenames, root, all_labels, all_splits, *, others=None):
        self._others = images[:0] if others is None else others
        self.images, self.labels = images, labels
        self.n_images = len(labels)
        self.filenames, self.root = filenames, root
        self.class_folders = {}
        self.places = []
        for i, label in enumerate(all_labels):
            split = None if all_splits is None else all_splits[i]
            folder, place = _place_of(i, label, split, None if filenames is None else filenames[i])
            self.places.append(place)
            if split in (None, "train"):
                self.class_folders.setdefault(label, folder)

    @classmethod
    def of(cls, data, X, labels):
        """Return the originals of `data`, with which `X` and `labels` must begin."""
        if data is None:
            return cls(X[:0], labels[:0], None, None, [], None)
        is_train = np.ones(len(data["target"]), dtype=bool)
        if data.get("split") is not None:
            is_train = np.asarray(data["split"]) == "train"
        order = np.concatenate([np.flatnonzero(is_train), np.flatnonzero(~is_train)])
        n_train = int(is_train.sum())
        target = np.asarray(data["target"]).astype(str)
        images = np.asarray(data["images"])
        images = np.moveaxis(images, 1, -1) if images.ndim == 4 and images.shape[3] not in (1, 3) else images
        if not _begins_with(X, labels, images, target, order[:n_train]):
            which = "all images of data" if is_train.all() else "the images of data whose split is 'train'"
            raise ValueError(
                f"X and y must begin with {which}, {n_train} in their order, as an over-sampler returns them; got "
                f"{len(X)} others. Pass the data that the sampler was given, or no data to write every image."
            )
        if n_train < len(order) and _begins_with(X, labels, images, target, order):
            raise ValueError(
                "X must not hold the validation and test images of data, which nothing may learn from; it begins with "
                "all of them. Resample the training part alone: fit_resample(data.images[data.split == 'train'], "
                "data.target[data.split == 'train'])."
            )
        filenames = data.get("filenames")
        if filenames is None or data.get("path") is None:
            filenames, root = None, None
        else:
            filenames, root = np.asarray(filenames)[order].tolist(), Path(data["path"])
        splits = None if data.get("split") is None else np.asarray(data["split"])[order].tolist()
        return cls(
            images[order[:n_train]],
            target[order[:n_train]],
            filenames,
            root,
            target[order].tolist(),
            splits,
            others=images[order[n_train:]],
        )

    @property
    def folders(self):
        """Folders that files lie in."""
        return {self.root / PurePosixPath(filename).parent for filename in self.filenames}

    def kinds(self, file_format, images):
        """Return how images of each class are written."""
        if file_format is not None or self.filenames is None:
            kind = named_kind(file_format or "png")
            return dict.fromkeys(np.unique(self.labels).tolist(), kind)
        paths = {}
        for filename, label in zip(self.filenames, self.labels.tolist(), strict=False):
            paths.setdefault(label, []).append(self.root / filename)
        return {label: kind_of_files(found, images.shape[1:3]) for label, found in paths.items()}

    def add_to(self, writer, verbose=0):
        """Link, copy or write the originals."""
        if self.filenames is None:
            for image, place in zip(itertools.chain(self.images, self._others), self.places, strict=True):
                writer.write(encode(image, named_kind("png")), place)
            return
        pairs = zip(self.filenames, self.places, strict=True)
        for filename, place in tqdm(
            pairs, total=len(self.places), desc="Linking images", unit="file", disable=not verbose
        ):
            writer.add_original(self.root / filename, place)


def _begins_with(X, labels, images, target, rows):
    """Return whether images and labels begin with others, taken in the order of `rows`."""
    n = len(rows)
    return (
        len(X) >= n > 0
        and X.shape[1:] == images.shape[1:]
        and np.array_equal(labels[:n], target[rows])
        and all(np.array_equal(X[block], images[rows[block]]) for block in gen_batches(n, _BLOCK))
    )


def _place_of(number, label, split, filename):
    """Return the class folder in the new folder, and the place of a file in it, relative and with forward slashes."""
    above = [] if split is None else [split]
    if filename is not None:
        parts = filename.split("/")
        if len(parts) > len(above) + 1 and parts[len(above)] == label:  # it came from such a folder
            return "/".join(parts[: len(above) + 1]), filename
        return "/".join([*above, label]), "/".join([*above, label, *parts])
    folder = "/".join([*above, label])
    return folder, f"{folder}/{number + 1:06d}.png"


@dataclass(frozen=True)
class Made:
    """Files of images that were not there before.

    Parameters
    ----------
    places : list of str
        Of each image.
    manifest : list of dict
        Of those that were made or repeated.
    """

    places: list
    manifest: list


def write_images(writer, images, labels, words, originals, kinds, *, about, verbose=0):
    """Write the images behind the originals, and describe them.

    Parameters
    ----------
    writer : FolderWriter
        Of the folder.
    images, labels : ndarray
        All images, originals first, and their classes.
    words : list of str or None
        What they are called, if they do not repeat an original; None is for nothing.
    originals : Originals
        The first of them.
    kinds : dict of str to FileKind
        How images of each class are written.
    about : About
        The sampler.
    verbose : int, default=0
        Whether to show a bar.

    Returns
    -------
    made : Made
    """
    taken = set(originals.places)
    places, manifest, counts = [], [], {}
    rows = np.arange(originals.n_images, len(labels))
    is_made = np.array([word is not None for word in words], dtype=bool)
    found = {}
    for label in np.unique(labels[rows]).tolist():
        own = rows[(labels[rows] == label) & is_made[rows]]
        real = np.flatnonzero(originals.labels == label)
        found.update(zip(own.tolist(), compare_with_real(originals.images[real], real, images[own]), strict=True))
    for row in tqdm(rows.tolist(), desc="Writing images", unit="file", disable=not verbose):
        label = str(labels[row])
        nearest, distance, near_copy = found.get(row, (None, None, ""))
        is_repeated = distance == 0 and np.array_equal(images[row], originals.images[nearest])
        word = "repeated" if is_repeated else words[row]
        source = None
        if is_repeated and originals.filenames is not None:
            source = originals.root / originals.filenames[nearest]
        suffix = kinds[label].suffix if source is None else source.suffix
        number = counts[word, label] = counts.get((word, label), 0) + 1
        folder = originals.class_folders.get(label, label)
        place = f"{folder}/{name_of_image(word, label, number, about.seed, suffix)}"
        if place in taken:
            raise ValueError(
                f"No original may have the name of a synthetic image; {place!r} has. Rename it, or choose another "
                "seed; if it was made by this package, leave it out of the folder."
            )
        if source is not None:
            writer.add_original(source, place)
        else:
            writer.write(encode(images[row], kinds[label]), place)
        places.append(place)
        if word is not None:
            real = "" if nearest is None else originals.places[nearest]
            manifest.append(
                _line_of(place, label, about, real, "" if distance is None else round(distance, 5), near_copy)
            )
    return Made(places, manifest)


def write_synthetic(writer, images, labels, kind, about, n_before=0):
    """Write images that are compared with none, and return their lines of the manifest."""
    manifest = []
    for number, (image, label) in enumerate(zip(images, labels.tolist(), strict=True), n_before + 1):
        place = f"{label}/{name_of_image('synthetic', label, number, about.seed, kind.suffix)}"
        writer.write(encode(image, kind), place)
        manifest.append(_line_of(place, label, about))
    return manifest


def _line_of(place, label, about, nearest="", distance="", near_copy=""):
    return {
        "file": place,
        "class": label,
        "seed": "" if about.seed is None else about.seed,
        "sampler": about.sampler,
        "version": version("gan-sampler"),
        "nearest_real": nearest,
        "distance": distance,
        "near_copy": near_copy,
    }


def name_of_image(word, label, number, seed, suffix):
    """Return the name of a file: ``synthetic_NORMAL_000001_seed0.png``."""
    if word is None:
        return f"{number:06d}{suffix}"
    short = os.fsencode(label)[:_LONGEST].decode(errors="ignore")
    return f"{word}_{short}_{number:06d}{'' if seed is None else f'_seed{seed}'}{suffix}"


def compare_with_real(real, rows, made):
    """Find the nearest real image of each image that was made for a class.

    Parameters
    ----------
    real : ndarray of shape (n_real, H, W) or (n_real, H, W, 3)
        Real images of the class.
    rows : ndarray of shape (n_real,), int
        What they are called in the answer.
    made : ndarray of shape (n, ...)
        Images made.

    Returns
    -------
    found : list of (int or None, float or None, str)
        Row and distance of the nearest, and "yes" or "no" for a near-copy.
    """
    if not len(made) or not len(real):
        return [(None, None, "")] * len(made)
    from sklearn.neighbors import NearestNeighbors

    from gan_sampler.quality._measures import MIN_DIFFERENT, find_near_copies

    low, high = min(real.min(), made.min()), max(real.max(), made.max())
    low, high = (0, 255) if real.dtype == np.uint8 else (int(low), int(high))
    pixels_real, pixels_made = (_coarse_pixels(images, low, high) for images in (real, made))
    neighbors = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(pixels_real)
    nearest = neighbors.kneighbors(pixels_made, return_distance=False)[:, 0]
    # anew, because the sum of squares that neighbours are found with is off by a rounding error where images are equal
    distance = np.sqrt(np.square(pixels_made - pixels_real[nearest]).mean(axis=1, dtype=np.float64))
    first = list({row.tobytes(): i for i, row in reversed(list(enumerate(pixels_real)))}.values())
    words = [""] * len(made)
    if len(first) >= MIN_DIFFERENT:
        words = ["yes" if is_copy else "no" for is_copy in find_near_copies(pixels_real[first], pixels_made)[0]]
    return list(zip(rows[nearest].tolist(), distance.tolist(), words, strict=True))


def _coarse_pixels(images, low, high):
    """Return images as rows of float32 in 0..1, in sides of at most 64 pixels."""
    height, width = images.shape[1:3]
    steps = -(-height // _COARSE), -(-width // _COARSE)
    kept = height // steps[0] * steps[0], width // steps[1] * steps[1]
    coarse = np.empty((len(images), kept[0] // steps[0], kept[1] // steps[1], *images.shape[3:]), dtype=np.float32)
    for block in gen_batches(len(images), _BLOCK):
        cut = images[block][:, : kept[0], : kept[1]].astype(np.float32)
        shape = (len(cut), kept[0] // steps[0], steps[0], kept[1] // steps[1], steps[1], *images.shape[3:])
        coarse[block] = cut.reshape(shape).mean(axis=(2, 4))
    coarse -= low
    coarse /= max(high - low, 1)
    return coarse.reshape(len(images), -1)


def manifest_bytes(manifest):
    """Return the content of manifest.csv."""
    import io

    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(manifest)
    return text.getvalue().encode("utf-8", "surrogateescape")
