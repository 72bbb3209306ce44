"""imbalanced-learn's samplers on images."""

import tracemalloc

import numpy as np
import pytest
from imblearn import FunctionSampler
from imblearn.combine import SMOTEENN, SMOTETomek
from imblearn.over_sampling import ADASYN, SMOTE, RandomOverSampler
from imblearn.pipeline import make_pipeline
from imblearn.under_sampling import EditedNearestNeighbours, RandomUnderSampler, TomekLinks
from sklearn.base import clone

from gan_sampler import PixelSampler


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("inner", [SMOTE(k_neighbors=3), RandomOverSampler(), ADASYN(n_neighbors=3)])
def test_over_samples_images_in_any_layout(shapes, inner, dtype):
    """Layout, dtype and range are kept, originals first."""
    X = np.stack([shapes[0]] * 3, axis=1).astype(dtype)
    X_res, y_res = PixelSampler(inner).fit_resample(X, shapes[1])
    assert X_res.dtype == dtype
    assert X_res.shape[1:] == (3, 12, 12)
    assert abs((y_res == "square").sum() - 24) <= 3  # ADASYN gives about as many
    np.testing.assert_array_equal(X_res[: len(X)], X)
    assert X_res.min() >= X.min()
    assert X_res.max() <= X.max()


def test_a_list_comes_back_as_a_list_of_images(shapes):
    """Numbers would have lost their dtype, and with it what black and white are."""
    X, y = shapes
    X_res, _ = PixelSampler(RandomOverSampler(random_state=0)).fit_resample(list(X), y)
    assert isinstance(X_res, list)
    assert {image.dtype for image in X_res} == {np.dtype(np.uint8)}
    np.testing.assert_array_equal(X_res[: len(X)], X)


def test_agrees_with_the_sampler_on_rows(shapes):
    """It is the wrapped sampler, on ravelled pixels, rounded."""
    X, y = shapes
    X_res, y_res = PixelSampler(SMOTE(random_state=0)).fit_resample(X, y)
    rows, labels = SMOTE(random_state=0).fit_resample(X.reshape(len(X), -1).astype(np.float32), y)
    np.testing.assert_array_equal(X_res, np.rint(rows).astype(np.uint8).reshape(-1, 12, 12))
    np.testing.assert_array_equal(y_res, labels)


@pytest.mark.parametrize("inner", [RandomUnderSampler(random_state=0), TomekLinks()])
def test_under_samples_and_cleans_too(shapes, inner):
    """It has no direction of its own, and tells which rows are left."""
    X, y = shapes
    sampler = PixelSampler(inner)
    X_res, y_res = sampler.fit_resample(X, y)
    assert len(X_res) <= len(X)
    np.testing.assert_array_equal(X_res, X[sampler.sample_indices_])
    np.testing.assert_array_equal(y_res, y[sampler.sample_indices_])


def test_wrapped_sampler_is_cloned_and_its_parameters_are_reachable(shapes):
    """Grid search sets ``sampler__k_neighbors``; the user's object stays unfitted."""
    inner = SMOTE()
    sampler = clone(PixelSampler(inner)).set_params(sampler__k_neighbors=2, sampler__sampling_strategy=0.5)
    _, y_res = sampler.fit_resample(*shapes)
    assert sampler.sampler_.k_neighbors == 2
    assert (y_res == "square").sum() == 12
    assert not hasattr(inner, "sampling_strategy_")


def test_a_pipeline_of_samplers_can_be_wrapped(shapes):
    """SMOTE followed by cleaning is one sampler too, on rows as on images, and shows in a notebook."""
    X, y = shapes
    sampler = PixelSampler(make_pipeline(SMOTE(), RandomUnderSampler()), image_shape=(12, 12))
    X_res, _ = sampler.fit_resample(X.reshape(len(X), -1), y)
    assert X_res.shape == (48, 144)
    assert "SMOTE" in sampler._repr_html_()


def test_what_is_no_sampler_is_refused(shapes):
    """The message names the parameter."""
    with pytest.raises(ValueError, match="The 'sampler' parameter of PixelSampler must be an object implementing"):
        PixelSampler("smote").fit_resample(*shapes)


def test_rows_need_their_shape(shapes):
    """As for every sampler of images."""
    X, y = shapes
    with pytest.raises(ValueError, match=r"Pass image_shape=\(H, W\)"):
        PixelSampler(SMOTE()).fit_resample(X.reshape(len(X), -1), y)


