"""Order and names of rows, treatments and repeats."""

from gan_sampler.evaluation._records import (
    competing_labels,
    distinct_labels,
    is_finished,
    repeats_of,
    row_label,
    rows_of,
    select,
    treatment_labels,
    treatments_of,
)


def record(treatment="none", classifier="cnn", embedder=None, split="official", seed=0, error=None):
    return {
        "treatment": treatment,
        "treatment_label": treatment.upper(),
        "treatment_kind": {"threshold": "threshold", "all_real": "reference"}.get(treatment, "sampler"),
        "classifier": classifier,
        "classifier_label": classifier.upper(),
        "embedder": embedder,
        "embedder_label": embedder and embedder.title(),
        "split": split,
        "seed": seed,
        "error": error,
        "metrics": None if error else {},
    }


def test_known_names_come_in_the_order_of_tables_and_the_users_own_behind_them():
    """In the order in which the user gave them, not that of the alphabet."""
    names = ["zoo", "smote", "ark+threshold", "dcgan", "smote+threshold", "none", "ark"]
    assert treatments_of([record(name) for name in names]) == [
        "none",
        "smote",
        "smote+threshold",
        "dcgan",
        "zoo",
        "ark",
        "ark+threshold",
    ]
    rows = rows_of([record(classifier=name) for name in ("mine", "cnn", "his", "tree")])
    assert [row["classifier"] for row in rows] == ["tree", "cnn", "mine", "his"]


def test_references_come_last_and_thresholds_have_no_row_where_they_change_nothing():
    records = [record(name) for name in ("all_real", "mine", "threshold", "mine+threshold", "ark+threshold", "none")]
    assert treatments_of(records)[-1] == "all_real"
    assert list(distinct_labels(records, "balanced_accuracy")) == treatments_of(records)
    assert list(distinct_labels(records, "roc_auc")) == ["none", "mine", "ark+threshold", "all_real"]
    assert list(competing_labels(records, "brier")) == ["none", "mine", "ark+threshold"]


def test_a_row_is_a_classifier_and_what_it_sees():
    """The same forest on two embedders is two rows, and each seed the same row."""
    records = [record("none", "forest", name, seed=seed) for seed in (0, 1) for name in ("resnet18", "efficientnet")]
    first, second = rows_of(records)
    assert [row_label(first), row_label(second)] == ["FOREST on Efficientnet", "FOREST on Resnet18"]
    assert row_label(record()) == "CNN"
    assert len(select(records, row=second)) == 2
    assert select(records, row=second, repeat=("official", 1)) == [records[2]]


def test_folds_come_in_the_order_of_their_numbers():
    """Ten behind nine."""
    repeats = [("fold 10", 0), ("fold 9", 0), ("fold 2", 1), ("fold 2", 0)]
    found = repeats_of([record(split=split, seed=seed) for split, seed in repeats])
    assert found == [("fold 2", 0), ("fold 9", 0), ("fold 10", 0), ("fold 2", 1)]


def test_failed_cells_are_selected_and_told_apart():
    """Tables must show them."""
    records = [record("smote"), record("smote", seed=1, error="ValueError: too few")]
    assert [is_finished(r) for r in select(records, treatment="smote")] == [True, False]
    assert treatment_labels(records) == {"smote": "SMOTE"}
