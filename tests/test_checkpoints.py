"""Interrupted trainings that go on, and fitted samplers in files."""

import copy
import errno
import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import KeptStates, make_shapes
from safetensors.torch import load_file
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from gan_sampler import DCGANOverSampler, _keeper
from gan_sampler.networks import Discriminator, Generator
from gan_sampler.samplers._persistence import from_json, to_json
from gan_sampler.training import (
    Checkpoint,
    CheckpointKeeper,
    TrainingInterrupted,
    check_tensors,
    check_writable,
    read_file,
    train_gan,
    write_file,
)
from gan_sampler.training._state import BatchOrder

SAMPLER = DCGANOverSampler(n_steps=120, base_channels=2, random_state=0)


def three_classes(seed=0):
    X, y = make_shapes(30, 20, seed=seed)
    return X, np.where((y == "square") & (np.arange(len(y)) % 2 == 0), "rare/odd", y)


class TestResuming:
    """A fit that was cut off continues, and ends where it would have."""

    def test_killed_at_a_random_step_it_gives_the_bytes_of_an_uninterrupted_fit(self, tmp_path):
        """A power cut: the process has no chance to say goodbye."""
        script = (
            "from conftest import make_shapes\n"
            "from gan_sampler import DCGANOverSampler\n"
            f"DCGANOverSampler(n_steps=500, base_channels=2, random_state=0, checkpoint_dir={str(tmp_path)!r})"
            ".fit_resample(*make_shapes())\n"
        )
        environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
        process = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parent, env=environment)
        try:
            while not list(tmp_path.glob("*.safetensors")):
                assert process.poll() is None
                time.sleep(0.01)
            time.sleep(random.random() / 4)
        finally:
            process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        (checkpoint,) = tmp_path.glob("*.safetensors")
        reached = read_file(checkpoint)[1]["progress"]["step"]
        assert 50 <= reached < 500

        sampler = clone(SAMPLER).set_params(n_steps=500)
        uninterrupted = sampler.fit_resample(*make_shapes())[0]
        resumed = clone(sampler).set_params(checkpoint_dir=tmp_path)
        np.testing.assert_array_equal(resumed.fit_resample(*make_shapes())[0], uninterrupted)
        steps = [record["step"] for record in resumed.history_["square"]]
        assert steps == list(range(50, 501, 50))
        for record, other in zip(resumed.history_["square"], sampler.history_["square"], strict=True):
            assert {**record, "seconds": 0} == {**other, "seconds": 0}
        assert [file.name for file in tmp_path.iterdir()] == [checkpoint.name]

    @pytest.mark.parametrize("norms", [("batch", None), ("spectral", "spectral"), (None, "batch")])
    def test_ctrl_c_leaves_a_checkpoint_to_go_on_from(self, norms, tmp_path, monkeypatch):
        """Whatever the networks hold: power iterations and running statistics are part of the state too."""
        sampler = clone(SAMPLER).set_params(generator_norm=norms[0], discriminator_norm=norms[1], dropout=0.2)
        expected = sampler.fit_resample(*make_shapes(size=16))[0]
        sampler.set_params(checkpoint_dir=tmp_path / "new" / "folder")
        draws = []

        def interrupt(*args, **kwargs):
            draws.append(1)
            if len(draws) == 72:
                raise KeyboardInterrupt
            return next_rows(*args, **kwargs)

        next_rows = BatchOrder.next
        monkeypatch.setattr(BatchOrder, "next", interrupt)
        with pytest.raises(KeyboardInterrupt, match=r"report was at step 50\. Its state lies in .*run the same fit"):
            sampler.fit_resample(*make_shapes(size=16))
        np.testing.assert_array_equal(sampler.fit_resample(*make_shapes(size=16))[0], expected)
        assert len(draws) == 72 + 70  # steps 51 to 120

    def test_classes_that_were_done_are_not_trained_again(self, tmp_path, monkeypatch):
        """Each class has its own file, whatever its label is called."""
        X, y = three_classes()
        sampler = clone(SAMPLER).set_params(checkpoint_dir=tmp_path)
        expected = sampler.fit_resample(X, y)[0]
        names = sorted(file.name for file in tmp_path.iterdir())
        assert len(names) == 2
        assert names[0].startswith("DCGANOverSampler-class-rare_odd-")
        monkeypatch.setattr(BatchOrder, "next", None)
        np.testing.assert_array_equal(sampler.fit_resample(X, y)[0], expected)

    def test_more_steps_go_on_from_where_a_fit_ended(self, tmp_path):
        """The length is no part of what was started, and the bytes are those of one long training."""
        sampler = clone(SAMPLER).set_params(checkpoint_dir=tmp_path, n_steps=100)
        sampler.fit_resample(*make_shapes())
        longer = sampler.set_params(n_steps=200).fit_resample(*make_shapes())[0]
        expected = clone(SAMPLER).set_params(n_steps=200).fit_resample(*make_shapes())[0]
        np.testing.assert_array_equal(longer, expected)

    def test_without_a_seed_it_goes_on_all_the_same(self, tmp_path):
        """random_state=None asks for any images; those half made are as good as others."""
        sampler = clone(SAMPLER).set_params(checkpoint_dir=tmp_path, random_state=None, n_steps=100)
        sampler.fit_resample(*make_shapes())
        sampler.set_params(n_steps=150).fit_resample(*make_shapes())
        assert [record["step"] for record in sampler.history_["square"]] == [50, 100, 150]

    @pytest.mark.parametrize(
        ("change", "difference"),
        [
            ({"learning_rate": 2e-3}, r"parameters\.learning_rate: 0\.001 there, 0\.002 in this fit"),
            ({"precision": "bfloat16"}, r"parameters\.precision: 'auto' there, 'bfloat16' in this fit"),
            ({"random_state": 1}, r"seed: \d+ there, \d+ in this fit"),
        ],
    )
    def test_other_parameters_are_refused_with_the_difference(self, tmp_path, change, difference):
        """Silently going on would give images of neither."""
        sampler = clone(SAMPLER).set_params(checkpoint_dir=tmp_path, n_steps=2)
        sampler.fit_resample(*make_shapes())
        (checkpoint,) = tmp_path.iterdir()
        before = checkpoint.read_bytes()
        with pytest.raises(ValueError, match=rf"(?s)checkpoint_dir holds .*{difference}.*delete the file"):
            sampler.set_params(**change).fit_resample(*make_shapes())
        assert checkpoint.read_bytes() == before

    def test_other_images_are_refused_with_the_difference(self, tmp_path):
        """As in the next fold of a cross-validation, which needs a folder of its own."""
        sampler = clone(SAMPLER).set_params(checkpoint_dir=tmp_path, n_steps=2)
        sampler.fit_resample(*make_shapes())
        with pytest.raises(ValueError, match=r"(?s)images\.n: 10 there, 12 in this fit.*images\.sha256: "):
            sampler.fit_resample(*make_shapes(n_squares=12))

    def test_the_same_images_on_another_scale_are_refused(self, tmp_path):
        """The range of floats is found in all of X, so another class can change it."""
        X, y = make_shapes()
        sampler = clone(SAMPLER).set_params(checkpoint_dir=tmp_path, n_steps=2)
        sampler.fit_resample(X.astype(float), y)
        with pytest.raises(ValueError, match=r"image_format\.value_range\[1\]: \S+ there, \S+ in this fit"):
            sampler.fit_resample(np.where((y == "disc")[:, None, None], 2.0 * X, X), y)

    def test_which_classes_are_over_sampled_may_change(self, tmp_path):
        """A class's training does not depend on the others'."""
        X, y = three_classes()
        sampler = clone(SAMPLER).set_params(checkpoint_dir=tmp_path, n_steps=60)
        sampler.fit_resample(X, y)
        sampler.set_params(sampling_strategy={"square": 25}, n_steps=100).fit_resample(X, y)
        assert [record["step"] for record in sampler.history_["square"]] == [50, 60, 100]

    def test_the_share_of_repeated_images_may_change(self, tmp_path):
        """It is no part of the training: the images are those of a fit with the new share from the start."""
        sampler = clone(SAMPLER).set_params(checkpoint_dir=tmp_path, n_steps=60)
        sampler.fit_resample(*make_shapes())
        expected = clone(SAMPLER).set_params(n_steps=60, repeated_share=0).fit_resample(*make_shapes())[0]
        found = sampler.set_params(repeated_share=0).fit_resample(*make_shapes())[0]
        np.testing.assert_array_equal(found, expected)
        assert len(list(tmp_path.iterdir())) == 1
        sampler.set_params(repeated_share=0.9, n_steps=100).fit_resample(*make_shapes())
        assert [record["step"] for record in sampler.history_["square"]] == [50, 60, 100]

    def test_fewer_steps_than_were_made_are_refused(self, tmp_path):
        """Returning what took more would not be what was asked for."""
        sampler = clone(SAMPLER).set_params(checkpoint_dir=tmp_path, n_steps=3)
        sampler.fit_resample(*make_shapes())
        with pytest.raises(ValueError, match=r"n_steps must be at least 3, .* got 2"):
            sampler.set_params(n_steps=2).fit_resample(*make_shapes())

    def test_a_saved_sampler_in_the_place_of_a_checkpoint_is_named(self, tmp_path):
        """Someone moved it there."""
        sampler = clone(SAMPLER).set_params(checkpoint_dir=tmp_path, n_steps=2)
        sampler.fit_resample(*make_shapes())
        sampler.save(next(tmp_path.iterdir()))
        with pytest.raises(ValueError, match="must hold a checkpoint of a training; got a sampler written by save"):
            sampler.fit_resample(*make_shapes())

    def test_home_is_expanded_and_long_labels_make_names(self, tmp_path, monkeypatch):
        """No folder called ~, and no name that a file system refuses."""
        monkeypatch.setenv("HOME", str(tmp_path))
        X, y = make_shapes()
        y = np.where(y == "square", "é/" * 200, y)
        clone(SAMPLER).set_params(checkpoint_dir="~/states", n_steps=1).fit_resample(X, y)
        (file,) = (tmp_path / "states").iterdir()
        assert len(file.name) < 100

    def test_a_damaged_checkpoint_is_named(self, tmp_path):
        """Half a file from a full disk."""
        sampler = clone(SAMPLER).set_params(checkpoint_dir=tmp_path, n_steps=2)
        sampler.fit_resample(*make_shapes())
        (file,) = tmp_path.iterdir()
        file.write_bytes(file.read_bytes()[:1000])
        with pytest.raises(
            ValueError, match=r"square-\w+\.safetensors is no file written by gan_sampler, or a damaged"
        ):
            sampler.fit_resample(*make_shapes())


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    """A full disk must not cost the last good state, nor leave rubbish."""
    path = tmp_path / "state.safetensors"
    write_file(path, {"a": torch.ones(2)}, {"n": 1})
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError("No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        write_file(path, {"a": torch.zeros(2)}, {"n": 2})
    tensors, values = read_file(path)
    assert values == {"n": 1}
    assert torch.equal(tensors["a"], torch.ones(2))
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_told_as_such(tmp_path):
    """And not by the name of a temporary file that nobody gave."""
    with pytest.raises(OSError, match=r"Could not write .*nowhere.state"):
        write_file(tmp_path / "nowhere" / "state", {}, {})


def test_the_state_survives_the_file(tmp_path):
    """Every tensor and number of it, in every memory format."""
    states = KeptStates()
    networks = Generator((3, 16, 16), base_channels=2), Discriminator((3, 16, 16), base_channels=2)
    train_gan(*networks, torch.rand(9, 3, 16, 16), n_steps=3, checkpoint=states)
    tensors, progress = states[-1]
    write_file(tmp_path / "state", tensors, progress)
    again, progress_again = read_file(tmp_path / "state")
    assert progress_again == progress
    assert again.keys() == tensors.keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in tensors.items())


