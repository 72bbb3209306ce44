"""How fast training and drawing are, against a plain loop and against the machine's own rate of matrix products.

    python benchmarks/throughput.py                                              # on the CPU, a quarter of an hour
    python benchmarks/throughput.py --device cuda
    python benchmarks/throughput.py --rounds 1 --steps 2 --images 500            # a quick look

The plain loop is the one of PyTorch's DCGAN example: one pass of the real and two of the generated images through the
discriminator, images in memory, the same layers, batch and optimiser. The package trains in float32, as the plain loop
does, and in bfloat16. Each side runs in a process of its own, in turn, for several rounds; medians are compared, and
the sides of a round with each other. The share of the matrix rate, in the same precision, is that of the operations
that a step cannot do without: generated images pass the discriminator once, and no gradient is computed that nobody
uses.
"""

import argparse
import functools
import multiprocessing
import platform
import resource
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.benchmark import Measurement, TaskSpec, Timer, timer
from torch.utils.flop_counter import FlopCounterMode

from gan_sampler.images import check_images
from gan_sampler.networks import Discriminator, Generator
from gan_sampler.networks._resampling import DownsamplingConv2d, UpsamplingConv2d
from gan_sampler.runtime import isolated, keep_freed_memory
from gan_sampler.training import LOSSES, draw, freeze, train_gan
from gan_sampler.training._step import one_pass_gradients

LATENT_DIM, N_IMAGES = 100, 1024  # N_IMAGES: as many as a small class has
LEARNING_RATE, BETA_1 = 2e-4, 0.5


class Model(NamedTuple):
    """Networks to be trained: shape of the images, images in a batch, options of the two networks."""

    image_shape: tuple
    batch_size: int
    generator: dict
    discriminator: dict

    def networks(self, *, as_torch_has_them=False):
        """Return generator and discriminator, of this package's own convolutions or of torch's."""
        networks = Generator(self.image_shape, **self.generator), Discriminator(self.image_shape, **self.discriminator)
        for layer in (layer for network in networks for layer in network.modules()):
            if as_torch_has_them and isinstance(layer, UpsamplingConv2d | DownsamplingConv2d):
                layer.__class__ = nn.ConvTranspose2d if isinstance(layer, UpsamplingConv2d) else nn.Conv2d
        return networks

    def images(self, n_images):
        """Return random images, uint8."""
        return torch.randint(0, 256, (n_images, *self.image_shape), dtype=torch.uint8)


MODELS = {
    "pyramid 64x64x1, 64 base channels, batch 64": Model((1, 64, 64), 64, {"base_channels": 64}, {"base_channels": 64}),
    "four layers of 128 channels, 128x128x3, batch 32": Model(  # of the student report, presets.py's "report"
        (3, 128, 128),
        32,
        {"base_channels": 128, "channels": "flat", "base_size": 8, "norm": None},
        {"base_channels": 128, "channels": "flat", "dropout": 0.4},
    ),
}
PACKAGE, BFLOAT16, PLAIN = "gan_sampler", "gan_sampler, bfloat16", "plain loop"
DRAWING, MATRICES = "drawing 64x64x1", "matrix products"
PRECISIONS = {PACKAGE: "float32", BFLOAT16: "bfloat16"}  # of the package's trainings
DRAWN_BY = "pyramid 64x64x1, 64 base channels, batch 64"


class StepTimer:
    """Times of the steps of a training, as a penalty of `train_gan` that adds nothing to the gradients.

    Called at the beginning of each step. CUDA is waited for only every 50 steps, when `train_gan` does so itself.
    """

    def __init__(self, device, n_steps):
        self.block = 1 if device.type == "cpu" else 50  # steps timed together, of which the first ones are a warm-up
        self.n_steps = self.block * -(-n_steps // self.block) + 2 * self.block
        self._step, self._times = 0, []

    def __call__(self, *_):
        """Note the time."""
        if self._step % self.block == 0:
            self._times.append(timer())  # which waits for CUDA
        self._step += 1

    def median(self):
        """Return seconds for a step."""
        seconds = np.diff(self._times)[1:].tolist()
        return Measurement(self.block, seconds, TaskSpec(stmt="step", setup="")).median


def train(model, device, clock, precision):
    """Train with this package."""
    with isolated(device, 0):
        train_gan(
            *(network.to(device) for network in model.networks()),
            model.images(N_IMAGES).to(device),
            n_steps=clock.n_steps,
            batch_size=model.batch_size,
            learning_rate=LEARNING_RATE,
            beta_1=BETA_1,
            precision=precision,
            penalty=clock,
        )


def train_plainly(model, device, clock):
    """Train with the plain loop."""
    torch.manual_seed(0)
    networks = [network.to(device) for network in model.networks(as_torch_has_them=True)]
    images = (model.images(N_IMAGES) / 127.5 - 1).to(device)
    optimisers = [
        torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, betas=(BETA_1, 0.999)) for network in networks
    ]
    for _ in range(clock.n_steps):
        clock()
        plain_step(*networks, images[torch.randperm(N_IMAGES, device=device)[: model.batch_size]], *optimisers)


