"""Which sampler is best, and is that more than luck? Ranks and paired tests, from the files that run.py writes.

    python benchmarks/compare.py docs/results/chest_xray_cpu
    python benchmarks/compare.py docs/results/*/ --brief  # one column for each run

It needs results.csv and predictions.csv.gz of a finished run, and computes nothing anew. Paired tests, as paired.py
tells, compare all samplers with one (--rival) on all classifiers and measures; their p-values are corrected for all of
these comparisons of a run. Ranks are those of the mean over the seeds among the samplers, 1 is best, as in Demšar [1]_;
his test of them takes what is ranked for independent, which classifiers of the same images are not.

References
----------
.. [1] J. Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7, 2006.
   https://www.jmlr.org/papers/v7/demsar06a.html
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from figures import SAMPLER_LABELS
from paired import ALPHA, MEASURES, comparisons, measure, read, samplers_in
from pipelines import CLASSIFIERS
from report import METRIC_LABELS, PUBLISHED, is_published_split, metric_table
from scipy.stats import friedmanchisquare, rankdata


def rank_table(measured, samplers=None):
    """Return mean ranks over the classifiers: samplers down, measures across, and how likely they are by chance."""
    samplers = samplers or samplers_in(measured)
    table = pd.DataFrame({"sampler": [SAMPLER_LABELS[sampler] for sampler in samplers]})
    for metric in MEASURES:
        having = [m for m in measured.values() if metric in m.measures]
        if not having:
            table[METRIC_LABELS[metric]] = np.nan
            continue
        means = np.array([[m.values(sampler, metric).mean() for sampler in samplers] for m in having])
        ranks = rankdata(-means.round(12), axis=1)  # (n_classifiers, n_samplers)
        table[METRIC_LABELS[metric]] = ranks.mean(0)
        if len(ranks) > 1 and len(samplers) > 2:
            table.attrs[metric] = friedmanchisquare(*ranks.T).pvalue
    table["mean"] = table[[METRIC_LABELS[metric] for metric in MEASURES]].mean(axis=1)
    return table


def overview_table(tests):
    """Return for each sampler in how many of the comparisons with a rival it is better or worse, and surely so."""
    rows = []
    for sampler, own in tests.groupby("sampler", sort=False):
        row = {"sampler": SAMPLER_LABELS[sampler]}
        for metric, of_metric in own.groupby("measure", sort=False):
            row[METRIC_LABELS[metric]] = f"{of_metric['difference'].mean():+.3f}"
        for word, is_so in (("better", own["difference"] > 0), ("worse", own["difference"] < 0)):
            row[f"{word} (surely)"] = f"{is_so.sum()} ({(is_so & own['is_sure']).sum()})"
        rows.append(row)
    return pd.DataFrame(rows)


def best_f1_table(measured):
    """Return each sampler's best weighted F1 over the classifiers, the mean over the seeds."""
    rows = []
    for sampler in samplers_in(measured):
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
    if options.sampler and options.brief:
        parser.error("--sampler shows the tests of one sampler, which --brief leaves out; leave out one of the two")
    try:
        are_different = len({folder.resolve().name for folder in options.folders}) == len(options.folders)
        runs = {
            folder.resolve().name if are_different else str(folder): measure(read(folder, options.classifiers))
            for folder in options.folders
        }
        if options.brief:
            print(compare_runs(runs, options.rival))
        else:
            texts = {name: compare(measured, options.rival, options.sampler) for name, measured in runs.items()}
            print("\n\n".join(text if len(texts) == 1 else f"## {name}\n\n{text}" for name, text in texts.items()))
    except FileNotFoundError as exc:
        parser.error(f"FOLDER must be the results folder of a finished run; {exc.filename} is not there")
    except ValueError as exc:
        parser.error(str(exc))


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
    tests = {name: comparisons(run, rival) for name, run in runs.items()}
    sizes = ", ".join(f"{len(t)} of {name}" for name, t in tests.items() if t["p"].notna().any())
    about_sure = (
        "\n\nIn brackets in how many of the classifiers surely better / surely worse, "
        f"p < {ALPHA} after Holm's correction for all comparisons of a run ({sizes})."
        if sizes
        else ""
    )
    everywhere = {s for run in runs.values() for m in run.values() for s in m.samplers}
    left_out = [label for s, label in SAMPLER_LABELS.items() if s in everywhere - set(samplers)]
    parts = [f"Not in every run, so left out: {', '.join(left_out)}."] if left_out else []
    if len({tuple(run) for run in runs.values()}) > 1:
        parts += ["\n".join(f"- Classifiers of {name}: {', '.join(run)}." for name, run in runs.items())]
    for name, run in runs.items():
        if tests[name]["p"].isna().all():
            parts += [f"{name}: {_about_tests(run)}"]
    for metric in MEASURES:
        if not all(metric in tests_of_run["measure"].array for tests_of_run in tests.values()):
            continue  # where trees alone were run
        table = pd.DataFrame({name: ranked[METRIC_LABELS[metric]] for name, ranked in ranks.items()})
        table["mean"] = table.mean(axis=1)
        ranked = _with_best_in_bold(table)
        gains = {name: _gains(t[t["sampler"].isin(rivals)], metric) for name, t in tests.items()}
        gained = pd.DataFrame(gains).reindex(ranked.index, fill_value="")
        parts += [
            f"### {METRIC_LABELS[metric]}: mean difference from {SAMPLER_LABELS[rival]}{about_sure}",
            _markdown(gained.assign(**{"mean rank": ranked["mean"]}).reset_index(names="sampler")),
        ]
        if len(runs) > 1:
            parts += [
                f"### {METRIC_LABELS[metric]}: mean rank over the classifiers, 1 is best",
                _markdown(ranked.reset_index()),
            ]
    return "\n\n".join(parts)


