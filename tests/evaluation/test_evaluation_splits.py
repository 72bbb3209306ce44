"""Which images train and which test."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold
from toy_evaluation import N_DISCS, N_SQUARES, lay_out, toy_data

from gan_sampler.evaluation import _splits
from gan_sampler.evaluation._splits import Split, make_splits, split_off_validation, stratified_folds, thin_rarest


def rare_patients(n_rare=3, n_common=12, n_views=5):
    """A few patients of the rare class 0, more of the common one, each with several images."""
    target = np.repeat([0, 1], [n_rare * n_views, n_common * n_views])
    return target, np.arange(len(target)) // n_views


@pytest.mark.parametrize("cv", [None, 4])
def test_no_patient_is_in_training_and_test(cv):
    """Two images of one patient are nearly copies; torn apart they make any classifier look good."""
    data = toy_data(groups=np.arange(N_DISCS + N_SQUARES) // 2)
    for split in make_splits(data, [0, 1], cv):
        assert not set(data.groups[split.train]) & set(data.groups[split.test])
        assert set(data.target[split.test]) == {0, 1}


def test_folds_without_a_patient_of_the_rare_class_are_refused():
    """3 rare patients in 5 folds left two of them without one, and recall there was a made-up number."""
    target, groups = rare_patients()
    with pytest.raises(ValueError, match=r"class ill has 3 groups \(patients\)\. The largest .* is 3: use cv=3, or"):
        stratified_folds(target, groups, 5, 0, names=["ill", "well"])
    folds = stratified_folds(target, groups, 3, 0)
    assert [len(set(groups[test[target[test] == 0]])) for _, test in folds] == [1, 1, 1]


@pytest.mark.parametrize("n_rare", [1, 2, 4])
def test_number_of_folds_that_a_refusal_names_works(n_rare):
    """Else the user would be refused twice."""
    target, groups = rare_patients(n_rare)
    with pytest.raises(ValueError, match="No number of folds is possible" if n_rare == 1 else f"use cv={n_rare}"):
        stratified_folds(target, groups, 6, 3)
    if n_rare > 1:
        assert len(stratified_folds(target, groups, n_rare, 3)) == n_rare


def test_far_too_many_folds_are_refused_without_trying_each(monkeypatch):
    """Hundreds of groups in hundreds of folds take minutes to share out."""
    tried, attempt = [], _splits._try_folds
    monkeypatch.setattr(_splits, "_try_folds", lambda *given: tried.append(given[2]) or attempt(*given))
    with pytest.raises(ValueError, match="use cv=30"):
        stratified_folds(*rare_patients(30, 90, 1), 500, 0)
    assert tried == [500]


def test_folds_of_single_images_are_refused_likewise():
    with pytest.raises(
        ValueError, match=r"at least one image of every class .* class class 0 has 14 images.*use cv=14"
    ):
        make_splits(replace(toy_data(), groups=None), [0], 20)


def test_threshold_that_cannot_be_tuned_is_refused_before_anything_is_trained(tmp_path):
    """And the way out is not cv, whose folds are others."""
    data = toy_data(groups=np.r_[np.arange(N_DISCS) // 5, 100 + np.arange(N_SQUARES)])  # 3 rare patients
    with pytest.raises(ValueError, match=r"A tuned threshold must .* class class 0 has 2 .*Leave out tuned thresholds"):
        lay_out(data, tmp_path, samplers=["threshold"], cv=3)
    lay_out(data, tmp_path, samplers=["none"], cv=3)


def test_official_split_is_used_and_its_validation_images_are_left_out():
    """Numbers are compared with others' on the same test images."""
    parts = np.array(["train", "val", "test", "train"] * 14)
    splits = make_splits(toy_data(split=parts), [3, 4])
    assert [(split.name, split.seed) for split in splits] == [("official", 3), ("official", 4)]
    assert set(parts[splits[0].train]) == {"train"}
    assert set(parts[splits[0].test]) == {"test"}


def test_folds_test_every_image_once():
    """Cross-validation promises that."""
    data = toy_data(split=np.array(["train", "test"] * 28))
    splits = make_splits(data, [0], 3)
    assert [split.name for split in splits] == ["fold 1", "fold 2", "fold 3"]
    assert sorted(np.concatenate([split.test for split in splits])) == list(range(N_DISCS + N_SQUARES))


def test_random_split_keeps_a_stratified_quarter_and_differs_between_seeds():
    """The spread over seeds is to show what other test images would have given."""
    data = toy_data()
    first, second = make_splits(data, [0, 1])
    assert len(first.test) == 14
    assert 3 <= (data.target[first.test] == 0).sum() <= 4
    assert set(first.test) != set(second.test)


@pytest.mark.parametrize("cv", [StratifiedGroupKFold(3), [(list(range(28, 56)) + [0, 1], list(range(2, 28)))]])
def test_splitters_and_pairs_of_rows_are_taken_as_cross_validate_does(cv):
    splits = make_splits(toy_data(), [0], cv)
    assert len(splits) == (3 if hasattr(cv, "split") else 1)
    for split in splits:
        assert not set(split.train) & set(split.test)


