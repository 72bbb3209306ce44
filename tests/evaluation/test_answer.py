"""The answer: every sentence follows from the numbers by a rule."""

import pytest
from make_records import fail, make_manifest, make_records, warn

from gan_sampler.evaluation._answer import (
    answer,
    in_sentence,
    is_close_to_real,
    is_generator,
    metric_in_words,
    question,
)
from gan_sampler.evaluation._report import render

METRIC = "balanced_accuracy"
ROWS = (("tree", "resnet18"), ("cnn", None))


def answer_of(records, metric=METRIC, **values):
    return answer(records, make_manifest(records, metric, **values), metric)


@pytest.fixture(scope="module")
def clear():
    """SMOTE better, vision-aided DCGAN worse, DCGAN as nothing."""
    treatments = ("none", "smote", "dcgan", "vision_aided")
    return make_records(treatments=treatments, rows=ROWS, seeds=range(5), gains={"smote": 1.5, "vision_aided": -1.0})


def test_what_is_significantly_better_is_named_with_its_gain_and_interval(clear):
    first = answer_of(clear)[0]
    assert first.startswith("SMOTE is significantly better than doing nothing (at .05 after Holm's correction)")
    assert "balanced accuracy by +0." in first
    assert "(95 % interval +0." in first
    assert "on average over 2 classifiers" in first
    assert "DCGAN" not in first


def test_what_is_significantly_worse_is_named(clear):
    sentences = answer_of(clear)
    assert any(
        s.startswith("Vision-aided DCGAN is significantly worse than doing nothing, by \N{MINUS SIGN}0.")
        for s in sentences
    )
    assert not any("None is significantly worse" in s for s in sentences)


def test_a_simple_treatment_that_beats_the_generators_is_said_to_be_enough(clear):
    second = answer_of(clear)[1]
    assert second.startswith("No generator is needed: SMOTE, which trains none, is significantly better than DCGAN")


def test_a_generator_that_beats_all_simple_treatments_gets_its_due():
    gains = {"dcgan": 2.0}
    records = make_records(treatments=("none", "random", "smote", "dcgan"), rows=ROWS[:1], seeds=range(4), gains=gains)
    sentences = answer_of(records)
    assert sentences[0].startswith("DCGAN is significantly better than doing nothing")
    assert sentences[1].startswith(
        "No treatment without a generator does as well: DCGAN is significantly better than each"
    )


def test_a_generator_as_good_as_a_simple_treatment_is_not_shown_to_be_needed():
    gains = {"dcgan": 1.5, "smote": 1.5}
    records = make_records(treatments=("none", "smote", "dcgan"), rows=ROWS, seeds=range(5), gains=gains)
    sentences = answer_of(records)
    assert "SMOTE and DCGAN are significantly better" in sentences[0]
    assert sentences[1].startswith(
        "There is no evidence that a generator is needed: SMOTE, which trains none, differs from DCGAN"
    )
    assert sentences[1].endswith("which is not significant.")


def test_generators_chosen_among_many_must_be_better_by_more(clear, monkeypatch):
    """The best of five looks good by chance: its p-values count five times."""
    from gan_sampler.evaluation import _answer

    def tests(records, *, against, metric):
        found = real(records, against=against, metric=metric)
        return found if against == "none" else found.assign(p_holm=0.03)

    real = _answer.overall_tests
    monkeypatch.setattr(_answer, "overall_tests", tests)
    one = [record for record in clear if record["treatment"] != "vision_aided"]
    assert answer_of(one)[1].startswith("No generator is needed")
    assert answer_of(clear)[1].startswith("There is no evidence that a generator is needed")  # .03 * 2 > .05


def test_nothing_significant_is_said_plainly_and_is_not_called_no_effect():
    """Wide intervals show nothing, in either direction."""
    sentences = answer_of(make_records(rows=ROWS, noise=1.0))
    assert sentences[0].startswith("No treatment is significantly better than doing nothing")
    assert sentences[0].endswith("and not significant.")
    assert "None is significantly worse than doing nothing." in sentences
    (power,) = (s for s in sentences if "no effect" in s)
    assert power.startswith("“Not significant” does not mean “no effect”: with 3 repeats and 120 test images each")
    assert "better than" not in " ".join(sentences).replace("better than doing nothing (at", "")


def test_narrow_intervals_are_said_to_exclude_differences(clear):
    from gan_sampler.evaluation._answer import overall_tests

    tests = overall_tests(clear, against="none", metric=METRIC)
    narrow = tests.assign(low=-0.004, high=0.005, is_significant=False)
    sentences = answer(clear, make_manifest(clear), METRIC, tests=narrow)
    assert any("exclude differences beyond ±0.005" in s for s in sentences)
    assert not any("no effect" in s for s in sentences)


def test_one_seed_allows_no_test_and_no_claim():
    (sentence,) = answer_of(make_records(rows=ROWS, seeds=(0,), gains={"smote": 3.0}))
    assert sentence.startswith("With one seed no test is possible")
    assert "may be chance" in sentence
    assert "significant" not in sentence


