"""The sections on the treatments as a whole: their means, tests, ranks and cost."""

import humanize
import numpy as np

from .. import _figures as figures
from .._answer import NOTHING, in_sentence
from .._metrics import LOWER_IS_BETTER, METRIC_LABELS, metric_label
from .._records import distinct_labels, references_of, row_key, row_label
from .._room import MEAN
from .._statistics import METRICS_TESTED, nemenyi, paired_tests, ranks
from .._tables import cost_table, is_defined, percent, signed, summarise
from ._blocks import Cell, Column, Section, Table, table_block
from ._formatting import DASH, count_cell, duration, number_cell, p_in_sentence, p_value
from ._inline import embed

MIN_RANKED_BY = 5  # classifiers; ranks over fewer are not informative
MIN_RANKED = 3  # treatments


def all_section(run):
    """Return the section with the means of every metric."""
    section = Section("all", "All treatments and classifiers")
    if not run.finished:
        section.text("No cell has finished.")
        return section
    section.table(pivot(run, run.metric))
    section.text(
        "The best mean of a classifier is bold, which does not mean that it is significantly better. A note such as "
        "“2 of 3” after a mean says that repeats failed or are missing; such a mean is never bold.",
        "quiet",
    )
    others = [name for name in METRIC_LABELS if name != run.metric]
    tables = [
        table_block(pivot(run, name)) for name in others if any(is_defined(run.finished, r, name) for r in run.rows)
    ]
    section.fold(f"The same for {len(tables)} other metrics", *tables)
    return section


def pivot(run, metric):
    """Return the table of means of a metric, with treatments as rows and classifiers as columns."""
    labels, references = distinct_labels(run.records, metric), references_of(run.records)
    rows = [row for row in run.rows if is_defined(run.records, row, metric)] or run.rows
    cells = {(cell.treatment, cell.row): cell for cell in summarise(run.records, metric, run.missing).itertuples()}
    best = {
        row_key(row): _best([cells[name, row_key(row)] for name in labels if name not in references], metric)
        for row in rows
    }
    body = [
        [
            Cell(label),
            *(
                _mean_cell(cells[name, row_key(row)], None if name in references else best[row_key(row)])
                for row in rows
            ),
        ]
        for name, label in labels.items()
    ]
    caption = f"{metric_label(metric, run.classes)}: mean ± standard deviation over the repeats"
    caption += " (lower is better)" if metric in LOWER_IS_BETTER else ""
    return Table(caption, [Column("Treatment", False), *(Column(row_label(row, ", ")) for row in rows)], body)


def _best(cells, metric):
    """Return the best mean without failed or missing repeats."""
    means = [cell.mean for cell in cells if 0 < cell.n == cell.n_asked]
    return (min if metric in LOWER_IS_BETTER else max)(means, default=None)


def _mean_cell(cell, best):
    mark = f"{cell.n} of {cell.n_asked}" if cell.n < cell.n_asked else ""
    mark += ", failed" if cell.n_failed else ""
    if not cell.n:
        return Cell(DASH, "", mark, "marked" if mark else "")
    text = f"{cell.mean:.3f}" + (f" ± {cell.std:.3f}" if cell.n > 1 else "")
    is_best = not mark and cell.mean == best
    return Cell(text, float(cell.mean), mark, "marked" if mark else "best" if is_best else "")


def tests_section(run):
    """Return the section with the tests, the shares of the room and the ranks."""
    section = Section("tests", "Significance tests")
    if not run.can_test:
        section.text(
            "There are no tests: they need doing nothing (“none”) and at least one treatment that can change "
            f"{in_sentence(run.metric_label)}."
        )
        return section
    section.text(
        "Every test is paired: the same classifier, split and seed with and without the treatment. The interval "
        "includes the variance over trainings and over test images (whole patients if they are known); p-values are "
        "two-sided and corrected by Holm's method for all tests of a table. Significant means p below .05."
    )
    caption = f"Difference to doing nothing in {in_sentence(run.metric_label)}, mean over the classifiers"
    section.table(_tests_table(run.tests, caption))
    metrics = list(dict.fromkeys((*METRICS_TESTED, run.metric)))
    single = paired_tests(run.finished, against=NOTHING, metrics=metrics)
    table = _tests_table(single, "Difference to doing nothing for every classifier and tested metric", of_rows=True)
    section.fold(f"{len(table.rows)} single tests, for every classifier and {len(metrics)} metrics", table_block(table))
    _add_room(section, run)
    _add_ranks(section, run)
    return section


