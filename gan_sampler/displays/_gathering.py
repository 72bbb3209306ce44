"""Real and synthetic images for a display: checked, of some classes, not too many, from a sampler or from arrays."""

from dataclasses import dataclass

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from ._drawing import sorted_labels
from ._pixels import pixel_rows


@dataclass
class Images:
    """Real and synthetic images of the same format, with their labels.

    Parameters
    ----------
    format : ImageFormat
        How both arrays hold their images.
    X_real, X_synthetic : ndarray of shape (n, ...)
        Images.
    y_real, y_synthetic : ndarray of shape (n,)
        Their labels.
    labels : list
        The classes to be shown, in order.
    """

    format: object
    X_real: np.ndarray
    y_real: np.ndarray
    X_synthetic: np.ndarray
    y_synthetic: np.ndarray
    labels: list

    def features(self, embedder):
        """Return the features of the real and of the synthetic images: pixels, or what a transformer makes of them."""
        if embedder is None:
            return pixel_rows(self.format, self.X_real), pixel_rows(self.format, self.X_synthetic)
        from ..embedding import embed

        fitted = clone(embedder).fit(self.X_real)
        return embed(fitted, self.X_real, "embedder"), embed(fitted, self.X_synthetic, "embedder")


def from_arrays(X_real, y_real, X_synthetic, y_synthetic, labels, **options):
    """Check arrays of images and labels.

    Parameters
    ----------
    X_real, y_real, X_synthetic, y_synthetic : array-like
        Images and their labels.
    labels : sequence or None
        The classes wanted; None stands for those that have synthetic images.
    **options
        ``image_shape``, ``data_format`` and ``value_range``, as `check_images` takes them.

    Returns
    -------
    images : Images
        Those of the classes wanted.
    """
    from ..images import check_images

    X_real, image_format = check_images(X_real, input_name="X_real", **options)
    X_synthetic = image_format.check_same(X_synthetic, input_name="X_synthetic", seen="of X_real")
    return _of_classes(image_format, X_real, y_real, X_synthetic, y_synthetic, labels)


def from_sampler(sampler, X, y, labels, n_images, random_state, caller):
    """Draw images from a fitted sampler, beside the real ones.

    Parameters
    ----------
    sampler : object
        A fitted sampler with ``sample``.
    X, y : array-like
        Real images and their labels.
    labels : sequence or None
        The classes wanted; None stands for all that the sampler has learnt.
    n_images : int
        How many to draw of each class.
    random_state : int, RandomState instance or None
        Of the noise.
    caller : str
        The class method that asks, for messages.

    Returns
    -------
    images : Images
    """
    generators = generators_of(sampler, caller, "Pass the images that it made to from_predictions.")
    X = sampler.image_format_.check_same(X)
    y_known = np.asarray(y).tolist()
    labels = [label for label in generators if label in y_known] if labels is None else list(labels)
    drawn = [sampler.sample(n_images, label, random_state=random_state) for label in labels]
    if not drawn:
        raise ValueError(
            f"y must hold at least one of the classes that the sampler has learnt, {list(map(str, generators))}."
        )
    y_synthetic = [label for label in labels for _ in range(n_images)]
    return _of_classes(sampler.image_format_, X, y, np.concatenate(drawn), y_synthetic, labels)


def generators_of(sampler, caller, advice):
    """Return the generators of a sampler by class, or raise where it has none.

    Parameters
    ----------
    sampler : object
        Any sampler.
    caller : str
        Who asks, for messages.
    advice : str
        What to do about a sampler that draws from no generator.

    Returns
    -------
    generators : dict
        Generator of each class.

    Raises
    ------
    TypeError
        When this kind of sampler has no generator that draws from noise.
    NotFittedError
        When it is not fitted.
    ValueError
        When its fit over-sampled no class.
    """
    if not hasattr(sampler, "sample"):
        raise TypeError(
            f"sampler must be one whose generator draws from noise, such as DCGANOverSampler, for {caller}; got "
            f"{type(sampler).__name__}. {advice}"
        )
    generators = getattr(sampler, "generators_", None)
    if generators is None:
        raise NotFittedError(f"This {type(sampler).__name__} has no generators yet. Call fit_resample first.")
    if not generators:
        raise ValueError(f"sampler must have over-sampled a class; this fit of {type(sampler).__name__} did not.")
    return generators


def thinned(y, labels, n_images, random_state):
    """Return rows of at most `n_images` images of each class, class by class, drawn at random."""
    y = np.asarray(y)
    return [random_state.permutation(np.flatnonzero(y == label))[:n_images] for label in labels]


def _of_classes(image_format, X_real, y_real, X_synthetic, y_synthetic, labels):
    y_real, y_synthetic = np.asarray(y_real), np.asarray(y_synthetic)
    for name, X, y in (("real", X_real, y_real), ("synthetic", X_synthetic, y_synthetic)):
        if y.ndim != 1 or len(X) != len(y):
            raise ValueError(
                f"y_{name} must hold one label for each image; got shape {y.shape} for {len(X)} images of X_{name}."
            )
    labels = sorted_labels(y_synthetic) if labels is None else list(labels)
    for name, y in (("real", y_real), ("synthetic", y_synthetic)):
        missing = [label for label in labels if label not in y.tolist()]
        if missing:
            raise ValueError(
                f"labels must be classes with {name} images, which {list(map(str, missing))} have not; there are those "
                f"of {list(map(str, sorted_labels(y)))}."
            )
    real, synthetic = np.isin(y_real, labels), np.isin(y_synthetic, labels)
    return Images(image_format, X_real[real], y_real[real], X_synthetic[synthetic], y_synthetic[synthetic], labels)
