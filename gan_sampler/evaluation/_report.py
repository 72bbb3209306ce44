"""report.html: the answer of a run with all results behind it, as one file that can be viewed offline."""

import io
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import humanize
import matplotlib
import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup, escape

from ..displays import SyntheticImagesDisplay
from ..displays._pixels import as_bytes, lay_out, png_data_uri
from ..displays._training_history import words_for
from . import _figures as figures
from ._answer import (
    NOTHING,
    answer,
    best_of,
    in_sentence,
    is_close_to_real,
    is_generator,
    metric_in_words,
    question,
)
from ._metrics import LOWER_IS_BETTER, METRIC_LABELS, metric_label
from ._records import (
    competing_labels,
    distinct_labels,
    is_finished,
    references_of,
    repeats_of,
    row_key,
    row_label,
    rows_of,
    select,
    treatment_labels,
)
from ._room import MEAN, room_closed
from ._statistics import METRICS_TESTED, nemenyi, overall_tests, paired_tests, ranks
from ._store import atomic
from ._tables import (
    PUBLISHED_CLASSES,
    PUBLISHED_MEASURES,
    cost_table,
    failed_cells,
    is_defined,
    often_wrong,
    percent,
    published_table,
    signed,
    summarise,
    values_of,
    warnings_table,
)

MIN_RANKED_BY = 5  # classifiers; ranks over fewer are not informative
DASH, TIMES = "\N{EN DASH}", " \N{MULTIPLICATION SIGN} "
MIN_RANKED = 3  # treatments
_SHOWN_COLUMNS = 8  # images in a row of a picture
_IMAGE_SIDE = 64  # pixels; smaller images are drawn larger

# Colours of figures on a dark page.
_ON_DARK = {
    figures.INK: "#e8eaed",
    figures.MUTED: "#9aa3ad",
    figures.GRID: "#343b44",
    "#0072b2": "#4aa8e8",
    "#d55e00": "#ff8533",
    "#882255": "#ee6699",
    "#332288": "#a7a3ff",
    "#009e73": "#2cc295",
    "#117733": "#6fbf73",
    "#999933": "#d6c84a",
    "#44aa99": "#66d0bd",
}
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_IN_FIGURES = re.compile("|".join(_ON_DARK))


@dataclass(frozen=True)
class Cell:
    """A cell of a table: its text, its sort key ("" sorts last), a mark and a CSS class."""

    text: str
    sort: float | str | None = None
    mark: str = ""
    css: str = ""


@dataclass(frozen=True)
class Column:
    """The head of a column."""

    label: str
    is_number: bool = True


@dataclass(frozen=True)
class Table:
    """A table of the page."""

    caption: str
    columns: list
    rows: list


@dataclass(frozen=True)
class Picture:
    """A figure of the page, as the HTML that shows it."""

    html: Markup
    caption: str = ""
    css: str = ""


@dataclass
class Section:
    """A part of the page under its heading."""

    id: str
    title: str
    blocks: list = field(default_factory=list)

    def text(self, text, css=""):
        """Add a paragraph."""
        self.blocks.append(_text(text, css))

    def heading(self, text):
        """Add a heading within the section."""
        self.blocks.append({"kind": "heading", "text": text})

    def table(self, table):
        """Add a table."""
        self.blocks.append({"kind": "table", "table": table})

    def figures(self, found, css="stack", legend=()):
        """Add figures, one below the other ("stack") or as many side by side as the page holds ("panels")."""
        found = [picture for picture in found if picture is not None]
        if found:
            self.blocks.append({"kind": "figures", "figures": found, "css": css, "legend": legend})

    def fold(self, summary, *blocks):
        """Add a collapsed block."""
        self.blocks.append({"kind": "details", "summary": summary, "blocks": list(blocks)})


def _text(text, css=""):
    return {"kind": "text", "text": text, "css": css}


def _table_block(table):
    return {"kind": "table", "table": table}


def write_html(path, records, manifest, pictures, *, include_real_images=False):
    """Write the report of a run as one HTML file, which can be viewed offline.

    Parameters
    ----------
    path : path
        The file to write.
    records : list of dict
        Records of the cells, including failed ones; at least one.
    manifest : dict
        Description of the run. Its ``scoring`` is the metric of the answer, its ``missing``, if present, lists planned
        cells without a record.
    pictures : dict of str to ndarray or None
        Pictures from `make_pictures`.
    include_real_images : bool, default=False
        Whether real images, and modified real images, are shown. `make_pictures` must have kept them.

    Raises
    ------
    ValueError
        When there are no records.
    StoreError
        When the file cannot be written; an earlier file is unchanged.
    """
    if not records:
        raise ValueError("records must hold at least one record to report on; got none. Run a cell first.")
    page = render(records, manifest, pictures, include_real_images=include_real_images)
    with atomic(Path(path)) as temporary:
        temporary.write_text(page, encoding="utf-8")


