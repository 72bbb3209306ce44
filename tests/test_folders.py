"""Folders in and out: gan-sampler balance, train, sample, info and quality, as their users call them."""

import csv
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import make_shapes
from PIL import Image
from typer.testing import CliRunner

from gan_sampler import DCGANOverSampler
from gan_sampler.cli import app
from gan_sampler.datasets import load_image_folder
from gan_sampler.folders._samplers import IN_FILES, SAMPLERS, has_parameter, sampler_class
from gan_sampler.folders._strategy import wanted_counts
from gan_sampler.folders._telling import duration, size

SMALL_GAN = ["--sampler", "dcgan", "--n-steps", "2"]


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="gan-sampler")


def done(*arguments):
    """Return what a command prints as JSON."""
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def error_of(result):
    """Return the one line that tells the error."""
    lines = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, result.output
    return lines[0]


def write_shapes(root, counts, *, suffix=".png", change=lambda image: image, seed=0):
    """Write discs and squares of 16 x 16 pixels, so many of each class, and return the folder."""
    images, labels = make_shapes(40, 40, 16, seed)
    for label, n in counts.items():
        (root / label).mkdir(parents=True)
        kind = "disc" if "disc" in label else "square"
        for number, image in enumerate(images[labels == kind][:n]):
            Image.fromarray(change(image)).save(root / label / f"patient {number}{suffix}")
    return root


@pytest.fixture
def scans(tmp_path):
    return write_shapes(tmp_path / "scans", {"disc": 9, "square": 6})


def tree(root):
    """Return everything about a folder that a careless program could change."""
    return {
        path.relative_to(root).as_posix(): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in sorted(Path(root).rglob("*"))
    }


