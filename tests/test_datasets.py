"""Named data sets and image folders. Files are made here; nothing is downloaded."""

import inspect
import io
import os
import random
import struct
import sys
import threading
import types
import warnings
import zlib
from pathlib import Path

import joblib
import numpy as np
import pytest
from conftest import CHEST_XRAY, needs_chest_xrays
from PIL import EpsImagePlugin, Image, ImageFile

from gan_sampler.datasets import (
    _decoding,
    _dicom,
    _listing,
    _reading,
    fetch_chest_xray,
    fetch_medmnist,
    load_elpv,
    load_image_folder,
)


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
    assert data.target.tolist() == ["a", "a", "b", "b", "b"]
    assert data.target_names.tolist() == ["a", "b"]
    assert data.path == str(tmp_path)
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
    entries = _listing._entries
    monkeypatch.setattr(_listing, "_entries", lambda folder: sorted(entries(folder), key=lambda e: e.name)[::-1])
    np.testing.assert_array_equal(load_image_folder(tmp_path).filenames, expected)


def test_folders_named_after_splits_fill_split(tmp_path):
    """Published splits must be told apart, under each of their usual names."""
    make_classes(tmp_path / "Test", 1, 1)
    make_classes(tmp_path / "train", 2, 1)
    make_classes(tmp_path / "validation", 1, 1)
    data = load_image_folder(tmp_path)
    assert data.split.tolist() == ["train"] * 3 + ["val"] * 2 + ["test"] * 2
    assert data.target.tolist() == list("aabab") + ["a", "b"]
    assert data.filenames[-1] == "Test/b/0.png"


@pytest.mark.parametrize(
    "suffix", [".jpg", ".JPEG", ".jfif", ".png", ".bmp", ".tif", ".TIFF", ".gif", ".webp", ".jp2", ".ppm", ".pgm"]
)
def test_reads_every_announced_format_in_any_case(tmp_path, suffix):
    """Cameras write .JPG, hospitals .TIFF."""
    make_classes(tmp_path, 1, 1)
    save(tmp_path / "a" / f"z{suffix}", flat(77))
    data = load_image_folder(tmp_path)
    assert data.filenames.tolist() == ["a/0.png", f"a/z{suffix}", "b/0.png"]
    assert abs(int(data.images[1, 0, 0]) - 77) <= 1  # JPEG may be off by one


def test_clutter_is_passed_over_and_nested_folders_are_not(tmp_path):
    """Archives from a Mac bring files that look like images and are none; nobody wants a word about them."""
    make_classes(tmp_path, 1, 1)
    save(tmp_path / "a" / "deep" / "er" / "1.png", flat(5))
    for junk in ("a/._0.png", "a/.DS_Store", "__MACOSX/a/0.png", ".cache/0.png", "a/__MACOSX/0.png", "b/Thumbs.db"):
        (tmp_path / junk).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / junk).write_bytes(b"junk")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = load_image_folder(tmp_path)
    assert data.filenames.tolist() == ["a/0.png", "a/deep/er/1.png", "b/0.png"]


def test_groups_are_what_the_function_says_of_the_relative_name(tmp_path):
    """Groups keep a patient on one side of a split."""
    data = load_image_folder(make_classes(tmp_path), groups=lambda name: name.split("/")[1])
    assert data.groups.tolist() == ["0.png", "1.png", "0.png", "1.png", "2.png"]


def test_classes_that_differ_in_case_alone_stay_apart(tmp_path):
    """Where the disk tells them apart, so does the loader."""
    make_classes(tmp_path, 2, 3)
    (tmp_path / "b").rename(tmp_path / "A")
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this disk does not tell cases apart")
    data = load_image_folder(tmp_path)
    assert data.target_names.tolist() == ["A", "a"]
    assert data.target.tolist() == ["A", "A", "A", "a", "a"]


# load_image_folder: which reader


def test_postscript_named_png_starts_no_ghostscript(tmp_path, monkeypatch):
    """A folder of images from elsewhere must not be able to run a program."""
    started = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *args, **kwargs: started.append(args))
    make_classes(tmp_path)
    (tmp_path / "b" / "x.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 12\n%%EndComments\n")
    with pytest.raises(ValueError, match=r"x\.png' cannot be read.*damaged, or of none of the formats .*PNG"):
        load_image_folder(tmp_path)
    with pytest.warns(UserWarning, match=r"x\.png' cannot be read"):
        assert len(load_image_folder(tmp_path, on_error="skip").images) == 5
    assert started == []


