"""Base class of the classifiers: input checks, labels, device, seeding, early stopping, checkpoints."""

import contextlib
import copy
import os
from numbers import Integral, Real

import numpy as np
import torch
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

from ..images import IMAGE_PARAMETER_CONSTRAINTS, check_images
from ..runtime import DEVICE_CONSTRAINT, draw_seed, isolated, resolve_device
from ._data import BatchwiseDataset, TrainingLoader
from ._resumption import make_keeper, restore, state_of

_VALIDATION_LOSS = "valid_log_loss"  # decides on early stopping


class BaseClassifier(NeuralNetClassifier):
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
        "early_stopping": ["boolean"],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "checkpoint_dir": [str, os.PathLike, None],
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
        early_stopping,
        n_iter_no_change,
        checkpoint_dir,
        iterator_train=TrainingLoader,
        dataset=BatchwiseDataset,
        **kwargs,
    ):
        super().__init__(module, iterator_train=iterator_train, dataset=dataset, **kwargs)
        self.image_shape = image_shape
        self.data_format = data_format
        self.value_range = value_range
        self.class_weight = class_weight
        self.random_state = random_state
        self.early_stopping = early_stopping
        self.n_iter_no_change = n_iter_no_change
        self.checkpoint_dir = checkpoint_dir

    def fit(self, X, y, *, X_val=None, y_val=None, **fit_params):
        """Train on images and their labels, from scratch unless `warm_start` is set.

        Parameters
        ----------
        X : array-like
            Inputs, as the class describes them.
        y : array-like of shape (n,)
            Labels, of any type.
        X_val : array-like or None, default=None
            Inputs on which the network is validated after each epoch, for early stopping. Behind a sampler, real
            images that it has not seen: split them off first, and pass them through the Pipeline as
            ``pipeline.fit(X, y, classifier__X_val=X_val, classifier__y_val=y_val)``.
        y_val : array-like of shape (n_val,) or None, default=None
            Their labels.
        **fit_params : dict
            Passed to the ``forward`` of the module, as in skorch.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            When a parameter, the inputs or the labels are invalid, or `checkpoint_dir` holds another training.
        OSError
            When `checkpoint_dir` cannot be written to.
        FloatingPointError
            When the training loss is no longer finite.
        """
        fresh = not (self.warm_start and self.initialized_)
        return self._fit(X, y, fresh=fresh, validation=(X_val, y_val), **fit_params)

    def partial_fit(self, X, y, classes=None, *, X_val=None, y_val=None, **fit_params):
        """Train for further `max_epochs`, starting from the current weights.

        Parameters
        ----------
        X : array-like
            Inputs, as at the first call.
        y : array-like of shape (n,)
            Labels.
        classes : array-like or None, default=None
            All labels of this and later calls; only used in the first call. None stands for the labels in `y`.
        X_val, y_val : array-like or None, default=None
            Validation images and their labels, as in `fit`.
        **fit_params : dict
            Passed to the ``forward`` of the module, as in skorch.

        Returns
        -------
        self : object
        """
        fresh = not self.initialized_
        return self._fit(X, y, fresh=fresh, classes=classes, validation=(X_val, y_val), **fit_params)

    def _fit(self, X, y, *, fresh, classes=None, validation=(None, None), **fit_params):
        params = self.get_params(deep=False)
        validate_parameter_constraints(self._parameter_constraints, params, caller_name=type(self).__name__)
        y = _check_labels(y, self)
        if self.checkpoint_dir is not None and not fresh:
            raise ValueError(
                "checkpoint_dir must be None where training goes on from a fitted network (partial_fit, warm_start); "
                f"got {str(self.checkpoint_dir)!r}."
            )
        if fresh:
            self.device_ = resolve_device(self.device)
            self._learn_inputs(X)
            self._learn_classes(y, classes)
        check_consistent_length(X, y)
        codes = self._encode(y)
        validation = self._check_validation(*validation)
        seed = draw_seed(self.random_state)
        keeper = make_keeper(self, X, codes, validation, seed)
        with isolated(self.device_, seed), self._resolved_device():  # skorch's scores of an epoch read `device`
            if fresh:
                self.initialize()
            first, best = len(self.history), None
            if keeper is not None:
                best = restore(self, keeper)
            # skorch's partial_fit catches Ctrl-C, so that a cross-validation would continue with partly trained
            # networks.
            self.notify("on_train_begin", X=X, y=codes)
            self._train(X, codes, validation, first, best, keeper, **fit_params)
            self.notify("on_train_end", X=X, y=codes)
        return self

    def _check_validation(self, X_val, y_val):
        """Return validation inputs and their codes, or None."""
        if (X_val is None) != (y_val is None):
            missing = "X_val" if X_val is None else "y_val"
            raise ValueError(f"X_val and y_val must be given together; got no {missing}.")
        if X_val is None:
            if self.early_stopping and not self.train_split:
                raise ValueError(
                    "early_stopping=True needs validation images: pass X_val and y_val to fit, real images that no "
                    "sampler has seen, or set early_stopping=False."
                )
            return None
        y_val = _check_labels(y_val, self, "y_val")
        check_consistent_length(X_val, y_val)
        return self._check_inputs(X_val, "X_val"), self._encode(y_val, "y_val")

    def _train(self, X, codes, validation, first, best, keeper, **fit_params):
        """Train to the last epoch, or until the validation loss has not fallen for `n_iter_no_change` epochs.

        Parameters
        ----------
        X, codes : array-like, ndarray of int
            Training inputs and their labels.
        validation : tuple of (ndarray, ndarray) or None
            Validation inputs and their labels.
        first : int
            Number of epochs in the history that belong to earlier fits.
        best : dict or None
            ``state_dict`` of the module after the best epoch before an interruption.
        keeper : CheckpointKeeper or None
            Saves the state after each epoch.
        """
        self.check_training_readiness()
        training, validating = self.get_split_datasets(X, codes, **fit_params)
        if validation is not None:
            validating = super().get_dataset(*validation)
        data = {"dataset_train": training, "dataset_valid": validating}
        train_loader = self.get_iterator(training, training=True)
        valid_loader = None if validating is None else self.get_iterator(validating, training=False)
        try:
            while not self._is_over(first):
                self.notify("on_epoch_begin", **data)
                self.run_single_epoch(train_loader, True, "train", self.train_step, **fit_params)
                with torch.random.fork_rng(devices=[]):  # the loader draws a number; training must not depend on it
                    self.run_single_epoch(valid_loader, False, "valid", self.validation_step, **fit_params)
                self.notify("on_epoch_end", **data)
                if self.early_stopping and self._n_epochs_since_best(first) == 0:
                    best = copy.deepcopy(self.module_.state_dict())
                if keeper is not None:
                    keeper.keep(state_of(self, best))
        finally:
            if keeper is not None:
                keeper.flush()
        if best is not None:
            self.module_.load_state_dict(best)

    def _is_over(self, first):
        n_epochs = len(self.history) - first
        if self.early_stopping and n_epochs and self._n_epochs_since_best(first) >= self.n_iter_no_change:
            return True
        return n_epochs >= self.max_epochs

    def _n_epochs_since_best(self, first):
        losses = self.history[first:, _VALIDATION_LOSS]
        return len(losses) - 1 - int(np.argmin(losses))

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
                f"y must hold at least two classes for {type(self).__name__}; got one class, "
                f"{self.classes_inferred_[0]!r}. Check how the data were split."
            )
        absent = np.setdiff1d(self.classes_inferred_, y)
        if self.class_weight == "balanced" and len(absent):
            raise ValueError(
                f"class_weight='balanced' needs images of every class at the first partial_fit; got none of "
                f"{list(absent)}. Pass the weights as a dict."
            )
        self.class_weight_ = compute_class_weight(self.class_weight, classes=self.classes_inferred_, y=y)

    def _encode(self, y, input_name="y"):
        """Return labels as indices into `classes_`."""
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(
                f"{input_name} must hold labels of the first fit, {list(self.classes_)}; got also {list(unknown)}. "
                "Name all labels in classes= at the first partial_fit, or fit from scratch."
            )
        return np.searchsorted(self.classes_, y).astype(np.int64, copy=False)

    def _check_inputs(self, X, input_name="X"):
        """Return `X` as an array, checked against the format at fit."""
        if self.image_format_.ravelled and getattr(X, "ndim", None) == 2:
            validate_data(self, X, reset=False, skip_check_array=True)  # compares the names and number of columns
        return self.image_format_.check_same(X, input_name=input_name)

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
        callbacks[_VALIDATION_LOSS] = EpochScoring(_log_loss_of_codes, name=_VALIDATION_LOSS)
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


def _check_labels(y, estimator, input_name="y"):
    """Return `y` as an array of class labels."""
    if y is None:
        raise ValueError(f"{type(estimator).__name__} requires y to be passed, but the target y is None.")
    y = column_or_1d(y, warn=True)
    assert_all_finite(y, input_name=input_name)
    check_classification_targets(y)
    return y


def _accuracy_of_codes(net, X, y):
    """Accuracy on a validation split, where `y` holds codes rather than the labels that `predict` returns."""
    return float(np.mean(NeuralNetClassifier.predict_proba(net, X).argmax(axis=1) == y))


def _log_loss_of_codes(net, X, y):
    """Log loss on a validation split: the mean over the classes of the mean over the images of each."""
    y = np.asarray(y)
    probabilities = NeuralNetClassifier.predict_proba(net, X)[np.arange(len(y)), y].astype(np.float64)
    losses = -np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    return float(np.mean([losses[y == code].mean() for code in np.unique(y)]))