def render(records, manifest, pictures, *, include_real_images=False):
    """Return the report as a string; for parameters see `write_html`."""
    run = Run(records, manifest, pictures or {}, include_real_images)
    sections = [
        _all_section(run),
        _tests_section(run),
        _classes_section(run),
        _curves_section(run),
        _calibration_section(run),
        _cost_section(run),
        _counts_section(run),
        _pictures_section(run),
        _training_section(run),
        _original_section(run),
        _troubles_section(run),
        _settings_section(run),
    ]
    environment = Environment(
        loader=PackageLoader("gan_sampler.evaluation"), autoescape=select_autoescape(), trim_blocks=False
    )
    return environment.get_template("report.html").render(
        name=manifest["name"],
        question=question(records),
        answer=answer(records, manifest, run.metric, tests=run.tests),
        about=_about(run),
        first_figure=_first_figure(run),
        sections=[section for section in sections if section is not None],
        colours={
            "light": Markup("".join(f"--c-{c[1:]}:{c};" for c in _ON_DARK)),
            "dark": Markup("".join(f"--c-{c[1:]}:{dark};" for c, dark in _ON_DARK.items())),
        },
    )


class Run:
    """The records of a run, and values that several sections use."""

    def __init__(self, records, manifest, pictures, include_real_images):
        self.records, self.manifest, self.pictures = records, manifest, pictures
        self.include_real_images = include_real_images
        self.metric = manifest["scoring"]
        self.missing = manifest.get("missing")
        self.finished = [record for record in records if is_finished(record)]
        self.labels = treatment_labels(records)
        self.rows = rows_of(records)
        self.classes = records[0]["classes"]
        self.rarest = self.classes[records[0]["rarest"]]
        self.is_original = tuple(self.classes) == PUBLISHED_CLASSES
        self.tests = self._overall()
        self.room = room_closed(self.finished, metric=self.metric)
        self.featured = self._featured()

    @property
    def can_test(self):
        """Whether there is a treatment to test, and doing nothing as the reference."""
        return self.tests is not None

    def _overall(self):
        names = competing_labels(self.finished, self.metric)
        if NOTHING not in names or len(names) < 2 or not values_of(self.finished, self.metric):
            return None
        return overall_tests(self.finished, against=NOTHING, metric=self.metric)

    def _featured(self):
        """Return doing nothing, the best treatment with a generator and the best without, if they exist."""
        if not self.can_test:
            return list(treatment_labels(self.finished))[:3]  # treatments that always failed cannot be shown
        chosen = [NOTHING]
        generates = np.array([is_generator(self.finished, name) for name in self.tests["treatment"]])
        for of_kind in (self.tests[generates], self.tests[~generates]):
            if of_kind["difference"].notna().any():
                chosen += [best_of(of_kind, self.metric).treatment]
        if self.is_original and "dcgan" in self.labels and "dcgan" not in chosen:
            chosen.insert(1, "dcgan")
        return chosen

    def featured_about(self):
        """Return a sentence on the treatments in the figures and how they were selected."""
        names = ", ".join(self.labels[name] for name in self.featured)
        chosen = " (the best on average with a generator, and without)" if self.can_test else ""
        return f"Shown: {names}{chosen}. They were selected by their results, so draw conclusions from the tests alone."

    def legend(self, treatments):
        """Return the entries of a legend of lines."""
        kinds = {record["treatment"]: record["treatment_kind"] for record in self.records}
        styles = {"-": "solid", "--": "broken", ":": "dotted"}
        return [
            {
                "label": self.labels[name],
                "colour": _variable(figures.colour_of(name, list(self.labels))),
                "style": styles[figures.line_of(name, kinds[name])],
            }
            for name in treatments
        ]

    def counterpart(self, of_what, number=None):
        """Return a note on the corresponding figure of the original report; empty for other data."""
        if not self.is_original:
            return ""
        number = f" ({number})" if number else ""
        return f" Counterpart of the original report's figure of {of_what}{number}."


# Embedding of figures and images


def _variable(colour):
    """Return a colour as a CSS variable, which differs on dark pages."""
    return f"var(--c-{colour[1:]})" if colour in _ON_DARK else colour


def embed(figure, alt, caption="", css=""):
    """Return a matplotlib figure as SVG within the page, with the colours of the page; None stays None."""
    if figure is None:
        return None
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": figures.STYLE["svg.hashsalt"] + alt}):
        figure.savefig(buffer, format="svg", transparent=True, metadata=_NO_METADATA)
    return Picture(Markup(_clean_svg(buffer.getvalue(), alt)), caption, css)


