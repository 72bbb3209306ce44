"""The scripts behind the defaults and the speed: benchmarks/defaults.py, variants.py, throughput.py and gallery.py."""

import json

import defaults
import filters
import gallery
import numpy as np
import pandas as pd
import pytest
import remedies
import sources
import torch
import variants
from conftest import make_shapes
from grid import Split

from gan_sampler import DCGANOverSampler
from gan_sampler.quality import realism


@pytest.mark.parametrize("name", defaults.VARIANTS)
def test_every_variant_trains(name):
    """A table with a row that cannot be made again is no evidence."""
    X, _ = make_shapes(size=16)
    images = torch.from_numpy(X)[:, None]
    generator, history = defaults._train(images[:20], images, defaults.VARIANTS[name], 4, 0)
    assert history[-1]["step"] == (2 if "first half" in name else 4)
    assert all(p.isfinite().all() for p in generator.parameters())


def test_variants_start_from_one_recipe_and_leave_it_alone():
    """One variant's settings must not leak into the next."""
    before = json.dumps(defaults.START)
    X, _ = make_shapes(size=16)
    defaults._train(torch.from_numpy(X)[:, None], None, defaults.VARIANTS["batch 16"], 1, 0)
    assert json.dumps(defaults.START) == before


def test_scores_are_compared_with_kid_over_a_training(monkeypatch):
    """One snapshot of every five, judged by both."""
    monkeypatch.setattr(defaults, "EfficientNetLite0Embedder", Pixels)
    monkeypatch.setattr(defaults, "TASKS", {"digits": ("digits", 28, 30, 1)})
    monkeypatch.setitem(defaults.START["generator"], "base_channels", 2)
    monkeypatch.setitem(defaults.START["discriminator"], "base_channels", 2)
    row = defaults.check_score("digits", "start", 0, None, n_steps=500)
    assert row["n_snapshots"] == 2
    assert -1 <= row["rank_correlation"] <= 1
    assert row["kid_of_best"] <= row["kid_of_chosen"]


class Pixels:
    """Stands for an embedder: every fourth pixel."""

    def __init__(self, memory=None):
        pass

    def fit(self, X):
        return self

    def transform(self, X):
        return X[:, ::2, ::2].reshape(len(X), -1) / 255


@pytest.mark.parametrize(("logit", "probability"), [(1.0, 0.4), (-1.0, 0.0)])
def test_adaptive_augmentation_follows_the_discriminators_certainty(logit, probability):
    """Only a discriminator that is sure of real images needs harder ones."""
    augment = variants.AdaptiveAugmentation(lambda images, generator: torch.zeros_like(images), images_to_one=1000)
    discriminator, images = torch.nn.Flatten(), torch.full((8, 1, 1, 1), logit)
    for step in range(1, 52):
        augment.penalty(discriminator, images, step)
        discriminator(images)  # real
        discriminator(-images)  # generated: says nothing
    assert augment.probability == pytest.approx(probability)
    share_changed = (augment(torch.ones(2000, 1, 1, 1)) == 0).float().mean().item()
    assert share_changed == pytest.approx(probability, abs=0.05)


def test_lecam_pulls_logits_to_the_other_kinds_average():
    """Which at the first step is that of the batch itself."""
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([-1.0, -1.0])
    plain, pulled = variants.lecam(weight=0.0), variants.lecam(weight=1.0)
    pull = pulled.discriminator(real, fake) - plain.discriminator(real, fake)
    assert pull.item() == pytest.approx((9 + 1) / 2 + 4)


def test_r1_is_the_slope_at_real_images_at_every_sixteenth_step():
    """For a linear discriminator the squared slope is that of its weights, and its gradient twice the weights."""
    discriminator = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 1, bias=False))
    penalty, real = variants.lazy_r1(0.5), torch.rand(3, 1, 2, 2)
    penalty(discriminator, real, 15)
    assert discriminator[1].weight.grad is None
    penalty(discriminator, real, 16)
    torch.testing.assert_close(discriminator[1].weight.grad, 16 * 0.5 * discriminator[1].weight.detach())


def test_cutout_cuts_at_most_a_quarter_and_leaves_the_rest():
    """Half of either side, less where it reaches over the edge."""
    torch.manual_seed(0)
    cut = variants.cutout(torch.ones(300, 1, 16, 16))
    holes = (cut == 0).flatten(1).sum(1)
    assert holes.max() == 64
    assert holes.min() >= 16
    assert set(cut.unique().tolist()) == {0.0, 1.0}


