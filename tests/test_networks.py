"""Networks of any image size."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, conv_transpose2d

from gan_sampler.networks import (
    ConditionalGenerator,
    Discriminator,
    Generator,
    ProjectionDiscriminator,
    _resampling,
)
from gan_sampler.networks._dcgan import pyramid_channels, pyramid_sizes
from gan_sampler.networks._resampling import DownsamplingConv2d, UpsamplingConv2d

IMAGE_SHAPES = [(1, 8, 8), (3, 9, 31), (1, 28, 28), (4, 33, 17), (1, 1, 7), (2, 1, 1), (1, 64, 48)]


@pytest.mark.parametrize("image_shape", IMAGE_SHAPES)
@pytest.mark.parametrize("norm", ["batch", "spectral", None])
def test_any_size_goes_in_and_comes_out(image_shape, norm):
    """Square or not, odd or even, and single rows; values within tanh's range."""
    generator, discriminator = (
        Generator(image_shape, base_channels=4, norm=norm),
        Discriminator(image_shape, base_channels=4, norm=norm),
    )
    images = generator(torch.randn(3, 100))
    assert images.shape == (3, *image_shape)
    assert images.abs().max() <= 1
    assert discriminator(images).shape == (3,)


@pytest.mark.parametrize(
    ("size", "base_size", "expected"),
    [
        ((64, 64), 4, [(4, 4), (8, 8), (16, 16), (32, 32), (64, 64)]),
        ((128, 128), 8, [(8, 8), (16, 16), (32, 32), (64, 64), (128, 128)]),  # the experiment of --preset report
        ((28, 28), 4, [(7, 7), (14, 14), (28, 28)]),
        ((100, 60), 4, [(13, 8), (26, 16), (52, 32), (104, 64)]),
        ((1, 20), 4, [(1, 10), (2, 20)]),
    ],
)
def test_number_of_doublings_follows_from_the_image_size(size, base_size, expected):
    """The canvas is the first one that holds the image."""
    assert pyramid_sizes(*size, base_size) == expected


def test_channels_halve_as_resolution_doubles_or_stay_flat():
    """DCGAN's pyramid is 512, 256, 128, 64 at 64 pixels; it stops widening at eight times the base channels."""
    assert pyramid_channels(4, 64, "pyramid") == [512, 256, 128, 64]
    assert pyramid_channels(6, 64, "pyramid") == [512, 512, 512, 256, 128, 64]
    assert pyramid_channels(4, 128, "flat") == [128, 128, 128, 128]


def test_the_reports_networks_have_its_layers():
    """A dense layer of 8192, four transposed convolutions; five convolutions, flatten, dropout, one logit."""
    generator = Generator((3, 128, 128), base_channels=128, channels="flat", base_size=8, norm=None)
    discriminator = Discriminator((3, 128, 128), base_channels=128, channels="flat", dropout=0.4)
    dense = [module for module in generator.modules() if isinstance(module, nn.Linear)]
    assert [module.out_features for module in dense] == [8192]
    assert sum(isinstance(module, nn.ConvTranspose2d) for module in generator.modules()) == 4
    assert sum(isinstance(module, nn.Conv2d) for module in discriminator.modules()) == 5
    assert [type(module) for module in discriminator.layers][-3:] == [nn.Flatten, nn.Dropout, nn.Linear]
    assert discriminator.layers[-1].out_features == 1


