"""Scores of one cell, from all its test predictions at once."""

import numpy as np
from imblearn.metrics import geometric_mean_score
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    precision_recall_fscore_support,
    roc_auc_score,
)


def evaluate(y_true, y_pred, scores, classes, minority):
    """Score predictions; the minority class is the positive one wherever one is needed.

    Parameters
    ----------
    y_true, y_pred : ndarray of shape (n,)
        True and predicted labels.
    scores : ndarray of shape (n, n_classes)
        The higher, the likelier; one column for each of `classes`.
    classes : ndarray of shape (n_classes,)
        Labels, sorted.
    minority : label
        The class that was rarest in training.

    Returns
    -------
    metrics : dict of str to float
        All in [0, 1]; NaN for the two areas where `y_true` holds a single class.
    """
    weighted = precision_recall_fscore_support(y_true, y_pred, average="weighted", zero_division=0)
    of_minority = precision_recall_fscore_support(y_true, y_pred, labels=[minority], average=None, zero_division=0)
    return {
        "precision_weighted": float(weighted[0]),
        "recall_weighted": float(weighted[1]),
        "f1_weighted": float(weighted[2]),
        "precision_minority": float(of_minority[0][0]),
        "recall_minority": float(of_minority[1][0]),
        "f1_minority": float(of_minority[2][0]),
        "balanced_accuracy": float(balanced_accuracy_score(y_true, y_pred)),
        "accuracy": float(accuracy_score(y_true, y_pred)),
        "geometric_mean": float(geometric_mean_score(y_true, y_pred, average="multiclass")),
        "roc_auc": roc_auc(y_true, scores, classes),
        "average_precision": average_precision(y_true, scores, classes, minority),
    }


def roc_auc(y_true, scores, classes):
    """Area under the ROC curve; with more than two classes one against the rest, weighted by their test counts.

    `sklearn.metrics.roc_auc_score` asks for probabilities there, which a support vector machine does not give.
    """
    present = [(column, y_true == label) for column, label in enumerate(classes) if (y_true == label).any()]
    if len(present) < 2:
        return float("nan")
    areas = [roc_auc_score(is_label, scores[:, column]) for column, is_label in present]
    return float(np.average(areas, weights=[is_label.sum() for _, is_label in present]))


def average_precision(y_true, scores, classes, minority):
    """Area under the precision-recall curve of the minority class."""
    is_minority = y_true == minority
    if not is_minority.any() or is_minority.all():
        return float("nan")
    return float(average_precision_score(is_minority, scores[:, list(classes).index(minority)]))


def class_scores(classifier, X):
    """Return the scores of a fitted classifier as one column for each class, the higher the likelier.

    Probabilities of two classes come as log odds: close to 1, float32 has no room for what tells images apart.
    """
    if hasattr(classifier, "decision_function"):
        scores = np.asarray(classifier.decision_function(X), dtype=np.float64)
    else:
        scores = np.asarray(classifier.predict_proba(X), dtype=np.float64)
        if scores.shape[1] == 2:
            low, high = np.log(np.maximum(scores, np.finfo(np.float64).tiny)).T
            scores = high - low
    return np.column_stack([-scores, scores]) if scores.ndim == 1 else scores
