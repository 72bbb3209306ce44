"""benchmarks/research: how the defaults were found."""

import json
from argparse import Namespace
from functools import partial
from pathlib import Path

import common
import defaults
import filters
import gallery
import memorisation
import numpy as np
import pandas as pd
import precision
import pytest
import remedies
import samplers
import torch
import usable
import variants
from conftest import make_shapes
from sklearn.ensemble import RandomForestClassifier

from gan_sampler import DCGANOverSampler
from gan_sampler.evaluation._data import ImageData
from gan_sampler.quality import realism

RESULTS = Path(__file__).parents[1] / "docs" / "results"


class Pixels:
    """Stands for an embedder: every fourth pixel."""

    def __init__(self, **_):
        pass

    def fit(self, X):
        return self

    def transform(self, X):
        return X[:, ::2, ::2].reshape(len(X), -1) / 255


def make_data(n_discs=24, n_squares=10, size=16):
    """Return toy images, the squares being rare."""
    X, y = make_shapes(n_discs, n_squares, size=size)
    return ImageData("toy", X, (y == "square").astype(int), ["disc", "square"])


class TestTables:
    """common.complete: tables that are continued."""

    def complete(self, file, cells, digest="a"):
        computed = []

        def compute(name, seed):
            computed.append((name, seed))
            return [{"name": name, "seed": seed, "step": step, "value": 0.5} for step in (1, 2)]

        options = Namespace(out=file, n_jobs=1)
        return common.complete(options, compute, cells, by=("name", "seed"), digest=digest), computed

    def test_what_is_there_is_not_computed_again(self, tmp_path):
        """A run of hours that was stopped goes on."""
        file = tmp_path / "new" / "table.csv"
        self.complete(file, [("b, with comma", 0)])
        table, computed = self.complete(file, [("b, with comma", 0), ("c", 0), ("c", 1)])
        assert computed == [("c", 0), ("c", 1)]
        assert table.groupby(["name", "seed"]).size().to_dict() == {("b, with comma", 0): 2, ("c", 0): 2, ("c", 1): 2}

    def test_rows_of_other_code_are_refused(self, tmp_path):
        """One table must not mix what cannot be compared; so too with a table that does not say what made it."""
        file = tmp_path / "table.csv"
        self.complete(file, [("b", 0)])
        with pytest.raises(common.UsageError, match="same scripts, data and versions"):
            self.complete(file, [("c", 0)], digest="other")
        pd.read_csv(file).drop(columns="made_by").to_csv(file, index=False)
        with pytest.raises(common.UsageError, match="Move it away"):
            self.complete(file, [("c", 0)])

    def test_scripts_data_and_settings_tell_rows_apart(self, tmp_path):
        """Each of them, and nothing else."""
        (tmp_path / "script.py").write_text("1")
        files, data = [tmp_path / "script.py"], make_data()
        known = common.made_by(files, [data], 1)
        assert known == common.made_by(files, [make_data()], 1)
        others = {common.made_by(files, [make_data(25)], 1), common.made_by(files, [data], 2)}
        (tmp_path / "script.py").write_text("2")
        assert len(others | {known, common.made_by(files, [data], 1)}) == 4

    def test_what_the_user_can_mend_is_told_in_a_line(self, tmp_path, capsys, monkeypatch):
        """No traceback for a folder that is not there; one for a fault of the script."""
        parser = common.make_parser("", out=tmp_path / "table.csv")
        with pytest.raises(SystemExit):
            common.run(parser, parser.parse_args([]), lambda _: common.load_images("nowhere", 8), str)
        assert "--data nowhere: the data must be elpv, digits" in capsys.readouterr().err
        with pytest.raises(SystemExit):
            common.run(parser, parser.parse_args(["--show"]), None, str)
        assert "there is no" in capsys.readouterr().err
        with pytest.raises(ZeroDivisionError):
            common.run(parser, parser.parse_args([]), lambda _: 1 / 0, str)

    @pytest.mark.parametrize(
        ("script", "file", "entry"),
        [
            (defaults, "defaults.csv", "report's recipe"),
            (defaults, "score.csv", "0.976"),
            (defaults, "style.csv", "style-based G"),
            (usable, "usable.csv", "held-out real"),
            (memorisation, "memorisation.csv", "one fresh image"),
            (filters, "filters.csv", "taken for real"),
            (remedies, "remedies.csv", "0.726 / 0.914 (0 1 2)"),
            (remedies, "remedies_elpv.csv", "augmented"),
        ],
    )
    def test_published_tables_are_shown(self, script, file, entry):
        """By the commands that the documents name."""
        assert entry in script.show(pd.read_csv(RESULTS / file))


