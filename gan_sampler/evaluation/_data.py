"""Images, labels, groups (patients) and file names, ready to be split."""

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import type_of_target

from gan_sampler import datasets
from gan_sampler.datasets._decoding import formats
from gan_sampler.datasets._listing import PassedOver, list_files
from gan_sampler.datasets._npz import read_npz
from gan_sampler.evaluation._store import digest_of
from gan_sampler.images import check_images

CHEST_XRAY_CLASSES = ("NORMAL", "PNEUMONIA")
MEDMNIST_SIZE = 28  # pixels; medmnist offers 64, 128 and 224 for some sets too
MIN_PER_CLASS = 4  # images; fewer cannot be shared out between training and test
PARTS = ("train", "val", "test")
OF_LARGE_IMAGES = ("elpv", "chest_xray")
NAMED = "elpv, digits, chest_xray, medmnist:NAME"


@dataclass(frozen=True)
class ImageData:
    """A data set, ready to be split.

    Parameters
    ----------
    name : str
        Goes into the name of the results folder.
    images : ndarray of shape (n, H, W), (n, H, W, C) or (n, C, H, W)
        Images as read.
    target : ndarray of shape (n,), int
        Index of each image's class in `target_names`.
    target_names : list of str
        Names of the classes.
    groups : ndarray of shape (n,) or None, default=None
        Group of each image, such as its patient; a group is never in both training and test.
    split : ndarray of shape (n,) of {"train", "val", "test"} or None, default=None
        The split that the data came with.
    filenames : ndarray of shape (n,), str, or None, default=None
        Where each image came from.
    """

    name: str
    images: np.ndarray
    target: np.ndarray
    target_names: list
    groups: np.ndarray | None = None
    split: np.ndarray | None = None
    filenames: np.ndarray | None = None

    @property
    def has_official_split(self):
        """Whether the data came with training and test images apart."""
        return self.split is not None and {"train", "test"} <= set(self.split)

    @property
    def fingerprint(self):
        """What tells these images, labels and groups from others: all that a split or a result depends on."""
        groups = None if self.groups is None else [str(group) for group in self.groups]
        return digest_of(self.images, self.target, groups, list(self.target_names))

    def take(self, rows):
        """Return the images at `rows`."""
        columns = {
            name: None if getattr(self, name) is None else getattr(self, name)[rows]
            for name in ("groups", "split", "filenames")
        }
        return replace(self, images=self.images[rows], target=self.target[rows], **columns)


def from_arrays(X, y, *, groups=None, name="data", target_names=None, filenames=None, split=None):
    """Return arrays as a data set.

    Parameters
    ----------
    X : array-like of shape (n, H, W), (n, H, W, C) or (n, C, H, W)
        Images.
    y : array-like of shape (n,)
        Labels of any kind.
    groups : array-like of shape (n,) or None, default=None
        Group (patient) of each image.
    name : str, default="data"
        Name of the data set.
    target_names : sequence of str or None, default=None
        Names of the sorted labels; None takes the labels themselves.
    filenames, split : array-like of shape (n,) or None, default=None
        As in `ImageData`.

    Returns
    -------
    data : ImageData

    Raises
    ------
    ValueError
        When these are no images, or something is missing or of another length.
    """
    X, _ = check_images(_as_pictures(X))
    labels, target = np.unique(_check_labels(y, len(X)), return_inverse=True)
    names = [str(label) for label in (labels if target_names is None else target_names)]
    if len(names) != len(labels) or len(set(names)) != len(names):
        raise ValueError(
            f"target_names must be {len(labels)} different names, of the classes of y in sorted order; got {names}."
        )
    columns = {"groups": groups, "filenames": filenames, "split": split}
    columns = {argument: _check_column(argument, values, len(X)) for argument, values in columns.items()}
    if split is not None and (others := sorted(set(columns["split"].tolist()) - set(PARTS))):
        raise ValueError(f"split must hold {', '.join(PARTS)} alone; got {others} too.")
    return check_classes(ImageData(name, X, target.astype(np.int64), names, **columns), name)


def _as_pictures(X):
    """Return `X`, or raise where it holds rows of pixels: what they are rows of is not known here."""
    if getattr(X, "ndim", 3) == 2:
        raise ValueError(
            f"X must hold images, (n, H, W), (n, H, W, C) or (n, C, H, W); got rows, shape {X.shape}. Reshape them: "
            "X.reshape(len(X), H, W)."
        )
    return X


def _check_labels(y, n_images):
    if y is None:
        raise ValueError(f"y must hold a label for each of the {n_images} images of X; got None.")
    y = column_or_1d(y, warn=False)
    if len(y) != n_images:
        raise ValueError(f"y must hold a label for each of the {n_images} images of X; got {len(y)}.")
    _refuse_missing("y", y)
    if type_of_target(y).startswith("continuous"):
        raise ValueError("y must hold labels of classes; got numbers with fractions. Cut them into classes first.")
    return y


