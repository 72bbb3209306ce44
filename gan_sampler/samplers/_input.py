"""Input checks, `fit` and `fit_resample` of all image samplers."""

import warnings

import numpy as np
from imblearn.utils import check_target_type
from sklearn.utils.validation import validate_data

from ..images import as_numeric_array, check_images
from ..runtime import stacklevel_of_user
from ._judging import PoorQualityError
from ._labels import check_labels

_NARROW = 64  # of 256 values


def check_image_target(sampler, X, y):
    """Check images and labels for a sampler, and set `image_format_`, `image_shape_` and `n_features_in_` on it.

    Parameters
    ----------
    sampler : estimator
        Estimator with parameters `image_shape`, `data_format` and `value_range`.
    X : array-like
        Images, as for `gan_sampler.images.check_images`.
    y : array-like of shape (n,)
        Labels.

    Returns
    -------
    X : ndarray
        The images.
    y : ndarray of shape (n,)
        The labels.
    binarize_y : bool
        Whether labels were one-vs-all encoded.

    Raises
    ------
    ValueError
        When images or labels are invalid, or differ in number.
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
        validate_data(sampler, X=X_as_given, y=y, reset=True, skip_check_array=True)  # sets feature_names_in_
    sampler.n_features_in_ = image_format.n_features
    sampler.image_format_ = image_format
    sampler.image_shape_ = image_format.image_shape
    return X, y, binarize_y


def warn_of_narrow_range(X, image_format, value_range):
    """Warn where uint8 images leave three quarters of 0..255 unused, because networks then hardly see differences.

    Parameters
    ----------
    X : ndarray
        The images.
    image_format : ImageFormat
        Their format.
    value_range : tuple or None
        What the user passed; other dtypes, and ranges that were passed, fit by themselves.
    """
    if value_range is not None or image_format.dtype != np.uint8 or not X.size:
        return
    low, high = int(X.min()), int(X.max())
    if 0 < high - low < _NARROW:
        warnings.warn(
            f"X holds values from {low} to {high} alone, but uint8 images are learnt as 0 to 255: networks then hardly "
            f"see differences. Pass value_range=({low}, {high}).",
            UserWarning,
            stacklevel=stacklevel_of_user(),
        )


class OneHot:
    """One-hot encoded labels, which are returned in the same encoding.

    imbalanced-learn would return one column for two, with another dtype.

    Parameters
    ----------
    y : list, ndarray or DataFrame of shape (n, n_classes)
        The labels.
    columns : ndarray of shape (n, n_classes)
        The labels as an array.
    """

    def __init__(self, y, columns):
        self._y, self._dtype, self._n_classes = y, columns.dtype, columns.shape[1]
        self.labels = columns.argmax(axis=1)

    @classmethod
    def find(cls, y):
        """Return the encoding of `y`, or None if `y` is not one-hot encoded."""
        columns = np.asarray(y)
        if columns.ndim != 2 or columns.shape[1] < 2 or columns.dtype.kind not in "biuf":
            return None
        is_one_hot = np.isin(columns, (0, 1)).all() and (columns.sum(axis=1) == 1).all()
        return cls(y, columns) if is_one_hot else None

    def encode(self, labels):
        """Return labels, given as column numbers, in the encoding of `y`."""
        columns = np.eye(self._n_classes, dtype=self._dtype)[labels]
        if isinstance(self._y, list):
            return columns.tolist()
        return type(self._y)(columns, columns=self._y.columns) if hasattr(self._y, "columns") else columns


class ImagesMixin:
    """`fit` and `fit_resample` of imbalanced-learn's samplers, for images.

    Both work on a copy of the sampler without fitted attributes, and set its fitted attributes on the sampler at the
    end. So nothing is left of an earlier fit, and a fit that fails leaves the sampler unchanged. There are two
    exceptions: the networks of a failed fit are kept if the sampler was not fitted before, and always after Ctrl-C, an
    exception in a callback and a `PoorQualityError`.
    """

    _callback_error = None  # what a callback raised in this fit

    def fit(self, X, y, **params):
        """Check images, labels and parameters; `fit_resample` does the work.

        Parameters
        ----------
        X : array-like of shape (n, H, W), (n, H, W, C), (n, C, H, W) or (n, n_features)
            Images, as for `fit_resample`.
        y : array-like of shape (n,)
            Labels.
        **params : dict
            Not used; present for compatibility with imbalanced-learn.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            When images, labels or parameters are invalid.
        """
        check_labels(y)
        encoding = OneHot.find(y)
        fitted = self._without_fit()
        super(ImagesMixin, fitted).fit(X, y if encoding is None else encoding.labels, **params)
        self._take_over(fitted)
        return self

    def fit_resample(self, X, y, **params):
        """Fit the sampler and return the resampled images.

        Parameters
        ----------
        X : array-like of shape (n, H, W), (n, H, W, C), (n, C, H, W) or (n, n_features)
            Images, at least 8 x 8 pixels, of integers or floats without NaN; rows need `image_shape`.
        y : array-like of shape (n,)
            Labels: integers, booleans, strings or whole floats.
        **params : dict
            Not used; present for compatibility with imbalanced-learn.

        Returns
        -------
        X_resampled : ndarray of shape (n_resampled, *X.shape[1:]), or what `X` was
            Images in the same layout, dtype and value range. Over-samplers return the images of `X`, unchanged and in
            their order, then repeated ones, if any, then synthetic ones. A DataFrame gives a DataFrame, and a list a
            list of arrays.
        y_resampled : ndarray of shape (n_resampled,), or what `y` was
            Their labels.

        Raises
        ------
        ValueError
            When images, labels or parameters are invalid, or a class has too few images.
        MemoryError
            When the resampled images do not fit in memory; raised before training.
        TypeError
            When `X` is sparse.
        """
        check_labels(y)
        is_list, encoding = isinstance(X, list), OneHot.find(y)
        fitted = self._without_fit()
        try:
            X_resampled, y_resampled = super(ImagesMixin, fitted).fit_resample(
                as_numeric_array(X, "X") if is_list else X, y if encoding is None else encoding.labels, **params
            )
        except BaseException as exc:
            keeps_networks = isinstance(exc, KeyboardInterrupt | PoorQualityError) or exc is fitted._callback_error
            if fitted._has_fitted_networks() and (keeps_networks or not self._has_fitted_networks()):
                self._take_over(fitted)
            raise
        self._take_over(fitted)
        X_resampled = list(X_resampled) if is_list else X_resampled
        return X_resampled, y_resampled if encoding is None else encoding.encode(y_resampled)

    def _has_fitted_networks(self):
        """Return whether there are fitted networks."""
        return False

    def _without_fit(self):
        """Return a copy without fitted attributes, in which NumPy scalars are replaced by Python numbers.

        Other parameters are not copied: a RandomState has to advance, and a wrapped estimator is cloned where it is
        used. NumPy scalars are replaced because torch and JSON do not accept them; the user's sampler keeps them.
        """
        copied = object.__new__(type(self))
        own = {name: value for name, value in vars(self).items() if not _is_fitted_attribute(name)}
        vars(copied).update({name: _plain(value) for name, value in own.items()})
        return copied

    def _take_over(self, fitted):
        for name in list(vars(self)):
            if _is_fitted_attribute(name):
                delattr(self, name)
        vars(self).update({name: value for name, value in vars(fitted).items() if _is_fitted_attribute(name)})


def _is_fitted_attribute(name):
    return name.endswith("_") and not name.startswith("_") and "__" not in name  # loss__lambda_ is a parameter


def _plain(value):
    if isinstance(value, np.generic):
        return value.item()
    if type(value) in (list, tuple):
        return type(value)(map(_plain, value))
    return value
