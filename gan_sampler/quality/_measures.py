"""Measures that compare synthetic with real images, as functions of features.

References
----------
.. [1] M. Bińkowski et al., "Demystifying MMD GANs", ICLR 2018. https://arxiv.org/abs/1801.01401
.. [2] M. F. Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", ICML 2020.
   https://arxiv.org/abs/2002.09797
.. [3] D. Lopez-Paz, M. Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017. https://arxiv.org/abs/1610.06545
.. [4] C. Meehan, K. Chaudhuri, S. Dasgupta, "A Non-Parametric Test to Detect Data-Copying in Generative Models",
   AISTATS 2020. https://arxiv.org/abs/2004.05675
.. [5] T. Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models", NeurIPS 2019.
   https://arxiv.org/abs/1904.06991
.. [6] C. Esteban, S. L. Hyland, G. Rätsch, "Real-valued (Medical) Time Series Generation with Recurrent Conditional
   GANs", 2017. https://arxiv.org/abs/1706.02633 (train on synthetic, test on real)
.. [7] D. R. Cox, "Some Applications of Exponential Ordered Scores", Journal of the Royal Statistical Society B 26,
   1964.
"""

import contextlib
import io

import numpy as np
import torch
from scipy.stats import f
from sklearn.base import clone
from sklearn.metrics import euclidean_distances, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import NearestNeighbors
from torch.nn.functional import avg_pool2d

N_NEIGHBORS = 5  # for density, coverage, precision, recall and realism, as in [2]_
COPY_RATIO = 1 / 3  # of the distance from a real image to its third-nearest real one; closer images are near-copies
MIN_DIFFERENT = 5  # real images, so that each has four others
_N_FOLDS = 5
_COARSE = 32  # pixels; larger images are averaged to about this size before shifted versions are compared


def kernel_inception_distance(real, synthetic):
    """Return the squared maximum mean discrepancy under the kernel of KID [1]_ and its standard error.

    0 for two samples of one distribution, where the estimate may be negative; the lower the better. This is the
    unbiased estimate over all images, without random subsets. The standard error is the jackknife's.

    Parameters
    ----------
    real, synthetic : ndarray of shape (n, n_features), float64
        Features of at least three images each.

    Returns
    -------
    distance, standard_error : float
    """
    within = [_off_diagonal(_kernel(x, x)) for x in (real, synthetic)]
    between = _kernel(real, synthetic)
    n, m = between.shape
    means = [k.sum() / (len(k) * (len(k) - 1)) for k in within]
    distance = sum(means) - 2 * between.mean()

    variance = 0.0
    for this, other, cross in ((0, 1, between.sum(1)), (1, 0, between.sum(0))):
        size, size_of_other = (n, m) if this == 0 else (m, n)
        without = (  # leave-one-out estimates
            (within[this].sum() - 2 * within[this].sum(1)) / ((size - 1) * (size - 2))
            + means[other]
            - 2 * (between.sum() - cross) / ((size - 1) * size_of_other)
        )
        variance += (size - 1) / size * np.square(without - without.mean()).sum()
    return float(distance), float(np.sqrt(variance))


def fidelity_and_diversity(real, synthetic):
    """Return density, coverage, precision and recall [2]_, computed by the package prdc.

    Precision and density measure whether synthetic images lie within the distribution of real ones, coverage and recall
    whether they cover it. All are about 1 for two samples of one distribution; density may exceed 1, the others are in
    [0, 1]. Higher is better.

    Returns
    -------
    measures : dict of str to float
    """
    compute_prdc = import_prdc()
    with contextlib.redirect_stdout(io.StringIO()):  # it prints the number of images
        measures = compute_prdc(real, synthetic, nearest_k=_count_neighbors(len(real), len(synthetic)))
    return {name: float(value) for name, value in measures.items()}


