"""What every image over-sampler promises, on each of them."""

import inspect
import pickle
import subprocess
import sys
import warnings
from collections import Counter

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from conftest import make_shapes
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from torch import nn

from gan_sampler import (
    AugmentationOverSampler,
    ConditionalDCGANOverSampler,
    DCGANOverSampler,
    GANOverSampler,
    QualityReport,
    QualityWarning,
    VisionAidedDCGANOverSampler,
)
from gan_sampler.networks import Generator
from gan_sampler.runtime import isolated
from gan_sampler.samplers import CollapseWarning
from gan_sampler.samplers._transforms import small_transform
from gan_sampler.training import augment_mildly, train_gan


def make_backbone():
    """Return a network in place of a pretrained one."""
    return nn.Sequential(nn.Conv2d(3, 4, 3, stride=4), nn.ReLU())


SAMPLERS = {
    "dcgan": DCGANOverSampler(n_steps=2, base_channels=4, random_state=0),
    "vision aided": VisionAidedDCGANOverSampler(
        backbone=make_backbone, input_size=32, n_steps=2, base_channels=4, random_state=0
    ),
    "conditional": ConditionalDCGANOverSampler(n_steps=3, base_channels=4, random_state=0),
    "gan": GANOverSampler(n_steps=2, generator__base_channels=4, discriminator__base_channels=4, random_state=0),
    "augmentation": AugmentationOverSampler(random_state=0),
}


@pytest.fixture(params=SAMPLERS)
def sampler(request):
    """Each over-sampler, quick."""
    return clone(SAMPLERS[request.param])


def as_layout(X, layout, dtype):
    X = X.astype(dtype) * (257 if dtype == np.uint16 else 1)
    rgb = np.stack([X, X[:, ::-1], X[:, :, ::-1]], axis=-1)
    return {
        "HW": X,
        "HW1": X[..., None],
        "HWC": rgb,
        "CHW": np.ascontiguousarray(np.moveaxis(rgb, -1, 1)),
        "grey as RGB": np.repeat(X[..., None], 3, axis=-1),
        "row": X.reshape(len(X), -1),
        "RGB row": rgb.reshape(len(X), -1),
    }[layout]


@pytest.mark.parametrize(
    ("layout", "dtype"),
    [(layout, np.uint8) for layout in ("HW", "HW1", "HWC", "CHW", "grey as RGB", "row", "RGB row")]
    + [("HWC", np.uint16), ("CHW", np.float32), ("row", np.float64), ("grey as RGB", np.float32)],
)
def test_output_keeps_layout_dtype_and_range(sampler, layout, dtype, shapes):
    """What comes out goes wherever the input could go; originals first and untouched."""
    X, y = as_layout(shapes[0], layout, dtype), shapes[1]
    before = X.copy()
    sampler.set_params(image_shape={"row": (12, 12), "RGB row": (12, 12, 3)}.get(layout))
    X_res, y_res = sampler.fit_resample(X, y)
    assert X_res.dtype == dtype
    assert X_res.shape == (48, *X.shape[1:])
    np.testing.assert_array_equal(X_res[: len(X)], before)
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(y_res[: len(y)], y)
    if dtype != np.uint8:
        assert X_res.min() == X.min()
        assert X_res.max() == X.max()
    if layout == "grey as RGB":
        assert np.ptp(X_res, axis=-1).max() == 0


@pytest.mark.parametrize("size", [(8, 8), (9, 23), (28, 28)])
def test_any_size_from_8_square_or_not(sampler, size):
    """Images are cropped from the canvas, never resized."""
    X = np.random.RandomState(0).randint(0, 256, (20, *size), dtype=np.uint8)
    X_res, _ = sampler.fit_resample(X, np.arange(20) % 4 == 0)
    assert X_res.shape == (30, *size)


@pytest.mark.parametrize(
    ("strategy", "made"),
    [
        ("auto", {"b": 6, "c": 9}),
        ("not majority", {"b": 6, "c": 9}),
        ("minority", {"c": 9}),
        ("not minority", {"b": 6}),
        ("all", {"b": 6, "c": 9}),
        ({"c": 5}, {"c": 2}),
        ({"a": 14, "b": 6, "c": 3}, {"a": 2}),
        (lambda y: {"b": Counter(y)["b"] + 1}, {"b": 1}),
    ],
)
def test_every_form_of_sampling_strategy_makes_exactly_its_count(sampler, strategy, made):
    """As imbalanced-learn's over-samplers count; three classes, one of them of three images."""
    X, _ = make_shapes(21, 0)
    y = np.array(["a"] * 12 + ["b"] * 6 + ["c"] * 3)
    X_res, y_res = sampler.set_params(sampling_strategy=strategy).fit_resample(X, y)
    assert Counter(y_res[21:]) == made
    assert len(X_res) == len(y_res) == 21 + sum(made.values())
    n_synthetic = {label: max(1, round(n / 4)) for label, n in made.items()}
    mask = np.arange(len(X_res)) >= len(X_res) - sum(n_synthetic.values())  # originals, repeated, synthetic
    np.testing.assert_array_equal(sampler.synthetic_mask_, mask)
    assert Counter(y_res[mask]) == n_synthetic


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_parameter_reaches_its_attribute(name):
    """A base class to which one is not passed on would keep its default, which no check of defaults can see."""
    kind = type(SAMPLERS[name])
    given = {parameter: object() for parameter in kind._get_param_names()}
    found = kind(**given).get_params(deep=False)
    assert [parameter for parameter, value in given.items() if found[parameter] is not value] == []


