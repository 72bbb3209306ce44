"""Named data sets and folders of image files, as arrays of images, labels and groups."""

import os
import re
import struct
import warnings
import zipfile
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path, PurePosixPath

import numpy as np
from joblib import Parallel, delayed
from PIL import Image, ImageOps
from sklearn.utils import Bunch, gen_batches
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from tqdm import tqdm

__all__ = ["fetch_chest_xray", "fetch_medmnist", "load_elpv", "load_image_folder"]

_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff")
_SPLIT_OF_FOLDER = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_SPLITS = ("train", "val", "test")
_BLOCK = 64  # files read before their images are moved into the output

# All that Pillow raises on a file that is no image, cut short or damaged inside.
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)

_IMAGE_SIZE_CONSTRAINT = [Interval(Integral, 1, None, closed="left"), tuple, list, None]
_READ_CONSTRAINTS = {
    "image_size": _IMAGE_SIZE_CONSTRAINT,
    "n_jobs": [Integral, None],
    "verbose": ["verbose"],
}

_KAGGLE_NAME = "paultimothymooney/chest-xray-pneumonia"
_CHEST_XRAY_CLASSES = ("NORMAL", "PNEUMONIA")
_CHEST_XRAY_PATIENT = re.compile(r"person\d+_(?:bacteria|virus)(?=_)|(?:NORMAL2-)?IM-\d+(?=-)")
_CHEST_XRAY_DESCR = """\
Chest X-ray images (pneumonia)

5,856 chest X-rays of children, NORMAL or PNEUMONIA, in the split published with them: train 1,341 / 3,875, val 8 / 8,
test 234 / 390. Pneumonia is the majority in training.

Licence CC BY 4.0. Please cite:
Kermany, D., Zhang, K., Goldbaum, M. (2018). Labeled Optical Coherence Tomography (OCT) and Chest X-Ray Images for
Classification. Mendeley Data. doi:10.17632/rscbjbr9sj
Kermany, D. S. et al. (2018). Identifying Medical Diagnoses and Treatable Diseases by Image-Based Deep Learning.
Cell 172(5), 1122-1131. doi:10.1016/j.cell.2018.02.010
"""
_ELPV_DESCR = """\
Solar cells in electroluminescence images (ELPV)

2,624 solar cells of 300 x 300 grey pixels, cut from images of 44 solar modules, each with the probability 0, 1/3, 2/3
or 1 that it is defective and with the type of its module, mono- or polycrystalline.

Licence CC BY-NC-SA 4.0: no commercial use. Please cite:
Buerhop-Lutz, C. et al. (2018). A Benchmark for Visual Identification of Defective Solar Cells in Electroluminescence
Imagery. EU PVSEC. doi:10.4229/35thEUPVSEC20182018-5CV.3.15
Deitsch, S. et al. (2019). Automatic classification of defective photovoltaic module cells in electroluminescence
images. Solar Energy 185, 455-468. doi:10.1016/j.solener.2019.02.067
"""


@validate_params(
    {
        "path": [str, os.PathLike],
        **_READ_CONSTRAINTS,
        "color": [StrOptions({"auto", "grey", "rgb"})],
        "on_error": [StrOptions({"raise", "skip"})],
        "groups": [callable, None],
    },
    prefer_skip_nested_validation=True,
)
def load_image_folder(path, *, image_size=None, color="auto", on_error="raise", groups=None, n_jobs=None, verbose=0):
    """Load a folder of image files that has one folder per class.

    The class folders stand in `path` itself, or one level lower in ``train``, ``val`` and ``test`` (also
    ``training``, ``valid``, ``validation`` and ``testing``, in any case of letters). A class folder may have
    folders inside it. JPEG, PNG, BMP and TIFF files are read; other files, hidden files, ``__MACOSX`` and files
    outside of class folders are passed over.

    Parameters
    ----------
    path : str or path-like
        Folder to load.
    image_size : int, tuple of (int, int) or None, default=None
        Size in pixels, ``side`` or ``(height, width)``, to which every image is resized with an antialiased
        (Lanczos) filter. The aspect ratio is not kept: an oblong image is squeezed into a square. None keeps the
        images as they are, which must then be of one size.
    color : {"auto", "grey", "rgb"}, default="auto"
        ``"auto"`` gives grey images when every file is grey (one channel, or three that are equal), and RGB
        images otherwise. ``"grey"`` and ``"rgb"`` convert.
    on_error : {"raise", "skip"}, default="raise"
        What to do with a file that cannot be read: raise an error that names it, or warn, naming it, and go on
        without it.
    groups : callable or None, default=None
        Function of one file name (relative to `path`, with forward slashes) that returns its group, a str or int:
        what must stay on one side of a cross-validation split, such as a patient.
    n_jobs : int or None, default=None
        Number of threads that read. None means 1 unless in a `joblib.parallel_config` context, -1 means all cores.
    verbose : int, default=0
        Whether to show a progress bar.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Sorted by split (train, val, test), class and file name, with:

        images : ndarray of shape (n, height, width) or (n, height, width, 3), uint8 or uint16
            Pixel values, 0..255 or 0..65535. Grey PNG and TIFF files of 16 bits stay at 16 bits, also when resized;
            transparency is dropped, photos are turned the way their EXIF data says.
        target : ndarray of shape (n,), int64
            Class of each image, an index into `target_names`.
        target_names : ndarray of shape (n_classes,), str
            Names of the class folders, sorted.
        groups : ndarray of shape (n,) or None
            What the function `groups` said of each file.
        filenames : ndarray of shape (n,), str
            Files relative to `path`, with forward slashes.
        split : ndarray of shape (n,), str, or None
            ``"train"``, ``"val"`` or ``"test"``; None when the class folders stand in `path` itself.
        DESCR : str
            What was loaded.

    Raises
    ------
    FileNotFoundError
        When `path` does not exist.
    ValueError
        When there are no class folders, a class folder has no images, the splits have different classes, a file
        cannot be read, or files differ in size (with ``image_size=None``) or bit depth.

    See Also
    --------
    fetch_chest_xray : The chest X-rays of Kermany et al.
    sklearn.datasets.load_files : The same for folders of text files.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from PIL import Image
    >>> from gan_sampler.datasets import load_image_folder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name, value in [("cat", 40), ("cat", 60), ("dog", 200)]:
    ...         (Path(folder) / name).mkdir(exist_ok=True)
    ...         pixels = np.full((20, 30), value, dtype=np.uint8)
    ...         Image.fromarray(pixels).save(Path(folder) / name / f"{value}.png")
    ...     data = load_image_folder(folder, image_size=16)
    >>> data.images.shape, data.target, data.target_names.tolist()
    ((3, 16, 16), array([0, 0, 1]), ['cat', 'dog'])
    """
    root = Path(path)
    files = _list_files(root)
    _warn_or_raise_on_one_class(root, files)
    return _load(
        files, image_size=image_size, color=color, on_error=on_error, groups=groups, n_jobs=n_jobs, verbose=verbose
    )


