"""Tables and figures from the records of a run: results.csv, summary.md and PNG files."""

import numpy as np
import pandas as pd
from figures import (
    SAMPLER_LABELS,
    draw_classes,
    draw_images,
    draw_metrics,
    draw_roc,
    row_key,
    row_label,
    rows_of,
    samplers_of,
)
from grid import versions
from pipelines import count_classes, rarest_class
from sklearn.metrics import precision_recall_fscore_support

METRIC_LABELS = {
    "balanced_accuracy": "Balanced accuracy",
    "f1_weighted": "F1, weighted by class size",
    "f1_minority": "F1, minority class",
    "roc_auc": "ROC-AUC",
    "average_precision": "Average precision, minority class",
    "geometric_mean": "Geometric mean of the recalls",
}
COLUMNS = ["data", "split", "seed", "sampler", "classifier", "embedder", "minority"]
COLUMNS += ["n_train", "n_train_resampled", "n_synthetic"]
TIMES = ["sampler_seconds", "fit_seconds", "predict_seconds"]

_LENGTHS = {
    True: "The networks see equally many images in training whatever the sampler.",
    False: "The networks are trained for equally many epochs, so over-sampling also gives them more steps; the fair "
    "rival of a\nsampler is random over-sampling, which gives as many.",
}
PUBLISHED_N_TRAIN = 5216  # training images of the split that the student report used
# Table 1 of the student report this package started from: precision, recall, F1 and AUC, without and with DCGAN.
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


def write_report(records, experiment, splits, *, command, seconds, n_computed):
    """Write everything a reader wants into the folder of the experiment.

    Parameters
    ----------
    records : list of dict
        Records of the cells that are finished, failed ones included.
    experiment : Experiment
        The data, the preset, the folder.
    splits : list of Split
        All splits of the run.
    command : str
        What the user typed.
    seconds : float
        How long this run took.
    n_computed : int
        How many of the cells this run computed.

    Returns
    -------
    summary : path
        summary.md.
    """
    out = experiment.out
    results_table(records).to_csv(out / "results.csv", index=False)
    good = [record for record in records if record["error"] is None]
    if good:
        predictions_table(good, experiment.data.groups, splits).to_csv(
            out / "predictions.csv.gz", index=False, float_format="%.6g"
        )
    figures = draw_figures(good, experiment, splits) if good else []
    parts = [
        _heading(experiment, splits, command, seconds, n_computed, len(records)),
        _errors(records),
        _metric_tables(good) if good else "No cell finished.",
        _duel(good),
        _published(good, experiment),
        _figure_list(figures),
    ]
    summary = out / "summary.md"
    summary.write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")
    return summary


def results_table(records):
    """Return the tidy table: a row for each cell, its metrics empty where it failed."""
    rows = [
        {column: record.get(column) for column in [*COLUMNS, "n_test", *TIMES]}
        | (record["metrics"] or {})
        | {"error": record["error"], "key": record["key"]}
        for record in records
    ]
    table = pd.DataFrame(rows)
    last = ["error", "key"]
    return table[[column for column in table.columns if column not in last] + last]


def predictions_table(records, groups=None, splits=()):
    """Return a row for each cell and test image: labels, scores, and where there are groups (patients) the group.

    Of two classes ``score`` is that of the minority, of more ``score_0`` and so on are those of each label.
    """
    test = {(split.name, split.seed): split.test for split in splits}
    tables = []
    for record in records:
        scores = np.asarray(record["scores"])
        columns = {"key": record["key"], "image": np.arange(len(scores))}
        if groups is not None:
            columns["group"] = np.unique(groups[test[record["split"], record["seed"]]], return_inverse=True)[1]
        columns |= {"y_true": record["y_true"], "y_pred": record["y_pred"]}
        if len(record["classes"]) == 2:
            columns["score"] = scores[:, record["classes"].index(record["minority"])]
        else:
            columns |= {f"score_{label}": scores[:, i] for i, label in enumerate(record["classes"])}
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables)


def metric_table(records, metric):
    """Return a table of mean ± standard deviation over seeds and folds; classifiers down, samplers across."""
    samplers = samplers_of(records)
    table = []
    for row in rows_of(records):
        values = {sampler: _values(records, row, sampler, metric) for sampler in samplers}
        best = max((np.mean(found) for found in values.values() if found), default=None)
        cells = {SAMPLER_LABELS[sampler]: _cell(values[sampler], best) for sampler in samplers}
        table.append({"classifier": row_label(row), **cells})
    return pd.DataFrame(table)


