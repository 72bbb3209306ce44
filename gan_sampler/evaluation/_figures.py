"""Figures of a run, as matplotlib figures that belong to no pyplot window.

Each is narrow enough to be read on a phone; what needs many panels is drawn as many figures, which a page can wrap.
"""

import functools
import textwrap
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scikit_posthocs import critical_difference_diagram
from sklearn.calibration import calibration_curve
from sklearn.metrics import ConfusionMatrixDisplay, precision_recall_curve, roc_curve

from ..displays import ClassDistributionDisplay, EmbeddingDisplay, TrainingHistoryDisplay
from ..displays._drawing import CLASS_COLOURS, INK, MUTED, WIDTH
from ..displays._training_history import kept_step
from ._metrics import LOWER_IS_BETTER, METRIC_LABELS, confusion, metric_label
from ._records import (
    THRESHOLD_SUFFIX,
    is_finished,
    repeat_key,
    repeats_of,
    row_label,
    rows_of,
    select,
    treatment_labels,
)
from ._tables import signed, values_of

PANEL = 3.1  # inches

GRID = "#d9dde3"
BETTER, WORSE = "#0072b2", "#d55e00"
# Okabe and Ito's colours, and some of Tol's: safe for colour-blind readers.
COLOURS = {
    "none": INK,
    "class_weight": "#999999",
    "threshold": "#999933",
    "random": "#e69f00",
    "smote": "#56b4e9",
    "adasyn": "#0072b2",
    "augmentation": "#009e73",
    "augmentation_repetition": "#117733",
    "augmentation_every_class": "#6699cc",
    "dcgan": "#d55e00",
    "dcgan_alone": "#ddaa33",
    "dcgan_every_class": "#cc79a7",
    "vision_aided": "#aa3377",
    "vision_aided_alone": "#ee99aa",
    "vision_aided_every_class": "#661100",
    "conditional": "#882255",
    "all_real": MUTED,
}
_OTHERS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # for names of the user
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.edgecolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "hatch.linewidth": 0.6,
    "svg.fonttype": "none",  # letters stay letters: small, sharp and found by a search
    "svg.hashsalt": "gan_sampler",
}
LEAST_SECONDS = 0.01  # less is drawn as that: a log scale has no 0
_RATES = np.linspace(0, 1, 101)

_ALMOST_0 = 1e-9  # a tick at 0 may be rounding error


def styled(draw):
    """Draw in the style of the report, whatever the user's own is."""

    @functools.wraps(draw)
    def draw_styled(*args, **kwargs):
        with matplotlib.rc_context({**matplotlib.rcParamsDefault, "backend": "agg", **STYLE}):
            return draw(*args, **kwargs)

    return draw_styled


def colour_of(treatment, treatments=()):
    """Return the colour of a treatment; one with a tuned threshold has that of the one without."""
    base = treatment.removesuffix(THRESHOLD_SUFFIX)
    if base in COLOURS:
        return COLOURS[base]
    own = [name for name in treatments if name not in COLOURS]
    return _OTHERS[(own.index(treatment) if treatment in own else 0) % len(_OTHERS)]


def line_of(treatment, kind):
    """Return the style of a treatment's line: broken where no image is added."""
    if treatment.endswith(THRESHOLD_SUFFIX):
        return ":"
    return "-" if kind == "sampler" or treatment == "none" else "--"


def _wrap(label, width=22):
    return "\n".join(textwrap.wrap(str(label), width)) or str(label)


def _figure(width, height):
    return Figure(figsize=(width, height), layout="constrained")


@dataclass(frozen=True)
class Verdict:
    """How a row of a table of tests is shown: shape as well as colour, for readers who do not see the latter."""

    words: str
    colour: str
    marker: str
    is_filled: bool


_NOT_SIGNIFICANT = Verdict("not significant", MUTED, "o", False)
_UNTESTED = Verdict("no test", MUTED, "x", True)


