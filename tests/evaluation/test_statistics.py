"""Paired tests between treatments, and ranks."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.random import RandomState
from research import false_positives as research
from research.false_positives import SCENARIOS
from scipy.stats import t as student

import gan_sampler.evaluation._statistics as statistics
from gan_sampler.evaluation._metrics import METRIC_LABELS, evaluate
from gan_sampler.evaluation._statistics import (
    compare_differences,
    mean_values,
    nemenyi,
    overall_tests,
    p_values,
    paired_tests,
    ranks,
    resample,
    resampled_metrics,
)

SHARED = {"shares_test_images": True, "overlap": 0.0, "image_freedom": 100}
OWN = {"shares_test_images": False, "overlap": 1 / 3, "image_freedom": 100}


def make_record(treatment, seed, gain, *, split="official", classifier="cnn", n_test=200, n_classes=2, groups=None):
    """A cell whose scores are the truth plus noise; `gain` makes it better."""
    y_true = np.repeat(
        np.arange(n_classes), [n_test // 4, *np.diff(np.linspace(n_test // 4, n_test, n_classes).astype(int))]
    )
    noise = np.random.default_rng([seed, *treatment.encode()]).normal(size=(n_test, n_classes))
    scores = gain * np.eye(n_classes)[y_true] + noise
    scores = scores - scores[:, ::-1] if n_classes == 2 else scores
    probabilities = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    classes = [f"class {label}" for label in range(n_classes)]
    y_pred = scores.argmax(1)
    return {
        "treatment": treatment,
        "treatment_label": treatment.upper(),
        "treatment_kind": {"threshold": "threshold", "all_real": "reference"}.get(treatment, "sampler"),
        "classifier": classifier,
        "classifier_label": classifier.upper(),
        "embedder": None,
        "embedder_label": None,
        "ranks": classifier != "tree",
        "split": split,
        "seed": seed,
        "classes": classes,
        "rarest": 0,
        "n_train": 3 * n_test,
        "n_test": n_test,
        "groups": groups,
        "rows": list(range(n_test)) if split == "official" else [(split, seed), *range(1, n_test)],
        "y_true": y_true.tolist(),
        "y_pred": y_pred.tolist(),
        "scores": scores.tolist(),
        "probabilities": probabilities.tolist(),
        "metrics": evaluate(y_true, y_pred, scores, probabilities, classes, 0),
        "error": None,
    }


def make_records(gains, n_seeds=4, first_seed=0, **options):
    seeds = range(first_seed, first_seed + n_seeds)
    return [make_record(name, seed, gain, **options) for name, gain in gains.items() for seed in seeds]


def fail(record):
    record.update(error="ValueError: too few images", metrics=None)


# False positives


@pytest.mark.parametrize("n_repeats", [3, 5, 10])
@pytest.mark.parametrize(
    "case",
    [
        "alike, test images",
        "one 10 times",
        "one 10 times for one classifier, test images",
        "rival 10 times, test images",
        "heavy tails, test images",
        "own test parts, one 10 times",
    ],
)
def test_at_most_one_run_in_twenty_has_any_false_positive(case, n_repeats):
    """Whatever varies over the seeds; of 1000 runs with six classifiers and ten treatments.

    The Monte-Carlo error at .05 is .007, so the limit stands three of them above; with twice the nominal error a case
    would pass it once in a thousand times. More cases and sizes are in docs/results/false_positives.csv.
    """
    found = research.false_positives(research.tested_now, SCENARIOS[case], 1000, 6, 10, n_repeats, RandomState(0))
    assert found <= 0.07


@pytest.mark.parametrize("size", [(1, 11), (1, 2), (1, 1), (6, 1)])
@pytest.mark.parametrize("case", ["alike, test images", "one 10 times, test images", "own test parts, one 10 times"])
def test_few_classifiers_or_treatments_give_no_false_confidence(case, size):
    """There is little to pool then, and a variance must not look well known by luck. 1000 runs, as above."""
    found = research.false_positives(research.tested_now, SCENARIOS[case], 1000, *size, 3, RandomState(1))
    assert found <= 0.07


def test_the_simulation_sees_what_was_wrong_before():
    """Seeds that agree by luck took the degrees of freedom of the test images: false in four runs of ten."""
    case = SCENARIOS["alike, test images"]
    assert research.false_positives(research.tested_before, case, 300, 6, 10, 3, RandomState(0)) > 0.3


def test_five_seeds_find_what_three_cannot():
    """In units of the seeds' standard deviation; pooling finds a sixth of what three seeds needed before."""
    three, five = (research.detectable(research.tested_now, 6, 10, n, RandomState(0), n_runs=10) for n in (3, 5))
    assert five < 4 < three < 10
    assert research.detectable(research.tested_before, 6, 10, 3, RandomState(0), n_runs=10) > 3 * three


