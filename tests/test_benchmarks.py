"""The benchmark: what it measures, what it keeps, and what it does when something goes wrong."""

import importlib.metadata
import json
import os
from dataclasses import replace

import grid
import numpy as np
import pandas as pd
import pipelines
import pytest
import report
import run
import sources
import torch
from metrics import class_scores, evaluate, roc_auc
from PIL import Image
from pipelines import Embedding, choose_embeddings
from presets import PRESETS
from sklearn.svm import SVC
from sklearn.utils import Bunch
from skorch import NeuralNet
from torchvision.models import ResNet18_Weights
from torchvision.models.resnet import ResNet

import gan_sampler
from gan_sampler import ConditionalDCGANOverSampler, CycleGANOverSampler, DCGANOverSampler, DeepSMOTE

TINY = replace(
    PRESETS["demo"],
    image_size=16,
    dcgan={"n_steps": 2, "batch_size": 8, "width": 8},
    deep_smote={"n_steps": 2, "batch_size": 8, "width": 4},
    cyclegan={"n_steps": 2, "width": 2, "n_blocks": 1},
    left_out=(),
    ann_epochs=1,
    cnn_epochs=1,
    densenet121_epochs=1,
    embedder_size=32,
    scratch_epochs=1,
    trees=5,
)
FROM_SCRATCH = Embedding("resnet18_finetuned", "From scratch.", None, 1)
N_DISCS, N_SQUARES = 14, 42


def toy_images(n, square, seed):
    """Discs or squares on noise."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, size=(n, 16, 16), dtype=np.uint8)
    rows, columns = np.mgrid[:16, :16]
    for image in images:
        x, y = rng.integers(5, 11, size=2)
        far = np.maximum(abs(rows - x), abs(columns - y)) if square else np.hypot(rows - x, columns - y)
        image[far <= 4] += 180
    return images


def toy_data():
    images = np.concatenate([toy_images(N_DISCS, False, 0), toy_images(N_SQUARES, True, 1)])
    return sources.Images("toy", images, np.repeat([0, 1], [N_DISCS, N_SQUARES]), ["disc", "square"])


def write_folder(folder, counts, names="image-{}.png"):
    for label, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        for number, image in enumerate(toy_images(count, label % 2 == 1, label)):
            Image.fromarray(image).save(folder / name / names.format(number))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "shapes"
    write_folder(path, {"disc": N_DISCS, "square": N_SQUARES})
    return path


@pytest.fixture
def tiny(monkeypatch):
    """Make the demo preset tiny, and embed with a network that needs no package."""
    monkeypatch.setitem(PRESETS, "demo", TINY)
    monkeypatch.setattr(grid, "choose_embeddings", lambda *_: (FROM_SCRATCH,))


@pytest.fixture
def no_figures(monkeypatch):
    """Spare the seconds that drawing takes where figures are not the matter."""
    monkeypatch.setattr(report, "draw_figures", lambda *_: {})


@pytest.fixture
def make_experiment(tmp_path, tiny):
    def make(data=None, preset=TINY, out="out", **options):
        return grid.Experiment(data or toy_data(), preset, tmp_path / out, device="cpu", **options)

    return make


def cells_of(experiment, samplers, classifiers, seeds=(0,)):
    splits = grid.make_splits(experiment.data, seeds)
    return grid.make_cells(splits, samplers, classifiers, experiment.embeddings)


def count_calls(monkeypatch, owner, name):
    """Note every call of a method, with the size of its first argument, before doing what it does."""
    calls, original = [], getattr(owner, name)

    def counted(self, *args, **kwargs):
        calls.append(len(args[0]) if hasattr(args[0], "__len__") else args[0])
        return original(self, *args, **kwargs)

    monkeypatch.setattr(owner, name, counted)
    return calls


# Metrics


def test_metrics_equal_hand_computed_values():
    """Everything in the tables comes from here, so the numbers are worked out by hand once."""
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.3, 0.7]])
    found = evaluate(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), scores, np.array([0, 1]), minority=1)
    assert found == pytest.approx(
        {
            "precision_weighted": 0.75 * 1 + 0.25 * 0.5,
            "recall_weighted": 0.75,
            "f1_weighted": 0.75 * 0.8 + 0.25 * 2 / 3,
            "precision_minority": 0.5,
            "recall_minority": 1.0,
            "f1_minority": 2 / 3,
            "balanced_accuracy": (2 / 3 + 1) / 2,
            "accuracy": 0.75,
            "geometric_mean": (2 / 3) ** 0.5,
            "roc_auc": 2 / 3,
            "average_precision": 0.5,
        }
    )


def test_minority_metrics_follow_the_rarest_class_when_it_is_the_first():
    """On the chest X-rays the rare class is label 0; taking label 1 would score the wrong one."""
    y_true = np.array([0, 1, 1, 1])
    scores = np.array([[0.9, 0.1], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
    found = evaluate(y_true, np.array([0, 1, 1, 0]), scores, np.array([0, 1]), minority=0)
    assert found["precision_minority"] == 0.5
    assert found["recall_minority"] == 1.0
    assert found["average_precision"] == 1.0


def test_roc_auc_of_many_classes_takes_scores_that_are_no_probabilities():
    """A support vector machine gives none, and ranks are all that a ROC curve needs."""
    y_true = np.array([0, 0, 1, 2])
    scores = np.array([[5.0, -1, -1], [4, 3, 2], [1, 2, 9], [2, 0, 3]])
    # Against the rest: class 0 ranks perfectly, class 1 beats two of three, class 2 two of three.
    assert roc_auc(y_true, scores, np.arange(3)) == pytest.approx((2 * 1 + 2 / 3 + 2 / 3) / 4)


def test_areas_are_nan_when_the_test_images_hold_one_class():
    """There is no curve then, and 0 or 1 would be a made-up score."""
    found = evaluate(np.zeros(3, int), np.zeros(3, int), np.ones((3, 2)), np.array([0, 1]), minority=1)
    assert np.isnan(found["roc_auc"])
    assert np.isnan(found["average_precision"])


def test_scores_have_a_column_for_each_class():
    """The decision function of two classes is one number; the sign must go to the right class."""
    X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([4, 4, 7, 7])
    scores = class_scores(SVC().fit(X, y), X)
    assert scores.shape == (4, 2)
    assert (scores.argmax(axis=1) == [0, 0, 1, 1]).all()


def test_roc_auc_sees_what_softmax_rounds_away():
    """A sure network gives many images a probability of 1 in float32, and the other class's still tells them apart."""

    class Sure:
        def predict_proba(self, X):
            return torch.softmax(torch.stack([X, -X], dim=1), dim=1).numpy()

    logits = torch.tensor([9.0, 10, 11, 12, 13, 14])
    assert (Sure().predict_proba(logits)[2:, 0] == 1).all()
    scores = class_scores(Sure(), logits)
    y_true = np.array([1, 1, 1, 0, 0, 0])
    assert roc_auc(y_true, scores, np.arange(2)) == 1


