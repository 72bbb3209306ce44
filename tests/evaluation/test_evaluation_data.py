"""Images, labels, groups and file names: from arrays, folders and files."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sklearn.utils import Bunch
from toy_evaluation import N_DISCS, N_SQUARES, lay_out, toy_arrays, toy_data, toy_images, write_folder

from gan_sampler.evaluation import _data
from gan_sampler.evaluation._data import ImageData, from_arrays, group_finder, load
from gan_sampler.evaluation._splits import make_splits


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    """40 patients of 4 views each, 10 of them ill, told by the names of files; and a table of the same."""
    root = tmp_path_factory.mktemp("patients")
    rows = ["file,group"]
    for patient in range(40):
        label = "ill" if patient < 10 else "well"
        (root / "views" / label).mkdir(parents=True, exist_ok=True)
        for view, image in enumerate(toy_images(4, label == "ill", patient)):
            name = f"person{patient}_view{view}.png"
            Image.fromarray(image[:8, :8]).save(root / "views" / label / name)
            rows.append(f"{label}/{name},patient {patient}")
    (root / "groups.csv").write_text("\n".join(rows), encoding="utf-8")
    return root


def shared_patients(data):
    """Return how many patients stand in training and test of a split."""
    (split,) = make_splits(data, [0])
    patient_of = [name.split("/")[-1].split("_")[0] for name in data.filenames]
    return len({patient_of[row] for row in split.train} & {patient_of[row] for row in split.test})


@pytest.mark.parametrize("groups", [r"(person\d+)", r"person\d+", "groups.csv"])
def test_views_of_a_patient_stay_together(patients, groups):
    """Torn apart, 28 of 40 stood in both parts, and a classifier that remembers patients looks good."""
    groups = str(patients / groups) if groups.endswith(".csv") else groups
    data = load(str(patients / "views"), groups=groups)
    assert len(np.unique(data.groups)) == 40
    assert shared_patients(data) == 0
    assert shared_patients(load(str(patients / "views"))) > 20


def test_folder_of_each_patient_is_a_group_whatever_the_class(tmp_path):
    """A patient with images in two classes is one patient."""
    for label in ("ill", "well"):
        for patient in range(6):
            write_folder(tmp_path / label, {f"p{patient}": 2}, f"{label}-{{}}.png")
    data = load(tmp_path, groups="folder")
    assert sorted(set(data.groups)) == [f"p{patient}" for patient in range(6)]
    assert data.filenames[0] == "ill/p0/ill-0.png"


def test_folder_as_group_is_that_below_training_and_test(tmp_path):
    """Else a patient in both would pass for two."""
    for part in ("train", "test"):
        for label in ("ill", "well"):
            write_folder(tmp_path / part / label, {"p0": 4, f"{part} {label}": 4})
    data = load(tmp_path, groups="folder")
    assert data.has_official_split
    assert len(set(data.groups)) == 5
    with pytest.warns(UserWarning, match=r"1 groups \(patients\) are in both the training and the test images"):
        make_splits(data, [0])


def test_files_without_a_group_are_refused(tmp_path, patients):
    """A group made up for them would be a guess."""
    write_folder(tmp_path, {"a": 4, "b": 4})
    with pytest.raises(
        ValueError, match=r"groups='folder' needs a folder for each group.*'a/image-0.png' lies in none"
    ):
        load(tmp_path, groups="folder")
    with pytest.raises(ValueError, match=r"groups='\(person.*does not match 'a/image-0.png'. Widen it"):
        load(tmp_path, groups=r"(person\d+)")
    with pytest.raises(ValueError, match=r"it has no row for 'a/image-0.png'. Add it"):
        load(tmp_path, groups=str(patients / "groups.csv"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,patient\n1.png,2", "must have the columns file and group; got name, patient"),
        ("file,group\n1.png,a\n1.png,b", "must name one group for each file; it has several for '1.png'"),
        ("file,group\n1.png,\n", "must have a file and a group in every row"),
    ],
)
def test_table_of_groups_that_cannot_be_used_is_refused(tmp_path, text, message):
    """The last row of a file would win, and all without a group would be one patient."""
    (tmp_path / "groups.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        group_finder(str(tmp_path / "groups.csv"))


def test_table_of_groups_that_is_not_there_and_bad_patterns_are_named():
    with pytest.raises(FileNotFoundError, match=r"groups must be an existing CSV file; got 'no\.csv'"):
        group_finder("no.csv")
    with pytest.raises(ValueError, match=r"got '\(person', which is no regular expression"):
        group_finder("(person")


def test_group_of_a_pattern_is_the_part_in_parentheses_that_matched():
    """An alternative that was not taken matches nothing, which would make all of these one group."""
    find = group_finder(r"(person\d+)|(IM-\d+)")
    assert [find("a/person3_1.png"), find("b/IM-0007-1.png")] == ["person3", "IM-0007"]
    assert group_finder(r"p\d+")("a/p12_3.png") == "p12"


def test_a_run_without_groups_says_so_loudly(tmp_path):
    """A warning tells it before the run, and the report at its top."""
    data = replace(toy_data(), groups=None)
    with pytest.warns(UserWarning, match=r"No groups \(patients\) are known.*every number is too good.*--groups"):
        evaluation = lay_out(data, tmp_path, samplers=["none"])
    assert "No groups" in evaluation._manifest["groups_about"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lay_out(toy_data(), tmp_path, samplers=["none"])


def test_groups_and_class_names_count_in_the_fingerprint():
    """A tuned threshold depends on the groups: else it would be answered from the cells of other groups."""
    data = toy_data()
    others = [
        replace(data, groups=data.groups // 2),
        replace(data, groups=None),
        replace(data, target=1 - data.target),
        replace(data, target_names=["a", "b"]),
        replace(data, images=data.images[::-1]),
    ]
    assert len({data.fingerprint, *(other.fingerprint for other in others)}) == 6
    assert replace(data, groups=data.groups.astype(str)).fingerprint == data.fingerprint


# Arrays


def test_labels_of_any_kind_become_indices_in_sorted_order():
    X, y = toy_arrays()
    data = from_arrays(X, np.array(["ill", "well"])[y])
    assert data.target_names == ["ill", "well"]
    np.testing.assert_array_equal(data.target, y)
    assert from_arrays(X, y == 0).target_names == ["False", "True"]
    assert from_arrays(X, y, target_names=["disc", "square"]).target_names == ["disc", "square"]


@pytest.mark.parametrize("layout", ["float", "channels first", "channels last", "list"])
def test_images_of_any_layout_are_kept_as_they_are(layout):
    X, y = toy_arrays()
    made = {
        "float": X / np.float32(255),
        "channels first": np.repeat(X[:, None], 3, axis=1),
        "channels last": np.repeat(X[..., None], 3, axis=-1),
        "list": list(X),
    }[layout]
    data = from_arrays(made, y)
    np.testing.assert_array_equal(data.images, np.asarray(made))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": None}, "y must hold a label for each of the 56 images of X; got None"),
        ({"y": np.zeros(5)}, "y must hold a label for each of the 56 images of X; got 5"),
        ({"y": np.linspace(0, 1, 56)}, "got numbers with fractions"),
        ({"y": np.r_[np.nan, np.ones(55)]}, "y must have no missing entry; got 1, the first for image 0"),
        ({"y": np.zeros(56)}, "at least two classes"),
        ({"groups": [None] + [1] * 55}, "groups must have no missing entry; got 1, the first for image 0"),
        ({"groups": [1, 2]}, "groups must have an entry for each of the 56 images; got 2"),
        ({"filenames": ["a"]}, "filenames must have an entry for each of the 56 images; got 1"),
        ({"target_names": ["a"]}, "target_names must be 2 different names"),
        ({"target_names": ["a", "a"]}, "target_names must be 2 different names"),
        ({"split": ["train"] * 55 + ["exam"]}, "split must hold train, val, test alone; got .*exam"),
        ({"X": np.zeros((56, 64))}, r"X must hold images.*got rows, shape \(56, 64\).*reshape"),
    ],
)
def test_arrays_that_cannot_be_evaluated_are_refused(change, message):
    """Each of these ran into an error that named something else, or into a wrong number."""
    X, y = toy_arrays()
    arguments = {"X": X, "y": y} | change
    with pytest.raises(ValueError, match=message):
        from_arrays(arguments.pop("X"), arguments.pop("y"), **arguments)


def test_taking_rows_takes_everything_of_them():
    data = toy_data(filenames=[f"{row}.png" for row in range(56)])
    part = data.take([3, 50])
    assert part.filenames.tolist() == ["3.png", "50.png"]
    assert part.groups.tolist() == [3, 50]
    assert part.target.tolist() == [0, 1]
    assert isinstance(part, ImageData)


# Files


def test_file_of_arrays_is_read_with_all_that_it_tells(tmp_path):
    X, y = toy_arrays()
    columns = {"groups": np.arange(56) // 2, "filenames": np.arange(56).astype(str), "target_names": ["disc", "square"]}
    np.savez(tmp_path / "shapes.npz", X=X, y=y, **columns)
    data = load(str(tmp_path / "shapes.npz"))
    assert (data.name, data.target_names) == ("shapes", ["disc", "square"])
    np.testing.assert_array_equal(data.groups, columns["groups"])
    assert data.filenames[7] == "7"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": np.zeros((8, 8, 8))}, "must hold arrays X .images. and y .labels.; got X"),
        ({"X": np.zeros((8, 8, 8)), "y": np.zeros(8), "z": np.zeros(1)}, "alone; got z too"),
        ({"X": np.zeros((8, 8, 8)), "y": np.array([None] * 8)}, "must hold plain arrays, no Python objects"),
    ],
)
def test_file_of_other_arrays_is_refused(tmp_path, arrays, message):
    """Reading objects would run code of whoever made the file."""
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "bad.npz")


def test_grey_images_are_stored_as_three_channels_when_asked(tmp_path):
    write_folder(tmp_path, {"disc": N_DISCS, "square": N_SQUARES})
    data = load(tmp_path, image_size=16, grey_as_rgb=True)
    assert data.images.shape == (N_DISCS + N_SQUARES, 16, 16, 3)


def test_max_images_keeps_the_shares_of_classes_and_parts(tmp_path):
    """A part for a quick look must be imbalanced like the whole."""
    for part, count in (("train", 20), ("test", 10)):
        write_folder(tmp_path / part, {"disc": count, "square": 2 * count})
    data = load(tmp_path, image_size=16, max_images=30)
    assert len(data.images) == 30
    assert (data.target == 0).sum() == 10
    assert (data.split == "test").sum() == 10


def test_chest_xray_folder_gets_its_patients_from_the_names_of_files(tmp_path):
    """personN is another patient among bacteria than among viruses, which a pattern of one's own would miss."""
    for part, count in (("train", 12), ("val", 1), ("test", 8)):
        write_folder(tmp_path / part, {"NORMAL": count}, "IM-01{:02d}-0001.png")
        write_folder(tmp_path / part, {"PNEUMONIA": 2 * count}, "person{}_virus_1.png")
    data = load(tmp_path, image_size=16)
    assert data.groups is not None
    assert data.has_official_split


