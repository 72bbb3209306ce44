"""Features of images from any transformer."""

import numpy as np
import torch
from scipy.sparse import issparse


def embed(embedder, X, parameter):
    """Return the features of images from any transformer; raise an error if they cannot be used.

    Parameters
    ----------
    embedder : transformer
        Fitted.
    X : ndarray of shape (n, ...)
        Images.
    parameter : str
        Name of the parameter that the transformer comes from, for error messages.

    Returns
    -------
    features : ndarray of shape (n, n_features), float64
        One row for each image.

    Raises
    ------
    ValueError
        When the features are not finite real numbers, empty, or differ in number from the images.
    """
    features = embedder.transform(X)
    if issparse(features):
        features = features.toarray()
    elif isinstance(features, torch.Tensor):
        features = features.detach().cpu()
    features = np.asarray(features)
    is_numeric = features.dtype.kind in "biuf"
    is_finite = is_numeric and np.isfinite(features).all()
    if features.ndim < 1 or len(features) != len(X) or features.size == 0 or not is_finite:
        raise ValueError(
            f"{parameter} must be a transformer that returns one row of finite numbers for each image; "
            f"{type(embedder).__name__} returned an array of shape {features.shape} and dtype {features.dtype} for "
            f"{len(X)} images{', with NaN or infinity in it' if is_numeric and not is_finite else ''}."
        )
    return features.reshape(len(features), -1).astype(np.float64, copy=False)
