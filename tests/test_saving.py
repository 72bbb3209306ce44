"""Images as folders of files: what is linked, written, named and listed."""

import csv
import io
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler
from PIL import Image
from sklearn.utils import Bunch

from gan_sampler import DCGANOverSampler, PixelSampler
from gan_sampler.datasets import (
    _encoding,
    _places,
    load_image_folder,
    load_npz,
    save_image_folder,
)

SMOTES = PixelSampler(SMOTE(k_neighbors=2, random_state=3))


def make_images(n, side=16, dtype=np.uint8, channels=(), seed=0):
    top = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, top, size=(n, side, side, *channels), dtype=dtype, endpoint=True)


def write_folder(root, counts, suffix=".png", mode=None, dtype=np.uint8, channels=(), **options):
    """Write random images of each class, and return the folder."""
    for seed, (label, n) in enumerate(counts.items()):
        (root / label).mkdir(parents=True)
        for i, image in enumerate(make_images(n, dtype=dtype, channels=channels, seed=seed)):
            picture = Image.fromarray(image)
            (picture if mode is None else picture.convert(mode)).save(root / label / f"im {i}{suffix}", **options)
    return root


@pytest.fixture
def scans(tmp_path):
    return write_folder(tmp_path / "scans", {"ill": 6, "well": 9})


def resampled(root, sampler=SMOTES, **options):
    data = load_image_folder(root, **options)
    return (*sampler.fit_resample(data.images, data.target), data)


def read_manifest(root):
    with open(Path(root) / "manifest.csv", encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def state_of(root):
    """Return content and times of all files below a folder."""
    return {path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None) for path in root.rglob("*")}


def test_three_lines_balance_a_folder_and_leave_the_originals_alone(scans, tmp_path):
    """The promise: originals are the very files, synthetic ones are named and listed."""
    before = state_of(scans)
    data = load_image_folder(scans)
    X, y = SMOTES.fit_resample(data.images, data.target)
    saved = save_image_folder(tmp_path / "balanced", X, y, data=data, sampler=SMOTES)
    assert state_of(scans) == before
    assert (saved.n_linked, saved.n_copied, saved.n_written) == (15, 0, 3)
    assert os.path.samefile(scans / "ill" / "im 0.png", tmp_path / "balanced" / "ill" / "im 0.png")
    names = [f"ill/synthetic_ill_{number:06d}_seed3.png" for number in (1, 2, 3)]
    assert saved.filenames.tolist() == [*data.filenames.tolist(), *names]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of manifest.csv, a file that is no image
        again = load_image_folder(tmp_path / "balanced")
    assert (again.target == "ill").sum() == 9
    rows = [again.filenames.tolist().index(name) for name in saved.filenames]
    np.testing.assert_array_equal(again.images[rows], X)
    np.testing.assert_array_equal(again.target[rows], y)


def test_manifest_tells_where_each_image_came_from(scans, tmp_path):
    X, y, data = resampled(scans)
    X[-1] = data.images[2]  # a copy with a single value changed
    X[-1, 0, 0] ^= 1
    saved = save_image_folder(tmp_path / "out", X, y, data=data, sampler=SMOTES)
    lines = read_manifest(tmp_path / "out")
    assert list(lines[0]) == [
        "file", "class", "seed", "sampler", "version", "nearest_real", "distance", "near_copy",
    ]  # fmt: skip
    assert [line["file"] for line in lines] == saved.filenames[15:].tolist()
    assert {(line["class"], line["seed"], line["sampler"]) for line in lines} == {("ill", "3", "PixelSampler(SMOTE())")}
    assert lines[-1]["nearest_real"] == "ill/im 2.png"
    assert lines[-1]["near_copy"] == "yes"
    assert 0 < float(lines[-1]["distance"]) < 0.001
    for line, image in zip(lines, X[15:], strict=True):
        distances = np.sqrt(np.mean((data.images[:6] / 255 - image / 255) ** 2, axis=(1, 2)))
        assert line["nearest_real"] == data.filenames[distances.argmin()]
        assert float(line["distance"]) == pytest.approx(distances.min(), abs=2e-5)


def test_unlike_images_are_no_near_copies(scans, tmp_path):
    data = load_image_folder(scans)
    X = np.concatenate([data.images, make_images(3, seed=9)])
    y = [*data.target, "ill", "ill", "ill"]
    assert {line["near_copy"] for line in save_image_folder(tmp_path / "o", X, y, data=data).manifest} == {"no"}