def test_float_strategy_is_the_ratio_wanted(sampler, shapes):
    """Binary only, as everywhere in imbalanced-learn."""
    _, y_res = sampler.set_params(sampling_strategy=0.75).fit_resample(*shapes)
    assert Counter(y_res) == {"disc": 24, "square": 18}


def test_nothing_to_make_returns_the_input(sampler):
    """Balanced data pass through."""
    X, y = make_shapes(6, 6)
    X_res, y_res = sampler.fit_resample(X, y)
    np.testing.assert_array_equal(X_res, X)
    np.testing.assert_array_equal(y_res, y)
    assert not sampler.synthetic_mask_.any()


@pytest.mark.parametrize(
    "labels",
    [[0, 1], [True, False], [1.0, 2.0], ["a", "b"], np.array(["benign", "malignant"], dtype=object), [-7, 10**12]],
)
def test_any_type_of_label_comes_back_as_it_was(sampler, labels):
    """Integers, bools, floats, strings and objects."""
    X, kinds = make_shapes(8, 4)
    y = np.asarray(labels)[(kinds == "square").astype(int)]
    _, y_res = sampler.fit_resample(X, y)
    assert y_res.dtype == y.dtype
    assert Counter(y_res.tolist()) == {labels[0]: 8, labels[1]: 8}


def test_lists_dataframes_and_series_come_back_as_such(sampler, shapes):
    """As imbalanced-learn does."""
    X, y = shapes
    X_list, y_list = clone(sampler).fit_resample(X.tolist(), y.tolist())
    assert isinstance(X_list, list)
    assert {(image.shape, image.dtype) for image in X_list} == {((12, 12), X_list[0].dtype)}  # no lists of numbers
    assert isinstance(y_list, list)
    frame = pd.DataFrame(X.reshape(len(X), -1)).add_prefix("pixel")
    sampler.set_params(image_shape=(12, 12))
    X_frame, y_series = sampler.fit_resample(frame, pd.Series(y, name="kind"))
    assert list(X_frame.columns) == list(frame.columns)
    assert set(X_frame.dtypes) == {np.dtype(np.uint8)}
    assert y_series.name == "kind"
    assert list(sampler.feature_names_in_) == list(frame.columns)
    np.testing.assert_array_equal(X_frame.to_numpy()[: len(X)], frame.to_numpy())


def test_same_seed_same_bytes_and_other_seed_other_bytes(sampler, shapes):
    """Reproducible on one machine, and not constant."""
    first, again = (clone(sampler).fit_resample(*shapes)[0] for _ in range(2))
    other = clone(sampler).set_params(random_state=1).fit_resample(*shapes)[0]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_two_classes_never_share_a_random_stream(sampler):
    """Two classes of the same images would otherwise get the same synthetic ones."""
    X, _ = make_shapes(6, 0)
    X = np.concatenate([X[:3], X[:3], X])
    y = np.array([0] * 3 + [1] * 3 + [2] * 6)
    X_res, y_res = sampler.fit_resample(X, y)
    made = [X_res[(y_res == label) & sampler.synthetic_mask_] for label in (0, 1)]
    assert not np.array_equal(*made)


def fail():
    """Fail in the middle of the work."""
    return 1 / 0


@pytest.mark.parametrize("random_state", [0, None])
@pytest.mark.parametrize("fails", [False, True])
def test_callers_random_state_is_untouched(sampler, shapes, fails, random_state):
    """Also after an error in the middle of the work, and also where no seed was given."""
    sampler.set_params(random_state=random_state)
    if fails:
        sampler._synthesise = lambda *args: fail()
    np_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()
    try:
        sampler.fit_resample(*shapes)
        assert not fails
    except ZeroDivisionError:
        assert fails
    np.testing.assert_array_equal(np.random.get_state()[1], np_state)
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_fitted_attributes_tell_what_was_seen(sampler, shapes):
    """The names that scikit-learn and imbalanced-learn users look for."""
    sampler.fit_resample(*shapes)
    assert sampler.sampling_strategy_ == {"square": 14}
    assert sampler.image_shape_ == (12, 12)
    assert sampler.n_features_in_ == 144
    assert sampler.device_ == torch.device("cpu")


def test_holds_no_training_image(sampler):
    """A pickle that is shared must not carry a patient's picture: its size does not follow that of the data."""
    sizes = []
    for n_squares in (10, 100):
        fitted = clone(sampler)
        fitted.fit_resample(*make_shapes(120, n_squares))
        fitted.synthetic_mask_ = None  # a byte for each row of the output, and no pixel
        sizes.append(len(pickle.dumps(fitted)))
    assert abs(sizes[1] - sizes[0]) < 144


def test_clone_repr_and_html_repr(sampler):
    """Notebooks show the HTML, logs the text."""
    assert clone(sampler).get_params() == sampler.get_params()
    assert repr(sampler).startswith(type(sampler).__name__)
    assert type(sampler).__name__ in sampler._repr_html_()


