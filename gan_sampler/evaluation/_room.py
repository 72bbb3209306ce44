"""The share of the room between doing nothing and all real images that a treatment closes.

If the rare class was thinned on purpose, training with all its real images shows what perfect synthetic images in their
place could bring: the room. The share that a treatment closes is the ratio of two differences,

    (treatment - nothing) / (all real images - nothing),

so its interval is that of Fieller [1]_: it holds every share that a test of the treatment against the mixture
``(1 - share) * nothing + share * all real images`` does not refute. The test is that of `_statistics`, with both of its
variances, which here include the covariance of the two differences. Without a significant room the interval would be
unbounded, and none is given. ``benchmarks/research/room_coverage.py`` shows by simulation how often it holds the share.

References
----------
.. [1] E. C. Fieller, "Some Problems in Interval Estimation", Journal of the Royal Statistical Society B 16, 1954.
"""

import numpy as np
import pandas as pd

from ._records import competing_labels, references_of, row_label, same_scores
from ._statistics import CONFIDENCE, DifferencesOfRun, compare_differences, p_values

MEAN = "mean of the classifiers"
_SHARES = np.linspace(-2, 3, 1001)  # tested; an interval that reaches an end is open


def reference_of(records):
    """Return the name of the reference that is the upper end of the room, or None."""
    like = same_scores(records)
    return next((name for name in references_of(records) if like[name] == name), None)


def room_closed(records, *, metric="roc_auc", against="none"):
    """Estimate the share of the room that every treatment closes, for the mean of the classifiers and for each.

    Parameters
    ----------
    records : list of dict
        Records of a run with a reference; failed cells count as missing.
    metric : str, default="roc_auc"
        Metric of `evaluate`.
    against : str, default="none"
        Treatment at the lower end of the room.

    Returns
    -------
    table : DataFrame
        One row for each treatment, and each classifier and their mean: ``treatment``, ``treatment_label``,
        ``classifier`` (label, or `MEAN`), ``metric``, ``n_repeats``, ``room`` (reference minus `against`),
        ``room_low``, ``room_high`` (95 % confidence interval), ``share``, ``low`` and ``high`` (95 % confidence
        interval; infinite where it is open, NaN where the room is not significantly above 0, or the share not between
        -2 and 3). Classifiers without the reference are left out, also of the mean. Empty without a reference.
    """
    reference, labels = reference_of(records), competing_labels(records, metric)
    names = [name for name in labels if name != against]
    columns = ["treatment", "treatment_label", "classifier", "metric", "n_repeats"]
    columns += ["room", "room_low", "room_high", "share", "low", "high"]
    if reference is None or against not in labels or not names:
        return pd.DataFrame(columns=columns)
    run = DifferencesOfRun(records, against, [metric], [*names, reference])
    is_used = np.isfinite(run.differences[:, -1, 0]).any(-1)
    parts = [([r], row_label(run.rows[r])) for r in np.flatnonzero(is_used)]
    if len(parts) > 1:
        parts.insert(0, (np.flatnonzero(is_used), MEAN))
    rows = []
    for of_rows, label in parts:
        differences, moments = _of_part(run, of_rows)
        found = shares_closed(differences, moments, **run.design)
        counts = np.isfinite(differences[:-1] + differences[-1]).sum(-1)
        rows += [
            {
                "treatment": name,
                "treatment_label": labels[name],
                "classifier": label,
                "metric": metric,
                "n_repeats": counts[t],
                **{key: float(np.broadcast_to(values, len(names))[t]) for key, values in found.items()},
            }
            for t, name in enumerate(names)
        ]
    return pd.DataFrame(rows, columns=columns)


