"""The section on the images: real, synthetic, their distances, features and map."""

import numpy as np

from ...displays import SyntheticImagesDisplay
from ...displays._pixels import as_bytes, lay_out
from .. import _figures as figures
from .._answer import is_close_to_real
from ._blocks import Cell, Column, Section, Table
from ._formatting import number_cell
from ._inline import embed, embed_images

_SHOWN_COLUMNS = 8  # images in a row of a picture


def pictures_section(run):
    """Return the section with the images that the run kept."""
    section = Section("pictures", "Real and synthetic images")
    kept = run.pictures
    if not kept:
        section.text("No images of this run were kept: no treatment generated any, or they were not requested.")
        return section
    names = [str(name) for name in kept["treatments"]]
    labels = {name: run.labels.get(name, name) for name in names}
    shows_real = run.include_real_images and "real_images" in kept
    if not shows_real:
        section.text(_why_no_real(run, kept))
    classes = [str(name) for name in kept["classes"]]
    if shows_real:
        section.heading("Real images")
        for label, name in enumerate(classes):
            own = as_bytes(kept["real_images"][kept["real_labels"] == label][:_SHOWN_COLUMNS])
            if len(own):
                picture, _, _ = lay_out({(0, column): image for column, image in enumerate(own)})
                about = f"Real training images of class {name}"
                section.figures([embed_images(picture, own.shape[1], about, f"Real: {name}.")])
    hidden = []
    for place, name in enumerate(names):
        if is_close_to_real(name) and not run.include_real_images:
            hidden.append(labels[name])
        else:
            _add_synthetic(section, run, place, labels[name], classes, shows_real)
    if hidden:
        section.text(
            "Not shown, because their images are, or may be, modified real images, which show a patient: "
            f"{', '.join(hidden)}.",
            "quiet",
        )
    if names:
        section.table(_nearest_table(run, labels, classes))
    _add_vectors(section, run, labels, classes)
    if "map" in kept:
        figure = figures.draw_map(
            kept["map"], kept["map_labels"], kept["map_kinds"], classes, [labels[name] for name in names]
        )
        about = "Map of real and synthetic images: similar images are close to each other"
        caption = (
            f"{about} (principal components of {kept['space']}, then t-SNE; distances between clusters have no "
            "meaning). Crosses of a class away from its dots are synthetic images that differ from real ones."
        )
        section.heading("Map of real and synthetic images")
        section.figures([embed(figure, about, caption, "wide")])
    return section


def _why_no_real(run, kept):
    if run.include_real_images:
        return (
            "No real images are shown, although they were requested: the run has not kept any. Request them at the "
            "start of the run."
        )
    return (
        "No real images are shown, because they may be images of patients. Request them (--include-real-images) if "
        "this is permitted."
    )


def _add_synthetic(section, run, place, label, classes, shows_real):
    kept = run.pictures
    if f"images_{place}" not in kept:
        return
    section.heading(label)
    for at, name in enumerate(classes):
        own = kept[f"labels_{place}"] == at
        if not own.any():
            continue
        made, nearest = kept[f"images_{place}"][own], None
        caption = f"Synthetic: {name}."
        if shows_real:
            made, nearest = made[:_SHOWN_COLUMNS], [kept[f"nearest_images_{place}"][own][:_SHOWN_COLUMNS]]
            caption = f"Synthetic: {name}; beneath each its nearest real training image."
        caption += run.counterpart("synthetic samples")
        picture = SyntheticImagesDisplay([made], nearest=nearest).montage(_SHOWN_COLUMNS)
        about = f"Synthetic images of class {name} from {label}"
        section.figures([embed_images(picture, made.shape[1], about, caption)])


def _nearest_table(run, labels, classes):
    """Return the distances of synthetic images to real ones, beside those between real ones."""
    kept, body = run.pictures, []
    for place, name in enumerate(labels):
        for at, of_class in enumerate(classes):
            own = kept[f"labels_{place}"] == at
            if own.any():
                distances, typical = kept[f"distance_{place}"][own], float(kept["real_distance"][at])
                n_near = int((distances < typical / 2).sum())
                body.append(
                    [
                        Cell(labels[name]),
                        Cell(of_class),
                        number_cell(float(np.median(distances)), "{:.3g}".format),
                        number_cell(typical, "{:.3g}".format),
                        Cell(f"{n_near} of {own.sum()}", n_near),
                    ]
                )
    columns = [
        Column("Treatment", False),
        Column("Class", False),
        Column("Synthetic to nearest real"),
        Column("Real to nearest other real"),
        Column("Nearer than half of that"),
    ]
    where = f"in {kept['space']}"
    return Table(
        f"Median distance to the nearest real training image, {where}; small distances indicate copies",
        columns,
        body,
    )


def _add_vectors(section, run, labels, classes):
    kept = run.pictures
    if "vectors" not in kept:
        return
    names, found = list(labels), []
    for vector, label, kind in zip(kept["vectors"], kept["vectors_labels"], kept["vectors_kinds"], strict=True):
        what = "real" if kind == 0 else labels[names[kind - 1]]
        title = f"{classes[label]}, {what}"
        colour = figures.CLASS_COLOURS[label % len(figures.CLASS_COLOURS)]
        found.append(embed(figures.draw_vector(vector, title, colour), f"Feature vector: {title}", "", "wide"))
    section.heading("Feature vectors")
    section.figures(found[: len(classes)])
    if found[len(classes) :]:
        block = {"kind": "figures", "figures": found[len(classes) :], "css": "stack", "legend": ()}
        section.fold("Feature vectors of synthetic images", block)
    section.text(
        f"The input of a classifier on features for one image of each class, the one nearest to the mean of its class."
        f"{run.counterpart('feature vectors')}",
        "quiet",
    )
