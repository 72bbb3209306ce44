"""Neural classifiers of images as scikit-learn estimators: skorch nets whose input size is set at fit."""

import contextlib
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils._param_validation import Interval, Options, StrOptions, validate_parameter_constraints
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data
from skorch import NeuralNetClassifier
from skorch.callbacks import EpochScoring
from skorch.exceptions import NotInitializedError
from skorch.utils import is_dataset
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision.models import densenet121

from .images import IMAGE_PARAMETER_CONSTRAINTS, as_numeric_array, check_images
from .runtime import DEVICE_CONSTRAINT, draw_seed, isolated, resolve_device

__all__ = [
    "ANNClassifier",
    "CNNClassifier",
    "DenseNet121Classifier",
    "ANNModule",
    "CNNModule",
    "DenseNet121Module",
]

_DENSENET_MIN_SIDE = 32  # pixels; DenseNet halves the resolution five times


class ANNModule(nn.Module):
    """Fully connected network on flattened images or features.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one input without the batch axis; inputs are flattened.
    n_classes : int
        Number of logits.
    hidden_units : tuple of int, default=(256, 128)
        Number of units of each hidden layer.
    dropout : float, default=0.3
        Dropout probability after each hidden layer.

    Examples
    --------
    >>> import torch
    >>> from gan_sampler.classifiers import ANNModule
    >>> ANNModule((1, 8, 8), 3)(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 3])
    """

    def __init__(self, input_shape, n_classes, *, hidden_units=(256, 128), dropout=0.3):
        super().__init__()
        layers, width = [nn.Flatten()], int(np.prod(input_shape))
        for units in hidden_units:
            layers += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(dropout)]
            width = units
        self.layers = nn.Sequential(*layers, nn.Linear(width, n_classes))

    def forward(self, x):
        """Return the logits of `x`, shape ``(n, n_classes)``."""
        return self.layers(x)


class CNNModule(nn.Module):
    """Small convolutional network for images of any size.

    Parameters
    ----------
    input_shape : tuple of (int, int, int)
        (channels, height, width) of one image.
    n_classes : int
        Number of logits.
    widths : tuple of int, default=(32, 64, 128)
        Channels of each block of convolution, batch normalisation, ReLU and max pooling.
    dropout : float, default=0.3
        Dropout probability before the last layer.

    Examples
    --------
    >>> import torch
    >>> from gan_sampler.classifiers import CNNModule
    >>> CNNModule((3, 20, 31), 2)(torch.zeros(5, 3, 20, 31)).shape
    torch.Size([5, 2])
    """

    def __init__(self, input_shape, n_classes, *, widths=(32, 64, 128), dropout=0.3):
        super().__init__()
        layers, channels = [], input_shape[0]
        for width in widths:
            layers += [
                nn.Conv2d(channels, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
                nn.MaxPool2d(2, ceil_mode=True),  # so that odd sizes and images of one row are possible
            ]
            channels = width
        # Only average pooling to one pixel has a deterministic gradient on CUDA.
        self.layers = nn.Sequential(
            *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(channels, n_classes)
        )

    def forward(self, x):
        """Return the logits of `x`, shape ``(n, n_classes)``."""
        return self.layers(x)


class DenseNet121Module(nn.Module):
    """torchvision's DenseNet121, untrained, for images of any size and 1 to 4 channels.

    Grey images are repeated to three channels. Sides below 32 pixels are enlarged to 32, because the
    resolution is halved five times.

    Parameters
    ----------
    input_shape : tuple of (int, int, int)
        (channels, height, width) of one image.
    n_classes : int
        Number of logits.
    dropout : float, default=0.0
        Dropout probability after each dense layer.

    Examples
    --------
    >>> import torch
    >>> from gan_sampler.classifiers import DenseNet121Module
    >>> DenseNet121Module((1, 28, 28), 2)(torch.zeros(3, 1, 28, 28)).shape
    torch.Size([3, 2])
    """

    def __init__(self, input_shape, n_classes, *, dropout=0.0):
        super().__init__()
        channels, height, width = input_shape
        self.size = max(height, _DENSENET_MIN_SIDE), max(width, _DENSENET_MIN_SIDE)
        self.network = densenet121(weights=None, num_classes=n_classes, drop_rate=dropout)
        if channels not in (1, 3):
            self.network.features.conv0 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)

    def forward(self, x):
        """Return the logits of `x`, shape ``(n, n_classes)``."""
        if x.shape[1] == 1:
            x = x.expand(-1, 3, -1, -1)
        if tuple(x.shape[2:]) != self.size:
            x = nn.functional.interpolate(x, self.size, mode="bilinear", align_corners=False)
        return self.network(x)


