"""gan-sampler quality: how good synthetic images are."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from gan_sampler.cli._group import tell
from gan_sampler.cli._options import Device, Json


def quality(
    real: Annotated[
        Path,
        typer.Argument(
            metavar="REAL", help="Folder of the real images that the generator learnt from.", show_default=False
        ),
    ],
    synthetic: Annotated[
        Path,
        typer.Argument(
            metavar="SYNTHETIC",
            help="Folder of synthetic images, such as what balance or sample wrote. Of a balanced folder, only "
            "synthetic images count.",
            show_default=False,
        ),
    ],
    held_out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of real images that the generator never saw; of one with train, val and test, the last two. "
            "With it, memorisation is tested.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Page to write.")] = Path("quality.html"),
    image_size: Annotated[
        int | None,
        typer.Option(
            min=8,
            metavar="PIXELS",
            help="Height and width to compare images at.",
            show_default="that of the synthetic images",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, metavar="INTEGER", help="Chooses images and folds.")] = 0,
    include_real_images: Annotated[
        bool,
        typer.Option("--include-real-images", help="Show real images, which may be of patients, on the page."),
    ] = False,
    device: Device = "auto",
    as_json: Json = False,
):
    r"""Measure the synthetic images of a folder against real ones, and write a page of measures, meaning and pictures.

    Classes are measured one by one, by the names of their folders. It needs at least ten images of each kind, and the
    extra quality: pip install "gan-sampler\[quality]".

    For example:
      gan-sampler quality scans balanced
      gan-sampler quality scans/train balanced --held-out scans/test --out scans.html --json

    Exit status: 0 when the page is written, whatever it says, 2 when the command line, its input or its output cannot
    be used, 130 when interrupted.
    """
    from gan_sampler.folders._quality import FolderQuality

    if not out.parent.is_dir():
        raise FileNotFoundError(f"--out must lie in an existing folder; there is no {str(out.parent)!r}. Make it.")
    measuring = FolderQuality(real, synthetic, held_out, image_size=image_size, device=device, seed=seed)
    tell("Loading torch and reading the images ...")
    from gan_sampler.folders._quality_page import verdict, write_page

    reports, images = measuring.run(tell=tell, verbose=sys.stderr.isatty())
    height, width = next(iter(images.values()))[1].shape[1:3]
    lines = [
        f"Real images: {real}; synthetic images: {synthetic}"
        + (f"; held-out images: {held_out}" if held_out else "")
        + f". Compared at {height} x {width} pixels."
    ]
    if not include_real_images:
        lines.append("Real images are not shown; --include-real-images shows them beside the synthetic ones.")
    told = tuple(f"The synthetic images of {label} " for label in reports)  # which the verdicts say, too
    lines += [warning for warning in measuring.notes.warnings if not warning.startswith(told)]
    name = synthetic.resolve().name
    write_page(out, reports, images, {"name": name, "lines": lines}, include_real_images=include_real_images)
    if as_json:
        typer.echo(json.dumps(_as_json(out, reports, measuring.notes.warnings)))
        return
    for label, report in reports.items():
        typer.echo(f"{label}: {verdict(report)}")
    typer.echo(f"Page: {out}")


def _as_json(out, reports, warnings):
    classes = {}
    for label, report in reports.items():
        if isinstance(report, str):
            classes[label] = {"not_measured": report}
            continue
        classes[label] = {
            "n_real": report.n_real,
            "n_synthetic": report.n_synthetic,
            "n_held_out": report.n_held_out,
            "is_poor": report.is_poor,
            "faults": list(report.faults),
            "measures": dict(report.measures),
            "held_out": dict(report.reference),
        }
    return {"page": str(out), "classes": classes, "warnings": warnings}
