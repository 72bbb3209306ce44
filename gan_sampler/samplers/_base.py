"""What every image over-sampler shares: input gate, class loop, output."""

import copy
from abc import abstractmethod
from numbers import Integral, Real

import numpy as np
import torch
from imblearn.over_sampling.base import BaseOverSampler
from imblearn.utils import check_target_type
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted, validate_data
from tqdm.auto import tqdm

from ..images import IMAGE_PARAMETER_CONSTRAINTS, check_images
from ..runtime import DEVICE_CONSTRAINT, draw_seed, isolated, own_random_state, resolve_device
from ..training import draw

MIN_IMAGES = 2  # below this there is no variety that anything could learn


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


class BaseImageOverSampler(BaseOverSampler):
    """Base class of samplers that make images of the classes a data set has too few of.

    It owns the input gate, the loop over classes and the assembly of the output. A subclass implements
    `_synthesise`, which gets the images of one class and yields new ones.

    Warning: This class should not be used directly. Use the derived classes instead.
    """

    _parameter_constraints: dict = {
        **BaseOverSampler._parameter_constraints,
        **IMAGE_PARAMETER_CONSTRAINTS,
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
        device="auto",
        random_state=None,
        verbose=0,
    ):
        super().__init__(sampling_strategy=sampling_strategy)
        self.image_shape = image_shape
        self.data_format = data_format
        self.value_range = value_range
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @abstractmethod
    def _synthesise(self, images, n_images, label):
        """Yield new images of one class.

        Parameters
        ----------
        images : torch.Tensor of shape (n, channels, height, width)
            Real images of the class in [-1, 1], on `device_`.
        n_images : int
            Number of images wanted.
        label : object
            The class, for messages and for attributes by class.

        Yields
        ------
        images : torch.Tensor of shape (n, channels, height, width)
            New images in [-1, 1]; the batches add up to `n_images`.
        """

    def _check_X_y(self, X, y):
        return check_image_target(self, X, y)

    def _fit_resample(self, X, y):
        self.device_ = resolve_device(self.device)
        random_state = own_random_state(self.random_state)
        wanted = {label: int(n_images) for label, n_images in self.sampling_strategy_.items() if n_images > 0}
        rows = {label: np.flatnonzero(y == label) for label in wanted}
        _check_enough_images(rows)
        if rows:  # what is learnt decides whether colour can be left out, so that no other image is read
            self.image_format_ = self.image_format_.collapse_grey(X, np.concatenate(list(rows.values())))

        n_real, n_all = len(X), len(X) + sum(wanted.values())
        X_resampled = np.empty((n_all, *X.shape[1:]), dtype=X.dtype)
        X_resampled[:n_real] = X
        y_resampled = np.concatenate([y, np.repeat(np.array(list(wanted), dtype=y.dtype), list(wanted.values()))])
        filled = n_real
        for label, n_images in wanted.items():
            with isolated(self.device_, draw_seed(random_state)):
                images = self.image_format_.to_tensor(X[rows[label]]).to(self.device_)
                for batch in self._synthesise(images, n_images, label):
                    X_resampled[filled : filled + len(batch)] = self.image_format_.to_array(batch)
                    filled += len(batch)
        self.synthetic_mask_ = np.arange(n_all) >= n_real
        return X_resampled, y_resampled

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        tags.input_tags.three_d_array = True
        return tags


def _check_enough_images(rows):
    for label, found in rows.items():
        if len(found) < MIN_IMAGES:
            raise ValueError(
                f"Class {_plain(label)!r} has {len(found)} image(s); at least {MIN_IMAGES} are needed to learn from. "
                "Collect more images, leave the class out through sampling_strategy={label: n_images}, or repeat it "
                "with PixelSampler(RandomOverSampler())."
            )


def _plain(label):
    """Return a label as Python writes it: 'sick', not numpy.str_('sick')."""
    return label.item() if isinstance(label, np.generic) else label


class BaseGANOverSampler(BaseImageOverSampler):
    """Base class of samplers that train one generator a class.

    A subclass implements `_train`, which gets the images of one class and returns a frozen generator and its
    history.

    Warning: This class should not be used directly. Use the derived classes instead.
    """

    _parameter_constraints: dict = {
        **BaseImageOverSampler._parameter_constraints,
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "max_time": [Interval(Real, 0, None, closed="neither"), None],
    }

    @abstractmethod
    def _train(self, images, report):
        """Train a generator on the images of one class.

        Parameters
        ----------
        images : torch.Tensor of shape (n, channels, height, width)
            Real images of the class in [-1, 1], on `device_`.
        report : callable
            Takes a dict with ``step``, ``seconds`` and losses at each report interval.

        Returns
        -------
        generator : torch.nn.Module
            Frozen, with attribute ``latent_dim``.
        history : list of dict
            What `report` was given.
        """

    def _fit_resample(self, X, y):
        self.generators_, self.history_ = {}, {}
        return super()._fit_resample(X, y)

    def _synthesise(self, images, n_images, label):
        bar = tqdm(total=self.n_steps, desc=f"{type(self).__name__} {label!s}", unit="step", disable=not self.verbose)

        def report(record):
            losses = {name: f"{value:.3f}" for name, value in record.items() if name.startswith("loss")}
            bar.set_postfix(losses, refresh=False)
            bar.update(record["step"] - bar.n)

        with bar:
            try:
                generator, history = self._train(images, report)
            except FloatingPointError as exc:
                raise FloatingPointError(
                    f"Training on class {_plain(label)!r} diverged: {exc}. Use a smaller learning_rate."
                ) from exc
        self.generators_[label], self.history_[label] = generator, history
        yield from draw(generator, n_images)

    def sample(self, n, label, *, random_state=None):
        """Draw more images of a class without training.

        Parameters
        ----------
        n : int
            Number of images.
        label : object
            One of the classes that were over-sampled, the keys of `generators_`.
        random_state : int, RandomState instance or None, default=None
            Seed of the noise; None draws other images at each call.

        Returns
        -------
        images : ndarray of shape (n, *X.shape[1:])
            Images in the layout, dtype and value range seen at fit.

        Raises
        ------
        ValueError
            When `label` is no class with a generator, or `n` is negative.
        """
        check_is_fitted(self, "generators_")
        if label not in list(self.generators_):  # a list compares, where a dict would ask for a hash
            raise ValueError(
                f"label must be one of the classes over-sampled at fit, {list(map(_plain, self.generators_))}; got "
                f"{_plain(label)!r}."
            )
        if not isinstance(n, Integral) or n < 0:
            raise ValueError(f"n must be an integer of at least 0; got {n!r}.")
        generator = self.generators_[label]
        device = next(generator.parameters()).device
        images = np.empty((n, *self.image_format_.row_shape), dtype=self.image_format_.dtype)
        filled = 0
        with isolated(device, draw_seed(random_state)):
            for batch in draw(generator, n):
                images[filled : filled + len(batch)] = self.image_format_.to_array(batch)
                filled += len(batch)
        return images

    def __getstate__(self):
        state = super().__getstate__()
        if "generators_" in state:  # a pickle must load on machines that lack this one's accelerator
            state = {**state, "device_": torch.device("cpu")}
            state["generators_"] = {
                label: copy.deepcopy(generator).cpu() for label, generator in self.generators_.items()
            }
        return state
