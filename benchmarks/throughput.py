"""How fast training and drawing are, against a plain loop and against the machine's own rate of matrix products.

    python benchmarks/throughput.py                                   # on the CPU, about 12 minutes
    python benchmarks/throughput.py --device cuda --data FOLDER       # the report's training too; under 8 minutes

The plain loop is the one of PyTorch's DCGAN example: one pass of the real and two of the generated images through the
discriminator, images in memory, the same layers, batch and optimiser. Each side runs in a process of its own, in turn,
for several rounds; medians are compared. The floor counts the multiplications that one step cannot do without, from
the shapes of the layers: two operations to each, forward and for both gradients, and generated images once through
the discriminator.
"""

import argparse
import json
import math
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from gan_sampler.images import check_images
from gan_sampler.networks import Discriminator, Generator
from gan_sampler.networks._resampling import DownsamplingConv2d, UpsamplingConv2d
from gan_sampler.runtime import isolated, keep_freed_memory
from gan_sampler.training import PixelFrechetDistance, draw, freeze, train_gan

# The networks of the student report, presets.py's "report": name: (image shape, batch, generator, discriminator)
WORKS = {
    "pyramid 64x64x1, width 64, batch 64": ((1, 64, 64), 64, {"base_channels": 64}, {"base_channels": 64}),
    "flat-128 128x128x3, batch 32": (
        (3, 128, 128),
        32,
        {"base_channels": 128, "channels": "flat", "base_size": 8, "norm": None},
        {"base_channels": 128, "channels": "flat", "dropout": 0.4},
    ),
}
DRAWING, N_DRAWN = "pyramid 64x64x1, width 64, batch 64", 10_000
REPORT, REPORT_IMAGES, REPORT_EPOCHS = "flat-128 128x128x3, batch 32", 1341, 100
ADAM = {"learning_rate": 2e-4, "beta_1": 0.5}


def make_players(work):
    """Return generator and discriminator of a work, on the CPU."""
    shape, _, generator, discriminator = WORKS[work]
    return Generator(shape, **generator), Discriminator(shape, **discriminator)


def make_images(work, n_images=1024):
    """Return random images, uint8, as many as a small class has."""
    return torch.randint(0, 256, (n_images, *WORKS[work][0]), dtype=torch.uint8)


def operations(work):
    """Count the floating-point operations of a step, for each image.

    Returns
    -------
    floor, plain : float
        With each generated image once through the discriminator, and as the plain loop does it.
    """
    players, shape = make_players(work), WORKS[work][0]
    counts = [
        _layer_operations(player, x)
        for player, x in zip(players, (torch.zeros(1, 100), torch.zeros(1, *shape)), strict=True)
    ]
    (g, g_first), (d, d_first) = ((sum(layers), layers[0]) for layers in counts)
    generator = 3 * g - g_first  # forward and two gradients; nobody asks for that of the noise
    real, fake = 3 * d - d_first, 3 * d
    return generator + real + fake, generator + 2 * real + fake


def _layer_operations(network, example):
    found = []

    def count(layer, inputs, output):
        weights = layer.weight.numel()
        if isinstance(layer, nn.ConvTranspose2d):
            found.append(2 * weights * inputs[0].shape[2] * inputs[0].shape[3])
        elif isinstance(layer, nn.Conv2d):
            found.append(2 * weights * output.shape[2] * output.shape[3])
        else:
            found.append(2 * weights)

    hooks = [
        layer.register_forward_hook(count)
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
    ]
    with torch.no_grad():
        network.eval()(example)
    for hook in hooks:
        hook.remove()
    return found


def as_torch_wrote_them(*networks):
    """Give the convolutions of this package torch's own way of computing them."""
    for network in networks:
        for layer in network.modules():
            if isinstance(layer, UpsamplingConv2d | DownsamplingConv2d):
                layer.__class__ = nn.ConvTranspose2d if isinstance(layer, UpsamplingConv2d) else nn.Conv2d
    return networks