@pytest.mark.parametrize(
    "config", [{"transform_output": "pandas"}, {"enable_metadata_routing": True}, {"assume_finite": True}]
)
def test_set_config_is_transparent(sampler, shapes, config):
    """scikit-learn's global settings neither break nor change a sampler."""
    plain = clone(sampler).fit_resample(*shapes)[0]
    with sklearn.config_context(**config):
        configured = sampler.fit_resample(*shapes)[0]
    np.testing.assert_array_equal(plain, configured)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X.astype(float) * np.nan, y), "X contains NaN"),
        (lambda X, y: (X[:, 0, 0], y), "got 1 axes"),
        (lambda X, y: (X[:, None, :, :, None], y), "got 5 axes"),
        (lambda X, y: (np.stack([X[:, :3, :3]] * 3, 1), y), "data_format='auto' cannot tell"),
        (lambda X, y: (X.reshape(len(X), -1), y), r"Pass image_shape=\(H, W\)"),
        (lambda X, y: (X, y[:-1]), "X and y must be of one length; got 34 images and 33 labels"),
        (lambda X, y: (X, np.full(len(y), "one")), "more than 1 class"),
        (lambda X, y: (X, None), "y must hold a label for each image; got None"),
        (lambda X, y: (X, np.linspace(0, 1, len(y))), "Unknown label type: continuous"),
    ],
)
def test_bad_data_is_refused_by_name(sampler, shapes, change, message):
    """Nothing is trained before the input is known to be good."""
    with pytest.raises(ValueError, match=message):
        sampler.fit_resample(*change(*shapes))


def test_a_class_of_one_image_is_refused_where_there_is_something_to_learn(sampler, shapes):
    """Changes to one image are no less possible for its being alone."""
    y = np.array(["lonely"] + ["many"] * 33)
    if isinstance(sampler, AugmentationOverSampler):
        assert Counter(sampler.fit_resample(shapes[0], y)[1])["lonely"] == 33
    else:
        with pytest.raises(ValueError, match=r"Class 'lonely' has 1 image.* at least 2 .*RandomOverSampler"):
            sampler.fit_resample(shapes[0], y)
    sampler.set_params(herding=FunctionTransformer(lambda X: X.reshape(len(X), -1)))
    with pytest.raises(ValueError, match=r"Class 'lonely' has 1 image.* at least 2"):
        sampler.fit_resample(shapes[0], y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"device": "gpu0"}, "device must be 'auto' or a torch device of this machine"),
        ({"image_shape": (5, 5)}, r"image_shape=\(5, 5\) does not fit X"),
        ({"value_range": (0, 1)}, "value_range=.* must hold every value of X"),
        ({"data_format": "last"}, "The 'data_format' parameter of .* must be"),
        ({"sampling_strategy": "most"}, "The 'sampling_strategy' parameter of .* must be"),
        ({"sampling_strategy": {"square": 3}}, "should be greater or equal to the original number"),
        ({"sampling_strategy": {"circle": 30}}, "not present in the data"),
    ],
)
def test_bad_parameters_are_refused_by_name(sampler, shapes, params, message):
    """Each message names the parameter."""
    with pytest.raises(ValueError, match=message):
        sampler.set_params(**params).fit_resample(*shapes)


