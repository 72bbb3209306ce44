"""benchmarks/throughput.py: what is counted, timed and compared."""

import functools
import itertools
from argparse import Namespace

import pandas as pd
import pytest
import throughput
import torch

TINY = throughput.Model((1, 16, 16), 8, {"base_channels": 4}, {"base_channels": 4})
OPTIONS = Namespace(device="cpu", steps=2, images=70, threads=1)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """Take networks that cost no time."""
    monkeypatch.setattr(throughput, "MODELS", {"tiny": TINY})
    monkeypatch.setattr(throughput, "DRAWN_BY", "tiny")


def test_operations_are_counted_from_the_layers():
    """Two for each weight and place: forward, and for the gradients of weights and inputs, but not those of the noise.

    Real images need no gradient either. The plain loop passes generated images through the discriminator once more,
    without their gradients.
    """
    generator = [2 * 100 * 128, 2 * 4 * 4 * 8 * 4 * 16, 2 * 8 * 8 * 4 * 1 * 16]  # a dense layer and two convolutions
    discriminator = [2 * 8 * 8 * 1 * 4 * 16, 2 * 4 * 4 * 4 * 8 * 16, 2 * 128]  # two convolutions and a dense layer
    without_inputs = 3 * sum(discriminator) - discriminator[0]
    least, plain = throughput.count_operations(TINY)
    assert least == 3 * sum(generator) - generator[0] + without_inputs + 3 * sum(discriminator)
    assert plain == least + without_inputs


@pytest.mark.parametrize(
    "run",
    [*(functools.partial(throughput.train, precision=p) for p in ("float32", "bfloat16")), throughput.train_plainly],
    ids=["float32", "bfloat16", "plain"],
)
def test_steps_are_timed_without_the_first(run, monkeypatch):
    """Whose layers, kernels and memory are set up; the median leaves out a step in which the machine did other work."""
    times = iter([0.0, 100.0, 101.0, 103.0])
    monkeypatch.setattr(throughput, "timer", lambda: next(times))
    assert throughput.time_training(run, TINY, OPTIONS)["rate"] == pytest.approx(8 / 1.5)


@pytest.mark.parametrize("run", [throughput.draw_images, throughput.draw_plainly])
def test_every_image_is_drawn(run):
    """Also those of the last batch, which is smaller."""
    result = torch.zeros(70, 1, 16, 16, dtype=torch.uint8).numpy()
    run(throughput.freeze(TINY.networks()[0]), result)
    assert (result.reshape(70, -1).std(1) > 0).all()


def test_convolutions_of_the_plain_loop_are_torchs_own():
    """Else the package would be compared with itself."""
    found = {type(layer) for network in TINY.networks(as_torch_has_them=True) for layer in network.modules()}
    assert not any(module.__module__.startswith("gan_sampler.networks._resampling") for module in found)


class Here:
    """Stands for a pool of processes, and remembers how it was made."""

    made_with = None

    def __init__(self, max_workers, **options):
        Here.made_with = {"max_workers": max_workers, **options}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def map(self, *arguments):
        return map(*arguments)


def test_sides_take_turns_in_processes_of_their_own(monkeypatch):
    """One at a time, each in a fresh interpreter, so that neither finds memory or threads that the other left."""
    clock = itertools.count()
    job = lambda options: {"rate": next(clock)}  # noqa: E731
    monkeypatch.setattr(throughput, "make_jobs", lambda: {("a", throughput.PACKAGE): job, ("a", throughput.PLAIN): job})
    monkeypatch.setattr(throughput, "ProcessPoolExecutor", Here)
    monkeypatch.setattr(throughput, "keep_freed_memory", lambda: None)
    table = throughput.measure(Namespace(rounds=2, threads=torch.get_num_threads()))
    assert table[["round", "side", "rate"]].to_numpy().tolist() == [
        [1, throughput.PACKAGE, 0],
        [1, throughput.PLAIN, 1],
        [2, throughput.PACKAGE, 2],
        [2, throughput.PLAIN, 3],
    ]
    assert Here.made_with["max_workers"] == Here.made_with["max_tasks_per_child"] == 1
    assert Here.made_with["mp_context"].get_start_method() == "spawn"


def test_medians_ratios_and_shares_are_told():
    """From made-up rounds: twice the plain loop's images, at half the matrix rate; in bfloat16 three times."""
    least, plain = throughput.count_operations(TINY)
    rates = {
        (throughput.MATRICES, throughput.PACKAGE): [200 * least] * 3,
        (throughput.MATRICES, throughput.BFLOAT16): [300 * least] * 3,
        ("tiny", throughput.PACKAGE): [90, 100, 200],
        ("tiny", throughput.BFLOAT16): [75, 160, 150],
        ("tiny", throughput.PLAIN): [50, 40, 60],
        (throughput.DRAWING, throughput.PACKAGE): [30] * 3,
        (throughput.DRAWING, throughput.PLAIN): [20] * 3,
    }
    table = pd.DataFrame(
        [
            {"round": number, "what": what, "side": side, "rate": rate, "megabytes": 1.0 if "draw" in what else None}
            for (what, side), found in rates.items()
            for number, rate in enumerate(found)
        ]
    )
    summary = throughput.summarise(table)
    row = summary.loc["tiny"]
    assert (row[throughput.PACKAGE], row[throughput.PLAIN]) == (100, 50)
    assert (row["lowest"], row["ratio"], row["highest"]) == (1.8, 2.5, pytest.approx(10 / 3))
    assert row["share of matrix rate, %"] == row["share of matrix rate, %, bfloat16"] == pytest.approx(50)
    assert (row["lowest, bfloat16"], row["ratio, bfloat16"], row["highest, bfloat16"]) == (1.5, 2.5, 4)
    assert row["GFLOP, plain"] == plain / 1e9
    assert summary.loc[throughput.DRAWING, "ratio"] == 1.5
    assert "in bfloat16; " in throughput.show(summary)
    assert "| tiny" in throughput.show(summary)