def expected_coverage(n_real, n_synthetic):
    """Return the expected coverage of two samples of one distribution, which is low for few synthetic images.

    A real image is not covered if its five nearest neighbours among all other images are real. For one distribution the
    order of neighbours is random, which gives the probability.
    """
    n_others = n_real - 1 - np.arange(_count_neighbors(n_real, n_synthetic))
    return float(1 - np.prod(n_others / (n_others + n_synthetic)))


def _count_neighbors(n_real, n_synthetic):
    return min(N_NEIGHBORS, n_real - 2, n_synthetic - 2)


def import_prdc():
    """Return `prdc.compute_prdc`, or raise an ImportError that names the package."""
    try:
        from prdc import compute_prdc
    except ImportError as exc:
        raise ImportError("quality_report needs the package prdc: run pip install prdc.") from exc
    return compute_prdc


def relative_spread(real, synthetic):
    """Return the mean distance within pairs of synthetic images over that within pairs of real ones.

    1 if the synthetic images vary as much as the real ones; 0 if they are identical.
    """
    spreads = [_off_diagonal(euclidean_distances(x)).sum() / (len(x) * (len(x) - 1)) for x in (real, synthetic)]
    return float(spreads[1] / max(spreads[0], np.finfo(float).tiny))


def two_sample_auc(real, synthetic, classifier, random_state):
    """Return how well a classifier separates synthetic from real test images [3]_.

    Area under the ROC curve over five folds: 0.5 if it cannot, 1 if it separates all. Lower is better. Exact copies of
    real images can give less than 0.5, when one copy is in the training folds as real and the other in the test fold as
    synthetic.

    Parameters
    ----------
    real, synthetic : ndarray of shape (n, n_features)
        At least five of each.
    classifier : estimator
        A scikit-learn classifier with ``decision_function`` or ``predict_proba``.
    random_state : RandomState
        Shuffles the folds.
    """
    X = np.concatenate([real, synthetic])
    y = np.repeat([0, 1], [len(real), len(synthetic)])
    folds = StratifiedKFold(_N_FOLDS, shuffle=True, random_state=random_state)
    scores = cross_val_predict(classifier, X, y, cv=folds, method=_scoring(classifier))
    return float(roc_auc_score(y, scores if scores.ndim == 1 else scores[:, 1]))


def find_near_copies(real, synthetic):
    """Find synthetic images that are much nearer to a real image than other real images are.

    For a near-copy, the distance to its nearest real image is at most a third of the distance between this image and
    its third-nearest real image. The third-nearest, so that duplicates in the data do not hide copies. The same test is
    applied to the real images, each left out in turn, because some data contain many near-duplicates.

    Parameters
    ----------
    real : ndarray of shape (n_real, n_features)
        At least five images, no two of them equal.
    synthetic : ndarray of shape (n_synthetic, n_features)

    Returns
    -------
    is_copy : ndarray of shape (n_synthetic,), bool
    is_double : ndarray of shape (n_real,), bool
        The same for each real image, compared with the other ones.
    """
    neighbors = NearestNeighbors(algorithm="brute").fit(real)
    among_real, who = neighbors.kneighbors(n_neighbors=4)  # without the image itself
    to_real, nearest = (found[:, 0] for found in neighbors.kneighbors(synthetic, n_neighbors=1))
    is_copy = to_real <= COPY_RATIO * among_real[nearest, 2]

    nearest = who[:, 0]
    is_among_three = (who[nearest, :3] == np.arange(len(real))[:, None]).any(1)  # neighbours of its nearest image
    third = np.where(is_among_three, among_real[nearest, 3], among_real[nearest, 2])
    return is_copy, among_real[:, 0] <= COPY_RATIO * third


