"""Warning of uint8 images that use a small part of their range."""

import warnings

import numpy as np
import pytest

from gan_sampler import AugmentationOverSampler, DCGANOverSampler

Y = np.repeat([0, 1], [4, 8])


def images(high, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, high + 1, size=(12, 8, 8)).astype(dtype)


def sampler(**parameters):
    return DCGANOverSampler(n_steps=1, base_channels=2, random_state=0, **parameters)


def test_images_of_few_values_are_told():
    with pytest.warns(UserWarning, match=r"X holds values from 0 to 16 alone.*value_range=\(0, 16\)"):
        sampler().fit_resample(images(16), Y)


@pytest.mark.parametrize(
    ("made", "X"),
    [
        (sampler(value_range=(0, 16)), images(16)),
        (sampler(), images(64)),
        (sampler(), images(0)),
        (sampler(), images(16, np.float32)),
        (sampler(), images(16, np.uint16)),
        (AugmentationOverSampler(random_state=0), images(16)),
    ],
    ids=["range passed", "a quarter used", "one value", "float", "uint16", "no network"],
)
def test_other_images_are_not(made, X):
    with warnings.catch_warnings(record=True) as issued:
        warnings.simplefilter("always")
        made.fit_resample(X, Y)
    assert not [warning for warning in issued if "X holds values" in str(warning.message)]
