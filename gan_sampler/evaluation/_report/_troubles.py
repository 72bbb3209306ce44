"""The section on what went wrong: failed and missing cells, warnings, images that are often misclassified."""

from .._tables import failed_cells, often_wrong, warnings_table
from ._blocks import Cell, Column, Section, Table, table_block, text_block
from ._formatting import DASH, count_cell, plural


def troubles_section(run):
    """Return the section with failures, warnings and images that were often misclassified."""
    section = Section("troubles", "Failures, warnings and frequent errors")
    failed, alarms = failed_cells(run.records), warnings_table(run.records)
    if failed.empty:
        section.text("No cell failed.")
    else:
        words = ("Treatment", "Classifier", "Split")
        columns = [*(Column(word, False) for word in words), Column("Seed"), Column("Error", False)]
        body = [
            [
                Cell(c.treatment),
                Cell(c.classifier),
                Cell(c.split),
                Cell(str(c.seed), int(c.seed)),
                Cell(c.error, css="long"),
            ]
            for c in failed.itertuples()
        ]
        section.table(Table(f"{plural(len(body), 'cell')} failed, without results", columns, body))
        traces = list(dict.fromkeys(str(trace) for trace in failed["traceback"].dropna()))
        if traces:
            section.fold("Tracebacks", *({"kind": "code", "text": trace} for trace in traces))
    if run.missing:
        words = ("Treatment", "Classifier", "Embedder", "Split")
        body = [
            [
                Cell(run.labels.get(cell["treatment"], cell["treatment"])),
                *(Cell(str(cell[name] or DASH)) for name in ("classifier", "embedder", "split")),
                count_cell(cell["seed"]),
            ]
            for cell in run.missing
        ]
        columns = [*(Column(word, False) for word in words), Column("Seed")]
        table = Table(f"{plural(len(body), 'cell')} not computed", columns, body)
        section.fold(table.caption, table_block(table))
    if alarms.empty:
        section.text("There were no warnings.")
    else:
        words = ("Treatment", "Warning", "From", "Message")
        columns = [*(Column(word, False) for word in words), Column("Cells")]
        body = [
            [
                Cell(a["treatment"]),
                Cell(a["category"]),
                Cell(a["from"]),
                Cell(a["message"], css="long"),
                count_cell(a["n_cells"]),
            ]
            for a in alarms.to_dict("records")
        ]
        section.table(Table("Warnings", columns, body))
        numbers = [f"{number} is {name}" for number, name in enumerate(run.classes) if str(number) != name]
        if numbers:
            section.text(f"Messages may name classes by their numbers: {', '.join(numbers)}.", "quiet")
    if run.finished:
        _add_often_wrong(section, run)
    return section


def _add_often_wrong(section, run):
    wrong = often_wrong(run.finished)
    if wrong.empty:
        return
    files = run.manifest.get("filenames") if run.include_real_images else None
    columns = [Column("Row in the data"), *([Column("File", False)] if files is not None else [])]
    columns += [Column("True class", False), Column("Most frequent prediction", False), Column("Wrong in cells")]
    body = [
        [
            count_cell(image.row),
            *([Cell(str(files[image.row]))] if files is not None else []),
            Cell(image.true),
            Cell(image.taken_for),
            Cell(f"{image.n_wrong} of {image.n_cells}", float(image.n_wrong / image.n_cells)),
        ]
        for image in wrong.itertuples()
    ]
    table = Table(
        "Test images that were misclassified by most treatments and classifiers: mislabelled or difficult",
        columns,
        body,
    )
    note = (
        "File names may identify patients and are only shown with real images; predictions.csv.gz has them."
        if not files
        else ""
    )
    section.fold(
        f"{len(body)} images that were misclassified most often", table_block(table), text_block(note, "quiet")
    )
