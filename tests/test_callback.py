"""The callback of a training: what it is told and shown, how it stops, and that nothing else changes by it."""

import pickle
import threading

import joblib
import numpy as np
import pytest
import torch
from conftest import KeptStates, make_shapes
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from gan_sampler import ConditionalDCGANOverSampler, DCGANOverSampler
from gan_sampler.networks import Discriminator, Generator
from gan_sampler.runtime import random_stream
from gan_sampler.training import CallbackError, TrainingProgress, train_gan

SMALL = {
    DCGANOverSampler: {"latent_dim": 8, "batch_size": 4},
    ConditionalDCGANOverSampler: {"latent_dim": 8, "batch_size": 4},
}
SAMPLERS = list(SMALL)


def make(sampler, **parameters):
    return sampler(**{**SMALL[sampler], "n_steps": 55, "random_state": 0, **parameters})


def steps_of(sampler):
    return [record["step"] for record in sampler.history_["square"]]


@pytest.fixture
def small():
    return make_shapes(12, 6, size=8)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_it_sees_each_report_and_images_and_disturbs_neither_training_nor_streams(sampler, small):
    seen = []

    def follow(progress):
        images = progress.sample(5)
        again, others = progress.sample(5), progress.sample(5, random_state=1)
        torch.rand(3), np.random.rand(3)
        seen.append((progress.step, progress.labels, dict(progress.record), images))
        progress.record["score"] = -1.0  # a copy
        assert np.array_equal(images, again)
        assert not np.array_equal(images, others)

    without, _ = make(sampler).fit_resample(*small)
    fitted = make(sampler, callback=follow)
    with_it, _ = fitted.fit_resample(*small)
    assert np.array_equal(without, with_it)
    assert [step for step, *_ in seen] == steps_of(fitted) == [50, 55]
    assert all(labels == ["square"] for _, labels, *_ in seen)
    assert all(images.shape == (5, 8, 8) and images.dtype == np.uint8 for *_, images in seen)
    assert all(record["score"] > 0 for record in fitted.history_["square"])
    assert seen[0][2]["loss_discriminator"] > 0


def test_torchs_own_streams_are_put_back_where_a_training_draws_from_them(small):
    """Dropout draws from torch's stream, which a callback may draw from, too."""
    losses = []
    for callback in (None, lambda progress: torch.manual_seed(7) and None):
        fitted = make(DCGANOverSampler, dropout=0.5, callback=callback)
        fitted.fit_resample(*small)
        losses.append(fitted.history_["square"][-1]["loss_discriminator"])
    assert losses[0] == losses[1]


def test_images_are_in_the_layout_and_dtype_of_the_user(small):
    X = np.repeat(small[0][:, None], 3, axis=1).astype(np.float32) / 255  # channels first, grey stored as colour
    seen = []
    make(DCGANOverSampler, callback=lambda progress: seen.append(progress.sample(2))).fit_resample(X, small[1])
    assert seen[0].shape == (2, 3, 8, 8)
    assert seen[0].dtype == np.float32
    assert seen[0].min() >= X.min()
    assert seen[0].max() <= X.max()


def test_an_image_does_not_depend_on_how_many_are_drawn(small):
    seen = []
    callback = lambda progress: seen.append([progress.sample(n) for n in (3, 70, 0)])  # noqa: E731
    make(DCGANOverSampler, callback=callback).fit_resample(*small)
    few, many, none = seen[0]
    assert np.array_equal(few, many[:3])
    assert none.shape == (0, 8, 8)


def test_pictures_become_those_that_the_fitted_sampler_draws():
    """What is shown is the averaged generator, not one that has just been made: it comes to show the class."""
    X, y = make_shapes(12, 60, size=8, seed=1)
    errors = []
    mean = X[y == "disc"].astype(float).mean(0)

    def follow(progress):
        errors.append(abs(progress.sample(64).astype(float).mean(0) - mean).mean())

    make(DCGANOverSampler, callback=follow, n_steps=300, batch_size=12).fit_resample(X, y)
    assert errors[-1] < errors[0] / 2


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_true_ends_the_training_without_a_warning_of_max_time(sampler, small, recwarn):
    fitted = make(sampler, callback=lambda progress: True, n_steps=500, max_time=1000)
    fitted.fit_resample(*small)
    assert steps_of(fitted) == [50]
    assert not [w for w in recwarn if w.category is ConvergenceWarning]
    assert fitted.generators_["square"] is not None


