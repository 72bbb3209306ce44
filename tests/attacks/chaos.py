"""Kills, interruptions, full disks, threads and forks around fits: `make chaos`.

Every attack is made again and again until its share of the time is over. What is attacked runs in processes that are
forked from this one, which has imported all there is to import, each in a session of its own that is killed at the end.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import itertools
import multiprocessing
import os
import pickle
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import joblib
import numpy as np
import torch
from sklearn.base import clone

from gan_sampler import (
    AugmentationOverSampler,
    ConditionalDCGANOverSampler,
    DCGANOverSampler,
    _keeper,
)
from gan_sampler.evaluation import Store, StoreError
from gan_sampler.training import read_file

from . import grids
from .cases import process_state

_PATIENCE = 120  # seconds after which a fit of a second hangs
_SOON = 10  # seconds in which workers must end with their parent
_DISK = "4m"
_SMALL = {"base_channels": 2, "random_state": 0}
SAMPLERS = {
    "plain": DCGANOverSampler(n_steps=120, **_SMALL),
    "dropout": DCGANOverSampler(n_steps=120, dropout=0.3, discriminator_norm="batch", **_SMALL),
    "conditional": ConditionalDCGANOverSampler(n_steps=220, **_SMALL),
    "wide": DCGANOverSampler(n_steps=60, base_channels=24, latent_dim=64, random_state=0),
}


def toy(n_rare=4, size=12):
    """Return images of a common class and of several rare ones."""
    stream = np.random.RandomState(0)
    labels = np.repeat(np.arange(n_rare + 1), [24, *[8] * n_rare])
    images = stream.randint(0, 256, (len(labels), size, size), dtype=np.uint8)
    images[np.arange(len(labels)), labels, :] = 255  # a line shows the class
    return images, labels


class FaultError(Exception):
    """Something does not hold that must."""


def require(condition, what):
    if not condition:
        raise FaultError(what)


class Child:
    """A function that runs in a process of its own, forked from this one.

    Parameters
    ----------
    function : callable
        What to run; what it returns must pickle.
    *arguments
        Its arguments.
    """

    living = set()

    def __init__(self, function, *arguments):
        self.folder = tempfile.TemporaryDirectory()
        self._result, self._log = Path(self.folder.name, "result"), Path(self.folder.name, "log")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python 3.12 on: this process has no other thread that holds a lock
            self.pid = os.fork()
        if self.pid == 0:
            self._run(function, arguments)
        self.status = None
        Child.living.add(self)

    def _run(self, function, arguments):
        status = 1
        try:
            os.setsid()
            log = os.open(self._log, os.O_WRONLY | os.O_CREAT)
            os.dup2(log, 1)
            os.dup2(log, 2)
            warnings.simplefilter("ignore")
            result = pickle.dumps(function(*arguments))
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            self._result.write_bytes(result)
            status = 0
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(status)

    def is_over(self):
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def wait(self, seconds=_PATIENCE):
        """Wait for the end; return what the function returned, or raise what is known of why it did not."""
        deadline = time.monotonic() + seconds
        while not self.is_over():
            if time.monotonic() > deadline:
                self.end()
                raise FaultError(f"hangs for more than {seconds} s; {self.log()}")
            time.sleep(0.005)
        require(self.status == 0, f"ended with {self.status}: {self.log()}")
        result = pickle.loads(self._result.read_bytes())
        self.end()
        return result

    def log(self):
        return self._log.read_text()[-1500:] if self._log.exists() else ""

    def signal(self, number):
        if not self.is_over():
            os.kill(self.pid, number)

    def end(self):
        """Kill all that is left of the session, and remove the folder."""
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if kill is os.killpg or not self.is_over():
                    kill(self.pid, signal.SIGKILL)
        while not self.is_over():
            time.sleep(0.005)
        Child.living.discard(self)
        self.folder.cleanup()


# What children do


def fit(sampler, folder=None, *, eager=True, data=None):
    """Fit, writing a checkpoint at every report; return the resampled images."""
    if eager:
        _keeper._LEAST_SECONDS, _keeper._MAX_SHARE = 0.0, 1e9
    torch.set_num_threads(1)
    return clone(sampler).set_params(checkpoint_dir=folder).fit_resample(*(data or toy()))[0].tobytes()


def killed_at(n_calls, is_before, function, *arguments):
    """Call a function that is killed at the given call of what writes files."""
    left = itertools.count(n_calls, -1)

    def killing(real):
        def call(*arguments, **options):
            is_last = next(left) <= 0
            if is_last and is_before:
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(*arguments, **options)
            if is_last:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call

    for name in ("fsync", "replace", "unlink", "open", "chmod", "link"):
        setattr(os, name, killing(getattr(os, name)))
    return function(*arguments)


def fit_interrupted(sampler, ready):
    """Fit until Ctrl-C comes, then do with the sampler what its user may do."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which shells take from what they do not wait for
    before, was_interrupted = process_state(), False
    sampler = clone(sampler)
    try:
        try:
            os.write(ready, b"!")
            sampler.fit_resample(*toy())
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt:
        was_interrupted = True
    changed = [name for name, value in process_state().items() if value != before[name]]
    for label in getattr(sampler, "generators_", {}):
        images = sampler.sample(4, label)
        require(images.shape == (4, 12, 12), "sample after Ctrl-C")
    return was_interrupted, changed, sampler.fit_resample(*toy())[0].tobytes()