@validate_params(
    {"data_dir": [str, os.PathLike, None], **_READ_CONSTRAINTS},
    prefer_skip_nested_validation=True,
)
def fetch_chest_xray(data_dir=None, *, image_size=128, n_jobs=None, verbose=0):
    """Load the chest X-rays of children with and without pneumonia (5,856 images, 2 classes).

    Downloads the Kaggle set ``paultimothymooney/chest-xray-pneumonia`` into kagglehub's cache when `data_dir` does not
    exist and kagglehub is installed. Licence CC BY 4.0; not for clinical use.

    Parameters
    ----------
    data_dir : str, path-like or None, default=None
        Folder that holds ``train``, ``val`` and ``test``, or one that has such a folder ``chest_xray`` in it. None
        asks kagglehub.
    image_size : int, tuple of (int, int) or None, default=128
        Size in pixels as in `load_image_folder`. The published files differ in size, so that None only works on a
        resized copy.
    n_jobs : int or None, default=None
        Number of threads that read.
    verbose : int, default=0
        Whether to show a progress bar.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        As from `load_image_folder`: `images` of shape (5856, height, width), grey, uint8; `target` 0 for NORMAL and 1
        for PNEUMONIA; `split` as published; `groups` are patients.

    Raises
    ------
    FileNotFoundError
        When the images are not there and kagglehub is not installed.
    OSError
        When kagglehub cannot download them.
    ValueError
        When a file cannot be read, or its name does not tell the patient.

    See Also
    --------
    load_image_folder : Any folder of image files.

    Notes
    -----
    A group is ``personN_bacteria``, ``personN_virus``, ``IM-N`` or ``NORMAL2-IM-N``: the number with the series that it
    belongs to. The number alone is not a patient, because each series counts from 1 with image numbers of its own. For
    N alone, 170 "persons" would be in both train and test of a set that was split by patient, and images of equal N
    from two series are no more alike than two at random (mean correlation at 32 px: .70 and .70 for bacteria against
    virus, .74 and .74 for the two series of NORMAL), while those of equal N within a series are (.75 against .70
    for bacteria, .76 against .73 for virus, .78 against .74 and .76 against .73 for NORMAL). So taken, no group is in
    more than one of train, val and test. A patient who was numbered twice cannot be told from the names.

    References
    ----------
    .. [1] D. Kermany, K. Zhang, M. Goldbaum, "Labeled Optical Coherence Tomography (OCT) and Chest X-Ray Images for
       Classification", Mendeley Data, 2018, doi:10.17632/rscbjbr9sj.
    .. [2] D. S. Kermany et al., "Identifying Medical Diagnoses and Treatable Diseases by Image-Based Deep Learning",
       Cell 172(5), 2018, pp. 1122-1131.

    Examples
    --------
    >>> from gan_sampler.datasets import fetch_chest_xray
    >>> data = fetch_chest_xray("chest_xray", image_size=64)  # doctest: +SKIP
    >>> train = data.split == "train"  # doctest: +SKIP
    >>> data.images[train].shape  # doctest: +SKIP
    (5216, 64, 64)
    """
    root = _find_chest_xray(data_dir)
    files = [
        file
        for split in _SPLITS
        for name in _CHEST_XRAY_CLASSES
        for file in _class_files(root, root / split / name, split)
    ]
    return _load(
        files,
        image_size=image_size,
        color="grey",
        groups=_chest_xray_patient,
        n_jobs=n_jobs,
        verbose=verbose,
        descr=_CHEST_XRAY_DESCR,
    )


@validate_params(
    {**_READ_CONSTRAINTS, "threshold": [Interval(Real, 0, 1, closed="left")]},
    prefer_skip_nested_validation=True,
)
def load_elpv(*, image_size=None, threshold=0.5, n_jobs=None, verbose=0):
    """Load the ELPV images of functional and defective solar cells (2,624 images, 2 classes).

    The images come in the package elpv-dataset (``pip install elpv-dataset``): no download. Their licence is
    CC BY-NC-SA 4.0, which forbids commercial use.

    Parameters
    ----------
    image_size : int, tuple of (int, int) or None, default=None
        Size in pixels as in `load_image_folder`; None keeps 300 x 300.
    threshold : float, default=0.5
        A cell is called defective when its probability of a defect, which is 0, 1/3, 2/3 or 1, is above this;
        in [0, 1).
    n_jobs : int or None, default=None
        Number of threads that read.
    verbose : int, default=0
        Whether to show a progress bar.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        As from `load_image_folder`: `images` of shape (2624, height, width), grey, uint8; `target` 0 for functional
        and 1 for defective; `groups` and `split` None, because the set does not tell which cells share a module.
        Beside them `probability` (ndarray of shape (2624,), float64), the probability of a defect, and `cell_type`
        (ndarray of shape (2624,), str), ``"mono"`` or ``"poly"``.

    Raises
    ------
    ImportError
        When elpv-dataset is not installed.

    References
    ----------
    .. [1] C. Buerhop-Lutz et al., "A Benchmark for Visual Identification of Defective Solar Cells in
       Electroluminescence Imagery", EU PVSEC, 2018.
    .. [2] S. Deitsch et al., "Automatic classification of defective photovoltaic module cells in electroluminescence
       images", Solar Energy 185, 2019, pp. 455-468.

    Examples
    --------
    >>> import numpy as np
    >>> from gan_sampler.datasets import load_elpv
    >>> data = load_elpv(image_size=32)
    >>> data.images.shape, data.target_names.tolist(), np.bincount(data.target)
    ((2624, 32, 32), ['functional', 'defective'], array([1803,  821]))
    """
    try:
        import elpv_dataset
    except ImportError as exc:
        raise ImportError(
            "load_elpv needs the package elpv-dataset, which is not installed: run pip install elpv-dataset."
        ) from exc
    root = Path(elpv_dataset.__file__).parent / "data"
    rows = [line.split() for line in (root / "labels.csv").read_text().splitlines() if line.strip()]
    probability = np.array([float(value) for _, value, _ in rows])
    names = np.array(["functional", "defective"])
    target = (probability > threshold).astype(np.int64)
    files = [_ImageFile(root / row[0], row[0], names[label]) for row, label in zip(rows, target, strict=True)]
    images, _ = _read_files(files, image_size=image_size, color="grey", n_jobs=n_jobs, verbose=verbose)
    return Bunch(
        images=images,
        target=target,
        target_names=names,
        groups=None,
        filenames=np.array([file.filename for file in files]),
        split=None,
        probability=probability,
        cell_type=np.array([kind for _, _, kind in rows]),
        DESCR=_ELPV_DESCR,
    )


