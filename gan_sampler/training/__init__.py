"""Training of GANs on tensors. Independent of scikit-learn."""

from .._files import check_tensors, check_writable, read_file, write_file
from .._keeper import CheckpointKeeper
from .._snapshots import LEAST_VARIANCE_RATIO, is_unusable, rank
from ._augment import augment_mildly, brighten, stretch_contrast, translate
from ._checkpoint import Checkpoint
from ._draw import draw, finish, freeze
from ._identity import hash_of_tensors, identity_of, name_of
from ._loop import train_gan
from ._losses import LOSSES, Loss, check_loss
from ._progress import CallbackError, TrainingInterrupted, TrainingProgress
from ._score import PixelFrechetDistance, PixelFrechetDistanceByClass, of_class
from ._state import constant_names
from ._step import normalised

__all__ = [
    "LEAST_VARIANCE_RATIO",
    "CallbackError",
    "Checkpoint",
    "CheckpointKeeper",
    "LOSSES",
    "Loss",
    "PixelFrechetDistance",
    "PixelFrechetDistanceByClass",
    "TrainingInterrupted",
    "TrainingProgress",
    "augment_mildly",
    "brighten",
    "check_tensors",
    "check_writable",
    "check_loss",
    "constant_names",
    "draw",
    "finish",
    "freeze",
    "hash_of_tensors",
    "identity_of",
    "is_unusable",
    "name_of",
    "normalised",
    "of_class",
    "rank",
    "read_file",
    "stretch_contrast",
    "train_gan",
    "translate",
    "write_file",
]
