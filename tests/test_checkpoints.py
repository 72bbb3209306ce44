"""Interrupted trainings that go on, and fitted samplers in files."""

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
from conftest import make_shapes
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from gan_sampler import DCGANOverSampler
from gan_sampler.networks import Discriminator, Generator
from gan_sampler.samplers._persistence import from_json, to_json
from gan_sampler.training import read_file, train_gan, write_file
from gan_sampler.training._state import TrainingState

SAMPLER = DCGANOverSampler(n_steps=120, width=2, random_state=0)


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
            f"DCGANOverSampler(n_steps=1000, width=2, random_state=0, checkpoint_dir={str(tmp_path)!r})"
            ".fit_resample(*make_shapes())\n"
        )
        environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
        process = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parent, env=environment)
        try:
            while not list(tmp_path.glob("*.safetensors")):
                assert process.poll() is None
                time.sleep(0.01)
            time.sleep(random.random() / 2)
        finally:
            process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        (checkpoint,) = tmp_path.glob("*.safetensors")
        reached = read_file(checkpoint)[1]["progress"]["step"]
        assert 50 <= reached < 1000

        sampler = clone(SAMPLER).set_params(n_steps=1000)
        uninterrupted = sampler.fit_resample(*make_shapes())[0]
        resumed = clone(sampler).set_params(checkpoint_dir=tmp_path)
        np.testing.assert_array_equal(resumed.fit_resample(*make_shapes())[0], uninterrupted)
        steps = [record["step"] for record in resumed.history_["square"]]
        assert steps == list(range(50, 1001, 50))
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

        next_rows = TrainingState.next_rows
        monkeypatch.setattr(TrainingState, "next_rows", interrupt)
        with pytest.raises(KeyboardInterrupt):
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
        monkeypatch.setattr(TrainingState, "next_rows", None)
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
            ({"random_state": 1}, r"seed: \d+ there, \d+ in this fit"),
            ({"pretrain": "all"}, r"parameters\.pretrain: None there, 'all' in this fit"),
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
        with pytest.raises(ValueError, match=r"(?s)image_format\.value: .* there, .* in this fit"):
            sampler.fit_resample(np.where((y == "disc")[:, None, None], 2.0 * X, X), y)

    def test_which_classes_are_over_sampled_may_change(self, tmp_path):
        """A class's training does not depend on the others'."""
        X, y = three_classes()
        sampler = clone(SAMPLER).set_params(checkpoint_dir=tmp_path, n_steps=60)
        sampler.fit_resample(X, y)
        sampler.set_params(sampling_strategy={"square": 25}, n_steps=100).fit_resample(X, y)
        assert [record["step"] for record in sampler.history_["square"]] == [50, 60, 100]

    def test_fewer_steps_than_were_made_are_refused(self, tmp_path):
        """Returning what took more would not be what was asked for."""
        sampler = clone(SAMPLER).set_params(checkpoint_dir=tmp_path, n_steps=3)
        sampler.fit_resample(*make_shapes())
        with pytest.raises(ValueError, match=r"n_steps must be at least 3, .* got 2"):
            sampler.set_params(n_steps=2).fit_resample(*make_shapes())

    def test_another_pretraining_is_refused(self, tmp_path):
        """Its file may have been deleted; what started from it knows on which images it was."""
        X, y = make_shapes()
        sampler = clone(SAMPLER).set_params(checkpoint_dir=tmp_path, n_steps=2, pretrain="all")
        sampler.fit_resample(X, y)
        next(tmp_path.glob("*pretraining*")).unlink()
        with pytest.raises(ValueError, match=r"pretrained_on\.sha256: "):
            sampler.fit_resample(np.where((y == "disc")[:, None, None], X // 2, X), y)

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

    def test_pretraining_has_its_own_checkpoint(self, tmp_path, monkeypatch):
        """It may be the longer half."""
        sampler = clone(SAMPLER).set_params(checkpoint_dir=tmp_path, n_steps=60, pretrain="all")
        expected = sampler.fit_resample(*make_shapes())[0]
        assert (tmp_path / "DCGANOverSampler-pretraining.safetensors").is_file()
        monkeypatch.setattr(TrainingState, "next_rows", None)
        np.testing.assert_array_equal(sampler.fit_resample(*make_shapes())[0], expected)


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
    states = []
    players = Generator((3, 16, 16), base_channels=2), Discriminator((3, 16, 16), base_channels=2)
    train_gan(*players, torch.rand(9, 3, 16, 16), n_steps=3, report=lambda record, state: states.append(state))
    tensors, progress = states[-1]
    write_file(tmp_path / "state", tensors, progress)
    again, progress_again = read_file(tmp_path / "state")
    assert progress_again == progress
    assert again.keys() == tensors.keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in tensors.items())


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
    again = from_json(json.loads(json.dumps(to_json(value, "it"))))
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