def shares_closed(differences, moments, *, shares_test_images, overlap, image_freedom):
    """Return the shares of the room and their intervals.

    Parameters
    ----------
    differences : ndarray of shape (n_treatments + 1, n_repeats)
        Differences of each treatment, and last of the reference, from the lower end of the room.
    moments : ndarray of shape (3, n_treatments + 1)
        Over resamplings of the test images, as in `compare_differences`: variance of each difference, its covariance
        with that of the reference, and variance of that of the reference.
    shares_test_images, overlap, image_freedom
        As in `compare_differences`.

    Returns
    -------
    found : dict of str to float or ndarray of shape (n_treatments,)
        ``room``, ``room_low``, ``room_high``, and ``share``, ``low`` and ``high`` of every treatment.
    """
    design = {"shares_test_images": shares_test_images, "overlap": overlap, "image_freedom": image_freedom}
    of_room = compare_differences(differences[None, :, None], moments[0][None, :, None], **design)
    room, room_low, room_high, p = (of_room[name][0, -1, 0] for name in ("difference", "low", "high", "p"))
    is_common = np.isfinite(differences[:-1] + differences[-1])
    sums = [
        (own[where].sum(), differences[-1][where].sum()) for own, where in zip(differences[:-1], is_common, strict=True)
    ]
    share = np.array([own / whole if whole else np.nan for own, whole in sums])
    found = {"room": room, "room_low": room_low, "room_high": room_high, "share": share}
    if not (p < 1 - CONFIDENCE and room > 0):
        return found | {"low": np.full(len(share), np.nan), "high": np.full(len(share), np.nan)}
    p = p_values(*against_mixture(differences, moments, _SHARES), **design)[:, 0, :, 0]
    limits = np.array([_limits(p[:, t], share[t]) for t in range(len(share))]).reshape(-1, 2)
    return found | {"low": limits[:, 0], "high": limits[:, 1]}


def against_mixture(differences, moments, share):
    """Return the differences of treatments from a mixture of both ends of the room, and their variances over images.

    Parameters
    ----------
    differences, moments
        As in `shares_closed`; leading axes, before those of `differences` and after the first of `moments`, are
        independent runs.
    share : float or ndarray of shape (n,)
        Share of the reference in the mixture.

    Returns
    -------
    mixed : ndarray of shape (..., 1, n_treatments, 1, n_repeats)
        The leading axis is that of `share`, or of the runs.
    image_variance : ndarray of shape (..., 1, n_treatments, 1)
    """
    share = np.asarray(share)[..., None]
    variance, covariance, of_reference = moments[..., :-1]
    image_variance = np.maximum(variance - 2 * share * covariance + share**2 * of_reference, 0)
    mixed = differences[..., :-1, :] - share[..., None] * differences[..., -1:, :]
    return mixed[..., None, :, None, :], image_variance[..., None, :, None]


def _of_part(run, rows):
    """Return differences and moments of the mean of some rows, for `shares_closed`."""
    differences = run.differences[rows, :, 0].mean(axis=0)
    reference = len(run.others) - 1
    moments = np.full((3, len(run.others)), np.nan)
    for t in range(len(run.others)):
        repeats = np.flatnonzero(np.isfinite(differences[t] + differences[reference]))
        if len(repeats) > 1:
            pair = [run.resampled_differences(rows, other, 0, repeats) for other in (t, reference)]
            covariance = run.image_covariance(*pair)
            moments[:, t] = covariance[0, 0], covariance[0, 1], covariance[1, 1]
    return differences, moments


def _limits(p, share):
    """Return the ends of the shares around the estimate whose p-value is at least 1 - CONFIDENCE."""
    if not _SHARES[0] < share < _SHARES[-1] or np.isnan(p).all():
        return np.nan, np.nan
    sides = np.flatnonzero(share >= _SHARES)[::-1], np.flatnonzero(share < _SHARES)
    return tuple(_end(p[side], _SHARES[side]) for side in sides)


def _end(p, shares):
    """Return where p falls below 1 - CONFIDENCE for the first time, by interpolation; infinite where it never does."""
    alpha = 1 - CONFIDENCE
    is_refuted = p < alpha
    if not is_refuted.any():
        return np.sign(shares[-1]) * np.inf
    first = int(is_refuted.argmax())
    if first == 0:
        return shares[0]
    weight = (p[first - 1] - alpha) / (p[first - 1] - p[first])
    return float(shares[first - 1] + weight * (shares[first] - shares[first - 1]))