def test_content_decides_among_the_formats_that_are_read(tmp_path):
    """Web servers name everything .jpg."""
    make_classes(tmp_path, 1, 1)
    (tmp_path / "a" / "0.png").rename(tmp_path / "a" / "0.jpg")
    assert load_image_folder(tmp_path).images[:, 0, 0].tolist() == [10, 100]


def test_preview_behind_a_photo_is_no_second_frame(tmp_path):
    """Telephones write MPO files and name them .jpg."""
    make_classes(tmp_path, 1, 1)
    photo, preview = Image.fromarray(flat(77)), Image.fromarray(flat(5))
    photo.save(tmp_path / "a" / "z.jpg", format="MPO", save_all=True, append_images=[preview])
    assert abs(int(load_image_folder(tmp_path).images[1, 0, 0]) - 77) <= 1


def test_transparent_palette_brings_no_warning(tmp_path):
    """Pillow warns of each such file, though nothing is wrong with it."""
    make_classes(tmp_path, 1, 1)
    Image.fromarray(coloured()).quantize().save(tmp_path / "a" / "z.png", transparency=b"\x80\xff")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_image_folder(tmp_path).images[1, 0, 0].tolist() == [200, 0, 50]


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


@pytest.mark.parametrize("image_size", [(8,), (8, 8, 3), (8, 0), (8.5, 8), ("8", 8), True, (True, 8), (8, np.True_)])
def test_image_size_that_is_no_size_is_refused(tmp_path, image_size):
    """A tuple with channels is the likely slip."""
    with pytest.raises(ValueError, match=r"image_size must be a positive int, \(height, width\).*got"):
        load_image_folder(make_classes(tmp_path), image_size=image_size)


def test_image_size_may_be_of_any_integer_kind(tmp_path):
    """A grid over an array gives NumPy's, and twice 200 does not fit eight bits."""
    for label in "ab":
        save(tmp_path / label / "0.jpg", np.arange(420 * 420, dtype=np.uint32).reshape(420, 420).astype(np.uint8))
    expected = load_image_folder(tmp_path, image_size=200).images
    np.testing.assert_array_equal(load_image_folder(tmp_path, image_size=np.uint8(200)).images, expected)
    np.testing.assert_array_equal(load_image_folder(tmp_path, image_size=(np.uint8(200), 200)).images, expected)


@pytest.mark.parametrize(("color", "needed"), [("auto", "5,000,000,000,000,000,000"), ("rgb", "15,000,000,0")])
def test_image_size_that_does_not_fit_in_memory_is_refused_before_reading(tmp_path, monkeypatch, color, needed):
    """After an hour of reading is too late."""
    monkeypatch.setattr(_reading, "read_image", lambda *_: pytest.fail("a file was read"))
    with pytest.raises(
        MemoryError, match=rf"need {needed}.* bytes of memory, 5 times 1000000000 x 1000000000.*image_size"
    ):
        load_image_folder(make_classes(tmp_path), image_size=10**9, color=color)


@pytest.mark.parametrize("where", ["a/0.png", "b/z.png"])
def test_images_that_do_not_fit_in_memory_tell_the_bytes(tmp_path, monkeypatch, where):
    """Also where the first image, or the first one of colour, tells how much it will be."""
    save(make_classes(tmp_path) / where, coloured())
    n_files = len(list(tmp_path.glob("*/*")))
    monkeypatch.setattr(_reading, "memory_of_this_machine", lambda: n_files * 120)
    with pytest.raises(
        MemoryError, match=rf"need {n_files * 360:,} bytes of memory, {n_files} times 12 x 10 x 3 in uint8"
    ):
        load_image_folder(tmp_path)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("limit", "reason"), [(100, "has 12 x 10 pixels, more than the 100 that"), (50, r"120 pixels.*limit of 100 pixels")]
)
def test_image_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path, monkeypatch, limit, reason):
    """A PNG of 21 kB can hold a hundred million equal pixels."""
    save(tmp_path / "a" / "0.png", flat(1, (5, 5)))
    save(tmp_path / "b" / "0.png", flat(1, (5, 5)))
    save(tmp_path / "b" / "bomb.png", flat(1))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    load = ImageFile.ImageFile.load

    def spy(image):
        assert image.size == (5, 5)
        return load(image)

    monkeypatch.setattr(ImageFile.ImageFile, "load", spy)
    with pytest.raises(ValueError, match=rf"bomb\.png' cannot be read.*{reason}.*set PIL.Image.MAX_IMAGE_PIXELS"):
        load_image_folder(tmp_path, image_size=4)
    with pytest.warns(UserWarning, match=r"bomb\.png' cannot be read"):
        assert len(load_image_folder(tmp_path, image_size=4, on_error="skip").images) == 2
    monkeypatch.undo()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert len(load_image_folder(tmp_path, image_size=4).images) == 3


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


