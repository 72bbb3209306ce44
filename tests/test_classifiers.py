"""ANN, CNN and DenseNet121 classifiers: scikit-learn behaviour, image layouts, seeding, persistence."""

import copy
import io
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline
from PIL import Image
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict, train_test_split
from sklearn.utils.estimator_checks import parametrize_with_checks
from skorch import NeuralNet
from skorch.dataset import ValidSplit

from gan_sampler._keeper import CheckpointKeeper
from gan_sampler.classifiers import (
    ANNClassifier,
    ANNModule,
    CNNClassifier,
    CNNModule,
    DenseNet121Classifier,
    DenseNet121Module,
)
from gan_sampler.classifiers._data import BatchwiseDataset, TrainingLoader
from gan_sampler.images import ImageFormat

SMALL = [ANNClassifier, CNNClassifier]
ALL = [*SMALL, DenseNet121Classifier]


@pytest.fixture
def toy():
    """Squares against crosses, uint8, noisy: classes that even a short training tells apart."""
    rng = np.random.RandomState(0)
    X = rng.randint(0, 60, (40, 8, 8))
    y = np.array(["cross", "square"])[np.arange(40) % 2]
    X[y == "square", 2:6, 2:6] += 180
    X[y == "cross", 3:5, :] += 180
    return X.astype(np.uint8), y


def quick(cls, **params):
    return cls(**{"max_epochs": 4, "device": "cpu", "random_state": 0, "batch_size": 8, **params})


SKORCH_INIT = {
    "check_no_attributes_set_in_init": "skorch sets history_, initialized_ and virtual_params_ in its constructor; "
    "its set_params and get_params are built on them",
}


# skorch acts on `callbacks` in set_params, so the nonsense that check_set_params tries on it raises early.
# image_shape="row" lets the CNN slide over feature columns: of no use, but it makes the 2-D suite apply.
# DenseNet121 is left to the tests below: it shares every line but its module, and would take minutes here.
@pytest.mark.filterwarnings("ignore:TypeError occurred during set_params:UserWarning")
@pytest.mark.filterwarnings("ignore:Estimator's parameters changed after set_params raised:UserWarning")
@parametrize_with_checks(
    [
        ANNClassifier(max_epochs=10, random_state=0, device="cpu"),
        CNNClassifier(max_epochs=10, random_state=0, device="cpu", image_shape="row"),
    ],
    expected_failed_checks=lambda estimator: SKORCH_INIT,
)
def test_scikit_learn_contract(estimator, check):
    """What a Pipeline, a search and a user of scikit-learn count on."""
    check(estimator)


@pytest.mark.parametrize("cls", SMALL)
def test_defaults_learn_digits(cls):
    """Default epochs and learning rate must be good enough that a user who sets nothing gets a useful answer."""
    digits = load_digits()
    X, X_test, y, y_test = train_test_split(digits.images, digits.target, stratify=digits.target, random_state=0)
    assert cls(random_state=0, device="cpu").fit(X, y).score(X_test, y_test) > 0.95


@pytest.mark.parametrize("cls", ALL)
def test_fit_predict_string_labels(cls, toy):
    """torch knows only integer classes; users have names."""
    X, y = toy
    classifier = quick(cls, max_epochs=1 if cls is DenseNet121Classifier else 4).fit(X, y)
    proba = classifier.predict_proba(X)
    assert list(classifier.classes_) == ["cross", "square"]
    assert classifier.n_features_in_ == 64
    assert proba.shape == (40, 2)
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(classifier.predict(X), classifier.classes_[proba.argmax(axis=1)])
    if cls is not DenseNet121Classifier:
        assert classifier.score(X, y) == 1


@pytest.mark.parametrize("cls", ALL)
def test_constructor_default_is_a_classifier(cls):
    """scikit-learn builds, inspects and clones estimators without arguments."""
    classifier = cls()
    assert is_classifier(classifier)
    assert repr(classifier) == f"{cls.__name__}()"
    assert classifier.get_params()["train_split"] is None
    with pytest.raises(NotFittedError):
        classifier.predict(np.zeros((2, 8, 8)))
    with pytest.raises(NotFittedError, match=r"call fit\(X, y\) instead"):
        classifier.initialize()


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize(
    "shape",
    [(8, 8), (8, 11), (9, 8, 3), (3, 12, 9), (33, 40, 1), (8, 8, 4)],
    ids=lambda shape: "x".join(map(str, shape)),
)
def test_any_layout_and_size(cls, shape):
    """Input channels and sizes are found at fit, so every layout of the package is accepted."""
    X = np.random.RandomState(0).uniform(size=(4, *shape)).astype(np.float32)
    classifier = quick(cls, max_epochs=1).fit(X, [0, 1, 2, 0])
    assert classifier.predict_proba(X).shape == (4, 3)
    assert classifier.module_(torch.zeros(2, *classifier.input_shape_)).shape == (2, 3)


