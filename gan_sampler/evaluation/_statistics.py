"""Paired tests between the treatments of a run, and their ranks.

The difference between two treatments is the mean over the repeats (seeds or folds), for the same classifier and the
same test images. Its standard error includes:

- if all seeds share their test images, as with the split of a data set: the variance of the difference over the seeds
  (training), and the variance of its mean over resamplings of the test images (test set), stratified by class and by
  whole patients if groups are known;
- if every repeat has its own test images: the variance over the repeats with the correction of Nadeau and Bengio [1]_,
  because their training images overlap; or, if it is larger, the variance over resamplings of the test images, with the
  same correction.

A variance from a few seeds is often too small by chance. Therefore the variance over repeats of a comparison is the
larger of its own and the one pooled over all treatments of the same classifier and metric. Its degrees of freedom are
those of the pooled variance, reduced for correlation and for a few treatments that dominate it (as in Box [2]_). They
are limited by how similar the variances of the treatments are: they exceed the comparison's own degrees of freedom by
at most those of Smyth's prior [3]_, here a lower estimate. The variances over repeats and over test images are combined
as in the Behrens-Fisher test, which does not use the degrees of freedom of the second for the first. Holm's method [4]_
corrects p-values. ``benchmarks/research/false_positives.py`` shows by simulation that the probability of any false
positive in a run is below 5 %.

References
----------
.. [1] C. Nadeau, Y. Bengio, "Inference for the Generalization Error", Machine Learning 52, 2003.
   https://doi.org/10.1023/A:1024068626366
.. [2] G. E. P. Box, "Some Theorems on Quadratic Forms Applied in the Study of Analysis of Variance Problems, I",
   Annals of Mathematical Statistics 25, 1954. https://doi.org/10.1214/aoms/1177728786
.. [3] G. K. Smyth, "Linear Models and Empirical Bayes Methods for Assessing Differential Expression in Microarray
   Experiments", Statistical Applications in Genetics and Molecular Biology 3, 2004.
   https://doi.org/10.2202/1544-6115.1027
.. [4] S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6, 1979.
"""

import functools

import numpy as np
import pandas as pd
from scipy import special
from scipy.stats import chi2, friedmanchisquare, rankdata

from ._metrics import LOWER_IS_BETTER, depends_on_threshold, needs_scores
from ._records import (
    REFERENCE,
    competing_labels,
    is_finished,
    references_of,
    repeat_key,
    repeats_of,
    row_key,
    row_label,
    rows_of,
    same_scores,
    select,
    treatment_labels,
    treatments_of,
)

METRICS_TESTED = ("balanced_accuracy", "f1_weighted", "roc_auc")
N_RESAMPLINGS = 1000
CONFIDENCE = 0.95
_ROUNDING = 1e-8  # standard deviations over repeats below this are rounding errors
_N_NODES = 48  # of the integral over the unknown variance


def paired_tests(records, *, against="none", metrics=METRICS_TESTED, treatments=None, alpha=0.05):
    """Test treatments against one, for every classifier and metric.

    References are not tested. In metrics of scores and probabilities, a treatment with a tuned threshold is not tested
    if the one with the same scores is among the treatments.

    Parameters
    ----------
    records : list of dict
        Records of a run; failed cells count as missing.
    against : str, default="none"
        Treatment that the others are tested against.
    metrics : sequence of str, default=METRICS_TESTED
        Metrics of `evaluate`. A classifier without scores is left out for areas.
    treatments : sequence of str or None, default=None
        Treatments to test, which must be chosen before looking at results; None takes all others. Variances are always
        pooled over all treatments of the run.
    alpha : float, default=0.05
        Probability of any false positive in the table.

    Returns
    -------
    tests : DataFrame
        One row for each treatment, classifier and metric: ``treatment``, ``treatment_label``, ``classifier`` (label,
        with its input), ``metric``, ``n_repeats`` (of both treatments), ``n_missing`` (repeats that one of them
        does not have), ``difference`` (treatment minus `against`), ``low``, ``high`` (95 % confidence interval), ``p``,
        ``p_holm`` and ``is_significant``. With fewer than two repeats all but the difference is NaN.
    """
    tested = _check_treatments(records, against, treatments)
    run = DifferencesOfRun(records, against, metrics)
    found = compare_differences(run.differences, run.image_variances(), **run.design)
    table = pd.DataFrame(
        {
            "treatment": treatment,
            "treatment_label": run.labels[treatment],
            "classifier": row_label(row),
            "metric": metric,
            "n_repeats": run.counts[place],
            "n_missing": len(run.repeats) - run.counts[place],
            **{name: values[place] for name, values in found.items()},
        }
        for t, treatment in enumerate(run.others)
        for r, row in enumerate(run.rows)
        for m, metric in enumerate(metrics)
        if treatment in tested and run.is_distinct[t, m] and (row["ranks"] or not needs_scores(metric))
        for place in [(r, t, m)]
    )
    return _with_holm(table, alpha)


