"""Random cases against the public interface: `make fuzz`.

Each case is decided by its seed alone; ``--case SEED`` runs one again, with its traceback.
"""

import argparse
import collections
import contextlib
import faulthandler
import json
import os
import queue
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SEEDS_OF_A_RUN = 10**6  # that runs with neighbouring seeds share no case
_LONGEST_CASE = 120  # seconds after which a case hangs
_MEMORY = 6 * 2**30  # bytes beyond what the imports take


def run_case(seed, *, kind=None, **options):
    """Run one case, and return what it was: kind, outcome, fault or None, description."""
    from .cases import KINDS, FaultError, place_of
    from .inputs import Case

    case = Case(seed, **options)
    if kind is None:
        kind = case.pick([name for name, (_, weight) in KINDS.items() for _ in range(weight)])
    fault = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            outcome = KINDS[kind][0](case)
        except FaultError as exc:
            outcome, fault = "FAULT", str(exc)
        except Exception as exc:
            outcome, fault = "FAULT", f"{type(exc).__name__} at {place_of(exc)}: {str(exc)[:300]}"
    if fault is None and outcome not in ("result", "PoorQualityError") and not case.bad and not case.unsure:
        outcome, fault = "FAULT", f"{outcome} where nothing is wrong"
    return {"kind": kind, "outcome": outcome, "fault": fault, "told": case.describe()}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kind", help="only this kind of attack")
    parser.add_argument("--case", type=int, help="run this case again, with its traceback")
    parser.add_argument("--work", nargs=2, type=int, metavar=("FIRST", "STEP"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.work:
        return _work(*options.work, options.kind)
    if options.case is not None:
        return _replay(options.case, options.kind)
    return _fuzz(options)


def _replay(seed, kind):
    from .cases import KINDS
    from .inputs import Case

    record = run_case(seed, kind=kind)
    for name, value in record.items():
        _print(f"{name}: {value}")
    case = Case(seed)
    drawn = case.pick([name for name, (_, weight) in KINDS.items() for _ in range(weight)]) if kind is None else kind
    try:
        KINDS[drawn][0](case)
    except Exception:
        _print(traceback.format_exc())
    return record["fault"] is not None


def _work(first, step, kind):
    """Run cases for ever, and write what they were to the standard output, a line before and after each."""
    import torch

    torch.set_num_threads(1)
    faulthandler.enable()
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    from . import cases  # noqa: F401  what is imported does not count as memory of a case

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY,) * 2)
    seed = first
    while True:
        out.write(json.dumps({"start": seed}) + "\n")
        out.write(json.dumps({"seed": seed, **run_case(seed, kind=kind)}) + "\n")
        seed += step


class _Worker:
    """A process that runs cases, and what it last said."""

    def __init__(self, first, step, kind, records):
        self.first, self.step, self.kind, self.records = first, step, kind, records
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed in `end`
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "attacks.fuzz", "--work", str(first), str(step)]
        self.process = subprocess.Popen(
            command + (["--kind", kind] if kind else []),
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            start_new_session=True,
        )
        self.seed, self.heard = None, time.monotonic()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.process.stdout:
            record = json.loads(line)
            self.heard = time.monotonic()
            if "start" in record:
                self.seed = record["start"]
            else:
                self.records.put(record)

    def what_ended_it(self):
        """Return why it does not go on, or None."""
        if self.process.poll() is not None:
            self.log.seek(0)
            return f"the process died with {self.process.returncode}: {self.log.read()[-600:]}"
        if time.monotonic() - self.heard > _LONGEST_CASE:
            return f"hangs for more than {_LONGEST_CASE} s"
        return None

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.log.close()


def _fuzz(options):
    first = options.seed * SEEDS_OF_A_RUN
    records, workers, seen = queue.Queue(), [], []
    start = time.monotonic()
    try:
        workers = [_Worker(first + i, options.workers, options.kind, records) for i in range(options.workers)]
        while time.monotonic() - start < options.seconds:
            with contextlib.suppress(queue.Empty):
                seen.append(records.get(timeout=0.5))
            for i, worker in enumerate(workers):
                reason = worker.what_ended_it()
                if reason is not None:
                    worker.end()
                    if worker.seed is None:
                        raise RuntimeError(f"A worker did not begin: {reason}")
                    seen.append({"seed": worker.seed, "kind": "?", "outcome": "FAULT", "fault": reason, "told": ""})
                    workers[i] = _Worker(worker.seed + worker.step, worker.step, options.kind, records)
    finally:
        for worker in workers:
            worker.end()
    while not records.empty():
        seen.append(records.get())
    return _report(seen, options, time.monotonic() - start)


def _report(seen, options, seconds):
    counts = collections.defaultdict(collections.Counter)
    for record in seen:
        counts[record["kind"]][record["outcome"]] += 1
    _print(f"{len(seen)} cases in {seconds:.0f} s, seed {options.seed}\n")
    _print(f"{'attack':<10}{'cases':>7}{'results':>9}{'FAULTS':>8}  refused")
    for kind, outcomes in sorted(counts.items()):
        refused = {name: n for name, n in outcomes.items() if name not in ("result", "FAULT")}
        told = ", ".join(f"{n} {name}" for name, n in sorted(refused.items(), key=lambda item: -item[1]))
        _print(f"{kind:<10}{outcomes.total():>7}{outcomes['result']:>9}{outcomes['FAULT']:>8}  {told}")
    faults = collections.defaultdict(list)
    for record in seen:
        if record["fault"] is not None:
            faults[record["kind"], _alike(record["fault"])].append(record)
    for (kind, _), alike in sorted(faults.items(), key=lambda item: -len(item[1])):
        shortest = min(alike, key=lambda record: len(record["told"]))
        _print(f"\nFAULT in {kind}, {len(alike)} times: {shortest['fault']}\n  {shortest['told']}")
        seeds = ", ".join(str(record["seed"]) for record in [shortest, *alike][:4])
        _print(f"  again: make fuzz CASE={shortest['seed']}  (seeds {seeds})")
    return 1 if faults or not seen else 0


def _alike(fault):
    """Return what faults of one cause have in common."""
    place = re.search(r"at [\w/]+\.py:\d+", fault)
    return fault.partition(":")[0] + (place.group() if place else "")


def _print(text):
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