# Splits


def test_no_patient_is_in_training_and_test():
    """Two images of one patient are nearly copies; torn apart they make any classifier look good."""
    data = replace(toy_data(), groups=np.arange(N_DISCS + N_SQUARES) // 2)
    for split in grid.make_splits(data, [0, 1], None) + grid.make_splits(data, [0], 4):
        assert not set(data.groups[split.train]) & set(data.groups[split.test])
        assert set(data.target[split.test]) == {0, 1}


def test_official_split_is_used_and_its_validation_images_are_left_out():
    """Numbers are compared with others' on the same test images."""
    parts = np.array(["train", "val", "test", "train"] * 14)
    splits = grid.make_splits(replace(toy_data(), split=parts), [3, 4])
    assert [(split.name, split.seed) for split in splits] == [("official", 3), ("official", 4)]
    assert set(parts[splits[0].train]) == {"train"}
    assert set(parts[splits[0].test]) == {"test"}


def test_folds_test_every_image_once():
    """Cross-validation promises that."""
    data = replace(toy_data(), split=np.array(["train", "test"] * 28))
    tested = np.concatenate([split.test for split in grid.make_splits(data, [0], 3)])
    assert sorted(tested) == list(range(N_DISCS + N_SQUARES))


def test_random_split_keeps_a_stratified_quarter_and_differs_between_seeds():
    """The spread over seeds is to show what other test images would have given."""
    first, second = grid.make_splits(toy_data(), [0, 1])
    assert len(first.test) == 14
    assert 3 <= (toy_data().target[first.test] == 0).sum() <= 4
    assert set(first.test) != set(second.test)


# Pipelines


@pytest.mark.parametrize(("words", "expected"), [([], 40), (["--max-images", "30"], 30), (["--data", "FOLDER"], None)])
def test_a_presets_part_of_the_data_is_taken_of_its_own_data_alone(words, expected, folder, monkeypatch, tmp_path):
    """Who names data wants all of it."""
    asked = []
    monkeypatch.setitem(PRESETS, "demo", replace(TINY, max_images=40))
    monkeypatch.setattr(grid, "choose_embeddings", lambda *_: (FROM_SCRATCH,))
    monkeypatch.setattr(sources, "load", lambda *_, max_images, **__: asked.append(max_images) or toy_data())
    words = [str(folder) if word == "FOLDER" else word for word in words]
    run.prepare(run.make_parser().parse_args([*words, "--device", "cpu", "--out", str(tmp_path)]))
    assert asked == [expected]


def test_a_threshold_is_tuned_for_two_classes_alone():
    """The default leaves it out where it cannot be; who asks for it is told."""
    assert set(pipelines.SAMPLERS) - set(run._choose_samplers(None, PRESETS["demo"], n_classes=2)) == {"cyclegan"}
    assert "threshold" not in run._choose_samplers(None, TINY, n_classes=3)
    with pytest.raises(ValueError, match="--samplers threshold needs data of two classes; got 3"):
        run._choose_samplers(["none", "threshold"], TINY, n_classes=3)


def test_minority_can_be_thinned_for_training_alone():
    """Other images for other seeds; testing and the other class keep theirs."""
    data = toy_data()
    first, second = (grid.thin_minority(split, data.target, 5) for split in grid.make_splits(data, [0, 1]))
    (whole,) = grid.make_splits(data, [0])
    assert (data.target[first.train] == 0).sum() == 5
    left_out = set(whole.train) - set(first.train)
    assert set(first.train) <= set(whole.train)
    assert {int(data.target[row]) for row in left_out} == {0}
    np.testing.assert_array_equal(first.test, whole.test)
    assert set(first.train) != set(second.train)
    with pytest.raises(ValueError, match=r"--n-minority must be at most .* got 500"):
        grid.thin_minority(whole, data.target, 500)


@pytest.mark.parametrize("classifier", ["ann", "cnn", "densenet121"])
def test_networks_see_equally_many_images_whatever_the_sampler(make_experiment, classifier, monkeypatch):
    """Else a sampler that makes more of them would win by training longer; whole epochs would be too coarse."""
    experiment, seen, n_seen = make_experiment(), [], []
    step = NeuralNet.train_step

    def counted(self, batch, **params):
        seen.append(len(batch[1]))
        return step(self, batch, **params)

    monkeypatch.setattr(NeuralNet, "train_step", counted)
    for cell in cells_of(experiment, ["none", "random", "dcgan_fair"], [classifier]):
        train = cell.split.train
        experiment.pipeline(cell).fit(experiment.data.images[train], experiment.data.target[train])
        n_seen.append(sum(seen))
        seen.clear()
    n_common = (experiment.data.target[train] == 1).sum()
    assert n_seen == [2 * n_common] * 3

    as_long = experiment.preset = replace(TINY, ann_epochs=6, equal_length=False)
    cell = cells_of(experiment, ["none"], ["ann"])[0]
    assert experiment.pipeline(cell).named_steps["classifier"].max_epochs == as_long.ann_epochs


def test_folds_of_a_tuned_threshold_train_for_as_many_passes():
    """A threshold tuned on networks that were trained for longer would be another network's."""
    X, y = toy_data().images, toy_data().target
    network = gan_sampler.ANNClassifier(device="cpu", random_state=0)
    final = pipelines.EqualLength(network, n_images=np.int64(90), n_train=len(X)).fit(X[::2], y[::2])
    assert final.network_.get_params()["iterator_train__sampler"].num_samples == 45
    experiment_preset = replace(TINY, ann_epochs=3)
    built = pipelines.build_pipeline("threshold", "ann", preset=experiment_preset, seed=0, y_train=y, device="cpu")
    tuned = built.named_steps["classifier"].estimator
    assert (tuned.n_images, tuned.n_train) == (3 * 2 * N_SQUARES, len(y))


def test_a_part_of_the_embedders_can_be_asked_for():
    """And a name that is none is refused with those there are."""
    other = replace(FROM_SCRATCH, name="efficientnet_lite0")
    assert run._choose_embeddings(None, (FROM_SCRATCH, other)) == [FROM_SCRATCH, other]
    assert run._choose_embeddings(["efficientnet_lite0"], (FROM_SCRATCH, other)) == [other]
    with pytest.raises(ValueError, match="--embedders must be some of resnet18_finetuned; got vgg"):
        run._choose_embeddings(["vgg"], (FROM_SCRATCH,))


def test_examples_are_synthetic_images_and_copies_are_not_counted_as_such():
    """With synthetic images in every class, copies of real ones come first."""
    X, y = toy_data().images, toy_data().target
    sampler = pipelines.RecordedSampler(
        DCGANOverSampler(n_steps=1, width=2, synthetic_classes="all", synthetic_ratio=0.5, random_state=0)
    )
    X_resampled, _ = sampler.fit_resample(X, y)
    largest = max(sampler.counts_before_.values())
    assert sampler.n_synthetic_ == 2 * round(0.5 * largest)
    real = {image.tobytes() for image in X}
    assert not any(image.tobytes() in real for image in sampler.examples_[: round(0.5 * largest)])
    assert len(X_resampled) == 2 * largest + sampler.n_synthetic_


@pytest.mark.parametrize(
    ("sampler", "names"),
    [
        ("none", ["embedder", "classifier"]),
        ("class_weight", ["embedder", "classifier"]),
        ("threshold", ["embedder", "classifier"]),
        ("dcgan", ["sampler", "embedder", "classifier"]),
        ("dcgan_fair", ["sampler", "embedder", "classifier"]),
        ("augmentation", ["sampler", "embedder", "classifier"]),
        ("smote", ["embedder", "sampler", "classifier"]),
        ("adasyn", ["embedder", "sampler", "classifier"]),
    ],
)
def test_samplers_of_images_come_before_the_embedder_and_those_of_features_after(make_experiment, sampler, names):
    """SMOTE between two images is a double exposure; between two feature vectors it is what SMOTE was made for."""
    experiment = make_experiment()
    pipeline = experiment.pipeline(cells_of(experiment, [sampler], ["svm"])[0])
    assert list(pipeline.named_steps) == names
    classifier = pipeline.named_steps["classifier"]
    if sampler == "threshold":
        assert classifier.scoring == "balanced_accuracy"
        classifier = classifier.estimator
    assert classifier.class_weight == ("balanced" if sampler == "class_weight" else None)


def test_report_preset_trains_its_gan_for_a_hundred_epochs():
    """42 batches of 32 hold 1,341 images, and the student report trained on each a hundred times."""
    assert PRESETS["report"].dcgan_parameters(1341)["n_steps"] == 4200
    assert PRESETS["demo"].dcgan_parameters(1341) == PRESETS["demo"].dcgan


@pytest.mark.parametrize("name", PRESETS)
def test_presets_hold_parameters_that_the_sampler_has(name):
    """A preset that only fails after an hour of other cells is no preset."""
    DCGANOverSampler(**PRESETS[name].dcgan_parameters(100))._validate_params()
    ConditionalDCGANOverSampler(**PRESETS[name].dcgan_parameters(100))._validate_params()
    DeepSMOTE(**PRESETS[name].deep_smote)._validate_params()
    CycleGANOverSampler(**PRESETS[name].cyclegan)._validate_params()


def test_embedders_follow_what_is_at_hand(tmp_path, monkeypatch):
    """Frozen ImageNet weights where they lie, else a packaged network beside ResNet18 from scratch, else that alone."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(pipelines.importlib.util, "find_spec", lambda name: object())
    assert [e.name for e in choose_embeddings(TINY)] == ["efficientnet_lite0", "resnet18_finetuned"]

    monkeypatch.setattr(pipelines.importlib.util, "find_spec", lambda name: None)
    assert [e.name for e in choose_embeddings(TINY)] == ["resnet18_finetuned"]

    (given,) = choose_embeddings(TINY, "file.pth")
    assert (given.name, given.weights, given.fine_tune_epochs) == ("resnet18", "file.pth", 0)

    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / ResNet18_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[-1]).touch()
    (cached,) = choose_embeddings(PRESETS["report"])
    assert (cached.weights, cached.fine_tune_epochs) == ("IMAGENET1K_V1", 3)
    assert "fine-tuned for 3 epochs" in cached.about


def test_packaged_embedder_can_be_made():
    """Its constructor is only reached where ResNet18's weights are missing."""
    embedder = pipelines.make_embedder(Embedding("efficientnet_lite0", ""), preset=TINY, seed=0)
    assert embedder.input_size == 32


# Keys


def test_key_changes_with_everything_that_can_change_a_result(make_experiment, monkeypatch):
    """A stale cell that passes for a fresh one would be a wrong number in a table."""
    experiment = make_experiment()
    cells = cells_of(experiment, ["none", "dcgan"], ["tree", "ann"], seeds=(0, 1))
    keys = {experiment.key(cell) for cell in cells}
    assert len(keys) == len(cells)

    other_data = toy_data()
    other_data.images[0, 0, 0] += 1
    other_labels = toy_data()
    other_labels.target[0] = 1
    longer = replace(TINY, dcgan={**TINY.dcgan, "n_steps": 3})
    cell = next(cell for cell in cells if cell.sampler == "dcgan" and cell.classifier == "tree")
    key = experiment.key(cell)
    assert make_experiment(other_data).key(cell) != key
    assert make_experiment(other_labels).key(cell) != key
    assert make_experiment(preset=longer).key(cell) != key
    assert make_experiment(preset=replace(TINY, scratch_epochs=2)).key(cell) == key  # the embedding is the cell's
    tuned_longer = replace(cell, embedding=replace(FROM_SCRATCH, fine_tune_epochs=2))
    assert experiment.key(tuned_longer) != key
    monkeypatch.setattr(gan_sampler, "__version__", "999")
    assert experiment.key(cell) != key


def test_key_ignores_place_device_and_verbosity(make_experiment):
    """A results folder may be moved, and finished on another machine."""
    experiment, other = make_experiment(), make_experiment(out="elsewhere", verbose=1)
    other.device = "cuda"
    for cell in cells_of(experiment, pipelines.SAMPLERS, pipelines.CLASSIFIERS):
        assert experiment.key(cell) == other.key(cell)
        assert "0x" not in json.dumps(pipelines.describe(experiment.pipeline(cell)))


def test_given_weights_count_by_content_not_by_name(make_experiment, tmp_path, monkeypatch):
    """A file of weights that is trained anew under its old name must not be answered from old cells."""
    monkeypatch.setattr(grid, "choose_embeddings", choose_embeddings)
    file, keys = tmp_path / "weights.pth", []
    for content in (b"old", b"new", b"new"):
        file.write_bytes(content)
        experiment = make_experiment(resnet18_weights=file)
        keys.append(experiment.key(cells_of(experiment, ["none"], ["svm"])[0]))
    assert keys[0] != keys[1] == keys[2]


# Running


def test_gan_is_trained_once_per_split_and_seed(make_experiment, monkeypatch):
    """It is the dearest step, and all classifiers must see the same synthetic images."""
    trainings = count_calls(monkeypatch, DCGANOverSampler, "fit_resample")
    experiment = make_experiment()
    records = [experiment.run(cell) for cell in cells_of(experiment, ["dcgan"], ["tree", "ann"], seeds=(0, 1))]
    assert [record["error"] for record in records] == [None] * 4
    assert len(trainings) == 2
    for record in records:
        assert record["n_synthetic"] == record["class_counts"]["1"] - record["class_counts"]["0"] > 0
        assert record["n_train_resampled"] == 2 * record["class_counts"]["1"]


def test_samplers_that_train_the_same_gan_train_it_once(make_experiment, monkeypatch):
    """Synthetic images of every class need the generator of the rare class too, which is hours on real images."""
    started, train = [], DCGANOverSampler._train

    def noted(self, networks, images, **how):
        resumed = how["checkpoint"].read()
        started.append((len(images), 0 if resumed is None else resumed[1]["step"]))
        return train(self, networks, images, **how)

    monkeypatch.setattr(DCGANOverSampler, "_train", noted)
    experiment = make_experiment()
    for cell in cells_of(experiment, ["dcgan", "dcgan_fair"], ["ann"]):
        assert experiment.run(cell)["error"] is None
    n_rare, n_common = started[0][0], started[-1][0]
    assert n_rare < n_common
    assert started == [(n_rare, 0), (n_rare, TINY.dcgan["n_steps"]), (n_common, 0)]


def test_samplers_share_no_gan_where_only_some_classes_have_colour(make_experiment):
    """Then the two learn different images, with and without colour."""
    data = toy_data()
    images = np.repeat(data.images[..., None], 3, axis=-1)
    images[N_DISCS:, ..., 2] //= 2
    experiment = make_experiment(replace(data, images=images))
    records = [experiment.run(cell) for cell in cells_of(experiment, ["dcgan", "dcgan_fair"], ["ann"])]
    assert [record["error"] for record in records] == [None, None]


def test_no_image_is_embedded_twice(make_experiment, monkeypatch):
    """Classifiers and samplers of features share the embedded images, those for testing too."""
    experiment = make_experiment()
    first, *others = cells_of(experiment, ["none", "class_weight", "random", "smote"], ["tree", "svm"])
    embedded, forward = [], ResNet.forward

    def count_embedded(self, images):
        if not self.training:  # fine-tuning, which is done once as well, is another matter
            embedded.append(len(images))
        return forward(self, images)

    monkeypatch.setattr(ResNet, "forward", count_embedded)
    assert experiment.run(first)["error"] is None
    assert sum(embedded) == N_DISCS + N_SQUARES
    del embedded[:]
    assert [experiment.run(cell)["error"] for cell in others] == [None] * 7
    assert embedded == []


def test_failed_cell_is_recorded_never_scored_and_tried_again(folder, tiny, tmp_path, monkeypatch, capsys, no_figures):
    """One impossible combination must cost neither the other cells nor the truth."""
    with monkeypatch.context() as broken:

        def fail(self, X, y):
            raise RuntimeError("no luck today")

        broken.setattr(DCGANOverSampler, "fit_resample", fail)
        words = ["--data", str(folder), "--samplers", "dcgan", "none", "--classifiers", "ann", "--seeds", "0"]
        words += ["--device", "cpu", "--out", str(tmp_path)]
        assert run.main(words) == 1
    table = pd.read_csv(tmp_path / "results.csv").set_index("sampler")
    assert "RuntimeError: no luck today" in table.loc["dcgan", "error"]
    assert np.isnan(table.loc["dcgan", "balanced_accuracy"])
    assert table.loc["none", "balanced_accuracy"] >= 0
    assert "RuntimeError: no luck today" in (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "1 cells failed" in capsys.readouterr().out

    assert run.main(words) == 0
    assert pd.read_csv(tmp_path / "results.csv")["error"].isna().all()


def test_interrupted_run_leaves_a_report_and_goes_on_where_it_was(
    folder, tiny, tmp_path, monkeypatch, capsys, no_figures
):
    """Long runs get stopped; nothing that is finished may be lost or done again."""
    words = ["--data", str(folder), "--samplers", "none", "random", "--classifiers", "ann", "--seeds", "0", "1"]
    words += ["--device", "cpu", "--out", str(tmp_path)]
    computed = count_calls(monkeypatch, grid.Experiment, "_compute")
    with monkeypatch.context() as stopping:
        compute = grid.Experiment._compute

        def stop_at_third(self, cell):
            if len(computed) == 2:
                raise KeyboardInterrupt
            return compute(self, cell)

        stopping.setattr(grid.Experiment, "_compute", stop_at_third)
        assert run.main(words) == 130
    assert len(pd.read_csv(tmp_path / "results.csv")) == 2
    printed = capsys.readouterr().out
    assert "2 of 4 cells" in printed
    assert "--classifiers ann --seeds 0 1" in printed
    assert run.main(words) == 0
    assert len(computed) == 4
    assert len(pd.read_csv(tmp_path / "results.csv")) == 4


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda good: b"", "Expecting value"),
        (lambda good: good[: len(good) // 2], "Unterminated|Expecting"),
        (lambda good: b"\xff\xfe\x00", "decode"),
        (lambda good: b"[1, 2]", "no key, metrics and error"),
        (lambda good: good.replace(b'"key": "', b'"key": "0', 1), "its key is 0"),
    ],
    ids=["empty", "truncated", "binary", "foreign", "of another cell"],
)
def test_cell_file_that_cannot_be_used_is_named_kept_and_computed_again(make_experiment, content, reason):
    """One bad file must not stop all later runs, nor vanish without a word."""
    experiment = make_experiment()
    (cell,) = cells_of(experiment, ["none"], ["ann"])
    record = experiment.run(cell)
    file = experiment._cell_file(cell)
    bad = content(file.read_bytes())
    file.write_bytes(bad)
    with pytest.warns(UserWarning, match=rf"{file.name} is no record of none > ann.*({reason})"):
        assert experiment.find(cell) is None
    assert file.with_name(f"{file.name}.damaged").read_bytes() == bad
    assert experiment.run(cell)["metrics"] == record["metrics"]
    assert experiment.find(cell)["metrics"] == record["metrics"]


def test_run_stopped_before_its_first_cell_says_how_to_start_again(folder, tiny, tmp_path, monkeypatch, capsys):
    """There is nothing to report then, and a traceback would only alarm."""

    def stop(self, cell):
        raise KeyboardInterrupt

    monkeypatch.setattr(grid.Experiment, "run", stop)
    assert run.main(["--data", str(folder), "--samplers", "none", "--out", str(tmp_path)]) == 130
    assert "To start again" in capsys.readouterr().out


def test_killed_write_leaves_the_old_file(tmp_path):
    """Half a record would stop every later run."""
    file = tmp_path / "cell.json"
    file.write_text("old", encoding="utf-8")

    def write_half():
        with grid._atomic(file) as temporary:
            temporary.write_text("ne", encoding="utf-8")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        write_half()
    assert file.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_writers_of_one_file_do_not_share_a_temporary_one(tmp_path):
    """Two runs on one folder, on two machines or in two threads, must not write into each other's half file."""
    file = tmp_path / "cell.json"
    with grid._atomic(file) as first, grid._atomic(file) as second:
        first.write_text("first", encoding="utf-8")
        second.write_text("second", encoding="utf-8")
    assert file.read_text(encoding="utf-8") == "first"  # the last to end
    assert list(tmp_path.iterdir()) == [file]


def test_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """Else a loss of power leaves an empty file under the right name."""
    done = []
    monkeypatch.setattr(grid.os, "fsync", lambda handle: done.append(os.fstat(handle).st_size))
    rename = os.replace
    monkeypatch.setattr(grid.os, "replace", lambda *paths: (done.append("replace"), rename(*paths)))
    with grid._atomic(tmp_path / "cell.json") as temporary:
        temporary.write_text("record", encoding="utf-8")
    assert done == [6, "replace"]


# The whole


N_CELLS = len(pipelines.SAMPLERS) * 2  # classifiers


@pytest.fixture(scope="module")
def finished(folder, tmp_path_factory):
    """A finished run of every sampler with a classifier of features and one of images."""
    out = tmp_path_factory.mktemp("run")
    words = ["--data", str(folder), "--classifiers", "svm", "ann", "--seeds", "0", "--device", "cpu"]
    words += ["--out", str(out)]
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setitem(PRESETS, "demo", TINY)
        monkeypatch.setattr(grid, "choose_embeddings", lambda *_: (FROM_SCRATCH,))
        assert run.main(words) == 0
    return out, words


def test_run_writes_a_row_for_every_cell(finished):
    """The table is what people compute with."""
    out, _ = finished
    table = pd.read_csv(out / "results.csv")
    assert len(table) == N_CELLS
    assert not table.duplicated(["sampler", "classifier", "seed"]).any()
    assert table["error"].isna().all()
    assert table["balanced_accuracy"].between(0, 1).all()
    assert set(table.loc[table["classifier"] == "ann", "embedder"].isna()) == {True}
    made = table.set_index("sampler")["n_synthetic"]
    assert (made[["none", "class_weight", "threshold", "random"]] == 0).all()
    assert (made[["smote", "augmentation", "deep_smote", "dcgan", "dcgan_fair", "conditional", "cyclegan"]] > 0).all()
    assert (table.loc[table["sampler"] == "random", "n_train_resampled"] > 42).all()


def test_summary_tells_all_that_a_number_needs(finished):
    """A mean without counts, command and versions cannot be checked."""
    out, words = finished
    summary = (out / "summary.md").read_text(encoding="utf-8")
    assert f"--seeds 0 --device cpu --out {words[-1]}" in summary
    assert "56 images of 16 x 16; rarest class in training, and the positive one below: disc" in summary
    assert "Test images: 14 (disc" in summary
    assert f"torch {importlib.metadata.version('torch')}" in summary
    assert "`resnet18_finetuned`: From scratch." in summary
    assert f"{N_CELLS} of {N_CELLS} cells" in summary
    assert "Did DCGAN help?" in summary
    assert "student report" not in summary
    for label in report.METRIC_LABELS.values():
        assert f"### {label}" in summary


@pytest.mark.parametrize("name", ["roc", "metrics", "classes", "synthetic", "real_and_synthetic"])
def test_figures_are_drawn(finished, name):
    """A blank figure is worse than none."""
    pixels = np.asarray(Image.open(finished[0] / f"{name}.png").convert("L"))
    assert min(pixels.shape) > 400
    assert len(np.unique(pixels)) > 10


def test_second_run_computes_nothing_and_says_the_same(finished, tiny, monkeypatch):
    """Cells are kept, and the report of kept cells is the report."""
    out, words = finished
    computed = count_calls(monkeypatch, grid.Experiment, "run")
    before = (out / "results.csv").read_text(encoding="utf-8")
    (out / "roc.png").unlink()
    assert run.main(words) == 0
    assert computed == []
    assert (out / "results.csv").read_text(encoding="utf-8") == before
    assert (out / "roc.png").exists()
    assert f"computed 0 of {N_CELLS} cells" in (out / "summary.md").read_text(encoding="utf-8")


def test_three_classes_run_through(tmp_path, tiny, capsys):
    """Nothing in the report may assume two classes; the default folder carries data, preset and size."""
    write_folder(tmp_path / "shapes", {"a": 30, "b": 12, "c": 20})
    out = tmp_path / "out"
    words = ["--data", str(tmp_path / "shapes"), "--samplers", "none", "dcgan", "--classifiers", "ann"]
    assert run.main([*words, "--cv", "2", "--device", "cpu", "--seeds", "0", "--out", str(out)]) == 0
    table = pd.read_csv(out / "results.csv")
    assert set(table["split"]) == {"fold 1", "fold 2"}
    assert set(table.loc[table["sampler"] == "dcgan", "n_train_resampled"]) == {45}
    assert "Balanced accuracy" in capsys.readouterr().out


def test_default_folder_names_data_preset_and_size(folder, tiny, tmp_path, monkeypatch, no_figures):
    """Two experiments must not write over each other's reports."""
    monkeypatch.chdir(tmp_path)
    words = ["--data", str(folder), "--samplers", "none", "--classifiers", "ann", "--seeds", "0", "--device", "cpu"]
    assert run.main(words) == 0
    assert (tmp_path / "results" / "shapes-demo-16" / "summary.md").exists()


# Tables


def make_record(sampler, seed=0, classifier="svm", embedder="resnet18", **metrics):
    return {
        "sampler": sampler,
        "classifier": classifier,
        "embedder": embedder,
        "split": "official",
        "seed": seed,
        "error": None,
        "metrics": {"balanced_accuracy": None, "roc_auc": None, "average_precision": None} | metrics,
    }


def test_tables_show_mean_and_spread_and_leave_out_what_is_missing():
    """The spread is the sample standard deviation over seeds; the best mean is bold."""
    records = [make_record("none", seed, roc_auc=value) for seed, value in enumerate([0.5, 0.7])]
    records.append(make_record("dcgan", roc_auc=0.9))
    table = report.metric_table(records, "roc_auc")
    assert table.to_dict("records") == [
        {"classifier": "SVM on ResNet18", "none": "0.600 ± 0.141", "DCGAN": "**0.900**"},
    ]
    assert report.metric_table(records, "average_precision")["DCGAN"].tolist() == ["-"]


def test_duel_compares_cells_of_the_same_split_and_seed():
    """Means over different seeds would compare test sets, not samplers."""
    records = [make_record("none", seed, roc_auc=value) for seed, value in enumerate([0.5, 0.7, 0.1])]
    records += [make_record("dcgan", seed, roc_auc=value) for seed, value in enumerate([0.6, 0.6])]
    (row,) = report.duel_table(records).to_dict("records")
    assert row["DCGAN against"] == "none"
    assert row["ROC-AUC"] == "+0.000 (ahead in 1 of 2)"
    assert row["Balanced accuracy"] == "-"


def test_published_numbers_are_met_in_their_own_convention():
    """DenseNet121's row was of class PNEUMONIA alone: 390 of 510 is its precision of .7647."""
    y_true = np.repeat([0, 1], [234, 390])
    y_pred = np.repeat([0, 1, 1], [114, 120, 390])
    record = make_record("none", classifier="densenet121", embedder=None, roc_auc=0.9)
    ours = report.as_published(record | {"y_true": y_true, "y_pred": y_pred}, pneumonia=1)
    assert ours[:2] == pytest.approx(report.PUBLISHED["densenet121", "none"][:2], abs=1e-4)

    hard = {"precision_weighted": 0.1, "recall_weighted": 0.2, "f1_weighted": 0.3, "balanced_accuracy": 0.4}
    assert report.as_published(make_record("none", roc_auc=0.5, **hard), 1) == (0.1, 0.2, 0.3, 0.4)
    ann = make_record("none", classifier="ann", embedder=None, roc_auc=0.5, **hard)
    assert report.as_published(ann, 1) == (0.1, 0.2, 0.3, 0.5)


# Data and command line


def test_chest_xray_folder_gets_patients_and_the_published_table(tmp_path, tiny, no_figures, monkeypatch):
    """A folder of these names is read for its patients, and is the one the published numbers are about."""
    for part, count in (("train", 12), ("val", 1), ("test", 8)):
        write_folder(tmp_path / "xrays" / part, {"NORMAL": count}, "IM-01{:02d}-0001.png")
        write_folder(tmp_path / "xrays" / part, {"PNEUMONIA": 2 * count}, "person{}_virus_1.png")
    data = sources.load(str(tmp_path / "xrays"), image_size=16)
    assert data.groups is not None
    assert data.has_official_split
    out = tmp_path / "out"
    words = ["--data", str(tmp_path / "xrays"), "--samplers", "none", "--classifiers", "ann", "--seeds", "0"]
    assert run.main([*words, "--device", "cpu", "--out", str(out)]) == 0
    summary = (out / "summary.md").read_text(encoding="utf-8")
    assert "Beside the student report" not in summary  # as it was trained on more images
    monkeypatch.setattr(report, "PUBLISHED_N_TRAIN", 36)
    assert run.main([*words, "--device", "cpu", "--out", str(out)]) == 0
    summary = (out / "summary.md").read_text(encoding="utf-8")
    assert "Beside the student report" in summary
    assert "(0.748)" in summary


def test_grey_images_are_stored_as_three_channels_when_asked(folder):
    """The student report stored its grey images so."""
    data = sources.load(str(folder), image_size=16, grey_as_rgb=True)
    assert data.images.shape == (N_DISCS + N_SQUARES, 16, 16, 3)


def test_max_images_keeps_the_shares_of_classes_and_parts(tmp_path):
    """A part for a quick look must be imbalanced like the whole."""
    for part, count in (("train", 20), ("test", 10)):
        write_folder(tmp_path / part, {"disc": count, "square": 2 * count})
    data = sources.load(str(tmp_path), image_size=16, max_images=30)
    assert len(data.images) == 30
    assert (data.target == 0).sum() == 10
    assert (data.split == "test").sum() == 10


def test_named_sets_are_read_through_the_package(monkeypatch):
    """Which loader gets which size is all that this file decides."""
    asked = {}

    def loader(name):
        def load(*args, **options):
            asked[name] = (args, options)
            return Bunch(
                images=toy_data().images,
                target=toy_data().target,
                target_names=["a", "b"],
                groups=None,
                split=None,
            )

        return load

    for name in ("load_elpv", "fetch_chest_xray", "fetch_medmnist"):
        monkeypatch.setattr(sources.datasets, name, loader(name))
    assert sources.load("elpv", image_size=32).name == "elpv"
    assert asked["load_elpv"][1]["image_size"] == 32
    sources.load("chest_xray", image_size=64)
    assert asked["fetch_chest_xray"] == ((None,), {"image_size": 64, "verbose": 1})
    assert sources.load("medmnist:breastmnist", image_size=64).name == "breastmnist"
    assert asked["fetch_medmnist"] == (("breastmnist",), {"size": 28})
    sources.load("medmnist:breastmnist", image_size=64, size_is_asked=True)
    assert asked["fetch_medmnist"][1] == {"size": 64}


def test_digits_are_eights_against_the_rest():
    """They need no file and no download."""
    data = sources.load("digits", image_size=64)
    assert data.images.shape == (1797, 8, 8)
    assert data.images.dtype == np.uint8
    assert data.images.max() == 255
    assert data.target.sum() == 174


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--samplers", "smoke"], "invalid choice: 'smoke'"),
        (["--classifiers", "oak"], "invalid choice: 'oak'"),
        (["--data", "no-such-place"], "none of them"),
        (["--data", "digits", "--image-size", "16"], "--image-size must be 8"),
        (["--data", "digits", "--cv", "1"], "must be at least 2; got 1"),
        (["--data", "digits", "--cv", "500"], "--cv must be at most 174"),
        (["--data", "digits", "--max-images", "2"], "--max-images must be at least 4"),
        (["--data", "digits", "--max-images", "10"], "at least 4 images each; got other: 9, 8: 1"),
        (["--data", "digits", "--seeds", "x"], "invalid whole number value: 'x'"),
        (["--data", "digits", "--device", "toaster"], "device must be 'auto' or a torch device"),
        (["--data", "digits", "--resnet18-weights", "absent.pth"], "absent.pth"),
    ],
)
def test_bad_words_are_named(words, message, tmp_path, capsys):
    """A typing error must not cost an hour, nor show a traceback."""
    with pytest.raises(SystemExit) as stop:
        run.main([*words, "--out", str(tmp_path)])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_empty_folder_is_named(tmp_path, capsys):
    """The folder exists, so the message must say what it lacks."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit):
        run.main(["--data", str(tmp_path / "empty")])
    assert "empty" in capsys.readouterr().err


def test_help_shows_examples_and_presets(capsys):
    """A newcomer reads this first."""
    with pytest.raises(SystemExit):
        run.main(["--help"])
    printed = capsys.readouterr().out
    assert printed.count("python benchmarks/run.py --data") >= 2
    for name, preset in PRESETS.items():
        assert f"{name}" in printed
        assert preset.about in printed