def overall_tests(records, *, against="none", metric="roc_auc", alpha=0.05):
    """Test the mean over the classifiers of treatments against one; `paired_tests` says which are tested.

    Parameters
    ----------
    records : list of dict
        Records of a run; failed cells count as missing.
    against : str, default="none"
        Treatment that the others are tested against.
    metric : str, default="roc_auc"
        Metric of `evaluate`.
    alpha : float, default=0.05
        Probability of any false positive in the table.

    Returns
    -------
    tests : DataFrame
        One row for each treatment, with the columns of `paired_tests` except ``classifier``, and ``n_classifiers``,
        the number of classifiers in the mean. Repeats that one of them does not have are left out for all.
    """
    _check_treatments(records, against, None)
    run = DifferencesOfRun(records, against, [metric])
    means, variances, n_classifiers = run.over_rows()
    found = compare_differences(means[None, :, None], variances[None, :, None], **run.design)
    counts = np.isfinite(means).sum(1)
    table = pd.DataFrame(
        {
            "treatment": treatment,
            "treatment_label": run.labels[treatment],
            "metric": metric,
            "n_classifiers": n_classifiers[t],
            "n_repeats": counts[t],
            "n_missing": len(run.repeats) - counts[t],
            **{name: values[0, t, 0] for name, values in found.items()},
        }
        for t, treatment in enumerate(run.others)
        if run.is_distinct[t, 0]
    )
    return _with_holm(table, alpha)


def mean_values(records, metric):
    """Return the mean of a metric over the repeats of all competing treatments, with classifiers as rows.

    Classifiers without results of a treatment, or without scores that the metric needs, are left out;
    ``attrs["left_out"]`` names them.
    """
    labels, means, left_out = competing_labels(records, metric), {}, []
    for row in rows_of(records):
        values = np.array([list(_values(records, row, name, metric).values()) for name in labels])
        is_common = np.isfinite(values).all(0)
        if is_common.any():
            means[row_label(row)] = values[:, is_common].mean(1)
        else:
            left_out.append(row_label(row))
    table = pd.DataFrame.from_dict(means, orient="index", columns=list(labels.values()), dtype=float)
    table.attrs["left_out"] = left_out
    return table


def ranks(records, metric):
    """Rank the competing treatments within every classifier, 1 is best, as Demšar [1]_ does for data sets.

    Returns
    -------
    ranks : DataFrame
        Columns ``treatment``, ``treatment_label`` and ``rank``, the mean over the classifiers. ``attrs`` holds
        ``friedman_p`` (NaN with fewer than two classifiers or three treatments), ``n_classifiers`` and ``left_out``.
        Friedman's test assumes independent classifiers, which is not true for the same images.

    References
    ----------
    .. [1] J. Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7, 2006.
       https://www.jmlr.org/papers/v7/demsar06a.html
    """
    means = mean_values(records, metric)
    sign = 1 if metric in LOWER_IS_BETTER else -1
    ranked = rankdata(sign * means.to_numpy().round(12), axis=1) if len(means) else np.full((1, means.shape[1]), np.nan)
    labels = competing_labels(records, metric)
    table = pd.DataFrame({"treatment": list(labels), "treatment_label": list(labels.values()), "rank": ranked.mean(0)})
    is_testable = len(means) > 1 and len(labels) > 2 and np.ptp(ranked, axis=1).any()
    table.attrs |= {
        "friedman_p": float(friedmanchisquare(*ranked.T).pvalue) if is_testable else np.nan,
        "n_classifiers": len(means),
        "left_out": means.attrs["left_out"],
    }
    return table


