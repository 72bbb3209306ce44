"""Imbalanced-learn samplers on the pixels of images."""

from collections import defaultdict

import numpy as np
from imblearn.base import BaseSampler
from imblearn.over_sampling import RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler
from sklearn.base import MetaEstimatorMixin, clone
from sklearn.utils import gen_batches

from ..embedding import HasMethodsOfInstance
from ..images import IMAGE_PARAMETER_CONSTRAINTS
from ._docstrings import document
from ._input import ImagesMixin, check_image_target

_BLOCK = 1024  # images converted at a time, to limit memory


@document
class PixelSampler(ImagesMixin, MetaEstimatorMixin, BaseSampler):
    """Apply an imbalanced-learn sampler to the pixels of images.

    Images are flattened to rows of pixels, resampled, and restored to their layout and dtype. Depending on the wrapped
    sampler this over-samples, under-samples or cleans; images that are kept or repeated are returned bit for bit as
    they were. To resample features after an embedder, imbalanced-learn's samplers need no wrapper.

    Parameters
    ----------
    sampler : estimator with `fit_resample`
        Any imbalanced-learn sampler, for example ``SMOTE()``. A clone of it is fitted.
    {image_shape}
    {data_format}
    {value_range}

    Attributes
    ----------
    sampler_ : estimator
        The fitted clone of `sampler`.
    sampling_strategy_ : dict
        `sampling_strategy_` of `sampler_`; only where it has one.
    {image_shape_}
    {n_features_in_}
    {feature_names_in_}
    sample_indices_ : ndarray of shape (n_resampled,)
        Rows of `X` that were kept or repeated; only where `sampler_` has this attribute.

    See Also
    --------
    AugmentationOverSampler : Over-sample by small random transformations of real images.
    DCGANOverSampler : Over-sample with a generative adversarial network.

    Notes
    -----
    The wrapped sampler gets pixel values as floats: float32 for integers of up to 16 bits, float64 for others. For
    64-bit integers beyond 2**53, which float64 cannot represent exactly, it gets the differences from the smallest
    value. If these differences are beyond 2**53 too, kept images are identified by `sample_indices_` of the sampler, or
    else by their content and label; then images that are equal in float64 may be exchanged for each other.

    ``RandomOverSampler()`` and ``RandomUnderSampler()`` use labels only. They get row numbers in place of pixels and
    need no memory beyond the output. Other samplers need memory for rows of floats: SMOTE twice the size of its input
    as floats, and four times that of the images that it makes.

    References
    ----------
    .. [1] N. V. Chawla et al., "SMOTE: Synthetic Minority Over-sampling Technique", JAIR 16, 2002.
       https://arxiv.org/abs/1106.1813

    Examples
    --------
    >>> import numpy as np
    >>> from imblearn.over_sampling import SMOTE
    >>> from gan_sampler import PixelSampler
    >>> rng = np.random.default_rng(0)
    >>> X = rng.integers(0, 256, size=(60, 16, 16), dtype=np.uint8)
    >>> y = np.array(["sick"] * 10 + ["well"] * 50)
    >>> X_res, y_res = PixelSampler(SMOTE(random_state=0)).fit_resample(X, y)
    >>> X_res.shape, X_res.dtype
    ((100, 16, 16), dtype('uint8'))
    """

    _sampling_type = "bypass"

    _parameter_constraints: dict = {
        "sampler": [HasMethodsOfInstance("fit_resample")],
        **IMAGE_PARAMETER_CONSTRAINTS,
    }

    def __init__(self, sampler, *, image_shape=None, data_format="auto", value_range=None):
        self.sampler = sampler
        self.image_shape = image_shape
        self.data_format = data_format
        self.value_range = value_range

    @property
    def sampling_strategy(self):
        """Strategy of the wrapped sampler."""
        return getattr(self.sampler, "sampling_strategy", "auto")

    def _check_X_y(self, X, y):
        return check_image_target(self, X, y)

    def _fit_resample(self, X, y):
        sampler = clone(self.sampler)
        resample = self._resample_rows if _uses_labels_only(sampler) else self._resample_pixels
        X_resampled, y_resampled = resample(sampler, X, y)
        self.sampler_ = sampler
        del self.sampling_strategy_  # from imbalanced-learn, which does not know the wrapped sampler
        for name in ("sampling_strategy_", "sample_indices_"):
            if hasattr(sampler, name):
                setattr(self, name, getattr(sampler, name))
        return X_resampled, y_resampled

    def _resample_rows(self, sampler, X, y):
        rows, y_resampled = sampler.fit_resample(np.arange(len(X))[:, None], y)
        sampler.n_features_in_ = self.image_format_.n_features
        return np.take(X, rows[:, 0], axis=0), y_resampled

    def _resample_pixels(self, sampler, X, y):
        image_format = self.image_format_
        # Floats, because imbalanced-learn truncates interpolated integers; here they are rounded.
        rows, y_resampled = sampler.fit_resample(image_format.to_rows(X), y)
        _check_rows(rows, sampler, image_format.n_features)
        X_resampled = np.empty((len(rows), *X.shape[1:]), dtype=X.dtype)
        for block in gen_batches(len(rows), _BLOCK):
            X_resampled[block] = image_format.from_rows(rows[block])
        if not image_format.fits_floats:
            sources = getattr(sampler, "sample_indices_", None)
            if sources is None:
                sources = _match(_keys(image_format, X, y), _keys(None, rows, y_resampled))
            _restore(X_resampled, X, sources, rows, image_format)
        return X_resampled, y_resampled

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        tags.input_tags.three_d_array = True
        if hasattr(self.sampler, "__sklearn_tags__"):
            inner = getattr(self.sampler.__sklearn_tags__(), "sampler_tags", None)  # a Pipeline has none
            tags.sampler_tags.sample_indices = inner is not None and inner.sample_indices
        return tags