@pytest.mark.parametrize("cls", SMALL)
def test_layouts_of_the_same_images_agree(cls, toy):
    """Rows, channels first and channels last hold the same pictures, so they must give the same network."""
    X, y = toy
    expected = quick(cls).fit(X, y).predict_proba(X)
    rows = X.reshape(40, -1)
    frame = pd.DataFrame(rows, columns=[f"p{i}" for i in range(64)])
    for images, params in [
        (X[:, None], {}),
        (X[..., None], {}),
        (rows, {"image_shape": (8, 8)}),
        (frame, {"image_shape": (8, 8)}),
        (X.astype(np.float64), {"value_range": (0, 255)}),
        (X.astype(np.uint16) * 257, {"value_range": (0, 65535)}),
        (X.tolist(), {"value_range": (0, 255)}),
    ]:
        classifier = quick(cls, **params).fit(images, y)
        np.testing.assert_allclose(classifier.predict_proba(images), expected, atol=1e-4)
    assert "feature_names_in_" not in vars(classifier)
    assert list(quick(cls, image_shape=(8, 8)).fit(frame, y).feature_names_in_) == list(frame.columns)


def test_value_range_of_fit_is_used_at_predict():
    """A test set of dark images must stay dark, rather than be stretched to its own range."""
    X = np.linspace(0, 10, 40)[:, None, None] * np.ones((1, 8, 8))
    classifier = quick(ANNClassifier, max_epochs=20).fit(X, X[:, 0, 0] > 5)
    assert not classifier.predict(X[:10]).any()
    assert classifier.predict(X[-10:]).all()


@pytest.mark.parametrize(
    "labels",
    [
        lambda y: pd.Series(y, index=np.arange(40)[::-1]),
        lambda y: pd.Series(y, dtype="category"),
        list,
        lambda y: y == "square",
        lambda y: np.where(y == "square", 7, -3),
        lambda y: y.astype(object),
    ],
    ids=["series", "categorical", "list", "bool", "int", "object"],
)
def test_any_label_type(labels, toy):
    """Labels come back as they went in, whatever their container."""
    X, y = toy
    y = labels(y)
    classifier = quick(ANNClassifier).fit(X, y)
    predicted = classifier.predict(X)
    np.testing.assert_array_equal(classifier.classes_, np.unique(np.asarray(y)))
    np.testing.assert_array_equal(predicted, np.asarray(y))
    assert predicted.dtype == classifier.classes_.dtype


def test_ann_standardises_features():
    """Features of wildly different scale come out of embedders; without standardising none of the small is seen."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(60, 3)) * [1e-3, 1e4, 1] + [0, 1e5, 0]
    y = X[:, 0] > 0
    classifier = quick(ANNClassifier, max_epochs=20).fit(X, y)
    assert classifier.image_format_ is None
    assert classifier.input_shape_ == (3,)
    assert classifier.score(X, y) > 0.9
    np.testing.assert_allclose(classifier.scaler_.mean_, X.mean(axis=0))


def test_cnn_refuses_rows_without_shape():
    """A guessed square would turn a wrong channel order into silent nonsense."""
    with pytest.raises(ValueError, match="image_shape="):
        CNNClassifier().fit(np.zeros((4, 64)), [0, 1, 0, 1])


@pytest.mark.parametrize("cls", SMALL)
def test_same_random_state_same_network(cls, toy):
    """A result that cannot be repeated cannot be compared."""
    X, y = toy
    first = quick(cls).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(first, quick(cls).fit(X, y).predict_proba(X))
    assert not np.array_equal(first, quick(cls, random_state=1).fit(X, y).predict_proba(X))


@pytest.mark.parametrize("lr", [1e-3, 1e30], ids=["success", "failure"])
def test_callers_random_state_is_untouched(lr, toy):
    """Training inside a user's program must not reseed it, nor when training fails."""
    X, y = toy
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    classifier = quick(CNNClassifier, lr=lr)
    if lr > 1:
        with pytest.raises(FloatingPointError):
            classifier.fit(X, y)
    else:
        classifier.fit(X, y).predict(X)
        classifier.set_params(module__dropout=0.5)
    assert torch.equal(torch_state, torch.get_rng_state())
    np.testing.assert_array_equal(numpy_state, np.random.get_state()[1])


