"""Tables of the records of a run: for files, for the terminal, and for the report."""

import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_fscore_support

from ._records import (
    CLASSIFIER_LABELS,
    TREATMENT_LABELS,
    distinct_labels,
    is_finished,
    repeat_key,
    repeats_of,
    row_key,
    row_label,
    rows_of,
    select,
    treatment_labels,
)
from ._store import atomic

TERMINAL_WIDTH = 100
_NARROW = "{:.2f}"
_COLUMNS = ("data", "split", "seed", "treatment", "treatment_kind", "classifier", "embedder")
_SIZES = ("n_train", "n_train_resampled", "n_validation", "n_synthetic", "n_test")
_SECONDS = ("sampler", "embedder", "embedder_new", "fit", "predict")
_SHORT = {
    "Decision tree": "Tree",
    "Random forest": "Forest",
    "Logistic regression": "Logistic",
    "DenseNet121": "DenseNet",
    "EfficientNet-Lite0": "EffNet",
    "ResNet18": "ResNet",
}

PUBLISHED_N_TRAIN = 5216  # training images of the split that the original report used
PUBLISHED_CLASSES = ("NORMAL", "PNEUMONIA")
PUBLISHED_MEASURES = ("Precision", "Recall", "F1", "ROC-AUC")
_OF_PUBLISHED = ("classifier", "treatment", "measure", "ours", "published", "n")
# Table 1 of the report that this package started from: these measures, without and with DCGAN.
PUBLISHED = {
    ("tree", "none"): (0.7539, 0.7324, 0.7004, 0.6594),
    ("tree", "dcgan"): (0.7439, 0.7372, 0.7151, 0.6752),
    ("forest", "none"): (0.7882, 0.7388, 0.6987, 0.6577),
    ("forest", "dcgan"): (0.7858, 0.7500, 0.7182, 0.6761),
    ("svm", "none"): (0.8338, 0.7933, 0.7711, 0.7278),
    ("svm", "dcgan"): (0.8333, 0.7885, 0.7642, 0.7205),
    ("ann", "none"): (0.8123, 0.7484, 0.7079, 0.8418),
    ("ann", "dcgan"): (0.8135, 0.7804, 0.7575, 0.8569),
    ("cnn", "none"): (0.8102, 0.7372, 0.6902, 0.8031),
    ("cnn", "dcgan"): (0.8472, 0.8317, 0.8220, 0.8728),
    ("densenet121", "none"): (0.7647, 1.0000, 0.8667, 0.9074),
    ("densenet121", "dcgan"): (0.7613, 0.9974, 0.8635, 0.9568),
}