def test_named_sets_are_read_through_the_package(monkeypatch):
    """Which loader gets which size is all that this file decides."""
    asked = {}

    def loader(name):
        def read(*args, **options):
            asked[name] = (args, options)
            data = toy_data()
            return Bunch(images=data.images, target=np.array(["a", "b"])[data.target], groups=None, split=None)

        return read

    for name in ("load_elpv", "fetch_chest_xray", "fetch_medmnist"):
        monkeypatch.setattr(_data.datasets, name, loader(name))
    assert load("elpv", image_size=32).name == "elpv"
    assert asked["load_elpv"][1]["image_size"] == 32
    load("chest_xray", image_size=64)
    assert asked["fetch_chest_xray"] == ((None,), {"image_size": 64, "verbose": 1})
    assert load("medmnist:breastmnist").name == "breastmnist"
    assert asked["fetch_medmnist"] == (("breastmnist",), {"size": 28})


def test_digits_are_eights_against_the_rest():
    """They need no file and no download."""
    data = load("digits")
    assert data.images.shape == (1797, 8, 8)
    assert data.images.dtype == np.uint8
    assert data.images.max() == 255
    assert data.target.sum() == 174


@pytest.mark.parametrize(
    ("word", "options", "message"),
    [
        ("no-such-place", {}, "got 'no-such-place', which is none of them"),
        ("digits", {"image_size": 16}, "image_size must be 8 with digits; got 16"),
        ("digits", {"max_images": 2}, "max_images must be at least 4"),
        ("digits", {"max_images": 10}, "at least 4 images each; got other: 9, 8: 1"),
        ("digits", {"groups": "folder"}, "groups must be left out for digits"),
    ],
)
def test_bad_words_are_named(word, options, message):
    """A typing error must not cost an hour."""
    with pytest.raises(ValueError, match=message):
        load(word, **options)
