"""The sections on the classes: the metrics of each, and its number of images."""

from .. import _figures as figures
from .._metrics import metric_label
from .._records import row_label, select
from .._tables import values_of
from ._blocks import Cell, Column, Section, Table, table_block, text_block
from ._formatting import mean_of, number_cell
from ._inline import embed


def classes_section(run):
    """Return the section with the metrics of every class; None without finished cells."""
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
    section.fold(f"{len(matrices)} confusion matrices", text_block(about, "quiet"), panels)
    section.fold("Precision, recall and F1 of every class, treatment and classifier", table_block(_class_table(run)))
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
        means = [mean_of(values_of(cells, f"recall_{at}")) for at in range(len(run.classes))]
        body.append([Cell(label), *(number_cell(mean, "{:.3f}".format) for mean in means)])
    columns = [Column("Treatment", False), *(Column(name) for name in run.classes)]
    return Table("Recall of every class, mean over classifiers and repeats", columns, body)


def _class_table(run):
    kinds = {"precision": "Precision", "recall": "Recall", "f1": "F1"}
    body = []
    for name, label in run.labels.items():
        for row in run.rows:
            cells = select(run.finished, row=row, treatment=name)
            for at, of_class in enumerate(run.classes):
                means = [mean_of(values_of(cells, f"{kind}_{at}")) for kind in kinds]
                if cells:
                    numbers = (number_cell(mean, "{:.3f}".format) for mean in means)
                    body.append([Cell(label), Cell(row_label(row, ", ")), Cell(of_class), *numbers])
    words = ("Treatment", "Classifier", "Class")
    columns = [*(Column(word, False) for word in words), *(Column(label) for label in kinds.values())]
    return Table("Mean over the repeats", columns, body)


def counts_section(run):
    """Return the section with the number of images, before and after over-sampling."""
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