class _BatchwiseDataset(Dataset):
    """Data set of an array, which is converted to float tensors batch by batch.

    So uint8 images are never all converted to floats at once, and a batch is converted in one operation.

    Parameters
    ----------
    X : ndarray
        Inputs, one per entry of the first axis.
    y : ndarray of int or None
        Class codes; None is replaced by zeros, since a loader cannot stack None.
    to_tensor : callable
        Converts a batch of `X` to a float tensor.
    """

    def __init__(self, X, y=None, *, to_tensor):
        self.X = X
        self.y = np.zeros(len(X), dtype=np.int64) if y is None else y
        self.to_tensor = to_tensor

    def __len__(self):
        return len(self.X)

    def __getitem__(self, index):
        return self.__getitems__([index])[0]

    def __getitems__(self, indices):  # used by torch's loader where a dataset has it
        return list(zip(self.to_tensor(self.X[indices]), torch.from_numpy(self.y[indices]), strict=True))


class _TrainingLoader(DataLoader):
    """Loader that shuffles, and drops a last batch of one image, for which batch normalisation is undefined."""

    def __init__(self, dataset, batch_size=1, shuffle=True, **kwargs):
        kwargs.setdefault("drop_last", batch_size > 1 and len(dataset) > 1 and len(dataset) % batch_size == 1)
        super().__init__(dataset, batch_size=batch_size, shuffle=shuffle, **kwargs)


def _accuracy_of_codes(net, X, y):
    """Accuracy on a validation split, where `y` holds codes rather than the labels that `predict` returns."""
    return float(np.mean(NeuralNetClassifier.predict_proba(net, X).argmax(axis=1) == y))


