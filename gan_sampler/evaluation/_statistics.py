"""Paired tests between the samplers of a finished run, from the files that run.py writes.

A difference between two samplers is the mean over the seeds, of the same classifier on the same test images. Its
standard error counts what varies:

- where all seeds share the split that came with the data, the spread of the difference over the seeds (another
  training would have given another number) plus that over resamplings of the test images, by class and whole patients
  where groups are known, of the mean over the seeds (another test set would have, too);
- where every seed has a split of its own, the spread over the splits with the correction of Nadeau and Bengio [1]_,
  because their training images overlap; or, should that be less because few splits happen to agree, what resamplings of
  the test images alone give, corrected alike.

P-values are those of a t-test, its degrees of freedom those of Satterthwaite on a shared split and the number of splits
less one otherwise; Holm's method [2]_ corrects them. Few splits of their own leave hardly any power: with three the
smallest of a hundred p-values must be below .0005 at two degrees of freedom. A decision tree grown to the end says yes
or no, and its area under the ROC curve is its balanced accuracy; so areas are compared without it.

References
----------
.. [1] C. Nadeau, Y. Bengio, "Inference for the Generalization Error", Machine Learning 52, 2003.
   https://doi.org/10.1023/A:1024068626366
.. [2] S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6, 1979.
"""

import itertools

import numpy as np
import pandas as pd
from figures import SAMPLER_LABELS, row_key, row_label, rows_of, samplers_of
from pipelines import CLASSIFIERS
from report import COLUMNS, METRIC_LABELS
from scipy.stats import t as student

MEASURES = ("balanced_accuracy", "f1_weighted", "roc_auc")
SAY_YES_OR_NO = ("tree",)  # classifiers
N_RESAMPLINGS = 1000
ALPHA = 0.05


def read(folder, classifiers=None):
    """Return the cells of a finished run.

    Parameters
    ----------
    folder : path
        Holds results.csv and predictions.csv.gz.
    classifiers : sequence of str or None, default=None
        Whose cells; None takes all.

    Returns
    -------
    cells : list of dict
        Rows of results.csv, with ``metrics`` and of the test images the arrays ``y_true``, ``y_pred`` and ``group``
        (its own for each image where there are none), and ``scores``, an array for each label that has one.
    """
    table = _read_csv(folder / "results.csv", [*COLUMNS, "n_test", "key", "error", *METRIC_LABELS])
    table = table[table["error"].isna() & table["classifier"].isin(classifiers or CLASSIFIERS)]
    if table.empty:
        raise ValueError(f"--classifiers must name some of the run in {folder}; got {' '.join(classifiers or ())}.")
    predictions = _read_csv(folder / "predictions.csv.gz", ["key", "image", "y_true", "y_pred"])
    predictions = dict(iter(predictions.groupby("key")))
    missing = set(table["key"]) - set(predictions)
    if missing:
        raise ValueError(f"{folder} must hold the predictions of every cell; {len(missing)} have none. Run it again.")
    cells = []
    for row in table.to_dict("records"):
        found = predictions[row["key"]].sort_values("image")
        arrays = {name: found[name].to_numpy() for name in ("y_true", "y_pred")}
        arrays["group"] = found.get("group", found["image"]).to_numpy()
        columns = {"score": row["minority"]} if "score" in found else {}
        columns |= {name: int(name.removeprefix("score_")) for name in found if name.startswith("score_")}
        arrays["scores"] = {label: found[name].to_numpy() for name, label in columns.items()}
        embedder = None if pd.isna(row["embedder"]) else row["embedder"]
        cells.append({**row, "embedder": embedder, "metrics": {name: row[name] for name in METRIC_LABELS}, **arrays})
    return cells


def _read_csv(path, columns):
    """Return a table of run.py, or raise when it is none."""
    try:
        table = pd.read_csv(path)
    except pd.errors.EmptyDataError:
        table = pd.DataFrame()
    missing = [name for name in columns if name not in table]
    if missing:
        raise ValueError(f"{path} must be as run.py wrote it; it has no column {', '.join(missing)}.")
    return table


