"""Metrics of one cell, computed from all its test predictions.

Labels are indices into the names of the classes. Where a metric needs a positive class, it is the rarest class of the
training images. Classes without a test image are left out of means, and their own metrics are NaN.
"""

import numpy as np
from imblearn.metrics import geometric_mean_score, specificity_score
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    f1_score,
    log_loss,
    precision_recall_fscore_support,
    recall_score,
    roc_auc_score,
    roc_curve,
)

METRIC_LABELS = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "f1_weighted": "F1, weighted",
    "precision_weighted": "Precision, weighted",
    "recall_weighted": "Recall, weighted",
    "f1_macro": "F1, macro",
    "geometric_mean": "Geometric mean",
    "roc_auc": "ROC-AUC",
    "average_precision": "Average precision, rarest class",
    "precision_minority": "Precision, rarest class",
    "recall_minority": "Recall, rarest class",
    "f1_minority": "F1, rarest class",
    "specificity_minority": "Specificity, rarest class",
    "sensitivity_at_90_specificity": "Sensitivity at 90 % specificity",
    "sensitivity_at_95_specificity": "Sensitivity at 95 % specificity",
    "brier": "Brier score",
    "log_loss": "Log loss",
}
LOWER_IS_BETTER = ("brier", "log_loss")
NEED_SCORES = (
    "roc_auc",
    "average_precision",
    "sensitivity_at_90_specificity",
    "sensitivity_at_95_specificity",
)
_OF_A_CLASS = {"precision": "Precision", "recall": "Recall", "f1": "F1", "roc_auc": "ROC-AUC"}


def evaluate(y_true, y_pred, scores, probabilities, classes, rarest):
    """Compute the metrics of predictions.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        True and predicted labels.
    scores : array-like of shape (n, n_classes) or None
        Score of each class; a higher score is more likely. None for a classifier without scores; its areas are NaN.
    probabilities : array-like of shape (n, n_classes) or None
        Probability of each class. None for a classifier without; its Brier score and log loss are NaN.
    classes : sequence of str
        Names of the classes.
    rarest : int
        Label of the class that was rarest in training.

    Returns
    -------
    metrics : dict of str to float
        The metrics of `METRIC_LABELS`, and ``precision_<i>``, ``recall_<i>``, ``f1_<i>`` and ``roc_auc_<i>`` of every
        class; NaN where undefined.

    Notes
    -----
    The precision of a class that is never predicted is 0, as in scikit-learn; leaving it out of a mean over seeds would
    favour a classifier that never predicts the class. The area under the ROC curve is that of the rarest class for two
    classes, and the mean of each class against the rest, weighted by test counts, for more. The Brier score is the mean
    squared error of the probability of the rarest class for two classes, and the sum over the classes for more.
    """
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
    return {
        **_of_predictions(y_true, y_pred),
        **_of_rarest(y_true, y_pred, rarest),
        **_of_scores(y_true, scores, len(classes), rarest),
        **_of_probabilities(y_true, probabilities, len(classes), rarest),
        **_of_each_class(y_true, y_pred, len(classes)),
    }


def metric_label(name, classes):
    """Return the readable name of a metric, also of one of a single class such as "recall_2"."""
    if name in METRIC_LABELS:
        return METRIC_LABELS[name]
    kind, _, label = name.rpartition("_")
    return f"{_OF_A_CLASS[kind]}, {classes[int(label)]}"


def needs_scores(name):
    """Return whether a metric needs scores, which a classifier that only predicts labels does not have."""
    return name in NEED_SCORES or name.startswith("roc_auc_")


def depends_on_threshold(name):
    """Return whether a metric depends on predicted labels, and so on the threshold; ranks and probabilities do not."""
    return not needs_scores(name) and name not in LOWER_IS_BETTER


def class_scores(classifier, X):
    """Return the scores of a fitted classifier, or None if it only predicts labels.

    Probabilities are converted to log odds, with the sum of the other classes, which is more precise than the
    probability itself near 1.

    Returns
    -------
    scores : ndarray of shape (n, n_classes) or None
        Score of each class; a higher score is more likely.
    """
    if hasattr(classifier, "decision_function"):
        scores = np.asarray(classifier.decision_function(X), dtype=np.float64)
        scores = np.column_stack([-scores, scores]) if scores.ndim == 1 else scores
        if hasattr(classifier, "classes_") and scores.shape[1] != len(classifier.classes_):
            raise ValueError(
                f"decision_function of classifier must give one column for each of {len(classifier.classes_)} classes; "
                f"{type(classifier).__name__} gave {scores.shape[1]}. Set decision_function_shape='ovr'."
            )
        return scores
    probabilities = class_probabilities(classifier, X)
    if probabilities is None:
        return None
    others = probabilities @ (1 - np.eye(probabilities.shape[1]))
    tiny = np.finfo(np.float64).tiny
    return np.log(np.maximum(probabilities, tiny)) - np.log(np.maximum(others, tiny))


