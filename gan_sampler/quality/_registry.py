"""The measures of the quality report, each a `Measure`."""

import keyword
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from sklearn.base import ClassifierMixin

from ._measures import (
    expected_coverage,
    fidelity_and_diversity,
    find_near_copies,
    kernel_inception_distance,
    memorisation,
    relative_spread,
    three_nearest,
    two_sample_auc,
    utility,
    versions_of,
)

MEASURES = {}  # by name, in the order of the table
RESERVED = set()  # names of other attributes of a report


@dataclass(frozen=True)
class Measure:
    """A measure of the quality report. Once registered, it is computed, printed and an attribute of every report.

    Parameters
    ----------
    name : str
        Name of the attribute.
    label : str
        Name in the printed table.
    ideal : str
        Value of a perfect generator, as shown in the table; empty if there is none.
    compute : callable
        Takes `Sets` and returns a float.
    heading : str, default="Other measures"
        Heading of its group in the table.
    needs : {"held_out", "rest"} or None, default=None
        Set of images that it requires; without this set the measure is None.
    of_held_out : bool, default=True
        Whether it is also computed for held-out images in place of the synthetic ones, for comparison.
    digits : str, default=".2f"
        Format of its value.

    Examples
    --------
    >>> from gan_sampler.quality import MEASURES, Measure, register
    >>> brightness = Measure("brightness", "mean, synthetic over real", "1",
    ...                      lambda sets: (sets.pixels_other.mean() + 1) / (sets.pixels_real.mean() + 1))
    >>> register(brightness)
    >>> del MEASURES["brightness"]
    """

    name: str
    label: str
    ideal: str
    compute: Callable
    heading: str = "Other measures"
    needs: str | None = None
    of_held_out: bool = True
    digits: str = ".2f"


def register(measure):
    """Add a measure to all later quality reports; ``del MEASURES[name]`` removes it.

    Parameters
    ----------
    measure : Measure
        The measure to add.

    Raises
    ------
    TypeError
        When `measure` is not a `Measure`.
    ValueError
        When its name cannot be that of an attribute, or is in use.
    """
    if not isinstance(measure, Measure):
        raise TypeError(f"measure must be a Measure; got {measure!r}.")
    if not measure.name.isidentifier() or keyword.iskeyword(measure.name) or measure.name.startswith("_"):
        raise ValueError(f"measure.name must be a name of a public attribute; got {measure.name!r}.")
    if measure.name in RESERVED:
        raise ValueError(f"measure.name must be new; a report has an attribute {measure.name!r} already.")
    if measure.name in MEASURES:
        raise ValueError(f"measure.name must be new; there is a measure {measure.name!r} already.")
    MEASURES[measure.name] = measure


