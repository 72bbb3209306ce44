"""Computation of the grid of an evaluation with joblib: first shared work, then the cells."""

import collections
import contextlib
import itertools
import sys
import time
from concurrent.futures.process import BrokenProcessPool

import humanize
import joblib
import psutil
from joblib import Parallel, delayed
from joblib.parallel import get_active_backend
from sklearn.utils import gen_batches
from tqdm import tqdm

from gan_sampler.evaluation._estimate import cost_of
from gan_sampler.evaluation._jobs import (
    KILLED,
    MOST_DEATHS,
    POLL_INTERVAL,
    Cell,
    EmbedJob,
    Outcome,
    SampleJob,
    is_done,
    keep_failure,
    work,
)
from gan_sampler.evaluation._splits import split_off_validation
from gan_sampler.evaluation._store import StoreError, Taken
from gan_sampler.runtime import end_with_parent, this_process

_IN_A_ROW = 4  # jobs of each worker at a time, for backends that only return complete batches
_BYTES_OF_WORKER = 800 * 2**20  # with torch and other packages loaded


def make_cells(context, splits, treatments, classifiers, embedders):
    """Return all cells of a grid, split by split; networks that stop early get validation images."""
    _, target, groups, names = context.load()
    validates = any(classifier.needs_validation for classifier in classifiers)
    pairs = [(split, split_off_validation(split, target, groups, names) if validates else None) for split in splits]
    return [
        Cell(split.restored(groups) if treatment.restores else split, treatment, classifier, embedder)
        for whole, validated in pairs
        for treatment in treatments
        for classifier in classifiers
        for split in (validated if classifier.needs_validation else whole,)
        for embedder in (embedders if classifier.on == "features" else (None,))
    ]


def plan_shared(context, cells):
    """Return the jobs that cells share, as stages (lists) of independent jobs.

    Samplers that may share trainings are one job. An embedder that is fitted on a split, with all images that it
    embeds, is one job too.
    """
    samples, real, new = {}, {}, {}
    for cell in cells:
        of_samples, of_real, of_new = cell.shared_jobs(context)
        for job in of_samples:
            samples.setdefault(job.keys(context)[0], job)
        for job in of_real:
            real.setdefault(job.keys(context)[0], job)
        for job in of_new:
            new.setdefault(job.keys(context)[-1], job)
    stages = [[*_by_family(samples.values()), *real.values()], _by_fit(context, new.values())]
    todo = [[job for job in stage if not is_done(context, job)] for stage in stages]
    return [sorted(stage, key=lambda job: -cost_of(context, job)) for stage in todo]  # longest first


def _by_family(samples):
    """Put the treatments of one family on the same images into one job."""
    groups = {}
    for job in samples:
        family = job.treatments[0].family
        shared = (family, job.classifier_on) if family else object()
        groups.setdefault((shared, job.train.tobytes(), job.seed), []).append(job)
    return [
        SampleJob(jobs[0].train, jobs[0].seed, tuple(t for job in jobs for t in job.treatments), jobs[0].classifier_on)
        for jobs in groups.values()
    ]


def _by_fit(context, jobs):
    """Combine the jobs of one fitted embedder into one; a frozen embedder has one job for each sampler."""
    groups = {}
    for job in jobs:
        of = job.keys(context)[0]  # key of the real images, or of the sample for a frozen embedder
        groups.setdefault(of, []).append(job)
    return [
        EmbedJob(jobs[0].embedder, jobs[0].train, jobs[0].seed, tuple(s for job in jobs for s in job.samples))
        for jobs in groups.values()
    ]


