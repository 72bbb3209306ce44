"""Over-sampling with one class-conditional DCGAN for all classes."""

from ..networks import ConditionalGenerator, ProjectionDiscriminator
from ._dcgan import DCGANOverSampler
from ._docstrings import document


@document
class ConditionalDCGANOverSampler(DCGANOverSampler):
    """Over-sample images with one class-conditional DCGAN for all classes.

    Features that the classes have in common are learned from the images of all classes, so a rare class can benefit
    from a common one. The generator takes a class embedding in addition to the noise [1]_ and has batch normalisation
    for each class; the discriminator is a projection discriminator [2]_. Batches hold images of one class, and the
    classes alternate. Otherwise networks, training and the numbers of images are those of `DCGANOverSampler`.

    Parameters
    ----------
    {sampling_strategy}
    {image_shape}
    {data_format}
    {value_range}
    latent_dim : int, default=100
        Length of the noise vector from which an image is generated, and of the class embedding.
    {base_channels}
    {channels}
    {base_size}
    {generator_norm}
    {discriminator_norm}
    {dropout}
    {loss}
    n_steps : int, default=5000
        Number of updates of the generator, for all classes together; at least one for each class.
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
    callback : callable or None, default=None
        Called every 50 steps and at the end of the training with a :class:`gan_sampler.training.TrainingProgress`,
        whose ``label`` is None and whose ``sample(n, label)`` draws images of one class. If it returns True, training
        stops as if `n_steps` were reached; if it raises, the fit stops and the best snapshot is kept, as after Ctrl-C.
        Otherwise the images do not depend on it, but its time counts for `max_time`. It is copied by scikit-learn's
        `clone`, so it must not hold what cannot be copied, such as an open file. It is not written by `save`.
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
        For each over-sampled class the trained generator with this class as its condition, a `torch.nn.Module` that
        maps noise of shape (n, latent_dim) to images in [-1, 1].
    history_ : dict
        For each over-sampled class a list of dicts, one for every 50 steps, as in `DCGANOverSampler`. The losses and
        ``mean_score``, the mean score of these classes, are the same for all of them; the snapshot with the lowest
        ``mean_score`` is kept. ``score``, ``variance_ratio`` and ``spectral_distance`` are those of the class. All four
        are missing with ``snapshot="last"``.
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
    DCGANOverSampler : One DCGAN for each class.

    Notes
    -----
    With two classes, each gets half of the steps. In one experiment (100 normal and 3,875 other chest X-rays of 32 x 32
    pixels, 100 seconds of one thread, one seed) `DCGANOverSampler` generated better images in the same time: KID .35
    against .77.

    References
    ----------
    .. [1] M. Mirza, S. Osindero, "Conditional Generative Adversarial Nets", 2014. https://arxiv.org/abs/1411.1784
    .. [2] T. Miyato, M. Koyama, "cGANs with Projection Discriminator", ICLR 2018. https://arxiv.org/abs/1802.05637

    Examples
    --------
    >>> import numpy as np
    >>> from gan_sampler import ConditionalDCGANOverSampler
    >>> rng = np.random.default_rng(0)
    >>> X = rng.integers(0, 256, size=(60, 16, 16), dtype=np.uint8)
    >>> y = np.array(["sick"] * 10 + ["well"] * 50)
    >>> X_res, y_res = ConditionalDCGANOverSampler(n_steps=5, random_state=0).fit_resample(X, y)
    >>> X_res.shape, int((y_res == "sick").sum())
    ((100, 16, 16), 50)
    """

    _parameter_constraints: dict = {
        name: constraint for name, constraint in DCGANOverSampler._parameter_constraints.items() if name != "n_jobs"
    }
    _is_conditional = True
    _generator_class, _discriminator_class = ConditionalGenerator, ProjectionDiscriminator

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
            latent_dim=latent_dim,
            base_channels=base_channels,
            channels=channels,
            base_size=base_size,
            generator_norm=generator_norm,
            discriminator_norm=discriminator_norm,
            dropout=dropout,
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