def test_caller_grad_and_dtype_modes_do_not_matter(toy):
    """A notebook that set float64 or no_grad for something else must still be able to train."""
    X, y = toy
    expected = quick(CNNClassifier).fit(X, y).predict_proba(X)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            found = quick(CNNClassifier).fit(X, y).predict_proba(X)
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_array_equal(found, expected)


def test_device_parameter_survives_fit(toy):
    """clone() compares parameters by identity, so fit resolves "auto" elsewhere."""
    X, y = toy
    classifier = quick(ANNClassifier, device="auto").fit(X, y)
    assert classifier.get_params()["device"] == "auto"
    assert isinstance(classifier.device_, torch.device)
    assert clone(classifier).device == "auto"
    with pytest.raises(ValueError, match="device must be 'auto' or a torch device"):
        quick(ANNClassifier, device="abacus").fit(X, y)


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_pickle_joblib_and_copy_predict_the_same(device, toy):
    """A trained classifier is stored and shipped."""
    X, y = toy
    classifier = quick(CNNClassifier, device=device, module__dropout=0.1).fit(X, y)
    file = io.BytesIO()
    joblib.dump(classifier, file)
    file.seek(0)
    for other in (pickle.loads(pickle.dumps(classifier)), joblib.load(file), copy.deepcopy(classifier)):
        np.testing.assert_array_equal(other.predict_proba(X), classifier.predict_proba(X))
        assert other.device == device
        assert other.get_params(deep=False).keys() == classifier.get_params(deep=False).keys()
    unfitted = pickle.loads(pickle.dumps(CNNClassifier()))
    assert not hasattr(unfitted, "device_")


def test_pickle_holds_no_training_image(toy):
    """Medical images must not travel inside a model."""
    X, y = toy
    sizes = [
        len(pickle.dumps(quick(ANNClassifier, train_split=ValidSplit(2, stratified=True), batch_size=-1).fit(*images)))
        for images in ((X, y), (np.repeat(X, 10, axis=0), np.repeat(y, 10)))
    ]
    assert sizes[1] - sizes[0] < X[0].size


def test_trained_on_a_missing_device_loads_on_the_cpu(toy, monkeypatch):
    """Trained on a GPU server, used on a laptop."""
    X, y = toy
    classifier = quick(ANNClassifier, device="auto").fit(X, y)
    expected = classifier.predict_proba(X)
    classifier.device_ = torch.device("cuda:7")
    stored = pickle.dumps(classifier)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    loaded = pickle.loads(stored)
    assert loaded.device_ == torch.device("cpu")
    assert loaded.device == "auto"
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)


def test_save_and_load_params(toy, tmp_path):
    """skorch's own way of keeping weights must work although it does not know device="auto"."""
    X, y = toy
    trained = quick(ANNClassifier, device="auto").fit(X, y)
    trained.save_params(f_params=tmp_path / "weights.pt")
    other = quick(ANNClassifier, device="auto", random_state=5, max_epochs=1).fit(X, y)
    other.load_params(f_params=tmp_path / "weights.pt")
    np.testing.assert_array_equal(other.predict_proba(X), trained.predict_proba(X))
    assert other.device == "auto"


def test_grid_search_over_lr_and_module(toy):
    """The parameters people tune must reach optimizer and network."""
    X, y = toy
    grid = {"lr": [1e-9, 1e-2], "module__dropout": [0.0, 0.2], "optimizer__weight_decay": [1e-4]}
    search = GridSearchCV(quick(ANNClassifier), grid, cv=2, error_score="raise").fit(X, y)
    best = search.best_estimator_
    assert search.best_params_["lr"] == 1e-2
    assert best.optimizer_.param_groups[0]["lr"] == 1e-2
    assert best.optimizer_.param_groups[0]["weight_decay"] == 1e-4
    assert best.module_.layers[3].p == search.best_params_["module__dropout"]


def test_last_step_of_an_imblearn_pipeline(toy):
    """The place these classifiers were written for."""
    X, y = toy
    keep = np.r_[np.flatnonzero(y == "cross"), np.flatnonzero(y == "square")[:6]]
    rows = X.reshape(40, -1)[keep]
    pipeline = make_pipeline(RandomOverSampler(random_state=0), quick(CNNClassifier, image_shape=(8, 8)))
    proba = cross_val_predict(pipeline, rows, y[keep], cv=2, method="predict_proba")
    assert proba.shape == (26, 2)
    assert np.mean(np.where(proba[:, 1] > 0.5, "square", "cross") == y[keep]) > 0.9


