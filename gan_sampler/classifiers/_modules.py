"""Networks of the classifiers, which return logits."""

import math

import numpy as np
from torch import nn
from torchvision.models import densenet121

_DENSENET_MIN_SIDE = 32  # pixels; DenseNet halves the resolution five times


class ANNModule(nn.Module):
    """Fully connected network on flattened images or features.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one input without the batch axis; inputs are flattened.
    n_classes : int
        Number of logits.
    hidden_units : tuple of int, default=(256, 128)
        Number of units of each hidden layer.
    dropout : float, default=0.3
        Dropout probability after each hidden layer.

    Examples
    --------
    >>> import torch
    >>> from gan_sampler.classifiers import ANNModule
    >>> ANNModule((1, 8, 8), 3)(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 3])
    """

    def __init__(self, input_shape, n_classes, *, hidden_units=(256, 128), dropout=0.3):
        super().__init__()
        layers, width = [nn.Flatten()], int(np.prod(input_shape))
        for units in hidden_units:
            layers += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(dropout)]
            width = units
        self.layers = nn.Sequential(*layers, nn.Linear(width, n_classes))

    def forward(self, x):
        """Return the logits of `x`, shape ``(n, n_classes)``."""
        return self.layers(x)


class CNNModule(nn.Module):
    """Small convolutional network for images of any size: blocks of convolution and max pooling, then dense layers.

    Parameters
    ----------
    input_shape : tuple of (int, int, int)
        (channels, height, width) of one image.
    n_classes : int
        Number of logits.
    widths : tuple of int, default=(32, 64, 128)
        Channels of each block of convolution, normalisation, ReLU and max pooling.
    norm : "batch" or None, default="batch"
        Normalisation after each convolution.
    global_pooling : bool, default=True
        Whether the last feature map is averaged over its pixels. False flattens it, so that the dense layers see where
        something is; they then have many more weights, and their gradient is not deterministic on CUDA.
    hidden_units : tuple of int, default=()
        Number of units of each hidden dense layer, with ReLU.
    dropout : float, default=0.3
        Dropout probability before the last layer.

    Examples
    --------
    >>> import torch
    >>> from gan_sampler.classifiers import CNNModule
    >>> CNNModule((3, 20, 31), 2)(torch.zeros(5, 3, 20, 31)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        input_shape,
        n_classes,
        *,
        widths=(32, 64, 128),
        norm="batch",
        global_pooling=True,
        hidden_units=(),
        dropout=0.3,
    ):
        super().__init__()
        if norm not in ("batch", None):
            raise ValueError(f"norm must be 'batch' or None; got {norm!r}.")
        layers, (n_features, height, width) = [], input_shape
        for n_channels in widths:
            layers += [nn.Conv2d(n_features, n_channels, 3, padding=1, bias=norm is None)]
            layers += [nn.BatchNorm2d(n_channels)] if norm == "batch" else []
            # Rounded up, so that odd sizes and images of one row are possible.
            layers += [nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)]
            n_features, height, width = n_channels, math.ceil(height / 2), math.ceil(width / 2)
        if global_pooling:
            layers += [nn.AdaptiveAvgPool2d(1)]  # average pooling to one pixel has a deterministic gradient on CUDA
        else:
            n_features *= height * width
        layers += [nn.Flatten()]
        for units in hidden_units:
            layers += [nn.Linear(n_features, units), nn.ReLU()]
            n_features = units
        self.layers = nn.Sequential(*layers, nn.Dropout(dropout), nn.Linear(n_features, n_classes))

    def forward(self, x):
        """Return the logits of `x`, shape ``(n, n_classes)``."""
        return self.layers(x)


class DenseNet121Module(nn.Module):
    """torchvision's DenseNet121, untrained, for images of any size and 1 to 4 channels.

    Grey images are repeated to three channels. Sides below 32 pixels are enlarged to 32, because the
    resolution is halved five times.

    Parameters
    ----------
    input_shape : tuple of (int, int, int)
        (channels, height, width) of one image.
    n_classes : int
        Number of logits.
    dropout : float, default=0.0
        Dropout probability after each dense layer.

    Examples
    --------
    >>> import torch
    >>> from gan_sampler.classifiers import DenseNet121Module
    >>> DenseNet121Module((1, 28, 28), 2)(torch.zeros(3, 1, 28, 28)).shape
    torch.Size([3, 2])
    """

    def __init__(self, input_shape, n_classes, *, dropout=0.0):
        super().__init__()
        channels, height, width = input_shape
        self.size = max(height, _DENSENET_MIN_SIDE), max(width, _DENSENET_MIN_SIDE)
        self.network = densenet121(weights=None, num_classes=n_classes, drop_rate=dropout)
        if channels not in (1, 3):
            self.network.features.conv0 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)

    def forward(self, x):
        """Return the logits of `x`, shape ``(n, n_classes)``."""
        if x.shape[1] == 1:
            x = x.expand(-1, 3, -1, -1)
        if tuple(x.shape[2:]) != self.size:
            x = nn.functional.interpolate(x, self.size, mode="bilinear", align_corners=False)
        return self.network(x)
