"""Fits in threads and processes of the user's: the same images, and nothing of the caller's moved."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from conftest import make_shapes
from sklearn.base import clone
from test_samplers import SAMPLERS

HERE = Path(__file__).parent


def process_state():
    """Return what all threads share of torch."""
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    return torch.get_rng_state().tolist(), torch.get_default_dtype(), cudnn


@pytest.mark.parametrize("name", SAMPLERS)
def test_fits_in_threads_give_the_images_of_fits_alone(name):
    """Random streams are a fit's own, or one fit at a time has torch's."""
    X, y = make_shapes()
    samplers = [clone(SAMPLERS[name]).set_params(random_state=seed) for seed in range(4)]
    if name == "dcgan":  # dropout draws from torch's own stream
        samplers = [sampler.set_params(n_steps=20, dropout=0.2 * (i % 2)) for i, sampler in enumerate(samplers)]
    alone = [clone(sampler).fit_resample(X, y)[0] for sampler in samplers]
    before = process_state()
    together = joblib.Parallel(n_jobs=4, backend="threading")(
        joblib.delayed(sampler.fit_resample)(X, y) for sampler in samplers
    )
    assert process_state() == before
    for images, (others, _) in zip(alone, together, strict=True):
        np.testing.assert_array_equal(images, others)


def test_samples_in_threads_are_those_alone(shapes):
    """One fitted sampler that serves many requests."""
    sampler = clone(SAMPLERS["dcgan"])
    sampler.fit_resample(*shapes)
    alone = [sampler.sample(3, "square", random_state=seed) for seed in range(60)]
    together = joblib.Parallel(n_jobs=4, backend="threading")(
        joblib.delayed(sampler.sample)(3, "square", random_state=seed) for seed in range(60)
    )
    np.testing.assert_array_equal(alone, together)


@pytest.mark.parametrize("name", ["dcgan", "conditional"])
def test_the_callers_autocast_stays_outside(name, shapes):
    """In bfloat16 a training that fell to 7.3 stayed at 8.7."""
    plain = clone(SAMPLERS[name]).fit_resample(*shapes)[0]
    with torch.autocast("cpu", torch.bfloat16):
        under_autocast = clone(SAMPLERS[name]).fit_resample(*shapes)[0]
    np.testing.assert_array_equal(plain, under_autocast)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_callers_default_dtype_stays_outside(name, dtype):
    """Also of what needs no lock, and where there are more images than bfloat16 can count."""
    X, y = make_shapes(320, 300)
    plain = clone(SAMPLERS[name]).fit_resample(X, y)[0]
    torch.set_default_dtype(dtype)
    try:
        other = clone(SAMPLERS[name]).fit_resample(X, y)[0]
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_array_equal(plain, other)


def test_images_are_taken_in_the_callers_modes(shapes):
    """A generator must not run its consumer under inference_mode."""
    sampler = clone(SAMPLERS["dcgan"])
    sampler.fit_resample(*shapes)
    for images in sampler._draw("square", 4, 0):
        assert not torch.is_inference_mode_enabled()
        assert torch.is_grad_enabled()
        assert images.shape == (4, 1, 12, 12)


def run(script, *, timeout=120):
    """Run Python code beside the tests."""
    command = [sys.executable, "-W", "ignore", "-c", script]
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    return subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=timeout)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_fork_after_a_fit_with_threads_is_refused_and_does_not_hang():
    """OpenMP's threads are not forked along, and torch would wait for them without end."""
    result = run(
        "import multiprocessing, torch\n"
        "from conftest import make_shapes\n"
        "from sklearn.base import clone\n"
        "from test_samplers import SAMPLERS\n"
        "def fit(n_threads):\n"
        "    torch.set_num_threads(n_threads)\n"
        "    try:\n"
        "        return clone(SAMPLERS['dcgan']).fit_resample(*make_shapes())[0].shape\n"
        "    except RuntimeError as exc:\n"
        "        return str(exc)\n"
        "torch.set_num_threads(2)\n"
        "fit(2)\n"
        "with multiprocessing.get_context('fork').Pool(1) as pool:\n"
        "    print(pool.map(fit, [2, 1]))\n"
    )
    assert "was forked from one in which torch had already computed with several threads" in result.stdout
    assert "(48, 12, 12)" in result.stdout  # one thread waits for nobody


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="the workers are looked up in /proc")
def test_workers_end_with_the_process_that_started_them(tmp_path):
    """A killed parent left them writing for minutes."""
    script = (
        "import numpy as np\n"
        "from gan_sampler import DCGANOverSampler\n"
        "X = np.random.default_rng(0).integers(0, 256, (60, 16, 16), dtype=np.uint8)\n"
        "y = np.repeat([0, 1, 2], [40, 10, 10])\n"
        "sampler = DCGANOverSampler(n_steps=10**6, base_channels=2, n_jobs=2, checkpoint_dir="
        f"{str(tmp_path)!r}).fit_resample(X, y)\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    parent = subprocess.Popen([sys.executable, "-W", "ignore", "-c", script], cwd=HERE, env=environment)
    try:
        deadline = time.monotonic() + 90
        while len(list(tmp_path.glob("*.safetensors"))) < 2:
            assert parent.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        workers = [pid for pid in children(parent.pid) if "loky" in command_of(pid)]
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert workers
    deadline = time.monotonic() + 30
    while any(is_running(pid) for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def children(pid):
    return [int(n) for task in Path(f"/proc/{pid}/task").iterdir() for n in (task / "children").read_text().split()]


def command_of(pid):
    return Path(f"/proc/{pid}/cmdline").read_text()


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
