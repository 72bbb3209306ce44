"""What a run trains, and for how long: one visible table."""

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Preset:
    """The numbers of one experiment.

    Parameters
    ----------
    about : str
        One line for ``--help``.
    data : str
        Data set when ``--data`` is left out.
    image_size : int
        Height and width that images are read at, in pixels.
    max_images : int or None
        A stratified part of so many images is used where ``--data`` and ``--max-images`` are left out. None uses all.
    grey_as_rgb : bool
        Whether grey images are stored as three equal channels.
    seeds : tuple of int
        Seeds when ``--seeds`` is left out.
    dcgan : dict
        Parameters of `DCGANOverSampler`.
    deep_smote : dict
        Parameters of `DeepSMOTE`.
    cyclegan : dict
        Parameters of `CycleGANOverSampler`.
    left_out : tuple of str
        Samplers that only run when asked for.
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
        Fine-tuning of ResNet18 where no ImageNet weights are at hand.
    imagenet_epochs : int
        Fine-tuning of ResNet18 that starts from ImageNet weights. 0 leaves it frozen.
    trees : int
        Size of the random forest.
    download_weights : bool
        Whether ImageNet weights of ResNet18 that are not at hand are downloaded (45 MB) where that can be done.
    """

    about: str
    data: str
    image_size: int
    seeds: tuple
    dcgan: dict = field(hash=False)
    deep_smote: dict = field(hash=False, default_factory=dict)
    cyclegan: dict = field(hash=False, default_factory=dict)
    left_out: tuple = ("cyclegan",)
    max_images: int | None = None
    grey_as_rgb: bool = False
    gan_epochs: int | None = None
    ann_epochs: int = 50
    cnn_epochs: int = 30
    densenet121_epochs: int = 30
    equal_length: bool = True
    embedder_size: int = 128
    scratch_epochs: int = 5
    imagenet_epochs: int = 0
    trees: int = 100
    download_weights: bool = False

    def dcgan_parameters(self, n_images):
        """Parameters of `DCGANOverSampler` for a rarest class of `n_images` training images."""
        if self.gan_epochs is None:
            return dict(self.dcgan)
        steps_per_epoch = math.ceil(n_images / self.dcgan["batch_size"])
        return {**self.dcgan, "n_steps": self.gan_epochs * steps_per_epoch}


PRESETS = {
    "demo": Preset(
        about="every cell on 1,300 solar cells at 32 px, one seed, at most 10 minutes on 2 cores",
        data="elpv",
        image_size=32,
        seeds=(0,),
        max_images=1300,
        dcgan={"n_steps": 1500},
        deep_smote={"width": 32, "n_steps": 200},
        cyclegan={"n_steps": 1000},
        ann_epochs=20,
        cnn_epochs=8,
        densenet121_epochs=1,
        scratch_epochs=1,
    ),
    "cpu": Preset(
        about="the chest X-rays at 32 px with three seeds, about three hours on 2 cores",
        data="chest_xray",
        image_size=32,
        seeds=(0, 1, 2),
        dcgan={},
        deep_smote={"width": 32, "n_steps": 500},
        ann_epochs=20,
        cnn_epochs=8,
        densenet121_epochs=1,
        embedder_size=64,
        scratch_epochs=2,
    ),
    # The student report that this package started from, number by number. It does not say the rate of its dropout
    # nor how briefly ResNet18 was trained: .4 and 3 epochs stand in.
    "report": Preset(
        about="the student report this package started from: 128 px, 100 GAN epochs, hours on one GPU",
        data="chest_xray",
        image_size=128,
        grey_as_rgb=True,
        seeds=(0, 1, 2),
        dcgan={
            "latent_dim": 100,
            "width": 128,
            "channels": "flat",
            "base_size": 8,
            "generator_norm": None,
            "discriminator_norm": None,
            "dropout": 0.4,
            "batch_size": 32,
            "learning_rate": 2e-4,
            "beta_1": 0.5,
            "ema_decay": 0.0,  # the generator as it is, not averaged
            "augmentation": None,
        },
        equal_length=False,
        gan_epochs=100,  # 42 steps for 1,341 images, so 4,200 in all
        scratch_epochs=10,
        imagenet_epochs=3,
        download_weights=True,
    ),
}