def test_lone_comparison_is_students_test():
    """With nothing to pool and test images that do not matter, there is but one right answer."""
    differences = np.array([0.1, 0.3, 0.2, 0.5])
    expected = 2 * student.sf(differences.mean() / (differences.std(ddof=1) / 2), 3)
    found = compare_differences(
        differences[None, None, None], np.zeros((1, 1, 1)), **SHARED | {"image_freedom": np.inf}
    )
    assert found["p"].item() == pytest.approx(expected, rel=1e-4)
    margin = student.ppf(0.975, 3) * differences.std(ddof=1) / 2
    assert found["high"].item() - found["difference"].item() == pytest.approx(margin, rel=1e-3)


def test_steady_seeds_leave_the_variance_over_test_images_its_own_degrees_of_freedom():
    """Where training does not vary, a hundred patients are a hundred, however few the seeds."""
    found = compare_differences(np.full((1, 1, 1, 3), 0.3), np.full((1, 1, 1), 0.01), **SHARED)
    assert found["p"].item() == pytest.approx(2 * student.sf(3, 100), rel=1e-4)
    assert found["low"].item() == pytest.approx(0.3 - 0.1 * student.ppf(0.975, 100), rel=1e-3)


def test_correction_for_overlapping_training_images():
    """Nadeau and Bengio's: repeats that share training images know less than their number."""
    differences = np.array([0.1, 0.3, 0.2, 0.5])
    error = differences.std(ddof=1) * (1 / 4 + 1 / 3) ** 0.5
    found = p_values(differences[None, None, None], np.zeros((1, 1, 1)), **OWN)
    assert found.item() == pytest.approx(2 * student.sf(differences.mean() / error, 3), rel=1e-4)


def test_correction_for_overlap_takes_the_sizes_of_the_parts():
    """From the records, to the interval in the table."""
    records = make_records({"none": 1.0, "smote": 1.3}, split="random")
    longer = [record | {"n_train": 100 * record["n_test"]} for record in records]
    widths = [(t["high"] - t["low"]).to_numpy() for t in map(paired_tests, (records, longer))]
    np.testing.assert_allclose(widths[0] / widths[1], ((1 / 4 + 1 / 3) / (1 / 4 + 1 / 100)) ** 0.5, rtol=1e-3)


def test_variance_is_never_below_its_own_nor_the_pooled_one():
    """Treatments that agree by luck are tested with what the others vary, and restless ones with what they do."""
    rng = RandomState(0)
    differences = 0.3 + rng.normal(size=(1, 6, 1, 5)) * np.array([0, 1, 1, 1, 1, 10])[:, None, None]
    found = compare_differences(differences, np.zeros((1, 6, 1)), **SHARED)
    margin = (found["high"] - found["difference"])[0, :, 0]
    assert margin[0] >= margin[1:5].min() > 0
    assert margin[5] > 1.5 * margin[0]


def test_runs_of_a_simulation_do_not_see_each_other():
    """What is pooled is pooled within a run."""
    differences, variance = research.simulate(SCENARIOS["one 3 times, test images"], 5, 3, 4, 3, RandomState(0))
    together = p_values(differences, variance, **SHARED)
    for run in range(5):
        np.testing.assert_allclose(together[run], p_values(differences[run], variance[run], **SHARED))