def test_near_copies_of_few_images_are_not_told(tmp_path):
    """With fewer than five there is nothing to compare a distance with."""
    X, y, data = resampled(write_folder(tmp_path / "few", {"ill": 3, "well": 5}))
    assert {line["near_copy"] for line in save_image_folder(tmp_path / "o", X, y, data=data).manifest} == {""}


def test_large_images_are_compared_smaller(tmp_path):
    """Memory: a thousand images of 1,000 x 1,000 pixels would be 4 GB of floats."""
    data = Bunch(images=make_images(6, side=150), target=np.repeat(["a", "b"], 3), filenames=None, split=None)
    X = np.concatenate([data.images, 255 - data.images[:1]])
    (line,) = save_image_folder(tmp_path / "o", X, [*data.target, "a"], data=data).manifest
    assert 0.05 < line["distance"] < 0.2  # averages of random pixels differ less than these do


def test_repeated_images_are_links_to_their_originals(scans, tmp_path):
    """They are no synthetic images, and keep what was lost when the original was made smaller."""
    sampler = PixelSampler(RandomOverSampler(random_state=0))
    X, y, data = resampled(scans, sampler, image_size=8)
    saved = save_image_folder(tmp_path / "out", X, y, data=data, sampler=sampler)
    assert (saved.n_linked, saved.n_written) == (18, 0)
    for line in saved.manifest:
        assert line["file"].startswith("ill/repeated_ill_0")
        assert line["distance"] == 0
        assert os.path.samefile(tmp_path / "out" / line["file"], scans / line["nearest_real"])


@pytest.mark.filterwarnings("ignore::gan_sampler.QualityWarning", "ignore::gan_sampler.samplers.CollapseWarning")
def test_repeated_images_with_a_change_are_not_called_synthetic(scans, tmp_path):
    """No network has made them."""
    sampler = DCGANOverSampler(sampling_strategy={"ill": 17}, n_steps=1, base_channels=4, random_state=0)
    X, y, data = resampled(scans, sampler)
    saved = save_image_folder(tmp_path / "out", X, y, data=data, sampler=sampler)
    words = [line["file"].removeprefix("ill/").split("_")[0] for line in saved.manifest]
    n_added = len(words)
    n_synthetic = int(sampler.synthetic_mask_.sum())
    n_changed = (n_added - n_synthetic) // 2
    assert n_changed > 0
    assert sorted(words) == sorted(
        ["augmented"] * n_changed + ["repeated"] * (n_added - n_synthetic - n_changed) + ["synthetic"] * n_synthetic
    )
    assert saved.n_written == n_changed + n_synthetic


def test_copies_are_files_of_their_own(scans, tmp_path):
    X, y, data = resampled(scans)
    saved = save_image_folder(tmp_path / "out", X, y, data=data, copy=True)
    assert (saved.n_linked, saved.n_copied) == (0, 15)
    copy, original = tmp_path / "out" / "ill" / "im 0.png", scans / "ill" / "im 0.png"
    assert not os.path.samefile(copy, original)
    assert copy.read_bytes() == original.read_bytes()
    assert copy.stat().st_mtime_ns == original.stat().st_mtime_ns


def test_files_are_copied_where_links_are_not_possible(scans, tmp_path, monkeypatch):
    """DST may lie on another disk."""

    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(_places.os, "link", refuse)
    X, y, data = resampled(scans)
    assert save_image_folder(tmp_path / "out", X, y, data=data).n_copied == 15


def test_originals_are_never_written_through(scans, tmp_path):
    """A link is the original: a synthetic image must not land in one, whatever it is called."""
    X, y, data = resampled(scans)
    (scans / "ill" / "im 0.png").rename(scans / "ill" / "synthetic_ill_000001_seed3.png")
    data = load_image_folder(scans)
    X, y = SMOTES.fit_resample(data.images, data.target)
    before = state_of(scans)
    with pytest.raises(ValueError, match=r"'ill/synthetic_ill_000001_seed3\.png' has"):
        save_image_folder(tmp_path / "out", X, y, data=data, sampler=SMOTES)
    assert state_of(scans) == before


def test_links_in_the_folder_are_followed(scans, tmp_path):
    """DST must not break when a link in SRC does."""
    (scans / "ill" / "link.png").symlink_to(tmp_path / "elsewhere.png")
    Image.fromarray(make_images(1, seed=5)[0]).save(tmp_path / "elsewhere.png")
    X, y, data = resampled(scans)
    save_image_folder(tmp_path / "out", X, y, data=data)
    assert not (tmp_path / "out" / "ill" / "link.png").is_symlink()
    assert os.path.samefile(tmp_path / "out" / "ill" / "link.png", tmp_path / "elsewhere.png")