class TestWhenItIsWritten:
    """A state takes as long to write as many steps do."""

    class Slow:
        def __init__(self, clock, seconds=0.0):
            self.clock, self.seconds, self.written = clock, seconds, []

        def write(self, state):
            self.written.append(state)
            self.clock.now += self.seconds

    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now

    @pytest.mark.parametrize(("seconds", "written"), [(0.01, [0, 20, 40, 60, 80]), (0.8, [0, 42, 84])])
    def test_now_and_then_and_at_the_end(self, seconds, written, monkeypatch):
        """One report a second: every 20 seconds, or 50 times as seldom as a write takes."""
        clock = self.Clock()
        monkeypatch.setattr(_keeper, "time", clock)
        slow = self.Slow(clock, seconds)
        keeper = CheckpointKeeper(slow)
        for state in range(100):
            keeper.keep(state)
            clock.now += 1
        assert len(slow.written) == len(written)
        np.testing.assert_allclose(slow.written, written, atol=3)
        keeper.flush()
        assert slow.written[-1] == 99
        n_written = len(slow.written)
        keeper.flush()
        assert len(slow.written) == n_written

    def test_an_error_or_ctrl_c_on_the_way_writes_what_there_is(self, tmp_path):
        """A full fit writes its first state and its last one."""
        states = KeptStates()
        states.flush = lambda: states.append("flushed")

        def fail(record):
            raise KeyboardInterrupt

        networks = Generator((1, 8, 8), base_channels=2), Discriminator((1, 8, 8), base_channels=2)
        with pytest.raises(TrainingInterrupted, match="step 50"):
            train_gan(*networks, torch.rand(9, 1, 8, 8), n_steps=100, checkpoint=states, report=fail)
        assert len(states) == 2
        assert states[-1] == "flushed"


