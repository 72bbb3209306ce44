"""The samplers that a command line can name. Nothing heavy is imported before one is made."""

# What they do, for a help text; the evaluation knows them by the same words.
SAMPLERS = {
    "dcgan": "a GAN for each class",
    "vision_aided": "a GAN for each class, judged by a pretrained network, too",
    "conditional": "one GAN for all classes",
    "augmentation": "small changes to real images",
    "smote": "SMOTE on pixels",
    "adasyn": "ADASYN on pixels",
    "random": "real images, repeated",
}
# Those that train: a file can hold them, and their training goes on after an interruption.
IN_FILES = ("dcgan", "vision_aided", "conditional")
_OF_PIXELS = {"smote": "SMOTE", "adasyn": "ADASYN", "random": "RandomOverSampler"}
_NEIGHBORS = {"smote": "k_neighbors", "adasyn": "n_neighbors"}
_OF_IMAGES = {
    "dcgan": "DCGANOverSampler",
    "vision_aided": "VisionAidedDCGANOverSampler",
    "conditional": "ConditionalDCGANOverSampler",
    "augmentation": "AugmentationOverSampler",
}


def has_parameter(word, name):
    """Whether a sampler has one of the parameters that a command line can set."""
    if name == "n_jobs":
        return word in ("dcgan", "vision_aided")
    of_all = ("on_poor_quality", "repeated_share", "synthetic_classes")
    return word in IN_FILES or (word not in _OF_PIXELS and name in of_all)


def sampler_class(word):
    """Return the class that a word stands for; of those that work on pixels, imbalanced-learn's."""
    if word in _OF_PIXELS:
        from imblearn import over_sampling

        return getattr(over_sampling, _OF_PIXELS[word])
    from gan_sampler import samplers

    return getattr(samplers, _OF_IMAGES[word])


def make_sampler(word, *, n_smallest=None, **parameters):
    """Return an unfitted sampler of images.

    Parameters
    ----------
    word : str
        One of `SAMPLERS`.
    n_smallest : int or None, default=None
        Number of images of the smallest class that gets more: neighbours are looked for among as many.
    **parameters
        Of the sampler; None, and what it does not have, is left out.
    """
    found = sampler_class(word)
    known = found._get_param_names()
    neighbors = _NEIGHBORS.get(word)
    if neighbors is not None and n_smallest is not None:
        if n_smallest < 2:
            raise ValueError(
                f"{word} needs at least 2 images of each class that gets more, to look for neighbours; the smallest of "
                "them has 1. Collect more images, name the other classes with --strategy, or use --sampler random."
            )
        parameters[neighbors] = max(1, min(5, n_smallest - 1))
    sampler = found(**{name: value for name, value in parameters.items() if value is not None and name in known})
    if word in _OF_PIXELS:
        from gan_sampler.samplers import PixelSampler

        return PixelSampler(sampler)
    return sampler


def sampler_name(word):
    """Return what the manifest calls the sampler of a word."""
    return f"PixelSampler({_OF_PIXELS[word]}())" if word in _OF_PIXELS else _OF_IMAGES[word]
