"""Checks of labels, and their form in messages."""

from collections import Counter
from numbers import Number

import numpy as np

_SHOWN = 3  # types of labels listed in a message


def plain_label(label):
    """Return a label as a Python object: 'sick', not numpy.str_('sick')."""
    return label.item() if isinstance(label, np.generic) else label


def check_label(label, known):
    """Raise a ValueError unless `label` is in `known`, the classes that were over-sampled at fit."""
    # a list, because a label may not be hashable; an array of one label would compare equal
    if isinstance(label, np.ndarray) or label not in list(known):
        over_sampled = f"the classes over-sampled at fit, {list(map(plain_label, known))}"
        if not known:
            over_sampled = "the classes over-sampled at fit; that fit had nothing to over-sample"
        raise ValueError(f"label must be one of {over_sampled}; got {plain_label(label)!r}.")


def check_labels(y):
    """Check labels, with clearer messages than imbalanced-learn's.

    Parameters
    ----------
    y : object
        The labels that the user passed.

    Raises
    ------
    ValueError
        When `y` is None, a single value, holds images, missing values, labels of several types, or numbers as objects.
    """
    if y is None:
        raise ValueError(
            "y must hold a label for each image; got None: a sampler requires y to be passed, but the target y is None."
        )
    if not hasattr(y, "__len__") and not hasattr(y, "__array__"):
        raise ValueError(f"y must be an array of labels, one for each image; got {type(y).__name__}.")
    try:
        labels = np.asarray(y)
    except ValueError as exc:
        raise ValueError("y must hold one label for each image; got a list of unlike shapes.") from exc
    if labels.ndim == 0:
        raise ValueError(f"y must be an array of labels, one for each image; got the single value {y!r}.")
    if labels.ndim > 2:
        raise ValueError(
            f"y must hold one label for each image; got an array of shape {labels.shape}, which looks like images. "
            "Call fit_resample(X, y), images first."
        )
    if labels.dtype.kind in "cmM":
        raise ValueError(
            f"y must hold labels that are integers, booleans or strings; got dtype {labels.dtype}. Convert it, for "
            f"example with y.astype(str).{' Complex data not supported.' if labels.dtype.kind == 'c' else ''}"
        )
    if isinstance(y, list | tuple) and labels.dtype.kind in "SU":  # NumPy converts numbers among strings to strings
        labels = np.array(y, dtype=object)
    _check_missing(labels)
    if labels.dtype == object and labels.ndim == 1:
        _check_types(labels)


def _check_missing(labels):
    if labels.dtype == object:
        is_missing = np.array([_is_missing(label) for label in labels.ravel()])
    elif labels.dtype.kind == "f":
        is_missing = np.isnan(labels).ravel()
        is_between = ~is_missing & (labels != np.rint(labels)).ravel()
        if is_between.any():
            raise ValueError(
                f"y must hold labels, whole numbers where they are floats; got {labels.ravel()[is_between][0]:g} "
                "(Unknown label type: continuous). Give each class a name or a whole number."
            )
    else:
        return
    if is_missing.any():
        first = int(np.flatnonzero(is_missing)[0])
        raise ValueError(
            f"y must hold a label for each image; got {plain_label(labels.ravel()[first])!r} at position {first} "
            f"({int(is_missing.sum())} missing in all). Leave these images out, or give them a class of their own."
        )


def _is_missing(label):
    if label is None:
        return True
    try:
        return bool(label != label)  # NaN and NaT
    except (TypeError, ValueError):  # pandas' NA has no truth value
        return True


def _check_types(labels):
    kinds = Counter(type(plain_label(label)).__name__ for label in labels)
    if len(kinds) > 1:
        found = ", ".join(f"{kind} ({n})" for kind, n in kinds.most_common(_SHOWN))
        raise ValueError(
            f"y must hold labels of one type, which can be sorted; got {found}. Convert them, for example with "
            "[str(label) for label in y]."
        )
    if isinstance(plain_label(labels[0]), Number):
        raise ValueError(
            f"y must hold numbers as numbers; got an array of dtype object with {next(iter(kinds))} in it (Unknown "
            "label type). Convert it, for example with y.astype(int) or y.astype(str)."
        )
    if not isinstance(labels[0], str):
        raise ValueError(
            f"y must hold labels that are integers, booleans or strings; got {next(iter(kinds))}. Convert it, for "
            "example with [str(label) for label in y]."
        )