def nemenyi(records, metric):
    """Return the p-values of Nemenyi's test between the ranks of all pairs of treatments.

    For `scikit_posthocs.critical_difference_diagram`; it needs two classifiers and three treatments.
    """
    from scikit_posthocs import posthoc_nemenyi_friedman

    means = mean_values(records, metric)
    if len(means) < 2 or means.shape[1] < 3:
        raise ValueError(
            "records must have at least two classifiers with all of at least three treatments for Nemenyi's test; got "
            f"{len(means)} classifiers and {means.shape[1]} treatments. Leave out the critical-difference diagram."
        )
    return posthoc_nemenyi_friedman(means.round(12))


def resample(y_true, groups=None, n_resamplings=N_RESAMPLINGS, seed=0):
    """Return how often each image is drawn in each bootstrap resampling, (n_resamplings, n_images).

    Whole groups (patients) are drawn, stratified by the set of classes in a group; with None, single images.
    """
    y_true = np.asarray(y_true)
    random_state = np.random.RandomState(seed)
    _, group = np.unique(np.arange(len(y_true)) if groups is None else np.asarray(groups), return_inverse=True)
    holds = np.zeros((group.max() + 1, y_true.max() + 1), dtype=bool)
    holds[group, y_true] = True
    _, kind = np.unique(holds, axis=0, return_inverse=True)
    drawn = np.zeros((n_resamplings, len(holds)))
    for label in np.unique(kind):
        of_kind = np.flatnonzero(kind == label)
        shares = np.full(len(of_kind), 1 / len(of_kind))
        drawn[:, of_kind] = random_state.multinomial(len(of_kind), shares, size=n_resamplings)
    return drawn[:, group]


def resampled_metrics(record, metrics, weights):
    """Return the metrics of one cell in every resampling.

    Parameters
    ----------
    record : dict
        A finished cell.
    metrics : sequence of str
        Metrics of `evaluate`.
    weights : ndarray of shape (n_resamplings, n_images)
        From `resample`.

    Returns
    -------
    values : dict of str to ndarray of shape (n_resamplings,)
    """
    y_true, n_classes = np.asarray(record["y_true"]), len(record["classes"])
    pairs = np.eye(n_classes**2)[y_true * n_classes + np.asarray(record["y_pred"])]
    values = _of_confusions((weights @ pairs).reshape(-1, n_classes, n_classes), record["rarest"])
    for metric in metrics:
        if metric not in values:
            values[metric] = _of_scores(record, metric, weights)
    return {metric: values[metric] for metric in metrics}


def compare_differences(differences, image_variance, *, shares_test_images, overlap, image_freedom):
    """Test whether mean differences are 0, for all comparisons of a run.

    Parameters
    ----------
    differences : ndarray of shape (..., n_rows, n_treatments, n_metrics, n_repeats)
        Differences of each treatment from the one that it is tested against; NaN if one of the two is missing. Leading
        axes are independent runs, as in a simulation.
    image_variance : ndarray of shape (..., n_rows, n_treatments, n_metrics)
        Variance over resamplings of the test images: of the mean over the repeats if they share test images, else the
        mean over the repeats of the variance of each.
    shares_test_images : bool
        Whether all repeats have the same test images.
    overlap : float
        Number of test images per training image, for the correction of repeats that share training images.
    image_freedom : float
        Degrees of freedom of `image_variance`.

    Returns
    -------
    found : dict of str to ndarray of shape (..., n_rows, n_treatments, n_metrics)
        ``difference``, ``low``, ``high`` and ``p``.
    """
    parts = _parts(differences, image_variance, shares_test_images, overlap, image_freedom)
    difference, *uncertainty = parts
    p, margin = _p_values(*parts), _margins(*uncertainty)
    margin = np.where((margin == 0) & (difference != 0), np.nan, margin)  # zero variance gives no interval
    return {"difference": difference, "low": difference - margin, "high": difference + margin, "p": p}