class Clock:
    """Time of `n_steps` steps after a warm-up; CUDA is waited for at both ends alone."""

    def __init__(self, device, n_steps, warm_up):
        self.device, self.n_steps, self.warm_up, self.times = device, n_steps, warm_up, []

    def tick(self, *_):
        """Note the time at the beginning of a step, as a penalty of `train_gan` that costs nothing."""
        if self.device.type == "cuda" and len(self.times) in (self.warm_up, self.warm_up + self.n_steps):
            torch.cuda.synchronize(self.device)
        self.times.append(time.perf_counter())

    def seconds_per_step(self):
        """Return the mean between the warm-up and the beginning of the step after the last."""
        return (self.times[self.warm_up + self.n_steps] - self.times[self.warm_up]) / self.n_steps


def time_ours(work, device, n_steps, warm_up):
    """Return seconds for a step of `train_gan`."""
    clock, batch_size = Clock(device, n_steps, warm_up), WORKS[work][1]
    with isolated(device, 0):
        players = [player.to(device) for player in make_players(work)]
        train_gan(
            *players,
            make_images(work).to(device),
            n_steps=warm_up + n_steps + 1,
            batch_size=batch_size,
            penalty=clock.tick,
            **ADAM,
        )
    return clock.seconds_per_step()


def time_plain(work, device, n_steps, warm_up, batches=None):
    """Return seconds for a step of the plain loop; images come from memory unless `batches` gives them."""
    torch.manual_seed(0)
    batch_size = WORKS[work][1]
    generator, discriminator = (player.to(device) for player in as_torch_wrote_them(*make_players(work)))
    if batches is None:
        images = (make_images(work) / 127.5 - 1).to(device)
        batches = (images[torch.randperm(len(images), device=device)[:batch_size]] for _ in iter(int, 1))
    adam = {"lr": ADAM["learning_rate"], "betas": (ADAM["beta_1"], 0.999)}
    generator_adam = torch.optim.Adam(generator.parameters(), **adam)
    discriminator_adam = torch.optim.Adam(discriminator.parameters(), **adam)
    criterion, clock = nn.BCEWithLogitsLoss(), Clock(device, n_steps, warm_up)
    for _ in range(warm_up + n_steps + 1):
        clock.tick()
        real = next(batches).to(device)
        ones, zeros = torch.ones(len(real), device=device), torch.zeros(len(real), device=device)
        discriminator.zero_grad()
        criterion(discriminator(real), ones).backward()
        fake = generator(torch.randn(len(real), 100, device=device))
        criterion(discriminator(fake.detach()), zeros).backward()
        discriminator_adam.step()
        generator.zero_grad()
        criterion(discriminator(fake), ones).backward()
        generator_adam.step()
    return clock.seconds_per_step()


def jpeg_batches(folder, work, n_workers):
    """Yield batches for ever, as a DataLoader reads them from a folder of class folders."""
    shape, batch_size, *_ = WORKS[work]
    reading = v2.Compose(
        [v2.Resize(shape[1:]), v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.5] * 3)]
    )
    files = ImageFolder(folder, reading)
    rarest = min(set(files.targets), key=files.targets.count)
    rows = [row for row, target in enumerate(files.targets) if target == rarest]
    if len(rows) < batch_size:
        raise ValueError(f"--data must hold at least {batch_size} images of its rarest class; got {len(rows)}.")
    loader = torch.utils.data.DataLoader(
        torch.utils.data.Subset(files, rows),
        batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=n_workers,
        persistent_workers=True,
    )
    while True:
        for images, _ in loader:
            yield images


def time_drawing(ours, device, n_images):
    """Return seconds to draw images into an array of bytes, and the bytes that the process grew by meanwhile."""
    shape, batch_size, *_ = WORKS[DRAWING]
    with isolated(device, 0):
        generator = make_players(DRAWING)[0].to(device)
        if ours:
            generator.to(memory_format=torch.channels_last)
        else:
            as_torch_wrote_them(generator)
        freeze(generator)
        result = np.zeros((n_images, *shape), dtype=np.uint8)
        _, image_format = check_images(result[:2], data_format="channels_first")
        before, start = _peak_memory(), time.perf_counter()
        if ours:
            image_format.fill(result, draw(generator, n_images))
        else:
            drawn = []
            with torch.no_grad():
                for filled in range(0, n_images, batch_size):
                    n = min(batch_size, n_images - filled)
                    drawn.append(generator(torch.randn(n, generator.latent_dim, device=device)).cpu())
            result[:] = torch.cat(drawn).add(1).mul(127.5).round().to(torch.uint8).numpy()
        return time.perf_counter() - start, _peak_memory() - before


