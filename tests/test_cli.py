"""The command gan-sampler, as its users call it."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import typer
from conftest import make_shapes
from PIL import Image
from typer.testing import CliRunner

from gan_sampler.cli import _words, app
from gan_sampler.evaluation import _jobs
from gan_sampler.evaluation._store import Store

SMALL = [
    "--samplers",
    "none,smote",
    "--classifiers",
    "svm",
    "--embedders",
    "efficientnet_lite0",
    "--seeds",
    "0,1",
    "-j1",
]


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="gan-sampler")


def error_of(result):
    """Return the one line that tells the error."""
    lines = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, result.stderr
    return lines[0]


@pytest.fixture
def blank_html(monkeypatch):
    """Spare the seconds that all figures of a report take."""
    from gan_sampler.evaluation import _report

    monkeypatch.setattr(_report, "write_html", lambda path, *_, **__: path.write_text("<!doctype html>"))


@pytest.fixture(scope="module")
def shapes_folder(tmp_path_factory):
    """Two images of each person, as files."""
    folder = tmp_path_factory.mktemp("data") / "shapes"
    images, labels = make_shapes(28, 16)
    for label in ("disc", "square"):
        (folder / label).mkdir(parents=True)
        for number, image in enumerate(images[labels == label]):
            Image.fromarray(image).save(folder / label / f"person{number // 2}{label}_{number}.png")
    return folder


@pytest.fixture(scope="module")
def finished(shapes_folder, tmp_path_factory):
    """A run that is finished, its folder and what it printed."""
    store = tmp_path_factory.mktemp("results") / "store"
    return store, run("compare", shapes_folder, store, "--groups", r"(person\d+[a-z]+)", *SMALL)


def test_compare_prints_plan_answer_and_table_and_writes_a_report(finished):
    store, result = finished
    assert result.exit_code == 0, result.output
    assert "4 cells, 4 of them to compute" in result.stdout
    assert "This takes about" in result.stdout
    assert "22 groups" in result.stdout
    assert "ROC-AUC on the test images" in result.stdout
    assert f"Report: {store / 'report.html'}" in result.stdout
    assert (store / "report.html").read_text().startswith("<!")
    assert (store / "results.csv").exists()
    assert max(map(len, result.stdout.splitlines())) <= max(100, len(f"Results: {store.resolve()}"))
    assert "\x1b" not in result.output  # no colours where there is no terminal


def test_same_command_again_goes_on_where_it_was_and_speaks_json(finished, shapes_folder, blank_html):
    store, _ = finished
    before = {record["key"]: record["date"] for record in Store(store).records()}
    result = run("compare", shapes_folder, "--out", store, "--groups", r"(person\d+[a-z]+)", *SMALL, "--json")
    assert result.exit_code == 0, result.output
    assert "4 cells, 0 of them to compute" in result.stderr
    assert {record["key"]: record["date"] for record in Store(store).records()} == before
    found = json.loads(result.stdout)
    assert (found["n_finished"], found["n_failed"], found["n_missing"]) == (4, 0, 0)
    assert {row["treatment"] for row in found["table"]} == {"none", "smote"}


def test_missing_groups_are_told_loudly_with_what_to_do(shapes_folder, tmp_path):
    result = run("compare", shapes_folder, tmp_path / "store", *SMALL, "--dry-run")
    assert result.exit_code == 0, result.output
    assert "WARNING: no groups" in result.stderr
    assert "--groups" in result.stderr
    assert len(re.findall("(?i)warning", result.stderr)) == 1


def test_dry_run_leaves_nothing_behind(shapes_folder, tmp_path):
    store = tmp_path / "store"
    result = run("compare", shapes_folder, store, "--groups", r"(person\d+[a-z]+)", *SMALL, "--dry-run")
    assert result.exit_code == 0, result.output
    assert f"Results: {store.resolve()}" in result.stdout.replace("\n    ", "")
    assert "ROC-AUC on the test images" not in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_default_store_is_named_after_the_data_and_what_was_asked(shapes_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("compare", shapes_folder, *SMALL, "--dry-run", "--cv", "2", "--n-rare", "6")
    told = "".join(result.stdout.split())  # long paths are broken over lines
    assert f"Results:{tmp_path / 'results' / 'shapes-12-cv2-rare6'}" in told


def test_own_size_of_small_images_is_kept_and_large_ones_are_made_smaller(tmp_path):
    for size, kept in (((20, 20), "20 x 20"), ((90, 80), "64 x 64")):
        folder = tmp_path / f"of{size[0]}"
        for label in ("a", "b"):
            (folder / label).mkdir(parents=True)
            for number in range(8):
                Image.fromarray(np.full(size, 20 * number, dtype=np.uint8)).save(folder / label / f"{number}.png")
        result = run("compare", folder, tmp_path / "store", *SMALL, "--dry-run", "--device", "cpu")
        assert f"16 images of {kept}" in result.stdout
    Image.fromarray(np.zeros((21, 20), dtype=np.uint8)).save(tmp_path / "of20" / "a" / "other.png")  # not all alike
    result = run("compare", tmp_path / "of20", tmp_path / "store", *SMALL, "--dry-run", "--device", "cpu")
    assert "17 images of 64 x 64" in result.stdout


def test_cell_that_fails_is_told_and_decides_the_exit_status(shapes_folder, tmp_path, monkeypatch, blank_html):
    whole = _jobs.Cell.run

    def broken(self, context):
        if self.treatment.name == "smote" and self.split.seed == 1:
            raise ZeroDivisionError("a planned\nfailure")
        whole(self, context)

    monkeypatch.setattr(_jobs.Cell, "run", broken)
    store = tmp_path / "store"
    command = ("compare", shapes_folder, store, "--groups", r"(person\d+[a-z]+)", *SMALL)
    result = run(*command)
    assert result.exit_code == 1, result.output
    assert "1 of 4 cells failed" in error_of(result)
    assert (store / "report.html").exists()

    told = run("status", store)
    assert told.exit_code == 1
    assert "3 of 4 cells finished, 1 failed, 0 missing" in told.stdout
    assert "SMOTE > SVM on efficientnet_lite0, random split, seed 1" in told.stdout
    assert "ZeroDivisionError: a planned failure" in told.stdout

    assert run("report", store).exit_code == 1

    result = run(*command, "--on-error", "raise")
    assert result.exit_code == 1
    assert "a planned failure" in error_of(result)

    monkeypatch.undo()
    assert run(*command).exit_code == 0  # failed cells are tried again


def test_interrupted_run_tells_how_to_go_on(shapes_folder, tmp_path, monkeypatch):
    def interrupt(self, context):
        raise KeyboardInterrupt

    monkeypatch.setattr(_jobs.Cell, "run", interrupt)
    store = tmp_path / "store"
    result = run("compare", shapes_folder, store, "--groups", r"(person\d+[a-z]+)", *SMALL)
    assert result.exit_code == 130
    assert "Interrupted with 0 of 4 cells finished" in result.stderr
    assert f"gan-sampler compare {shapes_folder} {store} --groups '(person\\d+[a-z]+)'" in result.stderr
    told = run("status", store)
    assert told.exit_code == 0
    assert "stopped, 0 of 4 cells finished, 0 failed, 4 missing" in told.stdout
    assert f"gan-sampler compare {shapes_folder}" in told.stdout


def test_status_tells_what_runs_where(finished):
    store, _ = finished
    with Store(store).lease("key", "images of DCGAN, seed 0"):
        found = json.loads(run("status", store, "--json", "--lines", "2").stdout)
        text = run("status", store).stdout
    assert found["n_cells"] == found["n_finished"] == 4
    assert found["cache_bytes"] > 0
    assert len(found["log"]) == 2
    assert {running["pid"] for running in found["running"]} == {os.getpid()}
    assert "images of DCGAN, seed 0" in text
    assert re.search(r"^Started \d{4}-\d\d-\d\d \d\d:\d\d UTC, ", text, re.MULTILINE)
    assert f"process {os.getpid()}" in text
    assert "run.log:" in text


def test_status_watches_until_all_is_finished(finished):
    store, _ = finished
    result = run("status", store, "--watch")
    assert result.exit_code == 0
    assert result.stdout.count("4 of 4 cells finished") == 1


@pytest.mark.parametrize("command", [["status"], ["report", "--out"]])
def test_reading_results_needs_no_torch(command, finished, tmp_path):
    """Status is asked for often, on machines that hold the results alone."""
    store, _ = finished
    script = (
        "import sys; from gan_sampler.cli import app; app(sys.argv[1:], standalone_mode=False); "
        "print(sorted({'torch', 'torchvision', 'skorch'} & set(sys.modules)))"
    )
    arguments = [command[0], str(store), *command[1:], *([str(tmp_path / "r.html")] if command[1:] else [])]
    found = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"


def test_report_prints_table_and_tests_and_writes_where_it_is_told(finished, tmp_path, blank_html):
    store, _ = finished
    html, tables = tmp_path / "some.html", tmp_path / "tables"
    result = run("report", store, "--out", html, "--csv", tables, "--scoring", "balanced_accuracy")
    assert result.exit_code == 0, result.output
    assert "Balanced accuracy on the test images" in result.stdout
    assert re.search("significant.* at .05 \\(Holm, ", result.stdout)
    assert html.exists()
    assert {file.name for file in tables.iterdir()} == {"results.csv", "predictions.csv.gz"}


def test_report_as_json(finished, tmp_path, blank_html):
    store, _ = finished
    result = run("report", store, "--json", "--against", "smote", "--out", tmp_path / "r.html")
    found = json.loads(result.stdout)
    assert found["scoring"] == "roc_auc"
    assert {test["treatment"] for test in found["tests"]} == {"none"}


def test_tests_that_are_significant_are_told_with_interval_and_p():
    from gan_sampler.cli import _results  # not at the top: it takes long, and most of what is here does not need it

    tests = pd.DataFrame(
        {
            "treatment_label": ["SMOTE", "DCGAN"],
            "classifier": ["SVM", "SVM"],
            "metric": ["roc_auc", "roc_auc"],
            "difference": [0.05, 0.01],
            "low": [0.02, -0.01],
            "high": [0.08, 0.03],
            "p": [0.001, 0.3],
            "p_holm": [0.002, 0.3],
            "is_significant": [True, False],
        }
    )
    assert "SMOTE with SVM: ROC-AUC +0.050 (+0.020 to +0.080), p = .002" in _results.significant(tests, "none")
    assert "DCGAN" not in _results.significant(tests, "none")
    assert "--seeds" in _results.significant(tests.assign(p=np.nan), "none")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["compare", "no_such_folder"], "no_such_folder"),
        (["compare", "digits", "--samplers", "smot", "--dry-run"], "--samplers must be some of"),
        (["compare", "digits", "--scoring", "auc", "--dry-run"], "--scoring must be one of"),
        (["compare", "digits", "--cv", "1"], "--cv"),
        (["compare", "digits", "--max-time", "soon"], "20m"),
        (["compare", "digits", "--cache-limit", "much"], "200MB"),
        (["compare", "digits", "--seeds", "five"], "0-4"),
        (["compare", "digits", "store", "--out", "other"], "--out"),
        (["compare", "digits", "--groups", "folder"], "--groups must be left out"),
        (["compare", "digits", "--device", "quantum"], "--device must be"),
        (["compare", "digits", "--resnet18-weights", "none.pth", "--dry-run"], "none.pth"),
        (["compare"], "gan-sampler compare --help"),
        (["status", "no_such_store"], "no_such_store"),
        (["report", "no_such_store"], "no_such_store"),
        (["compair"], "compair"),
        (["compare", "digits", "--sampler", "smote"], "--samplers"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(arguments, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2
    assert told in error_of(result)
    assert list(tmp_path.iterdir()) == []


def test_folder_with_the_name_of_a_data_set_is_not_passed_over(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    assert "./digits" in error_of(run("compare", "digits"))


def test_report_refuses_what_there_is_not(finished, tmp_path, blank_html):
    store, _ = finished
    assert "--against must be" in error_of(run("report", store, "--against", "dcgan"))
    assert "--scoring must be" in error_of(run("report", store, "--scoring", "auc"))
    assert "no_folder" in error_of(run("report", store, "--out", tmp_path / "no_folder" / "r.html"))


def test_traceback_comes_when_asked_for(monkeypatch):
    monkeypatch.setenv("GAN_SAMPLER_TRACEBACK", "1")
    assert isinstance(run("status", "no_such_store").exception, ValueError)


def test_missing_extra_is_named(finished):
    store, _ = finished
    script = "import sys; sys.modules['pandas'] = None; from gan_sampler.cli import main; main()"
    found = subprocess.run([sys.executable, "-c", script, "report", str(store)], capture_output=True, text=True)
    assert found.returncode == 2
    assert found.stderr.count("\n") == 1
    assert 'pip install "gan-sampler[evaluation]"' in found.stderr


def test_missing_scheduler_package_is_named(shapes_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    result = run("compare", shapes_folder, tmp_path / "store", *SMALL, "--scheduler", "tcp://127.0.0.1:1")
    assert result.exit_code == 2
    assert 'pip install "gan-sampler[dask]"' in error_of(result)


@pytest.mark.parametrize(
    ("arguments", "status"), [(["--help"], 0), (["compare", "--help"], 0), (["compare", "x", "--cv", "y"], 2)]
)
def test_help_and_usage_errors_import_nothing_heavy(arguments, status):
    script = (
        "import sys; from gan_sampler.cli import app; status = app(sys.argv[1:], standalone_mode=False); "
        "print(status, sorted({'numpy', 'torch', 'pandas', 'sklearn', 'imblearn', 'matplotlib'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == f"{status} []"


def test_help_has_examples_and_exit_statuses():
    for command in ("compare", "status", "report"):
        text = run(command, "--help").stdout
        assert f"gan-sampler {command} " in text
        assert "Exit status" in text
        assert "[[" not in text
    assert run("--version").stdout.startswith("gan-sampler 0")
    assert run().exit_code == 2


@pytest.mark.parametrize(("text", "value"), [("90", 90), ("20m", 1200), ("1h", 3600), ("1h30m", 5400), ("1.5h", 5400)])
def test_durations(text, value):
    assert _words.duration(text) == value


@pytest.mark.parametrize("text", ["0", "-1", "m", "20x", "20m30", "1e3", ""])
def test_no_durations(text):
    with pytest.raises(typer.BadParameter):
        _words.duration(text)


@pytest.mark.parametrize(("text", "value"), [("200MB", 200_000_000), ("1 GiB", 2**30), ("512", 512), ("1.5kB", 1500)])
def test_sizes(text, value):
    assert _words.n_bytes(text) == value


@pytest.mark.parametrize(("text", "value"), [("0", [0]), ("0,2,1", [0, 2, 1]), ("0-2,2,7", [0, 1, 2, 7])])
def test_seeds(text, value):
    assert _words.seeds(text) == value


@pytest.mark.parametrize("text", ["", "4-0", "-1", "1.5", "0-99999999"])
def test_no_seeds(text):
    with pytest.raises(typer.BadParameter):
        _words.seeds(text)


def test_names_are_repeated_or_stand_behind_commas():
    assert _words.names(["smote,dcgan+threshold", "none", "smote"]) == ["smote", "dcgan+threshold", "none"]
    assert _words.names(None) is None