class _BaseClassifier(NeuralNetClassifier):
    """Base class of classifiers: input checks, encoding of labels, device, seeding.

    All keyword arguments of skorch are accepted, including ``module__``, ``optimizer__``, ``iterator_train__`` and
    ``callbacks__`` parameters.
    """

    _parameter_constraints: dict = {
        **IMAGE_PARAMETER_CONSTRAINTS,
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 2, None, closed="left"), Options(Integral, {-1})],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "device": DEVICE_CONSTRAINT,
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "classes": [None],  # skorch's; here the classes are those of y
    }

    def __init__(
        self,
        module,
        *,
        image_shape,
        data_format,
        value_range,
        class_weight,
        random_state,
        iterator_train=_TrainingLoader,
        dataset=_BatchwiseDataset,
        **kwargs,
    ):
        super().__init__(module, iterator_train=iterator_train, dataset=dataset, **kwargs)
        self.image_shape = image_shape
        self.data_format = data_format
        self.value_range = value_range
        self.class_weight = class_weight
        self.random_state = random_state

    def fit(self, X, y, **fit_params):
        """Train on images and their labels, from scratch unless `warm_start` is set.

        Parameters
        ----------
        X : array-like
            Inputs, as the class describes them.
        y : array-like of shape (n,)
            Labels, of any type.
        **fit_params : dict
            Passed to the ``forward`` of the module, as in skorch.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            When a parameter, the inputs or the labels are invalid.
        FloatingPointError
            When the training loss is no longer finite.
        """
        return self._fit(X, y, fresh=not (self.warm_start and self.initialized_), **fit_params)

    def partial_fit(self, X, y, classes=None, **fit_params):
        """Train for further `max_epochs`, starting from the current weights.

        Parameters
        ----------
        X : array-like
            Inputs, as at the first call.
        y : array-like of shape (n,)
            Labels.
        classes : array-like or None, default=None
            All labels of this and later calls; only used in the first call. None stands for the labels in `y`.
        **fit_params : dict
            Passed to the ``forward`` of the module, as in skorch.

        Returns
        -------
        self : object
        """
        return self._fit(X, y, fresh=not self.initialized_, classes=classes, **fit_params)

    def _fit(self, X, y, *, fresh, classes=None, **fit_params):
        params = self.get_params(deep=False)
        validate_parameter_constraints(self._parameter_constraints, params, caller_name=type(self).__name__)
        y = _check_labels(y, self)
        if fresh:
            self.device_ = resolve_device(self.device)
            self._learn_inputs(X)
            self._learn_classes(y, classes)
        check_consistent_length(X, y)
        codes = self._encode(y)
        with isolated(self.device_, draw_seed(self.random_state)):
            if fresh:
                self.initialize()
            # skorch's partial_fit catches Ctrl-C, so that a cross-validation would continue with partly trained
            # networks.
            self.notify("on_train_begin", X=X, y=codes)
            self.fit_loop(X, codes, **fit_params)
            self.notify("on_train_end", X=X, y=codes)
        return self

    def _learn_inputs(self, X):
        """Set the image format and the shape of an image as a tensor."""
        X_checked, self.image_format_ = check_images(
            X, image_shape=self.image_shape, data_format=self.data_format, value_range=self.value_range
        )
        if X_checked.ndim == 2:
            validate_data(self, X, skip_check_array=True)
        else:
            self.n_features_in_ = self.image_format_.n_features
        self.input_shape_ = self.image_format_.tensor_shape

    def _learn_classes(self, y, classes):
        self.classes_inferred_ = np.unique(y if classes is None else classes)
        if len(self.classes_inferred_) < 2:
            raise ValueError(
                f"y must hold at least two classes for {type(self).__name__} to tell apart; got one class, "
                f"{self.classes_inferred_[0]!r}. Check how the data were split."
            )
        absent = np.setdiff1d(self.classes_inferred_, y)
        if self.class_weight == "balanced" and len(absent):
            raise ValueError(
                f"class_weight='balanced' needs images of every class at the first partial_fit; got none of "
                f"{list(absent)}. Pass the weights as a dict."
            )
        self.class_weight_ = compute_class_weight(self.class_weight, classes=self.classes_inferred_, y=y)

    def _encode(self, y):
        """Return labels as indices into `classes_`."""
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(
                f"y must hold labels of the first fit, {list(self.classes_)}; got also {list(unknown)}. Name all "
                "labels in classes= at the first partial_fit, or fit from scratch."
            )
        return np.searchsorted(self.classes_, y).astype(np.int64, copy=False)

    def _check_inputs(self, X):
        """Return `X` as an array, checked against the format at fit."""
        if self.image_format_.ravelled and getattr(X, "ndim", None) == 2:
            validate_data(self, X, reset=False, skip_check_array=True)  # compares the names and number of columns
        return self.image_format_.check_same(X)

    def predict_proba(self, X):
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like
            Inputs of the shape seen at fit.

        Returns
        -------
        probabilities : ndarray of shape (n, n_classes), float64
            Columns in the order of `classes_`; rows sum to 1.
        """
        self.check_is_fitted()
        with isolated(self.device_, seed=0):  # torch's loader draws a number from the default generator
            if self.predict_nonlinearity != "auto" or not isinstance(self.criterion_, nn.CrossEntropyLoss):
                return super().predict_proba(X)
            # As in skorch, but in float64, because probabilities near 1 that differ may be equal in float32.
            return self.forward(X).double().softmax(dim=1).numpy()

    def predict(self, X):
        """Return the most probable label of each image.

        Parameters
        ----------
        X : array-like
            Inputs of the shape seen at fit.

        Returns
        -------
        labels : ndarray of shape (n,)
            Entries of `classes_`.
        """
        codes = self.predict_proba(X).argmax(axis=1)
        return self.classes_[codes]

    # Hooks of skorch for data, device and seeding.

    def get_params_for(self, prefix):
        """Return skorch's parameters for `prefix`, and those that are set at fit."""
        found = {}
        if prefix == "module" and hasattr(self, "input_shape_"):
            found = {"input_shape": self.input_shape_, "n_classes": len(self.classes_)}
        elif prefix == "criterion" and self.class_weight is not None:
            found = {"weight": torch.tensor(self.class_weight_, dtype=torch.float32)}
        elif prefix == "dataset":
            found = {"to_tensor": torch.from_numpy if self.image_format_ is None else self.image_format_.to_tensor}
        elif prefix in ("iterator_train", "iterator_valid"):
            found = {"batch_size": self.batch_size}
        # torch does not accept NumPy scalars everywhere.
        return {name: _as_plain(value) for name, value in (found | super().get_params_for(prefix)).items()}

    def get_dataset(self, X, y=None):
        """Return a dataset of checked inputs; a dataset is returned as it is."""
        return X if is_dataset(X) else super().get_dataset(self._check_inputs(X), y)

    def check_data(self, X, y):
        """Do nothing: `fit` has already checked both, and `y` holds codes."""

    def initialize(self):
        """Build module, criterion, optimizer and callbacks; called by `fit`, which sets their sizes.

        Returns
        -------
        self : object
        """
        if not hasattr(self, "input_shape_"):
            raise NotInitializedError(
                f"{type(self).__name__} finds the sizes of its network in the data: call fit(X, y) instead of "
                "initialize()."
            )
        self.initialized_ = False  # otherwise skorch prints that it re-initializes
        with self._resolved_device():
            return super().initialize()

    def __sklearn_is_fitted__(self):  # missing in older releases of skorch
        return bool(getattr(self, "initialized_", False))

    def initialize_module(self):
        """Build the network."""
        super().initialize_module()
        # On CPUs this saves a fifth (DenseNet121) to a third (CNN) of the time of a step. On CUDA, overlapping max
        # pooling is not deterministic in this format.
        if self.device_.type == "cpu":
            self.module_.to(memory_format=torch.channels_last)
        return self

    def load_params(self, *args, **kwargs):
        """Load saved parameters onto `device_`; see `skorch.NeuralNet.load_params`."""
        with self._resolved_device():
            super().load_params(*args, **kwargs)

    @contextlib.contextmanager
    def _resolved_device(self):
        """Replace `device`, which may be "auto", by `device_` for skorch."""
        parameter = self.device
        self.device = self.device_
        try:
            yield
        finally:
            self.device = parameter

    def infer(self, x, **fit_params):
        """Return the module's output for one batch."""
        return self.module_(x.to(self.device_), **fit_params)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Return the criterion of one batch."""
        return self.criterion_(y_pred, y_true.to(self.device_))

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        """Raise an error if training diverges; called by skorch after each epoch."""
        super().on_epoch_end(net, dataset_train=dataset_train, dataset_valid=dataset_valid, **kwargs)
        if not np.isfinite(self.history[-1, "batches", :, "train_loss"]).all():
            raise FloatingPointError(
                f"The training loss of {type(self).__name__} is no longer finite in epoch {self.history[-1, 'epoch']} "
                f"(lr={self.lr}). Lower lr, or check X for extreme values."
            )

    @property
    def _default_callbacks(self):
        callbacks = dict(super()._default_callbacks)
        callbacks["valid_acc"] = EpochScoring(_accuracy_of_codes, name="valid_acc", lower_is_better=False)
        return list(callbacks.items())

    def set_params(self, **params):
        """Set parameters; those of the parts of a fitted network take effect at the next fit from scratch.

        Parameters
        ----------
        **params : dict
            Parameters as in `get_params`, and any of skorch's with a double underscore.

        Returns
        -------
        self : object
        """
        # skorch would rebuild the trained network immediately, which loses its weights and changes the random state.
        initialized, self.initialized_ = self.initialized_, False
        try:
            super().set_params(**params)
        finally:
            self.initialized_ = initialized
        # skorch changes parameters of an existing optimizer only until the next fit.
        optimizer_params = {name: value for name, value in params.items() if name.startswith("optimizer__")}
        vars(self).update(optimizer_params)
        self._params_to_validate.update(optimizer_params)
        return self

    def _get_param_names(self):
        return [name for name in super()._get_param_names() if not name.startswith("_")]

    def __setstate__(self, state):
        try:
            device = resolve_device(state.get("device_", "cpu"))
        except ValueError:  # trained on a device that this machine does not have
            device = torch.device("cpu")
        super().__setstate__(state | {"device": device})
        self.device = state["device"]
        if "device_" in state:
            self.device_ = device

    def __repr__(self, N_CHAR_MAX=700):
        defaults = type(self)().get_params(deep=False)
        changed = [
            f"{name}={value!r}"
            for name, value in self.get_params(deep=False).items()
            if name not in defaults or repr(value) != repr(defaults[name])
        ]
        text = f"{type(self).__name__}({', '.join(changed)})"
        return text if len(text) <= N_CHAR_MAX else text[: N_CHAR_MAX - 4] + "...)"

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = self.image_shape is not None
        tags.input_tags.three_d_array = True
        return tags


def _as_plain(value):
    """Return NumPy scalars, alone or in a tuple or list, as Python numbers; anything else unchanged."""
    if isinstance(value, np.generic):
        return value.item()
    return type(value)(map(_as_plain, value)) if type(value) in (tuple, list) else value


def _check_labels(y, estimator):
    """Return `y` as an array of class labels."""
    if y is None:
        raise ValueError(f"{type(estimator).__name__} requires y to be passed, but the target y is None.")
    y = column_or_1d(y, warn=True)
    assert_all_finite(y, input_name="y")
    check_classification_targets(y)
    return y


class ANNClassifier(_BaseClassifier):
    """Fully connected network for images or features.

    Two hidden layers of 256 and 128 units with ReLU and dropout. Images are flattened; 2-D `X` without
    `image_shape` is read as features, which are standardised with the mean and standard deviation of the training data,
    so that the output of an embedder needs no scaler.

    Parameters
    ----------
    module : type, default=ANNModule
        Network; called with ``input_shape``, ``n_classes`` and every ``module__`` parameter. Returns logits.
    criterion : type, default=torch.nn.CrossEntropyLoss
        Loss, a function of logits.
    optimizer : type, default=torch.optim.Adam
        Optimizer. Its parameters are set with a prefix, for example ``optimizer__weight_decay``.
    lr : float, default=1e-3
        Learning rate.
    max_epochs : int, default=50
        Number of epochs.
    batch_size : int, default=32
        Number of images in one update, at least 2; -1 takes all images. A last batch of one image is dropped.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class in the loss, as in scikit-learn.
    image_shape : tuple of int, "row" or None, default=None
        Shape of one image, ``(H, W)`` or ``(H, W, C)``; needed if `X` is 2-D. ``"row"`` reads each row as an image of
        ``1 x n_features`` pixels.
    data_format : {"auto", "channels_first", "channels_last"}, default="auto"
        Position of the channel axis in 4-D input; "auto" takes the axis that has at most 4 entries.
    value_range : tuple of (float, float) or None, default=None
        Smallest and largest value that a pixel can have; they are scaled to -1 and 1. None stands for (0, 255) for
        uint8, and for the smallest and largest value of the training images for every other dtype.
    train_split : callable or None, default=None
        skorch's validation split during training. None by default, because a random split after over-sampling would
        validate on synthetic images.
    device : str or torch.device, default="auto"
        Device of the network. "auto" takes the first CUDA device, or the CPU where there is none; other values are
        torch's, such as "cuda:1".
    random_state : int, RandomState instance or None, default=None
        Seed of initial weights, shuffling and dropout. The random states of NumPy and torch outside are not changed.
    verbose : int, default=0
        1 prints skorch's table of epochs.
    **kwargs : dict
        Other parameters of `skorch.NeuralNetClassifier`, for example ``module__hidden_units=(512,)``,
        ``callbacks=[...]`` or ``iterator_train__num_workers=2``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted.
    module_ : torch.nn.Module
        The trained network.
    history_ : skorch.history.History
        One record per epoch, with ``train_loss`` and ``dur`` in seconds.
    image_format_ : ImageFormat or None
        Format of the training images.
    input_shape_ : tuple of int
        Shape of one input of the network.
    class_weight_ : ndarray of shape (n_classes,)
        Weight of each class in the loss.
    device_ : torch.device
        Device of the network.
    n_features_in_ : int
        Number of values in one image.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns; only where `X` is a DataFrame whose column names are strings.
    scaler_ : sklearn.preprocessing.StandardScaler
        Mean and standard deviation of the training features; only for features, where `image_format_` is None.

    Raises
    ------
    ValueError
        At fit or predict, when parameters, images or labels are invalid, or images differ in format from those at fit.
    FloatingPointError
        When the training loss is no longer finite.

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

    def _check_inputs(self, X):
        if self.image_format_ is not None:
            return super()._check_inputs(X)
        features = as_numeric_array(X, "X")
        if features.ndim != 2:
            raise ValueError(
                f"X must hold {self.n_features_in_} features a row, as at fit; got shape {features.shape}. Reshape "
                "your data, or fit on images."
            )
        validate_data(self, X, reset=False, skip_check_array=True)
        return self.scaler_.transform(features).astype(np.float32, copy=False)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