@pytest.mark.parametrize("suffix", [".tif", ".gif", ".png", ".webp"])
def test_file_of_several_frames_is_refused(tmp_path, suffix):
    """Taking the first of a stack or a film would drop the others without a word."""
    make_classes(tmp_path)
    frames = [Image.fromarray(flat(value)) for value in (9, 90, 200)]
    frames[0].save(tmp_path / "b" / f"stack{suffix}", save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match=rf"stack{suffix}'.*holds 3 frames"):
        load_image_folder(tmp_path)


def test_colours_that_pillow_cannot_convert_are_named(tmp_path):
    """Such a file is not damaged, and its owner should not look for damage."""
    make_classes(tmp_path)
    Image.new("LAB", (10, 12)).save(tmp_path / "b" / "lab.tif")
    with pytest.raises(
        ValueError, match=r"lab\.tif' cannot be read as an image: it holds CIELAB colours, save it as RGB"
    ):
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
    assert data.target.tolist() == list("aabbb")
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


@pytest.mark.parametrize(
    "exception",
    [
        KeyError(8),
        RuntimeError("no frame"),
        TypeError("no size"),
        zlib.error("bad"),
        struct.error("short"),
        IndexError(),
    ],
    ids=lambda exception: type(exception).__name__,
)
def test_damage_is_told_whatever_pillow_raises_of_it(tmp_path, monkeypatch, exception):
    """Its readers were not written with one list of exceptions in mind."""
    make_classes(tmp_path)
    opened = Image.open

    def fail(file, **options):
        if Path(file.name).parts[-2:] == ("a", "1.png"):
            raise exception
        return opened(file, **options)

    monkeypatch.setattr(Image, "open", fail)
    reason = rf"a.1\.png' cannot be read as an image: it is damaged \({type(exception).__name__}: "
    with pytest.raises(ValueError, match=reason) as caught:
        load_image_folder(tmp_path)
    assert caught.value.__cause__ is exception
    with pytest.warns(UserWarning, match=reason):
        assert len(load_image_folder(tmp_path, on_error="skip").images) == 4


def test_length_with_a_flipped_bit_asks_for_no_memory(tmp_path, monkeypatch):
    """Pillow asks for as many bytes as the file says, and a refusal would look like a lack of memory."""
    asked = []
    opened = Image.open

    def ask(file, **options):
        asked.append((file.read(2**62), file.read(1), file.seek(1), file.read(2), file.read()))
        return opened(file, **options)

    monkeypatch.setattr(Image, "open", ask)
    content = save(tmp_path / "a" / "0.png", flat(3)).read_bytes()
    save(tmp_path / "b" / "0.png", flat(3))
    assert len(load_image_folder(tmp_path).images) == 2
    assert asked[0] == (content, b"", 1, content[1:3], content[3:])


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_lack_of_memory_while_decoding_is_not_the_files_fault(tmp_path, monkeypatch, on_error):
    """Leaving out the largest images of a set would be no help."""
    make_classes(tmp_path)
    monkeypatch.setattr(_decoding, "_resize_uint8", lambda *_: (_ for _ in ()).throw(MemoryError))
    with pytest.raises(MemoryError, match=r"not enough memory to read '.*a.0\.png'"):
        load_image_folder(tmp_path, on_error=on_error)


