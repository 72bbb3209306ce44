"""Two folders of images in, real and synthetic, and how good the synthetic ones are out."""

import csv
import importlib.util
import os
from pathlib import Path, PurePosixPath
from random import Random

from gan_sampler.datasets._decoding import read_head
from gan_sampler.datasets._listing import MANIFEST, ImageFile, PassedOver, list_files
from gan_sampler.folders._listing import Notes, find_files, read_images

_NEEDED = {"prdc": "prdc", "jinja2": "jinja2", "efficientnet_lite_pytorch": "efficientnet-lite-pytorch"}
_MAX_REST = 1000  # images of other classes


class FolderQuality:
    """Measures the synthetic images of a folder, class by class.

    Parameters
    ----------
    real : path-like
        Folder of the real images that the generator was trained on, with a folder per class, also below train, val and
        test, of which train counts.
    synthetic : path-like
        Folder of synthetic images. Where it has a ``manifest.csv`` of this package's, only what that lists counts, so
        that a balanced folder can be given.
    held_out : path-like or None, default=None
        Folder of real images that the generator never saw.
    image_size : int or None, default=None
        Height and width to compare images at; None is the size of the synthetic ones.
    device : str, default="auto"
        Where the features are computed.
    seed : int, default=0
        Chooses images, folds and permutations.
    """

    def __init__(self, real, synthetic, held_out=None, *, image_size=None, device="auto", seed=0):
        _check_packages()
        self.real, self.synthetic = Path(real), Path(synthetic)
        self.held_out = None if held_out is None else Path(held_out)
        self.notes = Notes()
        self.device, self.seed = device, seed
        _, self._real_files = find_files(self.real, self.notes, argument="REAL", least_classes=1)
        self._synthetic_files = find_synthetic(self.synthetic)
        self._held_out_files = []
        if held_out is not None:
            files, train = find_files(self.held_out, self.notes, argument="--held-out", least_classes=1)
            # where it is split, what was not trained on
            self._held_out_files = [file for file in files if file.split not in (None, "train")] or train
        if self.real.resolve() == self.synthetic.resolve():
            raise ValueError(
                f"SYNTHETIC must be another folder than REAL; got {str(real)!r} twice. Name the folder that balance or "
                "sample wrote."
            )
        known = {file.label for file in self._real_files}
        unknown = sorted({file.label for file in self._synthetic_files} - known)
        if unknown:
            raise ValueError(
                f"SYNTHETIC must hold classes of REAL, {', '.join(sorted(known))}; got {', '.join(unknown)}. Rename "
                "the folders so that they agree."
            )
        made = {file.label for file in self._synthetic_files}
        self._real_files = _thinned(self._real_files, made, seed)
        self._held_out_files = [file for file in self._held_out_files if file.label in made]
        self.image_size = _size_of(self._synthetic_files) if image_size is None else (image_size, image_size)

    def run(self, *, tell=print, verbose=0):
        """Measure.

        Returns
        -------
        reports : dict of str to QualityReport or str
            Of each class; where it cannot be measured, why.
        images : dict of str to (ndarray, ndarray)
            Real and synthetic images of each class.
        """
        from gan_sampler.embedding import EfficientNetLite0Embedder
        from gan_sampler.quality import MIN_IMAGES, quality_report

        for warning in self.notes.warnings:
            tell(f"warning: {warning}")
        self.notes.tell = tell
        with self.notes.listening():
            parts = [
                None if not files else read_images(files, root, image_size=self.image_size, n_jobs=-1, verbose=verbose)
                for files, root in (
                    (self._real_files, self.real),
                    (self._synthetic_files, self.synthetic),
                    (self._held_out_files, self.held_out),
                )
            ]
            real, synthetic, held_out = _alike(parts)
            reports, images = {}, {}
            for label in synthetic.target_names.tolist():
                X_real, X_synthetic = (part.images[part.target == label] for part in (real, synthetic))
                images[label] = X_real, X_synthetic
                X_holdout = None if held_out is None else held_out.images[held_out.target == label]
                if min(len(X_real), len(X_synthetic)) < MIN_IMAGES:
                    reports[label] = (
                        f"not measured: there are {len(X_real)} real and {len(X_synthetic)} synthetic images, and "
                        f"{MIN_IMAGES} of each are needed"
                    )
                    continue
                if X_holdout is not None and len(X_holdout) < MIN_IMAGES:
                    self.notes.add(
                        f"Held-out images of {label} are not used: there are {len(X_holdout)}, and {MIN_IMAGES} are "
                        "needed."
                    )
                    X_holdout = None
                reports[label] = quality_report(
                    X_real,
                    X_synthetic,
                    X_holdout,
                    X_rest=_rest(real, label, self.seed, MIN_IMAGES),
                    embedder=EfficientNetLite0Embedder(device=self.device),
                    random_state=self.seed,
                    name=f"The synthetic images of {label}",
                )
        return reports, images


