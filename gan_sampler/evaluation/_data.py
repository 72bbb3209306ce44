"""The word after ``--data``, turned into images and labels."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from gan_sampler import datasets

CHEST_XRAY_CLASSES = ("NORMAL", "PNEUMONIA")
MEDMNIST_SIZE = 28  # pixels; medmnist offers 64, 128 and 224 for some sets too
MIN_PER_CLASS = 4  # images; fewer cannot be shared out between training and test


@dataclass(frozen=True)
class Images:
    """A data set, ready to be split.

    Parameters
    ----------
    name : str
        Goes into the name of the results folder.
    images : ndarray of shape (n, H, W) or (n, H, W, C)
        Images as read.
    target : ndarray of shape (n,), int
        Index of each image's class in `target_names`.
    target_names : list of str
        Names of the classes.
    groups : ndarray of shape (n,) or None
        What must not be torn apart between training and test: patients.
    split : ndarray of shape (n,) of {"train", "val", "test"} or None
        The split that the data came with.
    """

    name: str
    images: np.ndarray
    target: np.ndarray
    target_names: list
    groups: np.ndarray | None = None
    split: np.ndarray | None = None

    @property
    def has_official_split(self):
        """Whether the data came with training and test images apart."""
        return self.split is not None and {"train", "test"} <= set(self.split)

    def take(self, rows):
        """Return the images at `rows`."""
        return replace(
            self,
            images=self.images[rows],
            target=self.target[rows],
            groups=None if self.groups is None else self.groups[rows],
            split=None if self.split is None else self.split[rows],
        )


def load(word, *, image_size, size_is_asked=False, grey_as_rgb=False, max_images=None):
    """Read the data set that `word` names.

    Parameters
    ----------
    word : str
        ``"elpv"``, ``"digits"``, ``"chest_xray"``, ``"medmnist:NAME"`` or a folder.
    image_size : int
        Height and width to read images at, in pixels.
    size_is_asked : bool, default=False
        Whether the user asked for `image_size`; sets of one fixed size follow a preset's number not at all.
    grey_as_rgb : bool, default=False
        Store grey images as three equal channels.
    max_images : int or None, default=None
        Keep a stratified part of this size.

    Returns
    -------
    data : Images

    Raises
    ------
    ValueError
        When `word` names nothing, or the data cannot be benchmarked.
    """
    data = _read(word, image_size, size_is_asked)
    if max_images is not None and max_images < len(data.target):
        data = _stratified_part(data, max_images)
    counts = np.bincount(data.target, minlength=len(data.target_names))
    if len(counts) < 2 or counts.min() < MIN_PER_CLASS:
        found = ", ".join(f"{name}: {count}" for name, count in zip(data.target_names, counts, strict=True))
        raise ValueError(
            f"--data {word} must hold at least two classes of at least {MIN_PER_CLASS} images each; got {found}. "
            "Add images, merge classes, or raise --max-images."
        )
    if grey_as_rgb and data.images.ndim == 3:
        data = replace(data, images=np.repeat(data.images[..., None], 3, axis=-1))
    return data


def _read(word, image_size, size_is_asked):
    if word == "digits":
        return _digits(image_size if size_is_asked else 8)
    if word == "elpv":
        return _from_bunch("elpv", datasets.load_elpv(image_size=image_size))
    if word == "chest_xray":
        try:
            return _from_bunch(word, datasets.fetch_chest_xray(None, image_size=image_size, verbose=1))
        except FileNotFoundError as exc:
            raise FileNotFoundError(
                "The chest X-rays could not be fetched: download them from Kaggle (paultimothymooney/"
                "chest-xray-pneumonia) and name their folder with --data FOLDER, or pip install kagglehub."
            ) from exc
    if word.startswith("medmnist:"):
        name = word.removeprefix("medmnist:")
        return _from_bunch(name, datasets.fetch_medmnist(name, size=image_size if size_is_asked else MEDMNIST_SIZE))
    folder = Path(word)
    if not folder.is_dir():
        raise ValueError(
            f"--data must be elpv, digits, chest_xray, medmnist:NAME or an existing folder of class folders; got "
            f"{word!r}, which is none of them. Check the path."
        )
    name = folder.resolve().name
    if _looks_like_chest_xrays(folder):
        return _from_bunch(name, datasets.fetch_chest_xray(folder, image_size=image_size, verbose=1))
    return _from_bunch(name, datasets.load_image_folder(folder, image_size=image_size, verbose=1))


def _looks_like_chest_xrays(folder):
    """Whether these are the Kaggle chest X-rays, whose file names tell the patient."""
    return any(
        all((root / part / name).is_dir() for part in ("train", "val", "test") for name in CHEST_XRAY_CLASSES)
        and any((root / "train" / "PNEUMONIA").glob("person*"))
        for root in (folder, folder / "chest_xray")
    )


def _from_bunch(name, bunch):
    return Images(
        name=name,
        images=bunch.images,
        target=np.asarray(bunch.target),
        target_names=[str(target_name) for target_name in bunch.target_names],
        groups=None if bunch.groups is None else np.asarray(bunch.groups),
        split=None if bunch.split is None else np.asarray(bunch.split),
    )


def _digits(image_size):
    """scikit-learn's digits, "8" against the rest, as a small imbalanced set that needs no file."""
    if image_size != 8:
        raise ValueError(f"--image-size must be 8 with --data digits; got {image_size}. Leave it out.")
    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    return Images("digits", images, (digits.target == 8).astype(np.int64), ["other", "8"])


def _stratified_part(data, n_images):
    """Keep `n_images`, with the shares of classes and of training and test as they were."""
    strata = data.target if data.split is None else np.char.add(data.target.astype(str), data.split.astype(str))
    sizes = np.unique(strata, return_counts=True)[1]
    if n_images < 2 * len(sizes):
        raise ValueError(f"--max-images must be at least {2 * len(sizes)} for this data; got {n_images}.")
    if sizes.min() < 2 or len(data.target) - n_images < len(sizes):
        strata = None  # too few of one kind to share out; a plain random part it is
    rows, _ = train_test_split(np.arange(len(data.target)), train_size=n_images, stratify=strata, random_state=0)
    return data.take(np.sort(rows))