@pytest.mark.parametrize(
    ("suffix", "options", "made", "expected"),
    [
        (".png", {}, {}, ("PNG", "L")),
        (".png", {"mode": "RGB"}, {}, ("PNG", "RGB")),  # grey, stored as three channels
        (".png", {"mode": "RGBA"}, {}, ("PNG", "RGBA")),
        (".png", {"channels": (3,)}, {}, ("PNG", "RGB")),
        (".png", {"dtype": np.uint16}, {}, ("PNG", "I;16")),
        (".tiff", {"dtype": np.uint16, "compression": "tiff_lzw"}, {}, ("TIFF", "I;16")),
        (".tif", {}, {}, ("TIFF", "L")),
        (".jpeg", {"quality": 40}, {}, ("JPEG", "L")),
        (".JPG", {"channels": (3,)}, {}, ("JPEG", "RGB")),
        (".bmp", {}, {}, ("BMP", "L")),
        (".webp", {"channels": (3,), "lossless": True}, {}, ("WEBP", "RGB")),
        (".pgm", {"dtype": np.uint16}, {}, ("PPM", "I;16")),
        (".png", {}, {"file_format": "tiff"}, ("TIFF", "L")),
        (".png", {"mode": "P"}, {}, ("PNG", "L")),
    ],
)  # fmt: skip
def test_synthetic_files_have_the_format_and_mode_of_the_originals(tmp_path, suffix, options, made, expected):
    """Else a classifier learns that synthetic images are those of another format."""
    root = write_folder(tmp_path / "scans", {"ill": 4, "well": 6}, suffix, **options)
    X, y, data = resampled(root)
    saved = save_image_folder(tmp_path / "out", X, y, data=data, **made)
    file = tmp_path / "out" / saved.filenames[-1]
    with Image.open(file) as image:
        found = image.mode if not image.mode.startswith("I") else "I;16"
        assert (image.format, found) == expected
        assert image.info.get("compression") == options.get("compression", image.info.get("compression"))
    if not made:
        assert file.suffix == suffix
    if expected[0] != "JPEG":
        again = load_image_folder(tmp_path / "out")
        np.testing.assert_array_equal(again.images[again.filenames == saved.filenames[-1]][0], X[-1])


def test_jpeg_files_are_as_coarse_as_the_originals_of_their_size(tmp_path):
    """Compression marks: of another strength, they tell synthetic from real images."""
    root = write_folder(tmp_path / "scans", {"ill": 4, "well": 6}, ".jpg", quality=35)

    def table(file):
        with Image.open(file) as image:
            return dict(image.quantization)

    for name, size, is_same in (("same", None, True), ("smaller", 8, False)):
        X, y, data = resampled(root, image_size=size)
        saved = save_image_folder(tmp_path / name, X, y, data=data)
        first = table(root / "ill" / "im 0.jpg")
        assert (table(tmp_path / name / saved.filenames[-1]) == first) is is_same


def test_photos_with_previews_are_followed_by_jpeg_files(tmp_path):
    for label, n in (("ill", 4), ("well", 6)):
        (tmp_path / "scans" / label).mkdir(parents=True)
        for i, image in enumerate(make_images(n, channels=(3,))):
            picture = Image.fromarray(image)
            picture.save(tmp_path / "scans" / label / f"{i}.jpg", format="MPO", save_all=True, append_images=[picture])
    X, y, data = resampled(tmp_path / "scans")
    file = tmp_path / "out" / save_image_folder(tmp_path / "out", X, y, data=data).filenames[-1]
    with Image.open(file) as image:
        assert (image.format, file.suffix) == ("JPEG", ".jpg")


def test_most_files_of_a_class_decide_on_the_format(tmp_path):
    root = write_folder(tmp_path / "scans", {"ill": 4, "well": 6})
    for i in range(2):
        Image.fromarray(make_images(1, seed=20 + i)[0]).save(root / "ill" / f"other{i}.bmp")
    X, y, data = resampled(root, PixelSampler(SMOTE(k_neighbors=2, sampling_strategy={"ill": 8}, random_state=0)))
    assert save_image_folder(tmp_path / "out", X, y, data=data).filenames[-1].endswith(".png")


@pytest.mark.parametrize("file_format", ["jpeg", "bmp", "webp", "gif"])
def test_formats_that_lose_bits_are_refused(tmp_path, file_format):
    X, y, data = resampled(write_folder(tmp_path / "scans", {"ill": 4, "well": 6}, dtype=np.uint16))
    with pytest.raises(ValueError, match=r"file_format must hold 16 bits.*holds 8. Choose png or tiff"):
        save_image_folder(tmp_path / "out", X, y, data=data, file_format=file_format)
    assert not (tmp_path / "out").exists()


