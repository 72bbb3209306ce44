"""The tables of "Should you oversample?": from results folders to CSV files, and from these to Markdown.

    python benchmarks/run.py --preset study --data path/to/chest_xray --n-rare 40 --out results/study/rare40
    python benchmarks/run.py --preset study --data path/to/chest_xray --n-rare 100 --out results/study/rare100
    python benchmarks/study.py --collect results/study/*
    python benchmarks/study.py

The first kind of command computes a piece of the study and can be interrupted and repeated; pieces may be run on
different machines, with other seeds, samplers or numbers of rare images. ``--collect`` merges the pieces, also
unfinished ones, into two files:

- ``cells.csv``: one row for each cell, with metrics and seconds;
- ``gains.csv``: differences between treatments with intervals and p-values, and shares of the room to all real images,
  which need the predictions in the folders.

Experiments (data, size and number of rare images) that the files already have and no folder has are kept. Without
``--collect`` nothing but these files is needed.
"""

import argparse
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from gan_sampler.evaluation._metrics import METRIC_LABELS
from gan_sampler.evaluation._records import (
    CLASSIFIER_LABELS,
    competing_labels,
    distinct_labels,
    is_finished,
    references_of,
)
from gan_sampler.evaluation._room import MEAN, room_closed
from gan_sampler.evaluation._statistics import overall_tests, paired_tests
from gan_sampler.evaluation._store import Store
from gan_sampler.evaluation._tables import mean_cost, seconds_of_resampling

METRICS = ("roc_auc", "balanced_accuracy", "f1_weighted")  # whose gains are collected
RIVALS = ("none", "random", "smote")  # that every treatment is tested against
OUT = Path("docs/results/study")
PIECE = ["data", "size", "n_rare"]  # columns that name one experiment
PLACE = ("split", "seed", "treatment", "classifier", "embedder")


class UsageError(Exception):
    """What whoever runs the script can mend."""


@dataclass
class Piece:
    """The merged records of one experiment: the same images, and the same training and test images of each seed."""

    source: str
    splits: dict = field(default_factory=dict)
    records: dict = field(default_factory=dict)  # by place
    settings: dict = field(default_factory=dict)  # the values of each, as text

    def warn_of_mixtures(self, name):
        """Warn of differences that may be those of programs or lengths of training, and not of treatments."""
        kept = self.records.values()
        programs = sorted({record["versions"]["source"] for record in kept})
        found = [f"versions of gan_sampler's code: {', '.join(programs)}"] if len(programs) > 1 else []
        found += [f"values of {key}: {' and '.join(sorted(v))}" for key, v in self.settings.items() if len(v) > 1]
        if found:
            data, size, n_rare = name
            warnings.warn(
                f"The cells of {data}, {size} pixels, {n_rare} rare images are of several "
                f"{'; and of several '.join(found)}. Compute them with one, or collect them into several --out, "
                "unless the differences change no result.",
                stacklevel=2,
            )

    def add(self, manifest, records, store):
        """Add the cells of a command; of two records of one cell, a finished one and then the later one is kept."""
        splits = {name: self.splits.get(name, digest) for name, digest in manifest["splits"].items()}
        if manifest["source"] != self.source or splits != manifest["splits"]:
            raise UsageError(
                f"--collect must name folders whose cells of the same data, size and number of rare images share their "
                f"training and test images; those of {store} differ from those of an earlier folder. Collect them into "
                "another --out."
            )
        self.splits |= splits
        for name, value in manifest["settings"].items():
            self.settings.setdefault(name, set()).add(value)
        for cell in manifest["cells"]:
            record = records.get(cell["key"])
            if record is not None:
                place = tuple(record[name] for name in PLACE)
                self.records[place] = max(record, self.records.get(place, record), key=_worth)


def _worth(record):
    return record["error"] is None, record["date"]


