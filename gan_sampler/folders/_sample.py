"""A file of a trained sampler in, a folder of synthetic images out."""

import os
from pathlib import Path

from gan_sampler.datasets._listing import MANIFEST
from gan_sampler.datasets._places import FolderWriter, check_empty
from gan_sampler.folders._info import check_start
from gan_sampler.folders._samplers import IN_FILES, sampler_class

_AT_ONCE = 500  # images drawn together, so that many do not fill the memory


def load_fitted(file, device="cpu"):
    """Return the sampler in a file, of whichever class it is.

    Raises
    ------
    FileNotFoundError, ValueError
        When there is no such file, or no sampler in it.
    """
    from gan_sampler._files import read_file

    _, values = read_file(file, argument="FILE")
    classes = {found.__name__: found for found in map(sampler_class, IN_FILES)}
    if values.get("sampler") not in classes:
        found = f"a {values['sampler']}" if "sampler" in values else "a checkpoint of an unfinished training"
        raise ValueError(f"FILE must hold a sampler that gan-sampler train or save wrote; {str(file)!r} holds {found}.")
    return classes[values["sampler"]].load(file, device=device)


def sample_to_folder(file, path, *, n, labels=None, seed=0, device="cpu", file_format="png", verbose=0):
    """Draw synthetic images, and write them to a folder with one folder per class.

    Parameters
    ----------
    file : path-like
        What `GANOverSampler.save` wrote.
    path : path-like
        Folder to make.
    n : int
        Number of images of each class.
    labels : sequence of str or None, default=None
        Classes; None stands for all that the file knows.
    seed : int, default=0
        Of the noise.
    device : str, default="cpu"
        Where to draw.
    file_format : str, default="png"
        Format of the files.
    verbose : int, default=0
        Whether to show a bar.

    Returns
    -------
    summary : dict
        In the words of JSON.
    """
    file, path = Path(file), Path(path)
    check_empty(path, "DST")
    if not file.is_file():
        raise FileNotFoundError(f"FILE must be an existing file that gan-sampler train wrote; got {str(file)!r}.")
    check_start(file)
    import numpy as np
    from tqdm import tqdm

    from gan_sampler.datasets import _saving
    from gan_sampler.datasets._encoding import check_kind, named_kind

    kind = named_kind(file_format)
    sampler = load_fitted(file, device)
    if n < 1:
        raise ValueError(f"n must be at least 1; got {n}.")
    known = {str(label): label for label in sampler.generators_}
    labels = list(known) if labels is None else list(dict.fromkeys(labels))
    for label in labels:
        if label not in known:
            raise ValueError(f"label must be a class of the file, {', '.join(known)}; got {label!r}.")
    check_kind(kind, sampler.image_format_.dtype, "the images of the file")
    path.mkdir(parents=True, exist_ok=True)
    writer = FolderWriter(path)
    about = _saving.About(type(sampler).__name__, seed)
    random_state = np.random.RandomState(seed)
    manifest = []
    with tqdm(total=n * len(labels), desc="Drawing images", unit="image", disable=not verbose) as bar:
        for label in labels:
            for first in range(0, n, _AT_ONCE):
                n_now = min(_AT_ONCE, n - first)
                images, names = _saving.check_images_and_labels(
                    sampler.sample(n_now, known[label], random_state=random_state), [label] * n_now
                )
                manifest += _saving.write_synthetic(writer, images, names, kind, about, first)
                bar.update(n_now)
    writer.put(_saving.manifest_bytes(manifest), MANIFEST)
    return {
        "path": os.path.abspath(path),
        "file": os.path.abspath(file),
        "sampler": about.sampler,
        "seed": seed,
        "classes": dict.fromkeys(labels, n),
        "image_size": list(images.shape[1:3]),
        "n_written": writer.n_written,
        "manifest": os.path.abspath(path / MANIFEST),
    }
