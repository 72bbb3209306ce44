"""The samplers that a command line can name. Nothing heavy is imported before one is made."""

# What they do, for a help text; the evaluation knows them by the same words.
SAMPLERS = {
    "dcgan": "a GAN for each class",
    "conditional": "one GAN for all classes",
    "cyclegan": "images of the largest class, turned into others",
    "deep_smote": "SMOTE between codes of an auto-encoder",
    "augmentation": "small changes to real images",
    "smote": "SMOTE on pixels",
    "adasyn": "ADASYN on pixels",
    "random": "real images, repeated",
}
TRAINED = ("dcgan", "conditional")  # what a file can hold
_OF_PIXELS = {"smote": "SMOTE", "adasyn": "ADASYN", "random": "RandomOverSampler"}
_OF_IMAGES = {
    "dcgan": "DCGANOverSampler",
    "conditional": "ConditionalDCGANOverSampler",
    "cyclegan": "CycleGANOverSampler",
    "deep_smote": "DeepSMOTE",
    "augmentation": "AugmentationOverSampler",
}


def sampler_class(word):
    """Return the class that a word stands for; of those that work on pixels, imbalanced-learn's."""
    if word in _OF_PIXELS:
        from imblearn import over_sampling

        return getattr(over_sampling, _OF_PIXELS[word])
    from gan_sampler import samplers

    return getattr(samplers, _OF_IMAGES[word])


def make_sampler(word, **parameters):
    """Return an unfitted sampler of images.

    Parameters
    ----------
    word : str
        One of `SAMPLERS`.
    **parameters
        Of the sampler; None, and what says nothing of the result where it does not have it, is left out.

    Raises
    ------
    ValueError
        When the sampler has no such parameter.
    """
    found = sampler_class(word)
    known = found._get_param_names()
    parameters = {name: value for name, value in parameters.items() if value is not None}
    for name in ("device", "verbose", "checkpoint_dir"):
        if name not in known:
            parameters.pop(name, None)
    for name in parameters:
        if name not in known:
            raise ValueError(f"{name} must be left out with the sampler {word!r}, which has no such parameter.")
    sampler = found(**parameters)
    if word in _OF_PIXELS:
        from gan_sampler.samplers import PixelSampler

        return PixelSampler(sampler)
    return sampler


def sampler_name(word):
    """Return what the manifest calls the sampler of a word."""
    return f"PixelSampler({_OF_PIXELS[word]}())" if word in _OF_PIXELS else _OF_IMAGES[word]
