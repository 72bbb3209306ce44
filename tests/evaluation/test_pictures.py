"""Pictures: what is kept of images, and of real ones only when asked."""

import io
from types import SimpleNamespace

import numpy as np
import pytest

from gan_sampler.evaluation._pictures import make_pictures, shrink
from gan_sampler.evaluation._splits import Split

N_REAL = (30, 12)


def flatten(images):
    return np.asarray(images).reshape(len(images), -1) / 255


@pytest.fixture(scope="module")
def data():
    """Dark and bright images; rows 42 on are no training images."""
    random_state = np.random.RandomState(0)
    target = np.repeat([0, 1, 0], [*N_REAL, 5])
    images = random_state.randint(0, 40, (len(target), 12, 12)) + 150 * target[:, None, None]
    names = ["dark", "bright"]
    return SimpleNamespace(images=images.astype(np.uint8), target=target, target_names=names)


@pytest.fixture(scope="module")
def split():
    return Split("official", 0, train=np.arange(sum(N_REAL)), test=np.arange(sum(N_REAL), 47))


@pytest.fixture(scope="module")
def new_images(data):
    """Copies of training images of class 1, from a GAN and from SMOTE."""
    return {name: (data.images[30:42].copy(), np.ones(12, dtype=int)) for name in ("dcgan", "smote")}


@pytest.fixture(scope="module")
def pictures(data, split, new_images):
    return make_pictures(data, split, new_images, flatten, 0)


def test_no_real_image_is_kept_unasked_nor_one_made_of_real_ones(pictures):
    """SMOTE mixes images of patients; a DCGAN draws from noise."""
    assert not any("real_images" in key or "nearest_images" in key for key in pictures)
    assert "images_0" in pictures
    assert "images_1" not in pictures
    assert pictures["treatments"].tolist() == ["dcgan", "smote"]


def test_real_images_are_kept_when_asked(data, split, new_images):
    kept = make_pictures(data, split, new_images, flatten, 0, include_real_images=True)
    np.testing.assert_array_equal(kept["real_images"], data.images[kept["real_rows"]])
    np.testing.assert_array_equal(kept["nearest_images_1"], kept["images_1"])  # as they are copies


def test_the_nearest_real_image_is_found_in_the_training_images_of_the_class(pictures, data):
    np.testing.assert_array_equal(data.images[pictures["nearest_0"]], pictures["images_0"])
    assert pictures["distance_0"] == pytest.approx(0, abs=1e-5)
    assert (data.target[pictures["nearest_0"]] == 1).all()
    assert (pictures["real_distance"] > 0.1).all()
    assert set(pictures["real_rows"]) <= set(range(42))


def test_pictures_go_through_a_file_without_pickles(pictures):
    file = io.BytesIO()
    np.savez(file, **pictures)
    file.seek(0)
    with np.load(file, allow_pickle=False) as read:
        assert set(read) == set(pictures)
        assert read["classes"].tolist() == ["dark", "bright"]


def test_the_map_holds_real_and_synthetic_images_and_the_vectors_one_of_each(pictures):
    assert pictures["map"].shape == (42 + 12 + 12, 2)
    assert np.bincount(pictures["map_kinds"]).tolist() == [42, 12, 12]
    assert pictures["vectors"].shape == (2 + 2, 144)
    assert pictures["vectors_kinds"].tolist() == [0, 0, 1, 2]


def test_pixels_stand_in_where_there_are_no_features(data, split, new_images):
    kept = make_pictures(data, split, new_images, None, 0)
    assert str(kept["space"]) == "pixels"
    assert "vectors" not in kept
    assert kept["distance_0"] == pytest.approx(0, abs=1e-5)


def test_the_same_seed_gives_the_same_pictures(pictures, data, split, new_images):
    again = make_pictures(data, split, new_images, flatten, 0)
    for key, values in pictures.items():
        np.testing.assert_array_equal(values, again[key])


def test_large_images_are_averaged_down_and_keep_their_dtype():
    images = np.arange(2 * 300 * 200, dtype=np.float32).reshape(2, 300, 200)
    small = shrink(images, 112)
    assert small.shape == (2, 100, 66)
    assert small.dtype == np.float32
    assert small[0, 0, 0] == images[0, :3, :3].mean()
    colour = shrink(np.full((1, 240, 240, 3), 7, dtype=np.uint8), 112)
    assert colour.shape == (1, 80, 80, 3)
    assert (colour == 7).all()
