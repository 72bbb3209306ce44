"""Descriptions of the parameters and attributes that several samplers share.

A docstring names an entry in braces, as in ``{image_shape}``, and `document` puts the text in its place. Other braces
in such a docstring are doubled.
"""

from .._docstrings import substitution

SHARED = {
    "sampling_strategy": """sampling_strategy : float, str, dict or callable, default="auto"
    How many images each class gets, as in imbalanced-learn's over-samplers:

    - ``float``: desired ratio of the number of minority images to the number of majority images; for two classes only;
    - ``"minority"``, ``"not minority"``, ``"not majority"`` or ``"all"``: classes to bring up to the size of the
      largest class; ``"auto"`` is ``"not majority"``;
    - ``dict``: desired number of images of each class;
    - ``callable``: takes `y` and returns such a dict.""",
    "image_shape": """image_shape : tuple of int, "row" or None, default=None
    Shape of one image, ``(H, W)`` or ``(H, W, C)``. Needed only where `X` is 2-D, with one image in each row. ``"row"``
    reads each row as an image of ``1 x n_features`` pixels.""",
    "data_format": """data_format : {"auto", "channels_first", "channels_last"}, default="auto"
    Position of the channel axis in 4-D input; "auto" takes the axis that has at most 4 entries. Rows of 2-D input are
    read as channels last unless "channels_first" is given.""",
    "value_range": """value_range : tuple of (float, float) or None, default=None
    Smallest and largest value that a pixel can have. None stands for (0, 255) for uint8, and for the smallest and
    largest value in `X` for every other dtype. Synthetic images stay within this range.""",
    "latent_dim": """latent_dim : int, default=100
    Length of the noise vector from which an image is generated.""",
    "base_channels": """base_channels : int, default=32
    Channels of both networks at the highest resolution. More channels give better images and slower training.""",
    "channels": """channels : {"pyramid", "flat"}, default="pyramid"
    Whether the number of channels doubles when the resolution halves, up to ``8 * base_channels``, or stays at
    `base_channels`.""",
    "base_size": """base_size : int, default=4
    Shorter side, in pixels, of the smallest feature map of the generator, to which the noise is projected. The number
    of up-sampling layers follows from it and from the size of the images.""",
    "generator_norm": """generator_norm : {"batch", "spectral"} or None, default="batch"
    Normalisation in the generator.""",
    "discriminator_norm": """discriminator_norm : {"batch", "spectral"} or None, default=None
    Normalisation in the discriminator: batch normalisation, spectral normalisation (Miyato et al., 2018,
    https://arxiv.org/abs/1802.05957) or none.""",
    "dropout": """dropout : float, default=0.0
    Dropout probability before the last layer of the discriminator, in [0, 1).""",
    "loss": """loss : str, gan_sampler.training.Loss, tuple or callable, default="non_saturating"
    Loss that the networks minimise: "non_saturating", "hinge", "least_squares", a
    :class:`~gan_sampler.training.Loss` of your own, a tuple of two functions, the losses of discriminator and
    generator, or a function that returns one of these two.""",
    "max_time": """max_time : float or None, default=None
    Seconds of training for all classes together. Training then stops with a
    :class:`~sklearn.exceptions.ConvergenceWarning`, even if fewer than `n_steps` steps were made. Classes that are
    trained one after another share the time equally. Drawing, herding and measuring images are not included.""",
    "n_iter_no_change": """n_iter_no_change : int or None, default=None
    Early stopping: training stops when the score has not improved in this number of reports; there is a report every
    50 steps. None makes all steps. `snapshot` says which generator is kept in either case.""",
    "batch_size": """batch_size : int, default=16
    Number of real and of generated images in one update; all images of the class where it has fewer.""",
    "learning_rate": """learning_rate : float, default=1e-3
    Learning rate of Adam for both networks.""",
    "beta_1": """beta_1 : float, default=0.5
    Decay rate of Adam's first moment, in [0, 1).""",
    "ema_decay": """ema_decay : float, default=0.999
    Decay, in [0, 1), of the exponential moving average of the generator's weights (Yazici et al., 2019,
    https://arxiv.org/abs/1806.04498). Images are drawn from the average; 0 takes the latest weights.""",
    "precision": """precision : {"auto", "float32", "bfloat16"}, default="auto"
    Precision in which the networks compute in training. "bfloat16" is mixed precision: most layers compute in bfloat16,
    while the weights, the optimisers, the average and the drawing of images stay in float32. It needs half of the
    memory traffic, and is faster on devices with instructions for it, which are most CUDA devices since 2020 and CPUs
    with avx512_bf16 or amx_bf16; on other CPUs it is slower and warns. "auto" is "bfloat16" on CUDA devices with such
    instructions and "float32" elsewhere. The images depend on it.""",
    "snapshot": """snapshot : {"best", "last"}, default="best"
    Which generator is kept. "best": the one with the best score, which is computed at every report, every 50 steps.
    "last": the one of the last step; no scores are computed in training, and `n_iter_no_change` must be None.""",
    "collapse_grey": """collapse_grey : bool, default=True
    Whether images of three equal channels are learnt in one channel, which is repeated in the synthetic images. False
    learns the three channels separately, so that synthetic images may have a tinge.""",
    "augmentation": """augmentation : {"auto", "mild"}, callable or None, default="auto"
    Differentiable augmentation of real and generated images before the discriminator (Zhao et al., 2020,
    https://arxiv.org/abs/2006.10738). "mild" shifts an image by up to an eighth of its side and changes contrast and
    brightness slightly. This keeps the discriminator from memorising a small class; in a large class of small images it
    lowers the quality. "auto" is "mild" where the (rarest) class has fewer than 150 images of 32 x 32 pixels, or fewer
    than 2,400 of 64 x 64, and None otherwise. A function is called as ``augmentation(images, generator=stream)`` with
    images (n, channels, height, width) in [-1, 1] and a `torch.Generator` to draw from, and returns changed images; it
    must be differentiable and change each image independently of the others. Synthetic images are not augmented.""",
    "checkpoint_dir": """checkpoint_dir : path-like or None, default=None
    Folder in which the state of each training is saved about every 20 seconds, at the end and on Ctrl-C. Repeating an
    interrupted fit with the same data, parameters and seed continues from there; on the CPU the images are the same as
    without the interruption. A larger `n_steps` continues a finished training. A fit on other data or with other
    parameters raises an error, so each fit needs its own folder; do not set it within a cross-validation. Networks and
    losses of your own are compared by their code, constants and layers. Use an int as `random_state`, because a
    RandomState differs when the fit is repeated.""",
    "n_jobs": """n_jobs : int or None, default=None
    Number of classes that are trained at the same time, through joblib: None is 1 and -1 all processors, unless a
    :class:`joblib.parallel_config` context says otherwise. The images do not depend on it. On the CPU each training
    takes as many threads as torch has in the calling process. Ctrl-C kills the other processes; with
    `checkpoint_dir` they continue from their last saved state.""",
    "callback": """callback : callable or None, default=None
    Called every 50 steps and at the end of each training with a :class:`gan_sampler.training.TrainingProgress`, which
    holds the class, the step, the losses and the score, and draws images with ``progress.sample(n)``. If it returns
    True, this training stops as if `n_steps` were reached; if it raises, the fit stops and the best snapshot is kept,
    as after Ctrl-C. Otherwise the images do not depend on it, but its time counts for `max_time`. It is copied by
    scikit-learn's `clone` and, with `n_jobs`, sent to other processes, so it must not hold what cannot be copied, such
    as an open file. It is not written by `save`.""",
    "repeated_share": """repeated_share : float, default=0.75
    Share, in [0, 1), of the images added to a class that are repeated real images, each equally often up to a
    difference of one; the others are synthetic, at least one. 0 adds synthetic images only: in our experiments these
    alone lowered the ROC-AUC of classifiers of features, and together with repeated ones much less, or not. With
    ``synthetic_classes="all"`` it is not used.""",
    "augmented_share": """augmented_share : float, default=0.5
    Share, in [0, 1], of the repeated images that are slightly rotated, shifted, scaled and changed in brightness and
    contrast, each at random, as by :class:`~gan_sampler.AugmentationOverSampler` with its defaults; the others are
    exact copies. 0 is for images in which such a change would be wrong. With ``synthetic_classes="all"`` and
    ``image_shape="row"`` it is not used.""",
    "synthetic_classes": """synthetic_classes : {"resampled", "all"}, default="resampled"
    Which classes get synthetic images. "resampled": the classes that `sampling_strategy` asks to be over-sampled; it is
    met by repeated and synthetic images together (`repeated_share`). "all": every class; `sampling_strategy` is met by
    repeating real images, and each class gets the same number of synthetic images in addition, so that artefacts of
    synthetic images do not predict the class.""",
    "synthetic_ratio": """synthetic_ratio : float, default=0.25
    With ``synthetic_classes="all"``, the number of synthetic images of each class, as a fraction of the number of
    images of the largest class in `y`.""",
    "herding": """herding : bool or transformer, default=False
    Whether to generate four times as many images as needed and to keep a subset whose distribution of features is close
    to that of the real images (kernel herding, Chen et al., 2010, https://arxiv.org/abs/1203.3472). True uses the
    features of :class:`~gan_sampler.EfficientNetLite0Embedder`, a transformer its own. All generated images have to be
    embedded. Herding rejects implausible images and frequent near-duplicates. `sample`, where there is one, does not
    use it.""",
    "quality": """quality : bool or transformer, default=False
    Whether to measure the synthetic images of each class with :func:`gan_sampler.quality_report`, into `quality_`. True
    uses the features of :class:`~gan_sampler.EfficientNetLite0Embedder`, a transformer its own. Takes about a minute
    for each class.""",
    "on_poor_quality": """on_poor_quality : {"warn", "raise", "repeat"}, default="warn"
    What to do when the synthetic images of a class cannot be used, because they are noise or nearly identical. Every
    fit checks this with a fast comparison with the real images, and with the report where `quality` asks for one.
    "warn" keeps the images and issues a :class:`~gan_sampler.QualityWarning`. "raise" raises a
    :class:`~gan_sampler.PoorQualityError`; the trained networks are kept, for inspection. "repeat" warns and uses
    repeated real images of the class instead, so that all added ones are repeated; with ``synthetic_classes="all"``
    this class then has no synthetic images, while the others have.""",
    "device": """device : str or torch.device, default="auto"
    Device to compute on. "auto" takes the first CUDA device, or the CPU where there is none; other values are torch's,
    such as "cuda:1".""",
    "device_or_devices": """device : str, torch.device or list of these, default="auto"
    Device to train on. "auto" takes the first CUDA device, or the CPU where there is none; other values are torch's,
    such as "cuda:1". The classes are assigned to the devices of a list in turn, and `n_jobs`, where there is one,
    trains them at the same time; a training on all classes uses the first device.""",
    "random_state": """random_state : int, RandomState instance or None, default=None
    Seed. The same int gives the same images on the same machine. The random states of NumPy and torch outside the
    sampler are not changed.""",
    "verbose": """verbose : int, default=0
    Whether to show progress bars: of training, with losses and the time left, of drawing and of measuring images.""",
    "sampling_strategy_": """sampling_strategy_ : dict
    Number of images that were added to each class to meet `sampling_strategy`, repeated and synthetic ones together;
    with ``synthetic_classes="all"`` all of them are repeated real images.""",
    "synthetic_mask_": """synthetic_mask_ : ndarray of shape (n_resampled,), bool
    True for synthetic images of the output, False for original and repeated images, also for those with a small
    change.""",
    "class_counts_": """class_counts_ : dict
    Number of images of each class in the output, as a dict with ``real``, the original ones, ``repeated`` and
    ``synthetic``.""",
    "quality_": """quality_ : dict
    The :class:`gan_sampler.QualityReport` of each class; only where `quality` asks for it. Where fewer than ten
    synthetic images are added, more are drawn for it. None, with a warning, for a class that cannot be
    measured, for example one of fewer than ten real images.""",
    "image_shape_": """image_shape_ : tuple of int
    Shape of one image, with the axes in the order in which they are stored.""",
    "n_features_in_": """n_features_in_ : int
    Number of values in one image.""",
    "feature_names_in_": """feature_names_in_ : ndarray of shape (n_features_in_,)
    Names of the columns; only where `X` is a DataFrame whose column names are strings.""",
    "device_": """device_ : torch.device
    Device on which images are generated; the first one of a list.""",
}


document = substitution(SHARED)
