"""DenseNet121 as a classifier."""

import torch
from torch import nn

from ._base import BaseClassifier
from ._docstrings import document
from ._modules import DenseNet121Module


@document
class DenseNet121Classifier(BaseClassifier):
    """DenseNet121 [2]_, trained from scratch, for images of any size from 8 x 8.

    Grey images are repeated to three channels; sides below 32 pixels are enlarged to 32.

    Parameters
    ----------
    module : type, default=DenseNet121Module
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
        Other parameters of `skorch.NeuralNetClassifier`, for example ``module__dropout=0.2``,
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
    CNNClassifier : Three blocks of convolutions.

    References
    ----------
    .. [1] M. Tietz et al., "skorch: A scikit-learn compatible neural network library that wraps PyTorch", 2017,
       https://skorch.readthedocs.io
    .. [2] G. Huang, Z. Liu, L. van der Maaten and K. Q. Weinberger, "Densely Connected Convolutional Networks",
       CVPR 2017, https://arxiv.org/abs/1608.06993

    Examples
    --------
    >>> import numpy as np
    >>> from gan_sampler import DenseNet121Classifier
    >>> X, y = np.zeros((6, 32, 32), dtype=np.uint8), ["dark", "light"] * 3
    >>> X[1::2] = 200
    >>> DenseNet121Classifier(max_epochs=1, random_state=0).fit(X, y).predict_proba(X).shape
    (6, 2)
    """

    def __init__(
        self,
        module=DenseNet121Module,
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