def _peak_memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def matrix_rate(device, dtype, size):
    """Return floating-point operations a second in products of square matrices."""
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    seconds = []
    for _ in range(12):
        start = time.perf_counter()
        c = a @ b
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    del c
    return 2 * size**3 / statistics.median(seconds[2:])


def work_alone(task, device, data, scale):
    """Do one measurement; what a process of its own is started for."""
    on_cuda = device.type == "cuda"
    kind, _, work = task.partition(":")
    n_steps, warm_up = (200, 20) if on_cuda else (math.ceil(scale * (8 if "64x64" in work else 4)), 2)
    if kind == "matrix":
        return {
            "float32": matrix_rate(device, torch.float32, 8192 if on_cuda else 2048),
            "bfloat16": matrix_rate(device, torch.bfloat16, 8192) if on_cuda else None,
        }
    if kind == "ours":
        return {"images_per_second": WORKS[work][1] / time_ours(work, device, n_steps, warm_up)}
    if kind == "plain":
        return {"images_per_second": WORKS[work][1] / time_plain(work, device, n_steps, warm_up)}
    if kind == "files":
        n_workers = 16 if on_cuda else 2
        seconds = time_plain(work, device, n_steps, warm_up, jpeg_batches(data, work, n_workers))
        return {"images_per_second": WORKS[work][1] / seconds}
    if kind in ("drawing", "plain drawing"):
        n_images = math.ceil(scale * N_DRAWN)
        seconds, grown = time_drawing(kind == "drawing", device, n_images)
        return {"images_per_second": n_images / seconds, "bytes_grown": grown}
    start = time.perf_counter()  # the report's whole training, as a user runs it, building the networks included
    with isolated(device, 0):
        players = [player.to(device) for player in make_players(REPORT)]
        n_steps = math.ceil(scale * REPORT_EPOCHS * REPORT_IMAGES / 32)
        images = make_images(REPORT, REPORT_IMAGES).to(device)
        train_gan(*players, images, n_steps=n_steps, score=PixelFrechetDistance(images), **ADAM)
    return {"seconds": time.perf_counter() - start}


def in_its_own_process(task, options):
    """Return what `work_alone` says there."""
    command = [sys.executable, "-W", "ignore", __file__, "--only", task, "--device", options.device]
    command += ["--scale", str(options.scale), "--threads", str(options.threads)]
    command += ["--data", options.data] if options.data else []
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{task} failed:\n{result.stderr}")
    return json.loads(result.stdout)


def measure(tasks, options):
    """Run tasks in turn for the rounds asked for, and return the results of each."""
    results = {task: [] for task in tasks}
    for number in range(options.rounds):
        for task in tasks:
            results[task].append(in_its_own_process(task, options))
        print(f"round {number + 1} of {options.rounds} done", file=sys.stderr, flush=True)
    return results


