"""gan-sampler report: the report of an evaluation, from its folder."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from gan_sampler.cli._group import FAILED, tell


def report(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="Folder of the results.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("--out", help="HTML file to write.", show_default="STORE/report.html")
    ] = None,
    scoring: Annotated[
        str | None,
        typer.Option(
            help="Metric that the answer is about, such as balanced_accuracy.", show_default="that of the run"
        ),
    ] = None,
    against: Annotated[str, typer.Option(help="Sampler that the others are tested against.")] = "none",
    include_real_images: Annotated[
        bool, typer.Option("--include-real-images", help="Show real images, which may be of patients, in the file.")
    ] = False,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FOLDER", help="Write results.csv and predictions.csv.gz there, too."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")] = False,
):
    """Write report.html of a finished or unfinished evaluation, and print its table and what is significant.

    For example:
      gan-sampler report results/elpv-64
      gan-sampler report results/elpv-64 --scoring balanced_accuracy --against random
      gan-sampler report results/elpv-64 --out for_the_meeting.html --csv tables

    Exit status: 0, or 1 when some cells failed, or 2 when this is no folder of an evaluation.
    """
    from gan_sampler.cli import _results
    from gan_sampler.evaluation import Comparison
    from gan_sampler.evaluation._comparison import check_metric
    from gan_sampler.evaluation._tables import write_tables

    comparison = Comparison(store)
    if not comparison.records:
        raise ValueError(f"no cell of {str(store)!r} has a result yet: wait for the first, or start it again.")
    metric = comparison.manifest["scoring"] if scoring is None else check_metric(scoring)
    comparison.manifest["scoring"] = metric  # the file is about it, too
    tests = _results.tests_of(comparison, metric, against)
    file = comparison.to_html(out or store / "report.html", include_real_images=include_real_images)
    if csv is not None:
        write_tables(csv, comparison.records, comparison.manifest)
    if as_json:
        typer.echo(_results.as_json(store, comparison, metric, file, tests))
    else:
        parts = [_results.as_text(comparison, metric), _results.significant(tests, against), f"Report: {file}"]
        typer.echo("\n\n".join(parts))
    if comparison.n_failed:
        tell(f"{comparison.n_failed} cells failed: gan-sampler status {shlex.quote(str(store))} names them.")
        raise typer.Exit(FAILED)
