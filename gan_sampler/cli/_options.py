"""Options that several commands have, and what they do alike."""

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from gan_sampler.cli import _words
from gan_sampler.cli._group import FAILED, INTERRUPTED, tell
from gan_sampler.folders._telling import in_words_of_commands

IMAGES, TRAINING, RUN = "Images", "Training", "How it runs"

Source = Annotated[
    Path,
    typer.Argument(
        metavar="SRC",
        help="Folder with a folder of images per class, also below train, val and test, or an .npz file with X and y. "
        "It stays as it is.",
        show_default=False,
    ),
]
ImageSize = Annotated[
    int | None,
    typer.Option(
        min=8,
        metavar="PIXELS",
        help="Height and width to learn at, which synthetic images have. Originals stay as they are.",
        show_default="that of the originals, which must then be alike",
        rich_help_panel=IMAGES,
    ),
]
SkipUnreadable = Annotated[
    bool,
    typer.Option(
        "--skip-unreadable",
        help="Leave out files that cannot be read, and name them, instead of ending.",
        rich_help_panel=IMAGES,
    ),
]
MaxTime = Annotated[
    float | None,
    typer.Option(
        parser=_words.duration,
        metavar="DURATION",
        help="Longest training of all classes together: seconds, 20m or 1h.",
        show_default="none",
        rich_help_panel=TRAINING,
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(min=1, help="Steps of training.", show_default="the sampler's own", rich_help_panel=TRAINING),
]
Seed = Annotated[
    int,
    typer.Option(
        min=0, max=2**32 - 1, metavar="INTEGER", help="Seed; it is part of file names.", rich_help_panel=TRAINING
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or any word of torch's.", rich_help_panel=RUN)]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on stdout, for scripts.", rich_help_panel=RUN)
]


@contextlib.contextmanager
def failures(how_to_go_on):
    """Tell of trainings that fail or are interrupted, and end with the status that says so.

    Parameters
    ----------
    how_to_go_on : callable
        Returns what is said after an interruption.
    """
    try:
        yield
    except KeyboardInterrupt:
        tell(f"\nInterrupted. {how_to_go_on()}")
        raise typer.Exit(INTERRUPTED) from None
    except (RuntimeError, FloatingPointError) as exc:
        tell(f"error: {in_words_of_commands(exc)}")
        raise typer.Exit(FAILED) from exc
    except ValueError as exc:  # an input that cannot be used, told in Python terms
        raise ValueError(in_words_of_commands(exc)) from exc


def training_as_text(training):
    """Return what came of a class's training, for people."""
    from gan_sampler.folders._telling import duration

    told = f"{training['steps']:,} steps in {duration(training['seconds'])}"
    return told + (f", score {training['score']:.2f} (real images get about 1)" if "score" in training else "")
