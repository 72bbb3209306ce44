"""Arrays of images to tensors and back."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gan_sampler.images import check_images

N, H, W = 5, 9, 11


def images_of(shape, dtype=np.uint8, seed=0):
    return np.random.RandomState(seed).randint(0, 256, shape).astype(dtype)


def ragged():
    """An object array of images of two sizes, as numpy makes of a careless list."""
    X = np.empty(2, dtype=object)
    X[:] = [np.zeros((9, 9)), np.zeros((9, 10))]
    return X


@pytest.mark.parametrize(
    ("shape", "kwargs", "image_shape", "tensor_shape"),
    [
        ((N, H, W), {}, (H, W), (1, H, W)),
        ((N, H, W, 1), {}, (H, W, 1), (1, H, W)),
        ((N, H, W, 3), {}, (H, W, 3), (3, H, W)),
        ((N, H, W, 4), {}, (H, W, 4), (4, H, W)),
        ((N, 3, H, W), {}, (3, H, W), (3, H, W)),
        ((N, 2, H, W), {"data_format": "channels_first"}, (2, H, W), (2, H, W)),
        ((N, H * W), {"image_shape": (H, W)}, (H, W), (1, H, W)),
        ((N, H * W * 3), {"image_shape": [H, W, 3]}, (H, W, 3), (3, H, W)),
        ((N, H * W * 3), {"image_shape": (H, W, 3), "data_format": "channels_first"}, (3, H, W), (3, H, W)),
        ((N, 7), {"image_shape": "row"}, (1, 7), (1, 1, 7)),
    ],
)
def test_every_layout_is_read_and_written_back(shape, kwargs, image_shape, tensor_shape):
    """The layouts of the documentation, each to (n, C, H, W) and back to itself."""
    X, image_format = check_images(images_of(shape), **kwargs)
    assert image_format.image_shape == image_shape
    images = image_format.to_tensor(X)
    assert images.shape == (N, *tensor_shape)
    assert images.dtype == torch.float32
    np.testing.assert_array_equal(image_format.to_array(images), X)


def test_channels_first_and_last_give_the_same_tensor():
    """A wrong axis order would be silent nonsense, so a known pixel is followed."""
    last = images_of((N, H, W, 3))
    first = np.moveaxis(last, -1, 1)
    tensors = []
    for X in (last, first, last.reshape(N, -1)):
        X, image_format = check_images(X, image_shape=(H, W, 3) if X.ndim == 2 else None)
        tensors.append(image_format.to_tensor(X))
    assert torch.equal(tensors[0], tensors[1])
    assert torch.equal(tensors[0], tensors[2])
    assert tensors[0][2, 1, 4, 6].item() == pytest.approx(last[2, 4, 6, 1] / 127.5 - 1, abs=1e-6)


@pytest.mark.parametrize(("dtype", "largest"), [(np.uint8, 255), (np.uint16, 65535), (np.int32, 70000), (bool, 1)])
def test_integers_survive_the_round_trip_exactly(dtype, largest):
    """Array to tensor to array is the identity on every integer of the range."""
    values = np.arange(largest + 1, dtype=np.int64)
    values = np.resize(values, (-(-len(values) // 64), 8, 8)).astype(dtype)
    X, image_format = check_images(values)
    np.testing.assert_array_equal(image_format.to_array(image_format.to_tensor(X)), values)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_keep_the_range_found(dtype):
    """Even the most extreme drawing stays within what the user's images hold."""
    X = np.random.RandomState(0).uniform(-3.7, 1.3, (N, H, W)).astype(dtype)
    X, image_format = check_images(X)
    back = image_format.to_array(torch.tensor([-5.0, 5.0])[:, None, None, None].expand(2, 1, H, W))
    assert back.dtype == dtype
    assert back.min() == X.min()
    assert back.max() == X.max()


