"""How often do paired tests find a difference where there is none, and what do they find where there is one?

    python benchmarks/research/false_positives.py docs/results/false_positives.csv

Simulates runs whose treatments do not differ, in cases that real runs show, and counts those with any p-value below .05
after Holm's correction: for `gan_sampler.evaluation` and for what it was before, a variance of its own for each
comparison with Satterthwaite's degrees of freedom. Power is the difference, in units of its standard deviation over the
seeds, that four tests of five find. Five minutes on one thread.
"""

import argparse
import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special

from gan_sampler.evaluation._statistics import p_values

ALPHA = 0.05
N_METRICS = 3
CORRELATION = 0.8  # between metrics of the same predictions


@dataclass(frozen=True)
class Scenario:
    """What varies over the seeds of a run, in units of the first classifier's standard deviation.

    Parameters
    ----------
    noisy : float
        Standard deviation of the noisy treatments; the others have 1.
    n_noisy : float
        Share of the treatments that are noisy; 0 makes it a single one.
    everywhere : bool
        Whether they are noisy for all classifiers, or for the first alone.
    rival : float
        Standard deviation of the treatment that the others are tested against.
    images : float
        Standard deviation of a difference over test images. Classifiers range from 1 to 0.01 over the seeds.
    image_freedom : float
        Degrees of freedom of its estimate: groups of the rarest class less one.
    overlap : float
        Test images per training image where each repeat has a test part of its own; 0 where all share one.
    normal : bool
        False draws the noise of seeds from Student's distribution with four degrees of freedom.
    """

    noisy: float = 1.0
    n_noisy: float = 0.0
    everywhere: bool = True
    rival: float = 1.0
    images: float = 0.0
    image_freedom: float = np.inf
    overlap: float = 0.0
    normal: bool = True

    def deviations(self, n_rows, n_treatments):
        """Return the standard deviation of every treatment, the rival first, (n_rows, 1 + n_treatments)."""
        found = np.ones((n_rows, 1 + n_treatments))
        noisy_rows = slice(None) if self.everywhere else slice(1)
        found[noisy_rows, 1 + n_treatments - max(1, round(self.n_noisy * n_treatments)) :] = self.noisy
        found[:, 0] = self.rival
        return found * np.geomspace(1, 0.01, n_rows)[:, None]


SCENARIOS = {
    "alike": Scenario(),
    "alike, test images": Scenario(images=0.1),
    "alike, test images of 10 patients": Scenario(images=0.1, image_freedom=9),
    "one 3 times": Scenario(3),
    "one 3 times, test images": Scenario(3, images=0.1),
    "one 10 times": Scenario(10),
    "one 10 times, test images": Scenario(10, images=0.1),
    "half 3 times, test images": Scenario(3, 0.5, images=0.1),
    "half 10 times, test images": Scenario(10, 0.5, images=0.1),
    "one 5 times for one classifier, test images": Scenario(5, everywhere=False, images=0.1),
    "one 10 times for one classifier, test images": Scenario(10, everywhere=False, images=0.1),
    "rival 10 times, test images": Scenario(rival=10, images=0.1),
    "rival steady, test images": Scenario(rival=0, images=0.1),
    "heavy tails, test images": Scenario(images=0.1, normal=False),
    "heavy tails, one 10 times": Scenario(10, normal=False),
    "own test parts": Scenario(overlap=1 / 3),
    "own test parts, one 10 times": Scenario(10, overlap=1 / 3),
}
SIZES = ((6, 10), (6, 3), (1, 11), (1, 2), (1, 1), (6, 1))  # classifiers, treatments


