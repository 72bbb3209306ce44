"""Sizes and lengths of an evaluation: what is trained, and for how long."""

import math
from dataclasses import dataclass, field, replace
from numbers import Integral, Real

import numpy as np
import torch

from gan_sampler.samplers import DCGANOverSampler

MIN_EMBEDDER_SIZE = 112  # pixels; below, features see too little of most images
MAX_EMBEDDER_SIZE = 224  # what ImageNet's networks were trained at
MAX_SIZE_ON_CPU = 64  # pixels that images are read at by default
MAX_SIZE_ON_GPU = 128
MAX_TIME_ON_CPU = 600.0  # seconds of training of each sampler


@dataclass(frozen=True)
class Settings:
    """The numbers of one evaluation.

    Parameters
    ----------
    dcgan : dict
        Parameters of the GAN samplers, beside those that their names decide.
    deep_smote, cyclegan : dict
        Parameters of `DeepSMOTE` and `CycleGANOverSampler`.
    gan_epochs : int or None
        Length of the GAN's training in passes over the rarest class. None leaves `n_steps` in `dcgan` to say it.
    ann_epochs, cnn_epochs, densenet121_epochs : int
        Passes over the training images when all classes are as large as the largest.
    equal_length : bool
        Whether networks see as many images in training whatever the sampler. False trains for equally many epochs, so
        that more images make more steps.
    embedder_size : int
        Height and width that the embedders look at, in pixels.
    scratch_epochs : int
        Training of ResNet18 where it is asked for without ImageNet weights.
    imagenet_epochs : int
        Fine-tuning of ResNet18 that starts from ImageNet weights. 0 leaves it frozen.
    trees : int
        Size of the random forest.
    """

    dcgan: dict = field(hash=False, default_factory=dict)
    deep_smote: dict = field(hash=False, default_factory=dict)
    cyclegan: dict = field(hash=False, default_factory=dict)
    gan_epochs: int | None = None
    ann_epochs: int = 20
    cnn_epochs: int = 20
    densenet121_epochs: int = 20
    equal_length: bool = True
    embedder_size: int = 128
    scratch_epochs: int = 10
    imagenet_epochs: int = 0
    trees: int = 100

    def dcgan_parameters(self, n_images):
        """Parameters of a GAN sampler for a rarest class of `n_images` training images."""
        if self.gan_epochs is None:
            return dict(self.dcgan)
        batch_size = self.dcgan.get("batch_size", DCGANOverSampler().batch_size)
        steps_per_epoch = math.ceil(n_images / batch_size)
        return {**self.dcgan, "n_steps": self.gan_epochs * steps_per_epoch}

    def with_limits(self, n_steps=None, max_time=None):
        """Return settings whose samplers train for `n_steps` steps and at most `max_time` seconds; None: no change.

        DeepSMOTE is an autoencoder that knows no limit of time.
        """
        if n_steps is not None and (isinstance(n_steps, bool) or not isinstance(n_steps, Integral) or n_steps < 1):
            raise ValueError(f"n_steps must be an integer of at least 1; got {n_steps!r}.")
        if max_time is not None and not (isinstance(max_time, Real) and max_time > 0):
            raise ValueError(f"max_time must be a number of seconds above 0; got {max_time!r}.")
        limits = {name: value for name, value in (("n_steps", n_steps), ("max_time", max_time)) if value is not None}
        if not limits:
            return self
        of_deep_smote = {name: value for name, value in limits.items() if name == "n_steps"}
        return replace(
            self,
            dcgan={**self.dcgan, **limits},
            cyclegan={**self.cyclegan, **limits},
            deep_smote={**self.deep_smote, **of_deep_smote},
            gan_epochs=self.gan_epochs if n_steps is None else None,
        )

    def used(self, names):
        """Return the settings that matter to some samplers, classifiers and embedders, by name, as text.

        Parameters
        ----------
        names : container of str
            Names, without ``+threshold``.

        Returns
        -------
        settings : dict of str to str
            "default" where nothing is set.
        """
        users = {
            "dcgan": ("dcgan", "dcgan_every_class", "conditional"),
            "gan_epochs": ("dcgan", "dcgan_every_class", "conditional"),
            "deep_smote": ("deep_smote",),
            "cyclegan": ("cyclegan",),
            "ann_epochs": ("ann",),
            "cnn_epochs": ("cnn",),
            "densenet121_epochs": ("densenet121",),
            "equal_length": ("ann", "cnn", "densenet121"),
            "embedder_size": ("resnet18", "resnet18_finetuned", "efficientnet_lite0"),
            "scratch_epochs": ("resnet18_finetuned",),
            "imagenet_epochs": ("resnet18",),
            "trees": ("forest",),
        }
        return {
            setting: "default" if getattr(self, setting) in (None, {}) else str(getattr(self, setting))
            for setting, of in users.items()
            if any(name in names for name in of)
        }


def default_settings(image_shape, device):
    """Return settings for images of any size.

    Parameters
    ----------
    image_shape : tuple of int
        Shape of one image, in any order of its axes.
    device : torch.device
        Where networks train.

    Returns
    -------
    settings : Settings
        The samplers' own defaults; on the CPU each GAN trains for at most ten minutes. The embedder looks at 112 to 224
        pixels: what it sees of smaller images hardly tells classes apart.
    """
    side = max(size for size in image_shape if size > 4)  # an axis of at most 4 is that of channels
    limits = {"max_time": MAX_TIME_ON_CPU} if device.type == "cpu" else {}
    return Settings(
        dcgan=limits,
        cyclegan=limits,
        deep_smote={"base_channels": 32, "n_steps": 500},
        embedder_size=int(np.clip(side, MIN_EMBEDDER_SIZE, MAX_EMBEDDER_SIZE)),
    )


def default_image_size(device):
    """Return the height and width, in pixels, that larger images of a folder are read at on a device."""
    return MAX_SIZE_ON_CPU if torch.device(device).type == "cpu" else MAX_SIZE_ON_GPU


def default_choice(n_classes, device):
    """Return names of samplers and classifiers that answer the question in reasonable time.

    Returns
    -------
    samplers, classifiers : list of str
    """
    samplers = ["none", "class_weight", "threshold", "random", "smote", "augmentation", "dcgan", "dcgan_every_class"]
    if n_classes > 2:
        samplers.remove("threshold")
    classifiers = ["forest", "svm", "logistic", "cnn"]
    return samplers, classifiers if device.type == "cpu" else [*classifiers, "densenet121"]