def _values(records, row, sampler, metric):
    found = [
        record["metrics"][metric]
        for record in records
        if row_key(record) == row_key(row) and record["sampler"] == sampler
    ]
    return [value for value in found if value is not None]


def _cell(values, best):
    if not values:
        return "-"
    text = f"{np.mean(values):.3f}"
    if len(values) > 1:
        text += f" ± {np.std(values, ddof=1):.3f}"
    return f"**{text}**" if np.mean(values) == best else text


def _markdown(table):
    align = ["left"] + ["right"] * (table.shape[1] - 1)
    return table.to_markdown(index=False, colalign=align, disable_numparse=True)


def _heading(experiment, splits, command, seconds, n_computed, n_cells):
    data, first = experiment.data, splits[0]
    minority = data.target_names[rarest_class(data.target[first.train])]
    size = " x ".join(map(str, data.images.shape[1:]))
    kinds = {split.name for split in splits}
    how = {
        "official": "the split that came with the data (its validation images, if any, are in neither part)",
        "random": "a stratified quarter for testing, drawn anew for each seed",
    }.get(first.name, f"{len(kinds)} cross-validation folds over all images, drawn anew for each seed")
    if data.groups is not None and first.name != "official":
        how += "; images of one group (patient) stay together"
    seeds = sorted({split.seed for split in splits})
    version_list = ", ".join(f"{name} {version}" for name, version in versions().items())
    embedders = "\n".join(f"- Embedder `{embedding.name}`: {embedding.about}" for embedding in experiment.embeddings)
    return f"""# {data.name}: does over-sampling help?

- Command: `{command}`
- Data: {len(data.target):,} images of {size}; rarest class in training, and the positive one below: {minority}
- Training images: {_counts(data, first.train)}
- Test images: {_counts(data, first.test)}
- Split: {how}. Seeds: {", ".join(map(str, seeds))}
- Versions: {version_list}
{embedders}
- This run took {_duration(seconds)} and computed {n_computed} of {n_cells} cells; the others were kept from before.

Values are mean ± standard deviation over seeds and folds, bold the best mean of a row; a difference smaller than the
spread says nothing. On a split that came with the data, the spread is that of training alone: it leaves out that other
test images would have given other numbers. Metrics come from all test predictions of a cell at once, areas from scores.
{_LENGTHS[experiment.preset.equal_length]}
Thresholds are tuned in folds of training images that know nothing of patients; there, networks see fewer images in
proportion.

In `results.csv`, work that cells share (a GAN, an embedding, fine-tuning) is counted in `fit_seconds` or
`predict_seconds` of the cell that did it first; `sampler_seconds` is what the resampling took then, without GANs that
another sampler had trained before. `n_synthetic`
counts images or feature rows that were made; random over-sampling only copies, so it has none."""


def _counts(data, rows):
    counts = count_classes(data.target[rows])
    named = ", ".join(f"{data.target_names[label]} {count:,}" for label, count in counts.items())
    return f"{len(rows):,} ({named})"


