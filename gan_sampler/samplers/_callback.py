"""From a training that knows tensors and indices to a callback that knows images and classes."""

import re

from ..training import TrainingProgress

KEPT = "The best snapshots so far are in generators_, and sample draws from them."  # of a training that was stopped


def for_training(callback, image_format, *, label=None, indices=None):
    """Return a callback for a training, which calls that of the user; None where there is none.

    Parameters
    ----------
    callback : callable or None
        The user's.
    image_format : ImageFormat
        How the user's images are stored.
    label : object, default=None
        The class that is trained, where it is one.
    indices : dict of label to int or None, default=None
        Index of each class that images are drawn of, where they are several.
    """
    if callback is None:
        return None

    def call(progress):
        labelled = TrainingProgress(
            _with_labels(progress.record, indices or {}),
            progress.n_steps,
            progress._draw,
            label=label,
            indices=indices,
            to_user=image_format.to_array,
        )
        try:
            return callback(labelled)
        finally:
            labelled.close()

    return call


def raised_by(failure, name):
    """Return what the user's callback raised, with a note on where.

    Parameters
    ----------
    failure : CallbackError
        Its cause is the exception.
    name : str
        What was trained.
    """
    error, step = failure.__cause__, failure.history[-1]["step"]
    error.add_note(f"Raised by callback at step {step:,} of the training on {name}. {KEPT}")
    return error


def _with_labels(record, indices):
    """Return a record in which the scores of single classes are called by their labels: ``score_sick``."""
    labels = {str(index): label for label, index in indices.items()}

    def renamed(name):
        found = re.fullmatch(r"(score|variance_ratio|spectral_distance)_([0-9]+)", name)
        return f"{found[1]}_{labels[found[2]]}" if found and found[2] in labels else name

    return {renamed(name): value for name, value in record.items()}
