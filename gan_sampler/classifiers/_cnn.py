"""Convolutional classifier."""

import torch
from torch import nn

from ._base import BaseClassifier
from ._docstrings import document
from ._modules import CNNModule


@document
class CNNClassifier(BaseClassifier):
    """Small convolutional network for images of any size from 8 x 8.

    Three blocks of convolution, batch normalisation, ReLU and max pooling with 32, 64 and 128 channels, global average
    pooling, dropout and a linear layer.

    Parameters
    ----------
    module : type, default=CNNModule
        Network; called with ``input_shape``, ``n_classes`` and every ``module__`` parameter. Returns logits.
    {criterion}
    {optimizer}
    {lr}
    max_epochs : int, default=30
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
        Other parameters of `skorch.NeuralNetClassifier`, for example ``module__widths=(16, 32)``,
        ``callbacks=[...]`` or ``iterator_train__num_workers=2``.

    Attributes
    ----------
    {classes_}
    {module_}
    {history_}
    image_format_ : ImageFormat
        Format of the training images.
    {input_shape_}
    {class_weight_}
    {device_}
    {n_features_in_}
    {feature_names_in_}

    Raises
    ------
    {raises}

    See Also
    --------
    ANNClassifier : Fully connected network; the fastest.
    DenseNet121Classifier : 121 layers, for thousands of images and a GPU.

    References
    ----------
    .. [1] M. Tietz et al., "skorch: A scikit-learn compatible neural network library that wraps PyTorch", 2017,
       https://skorch.readthedocs.io

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from gan_sampler import CNNClassifier
    >>> digits = load_digits()
    >>> names = np.where(digits.target % 2, "odd", "even")
    >>> classifier = CNNClassifier(max_epochs=3, random_state=0).fit(digits.images[:500], names[:500])
    >>> classifier.predict(digits.images[:4])
    array(['even', 'odd', 'even', 'odd'], dtype='<U4')
    """

    def __init__(
        self,
        module=CNNModule,
        *,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        max_epochs=30,
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
