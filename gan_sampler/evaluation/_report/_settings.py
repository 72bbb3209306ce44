"""The section on what was run: command, data, settings and versions."""

from .._records import row_label
from ._blocks import Cell, Column, Section, Table, table_block
from ._formatting import TIMES, duration, utc_minute


def settings_section(run):
    """Return the section with the command, what is known of the data, settings and versions."""
    section = Section("settings", "Data, settings and environment")
    manifest = run.manifest
    length = "the same number of images in an epoch" if manifest.get("equal_length") else "every image once in an epoch"
    hosts = sorted({record["host"] for record in run.records if record.get("host")})
    devices = sorted({record["device"] for record in run.records if record.get("device")})
    facts = {
        "Data": manifest["name"],
        "Shape": TIMES.join(map(str, manifest["shape"])),
        "Classes": ", ".join(map(str, manifest["classes"])),
        "Split": manifest["split_about"],
        "Groups": manifest["groups_about"],
        "Training of networks": f"{length}, whatever the treatment",
        "Started": utc_minute(manifest["started"]),
        "Duration": duration(manifest["seconds"]),
        "Jobs, threads of each": f"{manifest['n_jobs']}, {manifest['n_threads']}",
        "Devices": ", ".join(devices) or str(manifest["device"]),
        "Hosts": ", ".join(hosts),
        **{f"Embedder {name}": about for name, about in manifest["embedders"].items()},
        **{f"Note {number}": note for number, note in enumerate(manifest.get("notes", ()), start=1)},
        **manifest["settings"],
    }
    section.heading("Command")
    section.blocks.append({"kind": "code", "text": manifest["command"]})
    section.table(_facts("Data and settings", facts))
    settings = _settings_of_parts(run)
    if settings:
        body = [
            [Cell(part), Cell(name), Cell("; ".join(texts), css="long")] for (part, name), texts in settings.items()
        ]
        columns = [Column(word, False) for word in ("Of", "Parameter", "Value")]
        caption = "As recorded in the cells, without seeds; several values where cells differ"
        section.fold("Settings of treatments and classifiers", table_block(Table(caption, columns, body)))
    section.fold("Versions", table_block(_facts("Packages", manifest["versions"])))
    return section


def _settings_of_parts(run):
    """Return the values of each setting of a treatment or classifier in all cells, without seeds."""
    found = {}
    for record in run.records:
        for name, text in (record.get("settings") or {}).items():
            of_treatment = name.startswith(("sampler", "tunes_threshold"))
            part = run.labels[record["treatment"]] if of_treatment else row_label(record)
            if not name.endswith("random_state"):
                found.setdefault((part, name), {})[str(text)] = None
    return found


def _facts(caption, facts):
    body = [[Cell(str(name)), Cell(str(value), css="long")] for name, value in facts.items() if value not in (None, "")]
    return Table(caption, [Column("What", False), Column("Value", False)], body)
