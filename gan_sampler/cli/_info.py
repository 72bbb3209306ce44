"""gan-sampler info: what is in a file."""

import json
from pathlib import Path
from typing import Annotated

import typer

from gan_sampler.cli._options import Json, training_as_text


def info(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="What gan-sampler train or save wrote, or a checkpoint of an unfinished training.",
            show_default=False,
        ),
    ],
    as_json: Json = False,
):
    """Tell what is in a file: sampler, classes, steps, scores, parameters and versions. Nothing in it is run.

    For example:
      gan-sampler info scans.safetensors
      gan-sampler info scans.safetensors --json | jq .classes

    Exit status: 0, or 2 when this is no file that gan-sampler wrote.
    """
    from gan_sampler.folders._info import describe_file

    found = describe_file(file)
    typer.echo(json.dumps(found) if as_json else _as_text(found))


def _as_text(found):
    from gan_sampler.folders._telling import size

    height, width = found["image_size"]
    what = found["sampler"] if found["kind"] == "sampler" else f"checkpoint of a {found['sampler']}"
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items()) or "unknown"
    lines = [
        f"{found['file']}: {what}, {size(found['bytes'])}, {found['n_weights']:,} numbers",
        f"Images: {height} x {width}, {found['channels']} channel{'s' * (found['channels'] > 1)}, {found['dtype']}",
        f"Written with: {versions}",
        "Classes:",
        *(f"  {label}: {training_as_text(training)}" for label, training in found["classes"].items()),
        "Parameters:",
        *(f"  {name}: {json.dumps(value)}" for name, value in found["parameters"].items()),
    ]
    return "\n".join(lines)
