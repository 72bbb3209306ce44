"""What the research scripts share: options, data, images of a training on its way, and tables that can be continued."""

import argparse
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from PIL import Image

from gan_sampler import DCGANOverSampler
from gan_sampler.evaluation._data import load
from gan_sampler.evaluation._splits import Split, thin_rarest
from gan_sampler.evaluation._store import digest_of, versions
from gan_sampler.training import PixelFrechetDistance
from gan_sampler.training._progress import REPORT_EVERY


class UsageError(Exception):
    """What whoever runs a script can mend."""


def make_parser(description, *, out, data="chest_xray", seeds=(0,), n_jobs=2):
    """Return a parser with the options that all tables have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=data, help="folder of the X-rays, or as in run.py (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path(out), help="the CSV file (default: %(default)s)")
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=list(seeds), help=f"default: {' '.join(map(str, seeds))}"
    )
    parser.add_argument(
        "--n-jobs",
        type=int,
        default=n_jobs,
        help="processes; more than 1 need OMP_NUM_THREADS=1 (default: %(default)s)",
    )
    parser.add_argument("--show", action="store_true", help="print the table of the file and compute nothing")
    return parser


def add_choice(parser, option, choices, default=None):
    """Add an option that takes some of `choices`, by default all."""
    names = "some of: " + "; ".join(choices)
    default = list(choices if default is None else default)
    parser.add_argument(option, nargs="+", default=default, choices=choices, metavar="NAME", help=names)


def load_images(word, size):
    """Return a data set of square images; the digits, which have one size, are interpolated to any other."""
    try:
        data = load(word, image_size=None if word == "digits" else size)
    except (ValueError, OSError, ImportError) as exc:
        raise UsageError(f"--data {word}: {exc}") from exc
    if word != "digits":
        return data
    resized = [Image.fromarray(image).resize((size, size), Image.BICUBIC) for image in data.images]
    return replace(data, images=np.stack([np.asarray(image) for image in resized]))


def training_part(data):
    """Return the training images of a data set that comes with a split, and else all."""
    return data if data.split is None else data.take(data.split == "train")


def rarest_class(data):
    """Return the label with the fewest images."""
    return int(np.bincount(data.target).argmin())


def thin(data, n_images, seed):
    """Return which rows are left when the rarest class has `n_images`; all of them where that is None."""
    rows = np.arange(len(data.target))
    if n_images is None:
        return rows
    return thin_rarest(Split("all", seed, rows, rows[:0]), data.target, n_images).train


def as_bytes(images):
    """Return a tensor of images in [-1, 1] as uint8."""
    return images.add(1).mul(127.5).round().byte()


class Snapshots(PixelFrechetDistance):
    """The score of a training, with the images that each report scores and what it says of them, by step."""

    def __init__(self, images):
        super().__init__(images)
        self.found = {}

    def __call__(self, images):
        """Score images, and keep them."""
        record = super().__call__(images)
        self.found[REPORT_EVERY * (len(self.found) + 1)] = as_bytes(images), record
        return record


def add_generators(parser):
    """Add the options of `train_generators`."""
    n_steps = DCGANOverSampler().n_steps
    parser.add_argument(
        "--cache", default="results/remedies", help="folder for generators and features (default: %(default)s)"
    )
    parser.add_argument("--n-steps", type=int, default=n_steps, help="steps of each generator (default: %(default)s)")


def train_generators(images, target, seed, n_steps, folder):
    """Return a sampler with a generator of every class, from the cache in `folder` where it is there."""
    return joblib.Memory(folder, verbose=0).cache(_train_generators)(images, target, seed, n_steps, versions())


def _train_generators(images, target, seed, n_steps, _):
    one_more = {label: n + 1 for label, n in enumerate(np.bincount(target).tolist())}
    sampler = DCGANOverSampler(sampling_strategy=one_more, n_steps=n_steps, random_state=seed)
    sampler.fit_resample(images, target)
    return sampler


def made_by(files, data, *settings):
    """Return a digest of scripts, data sets, settings and versions of packages, which tells rows of tables apart."""
    scripts = [Path(file).read_text() for file in (__file__, *files)]
    return digest_of(scripts, [part.fingerprint for part in data], settings, versions())[:12]


def complete(options, compute, cells, *, by, digest):
    """Compute what a table lacks, and return it.

    Rows are appended to the CSV file as they are done, so that a run that was stopped is continued by the same command.

    Parameters
    ----------
    options : argparse.Namespace
        Of `make_parser`.
    compute : callable
        Takes the values that name a cell, and returns its rows, a list of dict.
    cells : list of tuple
        Which cells are wanted.
    by : tuple of str
        Columns that hold those values.
    digest : str
        Of `made_by`.

    Returns
    -------
    table : pandas.DataFrame

    Raises
    ------
    UsageError
        When the file holds rows of other scripts, data or versions.
    """
    file = options.out
    file.parent.mkdir(parents=True, exist_ok=True)
    done = pd.read_csv(file) if file.is_file() else pd.DataFrame(columns=[*by, "made_by"])
    if len(done) and set(done.get("made_by", [None])) != {digest}:
        raise UsageError(
            f"--out must hold rows of the same scripts, data and versions; {file} has others. Move it away, or name "
            "another file."
        )
    known = set(done[list(by)].itertuples(index=False, name=None))
    missing = [cell for cell in cells if cell not in known]
    print(f"{len(missing)} cells to compute, {len(cells) - len(missing)} known", flush=True)
    found = joblib.Parallel(n_jobs=options.n_jobs, return_as="generator_unordered")(
        joblib.delayed(compute)(*cell) for cell in missing
    )
    for rows in found:
        table = pd.DataFrame(rows).assign(made_by=digest)
        table.to_csv(file, mode="a", header=not file.is_file(), index=False)
        print(table.drop(columns="made_by").round(3).to_string(index=False, header=False), flush=True)
    return pd.read_csv(file)


def run(parser, options, compute_table, show):
    """Compute a table, or with ``--show`` read it, and print it; what the user can mend is told in a line."""
    if options.show and not options.out.is_file():
        parser.error(f"--out must be a file that this command wrote; there is no {options.out}")
    try:
        table = pd.read_csv(options.out) if options.show else compute_table(options)
    except UsageError as exc:
        parser.error(str(exc))
    print(show(table))
