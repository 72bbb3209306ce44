"""Ranks and paired tests between samplers, from the files of a run."""

import re

import numpy as np
import pandas as pd
import pytest
from compare import compare, compare_runs, main, rank_table
from grid import Split
from metrics import evaluate
from paired import Measured, comparisons, holm, measure, read, resample, resampled_measures
from report import COLUMNS, METRIC_LABELS, predictions_table
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score


def make_cell(sampler, seed, gain, *, split="official", classifier="cnn", n_test=200):
    """A classifier whose scores are the truth plus noise; `gain` makes it better."""
    y_true = np.repeat([0, 1], [n_test // 4, n_test - n_test // 4])
    noise = np.random.default_rng([seed, len(sampler)]).normal(size=n_test)
    score = gain * (y_true == 0) + noise
    y_pred = np.where(score > 0.5, 0, 1)
    metrics = evaluate(y_true, y_pred, np.column_stack([score, -score]), [0, 1], 0)
    return {
        "data": "toy",
        "sampler": sampler,
        "split": split,
        "seed": seed,
        "classifier": classifier,
        "embedder": None,
        "minority": 0,
        "n_train": 3 * n_test,
        "n_test": n_test,
        "metrics": metrics,
        "y_true": y_true,
        "y_pred": y_pred,
        "group": np.arange(n_test),
        "scores": {0: score},
    }


def make_cells(gains, n_seeds=4, first_seed=0, **how):
    seeds = range(first_seed, first_seed + n_seeds)
    return [make_cell(sampler, seed, gain, **how) for sampler, gain in gains.items() for seed in seeds]


def test_resampled_measures_are_scikit_learns():
    """With every image drawn once, and with some drawn twice and others not at all."""
    cell = make_cell("none", 0, 1.0)
    weights = np.concatenate([np.ones((1, 200)), resample(cell["y_true"], np.arange(200), 3)])
    found = resampled_measures(cell, weights)
    for i, weight in enumerate(weights):
        rows = np.repeat(np.arange(200), weight.astype(int))
        y_true, y_pred, score = cell["y_true"][rows], cell["y_pred"][rows], cell["scores"][0][rows]
        assert found["balanced_accuracy"][i] == pytest.approx(balanced_accuracy_score(y_true, y_pred))
        assert found["f1_weighted"][i] == pytest.approx(f1_score(y_true, y_pred, average="weighted"))
        assert found["roc_auc"][i] == pytest.approx(roc_auc_score(y_true == 0, score))


def test_area_of_many_classes_is_the_one_reported():
    """One against the rest, weighted; else the error would be that of another number than the difference."""
    rng = np.random.default_rng(0)
    y_true, scores = rng.integers(3, size=60), rng.normal(size=(60, 3))
    cell = {"y_true": y_true, "y_pred": scores.argmax(1), "scores": dict(enumerate(scores.T))}
    found = resampled_measures(cell, np.ones((1, 60)))
    reported = evaluate(y_true, cell["y_pred"], scores, np.arange(3), 0)
    for name in ("balanced_accuracy", "f1_weighted", "roc_auc"):
        assert found[name][0] == pytest.approx(reported[name])


def test_patients_are_drawn_whole():
    """Images of one patient are no independent witnesses, so the error is larger than theirs."""
    patient = np.repeat(np.arange(50), 4)
    y_true = np.repeat([0, 1], [60, 140])
    weights = resample(y_true, patient, 500)
    assert (weights.reshape(500, 50, 4) == weights[:, ::4, None]).all()
    assert (weights[:, y_true == 0].sum(1) == 60).all()
    alone = resample(y_true, np.arange(200), 500)
    is_right = np.repeat(np.random.RandomState(0).rand(50) < 0.7, 4)
    assert 1.5 < (weights @ is_right).std() / (alone @ is_right).std() < 2.5


def test_resampling_keeps_the_classes_sizes():
    """As the tests are of measures in which a class's share does not vary."""
    y_true = np.array([0] * 5 + [1] * 20 + [2] * 9)
    weights = resample(y_true, np.arange(len(y_true)), 50)
    for label, count in ((0, 5), (1, 20), (2, 9)):
        assert (weights[:, y_true == label].sum(axis=1) == count).all()
    assert weights.std(axis=0).min() > 0


@pytest.mark.parametrize("split", ["official", "random"])
def test_tests_find_a_difference_and_no_more(split):
    """A much better sampler is found; one of the same kind is not, in about nineteen cases of twenty."""
    cells = make_cells({"none": 1.0, "smote": 3.0}, split=split)
    difference, margin, p_value = Measured(cells).compare("smote", "none", "roc_auc")
    assert 0 < margin < difference
    assert p_value < 0.01
    found = []
    for trial in range(20):
        cells = make_cells({"none": 1.0, "smote": 1.0}, first_seed=4 * trial, split=split)
        found.append(Measured(cells, 100).compare("smote", "none", "balanced_accuracy")[2] < 0.05)
    assert np.sum(found) <= 3


def test_both_sources_of_variance_count_where_test_images_are_shared():
    """One image of either class leaves the test no certainty, however alike the seeds; nor do restless seeds."""
    sure = make_cells({"none": 1.0, "smote": 3.0})
    alike = [make_cell(c["sampler"], 0, 1.0 if c["sampler"] == "none" else 3.0) | {"seed": c["seed"]} for c in sure]
    measured = Measured(alike)
    assert np.ptp(measured.values("smote", "roc_auc")) == 0
    _, margin, p_value = measured.compare("smote", "none", "roc_auc")
    assert margin > 0.02
    assert 0 < p_value < 1
    restless = [
        make_cell(c["sampler"], c["seed"], 3.0 if c["sampler"] == "none" else 1.0 + 2 * c["seed"]) for c in sure
    ]
    assert Measured(restless).compare("smote", "none", "roc_auc")[1] > 2 * margin


@pytest.mark.parametrize("split", ["official", "random"])
def test_seeds_that_agree_by_chance_leave_a_test_its_doubt(split):
    """Of few rare test images, two splits often gain equally many; that is no certainty."""
    cells = [
        make_cell(c["sampler"], 0, 1 + (c["sampler"] == "smote") / 4) | {"seed": c["seed"], "split": split}
        for c in make_cells({"none": 1.0, "smote": 1.0}, n_seeds=2)
    ]
    measured = Measured(cells)
    assert np.ptp(measured.values("smote", "roc_auc") - measured.values("none", "roc_auc")) == 0
    _, margin, p_value = measured.compare("smote", "none", "roc_auc")
    assert margin > 0.02
    assert p_value > 0.05
    assert measured.compare("none", "none", "roc_auc")[1:] == (0, 1)


def test_one_repeat_is_no_test():
    """A difference is shown, and that nothing is known of its error."""
    difference, margin, p_value = Measured(make_cells({"none": 1.0, "smote": 3.0}, 1)).compare(
        "smote", "none", "roc_auc"
    )
    assert difference > 0
    assert np.isnan(margin)
    assert np.isnan(p_value)


def test_an_unfinished_run_is_refused_by_the_name_of_what_is_missing():
    """Means over different seeds do not compare, and a sampler that failed everywhere must not vanish from a table."""
    cells = make_cells({"none": 1.0, "smote": 3.0})
    with pytest.raises(ValueError, match=r"CNN has no SMOTE with seed 3 on the official split. Finish the run first"):
        measure(cells[:-1])
    with pytest.raises(ValueError, match=r"ANN has no SMOTE with seed 0"):
        measure(cells + make_cells({"none": 1.0}, classifier="ann"))


def test_a_tree_has_no_say_in_areas():
    """It says yes or no, so that its area is its balanced accuracy once more."""
    gains = {"none": 1.0, "smote": 3.0, "dcgan": 1.2}
    measured = measure(make_cells(gains) + make_cells(gains, classifier="tree"))
    tests = comparisons(measured, "none")
    assert (tests["measure"] == "roc_auc").sum() == 2
    assert len(tests) == 2 * (3 + 2)
    assert rank_table(measured).notna().all(axis=None)
    alone = {"Decision tree": measured["Decision tree"]}
    assert rank_table(alone)["ROC-AUC"].isna().all()
    assert "ROC-AUC: mean difference" not in compare_runs({"toy": alone})
    assert "ROC-AUC: mean difference" in compare_runs({"toy": measured})


def test_surely_means_the_same_in_every_table():
    """Corrected for all comparisons of the run, whichever are shown."""
    gains = {"none": 1.0, "smote": 1.6, "dcgan": 1.2, "random": 1.1}
    measured = measure(make_cells(gains))
    all_tests = comparisons(measured, "none")
    own = all_tests[all_tests["sampler"] == "smote"]
    shown = compare(measured, sampler="smote").split("### SMOTE against none")[1]
    assert [f"{p:.3f}" for p in own["p_holm"]] == re.findall(r"(\d\.\d{3})\s+\|$", shown, re.MULTILINE)[: len(own)]
    assert (own["p_holm"] > comparisons(measured, "none", ["smote"])["p_holm"].to_numpy()).any()


def test_samplers_that_the_run_lacks_are_refused():
    """With those that there are."""
    measured = measure(make_cells({"none": 1.0, "smote": 3.0}))
    with pytest.raises(ValueError, match="--sampler must be a sampler of the run, none, smote; got dcgan"):
        compare(measured, sampler="dcgan")
    with pytest.raises(ValueError, match="--rival must be a sampler of the run"):
        compare(measured, "dcgan")
    with pytest.raises(ValueError, match="--sampler must differ from --rival; got none for both"):
        compare(measured, "none", "none")


def test_holm_is_holm():
    """The example of five hypotheses worked by hand; unknown ones stay so and do not count."""
    corrected = holm([0.01, 0.04, 0.03, 0.005, np.nan])
    assert corrected[:4] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert np.isnan(corrected[4])
    assert holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])