def _check_column(argument, values, n_images):
    if values is None:
        return None
    values = column_or_1d(values, warn=False)
    if len(values) != n_images:
        raise ValueError(f"{argument} must have an entry for each of the {n_images} images; got {len(values)}.")
    _refuse_missing(argument, values)
    return values


def _refuse_missing(argument, values):
    missing = np.flatnonzero(pd.isna(values))
    if missing.size:
        raise ValueError(
            f"{argument} must have no missing entry; got {missing.size}, the first for image {missing[0]}. Fill them "
            "in, or leave those images out."
        )


def load(word, *, image_size=None, max_size=None, grey_as_rgb=False, max_images=None, groups=None, verbose=1):
    """Read the data set that `word` names.

    Parameters
    ----------
    word : str or path-like
        ``"elpv"``, ``"digits"``, ``"chest_xray"``, ``"medmnist:NAME"``, a folder of class folders, or an ``.npz`` file
        with arrays ``X`` and ``y`` and, if there are, ``groups``, ``split``, ``filenames`` and ``target_names``.
    image_size : int or None, default=None
        Height and width to read images at, in pixels. None takes each set's own, and files of a folder as they are.
    max_size : int or None, default=None
        Without `image_size`, height and width to read files at that are larger, or not all of one size. None reads them
        as they are.
    grey_as_rgb : bool, default=False
        Store grey images as three equal channels.
    max_images : int or None, default=None
        Keep a stratified part of this size.
    groups : str or None, default=None
        Where the groups (patients) of a folder's images stand: ``"folder"`` for the folder that each lies in, below
        that of its class; a CSV file; or a pattern of file names. See `group_finder`.
    verbose : int, default=1
        Whether to show a bar while files are read.

    Returns
    -------
    data : ImageData

    Raises
    ------
    ValueError
        When `word` names nothing, or the data cannot be evaluated.
    """
    word = os.fspath(word)
    if image_size is None and max_size is not None:
        image_size = _size_within(word, max_size)
    data = _read(word, image_size, groups, verbose)
    if max_images is not None and max_images < len(data.target):
        data = _stratified_part(data, max_images)
    check_classes(data, word)
    if grey_as_rgb and data.images.ndim == 3:
        data = replace(data, images=np.repeat(data.images[..., None], 3, axis=-1))
    return data


def check_classes(data, word):
    """Return `data`, or raise where it has too few classes or images."""
    counts = np.bincount(data.target, minlength=len(data.target_names))
    if len(counts) < 2 or counts.min() < MIN_PER_CLASS:
        found = ", ".join(f"{name}: {count}" for name, count in zip(data.target_names, counts, strict=True))
        raise ValueError(
            f"{word} must hold at least two classes of at least {MIN_PER_CLASS} images each; got {found}. "
            "Add images, merge classes, or take a larger part (max_images)."
        )
    return data


def group_finder(groups):
    r"""Return a function from a file name to its group (patient).

    Parameters
    ----------
    groups : str
        A CSV file with the columns ``file`` (relative to the data's folder, or the bare name) and ``group``; or a
        regular expression that is searched in the name, as ``(person\d+)``: its first group in parentheses that takes
        part in the match, or else the whole match.

    Returns
    -------
    find : callable of str

    Raises
    ------
    ValueError
        When `groups` is none of these; `find` raises it for a file without a group.
    """
    if groups.endswith(".csv"):
        return _group_of_table(groups)
    try:
        pattern = re.compile(groups)
    except re.error as exc:
        raise ValueError(
            "groups must be 'folder', a CSV file with columns file and group, or a regular expression; got "
            f"{groups!r}, which is no regular expression: {exc}."
        ) from exc

    def find(filename):
        found = pattern.search(filename)
        if found is None:
            raise ValueError(f"groups={groups!r} must match every file; it does not match {filename!r}. Widen it.")
        return next((part for part in found.groups() if part is not None), found.group())

    return find


def _folders_below_class(filenames, split):
    """Return the folders that files lie in, below that of their class: one patient is one group in every class."""
    n_above = 1 if split is None else 2
    found = ["/".join(filename.split("/")[n_above:-1]) for filename in filenames]
    if "" in found:
        raise ValueError(
            "groups='folder' needs a folder for each group (patient) inside every class folder; "
            f"{filenames[found.index('')]!r} lies in none. Sort the files into folders, or pass a CSV file or a "
            "pattern."
        )
    return np.array(found)


def _group_of_table(path):
    if not Path(path).is_file():
        raise FileNotFoundError(f"groups must be an existing CSV file; got {path!r}, which is none. Check the path.")
    table = pd.read_csv(path, dtype=str)
    if not {"file", "group"} <= set(table):
        raise ValueError(f"groups={path} must have the columns file and group; got {', '.join(table)}.")
    table = table[["file", "group"]].drop_duplicates()
    if table.isna().any(axis=None):
        raise ValueError(f"groups={path} must have a file and a group in every row. Fill the empty fields.")
    twice = table["file"][table["file"].duplicated()]
    if len(twice):
        raise ValueError(
            f"groups={path} must name one group for each file; it has several for {twice.iloc[0]!r}. Where files of "
            "different folders have one name, write them with their folders, as 'class/name.png'."
        )
    group_of = dict(zip(table["file"], table["group"], strict=True))

    def find(filename):
        for name in (filename, Path(filename).name):
            if name in group_of:
                return group_of[name]
        raise ValueError(f"groups={path} must name every file; it has no row for {filename!r}. Add it.")

    return find