def test_no_damage_of_any_format_escapes(tmp_path):
    """Cut short, flipped and random bytes: each file is read or left out by name, and nothing else happens."""
    make_classes(tmp_path, 1, 1)
    rng = random.Random(0)
    picture = Image.fromarray(np.random.RandomState(0).randint(0, 256, (12, 10, 3)).astype(np.uint8))
    n_files = 0
    for suffix in (".png", ".jpg", ".tif", ".webp", ".bmp", ".gif", ".jp2", ".ppm"):
        for mode in ("L", "RGB", "P"):
            good = io.BytesIO()
            try:
                picture.convert(mode).save(good, format=Image.registered_extensions()[suffix])
            except OSError:  # not every format has every mode
                continue
            for _ in range(12):
                (tmp_path / "b" / f"{n_files}{suffix}").write_bytes(damage(good.getvalue(), rng))
                n_files += 1
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = load_image_folder(tmp_path, image_size=8, on_error="skip", color="grey")
    left_out = [warning for warning in caught if "left out" in str(warning.message)]
    assert len(data.images) + len(left_out) == n_files + 2 - 1  # b/0.png was overwritten
    assert len(left_out) > n_files / 3


def damage(content, rng):
    content = bytearray(content)
    kind = rng.randrange(3)
    if kind == 0:
        return content[: rng.randrange(len(content))]
    if kind == 1:
        content[rng.randrange(min(len(content), 150))] ^= 1 << rng.randrange(8)
        return content
    return content[: rng.choice((0, 4, 16))] + rng.randbytes(100)


def test_damage_in_a_second_frame_is_told(tmp_path):
    """Pillow says TypeError where the second frame of a TIFF lacks its width."""
    make_classes(tmp_path)
    file, frame = tmp_path / "b" / "z.tif", Image.fromarray(flat(3))
    frame.save(file, save_all=True, append_images=[frame])
    before, width, after = file.read_bytes().rpartition(b"\x00\x01\x04\x00")
    file.write_bytes(before + b"\x00\x7f" + width[2:] + after)
    with pytest.raises(ValueError, match=r"z\.tif' cannot be read as an image: it is damaged"):
        load_image_folder(tmp_path)


# load_image_folder: what is not read


@pytest.fixture
def no_pydicom(monkeypatch):
    """A machine on which DICOM files cannot be read."""
    monkeypatch.setattr(_dicom, "can_read", lambda: False)


