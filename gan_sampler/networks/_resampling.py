"""The two convolutions of DCGAN, kernel 4 x 4 and stride 2, implemented to be fast on CPUs.

For images of few channels, the transposed convolution of oneDNN, and the gradient of its convolution with respect to
the image, are ten times slower than other convolutions. In these cases both are computed as a 2 x 2 convolution between
feature maps and images reshaped to blocks of 2 x 2 pixels (pixel unshuffle), which gives the same result. The bias is
added separately, because in oneDNN its gradient takes nearly as long as that of the features.
"""

from torch import nn
from torch.nn.functional import conv2d, conv_transpose2d, pad, pixel_shuffle, pixel_unshuffle

_FEW_CHANNELS = 4


class UpsamplingConv2d(nn.ConvTranspose2d):
    """Transposed convolution of 4 x 4 pixels that doubles height and width.

    Parameters
    ----------
    in_channels, out_channels : int
        Number of channels before and after.
    bias : bool, default=True
        Whether to add a bias.
    """

    def __init__(self, in_channels, out_channels, bias=True):
        super().__init__(in_channels, out_channels, 4, stride=2, padding=1, bias=bias)

    def forward(self, features):
        """Double the size: (n, in_channels, h, w) to (n, out_channels, 2 h, 2 w)."""
        if features.device.type != "cpu":
            return super().forward(features)
        if self.out_channels > _FEW_CHANNELS:
            return _add(self.bias, conv_transpose2d(features, self.weight, stride=2, padding=1))
        # Pixel 2 i + k of the uncropped output gets weight[k] from input i: row p = k % 2 of block i + k // 2.
        weight = self.weight.unflatten(3, (2, 2)).unflatten(2, (2, 2)).flip(2, 4)  # (in, out, block, p, block, p)
        weight = weight.permute(1, 3, 5, 0, 2, 4).flatten(0, 2)  # (4 out, in, 2, 2)
        return _add(self.bias, pixel_shuffle(conv2d(features, weight, padding=1), 2)[:, :, 1:-1, 1:-1])


class DownsamplingConv2d(nn.Conv2d):
    """Convolution of 4 x 4 pixels that halves height and width.

    Parameters
    ----------
    in_channels, out_channels : int
        Number of channels before and after.
    bias : bool, default=True
        Whether to add a bias.
    """

    def __init__(self, in_channels, out_channels, bias=True):
        super().__init__(in_channels, out_channels, 4, stride=2, padding=1, bias=bias)

    def forward(self, images):
        """Halve the size: (n, in_channels, 2 h, 2 w) to (n, out_channels, h, w)."""
        if images.device.type != "cpu":
            return super().forward(images)
        if self.in_channels > _FEW_CHANNELS or not images.requires_grad:
            return _add(self.bias, conv2d(images, self.weight, stride=2, padding=1))
        weight = self.weight.unflatten(3, (2, 2)).unflatten(2, (2, 2))  # (out, in, block, p, block, p)
        weight = weight.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)  # (out, 4 in, 2, 2)
        return _add(self.bias, conv2d(pixel_unshuffle(pad(images, (1, 1, 1, 1)), 2), weight))


def _add(bias, features):
    # In the precision of the features: under mixed precision, adding a float32 bias would convert the feature maps
    # to float32 and back, a sixth of the time of a step for images of 128 x 128 pixels.
    return features if bias is None else features.add_(bias.to(features.dtype).view(-1, 1, 1))