@pytest.mark.parametrize(
    ("answer", "n_reports"), [(np.True_, 1), (np.False_, 2), (1, 2), ("x", 2), ([1], 2), (None, 2)]
)
def test_true_alone_stops(answer, n_reports, small):
    """Of a function in one line, such as a method that writes a log, nobody knows what it returns."""
    fitted = make(DCGANOverSampler, callback=lambda progress: answer)
    fitted.fit_resample(*small)
    assert len(steps_of(fitted)) == n_reports


def test_it_stops_one_class_and_not_the_next():
    X = np.random.RandomState(0).randint(0, 256, (26, 8, 8)).astype(np.uint8)
    y = np.repeat(["a", "b", "c"], [6, 8, 12])
    fitted = make(DCGANOverSampler, callback=lambda progress: progress.label == "a")
    fitted.fit_resample(X, y)
    assert {label: history[-1]["step"] for label, history in fitted.history_.items()} == {"a": 50, "b": 55}


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("is_fitted", [False, True])
def test_an_exception_is_raised_as_it_is_and_the_best_snapshot_is_kept(sampler, is_fitted, small):
    """As Ctrl-C keeps it: also in place of an earlier fit."""
    fitted = make(sampler)
    if is_fitted:
        fitted.fit_resample(*small)
    earlier = fitted.generators_["square"] if is_fitted else None

    def fail(progress):
        raise KeyError("a name that the log does not know") from OSError("disk")

    with pytest.raises(KeyError, match="a name that the log") as caught:
        fitted.set_params(callback=fail).fit_resample(*small)
    assert isinstance(caught.value.__cause__, OSError)
    assert "at step 50" in caught.value.__notes__[0]
    assert steps_of(fitted) == [50]
    assert fitted.generators_["square"] is not earlier
    assert not any(weight.requires_grad for weight in fitted.generators_["square"].parameters())


def test_ctrl_c_in_it_is_ctrl_c(small):
    def interrupt(progress):
        raise KeyboardInterrupt

    fitted = make(DCGANOverSampler, callback=interrupt)
    with pytest.raises(KeyboardInterrupt, match="its last report was at step 50"):
        fitted.fit_resample(*small)
    assert fitted.sample(2, "square").shape == (2, 8, 8)


def test_a_conditional_training_names_its_classes():
    X = np.random.RandomState(0).randint(0, 256, (26, 8, 8)).astype(np.uint8)
    y = np.repeat(["a", "b", "c"], [6, 8, 12])
    seen = []

    def follow(progress):
        one = progress.sample(2, "b")
        seen.append((progress.label, progress.labels, progress.record, progress.sample(5), one))
        with pytest.raises(ValueError, match=r"label must be None or one of .*'a', 'b'.*; got 'c'"):
            progress.sample(2, "c")

    make(ConditionalDCGANOverSampler, callback=follow).fit_resample(X, y)
    label, labels, record, images, one = seen[-1]
    assert (label, labels, images.shape) == (None, ["a", "b"], (5, 8, 8))
    assert np.array_equal(images[3:], one)  # three of the first class, two of the second
    assert record["score"] == pytest.approx((record["score_a"] + record["score_b"]) / 2)


@pytest.mark.parametrize("n", [-1, 2.0, True, "3"])
def test_a_number_of_images_that_is_none_is_refused(n, small):
    def follow(progress):
        with pytest.raises(ValueError, match="n must be an integer of at least 0"):
            progress.sample(n)

    make(DCGANOverSampler, callback=follow).fit_resample(*small)


def test_images_are_refused_once_the_training_has_moved_on(small):
    kept = []
    make(DCGANOverSampler, callback=kept.append).fit_resample(*small)
    assert kept[0].step == 50
    with pytest.raises(RuntimeError, match="inside of the callback"):
        kept[0].sample(1)


def test_other_processes_call_it(small, tmp_path):
    """Closures reach them; what they raise comes back, with where it was."""
    X = np.random.RandomState(0).randint(0, 256, (26, 8, 8)).astype(np.uint8)
    y = np.repeat(["a", "b", "c"], [6, 8, 12])

    def write(progress):
        (tmp_path / f"{progress.label}-{progress.step}").write_text(str(progress.sample(1).shape))
        if progress.label == "b" and progress.step == 55:
            raise OSError("disk full")

    fitted = make(DCGANOverSampler, callback=write, n_jobs=2)
    torch.set_num_threads(1)
    with pytest.raises(OSError, match="disk full") as caught:
        fitted.fit_resample(X, y)
    assert {path.name for path in tmp_path.iterdir()} == {"a-50", "a-55", "b-50", "b-55"}
    assert "class 'b'" in caught.value.__notes__[0]
    assert "in write" in caught.value.__notes__[1]
    assert set(fitted.generators_) == {"a", "b"}


