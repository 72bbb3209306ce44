"""Over-sampling with a GAN of networks and a loss that the user brings."""

from functools import partial

from ..networks import ConditionalGenerator, Discriminator, Generator, ProjectionDiscriminator
from ._base_gan import BaseGANOverSampler
from ._docstrings import document
from ._factories import check_factory


@document
class GANOverSampler(BaseGANOverSampler):
    """Over-sample images with a generative adversarial network of your own.

    For each class that has too few images, a generator and a discriminator are made and trained [1]_, and images are
    drawn. Networks and loss are parameters; training, checkpoints, files, processes, the numbers of images and
    everything else are those of `DCGANOverSampler`, which is this class with networks of its own.

    Parameters
    ----------
    {sampling_strategy}
    {image_shape}
    {data_format}
    {value_range}
    generator : callable or None, default=None
        Makes the generator: a class of `torch.nn.Module` or a function, called with the shape of an image in torch's
        order, ``(channels, height, width)``, and with `conditional` also with the number of classes. What it returns
        maps noise of shape (n, latent_dim) to images in [-1, 1], and has an attribute ``latent_dim``. A network that is
        made already is refused, because each class and each fit needs one of its own. None is
        :class:`gan_sampler.networks.Generator`, or with `conditional`
        :class:`gan_sampler.networks.ConditionalGenerator`.
    discriminator : callable or None, default=None
        Makes the discriminator, and is called in the same way. What it returns maps images in [-1, 1] to logits, of
        shape (n,) or with further axes, such as (n, 1, h, w) for patches. Parts whose parameters require no gradient,
        such as a pretrained network, stay as they are and in eval mode, and are not copied into checkpoints. None is
        :class:`gan_sampler.networks.Discriminator`, or with `conditional`
        :class:`gan_sampler.networks.ProjectionDiscriminator`.
    conditional : bool, default=False
        Whether one pair of networks learns all classes. Both are then called with the index of a class as second
        argument, an int, in batches of one class; the generator has a method ``of_class(index)``, which returns a
        network from noise to images of this class. `n_jobs` is then not used, and `callback` is called as by
        `ConditionalDCGANOverSampler`.
    {loss}
    n_steps : int, default=5000
        Number of updates of the generator, for each class; with `conditional` for all classes together.
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
    **factory_parameters
        Parameters of `generator`, `discriminator` and a `loss` that is a function, by their names with a prefix, as in
        skorch: ``generator__latent_dim=64`` calls the generator with ``latent_dim=64``. They can be searched in a grid.

    Attributes
    ----------
    {sampling_strategy_}
    {synthetic_mask_}
    {class_counts_}
    generators_ : dict
        The trained generator of each over-sampled class, a `torch.nn.Module` that maps noise of shape (n, latent_dim)
        to images in [-1, 1].
    history_ : dict
        For each over-sampled class a list of dicts, one for every 50 steps, as in `DCGANOverSampler`; with
        `conditional` as in `ConditionalDCGANOverSampler`.
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
    DCGANOverSampler : A GAN of convolutions, for each class.
    ConditionalDCGANOverSampler : One class-conditional DCGAN for all classes.

    Notes
    -----
    Where the logit of an image depends on no other image, and `loss` allows it, both networks are updated from one pass
    of the generated images through the discriminator. This is found out by a trial, not declared.

    Functions and classes that are defined in a notebook or a script, lambdas included, work with `n_jobs`; with pickle
    they have to be importable. Files that `save` writes hold the weights of the generators, but no code: pass the
    generator to `load`, as ``GANOverSampler.load(path, generator=MyGenerator)``. It is then made on torch's meta device
    first, so all its tensors must be in its ``state_dict``; with `conditional` it is made for one class, so the tensors
    of what ``of_class`` returns must not depend on the number of classes.

    References
    ----------
    .. [1] I. Goodfellow et al., "Generative Adversarial Nets", NeurIPS 2014. https://arxiv.org/abs/1406.2661

    Examples
    --------
    >>> import math
    >>> import numpy as np
    >>> from torch import nn
    >>> from gan_sampler import GANOverSampler
    >>> class DenseGenerator(nn.Sequential):
    ...     def __init__(self, image_shape, latent_dim=8):
    ...         super().__init__(nn.Linear(latent_dim, math.prod(image_shape)), nn.Tanh(), nn.Unflatten(1, image_shape))
    ...         self.latent_dim = latent_dim
    >>> def make_discriminator(image_shape):
    ...     return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(image_shape), 1), nn.Flatten(0))
    >>> rng = np.random.default_rng(0)
    >>> X = rng.integers(0, 256, size=(60, 16, 16), dtype=np.uint8)
    >>> y = np.array(["sick"] * 10 + ["well"] * 50)
    >>> sampler = GANOverSampler(
    ...     generator=DenseGenerator,
    ...     generator__latent_dim=4,
    ...     discriminator=make_discriminator,
    ...     n_steps=5,
    ...     random_state=0,
    ... )
    >>> X_res, y_res = sampler.fit_resample(X, y)
    >>> X_res.shape, sampler.generators_["sick"].latent_dim
    ((100, 16, 16), 4)
    """

    _parameter_constraints: dict = {
        **BaseGANOverSampler._parameter_constraints,
        "generator": [callable, None],
        "discriminator": [callable, None],
        "conditional": ["boolean"],
    }

    _factory_names = ("generator", "discriminator", "loss")

    def __init__(
        self,
        *,
        sampling_strategy="auto",
        image_shape=None,
        data_format="auto",
        value_range=None,
        generator=None,
        discriminator=None,
        conditional=False,
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
        **factory_parameters,
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
        self.generator = generator
        self.discriminator = discriminator
        self.conditional = conditional
        self._set_factory_parameters(factory_parameters)

    @property
    def _is_conditional(self):
        return self.conditional

    def _chosen_factories(self):
        defaults = (ConditionalGenerator, ProjectionDiscriminator) if self.conditional else (Generator, Discriminator)
        chosen = zip((self.generator, self.discriminator), defaults, strict=True)
        generator, discriminator = (default if factory is None else factory for factory, default in chosen)
        return {"generator": generator, "discriminator": discriminator}

    def _factories(self):
        return {name: partial(made, **self._parameters_of(name)) for name, made in self._chosen_factories().items()}

    def _validate_params(self):
        super()._validate_params()
        given = ("image_shape", "n_classes") if self.conditional else ("image_shape",)
        for name, factory in self._chosen_factories().items():
            check_factory(name, factory, self._parameters_of(name), given)