def p_values(differences, image_variance, *, shares_test_images, overlap, image_freedom):
    """Return only the p-values of `compare_differences`, for simulations."""
    return _p_values(*_parts(differences, image_variance, shares_test_images, overlap, image_freedom))


def _parts(differences, image_variance, shares_test_images, overlap, image_freedom):
    """Return the mean differences, their two variances and the degrees of freedom of both."""
    counts = np.isfinite(differences).sum(-1)
    is_known = counts > 1
    difference = np.where(counts > 0, np.nansum(differences, axis=-1) / np.maximum(counts, 1), np.nan)
    variance, freedom = _pooled(differences - difference[..., None])
    if shares_test_images:
        seed_variance = variance / np.maximum(counts, 1)
    else:
        seed_variance = np.maximum(variance, image_variance) * (1 / np.maximum(counts, 1) + overlap)
        image_variance, image_freedom = np.zeros_like(image_variance), np.inf
    seed_variance, image_variance = (np.where(is_known, v, np.nan) for v in (seed_variance, image_variance))
    return difference, seed_variance, np.maximum(freedom, 1), image_variance, image_freedom


def _pooled(residuals):
    """Return the variance over repeats that is used for each comparison, and its degrees of freedom.

    Treatments whose differences do not vary are not pooled, since they are not informative about the others, but they
    are tested with the pooled variance, because a few repeats of few test images can agree by chance.
    """
    is_there = np.isfinite(residuals)
    residuals, own_freedom = np.where(is_there, residuals, 0), np.maximum(is_there.sum(-1) - 1, 0)
    squares = (residuals**2).sum(-1)
    own = squares / np.maximum(own_freedom, 1)
    varies = own > _ROUNDING**2
    n_varying = varies.sum(-2, keepdims=True)  # treatments, of each row and metric
    pooled = np.where(varies, squares, 0).sum(-2, keepdims=True) / np.maximum(
        np.where(varies, own_freedom, 0).sum(-2, keepdims=True), 1
    )
    n_free = max(int(own_freedom.max(initial=0)), 1)
    share = np.maximum(_dominance(residuals, is_there, n_free), (1 + (n_varying - 1) / 4) / np.maximum(n_varying, 1))
    freedom = np.minimum(own_freedom / np.minimum(share, 1), own_freedom + _prior_freedom(own, varies, n_free))
    return np.maximum(own, pooled), freedom


def _dominance(residuals, is_there, n_free):
    """Return the sum of squared eigenvalues of the treatments' covariance, divided by their squared sum; mean of a run.

    It is 1 if one eigenvalue (a noisy treatment, or noise of the common reference) dominates the pooled variance, which
    then has the degrees of freedom of a single comparison, and 1 / n for n independent treatments of equal variance.
    The bias with few repeats is corrected.
    """
    residuals, is_there = np.swapaxes(residuals, -3, -2), np.swapaxes(is_there, -3, -2).astype(float)
    in_common = np.einsum("...tn,...sn->...ts", is_there, is_there)
    products = np.einsum("...tn,...sn->...ts", residuals, residuals)
    covariance = products / np.maximum(in_common - 1, 1)
    variances = (residuals**2).sum(-1) / np.maximum(is_there.sum(-1) - 1, 1)
    bound = np.sqrt(variances[..., :, None] * variances[..., None, :])
    covariance = np.where(in_common > 1, np.clip(covariance, -bound, bound), bound)
    total = variances.sum(-1)
    is_known = total > _ROUNDING**2
    found = np.where(is_known, (covariance**2).sum((-2, -1)) / np.where(is_known, total, 1) ** 2, 0)
    mean = found.sum((-2, -1)) / np.maximum(is_known.sum((-2, -1)), 1)
    corrected = (mean - 1 / n_free) / np.maximum(1 + 1 / n_free - 2 * mean / n_free, 1e-9)
    return np.where(is_known.any((-2, -1)), np.clip(corrected, 0, 1), 1)[..., None, None, None]