@validate_params(
    {
        "name": [str],
        "size": [Interval(Integral, 1, None, closed="left")],
        "data_dir": [str, os.PathLike, None],
    },
    prefer_skip_nested_validation=True,
)
def fetch_medmnist(name, size=28, *, data_dir=None):
    """Load a set of two-dimensional images with one label each from MedMNIST.

    Uses the package medmnist (``pip install medmnist``), and downloads the set with it when its file is
    not there.

    Parameters
    ----------
    name : str
        Name of the set, such as ``"bloodmnist"`` or ``"pneumoniamnist"``, in any case of letters.
    size : {28, 64, 128, 224}, default=28
        Side of the square images in pixels.
    data_dir : str, path-like or None, default=None
        Folder of MedMNIST's ``.npz`` files; made when it does not exist. None is medmnist's own, ``~/.medmnist``.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        As from `load_image_folder`: `images` of shape (n, size, size) or (n, size, size, 3), uint8, with train, val and
        test one after the other and told by `split`; `target` an index into `target_names`; `groups` and `filenames`
        None.

    Raises
    ------
    ImportError
        When medmnist is not installed.
    OSError
        When the set cannot be downloaded, or its file is damaged.
    ValueError
        When `name` is not a set of two-dimensional images with one label each, or `size` is not offered.

    References
    ----------
    .. [1] J. Yang et al., "MedMNIST v2 - A large-scale lightweight benchmark for 2D and 3D biomedical image
       classification", Scientific Data 10, 41, 2023.

    Examples
    --------
    >>> from gan_sampler.datasets import fetch_medmnist
    >>> data = fetch_medmnist("breastmnist")  # doctest: +SKIP
    >>> data.images.shape, data.target_names.tolist()  # doctest: +SKIP
    ((780, 28, 28), ['malignant', 'normal, benign'])
    """
    try:
        import medmnist
    except ImportError as exc:
        raise ImportError(
            "fetch_medmnist needs the package medmnist, which is not installed: run pip install medmnist."
        ) from exc
    flag = name.lower()
    _check_medmnist_name(flag, medmnist.INFO)
    info = medmnist.INFO[flag]
    splits = _medmnist_splits(getattr(medmnist, info["python_class"]), flag, info, size, data_dir)
    target = np.concatenate([split.labels for split in splits]).reshape(-1)  # stored as (n, 1)
    return Bunch(
        images=np.concatenate([split.imgs for split in splits]),
        target=target.astype(np.int64),
        target_names=np.array([info["label"][str(label)] for label in range(len(info["label"]))]),
        groups=None,
        filenames=None,
        split=np.repeat(_SPLITS, [len(split.imgs) for split in splits]),
        DESCR=f"{info['description']}\n\nLicence {info['license']}.\n",
    )


# Which files there are


@dataclass(frozen=True)
class _ImageFile:
    """A file with what its place among the folders says of it."""

    path: Path
    filename: str  # relative to the data set, with forward slashes
    label: str
    split: str | None = None


