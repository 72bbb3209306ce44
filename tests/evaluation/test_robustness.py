"""Evaluations that are killed, run out of disk, meet each other in one store, or find damaged files in it."""

import collections
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from attacks import grids
from joblib.externals.loky.process_executor import TerminatedWorkerError

import gan_sampler
from gan_sampler.evaluation import _jobs, _run, _store
from gan_sampler.evaluation._store import Store, StoreError, Taken

ROOT = Path(gan_sampler.__file__).parent.parent
QUICK = {"seeds": (0,), "samplers": ("none", "smote")}


@pytest.fixture
def counter(tmp_path, monkeypatch):
    file = tmp_path / "counter"
    monkeypatch.setenv(grids.COUNTER, str(file))
    return lambda: collections.Counter(line.split()[0] for line in file.read_text().splitlines())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    root = tmp_path_factory.mktemp("undisturbed")
    grids.run(root, samplers=("none", "smote", "gan"))
    return root


def dead_process():
    """Return pid and start of a process that has ended and that nobody has asked about: a zombie."""
    process = subprocess.Popen(["sleep", "100"])
    holder = json.loads(
        json.dumps({**_store._this_process(), "pid": process.pid, "began": _store._start_time(process.pid)})
    )
    process.kill()
    while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
    return process, holder


def write_lease(store, key, holder):
    file = store.root / "leases" / f"{key}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(holder))
    return file


# Leases


def test_a_lease_of_a_killed_process_is_free_at_once_even_before_its_parent_has_heard(tmp_path):
    """Schedulers and containers collect their dead late; the next start must not wait a minute for them."""
    store = Store(tmp_path)
    process, holder = dead_process()
    write_lease(store, "a", holder)
    with store.lease("a"):
        assert store.running()[0]["pid"] == os.getpid()
    process.wait()
    assert not store.running()


def test_a_lease_is_free_when_another_process_has_got_the_number_of_its_holder(tmp_path):
    """Containers that start again number their processes from one."""
    store = Store(tmp_path)
    write_lease(store, "a", {**_store._this_process(), "began": _store._start_time() - 60_000})
    with store.lease("a"):
        pass


def test_equal_numbers_in_two_containers_are_two_processes(tmp_path):
    """There, only signs of life tell."""
    store = Store(tmp_path)
    file = write_lease(store, "a", {**_store._this_process(), "machine": "another"})
    with pytest.raises(Taken), store.lease("a"):
        pass
    old = time.time() - 2 * _store._SILENCE
    os.utime(file, (old, old))
    with store.lease("a"):
        pass


def test_who_was_taken_for_dead_does_not_free_the_lease_of_another(tmp_path):
    """A suspended machine wakes up and finds that others have gone on."""
    store = Store(tmp_path)
    with store.lease("a"):
        other = write_lease(store, "a", {**_store._this_process(), "machine": "another"})
    assert other.exists()


def test_one_of_many_takes_over_from_the_dead(tmp_path):
    """All see that it is dead at the same time; whoever comes later must not remove the lease of the first."""
    store, winners = Store(tmp_path), []
    process, holder = dead_process()
    for number in range(20):
        write_lease(store, str(number), holder)
        barrier, is_over = threading.Barrier(4), threading.Event()

        def take(key, barrier=barrier, is_over=is_over):
            barrier.wait()
            try:
                with store.lease(key):
                    winners.append(key)
                    is_over.wait(20)
            except Taken:
                pass

        threads = [threading.Thread(target=take, args=(str(number),)) for _ in range(4)]
        for thread in threads:
            thread.start()
        while sum(thread.is_alive() for thread in threads) > winners.count(str(number)) or str(number) not in winners:
            time.sleep(0.002)
        is_over.set()
        for thread in threads:
            thread.join()
    process.wait()
    assert max(collections.Counter(winners).values()) == 1


# Files


def test_bytes_reach_the_disk_before_the_name_does(tmp_path, monkeypatch):
    """Else a power failure leaves an empty file under a good name."""
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, real=real, name=name: (calls.append(name), real(*args))[1])
    Store(tmp_path).write_record({"key": "a"})
    assert calls == ["fsync", "replace", "fsync"]


