"""gan-sampler train: a folder of images in, a file out that draws more of them."""

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from gan_sampler.cli._group import tell
from gan_sampler.cli._options import (
    RUN,
    TRAINING,
    Device,
    ImageSize,
    Json,
    MaxTime,
    Seed,
    SkipUnreadable,
    Source,
    Steps,
    failures,
    training_as_text,
)
from gan_sampler.folders._samplers import IN_FILES, SAMPLERS


def train(
    context: typer.Context,
    source: Source,
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="File to write, such as scans.safetensors.", show_default=False),
    ],
    sampler: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="; ".join(f"{name}: {SAMPLERS[name]}" for name in IN_FILES) + ".",
            autocompletion=lambda: list(IN_FILES),
            rich_help_panel=TRAINING,
        ),
    ] = "dcgan",
    label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Class to learn; once for each.",
            show_default="all classes",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    image_size: ImageSize = None,
    skip_unreadable: SkipUnreadable = False,
    max_time: MaxTime = None,
    n_steps: Steps = None,
    seed: Seed = 0,
    device: Device = "auto",
    checkpoint_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where unfinished trainings are kept.",
            show_default="FILE.checkpoints, removed at the end",
            rich_help_panel=RUN,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace FILE where it exists.", rich_help_panel=RUN)
    ] = False,
    as_json: Json = False,
):
    """Train a GAN on each class of a folder, and write what draws images to one file.

    The file is safetensors: it holds no training image, and nothing that runs when it is read. gan-sampler sample draws
    images from it, and gan-sampler info tells what is in it. A run that was interrupted goes on when the same command
    is given again.

    For example:
      gan-sampler train scans scans.safetensors --image-size 64 --max-time 1h
      gan-sampler train scans cysts.safetensors --label cyst --n-steps 10000
      gan-sampler sample scans.safetensors more --n 100 --label cyst

    Exit status: 0 when the file is written, 1 when training failed, 2 when the command line, its input or its output
    cannot be used, 130 when interrupted.
    """
    from gan_sampler.folders._train import FolderTraining

    training = FolderTraining(
        source,
        file,
        sampler=sampler,
        labels=label or None,
        image_size=image_size,
        max_time=max_time,
        n_steps=n_steps,
        device=device,
        seed=seed,
        checkpoint_dir=checkpoint_dir,
        overwrite=overwrite,
        skip_unreadable=skip_unreadable,
    )
    command = shlex.join(["gan-sampler", *(context.obj or [])])
    tell("Loading torch and reading the images ...")
    with failures(lambda: f"The same command goes on where training was.\n  {command}"):
        summary = training.run(tell=tell, verbose=sys.stderr.isatty())
    typer.echo(json.dumps(summary) if as_json else _as_text(summary))


def _as_text(summary):
    height, width = summary["image_size"]
    lines = [f"{summary['file']}: {summary['sampler']} of images of {height} x {width}"]
    for label, found in summary["classes"].items():
        told = f"  {label}: learnt from {found['originals']:,} images"
        lines.append(told + (f", {training_as_text(found['training'])}" if found["training"] else ""))
    lines += [f"Warning: {warning}" for warning in summary["warnings"]]
    lines.append(f"To draw images: gan-sampler sample {shlex.quote(summary['file'])} DST --n 100")
    return "\n".join(lines)