def test_one_that_does_not_pickle_is_refused_before_training(small):
    X = np.random.RandomState(0).randint(0, 256, (26, 8, 8)).astype(np.uint8)
    y = np.repeat(["a", "b", "c"], [6, 8, 12])
    lock = threading.Lock()
    callback = lambda progress: lock.locked()  # noqa: E731
    with pytest.raises(ValueError, match="callback must be picklable with n_jobs=2"):
        make(DCGANOverSampler, callback=callback, n_jobs=2).fit_resample(X, y)
    with joblib.parallel_config("threading"):
        make(DCGANOverSampler, callback=callback, n_jobs=2).fit_resample(X, y)


def test_an_interrupted_training_goes_on_with_another_one(small, tmp_path):
    """It is free to change, as n_steps is; and what it stopped goes on when it no longer does."""
    whole, _ = make(DCGANOverSampler, n_steps=100).fit_resample(*small)
    stopped = make(DCGANOverSampler, n_steps=100, checkpoint_dir=tmp_path, callback=lambda progress: True)
    stopped.fit_resample(*small)
    steps = []
    fitted = make(
        DCGANOverSampler, n_steps=100, checkpoint_dir=tmp_path, callback=lambda progress: steps.append(progress.step)
    )
    X, _ = fitted.fit_resample(*small)
    assert steps == [100]
    assert np.array_equal(X, whole)


def test_a_file_does_not_hold_it_and_a_clone_does(small, tmp_path, recwarn):
    fitted = make(DCGANOverSampler, callback=lambda progress: None)
    fitted.fit_resample(*small)
    recwarn.clear()
    fitted.save(tmp_path / "sampler")
    assert not recwarn
    assert DCGANOverSampler.load(tmp_path / "sampler").callback is None
    assert clone(fitted).callback is fitted.callback


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_what_cannot_be_called_is_refused(sampler, small):
    with pytest.raises(ValueError, match=r"'callback' parameter of .* must be a callable or None"):
        make(sampler, callback="tensorboard").fit_resample(*small)


def train(**options):
    torch.manual_seed(0)
    images = torch.rand(12, 1, 8, 8) * 2 - 1
    networks = Generator((1, 8, 8), latent_dim=8, base_channels=4), Discriminator((1, 8, 8), base_channels=4)
    return train_gan(*networks, images, n_steps=100, batch_size=4, stream=random_stream(images.device, 0), **options)


def test_the_loop_alone_gives_tensors():
    seen = []
    train(callback=lambda progress: seen.append(progress.sample(3)))
    assert [images.shape for images in seen] == 2 * [(3, 1, 8, 8)]
    assert seen[0].abs().max() <= 1


def test_drawing_leaves_the_whole_state_of_a_training_as_it_was():
    """Statistics of batches move whenever images pass, and are in checkpoints."""
    without, with_it = KeptStates(), KeptStates()
    train(checkpoint=without)
    train(checkpoint=with_it, callback=lambda progress: progress.sample(5) is None)
    for expected, found in zip(without, with_it, strict=True):
        assert all(torch.equal(tensor, found[0][name]) for name, tensor in expected[0].items())


def test_the_loop_alone_keeps_the_snapshot_and_the_checkpoint_of_a_callback_that_fails():
    states = KeptStates()

    def fail(progress):
        raise OSError("disk full")

    with pytest.raises(CallbackError, match="at the report of step 50") as caught:
        train(callback=fail, checkpoint=states)
    error = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(caught.value.__cause__, OSError)
    assert [record["step"] for record in error.history] == [50]
    assert error.network(torch.zeros(2, 8)).shape == (2, 1, 8, 8)
    assert len(states) == 1


def test_progress_can_be_made_by_hand():
    """For tests of a callback: no training is needed."""
    progress = TrainingProgress({"step": 50, "seconds": 1.0}, 100, lambda n, seed, index: torch.zeros(n, 1, 8, 8))
    assert progress.sample(2).shape == (2, 1, 8, 8)
