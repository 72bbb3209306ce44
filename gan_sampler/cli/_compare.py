"""gan-sampler compare: does over-sampling help, on images of one's own."""

import contextlib
import shlex
import sys
import tempfile
import warnings
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gan_sampler.cli import _words
from gan_sampler.cli._group import FAILED, INTERRUPTED, one_line, tell

_DATA, _GRID, _LENGTH, _RUN = "Data", "What is compared", "How long", "How it runs"
_SCHEDULER_PATIENCE = 20  # seconds


class OnError(StrEnum):
    """What becomes of a cell that fails."""

    skip = "skip"
    raise_ = "raise"


def compare(
    context: typer.Context,
    folder: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER",
            help="Folder with a folder of images per class, also below train, val and test; an .npz file with X and y; "
            "or elpv, digits, chest_xray or medmnist:NAME.",
            show_default=False,
        ),
    ],
    store: Annotated[
        Path | None,
        typer.Argument(metavar="STORE", help="Folder of the results; the same as --out.", show_default=False),
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(
            metavar="WHERE",
            help="Where the group (patient) of each file stands: 'folder', a CSV file with columns file and group, or "
            r"a regular expression that finds it in the name, such as '(person\d+)'.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(
            min=8,
            metavar="PIXELS",
            help="Height and width that images are read at.",
            show_default="their own where all are alike and at most 64 (128 on a GPU), else that",
            rich_help_panel=_DATA,
        ),
    ] = None,
    n_rare: Annotated[
        int | None,
        typer.Option(
            min=2, help="Train with so many images of the rarest class.", show_default="all", rich_help_panel=_DATA
        ),
    ] = None,
    max_images: Annotated[
        int | None,
        typer.Option(min=4, help="Use a stratified part of so many images.", show_default="all", rich_help_panel=_DATA),
    ] = None,
    cv: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Number of folds.",
            show_default="the split that the data has, else a quarter for testing",
            rich_help_panel=_DATA,
        ),
    ] = None,
    samplers: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,...",
            help="none, class_weight, threshold, random, smote, adasyn, augmentation, augmentation_repetition, "
            "augmentation_every_class, dcgan, dcgan_alone, dcgan_every_class, vision_aided, vision_aided_alone, "
            "vision_aided_every_class, conditional; all_real as a reference, with --n-rare; +threshold behind a name "
            "tunes the threshold on top.",
            show_default="what answers the question in reasonable time",
            rich_help_panel=_GRID,
        ),
    ] = None,
    classifiers: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,...",
            help="tree, forest, svm, logistic on features; ann, cnn, densenet121 on images.",
            show_default="forest,svm,logistic,cnn, and densenet121 on a GPU",
            rich_help_panel=_GRID,
        ),
    ] = None,
    embedders: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,...",
            help="resnet18, efficientnet_lite0, resnet18_finetuned (from scratch).",
            show_default="resnet18 where its weights are at hand, else efficientnet_lite0",
            rich_help_panel=_GRID,
        ),
    ] = None,
    resnet18_weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="ImageNet weights of ResNet18.", show_default=False, rich_help_panel=_GRID),
    ] = None,
    scoring: Annotated[
        str, typer.Option(metavar="METRIC", help="Metric that the answer is about.", rich_help_panel=_GRID)
    ] = "roc_auc",
    seeds: Annotated[
        list,
        typer.Option(
            parser=_words.seeds,
            metavar="SEEDS",
            help="Seed of each repeat: 0,1,2 or 0-4. With one there is no test of significance.",
            rich_help_panel=_LENGTH,
        ),
    ] = "0-4",
    n_steps: Annotated[
        int | None,
        typer.Option(
            min=1, help="Steps of each GAN's training.", show_default="the samplers' own", rich_help_panel=_LENGTH
        ),
    ] = None,
    max_time: Annotated[
        float | None,
        typer.Option(
            parser=_words.duration,
            metavar="DURATION",
            help="Longest training of each GAN: seconds, 20m or 1h.",
            show_default="10m on a CPU",
            rich_help_panel=_LENGTH,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and end.", rich_help_panel=_LENGTH)
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Start without asking.", rich_help_panel=_LENGTH)] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="STORE",
            help="Folder of the results; the same command goes on where it was.",
            show_default="results/NAME-SIZE",
            rich_help_panel=_RUN,
        ),
    ] = None,
    n_jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", "-j", help="Workers; -1 takes all cores.", show_default="as memory allows", rich_help_panel=_RUN
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or any word of torch's.", rich_help_panel=_RUN)] = "auto",
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Dask scheduler, such as tcp://host:8786, whose workers do the work; all must see STORE under "
            "the same path.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    on_error: Annotated[
        OnError,
        typer.Option(
            help="Whether a cell that fails is marked and passed over, or ends the run.", rich_help_panel=_RUN
        ),
    ] = OnError.skip,
    cache_limit: Annotated[
        int,
        typer.Option(
            parser=_words.n_bytes,
            metavar="SIZE",
            help="Images, features and samples that are kept for later runs.",
            rich_help_panel=_RUN,
        ),
    ] = "150MiB",
    include_real_images: Annotated[
        bool,
        typer.Option(
            "--include-real-images",
            help="Show real images, which may be of patients, in the report.",
            rich_help_panel=_RUN,
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on stdout, for scripts.", rich_help_panel=_RUN)
    ] = False,
):
    r"""Measure whether over-sampling helps: every sampler with every classifier, on images that nothing was trained on.

    Prints a plan with an estimate of its length, runs, and writes report.html. A run that was stopped goes on where it
    was when the same command is given again.

    For example:
      gan-sampler compare scans --groups '(patient\d+)' --dry-run
      gan-sampler compare scans --samplers smote,dcgan+threshold --max-time 20m
      gan-sampler compare elpv --classifiers svm --seeds 0-2 --jobs 2
      gan-sampler compare scans /shared/scans --scheduler tcp://head:8786

    Exit status: 0 when all cells are finished, 1 when some failed, 2 when the command line, its input or its output
    cannot be used, 130 when interrupted.
    """
    if store is not None and out is not None:
        raise typer.BadParameter("give the folder of the results once, as STORE or as --out.")
    if folder in ("digits", "elpv", "chest_xray") and Path(folder).is_dir():
        raise ValueError(f"{folder} is a data set of that name and a folder here: write ./{folder} for the folder.")
    command = shlex.join(["gan-sampler", *(context.obj or [])])
    tell("Loading torch and reading the images ...")
    from gan_sampler import evaluation
    from gan_sampler.cli import _results
    from gan_sampler.evaluation import _data, _settings
    from gan_sampler.runtime import resolve_device

    with contextlib.ExitStack() as stack:
        if scheduler is not None:
            stack.enter_context(_workers_of(scheduler))
        data = _data.load(
            folder,
            image_size=image_size,
            max_size=_settings.default_image_size(resolve_device(device)),
            max_images=max_images,
            groups=groups,
            verbose=sys.stderr.isatty(),
        )
        root = store or out or _default_store(data, cv, n_rare)
        place = stack.enter_context(_place_of_plan(root)) if dry_run else root
        if data.groups is None:
            _warn_of_no_groups(folder)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "No groups", UserWarning)  # told above, with what to do here
            prepared = evaluation.prepare(
                data,
                place,
                samplers=_words.names(samplers),
                classifiers=_words.names(classifiers),
                embedders=_words.names(embedders),
                cv=cv,
                scoring=scoring,
                seeds=seeds,
                n_rare=n_rare,
                n_steps=n_steps,
                max_time=max_time,
                device=device,
                n_jobs=n_jobs,
                resnet18_weights=resnet18_weights,
                command=command,
            )
        plan = prepared.plan().replace(str(place.resolve()), str(root.resolve()))
        typer.echo(_results.wrapped(plan), err=as_json)
        if dry_run:
            return
        if not yes and sys.stdin.isatty() and sys.stderr.isatty() and _n_left(prepared):
            typer.confirm("Start?", default=True, abort=True, err=True)
        comparison = _run(prepared, root, command, on_error.value, cache_limit, include_real_images)
    _tell_results(comparison, prepared, root, include_real_images, as_json)


