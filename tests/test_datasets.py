"""Named data sets and image folders. Files are made here; nothing is downloaded."""

import os
import sys
import threading
import types
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from conftest import CHEST_XRAY, needs_chest_xrays
from PIL import Image

from gan_sampler import datasets
from gan_sampler.datasets import fetch_chest_xray, fetch_medmnist, load_elpv, load_image_folder


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels)).save(path, **options)
    return path


def flat(value, size=(12, 10), dtype=np.uint8):
    return np.full(size, value, dtype=dtype)


def coloured(size=(12, 10)):
    pixels = np.zeros((*size, 3), dtype=np.uint8)
    pixels[..., 0] = 200
    pixels[..., 2] = 50
    return pixels


def make_classes(root, n_a=2, n_b=3):
    for i in range(n_a):
        save(root / "a" / f"{i}.png", flat(10 * (i + 1) % 256))
    for i in range(n_b):
        save(root / "b" / f"{i}.png", flat((100 + 10 * i) % 256))
    return root


def make_chest_xray(root):
    names = {
        "train": ("IM-0115-0001", "person1_bacteria_1"),
        "val": ("NORMAL2-IM-1427-0001", "person1946_bacteria_4874"),
        "test": ("NORMAL2-IM-0115-0001-0002", "person1_virus_6"),
    }
    for split, (normal, pneumonia) in names.items():
        save(root / split / "NORMAL" / f"{normal}.jpeg", flat(60, (40, 50)))
        save(root / split / "PNEUMONIA" / f"{pneumonia}.jpeg", flat(120, (40, 44)))
    return root


# load_image_folder: what comes back


def test_class_folders_become_images_targets_and_names(tmp_path):
    """The basic promise, pixel by pixel."""
    data = load_image_folder(make_classes(tmp_path))
    assert data.images.shape == (5, 12, 10)
    assert data.images.dtype == np.uint8
    assert data.images[:, 0, 0].tolist() == [10, 20, 100, 110, 120]
    assert data.target.tolist() == [0, 0, 1, 1, 1]
    assert data.target.dtype == np.int64
    assert data.target_names.tolist() == ["a", "b"]
    assert data.filenames.tolist() == ["a/0.png", "a/1.png", "b/0.png", "b/1.png", "b/2.png"]
    assert data.groups is None
    assert data.split is None
    assert "a: 2\nb: 3" in data.DESCR


def test_path_may_be_a_string(tmp_path):
    """Most callers have no Path at hand."""
    assert len(load_image_folder(str(make_classes(tmp_path))).images) == 5


def test_order_does_not_depend_on_the_order_of_the_disk(tmp_path, monkeypatch):
    """Seeds mean nothing when the rows come in another order on another machine."""
    expected = load_image_folder(make_classes(tmp_path)).filenames
    walk = os.walk

    def backwards(folder):
        for top, folders, names in walk(folder):
            yield top, folders, names[::-1]

    monkeypatch.setattr(datasets.os, "walk", backwards)
    np.testing.assert_array_equal(load_image_folder(tmp_path).filenames, expected)


def test_folders_named_after_splits_fill_split(tmp_path):
    """Published splits must be told apart, under each of their usual names."""
    make_classes(tmp_path / "Test", 1, 1)
    make_classes(tmp_path / "train", 2, 1)
    make_classes(tmp_path / "validation", 1, 1)
    data = load_image_folder(tmp_path)
    assert data.split.tolist() == ["train"] * 3 + ["val"] * 2 + ["test"] * 2
    assert data.target.tolist() == [0, 0, 1, 0, 1, 0, 1]
    assert data.filenames[-1] == "Test/b/0.png"


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".png", ".bmp", ".tif", ".TIFF"])
def test_reads_every_announced_format_in_any_case(tmp_path, suffix):
    """Cameras write .JPG, hospitals .TIFF."""
    make_classes(tmp_path, 1, 1)
    save(tmp_path / "a" / f"z{suffix}", flat(77))
    data = load_image_folder(tmp_path)
    assert data.filenames.tolist() == ["a/0.png", f"a/z{suffix}", "b/0.png"]
    assert abs(int(data.images[1, 0, 0]) - 77) <= 1  # JPEG may be off by one