def test_ranks_start_at_one_and_ties_share():
    """Of the means over the seeds, within each classifier."""
    cells = make_cells({"none": 1.0, "smote": 3.0, "random": 1.0})
    for cell in cells:
        if cell["sampler"] == "random":
            cell["metrics"] = next(c for c in cells if c["sampler"] == "none" and c["seed"] == cell["seed"])["metrics"]
    ranks = rank_table({"CNN": Measured(cells)}).set_index("sampler")["mean"]
    assert ranks["SMOTE"] == 1
    assert ranks["none"] == ranks["random"] == 2.5


def test_tables_name_the_best_and_how_sure_that_is():
    """All that the command prints, for two classifiers."""
    gains = {"none": 1.0, "smote": 3.0, "dcgan": 1.2}
    cells = make_cells(gains) + make_cells(gains, classifier="ann")
    text = compare(measure(cells))
    assert "### SMOTE against none" in text
    assert "### DCGAN against none" in compare(measure(cells), sampler="dcgan")
    assert "Friedman" in text
    assert "over 4 seeds and over test images" in text
    tests = comparisons({"CNN": Measured(cells[:12])}, "none", ["smote"])
    assert list(tests["measure"]) == ["balanced_accuracy", "f1_weighted", "roc_auc"]
    assert (tests["p_holm"] >= tests["p"]).all()