def _list_files(root):
    """Return the image files below `root`, in order."""
    if not root.exists():
        raise FileNotFoundError(f"path must be a folder that exists; got {str(root)!r}.")
    if not root.is_dir():
        raise NotADirectoryError(f"path must be a folder; got the file {str(root)!r}.")
    folders = {folder.name: _SPLIT_OF_FOLDER.get(folder.name.lower()) for folder in _subfolders(root)}
    if not any(folders.values()):
        return _files_by_class(root, root, None)
    _check_split_folders(root, folders)
    files = [
        file
        for name, split in sorted(folders.items(), key=lambda item: _SPLITS.index(item[1]))
        for file in _files_by_class(root, root / name, split)
    ]
    _check_same_classes(files)
    return files


def _subfolders(folder):
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not _is_clutter(entry.name))


def _is_clutter(name):
    return name.startswith(".") or name == "__MACOSX"


def _check_split_folders(root, folders):
    others = [name for name, split in folders.items() if split is None]
    if others:
        raise ValueError(
            f"path must hold either class folders or the folders train, val and test; got both in {str(root)!r}: "
            f"{', '.join(sorted(folders))}. Move away {', '.join(others)}, or pass one of the folders."
        )
    if len(set(folders.values())) < len(folders):
        raise ValueError(
            f"path must hold one folder for each of train, val and test; got {', '.join(sorted(folders))} in "
            f"{str(root)!r}. Merge those that mean the same."
        )


def _files_by_class(root, folder, split):
    classes = _subfolders(folder)
    if not classes:
        n_loose = sum(_is_image(entry.name) for entry in folder.iterdir())
        raise ValueError(
            f"path must hold one folder of images per class; {str(folder)!r} has no folder in it"
            f"{f', but {n_loose} image files' if n_loose else ''}. Put the images of each class into a folder named "
            "after the class."
        )
    return [file for class_folder in classes for file in _class_files(root, class_folder, split)]


def _class_files(root, class_folder, split):
    found = []
    for folder, subfolders, names in os.walk(class_folder):
        subfolders[:] = [name for name in subfolders if not _is_clutter(name)]
        found.extend(Path(folder, name) for name in names if _is_image(name))
    if not found:
        raise ValueError(
            f"every class folder must hold images ({', '.join(_SUFFIXES)}); got none in {str(class_folder)!r}. "
            "Add images or remove the folder."
        )
    filenames = sorted(file.relative_to(root).as_posix() for file in found)
    return [_ImageFile(root / filename, filename, class_folder.name, split) for filename in filenames]


def _is_image(name):
    return name.lower().endswith(_SUFFIXES) and not _is_clutter(name)


def _check_same_classes(files):
    classes = {}
    for file in files:
        classes.setdefault(file.split, set()).add(file.label)
    if len(set(map(frozenset, classes.values()))) > 1:
        found = "; ".join(f"{split}: {', '.join(sorted(names))}" for split, names in classes.items())
        raise ValueError(
            f"train, val and test must have the same class folders; got {found}. Rename the folders that differ, or "
            "merge the splits."
        )


def _warn_or_raise_on_one_class(root, files):
    # A path one level too high would make one class of a whole data set, without a sound.
    labels = {file.label for file in files}
    if len(labels) > 1:
        return
    (label,) = labels
    class_folder = next(parent for parent in files[0].path.parents if parent.name == label)
    inner = _subfolders(class_folder)
    if inner:
        raise ValueError(
            f"path must hold one folder per class; got {label!r} alone in {str(root)!r}, with the folders "
            f"{', '.join(folder.name for folder in inner)} in it. If those are the classes or splits, pass "
            f"{str(class_folder)!r}."
        )
    warnings.warn(f"{str(root)!r} holds a single class, {label!r}: nothing to classify or to balance.", stacklevel=4)


# Reading them


def _load(files, *, image_size, color, n_jobs, verbose, groups=None, on_error="raise", descr=None):
    """Read `files` and return the Bunch that `load_image_folder` documents."""
    group_of = None if groups is None else {file: groups(file.filename) for file in files}  # may raise: so first
    images, kept = _read_files(
        files, image_size=image_size, color=color, on_error=on_error, n_jobs=n_jobs, verbose=verbose
    )
    lost = sorted({file.label for file in files} - {file.label for file in kept})
    if lost:
        raise ValueError(f"every class must keep an image; no file could be read of {', '.join(lost)}.")
    target_names, target = np.unique([file.label for file in kept], return_inverse=True)
    return Bunch(
        images=images,
        target=target.astype(np.int64),
        target_names=target_names,
        groups=None if group_of is None else np.array([group_of[file] for file in kept]),
        filenames=np.array([file.filename for file in kept]),
        split=None if kept[0].split is None else np.array([file.split for file in kept]),
        DESCR=descr or _describe(images, target, target_names),
    )


