"""The results of an evaluation, read from its folder: tables, tests, answer and report. Does not import torch."""

from pathlib import Path

import pandas as pd
from markupsafe import escape

from gan_sampler.evaluation import _figures, _report, _room, _statistics, _tables
from gan_sampler.evaluation._answer import NOTHING, answer
from gan_sampler.evaluation._metrics import METRIC_LABELS
from gan_sampler.evaluation._pictures import add_real_images
from gan_sampler.evaluation._records import cells_asked_for, distinct_labels, is_finished, select
from gan_sampler.evaluation._store import Store


def check_metric(name, argument="scoring"):
    """Return the name of a metric of all classes; raise an error for an unknown name."""
    if name not in METRIC_LABELS:
        raise ValueError(f"{argument} must be one of {', '.join(METRIC_LABELS)}; got {name!r}.")
    return name


class Comparison:
    """The results of an evaluation, read from its folder.

    Parameters
    ----------
    store : path-like
        Folder of the evaluation.
    manifest_key : str or None, default=None
        Key of one of its commands; None takes the last one. The records are those of all commands that are comparable
        with it: the same images, splits, settings, versions and type of device.

    Attributes
    ----------
    records : list of dict
        One record for each cell, including failed ones.
    missing : list of dict
        Cells of the command that have no record yet.
    manifest : dict
        Description of the command.

    Raises
    ------
    ValueError
        When the folder does not hold an evaluation, or has no such command.
    """

    def __init__(self, store, manifest_key=None):
        self._store = Store(store)
        manifests = self._store.manifests()
        if not manifests:
            raise ValueError(
                f"store must be the folder of an evaluation, with manifests and cells in it; got {str(store)!r}, which "
                "has none. Check the path."
            )
        by_key = {found["key"]: found for found in manifests}
        if manifest_key is not None and manifest_key not in by_key:
            raise ValueError(f"manifest_key must be one of {', '.join(by_key)}; got {manifest_key!r}.")
        chosen = manifests[-1] if manifest_key is None else by_key[manifest_key]
        asked = cells_asked_for(manifests, chosen)
        records = {record["key"]: record for record in self._store.records()}
        self.records = [records[cell["key"]] for cell in asked if cell["key"] in records]
        self.missing = [
            {name: value for name, value in cell.items() if name != "key"}
            for cell in asked
            if cell["key"] not in records
        ]
        filenames = self._store.read_data_values(chosen["source"])["filenames"]
        self.manifest = {**chosen, "filenames": filenames, "missing": self.missing}

    @property
    def n_failed(self):
        """Number of cells that failed."""
        return sum(record["error"] is not None for record in self.records)

    def table(self, metric=None):
        """Return means, standard deviations and numbers of repeats, with treatments as rows and classifiers as columns.

        Parameters
        ----------
        metric : str or None, default=None
            Name of a metric; None takes `scoring`.

        Returns
        -------
        table : DataFrame
            Columns are pairs of a classifier and ``"mean"``, ``"std"`` or ``"n"``. ``"n"`` is smaller where repeats
            failed or are missing.
        """
        summary = _tables.summarise(self.records, self._metric(metric), self.missing)
        table = summary.pivot_table(
            index="treatment_label", columns="classifier", values=["mean", "std", "n"], sort=False, dropna=False
        )
        table = table.swaplevel(axis="columns")
        classifiers = summary["classifier"].drop_duplicates()
        table = table.reindex(columns=pd.MultiIndex.from_product([classifiers, ["mean", "std", "n"]]))
        return table.astype({column: int for column in table.columns if column[1] == "n"})

    def to_text(self, metric=None):
        """Return the table of a metric as text of at most 100 columns."""
        metric = self._metric(metric)
        table = _tables.summary_table(self.records, metric, self.missing)
        parts = [f"{METRIC_LABELS[metric]} on the test images, mean ± standard deviation", table.to_string()]
        return "\n\n".join([*parts, *table.attrs["legend"]])

    def tests(self, against="none", metrics=None):
        """Return paired tests of every treatment against one, corrected for their number by Holm's method.

        References are not tested, nor is a tuned threshold in metrics that it does not change.

        Parameters
        ----------
        against : str, default="none"
            Name of a treatment.
        metrics : sequence of str or None, default=None
            Names of metrics; None takes balanced accuracy, weighted F1 and ROC-AUC.

        Returns
        -------
        table : DataFrame
            One row for each treatment, classifier and metric, with difference, its 95 % confidence interval (low,
            high), p, p_holm and is_significant; n_missing is the number of repeats that one of the two does not have.
        """
        kept = {} if metrics is None else {"metrics": tuple(check_metric(name, "metrics") for name in metrics)}
        return _statistics.paired_tests(self.records, against=against, **kept)

    def room(self, metric=None):
        """Return the share of the room between doing nothing and all real images that every treatment closes.

        Parameters
        ----------
        metric : str or None, default=None
            Name of a metric; None takes `scoring`.

        Returns
        -------
        table : DataFrame
            One row for each treatment, and each classifier and their mean: ``room`` is the difference between all real
            images and doing nothing, and ``share`` that of the treatment divided by it, with 95 % confidence intervals
            (``room_low``, ``room_high``; ``low``, ``high``, by Fieller's method). They are NaN with fewer than two
            repeats, and those of shares also where the room is not significantly above 0. Empty unless "all_real" is
            among the samplers.
        """
        return _room.room_closed(self.records, metric=self._metric(metric))

    def ranks(self, metric=None):
        """Return the mean rank of every treatment over the classifiers, 1 is best.

        Parameters
        ----------
        metric : str or None, default=None
            Name of a metric; None takes `scoring`.

        Returns
        -------
        table : DataFrame
            Columns ``treatment``, ``treatment_label`` and ``rank``; ``attrs["friedman_p"]`` is the p value of
            Friedman's test.
        """
        return _statistics.ranks(self.records, self._metric(metric))

    def answer(self, metric=None):
        """Return the answer in at most six sentences, which follow from the numbers by fixed rules.

        Parameters
        ----------
        metric : str or None, default=None
            Name of a metric; None takes `scoring`.

        Returns
        -------
        sentences : list of str
            The sentences.
        """
        return answer(self.records, self.manifest, self._metric(metric))

    def wrong(self, treatment=None, classifier=None, n_images=20):
        """Return the test images that were misclassified by most cells.

        Parameters
        ----------
        treatment, classifier : str or None, default=None
            Name of a treatment and of a classifier; None takes all.
        n_images : int, default=20
            Largest number of rows.

        Returns
        -------
        table : DataFrame
            Columns row (in the data), true, taken_for, n_wrong, n_cells and, if known, file.
        """
        records = [
            record
            for record in select(self.records, treatment=treatment)
            if classifier is None or record["classifier"] == classifier
        ]
        table = _tables.often_wrong(records, n_images)
        if self.manifest["filenames"] is not None:
            table["file"] = [self.manifest["filenames"][row] for row in table["row"]]
        return table

    def plot_gains(self, metric=None, against="none"):
        """Plot the mean difference over classifiers of every treatment from another, with 95 % confidence intervals.

        Parameters
        ----------
        metric : str or None, default=None
            Name of a metric; None takes `scoring`.
        against : str, default="none"
            Name of a treatment.

        Returns
        -------
        figure : matplotlib.figure.Figure
        """
        metric = self._metric(metric)
        tests = _statistics.overall_tests(self.records, against=against, metric=metric)
        rival = "doing nothing" if against == NOTHING else self.manifest["treatments"][against]
        return _figures.draw_gains(tests, metric, rival, room=self.room(metric) if against == NOTHING else None)

    def plot_roc(self, classifier, treatments=None, embedder=None):
        """Plot mean ROC curves over the repeats of one classifier, of the rarest class against the rest.

        Parameters
        ----------
        classifier : str
            Name of the classifier.
        treatments : sequence of str or None, default=None
            Names of treatments; None takes all.
        embedder : str or None, default=None
            Name of the embedder, if the classifier was used with several; None takes the first.

        Returns
        -------
        figure : matplotlib.figure.Figure
        """
        return self._plot_curves("roc", classifier, treatments, embedder)

    def plot_precision_recall(self, classifier, treatments=None, embedder=None):
        """Plot mean precision-recall curves of one classifier; the parameters are those of `plot_roc`."""
        return self._plot_curves("precision_recall", classifier, treatments, embedder)

    def _plot_curves(self, kind, classifier, treatments, embedder):
        rows = [
            record
            for record in self.records
            if record["classifier"] == classifier and embedder in (None, record["embedder"]) and is_finished(record)
        ]
        if not rows:
            known = sorted({record["classifier"] for record in self.records})
            raise ValueError(f"classifier must be one of {', '.join(known)} with a finished cell; got {classifier!r}.")
        shown = treatments or list(distinct_labels(self.records, "roc_auc"))
        return _figures.draw_curves(self.records, rows[0], shown, kind)

    def write(self, folder=None, *, include_real_images=False):
        """Write results.csv, predictions.csv.gz and report.html.

        Parameters
        ----------
        folder : path-like or None, default=None
            Folder to write to; None is the folder of the evaluation.
        include_real_images : bool, default=False
            Whether the report may show real images, such as those of patients.

        Returns
        -------
        report : Path
            File of the report.
        """
        folder = self._store.root if folder is None else Path(folder)
        _tables.write_tables(folder, self.records, self.manifest)
        return self.to_html(folder / "report.html", include_real_images=include_real_images)

    def to_html(self, path, *, include_real_images=False):
        """Write the report as one file, which can be viewed offline.

        Parameters
        ----------
        path : path-like
            File to write.
        include_real_images : bool, default=False
            Whether the report may show real images, such as those of patients.

        Returns
        -------
        path : Path
            File of the report.

        Raises
        ------
        ValueError
            When real images are requested but are no longer in the folder.
        """
        path = Path(path)
        pictures = self._store.read_pictures(self.manifest["key"])
        if include_real_images and pictures is not None and "real_images" not in pictures:
            pictures = add_real_images(pictures, self._real_images())
        _report.write_html(path, self.records, self.manifest, pictures, include_real_images=include_real_images)
        return path

    def _real_images(self):
        if not self._store.has_images(self.manifest["source"]):
            raise ValueError(
                "The real images are no longer in the folder, because its cache is limited: run the same command again "
                "with a larger cache_limit, and write the report afterwards."
            )
        return self._store.read_data(self.manifest["source"])[0]

    def _metric(self, metric):
        return self.manifest["scoring"] if metric is None else check_metric(metric, "metric")

    def __repr__(self):
        return (
            f"Comparison of {len(self.manifest['treatments'])} treatments on {len(self.manifest['classifiers'])} "
            f"classifiers, {self.manifest['name']}: {len(self.records)} cells, {self.n_failed} failed, "
            f"{len(self.missing)} missing"
        )

    def _repr_html_(self):
        """Return the answer and the table of the chosen metric, for a notebook."""
        metric = self._metric(None)
        table = _tables.summary_table(self.records, metric, self.missing)
        return f"<p>{escape(' '.join(self.answer()))}</p><p>{METRIC_LABELS[metric]}</p>{table.to_html()}"
