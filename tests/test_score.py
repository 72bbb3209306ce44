"""How like real images others are, and whether they can be used at all."""

import math

import pytest
import torch
from conftest import make_shapes
from torch.nn.functional import avg_pool2d

from gan_sampler.training import PixelFrechetDistance, PixelFrechetDistanceByClass, is_unusable, of_class


def as_floats(images):
    return images / 127.5 - 1 if images.dtype == torch.uint8 else images


def make_discs(n_images, size=16):
    X, y = make_shapes(n_images, 1, size=size)
    return torch.from_numpy(X[y == "disc"])[:, None]


class TestPixelFrechetDistance:
    """Lower is better, and variance is what a collapsed generator lacks."""

    @pytest.fixture(params=["uint8", "float32"])
    def images(self, request):
        """Discs that differ in place and radius."""
        images = make_discs(300)
        return images if request.param == "uint8" else as_floats(images)

    def test_orders_real_blurred_and_noisy_images(self, images):
        """The more is wrong, the higher the score."""
        score, others = PixelFrechetDistance(images[:150]), as_floats(images[150:])
        torch.manual_seed(0)
        blurred = avg_pool2d(others, 5, stride=1, padding=2)
        noisy = others + torch.randn(others.shape)
        known, real, *wrong = (score(x)["score"] for x in (as_floats(images[:150]), others, blurred, noisy))
        assert known == pytest.approx(0, abs=0.01)
        assert known < real < 0.25 * min(wrong)

    @pytest.mark.parametrize("n_images", [10, 40, 150])
    def test_unseen_real_images_score_about_one_whatever_their_number(self, images, n_images):
        """So that a score can be judged without knowing the class."""
        record = PixelFrechetDistance(images[:n_images])(as_floats(images[150:]))
        assert 0.1 < record["score"] < 2
        assert record["spectral_distance"] < 0.3

    def test_variance_ratio_is_one_for_real_and_none_for_equal_images(self, images):
        """One image drawn over and over is a collapse, however good it is."""
        score = PixelFrechetDistance(images[:150])
        rest = as_floats(images[150:])
        assert score(rest)["variance_ratio"] == pytest.approx(1, abs=0.15)
        assert score(rest[:1].expand(100, -1, -1, -1))["variance_ratio"] == pytest.approx(0, abs=1e-3)

    @pytest.mark.parametrize("value", [torch.nan, torch.inf, 1e30])
    def test_images_that_are_not_finite_are_the_worst(self, images, value):
        """A generator that has overflowed must not be kept, nor end the training with another error."""
        record = PixelFrechetDistance(images)(torch.full((8, 1, 16, 16), value))
        assert is_unusable(record)
        if value != 1e30:
            assert record == {"score": math.inf, "variance_ratio": 0.0, "spectral_distance": math.inf}

    def test_two_images_or_equal_images_are_enough(self, images):
        """The smallest class a sampler takes, and one without any variety, give finite numbers."""
        for few in (images[:2], images[:3], images[:5], images[:1].expand(5, -1, -1, -1)):
            record = PixelFrechetDistance(few)(torch.rand(8, 1, 16, 16))
            assert all(math.isfinite(value) for value in record.values())

    def test_images_like_those_of_a_constant_class_can_be_used(self):
        """A ratio to no variance at all would call rounding a fault."""
        record = PixelFrechetDistance(torch.full((5, 1, 8, 8), 0.5))(0.5 + 0.002 * torch.rand(64, 1, 8, 8))
        assert not is_unusable(record)

    @pytest.mark.parametrize(
        ("images", "wrong"),
        [
            (torch.zeros(1, 1, 8, 8), "at least two .* got shape \\(1, 1, 8, 8\\)"),
            (torch.full((4, 1, 8, 8), torch.nan), "must be finite"),
            (torch.rand(4, 1, 8, 8, dtype=torch.float64) * 1e300, "must be finite"),
        ],
    )
    def test_real_images_that_cannot_be_measured_are_refused(self, images, wrong):
        """By name, not by an error of linear algebra."""
        with pytest.raises(ValueError, match=f"images must .*{wrong}|images {wrong}"):
            PixelFrechetDistance(images)

    def test_no_random_stream_moves_and_scores_repeat(self, images):
        """The splits into halves are random, but always the same."""
        before = torch.get_rng_state()
        records = [PixelFrechetDistance(images[:40])(as_floats(images[150:])) for _ in range(2)]
        assert records[0] == records[1]
        assert torch.equal(before, torch.get_rng_state())


class TestIsUnusable:
    """Real images never are, and what cannot help a classifier is."""

    @pytest.fixture
    def real(self):
        return as_floats(make_discs(300))

    @pytest.mark.parametrize("n_images", [10, 25, 100])
    def test_unseen_real_images_are_not(self, real, n_images):
        """Also where few are known or few are scored."""
        for seed in range(10):
            order = torch.randperm(len(real), generator=torch.Generator().manual_seed(seed))
            known, unseen = real[order[:n_images]], real[order[n_images:]]
            score = PixelFrechetDistance(known)
            assert not is_unusable(score(unseen))
            assert not is_unusable(score(unseen[:30]))

    @pytest.mark.parametrize("n_images", [10, 100])
    @pytest.mark.parametrize("kind", ["noise", "speckle", "faint speckle", "grid", "grey", "one", "mean", "blur"])
    def test_noise_speckle_blur_and_repetition_are(self, real, kind, n_images):
        """Speckle on good images too, which the components of real images hardly see."""
        generator, others = torch.Generator().manual_seed(0), real[100:]
        grid = torch.zeros(16, 16)
        grid[::4], grid[:, ::4] = 0.3, 0.3
        images = {
            "noise": lambda: 2 * torch.rand(others.shape, generator=generator) - 1,
            "speckle": lambda: others + torch.randn(others.shape, generator=generator),
            "faint speckle": lambda: others + 0.4 * torch.randn(others.shape, generator=generator),
            "grid": lambda: others.mean(0) + grid + 0 * others,
            "grey": lambda: torch.zeros_like(others),
            "one": lambda: others[:1].expand(200, -1, -1, -1),
            "mean": lambda: others.mean(0, keepdim=True).expand(200, -1, -1, -1),
            "blur": lambda: avg_pool2d(others, 5, stride=1, padding=2),
        }[kind]()
        assert is_unusable(PixelFrechetDistance(real[:n_images])(images))

    def test_a_value_that_is_no_number_is(self):
        """No comparison with NaN holds, so the wrong way round it would pass."""
        assert is_unusable({"score": math.nan, "variance_ratio": 1.0, "spectral_distance": 0.0})


def test_of_class_takes_out_what_one_class_got():
    """So that each class of a conditional generator can be judged."""
    images, classes = as_floats(make_discs(80)), torch.tensor([0, 1] * 40)
    drawn = [images[classes == 0], torch.zeros(8, 1, 16, 16)]
    record = PixelFrechetDistanceByClass(images, classes, [0, 1])(drawn)
    assert of_class(record, 0) == PixelFrechetDistance(images[classes == 0])(drawn[0])
    assert [is_unusable(of_class(record, index)) for index in (0, 1)] == [False, True]
    assert record["score"] == pytest.approx((record["score_0"] + record["score_1"]) / 2)