def _prior_freedom(own, varies, n_free):
    """Return Smyth's prior degrees of freedom: large if the variances of treatments are similar, 0 if unknown.

    They follow from the variance of log variances over treatments, averaged over classifiers and metrics, minus its
    expectation by chance. Two standard errors are added, because few variances can be similar by chance; metrics of the
    same predictions count once. Differences from a common reference are correlated, which reduces the variance by a
    quarter.
    """
    logs = np.where(varies, np.log(np.where(varies, own, 1)), 0)
    n_varying = varies.sum(-2, keepdims=True)
    centred = np.where(varies, logs - logs.sum(-2, keepdims=True) / np.maximum(n_varying, 1), 0)
    axes = (-3, -2, -1)
    n_free_logs = np.maximum(n_varying - 1, 0).sum(axes, keepdims=True)
    spread = (centred**2).sum(axes, keepdims=True) / np.maximum(n_free_logs, 1)
    by_chance = 0.75 * special.polygamma(1, n_free / 2)
    kurtosis = 3 + special.polygamma(3, n_free / 2) / special.polygamma(1, n_free / 2) ** 2
    n_independent = np.maximum(n_free_logs / np.maximum(varies.shape[-1], 1), 1e-9)
    error = np.maximum(spread, by_chance) * np.sqrt((kurtosis - 1) / n_independent)
    return np.where(n_free_logs > 0, 2 * _inverse_trigamma(spread - by_chance + 2 * error), 0)


def _inverse_trigamma(values):
    """Return the inverse of trigamma, between 1/1000 and 1000, from a table."""
    x = np.geomspace(1e-3, 1e3, 4000)
    return np.exp(np.interp(-np.log(np.maximum(values, 1e-9)), -np.log(special.polygamma(1, x)), np.log(x)))


def _p_values(difference, seed_variance, freedom, image_variance, image_freedom):
    """Return two-sided p-values: Student's, averaged over the distribution of the true variance over repeats.

    This is the Behrens-Fisher distribution; it is conservative if the test images have few degrees of freedom. Without
    variance over repeats it is Student's with `image_freedom`, and without that over test images with `freedom`.
    """
    p, is_unknown = np.ones(difference.shape), ~np.isfinite(seed_variance + image_variance)
    total = np.where(is_unknown, 0, seed_variance + image_variance)
    p[is_unknown | ((total == 0) & (np.nan_to_num(difference) != 0))] = np.nan
    at = np.flatnonzero(total.ravel() > 0)
    nodes, weights, which = _nodes(np.broadcast_to(freedom, difference.shape).ravel()[at])
    size, seeds, images = (np.abs(values).ravel()[at] for values in (difference, seed_variance, image_variance))
    found = np.zeros(len(at))
    for node in range(_N_NODES):  # a loop, to limit the memory of simulations
        error = np.sqrt(seeds * nodes[which, node] + images)
        found += weights[which, node] * 2 * special.stdtr(image_freedom, -size / error)
    p.ravel()[at] = found
    return p


def _nodes(freedom):
    """Return nodes and weights of the distribution of true over estimated variance, by degrees of freedom."""
    distinct, which = np.unique(freedom, return_inverse=True)
    logs = np.linspace(np.log(chi2.ppf(1e-9, distinct)), np.log(chi2.isf(1e-9, distinct)), _N_NODES, axis=-1)
    weights = np.exp(chi2.logpdf(np.exp(logs), distinct[:, None]) + logs)
    return distinct[:, None] / np.exp(logs), weights / weights.sum(-1, keepdims=True), which


def _margins(seed_variance, freedom, image_variance, image_freedom):
    """Return half the widths of the confidence intervals: the differences whose p-value is 1 - CONFIDENCE."""
    total = np.sqrt(seed_variance + image_variance)
    low, high = total, 1e4 * total  # the smallest is 1.96 of a normal distribution
    for _ in range(25):
        middle = np.sqrt(low * high)
        is_inside = _p_values(middle, seed_variance, freedom, image_variance, image_freedom) > 1 - CONFIDENCE
        low, high = np.where(is_inside, middle, low), np.where(is_inside, high, middle)
    return high


