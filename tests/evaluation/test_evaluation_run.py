"""The whole grid: what is shared, what is computed once, how many workers, how long."""

from dataclasses import replace

import joblib
import numpy as np
import pytest
from imblearn.over_sampling import RandomOverSampler
from sklearn.decomposition import PCA
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from toy_evaluation import N_DISCS, N_SQUARES, TINY, Fails, Pixels, lay_out, run, toy_arrays, toy_data

from gan_sampler import ANNClassifier, ConditionalDCGANOverSampler, DCGANOverSampler
from gan_sampler.evaluation import Classifier, Comparison, Embedder, Store, Treatment, _estimate, _run, compare
from gan_sampler.evaluation._jobs import Cell, find_examples
from gan_sampler.evaluation._run import bytes_of_worker, choose_n_jobs, plan_shared, run_grid


def count_calls(monkeypatch, owner, name):
    """Note every call of a method, with the size of its first argument, before doing what it does."""
    calls, original = [], getattr(owner, name)

    def counted(self, *args, **kwargs):
        calls.append(len(args[0]) if hasattr(args[0], "__len__") else args[0])
        return original(self, *args, **kwargs)

    monkeypatch.setattr(owner, name, counted)
    return calls


def errors(records):
    return {record["error"] for record in records.values()}


# What cells share


def test_gan_is_trained_once_per_split_and_seed(tmp_path, monkeypatch):
    """It is the dearest step, and all classifiers must see the same synthetic images."""
    trainings = count_calls(monkeypatch, DCGANOverSampler, "fit_resample")
    evaluation = lay_out(toy_data(), tmp_path, samplers=["dcgan"], classifiers=["tree", "svm"], seeds=(0, 1))
    assert errors(run(evaluation)) == {None}
    assert trainings == [42, 42]
    # Networks that stop early share another one, which has not seen their validation images.
    evaluation = lay_out(toy_data(), tmp_path, samplers=["dcgan"], classifiers=["tree", "ann", "cnn"], seeds=(0, 1))
    assert errors(run(evaluation)) == {None}
    assert trainings == [42, 42, 33, 33]


def test_samplers_that_train_the_same_gan_train_it_once(tmp_path, monkeypatch):
    """Synthetic images of every class need the generator of the rare class too, which is hours on real images."""
    started, train = [], DCGANOverSampler._train

    def noted(self, networks, images, **options):
        resumed = options["checkpoint"].read()
        started.append((len(images), 0 if resumed is None else resumed[1]["step"]))
        return train(self, networks, images, **options)

    monkeypatch.setattr(DCGANOverSampler, "_train", noted)
    evaluation = lay_out(toy_data(), tmp_path, samplers=["dcgan", "dcgan_every_class"], classifiers=["ann"])
    assert errors(run(evaluation)) == {None}
    n_rare, n_common = started[0][0], started[-1][0]
    assert n_rare < n_common
    assert started == [(n_rare, 0), (n_rare, TINY.dcgan["n_steps"]), (n_common, 0)]
    assert not list(evaluation.context.store.checkpoints.rglob("*.pt*"))  # nothing is left over


def test_samplers_share_no_gan_where_only_some_classes_have_colour(tmp_path):
    """Then the two learn different images, with and without colour."""
    data = toy_data()
    images = np.repeat(data.images[..., None], 3, axis=-1)
    images[N_DISCS:, ..., 2] //= 2
    data = replace(data, images=images)
    evaluation = lay_out(data, tmp_path, samplers=["dcgan", "dcgan_every_class"], classifiers=["ann"])
    assert errors(run(evaluation)) == {None}


def test_no_image_is_embedded_twice(tmp_path, monkeypatch):
    """Classifiers and samplers of features share the embedded images, those for testing too."""
    embedded = count_calls(monkeypatch, Pixels, "transform")
    options = {"samplers": ["class_weight", "random", "smote"], "classifiers": ["tree", "svm"]}
    evaluation = lay_out(toy_data(), tmp_path, **options)
    assert errors(run(evaluation)) == {None}
    assert embedded == [N_DISCS + N_SQUARES]


