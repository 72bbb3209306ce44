"""The precision in which networks of GANs are trained."""

import contextlib
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import KeptStates, make_shapes
from sklearn.base import clone
from torch import nn

from gan_sampler import (
    ConditionalDCGANOverSampler,
    DCGANOverSampler,
    GANOverSampler,
    VisionAidedDCGANOverSampler,
    runtime,
)
from gan_sampler.networks import Discriminator, Generator
from gan_sampler.runtime import check_precision, mixed_precision
from gan_sampler.training import train_gan

pytestmark = [
    pytest.mark.filterwarnings("ignore::gan_sampler.QualityWarning"),
    pytest.mark.filterwarnings("ignore:precision='bfloat16' is slower"),  # on this CPU, perhaps
]

_SMALL = {"n_steps": 3, "random_state": 0, "device": "cpu"}


def make_backbone():
    """Return feature maps that are the same in each fit."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU())


SAMPLERS = {
    "gan": GANOverSampler(**_SMALL, generator__base_channels=2, discriminator__base_channels=2),
    "dcgan": DCGANOverSampler(**_SMALL, base_channels=2),
    "conditional": ConditionalDCGANOverSampler(**_SMALL, base_channels=2),
    "vision_aided": VisionAidedDCGANOverSampler(**_SMALL, base_channels=2, backbone=make_backbone, input_size=32),
}


@pytest.fixture(params=SAMPLERS)
def sampler(request):
    return clone(SAMPLERS[request.param])


def set_instructions(monkeypatch, flags):
    """Make the processor one with these features."""
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.setattr(runtime, "_flags_of_cpu", lambda: frozenset(flags))


def watched_dtypes(*networks):
    """Return a set that gets the dtypes of what the convolutions of networks, but not of their copies, return."""
    convolutions = [
        module
        for network in networks
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
    ]
    originals, dtypes = set(map(id, convolutions)), set()
    for convolution in convolutions:
        convolution.register_forward_hook(
            lambda module, inputs, output: dtypes.add(output.dtype) if id(module) in originals else None
        )
    return dtypes


class TestFits:
    """Samplers."""

    def test_the_same_precision_gives_the_same_images_and_another_others(self, sampler):
        """On a CPU "auto" is float32, also where it has instructions for bfloat16."""
        made = {}
        for precision in ("auto", "float32", "bfloat16"):
            first, again = (
                clone(sampler).set_params(precision=precision).fit_resample(*make_shapes())[0] for _ in range(2)
            )
            np.testing.assert_array_equal(first, again)
            made[precision] = first
        np.testing.assert_array_equal(made["auto"], made["float32"])
        assert (made["bfloat16"] != made["float32"]).any()

    @pytest.mark.parametrize(
        ("precision", "flags", "n_warnings"),
        [("bfloat16", {"avx512f"}, 1), ("bfloat16", {"avx512_bf16"}, 0), ("auto", set(), 0), ("float32", set(), 0)],
    )
    def test_a_cpu_without_instructions_is_told_once(self, sampler, precision, flags, n_warnings, monkeypatch):
        """Not once for each class: two are trained here."""
        set_instructions(monkeypatch, flags)
        X, y = make_shapes(20, 10)
        y[np.flatnonzero(y == "square")[:5]] = "frame"
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            sampler.set_params(precision=precision).fit_resample(X, y)
        told = [str(warning.message) for warning in caught if "precision" in str(warning.message)]
        assert len(told) == n_warnings
        for message in told:
            assert "precision='bfloat16' is slower than 'float32'" in message
            assert "found for 'cpu'. Pass precision='auto'" in message
        assert len(sampler.history_) == 2

    def test_a_device_that_cannot_is_refused(self, sampler, monkeypatch):
        """Torch would train in float32 there, with a warning at most."""
        monkeypatch.setattr(runtime, "_autocasts_to_bfloat16", lambda kind: False)
        sampler.set_params(precision="bfloat16")
        with pytest.raises(ValueError, match=r"precision must be 'auto' or 'float32' on device 'cpu'.*got 'bfloat16'"):
            sampler.fit_resample(*make_shapes())

    def test_a_file_keeps_it(self, tmp_path):
        """So that a loaded sampler can be fitted again as it was."""
        sampler = clone(SAMPLERS["dcgan"]).set_params(precision="bfloat16")
        sampler.fit_resample(*make_shapes())
        sampler.save(tmp_path / "sampler.safetensors")
        loaded = DCGANOverSampler.load(tmp_path / "sampler.safetensors")
        assert loaded.precision == "bfloat16"
        np.testing.assert_array_equal(
            loaded.sample(3, "square", random_state=0), sampler.sample(3, "square", random_state=0)
        )

    def test_an_interrupted_training_goes_on_in_its_precision(self, tmp_path):
        """With the bytes of an uninterrupted fit; in another precision it is refused."""
        sampler = clone(SAMPLERS["dcgan"]).set_params(precision="bfloat16", checkpoint_dir=tmp_path, n_steps=50)
        sampler.fit_resample(*make_shapes())
        with pytest.raises(ValueError, match=r"parameters\.precision: 'bfloat16' there, 'float32' in this fit"):
            clone(sampler).set_params(precision="float32").fit_resample(*make_shapes())
        resumed = clone(sampler).set_params(n_steps=60).fit_resample(*make_shapes())[0]
        whole = clone(sampler).set_params(n_steps=60, checkpoint_dir=None).fit_resample(*make_shapes())[0]
        np.testing.assert_array_equal(resumed, whole)


class TestTraining:
    """The function of tensors."""

    @pytest.mark.parametrize("norm", ["batch", None], ids=["two passes", "one pass"])
    @pytest.mark.parametrize(
        ("precision", "expected"), [("auto", torch.float32), ("float32", torch.float32), ("bfloat16", torch.bfloat16)]
    )
    def test_convolutions_of_both_networks_compute_in_it(self, precision, expected, norm):
        """All but the last of the generator; weights, optimisers and average stay in float32."""
        torch.manual_seed(0)
        generator = Generator((1, 16, 16), latent_dim=4, base_channels=2)
        discriminator = Discriminator((1, 16, 16), base_channels=2, norm=norm)
        of_generator, of_discriminator = watched_dtypes(generator.layers), watched_dtypes(discriminator)
        of_last, states = watched_dtypes(generator.to_image), KeptStates()
        average, _ = train_gan(
            generator, discriminator, torch.rand(8, 1, 16, 16), n_steps=2, precision=precision, checkpoint=states
        )
        assert of_generator == of_discriminator == {expected}
        assert of_last == {torch.float32}
        tensors = [*states[-1][0].values(), *average.state_dict().values()]
        assert {tensor.dtype for tensor in tensors if tensor.is_floating_point()} == {torch.float32}

    @pytest.mark.parametrize("precision", ["float32", "bfloat16"])
    def test_it_is_that_of_the_call_under_autocast_of_the_caller(self, precision):
        """Which kept the weights of the first step: users call the function without a sampler, too."""
        made = []
        for context in (contextlib.nullcontext(), torch.autocast("cpu", torch.bfloat16)):
            torch.manual_seed(0)
            shape, images = (1, 8, 8), torch.rand(8, 1, 8, 8)
            with context:
                networks = Generator(shape, base_channels=2), Discriminator(shape, base_channels=2)
                train_gan(*networks, images, n_steps=4, precision=precision)
            made.append([parameter.detach() for parameter in networks[0].parameters()])
        torch.testing.assert_close(*made, rtol=0, atol=0)

    def test_images_of_a_users_generator_leave_it_in_float32(self):
        """Also where its last layer computes in bfloat16, so that augmentation, logits and loss do not."""

        class Plain(nn.Module):
            latent_dim = 4

            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(4, 64)

            def forward(self, noise):
                return self.layer(noise).view(-1, 1, 8, 8)

        seen = []

        def augment(images, generator):
            seen.append(images.dtype)
            return images

        discriminator = Discriminator((1, 8, 8), base_channels=2)
        train_gan(Plain(), discriminator, torch.rand(4, 1, 8, 8), n_steps=1, precision="bfloat16", augment=augment)
        assert seen == [torch.float32] * 2

    def test_another_word_is_refused(self):
        """Whoever calls the function has no sampler that checks it."""
        with pytest.raises(ValueError, match=r"precision must be one of 'auto', 'float32', 'bfloat16'; got 'half'"):
            train_gan(None, None, torch.rand(4, 1, 8, 8), n_steps=1, precision="half")


class TestRuntime:
    """What decides."""

    @pytest.mark.parametrize(
        ("kind", "is_native", "precision", "expected"),
        [
            ("cpu", True, "auto", None),
            ("cpu", True, "float32", None),
            ("cpu", False, "bfloat16", ("cpu", torch.bfloat16)),
            ("cuda", True, "auto", ("cuda", torch.bfloat16)),
            ("cuda", False, "auto", None),
            ("cuda", True, "float32", None),
            ("cuda", False, "bfloat16", ("cuda", torch.bfloat16)),
            ("mps", True, "auto", None),
        ],
    )
    def test_auto_is_bfloat16_on_cuda_devices_that_have_it_alone(
        self, kind, is_native, precision, expected, monkeypatch
    ):
        """And each of both can be asked for on every device."""
        set_instructions(monkeypatch, {"amx_bf16"} if is_native else ())
        monkeypatch.setattr(torch.cuda, "device", contextlib.nullcontext)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: is_native)
        monkeypatch.setattr(torch, "autocast", lambda kind, dtype, cache_enabled: (kind, dtype))
        context = mixed_precision(torch.device(kind), precision)
        assert context == expected if expected else isinstance(context, contextlib.nullcontext)

    @pytest.mark.parametrize("index", [0, 1])
    def test_the_gpu_of_the_training_is_asked(self, index, monkeypatch):
        """Torch answers for the current one, and two of a machine can differ."""
        current = [0]

        @contextlib.contextmanager
        def make_current(device):
            current.append(device.index)
            yield
            current.pop()

        monkeypatch.setattr(torch.cuda, "device", make_current)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: current[-1] == 1)
        assert runtime._has_bfloat16_instructions(torch.device("cuda", index)) == (index == 1)

    def test_weights_are_those_of_the_moment(self):
        """Torch keeps converted weights until the outermost autocast context ends, here the caller's."""
        layer, images = nn.Linear(4, 1, bias=False), torch.ones(1, 4)
        with torch.autocast("cpu", torch.bfloat16), runtime.own_modes(torch.device("cpu")):
            for weight in (1.0, 5.0):
                with torch.no_grad():
                    layer.weight.fill_(weight)
                with mixed_precision(torch.device("cpu"), "bfloat16"):
                    assert layer(images).item() == 4 * weight

    def test_a_device_without_autocast_is_refused(self):
        """Torch's own words name neither the parameter nor what to do."""
        check_precision("auto", torch.device("meta"))
        with pytest.raises(ValueError, match="precision must be 'auto' or 'float32' on device 'meta'"):
            check_precision("bfloat16", torch.device("meta"))

    @pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="needs Linux")
    def test_features_of_the_processor_are_read(self):
        """Every processor of Linux that has a line of flags has a floating-point unit."""
        has_flags = any(line.startswith("flags") for line in Path("/proc/cpuinfo").read_text().splitlines())
        assert ("fpu" in runtime._flags_of_cpu()) == has_flags
