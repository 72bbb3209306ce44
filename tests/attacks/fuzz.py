"""Random cases against the public interface: `make fuzz`.

Each case is decided by its seed alone; ``--case SEED`` runs one again, with its traceback.
"""

import argparse
import collections
import contextlib
import itertools
import multiprocessing
import multiprocessing.connection
import os
import re
import resource
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path

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
    options = parser.parse_args(arguments)
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


def _work(first, step, kind, pipe):
    """Run cases for ever, and tell before and after each what it is."""
    os.setsid()
    with open(os.devnull, "w") as nothing:  # progress bars
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY,) * 2)
    for seed in itertools.count(first, step):
        pipe.send({"start": seed})
        pipe.send({"seed": seed, **run_case(seed, kind=kind)})


class _Worker:
    """A process that runs cases, and what it last said. It is forked, as imports may take longer than many cases."""

    def __init__(self, first, step, kind):
        self.step, self.kind = step, kind
        self.seed, self.heard = first, time.monotonic()
        self.pipe, theirs = multiprocessing.Pipe(duplex=False)
        fork = multiprocessing.get_context("fork")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python 3.12 on: no other thread of this process holds a lock
            self.process = fork.Process(target=_work, args=(first, step, kind, theirs), daemon=True)
            self.process.start()
        theirs.close()

    def listen(self):
        """Return the record of a case, or of why the process does not go on, or None."""
        try:
            if self.pipe.poll():
                record, self.heard = self.pipe.recv(), time.monotonic()
                self.seed = record.get("start", self.seed)
                return record if "seed" in record else None
        except EOFError:
            self.process.join()
            return self._ended(f"the process died with {self.process.exitcode}")
        if time.monotonic() - self.heard > _LONGEST_CASE:
            return self._ended(f"hangs for more than {_LONGEST_CASE} s")
        return None

    def _ended(self, reason):
        return {"seed": self.seed, "kind": "?", "outcome": "FAULT", "fault": reason, "told": "", "is_over": True}

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.join()
        self.pipe.close()

    def successor(self):
        return _Worker(self.seed + self.step, self.step, self.kind)


def _fuzz(options):
    import torch

    from . import cases  # noqa: F401  before the processes are forked

    torch.set_num_threads(1)
    first, seen, start = options.seed * SEEDS_OF_A_RUN, [], time.monotonic()
    workers = [_Worker(first + i, options.workers, options.kind) for i in range(options.workers)]
    try:
        while time.monotonic() - start < options.seconds:
            multiprocessing.connection.wait([worker.pipe for worker in workers], timeout=0.5)
            for i, worker in enumerate(workers):
                record = worker.listen()
                if record is None:
                    continue
                seen.append(record)
                if "is_over" in record:
                    worker.end()
                    workers[i] = worker.successor()
    finally:
        for worker in workers:
            worker.end()
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
