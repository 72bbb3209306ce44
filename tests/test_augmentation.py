"""Small classical changes to real images."""

import numpy as np
import pytest
import torch
from conftest import make_shapes

from gan_sampler import AugmentationOverSampler

STILL = {"rotation": 0, "translation": 0, "scaling": 0, "brightness": 0, "contrast": 0}


def synthetic(sampler, X, y):
    X_res, _ = sampler.set_params(repeated_share=0).fit_resample(X, y)
    return X_res[sampler.synthetic_mask_]


def test_without_changes_it_repeats_every_image_equally_often(shapes):
    """24 discs, 10 squares: 14 new ones are each square once and four of them twice."""
    X, y = shapes
    new = synthetic(AugmentationOverSampler(**STILL, random_state=0), X, y)
    squares = X[y == "square"]
    repeats = [sum(np.array_equal(image, square) for image in new) for square in squares]
    assert sum(repeats) == 14
    assert set(repeats) == {1, 2}


@pytest.mark.parametrize("change", ["rotation", "translation", "scaling", "brightness", "contrast"])
def test_each_change_changes_images_and_keeps_them_close(shapes, change):
    """A change that did nothing, or wrecked the image, would be no baseline."""
    X, y = shapes
    amount = {"rotation": 10, "translation": 0.1}.get(change, 0.2)
    many = {"square": 210, "disc": 24}  # so that the mean is not one of luck
    sampler = AugmentationOverSampler(sampling_strategy=many, **{**STILL, change: amount}, random_state=0)
    new = synthetic(sampler, X, y).astype(int)
    nearest = np.array([np.abs(X[y == "square"].astype(int) - image).mean(axis=(1, 2)).min() for image in new])
    assert (nearest > 0).mean() > 0.5
    assert nearest.mean() < 30


@pytest.mark.parametrize("size", [(16, 16), (8, 100), (48, 16)])
@pytest.mark.parametrize("rotation", [10, 45, 180])
def test_moved_images_show_no_empty_border(size, rotation):
    """Empty wedges on synthetic images alone would give their class away."""
    X = np.full((60, *size), 200, dtype=np.uint8)
    sampler = AugmentationOverSampler(rotation=rotation, translation=0.2, scaling=0.3, brightness=0, contrast=0)
    new = synthetic(sampler, X, np.arange(60) < 10)
    assert new.min() >= 199


def test_flips_only_when_asked():
    """X-rays have a left and a right."""
    X = np.zeros((30, 8, 8), dtype=np.uint8)
    X[:, :, :4] = 200
    y = np.arange(30) < 5
    assert (synthetic(AugmentationOverSampler(**STILL), X, y)[:, 0, 0] == 200).all()
    flipped = synthetic(AugmentationOverSampler(**STILL, horizontal_flip=True, random_state=0), X, y)[:, 0, 0]
    assert set(flipped) == {0, 200}
    upright = synthetic(AugmentationOverSampler(**STILL, vertical_flip=True, random_state=0), X.swapaxes(1, 2), y)
    assert set(upright[:, 0, 0]) == {0, 200}


@pytest.mark.parametrize("n_channels", [2, 4])
def test_opacity_keeps_its_values(n_channels):
    """The last of two or four channels is no brightness."""
    X, y = make_shapes(12, 4)
    X = np.stack([X] * (n_channels - 1) + [np.full_like(X, 128)], axis=-1)
    new = synthetic(AugmentationOverSampler(rotation=0, brightness=0.5, random_state=0), X, y)
    assert np.abs(new[..., -1].astype(int) - 128).max() <= 1


def test_the_callers_default_device_stays_outside(shapes):
    """Under "meta" tensors have no values."""
    plain = AugmentationOverSampler(random_state=0).fit_resample(*shapes)[0]
    with torch.device("meta"):
        images = AugmentationOverSampler(random_state=0).fit_resample(*shapes)[0]
    np.testing.assert_array_equal(images, plain)


def test_one_image_is_enough():
    """There is nothing to learn."""
    X, y = make_shapes(12, 1)
    X_res, y_res = AugmentationOverSampler(repeated_share=0, random_state=0).fit_resample(X, y)
    assert (y_res == "square").sum() == 12
    assert len(np.unique(X_res[y_res == "square"], axis=0)) == 12