def test_a_gallery_shows_every_image_once():
    """In rows, with white between them."""
    images = np.arange(5, dtype=np.uint8)[:, None, None] * np.ones((5, 4, 4), dtype=np.uint8)
    picture = np.asarray(gallery.as_picture(np.concatenate([images, images[:1]]), 3))
    assert picture.shape == (10, 15)
    assert picture[5, 5] == 4
    assert (picture[4] == 255).all()
    assert gallery.least_distance(images) == 1


@pytest.fixture(scope="module")
def train():
    """Return training images and generators that know nothing yet."""
    X, y = make_shapes(24, 10, size=16)
    X, y = np.concatenate([X, X + 1]), np.tile((y == "square").astype(int), 2)
    counts = np.bincount(y)
    sampler = DCGANOverSampler(
        sampling_strategy={label: n + 1 for label, n in enumerate(counts)}, n_steps=2, width=2, random_state=0
    )
    sampler.fit_resample(X, y)
    return remedies.Train(X, y, sampler, seed=0)


class TestRemedies:
    """benchmarks/remedies.py: what goes to a classifier."""

    @pytest.mark.parametrize("name", remedies.REMEDIES)
    def test_every_remedy_gives_balanced_classes_with_all_real_images(self, train, name):
        """Except for doing nothing; and what all images pass through keeps their kind."""
        resample, pass_through = remedies.REMEDIES[name]
        X, y = resample(train)
        np.testing.assert_array_equal(X[: len(train.X)], train.X)
        counts = np.bincount(y)
        assert (counts[0] == counts[1]) == (name != "nothing")
        passed = pass_through(X, 0)
        assert passed.dtype == np.uint8
        assert passed.shape == X.shape

    def test_every_class_gets_equally_many_synthetic_images(self, train):
        """At the ratio asked for, on top of the real ones."""
        _, y = remedies.every_class(train, ratio=0.5)
        assert np.bincount(y).tolist() == [48 + 24, 48 + 24]

    def test_real_detail_is_that_of_real_images(self, train):
        """What is finer than the blur comes from the donor, what is coarser from the generator."""
        X, _ = remedies.real_detail(train)
        made = X[len(train.X) :].astype(float)
        fine = made - remedies._blurred(made, 1.0)
        donors = train.repeats().astype(float)
        fine_of_donors = donors - remedies._blurred(donors, 1.0)
        drawn = train.draw(train.rare, train.n_missing).astype(float)
        assert (
            np.abs(fine - fine_of_donors).mean()
            < 0.5 * np.abs(drawn - remedies._blurred(drawn, 1.0) - fine_of_donors).mean()
        )

    @pytest.mark.parametrize("rule", ["most_plausible", "taken_for_real", "nearest_each", "herded"])
    def test_rules_choose_a_quarter_of_those_drawn(self, train, rule):
        """Each image at most once; and the most plausible ones are so."""
        X, y = remedies.chosen(train, getattr(remedies, rule), remedies.pixels)
        kept, drawn = X[len(train.X) :], train.draw(train.rare, 4 * train.n_missing)
        assert set(y[len(train.X) :]) == {train.rare}
        real, kept, drawn = map(remedies.pixels, (train.real(train.rare), kept, drawn))
        assert len(np.unique(kept, axis=0)) == len(kept) == train.n_missing
        assert {image.tobytes() for image in kept} <= {image.tobytes() for image in drawn}
        if rule == "most_plausible":
            assert np.median(realism(real, kept)) > np.median(realism(real, drawn))


def test_filters_judge_by_what_no_rule_has_seen(train, monkeypatch):
    """Every rule by pixels and by features, of the same images drawn, beside real ones that the rules do not know."""
    seen = []

    def features(images):
        seen.append(images)
        return images[:, ::4, ::4].reshape(len(images), -1) / 255

    monkeypatch.setattr(filters, "N_KEPT", 6)
    monkeypatch.setattr(remedies, "train_generators", lambda *_: train.sampler)
    monkeypatch.setattr(remedies, "features", features)
    monkeypatch.setitem(filters.CHOSEN_BY, "features", features)
    data = sources.Images("toy", train.X, train.y, ["disc", "square"])
    rows = np.arange(len(train.X))
    table = pd.DataFrame(filters.run_split(Split("random", 0, rows, rows[:0]), data, None))
    assert table[["rule", "by"]].to_numpy().tolist() == [
        ["first come", "-"],
        *([rule, by] for by in ("pixels", "features") for rule in list(filters.RULES)[1:]),
    ]
    assert table.filter(like="KID").notna().all(axis=None)
    judged, known = seen[0], seen[2]
    assert not {image.tobytes() for image in judged} & {image.tobytes() for image in known}
    assert "taken for real" in filters.show(table)
