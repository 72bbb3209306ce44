"""Metrics of one cell, against scikit-learn and against what is worked out by hand."""

import inspect

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score
from sklearn.neighbors import NearestCentroid
from sklearn.svm import SVC

from gan_sampler.evaluation._metrics import (
    METRIC_LABELS,
    class_probabilities,
    class_scores,
    confusion,
    evaluate,
    metric_label,
    sensitivity_at,
)


def test_metrics_equal_hand_computed_values():
    """Everything in the tables comes from here, so the numbers are worked out by hand once."""
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.3, 0.7]])
    found = evaluate([0, 0, 0, 1], [0, 0, 1, 1], probabilities, probabilities, ["well", "ill"], rarest=1)
    assert found == pytest.approx(
        {
            "accuracy": 0.75,
            "balanced_accuracy": (2 / 3 + 1) / 2,
            "f1_weighted": 0.75 * 0.8 + 0.25 * 2 / 3,
            "precision_weighted": 0.75 * 1 + 0.25 * 0.5,
            "recall_weighted": 0.75,
            "f1_macro": (0.8 + 2 / 3) / 2,
            "geometric_mean": (2 / 3) ** 0.5,
            "roc_auc": 2 / 3,
            "average_precision": 0.5,
            "precision_minority": 0.5,
            "recall_minority": 1.0,
            "f1_minority": 2 / 3,
            "specificity_minority": 2 / 3,
            "sensitivity_at_90_specificity": 0.0,
            "sensitivity_at_95_specificity": 0.0,
            "brier": (0.01 + 0.04 + 0.64 + 0.09) / 4,
            "log_loss": -np.log([0.9, 0.8, 0.2, 0.7]).mean(),
            "precision_0": 1.0,
            "recall_0": 2 / 3,
            "f1_0": 0.8,
            "roc_auc_0": 2 / 3,
            "precision_1": 0.5,
            "recall_1": 1.0,
            "f1_1": 2 / 3,
            "roc_auc_1": 2 / 3,
        }
    )
    assert found.keys() >= METRIC_LABELS.keys()


