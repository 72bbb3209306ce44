"""The page that `gan-sampler quality` writes: measures with their meaning, and pictures."""

import os
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, select_autoescape

from gan_sampler.displays._pixels import as_bytes, lay_out, png_data_uri
from gan_sampler.quality._judgement import find_copying, find_notes

_COLUMNS = 8  # images in a line
_SIDE = 72  # pixels that small images are enlarged to
_MEANING = {
    "kid": "Distance between the features of synthetic and real images. Lower is better; compare it with that of "
    "held-out images, not with other data sets.",
    "kid_error": "Standard error of KID.",
    "density": "How closely synthetic images lie among real ones. Low: they look wrong.",
    "precision": "Share of synthetic images that lie among real ones. Low: they look wrong.",
    "recall": "Share of real images that lie among synthetic ones. Low: kinds of images are missing.",
    "coverage": "Share of real images that have a synthetic one near. Low: kinds of images are missing.",
    "coverage_expected": "The coverage that as many real images would have.",
    "spread": "How much synthetic images differ from each other, compared with real ones. Near 0: the generator draws "
    "one image again and again.",
    "auc_pixels": "How well a classifier tells synthetic from real images by their pixels. Near 1: noise or blur marks "
    "them.",
    "auc_features": "The same by features. Near 1: synthetic images can be told by what they show.",
    "near_copies": "Share of synthetic images that are much nearer to a real one than other real images are. High: do "
    "not call them anonymous.",
    "near_copies_among_real": "The same for the real images among each other.",
    "memorisation": "How often a synthetic image is nearer to a training image than a held-out one is. Above 0.5: "
    "training images are copied.",
    "memorisation_p": "Probability of so high a value without memorisation.",
    "utility_synthetic": "How well a classifier that learnt the class from synthetic images recognises real ones.",
    "utility_real": "The same after learning from real images.",
}


def write_page(path, reports, images, about, *, include_real_images=False):
    """Write the page.

    Parameters
    ----------
    path : path-like
        File to write.
    reports : dict of str to QualityReport or str
        Of each class; where it was not measured, why.
    images : dict of str to (ndarray, ndarray)
        Real and synthetic images of each class.
    about : dict
        ``name`` of the synthetic folder, and ``lines`` that say what was compared.
    include_real_images : bool, default=False
        Whether real images, which may be of patients, are shown.
    """
    environment = Environment(loader=PackageLoader("gan_sampler.evaluation"), autoescape=select_autoescape())
    held_out = any(getattr(report, "reference", None) for report in reports.values())
    classes = [
        _class(number, label, report, *images[label], include_real_images)
        for number, (label, report) in enumerate(reports.items())
    ]
    page = environment.get_template("quality.html").render(
        name=about["name"],
        about=about["lines"],
        answer=answer(reports),
        classes=classes,
        held_out=held_out,
        embedder="EfficientNet-Lite0",
        colours={"light": "", "dark": ""},
    )
    part = Path(f"{path}.part")
    part.write_text(page, encoding="utf-8", errors="replace")
    os.replace(part, path)


def answer(reports):
    """Return in one sentence whether the images can be used."""
    measured = [label for label, report in reports.items() if not isinstance(report, str)]
    poor = [label for label in measured if reports[label].is_poor]
    if not measured:
        return "No class could be measured."
    if poor:
        return f"Those of {', '.join(poor)} should not be used."
    if any(any(find_copying(reports[label])) for label in measured):
        return "They can be used for training, but some repeat real images: do not publish them as anonymous."
    if any(any(find_notes(reports[label])) for label in measured):
        return "They may be used for training, but differ clearly from real images: read the notes of each class."
    return "No measure speaks against them. Whether they help a classifier is another question."