@pytest.mark.usefixtures("no_pydicom")
def test_files_of_other_kinds_are_counted_in_one_warning(tmp_path):
    """Scans that nobody reads must not look as if they had been."""
    make_classes(tmp_path)
    for name in ("a/1.dcm", "a/2.DCM", "b/deep/3.dcm", "b/1.nii.gz", "b/2.x.nii.gz", "a/README", "labels.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"something")
    with pytest.warns(UserWarning, match="3 .dcm, 2 .nii.gz") as caught:
        data = load_image_folder(tmp_path)
    (warning,) = caught
    assert "7 files were not read in" in str(warning.message)
    assert "1 without suffix" in str(warning.message)
    assert "1 .csv" in str(warning.message)
    assert 'pip install "gan-sampler[dicom]"' in str(warning.message)
    assert warning.filename == __file__
    assert len(data.images) == 5


def test_images_beside_the_class_folders_are_counted(tmp_path):
    """They have no class; that they are left out must be said."""
    make_classes(tmp_path / "train")
    save(tmp_path / "train" / "loose.png", flat(1))
    with pytest.warns(UserWarning, match=r"1 file was not read in .*: 1 \.png\. Only .* in class folders"):
        assert len(load_image_folder(tmp_path).images) == 5


def test_warning_of_many_kinds_stays_short(tmp_path):
    """DICOM files are often named by numbers with dots."""
    make_classes(tmp_path)
    for number in range(20):
        (tmp_path / "a" / f"1.2.840.{number}").write_bytes(b"something")
    with pytest.warns(UserWarning, match=r"20 files were not read in .*, 14 others\. Only") as caught:
        load_image_folder(tmp_path)
    assert len(str(caught[0].message)) < 600


def deny(monkeypatch, name):
    """Let the folder called `name` refuse to be listed, also to root."""
    entries = _listing._entries

    def refuse(folder):
        if os.path.basename(folder) == name:
            raise PermissionError(13, "Permission denied")
        return entries(folder)

    monkeypatch.setattr(_listing, "_entries", refuse)


def test_folder_that_cannot_be_listed_is_an_error_or_a_warning(tmp_path, monkeypatch):
    """os.walk passes over such folders in silence."""
    save(make_classes(tmp_path) / "b" / "secret" / "0.png", flat(7))
    deny(monkeypatch, "secret")
    with pytest.raises(ValueError, match=r"secret' cannot be read as a folder: Permission denied\..*on_error='skip'"):
        load_image_folder(tmp_path)
    with pytest.warns(UserWarning, match=r"secret' cannot be read as a folder.*left out") as caught:
        data = load_image_folder(tmp_path, on_error="skip")
    assert data.images[:, 0, 0].tolist() == [10, 20, 100, 110, 120]
    assert caught[0].filename == __file__


def test_class_folder_that_cannot_be_listed_is_no_empty_class(tmp_path, monkeypatch):
    """Whoever skips must hear why a class has no images."""
    deny(monkeypatch, (make_classes(tmp_path) / "b").name)
    with pytest.raises(ValueError, match=r"got none in '.*b'\. .*Permission denied"):
        load_image_folder(tmp_path, on_error="skip")


@pytest.fixture
def link(tmp_path):
    """Return a function that makes a link in a folder of classes, where the system lets us."""
    make_classes(tmp_path)

    def make(name, target, is_folder=True):
        try:
            (tmp_path / name).symlink_to(target, target_is_directory=is_folder)
        except OSError:
            pytest.skip("links cannot be made here")

    return make


def test_links_to_folders_and_files_are_followed(tmp_path, link):
    """Sets are often put together from links."""
    hidden = tmp_path / ".hidden"
    save(hidden / "more" / "0.png", flat(1))
    save(hidden / "c" / "0.png", flat(2))
    link("a/more", hidden / "more")
    link("c", hidden / "c")
    link("b/z.png", hidden / "c" / "0.png", is_folder=False)
    data = load_image_folder(tmp_path)
    assert data.filenames.tolist()[2:] == ["a/more/0.png", "b/0.png", "b/1.png", "b/2.png", "b/z.png", "c/0.png"]
    assert data.images[[2, 6, 7], 0, 0].tolist() == [1, 2, 2]


@pytest.mark.parametrize(
    ("name", "target", "same"),
    [("a/zz", ".", "a"), ("a/zz", "..", ""), ("b/zz", "../a", "a"), ("b/zz", "../.x", "b/y")],
)
def test_link_that_would_count_images_twice_is_an_error_or_a_warning(tmp_path, link, name, target, same):
    """A loop never ends; images of a must not become images of b."""
    if target == "../.x":  # two links to one folder
        (tmp_path / ".x").mkdir()
        link("b/y", "../.x")
    link(name, target)
    reason = rf"'{tmp_path / name}' cannot be read as a folder: it is '{tmp_path / same}' by another name"
    if target == "../.x":  # which of them comes first is up to the disk
        reason = "by another name"
    with pytest.raises(ValueError, match=reason):
        load_image_folder(tmp_path)
    with pytest.warns(UserWarning, match=reason):
        data = load_image_folder(tmp_path, on_error="skip")
    assert data.target.tolist() == list("aabbb")


def test_link_to_itself_is_an_error(tmp_path, link):
    """It is neither a file nor a folder."""
    link("a/self", "self")
    with pytest.raises(ValueError, match=r"self' cannot be read as a folder"):
        load_image_folder(tmp_path)


def test_link_to_nothing_is_an_error(tmp_path, link):
    """A disk that is not mounted looks so."""
    link("a/gone.png", "nowhere.png", is_folder=False)
    with pytest.raises(ValueError, match=r"gone\.png' cannot be read as an image: it cannot be opened \(No such file"):
        load_image_folder(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
def test_pipe_named_png_does_not_hang(tmp_path):
    """Opening it would wait for a writer for ever."""
    os.mkfifo(make_classes(tmp_path) / "b" / "pipe.png")
    with pytest.raises(ValueError, match=r"pipe\.png' cannot be read as an image: it is a pipe, a device"):
        load_image_folder(tmp_path)
    with pytest.warns(UserWarning, match=r"pipe\.png'.*left out"):
        assert len(load_image_folder(tmp_path, on_error="skip").images) == 5


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_no_text_are_read(tmp_path):
    """Archives made on old Windows machines bring them."""
    make_classes(tmp_path, 1, 1)
    save(tmp_path / os.fsdecode(b"caf\xe9") / os.fsdecode(b"\xff.png"), flat(3))
    data = load_image_folder(tmp_path)
    assert os.fsencode(data.filenames[-1]) == b"caf\xe9/\xff.png"
    assert data.target_names.tolist() == ["a", "b", "caf\udce9"]


def test_folders_are_followed_deeper_than_python_calls(tmp_path):
    """Each folder is a call of os.walk in Python 3.11."""
    save(tmp_path / "a" / ("d/" * 150) / "0.png", flat(3))
    _decoding.suffixes()  # imports need calls of their own
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 50)
    try:
        images, others = _listing._walk(tmp_path / "a", _listing.PassedOver(), {})
    finally:
        sys.setrecursionlimit(limit)
    assert (len(images), others) == (1, [])


# load_image_folder: folders that are not as they should be


@pytest.mark.parametrize("path", ["", "a\0b"])
@pytest.mark.parametrize(
    ("function", "name"),
    [
        (load_image_folder, "path"),
        (fetch_chest_xray, "data_dir"),
        (lambda path: fetch_medmnist("toymnist", data_dir=path), "data_dir"),
    ],
    ids=["folder", "chest_xray", "medmnist"],
)
@pytest.mark.usefixtures("medmnist")
def test_path_that_names_nothing_is_refused(tmp_path, monkeypatch, function, name, path):
    """The variable that was never set must not read the current folder."""
    monkeypatch.chdir(make_classes(tmp_path))
    with pytest.raises(ValueError, match=rf"{name} must be the path of a folder.*got {path!r}".replace("\\", "\\\\")):
        function(path)


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


@pytest.mark.usefixtures("no_pydicom")
def test_class_folder_without_images_is_named(tmp_path):
    """Without pydicom, DICOM files are not read: say so instead of losing the class."""
    make_classes(tmp_path)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "scan.dcm").write_bytes(b"DICM")
    with pytest.raises(ValueError, match=r"must hold images \(.*BMP, .*\); got 1 \.dcm in .*c'\. Add"):
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
    assert data.target.tolist() == ["a"]
    assert caught[0].filename == __file__