def test_runs_are_set_side_by_side():
    """Ranks and gains of the samplers that all have; with more rivals, ranks would not compare."""
    gains = {"none": 1.0, "smote": 3.0, "dcgan": 1.2}
    runs = {
        "lungs": measure(make_cells({**gains, "random": 2.0})),
        "cells": measure(make_cells({**gains, "smote": -3.0}, split="random")),
    }
    text = compare_runs(runs)
    ranks = text.split("### ROC-AUC: mean rank")[1].split("###")[0].replace(" ", "")
    assert "|sampler|lungs|cells|mean|" in ranks
    assert "|SMOTE|**1.0**|3.0|2.0|" in ranks
    assert "left out: random." in text
    assert "| random" not in text
    gained = text.split("### ROC-AUC: mean difference")[1].replace(" ", "")
    assert re.search(r"\|SMOTE\|\*\*\+0\.\d+\*\*\(1/0\)\|-0\.\d+\(0/1\)\|2\.0\|", gained)
    assert re.search(r"\|none\|\|\|2\.5\|", gained)
    assert "Classifiers of" not in text
    with pytest.raises(ValueError, match="--rival must be a sampler of every run; got random"):
        compare_runs(runs, "random")


def test_no_loss_is_printed_as_the_best():
    """Where nothing helps, nothing is bold but the rank of doing nothing."""
    text = compare_runs({"toy": measure(make_cells({"none": 3.0, "smote": 1.0, "dcgan": 1.2}))})
    rows = [line for line in text.splitlines() if re.match(r"\| (none|SMOTE|DCGAN) ", line)]
    assert len(rows) == 9
    assert ["**" in row for row in rows] == 3 * [True, False, False]


def test_one_sampler_is_nothing_to_compare():
    """Tables without rows would fail with words about columns."""
    with pytest.raises(ValueError, match="must have two samplers to compare; got none alone"):
        measure(make_cells({"none": 1.0}))


