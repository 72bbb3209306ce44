"""The command line of the project's own experiments, and their presets; the engine behind it has tests of its own."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import run
from imblearn.over_sampling import SMOTE
from PIL import Image
from presets import PRESETS

from gan_sampler import (
    ConditionalDCGANOverSampler,
    DCGANOverSampler,
    ResNet18Embedder,
    VisionAidedDCGANOverSampler,
)
from gan_sampler.evaluation import Settings
from gan_sampler.evaluation._models import choose_classifiers
from gan_sampler.evaluation._treatments import choose_treatments

TINY = replace(
    PRESETS["demo"],
    image_size=16,
    seeds=(0,),
    settings=Settings(
        dcgan={"n_steps": 2, "batch_size": 8, "base_channels": 8}, ann={"max_epochs": 1}, embedder_size=32, trees=5
    ),
    samplers=("none", "threshold", "smote"),
    classifiers=("ann",),
)


@pytest.fixture
def folder(tmp_path):
    """Three classes of noise, brighter from class to class."""
    for label, count in enumerate((12, 20, 30)):
        path = tmp_path / "shapes" / "abc"[label]
        path.mkdir(parents=True)
        for number in range(count):
            noise = np.random.default_rng(number).integers(0, 60, (16, 16)) + 60 * label
            Image.fromarray(noise.astype(np.uint8)).save(path / f"p{number}_1.png")
    return tmp_path / "shapes"


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(PRESETS, "demo", TINY)


def words(folder, *more):
    return ["--data", str(folder), "--groups", r"(p\d+)", "--device", "cpu", "--jobs", "1", *more]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_hold_parameters_that_the_samplers_have(name):
    """A preset that only fails after an hour of other cells is no preset."""
    settings = PRESETS[name].settings
    DCGANOverSampler(**settings.dcgan)._validate_params()
    ConditionalDCGANOverSampler(**settings.dcgan)._validate_params()
    VisionAidedDCGANOverSampler(**settings.vision_aided)._validate_params()
    ResNet18Embedder(weights=None, **settings.resnet18)._validate_params()
    images = np.random.default_rng(0).integers(0, 256, (8, 16, 16), dtype=np.uint8)
    for classifier in choose_classifiers(["ann", "cnn", "densenet121"], settings, "cpu"):
        network = classifier.build([0, 1] * 4, 0).set_params(max_epochs=1)
        network.fit(images, [0, 1] * 4, X_val=images, y_val=[0, 1] * 4)


def test_report_preset_trains_its_gan_for_a_hundred_epochs():
    """42 batches of 32 hold 1,341 images, and the student report trained on each a hundred times."""
    settings = PRESETS["report"].settings
    (_, treatment) = choose_treatments(["dcgan"], settings, "cpu")
    sampler = treatment.build("images", np.repeat([0, 1], [1341, 3875]), 0, settings)
    assert (sampler.n_steps, sampler.precision) == (4200, "bfloat16")


@pytest.mark.parametrize(("more", "expected"), [([], 40), (["--max-images", "30"], 30), (["--data", "x"], None)])
def test_a_presets_part_of_the_data_is_taken_of_its_own_data_alone(more, expected, monkeypatch):
    """Who names data wants all of it."""
    asked = []

    def load(*_, max_images, **__):
        asked.append(max_images)
        raise ValueError("enough")

    monkeypatch.setitem(PRESETS, "demo", replace(TINY, max_images=40))
    monkeypatch.setattr(run, "load", load)
    with pytest.raises(SystemExit):
        run.main(more)
    assert asked == [expected]


def test_three_classes_run_through_and_a_second_run_computes_nothing(folder, tiny, tmp_path, monkeypatch, capsys):
    """A threshold is left out where it cannot be tuned; the default folder carries data, preset and size."""
    monkeypatch.chdir(tmp_path)
    assert run.main(words(folder)) == 0
    out = tmp_path / "results" / "shapes-demo-16"
    table = pd.read_csv(out / "results.csv")
    assert set(table["treatment"]) == {"none", "smote"}
    assert (out / "report.html").exists()
    assert (out / "predictions.csv.gz").exists()
    capsys.readouterr()
    assert run.main(words(folder)) == 0
    assert "Nothing is left to compute" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ([], ["none", "threshold", "smote"]),
        (["--thresholds"], ["none", "threshold", "smote", "smote+threshold"]),
        (["--n-rare", "20"], ["none", "threshold", "smote", "all_real"]),
        (
            ["--thresholds", "--samplers", "smote", "dcgan+threshold"],
            ["smote", "dcgan+threshold", "threshold", "smote+threshold"],
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:No groups")
def test_thresholds_and_the_reference_are_asked_for(more, expected, monkeypatch, tmp_path):
    """The reference only where a class is thinned, and a threshold on top of everything but doing nothing."""
    asked = []

    def prepare(*_, samplers, **__):
        asked.extend(samplers)
        raise ValueError("enough")

    monkeypatch.setitem(PRESETS, "demo", replace(TINY, samplers=(*TINY.samplers, "all_real")))
    monkeypatch.setattr(run, "prepare", prepare)
    with pytest.raises(SystemExit):
        run.main(["--data", "digits", "--out", str(tmp_path), *more])
    assert asked == expected


def test_failed_cells_are_counted_and_tried_again(folder, tiny, tmp_path, monkeypatch, capsys):
    """One impossible combination must cost neither the other cells nor the truth."""

    def fail(self, X, y):
        raise RuntimeError("no luck today")

    with monkeypatch.context() as broken:
        broken.setattr(SMOTE, "fit_resample", fail)
        assert run.main(words(folder, "--out", str(tmp_path / "out"))) == 1
    assert "1 cells failed" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "out" / "results.csv").set_index("treatment")
    assert "no luck today" in table.loc["smote", "error"]
    assert np.isnan(table.loc["smote", "balanced_accuracy"])
    assert table.loc["none", "balanced_accuracy"] >= 0
    assert run.main(words(folder, "--out", str(tmp_path / "out"))) == 0


def test_stopped_run_says_how_to_go_on(folder, tiny, tmp_path, monkeypatch, capsys):
    """Long runs get stopped, and a traceback would only alarm."""

    def stop(self, X, y):
        raise KeyboardInterrupt

    monkeypatch.setattr(SMOTE, "fit_resample", stop)
    assert run.main(words(folder, "--out", str(tmp_path / "out"))) == 130
    printed = capsys.readouterr().out
    assert "What is finished is kept" in printed
    assert f"--data {folder}" in printed


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--samplers", "smoke"], "got 'smoke'"),
        (["--classifiers", "oak"], "got 'oak'"),
        (["--data", "no-such-place"], "none of them"),
        (["--data", "digits", "--image-size", "16"], "image_size must be 8"),
        (["--data", "digits", "--cv", "1"], "must be at least 2; got 1"),
        (["--data", "digits", "--cv", "500"], "use cv=174"),
        (["--data", "digits", "--max-images", "2"], "max_images must be at least 4"),
        (["--data", "digits", "--seeds", "x"], "invalid whole number value: 'x'"),
        (["--data", "digits", "--device", "toaster"], "device must be 'auto' or a torch device"),
        (["--data", "digits", "--classifiers", "svm", "--resnet18-weights", "absent.pth"], "got 'absent.pth'"),
    ],
)
@pytest.mark.filterwarnings("ignore:No groups")
def test_bad_words_are_named(more, message, tiny, tmp_path, capsys):
    """A typing error must not cost an hour, nor show a traceback."""
    given = ["--data", "digits", *more, "--out", str(tmp_path)]
    with pytest.raises(SystemExit) as stop:
        run.main(given)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_help_shows_examples_and_presets(capsys):
    """A newcomer reads this first."""
    with pytest.raises(SystemExit):
        run.main(["--help"])
    printed = " ".join(capsys.readouterr().out.split())
    assert printed.count("python benchmarks/run.py") >= 2
    for name, preset in PRESETS.items():
        assert name in printed
        assert " ".join(preset.about.split()) in printed