def test_clutter_is_passed_over_and_nested_folders_are_not(tmp_path):
    """Archives from a Mac bring files that look like images and are none."""
    make_classes(tmp_path, 1, 1)
    save(tmp_path / "a" / "deep" / "er" / "1.png", flat(5))
    for junk in ("a/._0.png", "a/.DS_Store", "__MACOSX/a/0.png", ".cache/0.png", "a/__MACOSX/0.png", "a/notes.txt"):
        (tmp_path / junk).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / junk).write_bytes(b"junk")
    data = load_image_folder(tmp_path)
    assert data.filenames.tolist() == ["a/0.png", "a/deep/er/1.png", "b/0.png"]


def test_groups_are_what_the_function_says_of_the_relative_name(tmp_path):
    """Groups keep a patient on one side of a split."""
    data = load_image_folder(make_classes(tmp_path), groups=lambda name: name.split("/")[1])
    assert data.groups.tolist() == ["0.png", "1.png", "0.png", "1.png", "2.png"]


# load_image_folder: sizes


@pytest.mark.parametrize(
    ("image_size", "shape"), [(8, (8, 8)), ((6, 20), (6, 20)), ([6, 20], (6, 20)), (None, (12, 10))]
)
def test_image_size_is_height_and_width(tmp_path, image_size, shape):
    """Pillow counts width first, arrays height first."""
    data = load_image_folder(make_classes(tmp_path), image_size=image_size)
    assert data.images.shape == (5, *shape)
    assert data.images[:, 2, 2].tolist() == [10, 20, 100, 110, 120]


def test_images_of_unlike_sizes_are_resized_to_one(tmp_path):
    """Photographs come in all sizes."""
    save(tmp_path / "a" / "0.png", flat(10, (30, 20)))
    save(tmp_path / "b" / "0.png", flat(90, (9, 70)))
    data = load_image_folder(tmp_path, image_size=16)
    assert data.images[:, 8, 8].tolist() == [10, 90]


def test_shrinking_averages_instead_of_picking_pixels(tmp_path):
    """Without antialiasing, fine stripes turn all black or all white."""
    stripes = np.zeros((64, 64), dtype=np.uint8)
    stripes[:, ::2] = 255
    save(tmp_path / "a" / "0.png", stripes)
    save(tmp_path / "b" / "0.png", stripes)
    data = load_image_folder(tmp_path, image_size=16)
    assert np.abs(data.images[:, 2:-2, 2:-2].astype(int) - 128).max() < 10


def test_jpegs_shrunk_while_decoding_look_like_jpegs_shrunk_afterwards(tmp_path):
    """The fast path must not shift or crop the picture."""
    rows, columns = np.mgrid[0:512, 0:384]
    picture = (127 + 100 * np.sin(rows / 60) * np.cos(columns / 50)).astype(np.uint8)
    save(tmp_path / "a" / "0.jpg", picture, quality=95)
    save(tmp_path / "b" / "0.png", picture)
    data = load_image_folder(tmp_path, image_size=(32, 24))
    np.testing.assert_allclose(data.images[0].astype(int), data.images[1], atol=4)


def test_photos_are_turned_as_their_exif_data_says(tmp_path):
    """Telephones store portrait photos lying down."""
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    picture = flat(0, (40, 60))
    picture[:, :30] = 250  # left half bright: top half once turned
    save(tmp_path / "a" / "0.jpg", picture, exif=exif)
    save(tmp_path / "b" / "0.jpg", picture, exif=exif)
    data = load_image_folder(tmp_path)
    assert data.images.shape == (2, 60, 40)
    assert data.images[:, :25].min() > 230
    assert data.images[:, 35:].max() < 20


def test_unlike_sizes_without_image_size_name_two_files(tmp_path):
    """The user has to find the odd one among thousands."""
    make_classes(tmp_path)
    save(tmp_path / "b" / "odd.png", flat(1, (12, 11)))
    with pytest.raises(ValueError, match=r"one size.*12 x 10 in 'a/0.png' and 12 x 11 in 'b/odd.png'.*image_size"):
        load_image_folder(tmp_path)


@pytest.mark.parametrize("image_size", [(8,), (8, 8, 3), (8, 0), (8.5, 8), ("8", 8)])
def test_image_size_that_is_no_size_is_refused(tmp_path, image_size):
    """A tuple with channels is the likely slip."""
    with pytest.raises(ValueError, match=r"image_size must be a positive int, \(height, width\).*got"):
        load_image_folder(make_classes(tmp_path), image_size=image_size)