class TestFiles:
    """`save` and `load`."""

    @pytest.fixture
    def fitted(self):
        X, y = three_classes()
        sampler = clone(SAMPLER).set_params(
            n_steps=2, sampling_strategy={"square": 25, "rare/odd": 22}, value_range=(0, 255)
        )
        sampler.fit_resample(np.repeat(X[..., None], 3, axis=3), y)
        return sampler

    @pytest.mark.parametrize("norm", ["batch", "spectral", None])
    def test_loaded_it_draws_the_same(self, fitted, norm, tmp_path):
        """In the format of the images that it was fitted on, with histories, and ready to be fitted anew."""
        fitted.set_params(generator_norm=norm)
        fitted.fit_resample(*three_classes(1))
        fitted.save(tmp_path / "sampler.safetensors")
        again = DCGANOverSampler.load(tmp_path / "sampler.safetensors")
        for label in ("square", "rare/odd"):
            np.testing.assert_array_equal(
                again.sample(70, label, random_state=1), fitted.sample(70, label, random_state=1)
            )
        assert again.get_params() == fitted.get_params()
        assert again.history_ == fitted.history_
        assert again.sampling_strategy_ == fitted.sampling_strategy_
        assert again.image_format_ == fitted.image_format_
        assert (again.image_shape_, again.n_features_in_) == (fitted.image_shape_, fitted.n_features_in_)
        np.testing.assert_array_equal(again.fit_resample(*three_classes())[0], fitted.fit_resample(*three_classes())[0])

    def test_the_file_is_safetensors_with_readable_json(self, fitted, tmp_path):
        """Nothing in it is run when it is read, and other programs can look in."""
        fitted.save(tmp_path / "sampler.safetensors")
        raw = (tmp_path / "sampler.safetensors").read_bytes()
        header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
        values = json.loads(header["__metadata__"]["gan_sampler"])
        assert values["sampler"] == "DCGANOverSampler"
        assert values["parameters"]["n_steps"] == 2
        assert "0.layers.0.weight" in header

    @pytest.mark.parametrize("labels", [[0, 1], [True, False], np.array([3, 7], dtype=np.int16), [0.0, 1.0]])
    def test_labels_come_back_as_they_were(self, labels, tmp_path):
        """JSON has no int16 and makes strings of the keys of a dict."""
        X, y = make_shapes()
        y = np.array(labels)[(y == "square").astype(int)]
        sampler = clone(SAMPLER).set_params(n_steps=1)
        sampler.fit_resample(X, y)
        sampler.save(tmp_path / "sampler")
        again = DCGANOverSampler.load(tmp_path / "sampler")
        assert list(again.generators_) == list(sampler.generators_) == [labels[1]]
        assert type(next(iter(again.generators_))) is type(next(iter(sampler.generators_)))
        assert again.sample(2, labels[1]).shape == (2, 12, 12)

    def test_file_is_readable_by_whom_new_files_are(self, fitted, tmp_path):
        """It is for other machines, and other people."""
        before = os.umask(0o022)
        try:
            fitted.save(tmp_path / "sampler.safetensors")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "sampler.safetensors").stat().st_mode) == 0o644
        with pytest.raises(IsADirectoryError, match="path must name a file; got the folder"):
            fitted.save(tmp_path)

    def test_what_is_no_saved_sampler_is_refused_by_name(self, fitted, tmp_path):
        """A missing file, another program's, a checkpoint, another class's."""
        with pytest.raises(FileNotFoundError, match=r"There is no file .*nothing"):
            DCGANOverSampler.load(tmp_path / "nothing")
        (tmp_path / "text").write_text("no tensors here")
        with pytest.raises(ValueError, match="text is no file written by gan_sampler"):
            DCGANOverSampler.load(tmp_path / "text")
        clone(SAMPLER).set_params(n_steps=1, checkpoint_dir=tmp_path).fit_resample(*make_shapes())
        with pytest.raises(ValueError, match="must hold a DCGANOverSampler written by save; got a checkpoint"):
            DCGANOverSampler.load(next(tmp_path.glob("*.safetensors")))

        class OtherSampler(DCGANOverSampler):
            pass

        fitted.save(tmp_path / "sampler")
        with pytest.raises(ValueError, match=r"must hold a OtherSampler .*; got a DCGANOverSampler"):
            OtherSampler.load(tmp_path / "sampler")

    def test_what_a_file_cannot_hold_is_refused_by_name(self, tmp_path):
        """Before anything is written."""
        with pytest.raises(NotFittedError):
            clone(SAMPLER).save(tmp_path / "sampler")
        sampler = clone(SAMPLER).set_params(n_steps=1, sampling_strategy=lambda y: {"square": 12})
        sampler.fit_resample(*make_shapes())
        with pytest.raises(ValueError, match=r"sampling_strategy must be made of numbers, strings, .*; got <function"):
            sampler.save(tmp_path / "sampler")
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        0.1,
        float("inf"),
        "word",
        [1, [2.5, "a"]],
        (8, 8, (1,)),
        {1: "a", "1": (2,), None: []},
        np.int16(3),
        np.str_("class"),
        np.bool_(True),
        np.dtype("uint16"),
        torch.device("cuda:1"),
    ],
)
def test_values_come_back_from_json_equal_and_of_their_type(value):
    """Through real JSON text."""
    again = from_json(json.loads(json.dumps(to_json(value, "it", keep_types=True))))
    assert again == value
    assert type(again) is type(value)


