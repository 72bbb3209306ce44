"""How like real images others are, and whether they can be used at all."""

import math

import pytest
import torch
from conftest import make_shapes

from gan_sampler.training import PixelFrechetDistance


def as_floats(images):
    return images / 127.5 - 1 if images.dtype == torch.uint8 else images


class TestPixelFrechetDistance:
    """Lower is better, and variance is what a collapsed generator lacks."""

    @pytest.fixture(params=["uint8", "float32"])
    def images(self, request):
        """Discs that differ in place and radius."""
        X, y = make_shapes(300, 1, size=16)
        X = torch.from_numpy(X[y == "disc"])[:, None]
        return X if request.param == "uint8" else X / 127.5 - 1

    def test_orders_real_blurred_and_noisy_images(self, images):
        """The more is wrong, the higher the score."""
        score, others = PixelFrechetDistance(images[:150]), as_floats(images[150:])
        torch.manual_seed(0)
        blurred = torch.nn.functional.avg_pool2d(others, 5, stride=1, padding=2)
        noisy = others + torch.randn(others.shape)
        known, real, *wrong = (score(x)["score"] for x in (as_floats(images[:150]), others, blurred, noisy))
        assert known == pytest.approx(0, abs=0.01)
        assert known < real < 0.25 * min(wrong)

    def test_variance_ratio_is_one_for_real_and_none_for_equal_images(self, images):
        """One image drawn over and over is a collapse, however good it is."""
        score = PixelFrechetDistance(images[:150])
        rest = as_floats(images[150:])
        assert score(rest)["variance_ratio"] == pytest.approx(1, abs=0.15)
        assert score(rest[:1].expand(100, -1, -1, -1))["variance_ratio"] == pytest.approx(0, abs=1e-3)

    def test_images_that_are_not_finite_are_the_worst(self, images):
        """A generator that has overflowed must not be kept, nor end the training with another error."""
        record = PixelFrechetDistance(images)(torch.full((8, 1, 16, 16), torch.nan))
        assert record == {"score": math.inf, "variance_ratio": 0.0, "detail_ratio": math.inf}

    def test_two_images_or_equal_images_are_enough(self, images):
        """The smallest class a sampler takes, and one without any variety, give finite numbers."""
        for few in (images[:2], images[:1].expand(5, -1, -1, -1)):
            record = PixelFrechetDistance(few)(torch.rand(8, 1, 16, 16))
            assert all(math.isfinite(value) for value in record.values())
