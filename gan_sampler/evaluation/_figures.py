"""Figures of a run, as PNG files."""

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from pipelines import CLASSIFIERS, NO_SAMPLER, SAMPLERS
from sklearn.metrics import roc_curve

SAMPLER_LABELS = {
    "none": "none",
    "class_weight": "class weights",
    "threshold": "tuned threshold",
    "random": "random",
    "smote": "SMOTE",
    "adasyn": "ADASYN",
    "augmentation": "augmentation",
    "deep_smote": "DeepSMOTE",
    "dcgan": "DCGAN",
    "dcgan_fair": "DCGAN, every class",
    "conditional": "conditional DCGAN",
    "cyclegan": "CycleGAN",
}
CLASSIFIER_LABELS = {
    "tree": "Decision tree",
    "forest": "Random forest",
    "svm": "SVM",
    "ann": "ANN",
    "cnn": "CNN",
    "densenet121": "DenseNet121",
}
EMBEDDER_LABELS = {
    "resnet18": "ResNet18",
    "resnet18_finetuned": "ResNet18, from scratch",
    "efficientnet_lite0": "EfficientNet-Lite0",
}
# Okabe and Ito's colours, and two of Tol's, told apart by readers who do not see red or green.
COLOURS = {
    "none": "#000000",
    "class_weight": "#999999",
    "threshold": "#F0E442",
    "random": "#E69F00",
    "smote": "#56B4E9",
    "adasyn": "#0072B2",
    "augmentation": "#009E73",
    "dcgan": "#D55E00",
    "dcgan_fair": "#CC79A7",
    "conditional": "#882255",
    "deep_smote": "#44AA99",
    "cyclegan": "#332288",
}
METRICS_SHOWN = {
    "precision_minority": "Precision, minority class",
    "recall_minority": "Recall, minority class",
    "f1_minority": "F1, minority class",
    "roc_auc": "ROC-AUC",
}
_STYLE = {
    "font.size": 12,
    "axes.titlesize": 13,
    "axes.labelsize": 12,
    "legend.fontsize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e5e5e5",
    "axes.axisbelow": True,
    "figure.facecolor": "white",
    "savefig.dpi": 130,
}


def row_key(record):
    """Sort classifiers in their usual order, and embedders within."""
    return CLASSIFIERS.index(record["classifier"]), record["embedder"] or ""


def row_label(record, separator=" on "):
    """Name a classifier together with what it sees."""
    label = CLASSIFIER_LABELS[record["classifier"]]
    return label + separator + EMBEDDER_LABELS[record["embedder"]] if record["embedder"] else label


def rows_of(records):
    """Return one record of every classifier (and embedder), in order."""
    return list({row_key(record): record for record in sorted(records, key=row_key)}.values())


def samplers_of(records):
    """Return the samplers among the records, in order."""
    found = {record["sampler"] for record in records}
    return [sampler for sampler in SAMPLERS if sampler in found]


def _select(records, row, sampler):
    return [record for record in records if row_key(record) == row_key(row) and record["sampler"] == sampler]


def draw_roc(records, minority_name, file):
    """Draw ROC curves: a panel for each classifier, a line for each sampler, the mean over seeds and folds."""
    rows = rows_of(records)
    n_columns = min(3, len(rows))
    n_lines = -(-len(rows) // n_columns)
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(max(4.3 * n_columns, 7), 4.2 * n_lines + 1.1), layout="constrained")
        axes = figure.subplots(n_lines, n_columns, squeeze=False, sharex=True, sharey=True)
        for axis, row in zip(axes.flat, rows, strict=False):
            _draw_roc_panel(axis, records, row)
        for axis in axes.flat[len(rows) :]:
            axis.set_axis_off()
        for axis in axes[-1]:
            axis.set_xlabel("False positive rate")
        for axis in axes[:, 0]:
            axis.set_ylabel("True positive rate")
        handles = [_line_patch(sampler) for sampler in samplers_of(records)]
        figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 7), frameon=False)
        figure.suptitle(f"ROC curves, “{minority_name}” against the rest, mean over seeds")
        figure.savefig(file)


def _draw_roc_panel(axis, records, row):
    grid = np.linspace(0, 1, 201)
    axis.plot([0, 1], [0, 1], color="#bbbbbb", linestyle=":", linewidth=1)
    for sampler in samplers_of(records):
        curves = [_minority_roc(record, grid) for record in _select(records, row, sampler)]
        if curves:
            width = 2.6 if sampler == "dcgan" else 1.5
            style = "--" if sampler in NO_SAMPLER else "-"
            axis.plot(grid, np.mean(curves, axis=0), style, color=COLOURS[sampler], linewidth=width)
    axis.set_title(row_label(row, "\non "))
    axis.set_aspect("equal")
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1.01)