def test_uint8_stands_for_0_to_255_even_when_the_images_use_less():
    """Two sets of one format must be read alike, whatever their brightest pixel is."""
    X, image_format = check_images(np.full((N, H, W), 51, dtype=np.uint8))
    assert image_format.value_range == (0.0, 255.0)
    assert image_format.to_tensor(X)[0, 0, 0, 0] == pytest.approx(-0.6)


def test_constant_float_images_do_not_divide_by_zero():
    """An all-black float set has a range of zero width."""
    X, image_format = check_images(np.zeros((N, H, W)))
    assert torch.isfinite(image_format.to_tensor(X)).all()
    np.testing.assert_array_equal(image_format.to_array(image_format.to_tensor(X)), X)


def test_grey_stored_as_rgb_is_one_channel_in_tensors_and_three_in_arrays():
    """A GAN cannot invent colour that its tensors cannot hold."""
    grey = np.repeat(images_of((N, H, W, 1)), 3, axis=-1)
    X, image_format = check_images(grey)
    collapsed = image_format.collapse_grey(X, np.arange(N))
    assert collapsed.tensor_shape == (1, H, W)
    np.testing.assert_array_equal(collapsed.to_array(collapsed.to_tensor(X)), grey)


def test_one_coloured_pixel_keeps_three_channels_and_only_the_rows_asked_for_count():
    """The majority's colour is not looked at; the minority's is, to the last pixel."""
    almost = np.repeat(images_of((N, H, W, 1)), 3, axis=-1)
    almost[4, 8, 10, 2] ^= 1
    X, image_format = check_images(almost)
    assert not image_format.collapse_grey(X, np.arange(N)).grey_as_rgb
    assert image_format.collapse_grey(X, np.arange(4)).grey_as_rgb


def test_value_range_given_is_used():
    """12-bit images in uint16 can be scaled by what the sensor can give."""
    X, image_format = check_images(images_of((N, H, W), np.uint16), value_range=(0, 4095))
    assert image_format.to_tensor(X).max() < -0.8


@pytest.mark.parametrize(
    ("X", "kwargs", "message"),
    [
        (np.full((N, H, W), np.nan), {}, "X contains NaN"),
        (np.zeros(N), {}, "got 1 axes"),
        (np.zeros((N, 2, H, W, 3)), {}, r"X must be \(n, H, W\).* got 5 axes"),
        (np.zeros((N, 3, H, 3)), {}, "data_format='auto' cannot tell .* data_format='channels_first'"),
        (np.zeros((N, H, W, 7)), {}, "must have 1 to 4 channels; got 7"),
        (np.zeros((N, H * W)), {}, r"pass image_shape=\(H, W\)|Pass image_shape=\(H, W\)"),
        (np.zeros((N, H * W)), {"image_shape": (H, H)}, r"image_shape=\(9, 9\) does not fit X: it asks for 81"),
        (np.zeros((N, H * W * 5)), {"image_shape": (H, W, 5)}, "must have 1 to 4 channels; got 5"),
        (np.zeros((N, H, W)), {"image_shape": (H, H)}, r"image_shape=\(9, 9\) does not fit X of shape"),
        (np.zeros((N, H, W)), {"image_shape": "row"}, 'image_shape="row" is for 2-D X'),
        (np.zeros((N, H * W)), {"image_shape": (H,)}, r"image_shape must be \(H, W\) or \(H, W, C\)"),
        (np.zeros((N, H * W)), {"image_shape": (9.0, 11)}, r"image_shape must be \(H, W\) or \(H, W, C\)"),
        (np.zeros((N, 7, 9)), {}, "at least 8 x 8 pixels; got 7 x 9"),
        (np.zeros((N, H, W)), {"value_range": (1, 1)}, "value_range must be .* low < high"),
        (np.zeros((N, H, W)), {"value_range": (1, 2, 3)}, "value_range must be .* low < high"),
        (np.zeros((N, H, W)), {"value_range": (1, 2)}, "value_range=.* must hold every value of X; got values from 0"),
        (ragged(), {}, r"got dtype object .* \(9, 9\), \(9, 10\)"),
        ([np.zeros((9, 9)), np.zeros((9, 10))], {}, "unlike shapes"),
        (np.full((N, H, W), "a"), {}, "X must be a numeric array of images"),
        (np.full((N, H, W), "a", dtype=object), {}, "X must be a numeric array of images"),
        (None, {}, r"X must be \(n, H, W\).*; got None. Make an array"),
        (iter(images_of((N, H, W))), {}, r"X must be \(n, H, W\).*; got iterator"),
        (
            images_of((N, H, W)),
            {"value_range": (0, np.inf)},
            r"value_range must be two finite numbers .*got \(0, inf\)",
        ),
        (images_of((N, H, W)), {"value_range": (0, None)}, r"value_range must be two finite numbers"),
        (images_of((N, H, W)), {"value_range": ("a", "b")}, r"value_range must be two finite numbers"),
    ],
)
def test_bad_images_are_refused_by_name(X, kwargs, message):
    """Each message names the argument, what it must be and what it got."""
    with pytest.raises((ValueError, TypeError), match=message):
        check_images(X, **kwargs)