def contents(root):
    """Return the files of a folder that a user sees."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in Path(root).rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def manifest_of(root):
    with open(Path(root) / "manifest.csv", encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


# balance


def test_balance_links_originals_and_lists_what_it_made(scans, tmp_path):
    """The promise in one test; SRC is made read-only and must be as it was, to the time of each file."""
    for path in scans.rglob("*"):
        path.chmod(stat.S_IRUSR | (stat.S_IXUSR if path.is_dir() else 0))
    scans.chmod(0o500)
    before = tree(scans)
    out = tmp_path / "balanced"
    result = run("balance", scans, out, *SMALL_GAN)
    assert result.exit_code == 0, result.output
    assert "square: 6 originals, 3 synthetic" in result.stdout
    assert "15 linked, 3 written" in result.stdout
    assert "Synthetic images have 16 x 16 pixels; originals are as they were." in result.stdout
    assert tree(scans) == before
    data = load_image_folder(out)
    assert dict(zip(*np.unique(data.target, return_counts=True), strict=True)) == {"disc": 9, "square": 9}
    lines = manifest_of(out)
    assert [line["file"] for line in lines] == [f"square/synthetic_square_{i:06d}_seed0.png" for i in (1, 2, 3)]
    assert {(line["class"], line["seed"], line["sampler"]) for line in lines} == {("square", "0", "DCGANOverSampler")}
    assert all((out / line["nearest_real"]).is_file() and line["near_copy"] in ("yes", "no") for line in lines)
    assert sorted(path.name for path in out.iterdir()) == [".gan_sampler.json", "disc", "manifest.csv", "square"]
    for path in (scans, *scans.rglob("*")):
        path.chmod(0o700)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_can_be_named(scans, tmp_path, sampler):
    length = ["--n-steps", 2] if has_parameter(sampler, "n_steps") else []
    found = done("balance", scans, tmp_path / "out", "--sampler", sampler, *length, "--device", "cpu")
    made = found["classes"]["square"]
    assert made["originals"] == 6
    assert 1 <= made["synthetic"] + made["repeated"] <= 4  # ADASYN comes near the number asked for
    assert (made["repeated"] > 0) is (sampler == "random")
    assert sampler_class(sampler).__name__ in found["sampler"]


def test_poor_images_are_told_in_one_line_and_stand_in_the_summary(scans, tmp_path):
    result = run("balance", scans, tmp_path / "out", *SMALL_GAN, "--json")
    told = [line for line in result.stderr.splitlines() if line.startswith("warning:")]
    assert len(told) == 1
    assert "class 'square'" in told[0]
    assert "(--n-steps)" in told[0]
    assert "history_" not in told[0]
    found = json.loads(result.stdout)
    assert found["warnings"] == [told[0].removeprefix("warning: ")]
    training = found["classes"]["square"]["training"]
    assert training["steps"] == 2
    assert training["score"] > 1

    result = run("balance", scans, tmp_path / "raised", *SMALL_GAN, "--on-poor-quality", "raise")
    assert result.exit_code == 1
    assert "class 'square'" in error_of(result)

    found = done("balance", scans, tmp_path / "repeated", *SMALL_GAN, "--on-poor-quality", "repeat")
    assert (found["classes"]["square"]["synthetic"], found["classes"]["square"]["repeated"]) == (0, 3)


def test_only_train_is_balanced(tmp_path):
    for part, n in (("train", 6), ("test", 4)):
        write_shapes(tmp_path / "scans" / part, {"disc": n + 3, "square": n}, seed=n)
    (tmp_path / "scans" / "test" / "square" / "patient 0.png").write_bytes(b"never looked at")
    found = done("balance", tmp_path / "scans", tmp_path / "out", "--sampler", "smote")
    assert found["n_others"] == 11
    assert (found["n_linked"], found["n_written"]) == (26, 3)
    assert {line["file"].split("/")[0] for line in manifest_of(tmp_path / "out")} == {"train"}
    assert contents(tmp_path / "out" / "test") == contents(tmp_path / "scans" / "test")


@pytest.mark.parametrize(
    ("strategy", "wanted"),
    [
        (["auto"], {"b": 10, "c": 10}),
        (["all"], {"b": 10, "c": 10}),
        (["minority"], {"c": 10}),
        (["not minority"], {"b": 10}),
        (["c=8", "a=12"], {"c": 8, "a": 12}),
        (["b=6"], {}),
    ],
)
def test_strategies_say_how_many_images_each_class_gets(strategy, wanted):
    assert wanted_counts(strategy, {"a": 10, "b": 6, "c": 5}) == wanted


@pytest.mark.parametrize(("ratio", "wanted"), [("0.8", {"b": 8}), ("1", {"b": 10}), ("0.6", {})])
def test_ratio_is_of_the_smaller_to_the_larger_class(ratio, wanted):
    assert wanted_counts([ratio], {"a": 10, "b": 6}) == wanted


def test_strategies_agree_with_imbalanced_learn():
    """The words are its words, so they must mean the same."""
    from imblearn.utils import check_sampling_strategy

    counts = {"a": 10, "b": 6, "c": 5}
    y = np.repeat(list(counts), list(counts.values()))
    for word in ("auto", "all", "minority", "not minority", "not majority"):
        missing = {str(label): n for label, n in check_sampling_strategy(word, y, "over-sampling").items() if n}
        assert {label: n - counts[label] for label, n in wanted_counts([word], counts).items()} == missing
    y = np.repeat(["a", "b"], [13, 6])
    for ratio in (0.77, 1.0):
        missing = {str(label): n for label, n in check_sampling_strategy(ratio, y, "over-sampling").items() if n}
        found = wanted_counts([str(ratio)], {"a": 13, "b": 6})
        assert {label: n - 6 for label, n in found.items()} == missing


def test_class_names_may_have_spaces_umlauts_and_equal_signs(tmp_path):
    write_shapes(tmp_path / "sc äns", {"große disc=1": 5, "square": 6})
    found = done(
        "balance", tmp_path / "sc äns", tmp_path / "ö ut", "--sampler", "smote", "--strategy", "große disc=1=8"
    )
    assert found["classes"]["große disc=1"]["synthetic"] == 3
    assert manifest_of(tmp_path / "ö ut")[0]["file"] == "große disc=1/synthetic_große disc=1_000001_seed0.png"


@pytest.mark.parametrize(
    ("change", "modes"),
    [
        (lambda image: image.astype(np.uint16) * 200, {"I", "I;16"}),
        (lambda image: np.stack([image, image // 2, image // 3], axis=2), {"RGB"}),
    ],
)
def test_sixteen_bits_and_colours_stay_what_they_are(tmp_path, change, modes):
    source = write_shapes(tmp_path / "scans", {"disc": 9, "square": 6}, change=change)
    out = tmp_path / "out"
    assert done("balance", source, out, "--sampler", "smote")["n_written"] == 3
    with Image.open(out / manifest_of(out)[0]["file"]) as image:
        assert image.mode in modes


def test_formats_that_lose_bits_are_refused_before_training(tmp_path):
    write_shapes(tmp_path / "grey16", {"disc": 9, "square": 6}, change=lambda image: image.astype(np.uint16) * 200)
    result = run("balance", tmp_path / "grey16", tmp_path / "x", *SMALL_GAN, "--format", "jpeg")
    assert result.exit_code == 2
    assert "--format must hold 16 bits" in error_of(result)
    assert not (tmp_path / "x").exists()


def test_originals_of_several_sizes_need_a_size(tmp_path):
    source = write_shapes(tmp_path / "scans", {"disc": 9, "square": 6})
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(source / "disc" / "large.png")
    for more in ([], ["--dry-run"]):
        result = run("balance", source, tmp_path / "out", "--sampler", "smote", *more)
        assert result.exit_code == 2
        assert "--image-size 64" in error_of(result).replace("image_size=64", "--image-size 64")
    assert not (tmp_path / "out").exists()
    found = done("balance", source, tmp_path / "out", "--sampler", "smote", "--image-size", 12)
    assert found["image_size"] == [12, 12]
    with Image.open(tmp_path / "out" / "disc" / "large.png") as image:
        assert image.size == (30, 20)


def test_checkpoints_are_not_written_into_the_source(scans, tmp_path):
    before = tree(scans)
    for command in (["balance", scans, tmp_path / "out", *SMALL_GAN], ["train", scans, tmp_path / "file"]):
        result = run(*command, "--checkpoint-dir", scans / "checkpoints")
        assert result.exit_code == 2
        assert "--checkpoint-dir must not lie in the folder that is read" in error_of(result)
    assert tree(scans) == before


@pytest.mark.skipif(sys.platform != "linux", reason="names of other systems are Unicode")
def test_class_names_that_are_no_utf_8_are_taken(scans, tmp_path):
    os.rename(os.fsencode(scans / "disc"), os.fsencode(scans) + b"/caf\xe9")
    summary = done("balance", scans, tmp_path / "out", "--sampler", "random")
    assert sorted(entry["originals"] for entry in summary["classes"].values()) == [6, 9]
    assert done("balance", scans, tmp_path / "out", "--sampler", "random") == summary


def test_long_names_can_be_copied(scans, tmp_path):
    image = next((scans / "disc").iterdir())
    image.rename(image.with_name("\N{CJK UNIFIED IDEOGRAPH-8A9E}" * 83 + "0.png"))  # 254 bytes
    assert done("balance", scans, tmp_path / "out", "--sampler", "random", "--copy")["n_copied"] >= 15


def test_train_removes_its_own_checkpoints_alone(scans, tmp_path):
    folder = tmp_path / "gan.checkpoints"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    done("train", scans, tmp_path / "gan", *SMALL_GAN)
    assert [file.name for file in folder.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("sampler", ["dcgan", "smote", "adasyn"])
def test_a_class_of_one_image_is_refused_in_words_of_the_command_line(tmp_path, sampler):
    source = write_shapes(tmp_path / "scans", {"disc": 9, "square": 1})
    message = error_of(run("balance", source, tmp_path / "out", "--sampler", sampler))
    assert "--sampler random" in message
    assert "sampling_strategy" not in message


def test_stray_files_are_told_and_unreadable_ones_named(scans, tmp_path):
    (scans / "disc" / "notes.txt").write_text("hello")
    (scans / "square" / "broken.png").write_bytes(b"no image")
    result = run("balance", scans, tmp_path / "out", "--sampler", "smote")
    assert result.exit_code == 2
    assert "broken.png" in error_of(result)
    assert "--skip-unreadable" in error_of(result)
    result = run("balance", scans, tmp_path / "out", "--sampler", "smote", "--skip-unreadable")
    assert result.exit_code == 0, result.output
    assert "1 file was not read" in result.stderr
    assert "1 .txt" in result.stdout
    assert not (tmp_path / "out" / "square" / "broken.png").exists()


def test_dicom_is_read_and_synthetic_images_are_png_of_16_bits(tmp_path):
    """A DICOM file is a claim about a patient, so none is made."""
    pytest.importorskip("pydicom", reason="the extra dicom is not installed")
    from test_datasets import write_dicom

    images, labels = make_shapes(9, 6, 16)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        write_dicom(tmp_path / "scans" / label / f"{number}.dcm", image.astype(np.uint16) * 10, bits=12)
    out = tmp_path / "out"
    found = done("balance", tmp_path / "scans", out, "--sampler", "smote")
    assert (found["n_linked"], found["n_written"]) == (15, 3)
    assert {Path(line["file"]).suffix for line in manifest_of(out)} == {".png"}
    assert load_image_folder(out).images.dtype == np.uint16


def test_npz_becomes_a_folder(tmp_path):
    images, labels = make_shapes(14, 10, 16)
    np.savez(tmp_path / "scans.npz", X=images, y=labels)
    found = done("balance", tmp_path / "scans.npz", tmp_path / "out", "--sampler", "smote", "--strategy", "disc=20")
    assert found["classes"]["disc"]["synthetic"] > 0
    assert len(load_image_folder(tmp_path / "out").images) == found["n_written"]
    assert "must be left out" in error_of(run("balance", tmp_path / "scans.npz", tmp_path / "o", "--image-size", 16))


def test_dry_run_tells_counts_time_and_disk_and_writes_nothing(scans, tmp_path):
    result = run("balance", scans, tmp_path / "out", "--sampler", "dcgan", "--dry-run", "--strategy", "square=1006")
    assert result.exit_code == 0, result.output
    assert "square: 6 -> 1,006 (1,000 synthetic)" in result.stdout
    assert "Training: about" in result.stdout
    assert "originals linked" in result.stdout
    assert not (tmp_path / "out").exists()
    plan = done("balance", scans, tmp_path / "out", "--sampler", "smote", "--dry-run", "--copy")
    assert plan["wanted"] == {"disc": 9, "square": 9}
    assert plan["seconds"] is None
    n_bytes = sum(path.stat().st_size for path in scans.rglob("*.png"))
    assert n_bytes < plan["disk_bytes"] < 2 * n_bytes


def test_plan_of_one_gan_for_many_classes(tmp_path):
    """It needs a step for each class, also in the trial runs."""
    source = write_shapes(tmp_path / "scans", {"disc": 5, "square": 4, "one": 3, "two": 2})
    plan = done("balance", source, tmp_path / "out", "--sampler", "conditional", "--n-steps", 9, "--dry-run")
    assert plan["seconds"] > 0


def test_estimate_ends_at_max_time(scans, tmp_path):
    dry = ["balance", scans, tmp_path / "out", "--dry-run", "--n-steps", 1_000_000]
    assert done(*dry)["seconds"] > 60
    assert done(*dry, "--max-time", "3s")["seconds"] == 3


# balance: going on, and refusing


def test_finished_folder_is_known_again(scans, tmp_path):
    out = tmp_path / "out"
    first = done("balance", scans, out, "--sampler", "smote")
    before = tree(out)
    result = run("balance", scans, out, "--sampler", "smote", "--json")
    assert json.loads(result.stdout) == first
    assert "nothing is done" in result.stderr
    assert tree(out) == before


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--sampler", "random"], "--sampler was smote, is random"),
        (["--sampler", "smote", "--seed", "1"], "--seed was 0, is 1"),
        (["--sampler", "smote", "--strategy", "square=8"], "--strategy was ['auto'], is ['square=8']"),
        (["--sampler", "smote", "--copy"], "--copy was False, is True"),
    ],
)
def test_another_command_is_refused_with_the_difference(scans, tmp_path, options, told):
    out = tmp_path / "out"
    done("balance", scans, out, "--sampler", "smote")
    result = run("balance", scans, out, *options)
    assert result.exit_code == 2
    assert told in error_of(result)
    assert "ame another DST, or delete this one" in error_of(result)


def test_changed_source_is_refused(scans, tmp_path):
    out = tmp_path / "out"
    done("balance", scans, out, "--sampler", "smote")
    (scans / "disc" / "patient 0.png").unlink()
    assert "some were added, removed or changed" in error_of(run("balance", scans, out, "--sampler", "smote"))


def test_synthetic_images_are_not_balanced_again(scans, tmp_path):
    """They would be learnt from as if they were patients."""
    done("balance", scans, tmp_path / "out", "--sampler", "smote")
    assert "lists synthetic ones" in error_of(run("balance", tmp_path / "out", tmp_path / "more", "--sampler", "smote"))


@pytest.mark.parametrize("word", ["synthetic", "repeated", "augmented"])
def test_files_called_like_synthetic_ones_are_not_learnt_from(word, scans, tmp_path):
    """Without a manifest, too; and before hours of training, after which no name would be free."""
    (scans / "square" / "patient 0.png").rename(scans / "square" / f"{word}_square_000002_seed0.png")
    told = error_of(run("balance", scans, tmp_path / "out", "--sampler", "smote"))
    assert f"'square/{word}_square_000002_seed0.png' is called like a synthetic one" in told


def interrupt_at(monkeypatch, n_written, exception=KeyboardInterrupt):
    """Let writing end after so many images."""
    from gan_sampler.datasets import _places

    write = _places.FolderWriter.write

    def interrupted(self, content, relative):
        if self.n_written == n_written:
            raise exception
        write(self, content, relative)

    monkeypatch.setattr(_places.FolderWriter, "write", interrupted)


def test_interrupted_balancing_goes_on_and_ends_as_if_it_had_not_been(scans, tmp_path, monkeypatch):
    whole = done("balance", scans, tmp_path / "whole", *SMALL_GAN)
    out = tmp_path / "out"
    interrupt_at(monkeypatch, 2)
    result = run("balance", scans, out, *SMALL_GAN)
    assert result.exit_code == 130
    assert f"gan-sampler balance {scans} {out} --sampler dcgan --n-steps 2" in result.stderr
    assert len(list((out / "square").glob("synthetic_*"))) == 2
    assert list((out / ".gan_sampler" / "checkpoints").iterdir())
    other = error_of(run("balance", scans, out, "--sampler", "smote"))
    assert "unfinished work of another command" in other
    assert "Go on with" in other
    monkeypatch.undo()
    (out / "square" / ".synthetic_square_000009_seed0.png.part").write_bytes(b"half")
    (out / "square" / "synthetic_square_000009_seed0.png").write_bytes(b"of a longer run")
    again = done("balance", scans, out, *SMALL_GAN)
    assert contents(out) == contents(tmp_path / "whole")
    assert not list(out.rglob("*.part"))
    assert not (out / ".gan_sampler").exists()
    assert again["classes"]["square"]["synthetic"] == whole["classes"]["square"]["synthetic"] == 3
    assert again["n_linked"] == 15


def test_killed_training_goes_on_from_its_checkpoint(scans, tmp_path):
    """kill -9 while it trains; the end is the same to the last bit, from fewer steps."""
    options = ["--n-steps", "100", "--device", "cpu"]
    out = tmp_path / "out"
    command = [sys.executable, "-m", "gan_sampler.cli", "balance", str(scans), str(out), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    checkpoints, deadline = out / ".gan_sampler" / "checkpoints", time.monotonic() + 120
    while not list(checkpoints.glob("*.safetensors")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (out / "disc" / "patient 0.png").exists()
    assert not (out / "manifest.csv").exists()
    (checkpoint,) = checkpoints.glob("*.safetensors")
    assert done("info", checkpoint)["classes"]["'square'"]["steps"] == 50
    done("balance", scans, out, *options)
    done("balance", scans, tmp_path / "whole", *options)
    assert contents(out) == contents(tmp_path / "whole")


def test_training_that_was_not_good_enough_goes_on_for_longer(scans, tmp_path):
    """What the error advises, --n-steps, must not be refused as another command."""
    command = ["balance", scans, tmp_path / "out", "--on-poor-quality"]
    result = run(*command, "raise", "--n-steps", 2)
    assert result.exit_code == 1
    assert "(--n-steps)" in error_of(result)
    found = done(*command, "warn", "--n-steps", 3)
    assert found["classes"]["square"]["training"]["steps"] == 3
    assert "--n-steps was 3, is 4" in error_of(run(*command, "warn", "--n-steps", 4))


def test_command_that_fails_before_it_learnt_leaves_nothing(tmp_path):
    """Else the right command would be refused for the wrong one's links."""
    source = write_shapes(tmp_path / "scans", {"disc": 6, "square": 1})
    result = run("balance", source, tmp_path / "out", "--sampler", "dcgan", "--n-steps", 2)
    assert result.exit_code == 2
    assert "Class 'square' has 1 image(s)" in error_of(result)
    assert not (tmp_path / "out").exists()
    assert done("balance", source, tmp_path / "out", "--sampler", "random")["classes"]["square"]["repeated"] == 5