def test_normalisation_is_where_it_was_asked_for():
    """Batch normalisation leaves out the generator's last layer and the discriminator's first, as DCGAN does."""
    counted = {
        norm: (
            sum(isinstance(m, nn.BatchNorm2d) for m in Generator((1, 32, 32), base_channels=4, norm=norm).modules()),
            sum(
                isinstance(m, nn.BatchNorm2d) for m in Discriminator((1, 32, 32), base_channels=4, norm=norm).modules()
            ),
        )
        for norm in ("batch", "spectral", None)
    }
    assert counted == {"batch": (3, 2), "spectral": (0, 0), None: (0, 0)}
    spectral = Discriminator((1, 32, 32), base_channels=4, norm="spectral")
    convolutions = [m for m in spectral.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(convolutions) == 4
    assert all(nn.utils.parametrize.is_parametrized(m, "weight") for m in convolutions)


@pytest.mark.parametrize("norm", ["batch", "spectral", None])
def test_gradients_reach_every_parameter(norm):
    """A layer left out of the graph would never learn."""
    torch.manual_seed(0)
    generator, discriminator = (
        Generator((1, 16, 16), base_channels=4, norm=norm),
        Discriminator((1, 16, 16), base_channels=4, norm=norm),
    )
    discriminator(generator(torch.randn(4, 100))).sum().backward()
    for network in (generator, discriminator):
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def root_mean_squares(network, inputs):
    """Return those of each layer's outputs in a forward pass, and of the middle half of its map alone."""
    found = []

    def record(module, layer_inputs, outputs):
        squares = outputs.detach().square()
        middle = squares
        for axis in range(2, squares.ndim):
            side = squares.shape[axis]
            middle = middle.narrow(axis, side // 4, side - 2 * (side // 4))
        found.append([squares.mean().sqrt(), middle.mean().sqrt()])

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            module.register_forward_hook(record)
    with torch.no_grad():
        network(inputs)
    return torch.tensor(found)  # (n_layers, 2)


@pytest.mark.parametrize("channels", ["pyramid", "flat"])
@pytest.mark.parametrize(
    ("image_shape", "base_channels"), [((1, 8, 8), 32), ((3, 16, 16), 16), ((1, 40, 28), 16), ((1, 64, 64), 16)]
)
def test_without_normalisation_every_layer_keeps_the_variance(image_shape, base_channels, channels):
    """Within a tenth of 1 inside the maps, from noise to what tanh is given, and from images to logits; of ten draws.

    The fan-in of a transposed convolution is not torch's, and a dense layer on noise comes after no activation. Borders
    have fewer inputs, so that whole maps, and the logits that are made of the smallest, have a sixth less; a logit is
    one number a draw, hence the wider tolerance.
    """
    options = {"base_channels": base_channels, "channels": channels, "norm": None}
    for make, inputs in (
        (lambda: Generator(image_shape, **options), torch.randn(16, 100)),
        (lambda: Discriminator(image_shape, **options), 0.52**0.5 * torch.randn(16, *image_shape)),
    ):
        measured = []
        for seed in range(10):
            torch.manual_seed(seed)
            measured.append(root_mean_squares(make(), inputs).square())
        wholes, middles = torch.stack(measured).mean(0).sqrt().T
        assert ((wholes - 1).abs() < 0.3).all(), wholes
        assert ((middles - 1).abs()[: len(middles) - (len(inputs.shape) > 2)] < 0.1).all(), middles


def test_without_normalisation_images_fill_the_range_and_tanh_is_not_saturated():
    """Images of one grey, or of black and white alone, would have next to no gradient."""
    torch.manual_seed(0)
    images = Generator((1, 32, 32), base_channels=16, norm=None)(torch.randn(64, 100))
    assert 0.4 < images.std() < 0.75
    assert (images.abs() > 0.99).float().mean() < 0.02


def test_a_conditional_generator_without_normalisation_keeps_the_variance_too():
    """Half of what its dense layer is given, the class's vector, is next to nothing."""
    torch.manual_seed(0)
    generator = ConditionalGenerator((1, 16, 16), 2, base_channels=32, norm=None)
    dense = generator.unconditional.layers[0](torch.cat([torch.randn(64, 100), torch.zeros(64, 100)], dim=1))
    assert dense.std().item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("number", [np.int64, np.int32, np.uint8])
def test_numpy_integers_are_sizes_like_any_other(number):
    """A ParameterGrid over an array gives these, and shapes of arrays may be made of them."""
    shape, four = tuple(map(number, (1, 16, 16))), number(4)
    torch.manual_seed(0)
    images = Generator(shape, latent_dim=four, base_channels=four, base_size=four)(torch.randn(2, 4))
    assert images.shape == (2, 1, 16, 16)
    assert Discriminator(shape, base_channels=four, dropout=np.float32(0.5))(images).shape == (2,)
    assert (
        ConditionalGenerator(shape, four, latent_dim=four, base_channels=four)(torch.randn(2, 4), 1).shape
        == images.shape
    )
    assert ProjectionDiscriminator(shape, four, base_channels=four)(images, 1).shape == (2,)


def test_drawn_images_keep_more_than_bfloat16_under_mixed_precision():
    """The last layer runs in float32: 8 bits to a number would tell drawn images from real ones."""
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        images = Generator((1, 8, 8), latent_dim=8, base_channels=4)(torch.randn(64, 8))
    assert images.dtype == torch.float32
    assert len(images.unique()) > 1.5 * len(images.bfloat16().unique())


@pytest.mark.parametrize("n_classes", [None, 3])
def test_logits_keep_more_than_bfloat16_under_mixed_precision(n_classes):
    """From the features on, all is in float32, the inner product with the class embedding too."""
    torch.manual_seed(0)
    images, index = torch.randn(64, 1, 8, 8), () if n_classes is None else (1,)
    if n_classes is None:
        discriminator = plain = Discriminator((1, 8, 8), base_channels=4)
    else:
        discriminator = ProjectionDiscriminator((1, 8, 8), n_classes, base_channels=4)
        plain = discriminator.unconditional
    with torch.autocast("cpu", torch.bfloat16):
        features, logits = plain.features(images), discriminator(images, *index)
    assert features.dtype == torch.bfloat16
    expected = plain.layers[-1](features.float()).squeeze(1)
    if n_classes is not None:
        expected = expected + features.float() @ discriminator.class_embeddings[1]
    torch.testing.assert_close(logits, expected)


@pytest.mark.parametrize("layer", [UpsamplingConv2d, DownsamplingConv2d])
@pytest.mark.parametrize("channels", [1, 6])
def test_convolutions_stay_in_bfloat16_with_their_bias(layer, channels):
    """Also where a gradient with respect to few channels takes another way; the bias gets a float32 gradient."""
    torch.manual_seed(0)
    convolution = layer(*((6, channels) if layer is UpsamplingConv2d else (channels, 6)))
    features = torch.randn(2, convolution.in_channels, 8, 8, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        found = convolution(features)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), convolution(features), atol=0.03, rtol=0.03)
    found.float().square().sum().backward()
    assert convolution.bias.grad.dtype == torch.float32
    assert convolution.bias.grad.abs().min() > 0


@pytest.mark.parametrize("channels", [1, 3, 6])
@pytest.mark.parametrize("size", [(8, 8), (10, 14)])
def test_convolutions_equal_torchs(channels, size):
    """Outputs and gradients, in float64, in blocks for few channels and with a bias added apart for many."""
    torch.manual_seed(0)
    features = torch.randn(2, 6, *size, dtype=torch.float64, requires_grad=True)
    images = torch.randn(2, channels, *size, dtype=torch.float64, requires_grad=True)
    for layer, x, plain in (
        (UpsamplingConv2d(6, channels).double(), features, conv_transpose2d),
        (DownsamplingConv2d(channels, 6).double(), images, conv2d),
    ):
        leaves = [x, layer.weight, layer.bias]
        outputs = [layer(x), plain(x, layer.weight, layer.bias, stride=2, padding=1)]
        torch.testing.assert_close(*outputs, rtol=0, atol=1e-12)
        direction = torch.randn_like(outputs[0])
        for left, right in zip(*(torch.autograd.grad(y, leaves, direction) for y in outputs), strict=True):
            torch.testing.assert_close(left, right, rtol=0, atol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
def test_each_convolution_takes_the_way_that_suits_it(bias, monkeypatch):
    """In blocks for few channels on the side of the image, torch's own else; without a bias too."""
    calls = []
    for name in ("pixel_shuffle", "pixel_unshuffle"):
        original = getattr(_resampling, name)
        monkeypatch.setattr(_resampling, name, lambda x, r, f=original, n=name: calls.append(n) or f(x, r))
    UpsamplingConv2d(6, 5, bias=bias)(torch.randn(1, 6, 4, 4))
    DownsamplingConv2d(5, 6, bias=bias)(torch.randn(1, 5, 8, 8, requires_grad=True))
    DownsamplingConv2d(1, 6, bias=bias)(torch.randn(1, 1, 8, 8))  # no gradient wanted, nothing to win
    assert calls == []
    UpsamplingConv2d(6, 1, bias=bias)(torch.randn(1, 6, 4, 4))
    DownsamplingConv2d(1, 6, bias=bias)(torch.randn(1, 1, 8, 8, requires_grad=True))
    assert calls == ["pixel_shuffle", "pixel_unshuffle"]