class TestGenerators:
    """What samplers with generators promise beyond that."""

    @pytest.fixture
    def fitted(self, shapes):
        sampler = clone(SAMPLERS["dcgan"])
        sampler.fit_resample(*shapes)
        return sampler

    def test_sample_draws_more_without_training(self, fitted):
        """In the layout, dtype and range of the input; other images at each call unless seeded."""
        images = fitted.sample(300, "square")
        assert images.shape == (300, 12, 12)
        assert images.dtype == np.uint8
        assert not np.array_equal(fitted.sample(4, "square"), fitted.sample(4, "square"))
        np.testing.assert_array_equal(*(fitted.sample(4, "square", random_state=3) for _ in range(2)))
        assert fitted.sample(0, "square").shape == (0, 12, 12)

    def test_sample_refuses_what_it_cannot_draw(self, fitted):
        """Unknown class, class that was not over-sampled, negative count, unfitted sampler."""
        with pytest.raises(ValueError, match=r"label must be one of .*\['square'\]; got 'disc'"):
            fitted.sample(1, "disc")
        with pytest.raises(ValueError, match="label must be one of"):
            fitted.sample(3, np.array(["square"]))
        with pytest.raises(ValueError, match="label must be one of"):
            fitted.sample(1, ["square"])
        with pytest.raises(ValueError, match="n must be an integer of at least 0; got -1"):
            fitted.sample(-1, "square")
        fitted_only = clone(SAMPLERS["dcgan"]).fit(*make_shapes())  # checks, as imbalanced-learn's fit does
        with pytest.raises(NotFittedError, match=r"has no generators yet\. Call fit_resample, which trains them"):
            fitted_only.sample(1, "square")

    @pytest.mark.parametrize("protocol", ["pickle", "joblib"])
    def test_round_trip_draws_the_same_and_sits_on_the_cpu(self, fitted, protocol, tmp_path, monkeypatch):
        """A sampler fitted on a GPU server is used on a laptop."""
        expected = fitted.sample(5, "square", random_state=0)
        fitted.device_ = torch.device("cuda:3")
        moved = []
        monkeypatch.setattr(Generator, "cpu", lambda self: moved.append(self) or self)
        if protocol == "pickle":
            again = pickle.loads(pickle.dumps(fitted))
        else:
            joblib.dump(fitted, tmp_path / "sampler.joblib")
            again = joblib.load(tmp_path / "sampler.joblib")
        assert again.device_ == torch.device("cpu")
        assert len(moved) == 1
        assert moved[0] is not fitted.generators_["square"]
        np.testing.assert_array_equal(again.sample(5, "square", random_state=0), expected)

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
    def test_on_cuda_it_repeats_itself_and_its_pickle_draws_on_the_cpu(self, shapes):
        """The same bytes on one machine, the caller's CUDA stream untouched, and a pickle without CUDA in it."""
        state = torch.cuda.get_rng_state()
        fits = [clone(SAMPLERS["dcgan"]).set_params(device="cuda") for _ in range(2)]
        np.testing.assert_array_equal(*(sampler.fit_resample(*shapes)[0] for sampler in fits))
        assert torch.equal(torch.cuda.get_rng_state(), state)
        again = pickle.loads(pickle.dumps(fits[0]))
        assert next(again.generators_["square"].parameters()).device == torch.device("cpu")
        assert again.sample(3, "square").shape == (3, 12, 12)

    def test_images_do_not_depend_on_the_number_of_processes(self):
        """Classes may be trained side by side, here or, through joblib's backends, on other machines."""
        X, y = make_shapes(30, 20)
        y = np.where((y == "square") & (np.arange(len(y)) % 2 == 0), "odd", y)
        fits = [clone(SAMPLERS["dcgan"]).set_params(n_steps=60, n_jobs=n_jobs) for n_jobs in (None, 2)]
        with joblib.parallel_config(backend="loky"), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="n_jobs=2 starts 2 trainings")  # with two threads, as they must
            alone, together = (sampler.fit_resample(X, y)[0] for sampler in fits)
        np.testing.assert_array_equal(alone, together)
        for label in ("square", "odd"):
            left, right = (sampler.history_[label] for sampler in fits)
            assert [{**record, "seconds": 0} for record in left] == [{**record, "seconds": 0} for record in right]

    def test_threads_of_joblib_do_not_mix_random_streams(self):
        """They belong to the process; so do the caller's, which stay as they were."""
        X, y = make_shapes(30, 20)
        y = np.where((y == "square") & (np.arange(len(y)) % 2 == 0), "odd", y)
        alone = clone(SAMPLERS["dcgan"]).fit_resample(X, y)[0]
        state = torch.get_rng_state()
        with joblib.parallel_config(backend="threading"):
            together = clone(SAMPLERS["dcgan"]).set_params(n_jobs=2).fit_resample(X, y)[0]
        np.testing.assert_array_equal(alone, together)
        assert torch.equal(torch.get_rng_state(), state)

    @pytest.mark.parametrize(("name", "n_channels"), [("dcgan", 1), ("conditional", 3)])
    def test_colours_that_a_class_lacks_are_learnt_with_other_classes(self, name, n_channels):
        """Grey images of one class do not make those of the other grey."""
        X, y = make_shapes()
        X = np.repeat(X[..., None], 3, axis=3)
        X[y == "disc", ..., 0] //= 2
        sampler = clone(SAMPLERS[name]).set_params(n_steps=2)
        sampler.fit_resample(X, y)
        assert sampler.image_format_.tensor_shape == (n_channels, 12, 12)

    @pytest.mark.parametrize("name", ["dcgan", "conditional"])
    def test_three_channels_can_be_learnt_as_three(self, name, shapes):
        """As in experiments whose GAN did not know that X-rays are grey."""
        X, y = np.repeat(shapes[0][..., None], 3, axis=3), shapes[1]
        sampler = clone(SAMPLERS[name]).set_params(collapse_grey=False)
        X_res, _ = sampler.fit_resample(X, y)
        assert sampler.image_format_.tensor_shape == (3, 12, 12)
        assert np.ptp(X_res[len(X) :], axis=-1).max() > 0

    def test_too_many_threads_are_told(self, monkeypatch):
        """Four threads on two cores wait for each other; fewer would change the images."""
        X, y = make_shapes(30, 20)
        y = np.where((y == "square") & (np.arange(len(y)) % 2 == 0), "odd", y)
        monkeypatch.setattr(joblib, "cpu_count", lambda: 1)
        with pytest.warns(UserWarning, match=r"n_jobs=2 starts 2 trainings of \d+ torch threads each on 1 cores"):
            clone(SAMPLERS["dcgan"]).set_params(n_jobs=2).fit_resample(X, y)

    def test_a_list_of_devices_is_shared_out_between_classes(self, monkeypatch):
        """Each class goes to the next one, and its generator stays there."""
        X, y = make_shapes(30, 20)
        y = np.where((y == "square") & (np.arange(len(y)) % 2 == 0), "odd", y)
        used = []
        monkeypatch.setattr(
            "gan_sampler.samplers._training.isolated",
            lambda device, seed: used.append(device) or isolated(device, seed),
        )
        sampler = clone(SAMPLERS["dcgan"]).set_params(device=["cpu", torch.device("cpu", 0)])
        sampler.fit_resample(X, y)
        assert used == [torch.device("cpu"), torch.device("cpu", 0)]
        assert sampler.device_ == torch.device("cpu")
        with pytest.raises(ValueError, match="device must name at least one device"):
            sampler.set_params(device=[]).fit_resample(X, y)

    @pytest.mark.parametrize(
        ("augmentation", "size", "n_squares", "expected"),
        [
            ("auto", 32, 149, True),
            ("auto", 32, 150, False),
            ("auto", 64, 150, True),
            ("auto", 16, 10, False),
            ("mild", 16, 50, True),
            (None, 32, 10, False),
        ],
    )
    def test_augmentation_follows_the_size_of_the_class(self, augmentation, size, n_squares, expected, monkeypatch):
        """What small classes need costs large ones quality."""
        seen = []

        def spy(*args, augment, **options):
            seen.append(augment)
            return train_gan(*args, augment=augment, **options)

        monkeypatch.setattr("gan_sampler.samplers._base_gan.train_gan", spy)
        sampler = clone(SAMPLERS["dcgan"]).set_params(augmentation=augmentation, n_steps=1)
        sampler.fit_resample(*make_shapes(n_squares + 5, n_squares, size=size))
        assert seen == [augment_mildly if expected else None]

    def test_collapse_is_told(self):
        """A generator that draws the same image over and over, with what can be done about it."""
        X, y = make_shapes(12, 9)
        with pytest.warns(
            CollapseWarning, match=r"class 'square' \(variance_ratio 0\.\d\d\) vary much less .*n_steps.*history_"
        ) as told:
            clone(SAMPLERS["dcgan"]).fit_resample(X, y)
        assert told[0].filename == __file__  # the line that the user wrote

    def test_a_class_well_learnt_gives_no_warning(self):
        """Else nobody would read it."""
        with warnings.catch_warnings():
            warnings.simplefilter("error", QualityWarning)
            DCGANOverSampler(
                n_steps=250, base_channels=8, learning_rate=1e-3, ema_decay=0.98, random_state=0
            ).fit_resample(*make_shapes(40, 30))

    def test_memory_does_not_grow_with_the_majority_or_the_images_drawn(self):
        """Peak of the process beyond input and output, for 600 and for 6,000 images of the larger class."""
        script = (
            "import resource, sys, numpy as np\n"
            "from gan_sampler import DCGANOverSampler\n"
            "for n in (600, 6000):\n"
            "    X = np.random.default_rng(0).integers(0, 256, (n + 100, 64, 64), dtype=np.uint8)\n"
            "    sampler = DCGANOverSampler(n_steps=2, base_channels=4, repeated_share=0, random_state=0)\n"
            "    X_res, _ = sampler.fit_resample(X, np.arange(n + 100) < 100)\n"
            "    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
            "    print(peak * (1 if sys.platform == 'darwin' else 1024) - X.nbytes - X_res.nbytes)\n"
        )
        command = [sys.executable, "-W", "ignore", "-c", script]
        peaks = [int(peak) for peak in subprocess.check_output(command, text=True).split()]
        as_floats = 6000 * 64 * 64 * 4  # what the larger class, or the images drawn, would take: 98 MB
        assert peaks[1] - peaks[0] < 0.3 * as_floats

    def test_history_and_generators_are_kept_by_class(self, fitted):
        """One training for each class that needed images, none for the others."""
        assert list(fitted.generators_) == list(fitted.history_) == ["square"]
        assert fitted.history_["square"][-1]["step"] == 2

    def test_training_on_nine_images_works(self, capsys):
        """Rare classes are the point."""
        X, y = make_shapes(12, 9)
        X_res, _ = clone(SAMPLERS["dcgan"]).fit_resample(X, y)
        assert len(X_res) == 24

    def test_divergence_names_the_class_and_what_to_do(self, shapes):
        """An absurd learning rate must not return garbage."""
        sampler = clone(SAMPLERS["dcgan"]).set_params(learning_rate=1e30, n_steps=60, generator_norm=None)
        with pytest.raises(FloatingPointError, match=r"Training on class .*square.* diverged: .*learning_rate"):
            sampler.fit_resample(*shapes)

    def test_bar_shows_losses_when_verbose_and_nothing_when_not(self, shapes, capsys):
        """Minutes of silence look like a hang."""
        warnings.simplefilter("ignore", QualityWarning)
        clone(SAMPLERS["dcgan"]).fit_resample(*shapes)
        assert capsys.readouterr() == ("", "")
        clone(SAMPLERS["dcgan"]).set_params(verbose=1).fit_resample(*shapes)
        shown = capsys.readouterr().err
        assert "square" in shown
        assert "loss_generator" in shown
        assert "2/2" in shown

    def test_learns_what_its_class_looks_like(self, shapes):
        """Synthetic squares are nearer to real squares than to discs, in the mean image."""
        X, y = make_shapes(40, 30)
        sampler = DCGANOverSampler(n_steps=250, base_channels=8, learning_rate=1e-3, ema_decay=0.98, random_state=0)
        X_res, _ = sampler.fit_resample(X, y)
        synthetic = X_res[sampler.synthetic_mask_].mean(axis=0)
        distance = {label: np.abs(X[y == label].mean(axis=0) - synthetic).mean() for label in ("disc", "square")}
        assert distance["square"] < distance["disc"]