# Tables


def test_a_large_difference_is_found_and_none_where_there_is_none():
    """With the words of the table."""
    tests = paired_tests(make_records({"none": 0.5, "smote": 3.0, "mine": 0.5}, 5))
    assert list(tests.columns) == [
        *("treatment", "treatment_label", "classifier", "metric", "n_repeats", "n_missing", "difference"),
        *("low", "high", "p", "p_holm", "is_significant"),
    ]
    smote, mine = (tests[tests["treatment"] == name] for name in ("smote", "mine"))
    assert smote["is_significant"].all()
    assert not mine["is_significant"].any()
    assert (smote["low"] > 0).all()
    assert ((tests["low"] < tests["difference"]) & (tests["difference"] < tests["high"])).all()
    assert (tests["p_holm"] >= tests["p"]).all()
    assert paired_tests(make_records({"none": 0.5, "smote": 3.0}, 5), alpha=1e-12)["is_significant"].sum() == 0


def test_given_rows_are_tested_as_the_official_split_with_the_same():
    """Seeds make no new test images, whoever gave the split: its error was taken for that of five test sets."""
    official = make_records({"none": 1.0, "smote": 1.3}, 5)
    given = [record | {"split": "fold 1"} for record in official]
    pd.testing.assert_frame_equal(paired_tests(given), paired_tests(official))
    assert (overall_tests(given)["p"] == overall_tests(official)["p"]).all()


def test_given_folds_count_once_for_all_seeds():
    """Their error over test images does not shrink with the seeds."""
    again = [
        {**record, "seed": seed, "rows": [record["split"]], "metrics": {**record["metrics"], "roc_auc": auc}}
        for fold in range(3)
        for record in make_records({"none": 1.0, "smote": 1.3}, 1, fold, split=f"fold {fold + 1}")
        for auc in [0.7 + 0.02 * fold * (record["treatment"] == "smote")]
        for seed in (0, 1, 2)
    ]
    run = statistics.DifferencesOfRun(again, "none", ["roc_auc"])
    assert not run.design["shares_test_images"]
    assert run.design["overlap"] + 1 / 9 == pytest.approx(1 / 3 + 1 / 3)  # nine repeats, three test parts


def test_references_are_shown_and_never_tested():
    """All real images are no treatment: as one it would win, and cost every other test some of its power."""
    records = make_records({"none": 1.0, "smote": 1.3, "dcgan": 1.2}, 3)
    reference = make_records({"all_real": 2.0}, 3)
    for test in (paired_tests, overall_tests):
        pd.testing.assert_frame_equal(test(records + reference), test(records))
    pd.testing.assert_frame_equal(ranks(records + reference, "roc_auc"), ranks(records, "roc_auc"))
    with pytest.raises(
        ValueError, match="treatments must be of the run's treatments, none, smote, dcgan; got all_real"
    ):
        paired_tests(records + reference, treatments=["all_real"])
    assert set(overall_tests(records + reference, against="all_real")["treatment"]) == {"none", "smote", "dcgan"}


def tuned(record, name, kind="sampler"):
    """A record with the scores of another, and predictions of a threshold."""
    is_rare = np.array(record["scores"])[:, 0] > -1
    y_pred = np.where(is_rare, 0, 1)
    metrics = evaluate(record["y_true"], y_pred, record["scores"], record["probabilities"], record["classes"], 0)
    return record | {
        "treatment": name,
        "treatment_label": name.upper(),
        "treatment_kind": kind,
        "y_pred": y_pred.tolist(),
        "metrics": metrics,
    }