def test_a_random_state_comes_back_in_its_place():
    """And draws what the other one draws next."""
    random_state = np.random.RandomState(3)
    random_state.normal(size=3)
    again = from_json(json.loads(json.dumps(to_json(random_state, "random_state"))))
    np.testing.assert_array_equal(again.normal(size=5), random_state.normal(size=5))


def test_objects_are_refused_by_name():
    """What is no plain value."""
    with pytest.raises(ValueError, match="it must be made of numbers"):
        to_json(object(), "it")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """What stands in the file of a sampler: tensors and values."""
    sampler = clone(SAMPLER).set_params(n_steps=1, random_state=np.random.RandomState(0), latent_dim=3)
    sampler.fit_resample(*make_shapes())
    path = tmp_path_factory.mktemp("saved") / "sampler"
    sampler.save(path)
    return read_file(path)


def test_every_changed_bit_is_told(tmp_path):
    """A bit that a disk lost must neither give other images nor an error that names no file."""
    path = tmp_path / "state"
    write_file(
        path, {"a": torch.rand(30, 40), "b": torch.arange(5)}, {"progress": {"step": 3, "history": [{"a": 0.5}]}}
    )
    whole = path.read_bytes()
    n_head = 8 + int.from_bytes(whole[:8], "little")
    bits = [(i, random.randrange(8)) for i in range(n_head)]
    bits += [(random.randrange(n_head, len(whole)), random.randrange(8)) for _ in range(100)]
    for i, bit in bits:
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 1 << bit]) + whole[i + 1 :])
        with pytest.raises(
            ValueError, match=f"{path} is no file written by gan_sampler, or a damaged one: .* delete it"
        ):
            read_file(path)
    for damaged in [*(whole[:n] for n in range(0, len(whole), 100)), whole + b"\0", whole[::-1]]:
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=f"{path} is no file written by gan_sampler"):
            read_file(path)