def read_pieces(stores):
    """Return the pieces of a study, by (data, size, n_rare).

    Parameters
    ----------
    stores : sequence of path
        Folders of results.

    Returns
    -------
    pieces : dict of tuple to Piece
        In increasing order.

    Warns
    -----
    UserWarning
        When a piece has cells of several versions of the code, or of several settings.
    """
    pieces = {}
    for store in stores:
        manifests = Store(store).manifests()
        if not manifests:
            raise UsageError(f"--collect must name folders of results; {store} is none. Check the path.")
        records = {record["key"]: record for record in Store(store).records()}
        for manifest in manifests:
            n_rare = min(manifest["class_counts"]["train"].values())
            key = manifest["name"], manifest["shape"][1], n_rare
            pieces.setdefault(key, Piece(manifest["source"])).add(manifest, records, store)
    pieces = {key: pieces[key] for key in sorted(pieces) if pieces[key].records}
    for key, piece in pieces.items():
        embedders = {record["embedder"] for record in piece.records.values() if record["embedder"] is not None}
        if len(embedders) > 1:
            raise UsageError(
                "--collect must name folders with one embedder, since the tables have one column for each classifier; "
                f"the cells of {key[0]}, {key[2]} rare images have {', '.join(sorted(embedders))}. Collect the folders "
                "of each embedder into an --out of its own."
            )
        piece.warn_of_mixtures(key)
    return pieces


def cells_table(pieces):
    """Return one row for each cell: its piece and place, what it trained on, metrics, seconds, error and versions."""
    rows = []
    for piece, found in pieces.items():
        for record in found.records.values():
            seconds = record["seconds"] or {}
            rows.append(
                dict(zip(PIECE, piece, strict=True))
                | {name: record[name] for name in (*PLACE, "treatment_kind", "treatment_label", "n_train")}
                | {name: record[name] for name in ("n_train_resampled", "n_synthetic", "n_test", "ranks")}
                | {metric: (record["metrics"] or {}).get(metric) for metric in METRIC_LABELS}
                | {"resampling_seconds": seconds_of_resampling(record) if seconds else None}
                | {f"{part}_seconds": seconds.get(part) for part in ("embedder", "fit", "predict")}
                | {"error": record["error"], "device": record["device"], "source": record["versions"]["source"]}
            )
    return pd.DataFrame(rows).sort_values([*PIECE, *PLACE], kind="stable")


def gains_table(pieces):
    """Return the tests of every treatment against `RIVALS`, for each classifier and their mean, and shares of the room.

    P-values are corrected for the treatments of a piece, and where they are of single classifiers for the classifiers
    too.
    """
    tables = []
    for piece, found in pieces.items():
        records = [record for record in found.records.values() if is_finished(record)]
        for metric in METRICS:
            labels = competing_labels(records, metric)
            for rival in (rival for rival in RIVALS if rival in labels and len(labels) > 1):
                tests = paired_tests(records, against=rival, metrics=[metric])
                if tests["classifier"].nunique() > 1:
                    overall = overall_tests(records, against=rival, metric=metric).drop(columns="n_classifiers")
                    tests = pd.concat([overall.assign(classifier=MEAN), tests])
                tests = tests.drop(columns="treatment_label")
                if rival == "none":
                    room = room_closed(records, metric=metric)
                    room = room.rename(columns={"low": "share_low", "high": "share_high"})
                    room = room.drop(columns=["treatment_label", "n_repeats", "metric"])
                    tests = tests.merge(room, on=["treatment", "classifier"], how="left")
                tables.append(tests.assign(**dict(zip(PIECE, piece, strict=True)), against=rival))
    table = pd.concat(tables, ignore_index=True)
    first = [*PIECE, "metric", "against", "treatment", "classifier"]
    return table[[*first, *(column for column in table if column not in first)]]


def collect(stores, folder):
    """Write cells.csv and gains.csv of the results in some folders; experiments that no folder has are kept."""
    pieces = read_pieces(stores)
    if not pieces:
        raise UsageError("--collect must name folders with results; no cell has finished yet. Wait for the first.")
    cells = cells_table(pieces)
    _refuse_to_lose_cells(folder / "cells.csv", cells)
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in (("cells.csv", cells), ("gains.csv", gains_table(pieces))):
        kept = _of_other_pieces(folder / name, pieces)
        table = pd.concat([kept, table]).sort_values(PIECE, kind="stable")
        table.to_csv(folder / name, index=False, float_format="%.6g")


