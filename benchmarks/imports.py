"""How long does the package take to import, beside what it stands on? Ratios of processor time, in one run.

    python benchmarks/imports.py

Each statement runs in new processes, in turn, so that all have the same machine; the median counts. The aim for a
sampler is at most 1.15 times the time of torch and imbalanced-learn alone.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys

BASE = "import torch, imblearn.over_sampling"
STATEMENTS = [
    BASE,
    "import gan_sampler",
    "from gan_sampler import DCGANOverSampler",
    "from gan_sampler import PixelSampler",
    "from gan_sampler.datasets import load_image_folder",
    "from gan_sampler import quality_report",
    "from gan_sampler import ResNet18Embedder",
    "from gan_sampler import CNNClassifier",
]


def measure(statement):
    """Return the seconds of processor time that a new process takes to run a statement."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", statement], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main():
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    options = parser.parse_args()
    os.environ["PYTHONDONTWRITEBYTECODE"] = ""  # else an interpreter told so compiles every module each time
    for statement in STATEMENTS:
        measure(statement)  # compiles what is not compiled yet
    rounds = [{statement: measure(statement) for statement in STATEMENTS} for _ in range(options.repeats)]
    for statement in STATEMENTS:
        seconds = statistics.median(times[statement] for times in rounds)
        ratio = statistics.median(times[statement] / times[BASE] for times in rounds)
        print(f"{seconds:6.2f} s  {ratio:5.2f}  {statement}")


if __name__ == "__main__":
    sys.exit(main())