def test_unknown_format_is_named(scans, tmp_path):
    X, y, data = resampled(scans)
    with pytest.raises(ValueError, match=r"file_format must be one of .*png.*got 'xyz'"):
        save_image_folder(tmp_path / "out", X, y, data=data, file_format="xyz")
    assert _encoding.named_kind(".JPG").format == "JPEG"


def test_only_train_gets_images_and_the_rest_is_linked(tmp_path):
    """Synthetic images in the test part would make every number too good."""
    for part, n in (("Training", 5), ("val", 2), ("Testing", 3)):
        write_folder(tmp_path / "scans" / part, {"ill": n, "well": 2 * n})
    data = load_image_folder(tmp_path / "scans")
    train = data.split == "train"
    X, y = SMOTES.fit_resample(data.images[train], data.target[train])
    saved = save_image_folder(tmp_path / "out", X, y, data=data)
    assert {line["file"].rpartition("/")[0] for line in saved.manifest} == {"Training/ill"}
    assert (saved.n_linked, saved.n_written) == (30, 5)
    again = load_image_folder(tmp_path / "out")
    assert {str(part): int((again.split == part).sum()) for part in ("train", "val", "test")} == {
        "train": 20, "val": 6, "test": 9,
    }  # fmt: skip
    with pytest.raises(ValueError, match="X must not hold the validation and test images"):
        save_image_folder(tmp_path / "other", *SMOTES.fit_resample(data.images, data.target), data=data)
    test = data.split == "test"
    with pytest.raises(ValueError, match="must begin with the images of data whose split is 'train'"):
        save_image_folder(tmp_path / "other", *SMOTES.fit_resample(data.images[test], data.target[test]), data=data)


def test_images_that_are_not_those_loaded_are_refused(scans, tmp_path):
    """A link must lead to the image that the label belongs to."""
    data = load_image_folder(scans)
    X, y = PixelSampler(RandomUnderSampler(random_state=0)).fit_resample(data.images, data.target)
    for images, labels in ((X, y), (data.images[::-1], data.target[::-1]), (data.images, data.target[::-1])):
        with pytest.raises(ValueError, match="must begin with all images of data, 15 in their order"):
            save_image_folder(tmp_path / "out", images, labels, data=data)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("where", ["scans", "scans/new", "scans/ill/new", "link/new", "."])
def test_folder_in_the_folder_of_the_data_is_refused(scans, tmp_path, where):
    """Nothing is ever written into it, also not through a link."""
    (tmp_path / "link").symlink_to(scans / "ill")
    X, y, data = resampled(scans)
    before = state_of(tmp_path)
    with pytest.raises((ValueError, FileExistsError), match=r"must not lie in|holds files"):
        save_image_folder(tmp_path / where, X, y, data=data)
    assert state_of(tmp_path) == before


def test_folder_above_the_data_is_refused(scans, tmp_path):
    with pytest.raises(ValueError, match="must not be a folder above"):
        _places.check_apart(tmp_path, scans)


def test_folder_that_a_link_in_the_data_leads_to_is_refused(scans, tmp_path):
    (tmp_path / "far").mkdir()
    Image.fromarray(make_images(1)[0]).save(tmp_path / "far" / "1.png")
    (scans / "odd").symlink_to(tmp_path / "far")
    X, y, data = resampled(scans, PixelSampler(RandomOverSampler(random_state=0)))
    with pytest.raises(ValueError, match="must not lie in"):
        save_image_folder(tmp_path / "far" / "new", X, y, data=data)


def test_folder_that_holds_something_is_refused(scans, tmp_path):
    X, y, data = resampled(scans)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("mine")
    with pytest.raises(FileExistsError, match=r"'.*full' holds files. Name another, or empty it"):
        save_image_folder(tmp_path / "full", X, y, data=data)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FileExistsError, match="got the file"):
        save_image_folder(tmp_path / "file", X, y, data=data)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (make_images(2) / 255, ["a", "b"], "X must be of uint8 or uint16.*got float64 from 0 to 1"),
        (make_images(2), ["a", "b", "c"], "y must hold a label for each of the 2 images"),
        (make_images(2), ["a", "x/y"], "got 'x/y'. Rename that class"),
        (make_images(2), ["a", ".."], "got '..'"),
        (make_images(2), ["a", ""], "got ''"),
        (make_images(2, channels=(4,)), ["a", "b"], "got 4 channels of uint8"),
    ],
)
def test_what_no_file_can_hold_is_refused(tmp_path, X, y, message):
    with pytest.raises(ValueError, match=message):
        save_image_folder(tmp_path / "out", X, y)
    assert not (tmp_path / "out").exists()