def test_images_of_another_shape_than_at_fit_are_refused():
    """Predicting on another size must not be resized in silence."""
    _, image_format = check_images(images_of((N, H, W)))
    with pytest.raises(ValueError, match=r"shape seen at fit, \(9, 11\); got elements of shape \(11, 9\)"):
        image_format.check_same(images_of((N, W, H)))


def test_floats_after_integers_are_refused():
    """A network fitted on 0..255 would see images in 0..1 as black, without an error."""
    _, image_format = check_images(images_of((N, H, W)))
    with pytest.raises(ValueError, match="of the kind seen at fit, uint8 from 0 to 255; got float64 from 0 to 1"):
        image_format.check_same(images_of((N, H, W)) / 255)


@pytest.mark.parametrize(
    ("fitted", "new"),
    [
        (images_of((N, H, W)), images_of((N, H, W), np.uint16) * 257),
        (images_of((N, H, W)) / 255, images_of((N, H, W)) / 1.0),
        (images_of((N, H, W)), images_of((N, H, W)) > 100),
    ],
)
def test_values_far_outside_the_range_seen_at_fit_are_refused(fitted, new):
    """16 bits after 8, or 0..255 after 0..1, would be read as far too bright, masks as far too dark."""
    _, image_format = check_images(fitted)
    with pytest.raises(ValueError, match="of the kind seen at fit"):
        image_format.check_same(new)


def test_somewhat_brighter_floats_than_at_fit_are_accepted():
    """The brightest test image need not be among the training images; a list of 8-bit values is none the worse."""
    X = images_of((N, H, W))
    check_images(X / 255)[1].check_same(X / 250)
    check_images(X)[1].check_same(X.tolist())


def test_integers_do_not_wrap_where_the_range_given_is_wider_than_the_dtype():
    """Black masks of 0 and 1 must not come back as 255."""
    X, image_format = check_images(images_of((N, H, W)) // 128, value_range=(-1, 1000))
    extremes = torch.tensor([-1.0, 1.0])[:, None, None, None].expand(2, 1, H, W)
    assert np.unique(image_format.to_array(extremes)).tolist() == [0, 255]
    X, image_format = check_images(X.astype(bool), value_range=(-1, 2))
    assert np.unique(image_format.to_array(extremes)).tolist() == [False, True]


def test_check_does_not_copy_an_array():
    """X may be most of the memory."""
    X = images_of((N, H, W))
    checked, _ = check_images(X)
    assert np.shares_memory(X, checked)


@pytest.mark.parametrize("names", ["folder", ["a.png", "b.png"], np.array(["a.png", "b.png"]), Path("folder")])
def test_names_of_files_are_told_from_images(names):
    """The likeliest first try of someone with a folder."""
    with pytest.raises(ValueError, match=r"X must be \(n, H, W\).*got text. Read names of files.*load_image_folder"):
        check_images(names)
