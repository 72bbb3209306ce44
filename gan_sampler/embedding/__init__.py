"""Image embedders: transformers that compute features of images with an ImageNet network."""

from ._constraints import HasMethodsOfInstance
from ._efficientnet_lite0 import EfficientNetLite0Embedder, EfficientNetLite0Maps
from ._embed import embed
from ._resnet18 import ResNet18Embedder

__all__ = [
    "EfficientNetLite0Embedder",
    "EfficientNetLite0Maps",
    "HasMethodsOfInstance",
    "ResNet18Embedder",
    "embed",
]