def extreme_images(dtype, seed=0):
    """24 images over all that a dtype holds, 8 of them rare."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        X = rng.choice([-0.0, 0.0, 0.5, 1.0], (24, 8, 8))
    else:
        info = np.iinfo(dtype)
        X = rng.integers(info.min, info.max, (24, 8, 8), dtype=np.dtype(dtype).newbyteorder("="), endpoint=True)
        X[0, 0, 0], X[1, 0, 0] = info.min, info.max
    return X.astype(dtype), (np.arange(24) % 3 == 0).astype(int)


@pytest.mark.parametrize("dtype", ["<i8", "<u8", ">i8", ">u8", "<f2", "<f4", ">f8", "<u4"])
@pytest.mark.parametrize("inner", [SMOTE(k_neighbors=3), RandomOverSampler(), RandomOverSampler(shrinkage=0.1)])
def test_originals_are_kept_to_the_last_bit(inner, dtype):
    """Through float64, 2**64 - 1 becomes 0, and a clipped -0.0 becomes 0.0."""
    X, y = extreme_images(dtype)
    X_res, y_res = PixelSampler(inner).fit_resample(X, y)
    assert X_res.dtype.str == dtype
    assert X_res[: len(X)].tobytes() == X.tobytes()
    assert y_res.sum() == len(y_res) - y_res.sum() == 16


def test_64_bit_integers_that_differ_beyond_float64_are_told_apart():
    """2**53 + 0 and 2**53 + 1 are one float64, and would have no neighbours."""
    X, y = extreme_images("<u1")
    X = X.astype(np.int64) + 2**53
    sampler = PixelSampler(SMOTE(k_neighbors=3, random_state=0))
    X_res, _ = sampler.fit_resample(X, y)
    expected, _ = sampler.fit_resample((X - 2**53).astype(np.uint8), y)
    np.testing.assert_array_equal(X_res - 2**53, expected)


@pytest.mark.parametrize(
    "inner",
    [
        TomekLinks(),
        EditedNearestNeighbours(n_neighbors=2),
        RandomUnderSampler(random_state=0),
        SMOTETomek(smote=SMOTE(k_neighbors=3)),
        SMOTEENN(smote=SMOTE(k_neighbors=3), enn=EditedNearestNeighbours(n_neighbors=2, kind_sel="mode")),
        make_pipeline(SMOTE(k_neighbors=3), RandomUnderSampler(sampling_strategy={0: 12}, random_state=0)),
        FunctionSampler(func=lambda X, y: (X[::-1], y[::-1])),
    ],
)
def test_kept_images_are_found_again_wherever_the_sampler_puts_them(inner):
    """Under-sampled, cleaned, combined, in a pipeline or in another order: what is an original in floats is one."""
    X, y = extreme_images("<u8")
    X[6:9] = X[9:12] ^ 1  # equal in float64, and of the same labels
    X_res, y_res = PixelSampler(inner).fit_resample(X, y)
    known = {(image.tobytes(), label) for image, label in zip(X, y, strict=True)}
    floats = {image.astype(np.float64).tobytes() for image in X}
    is_kept = [image.astype(np.float64).tobytes() in floats for image in X_res]
    assert sum(is_kept) >= 10
    kept = [(image.tobytes(), label) for image, label in zip(X_res[is_kept], y_res[is_kept], strict=True)]
    assert known.issuperset(kept)
    if len(X_res) <= len(X):  # nothing is repeated: of two that are equal in float64, neither may come twice
        assert len(set(kept)) == len(kept)


def test_samplers_that_look_at_labels_alone_take_no_memory_beyond_the_output(shapes):
    """Rows of floats would take eleven times the output's."""
    X = np.zeros((20000, 16, 16), dtype=np.uint8)
    y = np.arange(20000) < 100
    sampler = PixelSampler(RandomOverSampler(random_state=0))
    tracemalloc.start()
    try:
        X_res, _ = sampler.fit_resample(X, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.3 * X_res.nbytes
    assert sampler.sampler_.n_features_in_ == sampler.n_features_in_ == 256


def test_nothing_of_an_earlier_fit_is_left(shapes):
    """Indices of another resampling would pick the wrong images."""
    sampler = PixelSampler(RandomUnderSampler(random_state=0))
    sampler.fit_resample(*shapes)
    assert len(sampler.sample_indices_) == 20
    sampler.set_params(sampler=SMOTE()).fit_resample(*shapes)
    assert not hasattr(sampler, "sample_indices_")
    sampler.set_params(sampler=make_pipeline(SMOTE())).fit_resample(*shapes)
    assert not hasattr(sampler, "sampling_strategy_")  # of which a pipeline has none
    fitted = sampler.sampler_
    sampler.set_params(sampler=SMOTE(k_neighbors=1000))
    with pytest.raises(ValueError, match="n_neighbors"):
        sampler.fit_resample(*shapes)
    assert sampler.sampler_ is fitted  # that of the last fit that succeeded


def test_a_class_instead_of_a_sampler_is_refused_by_name(shapes):
    """clone would speak of an object that cannot be cloned."""
    with pytest.raises(ValueError, match=r"'sampler' parameter .*an instance, made with parentheses, not its class"):
        PixelSampler(SMOTE).fit_resample(*shapes)


@pytest.mark.parametrize("func", [lambda X, y: (X * np.nan, y), lambda X, y: (X[:, :5], y)])
def test_a_sampler_that_spoils_images_is_named(func, shapes):
    """NaN would become any integer."""
    with pytest.raises(ValueError, match=r"sampler must return rows of 144 finite numbers.*FunctionSampler returned"):
        PixelSampler(FunctionSampler(func=func)).fit_resample(*shapes)


def test_differences_of_float16_may_be_beyond_float16():
    """SMOTE's would be infinite, though every image it makes lies between two that are not."""
    X = np.full((11, 8, 8), -65504, dtype=np.float16)
    X[::2, ::2] = 65504
    X[:, 0, 0] = np.arange(11)
    X_res, _ = PixelSampler(SMOTE(k_neighbors=2, random_state=0)).fit_resample(X, np.arange(11) < 4)
    assert X_res.dtype == np.float16
    assert np.isfinite(X_res).all()
    np.testing.assert_array_equal(X_res[:11], X)
