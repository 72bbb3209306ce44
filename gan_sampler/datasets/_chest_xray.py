"""Chest X-rays of children with and without pneumonia."""

import os
import re
from pathlib import Path, PurePosixPath

from sklearn.utils._param_validation import validate_params

from gan_sampler.datasets._listing import SPLITS, PassedOver, check_path, class_files
from gan_sampler.datasets._reading import READ_CONSTRAINTS, load

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


@validate_params(
    {"data_dir": [str, os.PathLike, None], **READ_CONSTRAINTS},
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
        As from `load_image_folder`: `images` of shape (5856, height, width), grey, uint8; `target` ``"NORMAL"`` or
        ``"PNEUMONIA"``; `split` as published; `groups` are patients.

    Raises
    ------
    FileNotFoundError
        When the images are not there and kagglehub is not installed.
    OSError
        When kagglehub cannot download them.
    ValueError
        When a file or folder cannot be read, a file's name does not tell the patient, or `data_dir` is empty.

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
    root = _find_chest_xray(data_dir if data_dir is None else check_path("data_dir", data_dir))
    passed_over = PassedOver()
    files = [
        file
        for split in SPLITS
        for name in _CHEST_XRAY_CLASSES
        for file in class_files(root, root / split / name, split, passed_over, {})
    ]
    passed_over.warn(root, stacklevel=3)
    return load(
        files,
        root=root,
        image_size=image_size,
        color="grey",
        groups=_chest_xray_patient,
        n_jobs=n_jobs,
        verbose=verbose,
        descr=_CHEST_XRAY_DESCR,
    )


def _find_chest_xray(data_dir):
    """Return the folder that holds train, val and test; download it when `data_dir` does not exist."""
    if data_dir is None or not Path(data_dir).exists():
        data_dir = _download_chest_xray(data_dir)
    base = Path(data_dir)
    for root in (base, base / "chest_xray"):
        if all((root / split / name).is_dir() for split in SPLITS for name in _CHEST_XRAY_CLASSES):
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
