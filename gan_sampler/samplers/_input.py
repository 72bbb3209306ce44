"""What every sampler of images does with its input, and when it takes on what it learnt."""

import numpy as np
from imblearn.utils import check_target_type
from sklearn.utils.validation import validate_data

from ..images import as_numeric_array, check_images
from ._judging import PoorQualityError
from ._labels import check_labels


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
    sampler.n_features_in_ = image_format.n_features
    sampler.image_format_ = image_format
    sampler.image_shape_ = image_format.image_shape
    return X, y, binarize_y


class OneHot:
    """Labels given as columns of zeros and a one, which shall come back so.

    imbalanced-learn would return two columns as one, of another dtype.

    Parameters
    ----------
    y : list, ndarray or DataFrame of shape (n, n_classes)
        The labels.
    columns : ndarray of shape (n, n_classes)
        The same.
    """

    def __init__(self, y, columns):
        self._y, self._dtype, self._n_classes = y, columns.dtype, columns.shape[1]
        self.labels = columns.argmax(axis=1)

    @classmethod
    def find(cls, y):
        """Return the encoding of `y`, or None where it is none."""
        columns = np.asarray(y)
        if columns.ndim != 2 or columns.shape[1] < 2 or columns.dtype.kind not in "biuf":
            return None
        is_one_hot = np.isin(columns, (0, 1)).all() and (columns.sum(axis=1) == 1).all()
        return cls(y, columns) if is_one_hot else None

    def encode(self, labels):
        """Return labels, column numbers, in the form in which they came."""
        columns = np.eye(self._n_classes, dtype=self._dtype)[labels]
        if isinstance(self._y, list):
            return columns.tolist()
        return type(self._y)(columns, columns=self._y.columns) if hasattr(self._y, "columns") else columns


class ImagesMixin:
    """`fit` and `fit_resample` of imbalanced-learn's samplers, for images.

    Both work on a copy of the sampler that has its parameters alone, and take over its fitted attributes together at
    the end. So nothing is left of an earlier fit, and a fit that fails leaves the sampler as it was. If that had learnt
    nothing yet, what the fit had learnt is kept; so it is after Ctrl-C, an exception in a callback and a
    `PoorQualityError`.
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
            Must be empty; here because imbalanced-learn's samplers have it.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            When images, labels or parameters cannot be used.
        """
        check_labels(y)
        encoding = OneHot.find(y)
        fitted = self._without_fit()
        super(ImagesMixin, fitted).fit(X, y if encoding is None else encoding.labels, **params)
        self._take_over(fitted)
        return self

    def fit_resample(self, X, y, **params):
        """Learn from images, and return them resampled.

        Parameters
        ----------
        X : array-like of shape (n, H, W), (n, H, W, C), (n, C, H, W) or (n, n_features)
            Images, at least 8 x 8 pixels, of integers or floats without NaN; rows need `image_shape`.
        y : array-like of shape (n,)
            Labels: integers, booleans, strings or whole floats.
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
        MemoryError
            When there is no room for the resampled images; before anything is learnt.
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
            is_asked_for = isinstance(exc, KeyboardInterrupt | PoorQualityError) or exc is fitted._callback_error
            if fitted._has_learnt() and (is_asked_for or not self._has_learnt()):
                self._take_over(fitted)
            raise
        self._take_over(fitted)
        X_resampled = list(X_resampled) if is_list else X_resampled
        return X_resampled, y_resampled if encoding is None else encoding.encode(y_resampled)

    def _has_learnt(self):
        """Return whether a fit that failed has something worth keeping."""
        return False

    def _without_fit(self):
        """Return a copy without fitted attributes, whose parameters are Python's numbers in place of NumPy's.

        The parameters themselves are not copied: a RandomState moves on, and a wrapped estimator is cloned where it is
        used. NumPy's numbers stay in the caller's sampler; torch and JSON do not take them.
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
    return name.endswith("_") and not name.startswith("_")


def _plain(value):
    if isinstance(value, np.generic):
        return value.item()
    if type(value) in (list, tuple):
        return type(value)(map(_plain, value))
    return value