def verdict(test, metric):
    """Return the verdict on a row of `paired_tests` or `overall_tests`."""
    if np.isnan(test.p_holm):
        return _UNTESTED
    if not test.is_significant:
        return _NOT_SIGNIFICANT
    is_better = (test.difference > 0) != (metric in LOWER_IS_BETTER)
    return (
        Verdict("significantly better", BETTER, "^", True)
        if is_better
        else Verdict("significantly worse", WORSE, "v", True)
    )


@styled
def draw_gains(tests, metric, against="doing nothing", room=None):
    """Draw the difference of every treatment to the one it was tested against, with its interval.

    Parameters
    ----------
    tests : DataFrame
        What `overall_tests` returns.
    metric : str
        The metric that was tested.
    against : str
        What people call the rival.
    room : DataFrame or None, default=None
        What `room_closed` returns, to mark the gain of the reference with a dotted line. None, or an empty table, does
        not.
    """
    tests = tests.reset_index(drop=True)
    figure = _figure(WIDTH, 0.95 + 0.31 * len(tests))
    axis = figure.subplots()
    axis.axvline(0, color=INK, linewidth=1.2)
    has_room = room is not None and len(room) > 0
    if has_room:
        axis.axvline(room["room"].iloc[0], color=MUTED, linewidth=1.5, linestyle=":")
    verdicts = [verdict(test, metric) for test in tests.itertuples()]
    for y, (test, found) in enumerate(zip(tests.itertuples(), verdicts, strict=True)):
        if np.isfinite(test.low):
            axis.plot([test.low, test.high], [y, y], color=found.colour, linewidth=2.2, solid_capstyle="butt")
        face = found.colour if found.is_filled else "none"
        axis.plot(test.difference, y, found.marker, color=found.colour, markerfacecolor=face, markersize=7)
        axis.annotate(
            signed(test.difference),
            (1.0, y),
            (4, 0),
            xycoords=axis.get_yaxis_transform(),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    axis.set_yticks(range(len(tests)), [_wrap(label, 24) for label in tests["treatment_label"]])
    axis.set_ylim(len(tests) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
    axis.grid(visible=False, axis="y")
    axis.spines["left"].set_visible(False)
    axis.margins(x=0.08)
    _sign_ticks(axis.xaxis)
    direction = "lower is better" if metric in LOWER_IS_BETTER else "higher is better"
    axis.set_xlabel(_wrap(f"{METRIC_LABELS.get(metric, metric)} minus that of {against} ({direction})", 40))
    shown = {found.words: found for found in verdicts}
    order = ("significantly better", "not significant", "significantly worse", "no test")
    handles = [
        matplotlib.lines.Line2D(
            [],
            [],
            color=shown[words].colour,
            marker=shown[words].marker,
            markerfacecolor=shown[words].colour if shown[words].is_filled else "none",
            linewidth=2.2,
            label=words,
        )
        for words in order
        if words in shown
    ]
    if has_room:
        line = {"color": MUTED, "linewidth": 1.5, "linestyle": ":"}
        handles.append(matplotlib.lines.Line2D([], [], label="all real images (reference)", **line))
    figure.legend(handles=handles, loc="outside upper center", ncols=3, columnspacing=1.2, handlelength=1.6)
    return figure


@styled
def draw_curves(records, rows, treatments, kind="roc", *, label=None, title=None, others=(), with_bands=True):
    """Draw ROC or precision-recall curves, one class against the rest: the mean over the repeats, and their range.

    Parameters
    ----------
    records : list of dict
        Records of the run.
    rows : sequence of dict
        Any record of each classifier; the curves of several are averaged within a repeat.
    treatments : sequence of str
        Those with a line (and band) of their own.
    kind : {"roc", "precision_recall"}, default="roc"
        Which curve.
    label : int or None, default=None
        The class; None stands for the rarest.
    title : str or None, default=None
        None names the first classifier.
    others : sequence of str, default=()
        Treatments whose curves stand behind in grey.
    with_bands : bool, default=True
        Whether the range over the repeats is shaded.
    """
    figure = _figure(PANEL, PANEL)
    axis = figure.subplots()
    curve = _roc if kind == "roc" else _precision_recall
    if kind == "roc":
        axis.plot([0, 1], [0, 1], color=MUTED, linestyle=":", linewidth=1)
    label = rows[0]["rarest"] if label is None else label
    for name in others:
        found = _curves(records, rows, name, curve, label)
        if len(found):
            axis.plot(_RATES, found.mean(axis=0), color=MUTED, linewidth=0.7, alpha=0.55)
    names = list(treatment_labels(records))
    for name in treatments:
        found = _curves(records, rows, name, curve, label)
        if not len(found):
            continue
        kind_of_treatment = select(records, treatment=name)[0]["treatment_kind"]
        colour, style = colour_of(name, names), line_of(name, kind_of_treatment)
        if with_bands and len(found) > 1:
            axis.fill_between(
                _RATES, found.min(axis=0), found.max(axis=0), color=colour, alpha=0.2, linewidth=0, zorder=1.5
            )
        axis.plot(_RATES, found.mean(axis=0), style, color=colour, linewidth=1.8)
    axis.set_title(title or row_label(rows[0], "\non "), loc="left")
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1.01)
    axis.set_aspect("equal")
    labels = ("1 \N{MINUS SIGN} specificity", "Sensitivity") if kind == "roc" else ("Recall", "Precision")
    axis.set(xlabel=labels[0], ylabel=labels[1])
    return figure


def _curves(records, rows, treatment, curve, label):
    """Return the curve of every repeat, the mean over the classifiers that have one."""
    of_repeats = {}
    for row in rows:
        for record in select(records, row=row, treatment=treatment):
            if is_finished(record) and record["ranks"]:
                is_label = np.asarray(record["y_true"]) == label
                if is_label.any() and not is_label.all():
                    rates = curve(is_label, np.asarray(record["scores"])[:, label])
                    of_repeats.setdefault(repeat_key(record), []).append(rates)
    return np.array([np.mean(found, axis=0) for found in of_repeats.values()])


def _roc(is_label, scores):
    false_positives, true_positives, _ = roc_curve(is_label, scores)
    rates = np.interp(_RATES, false_positives, true_positives)
    rates[0] = 0.0  # interp takes the last of the points at 0; the mean curve shall start in the corner
    return rates


def _precision_recall(is_label, scores):
    precision, recall, _ = precision_recall_curve(is_label, scores)
    # At a recall the best precision of that recall or a higher one, as thresholds allow; nothing is drawn between.
    best = np.maximum.accumulate(precision)
    return best[np.searchsorted(-recall, -_RATES, side="right") - 1]


@styled
def draw_reliability(records, row, treatments, n_bins=8):
    """Draw how often images said to be of the rarest class with some probability are; None without probabilities."""
    figure = _figure(PANEL, PANEL)
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color=MUTED, linestyle=":", linewidth=1)
    names, is_empty = list(treatment_labels(records)), True
    for name in treatments:
        cells = [r for r in select(records, row=row, treatment=name) if is_finished(r) and r["probabilities"]]
        if not cells:
            continue
        is_rarest = np.concatenate([np.asarray(r["y_true"]) == r["rarest"] for r in cells])
        said = np.concatenate([np.asarray(r["probabilities"])[:, r["rarest"]] for r in cells])
        shares, means = calibration_curve(is_rarest, np.clip(said, 0, 1), n_bins=n_bins, strategy="quantile")
        axis.plot(means, shares, "o-", color=colour_of(name, names), linewidth=1.5, markersize=4)
        is_empty = False
    if is_empty:
        return None
    axis.set_title(row_label(row, "\non "), loc="left")
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1.01)
    axis.set_aspect("equal")
    axis.set(xlabel="Predicted probability", ylabel="Observed frequency")
    return figure


