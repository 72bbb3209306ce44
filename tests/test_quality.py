"""Each measure of the quality report sees the fault it is for, and not those it is not for."""

import copy
import pickle
import warnings

import memorisation as memorisation_table
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter
from scipy.sparse import csr_array
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from gan_sampler import QualityWarning, quality_report
from gan_sampler.quality import MEASURES, Measure, _judgement, _measures, _report, register

SIZE, N = 16, 120


def flatten(X):
    """Return images as rows of numbers in [0, 1]."""
    return np.asarray(X, dtype=float).reshape(len(X), -1) / 255


FLAT = FunctionTransformer(flatten)
EMBEDDER = make_pipeline(FLAT, PCA(20, random_state=0))


def discs(n, seed):
    """Return grey discs of any place, size and brightness on a noisy ground."""
    rng = np.random.RandomState(seed)
    y, x = np.mgrid[:SIZE, :SIZE]
    place, radius, light = (
        rng.uniform(5, 11, (2, n, 1, 1)),
        rng.uniform(2, 5, (n, 1, 1)),
        rng.uniform(100, 250, (n, 1, 1)),
    )
    images = np.where(np.hypot(y - place[0], x - place[1]) < radius, light, 40) + rng.normal(0, 12, (n, SIZE, SIZE))
    return images.clip(0, 255).astype(np.uint8)


def jittered(images, seed=0):
    """Return images with noise that the eye does not see."""
    noise = np.random.RandomState(seed).normal(0, 2, images.shape)
    return (images + noise).clip(0, 255).astype(np.uint8)