class CNNClassifier(_BaseClassifier):
    """Small convolutional network for images of any size from 8 x 8.

    Three blocks of convolution, batch normalisation, ReLU and max pooling with 32, 64 and 128 channels, global average
    pooling, dropout and a linear layer.

    Parameters
    ----------
    module : type, default=CNNModule
        Network; called with ``input_shape``, ``n_classes`` and every ``module__`` parameter. Returns logits.
    criterion : type, default=torch.nn.CrossEntropyLoss
        Loss, a function of logits.
    optimizer : type, default=torch.optim.Adam
        Optimizer. Its parameters are set with a prefix, for example ``optimizer__weight_decay``.
    lr : float, default=1e-3
        Learning rate.
    max_epochs : int, default=30
        Number of epochs.
    batch_size : int, default=32
        Number of images in one update, at least 2; -1 takes all images. A last batch of one image is dropped.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class in the loss, as in scikit-learn.
    image_shape : tuple of int, "row" or None, default=None
        Shape of one image, ``(H, W)`` or ``(H, W, C)``; needed if `X` is 2-D. ``"row"`` reads each row as an image of
        ``1 x n_features`` pixels.
    data_format : {"auto", "channels_first", "channels_last"}, default="auto"
        Position of the channel axis in 4-D input; "auto" takes the axis that has at most 4 entries.
    value_range : tuple of (float, float) or None, default=None
        Smallest and largest value that a pixel can have; they are scaled to -1 and 1. None stands for (0, 255) for
        uint8, and for the smallest and largest value of the training images for every other dtype.
    train_split : callable or None, default=None
        skorch's validation split during training. None by default, because a random split after over-sampling would
        validate on synthetic images.
    device : str or torch.device, default="auto"
        Device of the network. "auto" takes the first CUDA device, or the CPU where there is none; other values are
        torch's, such as "cuda:1".
    random_state : int, RandomState instance or None, default=None
        Seed of initial weights, shuffling and dropout. The random states of NumPy and torch outside are not changed.
    verbose : int, default=0
        1 prints skorch's table of epochs.
    **kwargs : dict
        Other parameters of `skorch.NeuralNetClassifier`, for example ``module__widths=(16, 32)``,
        ``callbacks=[...]`` or ``iterator_train__num_workers=2``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted.
    module_ : torch.nn.Module
        The trained network.
    history_ : skorch.history.History
        One record per epoch, with ``train_loss`` and ``dur`` in seconds.
    image_format_ : ImageFormat
        Format of the training images.
    input_shape_ : tuple of int
        Shape of one input of the network.
    class_weight_ : ndarray of shape (n_classes,)
        Weight of each class in the loss.
    device_ : torch.device
        Device of the network.
    n_features_in_ : int
        Number of values in one image.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns; only where `X` is a DataFrame whose column names are strings.

    Raises
    ------
    ValueError
        At fit or predict, when parameters, images or labels are invalid, or images differ in format from those at fit.
    FloatingPointError
        When the training loss is no longer finite.

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
            device=device,
            random_state=random_state,
            verbose=verbose,
            **kwargs,
        )


class DenseNet121Classifier(_BaseClassifier):
    """DenseNet121 [2]_, trained from scratch, for images of any size from 8 x 8.

    Grey images are repeated to three channels; sides below 32 pixels are enlarged to 32.

    Parameters
    ----------
    module : type, default=DenseNet121Module
        Network; called with ``input_shape``, ``n_classes`` and every ``module__`` parameter. Returns logits.
    criterion : type, default=torch.nn.CrossEntropyLoss
        Loss, a function of logits.
    optimizer : type, default=torch.optim.Adam
        Optimizer. Its parameters are set with a prefix, for example ``optimizer__weight_decay``.
    lr : float, default=1e-3
        Learning rate.
    max_epochs : int, default=30
        Number of epochs.
    batch_size : int, default=32
        Number of images in one update, at least 2; -1 takes all images. A last batch of one image is dropped.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class in the loss, as in scikit-learn.
    image_shape : tuple of int, "row" or None, default=None
        Shape of one image, ``(H, W)`` or ``(H, W, C)``; needed if `X` is 2-D. ``"row"`` reads each row as an image of
        ``1 x n_features`` pixels.
    data_format : {"auto", "channels_first", "channels_last"}, default="auto"
        Position of the channel axis in 4-D input; "auto" takes the axis that has at most 4 entries.
    value_range : tuple of (float, float) or None, default=None
        Smallest and largest value that a pixel can have; they are scaled to -1 and 1. None stands for (0, 255) for
        uint8, and for the smallest and largest value of the training images for every other dtype.
    train_split : callable or None, default=None
        skorch's validation split during training. None by default, because a random split after over-sampling would
        validate on synthetic images.
    device : str or torch.device, default="auto"
        Device of the network. "auto" takes the first CUDA device, or the CPU where there is none; other values are
        torch's, such as "cuda:1".
    random_state : int, RandomState instance or None, default=None
        Seed of initial weights, shuffling and dropout. The random states of NumPy and torch outside are not changed.
    verbose : int, default=0
        1 prints skorch's table of epochs.
    **kwargs : dict
        Other parameters of `skorch.NeuralNetClassifier`, for example ``module__dropout=0.2``,
        ``callbacks=[...]`` or ``iterator_train__num_workers=2``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted.
    module_ : torch.nn.Module
        The trained network.
    history_ : skorch.history.History
        One record per epoch, with ``train_loss`` and ``dur`` in seconds.
    image_format_ : ImageFormat
        Format of the training images.
    input_shape_ : tuple of int
        Shape of one input of the network.
    class_weight_ : ndarray of shape (n_classes,)
        Weight of each class in the loss.
    device_ : torch.device
        Device of the network.
    n_features_in_ : int
        Number of values in one image.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns; only where `X` is a DataFrame whose column names are strings.

    Raises
    ------
    ValueError
        At fit or predict, when parameters, images or labels are invalid, or images differ in format from those at fit.
    FloatingPointError
        When the training loss is no longer finite.

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
            device=device,
            random_state=random_state,
            verbose=verbose,
            **kwargs,
        )
