"""Over-samplers for images, with imbalanced-learn's `fit_resample`."""

from ._augmentation import AugmentationOverSampler
from ._base import BaseImageOverSampler
from ._conditional import ConditionalDCGANOverSampler
from ._dcgan import DCGANOverSampler
from ._gan import GANOverSampler
from ._judging import CollapseWarning, PoorQualityError
from ._pixel import PixelSampler
from ._vision_aided import VisionAidedDCGANOverSampler

__all__ = [
    "AugmentationOverSampler",
    "BaseImageOverSampler",
    "CollapseWarning",
    "ConditionalDCGANOverSampler",
    "DCGANOverSampler",
    "GANOverSampler",
    "PixelSampler",
    "PoorQualityError",
    "VisionAidedDCGANOverSampler",
]