def _gains(tests, metric):
    """Return for each sampler the mean difference, the largest in bold, and how often it is surely one."""
    of_metric = tests[tests["measure"] == metric]
    means = of_metric.groupby("sampler")["difference"].mean().round(3) + 0.0  # no -0.0
    gains = {}
    for sampler, own in of_metric.groupby("sampler"):
        mean = means[sampler]
        gain = f"**{mean:+.3f}**" if mean == means.max() > 0 else f"{mean:+.3f}"
        sure = own.loc[own["is_sure"], "difference"]
        better, worse = (sure > 0).sum(), (sure < 0).sum()
        gains[SAMPLER_LABELS[sampler]] = gain + (f" ({better}/{worse})" if better or worse else "")
    return pd.Series(gains)


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
    if sampler == rival:
        raise ValueError(f"--sampler must differ from --rival; got {sampler} for both.")
    for name, chosen in (("--rival", rival), ("--sampler", sampler)):
        if chosen not in (None, *samplers_in(measured)):
            raise ValueError(f"{name} must be a sampler of the run, {', '.join(samplers_in(measured))}; got {chosen}.")
    ranks = rank_table(measured)
    if sampler is None:
        names = {label: name for name, label in SAMPLER_LABELS.items()}
        others = ranks[ranks["sampler"] != SAMPLER_LABELS[rival]]
        sampler = names[others.loc[others["mean"].idxmin(), "sampler"]]
    all_tests = comparisons(measured, rival)
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
    if cells[0]["data"] != "chest_xray" or not is_published_split(cells[0]):
        return ""
    best = max(f1 for (name, _), (_, _, f1, _) in PUBLISHED.items() if name != "densenet121")
    return (
        f"The best of the student report's Table 1 is {best:.3f}, without its DenseNet121, whose F1 is of the class "
        "PNEUMONIA alone.\n\n"
    )


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
    columns["p, Holm"] = tests["p_holm"].map("{:.3f}".format)
    if tests["p"].isna().all():
        columns = {"difference": tests["difference"].map("{:+.3f}".format)}
    return tests[["classifier", "measure"]].assign(**columns)


def _markdown(table):
    return table.to_markdown(index=False, disable_numparse=True)


if __name__ == "__main__":
    sys.exit(main())
