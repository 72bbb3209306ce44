"""gan-sampler status: how far an evaluation is, from its folder alone."""

import json
import time
from collections import deque
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gan_sampler.cli._group import FAILED, one_line

_PAUSE = 2.0  # seconds between two looks
_MOST_FAILED = 10  # told in full; --json tells all


def status(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="Folder of the results.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every two seconds until all is finished.")] = False,
    lines: Annotated[int, typer.Option(min=0, help="Last lines of run.log to show.")] = 5,
):
    """Tell how far an evaluation is, from any terminal or machine that sees its folder.

    It reads the folder alone, so it also works while the evaluation runs, and after it was killed.

    For example:
      gan-sampler status results/elpv-64
      gan-sampler status results/elpv-64 --watch
      gan-sampler status results/elpv-64 --json | jq .n_finished

    Exit status: 0, or 1 when some cells failed, or 2 when this is no folder of an evaluation.
    """
    finished = set()
    found = read_status(store, lines, finished)
    if watch:
        found = _watch(store, lines, finished, found, as_json)
    elif as_json:
        typer.echo(_as_json(found))
    else:
        typer.echo(as_text(found))
    if found.failed:
        raise typer.Exit(FAILED)


@dataclass(frozen=True)
class Status:
    """How far an evaluation is.

    Parameters
    ----------
    store, name, command, scoring, device : str
        The folder, and what its latest command says.
    started : str
        When the first process started, ISO 8601, UTC.
    seconds_since_start : float
        Until now.
    n_cells, n_finished, n_missing : int
        Of what was asked for; a cell that failed is neither finished nor missing.
    failed : list of dict
        ``cell`` and ``error`` of each that failed.
    running : list of dict
        ``what``, ``host``, ``pid``, ``since`` and ``seconds`` of what is computed now.
    cache_bytes : int
        Size of what can be computed again.
    log : list of str
        Last lines of run.log.
    """

    store: str
    name: str
    command: str
    scoring: str
    device: str
    started: str
    seconds_since_start: float
    n_cells: int
    n_finished: int
    n_missing: int
    failed: list
    running: list
    cache_bytes: int
    log: list

    @property
    def is_over(self):
        """Whether nothing is left and nothing runs."""
        return not self.n_missing and not self.running


def read_status(root, n_lines=5, finished=None):
    """Return the status of an evaluation.

    Parameters
    ----------
    root : Path
        Its folder.
    n_lines : int, default=5
        Of run.log.
    finished : set of str or None, default=None
        Keys of cells that are known to be finished; their records are not read again, and new ones are added.

    Returns
    -------
    status : Status
    """
    from gan_sampler.evaluation._records import cells_asked_for
    from gan_sampler.evaluation._store import Store

    store = Store(root)
    manifests = store.manifests()
    if not manifests:
        raise ValueError(
            f"STORE must be the folder of an evaluation; got {str(root)!r}, which holds none. gan-sampler compare "
            "prints the folder that it writes to."
        )
    last = manifests[-1]
    treatments, classifiers = (
        {name: label for found in manifests for name, label in found[kind].items()}
        for kind in ("treatments", "classifiers")
    )
    cells = {cell["key"]: _name_of(cell, treatments, classifiers) for cell in cells_asked_for(manifests, last)}
    finished = set() if finished is None else finished
    failed = []
    for key in cells.keys() - finished:
        record = store.find_record(key)
        if record is None:
            continue
        if record["error"] is None:
            finished.add(key)
        else:
            failed.append({"cell": cells[key], "error": one_line(record["error"])})
    n_finished = len(finished & cells.keys())
    return Status(
        store=str(root),
        **{name: last[name] for name in ("name", "command", "scoring", "device", "started")},
        seconds_since_start=_seconds_since(last["started"]),
        n_cells=len(cells),
        n_finished=n_finished,
        n_missing=len(cells) - n_finished - len(failed),
        failed=sorted(failed, key=lambda found: found["cell"]),
        running=[
            {name: found[name] for name in ("what", "host", "pid", "since")}
            | {"seconds": _seconds_since(found["since"])}
            for found in store.running()
        ],
        cache_bytes=store.cache_size(),
        log=_last_lines(Path(root, "run.log"), n_lines),
    )


def _name_of(cell, treatments, classifiers):
    treatment, classifier = treatments[cell["treatment"]], classifiers[cell["classifier"]]
    embedder = f" on {cell['embedder']}" if cell["embedder"] else ""
    return f"{treatment} > {classifier}{embedder}, {cell['split']} split, seed {cell['seed']}"


def _seconds_since(iso):
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(iso)).total_seconds())


def _last_lines(file, n_lines):
    try:
        with open(file, encoding="utf-8", errors="replace") as stream:
            return [line.rstrip("\n") for line in deque(stream, maxlen=n_lines)]
    except FileNotFoundError:
        return []


def as_text(status):
    """Return a status for people."""
    from humanize import naturaldelta, naturalsize

    state = "finished" if status.is_over else "running" if status.running else "stopped"
    lines = [
        f"{status.name}: {state}, {status.n_finished} of {status.n_cells} cells finished, {len(status.failed)} failed, "
        f"{status.n_missing} missing",
        f"Started {datetime.fromisoformat(status.started):%Y-%m-%d %H:%M} UTC, "
        f"{naturaldelta(status.seconds_since_start)} ago; cache {naturalsize(status.cache_bytes)}",
    ]
    if status.running:
        lines += ["", "Running:"]
        lines += [
            f"  {found['what']}\n    on {found['host']}, process {found['pid']}, for {naturaldelta(found['seconds'])}"
            for found in status.running
        ]
    if status.failed:
        lines += ["", "Failed (the same command tries them again):"]
        lines += [f"  {found['cell']}\n    {found['error']}" for found in status.failed[:_MOST_FAILED]]
        if len(status.failed) > _MOST_FAILED:
            lines.append(f"  and {len(status.failed) - _MOST_FAILED} more: --json tells all")
    if status.log:
        lines += ["", "run.log:", *(f"  {line}" for line in status.log)]
    if status.n_missing and not status.running:
        lines += ["", "To go on:", f"  {status.command}"]
    return "\n".join(lines)


def _as_json(status):
    return json.dumps(asdict(status), ensure_ascii=False)


def _watch(store, n_lines, finished, found, as_json):
    """Show the status until nothing is left, and return the last one; Ctrl-C ends it."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console()
    if as_json or not console.is_terminal:
        show = _as_json if as_json else as_text
        while True:
            typer.echo(show(found))
            if found.is_over:
                return found
            time.sleep(_PAUSE)
            found = read_status(store, n_lines, finished)
    with Live(Text(as_text(found)), console=console, auto_refresh=False, vertical_overflow="visible") as live:
        while not found.is_over:
            time.sleep(_PAUSE)
            found = read_status(store, n_lines, finished)
            live.update(Text(as_text(found)), refresh=True)
    return found