def _tests_table(tests, caption, of_rows=False):
    columns = [Column("Treatment", False)]
    columns += [Column("Classifier", False), Column("Metric", False)] if of_rows else []
    columns += [Column("Difference"), Column("95 % interval"), Column("p"), Column("p (Holm)")]
    columns += [Column("Verdict", False), Column("Repeats")]
    rows = []
    for test in tests.itertuples():
        cells = [Cell(test.treatment_label)]
        cells += [Cell(test.classifier), Cell(METRIC_LABELS.get(test.metric, test.metric))] if of_rows else []
        has_interval = np.isfinite(test.low)
        interval = f"{signed(test.low)} to {signed(test.high)}" if has_interval else DASH
        verdict = figures.verdict(test, test.metric)
        n_missing = getattr(test, "n_missing", 0)
        cells += [
            number_cell(test.difference, signed),
            Cell(interval, float(test.low) if has_interval else ""),
            number_cell(test.p, p_value),
            number_cell(test.p_holm, p_value),
            Cell(verdict.words, css="best" if verdict.is_filled and has_interval and test.is_significant else ""),
            Cell(str(test.n_repeats), int(test.n_repeats), f"{n_missing} missing" if n_missing else ""),
        ]
        rows.append(cells)
    return Table(caption, columns, rows)


def _add_room(section, run):
    """Add the shares of the room between doing nothing and all real images, if they are among the treatments."""
    if run.room.empty:
        return
    section.heading("Room to all real images")
    section.text(
        "All real images of the rare class, some of which this run left out on purpose, show what perfect synthetic "
        "images could bring. This is a reference and no treatment to choose, so it is not tested. The share of this "
        "room that a treatment closes is its gain divided by that of the reference, with Fieller's interval; without a "
        "significant gain of the reference there is none. In metrics that depend on the threshold, a treatment can "
        "close more than all of it."
    )
    columns = [Column("Treatment", False), Column("Classifier", False), Column("Room"), Column("95 % interval")]
    columns += [Column("Share closed"), Column("95 % interval"), Column("Repeats")]
    body = [
        [
            Cell(row.treatment_label),
            Cell(row.classifier),
            number_cell(row.room, signed),
            Cell(f"{signed(row.room_low)} to {signed(row.room_high)}" if np.isfinite(row.room_low) else DASH),
            number_cell(row.share, percent),
            Cell(DASH if np.isnan(row.low) else f"{percent(row.low)} to {percent(row.high)}"),
            count_cell(row.n_repeats),
        ]
        for row in run.room.itertuples()
    ]
    caption = f"Share of the room in {in_sentence(run.metric_label)} that each treatment closes"
    is_mean = (run.room["classifier"] == MEAN).to_numpy()
    if is_mean.any():
        section.table(Table(f"{caption}, mean of the classifiers", columns, _where(body, is_mean)))
        table = Table(f"{caption}, for every classifier", columns, _where(body, ~is_mean))
        section.fold("The same for every classifier", table_block(table))
    else:
        section.table(Table(caption, columns, body))


def _where(rows, is_kept):
    return [row for row, keep in zip(rows, is_kept, strict=True) if keep]


def _add_ranks(section, run):
    ranked = ranks(run.finished, run.metric)
    n_classifiers = ranked.attrs["n_classifiers"]
    if n_classifiers < MIN_RANKED_BY or len(ranked) < MIN_RANKED:
        return
    section.heading("Critical-difference diagram")
    left_out = ranked.attrs["left_out"]
    caption = (
        f"Mean rank of every treatment in {in_sentence(run.metric_label)} over {n_classifiers} classifiers, 1 is best "
        f"(Friedman's test: p {p_in_sentence(ranked.attrs['friedman_p'])}); a bar joins treatments that do not differ "
        "significantly by Nemenyi's test. The classifiers share images, so their results are correlated, unlike those "
        "of independent data sets: the diagram describes this run, and conclusions should be drawn from the tests "
        "above." + (f" Left out: {', '.join(left_out)}." if left_out else "")
    )
    words = "; ".join(f"{row.treatment_label} {row.rank:.1f}" for row in ranked.itertuples())
    figure = figures.draw_ranks(ranked, nemenyi(run.finished, run.metric))
    section.figures([embed(figure, f"Critical-difference diagram, mean ranks: {words}", caption, "wide")])


def cost_section(run):
    """Return the section with time and memory beside the gain; None without tests."""
    if not run.can_test:
        return None
    section = Section("cost", "Cost and gain")
    costs = cost_table(run.finished)
    panels = []
    for what, words in (("seconds", "seconds"), ("memory", "peak memory")):
        figure = figures.draw_cost(costs, run.tests, run.metric, what)
        about = f"Gain over doing nothing in {in_sentence(run.metric_label)} against the {words} of resampling"
        panels.append(embed(figure, about, about + ".", "wide"))
    section.figures(panels, "pairs")
    body = []
    for cost in costs.merge(run.tests[["treatment", "difference"]], on="treatment").itertuples():
        memory = number_cell(cost.memory, lambda value: humanize.naturalsize(value))
        seconds = number_cell(cost.seconds, duration)
        body.append([Cell(cost.treatment_label), seconds, memory, number_cell(cost.difference, signed)])
    columns = [Column("Treatment", False), Column("Time"), Column("Peak memory"), Column(f"Gain, {run.metric_label}")]
    section.table(Table("Cost of the resampling alone, mean time over the repeats", columns, body))
    section.text(
        "The time is that of resampling and of the features of new images, counted once for all classifiers; in the "
        "figure, shorter times "
        f"are drawn as {figures.LEAST_SECONDS} s. The memory is the peak of the process that resampled. A tuned "
        "threshold does not resample, but needs several additional fits of the classifier.",
        "quiet",
    )
    return section