@pytest.mark.parametrize("sampler", ["smote", "adasyn"])
def test_few_images_have_fewer_neighbours(tmp_path, sampler):
    """SMOTE's five neighbours need six images; a folder of three should not need a parameter."""
    source = write_shapes(tmp_path / "scans", {"disc": 9, "square": 3})
    assert done("balance", source, tmp_path / "out", "--sampler", sampler)["classes"]["square"]["synthetic"] > 3


def test_two_processes_do_not_write_to_one_folder(scans, tmp_path):
    pytest.importorskip("fcntl")
    from gan_sampler.folders._state import FolderState

    state = FolderState(tmp_path / "out", {}, "", "")
    other = FolderState(tmp_path / "out", {}, "", "").lock()
    with state.lock(), pytest.raises(FileExistsError, match="Another process is writing"), other:
        pass


def test_own_folder_of_checkpoints_is_kept(scans, tmp_path):
    done("balance", scans, tmp_path / "out", *SMALL_GAN, "--checkpoint-dir", tmp_path / "states")
    assert len(list((tmp_path / "states").glob("*.safetensors"))) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["no_folder", "out"], "SRC must be an existing folder"),
        (["scans", "scans"], "DST must not lie in"),
        (["scans", "scans/disc/new"], "DST must not lie in"),
        (["scans", "link/new"], "DST must not lie in"),
        (["scans", "."], "DST must not be a folder above"),
        (["scans", "full"], "DST must be a new or empty folder"),
        (["scans", "full/file"], "got the file"),
        (["scans", "out", "--sampler", "gan"], "--sampler must be one of dcgan, "),
        (["scans", "out", "--strategy", "much"], "--strategy must be auto"),
        (["scans", "out", "--strategy", "0.1"], "--strategy must ask for more"),
        (["scans", "out", "--strategy", "disc=3"], "--strategy must ask for at least 9 images"),
        (["scans", "out", "--strategy", "ring=30"], "--strategy must name classes of the folder, disc, square"),
        (["scans", "out", "--strategy", "disc=x"], "NAME=NUMBER"),
        (["scans", "out", "--strategy", "disc=20", "--strategy", "disc=30"], "each class once"),
        (["scans", "out", "--sampler", "smote", "--max-time", "3"], "--max-time must be left out"),
        (["scans", "out", "--sampler", "smote", "--n-steps", "3"], "--n-steps must be left out"),
        (["scans", "out", "--format", "doc"], "--format must be one of"),
        (["scans", "out", "--max-time", "soon"], "20m"),
        (["scans/disc", "out"], "SRC must hold one folder of images per class"),
        (["full", "out"], "SRC must hold one folder of images per class"),
        (["one", "out"], "at least 2 classes; got 'disc' alone"),
        (["scans"], "gan-sampler balance --help"),
    ],
)
def test_what_balance_refuses_is_told_in_one_line_before_torch_is_loaded(scans, tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(scans / "disc")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    write_shapes(tmp_path / "one", {"disc": 2})
    before = tree(tmp_path)
    result = run("balance", *arguments)
    assert result.exit_code == 2
    assert told in error_of(result)
    assert "Loading torch" not in result.stderr
    assert tree(tmp_path) == before


# train, sample, info


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A file of two classes, and the folder that it was trained on."""
    root = tmp_path_factory.mktemp("trained")
    write_shapes(root / "scans", {"disc": 9, "große square": 6})
    found = done("train", root / "scans", root / "scans.safetensors", "--n-steps", 3, "--device", "cpu")
    return root, found


def test_train_writes_a_file_for_every_class(trained):
    root, found = trained
    assert set(found["classes"]) == {"disc", "große square"}
    assert found["classes"]["disc"]["training"]["steps"] == 3
    assert sorted(path.name for path in root.iterdir()) == ["scans", "scans.safetensors"]
    result = run("train", root / "scans", root / "scans.safetensors")
    assert result.exit_code == 2
    assert "--overwrite" in error_of(result)


def test_sample_writes_images_by_the_names_of_classes(trained, tmp_path):
    root, _ = trained
    out = tmp_path / "more"
    found = done("sample", root / "scans.safetensors", out, "--n", 4, "--label", "große square")
    assert found["classes"] == {"große square": 4}
    lines = manifest_of(out)
    assert [line["file"] for line in lines] == [
        f"große square/synthetic_große square_{i:06d}_seed0.png" for i in (1, 2, 3, 4)
    ]
    assert (lines[0]["sampler"], lines[0]["nearest_real"]) == ("DCGANOverSampler", "")
    with Image.open(out / lines[0]["file"]) as image:
        assert (image.size, image.mode) == ((16, 16), "L")
    done("sample", root / "scans.safetensors", tmp_path / "same", "--n", 4, "--label", "große square")
    assert contents(tmp_path / "same") == contents(out)
    done("sample", root / "scans.safetensors", tmp_path / "other", "--n", 4, "--seed", 1)
    assert {line["class"] for line in manifest_of(tmp_path / "other")} == {"disc", "große square"}
    assert "DST must be a new or empty folder" in error_of(run("sample", root / "scans.safetensors", out))


def test_every_class_gets_synthetic_images_on_request(scans, tmp_path):
    options = [*SMALL_GAN, "--every-class"]
    plan = done("balance", scans, tmp_path / "out", *options, "--dry-run")
    assert plan["wanted"] == {"disc": 11, "square": 11}
    summary = done("balance", scans, tmp_path / "out", *options)
    found = {label: (entry["repeated"], entry["synthetic"]) for label, entry in summary["classes"].items()}
    assert found == {"disc": (0, 2), "square": (3, 2)}
    assert "--every-class" in error_of(run("balance", scans, tmp_path / "other", "--sampler", "smote", "--every-class"))


def test_real_images_are_repeated_beside_synthetic_ones_on_request_alone(scans, tmp_path):
    """A folder gets no second files of originals that nobody asked for."""
    options = [*SMALL_GAN, "--strategy", "square=10"]
    alone = done("balance", scans, tmp_path / "alone", *options)["classes"]["square"]
    assert (alone["repeated"], alone["synthetic"]) == (0, 4)
    plan = run("balance", scans, tmp_path / "half", *options, "--repeated-share", "0.5", "--dry-run")
    assert "square: 6 -> 10 (4 repeated and synthetic)" in plan.stdout
    half = done("balance", scans, tmp_path / "half", *options, "--repeated-share", "0.5")
    assert (half["classes"]["square"]["repeated"], half["classes"]["square"]["synthetic"]) == (2, 2)
    assert (half["n_linked"], half["n_written"]) == (15 + 2, 2)
    assert [line["file"] for line in manifest_of(tmp_path / "half")] == [
        f"square/{kind}_square_{i:06d}_seed0.png" for kind in ("repeated", "synthetic") for i in (1, 2)
    ]
    assert "--repeated-share was 0.5, is None" in error_of(run("balance", scans, tmp_path / "half", *options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sampler", "dcgan", "--repeated-share", "1"], r"repeated-share must be in [0, 1); got 1.0"),
        (["--sampler", "dcgan", "--repeated-share", "0.5", "--every-class"], "repeated-share must be left out with"),
        (["--sampler", "smote", "--repeated-share", "0.5"], "repeated-share must be left out with the sampler 'smote'"),
    ],
)
def test_a_share_without_a_meaning_is_refused(scans, tmp_path, options, message):
    result = run("balance", scans, tmp_path / "out", *options)
    assert result.exit_code == 2
    assert message in error_of(result)
    assert not (tmp_path / "out").exists()


def test_a_trained_file_repeats_by_default_where_it_is_used(trained):
    """What `train` needs for itself, one synthetic image a class, is no wish of its user."""
    assert DCGANOverSampler.load(trained[0] / "scans.safetensors").repeated_share == 0.75


def test_a_refused_command_does_not_replace_the_one_on_record(scans, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        interrupt_at(patched, 1)
        assert run("balance", scans, out, "--sampler", "dcgan", "--n-steps", "3").exit_code == 130
    assert run("balance", scans, out, "--sampler", "dcgan", "--n-steps", "2").exit_code == 2
    assert "--n-steps 3" in error_of(run("balance", scans, out, *SMALL_GAN, "--seed", "1"))


def test_a_folder_is_not_measured_against_itself(scans):
    assert "SYNTHETIC must be another folder than REAL" in error_of(run("quality", scans, scans))


def test_a_label_that_is_named_twice_counts_once(trained, tmp_path):
    summary = done(
        "sample", trained[0] / "scans.safetensors", tmp_path / "out", "--n", 2, "--label", "disc", "--label", "disc"
    )
    assert summary["classes"] == {"disc": 2}
    assert len(manifest_of(tmp_path / "out")) == 2


def test_many_images_are_drawn_in_parts(trained, tmp_path, monkeypatch):
    from gan_sampler.folders import _sample

    monkeypatch.setattr(_sample, "_AT_ONCE", 3)
    done("sample", trained[0] / "scans.safetensors", tmp_path / "more", "--n", 7, "--label", "disc")
    files = [line["file"] for line in manifest_of(tmp_path / "more")]
    assert files == [f"disc/synthetic_disc_{i:06d}_seed0.png" for i in range(1, 8)]
    assert len({(tmp_path / "more" / file).read_bytes() for file in files}) == 7


def test_info_tells_what_is_in_a_file(trained):
    root, _ = trained
    found = done("info", root / "scans.safetensors")
    assert (found["kind"], found["sampler"]) == ("sampler", "DCGANOverSampler")
    assert found["image_size"] == [16, 16]
    assert found["classes"]["große square"]["steps"] == 3
    assert found["classes"]["große square"]["score"] > 0
    assert set(found["versions"]) == {"gan-sampler", "torch"}
    assert found["parameters"]["n_steps"] == 3
    text = run("info", root / "scans.safetensors").stdout
    assert "große square: 3 steps" in text
    assert "learning_rate: " in text


def test_class_conditional_file_works_too(scans, tmp_path):
    file = tmp_path / "c.safetensors"
    done("train", scans, file, "--sampler", "conditional", "--n-steps", 4, "--label", "square")
    found = done("sample", file, tmp_path / "more", "--n", 2, "--format", "tiff")
    assert found["classes"] == {"square": 2}
    assert manifest_of(tmp_path / "more")[0]["file"].endswith("_seed0.tif")


def test_interrupted_train_goes_on(scans, tmp_path, monkeypatch):
    from gan_sampler.samplers import DCGANOverSampler

    def interrupt(self, path):
        raise KeyboardInterrupt

    command = ["train", scans, tmp_path / "s.safetensors", "--n-steps", 2, "--label", "disc"]
    monkeypatch.setattr(DCGANOverSampler, "save", interrupt)
    result = run(*command)
    assert result.exit_code == 130
    assert f"gan-sampler train {scans}" in result.stderr
    assert (tmp_path / "s.safetensors.checkpoints").is_dir()
    monkeypatch.undo()
    assert done(*command)["classes"]["disc"]["training"]["steps"] == 2
    assert not (tmp_path / "s.safetensors.checkpoints").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train", "scans", "scans/new.safetensors"], "FILE must not lie in"),
        (["train", "scans", "no/new.safetensors"], "there is no 'no'. Make it"),
        (["train", "scans", "scans"], "got the folder"),
        (["train", "scans", "f.safetensors", "--sampler", "smote"], "must be one of dcgan, vision_aided, conditional"),
        (["train", "scans", "f.safetensors", "--label", "ring"], "--label must be a class of the folder, disc, square"),
        (["train", "no", "f.safetensors"], "SRC must be an existing folder"),
        (["sample", "no.safetensors", "out"], "FILE must be an existing file"),
        (["sample", "scans/disc/patient 0.png", "out"], "FILE must be one that gan-sampler train or save wrote"),
        (["sample", "scans", "out", "--n", "0"], "--n"),
        (["info", "no.safetensors"], "FILE must be an existing file"),
        (["info", "scans/disc/patient 0.png"], "FILE must be one that gan-sampler train or save wrote"),
        (["quality", "no", "scans"], "REAL must be an existing folder"),
        (["quality", "scans", "no"], "SYNTHETIC must be an existing folder"),
        (["quality", "scans", "scans", "--held-out", "no"], "--held-out must be an existing folder"),
        (["quality", "scans", "scans", "--out", "no/q.html"], "--out must lie in an existing folder"),
        (["quality", "scans", "rings"], "SYNTHETIC must hold classes of REAL, disc, square; got ring"),
    ],
)
def test_what_others_refuse_is_told_in_one_line(scans, tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    write_shapes(tmp_path / "rings", {"ring": 2})
    before = tree(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2
    assert told in error_of(result)
    assert "Loading torch" not in result.stderr
    assert tree(tmp_path) == before


def test_label_that_the_file_does_not_know_is_named(trained, tmp_path):
    result = run("sample", trained[0] / "scans.safetensors", tmp_path / "out", "--label", "ring")
    assert result.exit_code == 2
    assert "--label must be a class of the file, disc, große square; got 'ring'" in error_of(result)
    assert not (tmp_path / "out").exists()


# quality


@pytest.fixture
def small_embedder(monkeypatch):
    """Spare the seconds of a network."""
    from sklearn.preprocessing import FunctionTransformer

    from gan_sampler import embedding

    flat = FunctionTransformer(lambda X: X.reshape(len(X), -1) / 255)
    monkeypatch.setattr(embedding, "EfficientNetLite0Embedder", lambda **_: flat)


@pytest.mark.usefixtures("small_embedder")
def test_quality_writes_a_page_of_measures_meaning_and_pictures(tmp_path):
    """On what balance wrote: originals, linked there, must not be taken for synthetic."""
    pytest.importorskip("prdc", reason="the extra quality is not installed")
    source = write_shapes(tmp_path / "scans", {"disc <b>": 30, "square": 14})
    done("balance", source, tmp_path / "out", "--sampler", "smote")
    held_out = write_shapes(tmp_path / "held out", {"disc <b>": 12, "square": 12}, seed=1)
    page = tmp_path / "q.html"
    result = run("quality", source, tmp_path / "out", "--held-out", held_out, "--out", page, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["classes"]
    assert set(found) == {"square"}
    assert (found["square"]["n_real"], found["square"]["n_synthetic"], found["square"]["n_held_out"]) == (14, 16, 12)
    assert {"kid", "near_copies", "memorisation", "utility_synthetic"} <= found["square"]["measures"].keys()
    text = page.read_text(encoding="utf-8")
    assert "Near 0: the generator draws" in text  # what spread means
    assert text.count("data:image/png;base64,") == 3
    assert "held-out real" in text
    assert "nearest to it" not in text  # no picture of a patient, unless asked for
    run("quality", source, tmp_path / "out", "--out", page, "--include-real-images")
    assert "each above the real image that is nearest to it" in page.read_text(encoding="utf-8")


@pytest.mark.usefixtures("small_embedder")
def test_quality_names_classes_that_are_too_small_and_escapes_their_names(tmp_path):
    pytest.importorskip("prdc", reason="the extra quality is not installed")
    source = write_shapes(tmp_path / "scans", {"disc <b>": 5, "square": 14})
    synthetic = write_shapes(tmp_path / "made", {"disc <b>": 12}, seed=1)
    result = run("quality", source, synthetic, "--out", tmp_path / "q.html")
    assert result.exit_code == 0, result.output
    assert "disc <b>: not measured: there are 5 real and 12 synthetic images" in result.stdout
    assert "disc &lt;b&gt;" in (tmp_path / "q.html").read_text()
    assert "<b>" not in (tmp_path / "q.html").read_text()


def test_repeated_images_are_not_measured_as_synthetic(tmp_path):
    """They are real ones, also with a small change."""
    from gan_sampler.folders._quality import find_synthetic

    made = write_shapes(tmp_path / "made", {"disc": 2})
    (made / "manifest.csv").write_text(
        "file,class\ndisc/repeated_disc_000001_seed0.png,disc\ndisc/augmented_disc_000001_seed0.png,disc\n"
        "disc/patient 0.png,disc\n"
    )
    assert [file.filename for file in find_synthetic(made)] == ["disc/patient 0.png"]


def test_manifest_does_not_lead_out_of_its_folder(scans, tmp_path):
    made = write_shapes(tmp_path / "made", {"disc": 2})
    (made / "manifest.csv").write_text("file,class\n../scans/disc/patient 0.png,disc\n")
    assert "must list files of its folder" in error_of(run("quality", scans, made))


def test_missing_extra_of_quality_is_named_in_one_line(scans, monkeypatch):
    from gan_sampler.folders import _quality

    monkeypatch.setattr(_quality, "_NEEDED", {"no_such_module": "prdc"})
    result = run("quality", scans, scans)
    assert result.exit_code == 2
    assert 'prdc, which is not installed: pip install "gan-sampler[quality]"' in error_of(result)


# what a command line is judged by


@pytest.mark.parametrize(
    "arguments",
    [
        ["balance", "--help"],
        ["train", "--help"],
        ["quality", "--help"],
        ["balance", "{scans}", "{scans}"],
        ["balance", "{scans}", "out", "--strategy", "ring=30"],
        ["balance", "{scans}/disc", "out"],
        ["train", "{scans}", "{scans}/f.safetensors"],
        ["sample", "{scans}/disc/patient 0.png", "out"],
        ["info", "no.safetensors"],
        ["quality", "{scans}", "no"],
    ],
)
def test_help_and_errors_do_not_wait_for_torch(scans, arguments):
    """Counted in modules instead of seconds, which depend on the machine: the heavy ones are absent."""
    script = (
        "import sys; from gan_sampler.cli import app; app(sys.argv[1:], standalone_mode=False); "
        "print(sorted({'torch', 'sklearn', 'scipy', 'imblearn', 'skorch', 'pandas', 'matplotlib', 'joblib'} "
        "& set(sys.modules)))"
    )
    arguments = [argument.replace("{scans}", str(scans)) for argument in arguments]
    found = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"


def test_plain_installation_suffices(scans, tmp_path):
    """Of balance, train, sample and info: what extras bring must not be asked for."""
    file, out = str(tmp_path / "s.safetensors"), str(tmp_path / "out")
    commands = [
        ["balance", str(scans), out, "--sampler", "smote"],
        ["train", str(scans), file, "--n-steps", "2", "--label", "square"],
        ["sample", file, str(tmp_path / "more"), "--n", "2"],
        ["info", file],
    ]
    script = """
import json, sys
from importlib.machinery import PathFinder

class Plain(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        extras = {"pandas", "matplotlib", "jinja2", "prdc", "statsmodels", "psutil", "filelock", "humanize", "pydicom"}
        return None if name in extras else PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Plain
from gan_sampler.cli import app
print([app(command, standalone_mode=False) for command in json.loads(sys.argv[1])])
"""
    command = [sys.executable, "-c", script, json.dumps(commands)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[0, 0, 0, 0]", found.stderr


def test_help_has_examples_and_exit_statuses_of_every_command():
    for command in ("balance", "train", "sample", "quality", "info"):
        text = run(command, "--help").stdout
        assert f"  gan-sampler {command} " in text
        assert "Exit status" in text
    assert "--install-completion" in run("--help").stdout


def test_words_of_samplers_are_completed():
    script = "_GAN_SAMPLER_COMPLETE"
    environment = {
        **os.environ,
        script: "complete_bash",
        "COMP_WORDS": "gan-sampler balance --sampler a",
        "COMP_CWORD": "3",
    }
    found = subprocess.run(
        [sys.executable, "-m", "gan_sampler.cli"], capture_output=True, text=True, env=environment, check=False
    )
    assert found.stdout.split() == ["augmentation", "adasyn"]


def test_samplers_of_the_commands_are_those_of_the_evaluation():
    """One word, one meaning."""
    pytest.importorskip("statsmodels", reason="the extra evaluation is not installed")
    import torch

    from gan_sampler.evaluation._settings import default_settings
    from gan_sampler.evaluation._treatments import choose_treatments

    settings = default_settings((16, 16), torch.device("cpu"))
    treatments = {treatment.name: treatment for treatment in choose_treatments(list(SAMPLERS), settings, "cpu")}
    for word in SAMPLERS:
        assert type(treatments[word].sampler) is sampler_class(word)
    assert all(hasattr(sampler_class(word), "save") for word in IN_FILES)


@pytest.mark.parametrize("word", SAMPLERS)
def test_what_is_said_of_parameters_is_true(word):
    """It is said without importing them."""
    known = sampler_class(word)._get_param_names()
    for name in ("n_steps", "max_time", "on_poor_quality", "n_jobs"):
        assert has_parameter(word, name) is (name in known)


@pytest.mark.parametrize(("seconds", "text"), [(3.2, "3 s"), (300, "5 min"), (9000, "2.5 h")])
def test_durations_for_people(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("n_bytes", "text"), [(12, "12 bytes"), (4200, "4.2 kB"), (3e9, "3.0 GB"), (5e15, "5000.0 TB")]
)
def test_sizes_for_people(n_bytes, text):
    assert size(n_bytes) == text