def _duration(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def _errors(records):
    failed = [record for record in records if record["error"] is not None]
    if not failed:
        return ""
    lines = [f"- {_cell_name(record)}: {_one_line(record['error'])}" for record in failed]
    return "\n".join([f"## {len(failed)} cells failed, and are tried again by the next run", "", *lines])


def _cell_name(record):
    sampler = SAMPLER_LABELS[record["sampler"]]
    return f"{sampler}, {row_label(record)}, {record['split']} split, seed {record['seed']}"


def _one_line(text):
    return " ".join(text.split())


def _metric_tables(records):
    tables = [f"### {label}\n\n{_markdown(metric_table(records, name))}" for name, label in METRIC_LABELS.items()]
    return "\n\n".join(["## Results", *tables])


def duel_table(records):
    """Return how DCGAN did against each rival: mean paired difference, and in how many cells it was ahead."""
    place = ("split", "seed", "classifier", "embedder")
    dcgan = {tuple(r[name] for name in place): r for r in records if r["sampler"] == "dcgan"}
    table = []
    for rival in samplers_of(records):
        pairs = [
            (dcgan[key]["metrics"], record["metrics"])
            for record in records
            if record["sampler"] == rival != "dcgan" and (key := tuple(record[name] for name in place)) in dcgan
        ]
        if pairs:
            row = {"DCGAN against": SAMPLER_LABELS[rival]}
            for metric in ("balanced_accuracy", "roc_auc", "average_precision"):
                row[METRIC_LABELS[metric]] = _compare(pairs, metric)
            table.append(row)
    return pd.DataFrame(table)


def _compare(pairs, metric):
    differences = [
        ours[metric] - theirs[metric] for ours, theirs in pairs if None not in (ours[metric], theirs[metric])
    ]
    if not differences:
        return "-"
    return f"{np.mean(differences):+.3f} (ahead in {sum(d > 0 for d in differences)} of {len(differences)})"


def _duel(records):
    table = duel_table(records)
    if table.empty:
        return ""
    about = "Mean difference over all classifiers, seeds and folds; above 0 speaks for DCGAN."
    return f"## Did DCGAN help?\n\n{about}\n\n{_markdown(table)}"


def is_published_split(record):
    """Return whether a cell was trained on all the images that the student report was."""
    return record["split"] == "official" and record["n_train"] == PUBLISHED_N_TRAIN


def _published(records, experiment):
    """Set our numbers beside the published ones, each computed as it was there."""
    names = [name.upper() for name in experiment.data.target_names]
    on_same_split = all(is_published_split(record) for record in records)
    if names != ["NORMAL", "PNEUMONIA"] or not on_same_split:
        return ""
    table = []
    for row in rows_of(records):
        for sampler in ("none", "dcgan"):
            found = [r for r in records if row_key(r) == row_key(row) and r["sampler"] == sampler]
            if found:
                ours = np.mean([as_published(record, names.index("PNEUMONIA")) for record in found], axis=0)
                theirs = PUBLISHED[row["classifier"], sampler]
                values = {
                    name: f"{our:.3f} ({their:.3f})"
                    for name, our, their in zip(("precision", "recall", "F1", "AUC"), ours, theirs, strict=True)
                }
                table.append({"classifier": row_label(row), "sampler": SAMPLER_LABELS[sampler], **values})
    if not table:
        return ""
    about = (
        "In brackets: Table 1 of the student report this package started from, which had 128 px and ImageNet weights. "
        "Computed in its way: precision, recall and F1 weighted by class size, for "
        "DenseNet121 of the class PNEUMONIA alone; AUC of tree, forest and SVM from hard labels, which makes it "
        "balanced accuracy."
    )
    return f"## Beside the student report\n\n{about}\n\n{_markdown(pd.DataFrame(table))}"


def as_published(record, pneumonia):
    """Return precision, recall, F1 and AUC of a record as the student report computed them for its classifier."""
    metrics = record["metrics"]
    if record["classifier"] == "densenet121":
        of_class = precision_recall_fscore_support(
            record["y_true"], record["y_pred"], labels=[pneumonia], average=None, zero_division=0
        )
        return (*(float(value[0]) for value in of_class[:3]), metrics["roc_auc"])
    auc = "balanced_accuracy" if record["embedder"] else "roc_auc"
    return tuple(metrics[name] for name in ("precision_weighted", "recall_weighted", "f1_weighted", auc))


def draw_figures(records, experiment, splits):
    """Draw all figures that the records allow, and return their file names with what they show."""
    data, out = experiment.data, experiment.out
    minority = rarest_class(data.target[splits[0].train])
    name = data.target_names[minority]
    draw_roc(records, name, out / "roc.png")
    draw_metrics(records, out / "metrics.png")
    draw_classes(records, data.target_names, out / "classes.png")
    drawn = {
        "roc.png": "ROC curves of the minority class.",
        "metrics.png": "Precision, recall, F1 and AUC with and without over-sampling.",
        "classes.png": "Training images of each class before and after over-sampling.",
    }
    split = next((s for s in splits if experiment.examples_file(s, "dcgan").exists()), None)
    if split is not None:
        rows = split.train[data.target[split.train] == rarest_class(data.target[split.train])]
        real = data.images[np.random.RandomState(0).permutation(rows)[:16]]
        made = {
            f"{SAMPLER_LABELS[sampler]}, {name}": np.load(experiment.examples_file(split, sampler))
            for sampler in ("dcgan", "augmentation", "smote")
            if experiment.examples_file(split, sampler).exists()
        }
        draw_images({f"Synthetic, {name}": made[f"DCGAN, {name}"]}, out / "synthetic.png", n_lines=4)
        draw_images({f"Real, {name}": real, **made}, out / "real_and_synthetic.png")
        drawn["synthetic.png"] = "Images drawn by DCGAN; no real image in it."
        drawn["real_and_synthetic.png"] = (
            "**Shows real images**, and augmented or interpolated ones that are close to real; mind their licence and "
            "privacy before passing it on."
        )
    return drawn


def _figure_list(figures):
    if not figures:
        return ""
    return "## Figures\n\n" + "\n\n".join(f"{about}\n\n![{name}]({name})" for name, about in figures.items())
