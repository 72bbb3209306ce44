"""Keeping of many candidates those that together are most like the real images."""

import numpy as np
import pytest
import torch
from conftest import make_shapes
from sklearn.base import clone
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from gan_sampler import AugmentationOverSampler, DCGANOverSampler
from gan_sampler.samplers import _choosing
from gan_sampler.samplers._herding import herd

PIXELS = FunctionTransformer(lambda X: X.reshape(len(X), -1) / 255)


def discrepancy(real, chosen):
    """Squared maximum mean discrepancy."""
    return (
        rbf_kernel(real, real, 0.1).mean()
        + rbf_kernel(chosen, chosen, 0.1).mean()
        - 2 * rbf_kernel(real, chosen, 0.1).mean()
    )


class TestHerd:
    """The rule, on points in a plane."""

    RNG = np.random.default_rng(0)
    REAL = np.concatenate([RNG.normal((0, 0), 0.3, (60, 2)), RNG.normal((3, 0), 0.3, (60, 2))])
    ON_FIRST, ON_SECOND = RNG.normal((0, 0), 0.3, (150, 2)), RNG.normal((3, 0), 0.3, (30, 2))
    AWAY = RNG.normal((0, 9), 0.3, (100, 2))
    CANDIDATES = np.concatenate([ON_FIRST, ON_SECOND, AWAY])

    def test_drops_what_is_implausible_and_keeps_what_is_rare(self):
        """Five candidates of six on the plausible ones lie on one mode; half of those kept lie on the other."""
        chosen = herd(self.REAL, self.CANDIDATES, 50)
        assert len(np.unique(chosen)) == 50
        assert (chosen < 180).all()
        assert 20 <= np.sum(chosen >= 150) <= 30

    def test_is_nearer_to_the_real_ones_than_chance_and_than_the_most_plausible(self):
        """Which is what it is for: the nearest to the middle of the larger mode would be plausible, and all alike."""
        herded = discrepancy(self.REAL, self.CANDIDATES[herd(self.REAL, self.CANDIDATES, 50)])
        by_chance = discrepancy(self.REAL, self.CANDIDATES[:180][self.RNG.permutation(180)[:50]])
        likeness = rbf_kernel(self.CANDIDATES, self.REAL, 0.1).mean(axis=1)
        most_plausible = discrepancy(self.REAL, self.CANDIDATES[np.argsort(-likeness)[:50]])
        assert 5 * herded < min(by_chance, most_plausible)

    def test_takes_no_more_of_a_kind_than_there_are_real_ones(self):
        """Three candidates of five are the same plausible image, as from a generator that collapses."""
        with_copies = np.concatenate([self.CANDIDATES[:180], np.repeat(self.ON_FIRST[:1], 270, axis=0)])
        assert np.mean(herd(self.REAL, with_copies, 50) >= 180) < 0.15

    def test_takes_all_where_none_can_be_left_out(self):
        """And real images that are all alike are no error."""
        assert sorted(herd(self.REAL, self.AWAY, 100)) == list(range(100))
        assert sorted(herd(np.zeros((3, 2)), np.ones((4, 2)), 4)) == [0, 1, 2, 3]

    @pytest.mark.parametrize("scale", [1e-310, 1e-200, 1e300])
    def test_goes_with_the_scale_and_not_with_the_offset(self, scale):
        """Squares of features may be no numbers, and a common part takes the digits."""
        chosen = herd(self.REAL, self.CANDIDATES, 50)
        with np.errstate(all="raise", under="ignore"):
            np.testing.assert_array_equal(herd(self.REAL * scale, self.CANDIDATES * scale, 50), chosen)
        np.testing.assert_array_equal(herd(self.REAL + 2.0**30, self.CANDIDATES + 2.0**30, 50), chosen)

    def test_equal_real_images_leave_the_others_their_say(self):
        """With a median distance of 0, nothing but an equal image would be like any."""
        real = np.concatenate([np.repeat(self.REAL[:1], 200, axis=0), self.REAL])
        chosen = herd(real, np.concatenate([self.AWAY, self.CANDIDATES[:180]]), 40)
        assert (chosen >= len(self.AWAY)).all()
        all_equal = herd(np.zeros((10, 2)), np.concatenate([self.AWAY, np.full((3, 2), 0.01)]), 2)
        assert all_equal[0] >= len(self.AWAY)


