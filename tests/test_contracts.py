"""scikit-learn's and imbalanced-learn's own suites, on the real samplers."""

import pytest
from imblearn.over_sampling import RandomOverSampler
from imblearn.utils.estimator_checks import estimator_checks_generator as imblearn_checks
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from gan_sampler import (
    AugmentationOverSampler,
    ConditionalDCGANOverSampler,
    DCGANOverSampler,
    GANOverSampler,
    PixelSampler,
    VisionAidedDCGANOverSampler,
)


class Backbone(nn.Sequential):
    """In place of a pretrained network; a class, because names of tests with a function's address differ by process."""

    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3, stride=4), nn.ReLU())


SAMPLERS = [
    DCGANOverSampler(image_shape="row", n_steps=2, base_channels=2, latent_dim=4, random_state=0),
    VisionAidedDCGANOverSampler(
        image_shape="row",
        backbone=Backbone,
        input_size=32,
        n_steps=2,
        base_channels=2,
        latent_dim=4,
        random_state=0,
    ),
    ConditionalDCGANOverSampler(image_shape="row", n_steps=4, base_channels=2, latent_dim=4, random_state=0),
    GANOverSampler(
        image_shape="row",
        generator__base_channels=2,
        generator__latent_dim=4,
        discriminator__base_channels=2,
        n_steps=2,
        random_state=0,
    ),
    AugmentationOverSampler(image_shape="row", random_state=0),
    PixelSampler(RandomOverSampler(random_state=0), image_shape="row"),
]

# Strict: a check that starts to pass has to leave this list.
EXPECTED_FAILURES = {"check_samplers_pandas_sparse": "images are dense: sparse input is refused, also in a DataFrame"}


# The price of skorch's manner, and the same as there.
OF_FACTORIES = {
    "check_no_attributes_set_in_init": "parameters of factories are attributes, as others are",
    "check_do_not_raise_errors_in_init_or_set_params": "an unknown keyword is refused at once, as without **kwargs",
}


def expected_failures(estimator):
    """Return the checks of scikit-learn that fail, with reasons."""
    return OF_FACTORIES if isinstance(estimator, GANOverSampler) else {}


@parametrize_with_checks(SAMPLERS, expected_failed_checks=expected_failures, xfail_strict=True)
def test_scikit_learn_contract(estimator, check):
    """No check of a sampler without factories is expected to fail."""
    check(estimator)


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pair
        for sampler in SAMPLERS
        for pair in imblearn_checks(sampler, expected_failed_checks=EXPECTED_FAILURES, mark="xfail")
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "get_params") else value.func.__name__,
)
def test_imbalanced_learn_contract(estimator, check):
    """One check is expected to fail, for the reason given."""
    check(estimator)