@styled
def draw_confusion(records, row, treatment):
    """Draw the confusion matrix of one classifier and treatment: mean counts over the repeats; None without any."""
    cells = [record for record in select(records, row=row, treatment=treatment) if is_finished(record)]
    if not cells:
        return None
    counts = np.mean([confusion(record) for record in cells], axis=0)
    names = cells[0]["classes"]
    size = max(2.5, 1.1 + 0.42 * len(names))
    figure = _figure(size, size)
    axis = figure.subplots()
    display = ConfusionMatrixDisplay(counts, display_labels=[_wrap(name, 12) for name in names])
    display.plot(ax=axis, colorbar=False, cmap="cividis", values_format=".0f", text_kw={"fontsize": 9})
    # Shades are shares of a class: else they would show the imbalance of the test images and nothing else.
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    display.im_.set(array=shares, clim=(0, 1))
    for text, share in zip(display.text_.flat, shares.flat, strict=True):
        text.set_color("#ffffff" if share < 0.5 else "#000001")
    axis.grid(visible=False)
    axis.set_title(row_label(cells[0], "\non "), loc="left")
    axis.set(xlabel="Predicted", ylabel="True")
    axis.tick_params(length=0)
    if max(map(len, names)) * len(names) > 24:
        axis.tick_params(axis="x", rotation=90)
    axis.tick_params(axis="y", rotation=90 if len(names) < 4 else 0)
    for label in axis.get_yticklabels():
        label.set_verticalalignment("center")
    return figure


