"""The tables of the study: merged from pieces, and printed from committed files."""

import pandas as pd
import pytest
import study
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from toy_evaluation import Pixels, lay_out, numbered_noise, run

from gan_sampler.evaluation import _store


def compute(folder, data=None, **options):
    """A piece of a study on noise."""
    options = {"samplers": ["none", "random", "all_real"], "n_rare": 9, "seeds": (0, 1)} | options
    classifiers = {"svm": SVC(kernel="linear"), "tree": DecisionTreeClassifier()}
    evaluation = lay_out(data or numbered_noise(), folder, classifiers=classifiers, **options)
    evaluation.context.store.write_manifest(evaluation._manifest)
    run(evaluation)
    return folder


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    """Two pieces of one experiment, which have cells in common, and one of another."""
    root = tmp_path_factory.mktemp("pieces")
    first = compute(root / "first")
    second = compute(root / "second", samplers=["none", "random+threshold", "class_weight"], seeds=(1, 2))
    return [first, second, compute(root / "third", n_rare=15)]


def test_pieces_are_merged_and_shown_from_the_files_alone(pieces, tmp_path, capsys):
    study.main(["--collect", *map(str, pieces), "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    study.main(["--out", str(tmp_path)])
    assert capsys.readouterr().out == printed
    cells = pd.read_csv(tmp_path / "cells.csv")
    assert not cells.duplicated([*study.PIECE, *study.PLACE]).any()
    counts = cells.groupby(["n_rare", "treatment"])["seed"].nunique()
    assert counts.loc[9].to_dict() == {"none": 3, "random": 2, "all_real": 2, "random+threshold": 2, "class_weight": 2}
    assert counts.loc[15].to_dict() == {"none": 2, "random": 2, "all_real": 2}
    assert "| all real images (reference) | " in printed
    assert "fewer so far: class weights 2, random 2, all real images (reference) 2" in printed
    auc, _, accuracy = printed.partition("### Balanced accuracy")
    assert "tuned threshold" not in auc
    assert "| random + tuned threshold | " in accuracy
    assert "tree, 9 rare" not in auc  # its probabilities are 0 or 1
    assert "| treatment | tree | SVM |" in accuracy.replace("SVM | tree", "tree | SVM")


def test_experiments_that_no_folder_has_are_kept(pieces, tmp_path, capsys):
    """Results folders do not outlive the machine that they were computed on, the files do."""
    for folder in (pieces[2], pieces[0], pieces[0]):
        study.main(["--collect", str(folder), "--out", str(tmp_path / "one by one")])
    study.main(["--collect", str(pieces[0]), str(pieces[2]), "--out", str(tmp_path / "together")])
    for name in ("cells.csv", "gains.csv"):
        one_by_one, together = ((tmp_path / folder / name).read_text() for folder in ("one by one", "together"))
        assert one_by_one == together


def test_cells_that_were_collected_are_not_lost(pieces, tmp_path, capsys):
    """A folder with one more seed alone would have replaced those that are there."""
    study.main(["--collect", str(pieces[0]), str(pieces[1]), "--out", str(tmp_path)])
    before = (tmp_path / "cells.csv").read_text()
    with pytest.raises(SystemExit):
        study.main(["--collect", str(pieces[0]), "--out", str(tmp_path)])
    message = " ".join(capsys.readouterr().err.split())
    assert "must name all folders of an experiment; 10 cells" in message
    assert (tmp_path / "cells.csv").read_text() == before


def test_gains_hold_no_reference_and_the_share_of_the_room(pieces, tmp_path):
    study.main(["--collect", str(pieces[0]), "--out", str(tmp_path)])
    gains = pd.read_csv(tmp_path / "gains.csv")
    assert set(gains["treatment"]) == {"random", "none"}
    assert set(gains["against"]) == {"none", "random"}
    of_random = gains[(gains["against"] == "none") & (gains["metric"] == "roc_auc")]
    assert of_random["room"].notna().all()


def test_pieces_of_other_splits_are_not_merged(pieces, tmp_path, capsys):
    """Seed 0 must mean the same training and test images in every piece."""
    other = compute(tmp_path / "other", samplers=["none", "random"], data=numbered_noise(seed=1))
    with pytest.raises(SystemExit):
        study.main(["--collect", str(pieces[0]), str(other), "--out", str(tmp_path)])
    assert "differ from those of an earlier folder" in capsys.readouterr().err


def test_cells_of_several_programs_or_lengths_are_not_merged_in_silence(tmp_path, monkeypatch):
    """A gain over doing nothing could be that of a change of the code."""
    first = compute(tmp_path / "first", samplers=["class_weight"])
    monkeypatch.setattr(_store, "_hash_of_source", lambda: "edited")
    second = compute(tmp_path / "second", samplers=["random"])
    third = compute(tmp_path / "third", samplers=["random"], n_rare=15)
    message = "noise, 8 pixels, 9 rare images are of several versions of .*: .*edited"
    with pytest.warns(UserWarning, match=message) as told:
        study.read_pieces([first, second, third])
    assert len(told) == 1  # none of the third, which is an experiment of its own
    (manifest,) = _store.Store(second).manifests()
    piece = study.Piece(manifest["source"])
    for steps in ("500", "800"):
        piece.add(manifest | {"settings": {"n_steps": steps}}, {}, second)
    with pytest.warns(UserWarning, match="of several values of n_steps: 500 and 800. Compute them with one"):
        piece.warn_of_mixtures(("noise", 8, 9))


def test_results_of_several_embedders_are_not_averaged(pieces, tmp_path, capsys):
    """Their spread would be shown as that over the seeds."""
    other = compute(tmp_path / "other", embedders={"again": Pixels()})
    with pytest.raises(SystemExit):
        study.main(["--collect", str(pieces[0]), str(other), "--out", str(tmp_path)])
    assert "9 rare images have again, pixels. Collect the folders" in " ".join(capsys.readouterr().err.split())


def test_what_is_no_folder_of_results_is_named(tmp_path, capsys):
    for words, message in ((["--collect", str(tmp_path)], "is none. Check the path"), ([], "Use --collect first")):
        with pytest.raises(SystemExit):
            study.main([*words, "--out", str(tmp_path)])
        assert message in capsys.readouterr().err