def test_digits_are_resized():
    """Networks of 28 pixels are tried on them; other data keep what the loader gives."""
    data = common.load_images("digits", 28)
    assert data.images.shape == (1797, 28, 28)
    assert common.load_images("digits", 8).images.shape == (1797, 8, 8)
    assert (data.target == 1).sum() == 174


def test_snapshots_keep_what_was_scored_by_step():
    """Reports come every 50 steps; scores are those of images before they were rounded."""
    images = torch.from_numpy(make_data().images)[:, None]
    snapshots = common.Snapshots(images)
    drawn = torch.rand(20, 1, 16, 16) * 2 - 1
    record = snapshots(drawn)
    snapshots(drawn / 2)
    assert list(snapshots.found) == [50, 100]
    assert snapshots.found[50][1] is record
    torch.testing.assert_close(snapshots.found[50][0] / 127.5 - 1, drawn, atol=1 / 255, rtol=0)


def test_images_that_a_task_leaves_out_are_nowhere_in_training():
    """The images to compare with are all of the class."""
    toy = make_data(40, 30)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(defaults, "TASKS", {"toy": ("toy", 16, 10, 1)})
        images, real = defaults.load_task("toy", 0, {("toy", 16): toy})
    assert (len(images), len(real)) == (10, 30)
    assert {image.numpy().tobytes() for image in images[:, 0]} < {image.tobytes() for image in real}


@pytest.mark.parametrize("name", defaults.VARIANTS)
def test_every_variant_trains(name):
    """A table with a row that cannot be made again is no evidence."""
    X, _ = make_shapes(size=16)
    images = torch.from_numpy(X)[:, None]
    generator, history = defaults._train(images[:20], defaults.VARIANTS[name], 4, 0)
    assert history[-1]["step"] == 4
    assert all(p.isfinite().all() for p in generator.parameters())


def test_variants_start_from_one_recipe_and_leave_it_alone():
    """One variant's settings must not leak into the next."""
    before = json.dumps(defaults.START)
    X, _ = make_shapes(size=16)
    defaults._train(torch.from_numpy(X)[:, None], defaults.VARIANTS["batch 16"], 1, 0)
    assert json.dumps(defaults.START) == before


def test_scores_are_compared_with_kid_over_a_training(monkeypatch):
    """One snapshot of every five, judged by both."""
    monkeypatch.setattr(defaults, "EfficientNetLite0Embedder", Pixels)
    monkeypatch.setattr(defaults, "TASKS", {"toy": ("toy", 16, 30, 1)})
    monkeypatch.setitem(defaults.START["generator"], "base_channels", 2)
    monkeypatch.setitem(defaults.START["discriminator"], "base_channels", 2)
    monkeypatch.setitem(defaults.START["train"], "batch_size", 4)
    data = {("toy", 16): make_data(60, 40)}
    name = "last average, no snapshots"  # the score is looked at even where it chooses nothing
    (row,) = defaults.check_score("toy", name, 0, data, n_steps=500)
    assert row["n_snapshots"] == 2
    assert -1 <= row["rank_correlation"] <= 1
    assert row["kid_of_best"] <= row["kid_of_chosen"]


def test_too_few_steps_to_compare_scores_are_refused():
    """Before anything is read or trained."""
    with pytest.raises(common.UsageError, match="at least 500 steps; got 499"):
        defaults.compute_table(Namespace(check_score=499))