def draw_bars(records, metric, treatments):
    """Draw a metric without and with some treatments as bars, classifiers down; None where no classifier has it."""
    rows = [row for row in rows_of(records) if values_of(select(records, row=row), metric)]
    cells = {
        row_label(row, ", "): {name: select(records, row=row, treatment=name) for name in treatments} for row in rows
    }
    values = {group: {name: values_of(found, metric) for name, found in own.items()} for group, own in cells.items()}
    return _bars(records, values, treatments, metric_label(metric, records[0]["classes"]), metric) if rows else None


def draw_class_bars(records, quantity, treatments):
    """Draw a quantity of every class without and with some treatments as bars, the mean over the classifiers.

    Parameters
    ----------
    records : list of dict
        Records of the run.
    quantity : {"precision", "recall", "f1", "roc_auc"}
        What is drawn.
    treatments : sequence of str
        Those that have bars.
    """
    values = {}
    for label, of_class in enumerate(records[0]["classes"]):
        values[of_class] = {}
        for name in treatments:
            of_repeats = [select(records, treatment=name, repeat=repeat) for repeat in repeats_of(records)]
            found = [values_of(cells, f"{quantity}_{label}") for cells in of_repeats]
            values[of_class][name] = [np.mean(own) for own in found if own]
    words = metric_label(f"{quantity}_0", [""]).rstrip(", ")
    return _bars(records, values, treatments, f"{words}, mean over the classifiers")


@styled
def _bars(records, values, treatments, words, metric=""):
    """Draw a group of bars for each key of `values`, a bar for each treatment, the spread over repeats as a line."""
    labels = treatment_labels(records)
    height = 0.8 / len(treatments)
    figure = _figure(WIDTH, 0.9 + (0.2 + 0.13 * len(treatments)) * len(values))
    axis = figure.subplots()
    for place, name in enumerate(treatments):
        at = np.arange(len(values)) + (place - (len(treatments) - 1) / 2) * height
        own = [found[name] for found in values.values()]
        axis.barh(
            at,
            [np.mean(found) if found else np.nan for found in own],
            height * 0.88,
            xerr=[np.std(found, ddof=1) if len(found) > 1 else 0 for found in own],
            color=colour_of(name, list(labels)),
            alpha=0.85,
            label=labels[name],
            error_kw={"elinewidth": 1.2, "ecolor": MUTED},
        )
    axis.set_yticks(range(len(values)), [_wrap(group, 20) for group in values])
    axis.set_ylim(len(values) - 0.4, -0.6)
    axis.grid(visible=False, axis="y")
    axis.tick_params(axis="y", length=0)
    if metric not in LOWER_IS_BETTER:
        axis.set_xlim(0, 1)
    axis.set_xlabel(words)
    figure.legend(loc="outside upper center", ncols=min(3, len(treatments)))
    return figure