class DifferencesOfRun:
    """The differences of a run from one treatment, and their variances over resamplings of the test images.

    Axes are rows (classifiers), treatments, metrics and repeats. Without `others`, they are all but references.
    """

    def __init__(self, records, against, metrics, others=None):
        self.against, self.metrics = against, list(metrics)
        self.labels, self.rows, self.repeats = treatment_labels(records), rows_of(records), repeats_of(records)
        references = references_of(records)
        plain = [name for name in self.labels if name != against and name not in references]
        self.others = plain if others is None else list(others)
        self.cells = {(row_key(r), r["treatment"], repeat_key(r)): r for r in records if is_finished(r)}
        values = {
            (name, m): np.array([list(_values(records, row, name, metric, self.repeats).values()) for row in self.rows])
            for name in (against, *self.others)
            for m, metric in enumerate(self.metrics)
        }
        self.differences = np.stack(
            [
                np.stack([values[name, m] - values[against, m] for m in range(len(self.metrics))], axis=1)
                for name in self.others
            ],
            axis=1,
        )
        # The others would repeat a test, or compare a result with itself.
        self.is_distinct = self._find_distinct(same_scores(records))
        self.differences[:, ~self.is_distinct] = np.nan
        self.counts = np.isfinite(self.differences).sum(-1)
        self._weights, self._resampled = {}, {}

    def _find_distinct(self, like):
        """Return which treatments have values of their own in which metrics, (n_others, n_metrics)."""
        has_own_scores = [like[name] == name and name != like[self.against] for name in self.others]
        return np.array([[own or depends_on_threshold(metric) for metric in self.metrics] for own in has_own_scores])

    @functools.cached_property
    def design(self):
        """Parameters of `compare_differences` that depend on the splits."""
        thinned = (cell for cell in self.cells.values() if cell["treatment_kind"] != REFERENCE)
        first = next(thinned, None)
        if first is None:
            return {"shares_test_images": False, "overlap": 0.0, "image_freedom": 1}
        # Folds given by the user are the same for every seed.
        n_test_parts = len({tuple(cell["rows"]) for cell in self.cells.values()})
        n_repeats = len({repeat_key(cell) for cell in self.cells.values()})
        y_true = np.asarray(first["y_true"])
        groups = np.arange(len(y_true)) if first["groups"] is None else np.asarray(first["groups"])
        n_groups = min(len(np.unique(groups[y_true == label])) for label in np.unique(y_true))
        return {
            "shares_test_images": n_test_parts == 1,
            "overlap": first["n_test"] / first["n_train"] + 1 / n_test_parts - 1 / n_repeats,
            "image_freedom": max(n_groups - 1, 1),  # of the class with the fewest, which dominates the variance
        }

    def image_variances(self):
        """Return the variance over resamplings of the test images of every comparison."""
        found = np.full(self.counts.shape, np.nan)
        for place in np.argwhere(self.counts > 1):
            row, treatment, metric = place
            found[tuple(place)] = self.image_variance([row], treatment, metric, self.differences[tuple(place)])
        return found

    def image_variance(self, rows, treatment, metric, differences):
        """Return the variance of a mean over rows and repeats over resamplings of the test images."""
        repeats = np.flatnonzero(np.isfinite(differences))
        if len(repeats) < 2:
            return np.nan
        resampled = self.resampled_differences(rows, treatment, metric, repeats)
        return self.image_covariance(resampled, resampled)[0, 1]

    def resampled_differences(self, rows, treatment, metric, repeats):
        """Return the mean difference over rows in every resampling of the test images, (n_repeats, n_resamplings)."""
        return np.mean(
            [
                [
                    self._of_cell(row, self.others[treatment], repeat)[self.metrics[metric]]
                    - self._of_cell(row, self.against, repeat)[self.metrics[metric]]
                    for repeat in repeats
                ]
                for row in rows
            ],
            axis=0,
        )

    def image_covariance(self, first, second):
        """Return the (2, 2) covariance of two `resampled_differences`, as `compare_differences` needs the variance."""
        if self.design["shares_test_images"]:
            return np.cov(first.mean(axis=0), second.mean(axis=0))
        return np.mean([np.cov(*pair) for pair in zip(first, second, strict=True)], axis=0)

    def over_rows(self):
        """Return mean differences over the rows, their variances over test images, and how many rows there are."""
        n_rows, n_others = self.counts.shape[:2]
        means, variances, used = np.full((n_others, len(self.repeats)), np.nan), np.full(n_others, np.nan), []
        for t in range(n_others):
            rows = [row for row in range(n_rows) if self.counts[row, t, 0]]
            used.append(len(rows))
            if rows:
                means[t] = self.differences[rows, t, 0].mean(axis=0)
                variances[t] = self.image_variance(rows, t, 0, means[t])
        return means, variances, used

    def _of_cell(self, row, treatment, repeat):
        key = row_key(self.rows[row]), treatment, self.repeats[repeat]
        if key not in self._resampled:
            cell = self.cells[key]
            metrics = [metric for metric in self.metrics if cell["ranks"] or not needs_scores(metric)]
            self._resampled[key] = resampled_metrics(cell, metrics, self._weights_of(cell))
        return self._resampled[key]

    def _weights_of(self, cell):
        key = tuple(cell["y_true"]), None if cell["groups"] is None else tuple(cell["groups"])
        if key not in self._weights:
            # Columns are selected by image.
            self._weights[key] = np.asfortranarray(resample(cell["y_true"], cell["groups"]))
        return self._weights[key]