def test_a_variant_gives_a_row(monkeypatch):
    """Of the time asked for, with KID to the whole class."""
    monkeypatch.setattr(defaults, "EfficientNetLite0Embedder", Pixels)
    monkeypatch.setattr(defaults, "TASKS", {"toy": ("toy", 16, None, 0.05)})
    monkeypatch.setattr(defaults, "_seconds_per_step", lambda *_: 0.01)
    (row,) = defaults.run_cell("toy", "16 base channels", 3, {("toy", 16): make_data(60, 40)})
    assert (row["variant"], row["seed"], row["n_images"], row["n_steps"]) == ("16 base channels", 3, 40, 5)
    assert row["kid"] > row["kid_between_halves"]


def test_snapshots_are_judged_beside_real_images(monkeypatch):
    """A training of 100 steps draws noise, which both judgements see; and no real images are called unusable."""
    monkeypatch.setattr(usable, "EfficientNetLite0Embedder", Pixels)
    monkeypatch.setattr(usable, "TASKS", {"toy": ("toy", 16, 20, (50, 100))})
    monkeypatch.setattr(usable, "N_JUDGED", 30)
    table = pd.DataFrame(usable.judge("toy", 0, {("toy", 16): make_data(80, 60)}, None))
    assert table["step"].tolist() == [50, 100, "held-out real"]
    assert table["is_unusable"].tolist() == [True, True, False]
    assert table["kid"].idxmin() == 2


def test_exact_copies_are_found_and_fresh_images_are_not_called_copies(monkeypatch):
    """The two ends of the table."""
    settings = {"N_HELD_OUT": (20, 40), "N_SYNTHETIC": 40, "SHARES": (1.0,), "N_DRAWS": 3}
    for name, value in settings.items():
        monkeypatch.setattr(memorisation, name, value)
    images = make_data(150, 50).images
    features = Pixels().transform(images)
    table = pd.DataFrame(memorisation.run_seed(60, 1, images, features, Pixels().transform))
    assert table[["n_train", "seed", "n_draws"]].drop_duplicates().to_numpy().tolist() == [[60, 1, 3]]
    alarms = table.set_index(["synthetic", "n_held_out"])["alarm"]
    assert alarms["exact", 40] == 1
    assert alarms["fresh", 40] == 0
    assert len(table) == 2 * (len(memorisation.COPIES) + len(memorisation.NO_COPIES))


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
    """In rows, with white between them; grey stays grey."""
    images = np.arange(5, dtype=np.uint8)[:, None, None] * np.ones((5, 4, 4), dtype=np.uint8)
    picture = np.asarray(gallery.as_picture(np.concatenate([images, images])))
    assert picture.shape == (2 * 5 + 1, 8 * 5 + 1)
    assert picture[1, 1::5].tolist() == [0, 1, 2, 3, 4, 0, 1, 2]
    assert picture[6, 1::5].tolist() == [3, 4] + 6 * [255]
    assert (picture[5] == 255).all()
    colours = np.asarray(gallery.as_picture(np.stack([images, images, 9 - images], axis=-1)))
    assert colours[1, 11].tolist() == [2, 2, 7]
    assert gallery.least_distance(images) == 1


@pytest.fixture(scope="module")
def train():
    """Return training images and generators that know nothing yet."""
    X, y = make_shapes(24, 10, size=16)
    X, y = np.concatenate([X, X + 1]), np.tile((y == "square").astype(int), 2)
    counts = np.bincount(y)
    sampler = DCGANOverSampler(
        sampling_strategy={label: n + 1 for label, n in enumerate(counts)}, n_steps=2, base_channels=2, random_state=0
    )
    sampler.fit_resample(X, y)
    return remedies.Train(X, y, sampler, seed=0)