def simulate(scenario, n_runs, n_rows, n_treatments, n_repeats, random_state):
    """Return differences of runs whose treatments are equally good, and the variance over test images.

    Returns
    -------
    differences : ndarray of shape (n_runs, n_rows, n_treatments, N_METRICS, n_repeats)
    image_variance : ndarray of shape (n_runs, n_rows, n_treatments, N_METRICS)
    """
    factor = np.linalg.cholesky(np.full((N_METRICS, N_METRICS), CORRELATION) + (1 - CORRELATION) * np.eye(N_METRICS))

    def noise(normal, n):
        size = (n_runs, n_rows, 1 + n_treatments, N_METRICS, n)
        drawn = random_state.normal(size=size) if normal else random_state.standard_t(4, size=size) / 2**0.5
        return np.einsum("km,rctmn->rctkn", factor, drawn)

    deviations = scenario.deviations(n_rows, n_treatments)[..., None, None]
    in_common = scenario.overlap / (1 + scenario.overlap)  # correlation of repeats that share training images
    values = (1 - in_common) ** 0.5 * deviations * noise(scenario.normal, n_repeats)
    if in_common:
        values += in_common**0.5 * deviations * noise(scenario.normal, 1)
    values += scenario.images / 2**0.5 * noise(True, 1)
    differences = values[:, :, 1:] - values[:, :, :1]
    image_variance = np.full(differences.shape[:-1], scenario.images**2)
    if np.isfinite(scenario.image_freedom):
        image_variance *= random_state.chisquare(scenario.image_freedom, image_variance.shape) / scenario.image_freedom
    return differences, image_variance


def tested_now(differences, image_variance, scenario):
    """Return the p-values of `gan_sampler.evaluation`."""
    return p_values(
        differences,
        image_variance,
        shares_test_images=not scenario.overlap,
        overlap=scenario.overlap,
        image_freedom=scenario.image_freedom,
    )


def tested_before(differences, image_variance, scenario):
    """Return p-values from a variance of its own for each comparison, with Satterthwaite's degrees of freedom."""
    n = differences.shape[-1]
    of_seeds, freedom = differences.var(axis=-1, ddof=1) / n, n - 1
    variance = of_seeds * (1 + n * scenario.overlap)
    if not scenario.overlap:
        variance = of_seeds + image_variance
        freedom = variance**2 / (of_seeds**2 / (n - 1) + image_variance**2 / scenario.image_freedom)
    return 2 * special.stdtr(freedom, -np.abs(differences.mean(-1)) / np.sqrt(variance))


def false_positives(test, scenario, n_runs, n_rows, n_treatments, n_repeats, random_state):
    """Return the share of runs in which any p-value is below ALPHA after Holm's correction.

    Where no treatment differs, any is below if and only if the smallest is below it after Bonferroni's.
    """
    p = test(*simulate(scenario, n_runs, n_rows, n_treatments, n_repeats, random_state), scenario)
    smallest = p.reshape(n_runs, -1).min(axis=1)
    return float((smallest * p[0].size < ALPHA).mean())


def detectable(test, n_rows, n_treatments, n_repeats, random_state, n_runs=40):
    """Return the difference that 80 % of tests find, in units of its standard deviation over the seeds.

    In all treatments, alike, corrected for all comparisons of the run; NaN beyond 100.
    """
    differences, image_variance = simulate(Scenario(), n_runs, n_rows, n_treatments, n_repeats, random_state)
    unit = 2**0.5 * np.geomspace(1, 0.01, n_rows)[:, None, None, None]
    for effect in np.geomspace(0.5, 100, 80):
        p = test(differences + effect * unit, image_variance, Scenario())
        if (p * p[0].size < ALPHA).mean() >= 0.8:
            return float(effect)
    return np.nan


def main(argv=None):
    """Simulate at length and write a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="table to write")
    parser.add_argument("--n-runs", type=int, default=2000, help="simulated runs of each case")
    options = parser.parse_args(argv)
    tests = {"now": tested_now, "before": tested_before}
    table = []
    for (n_rows, n_treatments), n_repeats in itertools.product(SIZES, (3, 5, 10)):
        size = {"n_classifiers": n_rows, "n_treatments": n_treatments, "n_repeats": n_repeats}
        for name, scenario in SCENARIOS.items():
            found = {
                f"false_positives_{word}": false_positives(
                    test, scenario, options.n_runs, *size.values(), np.random.RandomState(0)
                )
                for word, test in tests.items()
            }
            table.append({**size, "case": name, "n_runs": options.n_runs, **found})
            print(table[-1], flush=True)
        power = {
            f"detectable_{word}": round(detectable(test, *size.values(), np.random.RandomState(0)), 2)
            for word, test in tests.items()
        }
        table.append({**size, "case": "difference found with 80 %", **power})
        print(table[-1], flush=True)
    pd.DataFrame(table).to_csv(options.file, index=False)


if __name__ == "__main__":
    main()
