"""Images and labels from NumPy's archives."""

import os
import zipfile
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

_KNOWN = ("X", "y", "groups", "split", "filenames", "target_names")
_SPLITS = ("train", "val", "test")


@validate_params({"path": [str, os.PathLike]}, prefer_skip_nested_validation=True)
def load_npz(path):
    """Load images and labels from an ``.npz`` file.

    Parameters
    ----------
    path : str or path-like
        File with arrays ``X`` (images) and ``y`` (labels) and, if there are, ``groups``, ``split`` (``"train"``,
        ``"val"`` or ``"test"`` for each image), ``filenames`` and ``target_names``, the names of the sorted labels.
        MedMNIST's files (``train_images``, ``train_labels``, ...) are read, too. Nothing in it is run.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        As from `load_image_folder`: `images` as they are stored, `target` names (labels without names become text),
        `target_names`, `groups`, `split`; `filenames` and `path` None, because no image has a file.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        When it is no ``.npz`` file, holds Python objects, lacks an array, or arrays do not fit each other.

    See Also
    --------
    load_image_folder : Read image files.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from gan_sampler.datasets import load_npz
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     X, y = np.zeros((3, 16, 16), np.uint8), np.array([0, 0, 1])
    ...     np.savez(f"{folder}/scans.npz", X=X, y=y, target_names=["ill", "well"])
    ...     data = load_npz(f"{folder}/scans.npz")
    >>> data.images.shape, data.target.tolist()
    ((3, 16, 16), ['ill', 'ill', 'well'])
    """
    arrays = read_npz(path)
    images, labels = arrays["X"], arrays["y"]
    if images.ndim not in (3, 4):
        raise ValueError(
            f"{path} must hold images in X, (n, H, W), (n, H, W, C) or (n, C, H, W); got shape {images.shape}."
        )
    for name in ("y", "groups", "split"):
        if arrays.get(name) is not None and arrays[name].shape != (len(images),):
            raise ValueError(f"{path} must hold an entry of {name} for each of the {len(images)} images of X.")
    split = arrays.get("split")
    if split is not None and (others := sorted(set(split.tolist()) - set(_SPLITS))):
        raise ValueError(f"{path} must hold {', '.join(_SPLITS)} alone in split; got {others} too.")
    found, target = np.unique(labels, return_inverse=True)
    names = arrays.get("target_names", found.astype(str))
    if len(names) != len(found) or len(set(names.tolist())) != len(names):
        raise ValueError(f"{path} must hold {len(found)} different target_names, one for each label of y.")
    names = names.astype(str)
    return Bunch(
        images=images,
        target=names[target],
        target_names=np.sort(names),
        groups=arrays.get("groups"),
        filenames=None,
        split=split,
        path=None,
        DESCR=f"{len(images)} images of shape {images.shape[1:]}, {images.dtype}, loaded from {Path(path).name}\n",
    )


def read_npz(path):
    """Return the arrays of an ``.npz`` file, by the names of `load_npz`."""
    try:
        with np.load(path, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
    except (zipfile.BadZipFile, EOFError) as exc:
        raise ValueError(f"{path} must be an .npz file that NumPy wrote; it is damaged: {exc}") from exc
    except ValueError as exc:
        raise ValueError(f"{path} must hold plain arrays, no Python objects: {exc}") from exc
    if "train_images" in arrays and "train_labels" in arrays:
        return _of_medmnist(arrays)
    if not {"X", "y"} <= set(arrays):
        raise ValueError(f"{path} must hold arrays X (images) and y (labels); got {', '.join(arrays) or 'none'}.")
    if unknown := sorted(set(arrays) - set(_KNOWN)):
        raise ValueError(f"{path} must hold {', '.join(_KNOWN)} alone; got {', '.join(unknown)} too.")
    return arrays


def _of_medmnist(arrays):
    parts = [split for split in _SPLITS if f"{split}_images" in arrays]
    counts = [len(arrays[f"{split}_images"]) for split in parts]
    labels = [arrays[f"{split}_labels"].reshape(count) for split, count in zip(parts, counts, strict=True)]
    return {
        "X": np.concatenate([arrays[f"{split}_images"] for split in parts]),
        "y": np.concatenate(labels),
        "split": np.repeat(parts, counts),
    }
