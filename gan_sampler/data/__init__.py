"""Balanced data for training loops in PyTorch: a data set, its loader, and a stream."""

from ._dataset import BalancedDataset
from ._loader import BalancedDataLoader
from ._stream import BalancedIterableDataset

__all__ = ["BalancedDataLoader", "BalancedDataset", "BalancedIterableDataset"]
