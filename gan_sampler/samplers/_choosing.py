"""Selection of images from more candidates than are needed."""

import warnings

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils import gen_batches

from ..embedding import embed
from ..quality import QualityWarning
from ..runtime import stacklevel_of_user
from ._herding import herd
from ._labels import plain_label

CANDIDATES = 4  # images generated for each image that herding keeps
_MAX_HERDED = 1000  # largest number of images in one run of herding, whose time is quadratic


class HerdingSelector:
    """Selects, from candidates, images whose distribution of features is close to that of the real images.

    Parameters
    ----------
    embedder : transformer
        Computes the features that are compared; cloned and fitted to the real images.
    image_format : ImageFormat
        Format of the real images, to which candidates are converted for the embedder.
    """

    def __init__(self, embedder, image_format):
        self.embedder, self.image_format = embedder, image_format

    def choose(self, real, candidates, n_images, label):
        """Yield the selected images.

        Parameters
        ----------
        real : ndarray of shape (n_real, *row_shape)
            Real images of the class.
        candidates : iterable of torch.Tensor of shape (n, channels, height, width)
            Candidates, in batches that add up to ``CANDIDATES * n_images``.
        n_images : int
            Number of images to select.
        label : object
            The class, for messages.

        Yields
        ------
        images : torch.Tensor of shape (n, channels, height, width)
            The batches add up to `n_images`.

        Warns
        -----
        QualityWarning
            When the embedder fails; further images are then taken in the order in which they were drawn.
        """
        sizes = [batch.stop - batch.start for batch in gen_batches(n_images, _MAX_HERDED)]
        drawn = [CANDIDATES * size for size in sizes]
        choose, has_failed = None, False
        for images, n_kept in zip(regroup(candidates, drawn), sizes, strict=True):
            if has_failed:
                yield images[:n_kept]
                continue
            try:
                choose = choose or self._fitted_to(real)
                chosen = choose(images, n_kept)
            except Exception as exc:  # any error of an embedder, which must not lose hours of training
                warnings.warn(
                    f"Herding chose no images of class {plain_label(label)!r} from here on, they are taken as they "
                    f"were drawn: {type(self.embedder).__name__} failed with {type(exc).__name__}: {exc}",
                    QualityWarning,
                    stacklevel=stacklevel_of_user(),
                )
                chosen, has_failed = images[:n_kept], True
            yield chosen

    def _fitted_to(self, real):
        rows = np.linspace(0, len(real) - 1, min(len(real), _MAX_HERDED)).astype(int)
        embedder = clone(self.embedder).fit(real[rows])
        features = embed(embedder, real[rows], "herding")

        def choose(images, n_kept):
            candidates = embed(embedder, self.image_format.to_array(images), "herding")
            return images[torch.from_numpy(herd(features, candidates, n_kept)).to(images.device)]

        return choose


def regroup(batches, sizes):
    """Yield tensors of the given lengths from batches whose lengths have the same sum."""
    left, n_left, batches = [], 0, iter(batches)
    for size in sizes:
        while n_left < size:
            left.append(next(batches))
            n_left += len(left[-1])
        joined = torch.cat(left)
        yield joined[:size]
        left, n_left = [joined[size:]], n_left - size
