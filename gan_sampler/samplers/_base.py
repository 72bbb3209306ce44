"""Base class of image over-samplers: plan, train, judge, generate, measure."""

from abc import abstractmethod
from collections.abc import Mapping
from numbers import Real

import numpy as np
import torch
from imblearn.over_sampling.base import BaseOverSampler
from sklearn.base import clone
from sklearn.utils._param_validation import Interval, StrOptions
from tqdm.auto import tqdm

from ..embedding import EfficientNetLite0Embedder, HasMethodsOfInstance, embed
from ..images import IMAGE_PARAMETER_CONSTRAINTS
from ..quality import MIN_IMAGES as MIN_IMAGES_MEASURED
from ..quality import QualityWarning, import_prdc
from ..runtime import DEVICE_CONSTRAINT, draw_seed, own_modes, own_random_state, resolve_device
from ..training import PixelFrechetDistance
from ._bars import counted
from ._choosing import CANDIDATES, HerdingSelector
from ._docstrings import document
from ._input import ImagesMixin, check_image_target
from ._judging import REPEATED, PoorQualityError, describe_poor, find_poor, measure, warn, warn_of_poor
from ._labels import plain_label
from ._plan import Resampled, check_counts, make_plan
from ._repr import FittedReprMixin


@document
class BaseImageOverSampler(ImagesMixin, FittedReprMixin, BaseOverSampler):
    """Base class of samplers that generate images of the classes that have too few.

    It checks the input, loops over the classes, judges the images and assembles the output. A subclass implements
    `_synthesise`, which yields new images of one class; if something is trained before, it overrides `_learn`.

    Warning: This class should not be used directly. Use derived classes instead.

    Parameters
    ----------
    {sampling_strategy}
    {image_shape}
    {data_format}
    {value_range}
    {repeated_share}
    {synthetic_classes}
    {synthetic_ratio}
    {herding}
    {quality}
    {on_poor_quality}
    {device}
    {random_state}
    {verbose}

    Attributes
    ----------
    {sampling_strategy_}
    {synthetic_mask_}
    {class_counts_}
    {quality_}
    {image_shape_}
    {n_features_in_}
    {feature_names_in_}
    {device_}
    """

    _min_images = 2  # of a class; one image has no variance to learn from

    _parameter_constraints: dict = {
        **BaseOverSampler._parameter_constraints,
        **IMAGE_PARAMETER_CONSTRAINTS,
        "repeated_share": [Interval(Real, 0, 1, closed="left")],
        "synthetic_classes": [StrOptions({"resampled", "all"})],
        "synthetic_ratio": [Interval(Real, 0, None, closed="neither")],
        "herding": ["boolean", HasMethodsOfInstance(["fit", "transform"])],
        "quality": ["boolean", HasMethodsOfInstance(["fit", "transform"])],
        "on_poor_quality": [StrOptions({"warn", "raise", "repeat"})],
        "device": DEVICE_CONSTRAINT,
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        sampling_strategy="auto",
        image_shape=None,
        data_format="auto",
        value_range=None,
        repeated_share=0.75,
        synthetic_classes="resampled",
        synthetic_ratio=0.25,
        herding=False,
        quality=False,
        on_poor_quality="warn",
        device="auto",
        random_state=None,
        verbose=0,
    ):
        super().__init__(sampling_strategy=sampling_strategy)
        self.image_shape = image_shape
        self.data_format = data_format
        self.value_range = value_range
        self.repeated_share = repeated_share
        self.synthetic_classes = synthetic_classes
        self.synthetic_ratio = synthetic_ratio
        self.herding = herding
        self.quality = quality
        self.on_poor_quality = on_poor_quality
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @abstractmethod
    def _synthesise(self, X, y, label, n_images, random_state):
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
        random_state : RandomState
            Source of random numbers for this class.

        Yields
        ------
        images : torch.Tensor of shape (n, channels, height, width)
            New images in [-1, 1]; the batches add up to `n_images`.
        """

    def _training_rows(self, y, rows):
        """Return the rows of the images that the networks are trained on."""
        return np.concatenate(list(rows.values()))

    def _learnt_format(self, X, rows):
        """Return the format in which the images ``X[rows]`` are learnt: grey images in three channels in one."""
        return self.image_format_.collapse_grey(X, rows)

    def _learn(self, X, y, rows, random_states):
        """Prepare for `_synthesise`.

        Parameters
        ----------
        X : ndarray
            All images.
        y : ndarray of shape (n,)
            Their labels.
        rows : dict of label to ndarray of int
            Rows in `X` of the images of each class to be over-sampled.
        random_states : dict of label to RandomState
            Source of random numbers for each class in `y`, and, under None, for all classes together.
        """

    def _change_repeated(self, images, random_state):
        """Change some of the repeated images of a class, in place; by default none."""

    def _score(self, X, y, label, random_state):
        """Compare synthetic with real images of a class: return a record of `PixelFrechetDistance`, or None.

        If training did not record one, images are drawn for it. None means that there is nothing to judge.
        """
        with own_modes(self.device_):
            score = PixelFrechetDistance(self.image_format_.to_compact_tensor(X[y == label]).to(self.device_))
            return score(torch.cat(list(self._synthesise(X, y, label, score.n_images, random_state))))

    def _advice(self):
        """Return advice against poor images, for a warning."""
        return "Collect more images, or use another sampler."

    def _resolve_devices(self):
        return [resolve_device(self.device)]

    def _check_X_y(self, X, y):
        X, y, binarize_y = check_image_target(self, X, y)
        if callable(self.sampling_strategy):  # called once; `self` is a copy of the user's sampler
            self.sampling_strategy = self.sampling_strategy(y)
            check_counts(self.sampling_strategy, "a callable that returns a dict", y)
        elif isinstance(self.sampling_strategy, Mapping):
            check_counts(self.sampling_strategy, "a dict", y)
        return X, y, binarize_y

    def _fit_resample(self, X, y):
        self.device_ = self._resolve_devices()[0]
        self.sampling_strategy_ = {plain_label(label): int(n) for label, n in self.sampling_strategy_.items()}
        random_state = own_random_state(self.random_state)
        # One generator for each class, so that its images do not depend on which other classes are over-sampled.
        random_states = {
            label: np.random.RandomState(draw_seed(random_state)) for label in [None, *map(plain_label, np.unique(y))]
        }
        plan = make_plan(y, self.sampling_strategy_, self.repeated_share, self.synthetic_classes, self.synthetic_ratio)
        self._check_enough_images(plan.rows)
        resampled = Resampled(X, y, sum(plan.n_repeated.values()) + sum(plan.n_synthetic.values()))
        herding_embedder, quality_embedder = (self._embedder(name, X, plan.rows) for name in ("herding", "quality"))
        if plan.rows:
            self.image_format_ = self._learnt_format(X, self._training_rows(y, plan.rows))
        self._learn(X, y, plan.rows, random_states)
        self._judge(X, y, plan, random_states)

        repeated = {label: resampled.add(label, n_images) for label, n_images in plan.n_repeated.items()}
        for label, place in repeated.items():
            resampled.repeat(random_states[label].permutation(plan.rows[label]), place)
        places = {label: resampled.add(label, n_images) for label, n_images in plan.n_synthetic.items()}
        for label, place in places.items():
            n_images = plan.n_synthetic[label]
            images = self._make(X, y, label, n_images, herding_embedder, random_states[label])
            self.image_format_.fill(resampled.X[place], images)
        # From streams of their own, so that changes do not depend on what the report draws.
        own_states = {label: np.random.RandomState(draw_seed(random_states[label])) for label in plan.rows}
        if quality_embedder is not None:
            self._measure(X, y, plan, places, resampled, quality_embedder, herding_embedder, random_states)
        for label, place in [*repeated.items(), *places.items()]:
            if not resampled.is_synthetic[place].any():
                self._change_repeated(resampled.X[place], own_states[label])
        resampled.sort()
        self.synthetic_mask_ = resampled.is_synthetic
        self.class_counts_ = resampled.count()
        return resampled.X, resampled.y

    def _check_enough_images(self, rows):
        leave_out = "name the other classes alone in sampling_strategy={label: n_images}"
        if self.synthetic_classes == "all":
            leave_out = 'use synthetic_classes="resampled"'
        # Herding computes distances between real images.
        least = max(self._min_images, 2 if _is_on(self.herding) else 0)
        for label, found in rows.items():
            if len(found) < least:
                raise ValueError(
                    f"Class {label!r} has {len(found)} image(s); at least {least} are needed "
                    f"to learn from. Collect more images, {leave_out}, or repeat it with "
                    "PixelSampler(RandomOverSampler())."
                )

    def _embedder(self, parameter, X, rows):
        """Return the transformer of a parameter, or None; it is tried before training, to fail early."""
        embedder = getattr(self, parameter)
        if not _is_on(embedder):
            return None
        if isinstance(embedder, bool):
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

    def _judge(self, X, y, plan, random_states):
        """Judge the generators before images are drawn, and handle poor ones according to `on_poor_quality`."""
        records = {label: self._score(X, y, label, random_states[label]) for label in plan.n_synthetic}
        collapsed, unusable = find_poor({label: record for label, record in records.items() if record is not None})
        if not collapsed and not unusable:
            return
        advice = self._advice()
        if self.on_poor_quality == "raise":
            raise PoorQualityError(f"{describe_poor(collapsed, unusable)} {advice}")
        if self.on_poor_quality == "repeat":
            for label in (*collapsed, *unusable):
                plan.repeat_instead(label)
            advice = f"{REPEATED} {advice}"
        warn_of_poor(collapsed, unusable, advice)

    def _measure(self, X, y, plan, places, resampled, embedder, herding_embedder, random_states):
        """Set `quality_`, the report of each class, and handle poor images according to `on_poor_quality`.

        Where fewer images are added to a class than a report needs, more are drawn for the report alone.
        """
        self.quality_ = {}
        title = f"{type(self).__name__} measuring"
        for label, place in tqdm(places.items(), title, unit="class", disable=not self.verbose):
            made = resampled.X[place]
            n_more = MIN_IMAGES_MEASURED - len(made)
            if n_more > 0:
                more = np.empty((n_more, *made.shape[1:]), dtype=made.dtype)
                images = self._make(X, y, label, n_more, herding_embedder, random_states[label])
                self.image_format_.fill(more, images)
                made = np.concatenate([made, more])
            self.quality_[label] = report = measure(
                X,
                y,
                label,
                made,
                embedder=embedder,
                image_shape=self.image_shape,
                data_format=self.data_format,
                value_range=self._value_range_seen(),
                random_state=random_states[label],
            )
            if report is None or not report.is_poor or self.on_poor_quality == "warn":  # the report has warned
                continue
            faults = f"The images made for class {label!r} should not be used: {'; '.join(report.faults)}."
            if self.on_poor_quality == "raise":
                raise PoorQualityError(f"{faults} {self._advice()}")
            resampled.repeat(random_states[label].permutation(plan.rows[label]), place)
            warn(f"{faults} {REPEATED} {self._advice()}", QualityWarning)

    def _make(self, X, y, label, n_images, herding_embedder, random_state):
        """Return batches of new images of one class, selected by herding if there is a transformer for it."""
        n_candidates = n_images if herding_embedder is None else CANDIDATES * n_images
        title = f"{type(self).__name__} drawing class {label!r}"
        candidates = self._synthesise(X, y, label, n_candidates, random_state)
        candidates = counted(candidates, title, n_candidates, self.verbose)
        if herding_embedder is None:
            return candidates
        return HerdingSelector(herding_embedder, self.image_format_).choose(X[y == label], candidates, n_images, label)

    def _value_range_seen(self):
        """Return the value range, for transformers of a part of the images; None where all values are equal."""
        low, high = self.image_format_.value_range
        return (low, high) if low < high else None

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        tags.input_tags.three_d_array = True
        return tags


def _is_on(value):
    """Return whether a parameter that takes a boolean or a transformer is switched on."""
    return not isinstance(value, bool | np.bool_) or bool(value)
