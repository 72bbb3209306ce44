"""Descriptions of the parameters that `compare` and `prepare` share."""

from gan_sampler._docstrings import substitution

SHARED = {
    "samplers": """samplers : sequence of str, or dict of str to sampler, or None, default=None
    Treatments to compare. Built-in ones by name: "none", "class_weight", "threshold", "random", "smote", "adasyn",
    "augmentation", "augmentation_repetition", "augmentation_every_class", "dcgan", "dcgan_alone", "dcgan_every_class",
    "vision_aided", "vision_aided_alone", "vision_aided_every_class" and "conditional"; others as a dict of
    objects with ``fit_resample``. With the suffix ``+threshold`` behind a name, the decision threshold is tuned in
    addition, on folds of the real training images. "none", doing nothing, is always included. "all_real" is a reference
    and no treatment: with `n_rare`, it trains on all real images of the rarest class. None takes a selection that runs
    in a reasonable time.""",
    "classifiers": """classifiers : sequence of str, or dict of str to estimator, or None, default=None
    Classifiers that are trained on the images of each sampler. Built-in ones by name: "tree", "forest", "svm" and
    "logistic" on features, "ann", "cnn" and "densenet121" on images. Others as a dict of estimators. None takes a
    selection that runs in a reasonable time.""",
    "embedders": """embedders : sequence of str, or dict of str to transformer, or None, default=None
    Embedders that compute the features of images: "resnet18", "resnet18_finetuned" or "efficientnet_lite0", or a dict
    of transformers. None takes ResNet18 if its ImageNet weights are available, and otherwise EfficientNet-Lite0.""",
    "cv": """cv : int, splitter, iterable or None, default=None
    Folds, as in :func:`sklearn.model_selection.cross_validate`. None takes the split of the data set, or else a
    stratified quarter of the images for testing, drawn again in each repeat. A group is never in both parts.""",
    "scoring": """scoring : str, default="roc_auc"
    Metric of the answer; all metrics are computed.""",
    "n_rare": """n_rare : int or None, default=None
    Number of training images of the rarest class, drawn again in each repeat; test images are not reduced. None keeps
    all.""",
    "settings": """settings : Settings or None, default=None
    Sizes and lengths of training. None chooses them by the size of the images and the device.""",
    "n_steps": """n_steps : int or None, default=None
    Number of training steps of each GAN sampler. None takes that of `settings`.""",
    "max_time": """max_time : float or None, default=None
    Time limit of the training of each GAN sampler, in seconds. None takes that of `settings`.""",
    "device": """device : str, default="auto"
    Device of networks: "auto" takes the first CUDA device, or the CPU where there is none; other values are torch's,
    such as "cuda:1".""",
    "n_jobs": """n_jobs : int or None, default=None
    Number of workers, as in joblib. None takes that of a surrounding :class:`joblib.parallel_config`, which can also
    name a cluster (``backend="dask"``), or else one worker for each core, as far as memory allows.""",
}

document = substitution(SHARED)