def _uses_labels_only(sampler):
    """Return whether a sampler does not use the values of `X`."""
    return type(sampler) is RandomUnderSampler or (type(sampler) is RandomOverSampler and sampler.shrinkage is None)


def _check_rows(rows, sampler, n_features):
    is_finite = all(np.isfinite(rows[block]).all() for block in gen_batches(len(rows), _BLOCK))
    if rows.ndim != 2 or rows.shape[1] != n_features or not is_finite:
        raise ValueError(
            f"sampler must return rows of {n_features} finite numbers, as many as an image has; "
            f"{type(sampler).__name__} returned an array of shape {rows.shape}"
            f"{'' if is_finite else ' with NaN or infinity in it'}. Choose a sampler that resamples and does not "
            "transform, and rescale images of extreme values, for example to 0..1."
        )


def _keys(image_format, X, y):
    """Yield a key for each image: the hash of its floats, and its label."""
    for block in gen_batches(len(X), _BLOCK):
        rows = X[block] if image_format is None else image_format.to_rows(X[block])
        for row, label in zip(rows.astype(np.float64), np.asarray(y[block]).tolist(), strict=True):
            yield hash(row.tobytes()), label


def _match(known_keys, keys):
    """Return the position of each key in `known_keys`, or -1; repeated keys get different positions in turn."""
    places, n_taken, sources = defaultdict(list), defaultdict(int), []
    for place, key in enumerate(known_keys):
        places[key].append(place)
    for key in keys:
        found = places.get(key, [-1])
        sources.append(found[n_taken[key] % len(found)])
        n_taken[key] += 1
    return np.array(sources, dtype=np.intp)


def _restore(X_resampled, X, sources, rows, image_format):
    """Replace rows that equal their source in floats by ``X[sources]``; a source of -1 is unknown."""
    for block in gen_batches(len(rows), _BLOCK):
        originals = X[sources[block]]
        is_kept = (sources[block] >= 0) & (image_format.to_rows(originals) == rows[block]).all(axis=1)
        X_resampled[block][is_kept] = originals[is_kept]
