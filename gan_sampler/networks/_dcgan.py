"""Generator and discriminator of DCGAN for images of any size.

References
----------
.. [1] A. Radford, L. Metz, S. Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative
   Adversarial Networks", ICLR 2016. https://arxiv.org/abs/1511.06434
"""

import itertools
import math
import operator

import torch
from torch import nn
from torch.nn.functional import pad
from torch.nn.utils.parametrizations import spectral_norm

from ._resampling import DownsamplingConv2d, UpsamplingConv2d

_MAX_CHANNEL_FACTOR = 8  # largest number of channels of a pyramid, in multiples of base_channels, as in DCGAN
_NEGATIVE_SLOPE = 0.2
# Compensates for the smaller mean square after the activation.
_GAIN = nn.init.calculate_gain("leaky_relu", _NEGATIVE_SLOPE)


def pyramid_sizes(height, width, base_size):
    """Return the sizes of the feature maps, from the smallest one to the canvas that holds the image.

    Each map is twice as large as the one before. The smallest has a shorter side of at least `base_size`. The canvas is
    the smallest that holds the image; it is cropped to the image.

    Parameters
    ----------
    height, width : int
        Size of the images, in pixels.
    base_size : int
        Smallest length of the shorter side of the smallest map, in pixels.

    Returns
    -------
    sizes : list of tuple of (int, int)
        Height and width of each map; at least two of them.
    """
    doublings = max(1, int(math.log2(max(1.0, min(height, width) / base_size))))
    base_height, base_width = math.ceil(height / 2**doublings), math.ceil(width / 2**doublings)
    return [(base_height * 2**i, base_width * 2**i) for i in range(doublings + 1)]


def pyramid_channels(n_maps, base_channels, channels):
    """Return the number of channels of `n_maps` hidden maps, smallest map first.

    ``channels="pyramid"`` halves it when the resolution doubles, down to `base_channels`; ``"flat"`` is `base_channels`
    everywhere.
    """
    base_channels = operator.index(base_channels)  # torch does not accept NumPy's integers everywhere
    if channels == "flat":
        return [base_channels] * n_maps
    return [base_channels * min(2**i, _MAX_CHANNEL_FACTOR) for i in reversed(range(n_maps))]


class Generator(nn.Module):
    """Noise to images: a dense layer, then transposed convolutions that double the size [1]_.

    Parameters
    ----------
    image_shape : tuple of (int, int, int)
        Channels, height and width of the images.
    latent_dim : int, default=100
        Length of a noise vector.
    base_channels : int, default=32
        Channels of the last hidden map.
    channels : {"pyramid", "flat"}, default="pyramid"
        Whether the number of channels halves when the resolution doubles, or is `base_channels` everywhere.
    base_size : int, default=4
        Shorter side of the map that the noise is projected to, in pixels; the number of layers follows from it.
    norm : {"batch", "spectral"} or None, default="batch"
        Normalisation of all layers except the last.
    """

    def __init__(self, image_shape, *, latent_dim=100, base_channels=32, channels="pyramid", base_size=4, norm="batch"):
        super().__init__()
        n_channels, self.height, self.width = image_shape
        self.latent_dim = latent_dim
        sizes = pyramid_sizes(self.height, self.width, base_size)
        map_channels = pyramid_channels(len(sizes) - 1, base_channels, channels)
        n_base = map_channels[0] * math.prod(sizes[0])
        layers = [
            _maybe_spectral(nn.Linear(latent_dim, n_base, bias=norm != "batch"), norm),
            nn.Unflatten(1, (map_channels[0], *sizes[0])),  # (n, map_channels[0], *sizes[0])
            *_norm_and_activation(map_channels[0], norm),
        ]
        for n_in, n_out in itertools.pairwise(map_channels):  # each doubles height and width
            layers += [_upsampling(n_in, n_out, norm), *_norm_and_activation(n_out, norm)]
        self.layers = nn.Sequential(*layers)  # (n, map_channels[-1], *sizes[-2])
        self.to_image = nn.Sequential(
            _upsampling(map_channels[-1], n_channels, None), nn.Tanh()
        )  # (n, n_channels, *sizes[-1])
        _initialise(self, norm, gain=1.0)

    def forward(self, noise):
        """Draw images.

        Parameters
        ----------
        noise : torch.Tensor of shape (n, latent_dim)
            Standard normal noise.

        Returns
        -------
        images : torch.Tensor of shape (n, channels, height, width)
            Images in [-1, 1], cropped from the centre of the canvas.
        """
        features = self.layers(noise)
        with torch.autocast(noise.device.type, enabled=False):  # bfloat16 has 8 bits of precision
            canvas = self.to_image(features.to(noise.dtype))
        top = (canvas.shape[2] - self.height) // 2
        left = (canvas.shape[3] - self.width) // 2
        return canvas[:, :, top : top + self.height, left : left + self.width]