def test_unfinished_files_of_killed_processes_are_removed_and_those_of_the_living_are_not(tmp_path):
    """A quick second start finds them, too."""
    store = Store(tmp_path)
    code = (
        "import os, signal; from pathlib import Path; from gan_sampler.evaluation._store import Store, atomic\n"
        f"store = Store({str(tmp_path)!r})\n"
        "with store.lease('a'), atomic(store.root / 'cells' / 'b.json') as file:\n"
        "    file.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == -signal.SIGKILL
    assert len(grids.left_over(tmp_path)) == 2
    with _store.atomic(tmp_path / "c") as mine:
        mine.write_text("half")
        store.remove_abandoned()
        assert grids.left_over(tmp_path) == [mine]


def test_checkpoints_of_a_training_that_was_just_over_when_it_was_killed_are_removed(tmp_path, monkeypatch):
    """Nothing of it is left to do, so no job comes by."""
    options = {"seeds": (0,), "samplers": ("gan",), "classifiers": ("tree",)}
    with monkeypatch.context() as patch:
        patch.setattr(_jobs.shutil, "rmtree", lambda *args, **kwargs: pytest.fail("killed"))
        context, cells = grids.prepare(tmp_path, **options)
        with pytest.raises(pytest.fail.Exception):
            cells[-1].sample(cells[-1].split).run(context)
    assert grids.left_over(tmp_path)
    assert grids.run(tmp_path, **options) == 2
    assert not grids.left_over(tmp_path)


@pytest.mark.parametrize("damage", ["empty", "cut", "another", "array"])
def test_damaged_files_are_named_set_aside_and_made_again(tmp_path, undisturbed, damage, counter):
    """None of them costs more than what it held."""
    shutil.copytree(undisturbed, tmp_path / "store")
    store = Store(tmp_path / "store")
    records, shared = sorted((store.root / "cells").glob("*.json")), sorted((store.root / "cache").glob("*.npz"))
    content = {
        "empty": b"",
        "cut": records[0].read_bytes()[:-100],
        "another": records[1].read_bytes(),
        "array": b"[1, 2]",
    }[damage]
    records[0].write_bytes(content)
    for file in shared:
        if damage == "array":
            with open(file, "wb") as stream:
                np.save(stream, np.arange(3))
        else:
            file.write_bytes(b"" if damage == "empty" else file.read_bytes()[:-100])
    with pytest.warns(UserWarning, match=f"{records[0].name}.*is ignored") as told:
        assert grids.run(store.root) == 1
    assert records[0].with_name(f"{records[0].name}.damaged").read_bytes() == content
    assert any("is damaged" in str(warning.message) for warning in told if ".npz" in str(warning.message))
    assert grids.results(store.root) == grids.results(undisturbed)
    assert sum(counter()[kind] for kind in ("tree", "svm")) == 1


def test_images_that_are_damaged_are_written_again(tmp_path):
    """Every cell reads them."""
    store, images = Store(tmp_path), np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
    store.write_data("a", images, {})
    store._images("a").write_bytes(store._images("a").read_bytes()[:-10])
    store.write_data("a", images, {})
    assert np.array_equal(store.read_data("a")[0], images)


# Disk


def _on_a_full_disk(root, n_bytes):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, resource.RLIM_INFINITY))
    try:
        grids.run(root)
    except StoreError as exc:
        return str(exc)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return None


@pytest.mark.parametrize("n_bytes", [100, 1000, 3000, 5000])
def test_a_full_disk_is_told_in_one_line_and_the_next_start_goes_on(tmp_path, undisturbed, n_bytes):
    """Here a limit to the size of a file, which the system tells in the same way."""
    told = _on_a_full_disk(tmp_path, n_bytes)
    assert "The results could not be written to" in told
    assert re.search("File too large|disk seems to be full", told)
    assert "\n" not in told
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # nothing is damaged
        records = grids.results(tmp_path)
        assert all(record["error"] is None for record in records.values())
        grids.run(tmp_path)
    assert grids.results(tmp_path) == grids.results(undisturbed)
    assert not grids.left_over(tmp_path)


