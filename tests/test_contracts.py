"""scikit-learn's and imbalanced-learn's own suites, on the real samplers."""

from imblearn.over_sampling import RandomOverSampler
from imblearn.utils.estimator_checks import parametrize_with_checks as parametrize_with_imblearn_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from gan_sampler import AugmentationOverSampler, DCGANOverSampler, PixelSampler

SAMPLERS = [
    DCGANOverSampler(image_shape="row", n_steps=2, width=2, latent_dim=4, random_state=0),
    AugmentationOverSampler(image_shape="row", random_state=0),
    PixelSampler(RandomOverSampler(random_state=0), image_shape="row"),
]

PANDAS_SPARSE = {
    "check_samplers_pandas_sparse": "images are dense: a sparse DataFrame would be turned dense, so it is refused"
}


@parametrize_with_checks(SAMPLERS)
def test_scikit_learn_contract(estimator, check):
    """No check is expected to fail."""
    check(estimator)


@parametrize_with_imblearn_checks(SAMPLERS, expected_failed_checks=lambda estimator: PANDAS_SPARSE)
def test_imbalanced_learn_contract(estimator, check):
    """One check is expected to fail, for the reason given."""
    check(estimator)
