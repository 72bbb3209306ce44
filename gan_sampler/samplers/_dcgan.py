"""DCGAN behind `fit_resample`."""

from numbers import Integral, Real

from sklearn.utils._param_validation import Interval, StrOptions

from ..networks import Discriminator, Generator
from ..training import train_gan
from ._base import BaseGANOverSampler


class DCGANOverSampler(BaseGANOverSampler):
    """Over-sample images with a deep convolutional generative adversarial network.

    For each class that has too few images, a DCGAN [1]_ learns to draw images like the real ones, and draws as many
    as `sampling_strategy` asks for. Real images come first in the output and are untouched; synthetic ones follow,
    in the same layout, dtype and value range.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable, default="auto"
        How many images each class shall have, as in imbalanced-learn's over-samplers:

        - ``float``: the wanted ratio of the minority class to the majority class (two classes only);
        - ``"minority"``, ``"not minority"``, ``"not majority"``, ``"all"``: classes to bring up to the largest;
          ``"auto"`` is ``"not majority"``;
        - ``dict``: wanted number of images by class; ``callable``: takes `y`, returns such a dict.
    image_shape : tuple of int, "row" or None, default=None
        Shape ``(H, W)`` or ``(H, W, C)`` of one image; needed only where `X` holds rows. ``"row"`` reads a row as a
        ``1 x n_features`` image.
    data_format : {"auto", "channels_first", "channels_last"}, default="auto"
        Where the channels of 4-D input stand. Rows were ravelled from channels-last images unless
        ``"channels_first"`` is given.
    value_range : tuple of (float, float) or None, default=None
        Smallest and largest value an image can have. None stands for 0..255 for uint8, and for what is found in
        `X` for every other dtype.
    latent_dim : int, default=100
        Length of the noise vector that an image is drawn from.
    width : int, default=32
        Channels of both networks at the highest resolution. Images get better and training slower with more.
    channels : {"pyramid", "flat"}, default="pyramid"
        Whether channels double as the resolution halves, up to ``8 * width``, or stay at `width`.
    base_size : int, default=4
        Shorter side of the map that the generator projects its noise to, in pixels. The number of doublings follows
        from it and from the size of the images.
    generator_norm : {"batch", "spectral"} or None, default="batch"
        Normalisation in the generator.
    discriminator_norm : {"batch", "spectral"} or None, default=None
        Normalisation in the discriminator; spectral as in [2]_.
    dropout : float, default=0.0
        Probability of dropping a feature before the discriminator's last layer, in [0, 1).
    n_steps : int, default=3000
        Number of updates of the generator. Steps, not epochs: a hundred epochs of forty images are just two hundred
        updates, and nothing is learnt in them.
    max_time : float or None, default=None
        Seconds of training, for each class, after which it ends even if steps are left.
    batch_size : int, default=32
        Images of either kind in one update; all images of the class where it has fewer.
    learning_rate : float, default=2e-4
        Step size of Adam for both networks.
    beta_1 : float, default=0.5
        Adam's decay of the first moment.
    ema_decay : float, default=0.999
        Decay of the moving average of the generator's weights that images are drawn from [3]_; 0 takes the last.
    device : str or torch.device, default="auto"
        Where to train: "auto" takes the first CUDA device, else the CPU; or a word of torch's, such as "cuda:1".
    random_state : int, RandomState instance or None, default=None
        Seed; the same one gives the same images on one machine. The caller's NumPy and torch random state is left
        alone.
    verbose : int, default=0
        Whether to show a bar with losses, rate and time left for each class.

    Attributes
    ----------
    sampling_strategy_ : dict
        Number of images to make, by class.
    synthetic_mask_ : ndarray of shape (n_resampled,), bool
        True for rows of the output that were drawn by a generator.
    generators_ : dict
        The trained generator of each over-sampled class, a `torch.nn.Module` from noise of shape (n, latent_dim) to
        images in [-1, 1].
    history_ : dict
        For each over-sampled class, a list of dicts with ``step``, ``seconds``, ``loss_discriminator`` and
        ``loss_generator``.
    image_shape_ : tuple of int
        Shape of one image as stored.
    n_features_in_ : int
        Number of values that one image stores.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where `X` was a DataFrame with string names.
    device_ : torch.device
        Where training ran.

    See Also
    --------
    AugmentationOverSampler : Over-sample by small classical changes to images.
    PixelSampler : SMOTE and its kin on pixels.

    Notes
    -----
    Only the classes to be over-sampled are learnt, so a classifier can come to take "looks generated" for the class:
    compare with ``PixelSampler(RandomOverSampler())`` and class weights before trusting a gain. A generator trained
    on few images may repeat them; synthetic images are no anonymisation.

    References
    ----------
    .. [1] A. Radford, L. Metz, S. Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative
       Adversarial Networks", ICLR 2016. https://arxiv.org/abs/1511.06434
    .. [2] T. Miyato et al., "Spectral Normalization for Generative Adversarial Networks", ICLR 2018.
       https://arxiv.org/abs/1802.05957
    .. [3] Y. Yazici et al., "The Unusual Effectiveness of Averaging in GAN Training", ICLR 2019.
       https://arxiv.org/abs/1806.04498

    Examples
    --------
    >>> import numpy as np
    >>> from gan_sampler import DCGANOverSampler
    >>> rng = np.random.default_rng(0)
    >>> X = rng.integers(0, 256, size=(60, 16, 16), dtype=np.uint8)
    >>> y = np.array(["sick"] * 10 + ["well"] * 50)
    >>> sampler = DCGANOverSampler(n_steps=5, random_state=0)
    >>> X_res, y_res = sampler.fit_resample(X, y)
    >>> X_res.shape, X_res.dtype, int(sampler.synthetic_mask_.sum())
    ((100, 16, 16), dtype('uint8'), 40)
    >>> sampler.sample(3, "sick").shape
    (3, 16, 16)
    """

    _parameter_constraints: dict = {
        **BaseGANOverSampler._parameter_constraints,
        "latent_dim": [Interval(Integral, 1, None, closed="left")],
        "width": [Interval(Integral, 1, None, closed="left")],
        "channels": [StrOptions({"pyramid", "flat"})],
        "base_size": [Interval(Integral, 1, None, closed="left")],
        "generator_norm": [StrOptions({"batch", "spectral"}), None],
        "discriminator_norm": [StrOptions({"batch", "spectral"}), None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "ema_decay": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        *,
        sampling_strategy="auto",
        image_shape=None,
        data_format="auto",
        value_range=None,
        latent_dim=100,
        width=32,
        channels="pyramid",
        base_size=4,
        generator_norm="batch",
        discriminator_norm=None,
        dropout=0.0,
        n_steps=3000,
        max_time=None,
        batch_size=32,
        learning_rate=2e-4,
        beta_1=0.5,
        ema_decay=0.999,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        super().__init__(
            sampling_strategy=sampling_strategy,
            image_shape=image_shape,
            data_format=data_format,
            value_range=value_range,
            device=device,
            random_state=random_state,
            verbose=verbose,
        )
        self.latent_dim = latent_dim
        self.width = width
        self.channels = channels
        self.base_size = base_size
        self.generator_norm = generator_norm
        self.discriminator_norm = discriminator_norm
        self.dropout = dropout
        self.n_steps = n_steps
        self.max_time = max_time
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.ema_decay = ema_decay

    def _train(self, images, report):
        generator = Generator(
            images.shape[1:],
            latent_dim=self.latent_dim,
            width=self.width,
            channels=self.channels,
            base_size=self.base_size,
            norm=self.generator_norm,
        )
        discriminator = Discriminator(
            images.shape[1:],
            width=self.width,
            channels=self.channels,
            norm=self.discriminator_norm,
            dropout=self.dropout,
        )
        return train_gan(
            generator.to(self.device_),
            discriminator.to(self.device_),
            images,
            n_steps=self.n_steps,
            max_time=self.max_time,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            beta_1=self.beta_1,
            ema_decay=self.ema_decay,
            report=report,
        )
