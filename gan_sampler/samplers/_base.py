"""What every image over-sampler shares: input gate, class loop, output."""

import copy
import warnings
from abc import abstractmethod
from numbers import Real

import numpy as np
import torch
from imblearn.over_sampling.base import BaseOverSampler
from imblearn.utils import check_target_type
from sklearn.base import clone
from sklearn.utils import gen_batches
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import validate_data

from ..embedding import EfficientNetLite0Embedder, embed
from ..images import IMAGE_PARAMETER_CONSTRAINTS, as_numeric_array, check_images
from ..quality import MIN_IMAGES as MIN_IMAGES_MEASURED
from ..quality import QualityWarning, import_prdc, quality_report
from ..runtime import (
    DEVICE_CONSTRAINT,
    draw_seed,
    isolated,
    own_random_state,
    resolve_device,
    stacklevel_of_user,
)
from ._herding import herd

_MAX_REST = 1000  # images of other classes that the quality report looks at
_CANDIDATES = 4  # images drawn for each one that herding keeps
_MAX_HERDED = 1000  # images of either kind that are herded together, so that the time stays proportional


def check_image_target(sampler, X, y):
    """Check images and labels for a sampler, and set `image_format_`, `image_shape_` and `n_features_in_` on it.

    Parameters
    ----------
    sampler : estimator
        Has parameters `image_shape`, `data_format` and `value_range`.
    X : array-like
        Images, as `gan_sampler.images.check_images` takes them.
    y : array-like of shape (n,)
        Labels.

    Returns
    -------
    X : ndarray
        The images.
    y : ndarray of shape (n,)
        The labels.
    binarize_y : bool
        Whether labels came one-vs-all encoded.

    Raises
    ------
    ValueError
        When images or labels are not what they must be, or differ in number.
    """
    y, binarize_y = check_target_type(y, indicate_one_vs_all=True)
    y = np.asarray(y)
    X_as_given = X
    X, image_format = check_images(
        X, image_shape=sampler.image_shape, data_format=sampler.data_format, value_range=sampler.value_range
    )
    if len(X) != len(y):
        raise ValueError(
            f"X and y must be of one length; got {len(X)} images and {len(y)} labels. If X is one colour image, "
            "give it a leading axis: X[None]."
        )
    if X.ndim == 2:
        validate_data(sampler, X=X_as_given, y=y, reset=True, skip_check_array=True)  # takes the names of columns
    elif hasattr(sampler, "feature_names_in_"):
        del sampler.feature_names_in_  # those of an earlier fit
    sampler.n_features_in_ = image_format.n_features
    sampler.image_format_ = image_format
    sampler.image_shape_ = image_format.image_shape
    return X, y, binarize_y


class ImagesMixin:
    """`fit` and `fit_resample` of imbalanced-learn's samplers, for images."""

    def fit(self, X, y, **params):
        """Check images, labels and parameters; `fit_resample` does the work.

        Parameters
        ----------
        X : array-like of shape (n, H, W), (n, H, W, C), (n, C, H, W) or (n, n_features)
            Images, as for `fit_resample`.
        y : array-like of shape (n,)
            Labels.
        **params : dict
            Must be empty; here because imbalanced-learn's samplers have it.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            When images, labels or parameters cannot be used.
        """
        _require_labels(y)
        return super().fit(X, y, **params)

    def fit_resample(self, X, y, **params):
        """Learn from images, and return them resampled.

        Parameters
        ----------
        X : array-like of shape (n, H, W), (n, H, W, C), (n, C, H, W) or (n, n_features)
            Images, at least 8 x 8 pixels, of integers or floats without NaN; rows need `image_shape`.
        y : array-like of shape (n,)
            Labels of any type that can be sorted.
        **params : dict
            Must be empty; here because imbalanced-learn's samplers have it.

        Returns
        -------
        X_resampled : ndarray of shape (n_resampled, *X.shape[1:]), or what `X` was
            Images in the same layout, dtype and value range: of an over-sampler those of `X`, untouched and in their
            order, then repeated ones if any, then new ones. A DataFrame comes back as a DataFrame and a list as a list
            of arrays.
        y_resampled : ndarray of shape (n_resampled,), or what `y` was
            Their labels.

        Raises
        ------
        ValueError
            When images, labels or parameters cannot be used, or a class has too few images to learn from.
        TypeError
            When `X` is sparse.
        """
        _require_labels(y)
        if not isinstance(X, list):
            return super().fit_resample(X, y, **params)
        X_resampled, y_resampled = super().fit_resample(as_numeric_array(X, "X"), y, **params)
        return list(X_resampled), y_resampled


def _require_labels(y):
    if y is None:
        raise ValueError(
            "y must hold a label for each image; got None: a sampler requires y to be passed, but the target y is None."
        )