def summarise(results, options):
    """Return the figures, with medians, ratios and shares."""

    def median(task, name="images_per_second"):
        return statistics.median(result[name] for result in results[task])

    precision = "bfloat16" if torch.device(options.device).type == "cuda" else "float32"
    rate = median("matrix", precision)
    summary = {
        "machine": _describe_machine(options),
        "rounds": options.rounds,
        "matrix_rate": {"precision": precision, "gflops": rate / 1e9},
        "training": {},
    }
    for work in WORKS:
        floor, plain = operations(work)
        ours, theirs = median(f"ours:{work}"), median(f"plain:{work}")
        ratios = [
            a["images_per_second"] / b["images_per_second"]
            for a, b in zip(results[f"ours:{work}"], results[f"plain:{work}"], strict=True)
        ]
        summary["training"][work] = {
            "floor_gflop_per_image": floor / 1e9,
            "plain_gflop_per_image": plain / 1e9,
            "images_per_second": ours,
            "plain_images_per_second": theirs,
            "ratio": ours / theirs,
            "ratio_by_round": ratios,
            "share_of_matrix_rate": ours * floor / rate,
            "plain_share_of_matrix_rate": theirs * plain / median("matrix", "float32"),
        }
    summary["drawing"] = {
        "images_per_second": median("drawing"),
        "plain_images_per_second": median("plain drawing"),
        "ratio": median("drawing") / median("plain drawing"),
        "megabytes_grown": median("drawing", "bytes_grown") / 2**20,
        "plain_megabytes_grown": median("plain drawing", "bytes_grown") / 2**20,
    }
    if "report" in results:
        summary["report"] = {"seconds_for_100_epochs": median("report", "seconds")}
    if f"files:{REPORT}" in results:
        summary["report"]["files_images_per_second"] = median(f"files:{REPORT}")
        summary["report"]["ratio_to_files"] = median(f"ours:{REPORT}") / median(f"files:{REPORT}")
    return summary


def _describe_machine(options):
    device = torch.device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{options.threads} threads"
    return f"{device}: {name}; Python {platform.python_version()}, torch {torch.__version__}"


def show(summary):
    """Print the figures as tables."""
    rate = summary["matrix_rate"]
    print(f"{summary['machine']}; medians of {summary['rounds']} rounds")
    print(f"products of {rate['precision']} matrices: {rate['gflops']:.0f} GFLOP/s\n")
    print("| training | GFLOP an image | images/s | plain loop | ratio | share of the rate | plain loop, own count |")
    print("|---|---|---|---|---|---|---|")
    for work, row in summary["training"].items():
        print(
            f"| {work} | {row['floor_gflop_per_image']:.2f} | {row['images_per_second']:.1f} | "
            f"{row['plain_images_per_second']:.1f} | {row['ratio']:.2f} ({min(row['ratio_by_round']):.2f} to "
            f"{max(row['ratio_by_round']):.2f}) | {row['share_of_matrix_rate']:.0%} | "
            f"{row['plain_share_of_matrix_rate']:.0%} |"
        )
    drawing = summary["drawing"]
    print(
        f"\ndrawing {N_DRAWN:,} images of 64 x 64: {drawing['images_per_second']:.0f} images/s, plain loop "
        f"{drawing['plain_images_per_second']:.0f}, ratio {drawing['ratio']:.2f}; memory grew by "
        f"{drawing['megabytes_grown']:.0f} MB, in the plain loop by {drawing['plain_megabytes_grown']:.0f} MB"
    )
    if "report" in summary:
        print("\n" + json.dumps(summary["report"], indent=2))


def main():
    """Read the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu, or a CUDA device: then the report's whole training too")
    parser.add_argument("--data", help="folder of class folders of JPEG files, to feed a plain loop from (CUDA)")
    parser.add_argument("--rounds", type=int, help="7 on the CPU, 3 on CUDA where left out")
    parser.add_argument("--threads", type=int, default=2, help="torch threads on the CPU")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the steps and images; for a quick look")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    device = torch.device(options.device)
    if options.only:
        torch.set_num_threads(options.threads)
        print(json.dumps(work_alone(options.only, device, options.data, options.scale)))
        return

    tasks = ["matrix", *(f"{side}:{work}" for work in WORKS for side in ("ours", "plain")), "drawing", "plain drawing"]
    if device.type == "cuda":
        tasks += ["report", *([f"files:{REPORT}"] if options.data else [])]
    options.rounds = options.rounds or (3 if device.type == "cuda" else 7)
    summary = summarise(measure(tasks, options), options)
    show(summary)
    if options.json:
        options.json.write_text(json.dumps(summary, indent=2) + "\n")


if __name__ == "__main__":
    keep_freed_memory()
    main()
