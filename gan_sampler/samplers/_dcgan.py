"""Over-sampling with DCGAN."""

from functools import partial
from numbers import Integral, Real

from sklearn.utils._param_validation import Interval, StrOptions

from ..networks import Discriminator, Generator
from ._base_gan import BaseGANOverSampler
from ._docstrings import document


@document
class DCGANOverSampler(BaseGANOverSampler):
    """Over-sample images with a deep convolutional generative adversarial network.

    For each class that has too few images, a DCGAN [1]_ is trained on its images. As many images are added as
    `sampling_strategy` asks for: three quarters of them, or what `repeated_share` says, are repeated real images, half
    of these with a small change (`augmented_share`), and the others are generated. The output holds the real images
    first, unchanged, then the repeated and then the synthetic ones, in the same layout, dtype and value range.

    Parameters
    ----------
    {sampling_strategy}
    {image_shape}
    {data_format}
    {value_range}
    {latent_dim}
    {base_channels}
    {channels}
    {base_size}
    {generator_norm}
    {discriminator_norm}
    {dropout}
    {loss}
    n_steps : int, default=5000
        Number of updates of the generator, for each class. Steps and not epochs, because an epoch of a small class is
        few updates: 100 epochs of 40 images in batches of 20 are 200 updates, too few to learn anything.
    {max_time}
    {n_iter_no_change}
    {batch_size}
    {learning_rate}
    {beta_1}
    {ema_decay}
    {precision}
    {snapshot}
    {collapse_grey}
    {augmentation}
    {checkpoint_dir}
    {n_jobs}
    {callback}
    {repeated_share}
    {augmented_share}
    {synthetic_classes}
    {synthetic_ratio}
    {herding}
    {quality}
    {on_poor_quality}
    {device_or_devices}
    {random_state}
    {verbose}

    Attributes
    ----------
    {sampling_strategy_}
    {synthetic_mask_}
    {class_counts_}
    generators_ : dict
        The trained generator of each over-sampled class, a `torch.nn.Module` that maps noise of shape (n, latent_dim)
        to images in [-1, 1].
    history_ : dict
        For each over-sampled class a list of dicts, one for every 50 steps, with the keys

        - ``step`` and ``seconds``: steps and seconds of training so far;
        - ``loss_discriminator`` and ``loss_generator``: mean losses since the previous report;
        - ``score``: Fréchet distance between images of the averaged generator and real images, divided by that between
          real images. The lower the better: about 1 for real images, and a warning above 10. The snapshot with the
          lowest score is kept;
        - ``variance_ratio``: variance of these images, divided by that of real images. About 1 is good; below 0.2
          warns;
        - ``spectral_distance``: distance between their power spectrum and that of real images. 0 is best; above 0.7,
          because of noise or blur, warns.

        The last three are missing with ``snapshot="last"``.
    {quality_}
    {image_shape_}
    {n_features_in_}
    {feature_names_in_}
    {device_}

    Raises
    ------
    PoorQualityError
        With ``on_poor_quality="raise"``, when the images of a class cannot be used.
    FloatingPointError
        When training diverges, even after it was set back three times to the last valid state, with half the learning
        rate each time.
    KeyboardInterrupt
        On Ctrl-C. The best snapshots so far are in `generators_`, and `sample` draws from them.

    Warns
    -----
    CollapseWarning
        When the images generated for a class vary much less than the real ones.
    QualityWarning
        When the images generated for a class are too far from the real ones to be used, or could not be measured.
    ConvergenceWarning
        When `max_time` ended training early.

    See Also
    --------
    GANOverSampler : The same with networks of your own.
    ConditionalDCGANOverSampler : One class-conditional DCGAN for all classes.
    AugmentationOverSampler : Over-sample by small random transformations of real images.
    PixelSampler : SMOTE and other imbalanced-learn samplers on pixels.

    Notes
    -----
    Where the discriminator has no batch normalisation, both networks are updated from one pass of the generated images
    through it, which saves a quarter of the computation. The documentation page "How it trains" has the experiments
    behind the defaults.

    With ``synthetic_classes="resampled"`` only over-sampled classes have synthetic images, so a classifier can learn
    the artefacts of synthetic images as a feature of these classes. Compare with ``PixelSampler(RandomOverSampler())``
    and class weights before relying on an improvement. A generator trained on few images may repeat them; synthetic
    images do not anonymise patients.

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
    ((100, 16, 16), dtype('uint8'), 10)
    >>> sampler.sample(3, "sick").shape
    (3, 16, 16)
    """

    _parameter_constraints: dict = {
        **BaseGANOverSampler._parameter_constraints,
        "latent_dim": [Interval(Integral, 1, None, closed="left")],
        "base_channels": [Interval(Integral, 1, None, closed="left")],
        "channels": [StrOptions({"pyramid", "flat"})],
        "base_size": [Interval(Integral, 1, None, closed="left")],
        "generator_norm": [StrOptions({"batch", "spectral"}), None],
        "discriminator_norm": [StrOptions({"batch", "spectral"}), None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
    }

    _generator_class, _discriminator_class = Generator, Discriminator

    def __init__(
        self,
        *,
        sampling_strategy="auto",
        image_shape=None,
        data_format="auto",
        value_range=None,
        latent_dim=100,
        base_channels=32,
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
        precision="auto",
        snapshot="best",
        collapse_grey=True,
        augmentation="auto",
        checkpoint_dir=None,
        n_jobs=None,
        callback=None,
        repeated_share=0.75,
        augmented_share=0.5,
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
            precision=precision,
            snapshot=snapshot,
            collapse_grey=collapse_grey,
            augmentation=augmentation,
            checkpoint_dir=checkpoint_dir,
            n_jobs=n_jobs,
            callback=callback,
            repeated_share=repeated_share,
            augmented_share=augmented_share,
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
        self.base_channels = base_channels
        self.channels = channels
        self.base_size = base_size
        self.generator_norm = generator_norm
        self.discriminator_norm = discriminator_norm
        self.dropout = dropout

    def _factories(self):
        shared = {"base_channels": self.base_channels, "channels": self.channels}
        of_generator = {"latent_dim": self.latent_dim, "base_size": self.base_size, "norm": self.generator_norm}
        of_discriminator = {"norm": self.discriminator_norm, "dropout": self.dropout}
        return {
            "generator": partial(self._generator_class, **shared, **of_generator),
            "discriminator": partial(self._discriminator_class, **shared, **of_discriminator),
        }