def test_column_names_of_an_earlier_fit_are_forgotten(sampler, shapes):
    """Images have none."""
    X, y = shapes
    frame = pd.DataFrame(X.reshape(len(X), -1)).add_prefix("pixel")
    sampler.set_params(image_shape=(12, 12)).fit_resample(frame, y)
    sampler.fit_resample(X, y)
    assert not hasattr(sampler, "feature_names_in_")


class TestRepeatedShare:
    """Synthetic images alone make classifiers worse; beside repeated real ones they do less harm."""

    @pytest.mark.parametrize(
        ("share", "n_repeated"),
        [(0, 0), (0.25, 4), (0.5, 7), (np.float32(0.75), 10), (0.95, 13), (1 - 1e-12, 13)],
    )
    def test_counts(self, sampler, share, n_repeated, shapes):
        """The number that `sampling_strategy` asks for stays, and at least one image is synthetic."""
        X, y = shapes
        _, y_res = sampler.set_params(repeated_share=share).fit_resample(X, y)
        assert Counter(y_res) == {"disc": 24, "square": 24}
        counts = {"real": 10, "repeated": n_repeated, "synthetic": 14 - n_repeated}
        assert sampler.class_counts_ == {"disc": {"real": 24, "repeated": 0, "synthetic": 0}, "square": counts}
        assert sampler.sampling_strategy_ == {"square": 14}

    def test_three_quarters_are_the_default(self, sampler):
        """Of every sampler."""
        assert sampler.get_params()["repeated_share"] == 0.75

    def test_order_is_originals_repeated_synthetic(self, sampler):
        """Of all classes, each class in its place; an original is never changed."""
        X, _ = make_shapes(21, 0)
        y = np.array(["a"] * 12 + ["b"] * 6 + ["c"] * 3)
        X_res, y_res = sampler.set_params(repeated_share=0.5).fit_resample(X, y)
        np.testing.assert_array_equal(X_res[:21], X)
        assert y_res[21:].tolist() == ["b"] * 3 + ["c"] * 5 + ["b"] * 3 + ["c"] * 4
        assert sampler.synthetic_mask_.tolist() == [False] * 29 + [True] * 7

    def test_repeated_are_real_images_of_the_class_each_as_often(self, sampler):
        """Drawn by lot, where not all are needed."""
        X, _ = make_shapes(40, 0)
        X[:, 0, 0] = np.arange(40)  # so that all differ
        y = np.array(["a"] * 33 + ["b"] * 7)
        if "augmented_share" in sampler.get_params():
            sampler.set_params(augmented_share=0)
        X_res, _ = sampler.set_params(repeated_share=0.5).fit_resample(X, y)  # 26 more of b, 13 of them repeated
        uses = Counter(image.tobytes() for image in X_res[40:53])
        assert set(uses) == {image.tobytes() for image in X[33:]}
        assert set(uses.values()) == {1, 2}
        few, _ = clone(sampler).set_params(sampling_strategy={"b": 13}).fit_resample(X, y)
        rows = [int(image[0, 0]) for image in few[40:43]]
        assert len(set(rows)) == 3
        assert rows != [33, 34, 35]

    def test_all_classes_ignore_it(self, sampler, shapes):
        """There the strategy is met by repeated images alone."""
        first, other = (
            clone(sampler).set_params(synthetic_classes="all", repeated_share=share).fit_resample(*shapes)[0]
            for share in (0, 0.9)
        )
        np.testing.assert_array_equal(first, other)

    @pytest.mark.parametrize("share", [1, 1.0, -0.1, 1.5, float("nan"), float("inf"), "half", None])
    def test_a_share_out_of_range_is_refused(self, sampler, share, shapes):
        """All images repeated is RandomOverSampler's work, for which nothing needs to be trained."""
        with pytest.raises(ValueError, match=r"'repeated_share' parameter of .* in the range \[0.0, 1.0\)"):
            sampler.set_params(repeated_share=share).fit_resample(*shapes)

    def test_herding_chooses_the_smaller_number(self, sampler, shapes, monkeypatch):
        """Among four times as many, and not among four times what the class lacks."""
        asked = []
        synthesise = type(sampler)._synthesise
        monkeypatch.setattr(type(sampler), "_synthesise", lambda *args: asked.append(args[4]) or synthesise(*args))
        pixels = FunctionTransformer(lambda X: X.reshape(len(X), -1) / 255)
        sampler.set_params(herding=pixels, repeated_share=0.5).fit_resample(*shapes)
        assert asked[-1] == 4 * 7
        assert sampler.synthetic_mask_.sum() == 7


