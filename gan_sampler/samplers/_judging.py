"""Checks whether the images of a fit can be used: a fast comparison, and the quality report where requested."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._snapshots import LEAST_VARIANCE_RATIO, find_unusable, is_unusable, rank
from ..quality import MIN_IMAGES as MIN_IMAGES_MEASURED
from ..quality import QualityWarning, quality_report
from ..runtime import stacklevel_of_user
from ._labels import plain_label

REPEATED = "Real images are repeated in their place (on_poor_quality='repeat')."
_MAX_REST = 1000  # images of other classes in the quality report


class CollapseWarning(QualityWarning):
    """The images of a generator vary much less than the real ones (mode collapse)."""


class PoorQualityError(RuntimeError):
    """The images of a class cannot be used; raised with ``on_poor_quality="raise"``."""


def best_record(history):
    """Return the record of the snapshot that was kept: the first with the smallest `rank`; the last without scores."""
    return min(history, key=rank) if all("score" in record for record in history) else history[-1]


def find_poor(records):
    """Return the classes whose images cannot be used, with the reason.

    Parameters
    ----------
    records : dict of label to dict
        ``score``, ``variance_ratio`` and ``spectral_distance`` of each class, from `PixelFrechetDistance`.

    Returns
    -------
    collapsed, unusable : dict of label to str
        Classes whose images vary too little, and other classes whose images are too far from the real ones.
    """
    collapsed = {
        label: f"variance_ratio {record['variance_ratio']:.2f}"
        for label, record in records.items()
        if record["variance_ratio"] < LEAST_VARIANCE_RATIO
    }
    unusable = {
        label: "; ".join(f"{name} {record[name]:.3g}, real ones get {real}" for name, real in find_unusable(record))
        for label, record in records.items()
        if label not in collapsed and is_unusable(record)
    }
    return collapsed, unusable


def describe_poor(collapsed, unusable):
    """Return a message for classes whose images cannot be used."""
    messages = []
    if collapsed:
        messages.append(
            f"The images drawn for {_classes(collapsed)} vary much less than the real ones, whose variance_ratio is 1."
        )
    if unusable:
        messages.append(
            f"The images drawn for {_classes(unusable)} are too far from the real ones to train a classifier with."
        )
    return " ".join(messages)


def warn_of_poor(collapsed, unusable, advice):
    """Issue one warning for all classes whose images cannot be used."""
    if collapsed or unusable:
        category = QualityWarning if unusable else CollapseWarning
        warn(f"{describe_poor(collapsed, unusable)} {advice}", category)


def warn_of_early_end(ends):
    """Warn about trainings that `max_time` ended early.

    Parameters
    ----------
    ends : dict of str to (int, int)
        Steps made and steps asked for, of each training.
    """
    if ends:
        described = ", ".join(f"{name} after {made:,} of {wanted:,} steps" for name, (made, wanted) in ends.items())
        warn(
            f"Training was cut off by max_time: {described}. Give it more time (max_time).",
            ConvergenceWarning,
        )


def measure(X, y, label, made, *, random_state, **options):
    """Return the quality report of the synthetic images of one class, or None, with a warning, if it fails.

    Parameters
    ----------
    X : ndarray
        All real images.
    y : ndarray of shape (n,)
        Their labels.
    label : object
        The class.
    made : ndarray
        Synthetic images of the class.
    random_state : RandomState
        Selects images of other classes.
    **options
        Parameters of `quality_report`.
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
    except Exception as exc:  # any error of a report or an embedder, which must not lose hours of training
        reason = str(exc) if isinstance(exc, ValueError) else f"{type(exc).__name__}: {exc}"
        warn(f"The quality of class {plain_label(label)!r} was not measured: {reason}", QualityWarning)
        return None


def _classes(reasons):
    words = ", ".join(f"{plain_label(label)!r} ({reason})" for label, reason in reasons.items())
    return f"class {words}" if len(reasons) == 1 else f"classes {words}"


def warn(message, category):
    """Warn, with the location of the user's call."""
    warnings.warn(message, category, stacklevel=stacklevel_of_user())
