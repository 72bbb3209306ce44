"""The share of the room between doing nothing and all real images that a treatment closes."""

import numpy as np
import pandas as pd
import pytest
from make_records import make_manifest, make_records
from numpy.random import RandomState
from research.room_coverage import SCENARIOS, coverage
from scipy import stats

from gan_sampler.evaluation._answer import answer
from gan_sampler.evaluation._room import MEAN, against_mixture, room_closed, shares_closed
from gan_sampler.evaluation._statistics import overall_tests, p_values

ROWS = (("forest", "resnet18"), ("cnn", None))
ALONE = {"shares_test_images": True, "overlap": 0.0, "image_freedom": 100}


def records_with_room(gains, **options):
    return make_records(treatments=["none", *gains], rows=ROWS, seeds=range(5), gains=gains, **options)


@pytest.fixture(scope="module")
def records():
    return records_with_room({"smote": 0.75, "dcgan": 0.0, "all_real": 1.5}, n_test=400, noise=0.2)


def test_share_is_the_gain_divided_by_that_of_all_real_images(records):
    table = room_closed(records).set_index(["classifier", "treatment"])
    assert list(dict.fromkeys(table.index.get_level_values(0))) == [MEAN, "Random forest on ResNet18", "CNN"]
    gains = overall_tests(records).set_index("treatment")["difference"]
    of_mean = table.loc[MEAN]
    for name in ("smote", "dcgan"):
        assert of_mean.loc[name, "share"] * of_mean.loc[name, "room"] == pytest.approx(gains[name])
        assert of_mean.loc[name, "low"] < of_mean.loc[name, "share"] < of_mean.loc[name, "high"]
    assert 0.4 < of_mean.loc["smote", "share"] < 1
    assert of_mean.loc["smote", "low"] > 0
    assert of_mean.loc["dcgan", "low"] < 0 < of_mean.loc["dcgan", "high"]


def test_interval_ends_where_the_test_against_the_mixture_does():
    random_state = RandomState(0)
    differences = np.array([[0.5], [0.1], [1.0]]) + 0.1 * random_state.normal(size=(3, 5))
    moments = np.array([[0.02, 0.02, 0.02], [0.015, 0.015, 0.02], [0.02, 0.02, 0.02]])
    found = shares_closed(differences, moments, **ALONE)
    for t in range(2):
        for end in (found["low"][t], found["high"][t]):
            p = p_values(*against_mixture(differences, moments, np.array([end])), **ALONE)
            assert p[0, 0, t, 0] == pytest.approx(0.05, abs=2e-3)


def test_interval_of_one_treatment_without_test_images_is_fiellers_own():
    """By the closed form, of means of pairs with known degrees of freedom."""
    differences = np.array([[0.5, 0.7, 0.4, 0.6, 0.55], [1.0, 1.1, 0.9, 1.05, 1.15]])
    found = shares_closed(differences, np.zeros((3, 2)), **ALONE)
    (y, x), n = differences.mean(1), differences.shape[1]
    (var_y, cov), (_, var_x) = np.cov(differences) / n
    t2 = stats.t.ppf(0.975, n - 1) ** 2
    roots = np.roots([x**2 - t2 * var_x, -2 * (x * y - t2 * cov), y**2 - t2 * var_y])
    np.testing.assert_allclose([found["low"][0], found["high"][0]], np.sort(roots), atol=2e-3)


def test_without_a_significant_room_there_is_no_interval():
    """The share of next to nothing can be anything."""
    table = room_closed(records_with_room({"smote": 0.5, "all_real": 0.0}))
    assert table[["low", "high"]].isna().all(axis=None)
    assert np.isfinite(table["room_low"]).all()
    worse = room_closed(records_with_room({"smote": 0.5, "all_real": -1.0}))
    assert worse["low"].isna().all()


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_interval_holds_the_share_in_nineteen_of_twenty_runs(name, share):
    """Of 1000 runs; the limit is three Monte-Carlo errors below .95. More: docs/results/room_coverage.csv."""
    found = coverage(SCENARIOS[name], share, 1000, 8, 5, RandomState(0))
    assert found["coverage"] >= 0.93


def test_without_a_reference_there_is_no_room():
    assert room_closed(records_with_room({"smote": 0.5})).empty
    alone = [r for r in records_with_room({"all_real": 0.5}) if r["treatment"] in ("none", "all_real")]
    assert room_closed(alone).empty


def test_classifiers_without_the_reference_are_left_out(records):
    """One that was added later, without it, took away the mean of all."""
    options = {"rows": (("svm", "resnet18"),), "seeds": range(5), "n_test": 400, "noise": 0.2}
    more = make_records(treatments=["none", "smote", "dcgan"], **options)
    pd.testing.assert_frame_equal(room_closed([*records, *more]), room_closed(records))
    only_more = [r for r in records if r["treatment"] != "all_real" or r["classifier"] == "cnn"]
    assert list(room_closed(only_more)["classifier"]) == ["CNN", "CNN"]


def test_room_of_a_reference_that_has_not_finished_is_not_told(records, recwarn):
    """The answer said that it changes ROC-AUC by nan."""
    unfinished = [r for r in records if r["treatment"] != "all_real" or r["seed"] == 0]
    unfinished = [r for r in unfinished if r["treatment"] != "none" or r["seed"] > 0]
    assert not any("room" in sentence for sentence in answer(unfinished, make_manifest(records, "roc_auc"), "roc_auc"))
    assert not recwarn.list


def test_repeats_that_one_does_not_have_are_left_out_for_it_alone(records):
    kept = [r for r in records if (r["treatment"], r["seed"]) != ("smote", 0)]
    table = room_closed(kept).set_index(["classifier", "treatment"])
    assert table.loc[(MEAN, "smote"), "n_repeats"] == 4
    assert table.loc[(MEAN, "dcgan"), "n_repeats"] == 5


def test_the_answer_tells_the_room_and_never_recommends_the_reference(records):
    sentences = answer(records, make_manifest(records, "roc_auc"), "roc_auc")
    (room,) = (sentence for sentence in sentences if "of this room" in sentence)
    assert room.startswith(
        "All real images of the rare class instead, a reference and no treatment, change ROC-AUC by +"
    )
    assert "SMOTE closes " in room
    assert " %), and DCGAN closes " in room.replace(" %) and", " %), and")
    assert not any("(reference)" in sentence for sentence in sentences)
    of_labels = answer(records, make_manifest(records), "balanced_accuracy")
    assert not any("room" in sentence for sentence in of_labels)
    unknown = records_with_room({"smote": 0.5, "all_real": 0.0})
    assert any(
        sentence.endswith("the share of this room that treatments close cannot be estimated.")
        for sentence in answer(unknown, make_manifest(unknown, "roc_auc"), "roc_auc")
    )
