"""Which sampler is best, and is that more than luck? Ranks and paired tests, from the files that run.py writes.

    python benchmarks/compare.py docs/results/chest_xray_cpu
    python benchmarks/compare.py docs/results/*/ --brief  # one column for each run

It needs results.csv and predictions.csv.gz of a finished run, and computes nothing anew. A difference between two
samplers is the mean over the seeds, of the same classifier on the same test images. Its standard error counts what
varies:

- where all seeds share the split that came with the data, the spread of the difference over the seeds (another
  training would have given another number) plus that over resamplings of the test images, by class and whole patients
  where groups are known, of the mean over the seeds (another test set would have, too);
- where every seed has a split of its own, the spread over the splits with the correction of Nadeau and Bengio [1]_,
  because their training images overlap; or, should that be less because few splits happen to agree, what resamplings of
  the test images alone give, corrected alike.

P-values are those of a t-test with the degrees of freedom of Satterthwaite; Holm's method [2]_ corrects them for all
comparisons of a run: of all samplers with one, on all classifiers and measures. Ranks are those of
the mean over the seeds among the samplers, 1 is best, as in Demšar [3]_; his test of them takes what is ranked for
independent, which classifiers of the same images are not. A decision tree grown to the end says yes or no, and its area
under the ROC curve is its balanced accuracy; so areas are compared without it. Few splits of their own leave hardly any
power: with three the smallest of a hundred p-values must be below .0005 at two degrees of freedom.

References
----------
.. [1] C. Nadeau, Y. Bengio, "Inference for the Generalization Error", Machine Learning 52, 2003.
   https://doi.org/10.1023/A:1024068626366
.. [2] S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6, 1979.
.. [3] J. Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7, 2006.
   https://www.jmlr.org/papers/v7/demsar06a.html
"""

import argparse
import itertools
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from figures import SAMPLER_LABELS, row_key, row_label, rows_of, samplers_of
from pipelines import CLASSIFIERS
from report import METRIC_LABELS, PUBLISHED, metric_table
from scipy.stats import friedmanchisquare, rankdata
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
    table = pd.read_csv(folder / "results.csv")
    table = table[table["error"].isna() & table["classifier"].isin(classifiers or CLASSIFIERS)]
    if table.empty:
        raise ValueError(f"--classifiers must name some of the run in {folder}; got {' '.join(classifiers or ())}.")
    predictions = dict(iter(pd.read_csv(folder / "predictions.csv.gz").groupby("key")))
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
        self.measures = [measure for measure in MEASURES if is_ranking or measure != "roc_auc"]
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

    def values(self, sampler, measure):
        """Return a measure of a sampler in every repeat."""
        return np.array([self.of[sampler, *repeat]["metrics"][measure] for repeat in self.repeats])

    def compare(self, sampler, rival, measure):
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
        differences = self.values(sampler, measure) - self.values(rival, measure)
        n = len(differences)
        if n < 2:
            return float(differences.mean()), np.nan, np.nan
        of_seeds = differences.var(ddof=1) / n
        of_images = self._over_images(sampler, rival, measure)  # (n, n_resamplings)
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

    def _over_images(self, sampler, rival, measure):
        ours, theirs = (
            np.array([self._resampled[name, *repeat][measure] for repeat in self.repeats]) for name in (sampler, rival)
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


def holm(p_values):
    """Return p-values corrected by Holm's method [2]_; NaN stay NaN and do not count."""
    p_values = np.asarray(p_values, dtype=float)
    corrected = np.full(len(p_values), np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known])]
    steps = p_values[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1, np.maximum.accumulate(steps))
    return corrected


def rank_table(measured, samplers=None):
    """Return mean ranks over the classifiers: samplers down, measures across, and how likely they are by chance."""
    samplers = samplers or _samplers(measured)
    table = pd.DataFrame({"sampler": [SAMPLER_LABELS[sampler] for sampler in samplers]})
    for measure in MEASURES:
        having = [m for m in measured.values() if measure in m.measures]
        if not having:
            table[METRIC_LABELS[measure]] = np.nan
            continue
        means = np.array([[m.values(sampler, measure).mean() for sampler in samplers] for m in having])
        ranks = rankdata(-means.round(12), axis=1)  # (n_classifiers, n_samplers)
        table[METRIC_LABELS[measure]] = ranks.mean(0)
        if len(ranks) > 1 and len(samplers) > 2:
            table.attrs[measure] = friedmanchisquare(*ranks.T).pvalue
    table["mean"] = table[[METRIC_LABELS[measure] for measure in MEASURES]].mean(axis=1)
    return table