def test_what_runs_do_not_share_is_told():
    """Means over other classifiers do not compare, and with one seed nothing was tested."""
    gains = {"none": 1.0, "smote": 3.0, "dcgan": 1.2}
    one_seed = measure(make_cells(gains, 1) + make_cells(gains, 1, classifier="ann"))
    text = compare_runs({"lungs": measure(make_cells(gains)), "cells": one_seed})
    assert "- Classifiers of lungs: CNN.\n- Classifiers of cells: ANN, CNN." in text
    assert "cells: With one seed there is no test" in text
    assert "(6 of lungs)" in text
    assert "In brackets" not in compare_runs({"cells": one_seed})
    assert "nan" not in compare(one_seed).split("### SMOTE against none")[1]


def test_the_published_f1_stands_beside_runs_on_as_many_images():
    """With 40 rare images another number is to be expected."""
    cells = [cell | {"data": "chest_xray", "n_train": 5216} for cell in make_cells({"none": 1.0, "smote": 3.0})]
    assert "Table 1 is 0.822" in compare(measure(cells))
    assert "Table 1" not in compare(measure([cell | {"n_train": 3915} for cell in cells]))


def test_command_names_the_folder_that_holds_no_run(tmp_path, capsys):
    """A traceback would not say what to do."""
    with pytest.raises(SystemExit):
        main([str(tmp_path)])
    assert "FOLDER must be the results folder of a finished run" in capsys.readouterr().err
    (tmp_path / "results.csv").touch()
    with pytest.raises(SystemExit):
        main([str(tmp_path)])
    assert "results.csv must be as run.py wrote it; it has no column data, split" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([str(tmp_path), "--brief", "--sampler", "smote"])
    assert "leave out one of the two" in capsys.readouterr().err


def test_reads_what_a_run_wrote(tmp_path):
    """Failed cells are left out, and rows of a cell are found by its key, in any order."""
    cell = make_cell("none", 0, 1.0)
    plain = dict.fromkeys(COLUMNS) | {
        name: value for name, value in cell.items() if not isinstance(value, np.ndarray | dict)
    }
    rows = [{**plain, **cell["metrics"], "error": None, "key": "a"}, {**plain, "error": "failed", "key": "b"}]
    pd.DataFrame(rows).to_csv(tmp_path / "results.csv", index=False)
    columns = {"key": "a", "image": range(200), "y_true": cell["y_true"], "y_pred": cell["y_pred"]}
    shuffled = pd.DataFrame({**columns, "score": cell["scores"][0]}).sample(frac=1, random_state=0)
    shuffled.to_csv(tmp_path / "predictions.csv.gz", index=False)
    (found,) = read(tmp_path, ["cnn"])
    with pytest.raises(ValueError, match="--classifiers must name some of the run"):
        read(tmp_path, ["svm"])
    shuffled.assign(key="c").to_csv(tmp_path / "predictions.csv.gz", index=False)
    with pytest.raises(ValueError, match="must hold the predictions of every cell; 1 have none"):
        read(tmp_path)
    np.testing.assert_array_equal(found["y_pred"], cell["y_pred"])
    np.testing.assert_allclose(found["scores"][0], cell["scores"][0])
    assert found["metrics"]["roc_auc"] == pytest.approx(cell["metrics"]["roc_auc"])
    assert found["embedder"] is None


def test_reads_groups_and_scores_of_many_classes_as_they_were_written(tmp_path):
    """What the benchmark writes is what is compared."""
    record = {"key": "a", "split": "official", "seed": 0, "minority": 2, "classes": [0, 1, 2]}
    record |= {"y_true": [0, 1, 2], "y_pred": [0, 2, 2], "scores": [[3.0, 2, 1], [0, 1, 5], [0, 0, 4]]}
    split = Split("official", 0, np.array([0]), np.array([1, 3, 2]))
    predictions_table([record], np.array(["x", "b", "a", "b"]), [split]).to_csv(
        tmp_path / "predictions.csv.gz", index=False
    )
    row = {
        "key": "a",
        "error": None,
        **dict.fromkeys(COLUMNS),
        "n_test": 3,
        "classifier": "cnn",
        "minority": 2,
        **dict.fromkeys(METRIC_LABELS, 0.5),
    }
    pd.DataFrame([row]).to_csv(tmp_path / "results.csv", index=False)
    (found,) = read(tmp_path)
    assert found["group"].tolist() == [1, 1, 0]
    assert found["scores"][2].tolist() == [1, 5, 4]
    assert found["scores"].keys() == {0, 1, 2}