class TestAugmentedShare:
    """A few small changes of real images beside the generated ones raise ROC-AUC, and keep the numbers of images."""

    @staticmethod
    def fit(X, y, **parameters):
        sampler = DCGANOverSampler(n_steps=2, base_channels=4, random_state=0).set_params(**parameters)
        X_res, _ = sampler.fit_resample(X, y)
        return sampler, X_res

    @pytest.mark.parametrize(("share", "n_changed"), [(0, 0), (0.25, 3), (0.5, 6), (1, 12)])
    def test_the_share_of_repeated_images_is_changed(self, share, n_changed):
        """All others, originals and synthetic images too, are as they would be without it."""
        X, y = make_shapes(26, 10)
        (_, plain), (sampler, X_res) = (self.fit(X, y, augmented_share=share) for share in (0, share))
        is_changed = (X_res != plain).any(axis=(1, 2))
        assert np.flatnonzero(is_changed).tolist() == list(range(48 - n_changed, 48))  # the last repeated ones
        assert sampler.class_counts_["square"] == {"real": 10, "repeated": 12, "synthetic": 4}
        assert not sampler.synthetic_mask_[is_changed].any()

    def test_half_of_them_by_default_a_little(self):
        """They show the same object, at about the same place."""
        assert all(sampler().augmented_share == 0.5 for sampler in (DCGANOverSampler, GANOverSampler))
        X, y = make_shapes(26, 10)
        (_, X_res), (_, plain) = self.fit(X, y), self.fit(X, y, augmented_share=0)
        changed, exact = (found[42:48].astype(float) for found in (X_res, plain))
        to_its_own, to_others = (np.abs(changed - found).mean(axis=(1, 2)) for found in (exact, X[y == "disc"][:6]))
        assert (to_its_own > 0).all()
        assert (to_its_own < to_others).all()
        assert X_res.dtype == X.dtype

    @pytest.mark.parametrize("others", [{"repeated_share": 0}, {"synthetic_classes": "all"}, {"image_shape": "row"}])
    def test_where_a_change_would_be_wrong_there_is_none(self, others):
        """With "all", it would mark the rare class; the values of a row are no neighbours."""
        X, y = make_shapes(26, 10)
        if "image_shape" in others:
            X = X.reshape(len(X), -1)
        first, other = (self.fit(X, y, augmented_share=share, **others)[1] for share in (0, 1))
        np.testing.assert_array_equal(first, other)

    @pytest.mark.filterwarnings("ignore::gan_sampler.QualityWarning")
    def test_what_replaces_poor_images_is_changed_too(self, monkeypatch):
        """Whether the score or the report has judged them."""
        monkeypatch.setattr(QualityReport, "is_poor", property(lambda report: True))
        X, y = make_shapes(60, 20)
        quality = FunctionTransformer(lambda X: X.reshape(len(X), -1) / 255)
        sampler, X_res = self.fit(X, y, on_poor_quality="repeat", quality=quality)
        assert sampler.class_counts_["square"] == {"real": 20, "repeated": 40, "synthetic": 0}
        originals = {image.tobytes() for image in X}
        assert sum(image.tobytes() not in originals for image in X_res[80:]) == 20

    def test_changes_are_those_of_augmentation_by_default(self):
        """As the documentation of both says."""
        changes = inspect.signature(small_transform).parameters
        defaults = AugmentationOverSampler().get_params()
        own = {name: parameter.default for name, parameter in changes.items() if name not in ("height", "width")}
        assert own == {name: defaults[name] for name in own}

    def test_every_real_image_is_changed_as_often(self):
        """Up to a difference of one, as it is repeated."""
        X, y = make_shapes(50, 8)
        (_, plain), (_, X_res) = (self.fit(X, y, augmented_share=share) for share in (0, 0.5))
        is_changed = (X_res != plain).any(axis=(1, 2))
        uses = Counter(image.tobytes() for image in plain[is_changed])
        assert set(uses) == {image.tobytes() for image in X[y == "square"]}
        assert set(uses.values()) == {2}

    @pytest.mark.parametrize("share", [-0.1, 1.5, float("nan"), "half", None])
    def test_a_share_out_of_range_is_refused(self, share, shapes):
        """By name."""
        with pytest.raises(ValueError, match=r"'augmented_share' parameter of .* in the range \[0.0, 1.0\]"):
            self.fit(*shapes, augmented_share=share)