def signed(value, digits=3):
    """Format a difference, with a typographic minus sign, and no sign before a zero."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


def percent(value):
    """Format a share in percent, with a typographic minus sign; an infinite one is "no limit"."""
    return f"{value:.0%}".replace("-", "\N{MINUS SIGN}").replace("%", " %") if np.isfinite(value) else "no limit"


def write_tables(folder, records, manifest):
    """Write results.csv, with a row for each cell, and predictions.csv.gz, with a row for each cell and test image.

    Parameters
    ----------
    folder : path
        Folder to write to; created if it does not exist.
    records : list of dict
        Records, including failed cells, which have a row in results.csv with the error and no metrics.
    manifest : dict
        Description of the run; its ``filenames`` are the files of the test images.

    Returns
    -------
    files : list of path
        The written files; predictions.csv.gz is left out if no cell has finished.

    Raises
    ------
    StoreError
        When a file cannot be written; an earlier file is unchanged.
    """
    folder = Path(folder)
    files = [folder / "results.csv"]
    with atomic(files[0]) as temporary:
        results_table(records).to_csv(temporary, index=False)
    finished = [record for record in records if is_finished(record)]
    if finished:
        files.append(folder / "predictions.csv.gz")
        text = predictions_table(finished, manifest.get("filenames")).to_csv(index=False, float_format="%.6g")
        with atomic(files[1]) as temporary:
            temporary.write_bytes(gzip.compress(text.encode(), mtime=0))  # the same bytes for the same table
    return files


def results_table(records):
    """Return a tidy table with a row for each cell; metrics of failed cells are empty."""
    rows = [
        {column: record.get(column) for column in (*_COLUMNS, *_SIZES)}
        | {f"{part}_seconds": (record.get("seconds") or {}).get(part) for part in _SECONDS}
        | {column: record.get(column) for column in ("peak_memory", "sampler_memory")}
        | (record["metrics"] or {})
        | {
            "warnings": "; ".join(f"{found['category']}: {found['message']}" for found in record.get("warnings") or []),
            "error": record["error"],
            "device": record.get("device"),
            "host": record.get("host"),
            "date": record.get("date"),
            "key": record["key"],
        }
        for record in records
    ]
    table = pd.DataFrame(rows)
    last = ["warnings", "error", "device", "host", "date", "key"]
    return table[[column for column in table.columns if column not in last] + last]


def predictions_table(records, filenames=None):
    """Return a table with a row for each finished cell and test image: row in the data, file, group, labels, scores."""
    tables = []
    for record in records:
        rows = np.asarray(record["rows"])
        columns = {"key": record["key"], "row": rows}
        if filenames is not None:
            columns["file"] = np.asarray(filenames)[rows]
        if record["groups"] is not None:
            columns["group"] = record["groups"]
        names = np.asarray(record["classes"])
        columns |= {"y_true": names[record["y_true"]], "y_pred": names[record["y_pred"]]}
        if record["scores"] is not None:
            scores = np.asarray(record["scores"])
            columns |= {f"score_{name}": scores[:, label] for label, name in enumerate(record["classes"])}
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables)


def count_asked(records, missing=None):
    """Return the number of planned cells.

    Parameters
    ----------
    records : list of dict
        Records, including failed cells.
    missing : sequence of dict or None, default=None
        Planned cells without a record. None assumes that all combinations of treatment, classifier and repeat in the
        records were planned.
    """
    if missing is not None:
        return len(records) + len(missing)
    return len(rows_of(records)) * len(treatment_labels(records)) * len(repeats_of(records))


def summarise(records, metric, missing=None):
    """Return mean and standard deviation over the repeats for every treatment and classifier.

    Parameters
    ----------
    records : list of dict
        Records, including failed cells.
    metric : str
        A metric of `METRIC_LABELS`, or of a single class.
    missing : sequence of dict or None, default=None
        As in `count_asked`.

    Returns
    -------
    table : DataFrame
        A row for each treatment with values of its own (see `distinct_labels`) and each classifier (with its embedder),
        with columns treatment, treatment_label, row (from `row_key`), classifier, mean, std (NaN of one repeat), n
        (repeats with a value), n_asked, n_failed.
    """
    n_repeats = len(repeats_of(records))
    absent = Counter((cell["treatment"], cell["classifier"], cell["embedder"]) for cell in missing or ())
    rows = []
    for name, label in distinct_labels(records, metric).items():
        for row in rows_of(records):
            cells = select(records, row=row, treatment=name)
            values = values_of(cells, metric)
            rows.append(
                {
                    "treatment": name,
                    "treatment_label": label,
                    "row": row_key(row),
                    "classifier": row_label(row),
                    "mean": np.mean(values) if values else np.nan,
                    "std": np.std(values, ddof=1) if len(values) > 1 else np.nan,
                    "n": len(values),
                    "n_asked": n_repeats if missing is None else len(cells) + absent[name, *row_key(row)],
                    "n_failed": sum(record["error"] is not None for record in cells),
                }
            )
    return pd.DataFrame(rows)


def values_of(cells, metric):
    """Return the values of a metric of finished cells."""
    values = [record["metrics"].get(metric) for record in cells if is_finished(record)]
    return [value for value in values if value is not None and not np.isnan(value)]


def is_defined(records, row, metric):
    """Return whether a row has the metric; a classifier without scores has no areas."""
    return bool(values_of(select(records, row=row), metric))


def summary_table(records, metric, missing=None):
    """Return means, and standard deviations if they fit, for a terminal of 100 columns and up to 12 classifiers.

    Returns
    -------
    table : DataFrame
        Treatments as rows, classifiers as columns. A cell with incomplete repeats has the suffix ``*``, a cell without
        results is ``-``. ``table.attrs["legend"]`` explains these marks and, if names are too long, the numbers that
        stand for classifiers; it is empty if there are none.
    """
    summary = summarise(records, metric, missing)
    rows = rows_of(records)
    shown = [row for row in rows if is_defined(records, row, metric)] or rows
    numbered = [str(number) for number in range(1, len(shown) + 1)]
    for heads, style in (
        ([row_label(row) for row in shown], "{:.3f} ± {:.3f}"),
        ([_short_label(row, shown) for row in shown], "{:.3f}±{:.3f}"),
        ([_short_label(row, shown) for row in shown], "{:.3f}"),
        (numbered, _NARROW),
    ):
        table = _terminal_table(summary, shown, heads, style)
        if max(map(len, table.to_string().splitlines())) <= TERMINAL_WIDTH:
            break
    cells = summary[summary["row"].isin([row_key(row) for row in shown])]
    table.attrs["legend"] = _legend(cells, dict(zip(heads, map(row_label, shown), strict=True)))
    return table


def _terminal_table(summary, rows, heads, style):
    table = {}
    for head, row in zip(heads, rows, strict=True):
        own = summary[[key == row_key(row) for key in summary["row"]]]
        table[head] = [_terminal_cell(cell, style) for cell in own.itertuples()]
    return pd.DataFrame(table, index=list(summary["treatment_label"].drop_duplicates()))


def _terminal_cell(cell, style):
    if not cell.n:
        return "-"
    only_mean = style[: style.index("}") + 1]
    text = (style if cell.n > 1 else only_mean).format(cell.mean, cell.std)
    text = text.removeprefix("0") if style == _NARROW else text
    return text + ("*" if cell.n < cell.n_asked else "")


def _short_label(row, rows):
    """Return a short name of a classifier, with its embedder only if there are several."""
    classifier = _SHORT.get(row["classifier_label"], row["classifier_label"])
    n_embedders = len({other["embedder"] for other in rows if other["classifier"] == row["classifier"]})
    if n_embedders == 1:
        return classifier
    embedder = row["embedder_label"] or "images"
    return f"{classifier}/{_SHORT.get(embedder, embedder)}"


def _legend(cells, names):
    legend = []
    if all(head.isdigit() for head in names):
        legend.append("; ".join(f"{head}: {name}" for head, name in names.items()))
    if (cells["n"] < cells["n_asked"]).any():
        legend.append(f"*, -: some or all of {cells['n_asked'].max()} repeats have failed, are missing or undefined")
    return legend


# Comparison with the original report on chest X-rays


def is_published_split(record):
    """Return whether a cell was trained on the same images as in the original report."""
    names = tuple(name.upper() for name in record["classes"])
    return names == PUBLISHED_CLASSES and record["split"] == "official" and record["n_train"] == PUBLISHED_N_TRAIN


def published_table(records):
    """Return our results beside the published ones, computed in the same way; empty for other data.

    Every row of the published table is there. One without a cell in this run has NaN as our result, and 0 seeds.

    Returns
    -------
    table : DataFrame
        Columns classifier, treatment, measure, ours (mean over the seeds), published and n (seeds).
    """
    finished = [record for record in records if is_finished(record) and is_published_split(record)]
    if not finished:
        return pd.DataFrame(columns=_OF_PUBLISHED)
    table, labels = [], TREATMENT_LABELS | treatment_labels(records)
    for classifier, treatment in PUBLISHED:
        rows = [row for row in rows_of(finished) if row["classifier"] == classifier]
        for row in rows or [None]:
            cells = [] if row is None else select(finished, row=row, treatment=treatment)
            ours = np.full(len(PUBLISHED_MEASURES), np.nan)
            if cells:
                ours = np.array([as_published(record) for record in cells], dtype=float).mean(axis=0)
            label = CLASSIFIER_LABELS[classifier] if row is None else row_label(row)
            for measure, our, their in zip(PUBLISHED_MEASURES, ours, PUBLISHED[classifier, treatment], strict=True):
                table.append((label, labels[treatment], measure, our, their, len(cells)))
    return pd.DataFrame(table, columns=_OF_PUBLISHED)


def as_published(record):
    """Return precision, recall, F1 and AUC of a record as the original report computed them for its classifier.

    For DenseNet121 they are those of PNEUMONIA, for the others weighted by class size. The AUC of the classifiers on
    features was computed from predicted labels, and so equals the balanced accuracy.
    """
    metrics = record["metrics"]
    if record["classifier"] == "densenet121":
        pneumonia = [name.upper() for name in record["classes"]].index("PNEUMONIA")
        of_class = precision_recall_fscore_support(
            record["y_true"], record["y_pred"], labels=[pneumonia], average=None, zero_division=0
        )
        return (*(float(value[0]) for value in of_class[:3]), metrics["roc_auc"])
    auc = "balanced_accuracy" if record["embedder"] else "roc_auc"
    return tuple(metrics[name] for name in ("precision_weighted", "recall_weighted", "f1_weighted", auc))


def often_wrong(records, n_images=20):
    """Return the test images that were misclassified by most cells.

    Returns
    -------
    table : DataFrame
        Columns row (in the data), true (class), taken_for (the most frequent wrong prediction), n_wrong and n_cells,
        in decreasing order of the share of wrong cells.
    """
    parts = [
        pd.DataFrame({"row": record["rows"], "y_true": record["y_true"], "y_pred": record["y_pred"]})
        for record in records
        if is_finished(record)
    ]
    said = pd.concat(parts)
    said["is_wrong"] = said["y_true"] != said["y_pred"]
    of_rows = said.groupby(["row", "y_true"])["is_wrong"].agg(n_wrong="sum", n_cells="count").reset_index()
    of_rows["share"] = of_rows["n_wrong"] / of_rows["n_cells"]
    worst = of_rows[of_rows["n_wrong"] > 0].sort_values(["share", "n_wrong"], ascending=False, kind="stable")
    worst = worst.head(n_images).reset_index(drop=True)
    names = records[0]["classes"]
    instead = said[said["is_wrong"]].groupby("row")["y_pred"].agg(lambda labels: labels.mode().iloc[0])
    return pd.DataFrame(
        {
            "row": worst["row"],
            "true": [names[label] for label in worst["y_true"]],
            "taken_for": [names[instead[row]] for row in worst["row"]],
            "n_wrong": worst["n_wrong"],
            "n_cells": worst["n_cells"],
        }
    )


def failed_cells(records):
    """Return a row for each cell that failed."""
    columns = ["treatment", "classifier", "split", "seed", "error", "traceback"]
    rows = [
        {
            "treatment": record["treatment_label"],
            "classifier": row_label(record),
            **dict(zip(("split", "seed"), repeat_key(record), strict=True)),
            "error": record["error"],
            "traceback": record.get("traceback"),
        }
        for record in records
        if record["error"] is not None
    ]
    return pd.DataFrame(rows, columns=columns)


def warnings_table(records):
    """Return the warnings of a run, equal ones counted once per cell."""
    columns = ["category", "from", "treatment", "message", "n_cells"]
    rows = [
        {**{name: found[name] for name in ("category", "from", "message")}, "treatment": record["treatment_label"]}
        for record in records
        for found in record.get("warnings") or []
    ]
    if not rows:
        return pd.DataFrame(columns=columns)
    keys = ["category", "from", "treatment", "message"]
    return pd.DataFrame(rows).groupby(keys, sort=False).size().reset_index(name="n_cells")


def cost_table(records):
    """Return time and memory of the resampling of each treatment, counted once for all classifiers of a split.

    Returns
    -------
    table : DataFrame
        Columns treatment, treatment_label, seconds (of resampling and of the features of new images, mean over the
        repeats) and memory (peak of resampling, in bytes; NaN unknown).
    """
    rows = []
    for name, label in treatment_labels(records).items():
        cells = [record for record in select(records, treatment=name) if is_finished(record)]
        of_cells = pd.DataFrame(
            [(*repeat_key(record), record["embedder"], seconds_of_resampling(record)) for record in cells],
            columns=["split", "seed", "embedder", "seconds"],
        )
        memories = [record["sampler_memory"] for record in cells if record.get("sampler_memory")]
        rows.append(
            {
                "treatment": name,
                "treatment_label": label,
                "seconds": mean_cost(of_cells),
                "memory": max(memories, default=np.nan),
            }
        )
    return pd.DataFrame(rows, columns=["treatment", "treatment_label", "seconds", "memory"])


def mean_cost(table):
    """Return the mean time of resampling over the repeats, counted once for all classifiers of a repeat.

    Parameters
    ----------
    table : DataFrame
        A row for each cell of a treatment, with columns split, seed, embedder and seconds.

    Returns
    -------
    seconds : float
        NaN of an empty table. Classifiers of features may resample each for itself, which is the same work: the mean of
        their times counts. Of embedders, and of classifiers of images, the one that takes longest counts.
    """
    of_inputs = table.groupby(["split", "seed", "embedder"], dropna=False)["seconds"].mean()
    return of_inputs.groupby(["split", "seed"]).max().mean()


def seconds_of_resampling(record):
    """Return the time of resampling, with that of the features of new images, of a finished cell, in seconds."""
    seconds = record["seconds"]
    return seconds["sampler"] + seconds.get("embedder_new", 0.0)  # not measured by earlier versions
