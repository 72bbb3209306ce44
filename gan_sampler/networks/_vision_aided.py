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
from torch.nn.functional import conv2d, interpolate
from torch.nn.utils.parametrizations import spectral_norm

_NEGATIVE_SLOPE = 0.2
_LEAST_SPREAD = 1e-2  # standard deviation of a channel, relative to that of its map
_N_AT_ONCE = 64  # images


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

    Raises
    ------
    ValueError
        When the backbone returns no feature maps.
    """

    def __init__(self, pixels, backbone, image_shape, *, input_size=64, n_projected=64):
        super().__init__()
        self.pixels = pixels
        self.backbone = backbone.requires_grad_(False).eval()
        self.seen_size = (int(input_size), int(input_size))
        try:
            with torch.no_grad():
                # Where an earlier training left it, if one network is returned at each call.
                device = next((parameter.device for parameter in backbone.parameters()), None)
                maps = self._maps(torch.zeros(1, *image_shape, device=device))
        except Exception as exc:
            exc.add_note(
                f"backbone, {type(backbone).__name__}, was tried on images of shape {(1, 3, *self.seen_size)} before "
                f"training; their size is input_size={input_size}."
            )
            raise
        self.heads = nn.ModuleList([_Head(found.shape[1], n_projected) for found in maps])
        self.register_buffer("is_calibrated", torch.tensor(False))

    def train(self, mode=True):
        """Set the mode of all parts but the backbone, which stays in eval mode."""
        super().train(mode)
        self.backbone.eval()
        return self

    @torch.no_grad()
    def calibrate(self, images):
        """Scale the channels of each feature map to mean 0 and variance 1 over real images.

        A channel that is nearly constant over them is left out, since scaling would make any difference in it huge. A
        second call changes nothing: trained heads depend on the scales that they were trained with.

        Parameters
        ----------
        images : torch.Tensor of shape (n, channels, height, width)
            Real images in [-1, 1], on the device of the network; some tens are enough.

        Raises
        ------
        ValueError
            When a feature map of the backbone has NaN or infinity in it.
        """
        if self.is_calibrated:
            return
        sums = None
        for part in images.split(_N_AT_ONCE):
            maps = [found.double() for found in self._maps(part)]
            totals = [torch.stack([found.mean((2, 3)).sum(0), found.square().mean((2, 3)).sum(0)]) for found in maps]
            sums = totals if sums is None else [a + b for a, b in zip(sums, totals, strict=True)]
        for i, (head, (mean, square)) in enumerate(zip(self.heads, [s / len(images) for s in sums], strict=True)):
            if not square.isfinite().all():
                raise ValueError(
                    f"backbone must return finite feature maps; map {i} of {type(self.backbone).__name__} has NaN or "
                    f"infinity in it for real images scaled to [-1, 1]."
                )
            variance = (square - mean.square()).clamp_min(0)
            # Relative to the map, and above the rounding errors of a map that is constant as a whole.
            least = _LEAST_SPREAD * variance.mean().sqrt() + torch.finfo(torch.float32).eps * square.mean().sqrt()
            scale = variance.rsqrt().where(variance.sqrt() > least, 0.0)
            head.center.copy_(mean.view(-1, 1, 1))
            head.scale.copy_(scale.view(-1, 1, 1))
        self.is_calibrated.fill_(True)

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
        """Return the feature maps of images as a list."""
        images = images.float()  # not every device can scale bfloat16
        if images.shape[1] < 3:  # a second channel is alpha
            images = images[:, :1].expand(-1, 3, -1, -1)
        images = images[:, :3]
        if images.shape[2:] != self.seen_size:
            images = interpolate(images, self.seen_size, mode="bilinear", antialias=True)
        # Depthwise convolutions, which many backbones consist of, are slower in bfloat16 on CPUs.
        with torch.autocast("cpu", enabled=False):
            maps = self.backbone(images)
        if isinstance(maps, torch.Tensor):
            maps = [maps]
        elif isinstance(maps, dict):
            maps = list(maps.values())
        is_list = isinstance(maps, list | tuple) and len(maps)
        if not is_list or not all(_is_map(found, len(images)) for found in maps):
            found = [_describe(found) for found in maps] if is_list else _describe(maps)
            raise ValueError(
                "backbone must return floating-point feature maps of shape (n, n_channels, h, w) for n images, one or "
                f"a list, tuple or dict of them; {type(self.backbone).__name__} returned {found} for n={len(images)}."
            )
        return list(maps)


class _Head(nn.Module):
    """Mean logit of the places of a feature map, (n, n_channels, h, w) to (n,).

    The projection is a buffer, so that it is kept together with the layers that were trained on it.
    """

    def __init__(self, n_channels, n_projected):
        super().__init__()
        self.register_buffer("center", torch.zeros(n_channels, 1, 1))
        self.register_buffer("scale", torch.ones(n_channels, 1, 1))
        self.register_buffer("projection", torch.randn(n_projected, n_channels, 1, 1) * n_channels**-0.5)
        self.layers = nn.Sequential(
            spectral_norm(nn.Conv2d(n_projected, n_projected, 3, padding=1)),
            nn.LeakyReLU(_NEGATIVE_SLOPE),
            spectral_norm(nn.Conv2d(n_projected, 1, 1)),
        )

    def forward(self, features):
        return self.layers(conv2d((features - self.center) * self.scale, self.projection)).mean((1, 2, 3))


def _is_map(found, n_images):
    is_floating = isinstance(found, torch.Tensor) and found.is_floating_point()
    return is_floating and found.ndim == 4 and len(found) == n_images


def _describe(found):
    if isinstance(found, torch.Tensor):
        return f"{str(found.dtype).removeprefix('torch.')} of shape {tuple(found.shape)}"
    return f"an empty {type(found).__name__}" if isinstance(found, list | tuple) else f"a {type(found).__name__}"
