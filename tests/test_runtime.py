"""Devices, seeds, and the caller's torch state."""

import contextlib
import os
import platform
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch

from gan_sampler import runtime
from gan_sampler.runtime import draw_seed, isolated, own_modes, resolve_device, stacklevel_of_user, threads

CPU = torch.device("cpu")


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "xla", "", "cpu:x", "meta"])
def test_unknown_device_is_refused_with_those_at_hand(device):
    """The message must tell what would have worked."""
    with pytest.raises(ValueError, match=r"device must be 'auto' or a torch device of this machine \('cpu'"):
        resolve_device(device)


def test_auto_takes_cuda_where_it_is_and_else_the_cpu(monkeypatch):
    """One word works on every machine."""
    assert resolve_device("cpu") == resolve_device(CPU) == CPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == CPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("cuda")


def test_isolated_seeds_the_block_and_restores_the_callers_stream():
    """The caller's next draw must be what it would have been."""
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    with isolated(CPU, 7):
        first = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    with isolated(CPU, 7):
        assert torch.equal(torch.rand(3), first)
    with isolated(CPU, 8):
        assert not torch.equal(torch.rand(3), first)


def test_isolated_restores_everything_after_an_exception(monkeypatch):
    """An error in training must not leave the caller with other flags."""
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    state = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="size"), isolated(CPU, 0):
        torch.rand(2) + torch.rand(3)
    assert torch.equal(torch.get_rng_state(), state)
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == (False, True)


def test_isolated_trains_whatever_mode_the_caller_is_in():
    """A sampler called under inference_mode or with a float64 default must still be able to train."""
    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode(), isolated(CPU, 0):
            weight = torch.zeros(2, requires_grad=True)
            (weight.sum() * 2).backward()
        assert weight.dtype == torch.float32
        assert torch.equal(weight.grad, torch.full((2,), 2.0))
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_seeds_follow_random_state_and_leave_numpys_stream_alone():
    """An int is its own seed, a RandomState moves on, None differs."""
    assert draw_seed(5) == 5
    assert draw_seed(np.random.RandomState(0)) == draw_seed(np.random.RandomState(0))
    random_state = np.random.RandomState(0)
    assert draw_seed(random_state) != draw_seed(random_state)


def test_isolated_works_on_the_cpu_whatever_the_callers_default_device():
    """Networks are drawn on the CPU and moved, so that one seed means one network."""
    with torch.device("meta"), isolated(CPU, 0):
        assert torch.rand(1).device == CPU


def test_threads_are_as_many_as_asked_for_inside_and_as_before_outside():
    """Also after an exception."""
    before = torch.get_num_threads()
    seen = []

    def fail():
        with threads(before + 1):
            seen.append(torch.get_num_threads())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert seen == [before + 1]
    assert torch.get_num_threads() == before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc hands freed memory back at once")
class TestKeepFreedMemory:
    """Large tensors are taken from memory that the process has, instead of asking the kernel for each."""

    # Page faults would tell, but the kernel may map pages of 4 kB or 2 MB as it likes.
    SCRIPT = """
import ctypes, runpy, sys, torch
keep_freed_memory = runpy.run_path(sys.argv[1])["keep_freed_memory"]  # without the seconds that all else takes

class Statistics(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Statistics

def megabytes_mapped():
    before = libc.mallinfo2().hblkhd
    tensor = torch.ones(10 * 2**20)  # 40 MB: more than glibc ever keeps by itself
    return (libc.mallinfo2().hblkhd - before) // 10**6

mapped = [megabytes_mapped()]
keep_freed_memory()
print(*mapped, megabytes_mapped())
"""

    def run(self, script, **environment):
        """Return what a script prints, as integers."""
        environment = {name: value for name, value in os.environ.items() if "MALLOC" not in name} | environment
        result = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script, runtime.__file__],
            check=True,
            capture_output=True,
            text=True,
            env=environment,
        )
        return [int(number) for number in result.stdout.split()]

    def test_once_it_was_called(self):
        """A mapping of its own for each large tensor before, none afterwards."""
        before, after = self.run(self.SCRIPT)
        assert before >= 40
        assert after == 0

    def test_a_user_who_tuned_malloc_is_left_alone(self):
        """The settings are the user's."""
        _, after = self.run(self.SCRIPT, MALLOC_TOP_PAD_="4096")
        assert after >= 40

    def test_no_fit_calls_it(self):
        """What a library sets in its user's process cannot be had back."""
        fit = """
import numpy as np
from gan_sampler import DCGANOverSampler
X = np.random.default_rng(0).integers(0, 256, (12, 8, 8), dtype=np.uint8)
DCGANOverSampler(n_steps=1).fit_resample(X, np.arange(12) < 4)
"""
        script = self.SCRIPT.replace("keep_freed_memory()\nprint", f"{fit}\nprint")
        assert min(self.run(script)) >= 40


@pytest.mark.parametrize("depth", [0, 3])
def test_warnings_name_the_users_line(depth):
    """However many functions of the package and of scikit-learn lie between."""
    package = {"__name__": "gan_sampler.anywhere", "warnings": warnings, "stacklevel_of_user": stacklevel_of_user}
    exec("def tell(): warnings.warn('told', stacklevel=stacklevel_of_user())", package)
    tell = package["tell"]
    for _ in range(depth):
        between = {"__name__": "sklearn.pipeline", "inner": tell}
        exec("def outer(): inner()", between)
        tell = between["outer"]
    with pytest.warns(UserWarning, match="told") as seen:
        tell()
    assert seen[0].filename == __file__


@pytest.mark.parametrize(
    "of_caller",
    [
        contextlib.nullcontext,
        lambda: torch.autocast("cpu", torch.bfloat16),
        lambda: torch.autocast("cpu", enabled=False),
        lambda: torch.autocast("cuda", enabled=False),
    ],
    ids=["none", "on", "off", "other device"],
)
def test_autocast_inside_of_a_training_sees_updated_weights(of_caller):
    """A network whose forward pass opens autocast was trained with the weights of its first step.

    Torch forgets converted weights at the end of the outermost autocast context, and the caller may have one open.
    """
    layer, images, seen = torch.nn.Linear(4, 4, bias=False), torch.ones(1, 4), []
    with of_caller(), own_modes(CPU):
        for _ in range(2):
            with torch.autocast("cpu", torch.bfloat16):
                seen.append(layer(images).float().detach())
            layer.weight.data.mul_(2)
    torch.testing.assert_close(seen[1], 2 * seen[0])
    assert torch.is_autocast_cache_enabled()  # as before
