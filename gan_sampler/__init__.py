"""GAN over-sampling of images behind imbalanced-learn's `fit_resample`, and an honest answer whether it helped."""

from importlib.metadata import version

from . import datasets
from .classifiers import ANNClassifier, CNNClassifier, DenseNet121Classifier
from .embedding import EfficientNetLite0Embedder, ResNet18Embedder
from .quality import QualityReport, QualityWarning, quality_report
from .samplers import (
    AugmentationOverSampler,
    CollapseWarning,
    ConditionalDCGANOverSampler,
    CycleGANOverSampler,
    DCGANOverSampler,
    DeepSMOTE,
    PixelSampler,
    PoorQualityError,
)

__version__ = version("gan-sampler")

__all__ = [
    "ANNClassifier",
    "AugmentationOverSampler",
    "CNNClassifier",
    "CollapseWarning",
    "ConditionalDCGANOverSampler",
    "CycleGANOverSampler",
    "DCGANOverSampler",
    "DeepSMOTE",
    "DenseNet121Classifier",
    "EfficientNetLite0Embedder",
    "PixelSampler",
    "PoorQualityError",
    "QualityReport",
    "QualityWarning",
    "ResNet18Embedder",
    "__version__",
    "datasets",
    "quality_report",
]
