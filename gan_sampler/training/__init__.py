"""Adversarial training on tensors; knows no scikit-learn, no folders and prints nothing."""

from ._augment import augment_mildly, brighten, stretch_contrast, translate
from ._autoencoder import train_autoencoder
from ._checkpoint import Checkpoint, read_file, write_file
from ._cycle import train_cycle_gan, translate_images
from ._draw import draw, finish, freeze
from ._loop import train_gan
from ._losses import LOSSES, Loss, check_loss
from ._score import PixelFrechetDistance, PixelFrechetDistanceByClass

__all__ = [
    "Checkpoint",
    "LOSSES",
    "Loss",
    "PixelFrechetDistance",
    "PixelFrechetDistanceByClass",
    "augment_mildly",
    "brighten",
    "check_loss",
    "draw",
    "finish",
    "freeze",
    "read_file",
    "stretch_contrast",
    "train_autoencoder",
    "train_cycle_gan",
    "train_gan",
    "translate",
    "translate_images",
    "write_file",
]
