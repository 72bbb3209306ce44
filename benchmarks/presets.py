"""What the project's own experiments train, and for how long: one visible table."""

from dataclasses import dataclass, field

from gan_sampler.evaluation import Settings

ALL_SAMPLERS = (
    "none",
    "class_weight",
    "threshold",
    "random",
    "smote",
    "adasyn",
    "augmentation",
    "dcgan",
    "dcgan_every_class",
    "conditional",
)
STUDY_SAMPLERS = (
    "none",
    "class_weight",
    "threshold",
    "random",
    "smote",
    "adasyn",
    "augmentation",
    "augmentation_repetition",
    "augmentation_every_class",
    "dcgan",
    "dcgan_alone",
    "dcgan_every_class",
    "vision_aided",
    "vision_aided_alone",
    "vision_aided_every_class",
    "all_real",
)
ALL_CLASSIFIERS = ("tree", "forest", "svm", "logistic", "ann", "cnn", "densenet121")


@dataclass(frozen=True)
class Preset:
    """One experiment.

    Parameters
    ----------
    about : str
        One line for ``--help``.
    data : str
        Data set when ``--data`` is left out.
    image_size : int
        Height and width that images are read at, in pixels.
    seeds : tuple of int
        Seeds when ``--seeds`` is left out.
    settings : Settings
        Lengths and sizes.
    samplers, classifiers : tuple of str
        What is compared when nothing is asked for; "threshold" for two classes only, and "all_real" with ``--n-rare``
    embedders : tuple of str or None
        Networks of the features. None takes what is at hand.
    scoring : str
        The metric that the report's answer is about.
    max_images : int or None
        A stratified part of so many images is used where ``--data`` and ``--max-images`` are left out. None uses all.
    grey_as_rgb : bool
        Whether grey images are stored as three equal channels.
    download_weights : bool
        Whether ImageNet weights of ResNet18 that are not at hand are downloaded (45 MB) where that can be done.
    notes : tuple of str
        What a reader of the results must know, shown with the plan and in the report.
    """

    about: str
    data: str
    image_size: int
    seeds: tuple
    settings: Settings = field(hash=False)
    samplers: tuple = ALL_SAMPLERS
    classifiers: tuple = ALL_CLASSIFIERS
    embedders: tuple | None = None
    scoring: str = "roc_auc"
    max_images: int | None = None
    grey_as_rgb: bool = False
    download_weights: bool = False
    notes: tuple = ()


# As the report's networks on images: in [0, 1], for a fixed number of epochs, the last weights.
_OF_THE_REPORT = {"early_stopping": False, "value_range": (-255, 255)}

PRESETS = {
    "demo": Preset(
        about="ten treatments, all classifiers, 1,000 solar cells at 32 px, one seed, at most 5 minutes on 2 cores",
        data="elpv",
        image_size=32,
        seeds=(0,),
        max_images=1000,
        embedders=("efficientnet_lite0", "resnet18_finetuned"),
        settings=Settings(
            dcgan={"n_steps": 1000},
            ann={"max_epochs": 20},
            cnn={"max_epochs": 5},
            densenet121={"max_epochs": 1},
            embedder_size=64,
            scratch_epochs=1,
        ),
    ),
    "cpu": Preset(
        about="the chest X-rays at 64 px with five seeds, classifiers of features, about an hour on 2 cores",
        data="chest_xray",
        image_size=64,
        seeds=(0, 1, 2, 3, 4),
        samplers=tuple(name for name in ALL_SAMPLERS if name != "conditional"),
        classifiers=("forest", "svm", "logistic"),
        embedders=("efficientnet_lite0",),
        settings=Settings(dcgan={"n_steps": 1000}, embedder_size=112),
    ),
    # The student report that this package started from, number by number.
    "report": Preset(
        about="the student report this package started from: 128 px, 100 GAN epochs, hours on one GPU, days on a CPU",
        data="chest_xray",
        image_size=128,
        grey_as_rgb=True,
        seeds=(0, 1, 2),
        samplers=("none", "dcgan"),
        classifiers=("tree", "forest", "svm", "ann", "cnn", "densenet121"),
        scoring="f1_weighted",
        download_weights=True,
        settings=Settings(
            dcgan={
                "repeated_share": 0,
                "latent_dim": 100,
                "base_channels": 128,
                "channels": "flat",
                "base_size": 8,
                "generator_norm": None,
                "discriminator_norm": None,
                "dropout": 0.4,
                "batch_size": 32,
                "learning_rate": 2e-4,
                "beta_1": 0.5,
                "ema_decay": 0.0,  # the generator as it is, not averaged
                "precision": "bfloat16",
                "snapshot": "last",
                "collapse_grey": False,  # three channels learnt as three
                "augmentation": None,
            },
            gan_epochs=100,  # 42 steps for 1,341 images, so 4,200 in all
            ann=_OF_THE_REPORT | {"max_epochs": 50},
            cnn=_OF_THE_REPORT
            | {
                "max_epochs": 30,
                "module__norm": None,
                "module__global_pooling": False,
                "module__hidden_units": (128,),
            },
            densenet121=_OF_THE_REPORT | {"max_epochs": 30},
            equal_length=False,
            resnet18={"normalize": False},
            imagenet_epochs=3,
            scratch_epochs=3,
        ),
        notes=(
            "The original report does not give: the rate of dropout (here .4), the batch size (32), kernel sizes and "
            "initial weights (those of this package), the layers of the CNN (32, 64 and 128 channels and a dense layer "
            "of 128) and of the ANN (256 and 128), the epochs of ResNet18 (3).",
            "Each image is seen 100 times on average in training the GAN: 4,200 batches of 32. The last images of an "
            "epoch that do not fill a batch are left out of it.",
            "The original report's ResNet18 started from ImageNet weights. So it does here, unless it is called 'from "
            "scratch'; EfficientNet-Lite0, where it stands beside, is not in the original report. DenseNet121 starts "
            "from random weights.",
            "The GAN trains in bfloat16 mixed precision, which is 1.8 times as fast on a CPU with instructions for it; "
            "the original report does not give its precision.",
        ),
    ),
    "study": Preset(
        about="the study behind “Should you oversample?”: chest X-rays at 112 px with --n-rare images, five seeds",
        data="chest_xray",
        image_size=112,
        seeds=(0, 1, 2, 3, 4),
        samplers=STUDY_SAMPLERS,
        classifiers=("tree", "forest", "svm", "logistic"),
        embedders=("efficientnet_lite0",),
        settings=Settings(dcgan={"n_steps": 800}, vision_aided={"n_steps": 800}, embedder_size=112),
    ),
    "study_elpv": Preset(
        about="the same study on solar cells at 96 px, ten seeds",
        data="elpv",
        image_size=96,
        seeds=tuple(range(10)),
        samplers=STUDY_SAMPLERS,
        classifiers=("tree", "forest", "svm", "logistic"),
        embedders=("efficientnet_lite0",),
        settings=Settings(dcgan={"n_steps": 800}, vision_aided={"n_steps": 800}, embedder_size=112),
    ),
}