@pytest.mark.parametrize(
    "options",
    [{"image_size": 0}, {"image_size": 8.5}, {"color": "gray"}, {"on_error": "ignore"}, {"groups": "patient"}],
)
def test_parameters_are_validated_as_in_scikit_learn(tmp_path, options):
    """A misspelt word must not fall back to a default."""
    (name,) = options
    with pytest.raises(ValueError, match=f"The '{name}' parameter of load_image_folder must be"):
        load_image_folder(make_classes(tmp_path), **options)


# load_image_folder: colour and depth


def test_grey_in_three_channels_is_found_and_stored_once(tmp_path):
    """Most X-rays are published as grey RGB; three times the memory for nothing."""
    save(tmp_path / "a" / "0.png", flat(50, (12, 10, 3)))
    save(tmp_path / "b" / "0.png", flat(90))
    data = load_image_folder(tmp_path)
    assert data.images.shape == (2, 12, 10)
    assert data.images[:, 0, 0].tolist() == [50, 90]


@pytest.mark.parametrize("where", ["a/00.png", "a/1.png", "b/z.png"])
def test_one_coloured_file_makes_all_images_rgb(tmp_path, where):
    """Whether the first, a middle or the last: the ones read before must survive the change."""
    make_classes(tmp_path, 2, 2)
    save(tmp_path / where, coloured())
    data = load_image_folder(tmp_path)
    assert data.images.shape[1:] == (12, 10, 3)
    for filename, image in zip(data.filenames, data.images, strict=True):
        expected = np.asarray(Image.open(tmp_path / filename).convert("RGB"))
        np.testing.assert_array_equal(image, expected)


def test_color_converts_both_ways(tmp_path):
    """A network with pretrained weights wants RGB, a small one grey."""
    make_classes(tmp_path, 1, 1)
    save(tmp_path / "b" / "z.png", coloured())
    assert load_image_folder(tmp_path, color="grey").images.shape == (3, 12, 10)
    (tmp_path / "b" / "z.png").unlink()
    rgb = load_image_folder(tmp_path, color="rgb").images
    assert rgb.shape == (2, 12, 10, 3)
    assert rgb[0, 0, 0].tolist() == [10, 10, 10]


@pytest.mark.parametrize("mode", ["1", "LA", "P", "RGBA"])
def test_other_pixel_modes_are_converted(tmp_path, mode):
    """Screenshots have an alpha channel, scans a palette."""
    for label in "ab":
        (tmp_path / label).mkdir()
        Image.new("L", (10, 12), 255).convert(mode).save(tmp_path / label / "0.png")
    images = load_image_folder(tmp_path).images
    assert images.shape == (2, 12, 10)
    assert (images == 255).all()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_stay_16_bits_also_when_resized(tmp_path, suffix):
    """The low byte is where a radiograph keeps its contrast."""
    save(tmp_path / "a" / f"0{suffix}", flat(1000, dtype=np.uint16))
    save(tmp_path / "b" / f"0{suffix}", flat(65535, dtype=np.uint16))
    kept = load_image_folder(tmp_path).images
    resized = load_image_folder(tmp_path, image_size=(8, 9)).images
    assert kept.dtype == resized.dtype == np.uint16
    assert kept[:, 0, 0].tolist() == [1000, 65535]
    assert resized.shape == (2, 8, 9)
    assert resized[:, 4, 4].tolist() == [1000, 65535]


def test_resizing_16_bits_does_not_wrap_around_at_sharp_edges(tmp_path):
    """The filter overshoots: 65535 plus a little must not become 0."""
    edge = flat(0, (32, 32), np.uint16)
    edge[:, 16:] = 65535
    for label in "ab":
        save(tmp_path / label / "0.png", edge)
    images = load_image_folder(tmp_path, image_size=12).images
    assert images[:, :, :6].max() < 10000
    assert images[:, :, 6:].min() > 55000


def test_mixed_bit_depths_are_refused(tmp_path):
    """255 is white in one file and nearly black in the other."""
    save(tmp_path / "a" / "0.png", flat(10))
    save(tmp_path / "b" / "0.png", flat(10, dtype=np.uint16))
    with pytest.raises(ValueError, match=r"one bit depth.*uint8 in 'a/0.png' and uint16 in 'b/0.png'"):
        load_image_folder(tmp_path)


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [(flat(0.5, dtype=np.float32), "floats"), (flat(70000, dtype=np.int32), "do not fit 16 bits")],
)
def test_pixels_that_would_lose_their_values_are_refused(tmp_path, pixels, reason):
    """Guessing a range for them would be silent nonsense."""
    make_classes(tmp_path)
    save(tmp_path / "b" / "wide.tif", pixels)
    with pytest.raises(ValueError, match=rf"wide.tif' cannot be read as an image.*{reason}"):
        load_image_folder(tmp_path)