def test_table(measured, samplers, rival):
    """Return how samplers compare with a rival for every classifier and measure.

    Returns
    -------
    table : DataFrame
        Columns sampler, classifier, measure, difference, margin, p and p_holm, corrected for all rows.
    """
    rows = [
        {"sampler": sampler, "classifier": name, "measure": measure}
        | dict(zip(("difference", "margin", "p"), m.compare(sampler, rival, measure), strict=True))
        for sampler in samplers
        for name, m in measured.items()
        for measure in m.measures
    ]
    table = pd.DataFrame(rows)
    table["p_holm"] = holm(table["p"])
    table["is_sure"] = table["p_holm"] < ALPHA
    return table


def test_all(measured, rival):
    """Return `test_table` of all samplers of a run."""
    return test_table(measured, [s for s in _samplers(measured) if s != rival], rival)


def overview_table(tests):
    """Return for each sampler in how many of the comparisons with a rival it is better or worse, and surely so."""
    rows = []
    for sampler, own in tests.groupby("sampler", sort=False):
        row = {"sampler": SAMPLER_LABELS[sampler]}
        for measure, of_measure in own.groupby("measure", sort=False):
            row[METRIC_LABELS[measure]] = f"{of_measure['difference'].mean():+.3f}"
        for word, is_so in (("better", own["difference"] > 0), ("worse", own["difference"] < 0)):
            row[f"{word} (surely)"] = f"{is_so.sum()} ({(is_so & own['is_sure']).sum()})"
        rows.append(row)
    return pd.DataFrame(rows)


def _samplers(measured):
    return next(iter(measured.values())).samplers


def best_f1_table(measured):
    """Return each sampler's best weighted F1 over the classifiers, the mean over the seeds."""
    rows = []
    for sampler in _samplers(measured):
        means = {name: m.values(sampler, "f1_weighted").mean() for name, m in measured.items()}
        best = max(means, key=means.get)
        rows.append({"sampler": SAMPLER_LABELS[sampler], "best weighted F1": f"{means[best]:.3f}", "with": best})
    return pd.DataFrame(rows)