def test_arrays_alone_become_a_folder_that_reads_the_same(tmp_path):
    """Without data, every image gets a file, and there is nothing to list."""
    X, y = make_images(5, channels=(3,)), np.array([0, 1, 0, 10, 1])
    save_image_folder(tmp_path / "out", np.moveaxis(X, -1, 1), y)  # channels first
    data = load_image_folder(tmp_path / "out")
    assert data.filenames.tolist() == [
        "0/000001.png", "0/000002.png", "1/000001.png", "1/000002.png", "10/000001.png",
    ]  # fmt: skip
    np.testing.assert_array_equal(data.images, X[[0, 2, 1, 4, 3]])
    assert not (tmp_path / "out" / "manifest.csv").exists()


def test_mask_of_a_sampler_names_synthetic_images_without_files(tmp_path):
    class Fitted:
        random_state = 4
        synthetic_mask_ = np.array([False, False, True])

    saved = save_image_folder(tmp_path / "out", make_images(3), ["a", "b", "a"], sampler=Fitted())
    assert saved.filenames.tolist() == ["a/000001.png", "b/000001.png", "a/synthetic_a_000001_seed4.png"]
    assert [line["sampler"] for line in saved.manifest] == ["Fitted"]


def test_names_with_spaces_umlauts_and_odd_bytes(tmp_path):
    root = write_folder(tmp_path / "sc äns", {"große Zyste": 4, "caf\udce9": 4, "x" * 180: 6})
    X, y, data = resampled(root)
    saved = save_image_folder(tmp_path / "o ut", X, y, data=data, sampler=SMOTES)
    assert any(name.startswith("große Zyste/synthetic_große Zyste_000001_seed3") for name in saved.filenames)
    assert len(load_image_folder(tmp_path / "o ut").images) == 18
    assert (tmp_path / "o ut" / "manifest.csv").read_bytes().count(b"\n") == 5


def test_image_without_files_are_written_with_their_splits(tmp_path):
    """MedMNIST and .npz files: there is nothing to link."""
    X, y = make_images(10), np.array([0] * 3 + [1] * 5 + [0, 1])
    split = ["train"] * 8 + ["test"] * 2
    np.savez(tmp_path / "scans.npz", X=X, y=y, target_names=["ill", "well"], split=split)
    data = load_npz(tmp_path / "scans.npz")
    train = data.split == "train"
    X_res, y_res = SMOTES.fit_resample(data.images[train], data.target[train])
    saved = save_image_folder(tmp_path / "out", X_res, y_res, data=data)
    assert saved.n_written == 12
    again = load_image_folder(tmp_path / "out")
    assert (again.split == "train").sum() == 10
    np.testing.assert_array_equal(again.images[again.split == "test"], X[8:])


# load_npz


def test_npz_of_medmnist_is_read_with_its_splits(tmp_path):
    parts = {f"{split}_images": make_images(n, seed=n) for split, n in (("train", 4), ("val", 2), ("test", 3))}
    labels = {name.replace("images", "labels"): np.arange(len(X))[:, None] % 2 for name, X in parts.items()}
    np.savez(tmp_path / "m.npz", **parts, **labels)
    data = load_npz(tmp_path / "m.npz")
    assert data.target.tolist() == ["0", "1", "0", "1", "0", "1", "0", "1", "0"]
    assert data.split.tolist() == ["train"] * 4 + ["val"] * 2 + ["test"] * 3


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": make_images(2)}, "arrays X .* and y"),
        ({"X": make_images(2), "y": [0]}, "an entry of y for each of the 2"),
        ({"X": np.zeros((2, 9)), "y": [0, 1]}, r"got shape \(2, 9\)"),
        ({"X": make_images(2), "y": [0, 1], "z": [1]}, "got z too"),
        ({"X": make_images(2), "y": [0, 1], "target_names": ["a"]}, "2 different target_names"),
        ({"X": make_images(2), "y": [0, 1], "split": ["train", "exam"]}, "got .'exam'. too"),
        ({"X": make_images(2), "y": np.array(["a", None], dtype=object)}, "no Python objects"),
    ],
)
def test_npz_that_does_not_fit_is_named(tmp_path, arrays, message):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        load_npz(tmp_path / "x.npz")


def test_damaged_npz_is_named(tmp_path):
    stream = io.BytesIO()
    np.savez(stream, X=make_images(2), y=[0, 1])
    (tmp_path / "x.npz").write_bytes(stream.getvalue()[:200])
    with pytest.raises(ValueError, match=r"x\.npz must be"):
        load_npz(tmp_path / "x.npz")