def _default_store(data, cv, n_rare):
    name = f"{data.name}-{data.images.shape[1]}"
    return Path("results", name + (f"-cv{cv}" if cv else "") + (f"-rare{n_rare}" if n_rare else ""))


@contextlib.contextmanager
def _workers_of(address):
    """Give the work inside the block to the workers of a Dask scheduler."""
    import joblib
    from distributed import Client

    try:
        client = Client(address, timeout=_SCHEDULER_PATIENCE, set_as_default=False)
    except (OSError, ValueError) as exc:
        raise OSError(
            f"--scheduler must be the address of a Dask scheduler that runs, such as tcp://host:8786; {address!r} does "
            f"not answer: {one_line(exc)}"
        ) from exc
    with client, joblib.parallel_config(backend="dask", client=client):
        yield


@contextlib.contextmanager
def _place_of_plan(root):
    """Give the folder to plan in, so that a dry run leaves none behind."""
    if root.exists():
        yield root
        return
    with tempfile.TemporaryDirectory(prefix="gan_sampler_") as folder:
        yield Path(folder)


def _warn_of_no_groups(folder):
    remedy = ""
    if Path(folder).is_dir():
        remedy = (
            r" Say which belong together: --groups '(person\d+)' (a regular expression for the names of the files), "
            "--groups FILE.csv (columns file and group) or --groups folder."
        )
    elif folder.endswith(".npz"):
        remedy = " Say which belong together: an array groups in the file."
    tell(
        "WARNING: no groups (patients) are known for these images. If several images show one patient, they stand in "
        f"training and in test, and every number is too good.{remedy}"
    )