REAL, HELD_OUT, OTHERS = discs(N, 0), discs(N, 1), 255 - discs(N, 2)
SYNTHETIC = {
    "perfect": discs(N, 3),
    "collapsed": jittered(np.repeat(discs(1, 4), N, axis=0)),
    "copied": jittered(REAL[np.random.RandomState(5).randint(N // 4, size=N)]),
    "noise": np.random.RandomState(6).randint(256, size=REAL.shape, dtype=np.uint8),
    "wrong class": 255 - discs(N, 8),
    "blurred": gaussian_filter(discs(N, 7), (0, 1, 1)),
}


@pytest.fixture(scope="module")
def reports():
    """Return the report of each toy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QualityWarning)
        return {
            name: quality_report(REAL, images, HELD_OUT, X_rest=OTHERS, embedder=EMBEDDER, random_state=0)
            for name, images in SYNTHETIC.items()
        }


def test_a_perfect_generator_looks_as_held_out_images_do(reports):
    """No alarm where there is nothing to see."""
    report = reports["perfect"]
    assert abs(report.kid) < 4 * report.kid_error
    assert report.near_copies <= report.near_copies_among_real + 0.05
    assert report.memorisation_p > 0.05
    assert 0.4 < report.auc_pixels < 0.6
    assert 0.4 < report.auc_features < 0.6
    assert report.utility_synthetic > 0.95 * report.utility_real
    for name in ("density", "precision", "coverage", "recall", "spread"):
        assert getattr(report, name) == pytest.approx(report.reference[name], abs=0.15)


CAUGHT = {  # measure: (names of toys that it must catch, names that it must let pass, what being caught means)
    "kid": (("collapsed", "noise"), ("perfect",), lambda report: report.kid > 5 * report.kid_error),
    "precision": (("noise",), ("perfect", "copied", "collapsed"), lambda report: report.precision < 0.5),
    "density": (("noise",), ("perfect", "copied"), lambda report: report.density < 0.5),
    "coverage": (("collapsed", "noise", "copied"), ("perfect",), lambda report: report.coverage < 0.7),
    "recall": (("collapsed",), ("perfect",), lambda report: report.recall < 0.5),
    "spread": (("collapsed",), ("perfect", "copied", "blurred"), lambda report: report.spread < 0.5),
    "auc_pixels": (("noise", "blurred"), ("perfect",), lambda report: report.auc_pixels > 0.8),
    "near_copies": (("copied",), ("perfect", "collapsed", "noise", "blurred"), lambda report: report.near_copies > 0.1),
    "memorisation": (("copied",), ("perfect", "noise", "blurred"), lambda report: report.memorisation_p < 0.01),
    "utility": (("wrong class",), ("perfect", "copied", "blurred"), lambda report: report.utility_synthetic < 0.9),
}


@pytest.mark.parametrize("measure", CAUGHT)
def test_each_fault_is_caught_by_the_measure_for_it(reports, measure):
    """And let pass by the others."""
    caught, passed, is_caught = CAUGHT[measure]
    for name in caught:
        assert is_caught(reports[name]), f"{name} must be caught:\n{reports[name]}"
    for name in passed:
        assert not is_caught(reports[name]), f"{name} must pass:\n{reports[name]}"


class TestKernelInceptionDistance:
    """Unbiased, with an honest error."""

    def test_by_hand(self):
        """One feature, three images: sums that fit on a sheet of paper."""
        real, synthetic = np.array([[0.0], [1.0], [2.0]]), np.array([[0.0], [0.0], [1.0]])
        within_real = (1 + 1 + 27) / 3  # k(0,1), k(0,2), k(1,2) with k(x, y) = (xy + 1)³
        within_synthetic = (1 + 1 + 1) / 3
        between = (1 + 1 + 1 + 1 + 1 + 8 + 1 + 1 + 27) / 9
        distance, _ = _measures.kernel_inception_distance(real, synthetic)
        assert distance == pytest.approx(within_real + within_synthetic - 2 * between)

    def test_as_torchmetrics_has_it(self):
        """On one subset of all images."""
        torch, kid = pytest.importorskip("torch"), pytest.importorskip("torchmetrics.image.kid")
        rng = np.random.RandomState(0)
        real, synthetic = rng.normal(size=(40, 8)), rng.normal(0.3, 1.2, size=(40, 8))
        expected = kid.poly_mmd(torch.from_numpy(real), torch.from_numpy(synthetic)).item()
        assert _measures.kernel_inception_distance(real, synthetic)[0] == pytest.approx(expected)

    def test_the_error_is_that_of_repetition(self):
        """The jackknife's mean over many draws is the spread of the estimates."""
        rng = np.random.RandomState(0)
        estimates = np.array(
            [
                _measures.kernel_inception_distance(rng.normal(size=(60, 4)), rng.normal(0.5, 1, size=(50, 4)))
                for _ in range(200)
            ]
        )
        assert estimates[:, 1].mean() == pytest.approx(estimates[:, 0].std(), rel=0.25)

    def test_unbiased(self):
        """Around 0 for one distribution, however few images."""
        rng = np.random.RandomState(0)
        estimates = [_measures.kernel_inception_distance(*rng.normal(size=(2, 10, 4)))[0] for _ in range(300)]
        assert abs(np.mean(estimates)) < 3 * np.std(estimates) / np.sqrt(300)


def test_what_is_missing_is_named():
    """By the name of the argument."""
    with pytest.raises(ValueError, match="X_synthetic must hold the images to be measured; got None"):
        quality_report(REAL, None, embedder=EMBEDDER)


def test_the_printed_report_says_what_bad_numbers_mean(reports):
    """A table of numbers without alarm would be taken for praise."""
    assert "artefacts predict the class" in str(reports["noise"])
    assert "Do not use these images: they are unlike any real image, precision is 0.00" in str(reports["noise"])
    assert "A classifier learns less" in str(reports["wrong class"])
    assert "Most kinds of real images are missing" in str(reports["collapsed"])
    assert not list(_judgement.find_notes(reports["perfect"]))


def gaussians(rng, n):
    """Features of one kind."""
    return rng.normal(size=(n, 8))


def doubles(rng, n):
    """A third of them near-doubles of others, as of one patient."""
    points = rng.normal(size=(n, 8))
    points[: n // 3] = points[n // 3 : 2 * (n // 3)] + 0.01 * rng.normal(size=(n // 3, 8))
    return points


def memorisation(train, held_out, synthetic):
    """In one space."""
    return _measures.memorisation(*([_measures.three_nearest(train, [x])] for x in (held_out, synthetic)))


class TestMemorisation:
    """Copies raise the share, nothing else does."""

    @pytest.mark.parametrize("draw", [gaussians, doubles])
    @pytest.mark.parametrize("sizes", [(40, 10, 100), (300, 10, 50), (200, 100, 100)])
    def test_false_alarms_are_no_more_than_the_level(self, draw, sizes):
        """Also with ten held-out images, and where training images are there nearly twice."""
        rng = np.random.RandomState(0)
        found = np.array([memorisation(*(draw(rng, n) for n in sizes)) for _ in range(200)])
        assert found[:, 0].mean() == pytest.approx(0.5, abs=0.03)
        assert np.mean(found[:, 1] <= 0.05) <= 0.05 + 3 * (0.05 * 0.95 / 200) ** 0.5
        assert np.mean(found[:, 1] <= 0.5) >= 0.3

    def test_a_tenth_of_copies_is_found_where_enough_is_held_out(self):
        """They hardly move the share."""
        rng = np.random.RandomState(0)
        train, held_out, synthetic = gaussians(rng, 500), gaussians(rng, 200), gaussians(rng, 300)
        synthetic[:30] = train[:30] + 0.02 * gaussians(rng, 30)
        share, p = memorisation(train, held_out, synthetic)
        assert share < 0.6
        assert p < 0.01
        assert memorisation(train, held_out[:10], synthetic)[1] > 0.01  # ten are too few, as documented

    def test_one_image_again_and_again_proves_nothing(self):
        """Whether it is near a training image by chance is one question, not a hundred."""
        rng = np.random.RandomState(0)
        for _ in range(30):
            train, held_out, one = gaussians(rng, 100), gaussians(rng, 50), gaussians(rng, 1)
            assert memorisation(train, held_out, one + 0.01 * gaussians(rng, 100))[1] > 0.01

    def test_versions_are_shifted_by_a_pixel_and_mirrored(self):
        """A copy of either kind is at no distance from one of them; large images are averaged down."""
        rng = np.random.RandomState(0)
        images = rng.rand(3, 2, 9, 12).astype(np.float32)
        inside = images[:, :, 1:-1, 1:-1].reshape(3, -1)
        for changed in (images, np.roll(images, 1, 2), np.roll(images, -1, 3), np.roll(images, 1, 3)[..., ::-1]):
            versions = _measures.versions_of(np.ascontiguousarray(changed))
            assert min(np.abs(version - inside).max() for version in versions) == 0
        assert _measures.versions_of(np.ones((2, 1, 128, 65), np.float32))[0].shape == (2, 30 * 30)
        assert len(_measures.versions_of(np.ones((2, 1, 1, 20), np.float32))) == 6

    @pytest.mark.parametrize("kind", ["noisy", "shifted", "mirrored"])
    @pytest.mark.filterwarnings("ignore:The synthetic images are in part near-copies")
    def test_changed_copies_of_many_images_are_found_with_few_held_out(self, kind):
        """Thinning the training images to as many as are held out lost the sources of most."""
        train = discs(2000, 20)
        copied = train[np.random.RandomState(0).permutation(2000)[:150]]
        made = {
            "noisy": jittered(copied),
            "shifted": np.pad(copied, ((0, 0), (0, 0), (1, 0)), mode="edge")[:, :, :-1],
            "mirrored": copied[:, :, ::-1],
        }[kind]
        with pytest.warns(QualityWarning, match=r"nearer to single training images .* memorisation is (1|0\.9)"):
            report = quality_report(train, made, discs(200, 21), embedder=FLAT, max_images=200, random_state=0)
        assert report.memorisation > 0.95


def test_doubles_among_the_real_images_are_told_apart_from_copies_of_them():
    """They are the data's own, and hide no copy."""
    rng = np.random.RandomState(0)
    once = rng.normal(size=(20, 12))
    real = np.concatenate([once, once + 1e-3 * rng.normal(size=once.shape)])
    is_copy, is_double = _measures.find_near_copies(real, rng.normal(size=(10, 12)))
    assert is_double.all()
    assert not is_copy.any()
    is_copy, _ = _measures.find_near_copies(real, once + 1e-3 * rng.normal(size=once.shape))
    assert is_copy.all()


@pytest.mark.filterwarnings("ignore::gan_sampler.QualityWarning")
@pytest.mark.parametrize("n_times", [1, 2, 6])
def test_exact_copies_are_caught_also_of_images_left_out_or_repeated(n_times):
    """A privacy measure that looks at a part of the data, or is blinded by repetition, gives a false all-clear."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        report = quality_report(
            np.repeat(REAL, n_times, axis=0), REAL[:40], embedder=EMBEDDER, max_images=30, random_state=0
        )
    assert report.near_copies == 1.0
    assert report.n_real == n_times * N
    np.testing.assert_array_equal(np.repeat(REAL, n_times, axis=0)[report.nearest], REAL[report.rows_synthetic])
    assert report.realism.max() > 1e6  # infinite but for rounding, which depends on the processor


@pytest.mark.parametrize(("name", "number"), [("collapsed", "spread is 0.0"), ("copied", "near_copies is ")])
def test_copies_and_collapse_raise_a_warning_with_the_number(name, number):
    """Who does not print the report must hear of them all the same."""
    with pytest.warns(QualityWarning, match=f"^My images .*{number}"):
        quality_report(REAL, SYNTHETIC[name], embedder=EMBEDDER, random_state=0, name="My images")


@pytest.mark.filterwarnings("ignore:The synthetic images are in part near-copies")
def test_memorisation_is_not_seen_where_images_are_there_more_than_once():
    """Of training images each counts once; were it not so for held-out ones too, they would seem farther away."""
    real, held_out = (np.repeat(discs(120, seed), 3, axis=0) for seed in (0, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QualityWarning)
        report = quality_report(real, discs(300, 2), held_out, embedder=FunctionTransformer(flatten), random_state=0)
    assert report.memorisation_p > 0.1


def test_memorisation_is_warned_of_only_where_it_can_be_inferred():
    """Held-out images of another source are farther away whatever the generator did."""
    options = {"embedder": EMBEDDER, "random_state": 0}
    with pytest.warns(QualityWarning, match=r"memorisation is 0\.[6-9]|memorisation is 1"):
        quality_report(REAL, SYNTHETIC["copied"], HELD_OUT, **options)
    with pytest.warns(
        QualityWarning, match=r"no evidence of memorisation: .* another source: .* AUC of (1|0\.9)"
    ) as found:
        quality_report(REAL, SYNTHETIC["perfect"], SYNTHETIC["noise"], **options)
    assert len(found) == 1


def test_no_warning_without_fault():
    """Alarms that always ring are switched off."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quality_report(REAL, SYNTHETIC["perfect"], HELD_OUT, embedder=EMBEDDER, random_state=0)


def test_the_printed_table_holds_the_numbers(reports):
    """Read by people."""
    text = str(reports["perfect"])
    assert text.splitlines()[0] == f"{N} synthetic images against {N} real ones and {N} held out"
    assert f"{reports['perfect'].coverage:.2f}" in text
    assert "held-out real" in text
    short = str(quality_report(REAL, SYNTHETIC["perfect"], embedder=EMBEDDER, random_state=0))
    assert "held-out" not in short
    assert "Utility" not in short


def test_the_figure_shows_the_best_and_worst_above_their_neighbours(reports):
    """With a copy, both pictures are the same."""
    pytest.importorskip("matplotlib").use("Agg")
    report = reports["copied"]
    (axes,) = report.plot(fig=Figure()).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["most plausible", "least\nplausible"]
    picture = np.asarray(axes.images[0].get_array())
    assert picture[:SIZE, :, 3].astype(bool).sum() == 6 * SIZE**2
    drawn, beside = picture[:SIZE, :SIZE, 0], picture[SIZE + 1 : 2 * SIZE + 1, :SIZE, 0]
    best = np.argmax(report.realism)
    np.testing.assert_array_equal(drawn, SYNTHETIC["copied"][report.rows_synthetic[best]])
    np.testing.assert_array_equal(beside, REAL[report.nearest[best]])
    worst = np.argsort(-report.realism, kind="stable")[-6]
    np.testing.assert_array_equal(
        picture[-2 * SIZE - 1 : -SIZE - 1, :SIZE, 0], SYNTHETIC["copied"][report.rows_synthetic[worst]]
    )


def test_a_pickled_report_holds_no_image(reports):
    """Medical images must not leave with a model file."""
    pickled = pickle.dumps(reports["copied"])
    assert len(pickled) < 20 * N * 8
    loaded = pickle.loads(pickled)
    assert str(loaded) == str(reports["copied"])
    pytest.importorskip("matplotlib")
    with pytest.raises(ValueError, match="real images do not travel"):
        loaded.plot()


def test_large_sets_are_thinned_and_say_which_images_were_taken():
    """Time and memory grow with the square."""
    report = quality_report(REAL, SYNTHETIC["perfect"][:60], embedder=EMBEDDER, max_images=50, random_state=0)
    assert (report.n_real, report.n_synthetic) == (N, 50)
    assert len(np.unique(report.rows_synthetic)) == len(report.nearest) == 50
    with pytest.raises(ValueError, match="max_images must be an integer of at least 10; got 3"):
        quality_report(REAL, SYNTHETIC["perfect"], embedder=EMBEDDER, max_images=3)


def test_held_out_images_that_were_trained_on_are_told():
    """They are as near to themselves as copies are, and hide them."""
    options = {"embedder": EMBEDDER, "random_state": 0, "max_images": 20}
    held_out = np.concatenate([REAL[:30], HELD_OUT[30:]])
    for given in (held_out, held_out.astype(np.int64)):
        with pytest.warns(QualityWarning, match="30 of its 120 images are also in X_real"):
            quality_report(REAL, SYNTHETIC["perfect"], given, **options)


@pytest.mark.parametrize(
    ("embedder", "error", "message"),
    [
        (
            "efficientnet",
            TypeError,
            "embedder must be a transformer, an object .* or None; got 'efficientnet'",
        ),
        (FunctionTransformer(lambda X: flatten(X) * np.nan), ValueError, r"of shape \(120, 256\) .* with NaN"),
        (FunctionTransformer(lambda X: flatten(X)[:5]), ValueError, r"of shape \(5, 256\) and dtype float64 for 120"),
        (
            FunctionTransformer(lambda X: ["a"] * len(X)),
            ValueError,
            r"embedder must be .* shape \(120,\) and dtype <U1",
        ),
        (FunctionTransformer(lambda X: np.empty((len(X), 0))), ValueError, r"shape \(120, 0\)"),
        (FunctionTransformer(lambda X: flatten(X) * 1j), ValueError, "dtype complex128"),
    ],
)
def test_an_embedder_without_features_is_refused_by_name(embedder, error, message):
    """The measures would fail with words about neighbours."""
    with pytest.raises(error, match=message):
        quality_report(REAL, HELD_OUT, embedder=embedder)


def test_features_of_any_shape_will_do():
    """As they do for herding, and of any kind of array."""
    torch = pytest.importorskip("torch")
    expected = str(quality_report(REAL, HELD_OUT, embedder=FLAT, random_state=0))
    for change in (
        lambda X: X / 255,
        lambda X: csr_array(flatten(X)),
        lambda X: torch.tensor(flatten(X)).requires_grad_(),
    ):
        assert str(quality_report(REAL, HELD_OUT, embedder=FunctionTransformer(change), random_state=0)) == expected


@pytest.mark.parametrize(("name", "least", "most"), [("perfect", 0.4, 0.6), ("blurred", 0.8, 1.0)])
def test_artefacts_are_told_by_the_forest_that_users_have(monkeypatch, name, least, most):
    """The other tests have a smaller one."""
    monkeypatch.setattr(_report._FOREST, "n_estimators", RandomForestClassifier().n_estimators)
    report = quality_report(REAL, SYNTHETIC[name], embedder=EMBEDDER, random_state=0)
    assert least <= report.auc_pixels <= most


def test_a_figure_to_draw_in_is_checked(reports):
    """Axes are the likely mistake."""
    with pytest.raises(TypeError, match=r"fig must be a matplotlib Figure or None; got Axes.* Pass ax.figure"):
        reports["perfect"].plot(fig=Figure().subplots())


def test_messages_name_the_set_that_the_others_must_match():
    """Nothing was fitted yet."""
    with pytest.raises(ValueError, match="X_synthetic must be of the kind of X_real, uint8 from 0 to 255; got float64"):
        quality_report(REAL, HELD_OUT / 255, embedder=EMBEDDER)
    with pytest.raises(ValueError, match=r"X_holdout must hold images of the shape of X_real, \(16, 16\)"):
        quality_report(REAL, HELD_OUT, HELD_OUT[:, :8], embedder=EMBEDDER)


def test_reports_compare_hash_and_copy():
    """As any object does."""
    report = quality_report(REAL, SYNTHETIC["perfect"], embedder=EMBEDDER, random_state=0)
    assert report != "report"
    assert {report: 1}[copy.deepcopy(report)] == 1


def test_too_few_different_images_are_refused():
    """One image ten times over has no neighbours to compare with."""
    with pytest.raises(ValueError, match="X_real must hold at least 5 different images; got 1"):
        quality_report(np.repeat(REAL[:1], 12, axis=0), SYNTHETIC["perfect"], embedder=EMBEDDER)


def test_rows_and_images_give_one_report():
    """The layout is no property of the images."""
    options = {"embedder": EMBEDDER, "random_state": 0}
    as_rows = quality_report(
        REAL.reshape(N, -1), SYNTHETIC["perfect"].reshape(N, -1), image_shape=(SIZE, SIZE), **options
    )
    assert repr(as_rows) == repr(quality_report(REAL, SYNTHETIC["perfect"], **options))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((REAL, SYNTHETIC["perfect"][:9]), "X_synthetic must hold at least 10 images"),
        ((REAL[:9], SYNTHETIC["perfect"]), "X_real must hold at least 10 images"),
        ((REAL, SYNTHETIC["perfect"][:, :8]), "X_synthetic must hold images of the shape"),
        ((REAL, SYNTHETIC["perfect"] / 255), "X_synthetic must be of the kind"),
        ((REAL, SYNTHETIC["perfect"], HELD_OUT[:3]), "X_holdout must hold at least 10 images"),
    ],
)
def test_wrong_input_is_named(arrays, message):
    """Which array, what it must be, what it is."""
    with pytest.raises(ValueError, match=message):
        quality_report(*arrays, embedder=EMBEDDER)


def test_the_same_seed_gives_the_same_report():
    """And NumPy's own stream stays where it was."""
    state = np.random.get_state()[1].copy()
    first, second = (
        quality_report(REAL, SYNTHETIC["perfect"], HELD_OUT, embedder=EMBEDDER, random_state=3) for _ in range(2)
    )
    assert repr(first) == repr(second)
    np.testing.assert_array_equal(state, np.random.get_state()[1])


class TestMeasures:
    """One place for each."""

    def test_a_new_measure_is_registered_computed_printed_and_taken_out_again(self):
        """In one place, for both columns."""
        brightness = Measure(
            "brightness",
            "mean, synthetic less real",
            "0",
            lambda sets: sets.pixels_other.mean() - sets.pixels_real.mean(),
            digits=".4f",
        )
        register(brightness)
        try:
            report = quality_report(REAL, SYNTHETIC["perfect"], HELD_OUT, embedder=EMBEDDER, random_state=0)
        finally:
            del MEASURES["brightness"]
        expected = (SYNTHETIC["perfect"].mean() - REAL.mean()) / 127.5
        assert report.brightness == report.measures["brightness"] == pytest.approx(expected, abs=1e-5)
        line = next(line for line in str(report).splitlines() if "mean, synthetic less real" in line)
        assert line.split()[-3:] == [f"{report.brightness:.4f}", f"{report.reference['brightness']:.4f}", "0"]
        assert str(pickle.loads(pickle.dumps(report))) == str(report)
        assert report.reference["brightness"] == pytest.approx((HELD_OUT.mean() - REAL.mean()) / 127.5, abs=1e-5)
        assert "brightness" in dir(report)
        assert "brightness" in repr(report)
        after = quality_report(REAL, SYNTHETIC["perfect"], embedder=EMBEDDER, random_state=0)
        with pytest.raises(AttributeError, match="has no attribute 'brightness'"):
            _ = after.brightness

    def test_what_cannot_be_registered_is_refused(self):
        """By name."""
        with pytest.raises(ValueError, match="name must be new; there is a measure 'kid' already"):
            register(MEASURES["kid"])
        with pytest.raises(ValueError, match="must be new; a report has an attribute 'plot'"):
            register(Measure("plot", "", "", len))
        with pytest.raises(ValueError, match="must be a name of a public attribute; got 'two words'"):
            register(Measure("two words", "", "", len))
        with pytest.raises(TypeError, match="measure must be a Measure; got 'kid'"):
            register("kid")

    def test_each_number_has_its_own_name_in_the_table(self, reports):
        """What one calls diversity the other calls spread."""
        text = str(reports["perfect"])
        for label in ("KID", "density", "precision", "recall", "coverage", "spread", "near-copies", "memorisation"):
            assert f"\n  {label} " in text
        assert "iversity" not in text


class TestPoorImages:
    """A fit that nobody looks at must not end in noise."""

    @pytest.mark.parametrize(
        ("name", "fault"), [("noise", "precision is 0.00"), ("wrong class", "utility is"), ("collapsed", "spread is")]
    )
    def test_they_are_warned_of_with_the_reason(self, reports, name, fault):
        """Once, with all reasons."""
        assert reports[name].is_poor
        assert any(fault in reason for reason in reports[name].faults)
        with pytest.warns(QualityWarning, match=f"My images should not be used: .*{fault}") as found:
            quality_report(REAL, SYNTHETIC[name], X_rest=OTHERS, embedder=EMBEDDER, random_state=0, name="My images")
        assert len(found) == 1

    @pytest.mark.parametrize("name", ["perfect", "copied", "blurred"])
    def test_others_are_not(self, reports, name):
        """Copies are plausible."""
        assert not reports[name].is_poor
        assert reports[name].faults == ()

    @pytest.mark.parametrize(("n_real", "n_synthetic"), [(10, 10), (200, 10), (10, 60)])
    def test_real_images_in_their_place_never_are(self, n_real, n_synthetic):
        """However few: ten images cannot cover two hundred."""
        for seed in range(4):
            real, more = discs(n_real, 40 + seed), discs(n_synthetic, 60 + seed)
            with warnings.catch_warnings():
                warnings.simplefilter("error", QualityWarning)
                report = quality_report(real, more, X_rest=255 - discs(20, seed), embedder=FLAT, random_state=0)
            assert not report.is_poor

    def test_coverage_expected_is_that_of_real_images(self):
        """On average."""
        rng = np.random.RandomState(0)
        for n_real, n_synthetic in ((30, 10), (10, 30)):
            found = [
                _measures.fidelity_and_diversity(rng.normal(size=(n_real, 3)), rng.normal(size=(n_synthetic, 3)))
                for _ in range(20)
            ]
            expected = _measures.expected_coverage(n_real, n_synthetic)
            assert np.mean([measures["coverage"] for measures in found]) == pytest.approx(expected, abs=0.08)


class TestValues:
    """Any that images may have."""

    @pytest.mark.parametrize(
        "images",
        [
            1e8 + np.random.RandomState(0).rand(20, 8, 8),
            2**62 + np.random.RandomState(0).randint(9, size=(20, 8, 8)),
            2**63 + np.random.RandomState(0).randint(9, size=(20, 8, 8)).astype(np.uint64),
            1 + np.random.RandomState(0).randint(9, size=(20, 8, 8)).astype(np.longdouble) * 2**-60,
        ],
        ids=["float64", "int64", "uint64", "longdouble"],
    )
    def test_images_that_differ_in_the_last_digits_differ(self, images):
        """In float32 they would be one."""
        assert len(_report._first_of_each(images)) == 20
        assert len(_report._first_of_each(np.repeat(images, 2, axis=0))) == 20

    def test_a_report_of_images_on_a_large_offset_is_that_without(self):
        """Equal images are told by value, and distances from what differs."""
        rng = np.random.RandomState(0)
        real, synthetic = rng.randint(9, size=(2, 20, 8, 8)).astype(float)
        raw = FunctionTransformer(lambda X: X.reshape(len(X), -1))
        reports = [
            quality_report(real + offset, synthetic + offset, embedder=raw, random_state=0) for offset in (0, 1e8)
        ]
        for name in ("density", "precision", "recall", "coverage", "spread", "near_copies"):
            assert getattr(reports[1], name) == pytest.approx(getattr(reports[0], name))

    @pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.uint64, bool])
    def test_equal_values_are_equal_in_every_dtype(self, dtype):
        """Integers, booleans; and floats, with either zero."""
        image = np.eye(8)
        assert _report._image_hash(image.astype(dtype)) == _report._image_hash(image.astype(np.int16))
        for other in (np.float16, np.float32, np.longdouble):
            assert _report._image_hash(-image.astype(other)) == _report._image_hash(-image)
        assert _report._image_hash(np.zeros((8, 8))) == _report._image_hash(-np.zeros((8, 8)))

    @pytest.mark.parametrize("argument", ["X_real", "X_synthetic", "X_holdout", "X_rest"])
    @pytest.mark.parametrize("empty", [[], REAL[:0]])
    def test_an_empty_set_is_named(self, argument, empty):
        """As one that is too small is."""
        sets = {"X_real": REAL, "X_synthetic": REAL, "X_holdout": HELD_OUT, "X_rest": OTHERS, argument: empty}
        with pytest.raises(ValueError, match=f"{argument} must hold at least 10 images to be measured; got none"):
            quality_report(**sets, embedder=EMBEDDER)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda X: flatten(X) * 1e300, "numbers of at most 1e.20.* FunctionTransformer returned .*X_real"),
            (lambda X: flatten(X) * 1e-320, "different numbers for different images"),
            (lambda X: np.ones((len(X), 4)), "different numbers for different images; those for all images of X_real"),
        ],
    )
    def test_features_that_cannot_be_compared_are_refused_by_name(self, change, message):
        """In place of NaN or a LinAlgError."""
        with pytest.raises(ValueError, match=f"embedder must be a transformer that returns {message}"):
            quality_report(REAL, SYNTHETIC["perfect"], HELD_OUT, embedder=FunctionTransformer(change))

    def test_small_features_are_compared_as_any(self):
        """Their squares would underflow."""
        tiny = FunctionTransformer(lambda X: flatten(X) * 1e-200)
        reports = [quality_report(REAL, HELD_OUT, embedder=embedder, random_state=0) for embedder in (FLAT, tiny)]
        for name in ("density", "recall", "spread", "near_copies", "auc_features"):
            assert getattr(reports[1], name) == pytest.approx(getattr(reports[0], name), abs=0.01)


def test_the_memorisation_table_is_made_of_both_tests(monkeypatch):
    """All kinds of copies, as a whole and in part, and what is none."""
    monkeypatch.setattr(memorisation_table, "N_HELD_OUT", (10, 20))
    monkeypatch.setattr(memorisation_table, "N_SYNTHETIC", 20)
    monkeypatch.setattr(memorisation_table, "N_DRAWS", 3)
    images = discs(110, 0)
    table = pd.DataFrame(memorisation_table.run_seed(60, 0, images, flatten(images), flatten))
    assert len(table) == 2 * (4 * 3 + 3)
    assert set(table.n_draws) == {3}
    by_kind = table[table.n_held_out == 20].set_index(["synthetic", "copies"])
    assert min(by_kind.share["exact", 1.0], by_kind.share["mirrored", 1.0]) > 0.8
    assert by_kind.alarm["exact", 1.0] == 1
    assert by_kind.share["fresh", 0.0] < 0.8
    assert "shifted by a pixel" in memorisation_table.show(table)
