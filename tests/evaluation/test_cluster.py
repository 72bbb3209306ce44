"""Evaluations whose jobs run on a Dask cluster or on Ray: real schedulers and workers on this machine."""

import collections
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import joblib
import pytest
from attacks import grids

import gan_sampler
from gan_sampler.evaluation._store import Store

ROOT = Path(gan_sampler.__file__).parent.parent
PATIENCE = 120  # seconds; workers import torch


def start(log, module, *arguments, **environment):
    with open(log, "a") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=log.parent,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "OMP_NUM_THREADS": "1", **environment},
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )


@contextlib.contextmanager
def cluster(folder, *, n_threads=(1, 1), **environment):
    """Start a scheduler and workers of so many threads; give a client."""
    distributed = pytest.importorskip(
        "distributed", reason="Dask's scheduler is not installed: pip install distributed"
    )
    file, log = folder / "scheduler.json", folder / "cluster.log"
    common = ("--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", file)
    processes = [start(log, "distributed.cli.dask_scheduler", "--port", "0", *common)]
    try:
        for number in n_threads:
            options = ("--nthreads", number, "--no-nanny", "--local-directory", folder, *common)
            worker = start(log, "distributed.cli.dask_worker", *options, **environment)
            processes.append(worker)
        deadline = time.monotonic() + PATIENCE
        while not file.exists():
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        with distributed.Client(scheduler_file=str(file)) as client:
            client.wait_for_workers(len(n_threads), timeout=PATIENCE)
            yield client
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def kill_a_worker_at_work(store, killed):
    """Kill, once a third of the cells is done, a worker that holds a lease."""
    deadline = time.monotonic() + PATIENCE
    while len(list((store.root / "cells").glob("*.json"))) < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    while not killed and time.monotonic() < deadline:
        for lease in store.running():
            os.kill(lease["pid"], signal.SIGKILL)
            killed.append(lease["pid"])
            return


def test_a_run_on_dask_ends_and_loses_nothing_when_one_of_two_workers_is_killed(tmp_path):
    """The records and the table are those of one process; the worker that is left has several threads."""
    counter, store, killed = tmp_path / "counter", Store(tmp_path / "store"), []
    environment = {grids.COUNTER: str(counter), grids.SLOW: "0.1"}
    with cluster(tmp_path, n_threads=(1, 2), **environment):
        killer = threading.Thread(target=kill_a_worker_at_work, args=(store, killed))
        killer.start()
        with joblib.parallel_config(backend="dask"):
            grids.run(store.root, None)
        killer.join()
    grids.run(tmp_path / "one")
    assert killed
    lines = [line.split() for line in counter.read_text().splitlines()]
    assert killed[0] in {int(pid) for _, pid in lines}
    assert len({pid for _, pid in lines}) == 2
    counts = collections.Counter(what for what, _ in lines)
    assert counts["tree"] + counts["svm"] <= 12 + len(killed)
    assert grids.results(store.root) == grids.results(tmp_path / "one")
    assert grids.table(store.root) == grids.table(tmp_path / "one")
    assert not grids.left_over(store.root)


def test_a_run_on_ray_gives_the_records_of_one_process(tmp_path):
    """All of it in workers of Ray."""
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install ray")
    from ray.util.joblib import register_ray

    register_ray()
    counter, few = tmp_path / "counter", {"seeds": (0,), "samplers": ("none", "smote")}
    variables = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "OMP_NUM_THREADS": "1", grids.COUNTER: str(counter)}
    ray.init(num_cpus=2, include_dashboard=False, runtime_env={"env_vars": variables}, log_to_driver=False)
    try:
        with joblib.parallel_config(backend="ray"):
            grids.run(tmp_path / "ray", None, **few)
    finally:
        ray.shutdown()
    pids = {line.split()[1] for line in counter.read_text().splitlines()}
    assert pids
    assert str(os.getpid()) not in pids
    grids.run(tmp_path / "one", **few)
    assert grids.results(tmp_path / "ray") == grids.results(tmp_path / "one")
