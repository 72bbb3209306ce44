"""Table 1 of the original report beside a run: collected from results, and printed from the committed file."""

import original
import pytest
from make_records import ROWS, make_records

from gan_sampler.evaluation import _store, _tables


@pytest.fixture
def results(tmp_path):
    """A folder with cells on the published split, one of them failed."""
    made = make_records(("NORMAL", "PNEUMONIA"), treatments=("none", "dcgan"), rows=ROWS[1:], seeds=(0,))
    made = [record | {"n_train": _tables.PUBLISHED_N_TRAIN} for record in made]
    failed = next(record for record in made if (record["classifier"], record["treatment"]) == ("cnn", "dcgan"))
    failed["error"] = "out of memory"
    store = _store.Store(tmp_path / "results")
    for record in made:
        store.write_record(record)
    return store.root


def test_the_table_is_collected_and_printed_from_the_file_alone(results, tmp_path, capsys):
    original.main(["--collect", str(results), "--out", str(tmp_path / "out")])
    printed = capsys.readouterr().out
    original.main(["--out", str(tmp_path / "out")])
    assert capsys.readouterr().out == printed
    table, _, pairs = printed.partition("\n\n")
    assert len(table.splitlines()) == 14  # two of the head, twelve rows
    assert "| cnn " not in pairs
    assert "| svm " in pairs
    (failed,) = (line for line in printed.splitlines() if line.startswith("| CNN | DCGAN"))
    assert failed.count("not run (") == 4
    assert "(.8472)" in failed  # the published precision
    (svm,) = (line for line in printed.splitlines() if line.startswith("| SVM on ResNet18 | Nothing"))
    assert "not run" not in svm
    assert "(.7711)" in svm


def test_predictions_are_compared_image_by_image():
    truth = [0] * 5 + [1] * 5
    record = {"classifier": "svm", "embedder": None, "seed": 0, "y_true": truth}
    without = record | {"treatment": "none", "y_pred": [1] * 5 + [0] + [1] * 4}  # 4 right
    with_dcgan = record | {"treatment": "dcgan", "y_pred": [0] * 5 + [1] * 4 + [0]}  # 9 right
    (row,) = original.compare_predictions([without, with_dcgan]).to_dict("records")
    found = [row[name] for name in ("n_test", "right_without", "right_with", "only_with", "only_without")]
    assert found == [10, 4, 9, 6, 1]
    assert row["p"] == pytest.approx(2 * (1 + 7) / 2**7)  # 6 of 7, two-sided
    assert original.compare_predictions([without]).empty


def test_folders_without_such_cells_are_refused(tmp_path, capsys):
    for arguments, message in (
        (["--collect", str(tmp_path)], "--collect must name a folder with finished cells"),
        (["--out", str(tmp_path)], "--out must hold table1.csv"),
    ):
        with pytest.raises(SystemExit):
            original.main(arguments)
        assert message in capsys.readouterr().err
