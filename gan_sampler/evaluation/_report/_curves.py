"""The sections on scores and probabilities: ROC, precision-recall and reliability curves."""

from .. import _figures as figures
from .._records import distinct_labels, row_label
from .._tables import is_defined
from ._blocks import Section
from ._inline import embed, page_colour
from ._results import pivot


def curves_section(run):
    """Return the section with ROC and precision-recall curves; None without scores."""
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
    behind = [{"label": "other treatments", "colour": page_colour(figures.MUTED), "style": "thin"}] if others else []
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


def calibration_section(run):
    """Return the section with reliability curves; None without probabilities."""
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