def memorisation(held_out, synthetic):
    """Return how often a synthetic image copies its nearest training image more closely than a held-out one does.

    The test of [4]_, one-sided, with another score than the distance to the nearest training image, because a blurred
    image is nearer to all others. The score of an image is ``(d_3**2 - d_1**2) / max(d_3**2, s)``, with the distances
    d_1 and d_3 to its nearest and third-nearest training image, and the median s of ``d_3**2`` over held-out images. It
    is near 1 for a copy. Blur and noise change all squared distances of an image by about the same amount, which
    cancels in the numerator; the denominator gives images far from all training images a low score. The third-nearest
    is used so that duplicates in the data do not hide copies. Of several feature spaces, the largest score is taken.

    Parameters
    ----------
    held_out, synthetic : list of (rows, squares)
        From `three_nearest`, in each feature space, such as features and pixels.

    Returns
    -------
    share : float
        Probability that the score of a synthetic image exceeds that of a held-out one (Mann-Whitney U, divided by its
        maximum): 0.5 without memorisation, 1 if every image is a copy. Lower is better.
    p_value : float
        Upper bound of the probability of such high scores if synthetic and held-out images were from one distribution.
        Computed from exponential scores of the ranks, which give the largest ones most weight, with an F approximation
        [7]_. Synthetic images with the same nearest training image count as about one, so that repetitions of one image
        are not counted as independent.

    Notes
    -----
    Power at a level of .01, with 200 synthetic X-rays: if all are copies, ten held-out images found it in at least 35
    of 40 repetitions. If one in ten is a copy, 50 held-out images are not enough; 500 found it in 22 to 40 of 40
    repetitions with 400 to 5,000 training images, and in 13 to 17 with 40. If one in a hundred is a copy, 500 held-out
    images do not find it. docs/memorisation.md has the table.
    """
    scores = [[], []]
    for (_, of_held_out), (_, of_synthetic) in zip(held_out, synthetic, strict=True):
        typical = max(np.median(of_held_out[:, 2]), np.finfo(float).tiny)
        for found, squares in zip(scores, (of_held_out, of_synthetic), strict=True):
            found.append((squares[:, 2] - squares[:, 0]) / np.maximum(squares[:, 2], typical))
    held_out_scores, synthetic_scores = (np.max(found, axis=0) for found in scores)
    n_held_out, n_synthetic = len(held_out_scores), len(synthetic_scores)
    is_synthetic = np.repeat([False, True], [n_held_out, n_synthetic])
    scores = np.concatenate([held_out_scores, synthetic_scores])
    share = roc_auc_score(is_synthetic, scores)

    around_each = np.unique(synthetic[0][0], return_counts=True)[1]
    n_different = n_synthetic**2 / np.square(around_each).sum()
    exponential = _exponential_scores(scores, np.where(is_synthetic, n_different / n_synthetic, 1.0))
    ratio = exponential[is_synthetic].mean() / exponential[~is_synthetic].mean()
    return float(share), float(f.sf(ratio, 2 * n_different, 2 * n_held_out))


def _exponential_scores(values, weights):
    """Return the expected values of exponential order statistics for the ranks of `values`."""
    which = np.unique(values, return_inverse=True)[1]
    order = np.argsort(which, kind="stable")
    at_risk = weights[order][::-1].cumsum()[::-1]
    cumulated = (weights[order] / at_risk).cumsum()
    return (np.bincount(which[order], cumulated) / np.bincount(which))[which]  # ties get the mean


def three_nearest(train, versions):
    """Find the nearest training images of images; of several versions of an image, the nearest one counts.

    Parameters
    ----------
    train : ndarray of shape (n_train, n_features)
        At least three images, no two of them equal.
    versions : list of ndarray of shape (n, n_features)
        The same images in each version: unchanged, shifted, mirrored.

    Returns
    -------
    rows : ndarray of shape (n,), int
        The nearest training image of each.
    squares : ndarray of shape (n, 3)
        Squared distances to the three nearest, in order.
    """
    squares = euclidean_distances(versions[0], train, squared=True)
    for images in versions[1:]:
        np.minimum(squares, euclidean_distances(images, train, squared=True), out=squares)
    return squares.argmin(1), np.sort(np.partition(squares, 2, axis=1)[:, :3], axis=1)


