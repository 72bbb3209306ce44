"""The attacks of `make fuzz` and `make chaos` find a fault that is there, and nothing where there is none."""

from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from attacks import cases, chaos, fuzz
from sklearn.base import clone

import gan_sampler.samplers._input as gate
from gan_sampler.images import ImageFormat
from gan_sampler.samplers import _transforms
from gan_sampler.samplers._plan import Resampled
from gan_sampler.training._state import TrainingState

QUICK = {"kind": "resample", "samplers": ("AugmentationOverSampler",)}


def faults(n_cases, **options):
    records = [fuzz.run_case(seed, **options) for seed in range(n_cases)]
    return [record["fault"] for record in records if record["fault"] is not None]


def test_a_case_is_decided_by_its_seed():
    """What a run found can be looked at again."""
    records = [fuzz.run_case(seed) for seed in (1, 2, 1)]
    assert records[0] == records[2] != records[1]


def _leak(monkeypatch):
    made = _transforms.small_transform
    leaking = lambda *args, **options: (torch.manual_seed(0), np.random.seed(0), made(*args, **options))[2]  # noqa: E731
    monkeypatch.setattr(_transforms, "small_transform", leaking)


def _touch_an_original(monkeypatch):
    add = Resampled.add

    def adding(self, *args, **options):
        self.X.view(np.uint8)[0] ^= 1
        return add(self, *args, **options)

    monkeypatch.setattr(Resampled, "add", adding)


def _forget_a_range(monkeypatch):
    monkeypatch.setattr(ImageFormat, "limits", property(lambda self: (-(10**9), 10**9)))
    monkeypatch.setattr(ImageFormat, "_base", 0)
    to_array = ImageFormat.to_array
    monkeypatch.setattr(ImageFormat, "to_array", lambda self, images: to_array(self, images) + self.dtype.type(1))


def _raise_another_error(monkeypatch):
    monkeypatch.setattr(gate, "check_labels", lambda y: y.no_such_attribute)


def _name_no_argument(monkeypatch):
    def check(y):
        if y is None or isinstance(y, str):
            raise ValueError("no good")

    monkeypatch.setattr(gate, "check_labels", check)


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (_leak, "changed of the caller's: torch random state, NumPy random state"),
        (_touch_an_original, "originals are not an untouched prefix"),
        (_forget_a_range, "beyond"),
        (_raise_another_error, "AttributeError at "),
        (_name_no_argument, "names no argument"),
    ],
)
def test_a_planted_fault_is_found(monkeypatch, plant, found):
    """Each promise is really looked at."""
    plant(monkeypatch)
    assert any(found in fault for fault in faults(40, **QUICK))


def test_bad_input_that_is_accepted_is_a_fault(monkeypatch):
    """Not only what is refused is looked at."""

    def accept(case):
        case.bad.append("X: NaN")
        cases.attempt(case, lambda: 3, ["X"])

    monkeypatch.setitem(cases.KINDS, "resample", (accept, 1))
    assert faults(1, kind="resample") == ["accepted what is no good: X: NaN"]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # children take no lock of another thread
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked up in /proc")
def test_a_resumption_that_forgets_something_is_found(monkeypatch):
    """Here where the random stream was."""
    sampler = clone(chaos.SAMPLERS["plain"]).set_params(n_steps=70)
    monkeypatch.setattr(chaos, "SAMPLERS", {"plain": sampler})
    monkeypatch.setattr(chaos, "toy", partial(chaos.toy, n_rare=1))
    attack, counts = chaos.Attack(0), Counter()
    attack._n_calls = 16
    attack.killed_in_a_write(counts)
    assert counts["completions, byte-equal"] == 1
    assert counts["kills"] > 0
    restore = TrainingState.restore
    monkeypatch.setattr(TrainingState, "restore", lambda self, *state: (restore(self, *state), self.stream.seed())[0])

    def kill_often():
        for _ in range(20):
            attack.killed_in_a_write(counts)

    with pytest.raises(chaos.FaultError, match="plain: other images after a resumption"):
        kill_often()
