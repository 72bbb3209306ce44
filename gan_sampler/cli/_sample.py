"""gan-sampler sample: synthetic images from a file, as a folder."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from gan_sampler.cli._group import tell
from gan_sampler.cli._options import Device, Json


def sample(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What gan-sampler train wrote.", show_default=False)],
    path: Annotated[
        Path, typer.Argument(metavar="DST", help="Folder to make; an existing one must be empty.", show_default=False)
    ],
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Number of images of each class.")] = 100,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Class to draw; once for each.", show_default="all that FILE knows"),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, metavar="INTEGER", help="Seed; it is part of file names.")
    ] = 0,
    file_format: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="Format of the files, such as png, jpeg or tiff.")
    ] = "png",
    device: Device = "auto",
    as_json: Json = False,
):
    """Draw synthetic images from a file that gan-sampler train wrote.

    Images are written to DST/NAME/synthetic_NAME_000001_seed0.png, and listed in DST/manifest.csv. Another seed gives
    other images.

    For example:
      gan-sampler sample scans.safetensors more --n 100
      gan-sampler sample scans.safetensors cysts --n 500 --label cyst --seed 1

    Exit status: 0 when all is written, 2 when the command line, its input or its output cannot be used, 130 when
    interrupted.
    """
    from gan_sampler.folders._sample import sample_to_folder

    summary = sample_to_folder(
        file,
        path,
        n=n,
        labels=label or None,
        seed=seed,
        device=device,
        file_format=file_format,
        verbose=sys.stderr.isatty(),
    )
    if as_json:
        typer.echo(json.dumps(summary))
        return
    told = ", ".join(f"{count:,} of {name}" for name, count in summary["classes"].items())
    height, width = summary["image_size"]
    typer.echo(f"{summary['path']}: {told}, {height} x {width} pixels, seed {summary['seed']}")
    tell(f"List of the images: {summary['manifest']}")
