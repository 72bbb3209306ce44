"""The records of a run, and what several sections need of them."""

import numpy as np

from .. import _figures as figures
from .._answer import NOTHING, best_of, is_generator
from .._metrics import METRIC_LABELS, metric_label
from .._records import competing_labels, is_finished, rows_of, treatment_labels
from .._room import room_closed
from .._statistics import overall_tests
from .._tables import PUBLISHED_CLASSES, values_of
from ._inline import page_colour


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
    def metric_label(self):
        """The name of the metric of the answer in words."""
        return metric_label(self.metric, self.classes) if self.metric in METRIC_LABELS else self.metric

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
                "colour": page_colour(figures.colour_of(name, list(self.labels))),
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
