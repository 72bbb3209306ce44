"""One cell: what reaches which part of it, and what its record tells."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
from imblearn.under_sampling import ClusterCentroids, RandomUnderSampler
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from toy_evaluation import (
    NUMBER,
    TINY,
    Copies,
    Fails,
    Memory,
    Pixels,
    lay_out,
    numbered_noise,
    records_of,
    run,
    toy_arrays,
    toy_data,
)

from gan_sampler import ANNClassifier, AugmentationOverSampler, DCGANOverSampler
from gan_sampler.evaluation import _jobs
from gan_sampler.evaluation._jobs import (
    Cell,
    EmbedJob,
    SampleJob,
    assemble,
    best_threshold,
    find_originals,
    peak_memory,
    plain_history,
    recorded_warnings,
    thin,
    transform_in_blocks,
)
from gan_sampler.evaluation._models import Embedder
from gan_sampler.evaluation._treatments import Treatment
from gan_sampler.samplers import PixelSampler


@pytest.fixture(autouse=True)
def no_notes():
    """Forget what earlier tests made the spies note."""
    Memory.fitted_on.clear()
    Copies.fitted_on.clear()


SPIED = {
    "images": Treatment("images", "images", Copies(), "images"),
    "features": Treatment("features", "features", Copies(), "features"),
    "tuned": Treatment("tuned", "tuned", Copies(), "images", tunes_threshold=True),
    "tuned features": Treatment("tuned features", "tuned features", Copies(), "features", tunes_threshold=True),
}


def spied_rows(tmp_path):
    """Run samplers and an embedder that note the images they are fitted on, and return all of them and the split."""
    data = numbered_noise()
    evaluation = lay_out(
        data, tmp_path, samplers=SPIED, classifiers={"near": KNeighborsClassifier(3)}, embedders={"m": Memory()}
    )
    assert all(record["error"] is None for record in run(evaluation).values())
    return Copies.fitted_on, Memory.fitted_on, evaluation.cells[0].split


def test_no_test_image_reaches_a_sampler_an_embedder_or_a_threshold(tmp_path, monkeypatch):
    """The whole point; every part notes which images it is fitted on."""
    tuned_on, tune = [], Cell.inner_splits

    def noted(cell, context):
        splits = tune(cell, context)
        tuned_on.extend(set(split.train.tolist()) | set(split.test.tolist()) for split in splits)
        return splits

    monkeypatch.setattr(Cell, "inner_splits", noted)
    by_samplers, by_embedders, split = spied_rows(tmp_path)
    for fitted_on in (by_samplers, by_embedders, tuned_on):
        assert fitted_on
        assert not set.union(*fitted_on) & set(split.test.tolist())
    assert set(split.train.tolist()) in by_embedders


@pytest.mark.parametrize("name", ["all_real", "all_real+threshold"])
def test_reference_is_trained_on_all_real_images_and_on_no_test_image(tmp_path, name):
    """Also where it comes first: pictures and counts of the report are those of the thinned images."""
    data = numbered_noise()
    evaluation = lay_out(data, tmp_path, samplers=[name, "none"], embedders={"m": Memory()}, n_rare=8)
    records = run(evaluation)
    reference, nothing = (
        next(record for key, record in records.items() if key[0] == asked) for asked in (name, "none")
    )
    assert reference["treatment_kind"] == "reference"
    assert reference["class_counts"] == {"0": 30, "1": 60}
    assert nothing["class_counts"] == {"0": 8, "1": 60}
    assert evaluation.plan(measure=False).splitlines()[0].endswith("training on 8 0, 60 1")
    assert reference["rows"] == nothing["rows"]
    assert not set.union(*Memory.fitted_on) & set(nothing["rows"])
    assert {len(fitted_on) for fitted_on in Memory.fitted_on} >= {68, 90}


def test_reference_has_metrics_of_the_class_that_was_thinned(tmp_path):
    """In a network's training images it may be the commoner one, as no restored image validates."""
    data = numbered_noise(n_rare=58)
    evaluation = lay_out(data, tmp_path, samplers=["none", "all_real"], classifiers=["ann"], n_rare=10)
    rare, common = np.bincount(data.target[evaluation.cells[1].split.train])
    assert rare > common
    for record in run(evaluation).values():
        assert record["rarest"] == 0
        assert record["metrics"]["recall_minority"] == record["metrics"]["recall_0"] != record["metrics"]["recall_1"]