def verdict(report):
    """Return what to do with the images of a class."""
    if isinstance(report, str):
        return f"{report}."
    if report.is_poor:
        return f"Do not use these images: {'; '.join(report.faults)}."
    found = [f"They {sign}" for sign in find_copying(report)] + list(find_notes(report))
    auc = max(report.auc_pixels, report.auc_features)
    numbers = f"AUC of real against synthetic {auc:.2f}, recall {report.recall:.2f}, coverage {report.coverage:.2f}"
    if not found:
        return f"No measure speaks against training with them: {numbers}."
    return " ".join([f"They may be used for training, with reservations: {numbers}.", *found])


def in_short(report):
    """Return the same in a few words."""
    if isinstance(report, str):
        return report
    if report.is_poor:
        return "do not use these images"
    if report.near_copies > report.near_copies_among_real and any(find_copying(report)):
        return f"usable for training, but {report.near_copies:.0%} are near-copies of real images"
    if any(find_copying(report)):
        return "usable for training, but nearer to training images than new images would be"
    if any(find_notes(report)):
        return "usable for training with reservations, see the notes"
    return "nothing speaks against training with them"


def _class(number, label, report, X_real, X_synthetic, include_real_images):
    found = {
        "id": f"class-{number}",
        "label": label,
        "verdict": verdict(report),
        "in_short": in_short(report),
        "is_poor": not isinstance(report, str) and report.is_poor,
        "notes": [],
        "groups": [],
        "pictures": [],
    }
    if isinstance(report, str):
        some = X_synthetic[: 2 * _COLUMNS]
        found["pictures"].append(_picture([some[:_COLUMNS], some[_COLUMNS:]], "Synthetic images"))
        return found
    found["notes"] = list(find_notes(report))
    found["caption"] = (
        f"{report.n_synthetic:,} synthetic images against {report.n_real:,} real ones"
        + (f", {report.n_held_out:,} held out" if report.n_held_out else "")
        + (f" and {report.n_rest:,} of other classes" if report.n_rest else "")
    )
    found["groups"] = _groups(report)
    found["pictures"] = list(_pictures(report, X_real, X_synthetic, include_real_images))
    return found


def _groups(report):
    groups = []
    for measure in report._lines:
        value = report.measures[measure.name]
        if value is None:
            continue
        if not groups or groups[-1]["heading"] != measure.heading:
            groups.append({"heading": measure.heading, "rows": []})
        reference = report.reference.get(measure.name)
        groups[-1]["rows"].append(
            {
                "label": measure.label.strip(),
                "synthetic": format(value, measure.digits),
                "held_out": "" if reference is None else format(reference, measure.digits),
                "ideal": measure.ideal,
                "meaning": _MEANING.get(measure.name, ""),
            }
        )
    return groups


def _pictures(report, X_real, X_synthetic, include_real_images):
    rows = report.rows_synthetic
    order = np.argsort(-report.realism, kind="stable")
    step = max(1, len(order) // (2 * _COLUMNS))
    some = X_synthetic[rows[::step][: 2 * _COLUMNS]]
    yield _picture([some[:_COLUMNS], some[_COLUMNS:]], "Synthetic images, evenly taken from all")
    for words, chosen in (("Most plausible", order[:_COLUMNS]), ("Least plausible", order[-_COLUMNS:])):
        lines, caption = [X_synthetic[rows[chosen]]], f"{words} synthetic images"
        if include_real_images:
            lines.append(X_real[report.nearest[chosen]])
            caption += ", each above the real image that is nearest to it"
        yield _picture(lines, caption)


def _picture(lines, caption):
    """Return lines of images as one picture in the page."""
    lines = [images for images in lines if len(images)]
    every = as_bytes(np.concatenate(lines))
    starts = np.cumsum([0, *map(len, lines)])
    cells = {
        (row, column): every[starts[row] + column] for row, images in enumerate(lines) for column in range(len(images))
    }
    picture, _, _ = lay_out(cells)
    factor = max(1, -(-_SIDE // every.shape[1]))
    return {
        "address": png_data_uri(picture, factor),
        "width": factor * picture.shape[1],
        "height": factor * picture.shape[0],
        "caption": caption,
    }
