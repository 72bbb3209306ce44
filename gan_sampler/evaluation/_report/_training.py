"""The section on the training of the generators."""

from ...displays._training_history import words_for
from .. import _figures as figures
from ._blocks import Section
from ._inline import embed


def training_section(run):
    """Return the section with the losses and scores of trainings; None without generators."""
    histories = figures.gan_histories(run.records)
    if not histories:
        return None
    section = Section("training", "How the generators were trained")
    section.text(
        "One line for each repeat; a diamond marks the snapshot that was kept, from which images are drawn. Losses of "
        "a GAN need not decrease, but a loss that goes to zero or diverges while the score rises means that training "
        "failed.",
        "quiet",
    )
    for name, by_class in histories.items():
        section.heading(run.labels[name])
        entries = [entry for found in by_class.values() for history in found for entry in history]
        quantities = [
            q for q in dict.fromkeys(key for entry in entries for key in entry) if q not in ("step", "seconds")
        ]
        ordered = sorted(quantities, key=lambda q: (q != "score", not q.startswith("loss"), q))
        panels = [
            embed(
                figures.draw_history(by_class, quantity),
                f"{words_for(quantity)} of {run.labels[name]} during training",
            )
            for quantity in ordered
        ]
        section.figures(panels[:3], "panels")
        rest = [panel for panel in panels[3:] if panel is not None]
        if rest:
            block = {"kind": "figures", "figures": rest, "css": "panels", "legend": ()}
            section.fold(f"{len(rest)} more quantities", block)
    return section
