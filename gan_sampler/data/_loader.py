"""A loader that advances the epoch of a balanced data set."""

import torch
from torch.utils.data import DataLoader, Sampler

from ._dataset import BalancedDataset
from ._random import seed_of

_ORDER = 2**31  # where a class would stand in the seed of images


class BalancedDataLoader(DataLoader):
    """A `torch.utils.data.DataLoader` of a `BalancedDataset`, with other synthetic images in every epoch.

    Each iteration over it is an epoch: it goes to the images of the next one and, while these are trained on, draws
    those of the one after in a thread. Batches are the same for any number of workers, and come in a random order
    that depends on the `random_state` of the data set and the epoch alone.

    Parameters
    ----------
    dataset : BalancedDataset
        What is loaded, or a `torch.utils.data.Subset` of it.
    batch_size : int or None, default=1
        Images in a batch.
    shuffle : bool or None, default=None
        Whether each epoch has an order of its own. None is True unless a `sampler` or `batch_sampler` is given. Without
        it synthetic images come last.
    draw_ahead : bool, default=True
        Whether the images of the next epoch are drawn while this one is trained on. It takes the memory of
        them a second time, and on the CPU a core while it lasts. False draws them when the epoch begins.
    **kwargs
        As `torch.utils.data.DataLoader` takes them: `num_workers`, `persistent_workers`, `pin_memory`, `drop_last` and
        so on. A `sampler` or `batch_sampler` with a method `set_epoch`, such as
        `torch.utils.data.DistributedSampler`, is told the epoch.

    Raises
    ------
    TypeError
        When `dataset` is another one.

    Notes
    -----
    An iteration that is left early ends its epoch. To begin elsewhere, as after a checkpoint of a training, call
    ``loader.set_epoch(epoch)``.

    Examples
    --------
    See :class:`BalancedDataset`.
    """

    def __init__(self, dataset, batch_size=1, shuffle=None, *, draw_ahead=True, **kwargs):
        self._balanced = _find_balanced(dataset)
        self.draw_ahead = draw_ahead
        is_ordered = kwargs.get("sampler") is not None or kwargs.get("batch_sampler") is not None
        if not is_ordered and (shuffle is None or shuffle):
            kwargs["sampler"], shuffle = EpochSampler(dataset, self._balanced), None
        super().__init__(dataset, batch_size, shuffle, **kwargs)
        if draw_ahead:
            self._balanced._reserve_second_buffer()
        if self.num_workers > 0 and self.persistent_workers:
            self._balanced.share_memory_()

    def set_epoch(self, epoch):
        """Let the next iteration be over this epoch, an int of at least 0."""
        self._balanced.set_epoch(epoch)

    def __iter__(self):
        dataset = self._balanced
        dataset._begin_epoch()
        for part in (self.sampler, self.batch_sampler):
            if hasattr(part, "set_epoch"):
                part.set_epoch(dataset.epoch)
        batches = super().__iter__()
        if self.draw_ahead:  # after workers were forked, into which no other thread must reach
            dataset._draw_ahead()
        return batches


class EpochSampler(Sampler):
    """A random order for each epoch.

    Parameters
    ----------
    dataset : Dataset
        What is put in order.
    balanced : BalancedDataset
        Knows the epoch and the seed.
    """

    def __init__(self, dataset, balanced):
        self._dataset, self._balanced = dataset, balanced

    def __len__(self):
        return len(self._dataset)

    def __iter__(self):
        seed = seed_of(self._balanced._seed, self._balanced.epoch, _ORDER)
        generator = torch.Generator().manual_seed(seed)
        yield from torch.randperm(len(self), generator=generator).tolist()


def _find_balanced(dataset):
    found = dataset
    while not isinstance(found, BalancedDataset):
        if not hasattr(found, "dataset"):
            raise TypeError(
                f"dataset must be a BalancedDataset, or a Subset of one; got {type(dataset).__name__}. Make one with "
                "BalancedDataset(sampler, X, y)."
            )
        found = found.dataset
    return found