def test_a_tuned_threshold_is_not_tested_where_it_changes_nothing():
    """It repeated the row of doing nothing in ROC-AUC, and counted in Holm's correction there."""
    records = make_records({"none": 1.0, "smote": 1.3, "dcgan": 1.2}, 3)
    again = [tuned(record, "threshold", "threshold") for record in records if record["treatment"] == "none"]
    again += [tuned(record, "smote+threshold") for record in records if record["treatment"] == "smote"]
    for metrics in (["roc_auc"], ["brier", "roc_auc_1"]):
        pd.testing.assert_frame_equal(
            paired_tests(records + again, metrics=metrics), paired_tests(records, metrics=metrics)
        )
    pd.testing.assert_frame_equal(overall_tests(records + again), overall_tests(records))
    pd.testing.assert_frame_equal(ranks(records + again, "roc_auc"), ranks(records, "roc_auc"))
    of_labels = paired_tests(records + again, metrics=["balanced_accuracy"])
    assert list(of_labels["treatment"]) == ["threshold", "smote", "smote+threshold", "dcgan"]
    against = overall_tests(records + again, against="smote+threshold", metric="roc_auc")
    assert list(against["treatment"]) == ["none", "dcgan"]
    alone = [record for record in records + again if record["treatment"] != "smote"]
    assert list(overall_tests(alone)["treatment"]) == ["smote+threshold", "dcgan"]


def test_a_threshold_alone_has_nothing_to_test_in_areas():
    records = make_records({"none": 1.0}, 3)
    again = [tuned(record, "threshold", "threshold") for record in records]
    with pytest.raises(ValueError, match=r"a tuned threshold does not change them\. Choose balanced_accuracy"):
        overall_tests(records + again, metric="roc_auc")


def test_missing_and_failed_cells_are_counted_not_dropped():
    """A mean of two of three seeds must not pass for one of three."""
    records = make_records({"none": 1.0, "smote": 3.0, "dcgan": 1.2}, 3)
    fail(records[4])
    tests = paired_tests(records[:-2]).set_index(["treatment", "metric"])
    assert tests.loc[("smote", "roc_auc"), ["n_repeats", "n_missing"]].tolist() == [2, 1]
    assert np.isfinite(tests.loc[("smote", "roc_auc"), "p"])
    assert tests.loc[("dcgan", "roc_auc"), ["n_repeats", "n_missing"]].tolist() == [1, 2]
    assert np.isfinite(tests.loc[("dcgan", "roc_auc"), "difference"])
    assert tests.loc["dcgan", ["low", "high", "p", "p_holm"]].isna().all(axis=None)
    assert not tests.loc["dcgan", "is_significant"].any()
    kept = [record for record in records if record["treatment"] != "dcgan" and record["seed"] != 1]
    assert tests.loc[("smote", "f1_weighted"), "difference"] == pytest.approx(
        paired_tests(kept).set_index("metric").loc["f1_weighted", "difference"]
    )


def test_a_run_whose_cells_all_failed_has_a_table():
    """It says what is missing."""
    records = make_records({"none": 1.0, "smote": 3.0}, 2)
    for record in records:
        fail(record)
    tests = paired_tests(records)
    assert (tests["n_missing"] == 2).all()
    assert tests["p"].isna().all()
    assert overall_tests(records)["n_classifiers"].tolist() == [0]


def test_classifiers_that_do_not_rank_have_no_areas():
    """The area of a tree that says yes or no is its balanced accuracy once more."""
    gains = {"none": 1.0, "smote": 3.0, "mine": 1.2}
    records = make_records(gains) + make_records(gains, classifier="tree")
    tests = paired_tests(records)
    assert len(tests) == 2 * (3 + 2)
    assert set(tests.loc[tests["metric"] == "roc_auc", "classifier"]) == {"CNN"}
    assert overall_tests(records, metric="roc_auc")["n_classifiers"].tolist() == [1, 1]
    assert overall_tests(records, metric="f1_weighted")["n_classifiers"].tolist() == [2, 2]
    assert ranks(records, "roc_auc").attrs["left_out"] == ["TREE"]
    with pytest.raises(ValueError, match="metrics must hold one that the classifiers have"):
        paired_tests(records[12:], metrics=["roc_auc"])


