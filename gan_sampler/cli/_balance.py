"""gan-sampler balance: a folder of images in, a balanced folder out."""

import json
import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gan_sampler.cli._group import printable, tell
from gan_sampler.cli._options import (
    IMAGES,
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
from gan_sampler.folders._samplers import SAMPLERS


class OnPoorQuality(StrEnum):
    """What becomes of a class whose synthetic images cannot be used."""

    warn = "warn"
    repeat = "repeat"
    raise_ = "raise"


def balance(
    context: typer.Context,
    source: Source,
    path: Annotated[
        Path, typer.Argument(metavar="DST", help="Folder to make; an existing one must be empty.", show_default=False)
    ],
    sampler: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="; ".join(f"{name}: {what}" for name, what in SAMPLERS.items()) + ".",
            autocompletion=lambda: list(SAMPLERS),
            rich_help_panel=TRAINING,
        ),
    ] = "dcgan",
    strategy: Annotated[
        list[str],
        typer.Option(
            metavar="WORD|RATIO|NAME=NUMBER",
            help="How many images each class shall have. auto: as many as the largest; 0.8: the smaller of two classes "
            "gets 0.8 times as many as the larger; NAME=1000, once for each class: 1,000.",
            rich_help_panel=IMAGES,
        ),
    ] = ("auto",),
    image_size: ImageSize = None,
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="Format of synthetic files, such as png, jpeg or tiff.",
            show_default="that of the originals of the class",
            rich_help_panel=IMAGES,
        ),
    ] = None,
    copy: Annotated[
        bool,
        typer.Option(
            "--copy",
            help="Copy originals. Otherwise they are hard links: no room taken, and they stay when SRC is moved or "
            "deleted, but a program that overwrites a file in DST, or changes its permissions, does so to the "
            "original. On another disk they are copied anyway.",
            rich_help_panel=IMAGES,
        ),
    ] = False,
    skip_unreadable: SkipUnreadable = False,
    max_time: MaxTime = None,
    n_steps: Steps = None,
    seed: Seed = 0,
    on_poor_quality: Annotated[
        OnPoorQuality,
        typer.Option(
            help="What to do where the images of a class cannot be used: write them with a warning, repeat real ones "
            "in their place, or end with status 1.",
            rich_help_panel=TRAINING,
        ),
    ] = OnPoorQuality.warn,
    repeated_share: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SHARE",
            help="Share, from 0 to below 1, of the images added to a class that are repeated real ones, linked as "
            "repeated_NORMAL_000001_seed0.png. A classifier often learns better from both kinds, a "
            "quarter synthetic, than from synthetic ones alone.",
            show_default="0, synthetic images only",
            rich_help_panel=IMAGES,
        ),
    ] = None,
    every_class: Annotated[
        bool,
        typer.Option(
            "--every-class",
            help="Balance with repeated real images, and give every class synthetic ones, a quarter of the number "
            "of the largest class: then a classifier cannot tell the class by what marks synthetic images.",
            rich_help_panel=IMAGES,
        ),
    ] = False,
    device: Device = "auto",
    checkpoint_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where unfinished trainings are kept.",
            show_default="DST/.gan_sampler, removed at the end",
            rich_help_panel=RUN,
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Tell what would be written, and how long it takes.", rich_help_panel=RUN),
    ] = False,
    as_json: Json = False,
):
    r"""Balance a folder of images: originals are linked, and classes that have too few get synthetic images.

    Synthetic images are called like synthetic_NORMAL_000001_seed0.png, have the format of the originals, and are listed
    in DST/manifest.csv, each with the real image that it is nearest to. Where SRC is split into train, val and test,
    only train gets synthetic images. A run that was interrupted goes on when the same command is given again.

    For example:
      gan-sampler balance scans balanced --dry-run
      gan-sampler balance scans balanced --image-size 64 --max-time 20m
      gan-sampler balance scans balanced --image-size 64 --repeated-share 0.75
      gan-sampler balance scans balanced --sampler smote --strategy 0.8
      gan-sampler balance scans balanced --strategy cyst=500 --strategy 'two words=300'

    Exit status: 0 when all is written, 1 when training failed or --on-poor-quality raise stopped the run, 2 when the
    command line, its input or its output cannot be used, 130 when interrupted.
    """
    from gan_sampler.folders._balance import Balancing

    command = shlex.join(["gan-sampler", *(context.obj or [])])
    balancing = Balancing(
        source,
        path,
        sampler=sampler,
        strategy=strategy,
        image_size=image_size,
        max_time=max_time,
        n_steps=n_steps,
        device=device,
        seed=seed,
        checkpoint_dir=checkpoint_dir,
        copy=copy,
        file_format=file_format,
        on_poor_quality=None if on_poor_quality is OnPoorQuality.warn else on_poor_quality.value,
        repeated_share=repeated_share,
        every_class=every_class,
        skip_unreadable=skip_unreadable,
        command=command,
    )
    if balancing.summary is None:
        tell("Loading torch and reading the images ...")
    if dry_run:
        plan = balancing.plan()
        typer.echo(json.dumps(vars(plan)) if as_json else printable(_plan_as_text(plan, balancing)))
        return
    if balancing.summary is not None:
        tell("This folder was finished before; nothing is done.")
    with failures(lambda: f"{balancing.interruption()}\n  {command}"):
        summary = balancing.run(tell=tell, verbose=sys.stderr.isatty())
    typer.echo(json.dumps(summary) if as_json else printable(_summary_as_text(summary)))


def _plan_as_text(plan, balancing):
    from gan_sampler.folders._telling import duration, size

    word = "repeated and synthetic" if balancing.every_class or balancing.repeated_share else "synthetic"
    lines = ["Class: images now -> then"]
    for label, count in plan.counts.items():
        n_new = plan.wanted[label] - count
        lines.append(f"  {label}: {count:,} -> {plan.wanted[label]:,}" + (f" ({n_new:,} {word})" if n_new else ""))
    if plan.n_others:
        lines.append(f"Linked beside them: {plan.n_others:,} files of val and test")
    lines.append(f"Training: {'none' if plan.seconds is None else 'about ' + duration(plan.seconds)}")
    lines.append(f"Disk: {size(plan.disk_bytes)}{', originals copied' if plan.copies else ', originals linked'}")
    lines += [f"Note: {warning}" for warning in balancing.warnings]
    return "\n".join(lines)


def _summary_as_text(summary):
    height, width = summary["image_size"]
    lines = [f"{summary['path']}: balanced with {summary['sampler']}, seed {summary['seed']}"]
    for label, found in summary["classes"].items():
        parts = [f"{found['originals']:,} originals"]
        parts += [f"{found[word]:,} {word}" for word in ("synthetic", "repeated") if found[word]]
        if found["synthetic"]:
            parts.append(f"{found['near_copies']:,} of these near-copies of a real image")
        if "training" in found:
            parts.append(training_as_text(found["training"]))
        lines.append(f"  {label}: {', '.join(parts)}")
    if summary["n_others"]:
        lines.append(f"  val and test: {summary['n_others']:,} files, none synthetic")
    ways = [f"{summary[f'n_{way}']:,} {way}" for way in ("linked", "copied", "written") if summary[f"n_{way}"]]
    lines.append(f"Files: {', '.join(ways)}")
    lines.append(
        f"Synthetic images have {height} x {width} pixels; originals are as they were. "
        "Resize both to one size to train."
    )
    lines.append(f"List of the synthetic images: {summary['manifest']}")
    lines += [f"Warning: {warning}" for warning in summary["warnings"]]
    return "\n".join(lines)