def _n_left(prepared):
    from gan_sampler.evaluation._jobs import is_done

    return sum(not is_done(prepared.context, cell) for cell in prepared.cells)


def _run(prepared, root, command, on_error, cache_limit, include_real_images):
    tell(f"From any other terminal: gan-sampler status {shlex.quote(str(root))}")
    try:
        return prepared.run(
            on_error=on_error,
            cache_limit=cache_limit,
            progress=sys.stderr.isatty(),
            include_real_images=include_real_images,
        )
    except KeyboardInterrupt:
        n_cells = len(prepared.cells)
        tell(f"\nInterrupted with {n_cells - _n_left(prepared)} of {n_cells} cells finished. To go on:\n  {command}")
        raise typer.Exit(INTERRUPTED) from None
    except RuntimeError as exc:  # a cell failed and --on-error raise, or workers keep dying
        tell(f"error: {one_line(exc)} What is finished is kept; the same command goes on.")
        raise typer.Exit(FAILED) from exc


def _tell_results(comparison, prepared, root, include_real_images, as_json):
    from gan_sampler.cli import _results

    file = comparison.write(root, include_real_images=include_real_images)
    if as_json:
        typer.echo(_results.as_json(root, comparison, prepared.scoring, file))
    else:
        typer.echo(f"\n{_results.as_text(comparison, prepared.scoring)}\n\nReport: {file}")
    asked = {cell.key(prepared.context) for cell in prepared.cells}
    n_failed = sum(record["error"] is not None for record in comparison.records if record["key"] in asked)
    if n_failed:
        tell(
            f"error: {n_failed} of {len(asked)} cells failed. gan-sampler status {shlex.quote(str(root))} names them, "
            "and the same command tries them again."
        )
        raise typer.Exit(FAILED)