class TestRemedies:
    """What goes to a classifier."""

    @pytest.mark.parametrize("name", remedies.REMEDIES)
    def test_every_remedy_gives_balanced_classes_with_all_real_images(self, train, name):
        """Except for doing nothing; and what all images pass through keeps their kind."""
        X, y = remedies.REMEDIES[name](train)
        np.testing.assert_array_equal(X[: len(train.X)], train.X)
        counts = np.bincount(y)
        assert (counts[0] == counts[1]) == (name != "nothing")
        passed = remedies.transformed(X, name, 0)
        assert passed.dtype == np.uint8
        assert passed.shape == X.shape
        assert (passed is X) == (name not in remedies.TRANSFORMS)

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


@pytest.mark.parametrize("classifier", ["ann", "svm"])
def test_classifiers_are_tested_on_real_images_that_nothing_was_trained_on(classifier, train, monkeypatch, tmp_path):
    """Those of a quarter, as a remedy has them seen; an SVM gives no probabilities, and no Brier score."""
    data, trained_on = make_data(48, 20), []

    def take_trained(X, *_):
        trained_on.append(X)
        return train.sampler

    monkeypatch.setattr(remedies, "train_generators", take_trained)
    monkeypatch.setattr(remedies, "EfficientNetLite0Embedder", Pixels)
    (row,) = remedies.run_cell("synthetic, blur on all", classifier, 0, data, None, tmp_path)
    n_tested = len(data.target) - len(trained_on[0])
    assert n_tested == 17
    assert row["n_train"] == 2 * 36
    assert row["accuracy"] * n_tested == pytest.approx(round(row["accuracy"] * n_tested))
    assert np.isnan(row["brier"]) == (classifier == "svm")


def test_filters_judge_by_what_no_rule_has_seen(train, monkeypatch):
    """Every rule by pixels and by features, of the same images drawn, beside real ones that the rules do not know."""
    seen = []

    def features(images):
        seen.append(images)
        return images[:, ::4, ::4].reshape(len(images), -1) / 255

    for script in (filters, remedies):  # a hundred trees would take most of the time
        monkeypatch.setattr(script, "RandomForestClassifier", partial(RandomForestClassifier, 10))
    monkeypatch.setattr(filters, "N_KEPT", 6)
    monkeypatch.setattr(filters, "train_generators", lambda *_: train.sampler)
    monkeypatch.setattr(remedies, "features", features)
    monkeypatch.setitem(filters.CHOSEN_BY, "features", features)
    table = pd.DataFrame(filters.run_seed(0, make_data(48, 20), None, None))
    assert table[["rule", "by"]].to_numpy().tolist() == [
        ["first come", "-"],
        *([rule, by] for by in ("pixels", "features") for rule in list(filters.RULES)[1:]),
    ]
    assert table.filter(like="KID").notna().all(axis=None)
    judged, known = seen[0], seen[2]
    assert not {image.tobytes() for image in judged} & {image.tobytes() for image in known}
    assert "taken for real" in filters.show(table)


def test_generators_are_trained_once(monkeypatch, tmp_path):
    """For all remedies and filters; another seed or length has generators of its own."""
    data, fitted = make_data(12, 8), []
    monkeypatch.setattr(
        DCGANOverSampler, "fit_resample", lambda self, X, y: fitted.append((self.random_state, self.n_steps))
    )
    asked = [(0, 5), (1, 5), (0, 5), (0, 6), (1, 5)]
    for seed, n_steps in asked:
        common.train_generators(data.images, data.target, seed, n_steps, tmp_path)
    assert fitted == [(0, 5), (1, 5), (0, 6)]


