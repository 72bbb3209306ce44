"""Choosing the synthetic images that together are most like the real ones.

References
----------
.. [1] Y. Chen, M. Welling, A. Smola, "Super-Samples from Kernel Herding", UAI 2010. https://arxiv.org/abs/1203.3472
.. [2] A. Gretton et al., "A Kernel Two-Sample Test", JMLR 13, 2012. https://www.jmlr.org/papers/v13/gretton12a.html
"""

import numpy as np
from sklearn.metrics import euclidean_distances
from sklearn.metrics.pairwise import rbf_kernel

_ROUNDING = 1e-12  # a squared distance below this may be one of equal features, which are at most 1
_FAR = 1e6  # times the spread of the real ones, where a candidate is like none of them


def herd(real, candidates, n_kept):
    """Choose candidates one after another so that the chosen ones stay as close to the real ones as they can [1]_.

    Each time the candidate is taken that is most like the real ones on average, less its likeness to those taken
    before (equation 8). That greedily keeps the maximum mean discrepancy [2]_ between chosen and real ones low: an
    implausible candidate is like nothing real, and of a kind that was taken often enough another one is too like those,
    so neither is taken while there is a better one. The kernel is Gaussian, exp(-d² / m²) at a distance of d, where m
    is the median distance between different real ones or, where all real ones are equal, from them to the candidates
    that differ. Features of any finite size will do.

    Parameters
    ----------
    real : ndarray of shape (n_real, n_features)
        Features of at least two real images.
    candidates : ndarray of shape (n_candidates, n_features)
        Features to choose from.
    n_kept : int
        How many to choose, at most `n_candidates`.

    Returns
    -------
    chosen : ndarray of shape (n_kept,), int
        Different rows of `candidates`, in the order in which they were chosen.
    """
    real, candidates = _scale(real, candidates)
    gamma = 1 / _median_square(real, candidates)
    likeness = rbf_kernel(candidates, real, gamma).mean(axis=1)
    among = rbf_kernel(candidates, gamma=gamma)
    to_chosen = np.zeros(len(candidates))
    chosen = np.empty(n_kept, dtype=int)
    for n in range(n_kept):
        gain = likeness - to_chosen / (n + 1)
        gain[chosen[:n]] = -np.inf
        chosen[n] = gain.argmax()
        to_chosen += among[chosen[n]]
    return chosen


def _scale(real, candidates):
    """Return features over the spread of the real ones, so that no square overflows or underflows."""
    largest = max(np.abs(features).max() for features in (real, candidates)) or 1.0
    real, candidates = real / largest, candidates / largest
    center = real.mean(axis=0)  # what all have in common takes digits away from the distances
    real, candidates = real - center, candidates - center
    spread = np.abs(real).max() or np.abs(candidates).max() or 1.0
    return real / spread, np.clip(candidates / spread, -_FAR, _FAR)


def _median_square(real, candidates):
    """Return the median squared distance between different real images, else to candidates, else 1: all are equal."""
    among_real = euclidean_distances(real, squared=True)[np.triu_indices(len(real), k=1)]
    to_candidates = euclidean_distances(real[:1], candidates, squared=True).ravel()
    for squares in (among_real, to_candidates):
        different = squares[squares > _ROUNDING]
        if len(different):
            return np.median(different)
    return 1.0