def fit_and_save_on(disk, n_free, is_save):
    """Fit or save on a disk that gets full, and tell what came of it."""
    target = disk / "target"
    sampler = DCGANOverSampler(n_steps=3, base_channels=8, random_state=0)
    if is_save:
        sampler.fit_resample(*toy(n_rare=1))
        target.mkdir()
        sampler.save(target / "sampler")
    else:
        fit(sampler, target, data=toy(n_rare=1))
    before = {file.name: file.read_bytes() for file in target.iterdir()}
    fill(disk, n_free)
    told = None
    try:
        if is_save:
            sampler.save(target / "sampler")
        else:
            fit(sampler.set_params(n_steps=100), target, data=toy(n_rare=1))
    except OSError as exc:
        told = str(exc)
        require(exc.errno is not None, f"an OSError without its number: {told}")
    after = {file.name: file.read_bytes() for file in target.iterdir()}
    for file in target.iterdir():
        if not file.name.startswith("."):
            read_file(file)
    return told, before == after, sorted(after)


def fill(disk, n_free):
    """Leave about so many bytes on a disk, or in a process without disk, for any file."""
    if not os.path.ismount(disk):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_free, resource.RLIM_INFINITY))
        return
    with open(disk / "ballast", "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    os.truncate(disk / "ballast", max(0, os.path.getsize(disk / "ballast") - n_free))


def evaluate(root, n_jobs=1):
    """Compute a small grid; return how many of its cells were left to do."""
    torch.set_num_threads(1)
    with joblib.parallel_config(backend="multiprocessing"):
        return grids.run(root, n_jobs)


def evaluate_on(disk, n_free):
    """Compute a small grid on a disk that gets full, then with room again; tell what came of it."""
    torch.set_num_threads(1)
    root, told = disk / "store", None
    with full(disk, n_free):
        try:
            grids.run(root)
        except StoreError as exc:
            told = str(exc)
    warnings.simplefilter("error", UserWarning)  # what is damaged is told in a warning
    failed = [record["error"] for record in Store(root).records() if record["error"]]
    grids.run(root)
    return told, failed, grids.results(root), grids.left_over(root)


@contextlib.contextmanager
def full(disk, n_free):
    """Leave about so many bytes on a disk while the block runs."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    fill(disk, n_free)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        (disk / "ballast").unlink(missing_ok=True)


def fit_with_workers(folder, ready):
    """Fit in two processes for longer than anybody waits."""
    _keeper._LEAST_SECONDS, _keeper._MAX_SHARE = 0.0, 1e9
    torch.set_num_threads(1)
    os.write(ready, b"!")
    sampler = DCGANOverSampler(n_steps=10**6, base_channels=2, random_state=0, n_jobs=2, checkpoint_dir=folder)
    sampler.fit_resample(*toy(n_rare=2))


def fit_in_threads(seed):
    """Fit and draw in several threads, and compare with the same alone."""
    torch.set_num_threads(1)
    stream = random.Random(seed)
    prototypes = [
        DCGANOverSampler(n_steps=20, base_channels=2),
        DCGANOverSampler(n_steps=20, base_channels=2, dropout=0.4),
        ConditionalDCGANOverSampler(n_steps=20, base_channels=2),
        AugmentationOverSampler(),
    ]
    samplers = [clone(stream.choice(prototypes)).set_params(random_state=i) for i in range(6)]
    data = toy(n_rare=2)
    alone = [clone(sampler).fit_resample(*data)[0].tobytes() for sampler in samplers]
    before = process_state()
    together = {
        "joblib": joblib.Parallel(n_jobs=4, backend="threading")(
            joblib.delayed(clone(sampler).fit_resample)(*data) for sampler in samplers
        )
    }
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        together["concurrent.futures"] = list(pool.map(lambda s: clone(s).fit_resample(*data), samplers))
    for way, results in together.items():
        for sampler, (images, _), expected in zip(samplers, results, alone, strict=True):
            require(images.tobytes() == expected, f"{way}: {sampler} gives other images than alone")
    fitted = clone(prototypes[0]).set_params(random_state=0)
    fitted.fit_resample(*data)
    drawn = [fitted.sample(2, 1, random_state=i).tobytes() for i in range(40)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        others = list(pool.map(lambda i: fitted.sample(2, 1, random_state=i).tobytes(), range(40)))
    require(drawn == others, "sample in threads draws other images")
    changed = [name for name, value in process_state().items() if value != before[name]]
    require(not changed, f"threads changed of the caller's: {', '.join(changed)}")
    return len(samplers) * 2 + 40


def fit_in_a_fork(n_threads, action):
    """Fit with some threads, then again in a fork."""
    torch.set_num_threads(n_threads)
    data = toy(n_rare=1)
    sampler = DCGANOverSampler(n_steps=5, base_channels=2, random_state=0)
    here = sampler.fit_resample(*data)[0].tobytes()
    call = _fit_or_message if action == "fit" else _draw_or_message
    with multiprocessing.get_context("fork").Pool(1) as pool:
        there = pool.apply_async(call, (sampler, data)).get(timeout=60)
    expected = here if action == "fit" else sampler.sample(70, 1, random_state=0).tobytes()
    return there, there == expected


def _fit_or_message(sampler, data):
    try:
        return clone(sampler).fit_resample(*data)[0].tobytes()
    except RuntimeError as exc:
        return str(exc)


def _draw_or_message(sampler, data):
    try:
        return sampler.sample(70, 1, random_state=0).tobytes()
    except RuntimeError as exc:
        return str(exc)


# Attacks, each a function of where it counts what it did, that is called until its time is over


class Attack:
    """What all attacks share: random numbers, and what uninterrupted fits give and take."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self._references = {}
        self._n_calls = 60  # of what writes files, among which one is the last

    def reference(self, name):
        """Return the images of an uninterrupted fit, and how many seconds it takes."""
        if name not in self._references:
            with tempfile.TemporaryDirectory() as folder:
                start = time.monotonic()
                images = Child(fit, SAMPLERS[name], folder).wait()
                seconds = time.monotonic() - start
            require(images == Child(fit, SAMPLERS[name]).wait(), f"{name}: checkpoints change the images")
            self._references[name] = images, seconds
        return self._references[name]

    def killed(self, counts):
        """A fit that is killed at random instants, up to four times, goes on to the same images."""
        name = self.random.choice(list(SAMPLERS))
        images, seconds = self.reference(name)
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(self.random.randint(1, 4)):
                child = Child(fit, SAMPLERS[name], folder)
                deadline = time.monotonic() + self.random.uniform(0, 1.1 * seconds)
                while time.monotonic() < deadline and not child.is_over():
                    time.sleep(0.002)
                child.signal(signal.SIGKILL)
                while not child.is_over():
                    time.sleep(0.002)
                require(child.status in (0, -signal.SIGKILL), f"{name}: a resumed fit failed: {child.log()}")
                counts["kills"] += child.status != 0
                counts["unfinished files"] += len(list(Path(folder).glob(".*")))
                child.end()
            self._complete(name, folder, images, counts)

    def killed_in_a_write(self, counts):
        """The same at the instants at which files are opened, flushed, named or removed."""
        name = self.random.choice(list(SAMPLERS))
        images, _ = self.reference(name)
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(self.random.randint(1, 3)):
                n_calls, is_before = self.random.randint(0, self._n_calls), self.random.random() < 0.5
                child = Child(killed_at, n_calls, is_before, fit, SAMPLERS[name], folder)
                deadline = time.monotonic() + _PATIENCE
                while not child.is_over():
                    require(time.monotonic() < deadline, f"{name}: hangs before it is killed")
                    time.sleep(0.002)
                require(child.status in (0, -signal.SIGKILL), f"{name}: a resumed fit failed: {child.log()}")
                counts["kills"] += child.status != 0
                counts["unfinished files"] += len(list(Path(folder).glob(".*")))
                child.end()
            self._complete(name, folder, images, counts)

    def _complete(self, name, folder, images, counts):
        require(Child(fit, SAMPLERS[name], folder).wait() == images, f"{name}: other images after a resumption")
        left = sorted(file.name for file in Path(folder).iterdir() if not file.name.endswith(".safetensors"))
        require(not left, f"{name}: temporary files are left: {left}")
        counts["completions, byte-equal"] += 1

    def interrupted(self, counts):
        """Ctrl-C at a random instant: the sampler can be used, and fitted again, in the same process."""
        name = self.random.choice(list(SAMPLERS))
        images, seconds = self.reference(name)
        read, write = os.pipe()
        child = Child(fit_interrupted, SAMPLERS[name], write)
        os.close(write)
        os.read(read, 1)
        os.close(read)
        time.sleep(self.random.uniform(0, 0.9 * seconds))
        child.signal(signal.SIGINT)
        was_interrupted, changed, again = child.wait()
        counts["interruptions"] += was_interrupted
        require(not changed, f"{name}: Ctrl-C changed of the caller's: {', '.join(changed)}")
        require(again == images, f"{name}: other images in a fit after Ctrl-C")
        counts["fits after it, byte-equal"] += 1

    def orphaned(self, counts):
        """The parent of two workers is killed: they end soon, and the next fit removes what they left."""
        with tempfile.TemporaryDirectory() as folder:
            read, write = os.pipe()
            child = Child(fit_with_workers, folder, write)
            os.close(write)
            os.read(read, 1)
            os.close(read)
            deadline = time.monotonic() + _PATIENCE
            while len(list(Path(folder).glob("*.safetensors"))) < 2:
                require(not child.is_over() and time.monotonic() < deadline, f"workers did not begin: {child.log()}")
                time.sleep(0.01)
            time.sleep(self.random.uniform(0, 2))
            workers = session(child.pid) - {child.pid}
            child.signal(signal.SIGKILL)
            start = time.monotonic()
            while any(map(is_running, workers)) and time.monotonic() < start + _SOON:
                time.sleep(0.05)
            still = [pid for pid in workers if is_running(pid)]
            child.end()
            require(not still, f"{len(still)} of {len(workers)} workers run {_SOON} s after their parent was killed")
            counts["parents killed"] += 1
            counts["workers that ended"] += len(workers)
            counts["slowest, seconds"] = max(counts["slowest, seconds"], round(time.monotonic() - start))
            before = {file.name for file in Path(folder).glob(".*")}
            counts["unfinished files"] += len(before)
            sampler = DCGANOverSampler(n_steps=10**6, max_time=0.5, base_channels=2, random_state=0)
            Child(_fit_two, sampler, folder).wait()
            left = [file.name for file in Path(folder).glob(".*")]
            require(not left, f"temporary files are left: {left}")

    def full_disk(self, counts):
        """No room for a checkpoint or a saved sampler: an OSError names the argument, and the old file is as it was."""
        is_save = self.random.random() < 0.5
        with small_disk() as disk:
            counts["on a disk of its own" if os.path.ismount(disk) else "with a limit of the file size"] += 1
            n_free = self.random.choice([0, 0, 4096, self.random.randint(0, 200_000)])
            told, is_same, files = Child(fit_and_save_on, disk, n_free, is_save).wait()
            argument = "path" if is_save else "checkpoint_dir"
            counts["refused" if told else "went on"] += 1
            if told is not None:
                require(argument in told, f"an error that does not name {argument}: {told}")
                require(is_same or not is_save, f"files changed: {files}")
            left = [name for name in files if name.startswith(".")]
            require(not left, f"temporary files are left: {left}")

    def shared_folder(self, counts):
        """Two fits with one checkpoint_dir at once, alike or not: each gives its own images or is refused."""
        name = self.random.choice(["plain", "conditional", "wide"])
        images, seconds = self.reference(name)
        is_alike = self.random.random() < 0.6
        with tempfile.TemporaryDirectory() as folder:
            first = Child(fit, SAMPLERS[name], folder)
            time.sleep(self.random.uniform(0, 0.5 * seconds))
            other = SAMPLERS[name] if is_alike else clone(SAMPLERS[name]).set_params(learning_rate=2e-3)
            second = Child(fit, other, folder)
            is_killed = self.random.random() < 0.3
            if is_killed:
                time.sleep(self.random.uniform(0, seconds))
                second.signal(signal.SIGKILL)
                counts["one of them killed"] += 1
            for child, is_first in ((first, True), (second, False)):
                try:
                    result = child.wait()
                except FaultError as fault:
                    refused = "ValueError: checkpoint_dir holds a training on other data" in str(fault)
                    if is_killed and not is_first:
                        child.end()
                        continue
                    require(refused and not is_alike, f"{name}, {'alike' if is_alike else 'unlike'}: {fault}")
                    counts["refused"] += 1
                    child.end()
                else:
                    require(result == images or not (is_first or is_alike), f"{name}: other images")
                    counts["completions"] += 1
            if is_killed:
                return
            left = [file.name for file in Path(folder).glob(".*")]
            require(not left, f"temporary files are left: {left}")

    def threads(self, counts):
        """Fits and draws in threads give the images of those alone."""
        counts["fits and draws in threads"] += Child(fit_in_threads, self.random.randint(0, 2**31)).wait(300)

    def forked(self, counts):
        """A fork after a fit with two threads is told what to do; with one it works; neither hangs."""
        n_threads, action = self.random.choice([1, 2]), self.random.choice(["fit", "draw"])
        there, is_same = Child(fit_in_a_fork, n_threads, action).wait()
        if n_threads == 1:
            require(is_same, f"{action} in a fork gives other images: {str(there)[:200]}")
            counts["with one thread, byte-equal"] += 1
        else:
            is_told = isinstance(there, str) and "forked" in there
            require(is_told or is_same, f"{action} in a fork with two threads: {str(there)[:200]}")
            counts["with two threads, told" if is_told else "with two threads, byte-equal"] += 1

    # Evaluations

    def grid(self):
        """Return the records of an undisturbed evaluation, and how many seconds it takes."""
        if "grid" not in self._references:
            with tempfile.TemporaryDirectory() as folder:
                start = time.monotonic()
                Child(evaluate, folder).wait()
                self._references["grid"] = grids.results(folder), time.monotonic() - start
        return self._references["grid"]

    def evaluation_killed(self, counts):
        """An evaluation that is killed with its workers, or in a write, loses only what was running."""
        expected, seconds = self.grid()
        with tempfile.TemporaryDirectory() as name:
            root = Path(name, "store")
            for _ in range(self.random.randint(1, 4)):
                before = _finished(root)
                if self.random.random() < 0.5:
                    child = Child(evaluate, root, 2)
                    deadline = time.monotonic() + self.random.uniform(0, 1.1 * seconds)
                else:  # in one process: in the middle of a write
                    child = Child(killed_at, self.random.randint(0, 200), self.random.random() < 0.5, evaluate, root)
                    deadline = time.monotonic() + _PATIENCE
                while time.monotonic() < deadline and not child.is_over():
                    time.sleep(0.002)
                with contextlib.suppress(ProcessLookupError):  # workers and all; not yet waited for
                    os.killpg(child.pid, signal.SIGKILL)
                while not child.is_over():
                    time.sleep(0.002)
                require(child.status in (0, -signal.SIGKILL), f"an evaluation failed: {child.log()}")
                counts["kills"] += child.status != 0
                child.end()
                after = _finished(root)
                lost = [file for file, at in before.items() if after.get(file) != at]
                require(not lost, f"what was finished is gone or was made again: {lost}")
                counts["unfinished files and leases"] += len(grids.left_over(root))
            finished = {file for file in _finished(root) if file.parent.name == "cells"}
            start = time.monotonic()
            n_left = Child(evaluate, root).wait()
            require(time.monotonic() < start + 20 + 2 * seconds, "the next start waited for the dead")
            require(n_left == len(expected) - len(finished), f"{n_left} cells were left beside {len(finished)}")
            self._check_store(root, expected)
            counts["completions, equal"] += 1

    def evaluation_shared(self, counts):
        """Two evaluations in one store at once, one perhaps killed: nothing is computed twice."""
        expected, seconds = self.grid()
        with tempfile.TemporaryDirectory() as name:
            root, counter = Path(name, "store"), Path(name, "counter")
            os.environ[grids.COUNTER] = str(counter)
            try:
                children = []
                for _ in range(2):
                    children.append(Child(evaluate, root))
                    time.sleep(self.random.uniform(0, 0.5 * seconds))
                is_killed = self.random.random() < 0.5
                if is_killed:
                    time.sleep(self.random.uniform(0, 0.5 * seconds))
                    children.pop().end()
                for child in children:
                    child.wait()
            finally:
                del os.environ[grids.COUNTER]
            Store(root).remove_abandoned()
            n_fits = len(counter.read_text().splitlines())
            n_needed = len(expected) + 2 * 2  # a GAN and an embedder for each seed
            require(n_needed <= n_fits <= n_needed + is_killed, f"{n_fits} fits where {n_needed} are needed")
            self._check_store(root, expected)
            counts["one killed, equal" if is_killed else "both to the end, equal"] += 1

    def evaluation_on_a_full_disk(self, counts):
        """No room for a result: said as such, nothing is damaged, no cell is blamed, and with room it goes on."""
        expected, _ = self.grid()
        with small_disk() as disk:
            n_free = self.random.choice([0, 4096, self.random.randint(0, 250_000)])
            told, failed, records, left = Child(evaluate_on, disk, n_free).wait()
            require(told is None or "could not be written" in told, f"told as {told}")
            require(not failed, f"cells were blamed: {failed}")
            require(records == expected, "other records after the disk was full")
            require(not left, f"left behind: {left}")
            counts["refused" if told else "went on"] += 1

    def _check_store(self, root, expected):
        require(grids.results(root) == expected, "other records")
        left = grids.left_over(root)
        require(not left, f"left behind: {[file.name for file in left]}")


def _finished(root):
    """Return when each finished file of a store was written."""
    files = [file for kind in ("cells/*.json", "cache/*.npz") for file in root.glob(kind)]
    # What is shared is touched when it is read.
    return {file: file.stat().st_mtime_ns if file.suffix == ".json" else file.stat().st_size for file in files}


def _fit_two(sampler, folder):
    sampler = clone(sampler).set_params(checkpoint_dir=folder)
    sampler.fit_resample(*toy(n_rare=2))


def session(number):
    """Return the processes of a session."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == number:
                found.add(int(folder.name))
    return found


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextlib.contextmanager
def small_disk():
    """Yield a folder on a disk of its own of four megabytes, or where none can be had any folder."""
    with tempfile.TemporaryDirectory() as name:
        command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "gan_sampler-chaos", name]
        is_mounted = subprocess.run(command, capture_output=True).returncode == 0
        try:
            yield Path(name)
        finally:
            if is_mounted:
                subprocess.run(["umount", "--lazy", name], check=True)


SHARES = {
    "killed": 5,
    "killed_in_a_write": 4,
    "interrupted": 4,
    "orphaned": 2,
    "full_disk": 2,
    "shared_folder": 3,
    "threads": 2,
    "forked": 1,
    "evaluation_killed": 5,
    "evaluation_shared": 3,
    "evaluation_on_a_full_disk": 2,
}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=240)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--attack", choices=list(SHARES), action="append", help="only these")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    attack, faults = Attack(options.seed), []
    chosen = options.attack or list(SHARES)
    whole = sum(SHARES[name] for name in chosen)
    _print(f"seed {options.seed}\n{'attack':<20}{'rounds':>7}{'FAULTS':>8}  counts")
    for name in chosen:
        counts, n_rounds, n_faults = collections.Counter(), 0, 0
        end = time.monotonic() + options.seconds * SHARES[name] / whole
        while n_rounds == 0 or time.monotonic() < end:
            n_rounds += 1
            try:
                getattr(attack, name)(counts)
            except FaultError as fault:
                n_faults += 1
                faults.append((name, str(fault)))
            finally:
                for child in list(Child.living):
                    child.end()
        told = ", ".join(f"{n} {what}" for what, n in counts.items())
        _print(f"{name:<20}{n_rounds:>7}{n_faults:>8}  {told}")
    for (name, _), alike in itertools.groupby(sorted(faults), key=lambda fault: (fault[0], fault[1][:60])):
        alike = list(alike)
        _print(f"\nFAULT in {name}, {len(alike)} times: {alike[0][1]}")
    return 1 if faults else 0


def _print(text):
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
