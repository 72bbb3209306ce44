"""Descriptions of the parameters and attributes that the classifiers share.

A docstring names an entry in braces, as in ``{batch_size}``, and `document` puts the text in its place.
"""

from .._docstrings import substitution

SHARED = {
    "criterion": """criterion : type, default=torch.nn.CrossEntropyLoss
    Loss, a function of logits.""",
    "optimizer": """optimizer : type, default=torch.optim.Adam
    Optimizer. Its parameters are set with a prefix, for example ``optimizer__weight_decay``.""",
    "lr": """lr : float, default=1e-3
    Learning rate.""",
    "batch_size": """batch_size : int, default=32
    Number of images in one update, at least 2; -1 takes all images. A last batch of one image is dropped.""",
    "class_weight": """class_weight : dict, "balanced" or None, default=None
    Weight of each class in the loss, as in scikit-learn.""",
    "image_shape": """image_shape : tuple of int, "row" or None, default=None
    Shape of one image, ``(H, W)`` or ``(H, W, C)``; needed if `X` is 2-D. ``"row"`` reads each row as an image of
    ``1 x n_features`` pixels.""",
    "data_format": """data_format : {"auto", "channels_first", "channels_last"}, default="auto"
    Position of the channel axis in 4-D input; "auto" takes the axis that has at most 4 entries.""",
    "value_range": """value_range : tuple of (float, float) or None, default=None
    Smallest and largest value that a pixel can have; they are scaled to -1 and 1. None stands for (0, 255) for
    uint8, and for the smallest and largest value of the training images for every other dtype. ``(-255, 255)`` scales
    uint8 to [0, 1].""",
    "train_split": """train_split : callable or None, default=None
    skorch's validation split during training. None by default, because a random split after over-sampling would
    validate on synthetic images; pass `X_val` and `y_val` to `fit` instead.""",
    "early_stopping": """early_stopping : bool, default=False
    Whether training ends when ``valid_log_loss``, the log loss of the validation images, no longer falls, and the
    weights of the epoch with the smallest are kept. It is the mean over the classes of the mean over the images of
    each, so that a rare class counts as much as a common one. `fit` then needs `X_val` and `y_val`. False makes all
    epochs and keeps the last weights.""",
    "n_iter_no_change": """n_iter_no_change : int, default=5
    With `early_stopping`, number of epochs without a smaller ``valid_log_loss`` after which training ends.""",
    "checkpoint_dir": """checkpoint_dir : path-like or None, default=None
    Folder in which the state of training is saved after an epoch, at most about every 20 seconds, and at the end.
    Repeating an interrupted `fit` with the same data, parameters and seed continues after the last saved epoch; on the
    CPU the weights are the same as without the interruption. A larger `max_epochs` continues a finished training. A fit
    on other data or with other parameters raises an error, so each fit needs its own folder; do not set it within a
    cross-validation. Use an int as `random_state`. Callbacks of your own that keep a state, as learning rate schedules
    do, start anew.""",
    "device": """device : str or torch.device, default="auto"
    Device of the network. "auto" takes the first CUDA device, or the CPU where there is none; other values are
    torch's, such as "cuda:1".""",
    "random_state": """random_state : int, RandomState instance or None, default=None
    Seed of initial weights, shuffling and dropout. The random states of NumPy and torch outside are not changed.""",
    "verbose": """verbose : int, default=0
    1 prints skorch's table of epochs.""",
    "classes_": """classes_ : ndarray of shape (n_classes,)
    Labels, sorted.""",
    "module_": """module_ : torch.nn.Module
    The trained network.""",
    "history_": """history_ : skorch.history.History
    One record per epoch, with ``train_loss`` and ``dur`` in seconds; with validation images also ``valid_loss``,
    ``valid_acc`` and ``valid_log_loss``, see `early_stopping`.""",
    "input_shape_": """input_shape_ : tuple of int
    Shape of one input of the network.""",
    "class_weight_": """class_weight_ : ndarray of shape (n_classes,)
    Weight of each class in the loss.""",
    "device_": """device_ : torch.device
    Device of the network.""",
    "n_features_in_": """n_features_in_ : int
    Number of values in one image.""",
    "feature_names_in_": """feature_names_in_ : ndarray of shape (n_features_in_,)
    Names of the columns; only where `X` is a DataFrame whose column names are strings.""",
    "raises": """ValueError
    At fit or predict, when parameters, images or labels are invalid, or images differ in format from those at fit.
FloatingPointError
    When the training loss is no longer finite.""",
}

document = substitution(SHARED)
