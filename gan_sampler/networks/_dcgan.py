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

_MAX_WIDENING = 8  # a pyramid's deepest layers have at most this many times its base channels, as in DCGAN
_LEAK = 0.2
_GAIN = nn.init.calculate_gain("leaky_relu", _LEAK)  # makes up for what the activation takes from the mean square


def pyramid_sizes(height, width, base_size):
    """Return the sizes of the feature maps from the deepest one up to the canvas.

    The deepest map is the smallest whose shorter side is at least `base_size` and from which doublings reach an
    image of this size; the canvas, the last of them, holds the image and is cropped to it.

    Parameters
    ----------
    height, width : int
        Size of the images, in pixels.
    base_size : int
        Wanted length of the shorter side of the deepest map, in pixels.

    Returns
    -------
    sizes : list of tuple of (int, int)
        Height and width of each map; at least two of them.
    """
    doublings = max(1, int(math.log2(max(1.0, min(height, width) / base_size))))
    base_height, base_width = math.ceil(height / 2**doublings), math.ceil(width / 2**doublings)
    return [(base_height * 2**i, base_width * 2**i) for i in range(doublings + 1)]


def pyramid_channels(n_maps, base_channels, channels):
    """Return the number of channels of `n_maps` hidden maps, deepest first.

    ``channels="pyramid"`` halves them as the resolution doubles, down to `base_channels`; ``"flat"`` keeps that number.
    """
    base_channels = operator.index(base_channels)  # torch refuses NumPy's integers in some places
    if channels == "flat":
        return [base_channels] * n_maps
    return [base_channels * min(2**i, _MAX_WIDENING) for i in reversed(range(n_maps))]


class Generator(nn.Module):
    """Noise to images: a dense layer, then transposed convolutions that double the size [1]_.

    Parameters
    ----------
    image_shape : tuple of (int, int, int)
        Channels, height and width of the images.
    latent_dim : int, default=100
        Length of a noise vector.
    base_channels : int, default=64
        Channels of the last hidden map.
    channels : {"pyramid", "flat"}, default="pyramid"
        Whether channels halve as the resolution doubles, or stay at `base_channels`.
    base_size : int, default=4
        Shorter side of the map that the noise is projected to, in pixels; the number of doublings follows.
    norm : {"batch", "spectral"} or None, default="batch"
        Normalisation of every layer but the last.
    """

    def __init__(self, image_shape, *, latent_dim=100, base_channels=64, channels="pyramid", base_size=4, norm="batch"):
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
            Images in [-1, 1], the centre of the canvas.
        """
        features = self.layers(noise)
        with torch.autocast(noise.device.type, enabled=False):  # bfloat16 would leave 8 bits to an image
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
    base_channels : int, default=64
        Channels after the first convolution.
    channels : {"pyramid", "flat"}, default="pyramid"
        Whether channels double as the resolution halves, or stay at `base_channels`.
    norm : {"batch", "spectral"} or None, default=None
        Normalisation of every convolution; batch normalisation leaves out the first.
    dropout : float, default=0.0
        Probability of dropping a feature before the dense layer, in [0, 1).
    """

    _BASE_SIZE = 4  # pixels, as in DCGAN

    def __init__(self, image_shape, *, base_channels=64, channels="pyramid", norm=None, dropout=0.0):
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
        _initialise(self, norm, gain=_GAIN)  # images in [-1, 1] have about the mean square of activations, a half

    def forward(self, images):
        """Return the logits of images.

        Parameters
        ----------
        images : torch.Tensor of shape (n, channels, height, width)
            Images in [-1, 1].

        Returns
        -------
        logits : torch.Tensor of shape (n,)
            Positive for images taken to be real.
        """
        return self.logits(self.features(images))

    def features(self, images):
        """Return what the last layer sees of images (n, channels, height, width): (n, n_features)."""
        return self.layers[:-1](pad(images, self.padding))

    def logits(self, features):
        """Return the logits of `features`: (n, n_features) to (n,)."""
        return self.layers[-1](features).squeeze(1)


def _upsampling(n_in, n_out, norm):
    # A kernel that the stride divides covers every pixel equally often, which keeps checkerboards out
    # (https://distill.pub/2016/deconv-checkerboard).
    return _maybe_spectral(UpsamplingConv2d(n_in, n_out, bias=norm != "batch"), norm)


def _downsampling(n_in, n_out, norm):
    return _maybe_spectral(DownsamplingConv2d(n_in, n_out, bias=norm != "batch"), norm)


def _maybe_spectral(layer, norm):
    return spectral_norm(layer) if norm == "spectral" else layer


def _norm_and_activation(n_channels, norm):
    return [nn.BatchNorm2d(n_channels), _activation()] if norm == "batch" else [_activation()]


def _activation():
    return nn.LeakyReLU(_LEAK, inplace=True)  # no layer before it needs what it wrote


@torch.no_grad()
def _initialise(network, norm, gain):
    """Draw the weights: N(0, 0.02²) under a normalisation, as DCGAN does, else so that layers keep the variance.

    Without normalisation DCGAN's small weights would shrink the signal at every layer, and the discriminator would
    learn nothing for thousands of steps. So every layer's output has variance 1, up to the tanh (He et al. 2015,
    https://arxiv.org/abs/1502.01852); beside the borders of a map, where inputs are missing, less. Spectral
    normalisation sets the scale itself, so torch's own draw stays.

    Parameters
    ----------
    network : torch.nn.Module
        Changed in place.
    norm : {"batch", "spectral"} or None
        As `Generator` takes it.
    gain : float
        Of the first layer: one over the root mean square of what the network is given.
    """
    if norm == "spectral":
        return
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.02 if norm == "batch" else gain / math.sqrt(_fan_in(module)))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
            gain = _GAIN  # of every later layer
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)


def _fan_in(layer):
    """Return of how many inputs an output of the layer is the weighted sum, away from the borders.

    torch counts the outputs of an input in place of that for transposed convolutions.
    """
    if isinstance(layer, nn.Linear):
        return layer.in_features
    n_inputs = layer.in_channels * math.prod(layer.kernel_size)
    return n_inputs / math.prod(layer.stride) if isinstance(layer, nn.ConvTranspose2d) else n_inputs