def test_other_programs_can_read_the_file(tmp_path):
    """It is safetensors: every dtype and memory format, and nothing of a header that only this package knows."""
    tensors = {
        "image": torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "half": torch.rand(3).bfloat16(),
        "flags": torch.tensor([True, False, True]),
        "number": torch.tensor(7),
        "none": torch.empty(0, 3),
        "part": torch.arange(10.0)[::2],
    }
    write_file(tmp_path / "state", tensors, {})
    for again in (load_file(tmp_path / "state"), read_file(tmp_path / "state")[0]):
        assert again.keys() == tensors.keys()
        assert all(torch.equal(again[name], tensor) for name, tensor in tensors.items())
        assert all(again[name].dtype == tensor.dtype for name, tensor in tensors.items())


PROGRESS = {
    "step": 100,
    "seconds": 2.5,
    "n_rollbacks": 0,
    "best_step": 50,
    "best_score": None,
    "positions": [16],
    "history": [{"step": 50, "seconds": 1.0}, {"step": 100, "seconds": 2.5}],
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        *(
            ({"step": step}, "step must be an integer of at least 0; got ")
            for step in (float("nan"), "9", -1, True, 1e3)
        ),
        ({"step": 60}, r"steps of history must rise up to step, 60; got \[50, 100\]"),
        ({"seconds": float("nan")}, "seconds must be a finite number of at least 0; got nan"),
        ({"seconds": 10**400}, "seconds must be a finite number of at least 0"),
        ({"n_rollbacks": 10**400}, "n_rollbacks must be an integer"),
        ({"best_step": 101}, "best_step 101"),
        ({"best_score": "low"}, "best_score must be a number or None; got 'low'"),
        ({"positions": [-1]}, r"positions must be a list of such integers; got \[-1\]"),
        ({"history": [{"seconds": 1.0}]}, "history must be a list of dicts with a step and seconds each"),
        ({"history": PROGRESS["history"][::-1]}, "steps of history must rise"),
        ({"history": None}, "history must be a list of dicts"),
    ],
)
def test_a_state_that_no_training_could_be_in_is_refused(tmp_path, change, message):
    """With a step of NaN a resumed training would never end."""
    checkpoint = Checkpoint(tmp_path / "state", {})
    checkpoint.write(({}, PROGRESS))
    assert checkpoint.read() == ({}, PROGRESS)
    checkpoint.write(({}, {**PROGRESS, **change}))
    with pytest.raises(ValueError, match=f"{tmp_path / 'state'} holds no state .*{message}.*Delete it"):
        checkpoint.read()