def test_shared_work_is_planned_once_in_two_stages(tmp_path):
    options = {
        "samplers": ["dcgan", "dcgan_every_class", "conditional", "smote+threshold"],
        "classifiers": ["svm", "ann"],
    }
    evaluation = lay_out(toy_data(), tmp_path, **options)
    first, second = plan_shared(evaluation.context, evaluation.cells)
    names = [job.name for job in first]
    # SMOTE makes images for the network alone, in the split and in three folds.
    assert sorted(names) == sorted(
        # Of all training images, and of those that the network does not validate on.
        ["images of DCGAN, DCGAN, every class, seed 0", "images of conditional DCGAN, seed 0"] * 2
        + ["images of SMOTE + tuned threshold, seed 0"] * 4
    )
    assert len(second) == 4  # the network of the split with all that it embeds, and those of the folds
    assert max(len(job.samples) for job in second) == 3


def test_examples_are_synthetic_images_of_each_class(tmp_path):
    """Copies of real images are not shown as such."""
    evaluation = lay_out(toy_data(), tmp_path, samplers=["dcgan_every_class", "smote"], classifiers=["ann"])
    run(evaluation)
    found = find_examples(evaluation.context, evaluation.cells)
    assert set(found) == {"dcgan_every_class", "smote"}
    real = {image.tobytes() for image in evaluation.data.images}
    _, labels = found["dcgan_every_class"]
    assert set(labels) == {0, 1}
    assert not any(image.tobytes() in real for images, _ in found.values() for image in images)


# Running


def test_one_and_two_workers_find_the_same(tmp_path):
    """Results must not depend on who computed them."""
    options = {"samplers": ["dcgan", "smote+threshold"], "classifiers": ["forest"]}
    found = [run(lay_out(toy_data(), tmp_path / str(n_jobs), **options), n_jobs) for n_jobs in (1, 2)]
    varying = ("date", "seconds", "peak_memory", "sampler_memory", "history")
    one, two = (
        {key: {name: value for name, value in record.items() if name not in varying} for key, record in records.items()}
        for records in found
    )
    assert one == two
    assert len(one) == 3


def test_second_run_computes_nothing(tmp_path, monkeypatch):
    evaluation = lay_out(toy_data(), tmp_path, samplers=["dcgan"], classifiers=["ann"])
    first = run(evaluation)
    monkeypatch.setattr(Cell, "run", lambda *_: pytest.fail("a cell was computed again"))
    assert run(lay_out(toy_data(), tmp_path, samplers=["dcgan"], classifiers=["ann"])) == first


def test_cells_whose_shared_work_is_gone_make_it_again(tmp_path):
    """The cache has a limit."""
    evaluation = lay_out(toy_data(), tmp_path, samplers=["dcgan"], classifiers=["svm"])
    first = run(evaluation)
    store = evaluation.context.store
    store.prune(0, keep={f"images-{evaluation.context.source}"})
    for file in (tmp_path / "cells").iterdir():
        file.unlink()
    evaluation.cells[-1].run(evaluation.context)
    again = store.find_record(evaluation.cells[-1].key(evaluation.context))
    assert again["scores"] == first["dcgan", "svm", "random", 0]["scores"]


def test_failed_cell_is_recorded_never_scored_and_tried_again(tmp_path, monkeypatch):
    """One impossible combination must cost neither the other cells nor the truth."""
    evaluation = lay_out(toy_data(), tmp_path, samplers=["conditional", "smote"], classifiers=["svm"])
    with monkeypatch.context() as broken:

        def fail(self, X, y):
            raise RuntimeError("no luck today")

        broken.setattr(ConditionalDCGANOverSampler, "fit_resample", fail)
        found = run(evaluation)
        record = found["conditional", "svm", "random", 0]
        assert record["error"] == "RuntimeError: no luck today"
        assert record["metrics"] is record["y_pred"] is record["scores"] is None
        assert found["smote", "svm", "random", 0]["error"] is None
        assert "failed" in (tmp_path / "run.log").read_text(encoding="utf-8")
        with pytest.raises(RuntimeError, match=r"conditional DCGAN, seed 0 failed: RuntimeError: no luck today"):
            run_grid(evaluation.context, evaluation.cells, n_jobs=1, on_error="raise", progress=False)
    assert errors(run(evaluation)) == {None}