@pytest.mark.parametrize("cls", ALL)
def test_last_batch_of_one_image(cls, toy):
    """Batch normalisation has no variance over one value: 33 images in batches of 32 must not end the training."""
    X, y = toy
    classifier = quick(cls, max_epochs=1, batch_size=32).fit(X[:33], y[:33])
    assert classifier.history_[-1, "train_batch_count"] == 1
    assert classifier.predict(X[:33]).shape == (33,)
    assert classifier.predict(X[:1]).shape == (1,)


def test_all_images_are_seen_in_each_epoch(toy):
    """Leaving out a lonely last image must not leave out full or larger batches."""
    X, y = toy
    for n, batch_size in [(40, 8), (34, 32), (20, -1), (2, 32)]:
        classifier = quick(ANNClassifier, max_epochs=1, batch_size=batch_size).fit(X[:n], y[:n])
        assert sum(classifier.history_[-1, "batches", :, "train_batch_size"]) == n


def test_shuffles_without_loss_of_pairs(toy):
    """Sorted classes would otherwise train on batches of one class."""
    X, y = toy
    X, codes = X[np.argsort(y)], np.sort(y) == "square"
    dataset = BatchwiseDataset(X, codes.astype(np.int64), to_tensor=torch.from_numpy)
    np.testing.assert_array_equal(dataset[3][0], X[3])
    batches = list(TrainingLoader(dataset, batch_size=20))
    images, labels = (torch.cat(parts).numpy() for parts in zip(*batches, strict=True))
    assert not np.array_equal(labels, codes)
    for image, label in zip(images, labels, strict=True):
        assert codes[np.flatnonzero((image == X).all(axis=(1, 2)))[0]] == label


def test_uint8_images_are_converted_batch_by_batch(toy, monkeypatch):
    """Float copies of a whole data set would take four times its memory."""
    X, y = toy
    sizes, to_tensor = [], ImageFormat.to_tensor
    monkeypatch.setattr(ImageFormat, "to_tensor", lambda self, X: sizes.append(len(X)) or to_tensor(self, X))
    quick(CNNClassifier, max_epochs=1).fit(X, y).predict(X)
    assert sizes == [8] * 10


@pytest.mark.parametrize("class_weight", ["balanced", {"cross": 1.0, "square": 9.0}])
def test_class_weight_raises_the_rare_class(class_weight, toy):
    """The baseline that every over-sampler has to beat."""
    X, y = toy
    X = np.random.RandomState(1).randint(0, 256, X.shape).astype(np.uint8)  # nothing to learn but the prior
    keep = np.r_[np.flatnonzero(y == "cross"), np.flatnonzero(y == "square")[:2]]
    X, y = X[keep], y[keep]
    plain = quick(CNNClassifier).fit(X, y)
    weighted = quick(CNNClassifier, class_weight=class_weight).fit(X, y)
    assert plain.criterion_.weight is None
    assert weighted.criterion_.weight[1] > 5 * weighted.criterion_.weight[0]
    np.testing.assert_allclose(weighted.criterion_.weight.numpy(), weighted.class_weight_, rtol=1e-6)
    assert weighted.predict_proba(X)[:, 1].mean() > plain.predict_proba(X)[:, 1].mean() + 0.05


def test_diverging_training_raises(toy):
    """Predictions of a network full of NaN look like predictions."""
    X, y = toy
    with pytest.raises(FloatingPointError, match=r"CNNClassifier is no longer finite in epoch \d.*lr=1e\+30.*Lower lr"):
        quick(CNNClassifier, lr=1e30).fit(X, y)