@pytest.mark.parametrize("progress", [None, [], {}, {name: PROGRESS[name] for name in list(PROGRESS)[1:]}])
def test_a_state_that_lacks_something_is_refused(tmp_path, progress):
    """Nor may it begin from nothing without a word."""
    checkpoint = Checkpoint(tmp_path / "state", {})
    checkpoint.write(({}, progress))
    with pytest.raises(ValueError, match=r"holds no state .* must be .*; got "):
        checkpoint.read()


def test_tensors_of_other_networks_are_told_by_name_and_shape():
    """Copying would broadcast some of them without a word."""
    found = {"a": torch.zeros(1, 3), "b": torch.zeros(2)}
    check_tensors(found, {"a": torch.empty(1, 3, device="meta")}, "they differ")
    with pytest.raises(
        ValueError, match=r"(?s)they differ:.*a: float32 \(1, 3\) there, float32 \(2, 3\) here.*c: nothing"
    ):
        check_tensors(found, {"a": torch.zeros(2, 3), "c": torch.zeros(1)}, "they differ")


def _set(*keys, to):
    def change(tensors, values):
        *inner, last = keys
        for key in inner:
            values = values[key]
        values[last] = to

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            _set("parameters", "latent_dim", to=10**9),
            r"layers\.0\.weight: float32 \(\d+, 3\) there, .*, 1000000000\) here",
        ),
        (_set("parameters", "latent_dim", to=10**18), "overflow"),
        (_set("parameters", "base_channels", to=10**5), "layers"),
        (_set("parameters", "latent_dim", to="3"), "latent_dim"),
        (_set("parameters", "shell", to="rm"), r"got a difference in \['shell'\]"),
        (_set("parameters", to=[1]), "parameters must be a dict"),
        (_set("image_format", "value", "height", to=0), "image_format must be one that images can have"),
        (_set("image_format", "value", "height", to=10**300), "image_format must be one"),
        (_set("image_format", "value", "dtype", "value", to="O"), "a dtype must be one of numbers; got 'O'"),
        (_set("image_format", "value", "dtype", to={"type": "os.system", "value": "rm"}), r"values must be of type"),
        (_set("parameters", "random_state", "value", 1, to=10**6), "RandomState must have 624 keys and a position"),
        (_set("parameters", "verbose", to={"type": "<U1000000000", "value": "a"}), "values must be of type"),
        (_set("labels", to=["a", "b"]), "labels must differ, and have a history each; got .* and 1 histories"),
        (_set("labels", to=[["a"]]), "unhashable"),
        (_set("history", to=[3]), "history must be a list of dicts for each class"),
        (_set("sampling_strategy", "value", to=[["a", -1]]), "sampling_strategy must be a dict of integers"),
        (lambda tensors, values: values.pop("labels"), "labels must be a list; got NoneType"),
        (lambda tensors, values: tensors.popitem(), "there, .* here"),
        (lambda tensors, values: tensors.update({"0.more": torch.ones(1)}), "more"),
        (
            lambda tensors, values: tensors.update({"7.more": torch.ones(1)}),
            "must belong to one of 1 classes; got 7.more",
        ),
    ],
)
def test_a_file_made_by_hand_is_refused_before_anything_is_made_of_it(saved, tmp_path, change, message):
    """A few kilobytes must not ask for 512 GB, nor name what is to be run."""
    tensors, values = dict(saved[0]), copy.deepcopy(saved[1])
    change(tensors, values)
    write_file(tmp_path / "sampler", tensors, values)
    with pytest.raises(
        ValueError, match=f"(?s){tmp_path / 'sampler'} holds no DCGANOverSampler .*{message}.*Write it anew"
    ):
        DCGANOverSampler.load(tmp_path / "sampler")