def choose_n_jobs(context, n_jobs=None):
    """Return the `n_jobs` for joblib.

    Parameters
    ----------
    context : Context
        Context of the evaluation, for the size of the images.
    n_jobs : int or None, default=None
        As in joblib. None takes the number of a surrounding `joblib.parallel_config`, or all workers of its cluster;
        without one, one worker for each core, but not more than fit in memory, and one worker with a GPU.
    """
    if n_jobs is not None:
        return n_jobs
    backend, configured = get_active_backend()
    if configured is not None:
        return configured
    if type(backend).__name__ != "LokyBackend":
        return -1  # all workers of a cluster; some backends would take one
    if not context.device.startswith("cpu"):
        return 1
    n_held = int(psutil.virtual_memory().available // bytes_of_worker(context))
    return max(1, min(joblib.cpu_count(only_physical_cores=False) // context.n_threads, n_held))


def bytes_of_worker(context):
    """Return the estimated memory of a worker in bytes: torch, and several copies of the training images."""
    images, target, _, _ = context.load()
    return _BYTES_OF_WORKER + 4 * images.nbytes * max(1, len(set(target.tolist())))


def run_grid(context, cells, *, n_jobs=None, on_error="skip", progress=True):
    """Compute the cells that have no result yet, and the work that they share.

    Parameters
    ----------
    context : Context
        Data, settings and store.
    cells : list of Cell
        The grid.
    n_jobs : int or None, default=None
        Number of workers, as in joblib.
    on_error : {"skip", "raise"}, default="skip"
        Whether a failure is recorded and skipped, or stops the run.
    progress : bool, default=True
        Whether to show a progress bar.

    Returns
    -------
    n_computed : int
        Number of cells that had no result before.

    Raises
    ------
    RuntimeError
        With ``on_error="raise"``, for the first cell that fails; or when workers are killed repeatedly.
    StoreError
        When the results cannot be written; finished results are kept.
    """
    with context.store.run():
        todo = [cell for cell in cells if not is_done(context, cell)]
        stages = [*plan_shared(context, todo), sorted(todo, key=lambda cell: -cost_of(context, cell))]
        with _Progress(context, stages, progress) as bar:
            for jobs in stages:
                _Stage(context, jobs, n_jobs, on_error, bar).run()
        _tidy_up(context, todo)
    return len(todo)


def _tidy_up(context, cells):
    """Remove files of killed processes, including checkpoints of finished trainings."""
    context.store.remove_abandoned()
    samples = {job.keys(context)[0]: job for cell in cells for job in cell.shared_jobs(context)[0]}
    networks = [cell for cell in cells if cell.classifier.is_network]
    for job in [*_by_family(samples.values()), *networks]:
        with contextlib.suppress(Taken), context.store.lease(job.lease(context)):
            job.forget_checkpoints(context)


class _Stage:
    """Independent jobs.

    When a worker is killed, for example because of memory, all jobs that were running are lost, and one of them may be
    the cause. They are repeated one by one after the others, and a job that is killed again is recorded as failed.
    """

    def __init__(self, context, jobs, n_jobs, on_error, bar):
        self._context = context
        self._pending = {job.lease(context): job for job in jobs}
        self._n_jobs = n_jobs
        self._on_error = on_error
        self._bar = bar
        self._deaths = collections.Counter()  # by job; None for deaths before any job had started

    def run(self):
        """Run all jobs."""
        while self._pending:
            batch = [key for key in self._pending if not self._deaths[key]] or [next(iter(self._pending))]
            n_taken = self._run_batch(batch)
            if n_taken == len(batch):  # other processes are working on all remaining jobs
                time.sleep(POLL_INTERVAL)

    def _run_batch(self, batch):
        """Run some jobs; return how many of them other processes are working on."""
        jobs = [self._pending[key] for key in batch]
        running, n_taken = set(batch), 0
        try:
            for place, outcome in _run_parallel(self._context, jobs, self._n_jobs):
                running.discard(batch[place])
                if outcome.state != "taken":
                    self._finish(batch[place], outcome)
                elif is_done(self._context, jobs[place]):
                    self._finish(batch[place], None)
                else:
                    n_taken += 1
        except _errors_of_death() as exc:
            self._count_death(batch, running, exc)
        return n_taken

    def _finish(self, key, outcome):
        job = self._pending.pop(key)
        self._bar.add(job, outcome)
        if outcome is not None and outcome.state == "failed" and self._on_error == "raise":
            raise RuntimeError(f"{job.name} failed: {outcome.error}")

    def _count_death(self, batch, running, exc):
        store = self._context.store
        store.log(f"a worker died: {str(exc).splitlines()[0]}")
        begun = batch if len(batch) == 1 else [key for key in running if store.has_lease(key)]
        self._deaths.update(begun or [None])
        if self._deaths[None] == MOST_DEATHS:
            raise RuntimeError(
                f"Workers were killed {MOST_DEATHS} times before they started a job, perhaps because of too little "
                "memory. Use fewer workers (n_jobs)."
            ) from exc
        if len(batch) == 1 and self._deaths[batch[0]] >= MOST_DEATHS:
            self._give_up(batch[0])

    def _give_up(self, key):
        error = RuntimeError(KILLED)
        keep_failure(self._context, self._pending[key], error)
        self._finish(key, Outcome("failed", f"RuntimeError: {error}"))


def _errors_of_death():
    """Return the exceptions of joblib's backends for a killed worker."""
    kinds = [BrokenProcessPool]
    if "distributed" in sys.modules:
        kinds.append(sys.modules["distributed"].KilledWorker)
    if "ray" in sys.modules:
        errors = sys.modules["ray"].exceptions
        kinds += [errors.RayActorError, errors.WorkerCrashedError, errors.OutOfMemoryError, errors.NodeDiedError]
    return tuple(kinds)


def _run_parallel(context, jobs, n_jobs):
    """Yield the index and the outcome of each job as soon as it is finished."""
    if joblib.effective_n_jobs(n_jobs) == 1:
        for place, job in enumerate(jobs):
            yield place, work(context, job)
        return
    numbered = [delayed(_work)(context, place, job, this_process()) for place, job in enumerate(jobs)]
    options = {"n_jobs": n_jobs, "batch_size": 1}  # larger batches would leave other workers idle
    backend, _ = get_active_backend()
    if backend.supports_return_generator:
        yield from Parallel(return_as="generator_unordered", pre_dispatch="2*n_jobs", **options)(numbered)
        return
    with Parallel(**options) as parallel:  # keeps the workers between batches
        for some in gen_batches(len(numbered), _IN_A_ROW * joblib.effective_n_jobs(n_jobs)):
            yield from parallel(numbered[some])


def _work(context, place, job, sender):
    """Run a job in a worker process, which ends when the process that started it has ended."""
    is_worker = sender != this_process()
    with end_with_parent(sender) if is_worker else contextlib.nullcontext():
        return place, work(context, job)


class _Progress:
    """A progress bar over all jobs with the remaining time, and a line in the log for each job."""

    def __init__(self, context, stages, show):
        self._context = context
        jobs = list(itertools.chain.from_iterable(stages))
        self._left = sum(cost_of(context, job) for job in jobs)
        self._done = 0.0
        self._start = time.perf_counter()
        self._bar = tqdm(total=len(jobs), unit="job", dynamic_ncols=True, disable=not show, bar_format=_BAR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._bar.close()

    def add(self, job, outcome):
        """Count a finished job; `outcome` is None if another process did it."""
        cost = cost_of(self._context, job)
        self._left, self._done = self._left - cost, self._done + cost
        self._bar.set_postfix_str(self._time_left(), refresh=False)
        self._bar.update()
        if outcome is None:
            return
        line = f"{outcome.state} in {outcome.seconds:.1f} s: {job.name}"
        if outcome.error is not None:
            line += f": {' '.join(outcome.error.split())}"
            self._bar.write(line)
        with contextlib.suppress(StoreError):
            self._context.store.log(line)

    def _time_left(self):
        if self._done <= 0 or self._left <= 0:
            return ""
        seconds = (time.perf_counter() - self._start) * self._left / self._done
        return f"about {humanize.naturaldelta(seconds)} left"


_BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} jobs{postfix}"
