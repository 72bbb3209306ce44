"""Neural classifiers of images as scikit-learn estimators: skorch nets whose input size is set at fit."""

from ._ann import ANNClassifier
from ._cnn import CNNClassifier
from ._densenet121 import DenseNet121Classifier
from ._modules import ANNModule, CNNModule, DenseNet121Module

__all__ = [
    "ANNClassifier",
    "CNNClassifier",
    "DenseNet121Classifier",
    "ANNModule",
    "CNNModule",
    "DenseNet121Module",
]