def test_tiff_of_several_frames_is_refused(tmp_path):
    """Taking the first of a stack would drop the others without a word."""
    make_classes(tmp_path)
    frame = Image.fromarray(flat(9))
    frame.save(tmp_path / "b" / "stack.tif", save_all=True, append_images=[frame, frame])
    with pytest.raises(ValueError, match=r"stack.tif'.*holds 3 frames"):
        load_image_folder(tmp_path)


# load_image_folder: damaged files


@pytest.fixture(params=["truncated.jpg", "truncated.png", "truncated.tif", "text.jpg", "empty.png"])
def damaged(request, tmp_path):
    """Folder of classes with one file that is no image, and that file."""
    make_classes(tmp_path)
    file = tmp_path / "b" / request.param
    content = {"text": b"not an image", "empty": b""}.get(file.stem)
    if content is None:
        noise = np.random.RandomState(0).randint(0, 255, (12, 10)).astype(np.uint8)
        content = save(file, noise).read_bytes()
        content = content[: len(content) * 2 // 3]
    file.write_bytes(content)
    return tmp_path, file


def test_damaged_file_is_named(damaged):
    """One bad file among thousands must not have to be searched for."""
    root, file = damaged
    with pytest.raises(ValueError, match=rf"{file.name}' cannot be read as an image: .*on_error='skip'") as caught:
        load_image_folder(root)
    assert caught.value.__cause__ is not None


def test_damaged_file_is_skipped_when_asked_and_named_in_a_warning(damaged):
    """The rest must stay in step: images, labels, names and groups."""
    root, file = damaged
    with pytest.warns(UserWarning, match=rf"{file.name}' cannot be read as an image.*left out") as caught:
        data = load_image_folder(root, on_error="skip", groups=lambda name: name)
    assert data.images[:, 0, 0].tolist() == [10, 20, 100, 110, 120]
    assert data.target.tolist() == [0, 0, 1, 1, 1]
    assert data.groups.tolist() == data.filenames.tolist() == ["a/0.png", "a/1.png", "b/0.png", "b/1.png", "b/2.png"]
    assert caught[0].filename == __file__  # the warning points at the caller


def test_class_that_loses_all_its_files_raises(tmp_path):
    """Skipping must not make a class disappear."""
    make_classes(tmp_path)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "0.jpg").write_bytes(b"broken")
    with pytest.warns(UserWarning, match="left out"), pytest.raises(ValueError, match="no file could be read of c"):
        load_image_folder(tmp_path, on_error="skip")


def test_folder_with_no_readable_file_raises(tmp_path):
    """Nothing left is not a data set."""
    for label in "ab":
        (tmp_path / label).mkdir()
        (tmp_path / label / "0.jpg").write_bytes(b"broken")
    with pytest.warns(UserWarning, match="left out"), pytest.raises(ValueError, match="no file could be read of a, b"):
        load_image_folder(tmp_path, on_error="skip")


# load_image_folder: folders that are not as they should be


def test_missing_path_raises(tmp_path):
    """The likeliest slip of all."""
    with pytest.raises(FileNotFoundError, match=r"path must be a folder that exists; got .*nowhere"):
        load_image_folder(tmp_path / "nowhere")


def test_file_instead_of_folder_raises(tmp_path):
    """An archive that was not unpacked."""
    file = save(tmp_path / "0.png", flat(0))
    with pytest.raises(NotADirectoryError, match=r"path must be a folder; got the file .*0\.png"):
        load_image_folder(file)


def test_empty_folder_raises(tmp_path):
    """An empty array would only fail later, and less clearly."""
    with pytest.raises(ValueError, match=r"one folder of images per class; .* has no folder in it. Put"):
        load_image_folder(tmp_path)


def test_images_without_class_folders_raise(tmp_path):
    """Labels in a table beside the images are not read."""
    save(tmp_path / "0.png", flat(0))
    with pytest.raises(ValueError, match="has no folder in it, but 1 image files"):
        load_image_folder(tmp_path)


def test_class_folder_without_images_is_named(tmp_path):
    """DICOM files, for example, are not read: say so instead of losing the class."""
    make_classes(tmp_path)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "scan.dcm").write_bytes(b"DICM")
    with pytest.raises(ValueError, match=r"every class folder must hold images \(.bmp, .*none in .*c'"):
        load_image_folder(tmp_path)


