"""CycleGAN's networks: images to images, and images to logits of their patches.

References
----------
.. [1] J.-Y. Zhu, T. Park, P. Isola, A. A. Efros, "Unpaired Image-to-Image Translation Using Cycle-Consistent
   Adversarial Networks", ICCV 2017. https://arxiv.org/abs/1703.10593
"""

import math

import torch
from torch import nn
from torch.nn.functional import pad

_SMALLEST_CANVAS = 8  # pixels; reflection padding needs a smallest map of at least two
_INITIAL_STD = 0.02


class Translator(nn.Module):
    """Images to images of the same size: down-sampling, residual blocks, up-sampling (appendix 7.2 of [1]_).

    Parameters
    ----------
    image_shape : tuple of (int, int, int)
        Channels, height and width of the images.
    base_channels : int, default=64
        Channels at full resolution; twice as many at half of it and four times as many at a quarter.
    n_blocks : int, default=6
        Residual blocks.
    """

    def __init__(self, image_shape, *, base_channels=64, n_blocks=6):
        super().__init__()
        n_channels, self.height, self.width = image_shape
        self.padding = _canvas_padding(self.height, self.width)
        layers = [nn.Conv2d(n_channels, base_channels, 7, padding=3, padding_mode="reflect")]
        layers += _norm_and_relu(base_channels)
        for n_in in (base_channels, 2 * base_channels):
            layers += [nn.Conv2d(n_in, 2 * n_in, 3, stride=2, padding=1), *_norm_and_relu(2 * n_in)]
        layers += [ResidualBlock(4 * base_channels) for _ in range(n_blocks)]
        for n_in in (4 * base_channels, 2 * base_channels):
            # Kernel size divisible by the stride, to avoid checkerboard artefacts; the paper has a kernel of 3.
            layers += [nn.ConvTranspose2d(n_in, n_in // 2, 4, stride=2, padding=1), *_norm_and_relu(n_in // 2)]
        self.layers = nn.Sequential(*layers)
        self.to_image = nn.Sequential(
            nn.Conv2d(base_channels, n_channels, 7, padding=3, padding_mode="reflect"), nn.Tanh()
        )
        _initialise(self)

    def forward(self, images):
        """Translate images: (n, channels, height, width) in [-1, 1] to the same."""
        features = self.layers(pad(images, self.padding, mode="replicate"))
        with torch.autocast(images.device.type, enabled=False):  # bfloat16 has 8 bits of precision
            canvas = self.to_image(features.to(images.dtype))
        left, _, top, _ = self.padding
        return canvas[:, :, top : top + self.height, left : left + self.width]


class ResidualBlock(nn.Module):
    """Two convolutions whose output is added to their input.

    Parameters
    ----------
    n_channels : int
        Channels.
    """

    def __init__(self, n_channels):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(n_channels, n_channels, 3, padding=1, padding_mode="reflect"),
            *_norm_and_relu(n_channels),
            nn.Conv2d(n_channels, n_channels, 3, padding=1, padding_mode="reflect"),
            nn.InstanceNorm2d(n_channels),
        )

    def forward(self, features):
        """Return features of the same shape."""
        return features + self.layers(features)


class PatchDiscriminator(nn.Module):
    """Images to logits of overlapping patches, so that it classifies texture rather than layout [1]_.

    Parameters
    ----------
    image_shape : tuple of (int, int, int)
        Channels, height and width of the images.
    base_channels : int, default=64
        Channels after the first convolution; they double when the resolution halves.
    """

    def __init__(self, image_shape, *, base_channels=64):
        super().__init__()
        n_channels, height, width = image_shape
        self.padding = _canvas_padding(height, width)
        shorter = min(height, width)
        n_halvings = 1 + (shorter >= 16) + (shorter >= 64)  # patches of 10, 22 and 46 pixels; the paper's are of 70
        layers = [nn.Conv2d(n_channels, base_channels, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for i in range(n_halvings - 1):
            n_in, n_out = base_channels * 2**i, base_channels * 2 ** (i + 1)
            layers += [nn.Conv2d(n_in, n_out, 4, stride=2, padding=1), nn.InstanceNorm2d(n_out), nn.LeakyReLU(0.2)]
        layers += [nn.Conv2d(base_channels * 2 ** (n_halvings - 1), 1, 4, padding=1)]
        self.layers = nn.Sequential(*layers)
        _initialise(self)

    def forward(self, images):
        """Return the logits of patches: images (n, channels, height, width) in [-1, 1] to (n, 1, rows, columns)."""
        return self.layers(pad(images, self.padding, mode="replicate"))


def _canvas_padding(height, width):
    """Return the padding on the left, right, top and bottom after which both sides are divisible by four."""
    spare_rows, spare_columns = (max(_SMALLEST_CANVAS, 4 * math.ceil(side / 4)) - side for side in (height, width))
    return spare_columns // 2, -(-spare_columns // 2), spare_rows // 2, -(-spare_rows // 2)


def _norm_and_relu(n_channels):
    return [nn.InstanceNorm2d(n_channels), nn.ReLU(inplace=True)]


@torch.no_grad()
def _initialise(network):
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=_INITIAL_STD)  # appendix 7.2 of [1]_
            nn.init.zeros_(module.bias)
