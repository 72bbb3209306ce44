"""Balancing of a stream of images that has no end, while a model trains on it."""

import warnings
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import clone
from torch.utils.data import IterableDataset, get_worker_info

from ..images import check_images
from ..runtime import draw_seed, stacklevel_of_user
from ..samplers import PoorQualityError
from ._random import kept_random_states, quick_seed, seed_all, seed_of
from ._sources import to_tensor

_DRAWN_TOGETHER = 64
_FIT, _DRAW, _CHOICE = range(3)  # what seeds are for


class BalancedIterableDataset(IterableDataset):
    """A stream of (image, label) without end, balanced with synthetic images as classes fall behind.

    Each image of the stream is given out as it comes. After it comes one more image of each class that is behind: of
    which fewer were given out recently, real and synthetic together, than the most frequent class had real ones. Such
    an image is drawn by a generator, or, as long as the class has none, is one of its recent real images again.

    Generators are trained here, in the same process, on recent images of all classes: when a class that is behind has
    seen `min_images`, and again every `refit_every` images. Meanwhile the stream waits, so give the sampler few
    `n_steps` or a `max_time`; with `max_time` results are no longer reproducible.

    Parameters
    ----------
    stream : iterable of (image, label)
        Images (H, W), (H, W, C) or (C, H, W), all of one size: arrays, tensors or pictures of Pillow's. Labels:
        integers, or elements of `classes`. What is iterable once, such as a generator, is read on at the next
        iteration.
    sampler : DCGANOverSampler, ConditionalDCGANOverSampler or the like
        Has `fit_resample`, `sample` and `get_params`. A clone of it is fitted, with a `sampling_strategy`,
        `synthetic_classes` and `random_state` that are set here. If it is fitted already, its generators serve from the
        start. Real images are given out unchanged, whatever its `augmented_share` is.
    classes : list or None, default=None
        All labels that can come; a label is given out as its place in this list. One that never comes is
        never drawn. None takes integers as they are.
    ratio : float, default=1.0
        How many images of each class to give out for each of the most frequent class, in (0, 1].
    window : int or None, default=1000
        What "recently" means: an image that came so many images ago counts 1/e as much as a new one. None
        counts all alike.
    buffer_size : int, default=200
        Real images of each class that are kept to learn from and to repeat. When there are as many, a new image takes
        the place of a random one, so that most are recent.
    min_images : int, default=20
        Images of a class from which a generator is trained; at most `buffer_size`, and at least 2.
    refit_every : int or None, default=None
        Images of the stream after which generators are trained anew on what is recent then. None trains only when a
        class gets its first generator.
    transform : callable or None, default=None
        Applied to each image given out, a tensor of shape (channels, height, width) and of the dtype of the stream's.
    return_synthetic : bool, default=False
        Whether to give out ``(image, label, is_synthetic)``. A repeated image is not synthetic.
    random_state : int, RandomState instance or None, default=None
        Seed. The same one gives the same output for the same stream.

    Attributes
    ----------
    counts : dict of label to float
        Real images of each class seen recently.
    n_seen, n_synthetic, n_repeated : int
        Images taken from the stream, drawn by generators, and repeated.
    n_fits : int
        How often generators were trained.
    sampler : object
        The sampler last fitted, None before; draws with `sample`.

    Raises
    ------
    TypeError
        When the sampler cannot draw images after a fit.
    ValueError
        When a parameter is out of its range; while iterating, when an image is of another shape or dtype than the
        first, or a label is not in `classes`.
    RuntimeError
        In several workers of a `DataLoader`, unless the stream can be divided.

    Warns
    -----
    UserWarning
        When a training fails. The stream goes on with what there was.

    See Also
    --------
    BalancedDataset : For images that are all there.

    Notes
    -----
    With a `torch.utils.data.DataLoader`, use ``num_workers=0`` or 1; the state is then in the worker. In several
    workers each would read the whole stream. A stream with a method ``shard(num_shards, index)``, as
    data sets of Hugging Face's have, is divided, and each worker balances and trains for itself.

    What is kept of the stream, and what was trained, stays from one iteration to the next.

    Examples
    --------
    >>> import itertools
    >>> import numpy as np
    >>> from gan_sampler import DCGANOverSampler
    >>> from gan_sampler.data import BalancedIterableDataset
    >>> rng = np.random.default_rng(0)
    >>> def camera():
    ...     while True:
    ...         label = int(rng.random() < 0.1)
    ...         yield rng.integers(0, 256, size=(16, 16), dtype=np.uint8), label
    >>> sampler = DCGANOverSampler(n_steps=5)
    >>> dataset = BalancedIterableDataset(camera(), sampler, min_images=10, random_state=0)
    >>> labels = [label for image, label in itertools.islice(dataset, 400)]
    >>> 0.4 < sum(labels) / 400 < 0.6, dataset.n_fits
    (True, 1)
    """

    def __init__(
        self,
        stream,
        sampler,
        *,
        classes=None,
        ratio=1.0,
        window=1000,
        buffer_size=200,
        min_images=20,
        refit_every=None,
        transform=None,
        return_synthetic=False,
        random_state=None,
    ):
        if isinstance(sampler, type) or not hasattr(sampler, "sample") or not hasattr(sampler, "fit_resample"):
            raise TypeError(
                "sampler must be one that draws images with sample after a fit, such as DCGANOverSampler; got "
                f"{type(sampler).__name__}."
            )
        if not isinstance(ratio, Real) or not 0 < ratio <= 1:
            raise ValueError(f"ratio must be a number in (0, 1]; got {ratio!r}.")
        for name, value, least in (("window", window, 1), ("refit_every", refit_every, 1)):
            if value is not None:
                _check_integer(name, value, least)
        _check_integer("buffer_size", buffer_size, 2)
        _check_integer("min_images", min_images, 2)
        if min_images > buffer_size:
            raise ValueError(f"min_images must be at most buffer_size, {buffer_size}; got {min_images}.")
        self.stream = stream
        self.classes = None if classes is None else list(classes)
        self.ratio, self.window, self.buffer_size = ratio, window, buffer_size
        self.min_images, self.refit_every = min_images, refit_every
        self.transform, self.return_synthetic = transform, return_synthetic
        self.sampler = sampler if hasattr(sampler, "generators_") else None
        self.n_seen = self.n_synthetic = self.n_repeated = self.n_fits = 0
        self._unfitted = clone(sampler)
        self._repeated_share = getattr(sampler, "repeated_share", 0)
        self._seed = draw_seed(random_state)
        self._classes = {}  # by index, in the order in which they came
        self._format, self._n_given, self._seen_at_fit = None, 0, 0
        self._random_state = None
        self._drawable = set() if self.sampler is None else {*map(self._index, self.sampler.generators_)}

    @property
    def counts(self):
        """Real images of each class seen recently, by label."""
        return {self._label(index): of_class.n_real for index, of_class in self._classes.items()}

    def __iter__(self):
        info = get_worker_info()
        stream, worker = self.stream, 0
        if info is not None and info.num_workers > 1:
            if not hasattr(stream, "shard"):
                raise RuntimeError(
                    f"num_workers must be 0 or 1 for this stream, a {type(stream).__name__}, which every worker would "
                    f"read from its beginning; got {info.num_workers}. Or give the stream a method shard(num_shards, "
                    "index) that returns a part of it."
                )
            stream, worker = stream.shard(info.num_workers, info.id), info.id
        if self._random_state is None:
            self._seed = seed_of(self._seed, worker)
            self._random_state = np.random.RandomState(seed_of(self._seed, _CHOICE))
        for image, label in stream:
            array = self._check_image(image)
            index = self._index(label)
            self._count(index, array)
            if self._is_fit_due():
                self._fit()
            yield self._element(array[None], index, is_synthetic=False)
            for behind in self._behind():
                yield self._extra(behind)

    def _check_image(self, image):
        array = image.detach().cpu().numpy() if isinstance(image, torch.Tensor) else np.asarray(image)
        if self._format is None:
            names = ("image_shape", "data_format", "value_range")
            options = {name: value for name, value in self._unfitted.get_params(deep=False).items() if name in names}
            X, self._format = check_images(array[None], **options, input_name="The first image of stream, X[None],")
            self._dtype = X.dtype
        if array.shape != self._format.row_shape or array.dtype != self._dtype:
            raise ValueError(
                f"stream must give images of one shape and dtype, {self._format.row_shape} and {self._dtype} like the "
                f"first; got {array.shape} and {array.dtype} at image {self.n_seen + 1}. Resize or convert them."
            )
        return array

    def _index(self, label):
        if isinstance(label, torch.Tensor | np.generic) or (isinstance(label, np.ndarray) and label.ndim == 0):
            label = label.item()
        if self.classes is not None:
            if label not in self.classes:
                raise ValueError(f"stream must give labels that are in classes, {self.classes}; got {label!r}.")
            return self.classes.index(label)
        if not isinstance(label, Integral):
            raise ValueError(
                f"stream must give integers as labels where classes is None; got {label!r}. Pass classes, the list of "
                "all labels."
            )
        return int(label)

    def _label(self, index):
        return index if self.classes is None else self.classes[index]

    def _count(self, index, array):
        """Take note of a real image."""
        if self.window is not None:
            for of_class in self._classes.values():
                of_class.fade(1 - 1 / self.window)
        of_class = self._classes.setdefault(index, _Class())
        of_class.n_real += 1
        of_class.n_seen += 1
        of_class.remember(array, self.buffer_size, self._random_state)
        self.n_seen += 1

    def _wanted(self):
        """Return how many images each class should have recently."""
        return self.ratio * max(of_class.n_real for of_class in self._classes.values())

    def _behind(self):
        """Return the classes of which an image is to be given out now."""
        wanted = self._wanted()
        return [
            index
            for index, of_class in sorted(self._classes.items())
            if wanted - of_class.n_real - of_class.n_extra >= 1
        ]

    def _learnable(self):
        """Return the classes that have fewer images than wanted, and enough to learn from."""
        wanted = self._wanted()
        return [
            index
            for index, of_class in sorted(self._classes.items())
            if wanted - of_class.n_real >= 1 and len(of_class.images) >= self.min_images
        ]

    def _is_fit_due(self):
        if self.refit_every is not None and self.n_seen - self._seen_at_fit >= self.refit_every:
            return bool(self._learnable())
        # after a failure only when twice as many were seen, so that not every image starts another training
        return any(
            index not in self._drawable and self._classes[index].n_seen >= 2 * self._classes[index].n_seen_at_failure
            for index in self._learnable()
        )

    def _fit(self):
        """Train generators on what is remembered."""
        learnable = self._learnable()
        self._seen_at_fit = self.n_seen
        self.n_fits += 1
        X = np.stack([image for of_class in self._classes.values() for image in of_class.images])
        y = np.repeat(list(self._classes), [len(of_class.images) for of_class in self._classes.values()])
        labels = [*self._classes] if self.classes is None else self.classes
        y = y if self.classes is None else np.array(labels)[y]
        fitted = clone(self._unfitted).set_params(
            sampling_strategy={self._label(index): len(self._classes[index].images) + 1 for index in learnable},
            random_state=seed_of(self._seed, _FIT, self.n_fits),
        )
        if "synthetic_classes" in fitted.get_params(deep=False):
            fitted.set_params(synthetic_classes="resampled")
        try:
            _, y_made = fitted.fit_resample(X, y)
        except (FloatingPointError, PoorQualityError) as exc:
            for index in learnable:
                self._classes[index].n_seen_at_failure = self._classes[index].n_seen
            warnings.warn(
                f"A training at image {self.n_seen} of the stream failed, and it goes on without: {exc}",
                UserWarning,
                stacklevel=stacklevel_of_user(),
            )
            return
        made = np.asarray(y_made)[
            fitted.synthetic_mask_
        ]  # without classes whose images on_poor_quality="repeat" refused
        self.sampler, self._drawable = fitted, {*map(self._index, made)}
        for index in learnable:
            if index not in self._drawable:
                self._classes[index].n_seen_at_failure = self._classes[index].n_seen
        for of_class in self._classes.values():
            of_class.drawn = []

    def _extra(self, index):
        """Return an element that makes up for one that the stream does not have."""
        of_class = self._classes[index]
        of_class.n_extra += 1
        if index not in self._drawable or of_class.is_repetition_due(self._repeated_share):
            self.n_repeated += 1
            row = self._random_state.randint(len(of_class.images))
            return self._element(of_class.images[row][None], index, is_synthetic=False)
        if not of_class.drawn:
            seed = seed_of(self._seed, _DRAW, index, self._n_given)
            drawn = self.sampler.sample(_DRAWN_TOGETHER, self._label(index), random_state=seed)
            of_class.drawn = list(drawn[::-1])
        self.n_synthetic += 1
        return self._element(of_class.drawn.pop()[None], index, is_synthetic=True)

    def _element(self, array, index, *, is_synthetic):
        image = to_tensor(array, self._format)[0].clone()  # who gets it may change it; what is remembered must not be
        if self.transform is not None:
            with kept_random_states():
                seed_all(quick_seed(self._seed, self._n_given))
                image = self.transform(image)
        self._n_given += 1
        return (image, index, is_synthetic) if self.return_synthetic else (image, index)


class _Class:
    """What is known of a class of the stream."""

    def __init__(self):
        self.n_real = self.n_extra = 0.0  # recently, faded
        self.n_seen = self.n_seen_at_failure = 0
        self.owed = 0.0  # repetitions, as a fraction, since there was a generator
        self.images = []  # recent ones
        self.drawn = []  # not given out yet

    def fade(self, share):
        self.n_real *= share
        self.n_extra *= share

    def is_repetition_due(self, share):
        """Whether the next image is to be a repeated one, so that their share stays as even as it can be."""
        self.owed += share
        is_due = self.owed >= 1
        self.owed -= is_due
        return is_due

    def remember(self, image, size, random_state):
        image = image.copy()  # a camera may write the next one in its place
        if len(self.images) < size:
            self.images.append(image)
        else:
            self.images[random_state.randint(size)] = image


def _check_integer(name, value, least):
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}; got {value!r}.")