def test_path_one_level_too_high_is_seen_though_names_repeat(tmp_path):
    """Archives often unpack to a folder of their own name in a folder of that name."""
    make_classes(tmp_path / "pictures" / "pictures")
    with pytest.raises(ValueError, match=r"'pictures' alone in .* with the folders pictures in it"):
        load_image_folder(tmp_path)


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
    read = _reading.read_image

    def spy(*args):
        threads.add(threading.get_ident())
        return read(*args)

    monkeypatch.setattr(_reading, "read_image", spy)
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
    assert data.target.tolist() == ["NORMAL", "PNEUMONIA"] * 3
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


@pytest.mark.usefixtures("no_pydicom")
def test_chest_xray_counts_what_it_does_not_read(tmp_path):
    """The published counts would be off without a word."""
    root = make_chest_xray(tmp_path)
    (root / "train" / "NORMAL" / "IM-0001-0001.dcm").write_bytes(b"DICM")
    with pytest.warns(UserWarning, match=r"1 file was not read in .*: 1 \.dcm") as caught:
        assert len(fetch_chest_xray(root, image_size=16).images) == 6
    assert caught[0].filename == __file__


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
    counts = {
        split: np.unique(data.target[data.split == split], return_counts=True)[1].tolist()
        for split in ("train", "val", "test")
    }
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
    assert (data.target == "defective").tolist() == [bool(label) for label in target]
    assert data.target_names.tolist() == ["defective", "functional"]
    assert set(data.target) <= set(data.target_names)


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
    assert data.target.tolist() == ["well", "ill", "well", "ill", "well", "well", "ill"]
    assert data.target_names.tolist() == ["ill", "well"]
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


class Pickled:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_pickle_in_a_medmnist_file_is_not_executed(tmp_path):
    """These files come from a download folder that others may write to."""
    pytest.importorskip("medmnist", reason="the extra medmnist is not installed")
    mark = tmp_path / "executed"
    trap = np.array([Pickled(mark)], dtype=object)
    parts = {f"{split}_{kind}": trap for split in ("train", "val", "test") for kind in ("images", "labels")}
    np.savez(tmp_path / "pneumoniamnist.npz", **parts)
    with pytest.raises(OSError, match=r"pneumoniamnist\.npz' is not a file of MedMNIST's, or damaged"):
        fetch_medmnist("pneumoniamnist", data_dir=tmp_path)
    assert not mark.exists()


# DICOM


def write_dicom(path, pixels, *, photometric="MONOCHROME2", bits=None, **tags):
    """Write a DICOM file that holds just what is needed."""
    pydicom = pytest.importorskip("pydicom", reason="the extra dicom is not installed")
    from pydicom.dataset import FileDataset, FileMetaDataset

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    dataset.PhotometricInterpretation = photometric
    dataset.BitsAllocated = 8 * pixels.itemsize
    dataset.BitsStored = bits or dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    for name, value in tags.items():
        setattr(dataset, name, value)
    dataset.PixelData = pixels.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