def test_a_store_that_cannot_be_made_is_told_as_such(tmp_path):
    """The folder may be a file."""
    (tmp_path / "store").write_text("")
    store = Store(tmp_path / "store")
    for attempt in (
        lambda: store.write_record({"key": "a"}),
        lambda: store.log("a"),
        lambda: store.lease("a").__enter__(),
    ):
        with pytest.raises(StoreError, match="could not be written to"):
            attempt()


# Failures


def test_a_sampler_that_fails_is_tried_once_in_a_run_and_costs_the_others_nothing(tmp_path, counter):
    """Neither the samplers of its family nor what is embedded with it."""
    samplers = ("none", "gan", "broken")
    grids.run(tmp_path, seeds=(0,), samplers=samplers)
    assert counter()["broken"] == 1
    records = grids.results(tmp_path).values()
    errors = {(record["treatment"], record["error"]) for record in records}
    assert errors == {("none", None), ("gan", None), ("broken", "RuntimeError: on purpose")}
    assert all("in fit_resample" in record["traceback"] for record in records if record["error"])
    assert grids.run(tmp_path, seeds=(0,), samplers=samplers) == 2
    assert counter() == {"embedder": 2, "gan": 1, "broken": 2, "tree": 2, "svm": 2}


def test_a_run_that_begins_beside_another_does_not_try_again_what_failed_in_that(tmp_path):
    """It would be tried by every cell of the other one."""
    store = Store(tmp_path)
    with store.run():
        store.write_failure("a", "an error", "")
        with store.run():
            assert store.failure("a") is not None
    with store.run():
        assert store.failure("a") is None


def test_what_is_missing_is_made_once_while_many_cells_wait_for_it(tmp_path, counter):
    """A cache may be emptied between two stages."""
    context, cells = grids.prepare(tmp_path, seeds=(0,), samplers=("none", "broken"))
    broken = [cell for cell in cells if cell.treatment.name == "broken"]
    outcomes = [_jobs.work(context, cell) for cell in broken]  # with no stage before them
    assert [outcome.error for outcome in outcomes] == ["RuntimeError: on purpose"] * 2
    assert counter()["broken"] == 1


@pytest.mark.parametrize("order", [("gan", "gan_every"), ("gan_every", "gan")])
def test_seconds_of_a_sampler_are_those_of_its_treatment_whatever_the_order(tmp_path, monkeypatch, order):
    """What two samplers share counts for both, and every cell of a treatment tells the same."""
    every = grids.gan("gan_every").sampler.set_params(synthetic_classes="all")
    treatments = {"gan": grids.gan(), "gan_every": _jobs.Treatment("gan_every", "gan_every", every, family="gan")}
    monkeypatch.setattr(grids, "choose_treatments", lambda *args: [treatments[name] for name in order])
    grids.run(tmp_path, seeds=(0,), samplers=order)
    seconds = collections.defaultdict(set)
    for record in Store(tmp_path).records():
        assert record["error"] is None
        seconds[record["treatment"]].add(record["seconds"]["sampler"])
    assert {len(found) for found in seconds.values()} == {1}
    trained = {
        record["treatment"]: sum(entries[-1]["seconds"] for entries in record["history"].values())
        for record in Store(tmp_path).records()
    }
    for name, found in seconds.items():
        assert found.pop() >= trained[name] > 0


def test_another_sampler_changes_nothing_of_the_features_that_are_there(tmp_path):
    """Their seconds are those that the cells of the first command have told."""
    grids.run(tmp_path, seeds=(0,), samplers=("none",))
    grids.run(tmp_path, seeds=(0,), samplers=("none", "gan"))
    assert len({record["seconds"]["embedder"] for record in Store(tmp_path).records()}) == 1