def _minority_roc(record, grid):
    """Return the true positive rates at the false positive rates of `grid`."""
    column = record["classes"].index(record["minority"])
    is_minority = np.asarray(record["y_true"]) == record["minority"]
    false_positives, true_positives, _ = roc_curve(is_minority, np.asarray(record["scores"])[:, column])
    rates = np.interp(grid, false_positives, true_positives)
    rates[0] = 0.0  # interp takes the last of the points at 0; the mean curve shall start in the corner
    return rates


def _line_patch(sampler):
    return Patch(color=COLOURS[sampler], label=SAMPLER_LABELS[sampler])


def draw_metrics(records, file):
    """Draw precision, recall, F1 and AUC as bars: a group for each classifier, a bar for each sampler."""
    rows, samplers = rows_of(records), samplers_of(records)
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(max(1.65 * len(rows) + 1.5, 8), 12), layout="constrained")
        axes = figure.subplots(len(METRICS_SHOWN), 1, sharex=True)
        for axis, (metric, label) in zip(axes, METRICS_SHOWN.items(), strict=True):
            _draw_bars(axis, records, rows, samplers, metric)
            axis.set_title(label, loc="left")
        axes[-1].set_xticks(range(len(rows)), [row_label(row, "\n").replace(", ", ",\n") for row in rows])
        figure.legend(
            handles=[_line_patch(sampler) for sampler in samplers],
            loc="outside upper center",
            ncols=min(len(samplers), max(4, len(rows))),
            frameon=False,
        )
        figure.savefig(file)


def _draw_bars(axis, records, rows, samplers, metric):
    width = 0.84 / len(samplers)
    for place, sampler in enumerate(samplers):
        for position, row in enumerate(rows):
            values = [record["metrics"][metric] for record in _select(records, row, sampler)]
            values = [value for value in values if value is not None]
            if values:
                spread = np.std(values, ddof=1) if len(values) > 1 else None
                x = position + (place - (len(samplers) - 1) / 2) * width
                error = {"elinewidth": 1, "ecolor": "#555555"}
                axis.bar(x, np.mean(values), width * 0.92, yerr=spread, color=COLOURS[sampler], error_kw=error)
    axis.set_ylim(0, 1)
    axis.set_xlim(-0.5, len(rows) - 0.5)
    axis.grid(visible=False, axis="x")


def draw_classes(records, target_names, file):
    """Draw how many training images each class has before and after each sampler."""
    samplers = [name for name in samplers_of(records) if name == "none" or name not in NO_SAMPLER]
    # ADASYN's counts differ between pixels and features, so the last record of a sampler, a network's, is shown.
    shown = [[record for record in sorted(records, key=row_key) if record["sampler"] == name][-1] for name in samplers]
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(max(1.9 * len(samplers), 7) + 1, 5), layout="constrained")
        axis = figure.subplots()
        width = 0.84 / len(target_names)
        for label, name in enumerate(target_names):
            colour = matplotlib.colormaps["cividis"](0.15 + 0.7 * label / max(len(target_names) - 1, 1))
            x = np.arange(len(samplers)) + (label - (len(target_names) - 1) / 2) * width
            after = np.array([record["class_counts_resampled"].get(str(label), 0) for record in shown])
            real = np.minimum(after, [record["class_counts"].get(str(label), 0) for record in shown])
            axis.bar(x, real, width * 0.94, color=colour, label=name)
            axis.bar(x, after - real, width * 0.94, bottom=real, color=colour, alpha=0.45, hatch="///", edgecolor="w")
            if len(target_names) <= 3:
                for at, count in zip(x, after, strict=True):
                    axis.annotate(f"{count:,}", (at, count), (0, 2), textcoords="offset points", ha="center", size=10)
        axis.set_xticks(range(len(samplers)), [SAMPLER_LABELS[name] for name in samplers])
        axis.set_ylabel("Training images")
        axis.grid(visible=False, axis="x")
        axis.margins(y=0.08)
        handles, _ = axis.get_legend_handles_labels()
        handles.append(Patch(facecolor="#aaaaaa", hatch="///", edgecolor="w", label="added by the sampler"))
        figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 6), frameon=False)
        figure.savefig(file)


def draw_images(panels, file, *, n_columns=8, n_lines=2):
    """Draw images in a block for each panel.

    Parameters
    ----------
    panels : dict of str to ndarray of shape (n, H, W) or (n, H, W, C)
        Images under their titles.
    file : path
        Where to write.
    n_columns, n_lines : int
        Size of a block; a panel with fewer images leaves places empty.
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(1.25 * n_columns, (1.25 * n_lines + 0.45) * len(panels)), layout="constrained")
        for block, (title, images) in zip(
            np.atleast_1d(figure.subfigures(len(panels), 1)), panels.items(), strict=True
        ):
            block.suptitle(title, x=0.01, ha="left")
            axes = block.subplots(n_lines, n_columns, gridspec_kw={"wspace": 0.02, "hspace": 0.02})
            low, high = (0, 255) if images.dtype == np.uint8 else (images.min(), images.max())
            for axis in axes.flat:
                axis.set_axis_off()
            for axis, image in zip(axes.flat, images, strict=False):
                axis.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
        figure.savefig(file)