def test_splits_with_different_classes_raise(tmp_path):
    """One spelling in train and another in test make labels that never meet."""
    make_classes(tmp_path / "train")
    save(tmp_path / "test" / "a" / "0.png", flat(1))
    save(tmp_path / "test" / "B" / "0.png", flat(1))
    with pytest.raises(ValueError, match="same class folders; got train: a, b; test: B, a"):
        load_image_folder(tmp_path)


def test_splits_beside_class_folders_raise(tmp_path):
    """Either reading would be wrong."""
    make_classes(tmp_path)
    make_classes(tmp_path / "train")
    with pytest.raises(ValueError, match=r"got both in .*: a, b, train. Move away a, b"):
        load_image_folder(tmp_path)


def test_two_folders_for_one_split_raise(tmp_path):
    """val and valid may overlap."""
    make_classes(tmp_path / "val")
    make_classes(tmp_path / "valid")
    with pytest.raises(ValueError, match="one folder for each of train, val and test; got val, valid"):
        load_image_folder(tmp_path)


def test_single_class_warns(tmp_path):
    """It may be meant, to look at one class, but cannot be balanced."""
    save(tmp_path / "a" / "0.png", flat(1))
    with pytest.warns(UserWarning, match="single class, 'a'") as caught:
        data = load_image_folder(tmp_path)
    assert data.target.tolist() == [0]
    assert caught[0].filename == __file__


def test_path_one_level_too_high_raises(tmp_path):
    """The whole data set would become one class named after its folder."""
    make_classes(tmp_path / "pictures")
    with pytest.raises(ValueError, match=r"'pictures' alone in .* with the folders a, b in it.*pass .*pictures'"):
        load_image_folder(tmp_path)


# load_image_folder: threads and progress


def test_threads_change_nothing(tmp_path):
    """Rows must not come in the order in which the threads finish."""
    make_classes(tmp_path, 30, 30)
    one, two = (load_image_folder(tmp_path, n_jobs=n_jobs) for n_jobs in (1, 2))
    np.testing.assert_array_equal(one.images, two.images)
    np.testing.assert_array_equal(one.filenames, two.filenames)


def test_n_jobs_reads_in_other_threads(tmp_path, monkeypatch):
    """Decoding is most of the wait; a parameter that does nothing would be a lie."""
    threads = set()
    read = datasets._read_image

    def spy(*args):
        threads.add(threading.get_ident())
        return read(*args)

    monkeypatch.setattr(datasets, "_read_image", spy)
    make_classes(tmp_path)
    load_image_folder(tmp_path, n_jobs=2)
    assert threads
    assert threading.get_ident() not in threads
    threads.clear()
    with joblib.parallel_config(n_jobs=1):
        load_image_folder(tmp_path)
    assert threads == {threading.get_ident()}


def test_error_in_a_thread_leaves_no_warning_behind(tmp_path):
    """Reading stops at the first bad file; what was under way must end quietly."""
    make_classes(tmp_path, 40, 40)
    (tmp_path / "a" / "00.jpg").write_bytes(b"broken")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=r"00\.jpg"):
            load_image_folder(tmp_path, n_jobs=2)


def test_progress_shows_only_when_asked(tmp_path, capsys):
    """Silence by default, a bar on long reads."""
    make_classes(tmp_path)
    load_image_folder(tmp_path)
    assert capsys.readouterr() == ("", "")
    load_image_folder(tmp_path, verbose=1)
    assert "5/5" in capsys.readouterr().err


# fetch_chest_xray


@pytest.mark.parametrize("inside", [".", "chest_xray"])
def test_chest_xray_is_found_in_the_folder_or_one_below(tmp_path, inside):
    """Kaggle's archive unpacks to a folder in a folder."""
    make_chest_xray(tmp_path / inside)
    data = fetch_chest_xray(tmp_path, image_size=16)
    assert data.images.shape == (6, 16, 16)
    assert data.images.dtype == np.uint8
    assert data.target.tolist() == [0, 1] * 3
    assert data.target_names.tolist() == ["NORMAL", "PNEUMONIA"]
    assert data.split.tolist() == ["train", "train", "val", "val", "test", "test"]
    assert data.filenames[1] == "train/PNEUMONIA/person1_bacteria_1.jpeg"
    assert "CC BY 4.0" in data.DESCR
    assert "10.17632/rscbjbr9sj" in data.DESCR


