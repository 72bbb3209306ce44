"""Solar cells in electroluminescence images."""

from numbers import Real
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, validate_params

from gan_sampler.datasets._listing import ImageFile
from gan_sampler.datasets._reading import READ_CONSTRAINTS, read_files

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
    {**READ_CONSTRAINTS, "threshold": [Interval(Real, 0, 1, closed="left")]},
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
        As from `load_image_folder`: `images` of shape (2624, height, width), grey, uint8; `target`
        ``"functional"`` or ``"defective"``; `groups` and `split` None, because the set does not tell which cells
        share a module. Beside them `probability` (ndarray of shape (2624,), float64), the probability of a defect,
        and `cell_type` (ndarray of shape (2624,), str), ``"mono"`` or ``"poly"``.

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
    >>> from gan_sampler.datasets import load_elpv
    >>> data = load_elpv(image_size=32)
    >>> data.images.shape
    (2624, 32, 32)
    >>> {str(name): int((data.target == name).sum()) for name in data.target_names}
    {'defective': 821, 'functional': 1803}
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
    target = np.where(probability > threshold, "defective", "functional")
    files = [ImageFile(root / row[0], row[0], str(label)) for row, label in zip(rows, target, strict=True)]
    images, _ = read_files(files, image_size=image_size, color="grey", n_jobs=n_jobs, verbose=verbose)
    return Bunch(
        images=images,
        target=target,
        target_names=np.array(["defective", "functional"]),
        groups=None,
        filenames=np.array([file.filename for file in files]),
        split=None,
        path=str(root),
        probability=probability,
        cell_type=np.array([kind for _, _, kind in rows]),
        DESCR=_ELPV_DESCR,
    )