def test_no_network_beside_the_generator_is_allocated(saved, tmp_path, monkeypatch):
    """The size of a discriminator is bounded by nothing in the file."""
    write_file(tmp_path / "sampler", *saved)
    made = []
    make_network = DCGANOverSampler._make_network

    def spy(self, name, *args, **kwargs):
        network = make_network(self, name, *args, **kwargs)
        made.extend((name, parameter.device.type) for parameter in network.parameters())
        return network

    monkeypatch.setattr(DCGANOverSampler, "_make_network", spy)
    assert DCGANOverSampler.load(tmp_path / "sampler").sample(2, "square").shape == (2, 12, 12)
    assert set(made) == {("generator", "meta")}


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # the child does nothing that takes a lock of a thread
def test_what_a_killed_process_left_is_removed_by_the_next_write(tmp_path):
    """The lock on it went with the process."""
    child = os.fork()
    if child == 0:
        try:
            os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
            write_file(tmp_path / "state", {}, {})
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    write_file(tmp_path / "other", {}, {})
    assert len(list(tmp_path.iterdir())) == 2  # each removes what was to become the file that it writes
    write_file(tmp_path / "state", {}, {})
    assert {file.name for file in tmp_path.iterdir()} == {"other", "state"}


def test_two_writers_do_not_disturb_each_other(tmp_path, monkeypatch):
    """Process ids are the same in many containers, and one must not remove what the other is writing."""
    fsync = os.fsync

    def write_another(descriptor):
        monkeypatch.setattr(os, "fsync", fsync)
        write_file(tmp_path / "state", {}, {"writer": 2})
        assert read_file(tmp_path / "state")[1] == {"writer": 2}
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", write_another)
    write_file(tmp_path / "state", {}, {"writer": 1})
    assert read_file(tmp_path / "state")[1] == {"writer": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["state"]


def test_bytes_then_name_then_folder_reach_the_disk(tmp_path, monkeypatch):
    """A power cut after the write must find the new file, and one before it the old."""
    events, fsync, replace = [], os.fsync, os.replace

    def spy_fsync(descriptor):
        events.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "replace", lambda *names: (events.append("name"), replace(*names)))
    write_file(tmp_path / "state", {}, {})
    assert events == ["file", "name", "folder"]