def test_warnings_reach_the_record_with_their_category(tmp_path):
    """Of the classifier here; a thread beside must not take them away."""
    context, cells = grids.prepare(tmp_path, seeds=(0, 1, 2), samplers=("none",), classifiers=("tree",))
    threads = [threading.Thread(target=_jobs.work, args=(context, cell)) for cell in cells]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = [{"category": "RuntimeWarning", "message": "a tree was grown", "from": "classifier"}]
    assert [record["warnings"] for record in Store(tmp_path).records()] == [expected] * 3


def test_threads_of_one_process_work_one_after_the_other(tmp_path, monkeypatch, undisturbed):
    """A worker of a cluster may have several; what they record and set belongs to the whole process."""
    monkeypatch.setenv(grids.SLOW, "0.02")
    with joblib.parallel_config(backend="threading"):
        grids.run(tmp_path, 3)
    assert grids.results(tmp_path) == grids.results(undisturbed)


def test_workers_are_those_of_the_surrounding_configuration(tmp_path):
    """One that names a cluster alone means all of it, and one worker is one worker."""
    context, _ = grids.prepare(tmp_path, **QUICK)
    expected = {("threading", None): -1, ("threading", 3): 3, ("loky", 1): 1}
    for (backend, n_jobs), chosen in expected.items():
        with joblib.parallel_config(backend=backend, n_jobs=n_jobs):
            assert _run.choose_n_jobs(context) == chosen
    assert 1 <= _run.choose_n_jobs(context) <= joblib.cpu_count()
    assert _run.choose_n_jobs(context, 2) == 2


# Workers that are killed


class Killing:
    """In place of joblib's workers: those that do a deadly job die, and so do those beside it."""

    def __init__(self, deadly, *, after=0):
        self.deadly, self.after, self.batches = deadly, after, []

    def __call__(self, context, jobs, n_jobs):
        self.batches.append([job.name for job in jobs])
        for place, job in enumerate(jobs):
            if self.deadly(job):
                for begun in jobs[max(0, place - 1) : place + 1]:  # two workers
                    write_lease(context.store, begun.lease(context), {**_store._this_process(), "began": 0})
                raise TerminatedWorkerError("killed\nand more")
            if place + 1 == len(jobs) or not self.deadly(jobs[place + 1]):
                yield place, _jobs.work(context, job)


def test_a_job_that_kills_its_workers_is_recorded_as_failed_and_the_others_are_done(tmp_path, monkeypatch):
    """As the kernel does to what takes too much memory; one cell must not cost the run."""
    killing = Killing(lambda job: "deadly" in job.name)
    monkeypatch.setattr(_run, "_run_parallel", killing)
    grids.run(tmp_path, 2, classifiers=("tree", "deadly", "svm"), **QUICK)
    records = Store(tmp_path).records()
    assert {(record["classifier"], record["error"] is None) for record in records} == {
        ("tree", True),
        ("svm", True),
        ("deadly", False),
    }
    assert all("killed 3 times" in record["error"] for record in records if record["error"])
    assert (tmp_path / "run.log").read_text().count("a worker died: killed\n") >= 4
    assert not grids.left_over(tmp_path)


def test_a_job_that_a_cluster_starts_again_and_again_is_given_up(tmp_path):
    """Dask tells joblib nothing of a task that killed its workers; what was killed with a whole run does not count."""
    context, cells = grids.prepare(tmp_path, seeds=(0,), samplers=("none",), classifiers=("tree",))
    store, key = context.store, cells[0].key(context)
    with store.run():
        write_lease(store, key, {**_store._this_process(), "began": 0, "deaths": 1})
        with store.lease(key) as n_deaths:
            assert n_deaths == 2
        write_lease(store, key, {**_store._this_process(), "began": 0, "deaths": 2})
        assert "killed 3 times" in _jobs.work(context, cells[0]).error
        write_lease(store, key, {**_store._this_process(), "began": 0, "deaths": 2, "at": time.time() - 100})
        assert _jobs.work(context, cells[0]).state == "done"