class Discriminator(nn.Module):
    """Images to logits: strided convolutions, flatten, dropout, one dense layer [1]_.

    Parameters
    ----------
    image_shape : tuple of (int, int, int)
        Channels, height and width of the images.
    base_channels : int, default=32
        Channels after the first convolution.
    channels : {"pyramid", "flat"}, default="pyramid"
        Whether the number of channels doubles when the resolution halves, or is `base_channels` everywhere.
    norm : {"batch", "spectral"} or None, default=None
        Normalisation of the convolutions; batch normalisation is not applied to the first.
    dropout : float, default=0.0
        Dropout probability before the dense layer, in [0, 1).
    """

    _BASE_SIZE = 4  # pixels, as in DCGAN

    def __init__(self, image_shape, *, base_channels=32, channels="pyramid", norm=None, dropout=0.0):
        super().__init__()
        n_channels, height, width = image_shape
        sizes = pyramid_sizes(height, width, self._BASE_SIZE)
        map_channels = pyramid_channels(len(sizes) - 1, base_channels, channels)[::-1]
        spare_rows, spare_columns = sizes[-1][0] - height, sizes[-1][1] - width
        self.padding = (spare_columns // 2, -(-spare_columns // 2), spare_rows // 2, -(-spare_rows // 2))
        layers = [_downsampling(n_channels, map_channels[0], "spectral" if norm == "spectral" else None), _activation()]
        for n_in, n_out in itertools.pairwise(map_channels):  # each halves height and width
            layers += [_downsampling(n_in, n_out, norm), *_norm_and_activation(n_out, norm)]
        n_features = map_channels[-1] * math.prod(sizes[0])
        layers += [nn.Flatten(), nn.Dropout(dropout), _maybe_spectral(nn.Linear(n_features, 1), norm)]
        self.layers = nn.Sequential(*layers)
        _initialise(self, norm, gain=_GAIN)  # images in [-1, 1] have a mean square of about 0.5, as activations

    def forward(self, images):
        """Return the logits of images.

        Parameters
        ----------
        images : torch.Tensor of shape (n, channels, height, width)
            Images in [-1, 1].

        Returns
        -------
        logits : torch.Tensor of shape (n,)
            Positive for images classified as real.
        """
        return self.logits(self.features(images))

    def features(self, images):
        """Return the input of the last layer: images (n, channels, height, width) to features (n, n_features)."""
        return self.layers[:-1](pad(images, self.padding))

    def logits(self, features):
        """Return the logits of `features`: (n, n_features) to (n,)."""
        layer = self.layers[-1]
        with torch.autocast(features.device.type, enabled=False):  # bfloat16 has 8 bits of precision
            # Of the bias, since reading a spectrally normalised weight computes its norm.
            return layer(features.to(layer.bias.dtype)).squeeze(1)


def _upsampling(n_in, n_out, norm):
    # A kernel size divisible by the stride avoids checkerboard artefacts
    # (https://distill.pub/2016/deconv-checkerboard).
    return _maybe_spectral(UpsamplingConv2d(n_in, n_out, bias=norm != "batch"), norm)


def _downsampling(n_in, n_out, norm):
    return _maybe_spectral(DownsamplingConv2d(n_in, n_out, bias=norm != "batch"), norm)


def _maybe_spectral(layer, norm):
    return spectral_norm(layer) if norm == "spectral" else layer


def _norm_and_activation(n_channels, norm):
    return [nn.BatchNorm2d(n_channels), _activation()] if norm == "batch" else [_activation()]


def _activation():
    return nn.LeakyReLU(_NEGATIVE_SLOPE, inplace=True)  # in place: no earlier layer needs its output for the gradient


@torch.no_grad()
def _initialise(network, norm, gain):
    """Initialise the weights: N(0, 0.02²) with batch normalisation, as in DCGAN; without, so that variance is kept.

    Without normalisation, DCGAN's small weights would reduce the variance at every layer, and the discriminator would
    not learn for thousands of steps. So the output of each layer, up to the tanh, has variance 1 (He et al. 2015,
    https://arxiv.org/abs/1502.01852), except for less at the borders of a map because of the padding. With spectral
    normalisation the scale of the weights does not matter, and torch's default is kept.

    Parameters
    ----------
    network : torch.nn.Module
        Changed in place.
    norm : {"batch", "spectral"} or None
        See `Generator`.
    gain : float
        Of the first layer: the inverse of the root mean square of the network's input.
    """
    if norm == "spectral":
        return
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.02 if norm == "batch" else gain / math.sqrt(_fan_in(module)))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
            gain = _GAIN  # of all later layers
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)


def _fan_in(layer):
    """Return the number of inputs that contribute to one output of the layer, away from the borders.

    For transposed convolutions torch's own function counts the outputs of one input instead.
    """
    if isinstance(layer, nn.Linear):
        return layer.in_features
    n_inputs = layer.in_channels * math.prod(layer.kernel_size)
    return n_inputs / math.prod(layer.stride) if isinstance(layer, nn.ConvTranspose2d) else n_inputs
