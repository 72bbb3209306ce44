"""DCGAN behind `fit_resample`."""

from numbers import Integral, Real

from sklearn.utils._param_validation import Interval, StrOptions

from ..networks import Discriminator, Generator
from ..training import augment_mildly
from ._gan import BaseGANOverSampler

# Images below which augmentation="auto" changes them: 150 of 32 x 32 pixels, and with the square of the area, 2,400 of
# 64 x 64. It separates the classes that gained from those that lost, in docs/training.md; a rule of thumb.
_SMALL_CLASS, _SMALL_CLASS_PIXELS = 150, 32 * 32


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
    loss : {"non_saturating", "hinge", "least_squares"} or gan_sampler.training.Loss, default="non_saturating"
        What the networks minimise.
    n_steps : int, default=5000
        Number of updates of the generator. Steps, not epochs: a hundred epochs of forty images are just two hundred
        updates, and nothing is learnt in them.
    max_time : float or None, default=None
        Seconds of training after which it ends, with a warning, even if steps are left: of all classes together, which
        share them evenly. With `pretrain` half of them are for that. Starting processes, drawing, herding and measuring
        come on top.
    n_iter_no_change : int or None, default=None
        Early stopping: training of a class ends when its score has not got better in so many reports, one every 50
        steps. None trains for all steps; the best snapshot is kept either way.
    batch_size : int, default=16
        Images of either kind in one update; all images of the class where it has fewer.
    learning_rate : float, default=1e-3
        Learning rate of Adam for both networks.
    beta_1 : float, default=0.5
        Adam's decay of the first moment.
    ema_decay : float, default=0.999
        Decay of the moving average of the generator's weights that images are drawn from [3]_; 0 does not average.
    augmentation : {"auto", "mild"} or None, default="auto"
        Change of every image, real or generated, before the discriminator sees it [4]_: "mild" shifts it by up to an
        eighth and changes contrast and brightness a little. It keeps the discriminator from memorising a small
        class, and costs a large class of small images quality; "auto" is "mild" for classes of fewer than 150 images
        of 32 x 32 pixels, or 2,400 of 64 x 64. Images drawn do not show it.
    pretrain : "all" or None, default=None
        "all" learns on the images of every class first, for `n_steps` more, so that a rare class starts from networks
        that know what the images have in common. Needs the device memory for all images.
    checkpoint_dir : path-like or None, default=None
        Folder to which the state of each class's training is written about every 20 seconds, at the end and on Ctrl-C.
        A fit that was interrupted in any way goes on from there when it is run again with the same data, parameters
        and seed, and on the CPU gives the same images as if it had not been; other data or parameters are refused. More
        `n_steps` continue a finished training. Use another folder for each fit, so not within a cross-validation, and
        an int for `random_state`, since a RandomState has moved on when the fit is run again. With `n_jobs` Ctrl-C ends
        the other processes at once, as a kill does.
    n_jobs : int or None, default=None
        Number of classes trained at the same time, through joblib: None is 1, -1 all processors, unless a
        :class:`joblib.parallel_config` context says otherwise, also on other machines. Images do not depend on it. On
        the CPU each training takes as many threads as the caller's torch.
    synthetic_classes : {"resampled", "all"}, default="resampled"
        Which classes get synthetic images. "resampled": those that `sampling_strategy` brings up, to the number that it
        asks for. "all": every class; `sampling_strategy` is met by repeating real images, and each class gets equally
        many synthetic ones on top, so that "looks generated" says nothing about the class.
    synthetic_ratio : float, default=0.25
        With "all", the number of synthetic images of each class, as a share of the largest class's number in `y`. How
        the default was chosen is told in docs/should_you_oversample.md.
    herding : bool or transformer, default=False
        Whether to draw four times as many images as needed and to keep those that together are most like the real
        ones, in the features of `EfficientNetLite0Embedder` (True) or of the transformer given: kernel herding [5]_,
        which takes neither implausible images nor more of a kind than there are among the real ones. Costs the
        embedding of all images drawn. `sample` draws without it.
    quality : bool or transformer, default=False
        Whether to measure the images made for each class with :func:`gan_sampler.quality_report`, into `quality_`; with
        `EfficientNetLite0Embedder` (True) or the transformer given. Costs about a minute for each class.
    on_poor_quality : {"warn", "raise", "repeat"}, default="warn"
        What to do when the images of a class cannot be used, because they are noise or all alike, as a cheap comparison
        with the real ones at every fit finds out, or the report that `quality` asks for. "warn" makes them with a
        :class:`QualityWarning`; "raise" raises a :class:`PoorQualityError`, where what was learnt is kept for a look
        with `sample`; "repeat" warns, and repeats real images of the class in their place, so that with
        ``synthetic_classes="all"`` this class has no synthetic images while the others have.
    device : str, torch.device or list of these, default="auto"
        Where to train: "auto" takes the first CUDA device, else the CPU; or a word of torch's, such as "cuda:1". The
        classes take turns on the devices of a list; `n_jobs` trains them at the same time.
    random_state : int, RandomState instance or None, default=None
        Seed; the same one gives the same images on one machine. The caller's NumPy and torch random state is left
        alone.
    verbose : int, default=0
        Whether to show a bar with losses, rate and time left for each class.

    Attributes
    ----------
    sampling_strategy_ : dict
        Number of images that each class lacked: made, or with `synthetic_classes="all"` repeated.
    synthetic_mask_ : ndarray of shape (n_resampled,), bool
        True for rows of the output that were drawn by a generator.
    generators_ : dict
        The trained generator of each over-sampled class, a `torch.nn.Module` from noise of shape (n, latent_dim) to
        images in [-1, 1].
    history_ : dict
        For each over-sampled class, a list with a dict for every 50 steps: ``step``, ``seconds``, the mean losses
        ``loss_discriminator`` and ``loss_generator``, and of the images that the averaged generator then drew ``score``
        (a Fréchet distance to the real images over that of real images among themselves, the lower the better, which
        chooses the snapshot that is kept; about 1 is as good as real, above 10 warns), ``variance_ratio`` (their
        variance over that of the real images; about 1 is good, below .2 warns) and ``spectral_distance`` (how far their
        power spectrum is from that of the real images; 0 is as good as real, above .7, speckle or blur, warns).
    quality_ : dict
        Where `quality` was asked for, the :class:`gan_sampler.QualityReport` of each class, or None with a warning
        where it cannot be measured, as with fewer than 10 images.
    image_shape_ : tuple of int
        Shape of one image as stored.
    n_features_in_ : int
        Number of values that one image stores.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where `X` was a DataFrame with string names.
    device_ : torch.device
        Where images are drawn; the first one of a list.

    See Also
    --------
    AugmentationOverSampler : Over-sample by small classical changes to images.
    PixelSampler : SMOTE and its kin on pixels.

    Warns
    -----
    CollapseWarning
        When the images drawn for a class are much more alike than the real ones.
    QualityWarning
        When they are too far from the real ones to be used, or could not be measured.
    ConvergenceWarning
        When `max_time` cut training off.

    Raises
    ------
    PoorQualityError
        With ``on_poor_quality="raise"``, when the images of a class cannot be used.
    KeyboardInterrupt
        At Ctrl-C. The best snapshots so far are in `generators_`, and `sample` draws from them.
    FloatingPointError
        When training diverges, and going back to the last good state with half the learning rate, three times over,
        does not help.

    Notes
    -----
    Where the discriminator has no batch normalisation, one pass of the generated images through it serves both
    networks, which saves a quarter of the computation. On CUDA training runs in mixed precision with bfloat16. How the
    defaults were chosen, and what was tried and lost, is told in docs/training.md.

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
    .. [4] S. Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", NeurIPS 2020.
       https://arxiv.org/abs/2006.10738
    .. [5] Y. Chen, M. Welling, A. Smola, "Super-Samples from Kernel Herding", UAI 2010.
       https://arxiv.org/abs/1203.3472

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
        "augmentation": [StrOptions({"auto", "mild"}), None],
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
        loss="non_saturating",
        n_steps=5000,
        max_time=None,
        n_iter_no_change=None,
        batch_size=16,
        learning_rate=1e-3,
        beta_1=0.5,
        ema_decay=0.999,
        augmentation="auto",
        pretrain=None,
        checkpoint_dir=None,
        n_jobs=None,
        synthetic_classes="resampled",
        synthetic_ratio=0.25,
        herding=False,
        quality=False,
        on_poor_quality="warn",
        device="auto",
        random_state=None,
        verbose=0,
    ):
        super().__init__(
            sampling_strategy=sampling_strategy,
            image_shape=image_shape,
            data_format=data_format,
            value_range=value_range,
            loss=loss,
            n_steps=n_steps,
            max_time=max_time,
            n_iter_no_change=n_iter_no_change,
            batch_size=batch_size,
            learning_rate=learning_rate,
            beta_1=beta_1,
            ema_decay=ema_decay,
            pretrain=pretrain,
            checkpoint_dir=checkpoint_dir,
            n_jobs=n_jobs,
            synthetic_classes=synthetic_classes,
            synthetic_ratio=synthetic_ratio,
            herding=herding,
            quality=quality,
            on_poor_quality=on_poor_quality,
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
        self.augmentation = augmentation

    def _networks(self, image_shape, n_classes):
        of_generator, of_discriminator = self._network_parameters()
        return Generator(image_shape, **of_generator), Discriminator(image_shape, **of_discriminator)

    def _network_parameters(self):
        shared = {"base_channels": self.width, "channels": self.channels}
        of_generator = {"latent_dim": self.latent_dim, "base_size": self.base_size, "norm": self.generator_norm}
        of_discriminator = {"norm": self.discriminator_norm, "dropout": self.dropout}
        return shared | of_generator, shared | of_discriminator

    def _train(self, networks, images, **options):
        few = _SMALL_CLASS * (images.shape[2] * images.shape[3] / _SMALL_CLASS_PIXELS) ** 2
        classes = options["classes"]
        n_images = len(images) if classes is None else classes.bincount().min()  # of the rarest class
        is_mild = self.augmentation == "mild" or (self.augmentation == "auto" and n_images < few)
        return super()._train(networks, images, augment=augment_mildly if is_mild else None, **options)
