"""Generator and discriminator of DCGAN for images of any size.

References
----------
.. [1] A. Radford, L. Metz, S. Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative
   Adversarial Networks", ICLR 2016. https://arxiv.org/abs/1511.06434
"""

import itertools
import math

import torch
from torch import nn
from torch.nn.functional import pad
from torch.nn.utils.parametrizations import spectral_norm

from ._resampling import DownsamplingConv2d, UpsamplingConv2d

_MAX_WIDENING = 8  # a pyramid's deepest layers have at most this many times its width, as in DCGAN
_LEAK = 0.2


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


def pyramid_widths(n_maps, width, channels):
    """Return the number of channels of `n_maps` hidden maps, deepest first.

    ``channels="pyramid"`` halves them as the resolution doubles, down to `width`; ``"flat"`` keeps `width`.
    """
    if channels == "flat":
        return [width] * n_maps
    return [width * min(2**i, _MAX_WIDENING) for i in reversed(range(n_maps))]


class Generator(nn.Module):
    """Noise to images: a dense layer, then transposed convolutions that double the size [1]_.

    Parameters
    ----------
    image_shape : tuple of (int, int, int)
        Channels, height and width of the images.
    latent_dim : int, default=100
        Length of a noise vector.
    width : int, default=64
        Channels of the last hidden map.
    channels : {"pyramid", "flat"}, default="pyramid"
        Whether channels halve as the resolution doubles, or stay at `width`.
    base_size : int, default=4
        Shorter side of the map that the noise is projected to, in pixels; the number of doublings follows.
    norm : {"batch", "spectral"} or None, default="batch"
        Normalisation of every layer but the last.
    """

    def __init__(self, image_shape, *, latent_dim=100, width=64, channels="pyramid", base_size=4, norm="batch"):
        super().__init__()
        n_channels, self.height, self.width = image_shape
        self.latent_dim = latent_dim
        sizes = pyramid_sizes(self.height, self.width, base_size)
        widths = pyramid_widths(len(sizes) - 1, width, channels)
        n_base = widths[0] * math.prod(sizes[0])
        layers = [
            _maybe_spectral(nn.Linear(latent_dim, n_base, bias=norm != "batch"), norm),
            nn.Unflatten(1, (widths[0], *sizes[0])),  # (n, widths[0], *sizes[0])
            *_norm_and_activation(widths[0], norm),
        ]
        for n_in, n_out in itertools.pairwise(widths):  # each doubles height and width
            layers += [_upsampling(n_in, n_out, norm), *_norm_and_activation(n_out, norm)]
        self.layers = nn.Sequential(*layers)  # (n, widths[-1], *sizes[-2])
        self.to_image = nn.Sequential(
            _upsampling(widths[-1], n_channels, None), nn.Tanh()
        )  # (n, n_channels, *sizes[-1])
        _initialise(self, norm)

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
    width : int, default=64
        Channels after the first convolution.
    channels : {"pyramid", "flat"}, default="pyramid"
        Whether channels double as the resolution halves, or stay at `width`.
    norm : {"batch", "spectral"} or None, default=None
        Normalisation of every convolution; batch normalisation leaves out the first.
    dropout : float, default=0.0
        Probability of dropping a feature before the dense layer, in [0, 1).
    """

    _BASE_SIZE = 4  # pixels, as in DCGAN

    def __init__(self, image_shape, *, width=64, channels="pyramid", norm=None, dropout=0.0):
        super().__init__()
        n_channels, height, image_width = image_shape
        sizes = pyramid_sizes(height, image_width, self._BASE_SIZE)
        widths = pyramid_widths(len(sizes) - 1, width, channels)[::-1]
        spare_rows, spare_columns = sizes[-1][0] - height, sizes[-1][1] - image_width
        self.padding = (spare_columns // 2, -(-spare_columns // 2), spare_rows // 2, -(-spare_rows // 2))
        layers = [_downsampling(n_channels, widths[0], "spectral" if norm == "spectral" else None), _activation()]
        for n_in, n_out in itertools.pairwise(widths):  # each halves height and width
            layers += [_downsampling(n_in, n_out, norm), *_norm_and_activation(n_out, norm)]
        n_features = widths[-1] * math.prod(sizes[0])
        layers += [nn.Flatten(), nn.Dropout(dropout), _maybe_spectral(nn.Linear(n_features, 1), norm)]
        self.layers = nn.Sequential(*layers)
        _initialise(self, norm)

    def forward(self, images):
        """Judge images.

        Parameters
        ----------
        images : torch.Tensor of shape (n, channels, height, width)
            Images in [-1, 1].

        Returns
        -------
        logits : torch.Tensor of shape (n,)
            Positive for images judged real.
        """
        return self.judge(self.features(images))

    def features(self, images):
        """Return what the last layer sees of images (n, channels, height, width): (n, n_features)."""
        return self.layers[:-1](pad(images, self.padding))

    def judge(self, features):
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
def _initialise(network, norm):
    """Draw the weights: N(0, 0.02²) under a normalisation, as DCGAN does, else so that layers keep the variance.

    Without normalisation DCGAN's small weights would shrink the signal at every layer, and the discriminator would
    learn nothing for thousands of steps (He et al. 2015, https://arxiv.org/abs/1502.01852). Spectral normalisation
    sets the scale itself, so torch's own draw stays.
    """
    if norm == "spectral":
        return
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            if norm is None:
                nn.init.kaiming_normal_(module.weight, a=_LEAK)
            else:
                nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