class TestSyntheticImagesInEveryClass:
    """With synthetic_classes="all", looking generated says nothing about the class."""

    def test_counts(self, sampler):
        """The strategy is met by repeats of real images; every class gets equally many synthetic ones on top."""
        X, _ = make_shapes(21, 0)
        y = np.array(["a"] * 12 + ["b"] * 6 + ["c"] * 3)
        sampler.set_params(synthetic_classes="all", synthetic_ratio=0.5)
        X_res, y_res = sampler.fit_resample(X, y)
        real, synthetic = ~sampler.synthetic_mask_, sampler.synthetic_mask_
        assert Counter(y_res[real]) == {"a": 12, "b": 12, "c": 12}
        assert Counter(y_res[synthetic]) == {"a": 6, "b": 6, "c": 6}
        np.testing.assert_array_equal(X_res[:21], X)

    def test_repeats_are_real_images_of_their_class_each_as_often(self, sampler):
        """Whether an image is repeated must not depend on luck."""
        X, _ = make_shapes(21, 0)
        y = np.array(["a"] * 14 + ["b"] * 7)
        X_res, y_res = sampler.set_params(synthetic_classes="all").fit_resample(X, y)
        repeated = X_res[21:28]
        assert set(y_res[21:28]) == {"b"}
        assert {image.tobytes() for image in repeated} == {image.tobytes() for image in X[14:]}

    def test_balanced_data_get_synthetic_images_too(self, sampler):
        """The strategy asks for nothing, the ratio does."""
        X_res, _ = sampler.set_params(synthetic_classes="all").fit_resample(*make_shapes(8, 8))
        assert len(X_res) == 16 + 2 * 2

    def test_strategy_limits_the_repeats_alone(self, sampler, shapes):
        """Synthetic images follow the size of the largest class."""
        sampler.set_params(synthetic_classes="all", sampling_strategy={"square": 12}, synthetic_ratio=0.25)
        _, y_res = sampler.fit_resample(*shapes)
        assert Counter(y_res) == {"disc": 24 + 6, "square": 12 + 6}


