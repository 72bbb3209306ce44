"""Arrays of images to tensors and back."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

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


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.array(5), "X must be .*got 0 axes"),
        (5, "X must be .*; got int. Make an array"),
        ("\0", "X must be .*; got text"),
        ([1, 0, 1], "X must be .*got 1 axes.*labels belong into y"),
        (pd.Series(["a", "b"]), "X must be .*got text.*labels belong into y"),
        (np.zeros((N, H, W), complex), "X must be .*got dtype complex128. Complex data not supported"),
        (np.zeros((N, H, W), "M8[s]"), r"X must be .*got dtype datetime64\[s\]"),
        (np.zeros((N, H, W), "m8[s]"), r"X must be .*got dtype timedelta64\[s\]"),
        (np.zeros((N, H, W), "V4"), r"X must be .*got dtype \|V4"),
        (np.zeros((N, H, W), [("r", "u1")]), "X must be .*got dtype .*'r', 'u1'"),
        (np.full((N, H, W), None), "X contains NaN"),
        (np.full((N, H, W), 2**63 + 1, dtype=object), r"X must be .*float64 does not hold.*astype\(numpy.int64\)"),
        (np.full((N, H, W), 10**400, dtype=object), "X must be a numeric array"),
        (np.ma.masked_less(images_of((N, H, W)), 100), r"X must have no masked values.*X.filled\(0\)"),
        (torch.zeros(N, H, W, requires_grad=True), r"X must be readable.*requires grad.*X.detach\(\).cpu\(\)"),
        (torch.zeros(N, H, W, device="meta"), "X must be readable.*meta"),
        (torch.zeros(N, H, W, dtype=torch.bfloat16), r"X must be readable.*BFloat16.*X.detach\(\).cpu\(\).float\(\)"),
        (list(torch.zeros(N, H, W, requires_grad=True)), "X must be readable.*a list of Tensor"),
        (pd.DataFrame({"a": ["x", "y"], "b": [1, 2]}), "X must be a numeric array.*'x'"),
        (pd.DataFrame(np.ones((3, 3), complex)), "X must be .*Complex data not supported"),
        ([Image.new("P", (W, H))] * N, "X must hold pictures of one mode.*got P. Convert each"),
        ([Image.new("L", (W, H)), Image.new("RGB", (W, H))], "X must hold pictures of one mode.*got L, RGB"),
        ([Image.new("L", (W, H)), Image.new("L", (H, W))], "X must hold images of one size"),
        (images_of((N, H, W))[:0], "X must hold at least one image"),
        ([-1.7e308 * np.ones((H, W)), 1.7e308 * np.ones((H, W))], "X must span a range that float64 .*Rescale it"),
        ([np.zeros((H, W)), np.full((H, W), 1e-310)], "X must span a range that float64 .*Rescale it"),
    ],
)
def test_what_holds_no_images_is_refused_by_name(X, message):
    """Whatever lands in X, the message is about X."""
    with pytest.raises(ValueError, match=f"(?s){message}"):
        check_images(X)


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize <= 8, reason="float64 is this machine's longest float")
@pytest.mark.parametrize("container", [np.asarray, lambda X: pd.DataFrame(X.reshape(len(X), -1))])
def test_longer_floats_than_float64_are_refused(container):
    """torch has none, and their padding bytes are random."""
    with pytest.raises(ValueError, match=r"X must be of floats of at most 64 bits.*X.astype\(numpy.float64\)"):
        check_images(container(np.zeros((N, H, W), np.longdouble)), image_shape=None)


@pytest.mark.parametrize(
    ("mode", "dtype", "shape"), [("L", "u1", ()), ("RGB", "u1", (3,)), ("1", "?", ()), ("F", "f4", ())]
)
def test_pictures_of_pillow_are_read_as_arrays(mode, dtype, shape):
    """As documented: one size, one mode."""
    X, image_format = check_images([Image.new(mode, (W, H))] * N)
    assert X.shape == (N, H, W, *shape)
    assert image_format.dtype == np.dtype(dtype)


def test_a_list_of_big_endian_arrays_stays_big_endian():
    """NumPy makes native ones of them."""
    X, image_format = check_images(list(images_of((N, H, W), ">u2")))
    assert X.dtype.str == ">u2"
    assert image_format.to_array(image_format.to_tensor(X)).dtype.str == ">u2"


def test_value_range_of_integers_is_exact():
    """The float of 2**63 - 1 is 2**63, and text is no number."""
    X = images_of((N, H, W), np.int64)
    X[0, 0, 0] = 2**63 - 1
    assert check_images(X)[1].value_range == (0, 2**63 - 1)
    with pytest.raises(ValueError, match=r"value_range=\(0, 9223372036854775806\) must hold every value of X"):
        check_images(X, value_range=(0, 2**63 - 2))
    for value_range in (("0", "255"), (0, 10**400), (0, np.nan)):
        with pytest.raises(ValueError, match="value_range must be two finite numbers"):
            check_images(images_of((N, H, W)), value_range=value_range)
    with pytest.raises(ValueError, match="value_range must span a range that float64 has a number for"):
        check_images(images_of((N, H, W)) / 255, value_range=(-1.7e308, 1.7e308))


def test_booleans_in_a_wider_range_are_their_own_kind():
    """What was accepted at fit is accepted afterwards."""
    X, image_format = check_images(images_of((N, H, W)) > 100, value_range=(-1, 2))
    assert image_format.check_same(X) is not None


def test_a_narrow_range_on_a_large_integer_keeps_its_shades():
    """float64 knows 2**63 - 1 and 2**63 - 513 as one number."""
    X = (2**63 - 1 - np.arange(N * H * W).reshape(N, H, W)).astype(np.int64)
    _, image_format = check_images(X)
    images = image_format.to_tensor(X)
    assert len(images.unique()) == X.size
    np.testing.assert_array_equal(image_format.to_array(images), X)


DTYPES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]
LAYOUTS = [
    ((2, 9, 8), {}),
    ((2, 8, 9, 3), {"data_format": "channels_last"}),
    ((2, 3, 8, 9), {"data_format": "channels_first"}),
    ((2, 72 * 2), {"image_shape": (8, 9, 2)}),
    ((2, 5), {"image_shape": "row"}),
]


def any_images(dtype, shape, rng):
    """Random images that reach the edges of their dtype, in a wide or a narrow range somewhere in it."""
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind == "f":
        largest = float(np.finfo(dtype).max) / 2.1
        low = rng.choice([0.0, -1.0, 1.0, largest, -largest])
        return (low + rng.choice([1, 1e-3, 0, largest / 3]) * rng.uniform(0, 1, shape)).astype(dtype)
    info = np.iinfo(dtype)
    low = (info.min, 0, info.max // 3, info.max - 1)[rng.integers(4)]
    high = min(info.max, low + (1, 200, info.max)[rng.integers(3)])
    X = rng.integers(low, high, shape, dtype=dtype.newbyteorder("="), endpoint=True)
    X.flat[0], X.flat[-1] = low, high
    return X


@pytest.mark.parametrize("byte_order", ["<", ">"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_random_images_of_every_dtype_layout_and_range(dtype, byte_order):
    """Finite, in range, of their dtype, and the identity where floats hold the integers; X is not touched."""
    rng = np.random.default_rng(0)
    dtype = np.dtype(byte_order + dtype)
    for trial in range(30):
        shape, kwargs = LAYOUTS[trial % len(LAYOUTS)]
        X = any_images(dtype, shape, rng).astype(dtype)
        if trial % 7 == 1:
            X[:] = X[..., :1]  # grey as RGB
        before = X.tobytes()
        least, most = (float(X.min()), float(X.max())) if dtype.kind == "f" else (int(X.min()), int(X.max()))
        value_range = [None, (least - 1 - abs(least) / 100, most + 1 + abs(most) / 100)][trial % 2]
        X, image_format = check_images(X, value_range=value_range, **kwargs)
        image_format = image_format.collapse_grey(X, np.arange(2))
        images = image_format.to_tensor(X)
        assert images.abs().max() <= 1
        low, high = image_format.value_range
        if dtype.kind != "f" and high - low < 2**22:
            np.testing.assert_array_equal(image_format.to_array(images), X)
        rows = image_format.to_rows(X)
        if image_format.fits_floats:
            assert image_format.from_rows(rows).tobytes() == before
        noise = torch.from_numpy(rng.normal(0, 2, images.shape))
        extreme = rng.uniform(-1, 1, rows.shape).astype(rows.dtype) * np.finfo(rows.dtype).max
        for made in (image_format.to_array(images), image_format.to_array(noise), image_format.from_rows(extreme)):
            assert made.dtype.str == dtype.str
            assert np.isfinite(made).all()
            assert low <= made.min().item()
            assert made.max().item() <= high
        assert X.tobytes() == before