@dataclass(frozen=True)
class Sets:
    """The sets of images that measures compare, as features on a common scale and as pixels in [-1, 1]; one row each.

    Parameters
    ----------
    real, other : ndarray of shape (n, n_features), float64
        Features of the real images, and of the synthetic images or, for comparison, the held-out ones.
    different : ndarray of shape (n_different, n_features), float64
        Features of all real images without duplicates.
    pixels_real, pixels_other, pixels_different : ndarray of shape (n, n_pixels), float32
        The same images.
    held_out, pixels_held_out : ndarray or None
        Features and pixels of real images that the generator was not trained on, without duplicates.
    rest : ndarray or None
        Features of real images of other classes.
    unscaled : tuple of (ndarray, ndarray)
        Features of `real` and `other` from the embedder, unscaled.
    tensor_shape : tuple of (int, int, int)
        Shape of an image: channels, height, width.
    forest, linear : estimator
        Classifiers for pixels and for features.
    random_state : RandomState
        Source of random numbers.
    """

    real: np.ndarray
    other: np.ndarray
    different: np.ndarray
    pixels_real: np.ndarray
    pixels_other: np.ndarray
    pixels_different: np.ndarray
    held_out: np.ndarray | None
    pixels_held_out: np.ndarray | None
    rest: np.ndarray | None
    unscaled: tuple
    tensor_shape: tuple
    forest: ClassifierMixin
    linear: ClassifierMixin
    random_state: np.random.RandomState

    @cached_property
    def kid(self):
        """KID and its standard error."""
        return kernel_inception_distance(*self.unscaled)

    @cached_property
    def prdc(self):
        """Precision, recall, density and coverage."""
        return fidelity_and_diversity(self.real, self.other)

    @cached_property
    def near_copies(self):
        """Which of `other` are near-copies of real images, and which real images are near-copies of each other."""
        spaces = (self.different, self.other), (self.pixels_different, self.pixels_other)
        found = [find_near_copies(*space) for space in spaces]
        return tuple(np.logical_or(*either) for either in zip(*found, strict=True))

    @cached_property
    def memorisation(self):
        """Memorisation and its p value."""
        train, held_out, synthetic = (
            versions_of(pixels.reshape(-1, *self.tensor_shape))
            for pixels in (self.pixels_different, self.pixels_held_out, self.pixels_other)
        )
        return memorisation(
            [three_nearest(self.different, [self.held_out]), three_nearest(train[0], held_out)],
            [three_nearest(self.different, [self.other]), three_nearest(train[0], synthetic)],
        )

    @cached_property
    def utility(self):
        """Utility of synthetic and of real images."""
        return utility(self.real, self.other, self.rest, self.linear, self.random_state, held_out=self.held_out)


_DISTRIBUTION = {"heading": "Distribution of the features"}
_ARTEFACTS = {"heading": "AUC of a classifier of real against synthetic"}
_COPIES = {"heading": "Copies of training images"}
_MEMORISATION = {**_COPIES, "needs": "held_out", "of_held_out": False}
_UTILITY = {
    "heading": "Utility: AUC on real images of a classifier trained on",
    "needs": "rest",
    "of_held_out": False,
}
for _measure in (
    Measure("kid", "KID", "0", lambda sets: sets.kid[0], digits=".2g", **_DISTRIBUTION),
    Measure("kid_error", "  standard error", "", lambda sets: sets.kid[1], digits=".2g", **_DISTRIBUTION),
    *(
        Measure(name, name, "1", lambda sets, name=name: sets.prdc[name], **_DISTRIBUTION)
        for name in ("density", "precision", "recall", "coverage")
    ),
    Measure(
        "coverage_expected",
        "  of as many real images",
        "",
        lambda sets: expected_coverage(len(sets.real), len(sets.other)),
        **_DISTRIBUTION,
    ),
    Measure("spread", "spread", "1", lambda sets: relative_spread(sets.real, sets.other), **_DISTRIBUTION),
    Measure(
        "auc_pixels",
        "pixels",
        "0.5",
        lambda sets: two_sample_auc(sets.pixels_real, sets.pixels_other, sets.forest, sets.random_state),
        **_ARTEFACTS,
    ),
    Measure(
        "auc_features",
        "features",
        "0.5",
        lambda sets: two_sample_auc(sets.real, sets.other, sets.linear, sets.random_state),
        **_ARTEFACTS,
    ),
    Measure("near_copies", "near-copies", "0", lambda sets: sets.near_copies[0].mean(), **_COPIES),
    Measure(
        "near_copies_among_real",
        "  among the real images",
        "",
        lambda sets: sets.near_copies[1].mean(),
        of_held_out=False,
        **_COPIES,
    ),
    Measure("memorisation", "memorisation", "0.5", lambda sets: sets.memorisation[0], **_MEMORISATION),
    Measure("memorisation_p", "  p value", "", lambda sets: sets.memorisation[1], digits=".2g", **_MEMORISATION),
    Measure("utility_synthetic", "synthetic images", "", lambda sets: sets.utility[0], **_UTILITY),
    Measure("utility_real", "real images", "", lambda sets: sets.utility[1], **_UTILITY),
):
    register(_measure)
