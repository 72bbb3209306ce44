"""Data set and loader of the classifiers."""

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, RandomSampler


class BatchwiseDataset(Dataset):
    """Data set of an array, which is converted to float tensors batch by batch.

    So uint8 images are never all converted to floats at once, and a batch is converted in one operation.

    Parameters
    ----------
    X : ndarray
        Inputs, one per entry of the first axis.
    y : ndarray of int or None
        Class codes; None is replaced by zeros, since a loader cannot stack None.
    to_tensor : callable
        Converts a batch of `X` to a float tensor.
    """

    def __init__(self, X, y=None, *, to_tensor):
        self.X = X
        self.y = np.zeros(len(X), dtype=np.int64) if y is None else y
        self.to_tensor = to_tensor

    def __len__(self):
        return len(self.X)

    def __getitem__(self, index):
        return self.__getitems__([index])[0]

    def __getitems__(self, indices):  # used by torch's loader where a dataset has it
        return list(zip(self.to_tensor(self.X[indices]), torch.from_numpy(self.y[indices]), strict=True))


class TrainingLoader(DataLoader):
    """Loader that shuffles, and drops a last batch of one image, for which batch normalisation is undefined.

    Parameters
    ----------
    dataset : Dataset
        The training images.
    batch_size : int, default=1
        Number of images in a batch.
    shuffle : bool, default=True
        Whether the order is random, and another one in each epoch.
    epoch_size : int or None, default=None
        Number of images in an epoch, in random order, each once before any is repeated. None takes all, once.
    **kwargs : dict
        Other parameters of `torch.utils.data.DataLoader`.
    """

    def __init__(self, dataset, batch_size=1, shuffle=True, epoch_size=None, **kwargs):
        n_images = len(dataset) if epoch_size is None else epoch_size
        kwargs.setdefault("drop_last", batch_size > 1 and n_images > 1 and n_images % batch_size == 1)
        if epoch_size is not None:
            kwargs["sampler"], shuffle = RandomSampler(dataset, num_samples=epoch_size), False
        super().__init__(dataset, batch_size=batch_size, shuffle=shuffle, **kwargs)