def _describe(images, target, target_names):
    counts = "\n".join(f"{name}: {count}" for name, count in zip(target_names, np.bincount(target), strict=True))
    return f"{len(images)} images of shape {images.shape[1:]}, {images.dtype}, loaded from a folder\n\n{counts}\n"


def _read_files(files, *, image_size, color, n_jobs, verbose, on_error="raise"):
    """Return the images of `files` as one array, and the files that could be read."""
    size = _check_image_size(image_size)
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
        message = f"{str(file.path)!r} cannot be read as an image: {problem}."
        if on_error == "raise":
            advice = "Replace it, or leave it out: load_image_folder(..., on_error='skip')."
            raise ValueError(f"{message} {advice}") from problem
        warnings.warn(f"{message} The file is left out.", stacklevel=5)
    return stack.images, kept


def _read_in_threads(files, size, color, n_jobs):
    """Yield each file with what `_try_to_read` returns of it, in order."""
    # Threads suffice, for Pillow lets others run while it decodes. By the block, so that the images lie in the
    # output alone, and no task is left over when the caller stops at an error.
    with Parallel(n_jobs=n_jobs, prefer="threads") as parallel:
        for block in gen_batches(len(files), _BLOCK):
            reads = parallel(delayed(_try_to_read)(file.path, size, color) for file in files[block])
            yield from zip(files[block], reads, strict=True)


def _check_image_size(image_size):
    """Return `image_size` as (height, width), or None."""
    if image_size is None:
        return None
    size = (image_size, image_size) if isinstance(image_size, Integral) else tuple(image_size)
    if len(size) != 2 or not all(isinstance(side, Integral) and side > 0 for side in size):
        raise ValueError(f"image_size must be a positive int, (height, width) in pixels or None; got {image_size!r}.")
    return size


def _try_to_read(path, size, color):
    """Return (pixels, None), or (None, exception) where the caller has to decide."""
    try:
        return _read_image(path, size, color), None
    except _UNREADABLE as exc:
        return None, exc


def _read_image(path, size, color):
    """Return one image as an array of shape (H, W) or (H, W, 3), uint8 or uint16."""
    with Image.open(path) as image:
        if image.format == "TIFF" and image.n_frames > 1:
            raise ValueError(f"it holds {image.n_frames} frames, save each as a file")
        # A JPEG can be decoded at 1/2, 1/4 or 1/8 of its size, and as grey, for much less work. Twice the size asked
        # for is left to the better filter below; one side for both, as a photo may yet be turned.
        image.draft("L" if color == "grey" else None, image.size if size is None else (2 * max(size),) * 2)
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode == "F":
            raise ValueError("it holds floats, save it with 8 or 16 bits")
        if image.mode.startswith("I"):
            return _resize_uint16(_as_uint16(np.asarray(image)), size)
        image = image.convert("L" if color == "grey" or image.mode in ("1", "L", "LA") else "RGB")
        if size is not None and image.size != size[::-1]:
            image = image.resize(size[::-1], Image.Resampling.LANCZOS)
        pixels = np.asarray(image)
    if color == "auto" and pixels.ndim == 3 and (pixels == pixels[..., :1]).all():
        return pixels[..., 0]
    return pixels


def _as_uint16(pixels):
    # Pillow gives 16-bit files as 32-bit integers in its older versions, and really wider ones in all.
    if pixels.min() < 0 or pixels.max() > np.iinfo(np.uint16).max:
        raise ValueError(f"its values, {pixels.min()} to {pixels.max()}, do not fit 16 bits without sign")
    return pixels.astype(np.uint16)


