"""Sets of two-dimensional images from MedMNIST."""

import os
import zipfile
from numbers import Integral
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, validate_params

from gan_sampler.datasets._listing import SPLITS, check_path


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
        test one after the other and told by `split`; `target` MedMNIST's names of the classes; `groups`, `filenames`
        and `path` None.

    Raises
    ------
    ImportError
        When medmnist is not installed.
    OSError
        When the set cannot be downloaded, or its file is damaged.
    ValueError
        When `name` is not a set of two-dimensional images with one label each, `size` is not offered, or `data_dir` is
        empty.

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
    root = Path.home() / ".medmnist" if data_dir is None else check_path("data_dir", data_dir)
    flag = name.lower()
    _check_medmnist_name(flag, medmnist.INFO)
    info = medmnist.INFO[flag]
    splits = _medmnist_splits(getattr(medmnist, info["python_class"]), flag, info, size, root)
    names = np.array([info["label"][str(label)] for label in range(len(info["label"]))])
    labels = np.concatenate([split.labels for split in splits]).reshape(-1)  # stored as (n, 1)
    return Bunch(
        images=np.concatenate([split.imgs for split in splits]),
        target=names[labels.astype(np.int64)],
        target_names=np.sort(names),
        groups=None,
        filenames=None,
        path=None,
        split=np.repeat(SPLITS, [len(split.imgs) for split in splits]),
        DESCR=f"{info['description']}\n\nLicence {info['license']}.\n",
    )


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


def _medmnist_splits(dataset, flag, info, size, root):
    """Return medmnist's train, val and test parts of one set, downloading its file when it is not there."""
    if size not in dataset.available_sizes:
        raise ValueError(f"size must be one of {', '.join(map(str, dataset.available_sizes))}; got {size!r}.")
    suffix = "" if size == 28 else f"_{size}"
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
        return [dataset(split, root=root, size=size, download=False) for split in SPLITS]
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as exc:
        raise OSError(
            f"{str(file)!r} is not a file of MedMNIST's, or damaged: {exc}. Delete it and call again."
        ) from exc
