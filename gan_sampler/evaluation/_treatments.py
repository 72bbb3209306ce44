"""Treatments of class imbalance: none, class weights, a tuned threshold, and samplers before or after the embedder."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from imblearn.over_sampling import ADASYN, SMOTE, RandomOverSampler

from gan_sampler.evaluation._models import (
    class_weight_parameters,
    gives_scores,
    is_instance_with,
    named,
    renamed,
    with_seed,
)
from gan_sampler.evaluation._records import THRESHOLD_SUFFIX, TREATMENT_LABELS
from gan_sampler.evaluation._store import digest_of
from gan_sampler.samplers import (
    AugmentationOverSampler,
    ConditionalDCGANOverSampler,
    DCGANOverSampler,
    PixelSampler,
    VisionAidedDCGANOverSampler,
)
from gan_sampler.samplers._base import BaseImageOverSampler

_AUGMENTED_SHARE = 0.25  # of the images that are added; with 40 to 100 of 4,000 images it makes about 1,000
# Samplers with a generator for each class, and the ways in which their images are used.
_GANS = {"dcgan": DCGANOverSampler, "vision_aided": VisionAidedDCGANOverSampler}
_VARIANTS = {"": {}, "_alone": {"repeated_share": 0}, "_every_class": {"synthetic_classes": "all"}}
_WITHOUT_EFFECT_ON_RESULTS = ("memory", "verbose", "device", "n_jobs", "checkpoint_dir")


@dataclass(frozen=True)
class Treatment:
    """A treatment of class imbalance.

    Parameters
    ----------
    name, label : str
        Name in the records, and readable name.
    sampler : sampler object or None, default=None
        Unfitted sampler; None does not resample.
    on : {"images", "features"}, default="images"
        For classifiers of features: whether the sampler is applied before or after the embedder. For classifiers of
        images, a sampler of features is wrapped in a `PixelSampler`.
    weights : bool, default=False
        Whether the classifier weights classes by the inverse of their size.
    tunes_threshold : bool, default=False
        Whether the threshold on the score of the rarest class is tuned for balanced accuracy, in folds of the training
        images (by groups) in which sampler, embedder and classifier are fitted again. Only for two classes.
    family : str, default=""
        Name shared by treatments that may share the training of a GAN through checkpoints; they are fitted one after
        another.
    restores : bool, default=False
        Whether classifiers are trained on all real training images, also those that ``n_rare`` has removed. This is a
        reference, the gain that perfect synthetic images could bring, and no treatment to choose: it is not tested, and
        is marked in tables.
    """

    name: str
    label: str
    sampler: object = field(default=None, compare=False)
    on: str = "images"
    weights: bool = False
    tunes_threshold: bool = False
    family: str = ""
    restores: bool = False

    @property
    def kind(self):
        """Kind of treatment: "none", "weights", "threshold", "sampler" or "reference"."""
        if self.restores:
            return "reference"
        if self.sampler is not None:
            return "sampler"
        return "weights" if self.weights else "threshold" if self.tunes_threshold else "none"

    def samples_images(self, classifier):
        """Whether a sampler makes images for this classifier, which cells can share."""
        return self.sampler is not None and (self.on == "images" or classifier.on == "images")

    def build(self, classifier_on, y_train, seed, settings):
        """Return the unfitted sampler for a classifier of ``"images"`` or ``"features"``, or None.

        Parameters
        ----------
        classifier_on : {"images", "features"}
            Input of the classifier.
        y_train : ndarray of shape (n,)
            Labels of the training images.
        seed : int
            Seed of the sampler.
        settings : Settings
            Lengths of training.

        Returns
        -------
        sampler : sampler object or None
        """
        if self.sampler is None:
            return None
        sampler = with_seed(self.sampler, seed)
        if settings.gan_epochs is not None and self.family:
            fewest = np.unique(y_train, return_counts=True)[1].min()
            sampler.set_params(n_steps=settings.gan_steps(int(fewest), sampler.batch_size))
        return PixelSampler(sampler) if self.on == "features" and classifier_on == "images" else sampler


def choose_treatments(asked, settings, device, n_classes=2, verbose=0):
    """Return the treatments of an evaluation, always including doing nothing.

    Parameters
    ----------
    asked : sequence of str or Treatment, or dict of str to str, sampler or Treatment
        Names, or samplers by name; with the suffix ``+threshold`` behind a name, the threshold is tuned in addition.
        Samplers of this package are applied before the embedder and others after it; a `Treatment` can set this.
    settings : Settings
        Lengths of training.
    device : str
        Device of networks.
    n_classes : int, default=2
        Number of classes.
    verbose : int, default=0
        Verbosity of the samplers.

    Returns
    -------
    treatments : list of Treatment
    """
    found = [_choose(name, sampler, settings, device, verbose) for name, sampler in named(asked, "samplers")]
    tuned = [treatment.name for treatment in found if treatment.tunes_threshold]
    if tuned and n_classes > 2:
        raise ValueError(
            f"samplers must tune no threshold on {n_classes} classes: it is defined for two. Leave out "
            f"{', '.join(tuned)}."
        )
    untuned = [t.name for t in found if t.name.endswith(THRESHOLD_SUFFIX) and not t.tunes_threshold]
    if untuned:
        raise ValueError(
            f"samplers must tune a threshold if their name ends with {THRESHOLD_SUFFIX}; {untuned[0]!r} does not. Set "
            "tunes_threshold=True, or choose another name."
        )
    taken = [treatment for treatment in found if treatment.name == "none" and treatment.kind != "none"]
    if taken:
        raise ValueError(
            "samplers must not be called 'none': this is the name of doing nothing, with which all are compared."
        )
    if not any(treatment.name == "none" for treatment in found):
        found.insert(0, Treatment("none", TREATMENT_LABELS["none"]))
    return found


def _choose(name, sampler, settings, device, verbose):
    if isinstance(sampler, Treatment):
        return renamed(sampler, name)
    if isinstance(sampler, str):
        plain = sampler.removesuffix(THRESHOLD_SUFFIX)
        treatment = _named_treatment(plain, settings, device, verbose)
        if sampler != plain:
            label = f"{treatment.label} + tuned threshold"
            treatment = replace(treatment, name=sampler, label=label, tunes_threshold=True)
        return renamed(treatment, name)
    if not is_instance_with(sampler, "fit_resample", "get_params"):
        raise ValueError(
            f"samplers must be names or instances of samplers, with fit_resample; got {sampler!r} for {name!r}."
        )
    on = "images" if isinstance(sampler, BaseImageOverSampler | PixelSampler | AugmentationOverSampler) else "features"
    return Treatment(name, name, sampler, on, tunes_threshold=name.endswith(THRESHOLD_SUFFIX))


def _named_treatment(name, settings, device, verbose):
    if name not in TREATMENT_LABELS:
        raise ValueError(
            f"samplers must be some of {', '.join(TREATMENT_LABELS)}, one of these with {THRESHOLD_SUFFIX} behind it, "
            f"or objects with fit_resample; got {name!r}."
        )
    label = TREATMENT_LABELS[name]
    if name == "none":
        return Treatment(name, label)
    if name == "all_real":
        return Treatment(name, label, restores=True)
    if name == "class_weight":
        return Treatment(name, label, weights=True)
    if name == "threshold":
        return Treatment(name, label, tunes_threshold=True)
    of_features = {"random": RandomOverSampler, "smote": SMOTE, "adasyn": ADASYN}
    if name in of_features:
        # Copied images have copied features, so random over-sampling can be applied after the embedder.
        return Treatment(name, label, of_features[name](), on="features")
    shared = {"device": device, "verbose": verbose}
    if name == "augmentation":
        return Treatment(name, label, AugmentationOverSampler(repeated_share=0))
    if name == "augmentation_repetition":
        return Treatment(name, label, AugmentationOverSampler(repeated_share=1 - _AUGMENTED_SHARE))
    if name == "augmentation_every_class":
        return Treatment(name, label, AugmentationOverSampler(synthetic_classes="all"))
    if name == "conditional":
        return Treatment(name, label, ConditionalDCGANOverSampler(**settings.dcgan, **shared), family="conditional")
    family = next(family for family in _GANS if name.startswith(family))
    own, parameters = getattr(settings, family), _VARIANTS[name.removeprefix(family)]
    return Treatment(name, label, _GANS[family](**{**own, **parameters, **shared}), family=family)


def check_treatments(treatments, classifiers):
    """Raise an error if a treatment needs a capability that a classifier does not have."""
    for treatment in treatments:
        for classifier in classifiers:
            lacking = _lacking(treatment, classifier)
            if lacking is not None:
                raise ValueError(
                    f"samplers must not ask for {treatment.name!r} with the classifier {classifier.name!r}, which has "
                    f"no {lacking}. Leave one of the two out."
                )


def usable_treatments(treatments, classifiers):
    """Return the treatments that can be used with all classifiers."""
    return [
        treatment for treatment in treatments if not any(_lacking(treatment, classifier) for classifier in classifiers)
    ]


def _lacking(treatment, classifier):
    if treatment.weights and not class_weight_parameters(classifier.estimator):
        return "parameter class_weight"
    if treatment.tunes_threshold and not gives_scores(classifier.estimator):
        return "decision_function and no predict_proba"
    return None


def describe(estimator):
    """Return all parameters that can change a result, as text that is reproducible across machines and runs.

    Parameters
    ----------
    estimator : estimator object or None
        An estimator, for example a sampler.

    Returns
    -------
    settings : dict of str to str
        Parameters except memory, verbosity, device and number of jobs.
    """
    if estimator is None:
        return {}
    settings = {"": f"{type(estimator).__module__}.{type(estimator).__qualname__}"}
    for name, value in sorted(estimator.get_params(deep=True).items()):
        last = name.rsplit("__", 1)[-1]
        if last not in (*_WITHOUT_EFFECT_ON_RESULTS, "steps"):
            settings[name] = _as_text(last, value)
    return settings


def _as_text(name, value):
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return f"array {digest_of(value)}"  # the repr of a large array is abbreviated
    if hasattr(value, "get_params") and not isinstance(value, type):
        return f"{type(value).__module__}.{type(value).__qualname__}"  # its parameters have their own entries
    if name == "weights" and isinstance(value, str | Path):
        return Path(value).name  # `Embedder.weights` identifies the content of the file
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
