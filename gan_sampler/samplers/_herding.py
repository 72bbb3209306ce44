"""Kernel herding: selecting synthetic images whose distribution is close to that of the real images.

References
----------
.. [1] Y. Chen, M. Welling, A. Smola, "Super-Samples from Kernel Herding", UAI 2010. https://arxiv.org/abs/1203.3472
.. [2] A. Gretton et al., "A Kernel Two-Sample Test", JMLR 13, 2012. https://www.jmlr.org/papers/v13/gretton12a.html
"""

import numpy as np
from sklearn.metrics import euclidean_distances
from sklearn.metrics.pairwise import rbf_kernel

_ROUNDING = 1e-12  # squared distances below this may be rounding errors; features are at most 1
_FAR = 1e6  # limit of features, in multiples of the spread of the real ones


def herd(real, candidates, n_kept):
    """Select candidates one after another so that the selection is as close as possible to the real ones [1]_.

    Each step selects the candidate with the largest mean similarity to the real ones, minus its mean similarity to
    those selected before (equation 8). This greedily minimises the maximum mean discrepancy [2]_ between the selection
    and the real ones. Implausible candidates have a low similarity to the real ones, and candidates of an already
    frequent kind a high similarity to the selection, so both are avoided. The similarity is a Gaussian kernel, exp(-d²
    / m²) at distance d, where m is the median distance between different real ones or, if all real ones are equal, from
    them to the candidates that differ. Features may have any finite size.

    Parameters
    ----------
    real : ndarray of shape (n_real, n_features)
        Features of at least two real images.
    candidates : ndarray of shape (n_candidates, n_features)
        Features of the candidates.
    n_kept : int
        Number to select, at most `n_candidates`.

    Returns
    -------
    chosen : ndarray of shape (n_kept,), int
        Different rows of `candidates`, in the order in which they were selected.
    """
    real, candidates = _scale(real, candidates)
    gamma = 1 / _median_square(real, candidates)
    similarity = rbf_kernel(candidates, real, gamma).mean(axis=1)
    among = rbf_kernel(candidates, gamma=gamma)
    to_chosen = np.zeros(len(candidates))
    chosen = np.empty(n_kept, dtype=int)
    for n in range(n_kept):
        gain = similarity - to_chosen / (n + 1)
        gain[chosen[:n]] = -np.inf
        chosen[n] = gain.argmax()
        to_chosen += among[chosen[n]]
    return chosen


def _scale(real, candidates):
    """Return features divided by the spread of the real ones, so that no square overflows or underflows."""
    largest = max(np.abs(features).max() for features in (real, candidates)) or 1.0
    real, candidates = real / largest, candidates / largest
    center = real.mean(axis=0)  # a common offset would reduce the precision of distances
    real, candidates = real - center, candidates - center
    spread = np.abs(real).max() or np.abs(candidates).max() or 1.0
    return real / spread, np.clip(candidates / spread, -_FAR, _FAR)


def _median_square(real, candidates):
    """Return the median squared distance between different real images, else to candidates; 1 if all are equal."""
    among_real = euclidean_distances(real, squared=True)[np.triu_indices(len(real), k=1)]
    to_candidates = euclidean_distances(real[:1], candidates, squared=True).ravel()
    for squares in (among_real, to_candidates):
        different = squares[squares > _ROUNDING]
        if len(different):
            return np.median(different)
    return 1.0