class TestQuality:
    """The report, when it is asked for."""

    EMBEDDER = FunctionTransformer(lambda X: X.reshape(len(X), -1) / 255)

    @pytest.mark.filterwarnings("ignore::gan_sampler.QualityWarning")
    def test_one_report_a_class(self, sampler):
        """With utility, because the other classes are there."""
        X, y = make_shapes(120, 60)
        assert not hasattr(sampler.fit(X, y), "quality_")
        sampler.set_params(quality=self.EMBEDDER).fit_resample(X, y)
        assert list(sampler.quality_) == ["square"]
        report = sampler.quality_["square"]
        assert (report.n_real, report.n_synthetic) == (60, 15)  # repeated images are not measured
        assert report.utility_real > 0.9

    @pytest.mark.filterwarnings("ignore::gan_sampler.QualityWarning")
    @pytest.mark.parametrize("herding", [False, EMBEDDER], ids=["plain", "herding"])
    def test_images_are_drawn_for_the_report_where_few_are_added(self, sampler, herding):
        """Three quarters are repeated, so that of 20 images that a class lacks 5 are left: too few for a report."""
        X, y = make_shapes(40, 20)
        plain, _ = sampler.set_params(herding=herding).fit_resample(X, y)
        measured, _ = sampler.set_params(quality=self.EMBEDDER).fit_resample(X, y)
        np.testing.assert_array_equal(measured, plain)
        assert sampler.synthetic_mask_.sum() == 5
        assert sampler.quality_["square"].n_synthetic == 10

    @pytest.mark.filterwarnings("ignore::gan_sampler.QualityWarning")
    @pytest.mark.parametrize("dtype", [np.uint16, np.float64])
    def test_a_dark_class_is_measured_in_the_range_of_all_images(self, sampler, dtype):
        """Black and white are those seen at fit, not those of the class alone."""
        X, y = make_shapes(40, 20)
        X = X.astype(dtype)
        X[y == "square"] *= dtype(0.25) if dtype == np.float64 else dtype(1)
        X[y == "disc"] *= dtype(3)
        sampler.set_params(quality=self.EMBEDDER, repeated_share=0).fit_resample(X, y)
        assert sampler.quality_["square"].utility_real > 0.9

    def test_what_is_missing_shows_before_the_training(self, monkeypatch):
        """Not after an hour, with the images lost."""
        sampler = clone(SAMPLERS["dcgan"])
        monkeypatch.setattr(DCGANOverSampler, "_train", lambda *_, **__: pytest.fail("trained"))
        with pytest.raises(TypeError, match="no embedder today"):
            sampler.set_params(quality=BrokenEmbedder()).fit_resample(*make_shapes(40, 20))
        for parameter in ("quality", "herding"):
            asked = {"quality": False, parameter: FunctionTransformer(lambda X: X[:1])}
            with pytest.raises(ValueError, match=rf"{parameter} must be a transformer .* for 2 images"):
                clone(sampler).set_params(**asked).fit_resample(*make_shapes(40, 20))
        monkeypatch.setitem(sys.modules, "prdc", None)
        with pytest.raises(ImportError, match="pip install"):
            sampler.set_params(quality=self.EMBEDDER).fit_resample(*make_shapes(40, 20))

    @pytest.mark.filterwarnings("ignore::gan_sampler.QualityWarning")
    def test_an_earlier_report_is_forgotten_and_numpys_false_is_false(self):
        """A parameter grid made from an array holds numpy.bool."""
        sampler = clone(SAMPLERS["augmentation"]).set_params(quality=self.EMBEDDER)
        X, y = make_shapes(40, 20)
        sampler.fit_resample(X, y)
        sampler.set_params(quality=np.False_).fit_resample(X, y)
        assert not hasattr(sampler, "quality_")

    @pytest.mark.filterwarnings("ignore::gan_sampler.QualityWarning")
    def test_asking_for_it_changes_no_checkpoint_and_no_file(self, tmp_path):
        """It is no part of the training."""
        X, y = make_shapes(40, 20)
        sampler = clone(SAMPLERS["dcgan"]).set_params(checkpoint_dir=tmp_path / "checkpoints")
        sampler.fit_resample(X, y)
        sampler.set_params(quality=self.EMBEDDER, synthetic_ratio=2.0, n_steps=4).fit_resample(X, y)
        with pytest.warns(UserWarning, match="quality is a transformer, which the file cannot hold"):
            sampler.save(tmp_path / "sampler")
        assert DCGANOverSampler.load(tmp_path / "sampler").quality is True

    @pytest.mark.filterwarnings("ignore::gan_sampler.QualityWarning")
    def test_the_images_are_those_without_the_report(self, sampler):
        """Looking must not change what is seen."""
        X, _ = make_shapes(60, 0)
        y = np.array(["a"] * 30 + ["b"] * 15 + ["c"] * 15)
        plain, _ = sampler.set_params(repeated_share=0).fit_resample(X, y)
        measured, _ = clone(sampler).set_params(quality=self.EMBEDDER).fit_resample(X, y)
        np.testing.assert_array_equal(plain, measured)

    def test_too_few_images_lose_no_training(self, sampler):
        """The images are made all the same, and the user hears what was left out."""
        X, y = make_shapes(24, 8)
        sampler.set_params(quality=self.EMBEDDER)
        with pytest.warns(
            QualityWarning,
            match=r"class 'square' was not measured: X_real must hold at least 10 images to be measured; got 8",
        ):
            X_res, _ = sampler.fit_resample(X, y)
        assert len(X_res) == 48
        assert sampler.quality_ == {"square": None}

    def test_too_few_different_images_lose_no_training(self, sampler):
        """As too few images do not."""
        X, y = make_shapes(40, 20)
        squares = np.flatnonzero(y == "square")
        X[squares] = X[squares[np.arange(20) % 4]]
        sampler.set_params(quality=self.EMBEDDER, repeated_share=0)
        with pytest.warns(QualityWarning, match=r"not measured: X_real must hold at least 5 different images; got 4"):
            sampler.fit_resample(X, y)
        assert sampler.quality_ == {"square": None}

    @pytest.mark.filterwarnings("ignore::gan_sampler.QualityWarning")
    def test_a_pickled_sampler_still_holds_no_training_image(self):
        """The report's figure needs real images; a model file must not have them."""
        X, y = make_shapes(40, 20)
        sampler = clone(SAMPLERS["augmentation"]).set_params(quality=StandardScalerOfImages()).fit(X, y)
        pickled = pickle.dumps(sampler)
        assert not any(image.tobytes() in pickled for image in X)
        assert not any((image / 255).astype(np.float32).tobytes() in pickled for image in X)


class BrokenEmbedder(FunctionTransformer):
    """Fails at fit."""

    def fit(self, X, y=None):
        """Fail."""
        raise TypeError("no embedder today")


class StandardScalerOfImages(StandardScaler):
    """Pixels as features, in a class that pickles."""

    def fit(self, X, y=None):
        """Flatten first."""
        return super().fit(X.reshape(len(X), -1))

    def transform(self, X):
        """Flatten first."""
        return super().transform(X.reshape(len(X), -1))