def test_more_than_two_classes_and_the_users_own_names():
    """Any metric of the table can be tested, also of a single class."""
    gains = {"none": 0.5, "my sampler": 3.0}
    records = make_records(gains, 5, n_classes=3, classifier="my classifier")
    metrics = ["roc_auc", "recall_2", "roc_auc_1", "f1_macro", "brier", "sensitivity_at_90_specificity"]
    tests = paired_tests(records, metrics=metrics).set_index("metric")
    assert tests.loc[["roc_auc", "f1_macro", "brier"], "is_significant"].all()
    assert tests.loc["brier", "high"] < 0 < tests.loc["roc_auc", "low"]
    assert ranks(records, "brier")["rank"].tolist() == [2, 1]
    overall = overall_tests(records, metric="f1_macro")
    assert overall["treatment_label"].tolist() == ["MY SAMPLER"]


def test_overall_mean_is_over_classifiers_and_common_repeats():
    """A seed that one classifier lacks is left out for all, or the mean would change its classifiers in between."""
    gains = {"none": 0.5, "smote": 3.0}
    records = make_records(gains, 3) + make_records(gains, 3, classifier="ann", first_seed=0)
    fail(records[-1])
    (row,) = overall_tests(records).to_dict("records")
    assert (row["n_classifiers"], row["n_repeats"], row["n_missing"]) == (2, 2, 1)
    own = paired_tests([r for r in records if r["seed"] < 2], metrics=["roc_auc"])
    assert row["difference"] == pytest.approx(own["difference"].mean())
    assert row["low"] < row["difference"] < row["high"]


def test_treatments_that_the_run_lacks_are_refused():
    """With those that there are."""
    records = make_records({"none": 1.0, "smote": 3.0, "dcgan": 1.0})
    with pytest.raises(ValueError, match="against must be of the run's treatments, none, smote, dcgan; got adasyn"):
        paired_tests(records, against="adasyn")
    with pytest.raises(ValueError, match="treatments must be of the run's treatments"):
        paired_tests(records, treatments=["adasyn"])
    with pytest.raises(ValueError, match="treatments must not hold the one they are tested against; got none"):
        paired_tests(records, treatments=["none"])
    with pytest.raises(ValueError, match="two treatments or more; got none alone"):
        overall_tests(records[:4])
    chosen, every = paired_tests(records, treatments=["smote"]), paired_tests(records)
    assert set(chosen["treatment"]) == {"smote"}
    np.testing.assert_allclose(chosen["p"], every.loc[every["treatment"] == "smote", "p"])


def test_the_same_predictions_are_no_difference_for_sure():
    """Copied cells, as of a treatment that did nothing."""
    records = make_records({"none": 1.0}, 3)
    tests = paired_tests(records + [record | {"treatment": "idle"} for record in records])
    assert (tests[["difference", "low", "high"]] == 0).all(axis=None)
    assert (tests["p"] == 1).all()


# Resampling


def test_patients_are_drawn_whole():
    """Images of one patient are no independent witnesses, so the error is larger than theirs."""
    patient = np.repeat(np.arange(50), 4)
    y_true = np.repeat([0, 1], [60, 140])
    weights = resample(y_true, patient, 500)
    assert (weights.reshape(500, 50, 4) == weights[:, ::4, None]).all()
    assert (weights[:, y_true == 0].sum(1) == 60).all()
    alone = resample(y_true, None, 500)
    is_right = np.repeat(RandomState(0).rand(50) < 0.7, 4)
    assert 1.5 < (weights @ is_right).std() / (alone @ is_right).std() < 2.5


def test_intervals_are_wider_where_patients_have_several_images():
    """From the groups in the records to the table: four copies of fifty images are fifty witnesses."""
    gains = {"none": 1.0, "smote": 1.3}
    single = make_records(gains, 3, n_test=52)
    fourfold = []
    for record in single:
        copies = {name: np.repeat(record[name], 4, axis=0).tolist() for name in ("y_true", "y_pred", "scores")}
        fourfold.append(record | copies | {"n_test": 208, "n_train": 4 * record["n_train"]})
    patients = np.repeat(np.arange(52), 4).tolist()
    variances = []
    for records in (single, fourfold, [record | {"groups": patients} for record in fourfold]):
        run = statistics.DifferencesOfRun(records, "none", ["balanced_accuracy", "roc_auc"])
        variances.append(run.image_variances())
        assert run.design["image_freedom"] == (51 if records is fourfold else 12)
    np.testing.assert_allclose(variances[1] / variances[0], 1 / 4, rtol=0.25)
    np.testing.assert_allclose(variances[2] / variances[0], 1, rtol=0.25)