def _of_other_pieces(file, pieces):
    """Return the rows of a file that are of none of these pieces."""
    if not file.is_file():
        return None
    known = pd.read_csv(file)
    return known[~pd.MultiIndex.from_frame(known[PIECE]).isin(pieces)]


def _refuse_to_lose_cells(file, cells):
    """Raise an error if a file has cells of these experiments that no folder has."""
    if not file.is_file():
        return
    of_place = [*PIECE, *PLACE]
    known, found = (table[of_place].fillna("") for table in (pd.read_csv(file), cells))
    pieces = set(found[PIECE].itertuples(index=False, name=None))
    places = set(found.itertuples(index=False, name=None))
    lost = [row for row in known.itertuples(index=False, name=None) if row[:3] in pieces and row not in places]
    if lost:
        raise UsageError(
            f"--collect must name all folders of an experiment; {len(lost)} cells in {file} are in none of these, such "
            f"as {', '.join(f'{name} {value}' for name, value in zip(of_place, lost[0], strict=True))}. Name the other "
            "folders, too, or another --out."
        )


# Markdown


def show(cells, gains):
    """Return the tables of the page as Markdown.

    Parameters
    ----------
    cells, gains : DataFrame
        What `collect` wrote.

    Returns
    -------
    text : str
        For every data set an overview of ROC-AUC over all numbers of rare images; then for each number and metric a
        table with the spread over seeds, gains, shares of the room and seconds.
    """
    parts = []
    for (data, size), of_data in cells.groupby(["data", "size"], sort=True):
        parts += [f"## {data}, {size} x {size} pixels", _overview(of_data)]
        for n_rare, piece in of_data.groupby("n_rare"):
            own = gains[(gains["data"] == data) & (gains["size"] == size) & (gains["n_rare"] == n_rare)]
            for metric in METRICS:
                parts += [f"### {METRIC_LABELS[metric]}, {n_rare:,} rare images", _piece_table(piece, own, metric)]
    return "\n\n".join(parts)


def _overview(cells):
    """Return mean ROC-AUC of all treatments, a column for each classifier and number of rare images."""
    cells = cells[cells["error"].isna()]
    labels = distinct_labels(cells.to_dict("records"), "roc_auc")
    columns = [(n, c) for n in sorted(cells["n_rare"].unique()) for c in _classifiers(cells, "roc_auc")]
    head = ["treatment", *(f"{_short(c)}, {n:,} rare" for n, c in columns)]
    body = [
        [label, *(_mean_std(_values(cells[cells["n_rare"] == n], name, c, "roc_auc"), std=False) for n, c in columns)]
        for name, label in labels.items()
    ]
    return _markdown(head, body)


def _piece_table(cells, gains, metric):
    failed = int(cells["error"].notna().sum())
    cells = cells[cells["error"].isna()]
    records = cells.to_dict("records")
    labels, references = distinct_labels(records, metric), references_of(records)
    classifiers = _classifiers(cells, metric)
    of_mean = gains[gains["metric"] == metric]
    if of_mean["classifier"].nunique() > 1:
        of_mean = of_mean[of_mean["classifier"] == MEAN]
    by_rival = {rival: own.set_index("treatment") for rival, own in of_mean.groupby("against")}
    against_none = by_rival.get("none", pd.DataFrame())
    has_room = "share" in against_none and against_none["share"].notna().any()
    head = ["treatment", *map(_short, classifiers), "mean gain (95 % interval)", "p, Holm"]
    head += ["room closed (95 % interval)"] if has_room else []
    body = []
    for name, label in labels.items():
        row = [label, *(_mean_std(_values(cells, name, c, metric)) for c in classifiers)]
        test = against_none.loc[name] if name in against_none.index else None
        if name in references and has_room:
            first = against_none.iloc[0]
            row += [_gain(first["room"], first["room_low"], first["room_high"]), "", ""]
        elif test is None:
            row += ["", "", *([""] if has_room else [])]
        else:
            is_significant = bool(test["is_significant"])
            row += [_gain(test["difference"], test["low"], test["high"], bold=is_significant), _p(test["p_holm"])]
            row += [_share(test)] if has_room else []
        body.append([*row, _seconds(cells[cells["treatment"] == name])])
    text = _markdown([*head, "seconds"], body)
    n_seeds = cells.groupby("treatment")["seed"].nunique()
    notes = [f"{int(n_seeds.max())} seeds"]
    fewer = [f"{label} {n_seeds[name]}" for name, label in labels.items() if n_seeds[name] < n_seeds.max()]
    notes += [f"fewer so far: {', '.join(fewer)}"] if fewer else []
    notes += [f"{failed} cells failed"] if failed else []
    better = _better_than(by_rival, labels, metric)
    return f"{text}\n\n{'; '.join(notes)}.{better}"