def _values(records, row, treatment, metric, repeats=None):
    """Return a metric by repeat, NaN where it is missing, failed or undefined."""
    found = dict.fromkeys(repeats_of(records) if repeats is None else repeats, np.nan)
    for record in select(records, row=row, treatment=treatment):
        value = record["metrics"][metric] if is_finished(record) else None
        if value is not None and (record["ranks"] or not needs_scores(metric)):
            found[repeat_key(record)] = float(value)
    return found


def _check_treatments(records, against, treatments):
    """Return the names of the tested treatments; raise an error for unknown names."""
    references, every = references_of(records), treatments_of(records)
    known = [name for name in every if name not in references]
    for argument, names, choice in (("against", [against], every), ("treatments", treatments or [], known)):
        for name in names:
            if name not in choice:
                raise ValueError(f"{argument} must be of the run's treatments, {', '.join(choice)}; got {name}.")
    if against in (treatments or []):
        raise ValueError(f"treatments must not hold the one they are tested against; got {against}. Leave it out.")
    if len({*known, against}) < 2:
        raise ValueError(f"records must be of two treatments or more; got {against} alone. Run another one.")
    return treatments or [name for name in known if name != against]


def _with_holm(table, alpha):
    """Add p-values corrected by Holm's method; NaN are ignored."""
    from statsmodels.stats.multitest import multipletests

    if table.empty:
        raise ValueError(
            "metrics must hold one that the classifiers have and the treatments change: without scores there are no "
            "areas, and a tuned threshold does not change them. Choose balanced_accuracy, for example."
        )
    is_known = table["p"].notna().to_numpy()
    corrected = np.full(len(table), np.nan)
    if is_known.any():
        corrected[is_known] = multipletests(table.loc[is_known, "p"], method="holm")[1]
    return table.assign(p_holm=corrected, is_significant=corrected < alpha)


def _of_confusions(confusions, rarest):
    """Return metrics of predictions from confusion matrices, (n, n_classes, n_classes) with true classes as rows."""
    hits, true, said = np.einsum("nkk->nk", confusions), confusions.sum(2), confusions.sum(1)
    n_images, present = true.sum(1), true.sum(0) > 0
    recall, precision = hits / np.maximum(true, 1), hits / np.maximum(said, 1)
    f1 = 2 * hits / np.maximum(true + said, 1)
    recall, precision, f1 = (np.where(present, values, np.nan) for values in (recall, precision, f1))
    rest = n_images - true[:, rarest]
    wrongly = said[:, rarest] - hits[:, rarest]
    with np.errstate(invalid="ignore"):
        specificity = 1 - wrongly / rest
    values = {
        "accuracy": hits.sum(1) / n_images,
        "balanced_accuracy": recall[:, present].mean(1),
        "f1_macro": f1[:, present].mean(1),
        "geometric_mean": recall[:, present].prod(1) ** (1 / present.sum()),
        "specificity_minority": specificity,
    }
    for name, of_class in (("precision", precision), ("recall", recall), ("f1", f1)):
        values[f"{name}_weighted"] = np.nansum(of_class * true, axis=1) / n_images
        values[f"{name}_minority"] = of_class[:, rarest]
        values |= {f"{name}_{label}": of_class[:, label] for label in range(of_class.shape[1])}
    return values