def versions_of(images):
    """Return images and their mirror images, each unshifted and shifted by a pixel in four directions.

    All versions are cropped by a pixel, so that the shift needs no padding. Images with sides of more than 32 pixels
    are averaged to about this size first.

    Parameters
    ----------
    images : ndarray of shape (n, channels, height, width), float32

    Returns
    -------
    versions : list of ndarray of shape (n, n_features)
        Ten versions, or six if the height is less than three pixels; the first one is unshifted.
    """
    height, width = images.shape[2:]
    images = avg_pool2d(torch.from_numpy(images), (max(1, height // _COARSE), max(1, width // _COARSE))).numpy()
    height, width = images.shape[2:]
    down, right = min(1, (height - 1) // 2), min(1, (width - 1) // 2)
    shifts = dict.fromkeys([(down, right), (0, right), (2 * down, right), (down, 0), (down, 2 * right)])
    return [
        side[:, :, i : i + height - 2 * down, j : j + width - 2 * right].reshape(len(images), -1)
        for side in (images, images[..., ::-1])
        for i, j in shifts
    ]


def utility(real, synthetic, rest, classifier, random_state, held_out=None):
    """Return the AUC of classifiers of a class that are trained on synthetic, and on real, images of it.

    Train on synthetic, test on real [6]_: area under the ROC curve of this class against the others, over five folds of
    real images; if there are held-out images of the class, they replace those of the test folds. Higher is better; for
    useful images both are about equal.

    Parameters
    ----------
    real, synthetic : ndarray of shape (n, n_features)
        Images of the class.
    rest : ndarray of shape (n, n_features)
        Real images of the other classes.
    classifier : estimator
    random_state : RandomState
        Shuffles the folds.
    held_out : ndarray of shape (n, n_features) or None, default=None
        Further real images of the class.

    Returns
    -------
    from_synthetic, from_real : float
    """
    X = np.concatenate([real, rest])
    y = np.repeat([1, 0], [len(real), len(rest)])
    areas = {"synthetic": [], "real": []}
    for train, test in StratifiedKFold(_N_FOLDS, shuffle=True, random_state=random_state).split(X, y):
        positives = X[test][y[test] == 1] if held_out is None else held_out
        negatives = X[test][y[test] == 0]
        X_test = np.concatenate([positives, negatives])
        y_test = np.repeat([1, 0], [len(positives), len(negatives)])
        others = X[train][y[train] == 0]
        for name, images in (("synthetic", synthetic), ("real", X[train][y[train] == 1])):
            fitted = clone(classifier).fit(
                np.concatenate([images, others]), np.repeat([1, 0], [len(images), len(others)])
            )
            scores = getattr(fitted, _scoring(classifier))(X_test)
            areas[name].append(roc_auc_score(y_test, scores if scores.ndim == 1 else scores[:, 1]))
    return float(np.mean(areas["synthetic"])), float(np.mean(areas["real"]))


def realism(real, synthetic):
    """Return the realism score of each synthetic image.

    Equation 3 of [5]_: the distance from a real image to its fifth-nearest one, divided by its distance to the
    synthetic image; the largest ratio over the real images in the denser half. At least 1 if the image lies within the
    distribution of real ones, infinite for a copy; higher is better.

    Returns
    -------
    scores : ndarray of shape (n_synthetic,)
    """
    n_neighbors = min(N_NEIGHBORS, len(real) - 1)
    radii = np.partition(euclidean_distances(real), n_neighbors, axis=1)[:, n_neighbors]  # index 0 is the image itself
    to_real = euclidean_distances(synthetic, real[radii <= np.median(radii)])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = radii[radii <= np.median(radii)] / to_real
    return np.nan_to_num(ratios, nan=1.0, posinf=np.inf).max(1)  # 0 / 0: a copy of an image with duplicates


def _kernel(x, y):
    return (x @ y.T / x.shape[1] + 1) ** 3


def _off_diagonal(square):
    square = square.copy()
    np.fill_diagonal(square, 0)
    return square


def _scoring(classifier):
    return "decision_function" if hasattr(classifier, "decision_function") else "predict_proba"