def test_chest_xray_ignores_the_copy_that_kaggle_packs_into_it(tmp_path):
    """The archive holds every file twice; each must be loaded once."""
    make_chest_xray(tmp_path / "chest_xray")
    make_chest_xray(tmp_path / "chest_xray" / "chest_xray")
    (tmp_path / "chest_xray" / "__MACOSX").mkdir()
    assert len(fetch_chest_xray(tmp_path, image_size=16).images) == 6


def test_chest_xray_groups_keep_the_series_of_a_number_apart(tmp_path):
    """person1 with bacteria and person1 with a virus are two children, one in train and one in test."""
    data = fetch_chest_xray(make_chest_xray(tmp_path), image_size=16)
    assert data.groups.tolist() == [
        "IM-0115",
        "person1_bacteria",
        "NORMAL2-IM-1427",
        "person1946_bacteria",
        "NORMAL2-IM-0115",
        "person1_virus",
    ]


def test_chest_xray_groups_join_the_images_of_a_patient(tmp_path):
    """Names of a patient with several images vary in more than the last number."""
    root = make_chest_xray(tmp_path)
    for name in ("IM-0115-0001-0001", "IM-0115-0001-0002"):
        save(root / "train" / "NORMAL" / f"{name}.jpeg", flat(60, (40, 50)))
    save(root / "train" / "PNEUMONIA" / "person1_bacteria_2.jpeg", flat(60, (40, 50)))
    groups = fetch_chest_xray(root, image_size=16).groups.tolist()
    assert groups[:5] == ["IM-0115"] * 3 + ["person1_bacteria"] * 2


def test_chest_xray_name_without_a_patient_raises(tmp_path):
    """A made-up group would split a patient or merge two, silently."""
    root = make_chest_xray(tmp_path)
    save(root / "train" / "NORMAL" / "renamed.jpeg", flat(60, (40, 50)))
    with pytest.raises(ValueError, match=r"'train/NORMAL/renamed.jpeg' does not tell its patient"):
        fetch_chest_xray(root, image_size=16)


def test_chest_xray_in_a_folder_without_them_raises(tmp_path):
    """Cats and dogs with a train and a test folder are no X-rays."""
    make_classes(tmp_path / "train")
    with pytest.raises(FileNotFoundError, match=r"data_dir must hold train, val and test.*NORMAL and PNEUMONIA; got"):
        fetch_chest_xray(tmp_path)


@pytest.mark.parametrize("given", [True, False])
def test_absent_chest_xray_without_kagglehub_names_the_ways_out(tmp_path, monkeypatch, given):
    """Neither data nor downloader: the message is all the user has."""
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    reason = "absent' does not exist" if given else "data_dir was not given"
    with pytest.raises(FileNotFoundError, match=rf"{reason}.*chest-xray-pneumonia.*pip install kagglehub"):
        fetch_chest_xray(tmp_path / "absent" if given else None)


def test_absent_chest_xray_is_downloaded_with_kagglehub(tmp_path, monkeypatch):
    """kagglehub returns the folder above chest_xray."""
    make_chest_xray(tmp_path / "versions" / "2" / "chest_xray")
    asked = []

    def download(name):
        asked.append(name)
        return str(tmp_path / "versions" / "2")

    monkeypatch.setitem(sys.modules, "kagglehub", types.SimpleNamespace(dataset_download=download))
    assert len(fetch_chest_xray(image_size=16).images) == 6
    assert asked == ["paultimothymooney/chest-xray-pneumonia"]


def test_failed_kaggle_download_says_what_to_do(monkeypatch):
    """Hospitals have no way to the internet."""

    def download(name):
        raise ConnectionError("no route")

    monkeypatch.setitem(sys.modules, "kagglehub", types.SimpleNamespace(dataset_download=download))
    with pytest.raises(OSError, match=r"could not download .*no route.*by hand"):
        fetch_chest_xray()


@needs_chest_xrays
def test_real_chest_xrays_have_their_published_counts_and_no_patient_in_two_splits():
    """What every number in the benchmark rests on."""
    data = fetch_chest_xray(CHEST_XRAY, image_size=32, n_jobs=2)
    counts = {split: np.bincount(data.target[data.split == split]).tolist() for split in ("train", "val", "test")}
    assert counts == {"train": [1341, 3875], "val": [8, 8], "test": [234, 390]}
    splits_of = {}
    for group, split in zip(data.groups, data.split, strict=True):
        splits_of.setdefault(group, set()).add(split)
    assert all(len(splits) == 1 for splits in splits_of.values())
    assert len(splits_of) < len(data.images)


