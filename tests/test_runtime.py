"""Devices, seeds, and the caller's torch state."""

import numpy as np
import pytest
import torch

from gan_sampler.runtime import draw_seed, isolated, resolve_device

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