def test_a_link_stays_and_its_target_keeps_its_permissions(tmp_path):
    """Others read the file under its own name."""
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "sampler", tmp_path / "link"
    link.symlink_to(target)
    write_file(link, {}, {"n": 1})  # to where there is nothing yet
    target.chmod(0o640)
    write_file(link, {}, {"n": 2})
    assert link.is_symlink()
    assert read_file(target)[1] == {"n": 2}
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("", ValueError, "path must name a file; got an empty string"),
        ("a\0b", ValueError, r"path must name a file; got 'a\\x00b'"),
        ("\ud800", ValueError, "path must name a file"),
        (3, TypeError, "path must be a string or a path; got 3"),
        (b"name", TypeError, "path must be a string or a path"),
        ("folder", IsADirectoryError, "path must name a file; got the folder folder"),
        ("pipe", OSError, "path must name a regular file; got pipe"),
        ("file/below", NotADirectoryError, "path must name a file that can be reached; got 'file/below': Not a dir"),
        ("loop", OSError, "path must name a file that can be reached; got 'loop'"),
        ("n" * 300, OSError, "path must name a file that can be reached"),
    ],
)
def test_a_path_that_can_be_no_file_is_refused_by_name(tmp_path, monkeypatch, name, error, message):
    """Before anything waits for a pipe, and for reading as for writing."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("folder").mkdir()
    Path("file").touch()
    Path("loop").symlink_to("loop")
    with pytest.raises(error, match=message):
        write_file(name, {}, {})
    with pytest.raises(error, match=message):
        read_file(name)


def test_a_long_name_can_be_written(tmp_path):
    """The name of the unfinished file is no longer than it."""
    write_file(tmp_path / ("n" * 255), {}, {})
    assert read_file(tmp_path / ("n" * 255)) == ({}, {})


def test_where_nothing_can_be_written_is_told_by_the_argument(tmp_path, monkeypatch):
    """Before hours of training rather than after."""
    check_writable(tmp_path)
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "nothing", Path("/proc/self")):
        with pytest.raises(OSError, match=f"checkpoint_dir must be a folder that can be written to; got '{folder}'"):
            check_writable(folder)
    with pytest.raises(
        OSError, match=r"Could not write /proc/self/state.* path must be in a folder that can be written"
    ):
        write_file("/proc/self/state", {}, {})

    def fail(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=r"checkpoint_dir must be .* No space left on device") as info:
        check_writable(tmp_path)
    assert info.value.errno == errno.ENOSPC
    with pytest.raises(OSError, match=r"No space left on device\. checkpoint_dir must be in a folder"):
        Checkpoint(tmp_path / "state", {}).write(({}, PROGRESS))
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_numpy_numbers_are_the_same_parameters(tmp_path):
    """A grid over an array gives them; the value counts, so 0.1 in float32 is another one."""
    sampler = clone(SAMPLER).set_params(checkpoint_dir=tmp_path, n_steps=1, batch_size=16, dropout=0.5, latent_dim=4)
    sampler.fit_resample(*make_shapes())
    sampler.set_params(batch_size=np.int64(16), dropout=np.float32(0.5)).fit_resample(*make_shapes())
    sampler.save(tmp_path / "saved")
    assert type(DCGANOverSampler.load(tmp_path / "saved").batch_size) is int
    with pytest.raises(ValueError, match=r"parameters\.dropout: 0\.5 there, 0\.1000000014\d+ in this fit"):
        sampler.set_params(dropout=np.float32(0.1)).fit_resample(*make_shapes())


def test_parameters_changed_since_the_fit_are_refused(tmp_path):
    """No network could be made from them that the weights fit into."""
    sampler = clone(SAMPLER).set_params(n_steps=1)
    sampler.fit_resample(*make_shapes())
    with pytest.raises(ValueError, match=r"(?s)must be those of the fit.*layers\.0\.weight: .* 100\) there"):
        sampler.set_params(latent_dim=7).save(tmp_path / "sampler")
    assert not list(tmp_path.iterdir())


def test_differences_are_told_shortly(tmp_path):
    """By the innermost entry that differs, however long the values are."""
    about = {
        "networks": {"a": [1, [2, 3]], "b": "x" * 500, "c": list(range(90))},
        "old": 1,
        "d": {str(i): 0 for i in "ab"},
    }
    Checkpoint(tmp_path / "state", about).write(({}, PROGRESS))
    other = {"networks": {"a": [1, [2, 4]], "b": "y" * 500, "c": [1] * 91}, "d": about["d"], "more": list(range(20))}
    other["numbers"], about["numbers"] = list(range(50)), None
    with pytest.raises(ValueError, match="checkpoint_dir holds") as info:
        Checkpoint(tmp_path / "state", other).read()
    message = str(info.value)
    assert "networks.a[1][1]: 3 there, 4 in this fit\n" in message
    assert "networks.b: 'xxx" in message
    assert "xxx' (of length 500) there, 'yyy" in message
    assert "(of length 90) there, [1, 1, 1, 1, 1, 1, ...] (of length 91) in this fit" in message
    assert "old: 1 there, nothing in this fit" in message
    assert max(map(len, message.splitlines()[:-1])) < 250

    Checkpoint(tmp_path / "state", {"all": [0] * 99}).write(({}, PROGRESS))
    with pytest.raises(ValueError, match=r"\.\.\. and 89 more"):
        Checkpoint(tmp_path / "state", {"all": [1] * 99}).read()
