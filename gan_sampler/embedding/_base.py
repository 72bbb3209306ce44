"""Base class of the embedders: input checks, preprocessing, features in batches, their cache, fine-tuning."""

import os
import uuid
from abc import ABCMeta, abstractmethod
from copy import deepcopy
from numbers import Integral, Real
from pathlib import Path

import joblib
import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils import column_or_1d, gen_batches
from sklearn.utils._param_validation import Interval
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_feature_names_in,
    check_is_fitted,
    check_memory,
    validate_data,
)
from torch import nn
from tqdm import tqdm

from ..images import IMAGE_PARAMETER_CONSTRAINTS, check_images
from ..runtime import DEVICE_CONSTRAINT, draw_seed, isolated, own_modes, own_random_state, resolve_device
from ._constraints import HasMethodsOfInstance
from ._weights import IMAGENET, load_state_dict, read_state_dict

_BLOCK = 256  # images embedded and cached together; data sets that begin with the same images share blocks
_CACHE_VERSION = 1  # to be increased when preprocessing changes, so that old caches are not used


class BaseEmbedder(TransformerMixin, BaseEstimator, metaclass=ABCMeta):
    """Base class of embedders.

    A subclass names the features, builds the network, finds its ImageNet weights and defines their normalisation.
    """

    _n_outputs: int  # number of features
    _prefix: str  # of the names of features
    _head: str  # name of the ImageNet classifier inside the network, which is not used

    _parameter_constraints: dict = {
        **IMAGE_PARAMETER_CONSTRAINTS,
        "weights": [str, os.PathLike, dict, None],
        "input_size": [Interval(Integral, 32, None, closed="left")],
        "normalize": ["boolean"],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "fine_tune_epochs": [Interval(Integral, 0, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "memory": [None, str, HasMethodsOfInstance("cache")],
        "device": DEVICE_CONSTRAINT,
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        weights=IMAGENET,
        input_size=128,
        normalize=True,
        image_shape=None,
        data_format="auto",
        value_range=None,
        batch_size=32,
        fine_tune_epochs=0,
        learning_rate=1e-4,
        memory=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.weights = weights
        self.input_size = input_size
        self.normalize = normalize
        self.image_shape = image_shape
        self.data_format = data_format
        self.value_range = value_range
        self.batch_size = batch_size
        self.fine_tune_epochs = fine_tune_epochs
        self.learning_rate = learning_rate
        self.memory = memory
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @abstractmethod
    def _build_network(self):
        """Return the network, randomly initialised, with an identity in place of its head."""

    @abstractmethod
    def _imagenet_state_dict(self):
        """Return the ImageNet weights."""

    @abstractmethod
    def _mean_and_std(self):
        """Return mean and standard deviation per channel, in [0, 1], of the images the weights were trained on."""

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Load the network and, with `fine_tune_epochs`, fine-tune it on the images.

        Parameters
        ----------
        X : array-like of shape (n, H, W), (n, H, W, C), (n, C, H, W) or (n, H * W * C)
            Images; rows need `image_shape`.
        y : array-like of shape (n,), default=None
            Labels; only used with ``fine_tune_epochs > 0``.

        Returns
        -------
        self : object
            Fitted embedder.

        Raises
        ------
        ValueError
            When `X` does not hold images, when `weights` does not fit the network, or when there is nothing to
            fine-tune on.
        FileNotFoundError
            When `weights` is a path of a file that does not exist.
        OSError
            When the ImageNet weights are not found and cannot be downloaded.
        ImportError
            When the package with the ImageNet weights is not installed.
        FloatingPointError
            When the loss of fine-tuning is no longer finite.
        """
        validate_data(self, X, reset=True, skip_check_array=True, ensure_2d=False)  # only sets the column names
        X, self.image_format_ = check_images(
            X, image_shape=self.image_shape, data_format=self.data_format, value_range=self.value_range
        )
        self.image_shape_ = self.image_format_.image_shape
        self.n_features_in_ = self.image_format_.n_features
        targets = self._check_targets(X, y) if self.fine_tune_epochs else None
        self.device_ = resolve_device(self.device)
        random_state = own_random_state(self.random_state)
        seed = draw_seed(random_state)
        self.history_ = {"loss": [], "accuracy": []}
        with isolated(self.device_, seed):
            network = self._load_network().to(self.device_, memory_format=torch.channels_last)
            if self.fine_tune_epochs:
                self._fine_tune(network, X, targets, random_state)
        self.network_ = network.eval().requires_grad_(False)
        return self

    def transform(self, X):
        """Return the features of images.

        Parameters
        ----------
        X : array-like of shape (n, *image_shape_) or (n, n_features_in_)
            Images in the layout and value range seen at fit.

        Returns
        -------
        features : ndarray of shape (n, 512) or (n, 1280), float32
            The network's last layer before its classifier, averaged over the image, one row per image.

        Raises
        ------
        ValueError
            When the images have another shape than at fit.
        """
        check_is_fitted(self)
        rows = self.image_format_.ravelled and getattr(X, "ndim", None) == 2
        validate_data(self, X, reset=False, skip_check_array=True, ensure_2d=rows)
        X = self.image_format_.check_same(X)
        embed = check_memory(self.memory).cache(_embed_block, ignore=["embedder"])
        key = None if self.memory is None else self._cache_key()
        features = np.empty((len(X), self._n_outputs), dtype=np.float32)
        with tqdm(total=len(X), desc="embedding", unit="image", disable=not self.verbose) as progress:
            for block in gen_batches(len(X), _BLOCK):
                # joblib's key includes the strides, so they must be the same for equal images.
                features[block] = embed(np.ascontiguousarray(X[block]), key, self)
                progress.update(block.stop - block.start)
        return features

    def get_feature_names_out(self, input_features=None):
        """Return the names of the features.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Only checked against the names seen at fit.

        Returns
        -------
        names : ndarray of str objects
            ``resnet18_0``, ... or ``efficientnetlite0_0``, ...
        """
        check_is_fitted(self)
        _check_feature_names_in(self, input_features, generate_names=False)
        return np.array([f"{self._prefix}_{index}" for index in range(self._n_outputs)], dtype=object)

    def save_weights(self, path):
        """Write the weights of the fitted network to a file that `weights` accepts.

        The file is written atomically.

        Parameters
        ----------
        path : str or path-like
            File to write; an existing one is replaced.
        """
        check_is_fitted(self)
        path = Path(path)
        unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        state_dict = {name: value.cpu() for name, value in self.network_.state_dict().items()}
        try:
            torch.save(state_dict, unfinished)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def __getstate__(self):
        # The pickle must not need the device of the network.
        state = {**super().__getstate__()}
        if "network_" in state:
            state["network_"] = deepcopy(self.network_).cpu()
            state["device_"] = torch.device("cpu")
        return state

    def _load_network(self):
        network = self._build_network()
        if self.weights is None:
            return network
        if isinstance(self.weights, dict):
            state_dict = self.weights
        elif self.weights == IMAGENET:
            state_dict = self._imagenet_state_dict()
        else:
            state_dict = read_state_dict(self.weights)
        load_state_dict(network, state_dict, head=self._head)
        return network

    def _prepare(self, X):
        """Return images as input of the network, (n, 3, input_size, input_size), on its device."""
        images = (self.image_format_.to_tensor(X).to(self.device_) + 1) / 2
        images = images[:, :1] if images.shape[1] < 3 else images[:, :3]  # a second or fourth channel is alpha
        if images.shape[2:] != (self.input_size, self.input_size):
            size = (self.input_size, self.input_size)
            images = nn.functional.interpolate(images, size, mode="bilinear", antialias=True)
        if self.normalize:
            mean, std = (
                torch.tensor(values, dtype=torch.float32, device=self.device_).view(1, 3, 1, 1)
                for values in self._mean_and_std()
            )
            images = (images - mean) / std
        return images.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)

    def _cache_key(self):
        """Return everything that the features of given images depend on."""
        state_dict = self.network_.state_dict()
        weights = joblib.hash({name: np.ascontiguousarray(value.cpu().numpy()) for name, value in state_dict.items()})
        name = type(self).__name__
        return _CACHE_VERSION, name, weights, self.input_size, self.normalize, self.image_format_, self.device_.type

    def _check_targets(self, X, y):
        """Return `y` as class indices."""
        if y is None:
            raise ValueError(
                f"y must be given, as fine_tune_epochs={self.fine_tune_epochs} trains the network on labels; got None. "
                "Pass y to fit, or set fine_tune_epochs=0."
            )
        y = column_or_1d(y, warn=True)
        if len(X) != len(y):
            raise ValueError(f"y must hold a label for each image of X; got {len(y)} labels for {len(X)} images.")
        try:
            check_classification_targets(y)
        except ValueError as exc:
            raise ValueError(f"y must hold labels of classes, as fine_tune_epochs trains a classifier: {exc}") from exc
        classes, targets = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                f"y must hold at least 2 classes for fine_tune_epochs={self.fine_tune_epochs}; got 1 class, "
                f"{classes[0]!r}. Pass images of another class too, or set fine_tune_epochs=0."
            )
        return targets

    def _fine_tune(self, network, X, targets, random_state):
        """Train `network` and a linear head, which is discarded afterwards, with cross-entropy."""
        n_classes = int(targets.max()) + 1
        model = nn.Sequential(network, nn.Linear(self._n_outputs, n_classes)).to(self.device_).train()
        model.requires_grad_(True)
        optimizer = torch.optim.Adam(model.parameters(), lr=self.learning_rate)
        targets = torch.from_numpy(targets).to(self.device_)
        total = self.fine_tune_epochs * len(X)
        with tqdm(total=total, desc="fine-tuning", unit="image", disable=not self.verbose) as progress:
            for _ in range(self.fine_tune_epochs):
                loss, accuracy = self._train_epoch(model, optimizer, X, targets, random_state, progress)
                self.history_["loss"].append(loss)
                self.history_["accuracy"].append(accuracy)
                progress.set_postfix(loss=f"{loss:.3f}", accuracy=f"{accuracy:.3f}")
        optimizer.zero_grad()  # frees the memory of the gradients

    def _train_epoch(self, model, optimizer, X, targets, random_state, progress):
        order = random_state.permutation(len(X))
        loss_sum = torch.zeros((), device=self.device_)
        n_right = torch.zeros((), dtype=torch.int64, device=self.device_)
        # Batch normalisation cannot train on a single image.
        for batch in gen_batches(len(X), max(2, self.batch_size), min_batch_size=2):
            indices = order[batch]
            target = targets[indices]
            logits = model(self._prepare(X[indices]))
            loss = nn.functional.cross_entropy(logits, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss_sum += loss.detach() * len(indices)
            n_right += (logits.argmax(1) == target).sum()
            progress.update(len(indices))
        loss = loss_sum.item() / len(X)  # the only synchronisation with the device in an epoch
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"learning_rate must keep the loss of fine-tuning finite; got {self.learning_rate}, which made it "
                f"{loss}. Choose a smaller one."
            )
        return loss, n_right.item() / len(X)


def _embed_block(images, key, embedder):
    """Return the features of `images`; joblib caches them by `images` and `key`."""
    batches = gen_batches(len(images), embedder.batch_size)
    with own_modes(embedder.device_), torch.inference_mode():
        return torch.cat([embedder.network_(embedder._prepare(images[batch])).cpu() for batch in batches]).numpy()