@pytest.mark.parametrize("sizes", [[7], [3, 4], [1, 1, 5]])
def test_batches_are_regrouped_without_loss(sizes):
    """In their order."""
    batches = torch.arange(7).split(2)
    found = list(_choosing.regroup(batches, sizes))
    assert [len(group) for group in found] == sizes
    assert torch.equal(torch.cat(found), torch.arange(7))


def test_candidates_come_from_the_sampler_and_the_best_are_kept(monkeypatch):
    """In blocks too: as many as asked for, none of them twice, each one of those drawn."""
    monkeypatch.setattr(_choosing, "_MAX_HERDED", 14)
    X, y = make_shapes(40, 12)
    drawn = []
    synthesise = AugmentationOverSampler._synthesise

    def watched(self, *args):
        for images in synthesise(self, *args):
            drawn.append(self.image_format_.to_array(images))
            yield images

    monkeypatch.setattr(AugmentationOverSampler, "_synthesise", watched)
    X_res, y_res = AugmentationOverSampler(herding=PIXELS, repeated_share=0, random_state=0).fit_resample(X, y)
    made, drawn = X_res[len(X) :], np.concatenate(drawn)
    assert (len(made), len(drawn)) == (28, 4 * 28)
    assert set(y_res[len(X) :]) == {"square"}
    rows = [np.flatnonzero((drawn == image).all(axis=(1, 2)))[0] for image in made]
    assert len(set(rows)) == 28
    real = X[y == "square"]
    flat = [images.reshape(len(images), -1) / 255 for images in (real, made, drawn)]
    by_chance = [discrepancy(flat[0], flat[2][start::4]) for start in range(4)]
    assert discrepancy(flat[0], flat[1]) < min(by_chance)


def test_herded_images_obey_the_seed_and_the_layout():
    """As all others do."""
    X, y = make_shapes(20, 8)
    X = np.repeat(X[..., None], 3, axis=-1)
    sampler = AugmentationOverSampler(herding=PIXELS, random_state=0)
    first, _ = sampler.fit_resample(X, y)
    second, _ = clone(sampler).fit_resample(X, y)
    np.testing.assert_array_equal(first, second)
    assert first.shape == (40, 12, 12, 3)
    assert np.ptp(first, axis=-1).max() == 0


def test_herding_is_no_part_of_the_training(tmp_path):
    """A checkpoint goes on with other values of it, a file takes True for a transformer, and `sample` draws plainly."""
    X, y = make_shapes(20, 8)
    sampler = DCGANOverSampler(n_steps=2, base_channels=4, checkpoint_dir=tmp_path / "checkpoints", random_state=0)
    plain, _ = sampler.fit_resample(X, y)
    herded, _ = clone(sampler).set_params(herding=PIXELS).fit_resample(X, y)
    assert plain.shape == herded.shape
    assert not np.array_equal(plain, herded)
    sampler.set_params(herding=PIXELS, n_steps=4).fit_resample(X, y)
    with pytest.warns(UserWarning, match="herding=True is saved instead"):
        sampler.save(tmp_path / "sampler")
    assert DCGANOverSampler.load(tmp_path / "sampler").herding is True
    assert sampler.sample(3, "square").shape == (3, 12, 12)


def test_what_is_missing_shows_before_the_training(monkeypatch):
    """Not after an hour, with the images lost."""
    monkeypatch.setattr(DCGANOverSampler, "_train", lambda *_, **__: pytest.fail("trained"))
    with pytest.raises(ValueError, match="array with dim 3"):  # scikit-learn's word for images that are no rows
        DCGANOverSampler(herding=StandardScaler()).fit_resample(*make_shapes(20, 8))
    with pytest.raises(ValueError, match="'herding' parameter"):
        DCGANOverSampler(herding="yes").fit_resample(*make_shapes(20, 8))