def test_reference_needs_a_class_that_was_thinned(tmp_path):
    for options in ({}, {"n_rare": 30}):
        with pytest.raises(ValueError, match="must not hold 'all_real' unless n_rare leaves out training images"):
            lay_out(numbered_noise(), tmp_path, samplers=["all_real"], **options)


def test_augmented_and_repeated_images_reach_parity_and_are_embedded_once_each(tmp_path, monkeypatch):
    """Repetitions have the same features, and embedding is what costs."""
    seen, transform = [], Pixels.transform

    def noted(embedder, X):
        seen.append(len(X))
        return transform(embedder, X)

    monkeypatch.setattr(Pixels, "transform", noted)
    embedder = Embedder("pixels", "Pixels", "As they are.", Pixels(), is_frozen=True)
    data = toy_data()
    (record,) = (
        record
        for key, record in records_of(
            data, tmp_path, samplers=["augmentation_repetition"], embedders=[embedder], n_rare=4
        ).items()
        if key[0] != "none"
    )
    assert record["class_counts"] == {"class 0": 4, "class 1": 32}
    assert record["class_counts_resampled"] == {"class 0": 32, "class 1": 32}
    assert sorted(seen) == [round(0.25 * 28), len(data.target)]
    assert record["n_synthetic"] == round(0.25 * 28)
    assert record["seconds"]["embedder_new"] > 0


def test_embedder_fitted_on_training_and_test_is_caught(tmp_path, monkeypatch):
    """The test above must fail for it: this is the mutation that survived."""
    fit = EmbedJob.run

    def on_all(job, context):
        return fit(replace(job, train=np.arange(len(context.load()[1]))), context)

    monkeypatch.setattr(EmbedJob, "run", on_all)
    data = numbered_noise()
    evaluation = lay_out(data, tmp_path, samplers=["none"], embedders={"m": Memory()})
    (cell,) = evaluation.cells
    cell.embed(cell.split).run(evaluation.context)
    assert set.union(*Memory.fitted_on) & set(cell.split.test.tolist())


def scores_out_of_fold(tmp_path, monkeypatch, **options):
    """Return the area under the curve of the scores that a threshold was tuned on, from pure noise."""
    tuned_on, find = [], best_threshold

    def noted(is_rarest, scores):
        tuned_on.append((is_rarest, scores))
        return find(is_rarest, scores)

    monkeypatch.setattr(_jobs, "best_threshold", noted)
    options = {"samplers": ["threshold"], "classifiers": ["forest"], "embedders": {"memory": Memory()}} | options
    records = records_of(numbered_noise(), tmp_path, **options)
    assert all(record["error"] is None for record in records.values())
    ((is_rarest, scores),) = tuned_on
    return roc_auc_score(is_rarest, scores)


@pytest.mark.parametrize("sampler", ["threshold", "smote+threshold", "images"])
def test_threshold_is_tuned_on_images_that_no_embedder_has_seen(tmp_path, monkeypatch, sampler):
    """On noise a forest had 1.00 in the folds and .525 on test, where the embedder knew all training labels."""
    own = {"images": replace(SPIED["tuned"], name="images")}
    area = scores_out_of_fold(tmp_path, monkeypatch, samplers=own if sampler == "images" else [sampler])
    assert 0.3 < area < 0.7