def test_interrupting_is_not_swallowed(toy):
    """Ctrl-C in a cross-validation must end it, rather than score a half-trained net."""

    class Interrupt(CNNModule):
        def forward(self, x):
            raise KeyboardInterrupt

    X, y = toy
    with pytest.raises(KeyboardInterrupt):
        quick(CNNClassifier, module=Interrupt).fit(X, y)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X, y[:39]), r"inconsistent numbers of samples: \[40, 39\]"),
        (lambda X, y: (X, np.repeat("square", 40)), r"y must hold at least two classes.*got one class"),
        (lambda X, y: (X, None), "requires y to be passed"),
        (lambda X, y: (X, np.linspace(0, 1, 40)), "Unknown label type: continuous"),
        (lambda X, y: (X, np.r_[np.nan, np.ones(39)]), "Input y contains NaN"),
        (lambda X, y: (np.where(X > 200, np.nan, X), y), "Input X contains NaN"),
        (lambda X, y: (X[:, :7], y), "at least 8 x 8"),
        (lambda X, y: (X[:0], y[:0]), "minimum of 1 is required"),
        (lambda X, y: ([[[1, 2], [3]], [[1]]], [0, 1]), "images of one size"),
    ],
    ids=["length", "one class", "no y", "continuous", "NaN label", "NaN", "small", "empty", "ragged"],
)
@pytest.mark.parametrize("cls", SMALL)
def test_bad_data_is_named(cls, change, message, toy):
    """An error must say what is wrong with which argument."""
    with pytest.raises(ValueError, match=message):
        quick(cls).fit(*change(*toy))


@pytest.mark.parametrize(
    "params",
    [
        {"max_epochs": 0},
        {"lr": 0.0},
        {"batch_size": 1},
        {"class_weight": "heavy"},
        {"device": 3},
        {"image_shape": "square"},
        {"data_format": "first"},
        {"random_state": "seed"},
        {"classes": ["a", "b"]},
    ],
    ids=lambda params: next(iter(params)),
)
def test_bad_parameters_are_named(params, toy):
    """scikit-learn's wording, so that users recognise it."""
    with pytest.raises(ValueError, match=f"The '{next(iter(params))}' parameter of CNNClassifier must be"):
        quick(CNNClassifier, **params).fit(*toy)


def test_misspelt_keyword_is_named(toy):
    """skorch's **kwargs must not become a sink."""
    with pytest.raises(ValueError, match="did you mean module__dropout"):
        quick(CNNClassifier, module_dropout=0.1).fit(*toy)


@pytest.mark.parametrize("cls", SMALL)
def test_predict_on_other_shape_is_refused(cls, toy):
    """A network with average pooling would answer happily on images of another size."""
    X, y = toy
    classifier = quick(cls, max_epochs=1).fit(X, y)
    with pytest.raises(ValueError, match=r"shape seen at fit, \(8, 8\); got elements of shape \(8, 7\)"):
        classifier.predict(X[:, :, :7])


def test_probabilities_near_one_still_rank(toy, monkeypatch):
    """A ROC curve is made of ranks, and a network that is sure of many images would tie them in float32."""
    X, y = toy
    net = quick(ANNClassifier, max_epochs=1).fit(X, y)
    monkeypatch.setattr(
        net, "forward", lambda X: torch.stack([torch.zeros(4), torch.tensor([17.0, 18, 19, 20])], dim=1)
    )
    sure = net.predict_proba(X[:4])
    assert (np.diff(sure[:, 1]) > 0).all()
    np.testing.assert_allclose(sure.sum(axis=1), 1)


def test_another_nonlinearity_is_obeyed(toy):
    """Whoever sets it wants what it says: with None, the logits themselves."""
    X, y = toy
    net = quick(ANNClassifier, max_epochs=1, predict_nonlinearity=None).fit(X, y)
    np.testing.assert_array_equal(net.predict_proba(X[:4]), net.forward(X[:4]).numpy())


def test_set_params_after_fit_waits_for_the_next_fit(toy):
    """Setting a parameter of a scikit-learn estimator keeps what it has learnt."""
    X, y = toy
    classifier = quick(CNNClassifier).fit(X, y)
    before = classifier.predict_proba(X)
    classifier.set_params(module__dropout=0.5, optimizer__weight_decay=0.1, max_epochs=1)
    np.testing.assert_array_equal(classifier.predict_proba(X), before)
    classifier.fit(X, y)
    assert classifier.module_.layers[-2].p == 0.5
    assert classifier.optimizer_.param_groups[0]["weight_decay"] == 0.1
    assert classifier.get_params()["optimizer__weight_decay"] == 0.1
    assert "module__dropout=0.5" in repr(classifier)
    assert len(classifier.__repr__(N_CHAR_MAX=40)) == 40


