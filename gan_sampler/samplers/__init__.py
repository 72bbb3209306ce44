"""What goes into a Pipeline: one file per method, and what all methods share in ``_base.py``."""

from ._augmentation import AugmentationOverSampler
from ._base import BaseGANOverSampler, BaseImageOverSampler
from ._dcgan import DCGANOverSampler
from ._pixel import PixelSampler

__all__ = [
    "AugmentationOverSampler",
    "BaseGANOverSampler",
    "BaseImageOverSampler",
    "DCGANOverSampler",
    "PixelSampler",
]