def _clean_svg(svg, alt):
    """Return the SVG element with page colours, short numbers and only identifiers that are referred to."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)  # matplotlib adds every text as a comment
    used = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", svg))
    svg = re.sub(r' id="([^"]+)"', lambda found: found[0] if found[1] in used else "", svg)
    svg = re.sub(r"<[^>]+>", lambda found: re.sub(r"(\d\.\d\d)\d+", r"\1", found[0]), svg)  # only in tags, not in text
    svg = _IN_FIGURES.sub(lambda found: _variable(found[0]), svg)
    width, height = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups()
    head = f'<svg role="img" aria-label="{escape(alt)}" viewBox="0 0 {width} {height}"'
    head += ' xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    return re.sub(r"^<svg[^>]*>", lambda _: head, svg)


def embed_images(picture, side, alt, caption=""):
    """Return a picture of many images as a PNG within the page.

    Parameters
    ----------
    picture : ndarray of shape (height, width, 4), uint8
        What a display's `montage` returned.
    side : int
        Height of one image in it, in pixels; small ones are enlarged.
    """
    factor = max(1, -(-_IMAGE_SIDE // side))
    height, width = (factor * size for size in picture.shape[:2])
    html = f'<img src="{png_data_uri(picture, factor)}" width="{width}" height="{height}" alt="{escape(alt)}">'
    return Picture(Markup(html), caption, "pixels")


# The first screen


def _about(run):
    n_rows, n_repeats = len(run.rows), len(repeats_of(run.records))
    shape = TIMES.join(str(size) for size in run.manifest["shape"][1:3])
    lines = [
        _text(
            f"Judged by {in_sentence(_label(run))}: {metric_in_words(run.records, run.metric)}. "
            f"{run.manifest['name']}: {run.manifest['shape'][0]:,} images of {shape} pixels; "
            f"{_plural(n_rows, 'classifier')}, {_plural(n_repeats, 'repeat')} (seeds and splits). "
            f"Split: {run.manifest['split_about']}",
            "quiet",
        )
    ]
    has_groups = any(record["groups"] is not None for record in run.finished)
    lines.append(_text(run.manifest["groups_about"], "quiet" if has_groups else "alarm"))
    return lines


def _first_figure(run):
    if not run.can_test:
        return None
    label = METRIC_LABELS.get(run.metric, run.metric)
    caption = (
        "Mean difference to doing nothing over all classifiers, with its 95 % confidence interval. Significant means p "
        "below .05 after Holm's correction; the intervals are not corrected."
    )
    if len(run.room):
        caption += " The dotted line is the mean gain of all real images, a reference and no treatment."
    words = "; ".join(
        f"{test.treatment_label} {signed(test.difference)}, {figures.verdict(test, run.metric).words}"
        for test in run.tests.itertuples()
    )
    return embed(
        figures.draw_gains(run.tests, run.metric, room=run.room),
        f"Gain of every treatment over doing nothing in {label}: {words}.",
        caption,
        "wide",
    )


# The sections


def _all_section(run):
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
        _table_block(pivot(run, name)) for name in others if any(is_defined(run.finished, r, name) for r in run.rows)
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


def _tests_section(run):
    section = Section("tests", "Significance tests")
    if not run.can_test:
        section.text(
            "There are no tests: they need doing nothing (“none”) and at least one treatment that can change "
            f"{in_sentence(_label(run))}."
        )
        return section
    section.text(
        "Every test is paired: the same classifier, split and seed with and without the treatment. The interval "
        "includes the variance over trainings and over test images (whole patients if they are known); p-values are "
        "two-sided and corrected by Holm's method for all tests of a table. Significant means p below .05."
    )
    caption = f"Difference to doing nothing in {in_sentence(_label(run))}, mean over the classifiers"
    section.table(_tests_table(run.tests, caption))
    metrics = list(dict.fromkeys((*METRICS_TESTED, run.metric)))
    single = paired_tests(run.finished, against=NOTHING, metrics=metrics)
    table = _tests_table(single, "Difference to doing nothing for every classifier and tested metric", of_rows=True)
    section.fold(
        f"{len(table.rows)} single tests, for every classifier and {len(metrics)} metrics", _table_block(table)
    )
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
            _number(test.difference, signed),
            Cell(interval, float(test.low) if has_interval else ""),
            _number(test.p, _p),
            _number(test.p_holm, _p),
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
            _number(row.room, signed),
            Cell(f"{signed(row.room_low)} to {signed(row.room_high)}" if np.isfinite(row.room_low) else DASH),
            _number(row.share, percent),
            Cell(DASH if np.isnan(row.low) else f"{percent(row.low)} to {percent(row.high)}"),
            _count(row.n_repeats),
        ]
        for row in run.room.itertuples()
    ]
    caption = f"Share of the room in {in_sentence(_label(run))} that each treatment closes"
    is_mean = (run.room["classifier"] == MEAN).to_numpy()
    if is_mean.any():
        section.table(Table(f"{caption}, mean of the classifiers", columns, _where(body, is_mean)))
        table = Table(f"{caption}, for every classifier", columns, _where(body, ~is_mean))
        section.fold("The same for every classifier", _table_block(table))
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
        f"Mean rank of every treatment in {in_sentence(_label(run))} over {n_classifiers} classifiers, 1 is best "
        f"(Friedman's test: p {_p_sentence(ranked.attrs['friedman_p'])}); a bar joins treatments that do not differ "
        "significantly by Nemenyi's test. The classifiers share images, so their results are correlated, unlike those "
        "of independent data sets: the diagram describes this run, and conclusions should be drawn from the tests "
        "above." + (f" Left out: {', '.join(left_out)}." if left_out else "")
    )
    words = "; ".join(f"{row.treatment_label} {row.rank:.1f}" for row in ranked.itertuples())
    figure = figures.draw_ranks(ranked, nemenyi(run.finished, run.metric))
    section.figures([embed(figure, f"Critical-difference diagram, mean ranks: {words}", caption, "wide")])


def _classes_section(run):
    section = Section("classes", "Metrics of every class")
    if not run.finished:
        return None
    section.text(run.featured_about(), "quiet")
    section.table(_recall_table(run))
    rarest = [
        _bars_of_rarest(run, metric, what)
        for metric, what in (
            ("precision_minority", "precision"),
            ("recall_minority", "recall"),
            ("f1_minority", "F1"),
            ("roc_auc", "AUC"),
        )
    ]
    section.figures(rarest, "pairs")
    if len(run.classes) > 2:
        section.heading("Precision, recall and F1 of every class")
        pictures = []
        for quantity in ("precision", "recall", "f1", "roc_auc"):
            about = f"{metric_label(f'{quantity}_0', ['every class'])}, mean over the classifiers"
            pictures.append(
                embed(figures.draw_class_bars(run.finished, quantity, run.featured), about, about + ".", "wide")
            )
        section.figures(pictures, "pairs")
    matrices = [
        embed(figure, f"Confusion matrix, {row_label(row)}, {run.labels[name]}", run.labels[name])
        for row in run.rows
        for name in run.featured
        if (figure := figures.draw_confusion(run.finished, row, name)) is not None
    ]
    about = "Mean counts of test images over the repeats; lighter cells are larger shares of the true class."
    css = "panels" if len(run.classes) <= 6 else "pairs"
    panels = {"kind": "figures", "figures": matrices, "css": css, "legend": ()}
    section.fold(f"{len(matrices)} confusion matrices", _text(about, "quiet"), panels)
    section.fold("Precision, recall and F1 of every class, treatment and classifier", _table_block(_class_table(run)))
    return section


def _bars_of_rarest(run, metric, what):
    label = metric_label(metric, run.classes)
    of_class = f" (“{run.rarest}”)" if metric.endswith("_minority") else ""
    about = f"{label}{of_class} without and with over-sampling; the line is the standard deviation over the repeats."
    figure = figures.draw_bars(run.finished, metric, run.featured)
    return embed(figure, about, about + run.counterpart(f"{what} without and with DCGAN"), "wide")


def _recall_table(run):
    body = []
    for name, label in run.labels.items():
        cells = select(run.finished, treatment=name)
        means = [_mean(values_of(cells, f"recall_{at}")) for at in range(len(run.classes))]
        body.append([Cell(label), *(_number(mean, "{:.3f}".format) for mean in means)])
    columns = [Column("Treatment", False), *(Column(name) for name in run.classes)]
    return Table("Recall of every class, mean over classifiers and repeats", columns, body)


def _class_table(run):
    kinds = {"precision": "Precision", "recall": "Recall", "f1": "F1"}
    body = []
    for name, label in run.labels.items():
        for row in run.rows:
            cells = select(run.finished, row=row, treatment=name)
            for at, of_class in enumerate(run.classes):
                means = [_mean(values_of(cells, f"{kind}_{at}")) for kind in kinds]
                if cells:
                    numbers = (_number(mean, "{:.3f}".format) for mean in means)
                    body.append([Cell(label), Cell(row_label(row, ", ")), Cell(of_class), *numbers])
    words = ("Treatment", "Classifier", "Class")
    columns = [*(Column(word, False) for word in words), *(Column(label) for label in kinds.values())]
    return Table("Mean over the repeats", columns, body)


def _curves_section(run):
    rows = [row for row in run.rows if is_defined(run.finished, row, "average_precision")]
    if not rows:
        return None
    section = Section("curves", "ROC and precision-recall curves")
    for metric in ("sensitivity_at_90_specificity", "sensitivity_at_95_specificity"):
        section.table(pivot(run, metric))
    section.text(
        f"Sensitivity is the share of images of “{run.rarest}” that are recognised, specificity the share of all other "
        "images without a false alarm.",
        "quiet",
    )
    labels = distinct_labels(run.records, "roc_auc")
    others = [name for name in labels if name not in run.featured]
    behind = [{"label": "other treatments", "colour": _variable(figures.MUTED), "style": "thin"}] if others else []
    for kind, title in (("roc", "ROC curves"), ("precision_recall", "Precision-recall curves")):
        section.heading(f"{title}, “{run.rarest}” against the rest")
        panels = [
            embed(
                figures.draw_curves(run.finished, [row], run.featured, kind, others=others),
                f"{title} of {row_label(row)}: {', '.join(run.labels[name] for name in run.featured)}",
            )
            for row in rows
        ]
        section.figures(panels, "panels", [*run.legend(run.featured), *behind])
        counterpart = run.counterpart("ROC without and with DCGAN") if kind == "roc" else ""
        section.text(
            "Lines are means over the repeats, bands show the range of the repeats. "
            + ("" if kind == "roc" else "For every recall the highest precision of any threshold is drawn. ")
            + run.featured_about()
            + counterpart,
            "quiet",
        )
    if len(run.classes) > 2:
        _add_curves_of_classes(section, run, rows)
    if others:
        panels = [
            embed(
                figures.draw_curves(run.finished, [row], list(labels), with_bands=False),
                f"ROC curves of {row_label(row)}, all treatments",
            )
            for row in rows
        ]
        block = {"kind": "figures", "figures": panels, "css": "panels", "legend": run.legend(labels)}
        section.fold(f"ROC curves of all {len(labels)} treatments", block)
    left_out = [row_label(row) for row in run.rows if row not in rows]
    if left_out:
        section.text(f"Without scores, and so without curves: {', '.join(left_out)}.", "quiet")
    return section


def _add_curves_of_classes(section, run, rows):
    for kind, title in (("roc", "ROC curves"), ("precision_recall", "Precision-recall curves")):
        section.heading(f"{title} of every class against the rest, mean over the classifiers")
        panels = [
            embed(
                figures.draw_curves(run.finished, rows, run.featured, kind, label=label, title=name),
                f"{title} of class {name}, mean over the classifiers",
            )
            for label, name in enumerate(run.classes)
        ]
        section.figures(panels, "panels", run.legend(run.featured))


def _calibration_section(run):
    rows = [row for row in run.rows if is_defined(run.finished, row, "brier")]
    if not rows:
        return None
    section = Section("calibration", "Calibration of probabilities")
    section.text(
        "After over-sampling the rare class is common in training, so its predicted probabilities tend to be too high "
        "unless they are calibrated. The dotted line is perfect calibration: predictions of 70 % are right in 70 % of "
        "the cases."
    )
    section.table(pivot(run, "brier"))
    panels = [
        embed(
            figures.draw_reliability(run.finished, row, run.featured),
            f"Reliability curve of {row_label(row)}: {', '.join(run.labels[name] for name in run.featured)}",
        )
        for row in rows
    ]
    section.figures(panels, "panels", run.legend(run.featured))
    section.text(f"Probability of “{run.rarest}”, test images of all repeats together, in bins of equal size.", "quiet")
    left_out = [row_label(row) for row in run.rows if row not in rows]
    if left_out:
        section.text(f"Without probabilities: {', '.join(left_out)}.", "quiet")
    return section


def _cost_section(run):
    if not run.can_test:
        return None
    section = Section("cost", "Cost and gain")
    costs = cost_table(run.finished)
    panels = []
    for what, words in (("seconds", "seconds"), ("memory", "peak memory")):
        figure = figures.draw_cost(costs, run.tests, run.metric, what)
        about = f"Gain over doing nothing in {in_sentence(_label(run))} against the {words} of resampling"
        panels.append(embed(figure, about, about + ".", "wide"))
    section.figures(panels, "pairs")
    body = []
    for cost in costs.merge(run.tests[["treatment", "difference"]], on="treatment").itertuples():
        memory = _number(cost.memory, lambda value: humanize.naturalsize(value))
        seconds = _number(cost.seconds, _seconds)
        body.append([Cell(cost.treatment_label), seconds, memory, _number(cost.difference, signed)])
    columns = [Column("Treatment", False), Column("Time"), Column("Peak memory"), Column(f"Gain, {_label(run)}")]
    section.table(Table("Cost of the resampling alone, mean time over the repeats", columns, body))
    section.text(
        "The time is that of resampling and of the features of new images, counted once for all classifiers; in the "
        "figure, shorter times "
        f"are drawn as {figures.LEAST_SECONDS} s. The memory is the peak of the process that resampled. A tuned "
        "threshold does not resample, but needs several additional fits of the classifier.",
        "quiet",
    )
    return section


def _counts_section(run):
    section = Section("counts", "Images of each class")
    counts, bars = run.manifest["class_counts"], []
    for part, number in (("train", "Figure 7"), ("test", "Figure 8")):
        title = {"train": "Training images", "test": "Test images"}[part]
        about = f"{title}: " + ", ".join(f"{name} {count:,}" for name, count in counts[part].items())
        caption = f"{title} of each class.{run.counterpart('the class counts', number)}"
        bars.append(embed(figures.draw_class_counts(counts[part], title), about, caption, "wide"))
    section.figures(bars, "pairs")
    last = [_last_record(run, name) for name in run.labels]
    resampled = [record for record in last if record is not None and record["treatment_kind"] == "sampler"]
    if resampled:
        section.heading("Training images after over-sampling")
        panels = [
            embed(
                figures.draw_class_counts_after(record),
                f"After {record['treatment_label']}: "
                + ", ".join(f"{name} {count:,}" for name, count in record["class_counts_resampled"].items()),
            )
            for record in resampled
        ]
        section.figures(panels, "panels")
        section.text(
            f"Hatched: images that the treatment added.{run.counterpart('the class counts after over-sampling')}",
            "quiet",
        )
    return section


def _last_record(run, treatment):
    """Return a finished record of a treatment, of the last classifier, whose counts are those of images for ADASYN."""
    found = [record for row in run.rows for record in select(run.finished, row=row, treatment=treatment)]
    return found[-1] if found else None


def _pictures_section(run):
    section = Section("pictures", "Real and synthetic images")
    kept = run.pictures
    if not kept:
        section.text("No images of this run were kept: no treatment generated any, or they were not requested.")
        return section
    names = [str(name) for name in kept["treatments"]]
    labels = {name: run.labels.get(name, name) for name in names}
    shows_real = run.include_real_images and "real_images" in kept
    if not shows_real:
        section.text(_why_no_real(run, kept))
    classes = [str(name) for name in kept["classes"]]
    if shows_real:
        section.heading("Real images")
        for label, name in enumerate(classes):
            own = as_bytes(kept["real_images"][kept["real_labels"] == label][:_SHOWN_COLUMNS])
            if len(own):
                picture, _, _ = lay_out({(0, column): image for column, image in enumerate(own)})
                about = f"Real training images of class {name}"
                section.figures([embed_images(picture, own.shape[1], about, f"Real: {name}.")])
    hidden = []
    for place, name in enumerate(names):
        if is_close_to_real(name) and not run.include_real_images:
            hidden.append(labels[name])
        else:
            _add_synthetic(section, run, place, labels[name], classes, shows_real)
    if hidden:
        section.text(
            "Not shown, because their images are, or may be, modified real images, which show a patient: "
            f"{', '.join(hidden)}.",
            "quiet",
        )
    if names:
        section.table(_nearest_table(run, labels, classes))
    _add_vectors(section, run, labels, classes)
    if "map" in kept:
        figure = figures.draw_map(
            kept["map"], kept["map_labels"], kept["map_kinds"], classes, [labels[name] for name in names]
        )
        about = "Map of real and synthetic images: similar images are close to each other"
        caption = (
            f"{about} (principal components of {kept['space']}, then t-SNE; distances between clusters have no "
            "meaning). Crosses of a class away from its dots are synthetic images that differ from real ones."
        )
        section.heading("Map of real and synthetic images")
        section.figures([embed(figure, about, caption, "wide")])
    return section


def _why_no_real(run, kept):
    if run.include_real_images:
        return (
            "No real images are shown, although they were requested: the run has not kept any. Request them at the "
            "start of the run."
        )
    return (
        "No real images are shown, because they may be images of patients. Request them (--include-real-images) if "
        "this is permitted."
    )


def _add_synthetic(section, run, place, label, classes, shows_real):
    kept = run.pictures
    if f"images_{place}" not in kept:
        return
    section.heading(label)
    for at, name in enumerate(classes):
        own = kept[f"labels_{place}"] == at
        if not own.any():
            continue
        made, nearest = kept[f"images_{place}"][own], None
        caption = f"Synthetic: {name}."
        if shows_real:
            made, nearest = made[:_SHOWN_COLUMNS], [kept[f"nearest_images_{place}"][own][:_SHOWN_COLUMNS]]
            caption = f"Synthetic: {name}; beneath each its nearest real training image."
        caption += run.counterpart("synthetic samples")
        picture = SyntheticImagesDisplay([made], nearest=nearest).montage(_SHOWN_COLUMNS)
        about = f"Synthetic images of class {name} from {label}"
        section.figures([embed_images(picture, made.shape[1], about, caption)])


def _nearest_table(run, labels, classes):
    """Return the distances of synthetic images to real ones, beside those between real ones."""
    kept, body = run.pictures, []
    for place, name in enumerate(labels):
        for at, of_class in enumerate(classes):
            own = kept[f"labels_{place}"] == at
            if own.any():
                distances, typical = kept[f"distance_{place}"][own], float(kept["real_distance"][at])
                n_near = int((distances < typical / 2).sum())
                body.append(
                    [
                        Cell(labels[name]),
                        Cell(of_class),
                        _number(float(np.median(distances)), "{:.3g}".format),
                        _number(typical, "{:.3g}".format),
                        Cell(f"{n_near} of {own.sum()}", n_near),
                    ]
                )
    columns = [
        Column("Treatment", False),
        Column("Class", False),
        Column("Synthetic to nearest real"),
        Column("Real to nearest other real"),
        Column("Nearer than half of that"),
    ]
    where = f"in {kept['space']}"
    return Table(
        f"Median distance to the nearest real training image, {where}; small distances indicate copies",
        columns,
        body,
    )


def _add_vectors(section, run, labels, classes):
    kept = run.pictures
    if "vectors" not in kept:
        return
    names, found = list(labels), []
    for vector, label, kind in zip(kept["vectors"], kept["vectors_labels"], kept["vectors_kinds"], strict=True):
        what = "real" if kind == 0 else labels[names[kind - 1]]
        title = f"{classes[label]}, {what}"
        colour = figures.CLASS_COLOURS[label % len(figures.CLASS_COLOURS)]
        found.append(embed(figures.draw_vector(vector, title, colour), f"Feature vector: {title}", "", "wide"))
    section.heading("Feature vectors")
    section.figures(found[: len(classes)])
    if found[len(classes) :]:
        block = {"kind": "figures", "figures": found[len(classes) :], "css": "stack", "legend": ()}
        section.fold("Feature vectors of synthetic images", block)
    section.text(
        f"The input of a classifier on features for one image of each class, the one nearest to the mean of its class."
        f"{run.counterpart('feature vectors')}",
        "quiet",
    )


def _training_section(run):
    histories = figures.gan_histories(run.records)
    if not histories:
        return None
    section = Section("training", "How the generators were trained")
    section.text(
        "One line for each repeat; a diamond marks the snapshot that was kept, from which images are drawn. Losses of "
        "a GAN need not decrease, but a loss that goes to zero or diverges while the score rises means that training "
        "failed.",
        "quiet",
    )
    for name, by_class in histories.items():
        section.heading(run.labels[name])
        entries = [entry for found in by_class.values() for history in found for entry in history]
        quantities = [
            q for q in dict.fromkeys(key for entry in entries for key in entry) if q not in ("step", "seconds")
        ]
        ordered = sorted(quantities, key=lambda q: (q != "score", not q.startswith("loss"), q))
        panels = [
            embed(
                figures.draw_history(by_class, quantity),
                f"{words_for(quantity)} of {run.labels[name]} during training",
            )
            for quantity in ordered
        ]
        section.figures(panels[:3], "panels")
        rest = [panel for panel in panels[3:] if panel is not None]
        if rest:
            block = {"kind": "figures", "figures": rest, "css": "panels", "legend": ()}
            section.fold(f"{len(rest)} more quantities", block)
    return section


def _original_section(run):
    table = published_table(run.records)
    if table.empty:
        return None
    section = Section("original", "Comparison with the original report")
    section.text(
        "Table 1 of the original report and this run, computed in the same way: precision, recall and F1 are weighted "
        "by class size, for DenseNet121 they are those of class PNEUMONIA; the AUC of tree, forest and SVM is computed "
        "from predicted labels, and so equals the balanced accuracy. Of each measure, this run first and the original "
        "second."
    )
    body = []
    for (classifier, treatment), found in table.groupby(["classifier", "treatment"], sort=False):
        body.append([Cell(classifier), Cell(treatment)])
        for row in found.itertuples():
            body[-1] += [_number(row.ours, "{:.4f}".format), _number(row.published, "{:.4f}".format)]
        body[-1].append(_count(row.n))
    columns = [Column(word, False) for word in ("Classifier", "Treatment")]
    columns += [Column(word) for measure in PUBLISHED_MEASURES for word in (measure, "original")]
    section.table(Table("Table 1 of the original report beside this run", [*columns, Column("Seeds")], body))
    for note in run.manifest.get("notes", ()):
        section.text(note)
    return section


def _troubles_section(run):
    section = Section("troubles", "Failures, warnings and frequent errors")
    failed, alarms = failed_cells(run.records), warnings_table(run.records)
    if failed.empty:
        section.text("No cell failed.")
    else:
        words = ("Treatment", "Classifier", "Split")
        columns = [*(Column(word, False) for word in words), Column("Seed"), Column("Error", False)]
        body = [
            [
                Cell(c.treatment),
                Cell(c.classifier),
                Cell(c.split),
                Cell(str(c.seed), int(c.seed)),
                Cell(c.error, css="long"),
            ]
            for c in failed.itertuples()
        ]
        section.table(Table(f"{_plural(len(body), 'cell')} failed, without results", columns, body))
        traces = list(dict.fromkeys(str(trace) for trace in failed["traceback"].dropna()))
        if traces:
            section.fold("Tracebacks", *({"kind": "code", "text": trace} for trace in traces))
    if run.missing:
        words = ("Treatment", "Classifier", "Embedder", "Split")
        body = [
            [
                Cell(run.labels.get(cell["treatment"], cell["treatment"])),
                *(Cell(str(cell[name] or DASH)) for name in ("classifier", "embedder", "split")),
                _count(cell["seed"]),
            ]
            for cell in run.missing
        ]
        columns = [*(Column(word, False) for word in words), Column("Seed")]
        table = Table(f"{_plural(len(body), 'cell')} not computed", columns, body)
        section.fold(table.caption, _table_block(table))
    if alarms.empty:
        section.text("There were no warnings.")
    else:
        words = ("Treatment", "Warning", "From", "Message")
        columns = [*(Column(word, False) for word in words), Column("Cells")]
        body = [
            [
                Cell(a["treatment"]),
                Cell(a["category"]),
                Cell(a["from"]),
                Cell(a["message"], css="long"),
                _count(a["n_cells"]),
            ]
            for a in alarms.to_dict("records")
        ]
        section.table(Table("Warnings", columns, body))
        numbers = [f"{number} is {name}" for number, name in enumerate(run.classes) if str(number) != name]
        if numbers:
            section.text(f"Messages may name classes by their numbers: {', '.join(numbers)}.", "quiet")
    if run.finished:
        _add_often_wrong(section, run)
    return section


def _add_often_wrong(section, run):
    wrong = often_wrong(run.finished)
    if wrong.empty:
        return
    files = run.manifest.get("filenames") if run.include_real_images else None
    columns = [Column("Row in the data"), *([Column("File", False)] if files is not None else [])]
    columns += [Column("True class", False), Column("Most frequent prediction", False), Column("Wrong in cells")]
    body = [
        [
            _count(image.row),
            *([Cell(str(files[image.row]))] if files is not None else []),
            Cell(image.true),
            Cell(image.taken_for),
            Cell(f"{image.n_wrong} of {image.n_cells}", float(image.n_wrong / image.n_cells)),
        ]
        for image in wrong.itertuples()
    ]
    table = Table(
        "Test images that were misclassified by most treatments and classifiers: mislabelled or difficult",
        columns,
        body,
    )
    note = (
        "File names may identify patients and are only shown with real images; predictions.csv.gz has them."
        if not files
        else ""
    )
    section.fold(f"{len(body)} images that were misclassified most often", _table_block(table), _text(note, "quiet"))


def _settings_section(run):
    section = Section("settings", "Data, settings and environment")
    manifest = run.manifest
    length = "the same number of images in an epoch" if manifest.get("equal_length") else "every image once in an epoch"
    hosts = sorted({record["host"] for record in run.records if record.get("host")})
    devices = sorted({record["device"] for record in run.records if record.get("device")})
    facts = {
        "Data": manifest["name"],
        "Shape": TIMES.join(map(str, manifest["shape"])),
        "Classes": ", ".join(map(str, manifest["classes"])),
        "Split": manifest["split_about"],
        "Groups": manifest["groups_about"],
        "Training of networks": f"{length}, whatever the treatment",
        "Started": _minute(manifest["started"]),
        "Duration": _seconds(manifest["seconds"]),
        "Jobs, threads of each": f"{manifest['n_jobs']}, {manifest['n_threads']}",
        "Devices": ", ".join(devices) or str(manifest["device"]),
        "Hosts": ", ".join(hosts),
        **{f"Embedder {name}": about for name, about in manifest["embedders"].items()},
        **{f"Note {number}": note for number, note in enumerate(manifest.get("notes", ()), start=1)},
        **manifest["settings"],
    }
    section.heading("Command")
    section.blocks.append({"kind": "code", "text": manifest["command"]})
    section.table(_facts("Data and settings", facts))
    settings = _settings_of_parts(run)
    if settings:
        body = [
            [Cell(part), Cell(name), Cell("; ".join(texts), css="long")] for (part, name), texts in settings.items()
        ]
        columns = [Column(word, False) for word in ("Of", "Parameter", "Value")]
        caption = "As recorded in the cells, without seeds; several values where cells differ"
        section.fold("Settings of treatments and classifiers", _table_block(Table(caption, columns, body)))
    section.fold("Versions", _table_block(_facts("Packages", manifest["versions"])))
    return section


def _settings_of_parts(run):
    """Return the values of each setting of a treatment or classifier in all cells, without seeds."""
    found = {}
    for record in run.records:
        for name, text in (record.get("settings") or {}).items():
            of_treatment = name.startswith(("sampler", "tunes_threshold"))
            part = run.labels[record["treatment"]] if of_treatment else row_label(record)
            if not name.endswith("random_state"):
                found.setdefault((part, name), {})[str(text)] = None
    return found


def _facts(caption, facts):
    body = [[Cell(str(name)), Cell(str(value), css="long")] for name, value in facts.items() if value not in (None, "")]
    return Table(caption, [Column("What", False), Column("Value", False)], body)


# Formatting


def _label(run):
    return metric_label(run.metric, run.classes) if run.metric in METRIC_LABELS else run.metric


def _plural(n, word):
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"


def _mean(values):
    return float(np.mean(values)) if values else np.nan


def _number(value, style):
    """Return a cell of a number; NaN is a dash that sorts last."""
    if value is None or pd.isna(value):
        return Cell(DASH, "")
    return Cell(style(value), float(value))


def _count(value):
    return Cell(str(value), int(value))


def _p(value):
    return "< .001" if value < 0.001 else f"{value:.3f}".lstrip("0") if value < 1 else "1"


def _p_sentence(value):
    return _p(value) if value < 0.001 else f"= {_p(value)}"


def _minute(iso):
    return f"{datetime.fromisoformat(iso).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _seconds(value):
    if 0 < value < 0.05:
        return "< 0.1 s"
    if value < 120:
        return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"