def _of_scores(record, metric, weights):
    """Return a metric of scores or probabilities in every resampling."""
    y_true, rarest, n_classes = np.asarray(record["y_true"]), record["rarest"], len(record["classes"])
    if metric in LOWER_IS_BETTER:
        return weights @ _losses(record, metric) / weights.sum(1)
    scores = np.asarray(record["scores"], dtype=float)
    if metric.startswith("roc_auc"):
        if metric != "roc_auc":
            labels = [int(metric.removeprefix("roc_auc_"))]
        else:
            labels = [rarest] if n_classes == 2 else np.unique(y_true)
        areas = np.array([_area(y_true == label, scores[:, label], weights) for label in labels])
        counts = np.array([weights[:, y_true == label].sum(1) for label in labels])
        return (areas * counts).sum(0) / counts.sum(0)
    curve = _Curve(y_true == rarest, scores[:, rarest], weights)
    if metric == "average_precision":
        return curve.average_precision()
    percent = int(metric.removeprefix("sensitivity_at_").removesuffix("_specificity"))
    return curve.sensitivity_at(percent / 100)


def _losses(record, metric):
    """Return the contribution of each test image to the Brier score or the log loss."""
    y_true, probabilities = np.asarray(record["y_true"]), np.asarray(record["probabilities"], dtype=float)
    probabilities = probabilities / probabilities.sum(1, keepdims=True)
    if metric == "log_loss":
        return -np.log(np.maximum(probabilities[np.arange(len(y_true)), y_true], np.finfo(float).eps))
    squares = (probabilities - np.eye(probabilities.shape[1])[y_true]) ** 2
    return squares.sum(1) / (2 if squares.shape[1] == 2 else 1)


def _area(is_positive, score, weights):
    """Return the area under the ROC curve in every resampling."""
    order = np.argsort(score[~is_positive], kind="stable")
    negatives = np.flatnonzero(~is_positive)[order]
    below = np.zeros((len(negatives) + 1, len(weights)))  # weight of the negatives up to each
    np.cumsum(weights.T[negatives], axis=0, out=below[1:])
    ends = [np.searchsorted(score[negatives], score[is_positive], side=side) for side in ("left", "right")]
    positives = weights.T[is_positive]
    wins = sum(np.einsum("pn,pn->n", positives, below[end]) for end in ends) / 2
    return wins / np.maximum(positives.sum(0) * below[-1], 1)


class _Curve:
    """True and false positives at every threshold from the highest score on, in every resampling."""

    def __init__(self, is_positive, score, weights):
        order = np.argsort(-score, kind="stable")
        score = score[order]
        ends = np.flatnonzero(np.append(score[1:] != score[:-1], True))  # equal scores have the same threshold
        drawn = weights[:, order]
        self.true = np.cumsum(drawn * is_positive[order], axis=1)[:, ends]
        self.false = np.cumsum(drawn * ~is_positive[order], axis=1)[:, ends]

    def average_precision(self):
        precision = self.true / np.maximum(self.true + self.false, 1)
        return (np.diff(self.true, axis=1, prepend=0) * precision).sum(1) / np.maximum(self.true[:, -1], 1)

    def sensitivity_at(self, specificity):
        is_specific = 1 - self.false / np.maximum(self.false[:, -1:], 1) >= specificity - 1e-9
        return np.where(is_specific, self.true, 0).max(1) / np.maximum(self.true[:, -1], 1)
