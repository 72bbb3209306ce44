"""Whether the images of a fit can be used: a cheap judgement of each, and the quality report where it is wanted."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ..quality import MIN_IMAGES as MIN_IMAGES_MEASURED
from ..quality import QualityWarning, quality_report
from ..runtime import stacklevel_of_user
from ..training import LEAST_VARIANCE_RATIO, is_unusable, rank
from ._labels import plain_label

REPEATED = "Real images are repeated in their place (on_poor_quality='repeat')."
_MAX_REST = 1000  # images of other classes that the quality report looks at


class CollapseWarning(QualityWarning):
    """The images that a generator draws are much more alike than the real ones."""


class PoorQualityError(RuntimeError):
    """The images of a class are unusable, and `on_poor_quality="raise"` asked for this error."""


def best_record(history):
    """Return the record of the report whose snapshot was kept: the first of the smallest `rank`."""
    return min(history, key=rank)


def find_poor(records):
    """Return what is wrong with the images of each class whose images cannot be used.

    Parameters
    ----------
    records : dict of label to dict
        ``score``, ``variance_ratio`` and ``spectral_distance`` of the images of each class, as
        `PixelFrechetDistance` returns them.

    Returns
    -------
    collapsed, unusable : dict of label to str
        Classes whose images are much too alike, and others whose images are too far from the real ones.
    """
    collapsed = {
        label: f"variance_ratio {record['variance_ratio']:.2f}"
        for label, record in records.items()
        if record["variance_ratio"] < LEAST_VARIANCE_RATIO
    }
    unusable = {
        label: f"score {record['score']:.3g}, real ones get about 1; spectral_distance "
        f"{record['spectral_distance']:.3g}, real ones get 0"
        for label, record in records.items()
        if label not in collapsed and is_unusable(record)
    }
    return collapsed, unusable


def describe_poor(collapsed, unusable):
    """Return a message for classes whose images cannot be used."""
    messages = []
    if collapsed:
        messages.append(
            f"The images drawn for {_classes(collapsed)} are much more alike than the real ones (1 would be as varied)."
        )
    if unusable:
        messages.append(
            f"The images drawn for {_classes(unusable)} are not like the real ones: a classifier would learn noise "
            "from them."
        )
    return " ".join(messages)


def warn_of_poor(collapsed, unusable, advice):
    """Warn of classes whose images cannot be used, once for all of them."""
    if collapsed or unusable:
        category = QualityWarning if unusable else CollapseWarning
        warn(f"{describe_poor(collapsed, unusable)} {advice}", category)


def warn_of_early_end(ends):
    """Warn of trainings that `max_time` cut off.

    Parameters
    ----------
    ends : dict of str to (int, int)
        For each of them, steps made and wanted.
    """
    if ends:
        told = ", ".join(f"{name} after {made:,} of {wanted:,} steps" for name, (made, wanted) in ends.items())
        warn(
            f"Training was cut off by max_time: {told}. Give it more time (max_time).",
            ConvergenceWarning,
        )


def measure(X, y, label, made, *, random_state, **options):
    """Return the quality report of the images made for one class; None with a warning where none can be made.

    Parameters
    ----------
    X : ndarray
        All real images.
    y : ndarray of shape (n,)
        Their labels.
    label : object
        The class.
    made : ndarray
        Its synthetic images.
    random_state : RandomState
        Chooses images.
    **options
        As `quality_report` takes them.
    """
    others = random_state.permutation(np.flatnonzero(y != label))[:_MAX_REST]
    try:
        return quality_report(
            X[y == label],
            made,
            X_rest=X[others] if len(others) >= MIN_IMAGES_MEASURED else None,
            random_state=random_state,
            name=f"The images made for class {plain_label(label)!r}",
            **options,
        )
    except Exception as exc:  # whatever a report or its embedder raises, hours of training must not be lost to it
        reason = str(exc) if isinstance(exc, ValueError) else f"{type(exc).__name__}: {exc}"
        warn(f"The quality of class {plain_label(label)!r} was not measured: {reason}", QualityWarning)
        return None


def _classes(told):
    words = ", ".join(f"{plain_label(label)!r} ({reason})" for label, reason in told.items())
    return f"class {words}" if len(told) == 1 else f"classes {words}"


def warn(message, category):
    """Warn at the line that the user wrote."""
    warnings.warn(message, category, stacklevel=stacklevel_of_user())