def test_workers_that_die_before_they_begin_end_the_run(tmp_path, monkeypatch):
    """There is no job to blame, and no end to wait for."""

    def die(context, jobs, n_jobs):
        raise TerminatedWorkerError("killed")
        yield

    monkeypatch.setattr(_run, "_run_parallel", die)
    with pytest.raises(RuntimeError, match=r"Workers were killed 3 times before they started.*n_jobs"):
        grids.run(tmp_path, 2, **QUICK)


# Processes


def start(root, *arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "attacks.grids", str(root), *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", **environment},
        start_new_session=True,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_processes_share_one_store_and_compute_nothing_twice(tmp_path, undisturbed, counter):
    """They wait for each other where they must, and see all records in the end."""
    root = tmp_path / "store"
    assert start(root, "1", "--processes", "2", **{grids.SLOW: "0.05"}).wait(120) == 0
    assert grids.results(root) == grids.results(undisturbed)
    assert counter() == {"embedder": 2, "gan": 2, "tree": 6, "svm": 6}
    assert not grids.left_over(root)


def test_a_killed_run_goes_on_and_loses_no_more_than_was_running(tmp_path, undisturbed, counter):
    """Nothing that was finished is computed again."""
    root = tmp_path / "store"
    process = start(root, "1", **{grids.SLOW: "0.2"})
    while len(list((root / "cells").glob("*.json"))) < 3:
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    finished = {
        file.name: file.stat().st_mtime_ns for folder in ("cells", "cache") for file in (root / folder).glob("*.*")
    }
    started = time.monotonic()
    left = grids.run(root)
    assert time.monotonic() - started < 20
    process.wait()
    assert left == 12 - sum(name.endswith(".json") for name in finished)
    assert sum(counter()[kind] for kind in ("tree", "svm")) in (12, 13)
    assert counter()["gan"] == 2
    now = {file.name: file.stat().st_mtime_ns for file in (root / "cells").glob("*.json")}
    assert all(now[name] == at for name, at in finished.items() if name in now)
    assert grids.results(root) == grids.results(undisturbed)
    assert not grids.left_over(root)


# Keys and sizes


@pytest.mark.parametrize(("file", "is_new"), [("_metrics.py", True), ("_jobs.py", True), ("_report/_page.py", False)])
def test_keys_change_with_the_code_that_computes_and_with_no_other(tmp_path, file, is_new):
    """The benchmark's own code counts, its pictures do not."""
    package = tmp_path / "gan_sampler"
    shutil.copytree(ROOT / "gan_sampler", package, ignore=shutil.ignore_patterns("__pycache__"))
    edited = package / "evaluation" / file

    def key(monkeypatch):
        monkeypatch.setattr(_store, "__file__", str(package / "evaluation" / "_store.py"))
        _store._hash_of_source.cache_clear()
        context, cells = grids.prepare(tmp_path / "store", **QUICK)
        return [cell.key(context) for cell in cells]

    try:
        with pytest.MonkeyPatch.context() as monkeypatch:
            before = key(monkeypatch)
            edited.write_text(f"{edited.read_text()}\n# edited\n")
            after = key(monkeypatch)
    finally:
        _store._hash_of_source.cache_clear()
    assert len(set(before)) == len(before)
    assert set(before).isdisjoint(after) if is_new else before == after


def test_cells_of_cpu_and_gpu_are_unlike(tmp_path):
    """Their rounding differs."""
    keys = [
        {cell.key(context) for cell in cells}
        for context, cells in (
            grids.prepare(tmp_path, **QUICK, device=device) for device in ("cpu", "cuda:0", "cuda:1")
        )
    ]
    assert keys[0].isdisjoint(keys[1])
    assert keys[1] == keys[2]


def test_the_cache_stays_under_its_limit_and_is_left_alone_while_a_run_needs_it(tmp_path):
    """What another process still reads must not go."""
    grids.run(tmp_path, **QUICK)
    store = Store(tmp_path)
    size = store.cache_size()
    with store.run():
        store.prune(size // 2)
        assert store.cache_size() == size
    store.prune(size - 1)
    assert 0 < store.cache_size() < size
    store.prune(0)
    assert store.cache_size() == 0