def _better_than(by_rival, labels, metric):
    """Return a sentence for every rival but doing nothing: what is significantly better, and what worse, than it."""
    sentences = []
    for rival in (rival for rival in RIVALS[1:] if rival in by_rival):
        found = by_rival[rival]
        found = found[found["is_significant"].astype(bool)]
        for sign, word in ((1, "better"), (-1, "worse")):
            names = [labels[name] for name in found.index[np.sign(found["difference"]) == sign] if name in labels]
            if names:
                sentences.append(f" Significantly {word} than {labels[rival]}: {', '.join(names)}.")
    return "".join(sentences)


def _classifiers(cells, metric):
    """Return the classifiers that have a metric, in the order of tables."""
    needs_ranks = metric == "roc_auc"
    known = list(cells.loc[cells["ranks"] | (not needs_ranks), "classifier"].unique())
    order = [*CLASSIFIER_LABELS, *known]
    return sorted(known, key=order.index)


def _values(cells, treatment, classifier, metric):
    return cells.loc[(cells["treatment"] == treatment) & (cells["classifier"] == classifier), metric].dropna()


def _short(classifier):
    return {"svm": "SVM", "cnn": "CNN", "ann": "ANN", "densenet121": "DenseNet121"}.get(classifier, classifier)


def _number(value, sign=""):
    """Format a number below 1 without its leading zero, as in the pages; 0 has no sign."""
    text = f"{value:{sign}.3f}"
    return text.replace("0.", ".", 1) if float(text) else ".000"


def _mean_std(values, std=True):
    if values.empty:
        return ""
    return _number(values.mean()) + (f" ± {_number(values.std())}" if std and len(values) > 1 else "")


def _gain(value, low, high, bold=False):
    text = f"**{_number(value, '+')}**" if bold else _number(value, "+")
    return text + (f" ({_number(low, '+')} to {_number(high, '+')})" if np.isfinite(low) else "")


def _share(test):
    if np.isnan(test["share_low"]):
        return ""
    low, high = (f"{v:.0%}" if np.isfinite(v) else "no limit" for v in (test["share_low"], test["share_high"]))
    return f"{test['share']:.0%} ({low} to {high})".replace("%", " %")


def _p(value):
    if np.isnan(value):
        return ""
    return "< .001" if value < 0.001 else f"{value:.3f}".removeprefix("0")


def _seconds(cells):
    """Return the mean time of resampling, counted once for all classifiers of a seed; empty if there is none."""
    found = mean_cost(cells.rename(columns={"resampling_seconds": "seconds"}))
    return "" if not found or np.isnan(found) else f"{found:.1f}" if found < 10 else f"{found:,.0f}"


def _markdown(head, body):
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |".replace("  ", " ") for line in lines)


def main(argv=None):
    """Collect, or print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collect", nargs="+", type=Path, metavar="FOLDER", help="merge the results in these folders")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the CSV files (default: %(default)s)")
    options = parser.parse_args(argv)
    try:
        if options.collect:
            collect(options.collect, options.out)
        files = [options.out / name for name in ("cells.csv", "gains.csv")]
        if not all(map(Path.is_file, files)):
            raise UsageError(f"--out must hold cells.csv and gains.csv; {options.out} does not. Use --collect first.")
    except UsageError as exc:
        parser.error(str(exc))
    print(show(*map(pd.read_csv, files)))


if __name__ == "__main__":
    main()