def _read(word, image_size, groups, verbose):
    path = Path(word)
    if groups is not None and not path.is_dir():
        raise ValueError(f"groups must be left out for {word}; they are taken from the names of a folder's files.")
    if word == "digits":
        return _digits(image_size)
    if word == "elpv":
        return _from_bunch("elpv", datasets.load_elpv(**_sized(image_size)))
    if word == "chest_xray":
        try:
            return _from_bunch(word, datasets.fetch_chest_xray(None, verbose=verbose, **_sized(image_size)))
        except FileNotFoundError as exc:
            raise FileNotFoundError(
                "The chest X-rays could not be fetched: download them from Kaggle (paultimothymooney/"
                "chest-xray-pneumonia) and name their folder, or pip install kagglehub."
            ) from exc
    if word.startswith("medmnist:"):
        name = word.removeprefix("medmnist:")
        return _from_bunch(name, datasets.fetch_medmnist(name, size=image_size or MEDMNIST_SIZE))
    if path.suffix == ".npz" and path.is_file():
        if image_size is not None:
            raise ValueError(f"image_size must be left out for {word}; its images are taken as they are.")
        return _from_npz(path)
    if not path.is_dir():
        raise ValueError(
            f"the data must be {NAMED}, an existing folder of class folders or an .npz file; got {word!r}, which is "
            "none of them. Check the path."
        )
    name = path.resolve().name
    if groups is None and _looks_like_chest_xrays(path):
        return _from_bunch(name, datasets.fetch_chest_xray(path, verbose=verbose, **_sized(image_size)))
    find = None if groups in (None, "folder") else group_finder(groups)
    bunch = datasets.load_image_folder(path, image_size=image_size, groups=find, verbose=verbose)
    if groups == "folder":
        bunch.groups = _folders_below_class(bunch.filenames.tolist(), bunch.split)
    return _from_bunch(name, bunch)


def _size_within(word, max_size):
    """Return the size to read files at so that they are alike and at most `max_size`; None where they are anyway."""
    if word in OF_LARGE_IMAGES:
        return max_size
    if not Path(word).is_dir():
        return None
    first = None
    for file in list_files(Path(word), PassedOver("skip")):
        size = _size_of_file(file.path)
        first = first or size
        if size is None or size != first or max(size) > max_size:
            return max_size
    return None


def _size_of_file(path):
    """Return width and height of an image, from the head of its file; None where there is none."""
    try:
        with Image.open(path, formats=formats()) as image:
            return image.size
    except Exception:  # there is no list of what Pillow's readers raise on damaged bytes; who reads the file names it
        return None


def _sized(image_size):
    return {} if image_size is None else {"image_size": image_size}


def _from_npz(path):
    arrays = read_npz(path)
    X, y = arrays.pop("X"), arrays.pop("y")
    return from_arrays(X, y, name=path.stem, **arrays)


def _looks_like_chest_xrays(folder):
    """Whether these are the Kaggle chest X-rays, whose file names tell the patient."""
    return any(
        all((root / part / name).is_dir() for part in PARTS for name in CHEST_XRAY_CLASSES)
        and any((root / "train" / "PNEUMONIA").glob("person*"))
        for root in (folder, folder / "chest_xray")
    )


def _from_bunch(name, bunch):
    columns = {
        key: None if bunch.get(key) is None else np.asarray(bunch[key]) for key in ("groups", "split", "filenames")
    }
    names, target = np.unique(bunch.target, return_inverse=True)
    return ImageData(name, bunch.images, target.astype(np.int64), names.tolist(), **columns)


def _digits(image_size):
    """scikit-learn's digits, "8" against the rest, as a small imbalanced set that needs no file."""
    if image_size not in (None, 8):
        raise ValueError(f"image_size must be 8 with digits; got {image_size}. Leave it out.")
    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    return ImageData("digits", images, (digits.target == 8).astype(np.int64), ["other", "8"])


def _stratified_part(data, n_images):
    """Keep `n_images`, with the shares of classes and of training and test as they were."""
    strata = data.target if data.split is None else np.char.add(data.target.astype(str), data.split.astype(str))
    sizes = np.unique(strata, return_counts=True)[1]
    if n_images < 2 * len(sizes):
        raise ValueError(f"max_images must be at least {2 * len(sizes)} for this data; got {n_images}.")
    if sizes.min() < 2 or len(data.target) - n_images < len(sizes):
        strata = None  # too few of one kind to share out; a plain random part it is
    rows, _ = train_test_split(np.arange(len(data.target)), train_size=n_images, stratify=strata, random_state=0)
    return data.take(np.sort(rows))
