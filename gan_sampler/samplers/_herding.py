"""Choosing the synthetic images that together are most like the real ones.

References
----------
.. [1] Y. Chen, M. Welling, A. Smola, "Super-Samples from Kernel Herding", UAI 2010. https://arxiv.org/abs/1203.3472
.. [2] A. Gretton et al., "A Kernel Two-Sample Test", JMLR 13, 2012. https://www.jmlr.org/papers/v13/gretton12a.html
"""

import numpy as np
from sklearn.metrics import euclidean_distances
from sklearn.metrics.pairwise import rbf_kernel


def herd(real, candidates, n_kept):
    """Choose candidates one after another so that the chosen ones stay as close to the real ones as they can [1]_.

    Each time the candidate is taken that is most like the real ones on average, less its likeness to those taken
    before (equation 8). That greedily keeps the maximum mean discrepancy [2]_ between chosen and real ones low: an
    implausible candidate is like nothing real, and of a kind that was taken often enough another one is too like those,
    so neither is taken while there is a better one. The kernel is Gaussian, exp(-d² / m²) at a distance of d, where m
    is the median distance between real ones.

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
    squares = euclidean_distances(real, squared=True)[np.triu_indices(len(real), k=1)]
    gamma = 1 / max(np.median(squares), np.finfo(real.dtype).tiny)
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
