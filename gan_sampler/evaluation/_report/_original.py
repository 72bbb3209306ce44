"""The section that sets a run beside the original report."""

from .._tables import PUBLISHED_MEASURES, published_table
from ._blocks import Cell, Column, Section, Table
from ._formatting import count_cell, number_cell


def original_section(run):
    """Return the section with Table 1 of the original report; None for other data."""
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
            body[-1] += [number_cell(row.ours, "{:.4f}".format), number_cell(row.published, "{:.4f}".format)]
        body[-1].append(count_cell(row.n))
    columns = [Column(word, False) for word in ("Classifier", "Treatment")]
    columns += [Column(word) for measure in PUBLISHED_MEASURES for word in (measure, "original")]
    section.table(Table("Table 1 of the original report beside this run", [*columns, Column("Seeds")], body))
    for note in run.manifest.get("notes", ()):
        section.text(note)
    return section