def _resize_uint16(pixels, size):
    if size is None or pixels.shape == size:
        return pixels
    image = Image.fromarray(pixels.astype(np.float32))  # older Pillows have no filters for 16-bit integers
    resized = np.asarray(image.resize(size[::-1], Image.Resampling.LANCZOS))
    return np.rint(resized).clip(0, np.iinfo(np.uint16).max).astype(np.uint16)  # Lanczos overshoots at edges


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
            self._array = np.empty((self._n_max, *pixels.shape[:2], *channels), dtype=pixels.dtype)
            self._first = filename
        self._check_fits(pixels, filename)
        if pixels.ndim == 3 and self._array.ndim == 3:
            grey = self._array
            self._array = np.empty((*grey.shape, 3), dtype=grey.dtype)
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


# Chest X-rays


def _find_chest_xray(data_dir):
    """Return the folder that holds train, val and test; download it when `data_dir` does not exist."""
    if data_dir is None or not Path(data_dir).exists():
        data_dir = _download_chest_xray(data_dir)
    base = Path(data_dir)
    for root in (base, base / "chest_xray"):
        if all((root / split / name).is_dir() for split in _SPLITS for name in _CHEST_XRAY_CLASSES):
            return root
    raise FileNotFoundError(
        f"data_dir must hold train, val and test, or a folder chest_xray that holds them, each with the folders "
        f"{' and '.join(_CHEST_XRAY_CLASSES)}; got {str(base)!r}, where they are not. Load other folders with "
        "load_image_folder."
    )


def _download_chest_xray(data_dir):
    try:
        import kagglehub
    except ImportError as exc:
        where = "data_dir was not given" if data_dir is None else f"data_dir={str(data_dir)!r} does not exist"
        raise FileNotFoundError(
            f"The chest X-rays are not there: {where}, and kagglehub is not installed. Either download the Kaggle data "
            f"set {_KAGGLE_NAME} and pass its folder as data_dir, or run pip install kagglehub to have it downloaded."
        ) from exc
    try:
        return kagglehub.dataset_download(_KAGGLE_NAME)
    except OSError as exc:
        raise OSError(
            f"kagglehub could not download {_KAGGLE_NAME}: {exc}. Download the data set by hand and pass its folder as "
            "data_dir."
        ) from exc


def _chest_xray_patient(filename):
    match = _CHEST_XRAY_PATIENT.match(PurePosixPath(filename).name)
    if match is None:
        raise ValueError(
            f"{filename!r} does not tell its patient: names must begin with 'personN_bacteria_', 'personN_virus_', "
            "'IM-N-' or 'NORMAL2-IM-N-' as in the Kaggle set. Load renamed files with load_image_folder and a groups "
            "function of your own."
        )
    return match.group()


# MedMNIST


def _check_medmnist_name(flag, known):
    usable = [name for name in known if not name.endswith("3d") and "multi-label" not in known[name]["task"]]
    if flag in usable:
        return
    reason = f"got {flag!r}"
    if flag in known:
        reason += ", which holds volumes" if flag.endswith("3d") else ", which has several labels per image"
    raise ValueError(
        "name must be a MedMNIST set of two-dimensional images with one label each, one of "
        f"{', '.join(usable)}; {reason}."
    )


def _medmnist_splits(dataset, flag, info, size, data_dir):
    """Return medmnist's train, val and test parts of one set, downloading its file when it is not there."""
    if size not in dataset.available_sizes:
        raise ValueError(f"size must be one of {', '.join(map(str, dataset.available_sizes))}; got {size!r}.")
    suffix = "" if size == 28 else f"_{size}"
    root = Path.home() / ".medmnist" if data_dir is None else Path(data_dir)
    file = root / f"{flag}{suffix}.npz"
    if not file.exists():
        root.mkdir(parents=True, exist_ok=True)
        try:
            dataset("train", root=root, size=size, download=True)
        except RuntimeError as exc:  # the one word of medmnist for whatever went wrong
            raise OSError(
                f"medmnist could not download {flag!r} at size {size}. Fetch {info[f'url{suffix}']} by hand, save it "
                f"as {str(file)!r} and call again."
            ) from exc
    try:
        return [dataset(split, root=root, size=size, download=False) for split in _SPLITS]
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as exc:
        raise OSError(
            f"{str(file)!r} is not a file of MedMNIST's, or damaged: {exc}. Delete it and call again."
        ) from exc