def test_resampling_keeps_the_classes_sizes():
    """As the tests are of metrics in which a class's share does not vary."""
    y_true = np.array([0] * 5 + [1] * 20 + [2] * 9)
    weights = resample(y_true, None, 50)
    for label, count in ((0, 5), (1, 20), (2, 9)):
        assert (weights[:, y_true == label].sum(axis=1) == count).all()
    assert weights.std(axis=0).min() > 0


@pytest.mark.parametrize("n_classes", [2, 3])
def test_resampled_metrics_are_those_of_the_table(n_classes):
    """All of them, with every image drawn once, and with some drawn twice and others not at all; scores have ties."""
    record = make_record("none", 0, 1.0, n_classes=n_classes, n_test=80)
    record["scores"] = np.round(record["scores"], 1).tolist()
    names = [*METRIC_LABELS, "recall_1", "precision_0", "f1_1", "roc_auc_1"]
    weights = np.concatenate([np.ones((1, 80)), resample(record["y_true"], None, 3)])
    found = resampled_metrics(record, names, weights)
    for i, weight in enumerate(weights):
        rows = np.repeat(np.arange(80), weight.astype(int))
        drawn = [np.asarray(record[name])[rows] for name in ("y_true", "y_pred", "scores", "probabilities")]
        expected = evaluate(*drawn, record["classes"], record["rarest"])
        assert {name: found[name][i] for name in names} == pytest.approx({name: expected[name] for name in names})


# Ranks


def test_ranks_start_at_one_and_ties_share():
    """Of the means over the seeds, within each classifier."""
    records = make_records({"none": 1.0, "smote": 3.0})
    records += [record | {"treatment": "random"} for record in records[:4]]
    found = ranks(records, "f1_weighted").set_index("treatment")["rank"]
    assert found.to_dict() == {"none": 2.5, "random": 2.5, "smote": 1.0}


def test_ranks_are_of_the_same_seeds_and_classifiers():
    """Means over different ones do not compare; a classifier that lacks a treatment is named."""
    gains = {"none": 0.5, "dcgan": 1.5, "smote": 3.0}
    records = [r for name in ("cnn", "ann", "svm") for r in make_records(gains, 3, classifier=name)]
    for record in records[18:21]:
        fail(record)
    found = ranks(records, "roc_auc")
    assert found["rank"].tolist() == [3, 1, 2]
    assert found.attrs["left_out"] == ["SVM"]
    assert found.attrs["n_classifiers"] == 2
    assert found.attrs["friedman_p"] < 0.2
    fail(records[0])
    expected = np.mean([r["metrics"]["roc_auc"] for r in records[4:6]])
    assert mean_values(records, "roc_auc").loc["CNN", "DCGAN"] == pytest.approx(expected)
    assert nemenyi(records, "roc_auc").loc["NONE", "SMOTE"] < 0.2
    with pytest.raises(ValueError, match="got 1 classifiers and 3 treatments"):
        nemenyi(records[:9], "roc_auc")
    assert np.isnan(ranks(records[:9], "roc_auc").attrs["friedman_p"])


def test_statistics_need_no_torch():
    """A report is made where no network is."""
    code = (
        "import sys, types; package = types.ModuleType('gan_sampler'); package.__path__ = [sys.argv[1]]; "
        "sys.modules['gan_sampler'] = package; import gan_sampler.evaluation._statistics; "
        "sys.exit(sum(name in sys.modules for name in ('torch', 'statsmodels', 'scikit_posthocs', 'seaborn')))"
    )
    folder = Path(statistics.__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code, str(folder)], check=False).returncode == 0