RAMP = np.arange(12 * 10, dtype=np.uint16).reshape(12, 10)


@pytest.mark.parametrize(
    ("pixels", "options", "expected"),
    [
        (RAMP, {"bits": 12}, RAMP),
        (RAMP, {"bits": 12, "photometric": "MONOCHROME1"}, 4095 - RAMP),  # high values are dark
        (RAMP, {"bits": 12, "RescaleSlope": 2, "RescaleIntercept": 100}, 2 * RAMP + 100),
        (RAMP, {"bits": 12, "RescaleSlope": 1, "RescaleIntercept": -1024}, RAMP + (2**15 - 1024)),  # of a CT scanner
        (RAMP.astype(np.int16) - 60, {}, RAMP + (2**15 - 60)),
        (RAMP.astype(np.int16), {}, RAMP + 2**15),  # the header decides, not what values this file happens to have
        (RAMP.astype(np.uint8), {}, RAMP.astype(np.uint8)),
        (RAMP.astype(np.uint8), {"photometric": "MONOCHROME1"}, 255 - RAMP.astype(np.uint8)),
    ],
)
def test_dicom_gives_values_from_dark_to_bright(tmp_path, pixels, options, expected):
    """Two files of one scanner must be of one scale, whichever way round it stores them."""
    for label in ("a", "b"):
        write_dicom(tmp_path / label / "1.dcm", pixels, **options)
    data = load_image_folder(tmp_path)
    assert data.images.dtype == expected.dtype
    np.testing.assert_array_equal(data.images, [expected, expected])
    assert load_image_folder(tmp_path, image_size=8).images.shape == (2, 8, 8)


def test_dicom_in_colour_is_read_as_colour(tmp_path):
    """Ultrasound is stored so."""
    pixels = np.stack([RAMP, RAMP // 2, RAMP // 3], axis=2).astype(np.uint8)
    for label in ("a", "b"):
        write_dicom(tmp_path / label / "1.DCM", pixels, photometric="RGB")
    np.testing.assert_array_equal(load_image_folder(tmp_path).images[0], pixels)
    assert load_image_folder(tmp_path, color="grey").images.shape == (2, 12, 10)


@pytest.mark.parametrize(
    ("pixels", "options", "why"),
    [
        (RAMP, {"RescaleSlope": "0.01", "RescaleIntercept": 0}, "rescale slope is 0.01"),
        (RAMP, {"RescaleSlope": 900, "RescaleIntercept": 0}, "0 to 107100, do not fit 16 bits"),
        (RAMP, {"photometric": "PALETTE COLOR"}, "PALETTE COLOR"),
        (np.concatenate([RAMP, RAMP]), {"Rows": 12, "NumberOfFrames": 2}, "2 frames"),
    ],
)
def test_dicom_that_cannot_be_compared_is_refused(tmp_path, pixels, options, why):
    """A value that would be rounded away, or a stack of which one slice is taken, must not pass unseen."""
    write_dicom(tmp_path / "a" / "1.dcm", RAMP)
    write_dicom(tmp_path / "b" / "1.dcm", pixels, **options)
    with pytest.raises(ValueError, match=rf"b/1\.dcm' cannot be read as an image: .*{why}"):
        load_image_folder(tmp_path)


def test_damaged_dicom_is_named(tmp_path):
    """Half a file is common after a transfer that broke off."""
    whole = write_dicom(tmp_path / "a" / "1.dcm", RAMP).read_bytes()
    for n_bytes in (140, 300, len(whole) - 20):
        (tmp_path / "b").mkdir(exist_ok=True)
        (tmp_path / "b" / "1.dcm").write_bytes(whole[:n_bytes])
        with pytest.raises(ValueError, match=r"b/1\.dcm' cannot be read as an image"):
            load_image_folder(tmp_path)


def test_head_of_a_dicom_file_tells_size_and_bits(tmp_path):
    """The plan of a balancing reads heads alone."""
    head = _decoding.read_head(write_dicom(tmp_path / "1.dcm", RAMP))
    assert (head.format, head.mode, head.size) == ("DICOM", "I;16", (12, 10))
    with open(tmp_path / "1.dcm", "rb") as file:
        assert _dicom.is_dicom(file)
        assert file.tell() == 0
