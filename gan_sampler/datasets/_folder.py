"""Any folder of image files that has one folder per class."""

import os
import warnings

from sklearn.utils._param_validation import StrOptions, validate_params

from gan_sampler.datasets._listing import PassedOver, check_path, list_files, raise_if_classes_are_deeper
from gan_sampler.datasets._reading import READ_CONSTRAINTS, load


@validate_params(
    {
        "path": [str, os.PathLike],
        **READ_CONSTRAINTS,
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
    folders inside it. AVIF, BMP, GIF, JPEG, JPEG 2000, PNG, PPM, TIFF and WebP files are read, as far as the installed
    Pillow can, and DICOM files (``.dcm``) where pydicom is installed (extra ``dicom``). Other files and files outside
    of class folders are not, and one warning counts them by kind; what begins with a dot, ``__MACOSX``, ``Thumbs.db``
    and ``desktop.ini`` is passed over in silence, and so is the ``manifest.csv`` that `save_image_folder` writes.

    Links to files and folders are followed. A link that leads to a folder which is read anyway, or to one above it, is
    an error like a file that cannot be read (see `on_error`), and so is a folder that cannot be listed.

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
        What to do with a file or folder that cannot be read: raise an error that names it, or warn, naming it, and go
        on without it.
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
            Pixel values, 0..255 or 0..65535. Grey files of 16 bits stay at 16 bits, also when resized;
            transparency is dropped, photos are turned the way their EXIF data says.
        target : ndarray of shape (n,), str
            Name of the class of each image.
        target_names : ndarray of shape (n_classes,), str
            Names of the classes, sorted.
        groups : ndarray of shape (n,) or None
            What the function `groups` said of each file.
        filenames : ndarray of shape (n,), str
            Files relative to `path`, with forward slashes.
        path : str
            The folder, absolute, in which `save_image_folder` finds the files again.
        split : ndarray of shape (n,), str, or None
            ``"train"``, ``"val"`` or ``"test"``; None when the class folders stand in `path` itself.
        DESCR : str
            What was loaded.

    Raises
    ------
    FileNotFoundError
        When `path` does not exist.
    OSError
        When `path` is no folder, or it or a split in it cannot be listed.
    ValueError
        When there are no class folders, a class folder has no images, the splits have different classes, a file or
        folder in a class cannot be read, or files differ in size (with ``image_size=None``) or bit depth.
    MemoryError
        When the images would not fit in the memory of this machine, with the bytes they need; with `image_size`, this
        comes before any is read.

    Warns
    -----
    UserWarning
        When files were not read, by kind; for each file and folder left out with ``on_error="skip"``; and when there is
        a single class.

    See Also
    --------
    fetch_chest_xray : The chest X-rays of Kermany et al.
    sklearn.datasets.load_files : The same for folders of text files.

    Notes
    -----
    The content of a file decides which of these formats it is read as, not its name. A file with more than
    ``PIL.Image.MAX_IMAGE_PIXELS`` pixels (89 million, if nobody changed it) is refused before it is decoded, because a
    small file can so be made to fill the memory; set that number higher for images that you trust. A file of several
    frames, such as a TIFF stack or an animation, is refused too: save each frame as a file. The previews that
    telephones store behind a photo (MPO) do not count as frames.

    Of DICOM files, the values after rescale slope and intercept are taken, dark to bright (MONOCHROME1 is inverted),
    and no window is applied. They are uint8 where the header allows no others, else uint16, plus 32,768 where it
    allows values below zero, so that all files of a scanner are of one scale.

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
    >>> data.images.shape, data.target.tolist()
    ((3, 16, 16), ['cat', 'cat', 'dog'])
    """
    root = check_path("path", path)
    passed_over = PassedOver(on_error)
    files = list_files(root, passed_over)
    passed_over.warn(root, stacklevel=3)
    labels = {file.label for file in files}
    if len(labels) == 1:
        raise_if_classes_are_deeper(root, files)
        warnings.warn(
            f"{str(root)!r} holds a single class, {labels.pop()!r}: nothing to classify or to balance.", stacklevel=3
        )
    return load(
        files,
        root=root,
        image_size=image_size,
        color=color,
        on_error=on_error,
        groups=groups,
        n_jobs=n_jobs,
        verbose=verbose,
    )
