"""Sizes and lengths of training of an evaluation."""

import math
from dataclasses import dataclass, field, replace
from numbers import Integral, Real

import numpy as np
import torch

MIN_EMBEDDER_SIZE = 112  # pixels; with smaller inputs, features separate classes poorly
MAX_EMBEDDER_SIZE = 224  # pixels; the size at which ImageNet networks were trained
MAX_SIZE_ON_CPU = 64  # pixels; default size of images of a folder
MAX_SIZE_ON_GPU = 128
MAX_TIME_ON_CPU = 600.0  # seconds, of training of each sampler


@dataclass(frozen=True)
class Settings:
    """Sizes and lengths of training of one evaluation.

    Parameters
    ----------
    dcgan : dict, default={}
        Parameters of `DCGANOverSampler` and `ConditionalDCGANOverSampler`.
    vision_aided : dict, default={}
        Parameters of `VisionAidedDCGANOverSampler`.
    gan_epochs : int or None, default=None
        Length of training of `dcgan` and `vision_aided` in epochs of the rarest class. None takes their `n_steps`.
    ann : dict, default={}
        Parameters of `ANNClassifier`. Unless they say otherwise, this and the other networks stop early, after at most
        100 epochs.
    cnn : dict, default={}
        Parameters of `CNNClassifier`.
    densenet121 : dict, default={}
        Parameters of `DenseNet121Classifier`.
    equal_length : bool, default=True
        Whether an epoch of a network has the same number of images whatever the sampler: as many as a balanced training
        set. False takes every image once, so that more images mean more steps.
    embedder_size : int, default=128
        Input size of the embedders, in pixels.
    resnet18 : dict, default={}
        Parameters of `ResNet18Embedder`.
    scratch_epochs : int, default=10
        Epochs of ResNet18 that is trained without ImageNet weights.
    imagenet_epochs : int, default=0
        Epochs of fine-tuning of ResNet18 with ImageNet weights. 0 leaves it frozen.
    trees : int, default=100
        Number of trees of the random forest.
    """

    dcgan: dict = field(hash=False, default_factory=dict)
    vision_aided: dict = field(hash=False, default_factory=dict)
    gan_epochs: int | None = None
    ann: dict = field(hash=False, default_factory=dict)
    cnn: dict = field(hash=False, default_factory=dict)
    densenet121: dict = field(hash=False, default_factory=dict)
    equal_length: bool = True
    embedder_size: int = 128
    resnet18: dict = field(hash=False, default_factory=dict)
    scratch_epochs: int = 10
    imagenet_epochs: int = 0
    trees: int = 100

    def gan_steps(self, n_images, batch_size):
        """Return the steps of `gan_epochs` epochs of `n_images` images, those of the rarest class in training."""
        return self.gan_epochs * math.ceil(n_images / batch_size)

    def with_limits(self, n_steps=None, max_time=None):
        """Return settings whose samplers train for `n_steps` steps and at most `max_time` seconds.

        None changes nothing.
        """
        if n_steps is not None and (isinstance(n_steps, bool) or not isinstance(n_steps, Integral) or n_steps < 1):
            raise ValueError(f"n_steps must be an integer of at least 1; got {n_steps!r}.")
        if max_time is not None and not (isinstance(max_time, Real) and max_time > 0):
            raise ValueError(f"max_time must be a number of seconds above 0; got {max_time!r}.")
        limits = {name: value for name, value in (("n_steps", n_steps), ("max_time", max_time)) if value is not None}
        if not limits:
            return self
        return replace(
            self,
            dcgan={**self.dcgan, **limits},
            vision_aided={**self.vision_aided, **limits},
            gan_epochs=self.gan_epochs if n_steps is None else None,
        )

    def used(self, names):
        """Return the settings that affect some samplers, classifiers and embedders, as text by name.

        Parameters
        ----------
        names : container of str
            Names of samplers, classifiers and embedders, without ``+threshold``.

        Returns
        -------
        settings : dict of str to str
            "default" for settings that are not set.
        """
        of_dcgan = ("dcgan", "dcgan_alone", "dcgan_every_class", "conditional")
        of_vision_aided = ("vision_aided", "vision_aided_alone", "vision_aided_every_class")
        users = {
            "dcgan": of_dcgan,
            "vision_aided": of_vision_aided,
            "gan_epochs": (*of_dcgan, *of_vision_aided),
            "ann": ("ann",),
            "cnn": ("cnn",),
            "densenet121": ("densenet121",),
            "equal_length": ("ann", "cnn", "densenet121"),
            "embedder_size": ("resnet18", "resnet18_finetuned", "efficientnet_lite0"),
            "resnet18": ("resnet18", "resnet18_finetuned"),
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
    """Return the default settings for a size of images.

    Parameters
    ----------
    image_shape : tuple of int
        Shape of one image, in any order of its axes.
    device : torch.device
        Device of the networks.

    Returns
    -------
    settings : Settings
        Default parameters of samplers; on the CPU each GAN is trained for at most ten minutes. The input size of the
        embedder is 112 to 224 pixels, because its features of smaller inputs separate classes poorly.
    """
    side = max(size for size in image_shape if size > 4)  # an axis of at most 4 is the channel axis
    limits = {"max_time": MAX_TIME_ON_CPU} if device.type == "cpu" else {}
    return Settings(
        dcgan=limits,
        vision_aided=limits,
        embedder_size=int(np.clip(side, MIN_EMBEDDER_SIZE, MAX_EMBEDDER_SIZE)),
    )


def default_image_size(device):
    """Return the default height and width, in pixels, of images that are read from a folder."""
    return MAX_SIZE_ON_CPU if torch.device(device).type == "cpu" else MAX_SIZE_ON_GPU


def default_choice(n_classes, device):
    """Return default names of samplers and classifiers, which take a reasonable time.

    Returns
    -------
    samplers, classifiers : list of str
        Names.
    """
    samplers = ["none", "class_weight", "threshold", "random", "smote", "augmentation", "dcgan", "dcgan_every_class"]
    if n_classes > 2:
        samplers.remove("threshold")
    classifiers = ["forest", "svm", "logistic", "cnn"]
    return samplers, classifiers if device.type == "cpu" else [*classifiers, "densenet121"]