def test_partial_fit_and_warm_start_go_on(toy):
    """Training can be continued, and only with what the network knows."""
    X, y = toy
    classifier = quick(ANNClassifier, max_epochs=2)
    classifier.partial_fit(X[::2], y[::2], classes=["cross", "square"])
    weight = classifier.module_.layers[1].weight
    classifier.partial_fit(X, y)
    assert classifier.module_.layers[1].weight is weight
    assert len(classifier.history_) == 4
    assert classifier.history_[-1, "train_loss"] < classifier.history_[-2, "train_loss"]
    classifier.set_params(warm_start=True).fit(X, y)
    assert classifier.module_.layers[1].weight is weight
    with pytest.raises(ValueError, match=r"labels of the first fit.*got also.*circle"):
        classifier.partial_fit(X, np.where(y == "cross", "circle", y))
    with pytest.raises(ValueError, match=r"needs images of every class.*got none of.*square"):
        quick(ANNClassifier, class_weight="balanced").partial_fit(X[::2], y[::2], classes=["cross", "square"])
    assert classifier.set_params(warm_start=False).fit(X, y).module_.layers[1].weight is not weight


def test_train_split_scores_string_labels(toy, capsys):
    """A user who asks for skorch's validation gets its accuracy, although labels are encoded inside."""
    X, y = toy
    classifier = quick(ANNClassifier, train_split=ValidSplit(2, stratified=True), verbose=1).fit(X, y)
    assert classifier.history_[-1, "valid_acc"] == 1
    assert "valid_acc" in capsys.readouterr().out


def noisy(n=60):
    """Images of two classes that a network can only memorise, so that its validation loss soon rises."""
    rng = np.random.RandomState(0)
    return rng.randint(0, 256, (n, 8, 8)).astype(np.uint8), rng.randint(0, 2, n)


@pytest.mark.parametrize("cls", SMALL)
def test_early_stopping_keeps_the_weights_of_the_best_epoch(cls):
    """A network must not go on to memorise, and the last epochs are by definition not the best."""
    (X, y), (X_val, y_val) = (part for part in zip(*(np.split(part, [40]) for part in noisy()), strict=True))
    classifier = quick(cls, early_stopping=True, n_iter_no_change=3, max_epochs=100, lr=0.01, device="auto")
    classifier.fit(X, y, X_val=X_val, y_val=y_val)
    losses = classifier.history_[:, "valid_log_loss"]
    assert len(losses) < 100
    assert int(np.argmin(losses)) == len(losses) - 4
    probabilities = classifier.predict_proba(X_val)[np.arange(20), y_val]
    by_class = [-np.log(probabilities[y_val == label]).mean() for label in (0, 1)]
    assert np.mean(by_class) == pytest.approx(min(losses), rel=1e-4)


def test_validation_images_are_not_trained_on(toy):
    """Only what is fitted on may change the weights."""
    X, y = toy
    alone = quick(CNNClassifier).fit(X, y)
    validated = quick(CNNClassifier).fit(X, y, X_val=X[:7], y_val=y[:7])
    np.testing.assert_array_equal(alone.predict_proba(X), validated.predict_proba(X))
    assert validated.history_[-1, "valid_acc"] == np.mean(validated.predict(X[:7]) == y[:7])


def test_validation_images_pass_by_the_sampler_of_a_pipeline(toy):
    """Behind a sampler, real images alone say when to stop."""
    X, y = toy
    seen = []

    class Spy(BatchwiseDataset):
        def __init__(self, X, *args, **kwargs):
            super().__init__(X, *args, **kwargs)
            seen.append(len(X))

    pipeline = make_pipeline(RandomOverSampler(), quick(ANNClassifier, image_shape=(8, 8), dataset=Spy))
    rows = X.reshape(40, 64)
    few = np.r_[np.arange(0, 30, 2), 1, 3, 5]
    pipeline.fit(rows[few], y[few], annclassifier__X_val=rows[30:], annclassifier__y_val=y[30:])
    assert seen == [30, 10]


@pytest.mark.parametrize(
    ("params", "validation", "message"),
    [
        ({"early_stopping": True}, {}, r"early_stopping=True needs validation images.*X_val and y_val"),
        ({}, {"X_val": np.zeros((2, 8, 8), np.uint8)}, r"must be given together; got no y_val"),
        ({}, {"y_val": ["cross"]}, r"must be given together; got no X_val"),
        ({}, {"X_val": np.zeros((2, 9, 8), np.uint8), "y_val": ["cross"] * 2}, r"X_val must hold images of the shape"),
        ({}, {"X_val": np.zeros((1, 8, 8), np.uint8), "y_val": ["circle"]}, r"y_val must hold labels of the first fit"),
        ({}, {"X_val": np.zeros((2, 8, 8), np.uint8), "y_val": ["cross"]}, r"inconsistent numbers of samples"),
    ],
)
def test_bad_validation_images_are_named(params, validation, message, toy):
    with pytest.raises(ValueError, match=message):
        quick(ANNClassifier, **params).fit(*toy, **validation)


