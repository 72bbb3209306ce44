from . import data, datasets, displays, evaluation, quality, samplers
from .classifiers import ANNClassifier, CNNClassifier, DenseNet121Classifier
from .embedding import EfficientNetLite0Embedder, ResNet18Embedder
from .quality import QualityReport, QualityWarning, quality_report
from .samplers import (
    AugmentationOverSampler,
    CollapseWarning,
    ConditionalDCGANOverSampler,
    DCGANOverSampler,
    GANOverSampler,
    PixelSampler,
    PoorQualityError,
    VisionAidedDCGANOverSampler,
)

__all__ = [
    "ANNClassifier",
    "AugmentationOverSampler",
    "CNNClassifier",
    "CollapseWarning",
    "ConditionalDCGANOverSampler",
    "DCGANOverSampler",
    "DenseNet121Classifier",
    "EfficientNetLite0Embedder",
    "GANOverSampler",
    "PixelSampler",
    "PoorQualityError",
    "QualityReport",
    "QualityWarning",
    "ResNet18Embedder",
    "VisionAidedDCGANOverSampler",
    "data",
    "datasets",
    "displays",
    "evaluation",
    "quality",
    "quality_report",
    "samplers",
]
