"""The samplers inside imbalanced-learn's Pipeline, cross-validation and grid search."""

import numpy as np
import pytest
from conftest import CHEST_XRAY, needs_chest_xrays
from imblearn.pipeline import Pipeline
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.svm import SVC

from gan_sampler import DCGANOverSampler, ResNet18Embedder
from gan_sampler.datasets import fetch_chest_xray
from gan_sampler.samplers import _base_gan


@pytest.fixture
def trainings(monkeypatch):
    """Note of each GAN that is trained how many images it saw, and `base_channels` of its networks."""
    seen = []
    train_gan = _base_gan.train_gan

    def counting(generator, discriminator, images, **kwargs):
        seen.append((len(images), discriminator.layers[0].out_channels))
        return train_gan(generator, discriminator, images, **kwargs)

    monkeypatch.setattr(_base_gan, "train_gan", counting)
    return seen


def make_pipeline(**kwargs):
    return Pipeline(
        [
            ("gan", DCGANOverSampler(n_steps=2, base_channels=4, random_state=0)),
            ("feat", ResNet18Embedder(weights=None, input_size=32, random_state=0)),
            ("clf", SVC()),
        ],
        **kwargs,
    )


def test_three_step_pipeline_in_cross_validate(shapes, trainings):
    """The pipeline of the README; no test fold reaches the sampler, for it never sees all ten squares."""
    result = cross_validate(make_pipeline(), *shapes, cv=StratifiedKFold(2), scoring="balanced_accuracy")
    assert np.isfinite(result["test_score"]).all()
    assert trainings == [(5, 4), (5, 4)]


def test_grid_search_sets_the_samplers_parameters(shapes, trainings):
    """Each value of ``gan__base_channels`` is trained in each fold, and the best one once at the end."""
    search = GridSearchCV(make_pipeline(), {"gan__base_channels": [2, 4]}, cv=StratifiedKFold(2), error_score="raise")
    search.fit(*shapes)
    assert trainings == [(5, 2), (5, 2), (5, 4), (5, 4), (10, search.best_params_["gan__base_channels"])]


def test_memory_trains_each_gan_once_a_fold_not_once_a_candidate(shapes, trainings, tmp_path):
    """Six candidates of the classifier share the generator of their fold."""
    pipeline = make_pipeline(memory=str(tmp_path))
    search = GridSearchCV(
        pipeline, {"clf__C": [0.1, 1, 10], "clf__kernel": ["rbf", "linear"]}, cv=StratifiedKFold(2), error_score="raise"
    )
    search.fit(*shapes)
    assert trainings == [(5, 4), (5, 4), (10, 4)]
    assert search.predict(shapes[0]).shape == (34,)


@needs_chest_xrays
def test_three_step_pipeline_on_600_chest_x_rays(trainings):
    """Real images, string labels and the real imbalance go through."""
    data = fetch_chest_xray(CHEST_XRAY, image_size=16)
    rows = np.random.RandomState(0).permutation(np.flatnonzero(data.split == "train"))[:600]
    X, y = data.images[rows], data.target[rows]
    scores = cross_validate(make_pipeline(), X, y, cv=StratifiedKFold(2), scoring="roc_auc", error_score="raise")
    assert scores["test_score"].min() > 0.6
    assert len(trainings) == 2
