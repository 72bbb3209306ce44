"""A balanced data set: real images, and synthetic ones that are drawn anew for every epoch."""

import os
from multiprocessing.context import get_spawning_popen
from numbers import Integral, Real

import numpy as np
import torch
from imblearn.utils import check_sampling_strategy
from sklearn.exceptions import NotFittedError
from torch.utils.data import Dataset, get_worker_info

from ..runtime import draw_seed
from ..samplers._labels import plain_label
from ..samplers._plan import make_plan
from ._drawing import Ahead, Drawing
from ._random import kept_random_states, quick_seed, seed_all, seed_of
from ._sources import find_source

_NONE = -1  # no epoch


class BalancedDataset(Dataset):
    """Real images and those that a fitted sampler adds to them, with other synthetic images in every epoch.

    A map-style data set for a `torch.utils.data.DataLoader`; with :class:`BalancedDataLoader` epochs advance by
    themselves. All synthetic images of an epoch are drawn together, in batches and on the sampler's device, in the
    process that calls `set_epoch`; workers only read them. So no network goes to a worker, and a stored
    set of the same size is hardly faster.

    Parameters
    ----------
    sampler : DCGANOverSampler, ConditionalDCGANOverSampler or the like
        Fitted, or read with `load`: has `sample`, `generators_`, `image_format_` and `sampling_strategy`. Its
        `repeated_share` and `synthetic_classes` count, too. It is not changed, and a later fit of it does not change
        this data set.
    X : array-like of shape (n, H, W), (n, H, W, C), (n, C, H, W) or (n, n_features), or torch.utils.data.Dataset
        Real images in the layout, dtype and value range that the sampler was fitted on; not copied where possible. Or a
        data set with `targets` like `torchvision.datasets.ImageFolder`, or a `torch.utils.data.Subset` of
        one: then images are read when they are asked for.
    y : array-like of shape (n,) or None, default=None
        Labels of the images in an array.
    transform : callable or None, default=None
        Applied to each image, real or synthetic, such as a transform of `torchvision.transforms.v2`. It gets
        tensors of shape (channels, height, width) and of the dtype of `X`, such as uint8; of a data set of
        files it gets what the transform of that data set returned, which is a picture of Pillow's where there is none.
    target_transform : callable or None, default=None
        Applied to each class, an int.
    resize : bool, default=True
        Whether real images that a data set reads from files are brought to the size of the sampler's images first, with
        the filter of `load_image_folder`. Otherwise a classifier can tell synthetic images, and with them the class, by
        their sharpness. It comes before the transforms; False leaves it to these.
    refresh : float, default=1.0
        Share of the synthetic images that is drawn anew for each epoch, in (0, 1]; with 0.25 each stays for four
        epochs. It is rounded to 1, 1/2, 1/3 and so on. A smaller share costs less time, which matters if drawing and
        training share the CPU.
    return_synthetic : bool, default=False
        Whether elements are ``(image, class, is_synthetic)``.
    random_state : int, RandomState instance or None, default=None
        Seed of synthetic images, order and transforms. The same one gives the same batches for any number of workers,
        on one kind of device; None gives others in each object. In distributed training every process must have
        the same int.

    Attributes
    ----------
    classes : list
        The labels, sorted; of a data set its own.
    class_to_idx : dict of label to int
        Index of each class.
    targets : list of int
        Class of each element.
    synthetic_mask : ndarray of shape (len(self),), bool
        True for the elements that are drawn by a generator.
    epoch : int
        The epoch whose images are given out, from 0.

    Raises
    ------
    NotFittedError
        When the sampler has no generators.
    TypeError
        When it cannot draw, as `AugmentationOverSampler`, which makes images from real ones.
    ValueError
        When the images are not like those at fit, or a class lacks images and the sampler has no generator of it.

    See Also
    --------
    BalancedDataLoader : Loads it, and advances the epoch.
    BalancedIterableDataset : The same for a stream.

    Notes
    -----
    The order is that of `fit_resample`: real images, repeated ones, synthetic ones class by class. How many there are
    is found from `y`, which may belong to another set of images than the one at fit, and from the sampler's
    `sampling_strategy`, `repeated_share`, `synthetic_classes` and `synthetic_ratio`, as at a fit: by default, three
    quarters of the images that are added to a class are repeated real images, the same ones in every epoch, and exact
    ones (`augmented_share` is for `fit_resample`). To draw all of them anew, set ``repeated_share=0`` with `set_params`
    before.

    Images come from the sampler's `sample`, without `herding`, also those of a class that the fit warned of.

    Memory: the synthetic images of one epoch, of two with `BalancedDataLoader`, as they are stored at fit.

    Each image is transformed with torch's, NumPy's and Python's random streams seeded by epoch and index, and they are
    put back afterwards. So augmentation does not depend on the number of workers either.

    With `torch.utils.data.DistributedSampler` every process draws all synthetic images of the epoch, the same ones, and
    uses its share. A plain `DataLoader` with ``persistent_workers=True`` needs `share_memory_` before it starts.

    Examples
    --------
    >>> import numpy as np
    >>> from gan_sampler import DCGANOverSampler
    >>> from gan_sampler.data import BalancedDataLoader, BalancedDataset
    >>> rng = np.random.default_rng(0)
    >>> X = rng.integers(0, 256, size=(60, 16, 16), dtype=np.uint8)
    >>> y = np.array(["sick"] * 10 + ["well"] * 50)
    >>> sampler = DCGANOverSampler(n_steps=5, random_state=0)
    >>> _ = sampler.fit_resample(X, y)
    >>> dataset = BalancedDataset(sampler, X, y, random_state=0)  # 30 images repeated, 10 drawn
    >>> len(dataset), dataset.classes, int(dataset.synthetic_mask.sum())
    (100, ['sick', 'well'], 10)
    >>> loader = BalancedDataLoader(dataset, batch_size=20)
    >>> for epoch in range(2):  # the synthetic images of the second are other ones
    ...     for images, labels in loader:
    ...         pass
    >>> images.shape, images.dtype, labels.dtype, dataset.epoch
    (torch.Size([20, 1, 16, 16]), torch.uint8, torch.int64, 1)
    """

    def __init__(
        self,
        sampler,
        X,
        y=None,
        *,
        transform=None,
        target_transform=None,
        resize=True,
        refresh=1.0,
        return_synthetic=False,
        random_state=None,
    ):
        _check_sampler(sampler)
        if not isinstance(refresh, Real) or isinstance(refresh, bool) or not 0 < refresh <= 1:
            raise ValueError(f"refresh must be a number in (0, 1]; got {refresh!r}.")
        self.transform, self.target_transform = transform, target_transform
        self.return_synthetic = return_synthetic
        self._seed = draw_seed(random_state)
        self._source = find_source(sampler, X, y, resize=resize)
        self.classes, self.class_to_idx = self._source.classes, self._source.class_to_idx
        labels = self._source.labels
        plan = _plan(sampler, labels)
        # Shuffled, since the first files of a folder may belong to a few patients.
        shuffled = np.random.RandomState(seed_of(self._seed)).permutation
        self._rows = np.concatenate(
            [
                np.arange(len(labels)),
                *(np.resize(shuffled(plan.rows[label]), n) for label, n in plan.n_repeated.items()),
            ]
        )
        wanted = [
            (label, int(self._source.targets[plan.rows[label][0]]), n_images)
            for label, n_images in plan.n_synthetic.items()
        ]
        self._targets = np.concatenate(
            [self._source.targets[self._rows], *(np.full(n, index, dtype=np.int64) for _, index, n in wanted)]
        ).tolist()
        self._drawing = Drawing(sampler, wanted, self._seed, refresh)
        self._buffers, self._own_epochs = [self._drawing.allocate()], [_NONE]
        # Epoch, and that of the images in each buffer; what workers see even when they outlive an epoch.
        self._shared = torch.full((3,), _NONE, dtype=torch.int64).share_memory_()
        self._ahead, self._is_used = None, False
        self._pid = os.getpid()
        self.set_epoch(0)

    @property
    def targets(self):
        """Class of each element, as `target_transform` does not see it."""
        return list(self._targets)

    @property
    def synthetic_mask(self):
        """Which elements are drawn by a generator."""
        return np.arange(len(self)) >= len(self._rows)

    @property
    def epoch(self):
        """The epoch whose images are given out."""
        return int(self._shared[0])

    def set_epoch(self, epoch):
        """Draw the synthetic images of an epoch, in the manner of `torch.utils.data.DistributedSampler`.

        Call it before each epoch where a plain `DataLoader` is used. An epoch has the same images whenever it is drawn.

        Parameters
        ----------
        epoch : int
            Number of the epoch, at least 0.

        Raises
        ------
        ValueError
            When `epoch` is negative or no integer.
        RuntimeError
            When it is called in a worker.
        """
        if not isinstance(epoch, Integral) or isinstance(epoch, bool) or epoch < 0:
            raise ValueError(f"epoch must be an integer of at least 0; got {epoch!r}.")
        if self._drawing is None or get_worker_info() is not None:
            raise RuntimeError(
                "set_epoch draws images and must be called in the process that made the data set, not in a worker. "
                "Call it before the loop over the loader, or use BalancedDataLoader, which does."
            )
        self._finish_drawing_ahead(epoch)
        if epoch not in self._shared[1:].tolist():
            before = self._present()
            slot = 0 if len(self._buffers) == 1 or self._shared[1] != self.epoch else 1
            self._stamp(slot, _NONE)
            self._drawing.draw(epoch, self._buffers[slot], before=before)
            self._stamp(slot, epoch)
        self._shared[0], self._is_used = int(epoch), False

    def share_memory_(self):
        """Move what changes from epoch to epoch to shared memory, for workers that outlive an epoch.

        To be called before a `DataLoader` with ``persistent_workers=True`` is iterated over; `BalancedDataLoader` does.

        Returns
        -------
        self : BalancedDataset
        """
        for buffer in self._buffers:
            buffer.share_memory_()
        return self

    def _stamp(self, slot, epoch):
        self._shared[1 + slot] = self._own_epochs[slot] = int(epoch)

    def _begin_epoch(self):
        """Go to the next epoch, unless `set_epoch` has gone to one that was not used yet."""
        if self._is_used:
            self.set_epoch(self.epoch + 1)
        self._is_used = True

    def _reserve_second_buffer(self):
        if len(self._buffers) == 1:
            buffer = torch.empty_like(self._buffers[0])
            self._buffers.append(buffer.share_memory_() if self._buffers[0].is_shared() else buffer)
            self._own_epochs.append(_NONE)

    def _draw_ahead(self):
        """Start to draw the images of the next epoch."""
        epoch = self.epoch + 1
        if self._drawing.n_images == 0 or self._ahead is not None or epoch in self._shared[1:].tolist():
            return
        self._reserve_second_buffer()
        before = self._present()
        slot = self._own_epochs.index(before[0]) ^ 1
        self._stamp(slot, _NONE)
        self._ahead = slot, Ahead(self._drawing, epoch, self._buffers[slot], before)

    def _present(self):
        """Return the present epoch and its images, in the process that draws; None where there are none."""
        epoch = self.epoch
        return (
            (epoch, self._buffers[self._own_epochs.index(epoch)]) if epoch in self._own_epochs and epoch >= 0 else None
        )

    def _finish_drawing_ahead(self, epoch):
        if self._ahead is None or os.getpid() != self._pid:
            return
        (slot, ahead), self._ahead = self._ahead, None
        if ahead.epoch != epoch:
            ahead.cancel()
            return
        ahead.finish()
        self._stamp(slot, epoch)

    def _synthetic_images(self):
        """Return the images of the present epoch."""
        epoch, *drawn = self._shared.tolist()
        if epoch not in drawn:
            raise RuntimeError(f"The images of epoch {epoch} are not there: drawing them failed. Call set_epoch again.")
        slot = drawn.index(epoch)
        images = self._buffers[slot]
        if self._own_epochs[slot] != epoch and not images.is_shared():  # in a worker that is older than the epoch
            raise RuntimeError(
                "This worker has images of an earlier epoch. With persistent_workers=True use BalancedDataLoader, or "
                "call share_memory_() on the data set before the loader is iterated over."
            )
        return images

    def __len__(self):
        return len(self._targets)

    def __getitem__(self, index):
        return self.__getitems__([index])[0]

    def __getitems__(self, indices):
        """Return the elements of a batch, which is how loaders of torch ask for them."""
        synthetic = self._synthetic_images()
        if self.transform is None and self.target_transform is None and not hasattr(self._source, "base"):
            return [self._element(index, synthetic) for index in indices]
        epoch, elements = self.epoch, []
        with kept_random_states():
            for index in indices:
                seed_all(quick_seed(self._seed, epoch, int(index) % len(self)))
                elements.append(self._element(index, synthetic))
        return elements

    def _element(self, index, synthetic):
        if not -len(self) <= index < len(self):
            raise IndexError(f"index must be from {-len(self)} to {len(self) - 1}; got {index}.")
        index = int(index) % len(self)
        row = index - len(self._rows)
        source = self._source
        image = source.real(self._rows[index]) if row < 0 else source.synthetic(synthetic[row])
        target = source.target(self._targets[index])
        if self.transform is not None:
            # What is stored must survive transforms that work in place.
            image = self.transform(image.clone() if isinstance(image, torch.Tensor) else image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return (image, target, row >= 0) if self.return_synthetic else (image, target)

    def __copy__(self):
        """Return a data set with its own epoch and synthetic images, such as one with another transform."""
        copied = object.__new__(type(self))
        vars(copied).update(
            vars(self),
            _ahead=None,
            _shared=self._shared.clone().share_memory_(),
            _buffers=[buffer.clone() for buffer in self._buffers],
            _own_epochs=list(self._own_epochs),
        )
        return copied

    def __getstate__(self):
        state = {**vars(self), "_ahead": None}
        if get_spawning_popen() is not None:  # to a worker, which must not draw
            state["_drawing"] = None
        return state

    def __setstate__(self, state):
        vars(self).update(state)
        self._shared.share_memory_()
        self._pid = os.getpid()
        self._own_epochs = self._shared[1 : 1 + len(self._buffers)].tolist()

    def __del__(self):
        if getattr(self, "_ahead", None) is not None and os.getpid() == self._pid:
            self._ahead[1].cancel()

    def __repr__(self):
        n_synthetic = len(self) - len(self._rows)
        return f"{type(self).__name__}({len(self._rows)} real, {n_synthetic} synthetic, classes={self.classes})"


def _check_sampler(sampler):
    name = type(sampler).__name__
    if isinstance(sampler, type) or not hasattr(sampler, "sample"):
        raise TypeError(
            f"sampler must be a fitted one that draws images with sample, such as DCGANOverSampler; got {name}. Images "
            "that it makes once can be had from fit_resample, and go into a torch.utils.data.TensorDataset."
        )
    if not hasattr(sampler, "generators_"):
        raise NotFittedError(
            f"This {name} has no generators yet. Call fit_resample, which trains them, or read a sampler with load."
        )


def _plan(sampler, labels):
    """Return how many images each class gets, by the parameters of the sampler for these labels."""
    strategy = check_sampling_strategy(sampler.sampling_strategy, labels, "over-sampling")
    strategy = {plain_label(label): int(n_images) for label, n_images in strategy.items()}
    plan = make_plan(
        labels,
        strategy,
        getattr(sampler, "repeated_share", 0),
        getattr(sampler, "synthetic_classes", "resampled"),
        getattr(sampler, "synthetic_ratio", 0.25),
    )
    missing = [label for label in plan.n_synthetic if label not in sampler.generators_]
    if missing:
        raise ValueError(
            f"sampler must have a generator of each class that gets synthetic images; for these labels, "
            f"{missing} lack one, and there are those of {list(sampler.generators_)}. Fit it on data in which "
            "these classes are to be over-sampled, or name others in sampling_strategy={label: n_images}."
        )
    for label, n_images in strategy.items():  # whose rows the plan only has of those that are learnt
        if n_images > 0:
            plan.rows.setdefault(label, np.flatnonzero(labels == label))
    return plan