def interrupt_at_step(monkeypatch, n_steps):
    """Let Ctrl-C end training in its update number `n_steps`."""
    train_step, calls = NeuralNet.train_step, []

    def step(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == n_steps:
            raise KeyboardInterrupt
        return train_step(self, *args, **kwargs)

    monkeypatch.setattr(NeuralNet, "train_step", step)


@pytest.mark.parametrize("cls", SMALL)
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("is_flushed", [False, True])
def test_killed_training_goes_on_to_the_same_weights(cls, early_stopping, is_flushed, toy, tmp_path, monkeypatch):
    """Hours of training survive a killed process, and nobody can tell from the result."""
    X, y = toy
    options = {"early_stopping": early_stopping, "max_epochs": 6, "optimizer__weight_decay": 0.01}
    validation = {"X_val": X[:9], "y_val": y[:9]} if early_stopping else {}
    undisturbed = quick(cls, **options).fit(X, y, **validation)
    with monkeypatch.context() as patch:
        interrupt_at_step(patch, 18)  # in the fourth of six epochs of five updates
        if not is_flushed:  # as where the process is killed
            patch.setattr(CheckpointKeeper, "flush", write_once())
        with pytest.raises(KeyboardInterrupt):
            quick(cls, **options, checkpoint_dir=tmp_path).fit(X, y, **validation)
    again = quick(cls, **options, checkpoint_dir=tmp_path).fit(X, y, **validation)
    assert again.history_[:, "train_loss"] == undisturbed.history_[:, "train_loss"]
    np.testing.assert_array_equal(again.predict_proba(X), undisturbed.predict_proba(X))


def write_once():
    """Return a `CheckpointKeeper.flush` that writes the first state alone."""
    flush, calls = CheckpointKeeper.flush, []

    def first_only(self):
        calls.append(1)
        if len(calls) == 1:
            flush(self)

    return first_only


def test_finished_training_is_read_and_continued(toy, tmp_path):
    """A second fit computes nothing; more epochs go on from the last."""
    X, y = toy
    first = quick(ANNClassifier, checkpoint_dir=tmp_path).fit(X, y)
    second = quick(ANNClassifier, checkpoint_dir=tmp_path).fit(X, y)
    assert second.history_[:, "dur"] == first.history_[:, "dur"]
    longer = quick(ANNClassifier, checkpoint_dir=tmp_path, max_epochs=6).fit(X, y)
    np.testing.assert_array_equal(
        longer.predict_proba(X), quick(ANNClassifier, max_epochs=6).fit(X, y).predict_proba(X)
    )
    with pytest.raises(ValueError, match=r"max_epochs must be at least 6.*got 4"):
        quick(ANNClassifier, checkpoint_dir=tmp_path).fit(X, y)
    with pytest.raises(ValueError, match=r"checkpoint_dir must be None where training goes on"):
        longer.partial_fit(X, y)


@pytest.mark.parametrize("change", ["images", "labels", "validation", "parameter", "seed"])
def test_checkpoint_of_another_training_is_refused(change, toy, tmp_path):
    """Weights of other data must never pass for those of this fit."""
    X, y = toy
    params, validation = {}, {}
    quick(ANNClassifier, checkpoint_dir=tmp_path).fit(X, y)
    if change == "images":
        X = X[::-1].copy()
    elif change == "labels":
        y = np.roll(y, 1)
    elif change == "validation":
        validation = {"X_val": X, "y_val": y}
    else:
        params = {"random_state": 1} if change == "seed" else {"lr": 0.5}
    with pytest.raises(ValueError, match="checkpoint_dir holds a training on other data or parameters"):
        quick(ANNClassifier, checkpoint_dir=tmp_path, **params).fit(X, y, **validation)


def test_epoch_size_sets_the_number_of_images_in_an_epoch(toy):
    """Trainings on more and on fewer images can be made of one length."""
    X, y = toy
    for size in (10, 100):
        classifier = quick(ANNClassifier, iterator_train__epoch_size=size).fit(X, y)
        assert sum(classifier.history_[0, "batches", :, "train_batch_size"]) == size
    loader = TrainingLoader(BatchwiseDataset(np.arange(40), to_tensor=torch.from_numpy), batch_size=5, epoch_size=60)
    assert np.bincount(torch.cat([batch for batch, _ in loader]), minlength=40).min() == 1


def test_cnn_without_normalisation_and_pooling_sees_places():
    """Global pooling cannot tell where something is; dense layers on the flattened map can."""
    left, right = torch.zeros(2, 1, 16, 16).unbind()
    left[:, 4:8, 2:6], right[:, 4:8, 10:14] = 1, 1
    torch.manual_seed(0)
    pooled = CNNModule((1, 16, 16), 2, widths=(4,), norm=None, dropout=0.0)
    flat = CNNModule((1, 16, 16), 2, widths=(4,), norm=None, global_pooling=False, hidden_units=(8,), dropout=0.0)
    assert torch.allclose(pooled(left[None]), pooled(right[None]))
    assert not torch.allclose(flat(left[None]), flat(right[None]))
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in flat.layers)
    assert CNNModule((3, 9, 13), 5, global_pooling=False)(torch.zeros(2, 3, 9, 13)).shape == (2, 5)
    with pytest.raises(ValueError, match="norm must be 'batch' or None; got 'layer'"):
        CNNModule((1, 16, 16), 2, norm="layer")