def plain_step(generator, discriminator, real, generator_optimiser=None, discriminator_optimiser=None):
    """Update both networks, or without optimisers compute their gradients alone."""
    criterion = nn.BCEWithLogitsLoss()
    ones, zeros = torch.ones(len(real), device=real.device), torch.zeros(len(real), device=real.device)
    discriminator.zero_grad()
    criterion(discriminator(real), ones).backward()
    fake = generator(torch.randn(len(real), LATENT_DIM, device=real.device))
    criterion(discriminator(fake.detach()), zeros).backward()
    if discriminator_optimiser is not None:
        discriminator_optimiser.step()
    generator.zero_grad()
    criterion(discriminator(fake), ones).backward()
    if generator_optimiser is not None:
        generator_optimiser.step()


def count_operations(model, n_images=2):
    """Count the floating-point operations of a step, for each image.

    Returns
    -------
    least, plain : float
        With each generated image once through the discriminator, and as the plain loop does it.
    """
    networks = model.networks(as_torch_has_them=True)
    real, noise = torch.zeros(n_images, *model.image_shape), torch.zeros(n_images, LATENT_DIM)
    with FlopCounterMode(display=False) as least:
        one_pass_gradients(*networks, real, noise, loss=LOSSES["non_saturating"], augment=nn.Identity())
    with FlopCounterMode(display=False) as plain:
        plain_step(*networks, real)
    return least.get_total_flops() / n_images, plain.get_total_flops() / n_images


def draw_images(generator, result):
    """Draw images into an array of bytes with this package."""
    generator.to(memory_format=torch.channels_last)
    _, image_format = check_images(result[:2], data_format="channels_first")
    image_format.fill(result, draw(generator, len(result)))


@torch.no_grad()
def draw_plainly(generator, result, batch_size=64):
    """Draw images into an array of bytes in batches that are put together at the end."""
    device = next(generator.parameters()).device
    drawn = [
        generator(torch.randn(min(batch_size, len(result) - first), LATENT_DIM, device=device)).cpu()
        for first in range(0, len(result), batch_size)
    ]
    result[:] = torch.cat(drawn).add(1).mul(127.5).round().to(torch.uint8).numpy()


def time_training(run, model, options):
    """Return images a second."""
    device = torch.device(options.device)
    clock = StepTimer(device, options.steps)
    run(model, device, clock)
    return {"rate": model.batch_size / clock.median()}


def time_drawing(run, options):
    """Return images a second, and the megabytes that the process grew by at most."""
    model, device = MODELS[DRAWN_BY], torch.device(options.device)
    with isolated(device, 0):
        generator = freeze(model.networks(as_torch_has_them=run is draw_plainly)[0].to(device))
        before = _peak_memory()
        result = np.zeros((options.images, *model.image_shape), dtype=np.uint8)
        seconds = _median_seconds(lambda: run(generator, result))
    return {"rate": options.images / seconds, "megabytes": (_peak_memory() - before) / 2**20}


def time_matrices(dtype, options):
    """Return floating-point operations a second in products of square matrices of a dtype."""
    size = 2048 if options.device == "cpu" else 8192
    a, b = torch.randn(2, size, size, device=options.device).to(dtype)
    return {"rate": 2 * size**3 / _median_seconds(lambda: a @ b)}


