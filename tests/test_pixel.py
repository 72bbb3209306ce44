"""imbalanced-learn's samplers on images."""

import numpy as np
import pytest
from imblearn.over_sampling import ADASYN, SMOTE, RandomOverSampler
from imblearn.pipeline import make_pipeline
from imblearn.under_sampling import RandomUnderSampler, TomekLinks
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
