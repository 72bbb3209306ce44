"""How often does the interval of the share of the room that a treatment closes hold the true share?

    python benchmarks/research/room_coverage.py docs/results/room_coverage.csv

Simulates runs of treatments between doing nothing and all real images, and counts those whose interval of
`gan_sampler.evaluation._room` holds the share: among all runs, where an interval without a significant room holds every
share, and among those with one. Standard deviations are in units of the room. Half a minute on one thread.
"""

import argparse
import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from gan_sampler.evaluation._room import against_mixture
from gan_sampler.evaluation._statistics import p_values

ALPHA = 0.05
SHARES = (0.0, 0.5, 1.0)
N_REPEATS = (3, 5, 10)
N_TREATMENTS = (1, 8)


@dataclass(frozen=True)
class Scenario:
    """What varies, as standard deviations in units of the room.

    Parameters
    ----------
    seeds : float
        Of a treatment, and of doing nothing, over the seeds.
    reference : float
        Of all real images over the seeds.
    images : float
        Of each over test images.
    correlation : float
        Of two treatments over test images.
    own_parts : bool
        Whether each repeat has test images of its own, a third as many as training images.
    """

    seeds: float = 0.1
    reference: float = 0.02
    images: float = 0.1
    correlation: float = 0.8
    own_parts: bool = False

    @property
    def design(self):
        """Parameters of `compare_differences`."""
        overlap = 1 / 3 if self.own_parts else 0.0
        return {"shares_test_images": not self.own_parts, "overlap": overlap, "image_freedom": 200}


SCENARIOS = {
    "as measured": Scenario(),
    "no variance over test images": Scenario(images=0.0),
    "noisy reference": Scenario(reference=0.3),
    "seeds vary much": Scenario(seeds=0.5),
    "test images vary much": Scenario(images=0.5),
    "both vary much, independently": Scenario(seeds=0.5, images=0.5, correlation=0.0),
    "own test parts": Scenario(own_parts=True),
    "own test parts, seeds vary much": Scenario(seeds=0.5, own_parts=True),
}


def simulate(scenario, share, n_runs, n_treatments, n_repeats, random_state):
    """Return differences and moments of runs, as `shares_closed` takes them.

    Returns
    -------
    differences : ndarray of shape (n_runs, n_treatments + 1, n_repeats)
    moments : ndarray of shape (3, n_runs, n_treatments + 1)
    """
    n = n_treatments + 2  # with doing nothing first, and all real images last
    means = np.array([0.0, *[share] * n_treatments, 1.0])
    deviations = np.array([*[scenario.seeds] * (n - 1), scenario.reference])
    overlap = scenario.design["overlap"]
    in_common = overlap / (1 + overlap)  # correlation of repeats that share training images
    noise = (1 - in_common) ** 0.5 * random_state.normal(size=(n_runs, n, n_repeats))
    noise = noise + in_common**0.5 * random_state.normal(size=(n_runs, n, 1))
    covariance = scenario.images**2 * (scenario.correlation + (1 - scenario.correlation) * np.eye(n))
    n_parts = n_repeats if scenario.own_parts else 1
    of_images = random_state.multivariate_normal(np.zeros(n), covariance, size=(n_runs, n_parts))
    values = means[:, None] + deviations[:, None] * noise + np.swapaxes(of_images, 1, 2)
    differences = values[:, 1:] - values[:, :1]
    contrast = np.hstack([-np.ones((n - 1, 1)), np.eye(n - 1)])
    of_pairs = contrast @ covariance @ contrast.T
    moments = np.stack([np.diag(of_pairs), of_pairs[:, -1], np.full(n - 1, of_pairs[-1, -1])])
    return differences, np.repeat(moments[:, None], n_runs, axis=1)


def coverage(scenario, share, n_runs, n_treatments, n_repeats, random_state):
    """Return how often an interval holds the share, how often there is one, and how often those that there are hold it.

    Of the first treatment of every run.
    """
    differences, moments = simulate(scenario, share, n_runs, n_treatments, n_repeats, random_state)
    room = p_values(differences[:, None, :, None], moments[0][:, None, :, None], **scenario.design)[:, 0, -1, 0]
    has_room = (room < ALPHA) & (differences[:, -1].mean(-1) > 0)
    p = p_values(*against_mixture(differences, moments, np.full(n_runs, share)), **scenario.design)[:, 0, 0, 0]
    holds = p >= ALPHA
    return {
        "coverage": float((holds | ~has_room).mean()),
        "has_room": float(has_room.mean()),
        "coverage_with_room": float(holds[has_room].mean()) if has_room.any() else np.nan,
    }


def main(argv=None):
    """Simulate at length and write a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="table to write")
    parser.add_argument("--n-runs", type=int, default=1000, help="simulated runs of each case")
    options = parser.parse_args(argv)
    table = []
    for name, share, n_treatments, n_repeats in itertools.product(SCENARIOS, SHARES, N_TREATMENTS, N_REPEATS):
        size = {"n_treatments": n_treatments, "n_repeats": n_repeats}
        found = coverage(SCENARIOS[name], share, options.n_runs, *size.values(), np.random.RandomState(0))
        table.append({"case": name, "share": share, **size, "n_runs": options.n_runs, **found})
        print(table[-1], flush=True)
    pd.DataFrame(table).to_csv(options.file, index=False)


if __name__ == "__main__":
    main()