def test_threshold_tuned_on_what_the_embedder_has_seen_is_caught(tmp_path, monkeypatch):
    """The test above must fail for an embedder that is fitted on all training images of the split."""
    embed = Cell.embed

    def leaking(cell, split, samples=()):
        return embed(cell, cell.split, samples)

    monkeypatch.setattr(Cell, "embed", leaking)
    assert scores_out_of_fold(tmp_path, monkeypatch) > 0.95


def test_folds_of_a_threshold_keep_patients_together(tmp_path):
    data = numbered_noise(groups=np.arange(120) // 3)
    evaluation = lay_out(data, tmp_path, samplers=["threshold"])
    cell = next(cell for cell in evaluation.cells if cell.treatment.tunes_threshold)
    splits = cell.inner_splits(evaluation.context)
    assert len(splits) == 3
    for split in splits:
        assert not set(data.groups[split.train]) & set(data.groups[split.test])
        assert set(split.train) | set(split.test) == set(cell.split.train)


# Samplers of all kinds


def test_sampler_that_reorders_and_repeats_gives_each_classifier_the_same_images(tmp_path):
    """Rows are identified by their content, because a sampler need not keep their order."""
    records = records_of(numbered_noise(), tmp_path, samplers=SPIED, classifiers={"near": KNeighborsClassifier(1)})
    for name in ("images", "features"):
        record = records[name, "near"]
        assert record["error"] is None
        assert record["n_synthetic"] == 0
        counts = record["class_counts_resampled"]
        assert counts["0"] == counts["1"] == record["class_counts"]["1"]
    assert records["images", "near"]["y_pred"] == records["none", "near"]["y_pred"]


@pytest.mark.parametrize("where", ["images", "features"])
@pytest.mark.parametrize("classifier", ["svm", "ann"])
def test_under_samplers_leave_fewer_images_and_make_none(tmp_path, where, classifier):
    """Before the embedder there was nothing new to embed, and the cell failed."""
    sampler = PixelSampler(RandomUnderSampler()) if where == "images" else RandomUnderSampler()
    asked = {"under": Treatment("under", "Under", sampler, where)}
    record = records_of(toy_data(), tmp_path, samplers=asked, classifiers=[classifier])["under", classifier]
    assert record["error"] is None
    assert record["n_synthetic"] == 0
    n_rare = record["class_counts"]["class 0"] - (2 if classifier == "ann" else 0)  # which validate
    assert set(record["class_counts_resampled"].values()) == {n_rare}
    assert record["n_train_resampled"] == 2 * n_rare


def test_samplers_that_put_new_rows_in_the_place_of_old_ones_are_counted(tmp_path):
    asked = {"centroids": ClusterCentroids(voting="soft")}
    record = records_of(toy_data(), tmp_path, samplers=asked)["centroids", "svm"]
    assert record["error"] is None
    assert record["n_synthetic"] == record["class_counts"]["class 0"]


def test_originals_are_found_whatever_the_order_the_type_and_repetitions():
    X = np.array([[0.0, 1], [2, 3], [0, 1], [4, 5]], dtype=np.float32)
    made = np.array([[4, 5], [9, 9], [2, 3], [7, 7], [9, 9], [2, 3], [0, 1]], dtype=np.float64)
    index = find_originals(X, made)
    assert index.tolist() == [3, -1, 1, -2, -1, 1, 0]
    base = np.arange(60.0).reshape(20, 3)
    rows = np.array([5, 6, 7, 8])
    out = assemble(base, rows, index, np.repeat([[-1.0], [-2.0]], 3, axis=1))
    np.testing.assert_array_equal(out, [base[8], [-1] * 3, base[6], [-2] * 3, [-1] * 3, base[6], base[5]])
    np.testing.assert_array_equal(assemble(base, rows, np.array([1, 0]), np.empty((0, 0))), base[[6, 5]])


def test_equal_images_of_two_classes_keep_their_labels(tmp_path):
    """Only pixels are looked up; labels are the sampler's."""
    data = toy_data()
    images = data.images.copy()
    images[:4] = images[20:24]
    record = records_of(replace(data, images=images), tmp_path, samplers=["augmentation"])["augmentation", "svm"]
    assert record["error"] is None
    assert set(record["class_counts_resampled"].values()) == {record["class_counts"]["class 1"]}


class Halves(BaseEstimator):
    """A sampler that gives images of another kind."""

    def fit_resample(self, X, y):
        return X / 255, y


class Drops(BaseEstimator):
    """A sampler that takes a class away."""

    def fit_resample(self, X, y):
        return X[y != 1], y[y != 1]


@pytest.mark.parametrize(
    ("sampler", "on", "message"),
    [
        (Halves(), "images", "samplers must return images of the kind they get, uint8 .* 'own' gave float64"),
        (
            Drops(),
            "images",
            r"samplers must keep images of every class, class 0, class 1, class 2; the labels \[0, 2\]",
        ),
        (Drops(), "features", r"samplers must keep images of every class"),
    ],
)
def test_samplers_that_would_mix_up_values_or_columns_of_scores_fail_by_name(tmp_path, sampler, on, message):
    """Floats would have been cut down to black images, and the scores of class 2 read as those of class 1."""
    asked = {"own": Treatment("own", "Own", sampler, on)}
    record = records_of(toy_data((10, 20, 12)), tmp_path, samplers=asked)["own", "svm"]
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(record["error"])
    assert record["metrics"] is None


@pytest.mark.parametrize("layout", ["float", "channels first", "channels last"])
@pytest.mark.filterwarnings("ignore:.*small changes")
def test_images_of_other_layouts_and_ranges_run_through(tmp_path, layout):
    X, _ = toy_arrays((14, 20))
    X = {
        "float": (X / np.float32(51)) - 2,
        "channels first": np.stack([X, X // 2, X // 3], axis=1),
        "channels last": np.stack([X, X // 2, X // 3], axis=-1),
    }[layout]
    data = replace(toy_data((14, 20)), images=X)
    records = records_of(data, tmp_path, samplers=["smote", "dcgan", "augmentation"], classifiers=["svm", "ann"])
    assert {key: record["error"] for key, record in records.items()} == dict.fromkeys(records)
    assert len(records) == 8
    assert records["dcgan", "ann"]["n_synthetic"] > 0


def test_three_classes_have_scores_for_each(tmp_path):
    data = toy_data((12, 30, 16))
    records = records_of(data, tmp_path, samplers=["smote"], classifiers=["svm", "forest", "ann"])
    for record in records.values():
        assert record["error"] is None
        assert np.shape(record["scores"]) == (record["n_test"], 3)
        assert record["classes"] == data.target_names
        assert record["rarest"] == 0
        assert record["metrics"]["recall_2"] is not None
        if record["treatment"] == "smote":
            assert len(set(record["class_counts_resampled"].values())) == 1


def test_rarest_class_need_not_be_the_first(tmp_path):
    """Its column of the scores is the one that the threshold is on."""
    data = toy_data((40, 16))
    record = records_of(data, tmp_path, samplers=["threshold"])["threshold", "svm"]
    assert record["rarest"] == 1
    said = np.where(np.array(record["scores"])[:, 1] >= record["threshold"], 1, 0)
    assert record["y_pred"] == said.tolist()


# Thresholds


def test_threshold_lies_between_the_scores_that_it_parts():
    assert best_threshold(np.array([False, False, True, True]), np.array([0.0, 1.0, 2.0, 5.0])) == 1.5


@pytest.mark.parametrize("scores", [np.zeros(4), np.full(4, -708.4)])
def test_threshold_of_constant_scores_calls_nothing_rare(scores):
    """They tell nothing apart; and it is a number, which JSON can hold."""
    threshold = best_threshold(np.array([False, True, False, True]), scores)
    assert np.isfinite(threshold)
    assert not (scores >= threshold).any()


def test_threshold_on_constant_scores_makes_a_record(tmp_path):
    asked = {"dummy": DummyClassifier()}
    record = records_of(toy_data(), tmp_path, samplers=["threshold"], classifiers=asked)["threshold", "dummy"]
    assert record["error"] is None
    assert set(record["y_pred"]) == {1}


# Records


def test_classifier_that_only_says_yes_or_no_has_no_areas(tmp_path):
    """A curve with one corner is none; a classifier without scores made the cell fail."""

    class Plain(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            self.svc_, self.classes_ = SVC().fit(X, y), np.unique(y)
            return self

        def predict(self, X):
            return self.svc_.predict(X)

    records = records_of(
        toy_data(), tmp_path, samplers=["none"], classifiers={"tree": "tree", "plain": Plain(), "svm": "svm"}
    )
    for name, ranks in (("tree", False), ("plain", False), ("svm", True)):
        record = records["none", name]
        assert (record["error"], record["ranks"]) == (None, ranks)
        assert (record["metrics"]["roc_auc"] is not None) == ranks
        assert record["metrics"]["balanced_accuracy"] is not None
    assert records["none", "plain"]["scores"] is None
    assert records["none", "plain"]["probabilities"] is None


def test_record_holds_all_that_a_report_needs(tmp_path):
    """A mean without counts, versions and warnings cannot be checked; and JSON must hold it."""
    records = records_of(toy_data(), tmp_path, samplers=["dcgan_alone"], classifiers=["forest"])
    record = records["dcgan_alone", "forest"]
    assert json.loads(json.dumps(record)) == record
    assert record["n_synthetic"] == record["class_counts"]["class 1"] - record["class_counts"]["class 0"] > 0
    assert record["n_train_resampled"] == 2 * record["class_counts"]["class 1"]
    assert sum(record["class_counts_test"].values()) == record["n_test"] == len(record["rows"]) == len(record["groups"])
    assert [len(found) > 0 for found in record["history"].values()] == [True]
    assert list(record["history"]) == ["class 0"]
    assert {warning["from"] for warning in record["warnings"]} <= {"sampler", "classifier"}
    assert np.allclose(np.sum(record["probabilities"], axis=1), 1)
    for name in ("host", "device", "date", "n_threads", "versions", "settings", "sampler_memory", "peak_memory"):
        assert name in record
    assert record["settings"]["sampler__n_steps"] == "2"


def test_shared_work_counts_once_and_for_its_treatment(tmp_path):
    """The first cell of a GAN had its 617 seconds, and the next one 31."""
    evaluation = lay_out(toy_data(), tmp_path, samplers=["dcgan"], classifiers=["svm", "tree", "logistic"])
    found = run(evaluation)
    seconds = [record["seconds"] for (treatment, *_), record in found.items() if treatment == "dcgan"]
    assert len(seconds) == 3
    assert len({second["sampler"] for second in seconds}) == 1
    assert seconds[0]["sampler"] > 0
    assert all(second["fit"] < seconds[0]["sampler"] for second in seconds[:2])
    assert {record["seconds"]["sampler"] for (treatment, *_), record in found.items() if treatment == "none"} == {0.0}
    of_features = {record["seconds"]["embedder"] for record in found.values() if record["embedder"]}
    assert len(of_features) == 1  # fitted once for the split
    assert of_features.pop() > 0


def test_folds_of_a_threshold_cost_what_they_cost(tmp_path, monkeypatch):
    """A sampler with a tuned threshold is trained four times."""

    class Slow(Copies):
        def fit_resample(self, X, y):
            clock[0] += 10
            return super().fit_resample(X, y)

    clock = [0.0]
    monkeypatch.setattr(_jobs.time, "perf_counter", lambda: clock[0])
    for on in ("images", "features"):
        asked = {
            tunes: Treatment(tunes, tunes, Slow(), on, tunes_threshold=tunes == "tuned") for tunes in ("plain", "tuned")
        }
        frozen = {"pixels": Embedder("pixels", "Pixels", "", Pixels(), is_frozen=True)}
        records = records_of(numbered_noise(), tmp_path / on, samplers=asked, embedders=frozen)
        assert records["plain", "svm"]["seconds"]["sampler"] == 10
        assert records["tuned", "svm"]["seconds"]["sampler"] == 40


def test_warnings_of_every_part_are_kept(tmp_path):
    """Those of an embedder were lost."""

    class Warns(Pixels):
        def fit(self, X, y=None):
            warnings.warn("dim images", UserWarning, stacklevel=2)
            return super().fit(X, y)

    class Complains(Copies):
        def fit_resample(self, X, y):
            warnings.warn(f"odd {X.ndim}", UserWarning, stacklevel=2)
            return super().fit_resample(X, y)

    asked = {on: Treatment(on, on, Complains(), on) for on in ("images", "features")}
    records = records_of(numbered_noise(), tmp_path, samplers=asked, embedders={"warns": Warns()})
    for on, n_axes in (("images", 3), ("features", 2)):
        told = {(warning["from"], warning["message"]) for warning in records[on, "svm"]["warnings"]}
        assert told == {("embedder", "dim images"), ("sampler", f"odd {n_axes}")}


def test_failed_sampler_costs_its_own_cells_alone(tmp_path):
    """One job embeds the images of all samplers; the first that had none failed all the others."""
    asked = {
        "fails": Treatment("fails", "Fails", Fails(), "images"),
        "turns": AugmentationOverSampler(),
        "copies": Treatment("copies", "Copies", Copies(), "images"),
    }
    records = records_of(numbered_noise(), tmp_path, samplers=asked, classifiers=["svm", "ann"])
    for (treatment, _), record in records.items():
        assert record["error"] == ("RuntimeError: no luck today" if treatment == "fails" else None)
        assert (record["metrics"] is None) == (treatment == "fails")
    assert "fit_resample" in records["fails", "svm"]["traceback"]


def test_history_of_another_kind_is_left_out():
    """Other packages call other things so, and their cells failed."""

    class Sampler:
        def __init__(self, history):
            self.history_ = history

    assert plain_history(Sampler({0: [{"step": np.int64(1), "loss": np.float32(2), "images": np.ones(3)}]})) == {
        "0": [{"step": 1, "loss": 2.0}]
    }
    assert plain_history(Sampler([{"step": 1}])) == {}
    assert plain_history(Sampler({"loss": [1.0, 2.0]})) == {}
    assert plain_history(Sampler(None)) == {}
    assert plain_history(object()) == {}


def test_history_is_thinned_and_keeps_both_ends():
    records = [{"step": step} for step in range(173)]
    assert len(thin(records)) == 50
    assert (thin(records)[0], thin(records)[-1]) == (records[0], records[-1])
    assert thin(records[:50]) == records[:50]
    assert thin(records[:1]) == records[:1]
    assert thin([]) == []


def test_warnings_are_told_once_each_and_not_without_end():
    with recorded_warnings() as told:
        for number in range(50):
            warnings.warn("again", UserWarning, stacklevel=1)
            warnings.warn(f"number {number}", UserWarning, stacklevel=1)
    assert told[:2] == [
        {"category": "UserWarning", "message": "again"},
        {"category": "UserWarning", "message": "number 0"},
    ]
    assert len(told) == 20


def test_peak_memory_sees_what_was_freed():
    with peak_memory() as before:
        least = before()
    with peak_memory() as peak:
        np.ones(30 * 2**20)  # 240 MB of float64
        most = peak()
    if least is None:
        pytest.skip("the kernel does not let a process reset its mark")
    assert most - least > 150 * 2**20


def test_features_are_the_same_in_blocks_and_of_no_image():
    X = toy_arrays()[0]
    np.testing.assert_array_equal(transform_in_blocks(Pixels().fit(X), X, size=10), Pixels().fit_transform(X))
    assert len(transform_in_blocks(Pixels().fit(X), X[:0])) == 0


# Keys


def keys_of(tmp_path, data=None, **options):
    evaluation = lay_out(data or toy_data(), tmp_path, **options)
    return {cell.name: cell.key(evaluation.context) for cell in evaluation.cells}


def test_every_cell_has_a_key_of_its_own(tmp_path):
    options = {"samplers": ["none", "class_weight", "threshold", "dcgan", "dcgan+threshold"], "seeds": (0, 1)}
    keys = keys_of(tmp_path, classifiers=["tree", "ann"], **options)
    assert len(set(keys.values())) == len(keys) == 20


@pytest.mark.parametrize(
    "change",
    [
        {"data": replace(toy_data(), images=toy_data().images[::-1].copy())},
        {"data": toy_data(groups=np.arange(56) // 2), "cv": [(np.arange(0, 56, 2), np.arange(1, 56, 2))]},
        {"settings": replace(TINY, dcgan={**TINY.dcgan, "n_steps": 3})},
        {"settings": replace(TINY, trees=6)},
        {"embedders": {"pixels": Embedder("pixels", "pixels", "", Pixels(), is_frozen=True)}},
        {"embedders": {"pixels": Embedder("pixels", "pixels", "", Pixels(), weights="others")}},
        {"n_rare": 5},
    ],
    ids=["images", "groups", "steps", "trees", "frozen", "weights", "n_rare"],
)
def test_key_changes_with_everything_that_can_change_a_result(tmp_path, change):
    """A stale cell that passes for a fresh one would be a wrong number in a table."""
    options = {"samplers": ["dcgan+threshold"], "classifiers": ["forest"], "cv": change.get("cv")}
    if "cv" in change:
        change = {"data": change["data"]}
        options["cv"] = [(np.r_[0:10, 14:44], np.r_[10:14, 44:56])]  # whole groups either way
    first, second = keys_of(tmp_path, **options), keys_of(tmp_path, **(options | change))
    (name,) = [name for name in first if name.startswith("DCGAN")]
    assert first[name] != second[name]


def test_key_changes_with_kind_of_device_code_versions_and_threads(tmp_path, monkeypatch):
    """CPU and CUDA round differently; editing a metric left 0 of 3 cells to compute."""
    evaluation = lay_out(toy_data(), tmp_path, samplers=["dcgan"])
    context, cell = evaluation.context, evaluation.cells[-1]
    sample = cell.sample(cell.split)
    other_code = replace(context, versions={**context.versions, "source": "edited"})
    contexts = [context, replace(context, device="cuda"), replace(context, n_threads=2), other_code]
    for job in (cell, sample, cell.embed(cell.split)):
        assert len({job.keys(each)[0] for each in contexts}) == 4
        assert job.keys(replace(context, device="cuda:1")) == job.keys(replace(context, device="cuda:0"))


def test_key_ignores_place_and_what_people_call_things(tmp_path):
    """A results folder may be moved, and finished on another machine."""
    own = {"mine": DCGANOverSampler(n_steps=2)}
    same = {"yours": DCGANOverSampler(n_steps=2, verbose=1)}
    first = keys_of(tmp_path / "here", samplers=own, classifiers={"a": ANNClassifier()})
    second = keys_of(tmp_path / "there", samplers=same, classifiers={"b": ANNClassifier()})
    assert sorted(first.values()) == sorted(second.values())


def test_treatments_share_samples_and_a_tuned_threshold_shares_them_too(tmp_path):
    evaluation = lay_out(toy_data(), tmp_path, samplers=["dcgan", "dcgan+threshold"], classifiers=["svm", "tree"])
    context = evaluation.context
    samples = {cell.sample(cell.split).keys(context)[0] for cell in evaluation.cells if cell.treatment.sampler}
    assert len(samples) == 1
    assert isinstance(evaluation.cells[-1].sample(evaluation.cells[-1].split), SampleJob)


# Early stopping


def test_networks_validate_on_real_images_that_nothing_else_sees(tmp_path, monkeypatch):
    """An image that was repeated or imitated in training would say nothing about when to stop."""
    fitted, fit = [], ANNClassifier.fit

    def noted(self, X, y, **validation):
        fitted.append((X, y, validation["X_val"], validation["y_val"]))
        return fit(self, X, y, **validation)

    monkeypatch.setattr(ANNClassifier, "fit", noted)
    groups = np.arange(120) // 2
    data = numbered_noise(groups=groups)
    samplers = {"none": "none", "weights": "class_weight", "images": SPIED["images"], "tuned": SPIED["tuned"]}
    evaluation = lay_out(data, tmp_path, samplers=samplers, classifiers={"ann": "ann"})
    found = run(evaluation)
    assert {record["error"] for record in found.values()} == {None}
    split = evaluation.cells[0].split
    n_validation = len(split.validation)
    assert 12 < n_validation < 24
    assert {record["n_validation"] for record in found.values()} == {n_validation}
    assert {record["n_train"] for record in found.values()} == {len(split.train) + n_validation}
    of_split = [case for case in fitted if set(case[2][:, *NUMBER]) == set(split.validation)]
    assert len(of_split) == len(samplers)
    for X, _, X_val, y_val in fitted:
        numbers, validating = set(X[:, *NUMBER]), set(X_val[:, *NUMBER])
        assert set(groups[list(numbers)]).isdisjoint(groups[list(validating)])
        assert len(validating) == len(X_val)  # none is repeated
        np.testing.assert_array_equal(y_val, data.target[X_val[:, *NUMBER]])
    for seen in Copies.fitted_on:
        assert any(seen.isdisjoint(X_val[:, *NUMBER]) and seen <= set(X[:, *NUMBER]) for X, _, X_val, _ in fitted)


def test_killed_network_goes_on_from_its_last_epoch(tmp_path, monkeypatch):
    """An epoch of a large network takes minutes, and its training hours."""
    fixed = replace(TINY, ann={"max_epochs": 5, "early_stopping": False})
    options = {"samplers": ["none"], "classifiers": ["ann"], "settings": fixed}
    undisturbed = run(lay_out(toy_data(), tmp_path / "undisturbed", **options))
    evaluation = lay_out(toy_data(), tmp_path / "killed", **options)
    (cell,), context = evaluation.cells, evaluation.context
    run_epoch, epochs = ANNClassifier.run_single_epoch, []

    def counted(self, iterator, training, *args, **kwargs):
        if training:
            epochs.append(1)
            if len(epochs) == 3:
                raise KeyboardInterrupt
        return run_epoch(self, iterator, training, *args, **kwargs)

    monkeypatch.setattr(ANNClassifier, "run_single_epoch", counted)
    with pytest.raises(KeyboardInterrupt):
        cell.run(context)
    cell.run(context)
    assert len(epochs) == 3 + 3  # the third to the fifth, after two before the interruption
    (record,), (expected,) = context.store.records(), undisturbed.values()
    assert record["scores"] == expected["scores"]
    assert not list(context.store.checkpoints.rglob("*.safetensors"))


def test_worker_of_another_version_refuses_to_work(tmp_path):
    """Else one table would hold the numbers of two programs."""
    evaluation = lay_out(toy_data(), tmp_path)
    here = evaluation.context
    there = replace(here, versions={**here.versions, "source": "edited"})
    with pytest.raises(RuntimeError, match=r"must have the versions of the process that started.*; source differ"):
        _jobs.work(there, evaluation.cells[0])
    assert here.store.records() == []


def test_number_of_an_image_is_in_its_pixel():
    """What the notes above rest on."""
    data = numbered_noise()
    assert data.images[17][NUMBER] == 17