def test_a_run_that_has_finished_one_seed_of_several_is_told_to_go_on_not_to_ask_for_more():
    records = make_records(rows=ROWS, seeds=(0, 1), gains={"smote": 3.0})
    begun = [record for record in records if record["seed"] == 0]
    missing = [record for record in records if record["seed"] == 1]
    sentence = answer_of(begun, missing=missing)[0]
    assert sentence.startswith("No test is possible yet")
    assert "seeds" not in sentence


def test_failures_missing_cells_and_alarms_are_said(clear):
    records = [fail(clear[1]), *clear[2:]]
    records[5] = warn(records[5])
    records[6] = warn(records[6], "QualityWarning")
    last = answer_of(records)[-1]
    assert "1 of 40 cells failed" in last
    assert "1 of 40 cells has not been computed" in last
    assert f"a generator that has collapsed ({records[5]['treatment_label']})" in last
    assert f" and of synthetic images of poor quality ({records[6]['treatment_label']})" in last
    assert last.count("there were") == 1
    assert "marked in the tables" in last


def test_names_keep_their_capital_in_a_sentence():
    assert [in_sentence(label) for label in ("Brier score", "F1, macro", "Balanced accuracy")] == [
        "Brier score",
        "F1, macro",
        "balanced accuracy",
    ]


def test_what_was_never_asked_for_is_not_missing(clear):
    """A threshold is tuned for some classifiers only; the run knows what it planned."""
    assert answer_of(clear[1:], missing=[])[-1].startswith("“Not significant”")


def test_there_are_at_most_five_sentences_and_never_both_of_a_rule(clear):
    troubled = [fail(clear[0]), warn(clear[1]), *clear[2:]]
    assert len(answer_of(troubled)) == 5


@pytest.mark.parametrize(
    ("records", "start"),
    [
        ([fail(record) for record in make_records(rows=ROWS[:1], seeds=(0,))], "No cell has finished"),
        (make_records(treatments=("smote", "dcgan"), rows=ROWS[:1], seeds=(0,)), "Doing nothing was not among"),
        (make_records(treatments=("none",), rows=ROWS[:1], seeds=(0,)), "Only doing nothing was tried"),
    ],
)
def test_runs_without_an_answer_say_why(records, start):
    assert answer_of(records)[0].startswith(start)


@pytest.mark.parametrize("late", [("dcgan",), ("smote", "dcgan")])
def test_treatments_without_a_result_yet_are_left_out(late):
    """The report of a run that is not over failed with StopIteration."""
    rows = (("tree", "resnet18"), ("forest", "resnet18"))
    records = make_records(rows=rows, gains={"smote": 1.0})
    done = [r for r in records if r["treatment"] not in late or r["classifier"] == "tree"]
    first = answer_of(done, "roc_auc")[0]
    assert "DCGAN" not in first
    assert first.startswith("SMOTE" if late == ("dcgan",) else "No treatment has finished a repeat that doing nothing")
    assert "<html" in render(done, make_manifest(done, "roc_auc"), None)


def test_generator_and_rivals_without_a_common_repeat_are_not_compared():
    records = make_records(rows=ROWS, seeds=range(4))
    done = [r for r in records if r["treatment"] == "none" or (r["treatment"] == "dcgan") == (r["seed"] < 2)]
    assert not any("generator" in sentence for sentence in answer_of(done))


def test_a_metric_that_no_classifier_gives_cannot_decide():
    """A decision tree grown to the end has no area."""
    sentences = answer_of(make_records(rows=ROWS[:1], seeds=(0, 1)), "roc_auc")
    assert sentences == ["No classifier of this run gives ROC-AUC, so it cannot decide: choose another metric."]


def test_errors_are_better_when_lower(clear):
    """The sign of a gain turns with the metric."""
    first = answer_of(clear, "brier")[0]
    assert first.startswith("SMOTE is significantly better than doing nothing")
    assert "by \N{MINUS SIGN}0." in first


def test_a_sampler_of_the_user_counts_as_generator_by_its_history_and_as_close_to_real_always(clear):
    """Nobody knows what it makes its images of."""
    own = [record | {"treatment": "mine", "history": {"a": [{"step": 1}]}} for record in clear[:1]]
    assert is_generator(own, "mine")
    assert not is_generator([own[0] | {"history": {}}], "mine")
    assert is_generator(clear, "dcgan+threshold")
    assert is_close_to_real("mine")
    assert is_close_to_real("smote+threshold")
    assert not is_close_to_real("dcgan+threshold")


def test_the_question_names_the_classes_and_the_metric_is_put_in_words(clear):
    assert question(clear) == (
        "Should the rare class “normal” be over-sampled before a classifier is trained to separate it from “pneumonia”?"
    )
    four = make_records(("a", "b", "c", "d"), treatments=("none",), rows=ROWS[:1], seeds=(0,))
    assert "trained on “a”, “b”, “c” and “d”?" in question(four)
    assert "guessing gives 0.25" in metric_in_words(four, METRIC)
    assert "“normal”" in metric_in_words(clear, "recall_minority")