# load_elpv


@pytest.fixture
def elpv(tmp_path, monkeypatch):
    """Stand-in for the package elpv-dataset, of five cells."""
    package = tmp_path / "elpv_dataset"
    rows = [(1.0, "mono"), (0.0, "mono"), (0.3333333333333333, "poly"), (0.6666666666666666, "poly"), (0.0, "poly")]
    lines = []
    for i, (probability, kind) in enumerate(rows):
        save(package / "data" / "images" / f"cell{i}.png", flat(i, (30, 30)))
        lines.append(f"images/cell{i}.png  {probability}   {kind}\n")
    (package / "data" / "labels.csv").write_text("".join(lines))
    monkeypatch.setitem(sys.modules, "elpv_dataset", types.SimpleNamespace(__file__=str(package / "__init__.py")))


@pytest.mark.usefixtures("elpv")
@pytest.mark.parametrize(
    ("threshold", "target"), [(0.5, [1, 0, 0, 1, 0]), (0, [1, 0, 1, 1, 0]), (0.7, [1, 0, 0, 0, 0])]
)
def test_elpv_is_defective_above_the_threshold(threshold, target):
    """The annotators were unsure of a third of the cells: the user draws the line."""
    data = load_elpv(threshold=threshold)
    assert data.target.tolist() == target
    assert data.target_names.tolist() == ["functional", "defective"]
    assert data.target.dtype == np.int64


@pytest.mark.usefixtures("elpv")
def test_elpv_keeps_images_probabilities_and_types_in_step():
    """Row i of everything is cell i."""
    data = load_elpv(image_size=16)
    assert data.images.shape == (5, 16, 16)
    assert data.images[:, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert data.filenames[3] == "images/cell3.png"
    np.testing.assert_allclose(data.probability, [1, 0, 1 / 3, 2 / 3, 0])
    assert data.cell_type.tolist() == ["mono", "mono", "poly", "poly", "poly"]
    assert data.groups is None
    assert data.split is None
    assert "CC BY-NC-SA" in data.DESCR
    assert load_elpv().images.shape == (5, 30, 30)


@pytest.mark.parametrize("threshold", [1, -0.1])
def test_elpv_threshold_that_leaves_one_class_is_refused(threshold):
    """No probability is above 1."""
    with pytest.raises(ValueError, match="'threshold' parameter of load_elpv must be a float in the range"):
        load_elpv(threshold=threshold)


def test_missing_elpv_package_names_the_extra(monkeypatch):
    """The error is the installation manual."""
    monkeypatch.setitem(sys.modules, "elpv_dataset", None)
    with pytest.raises(ImportError, match="run pip install elpv-dataset"):
        load_elpv()


# fetch_medmnist


def write_npz(file, n_train=4, n_val=1, n_test=2, size=28):
    arrays = {}
    for split, n in (("train", n_train), ("val", n_val), ("test", n_test)):
        arrays[f"{split}_images"] = np.full((n, size, size), len(split), dtype=np.uint8)
        arrays[f"{split}_labels"] = np.arange(n, dtype=np.uint8).reshape(-1, 1) % 2
    np.savez(file, **arrays)


class FakeDataset:
    """As much of medmnist's class as the loader relies on."""

    available_sizes = (28, 64)
    online = False

    def __init__(self, split, root, size, download):
        file = Path(root) / ("toymnist.npz" if size == 28 else f"toymnist_{size}.npz")
        if download:
            if not self.online:
                raise RuntimeError("Automatic download failed!")
            write_npz(file, size=size)
        with np.load(file) as arrays:
            self.imgs, self.labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]


@pytest.fixture
def medmnist(monkeypatch):
    """Stand-in for the package medmnist: one set that fits, one of volumes, one of many labels."""
    toy = {
        "python_class": "ToyMNIST",
        "task": "binary-class",
        "label": {"0": "well", "1": "ill"},
        "description": "Toys.",
        "license": "CC BY 4.0",
        "url": "somewhere/toymnist.npz",
        "url_64": "somewhere/toymnist_64.npz",
    }
    info = {"toymnist": toy, "toymnist3d": toy, "toychest": {**toy, "task": "multi-label, binary-class"}}
    module = types.SimpleNamespace(INFO=info, ToyMNIST=FakeDataset)
    monkeypatch.setitem(sys.modules, "medmnist", module)
    return module