class BaseImageOverSampler(ImagesMixin, BaseOverSampler):
    """Base class of samplers that make images of the classes a data set has too few of.

    It owns the input gate, the loop over classes and the assembly of the output. A subclass implements
    `_synthesise`, which gets the images and yields new ones of one class; where all classes are learnt before the
    first image is made, it overrides `_learn`.

    Warning: This class should not be used directly. Use the derived classes instead.
    """

    _network_attributes = ()  # names of fitted attributes that hold a network, or a dict of networks by class
    _min_images = 2  # of a class; below this there is no variety that anything could learn

    _parameter_constraints: dict = {
        **BaseOverSampler._parameter_constraints,
        **IMAGE_PARAMETER_CONSTRAINTS,
        "synthetic_classes": [StrOptions({"resampled", "all"})],
        "synthetic_ratio": [Interval(Real, 0, None, closed="neither")],
        "herding": ["boolean", HasMethods(["fit", "transform"])],
        "quality": ["boolean", HasMethods(["fit", "transform"])],
        "device": DEVICE_CONSTRAINT,
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        sampling_strategy="auto",
        image_shape=None,
        data_format="auto",
        value_range=None,
        synthetic_classes="resampled",
        synthetic_ratio=0.25,
        herding=False,
        quality=False,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        super().__init__(sampling_strategy=sampling_strategy)
        self.image_shape = image_shape
        self.data_format = data_format
        self.value_range = value_range
        self.synthetic_classes = synthetic_classes
        self.synthetic_ratio = synthetic_ratio
        self.herding = herding
        self.quality = quality
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @abstractmethod
    def _synthesise(self, X, y, label, n_images):
        """Yield new images of one class.

        Parameters
        ----------
        X : ndarray of shape (n, *image_format_.row_shape)
            Real images of all classes.
        y : ndarray of shape (n,)
            Their labels.
        label : object
            The class.
        n_images : int
            Number of images wanted.

        Yields
        ------
        images : torch.Tensor of shape (n, channels, height, width)
            New images in [-1, 1]; the batches add up to `n_images`.
        """

    def _rows_learnt(self, y, rows):
        return np.concatenate(list(rows.values()))

    def _learn(self, X, y, rows, random_state):
        """Prepare for `_synthesise`.

        Parameters
        ----------
        X : ndarray
            All images.
        y : ndarray of shape (n,)
            Their labels.
        rows : dict of label to ndarray of int
            Where the images of each class to be over-sampled stand in `X`.
        random_state : RandomState
            To draw seeds from.
        """

    def _resolve_devices(self):
        return [resolve_device(self.device)]

    def _check_X_y(self, X, y):
        return check_image_target(self, X, y)

    def _fit_resample(self, X, y):
        self.device_ = self._resolve_devices()[0]
        random_state = own_random_state(self.random_state)
        n_repeated, n_synthetic = self._plan(y)
        rows = {label: np.flatnonzero(y == label) for label in n_synthetic}
        self._check_enough_images(rows)
        vars(self).pop("quality_", None)  # that of an earlier fit
        herder, embedder = self._embedder("herding", X, rows), self._embedder("quality", X, rows)
        if rows:  # what is learnt decides whether colour can be left out, so that no other image is read
            self.image_format_ = self.image_format_.collapse_grey(X, self._rows_learnt(y, rows))
        self._learn(X, y, rows, random_state)

        new_labels = [np.full(n, label, y.dtype) for plan in (n_repeated, n_synthetic) for label, n in plan.items()]
        y_resampled = np.concatenate([y, *new_labels])
        X_resampled = np.empty((len(y_resampled), *X.shape[1:]), dtype=X.dtype)
        X_resampled[: len(X)] = X
        filled = len(X)
        for label, n_images in n_repeated.items():
            repeated = np.resize(random_state.permutation(rows[label]), n_images)  # each as often, give or take one
            np.take(X, repeated, axis=0, out=X_resampled[filled : filled + n_images], mode="clip")
            filled += n_images
        n_real, made = filled, {}
        for label, n_images in n_synthetic.items():
            made[label] = X_resampled[filled : filled + n_images]
            with isolated(self.device_, draw_seed(random_state)):
                self.image_format_.fill(made[label], self._make(X, y, label, n_images, herder))
            filled += n_images
        self.synthetic_mask_ = np.arange(len(X_resampled)) >= n_real
        if embedder is not None:
            self.quality_ = {
                label: self._measure(X, y, images, label, embedder, random_state) for label, images in made.items()
            }
        return X_resampled, y_resampled

    def _check_enough_images(self, rows):
        leave_out = "name the other classes alone in sampling_strategy={label: n_images}"
        if self.synthetic_classes == "all":
            leave_out = 'use synthetic_classes="resampled"'
        least = max(self._min_images, 2 if _is_on(self.herding) else 0)  # herding needs distances between real images
        for label, found in rows.items():
            if len(found) < least:
                raise ValueError(
                    f"Class {plain_label(label)!r} has {len(found)} image(s); at least {least} are needed "
                    f"to learn from. Collect more images, {leave_out}, or repeat it with "
                    "PixelSampler(RandomOverSampler())."
                )

    def _plan(self, y):
        """Return how many real images to repeat and how many to make, by class, without zeros."""
        wanted = {label: int(n_images) for label, n_images in self.sampling_strategy_.items() if n_images > 0}
        if self.synthetic_classes == "resampled":
            return {}, wanted
        labels, counts = np.unique(y, return_counts=True)
        n_each = max(1, round(self.synthetic_ratio * counts.max()))
        return wanted, dict.fromkeys(labels, n_each)

    def _embedder(self, parameter, X, rows):
        """Return the transformer that a parameter asks for, or None; what it lacks must show before training."""
        embedder = getattr(self, parameter)
        if not _is_on(embedder):
            return None
        if isinstance(embedder, bool | np.bool_):
            embedder = EfficientNetLite0Embedder(
                image_shape=self.image_shape,
                data_format=self.data_format,
                value_range=self._value_range_seen(),
                device=self.device_,
            )
        least = self._min_images
        if parameter == "quality":
            import_prdc()
            least = MIN_IMAGES_MEASURED
        for found in rows.values():
            if len(found) >= least:
                embed(clone(embedder).fit(X[found]), X[found[:2]], parameter)
                break
        return embedder

    def _make(self, X, y, label, n_images, herder):
        """Yield new images of one class, those chosen by herding where there is a transformer for it."""
        if herder is None:
            yield from self._synthesise(X, y, label, n_images)
            return
        rows = np.flatnonzero(y == label)
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), _MAX_HERDED)).astype(int)]
        herder = clone(herder).fit(X[rows])
        real = embed(herder, X[rows], "herding")
        sizes = [batch.stop - batch.start for batch in gen_batches(n_images, _MAX_HERDED)]
        n_candidates = self._n_candidates(y, label, n_images)
        sizes_drawn = np.diff([0, *(np.cumsum(sizes) * n_candidates // n_images)])
        candidates = self._synthesise(X, y, label, n_candidates)
        for images, n_kept in zip(_regroup(candidates, sizes_drawn), sizes, strict=True):
            chosen = herd(real, embed(herder, self.image_format_.to_array(images), "herding"), n_kept)
            yield images[torch.from_numpy(chosen).to(images.device)]

    def _n_candidates(self, y, label, n_images):
        """Return how many images herding shall choose `n_images` from, at least as many."""
        return _CANDIDATES * n_images

    def _value_range_seen(self):
        """Return the values of black and white, for what looks at a part of the images; None where all are alike."""
        low, high = self.image_format_.value_range
        return (low, high) if low < high else None

    def _measure(self, X, y, made, label, embedder, random_state):
        """Return the quality report of one class, or None with a warning where there is too little to measure."""
        rows, others = np.flatnonzero(y == label), np.flatnonzero(y != label)
        others = random_state.permutation(others)[:_MAX_REST]
        try:
            return quality_report(
                X[rows],
                made,
                X_rest=X[others] if len(others) >= MIN_IMAGES_MEASURED else None,
                embedder=embedder,
                image_shape=self.image_shape,
                data_format=self.data_format,
                value_range=self._value_range_seen(),
                random_state=random_state,
                name=f"The images made for class {plain_label(label)!r}",
            )
        except ValueError as exc:  # the images are there, and were perhaps an hour's work
            warnings.warn(
                f"The quality of class {plain_label(label)!r} was not measured: {exc}",
                QualityWarning,
                stacklevel=stacklevel_of_user(),
            )
            return None

    def __getstate__(self):
        state = super().__getstate__()
        networks = {name: _copy_to_cpu(state[name]) for name in self._network_attributes if name in state}
        if networks:  # a pickle must load on machines that lack this one's accelerator
            state = {**state, **networks, "device_": torch.device("cpu")}
        return state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        tags.input_tags.three_d_array = True
        return tags


def _is_on(asked):
    """Return whether a parameter that takes a boolean or a transformer asks for something."""
    return not isinstance(asked, bool | np.bool_) or bool(asked)


def _copy_to_cpu(networks):
    if isinstance(networks, dict):
        return {label: _copy_to_cpu(network) for label, network in networks.items()}
    return copy.deepcopy(networks).cpu()


def _regroup(batches, sizes):
    """Yield tensors of the given lengths from batches of any lengths that add up to the same."""
    left, n_left, batches = [], 0, iter(batches)
    for size in sizes:
        while n_left < size:
            left.append(next(batches))
            n_left += len(left[-1])
        joined = torch.cat(left)
        yield joined[:size]
        left, n_left = [joined[size:]], n_left - size


def check_label(label, known):
    """Raise a ValueError unless `label` is one of the classes in `known` that were over-sampled at fit."""
    if label not in list(known):  # a list compares, where a dict would ask for a hash
        raise ValueError(
            f"label must be one of the classes over-sampled at fit, {list(map(plain_label, known))}; got "
            f"{plain_label(label)!r}."
        )


def plain_label(label):
    """Return a label as Python writes it: 'sick', not numpy.str_('sick')."""
    return label.item() if isinstance(label, np.generic) else label
