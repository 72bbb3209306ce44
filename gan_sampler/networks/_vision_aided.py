"""Discriminator that sees images both as pixels and through a frozen, pretrained network.

References
----------
.. [1] N. Kumari, R. Zhang, E. Shechtman, J.-Y. Zhu, "Ensembling Off-the-shelf Models for GAN Training", CVPR 2022.
   https://arxiv.org/abs/2112.09130
.. [2] A. Sauer, K. Chitta, J. Müller, A. Geiger, "Projected GANs Converge Faster", NeurIPS 2021.
   https://arxiv.org/abs/2111.01007
"""

import torch
from torch import nn
from torch.nn.functional import interpolate
from torch.nn.utils.parametrizations import spectral_norm

_NEGATIVE_SLOPE = 0.2
_LEAST_SPREAD = 1e-3  # of a channel, relative to that of its map; a channel that is nearly constant says nothing
_N_CALIBRATED = 64  # images at once


class VisionAidedDiscriminator(nn.Module):
    """Sum of the logits of a discriminator of pixels and of small heads on the feature maps of a frozen network.

    As in [1]_ a network that was pretrained on other images judges beside the one that sees pixels; as in [2]_ each of
    its feature maps is mixed by a fixed random projection before its head. Call `calibrate` before training.

    Parameters
    ----------
    pixels : torch.nn.Module
        Discriminator of pixels: images (n, channels, height, width) in [-1, 1] to logits (n,).
    backbone : torch.nn.Module
        Maps images (n, 3, height, width) in [-1, 1] to feature maps (n, n_channels, h, w): one, or a list, tuple or
        dict of them. It is frozen, and stays in eval mode.
    image_shape : tuple of (int, int, int)
        Channels, height and width of the images.
    input_size : int, default=64
        Height and width, in pixels, to which images are scaled for the backbone.
    n_projected : int, default=64
        Channels of the random projections, and hidden channels of the heads.
    """

    def __init__(self, pixels, backbone, image_shape, *, input_size=64, n_projected=64):
        super().__init__()
        self.pixels = pixels
        self.backbone = backbone.requires_grad_(False).eval()
        self.seen_size = (input_size, input_size)
        with torch.no_grad():
            maps = self._maps(torch.zeros(1, *image_shape))
        self.heads = nn.ModuleList([_Head(found.shape[1], n_projected) for found in maps])

    @torch.no_grad()
    def calibrate(self, images):
        """Scale the channels of each feature map to mean 0 and variance 1 over real images.

        Parameters
        ----------
        images : torch.Tensor of shape (n, channels, height, width)
            Real images on the device of the network, uint8 in 0..255 or floats in [-1, 1]; some tens are enough.
        """
        sums = None
        for part in images.split(_N_CALIBRATED):
            if part.dtype == torch.uint8:
                part = part.float() / 127.5 - 1
            maps = [found.double() for found in self._maps(part)]
            totals = [torch.stack([found.mean((2, 3)).sum(0), found.square().mean((2, 3)).sum(0)]) for found in maps]
            sums = totals if sums is None else [a + b for a, b in zip(sums, totals, strict=True)]
        for head, (mean, square) in zip(self.heads, [total / len(images) for total in sums], strict=True):
            variance = (square - mean.square()).clamp_min(0)
            least = _LEAST_SPREAD * variance.mean().sqrt() + torch.finfo(torch.float32).eps
            head.center.copy_(mean.view(-1, 1, 1))
            head.spread.copy_((variance.sqrt() + least).view(-1, 1, 1))

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
        of_features = [head(found) for head, found in zip(self.heads, self._maps(images), strict=True)]
        return self.pixels(images) + torch.stack(of_features).sum(0)

    def _maps(self, images):
        if images.shape[1] < 3:  # a second channel is alpha
            images = images[:, :1].expand(-1, 3, -1, -1)
        images = images[:, :3]
        if images.shape[2:] != self.seen_size:
            images = interpolate(images, self.seen_size, mode="bilinear", antialias=True)
        maps = self.backbone(images)
        if isinstance(maps, torch.Tensor):
            return [maps]
        return list(maps.values() if isinstance(maps, dict) else maps)


class _Head(nn.Module):
    """Mean logit of the places of a feature map, (n, n_channels, h, w) to (n,)."""

    def __init__(self, n_channels, n_projected):
        super().__init__()
        self.register_buffer("center", torch.zeros(n_channels, 1, 1))
        self.register_buffer("spread", torch.ones(n_channels, 1, 1))
        self.projection = nn.Conv2d(n_channels, n_projected, 1, bias=False).requires_grad_(False)
        nn.init.normal_(self.projection.weight, std=n_channels**-0.5)
        self.layers = nn.Sequential(
            spectral_norm(nn.Conv2d(n_projected, n_projected, 3, padding=1)),
            nn.LeakyReLU(_NEGATIVE_SLOPE),
            spectral_norm(nn.Conv2d(n_projected, 1, 1)),
        )

    def forward(self, features):
        return self.layers(self.projection((features - self.center) / self.spread)).mean((1, 2, 3))
