"""ResNet18 as an embedder."""

import http.client
import os
import pickle
from urllib.parse import urlparse

import torch
from torch import nn

from ._base import BaseEmbedder
from ._weights import IMAGENET, first_line


class ResNet18Embedder(BaseEmbedder):
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
                f"weights={IMAGENET!r} could not be loaded: {first_line(exc)}. They are expected in the file "
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

        return ResNet18_Weights[IMAGENET]