class Measured:
    """All cells of one classifier: the measures of every sampler and seed, and of resamplings of the test images.

    Parameters
    ----------
    cells : list of dict
        Cells of one classifier.
    n_resamplings : int, default=1000
        How often test images are drawn anew.
    """

    def __init__(self, cells, n_resamplings=N_RESAMPLINGS):
        self.of = {(cell["sampler"], cell["split"], cell["seed"]): cell for cell in cells}
        is_ranking = cells[0]["classifier"] not in SAY_YES_OR_NO
        self.measures = [metric for metric in MEASURES if is_ranking or metric != "roc_auc"]
        self.samplers = samplers_of(cells)
        self.repeats = sorted({key[1:] for key in self.of})
        self.shares_test_images = {split for split, _ in self.repeats} == {"official"}
        n_test, n_train = cells[0]["n_test"], cells[0]["n_train"]
        self.overlap = n_test / n_train
        self._resampled = {}
        for repeat in self.repeats:
            first = self.of[self.samplers[0], *repeat]
            weights = resample(first["y_true"], first["group"], n_resamplings)
            for sampler in self.samplers:
                self._resampled[sampler, *repeat] = resampled_measures(self.of[sampler, *repeat], weights)

    def values(self, sampler, metric):
        """Return a metric of a sampler in every repeat."""
        return np.array([self.of[sampler, *repeat]["metrics"][metric] for repeat in self.repeats])

    def compare(self, sampler, rival, metric):
        """Compare two samplers.

        Returns
        -------
        difference : float
            Mean over the repeats; above 0 where `sampler` is better.
        margin : float
            Half the width of the 95 % confidence interval.
        p_value : float
            Of no difference, two-sided.
        """
        differences = self.values(sampler, metric) - self.values(rival, metric)
        n = len(differences)
        if n < 2:
            return float(differences.mean()), np.nan, np.nan
        of_seeds = differences.var(ddof=1) / n
        of_images = self._over_images(sampler, rival, metric)  # (n, n_resamplings)
        if not self.shares_test_images:
            of_images = of_images.var(axis=1, ddof=1).mean() / n
            variance, freedom = max(of_seeds, of_images) * (1 + n * self.overlap), n - 1
        else:
            of_images = of_images.mean(axis=0).var(ddof=1)
            variance = of_seeds + of_images
            n_groups = len(np.unique(next(iter(self.of.values()))["group"]))
            parts = of_seeds**2 / (n - 1) + of_images**2 / (n_groups - 1)
            freedom = variance**2 / parts if parts else n - 1
        error = np.sqrt(variance)
        if error == 0:  # the same predictions everywhere
            return float(differences.mean()), 0.0, 1.0
        p_value = 2 * student.sf(abs(differences.mean()) / error, freedom)
        return float(differences.mean()), float(student.ppf(1 - ALPHA / 2, freedom) * error), float(p_value)

    def _over_images(self, sampler, rival, metric):
        ours, theirs = (
            np.array([self._resampled[name, *repeat][metric] for repeat in self.repeats]) for name in (sampler, rival)
        )
        return ours - theirs


def resample(y_true, group, n_resamplings, seed=0):
    """Return how often each image is drawn in each resampling, (n_resamplings, n_images).

    Groups are drawn whole, as many as there are of those that hold the same classes.
    """
    random_state = np.random.RandomState(seed)
    _, group = np.unique(group, return_inverse=True)
    holds = np.zeros((group.max() + 1, y_true.max() + 1), dtype=bool)
    holds[group, y_true] = True
    _, kind = np.unique(holds, axis=0, return_inverse=True)
    drawn = np.zeros((n_resamplings, len(holds)))
    for label in np.unique(kind):
        of_kind = np.flatnonzero(kind == label)
        shares = np.full(len(of_kind), 1 / len(of_kind))
        drawn[:, of_kind] = random_state.multinomial(len(of_kind), shares, size=n_resamplings)
    return drawn[:, group]