def _retitle(axis, title):
    """Put a title of the report in the place of a display's."""
    axis.set_title("")
    axis.set_title(title, loc="left")


@styled
def draw_class_counts(counts, title):
    """Draw how many images each class has; `counts` is {class: number}."""
    figure = _figure(WIDTH, 0.75 + 0.3 * len(counts))
    display = ClassDistributionDisplay(list(counts.values()), display_labels=list(counts))
    _retitle(display.plot(ax=figure.subplots()).ax_, title)
    return figure


@styled
def draw_class_counts_after(record):
    """Draw how many training images each class has after one treatment, what was added hatched."""
    names = record["classes"]
    figure = _figure(PANEL, 0.75 + 0.3 * len(names))
    display = ClassDistributionDisplay.from_counts(
        *([record[key].get(name, 0) for name in names] for key in ("class_counts", "class_counts_resampled")),
        display_labels=names,
        ax=figure.subplots(),
    )
    _retitle(display.ax_, record["treatment_label"])
    if display.ax_.get_legend() is not None:  # the page explains the hatching, once for all panels
        display.ax_.get_legend().remove()
    return figure


@styled
def draw_ranks(ranks, p_values):
    """Draw the critical-difference diagram.

    Parameters
    ----------
    ranks : DataFrame
        What `gan_sampler.evaluation._statistics.ranks` returns.
    p_values : DataFrame
        What `nemenyi` returns.
    """
    ranks = ranks.set_index("treatment_label")["rank"]
    figure = _figure(WIDTH, 0.9 + 0.22 * len(ranks))
    axis = figure.subplots()
    critical_difference_diagram(
        ranks,
        p_values,
        ax=axis,
        color_palette=dict.fromkeys(ranks.index, INK),
        label_props={"fontsize": 9},
        marker_props={"s": 18},
        elbow_props={"linewidth": 0.8},
        crossbar_props={"color": BETTER, "linewidth": 3},
        label_fmt_left="{label} ({rank:.1f})",
        left_only=True,
    )
    axis.grid(visible=False)
    axis.xaxis.set_major_locator(MaxNLocator(5))
    return figure


@styled
def draw_cost(costs, tests, metric, what="seconds"):
    """Draw what a treatment brought against what its resampling cost, with every name at the right margin.

    Parameters
    ----------
    costs : DataFrame
        What `cost_table` returns.
    tests : DataFrame
        What `overall_tests` returns.
    metric : str
        The metric that was tested.
    what : {"seconds", "memory"}, default="seconds"
        Which cost.
    """
    table = tests.merge(costs[["treatment", "seconds", "memory"]], on="treatment").dropna(subset=[what])
    if table.empty:
        return None
    table = table.sort_values(["difference", what], ascending=[metric in LOWER_IS_BETTER, True]).reset_index(drop=True)
    is_time = what == "seconds"
    x = np.maximum(table["seconds"], LEAST_SECONDS) if is_time else table["memory"] / 1e6
    figure = _figure(WIDTH, max(2.6, 1.0 + 0.25 * len(table)))
    axis = figure.subplots()
    axis.axhline(0, color=INK, linewidth=1.2)
    places = np.linspace(0.97, 0.03, len(table)) if len(table) > 1 else [0.5]
    for cost, test, place in zip(x, table.itertuples(), places, strict=True):
        found = verdict(test, metric)
        face = found.colour if found.is_filled else "none"
        axis.plot(cost, test.difference, found.marker, color=found.colour, markerfacecolor=face, markersize=7)
        line = {"arrowstyle": "-", "color": MUTED, "linewidth": 0.5, "relpos": (0, 0.5), "shrinkB": 4}
        axis.annotate(
            _wrap(test.treatment_label, 24),
            (cost, test.difference),
            (1.1, place),
            textcoords="axes fraction",
            va="center",
            fontsize=9,
            arrowprops=line,
        )
    axis.margins(x=0.12, y=0.12)
    axis.set_ylabel(f"Gain, {METRIC_LABELS.get(metric, metric)}")
    if is_time:
        axis.set_xscale("log")
        axis.set_xlabel("Seconds of resampling (log scale)")
    else:
        axis.set_xlim(0, 1.12 * float(x.max()) or 1)  # a margin of the range alone may be nothing
        axis.set_xlabel("Peak memory of resampling, MB")
        axis.xaxis.set_major_locator(MaxNLocator(4))
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    _sign_ticks(axis.yaxis)
    return figure