def test_interrupted_run_goes_on_where_it_was(tmp_path, monkeypatch):
    """Long runs get stopped; nothing that is finished may be lost or done again."""
    evaluation = lay_out(toy_data(), tmp_path, samplers=["random"], classifiers=["svm"], seeds=(0, 1))
    computed, compute = [], Cell.run
    with monkeypatch.context() as stopping:

        def stop_at_third(cell, context):
            if len(computed) == 2:
                raise KeyboardInterrupt
            computed.append(cell)
            return compute(cell, context)

        stopping.setattr(Cell, "run", stop_at_third)
        with pytest.raises(KeyboardInterrupt):
            run(evaluation)
    assert len(evaluation.context.store.records()) == 2
    assert run_grid(evaluation.context, evaluation.cells, n_jobs=1, progress=False) == 2


# Workers


def test_workers_are_as_many_as_cores_and_memory_hold(tmp_path, monkeypatch):
    context = lay_out(toy_data(), tmp_path, samplers=["none"]).context
    monkeypatch.setattr(_run.joblib, "cpu_count", lambda **_: 8)

    class Memory:
        available = 3.5 * bytes_of_worker(context)

    monkeypatch.setattr(_run.psutil, "virtual_memory", lambda: Memory)
    assert choose_n_jobs(context) == 3
    assert choose_n_jobs(context, 5) == 5
    assert choose_n_jobs(replace(context, device="cuda")) == 1
    Memory.available = 1
    assert choose_n_jobs(context) == 1


@pytest.mark.parametrize("config", [{"n_jobs": 1}, {"n_jobs": 2}, {"backend": "threading", "n_jobs": 2}])
def test_surrounding_configuration_of_joblib_decides(tmp_path, config):
    """One worker was overruled, because it looked like no word."""
    context = lay_out(toy_data(), tmp_path, samplers=["none"]).context
    with joblib.parallel_config(**({"backend": "loky"} | config)):
        assert choose_n_jobs(context) == config["n_jobs"]


def test_memory_of_a_worker_grows_with_images_and_classes(tmp_path):
    small = lay_out(toy_data(), tmp_path / "a", samplers=["none"]).context
    large = lay_out(toy_data((200, 600)), tmp_path / "b", samplers=["none"]).context
    more = lay_out(toy_data((200, 300, 300)), tmp_path / "c", samplers=["none"]).context
    assert 800 * 2**20 < bytes_of_worker(small) < bytes_of_worker(large) < bytes_of_worker(more)
    assert bytes_of_worker(large) - bytes_of_worker(small) == 2 * 4 * 256 * (800 - 56)


# How long


def test_estimate_runs_every_kind_of_training(tmp_path):
    samplers = ["dcgan", "conditional", "smote", "dcgan+threshold"]
    evaluation = lay_out(toy_data(), tmp_path, samplers=samplers, classifiers=["svm", "ann", "cnn"])
    text = evaluation.plan()
    rates = _estimate._rates(evaluation.context.root, evaluation.context.source)
    kinds = {
        "DCGANOverSampler",
        "ConditionalDCGANOverSampler",
        "ann",
        "cnn",
        "embedder",
    }
    assert set(rates) == kinds
    assert all(rate > 0 for rate in rates.values())
    assert "15 cells, 15 of them to compute" in text
    assert "This takes about" in text
    longer = replace(TINY, dcgan={**TINY.dcgan, "n_steps": 200})
    cells = [lay_out(toy_data(), tmp_path, samplers=["dcgan"], settings=s).cells[-1] for s in (TINY, longer)]
    short, long = (_estimate.cost_of(evaluation.context, cell.sample(cell.split)) for cell in cells)
    assert long > 50 * short


def test_trial_runs_that_fail_do_not_stop_a_run(tmp_path):
    """More components than images of the trial: in the run there are enough."""

    class Steps(Fails):
        n_steps = 5

    evaluation = lay_out(
        toy_data((30, 90)),
        tmp_path,
        samplers={"own": Treatment("own", "Own", Steps(), "images")},
        embedders={"pca": make_pipeline(Pixels(), PCA(70))},
    )
    assert "This takes about" in evaluation.plan()
    assert run(evaluation)["none", "svm", "random", 0]["error"] is None