class TestPrecision:
    """precision.py."""

    def test_trainings_differ_in_their_precision_alone(self, monkeypatch):
        """And are judged by images that they have not seen."""
        monkeypatch.setattr(precision, "TASKS", {"toy": (16, 6, 3)})
        monkeypatch.setattr(precision, "EfficientNetLite0Embedder", Pixels)
        monkeypatch.setattr(precision, "N_JUDGED", 5)
        trained = []
        monkeypatch.setattr(
            precision, "DCGANOverSampler", lambda **options: trained.append(options) or DCGANOverSampler(**options)
        )
        rows = [precision.judge("toy", 0, name, {16: make_data()})[0] for name in precision.PRECISIONS]
        assert [options.pop("precision") for options in trained] == ["float32", "bfloat16"]
        assert trained[0] == trained[1]
        assert trained[0]["sampling_strategy"] == {1: 7}
        assert np.isfinite([row["kid"] for row in rows]).all()

    def test_differences_are_paired_by_seed(self):
        kid = {"float32": [1.0, 2.0, 3.0], "bfloat16": [1.1, 2.2, 3.3]}
        rows = [
            {"task": "a", "seed": seed, "precision": name, "n_steps": 5, "seconds": 9.0, "kid": value, "made_by": "x"}
            for name, values in kid.items()
            for seed, value in enumerate(values)
        ]
        shown = precision.show(pd.DataFrame(rows))
        assert "| 2.00 ± 1.00 " in shown
        assert "+0.20 (-0.05 to +0.45)" in shown  # .2 ± 4.303 · .1 / √3
        assert "(" not in precision.show(pd.DataFrame(rows).query("seed == 0")).splitlines()[-1]


class TestSamplers:
    """What classifiers learn from in the comparison of samplers."""

    @staticmethod
    def mix(made_by_gan=True):
        features = np.arange(40.0)[:, None]
        y = np.repeat([0, 1], [8, 32])
        made, augmented, of_other = (np.full((n, 1), value) for n, value in ((24, 100.0), (24, 200.0), (8, 300.0)))
        made = made if made_by_gan else augmented
        return dict(samplers.mixtures(features, y, 0, made, augmented, of_other, seed=0))

    def count(self, use, **options):
        X, y = self.mix(**options)[use]
        counts = np.bincount(y, minlength=2).tolist()
        return counts, [int((value == X).sum()) for value in (100, 200, 300)]

    def test_all_mixtures_balance_the_classes(self):
        assert self.count("alone") == ([32, 32], [24, 0, 0])
        assert self.count("repeated") == ([32, 32], [6, 0, 0])
        assert self.count("default") == ([32, 32], [6, 9, 0])
        assert self.count("every class") == ([40, 40], [8, 0, 8])

    def test_augmentation_shows_the_default_without_synthetic_images(self):
        """As many are augmented, so that the difference is that of the GAN's images."""
        assert self.count("default", made_by_gan=False) == ([32, 32], [0, 9, 0])

    def test_the_default_is_that_of_the_package(self):
        sampler = DCGANOverSampler()
        assert 1 - sampler.repeated_share == samplers.SHARE
        assert sampler.augmented_share == 0.5

    def test_the_tables_show_samplers_that_are_no_longer_there(self):
        """Their rows say why."""
        row = {"seed": 0, "classifier": "svm", "use": "alone", "roc_auc": 0.8, "seconds": 1.0, "n_train": 9}
        row |= dict.fromkeys(samplers.MEASURES, 0.5)
        rows = [
            row | {"treatment": treatment, "classifier": classifier}
            for treatment in ("all real images", "OldGAN", "DCGAN")
            for classifier in samplers.CLASSIFIERS
        ]
        shown = samplers.show(pd.DataFrame(rows))
        assert shown.index("DCGAN") < shown.index("OldGAN") < shown.index("all real images")

    def test_only_seeds_that_all_rows_have_are_shown(self):
        """Otherwise a sampler could win by the easier split."""
        row = {"classifier": "svm", "use": "", "seconds": None, "n_train": 9} | dict.fromkeys(samplers.MEASURES)
        rows = [
            row | {"treatment": treatment, "seed": seed, "classifier": classifier, "roc_auc": 0.5 + 0.4 * seed}
            for treatment, seed in (("none", 0), ("none", 1), ("random", 0))
            for classifier in samplers.CLASSIFIERS
        ]
        shown = samplers.show(pd.DataFrame(rows))
        assert "0.900" not in shown
        assert shown.count("0.500") == 8