def test_masks_count_as_the_rows_they_mark():
    mask = np.arange(56) % 4 == 0
    (split,) = make_splits(toy_data(), [0], [(~mask, mask)])
    np.testing.assert_array_equal(split.test, np.flatnonzero(mask))


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        (1, "cv must be at least 2 folds; got 1"),
        (0, "cv must be at least 2 folds; got 0"),
        (True, "cv must be at least 2 folds; got True"),
        ("five", "cv must be a number of folds, a splitter, or pairs of rows"),
        (2.5, "cv must be a number of folds, a splitter, or pairs of rows"),
        ([], "cv must be a number of folds, a splitter, or pairs of rows"),
        ([(range(9), range(9), range(9))], "cv must be a number of folds, a splitter, or pairs of rows"),
        ([(range(50), range(45, 56))], "cv must not test on rows that it trains on; fold 1 does"),
        ([(range(50), [99])], "cv must give rows from 0 to 55"),
        ([(range(50), [-1])], "cv must give rows from 0 to 55"),
        ([(range(20), range(20, 56))], "test images of the fold 1 split have none of class 0"),
        (KFold(4), "none of class"),
    ],
)
def test_other_words_for_folds_are_refused(cv, message):
    """0 meant four folds, and masks of rows were read as rows 0 and 1."""
    with pytest.raises(ValueError, match=message):
        make_splits(replace(toy_data(), groups=None), [0], cv)


def test_splitter_that_tears_groups_apart_is_refused():
    data = toy_data(groups=np.arange(56) // 2)
    rows = np.random.RandomState(0).permutation(56)
    with pytest.raises(ValueError, match=r"cv must keep every group \(patient\) in one part; fold 1 has .* in both"):
        make_splits(data, [0], [(rows[:40], rows[40:])])
    pairs = list(GroupKFold(2, shuffle=True, random_state=1).split(rows, groups=data.groups))
    assert len(make_splits(data, [0], pairs)) == 2


def test_rarest_class_can_be_thinned_for_training_alone():
    """Other images for other seeds; testing and the other class keep theirs."""
    data = toy_data()
    first, second = (thin_rarest(split, data.target, 5) for split in make_splits(data, [0, 1]))
    (whole,) = make_splits(data, [0])
    assert (data.target[first.train] == 0).sum() == 5
    left_out = set(whole.train) - set(first.train)
    assert set(first.train) <= set(whole.train)
    assert {int(data.target[row]) for row in left_out} == {0}
    np.testing.assert_array_equal(first.test, whole.test)
    assert set(first.train) != set(second.train)


def test_what_thinning_removed_can_be_restored():
    """The reference must have exactly the training images of the whole split, and no test image."""
    data = toy_data()
    (whole,) = make_splits(data, [0])
    thinned = thin_rarest(whole, data.target, 5)
    assert {int(data.target[row]) for row in thinned.removed} == {0}
    assert len(thinned.removed) == (data.target[whole.train] == 0).sum() - 5
    restored = thinned.restored()
    np.testing.assert_array_equal(restored.train, whole.train)
    np.testing.assert_array_equal(restored.test, whole.test)
    assert not set(restored.train) & set(restored.test)
    assert not len(whole.removed)


def test_restored_images_are_of_no_patient_that_validates_or_tests():
    """The reference would know the patients that it is tested on, and look better than perfect synthetic images."""
    target, groups = rare_patients(6, 12)
    of_test = np.isin(groups, [0, 6, 7])
    of_test[0] = False  # one image of a test patient is among the training images, as in some data sets
    split = thin_rarest(Split("official", 0, np.flatnonzero(~of_test), np.flatnonzero(of_test)), target, 6)
    split = split_off_validation(split, target, groups)
    n_apart = np.isin(groups[split.removed], groups[[*split.validation, *split.test]]).sum()
    assert n_apart > 1
    restored = split.restored(groups)
    assert len(restored.train) == len(split.train) + len(split.removed) - n_apart
    added = np.setdiff1d(restored.train, split.train)
    for part in (split.validation, split.test):
        assert set(groups[added]).isdisjoint(groups[part])


@pytest.mark.parametrize("n_rare", [500, 0, -1, 2.5])
def test_as_many_rare_images_as_there_are_can_be_asked_for(n_rare):
    (whole,) = make_splits(toy_data(), [0])
    with pytest.raises(ValueError, match=f"n_rare must be an integer from 1 to 1[01].*got {n_rare}"):
        thin_rarest(whole, toy_data().target, n_rare)


@pytest.mark.parametrize(("n_rare", "share"), [(10, 1 / 5), (4, 1 / 4), (2, 1 / 2)])
def test_validation_images_are_a_fifth_by_patients_or_more_where_patients_are_few(n_rare, share):
    """Where patients are in training and validation, the loss on the latter does not show over-fitting."""
    target, groups = rare_patients(n_rare, 20)
    split = Split("random", 0, np.arange(len(target)), np.arange(0))
    apart = split_off_validation(split, target, groups)
    assert set(groups[apart.train]).isdisjoint(groups[apart.validation])
    assert np.mean(np.isin(np.flatnonzero(target == 0), apart.validation)) == share
    np.testing.assert_array_equal(apart.learnt_from, split.train)
    np.testing.assert_array_equal(apart.validation, split_off_validation(split, target, groups).validation)


def test_a_class_of_one_patient_cannot_train_and_validate():
    target, groups = rare_patients(1, 20)
    split = Split("random", 0, np.arange(len(target)), np.arange(0))
    with pytest.raises(
        ValueError, match=r"Early stopping must have.* has 1 group .*raise n_rare.*early_stopping=False"
    ):
        split_off_validation(split, target, groups, ["ill", "well"])
