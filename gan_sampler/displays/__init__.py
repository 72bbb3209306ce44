"""Displays: pictures of class counts, images, trainings, embeddings and latent walks, built as scikit-learn's are.

Each display holds plain data, which its class methods compute, and ``plot`` draws them with matplotlib (extra
``plot``), on axes given or on new ones. The matplotlib objects are kept as attributes, to be changed afterwards.
"""

from ._class_distribution import ClassDistributionDisplay
from ._embedding import EmbeddingDisplay
from ._latent_walk import LatentWalkDisplay
from ._synthetic_images import SyntheticImagesDisplay
from ._training_history import TrainingHistoryDisplay

__all__ = [
    "ClassDistributionDisplay",
    "EmbeddingDisplay",
    "LatentWalkDisplay",
    "SyntheticImagesDisplay",
    "TrainingHistoryDisplay",
]
