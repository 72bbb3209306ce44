"""Any imbalanced-learn sampler on images."""

import numpy as np
from imblearn.base import BaseSampler
from sklearn.base import MetaEstimatorMixin, clone
from sklearn.utils._param_validation import HasMethods

from ..images import IMAGE_PARAMETER_CONSTRAINTS
from ._input import ImagesMixin, check_image_target


class PixelSampler(ImagesMixin, MetaEstimatorMixin, BaseSampler):
    """Let an imbalanced-learn sampler work on the pixels of images.

    Images are ravelled to rows of pixels, resampled, and restored to their layout and dtype. It over-samples,
    under-samples or cleans, as the wrapped sampler does. On features, after an embedder, imbalanced-learn's
    samplers need no wrapper.

    Parameters
    ----------
    sampler : estimator with `fit_resample`
        Any imbalanced-learn sampler, for example ``SMOTE()``. It is cloned, never fitted itself.
    image_shape : tuple of int, "row" or None, default=None
        Shape ``(H, W)`` or ``(H, W, C)`` of one image; needed only where `X` holds rows.
    data_format : {"auto", "channels_first", "channels_last"}, default="auto"
        Where the channels of 4-D input stand.
    value_range : tuple of (float, float) or None, default=None
        Smallest and largest value an image can have; synthetic values are clipped to it. None stands for 0..255
        for uint8, and for what is found in `X` for every other dtype.

    Attributes
    ----------
    sampler_ : estimator
        The fitted clone of `sampler`.
    sampling_strategy_ : dict
        That of `sampler_`, where it has one.
    image_shape_ : tuple of int
        Shape of one image as stored.
    n_features_in_ : int
        Number of values that one image stores.
    sample_indices_ : ndarray of shape (n_resampled,)
        Rows of `X` that were kept or repeated; only where `sampler_` tells.

    See Also
    --------
    AugmentationOverSampler : Over-sample by small classical changes to images.
    DCGANOverSampler : Over-sample with a generative adversarial network.

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
        "sampler": [HasMethods("fit_resample")],
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
        image_format = self.image_format_
        self.sampler_ = clone(self.sampler)
        # Interpolated pixels are rounded here; imbalanced-learn would cut them off towards zero.
        rows = X.reshape(len(X), -1)
        if X.dtype.kind != "f":
            rows = rows.astype(np.float32 if X.dtype.itemsize <= 2 else np.float64)
        rows, y_resampled = self.sampler_.fit_resample(rows, y)
        for name in ("sampling_strategy_", "sample_indices_"):
            if hasattr(self.sampler_, name):
                setattr(self, name, getattr(self.sampler_, name))
        if X.dtype.kind != "f":
            rows = np.rint(rows)
        rows = np.clip(rows, *image_format.value_range)
        return rows.astype(X.dtype, copy=False).reshape(len(rows), *image_format.row_shape), y_resampled

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        tags.input_tags.three_d_array = True
        if hasattr(self.sampler, "__sklearn_tags__"):
            inner = getattr(self.sampler.__sklearn_tags__(), "sampler_tags", None)  # a Pipeline of samplers has none
            tags.sampler_tags.sample_indices = inner is not None and inner.sample_indices
        return tags