def test_value_range_scales_to_0_and_1(toy):
    """As the documentation of value_range says."""
    X, y = toy
    classifier = quick(ANNClassifier, value_range=(-255, 255), max_epochs=1).fit(X, y)
    images = classifier.image_format_.to_tensor(np.array([[[0] * 8] * 8, [[255] * 8] * 8], dtype=np.uint8))
    assert images.unique().tolist() == [0, 1]


def test_silent_by_default(toy, capsys):
    """A grid search of hundreds of fits must not print."""
    X, y = toy
    quick(ANNClassifier).fit(X, y).fit(X, y).predict(X)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == ""


@pytest.mark.parametrize(
    ("module", "shape"),
    [(ANNModule, (1, 8, 8)), (CNNModule, (2, 8, 13)), (DenseNet121Module, (1, 8, 8)), (DenseNet121Module, (4, 40, 33))],
)
def test_gradients_reach_every_parameter(module, shape):
    """A layer left out of forward would train nothing and say nothing."""
    network = module(shape, 3)
    network(torch.randn(4, *shape)).logsumexp(dim=1).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in network.parameters())


@pytest.mark.parametrize(
    "params",
    [
        {"batch_size": np.int64(8)},
        {"batch_size": np.int64(-1)},
        {"max_epochs": np.int64(2), "lr": np.float32(1e-2)},
        {"optimizer__betas": (np.float32(0.5), np.float64(0.9)), "optimizer__amsgrad": np.True_},
        {"iterator_train__drop_last": np.True_, "iterator_train__batch_size": np.int32(8)},
        {"module__dropout": np.float32(0.25), "random_state": np.int64(0), "verbose": np.False_},
        {"image_shape": (np.int64(8), np.int64(8)), "value_range": (np.int64(0), np.float32(255))},
    ],
    ids=lambda params: next(iter(params)),
)
def test_numpy_scalars_are_taken_for_pythons_numbers(params, toy):
    """A ParameterGrid over arrays holds them, and torch refuses them at the bottom of a stack of calls."""
    X, y = toy
    plain = {
        name: [v.item() for v in value] if isinstance(value, tuple) else value.item() for name, value in params.items()
    }
    expected = quick(ANNClassifier, **plain).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(quick(ANNClassifier, **params).fit(X, y).predict_proba(X), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (5, "X must be"),
        (np.zeros((4, 3), complex), "X must be .*Complex data not supported"),
        (torch.zeros(4, 3, requires_grad=True), "X must be readable"),
        (np.array([["x", 1, 2]] * 4, dtype=object), "X must be a numeric array"),
        ([0, 1, 0, 1], "X must be .*labels belong into y"),
        (Image.new("L", (8, 8)), "X must be .*got Image"),
    ],
    ids=["number", "complex", "gradients", "text", "labels", "picture"],
)
@pytest.mark.parametrize("image_shape", [None, "row"], ids=["features", "rows"])
def test_bad_tables_are_named_at_fit_and_predict(X, message, image_shape):
    """As bad images are."""
    with pytest.raises(ValueError, match=message):
        quick(ANNClassifier, image_shape=image_shape).fit(X, [0, 1, 0, 1])
    fitted = quick(ANNClassifier, max_epochs=1, image_shape=image_shape).fit(np.random.rand(4, 3), [0, 1, 0, 1])
    with pytest.raises(ValueError, match=message):
        fitted.predict(X)
    if image_shape is None:
        with pytest.raises(ValueError, match=r"X must hold 3 features a row, as at fit; got shape \(4, 3, 3\)"):
            fitted.predict(np.zeros((4, 3, 3)))