def test_plan_tells_what_is_done_to_what(tmp_path):
    evaluation = lay_out(toy_data(), tmp_path, samplers=["smote"], classifiers=["forest"], cv=3, seeds=(0, 1))
    text = evaluation.plan(measure=False)
    for part in ("toy: 56 images of 16 x 16", "3 folds over all images, 2 seeds", "56 groups", "trees 5", "MiB"):
        assert part in text
    assert "validated" not in text
    run(evaluation)
    assert "Nothing is left to compute" in evaluation.plan()
    stopping = lay_out(toy_data(), tmp_path, samplers=["none"], classifiers=["ann"])
    n_images = len(stopping.cells[0].split.validation)
    assert f"stop early are validated on {n_images} of the training images" in stopping.plan(measure=False)


# The entry point


FAST = {
    "embedders": {"pixels": Pixels()},
    "classifiers": ["svm"],
    "settings": TINY,
    "device": "cpu",
    "n_jobs": 1,
    "verbose": 0,
}


def fast(*data, **options):
    if not isinstance(data[0], type(toy_data())):
        options = {"groups": range(56)} | options
    return compare(*data, **(FAST | {"n_repeats": 1, "samplers": ["smote"]} | options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samplers": ["smoke"]}, "samplers must be some of"),
        ({"classifiers": []}, "classifiers must be one at least"),
        ({"embedders": []}, "embedders must be one at least"),
        ({"cv": 1}, "cv must be at least 2"),
        ({"scoring": "luck"}, "scoring must be one of accuracy"),
        ({"n_repeats": 0}, "n_repeats must be an integer of at least 1; got 0"),
        ({"random_state": None}, "random_state must be an integer of at least 0; got None"),
        ({"n_rare": 100}, "n_rare must be an integer from 1 to"),
        ({"n_steps": -1}, "n_steps must be an integer of at least 1"),
        ({"max_time": "1h"}, "max_time must be a number of seconds above 0"),
        ({"on_error": "ignore"}, "on_error must be 'skip' or 'raise'; got 'ignore'"),
        ({"device": "toaster"}, "device must be 'auto' or a torch device"),
        ({"groups": [1, 2]}, "groups must have an entry for each of the 56 images"),
    ],
)
def test_bad_arguments_are_named_and_leave_nothing_behind(options, message, tmp_path, monkeypatch):
    """A typing error must not cost an hour, nor fill the folder of temporary files."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(ValueError, match=message):
        fast(*toy_arrays(), **options)
    assert list(tmp_path.glob("gan_sampler_*")) == []


@pytest.mark.parametrize("argument", ["y", "groups", "target_names", "filenames"])
def test_what_data_hold_already_is_not_taken_twice(argument):
    """Groups beside an ImageData were passed over in silence: every number would have been too good."""
    with pytest.raises(ValueError, match=f"{argument} must be left out where X is an ImageData"):
        fast(toy_data(), **{argument: range(56)})


def test_comparison_without_a_store_takes_its_folder_along(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    comparison = fast(toy_data(filenames=[f"{row}.png" for row in range(56)]))
    assert len(comparison.records) == 2
    assert comparison.missing == []
    assert comparison.manifest["filenames"][3] == "3.png"
    assert len(list(tmp_path.glob("gan_sampler_*"))) == 1
    del comparison
    assert list(tmp_path.glob("gan_sampler_*")) == []


def test_commands_of_one_store_are_put_together(tmp_path):
    """The second command left its own rows alone in the table."""
    fast(toy_data(), store=tmp_path, samplers=["smote"], n_repeats=2)
    comparison = fast(toy_data(), store=tmp_path, samplers=["random"], n_repeats=2)
    assert {record["treatment"] for record in comparison.records} == {"none", "smote", "random"}
    assert len(comparison.records) == 6


def test_commands_need_no_classifier_in_common_to_be_put_together(tmp_path):
    """A forest has a setting that an SVM lacks, and the second command left its own rows alone in the table."""
    fast(toy_data(), store=tmp_path, classifiers=["svm"])
    comparison = fast(toy_data(), store=tmp_path, classifiers=["forest"])
    assert {record["classifier"] for record in comparison.records} == {"svm", "forest"}
    with pytest.raises(ValueError, match=r"manifest_key must be one of .*; got 'nonsense'"):
        Comparison(tmp_path, "nonsense")


def test_tables_count_in_whole_numbers_and_a_notebook_shows_names_as_they_are(tmp_path):
    comparison = fast(toy_data(), store=tmp_path, samplers={"a<b": RandomOverSampler()})
    table = comparison.table()
    assert all(table[column].dtype.kind == "i" for column in table.columns if column[1] == "n")
    wrong = comparison.wrong()
    assert list(wrong.index) == list(range(len(wrong)))
    assert "a<b" in " ".join(comparison.answer())
    assert "a<b" not in comparison._repr_html_()


def test_a_plot_of_gains_names_the_rival(tmp_path):
    """It said "doing nothing" whatever the treatments were compared with."""
    comparison = fast(toy_data(), store=tmp_path, samplers=["smote"])
    assert "minus that of SMOTE" in comparison.plot_gains(against="smote").axes[0].get_xlabel().replace("\n", " ")
    assert "minus that of doing nothing" in comparison.plot_gains().axes[0].get_xlabel().replace("\n", " ")


@pytest.mark.parametrize(
    "other",
    [
        {"settings": replace(TINY, trees=6), "classifiers": ["forest"], "samplers": ["random"]},
        {"n_rare": 6, "samplers": ["random"]},
        {"cv": 2, "samplers": ["random"]},
        {"samplers": {"smote": RandomOverSampler()}},
        {"random_state": 5, "cv": [(np.arange(0, 56, 2), np.arange(1, 56, 2))]},
    ],
    ids=["settings", "n_rare", "cv", "another sampler of that name", "rows"],
)
def test_what_cannot_be_compared_is_not_put_together(tmp_path, other):
    """Cells of other training images, folds or lengths stood beside each other as repeats of one thing."""
    first = {"samplers": ["smote"], "classifiers": other.get("classifiers", ["svm"])}
    fast(toy_data(), store=tmp_path, **first)
    comparison = fast(toy_data(), store=tmp_path, **(first | other))
    places = [tuple(record[n] for n in ("treatment", "classifier", "split", "seed")) for record in comparison.records]
    assert len(places) == len(set(places))
    asked = {cell["key"] for cell in comparison.manifest["cells"]}
    assert {record["key"] for record in comparison.records} == asked
    assert len(Comparison(tmp_path).records) == len(places)


class InRange(Pixels):
    """As this package's embedders, it refuses images that are brighter than those it was fitted on."""

    def fit(self, X, y=None):
        self.most_ = X.max()
        return super().fit(X, y)

    def transform(self, X):
        if len(X) and X.max() > 2 * self.most_:
            raise ValueError("too bright")
        return super().transform(X)


def test_images_of_floats_are_shown_with_the_features_of_the_run(tmp_path):
    """The range of floats was taken from the first eight images, and brighter ones were refused."""
    X, y = toy_arrays()
    X = X / np.float32(255)
    X[:8] /= 100
    frozen = Embedder("in range", "In range", "", InRange(), is_frozen=True)
    comparison = fast(X, y, store=tmp_path, embedders=[frozen], samplers=["augmentation"])
    assert [record["error"] for record in comparison.records] == [None, None]
    assert Store(tmp_path).read_pictures(comparison.manifest["key"]) is not None


def test_own_parts_of_every_kind_run_through(tmp_path):
    comparison = fast(
        toy_data(),
        store=tmp_path,
        samplers={"repeat": RandomOverSampler(), "gan": DCGANOverSampler(n_steps=1, base_channels=8)},
        classifiers={
            "bayes": GaussianNB(),
            "net": Classifier("net", "Net", ANNClassifier(max_epochs=1, device="cpu"), "images"),
        },
    )
    assert {record["error"] for record in comparison.records} == {None}
    labels = {(record["treatment_label"], record["classifier_label"]) for record in comparison.records}
    assert labels == {(t, c) for t in ("none", "repeat", "gan") for c in ("bayes", "Net")}
