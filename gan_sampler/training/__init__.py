"""Adversarial training on tensors; knows no scikit-learn, no folders and prints nothing."""

from ._draw import draw, freeze
from ._loop import train_gan

__all__ = ["draw", "freeze", "train_gan"]
