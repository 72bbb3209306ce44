"""The page as a whole: its first screen, and the order of its sections."""

from pathlib import Path

from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from .. import _figures as figures
from .._answer import answer, in_sentence, metric_in_words, question
from .._metrics import METRIC_LABELS
from .._records import repeats_of
from .._store import atomic
from .._tables import signed
from ._blocks import text_block
from ._classes import classes_section, counts_section
from ._curves import calibration_section, curves_section
from ._formatting import TIMES, plural
from ._inline import ON_DARK, embed
from ._original import original_section
from ._pictures import pictures_section
from ._results import all_section, cost_section, tests_section
from ._run import Run
from ._settings import settings_section
from ._training import training_section
from ._troubles import troubles_section


def write_html(path, records, manifest, pictures, *, include_real_images=False):
    """Write the report of a run as one HTML file, which can be viewed offline.

    Parameters
    ----------
    path : path
        The file to write.
    records : list of dict
        Records of the cells, including failed ones; at least one.
    manifest : dict
        Description of the run. Its ``scoring`` is the metric of the answer, its ``missing``, if present, lists planned
        cells without a record.
    pictures : dict of str to ndarray or None
        Pictures from `make_pictures`.
    include_real_images : bool, default=False
        Whether real images, and modified real images, are shown. `make_pictures` must have kept them.

    Raises
    ------
    ValueError
        When there are no records.
    StoreError
        When the file cannot be written; an earlier file is unchanged.
    """
    if not records:
        raise ValueError("records must hold at least one record to report on; got none. Run a cell first.")
    page = render(records, manifest, pictures, include_real_images=include_real_images)
    with atomic(Path(path)) as temporary:
        temporary.write_text(page, encoding="utf-8")


def render(records, manifest, pictures, *, include_real_images=False):
    """Return the report as a string; for parameters see `write_html`."""
    run = Run(records, manifest, pictures or {}, include_real_images)
    sections = [
        all_section(run),
        tests_section(run),
        classes_section(run),
        curves_section(run),
        calibration_section(run),
        cost_section(run),
        counts_section(run),
        pictures_section(run),
        training_section(run),
        original_section(run),
        troubles_section(run),
        settings_section(run),
    ]
    environment = Environment(
        loader=PackageLoader("gan_sampler.evaluation"), autoescape=select_autoescape(), trim_blocks=False
    )
    return environment.get_template("report.html").render(
        name=manifest["name"],
        question=question(records),
        answer=answer(records, manifest, run.metric, tests=run.tests),
        about=_about(run),
        first_figure=_first_figure(run),
        sections=[section for section in sections if section is not None],
        colours={
            "light": Markup("".join(f"--c-{c[1:]}:{c};" for c in ON_DARK)),
            "dark": Markup("".join(f"--c-{c[1:]}:{dark};" for c, dark in ON_DARK.items())),
        },
    )


def _about(run):
    n_rows, n_repeats = len(run.rows), len(repeats_of(run.records))
    shape = TIMES.join(str(size) for size in run.manifest["shape"][1:3])
    lines = [
        text_block(
            f"Judged by {in_sentence(run.metric_label)}: {metric_in_words(run.records, run.metric)}. "
            f"{run.manifest['name']}: {run.manifest['shape'][0]:,} images of {shape} pixels; "
            f"{plural(n_rows, 'classifier')}, {plural(n_repeats, 'repeat')} (seeds and splits). "
            f"Split: {run.manifest['split_about']}",
            "quiet",
        )
    ]
    has_groups = any(record["groups"] is not None for record in run.finished)
    lines.append(text_block(run.manifest["groups_about"], "quiet" if has_groups else "alarm"))
    return lines


def _first_figure(run):
    if not run.can_test:
        return None
    label = METRIC_LABELS.get(run.metric, run.metric)
    caption = (
        "Mean difference to doing nothing over all classifiers, with its 95 % confidence interval. Significant means p "
        "below .05 after Holm's correction; the intervals are not corrected."
    )
    if len(run.room):
        caption += " The dotted line is the mean gain of all real images, a reference and no treatment."
    words = "; ".join(
        f"{test.treatment_label} {signed(test.difference)}, {figures.verdict(test, run.metric).words}"
        for test in run.tests.itertuples()
    )
    return embed(
        figures.draw_gains(run.tests, run.metric, room=run.room),
        f"Gain of every treatment over doing nothing in {label}: {words}.",
        caption,
        "wide",
    )