def _sign_ticks(axis):
    """Put few round numbers with their signs on an axis of differences."""
    axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(
        lambda value, _: f"{value:+g}".replace("-", "\N{MINUS SIGN}") if abs(value) > _ALMOST_0 else "0"
    )


def gan_histories(records):
    """Return {treatment: {class: [history of each repeat]}}, each training once though many cells share it."""
    found = {}
    for record in records:
        for name, history in (record.get("history") or {}).items():
            if history:
                of_class = found.setdefault(record["treatment"], {}).setdefault(name, {})
                of_class.setdefault(repeat_key(record), history)
    return {t: {name: list(h.values()) for name, h in by_class.items()} for t, by_class in found.items()}


@styled
def draw_history(by_class, quantity):
    """Draw a quantity of a GAN's training: a colour for each class, a line for each repeat; None where it is unknown.

    Parameters
    ----------
    by_class : dict
        {class: [history of each repeat]}, as in `gan_histories`.
    quantity : str
        Key of the entries, such as "score".
    """
    known = {
        name: [history for history in histories if any(_is_number(entry.get(quantity)) for entry in history)]
        for name, histories in by_class.items()
    }
    if not any(known.values()):
        return None
    figure = _figure(PANEL, 2.6)
    kept_steps = {name: [kept_step(history) for history in histories] for name, histories in known.items()}
    display = TrainingHistoryDisplay(known, kept_steps=kept_steps)
    _retitle(display.plot(ax=figure.subplots(), quantities=[quantity]).ax_, "")
    return figure


def _is_number(value):
    return isinstance(value, int | float) and np.isfinite(value)


@styled
def draw_vector(values, title, colour=CLASS_COLOURS[0]):
    """Draw the feature vector of one image."""
    figure = _figure(WIDTH, 1.55)
    axis = figure.subplots()
    axis.vlines(np.arange(len(values)), 0, values, color=colour, linewidth=0.7)
    axis.set_title(title, loc="left")
    axis.set(xlabel="Feature", ylabel="Value", xlim=(-1, len(values)))
    axis.yaxis.set_major_locator(MaxNLocator(3))
    return figure


@styled
def draw_map(points, labels, kinds, classes, treatment_names):
    """Draw the embedding map: a colour for each class, dots for real images and crosses for synthetic ones.

    Parameters
    ----------
    points : ndarray of shape (n, 2)
        Where each image lies.
    labels : ndarray of shape (n,)
        Class of each.
    kinds : ndarray of shape (n,)
        0 for real, else 1 + place among `treatment_names`.
    classes : sequence of str
        Names of the classes.
    treatment_names : sequence of str
        What people call the treatments.
    """
    figure = _figure(WIDTH, 0.9 * WIDTH)
    present = np.unique(labels)
    display = EmbeddingDisplay(
        points,
        labels,
        np.array(["real", *treatment_names])[kinds],
        display_labels=[classes[label] for label in present],
    )
    axis = display.plot(ax=figure.subplots()).ax_
    axis.set_frame_on(False)
    _retitle(axis, "")
    return figure