def _thinned(files, labels, seed):
    """Return the files of some classes, and of each other class as many as are looked at, at random."""
    found = [file for file in files if file.label in labels]
    random = Random(seed)
    for label in sorted({file.label for file in files} - labels):
        own = [file for file in files if file.label == label]
        found += random.sample(own, min(len(own), _MAX_REST))
    return sorted(found, key=lambda file: file.filename)


def _check_packages():
    missing = [package for module, package in _NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise ImportError(
            f"gan-sampler quality needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not "
            'installed: pip install "gan-sampler[quality]"'
        )


def find_synthetic(root):
    """Return the synthetic images of a folder: those that its manifest lists as made, or all that it holds."""
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"SYNTHETIC must be an existing folder of images; got {str(root)!r}. Check the path.")
    manifest = root / MANIFEST
    if not manifest.is_file():
        try:
            return list_files(root, PassedOver("skip"))
        except ValueError as exc:
            raise ValueError(str(exc).replace("path must", "SYNTHETIC must", 1)) from exc
    with open(manifest, encoding="utf-8", errors="surrogateescape", newline="") as stream:
        lines = list(csv.DictReader(stream))
    if lines and not {"file", "class"} <= lines[0].keys():
        raise ValueError(f"{str(manifest)!r} must have the columns file and class, as gan-sampler writes them.")
    files = [
        ImageFile(root / line["file"], line["file"], line["class"])
        for line in lines
        if not PurePosixPath(line["file"]).name.startswith(("repeated_", "augmented_"))
    ]
    if not files:
        raise ValueError(f"SYNTHETIC must hold synthetic images; {str(manifest)!r} lists none.")
    for file in files:
        if not Path(os.path.abspath(file.path)).is_relative_to(os.path.abspath(root)):
            raise ValueError(f"{str(manifest)!r} must list files of its folder; got {file.filename!r}.")
    return files


def _size_of(files):
    first = None
    for file in files:
        head = read_head(file.path)
        if head is None:
            continue
        first = first or (file, head)
        if head.size != first[1].size:
            raise ValueError(
                f"SYNTHETIC must hold images of one size; got {first[1].size} in {first[0].filename!r} and {head.size} "
                f"in {file.filename!r}. Pass image_size, for example --image-size 64."
            )
    return None if first is None else first[1].size


def _alike(parts):
    """Return sets of images, all of them grey or all in colour."""
    import numpy as np

    if len({part.images.ndim for part in parts if part is not None}) > 1:
        for part in parts:
            if part is not None and part.images.ndim == 3:
                part.images = np.repeat(part.images[..., None], 3, axis=3)
    return parts


def _rest(real, label, seed, least):
    """Return some images of the other classes, or None where there are too few."""
    import numpy as np

    rows = np.random.RandomState(seed).permutation(np.flatnonzero(real.target != label))[:_MAX_REST]
    return real.images[rows] if len(rows) >= least else None