def main(argv=None):
    """Read the command line, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="results folder of run.py")
    parser.add_argument("--rival", default="none", choices=SAMPLER_LABELS, help="whom all are tested against")
    parser.add_argument("--sampler", choices=SAMPLER_LABELS, help="whose tests are shown (default: of the best rank)")
    parser.add_argument("--classifiers", nargs="+", choices=CLASSIFIERS, metavar="NAME", help="leave out the others")
    parser.add_argument("--brief", action="store_true", help="show ranks and gains alone, a column for each folder")
    options = parser.parse_args(argv)
    try:
        runs = {str(folder): measure(read(folder, options.classifiers)) for folder in options.folders}
        if options.brief:
            print(compare_runs(runs, options.rival))
        else:
            texts = {name: compare(measured, options.rival, options.sampler) for name, measured in runs.items()}
            print("\n\n".join(text if len(texts) == 1 else f"## {name}\n\n{text}" for name, text in texts.items()))
    except FileNotFoundError as exc:
        parser.error(f"FOLDER must be the results folder of a finished run; {exc.filename} is not there")
    except ValueError as exc:
        parser.error(str(exc))


def measure(cells):
    """Return a `Measured` for each classifier, by its name; all must have the same samplers, seeds and splits."""
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


def compare_runs(runs, rival="none"):
    """Return ranks and gains of the samplers that all runs have, as Markdown tables with a column for each run.

    Parameters
    ----------
    runs : dict of str to dict
        What `measure` returns, by the run's name.
    rival : str, default="none"
        Sampler that the others are tested against.
    """
    samplers = [s for s in SAMPLER_LABELS if all(s in m.samplers for run in runs.values() for m in run.values())]
    if rival not in samplers:
        raise ValueError(f"--rival must be a sampler of every run; got {rival}. Choose one of {', '.join(samplers)}.")
    rivals = [sampler for sampler in samplers if sampler != rival]
    ranks = {name: rank_table(run, samplers).set_index("sampler") for name, run in runs.items()}
    tests = {name: test_all(run, rival) for name, run in runs.items()}
    sizes = ", ".join(f"{len(all_tests)} of {name}" for name, all_tests in tests.items())
    everywhere = {s for run in runs.values() for m in run.values() for s in m.samplers}
    left_out = [label for s, label in SAMPLER_LABELS.items() if s in everywhere - set(samplers)]
    parts = [f"Not in every run, so left out: {', '.join(left_out)}."] if left_out else []
    for metric in MEASURES:
        if not all(metric in tests_of_run["measure"].array for tests_of_run in tests.values()):
            continue  # where trees alone were run
        table = pd.DataFrame({name: ranked[METRIC_LABELS[metric]] for name, ranked in ranks.items()})
        if len(runs) > 1:
            table["mean"] = table.mean(axis=1)
        gains = {name: _gains(t[t["sampler"].isin(rivals)], metric) for name, t in tests.items()}
        parts += [
            f"### {METRIC_LABELS[metric]}: mean rank over the classifiers, 1 is best",
            _markdown(_with_best_in_bold(table).reset_index()),
            f"### {METRIC_LABELS[metric]}: mean difference from {SAMPLER_LABELS[rival]}\n\nIn brackets in how many of "
            f"the classifiers surely better / surely worse, p < {ALPHA} after Holm's correction for all "
            f"comparisons of a run ({sizes}).",
            _markdown(pd.DataFrame({"sampler": [SAMPLER_LABELS[s] for s in rivals], **gains})),
        ]
    return "\n\n".join(parts)


def _gains(tests, metric):
    of_metric = tests[tests["measure"] == metric].groupby("sampler", sort=False)
    return [
        f"{own['difference'].mean():+.3f} ({(own['is_sure'] & (own['difference'] > 0)).sum()} / "
        f"{(own['is_sure'] & (own['difference'] < 0)).sum()})"
        for _, own in of_metric
    ]


def _with_best_in_bold(table):
    return table.apply(lambda ranks: [f"**{r:.1f}**" if r == ranks.min() else f"{r:.1f}" for r in ranks])


def compare(measured, rival="none", sampler=None):
    """Return all tables of a run as Markdown.

    Parameters
    ----------
    measured : dict of str to Measured
        What `measure` returns.
    rival : str, default="none"
        Sampler that the others are tested against.
    sampler : str or None, default=None
        Whose tests are shown; None takes the one of the best mean rank, `rival` left out.
    """
    cells = [cell for m in measured.values() for cell in m.of.values()]
    for name, chosen in (("--rival", rival), ("--sampler", sampler)):
        if chosen not in (None, *_samplers(measured)):
            raise ValueError(f"{name} must be a sampler of the run, {', '.join(_samplers(measured))}; got {chosen}.")
    ranks = rank_table(measured)
    if sampler is None:
        names = {label: name for name, label in SAMPLER_LABELS.items()}
        others = ranks[ranks["sampler"] != SAMPLER_LABELS[rival]]
        sampler = names[others.loc[others["mean"].idxmin(), "sampler"]]
    all_tests = test_all(measured, rival)
    tests = all_tests[all_tests["sampler"] == sampler].copy()
    tests["measure"] = tests["measure"].map(METRIC_LABELS)
    chances = [f"{METRIC_LABELS[m]} {ranks.attrs[m]:.2g}" for m in MEASURES if m in ranks.attrs]
    parts = [f"### {METRIC_LABELS[m]}\n\n{_markdown(metric_table(cells, m))}" for m in MEASURES]
    parts += [
        f"### Mean rank over {len(measured)} classifiers, 1 is best\n\n{_markdown(ranks.round(2))}",
        f"Friedman's test, p: {', '.join(chances)}. It takes the classifiers for independent, which on the same images "
        "they are not."
        if chances
        else "",
        f"### All samplers against {SAMPLER_LABELS[rival]}\n\nMean difference over the classifiers, and in how many of "
        f"{len(tests)} comparisons (classifiers and measures) a sampler is better or worse, in brackets where p < "
        f"{ALPHA} after Holm's correction for all {len(all_tests)} comparisons of the run.\n\n"
        f"{_markdown(overview_table(all_tests))}",
        f"### {SAMPLER_LABELS[sampler]} against {SAMPLER_LABELS[rival]}\n\n{_about_tests(measured)}\n\n"
        f"{_markdown(_formatted(tests))}",
        f"### Best weighted F1\n\n{_published(cells)}{_markdown(best_f1_table(measured))}",
    ]
    return "\n\n".join(part for part in parts if part)


def _published(cells):
    """Return what to compare the best F1 with, on the data that it was published for."""
    if cells[0]["data"] != "chest_xray" or cells[0]["split"] != "official":
        return ""
    best = max(f1 for (name, _), (_, _, f1, _) in PUBLISHED.items() if name != "densenet121")
    return f"The best of the student report's Table 1 is {best:.3f}.\n\n"


def _about_tests(measured):
    first = next(iter(measured.values()))
    n = len(first.repeats)
    if n == 1:
        return "With one seed there is no test: run more (--seeds 0 1 2)."
    over = f"{n} seeds and over test images" if first.shares_test_images else f"{n} splits"
    return f"± is the 95 % confidence interval over {over}."


def _formatted(tests):
    difference = tests["difference"].map("{:+.3f}".format) + " ± " + tests["margin"].map("{:.3f}".format)
    columns = {"difference": difference, "p": tests["p"].map("{:.3f}".format)}
    return tests[["classifier", "measure"]].assign(**columns, **{"p, Holm": tests["p_holm"].map("{:.3f}".format)})


def _markdown(table):
    return table.to_markdown(index=False, disable_numparse=True)


if __name__ == "__main__":
    sys.exit(main())