def resampled_measures(cell, weights):
    """Return the measures of one cell in every resampling: a dict of arrays of shape (n_resamplings,)."""
    y_true, y_pred = cell["y_true"], cell["y_pred"]
    labels = np.unique(np.concatenate([y_true, y_pred]))
    said = (y_pred[:, None] == labels).astype(float)
    confusion = np.stack([(weights * (y_true == label)) @ said for label in labels], axis=1)  # (n, true, said)
    hits, true, claimed = np.einsum("nkk->nk", confusion), confusion.sum(2), confusion.sum(1)
    f1 = 2 * hits / np.maximum(true + claimed, 1)
    is_there = np.isin(labels, y_true)
    areas, shares = zip(*(_areas(y_true == label, s, weights) for label, s in cell["scores"].items()), strict=True)
    return {
        "balanced_accuracy": (hits / np.maximum(true, 1))[:, is_there].mean(1),
        "f1_weighted": (f1 * true).sum(1) / true.sum(1),
        "roc_auc": np.sum(np.multiply(areas, shares), axis=0) / np.sum(shares, axis=0),
    }


def _areas(positive, score, weights):
    """Return the area under the ROC curve in every resampling, and how many images are positive there."""
    above = score[positive][:, None] - score[~positive]
    wins = (above > 0) + 0.5 * (above == 0)
    n_positive, n_negative = weights[:, positive].sum(1), weights[:, ~positive].sum(1)
    area = np.einsum("np,pq,nq->n", weights[:, positive], wins, weights[:, ~positive], optimize=True)
    return area / np.maximum(n_positive * n_negative, 1), n_positive


def measure(cells):
    """Return a `Measured` for each classifier, by its name; all must have the same samplers, seeds and splits."""
    if len(samplers_of(cells)) < 2:
        raise ValueError(f"a run must have two samplers to compare; got {', '.join(samplers_of(cells))} alone.")
    samplers, repeats = samplers_of(cells), sorted({(cell["split"], cell["seed"]) for cell in cells})
    by_row = {row_label(row): [c for c in cells if row_key(c) == row_key(row)] for row in rows_of(cells)}
    for name, own in by_row.items():
        there = {(cell["sampler"], cell["split"], cell["seed"]) for cell in own}
        for sampler, (split, seed) in itertools.product(samplers, repeats):
            if (sampler, split, seed) not in there:
                raise ValueError(
                    f"every classifier must have every sampler and seed; {name} has no {SAMPLER_LABELS[sampler]} with "
                    f"seed {seed} on the {split} split. Finish the run first."
                )
    return {name: Measured(own) for name, own in by_row.items()}


def samplers_in(measured):
    """Return the samplers of a run, which all its classifiers have."""
    return next(iter(measured.values())).samplers


def comparisons(measured, rival, samplers=None):
    """Return how samplers compare with a rival for every classifier and measure.

    Parameters
    ----------
    measured : dict of str to Measured
        What `measure` returns.
    rival : str
        Sampler that the others are tested against.
    samplers : list of str or None, default=None
        Those that are tested; None takes all others of the run.

    Returns
    -------
    table : DataFrame
        Columns sampler, classifier, measure, difference, margin, p and p_holm, corrected for all rows.
    """
    rows = [
        {"sampler": sampler, "classifier": name, "measure": metric}
        | dict(zip(("difference", "margin", "p"), m.compare(sampler, rival, metric), strict=True))
        for sampler in samplers or [s for s in samplers_in(measured) if s != rival]
        for name, m in measured.items()
        for metric in m.measures
    ]
    table = pd.DataFrame(rows)
    table["p_holm"] = holm(table["p"])
    table["is_sure"] = table["p_holm"] < ALPHA
    return table


def holm(p_values):
    """Return p-values corrected by Holm's method [2]_; NaN stay NaN and do not count."""
    p_values = np.asarray(p_values, dtype=float)
    corrected = np.full(len(p_values), np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known])]
    steps = p_values[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1, np.maximum.accumulate(steps))
    return corrected