def test_metrics_of_the_rarest_class_follow_it_when_it_is_the_first():
    """On the chest X-rays the rare class is label 0; taking label 1 would score the wrong one."""
    probabilities = np.array([[0.9, 0.1], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
    found = evaluate([0, 1, 1, 1], [0, 1, 1, 0], probabilities, probabilities, ["ill", "well"], rarest=0)
    assert found["precision_minority"] == 0.5
    assert found["recall_minority"] == 1.0
    assert found["average_precision"] == 1.0
    assert found["sensitivity_at_95_specificity"] == 1.0
    assert found["specificity_minority"] == pytest.approx(2 / 3)
    assert found["brier"] == pytest.approx(np.mean([0.01, 0.01, 0.04, 0.09]))


def test_areas_of_many_classes_take_scores_that_are_no_probabilities():
    """A support vector machine gives none, and ranks are all that a ROC curve needs."""
    scores = np.array([[5.0, -1, -1], [4, 3, 2], [1, 2, 9], [2, 0, 3]])
    found = evaluate([0, 0, 1, 2], [0, 0, 2, 2], scores, None, ["a", "b", "c"], rarest=1)
    # Against the rest: class 0 ranks perfectly, class 1 beats two of three, class 2 two of three.
    assert [found[f"roc_auc_{label}"] for label in range(3)] == pytest.approx([1, 2 / 3, 2 / 3])
    assert found["roc_auc"] == pytest.approx((2 * 1 + 2 / 3 + 2 / 3) / 4)
    assert np.isnan([found["brier"], found["log_loss"]]).all()


def test_areas_and_calibration_of_many_classes_are_scikit_learns():
    """Where it computes them, too: from probabilities, and from version 1.8 the Brier score."""
    rng = np.random.default_rng(0)
    y_true, probabilities = rng.integers(3, size=200), rng.dirichlet(np.ones(3), size=200)
    found = evaluate(y_true, probabilities.argmax(1), np.log(probabilities), probabilities, ["a", "b", "c"], rarest=2)
    assert found["roc_auc"] == pytest.approx(
        roc_auc_score(y_true, probabilities, multi_class="ovr", average="weighted")
    )
    assert found["log_loss"] == pytest.approx(log_loss(y_true, probabilities))
    if "labels" in inspect.signature(brier_score_loss).parameters:
        assert found["brier"] == pytest.approx(brier_score_loss(y_true, probabilities))
    single = np.eye(3)[y_true]
    assert evaluate(y_true, y_true, single, single, ["a", "b", "c"], rarest=2)["brier"] == 0


@pytest.mark.parametrize(("y_true", "n_classes"), [([0, 0, 0], 2), ([1, 1], 2), ([1], 2), ([0, 0, 2, 2], 3), ([2], 3)])
@pytest.mark.parametrize("predicted", [0, 1])
@pytest.mark.filterwarnings("error")
def test_a_class_without_test_images_is_undefined_and_no_error(y_true, n_classes, predicted):
    """A fold may lack a class; 0 or 1 would be a made-up score, and the other classes still have theirs."""
    probabilities = np.random.default_rng(0).dirichlet(np.ones(n_classes), size=len(y_true))
    classes = ["a", "b", "c"][:n_classes]
    y_pred = np.full(len(y_true), predicted)
    found = evaluate(y_true, y_pred, probabilities, probabilities, classes, rarest=0)
    for label in range(n_classes):
        own = [found[f"{name}_{label}"] for name in ("precision", "recall", "f1")]
        assert np.isnan(own).all() if label not in y_true else np.isfinite(own).all()
    assert np.isnan(found["average_precision"]) == (len(set(y_true)) == 1)
    assert np.isnan(found["roc_auc"]) == (len(set(y_true)) == 1)
    assert np.isnan(found["specificity_minority"]) == (set(y_true) == {0})
    present = np.unique(y_true)
    assert found["balanced_accuracy"] == pytest.approx(np.mean(present == predicted))
    assert found["brier"] >= 0
    assert found["log_loss"] > 0


def test_a_class_that_is_never_predicted_has_no_precision_left_to_mean_over():
    """0, not NaN: a mean over seeds that left NaN out would flatter a classifier that misses the class."""
    found = evaluate([0, 1, 1], [1, 1, 1], None, None, ["ill", "well"], rarest=0)
    assert found["precision_minority"] == found["recall_minority"] == found["f1_minority"] == 0
    assert np.isnan(found["roc_auc"])


def test_sensitivity_is_that_of_a_threshold_there_is():
    """Of ten healthy ones one may be called ill at 90 %; equal scores are decided together."""
    is_ill = np.repeat([True, False], [4, 10])
    score = np.array([9, 8, 6, 1.0] + [7, 5, 0, 0, 0, 0, 0, 0, 0, 0])
    assert sensitivity_at(0.90, is_ill, score) == 0.75  # called ill from 6 on: one false alarm
    assert sensitivity_at(0.95, is_ill, score) == 0.5
    assert sensitivity_at(0.80, is_ill, score) == 1.0
    tied = np.array([9, 5, 5, 5.0] + [5, 5, 0, 0, 0, 0, 0, 0, 0, 0])
    assert sensitivity_at(0.90, is_ill, tied) == 0.25  # those at 5 come with two false alarms
    assert sensitivity_at(0.90, is_ill, np.ones(14)) == 0


def test_scores_have_a_column_for_each_class():
    """The decision function of two classes is one number; the sign must go to the right class."""
    X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([4, 4, 7, 7])
    classifier = SVC().fit(X, y)
    scores = class_scores(classifier, X)
    assert scores.shape == (4, 2)
    assert (scores.argmax(axis=1) == [0, 0, 1, 1]).all()
    assert class_probabilities(classifier, X) is None
    assert class_probabilities(RandomForestClassifier(3).fit(X, y), X).shape == (4, 2)


def test_decisions_between_pairs_are_refused_with_what_to_set():
    """Six columns for four classes name no class."""
    X, y = np.arange(8.0)[:, None], np.repeat(range(4), 2)
    with pytest.raises(ValueError, match=r"each of 4 classes; SVC gave 6\. Set decision_function_shape"):
        class_scores(SVC(decision_function_shape="ovo").fit(X, y), X)


def test_a_classifier_that_only_predicts_has_no_scores():
    """Ranks made of yes and no would be hard labels, whose area is balanced accuracy under another name."""

    class Mute(NearestCentroid):
        decision_function = predict_proba = property(lambda self: (_ for _ in ()).throw(AttributeError()))

    X, y = np.arange(4.0)[:, None], [0, 0, 1, 1]
    assert class_scores(Mute().fit(X, y), X) is None
    assert class_probabilities(Mute().fit(X, y), X) is None


@pytest.mark.parametrize("n_classes", [2, 3])
def test_area_sees_what_softmax_rounds_away(n_classes):
    """A sure network gives many images a probability of 1 in float32, and the other classes' still tell them apart."""

    class Sure:
        def predict_proba(self, X):
            return torch.softmax(torch.stack([X, *(n_classes - 1) * [-X]], dim=1), dim=1).numpy()

    logits = torch.tensor([9.0, 10, 11, 12, 13, 14])
    assert (Sure().predict_proba(logits)[2:, 0] == 1).all()
    scores = class_scores(Sure(), logits)
    y_true = [1, 1, 1, 0, 0, 0]
    assert evaluate(y_true, y_true, scores, None, ["a", "b", "c"][:n_classes], rarest=0)["roc_auc_0"] == 1


def test_log_odds_order_the_classes_as_probabilities_do():
    """Of more than two classes, too."""

    class Given:
        def predict_proba(self, X):
            return X

    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), size=30)
    scores = class_scores(Given(), probabilities)
    np.testing.assert_array_equal(scores.argsort(axis=1), probabilities.argsort(axis=1))
    np.testing.assert_array_equal(scores.argsort(axis=0), probabilities.argsort(axis=0))


def test_confusion_has_a_row_and_a_column_for_every_class():
    """Also for one that no test image has."""
    record = {"y_true": [0, 0, 2], "y_pred": [0, 3, 2], "classes": ["a", "b", "c", "d"]}
    assert confusion(record).tolist() == [[1, 0, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]


def test_metrics_of_a_class_are_called_by_its_name():
    """An index says nothing to people."""
    assert metric_label("recall_1", ["ill", "well"]) == "Recall, well"
    assert metric_label("roc_auc_0", ["ill", "well"]) == "ROC-AUC, ill"
    assert metric_label("roc_auc", ["ill", "well"]) == "ROC-AUC"
