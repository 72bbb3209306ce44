"""GAN over-sampling of images behind imbalanced-learn's `fit_resample`, and an honest answer whether it helped."""

from importlib.metadata import version

from . import datasets
from .classifiers import ANNClassifier, CNNClassifier, DenseNet121Classifier
from .embedding import EfficientNetLite0Embedder, ResNet18Embedder
from .samplers import AugmentationOverSampler, CollapseWarning, DCGANOverSampler, PixelSampler

__version__ = version("gan-sampler")

__all__ = [
    "ANNClassifier",
    "AugmentationOverSampler",
    "CNNClassifier",
    "CollapseWarning",
    "DCGANOverSampler",
    "DenseNet121Classifier",
    "EfficientNetLite0Embedder",
    "PixelSampler",
    "ResNet18Embedder",
    "__version__",
    "datasets",
]
