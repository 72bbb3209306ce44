"""Fully connected classifier."""

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import validate_data
from torch import nn

from ..images import as_numeric_array
from ._base import BaseClassifier
from ._docstrings import document
from ._modules import ANNModule


@document
class ANNClassifier(BaseClassifier):
    """Fully connected network for images or features.

    Two hidden layers of 256 and 128 units with ReLU and dropout. Images are flattened; 2-D `X` without
    `image_shape` is read as features, which are standardised with the mean and standard deviation of the training data,
    so that the output of an embedder needs no scaler.

    Parameters
    ----------
    module : type, default=ANNModule
        Network; called with ``input_shape``, ``n_classes`` and every ``module__`` parameter. Returns logits.
    {criterion}
    {optimizer}
    {lr}
    max_epochs : int, default=50
        Number of epochs; with `early_stopping`, the largest.
    {batch_size}
    {class_weight}
    {image_shape}
    {data_format}
    {value_range}
    {train_split}
    {early_stopping}
    {n_iter_no_change}
    {checkpoint_dir}
    {device}
    {random_state}
    {verbose}
    **kwargs : dict
        Other parameters of `skorch.NeuralNetClassifier`, for example ``module__hidden_units=(512,)``,
        ``callbacks=[...]`` or ``iterator_train__num_workers=2``.

    Attributes
    ----------
    {classes_}
    {module_}
    {history_}
    image_format_ : ImageFormat or None
        Format of the training images.
    {input_shape_}
    {class_weight_}
    {device_}
    {n_features_in_}
    {feature_names_in_}
    scaler_ : sklearn.preprocessing.StandardScaler
        Mean and standard deviation of the training features; only for features, where `image_format_` is None.

    Raises
    ------
    {raises}

    See Also
    --------
    CNNClassifier : Three blocks of convolutions.
    DenseNet121Classifier : 121 layers, for thousands of images and a GPU.

    References
    ----------
    .. [1] M. Tietz et al., "skorch: A scikit-learn compatible neural network library that wraps PyTorch", 2017,
       https://skorch.readthedocs.io

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from gan_sampler import ANNClassifier
    >>> digits = load_digits()
    >>> classifier = ANNClassifier(max_epochs=5, random_state=0).fit(digits.images[:1000], digits.target[:1000])
    >>> classifier.score(digits.images[1000:], digits.target[1000:]) > 0.85
    True
    """

    def __init__(
        self,
        module=ANNModule,
        *,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        max_epochs=50,
        batch_size=32,
        class_weight=None,
        image_shape=None,
        data_format="auto",
        value_range=None,
        train_split=None,
        early_stopping=False,
        n_iter_no_change=5,
        checkpoint_dir=None,
        device="auto",
        random_state=None,
        verbose=0,
        **kwargs,
    ):
        super().__init__(
            module,
            criterion=criterion,
            optimizer=optimizer,
            lr=lr,
            max_epochs=max_epochs,
            batch_size=batch_size,
            class_weight=class_weight,
            image_shape=image_shape,
            data_format=data_format,
            value_range=value_range,
            train_split=train_split,
            early_stopping=early_stopping,
            n_iter_no_change=n_iter_no_change,
            checkpoint_dir=checkpoint_dir,
            device=device,
            random_state=random_state,
            verbose=verbose,
            **kwargs,
        )

    def _learn_inputs(self, X):
        features = as_numeric_array(X, "X")
        if features.ndim != 2 or self.image_shape is not None:
            super()._learn_inputs(X)
            return
        self.image_format_ = None
        validate_data(self, X, skip_check_array=True)  # takes the names and number of columns
        self.scaler_ = StandardScaler().fit(features)
        self.input_shape_ = (self.n_features_in_,)

    def _check_inputs(self, X, input_name="X"):
        if self.image_format_ is not None:
            return super()._check_inputs(X, input_name)
        features = as_numeric_array(X, input_name)
        if features.ndim != 2:
            raise ValueError(
                f"{input_name} must hold {self.n_features_in_} features a row, as at fit; got shape {features.shape}. "
                "Reshape your data, or fit on images."
            )
        validate_data(self, X, reset=False, skip_check_array=True)
        return self.scaler_.transform(features).astype(np.float32, copy=False)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags
