"""How much faster is an evaluation with two workers than with one? The ratio, in one run.

    python benchmarks/workers.py                      # about 3 minutes on 2 cores
    python benchmarks/workers.py --workers 1 2 4 8    # on a larger machine

The same grid on solar cells is computed from nothing with each number of workers, in turn.
"""

import argparse
import sys
import tempfile
import time

from gan_sampler.evaluation import Settings, load, prepare

SETTINGS = Settings(dcgan={"n_steps": 300}, cnn={"max_epochs": 4}, ann={"max_epochs": 10}, embedder_size=64)
GRID = {
    "samplers": ["none", "class_weight", "threshold", "random", "smote", "augmentation", "dcgan", "dcgan_every_class"],
    "classifiers": ["tree", "forest", "svm", "logistic", "ann", "cnn"],
    "embedders": ["efficientnet_lite0"],
}


def measure(data, n_workers):
    """Return the seconds that the grid takes with `n_workers`."""
    with tempfile.TemporaryDirectory() as folder:
        evaluation = prepare(data, folder, seeds=(0, 1), settings=SETTINGS, n_jobs=n_workers, **GRID)
        evaluation.plan()  # measures first how long jobs take, so that the longest start first
        start = time.perf_counter()
        evaluation.run(progress=False)
        return time.perf_counter() - start


def main():
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], metavar="N")
    parser.add_argument("--max-images", type=int, default=800, metavar="N")
    options = parser.parse_args()
    data = load("elpv", image_size=32, max_images=options.max_images)
    seconds = {n_workers: measure(data, n_workers) for n_workers in options.workers}
    first = seconds[options.workers[0]]
    for n_workers, taken in seconds.items():
        print(f"{n_workers} workers: {taken:.0f} s, {first / taken:.2f} times as fast as {options.workers[0]}")


if __name__ == "__main__":
    sys.exit(main())