def _median_seconds(function):
    clock = Timer("function()", globals={"function": function}, num_threads=torch.get_num_threads())
    return clock.blocked_autorange(min_run_time=1).median


def _peak_memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def make_jobs():
    """Return what is measured: {(what, side): function of the options}."""
    jobs = {}
    for side, precision in PRECISIONS.items():
        jobs[MATRICES, side] = functools.partial(time_matrices, getattr(torch, precision))
    for name, model in MODELS.items():
        for side, precision in PRECISIONS.items():
            run = functools.partial(train, precision=precision)
            jobs[name, side] = functools.partial(time_training, run, model)
        jobs[name, PLAIN] = functools.partial(time_training, train_plainly, model)
    jobs[DRAWING, PACKAGE] = functools.partial(time_drawing, draw_images)
    jobs[DRAWING, PLAIN] = functools.partial(time_drawing, draw_plainly)
    return jobs


def run_job(job, options):
    """Do one measurement; in a process of its own."""
    keep_freed_memory()
    torch.set_num_threads(options.threads)
    return job(options)


def measure(options):
    """Return a table with a row for each round, work and side."""
    jobs, rows = make_jobs(), []
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool:
        for number in range(1, options.rounds + 1):
            found = pool.map(run_job, jobs.values(), [options] * len(jobs))
            for (what, side), result in zip(jobs, found, strict=True):
                rows.append({"round": number, "what": what, "side": side, **result})
            print(f"round {number} of {options.rounds} done", file=sys.stderr, flush=True)
    return pd.DataFrame(rows)


def summarise(table):
    """Return medians over the rounds, ratios to the plain loop, and shares of the matrix rate.

    Columns of bfloat16 end with it, the others are those of float32.
    """
    wide = table.pivot(index=["what", "round"], columns="side", values=["rate", "megabytes"])
    megabytes = wide["megabytes"].groupby("what", sort=False).median()
    summary = wide["rate"].groupby("what", sort=False).median()
    ends = {side: side.removeprefix(PACKAGE) for side in PRECISIONS}  # of columns
    for side, end in ends.items():
        spread = (wide["rate", side] / wide["rate", PLAIN]).groupby("what", sort=False)
        for column, value in (("ratio", spread.median()), ("lowest", spread.min()), ("highest", spread.max())):
            summary[column + end] = value
    summary["megabytes"], summary["megabytes, plain"] = megabytes[PACKAGE], megabytes[PLAIN]
    for name, model in MODELS.items():
        least, plain = count_operations(model)
        summary.loc[name, ["GFLOP an image", "GFLOP, plain"]] = least / 1e9, plain / 1e9
        for side, end in ends.items():
            share = summary.loc[name, side] * least / summary.loc[MATRICES, side]
            summary.loc[name, f"share of matrix rate, %{end}"] = 100 * share
    return summary.loc[table["what"].unique()]


def show(summary):
    """Return the summary as text."""
    rates, rest = summary.loc[MATRICES, list(PRECISIONS)] / 1e9, summary.drop(MATRICES)
    products = " and ".join(f"{rate:.0f} GFLOP/s in {PRECISIONS[side]}" for side, rate in rates.items())
    return (
        f"matrix products: {products}; {PACKAGE} and {PLAIN} in images/s\n\n"
        f"{rest.map('{:.3g}'.format).replace('nan', '').to_markdown()}"
    )


def main():
    """Read the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu, or a CUDA device")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--steps", type=int, help="steps of a training; 8 on the CPU, 200 on CUDA where left out")
    parser.add_argument("--images", type=int, default=10_000, help="images drawn; default: %(default)s")
    parser.add_argument("--threads", type=int, default=2, help="torch's threads on the CPU; default: %(default)s")
    parser.add_argument("--out", type=Path, help="CSV file for the figures of every round")
    options = parser.parse_args()
    options.steps = options.steps or (8 if options.device == "cpu" else 200)

    table = measure(options)
    if options.out:
        table.to_csv(options.out, index=False)
    device = options.device if options.device == "cpu" else torch.cuda.get_device_name(options.device)
    print(f"{device}, {options.threads} threads; Python {platform.python_version()}, torch {torch.__version__}")
    print(f"medians of {options.rounds} rounds; {show(summarise(table))}")


if __name__ == "__main__":
    main()