def class_probabilities(classifier, X):
    """Return the probabilities of a fitted classifier, (n, n_classes) in float64, or None if it has none."""
    return np.asarray(classifier.predict_proba(X), dtype=np.float64) if hasattr(classifier, "predict_proba") else None


def confusion(record):
    """Return the confusion matrix of a cell, with true classes as rows."""
    return confusion_matrix(record["y_true"], record["y_pred"], labels=range(len(record["classes"])))


def _of_predictions(y_true, y_pred):
    present = np.unique(y_true)
    precision, recall, f1, _ = precision_recall_fscore_support(
        y_true, y_pred, labels=present, average="weighted", zero_division=0
    )
    return {
        "accuracy": float(accuracy_score(y_true, y_pred)),
        "balanced_accuracy": float(recall_score(y_true, y_pred, labels=present, average="macro")),
        "f1_weighted": float(f1),
        "precision_weighted": float(precision),
        "recall_weighted": float(recall),
        "f1_macro": float(f1_score(y_true, y_pred, labels=present, average="macro", zero_division=0)),
        "geometric_mean": float(geometric_mean_score(y_true, y_pred, labels=present, average="multiclass")),
    }


def _of_rarest(y_true, y_pred, rarest):
    is_rarest = y_true == rarest
    precision, recall, f1 = _precision_recall_f1(y_true, y_pred, rarest)
    specificity = np.nan if is_rarest.all() else specificity_score(is_rarest, y_pred == rarest)
    return {
        "precision_minority": precision,
        "recall_minority": recall,
        "f1_minority": f1,
        "specificity_minority": float(specificity),
    }


def _of_each_class(y_true, y_pred, n_classes):
    found = {}
    for label in range(n_classes):
        parts = _precision_recall_f1(y_true, y_pred, label)
        found |= dict(zip((f"precision_{label}", f"recall_{label}", f"f1_{label}"), parts, strict=True))
    return found


def _precision_recall_f1(y_true, y_pred, label):
    if not (y_true == label).any():
        return np.nan, np.nan, np.nan
    parts = precision_recall_fscore_support(y_true, y_pred, labels=[label], average=None, zero_division=0)[:3]
    return tuple(float(part[0]) for part in parts)


def _of_scores(y_true, scores, n_classes, rarest):
    found = dict.fromkeys([*NEED_SCORES, *(f"roc_auc_{label}" for label in range(n_classes))], np.nan)
    present = np.unique(y_true)
    if scores is None or len(present) < 2:
        return found
    scores = np.asarray(scores, dtype=np.float64)
    is_label = (y_true[:, None] == present).astype(int)
    # As a multi-label problem, because for multi-class problems scikit-learn only accepts probabilities.
    areas = roc_auc_score(is_label, scores[:, present], average=None)
    found |= {f"roc_auc_{label}": float(area) for label, area in zip(present, areas, strict=True)}
    if n_classes == 2:
        found["roc_auc"] = found[f"roc_auc_{rarest}"]
    else:
        found["roc_auc"] = float(roc_auc_score(is_label, scores[:, present], average="weighted"))
    if rarest in present:
        found["average_precision"] = float(average_precision_score(y_true == rarest, scores[:, rarest]))
        for percent in (90, 95):
            sensitivity = sensitivity_at(percent / 100, y_true == rarest, scores[:, rarest])
            found[f"sensitivity_at_{percent}_specificity"] = sensitivity
    return found


def sensitivity_at(specificity, is_positive, score):
    """Return the highest sensitivity of all thresholds with at least this specificity.

    Images of equal score have the same decision, so with ties the specificity may be higher than requested; there is no
    interpolation between thresholds. The result is 0 if only the threshold without positive images is specific enough.
    """
    false_positives, true_positives, _ = roc_curve(is_positive, score, drop_intermediate=False)
    return float(true_positives[1 - false_positives >= specificity - 1e-9].max())


def _of_probabilities(y_true, probabilities, n_classes, rarest):
    if probabilities is None:
        return {"brier": np.nan, "log_loss": np.nan}
    probabilities = np.asarray(probabilities, dtype=np.float64)
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)  # of float32 they miss 1 by rounding
    if n_classes == 2:
        brier = brier_score_loss(y_true == rarest, probabilities[:, rarest], pos_label=True)
    else:
        brier = np.mean(np.sum((probabilities - np.eye(n_classes)[y_true]) ** 2, axis=1))
    return {"brier": float(brier), "log_loss": float(log_loss(y_true, probabilities, labels=range(n_classes)))}
