"""gan-sampler balance: a folder of images in, a balanced folder out."""

import json
import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gan_sampler.cli import _words
from gan_sampler.cli._group import FAILED, INTERRUPTED, one_line, tell
from gan_sampler.folders._samplers import SAMPLERS

_IMAGES, _TRAINING, _RUN = "Images", "Training", "How it runs"


class OnPoorQuality(StrEnum):
    """What becomes of a class whose synthetic images cannot be used."""

    warn = "warn"
    repeat = "repeat"
    raise_ = "raise"


def balance(
    context: typer.Context,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SRC",
            help="Folder with a folder of images per class, also below train, val and test. Nothing is written into it.",
            show_default=False,
        ),
    ],
    path: Annotated[
        Path,
        typer.Argument(metavar="DST", help="Folder to make; an existing one must be empty.", show_default=False),
    ],
    sampler: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="; ".join(f"{name}: {what}" for name, what in SAMPLERS.items()) + ".",
            autocompletion=lambda: list(SAMPLERS),
            rich_help_panel=_TRAINING,
        ),
    ] = "dcgan",
    strategy: Annotated[
        list[str],
        typer.Option(
            metavar="WORD|RATIO|NAME=NUMBER",
            help="How many images each class shall have. auto: as many as the largest; 0.8: the smaller of two classes "
            "so many times the larger; NAME=1000, once for each class: so many.",
            rich_help_panel=_IMAGES,
        ),
    ] = ("auto",),  # noqa: B006
    image_size: Annotated[
        int | None,
        typer.Option(
            min=8,
            metavar="PIXELS",
            help="Height and width that images are learnt at, and that synthetic ones have. Originals stay as they are.",
            show_default="that of the originals, which must then be alike",
            rich_help_panel=_IMAGES,
        ),
    ] = None,
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="Format of synthetic files, such as png, jpeg or tiff.",
            show_default="that of the originals of the class",
            rich_help_panel=_IMAGES,
        ),
    ] = None,
    copy: Annotated[
        bool,
        typer.Option(
            "--copy",
            help="Copy originals. Otherwise they are hard links: no room taken, and they stay when SRC is moved or "
            "deleted, but a program that overwrites a file in DST overwrites the original.",
            rich_help_panel=_IMAGES,
        ),
    ] = False,
    skip_unreadable: Annotated[
        bool,
        typer.Option(
            "--skip-unreadable",
            help="Leave out files that cannot be read, and tell them, instead of ending.",
            rich_help_panel=_IMAGES,
        ),
    ] = False,
    max_time: Annotated[
        float | None,
        typer.Option(
            parser=_words.duration,
            metavar="DURATION",
            help="Longest training of all classes together: seconds, 20m or 1h.",
            show_default="none",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    n_steps: Annotated[
        int | None,
        typer.Option(min=1, help="Steps of training.", show_default="the sampler's own", rich_help_panel=_TRAINING),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Seed; it is part of the names.", rich_help_panel=_TRAINING)
    ] = 0,
    on_poor_quality: Annotated[
        OnPoorQuality,
        typer.Option(
            help="What to do where the images of a class cannot be used: write them with a warning, repeat real ones "
            "in their place, or end with status 1.",
            rich_help_panel=_TRAINING,
        ),
    ] = OnPoorQuality.warn,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or any word of torch's.", rich_help_panel=_RUN)] = "auto",
    checkpoint_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where unfinished trainings are kept.",
            show_default="DST/.gan_sampler, removed at the end",
            rich_help_panel=_RUN,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would be done, and how long it takes.", rich_help_panel=_RUN)
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on stdout, for scripts.", rich_help_panel=_RUN)
    ] = False,
):
    r"""Balance a folder of images: originals are linked, and classes that have too few get synthetic images.

    Synthetic images are called like synthetic_NORMAL_000001_seed0.png, have the format of the originals, and are listed
    in DST/manifest.csv, each with the real image that it is nearest to. Where SRC is split into train, val and test,
    only train gets synthetic images. A run that was interrupted goes on when the same command is given again.

    For example:
      gan-sampler balance scans balanced --dry-run
      gan-sampler balance scans balanced --image-size 64 --max-time 20m
      gan-sampler balance scans balanced --sampler smote --strategy 0.8
      gan-sampler balance scans balanced --strategy cyst=500 --strategy 'two words=300'

    Exit status: 0 when all is written, 1 when training failed or --on-poor-quality raise found cause, 2 when the
    command line, its input or its output will not do, 130 when interrupted.
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
        skip_unreadable=skip_unreadable,
        command=command,
    )
    if balancing.summary is None:
        tell("Loading torch and reading the images ...")
    if dry_run:
        plan = balancing.plan()
        typer.echo(json.dumps(vars(plan), ensure_ascii=False) if as_json else _plan_as_text(plan, balancing))
        return
    if balancing.summary is not None:
        tell("This folder was finished before; nothing is done.")
    try:
        summary = balancing.run(tell=tell, verbose=sys.stderr.isatty())
    except KeyboardInterrupt:
        tell(f"\nInterrupted. {balancing.interruption()}\n  {command}")
        raise typer.Exit(INTERRUPTED) from None
    except (RuntimeError, FloatingPointError) as exc:
        tell(f"error: {one_line(exc)}")
        raise typer.Exit(FAILED) from exc
    typer.echo(json.dumps(summary, ensure_ascii=False) if as_json else _summary_as_text(summary))


def _plan_as_text(plan, balancing):
    from gan_sampler.folders._telling import duration, size

    lines = ["Class: images now -> then"]
    for label, count in plan.counts.items():
        n_new = plan.wanted[label] - count
        lines.append(f"  {label}: {count:,} -> {plan.wanted[label]:,}" + (f" ({n_new:,} synthetic)" if n_new else ""))
    if plan.n_others:
        lines.append(f"Linked beside them: {plan.n_others:,} files of val and test")
    lines.append(f"Training: {'none' if plan.seconds is None else 'about ' + duration(plan.seconds)}")
    lines.append(f"Disk: {size(plan.disk_bytes)}{', originals copied' if plan.copies else ', originals linked'}")
    lines += [f"Note: {warning}" for warning in balancing.warnings]
    return "\n".join(lines)


def _summary_as_text(summary):
    from gan_sampler.folders._telling import duration

    height, width = summary["image_size"]
    lines = [f"{summary['path']}: balanced with {summary['sampler']}, seed {summary['seed']}"]
    for label, found in summary["classes"].items():
        parts = [f"{found['originals']:,} originals"]
        parts += [f"{found[word]:,} {word}" for word in ("synthetic", "repeated") if found[word]]
        if found["synthetic"]:
            parts.append(f"{found['near_copies']:,} of these near-copies of a real image")
        if "training" in found:
            training = found["training"]
            parts.append(
                f"{training['steps']:,} steps in {duration(training['seconds'])}, score {training.get('score', 0):.2f} "
                "(real images get about 1)"
            )
        lines.append(f"  {label}: {', '.join(parts)}")
    if summary["n_others"]:
        lines.append(f"  val and test: {summary['n_others']:,} files, none synthetic")
    ways = [f"{summary[f'n_{way}']:,} {way}" for way in ("linked", "copied", "written") if summary[f"n_{way}"]]
    lines.append(
        f"Files: {', '.join(ways)}. Synthetic images have {height} x {width} pixels; originals are as they were."
    )
    lines.append(f"List of the synthetic images: {summary['manifest']}")
    lines += [f"Warning: {warning}" for warning in summary["warnings"]]
    return "\n".join(lines)