@pytest.mark.usefixtures("medmnist")
@pytest.mark.parametrize(("size", "file"), [(28, "toymnist.npz"), (64, "toymnist_64.npz")])
def test_medmnist_file_at_hand_is_read_with_its_splits(tmp_path, size, file):
    """No network is needed once the file is there."""
    write_npz(tmp_path / file, size=size)
    data = fetch_medmnist("ToyMNIST", size, data_dir=tmp_path)
    assert data.images.shape == (7, size, size)
    assert data.images[:, 0, 0].tolist() == [5, 5, 5, 5, 3, 4, 4]
    assert data.split.tolist() == ["train"] * 4 + ["val"] + ["test"] * 2
    assert data.target.tolist() == [0, 1, 0, 1, 0, 0, 1]
    assert data.target.dtype == np.int64
    assert data.target_names.tolist() == ["well", "ill"]
    assert data.DESCR == "Toys.\n\nLicence CC BY 4.0.\n"


def test_medmnist_file_is_downloaded_when_absent(tmp_path, medmnist, monkeypatch):
    """The folder is made, too."""
    monkeypatch.setattr(medmnist.ToyMNIST, "online", True)
    data = fetch_medmnist("toymnist", data_dir=tmp_path / "new")
    assert len(data.images) == 7
    assert (tmp_path / "new" / "toymnist.npz").exists()


def test_medmnist_keeps_its_files_in_its_own_folder_by_default(tmp_path, medmnist, monkeypatch):
    """Other programs' downloads are found, and ours by them."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setattr(medmnist.ToyMNIST, "online", True)
    fetch_medmnist("toymnist")
    assert (tmp_path / ".medmnist" / "toymnist.npz").exists()


@pytest.mark.usefixtures("medmnist")
def test_failed_medmnist_download_names_file_and_source(tmp_path):
    """With both, the file can be fetched on another machine."""
    with pytest.raises(OSError, match=r"somewhere/toymnist_64\.npz by hand, save it as .*toymnist_64\.npz'"):
        fetch_medmnist("toymnist", 64, data_dir=tmp_path)


@pytest.mark.usefixtures("medmnist")
@pytest.mark.parametrize("content", [b"half a file", b"PK\x03\x04 half a file"])
def test_damaged_medmnist_file_is_named(tmp_path, content):
    """A broken download stays on the disk until it is deleted."""
    (tmp_path / "toymnist.npz").write_bytes(content)
    with pytest.raises(OSError, match=r"toymnist.npz' is not a file of MedMNIST's, or damaged.*Delete it"):
        fetch_medmnist("toymnist", data_dir=tmp_path)


@pytest.mark.usefixtures("medmnist")
@pytest.mark.parametrize(
    ("name", "reason"),
    [("mnist", "got 'mnist'"), ("toymnist3d", "holds volumes"), ("toychest", "several labels per image")],
)
def test_medmnist_set_that_cannot_be_used_lists_those_that_can(name, reason):
    """Volumes and multi-label sets would fail much later, in a sampler."""
    with pytest.raises(ValueError, match=rf"one label each, one of toymnist; .*{reason}"):
        fetch_medmnist(name)


@pytest.mark.usefixtures("medmnist")
def test_medmnist_size_that_is_not_offered_raises(tmp_path):
    """medmnist itself would fail with a bare assertion."""
    with pytest.raises(ValueError, match="size must be one of 28, 64; got 32"):
        fetch_medmnist("toymnist", 32, data_dir=tmp_path)


def test_missing_medmnist_package_names_the_extra(monkeypatch):
    """The error is the installation manual."""
    monkeypatch.setitem(sys.modules, "medmnist", None)
    with pytest.raises(ImportError, match="run pip install medmnist"):
        fetch_medmnist("pneumoniamnist")


def test_real_medmnist_package_reads_its_own_layout(tmp_path):
    """The stand-in above must not drift from the package."""
    pytest.importorskip("medmnist", reason="the extra medmnist is not installed")
    write_npz(tmp_path / "pneumoniamnist_64.npz", size=64)
    data = fetch_medmnist("pneumoniamnist", 64, data_dir=tmp_path)
    assert data.images.shape == (7, 64, 64)
    assert data.target_names.tolist() == ["normal", "pneumonia"]
    with pytest.raises(ValueError, match=r"pathmnist, dermamnist.*got 'chestmnist', which has several labels"):
        fetch_medmnist("chestmnist", data_dir=tmp_path)
