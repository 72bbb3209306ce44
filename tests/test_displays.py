"""Displays keep plain data, draw where they are told, and leave pyplot and the user's settings alone."""

import builtins
import itertools
import re

import matplotlib
import numpy as np
import pytest
from imblearn.over_sampling import SMOTE
from imblearn.under_sampling import RandomUnderSampler
from matplotlib.figure import Figure
from sklearn.exceptions import NotFittedError
from sklearn.manifold import TSNE
from sklearn.preprocessing import FunctionTransformer

from gan_sampler import AugmentationOverSampler, ConditionalDCGANOverSampler, DCGANOverSampler, PixelSampler
from gan_sampler.displays import (
    ClassDistributionDisplay,
    EmbeddingDisplay,
    LatentWalkDisplay,
    SyntheticImagesDisplay,
    TrainingHistoryDisplay,
)
from gan_sampler.displays._latent_walk import slerp
from gan_sampler.displays._pixels import as_bytes, lay_out, nearest_rows
from gan_sampler.training import rank

matplotlib.use("Agg")
import matplotlib.pyplot as plt

SIZE, COUNTS = 12, {"disc": 12, "ring": 14, "square": 30}
pytestmark = pytest.mark.filterwarnings("ignore::gan_sampler.QualityWarning")


def make_images():
    """Dark, middle and bright images, with a disc, a ring and a square."""
    rng = np.random.RandomState(0)
    distance = np.hypot(*(np.mgrid[:SIZE, :SIZE] - SIZE / 2))
    shapes = {"disc": distance < 4, "ring": abs(distance - 4) < 1, "square": np.pad(np.ones((6, 6), bool), 3)}
    y = np.repeat(list(COUNTS), list(COUNTS.values()))
    X = np.stack([np.where(shapes[name], 200, 20) for name in y]) + rng.randint(0, 40, (len(y), SIZE, SIZE))
    return X.astype(np.uint8), y


X, Y = make_images()


@pytest.fixture(scope="module")
def fitted():
    """Return {name: (sampler, X_resampled, y_resampled)}."""
    samplers = {
        "dcgan": DCGANOverSampler(n_steps=100, base_channels=4, repeated_share=0, random_state=0),
        "conditional": ConditionalDCGANOverSampler(n_steps=6, base_channels=4, random_state=0),
        "all": DCGANOverSampler(
            n_steps=2, base_channels=4, random_state=0, synthetic_classes="all", synthetic_ratio=0.5
        ),
        "augmentation": AugmentationOverSampler(random_state=0),
        "pixel": PixelSampler(SMOTE(random_state=0)),
    }
    return {name: (sampler, *sampler.fit_resample(X, Y)) for name, sampler in samplers.items()}


def made(fitted, name="dcgan"):
    """Return synthetic images and their labels."""
    sampler, X_resampled, y_resampled = fitted[name]
    return X_resampled[sampler.synthetic_mask_], y_resampled[sampler.synthetic_mask_]


def displays_of(fitted, **options):
    """Return every display, drawn."""
    sampler = fitted["dcgan"][0]
    return [
        ClassDistributionDisplay.from_estimator(sampler, **options),
        SyntheticImagesDisplay.from_estimator(sampler, X, Y, random_state=0, **options),
        TrainingHistoryDisplay.from_estimator(sampler, **options),
        EmbeddingDisplay.from_estimator(sampler, X, Y, random_state=0, **options),
        LatentWalkDisplay.from_estimator(sampler, random_state=0, **options),
    ]


ALL = (
    ClassDistributionDisplay,
    SyntheticImagesDisplay,
    TrainingHistoryDisplay,
    EmbeddingDisplay,
    LatentWalkDisplay,
)


@pytest.fixture(autouse=True)
def no_windows_left():
    """Close what a test has opened, and what tests of other files left open."""
    plt.close("all")
    yield
    plt.close("all")


# What all displays have in common


def test_each_makes_one_figure_and_keeps_its_objects(fitted):
    """As those of scikit-learn do: not shown, not closed, to be changed afterwards."""
    displays = displays_of(fitted)
    assert plt.get_fignums() == [1, 2, 3, 4, 5]
    for display in displays:
        assert display.figure_.number in plt.get_fignums()
        assert display.ax_ in display.figure_.axes
        assert display.ax_.get_title()
        display.figure_.canvas.draw()


def test_axes_given_are_drawn_on_and_pyplot_hears_nothing(fitted):
    """A figure within an application has no window, and the user's current axes stay current."""
    current = plt.figure().subplots()
    for place in range(5):
        ax = Figure().subplots()
        display = displays_of_one(fitted, place, ax)
        assert display.figure_ is ax.figure
        assert display.figure_.axes
    assert plt.get_fignums() == [1]
    assert plt.gca() is current


def displays_of_one(fitted, place, ax):
    sampler = fitted["dcgan"][0]
    return [
        lambda: ClassDistributionDisplay.from_estimator(sampler, ax=ax),
        lambda: SyntheticImagesDisplay.from_estimator(sampler, X, Y, ax=ax),
        lambda: TrainingHistoryDisplay.from_estimator(sampler, ax=ax),
        lambda: EmbeddingDisplay.from_estimator(sampler, X, Y, ax=ax),
        lambda: LatentWalkDisplay.from_estimator(sampler, ax=ax),
    ][place]()


def test_neither_settings_nor_random_state_of_the_caller_change(fitted):
    """A picture must not change what is trained after it."""
    import torch

    numpys, torchs = np.random.get_state()[1].copy(), torch.get_rng_state()
    with matplotlib.rc_context({"font.size": 9, "lines.linewidth": 2.5}):
        settings = dict(matplotlib.rcParams)
        displays_of(fitted)
        assert dict(matplotlib.rcParams) == settings
    np.testing.assert_array_equal(np.random.get_state()[1], numpys)
    assert torch.equal(torch.get_rng_state(), torchs)


def test_parameters_are_kept_as_they_are_and_drawn_again(fitted):
    """`plot` changes nothing but the artists, and returns the display."""
    for display in displays_of(fitted):
        names = [name for name in vars(display) if not name.endswith("_")]
        before = {name: getattr(display, name) for name in names}
        assert display.plot() is display
        assert all(getattr(display, name) is value for name, value in before.items())


@pytest.mark.parametrize("display", ALL)
def test_without_matplotlib_the_extra_is_named(display, monkeypatch):
    """Before any image is drawn."""

    def refuse(name, *args, **kwargs):
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return imported(name, *args, **kwargs)

    imported = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", refuse)
    message = rf"{display.__name__}.from_estimator needs matplotlib. .*'gan-sampler\[plot\]'"
    with pytest.raises(ImportError, match=message):
        display.from_estimator(None) if display not in (SyntheticImagesDisplay, EmbeddingDisplay) else (
            display.from_estimator(None, X, Y)
        )


@pytest.mark.parametrize("wrong", [Figure(), "ax", 3])
def test_axes_that_are_none_are_refused(wrong):
    """A figure is the likely mistake."""
    with pytest.raises(TypeError, match="ax must be matplotlib Axes or None; got"):
        ClassDistributionDisplay([1, 2]).plot(ax=wrong)
    with pytest.raises(TypeError, match="ax must be matplotlib Axes or None; got"):
        TrainingHistoryDisplay({"a": [{"step": 1, "score": 1.0}]}).plot(ax=wrong)


@pytest.mark.parametrize("display", [SyntheticImagesDisplay, EmbeddingDisplay])
def test_samplers_without_a_generator_are_told_what_to_do(display, fitted):
    """Their images are there, just not drawn from noise."""
    with pytest.raises(TypeError, match=r"sampler must be one whose generator .* got PixelSampler\. .* from_pred"):
        display.from_estimator(fitted["pixel"][0], X, Y)


@pytest.mark.parametrize(
    "display", [SyntheticImagesDisplay, EmbeddingDisplay, LatentWalkDisplay, TrainingHistoryDisplay]
)
def test_an_unfitted_sampler_is_refused(display):
    """By scikit-learn's own error."""
    data = () if display in (LatentWalkDisplay, TrainingHistoryDisplay) else (X, Y)
    with pytest.raises(NotFittedError):
        display.from_estimator(DCGANOverSampler(), *data)


@pytest.mark.parametrize("name", ["$5_a$b_", "_hidden", "<b>&", "a" * 60, "Grüße 漢"])
@pytest.mark.filterwarnings("ignore:Glyph")
def test_names_of_classes_are_no_formulas_and_never_missing(name):
    """Folders have such names; matplotlib leaves labels with a leading underscore out of legends."""
    y = [name] * 3 + ["other"] * 6
    display = ClassDistributionDisplay.from_predictions(y, [*y, name])
    display.figure_.canvas.draw()
    shown = display.ax_.get_yticklabels()[sorted([name, "other"]).index(name)].get_text()
    assert "$" not in shown.replace("\\$", "")
    assert shown.replace("\\$", "$").replace("\n", "").strip("\u200b") == name
    display = EmbeddingDisplay(np.eye(2), [name, "other"], ["real", "real"]).plot()
    display.figure_.canvas.draw()
    assert len(display.ax_.get_legend().get_texts()) == 3
    display = TrainingHistoryDisplay({name: [{"step": 1, "score": 1.0}]}).plot()
    display.figure_.canvas.draw()
    assert len(display.ax_.get_legend().get_texts()) == 1


def test_as_many_names_as_classes_are_asked_for(fitted):
    with pytest.raises(ValueError, match=r"display_labels must hold a name for each of 3 classes, .*'disc'.*; got 1"):
        ClassDistributionDisplay.from_estimator(fitted["dcgan"][0], display_labels=["one"])
    display = ClassDistributionDisplay.from_estimator(fitted["dcgan"][0], display_labels=["D", "R", "S"])
    assert [text.get_text() for text in display.ax_.get_yticklabels()] == ["D", "R", "S"]


# Classes


def widths(display, kind):
    return [bar.get_width() for bar in display.bars_[kind]]


def test_real_and_synthetic_are_stacked_to_what_came_out(fitted):
    sampler, _, y_resampled = fitted["dcgan"]
    for display in (
        ClassDistributionDisplay.from_estimator(sampler),
        ClassDistributionDisplay.from_estimator(sampler, Y, y_resampled),
        ClassDistributionDisplay.from_predictions(Y, y_resampled, synthetic_mask=sampler.synthetic_mask_),
    ):
        assert widths(display, "real") == [12, 14, 30]
        assert widths(display, "synthetic") == [18, 16, 0]
        assert [bar.get_x() for bar in display.bars_["synthetic"]] == [12, 14, 30]
        assert set(display.bars_) == {"real", "synthetic"}
        assert [text.get_text() for text in display.text_] == ["12 → 30", "14 → 30", "30"]


def test_three_quarters_are_repeated_by_default(fitted):
    sampler, _, y_resampled = fitted["augmentation"]
    for display in (
        ClassDistributionDisplay.from_estimator(sampler),
        ClassDistributionDisplay.from_estimator(sampler, Y, y_resampled),
        ClassDistributionDisplay.from_predictions(Y, y_resampled, synthetic_mask=sampler.synthetic_mask_),
    ):
        assert widths(display, "real") == [12, 14, 30]
        assert widths(display, "repeated") == [14, 12, 0]
        assert widths(display, "synthetic") == [4, 4, 0]
        assert [bar.get_x() for bar in display.bars_["synthetic"]] == [26, 26, 30]
        assert [text.get_text() for text in display.text_] == ["12 → 30", "14 → 30", "30"]


def test_repeated_images_are_told_from_synthetic_ones(fitted):
    """With synthetic images for every class, the missing ones are repeated."""
    sampler, _, y_resampled = fitted["all"]
    for display in (
        ClassDistributionDisplay.from_estimator(sampler),
        ClassDistributionDisplay.from_estimator(sampler, Y, y_resampled),
    ):
        assert widths(display, "repeated") == [18, 16, 0]
        assert widths(display, "synthetic") == [15, 15, 15]
        assert [bar.get_x() for bar in display.bars_["synthetic"]] == [30, 30, 30]


def test_samplers_of_others_need_labels(fitted):
    sampler, _, y_resampled = fitted["pixel"]
    with pytest.raises(ValueError, match="y and y_resampled must be given for PixelSampler"):
        ClassDistributionDisplay.from_estimator(sampler)
    display = ClassDistributionDisplay.from_estimator(sampler, Y, y_resampled)
    assert widths(display, "added") == [18, 16, 0]
    with pytest.raises(ValueError, match=r"y_resampled must hold the 90 labels .* got 3"):
        ClassDistributionDisplay.from_estimator(fitted["dcgan"][0], Y, Y[:3])


def test_an_under_sampler_is_drawn_as_one(fitted):
    sampler = RandomUnderSampler(random_state=0)
    _, y_resampled = sampler.fit_resample(X.reshape(len(X), -1), Y)
    display = ClassDistributionDisplay.from_estimator(sampler, Y, y_resampled)
    assert widths(display, "real") == [12, 12, 12]
    assert widths(display, "removed") == [0, 2, 18]
    assert display.text_[2].get_text() == "30 → 12"


def test_keywords_reach_the_artists():
    display = ClassDistributionDisplay([3, 4]).plot(bar_kw={"fc": "red"}, text_kw={"fontsize": 7})
    assert display.bars_["real"][0].get_facecolor() == (1, 0, 0, 1)
    assert display.text_[0].get_fontsize() == 7


# Images


def test_synthetic_images_stand_above_their_nearest_real_ones():
    """Copies give pairs of equal pictures."""
    display = SyntheticImagesDisplay.from_predictions(X, Y, X[:3], Y[:3], n_images=3, random_state=0)
    np.testing.assert_array_equal(display.nearest[0], display.synthetic[0])
    picture = np.asarray(display.image_.get_array())
    (_, columns), opaque = picture.shape[:2], picture[..., 3] == 255
    right = slice(columns - 3 * SIZE - 2, columns)
    np.testing.assert_array_equal(picture[:SIZE, right], picture[SIZE + 1 : 2 * SIZE + 1, right])
    assert opaque.sum() == 12 * SIZE**2  # six real ones beside


def test_the_nearest_real_image_is_of_the_same_class():
    features, labels = np.array([[0.0], [1.0], [5.0]]), np.array(["a", "b", "a"])
    rows, distances = nearest_rows(np.array([[1.1], [1.1]]), np.array(["a", "b"]), features, labels)
    assert rows.tolist() == [0, 1]
    assert distances == pytest.approx([1.1, 0.1])


def test_real_images_shown_are_those_of_the_class(fitted):
    display = SyntheticImagesDisplay.from_estimator(fitted["dcgan"][0], X, Y, n_images=6, random_state=0)
    known = {image.tobytes(): label for image, label in zip(X, Y, strict=True)}
    for images, nearest, name in zip(display.real, display.nearest, display.display_labels, strict=True):
        assert {known[image.tobytes()] for image in (*images, *nearest)} == {name}
        assert len({image.tobytes() for image in images}) == 12
    assert display.display_labels == ["disc", "ring"]
    assert [tick.get_text() for tick in display.ax_.get_yticklabels()] == ["disc", "ring"]
    again = SyntheticImagesDisplay.from_estimator(fitted["dcgan"][0], X, Y, n_images=6, random_state=0)
    np.testing.assert_array_equal(again.montage(), display.montage())


def layouts():
    rng = np.random.RandomState(0)
    colour = rng.randint(0, 256, (6, 10, 14, 3)).astype(np.uint8)
    yield "grey", colour[..., 0], {}, colour[..., 0]
    yield "RGB", colour, {}, colour
    yield "channels first", np.moveaxis(colour, -1, 1), {}, colour
    yield "rows", colour.reshape(6, -1), {"image_shape": (10, 14, 3)}, colour
    yield "16 bits", colour[..., 0] * np.uint16(257), {"value_range": (0, 65535)}, colour[..., 0]
    yield "floats", colour / 255, {"value_range": (0, 1)}, colour


@pytest.mark.parametrize(("given", "options", "expected"), [c[1:] for c in layouts()], ids=[c[0] for c in layouts()])
def test_images_of_any_layout_are_shown_as_bytes(given, options, expected):
    y = ["a"] * 6
    display = SyntheticImagesDisplay.from_predictions(given, y, given, y, n_images=6, random_state=0, **options)
    shown = {image.tobytes() for image in display.synthetic[0]}
    assert shown == {image.tobytes() for image in expected}


def test_synthetic_images_can_be_shown_alone(fitted):
    """Where real ones must not be passed on."""
    display = SyntheticImagesDisplay([fitted["dcgan"][0].sample(8, "ring", random_state=0)]).plot()
    assert display.montage().shape == (SIZE, 8 * SIZE + 7, 4)
    assert [text.get_text() for text in display.text_] == ["synthetic"]


def test_large_images_are_averaged_down():
    """A page of 1,000-pixel images would be megabytes."""
    images = np.zeros((2, 500, 300), dtype=np.uint8)
    display = SyntheticImagesDisplay.from_predictions(images, [0, 0], images, [0, 0])
    assert display.synthetic[0].shape == (2, 224, 134)


def test_plain_arrays_of_any_range_share_one_scale():
    """Sixteen bits: black and white are the same for real and synthetic images."""
    real = np.array([[[0, 1000]] * 2], dtype=np.uint16)
    picture = SyntheticImagesDisplay([np.full((1, 2, 2), 500, np.uint16)], real=[real]).montage()
    assert picture[0, :2, 0].tolist() == [0, 255]
    assert picture[0, -1, 0] == 128


def test_bytes_of_channels():
    images = np.arange(2 * 3 * 3 * 4, dtype=np.uint8).reshape(2, 3, 3, 4)
    assert as_bytes(images).shape == (2, 3, 3, 3)
    np.testing.assert_array_equal(as_bytes(images[..., :2]), images[..., 0])
    assert as_bytes(np.array([[[False, True]]])).tolist() == [[[0, 255]]]
    assert as_bytes(np.full((1, 2, 2), 7.0)).tolist() == [[[0, 0], [0, 0]]]


def test_a_lay_out_puts_each_image_where_it_belongs():
    cells = {(0, 0): np.full((4, 4), 10, np.uint8), (1, 2): np.full((4, 4, 3), (1, 2, 3), np.uint8)}
    picture, tops, lefts = lay_out(cells, row_gaps=[1])
    assert picture[tops[1], lefts[2]].tolist() == [1, 2, 3, 255]
    assert picture[0, 0].tolist() == [10, 10, 10, 255]
    assert (picture[..., 3] > 0).sum() == 32
    assert tops[1] > lefts[1]


def test_labels_choose_and_order_classes(fitted):
    display = SyntheticImagesDisplay.from_predictions(X, Y, *made(fitted), labels=["ring"])
    assert len(display.synthetic) == 1
    with pytest.raises(ValueError, match=r"labels must be classes with synthetic images, which \['square'\] have not"):
        SyntheticImagesDisplay.from_predictions(X, Y, *made(fitted), labels=["square"])
    with pytest.raises(ValueError, match=r"y_synthetic must hold one label for each image; got shape \(2,\) for 5"):
        SyntheticImagesDisplay.from_predictions(X, Y, X[:5], Y[:2])
    with pytest.raises(ValueError, match="X_synthetic must hold images of the shape of X_real"):
        SyntheticImagesDisplay.from_predictions(X, Y, X[:, :8], Y)


def test_an_embedder_decides_which_real_image_is_nearest():
    """Brightness alone counts for this one."""
    given = np.array([[30.0], [200.0]])[..., None] * np.ones((1, 8, 8))
    given[0, 0, 0] = 255
    brightest = FunctionTransformer(lambda X: X.reshape(len(X), -1).max(axis=1, keepdims=True))
    new = np.full((1, 8, 8), 250, np.uint8)
    options = {"n_images": 1, "random_state": 0}
    display = SyntheticImagesDisplay.from_predictions(given.astype(np.uint8), [0, 0], new, [0], **options)
    assert display.nearest[0][0, 5, 5] == 200
    display = SyntheticImagesDisplay.from_predictions(
        given.astype(np.uint8), [0, 0], new, [0], embedder=brightest, **options
    )
    assert display.nearest[0][0, 5, 5] == 30


# Trainings


def test_histories_are_drawn_with_a_mark_at_the_snapshot_that_was_kept(fitted):
    sampler = fitted["dcgan"][0]
    display = TrainingHistoryDisplay.from_estimator(sampler)
    assert len(display.axes_) == 2
    for label, history in sampler.history_.items():
        (line,) = display.lines_[label, "score"]
        assert line.get_xydata().tolist() == [[record["step"], record["score"]] for record in history]
        best = min(history, key=rank)
        (mark,) = display.markers_[label, "score"]
        assert mark.get_xydata().tolist() == [[best["step"], best["score"]]]
        assert display.lines_[label, "loss_discriminator"][0].get_linestyle() == "--"
    colours = {display.lines_[label, "score"][0].get_color() for label in sampler.history_}
    assert len(colours) == 2


def test_the_mark_is_not_at_the_lowest_score_where_those_images_cannot_be_used():
    """Speckle has no score: a snapshot with it is passed over."""
    history = [
        {"step": 50, "score": 1.0, "variance_ratio": 1.0, "spectral_distance": 2.0},
        {"step": 100, "score": 3.0, "variance_ratio": 1.0, "spectral_distance": 0.1},
    ]
    sampler = DCGANOverSampler()
    sampler.history_ = {"a": history}
    assert TrainingHistoryDisplay.from_estimator(sampler).kept_steps == {"a": 100}


def test_losses_and_scores_of_other_trainings_are_drawn_too():
    """A history of one's own may have any losses, and a score that is not one of images."""
    history = [{"step": step, "score": 2.0, "loss_reconstruction": 1.0, "loss_penalty": 1.0} for step in (50, 100)]
    display = TrainingHistoryDisplay({"a": history}).plot()
    assert set(display.lines_) == {("a", name) for name in ("score", "loss_reconstruction", "loss_penalty")}
    assert display.ax_.get_ylabel() == "Score (lower is better)"
    assert len({display.lines_["a", f"loss_{name}"][0].get_linestyle() for name in ("reconstruction", "penalty")}) == 2


def test_the_mean_score_of_classes_that_are_trained_together_can_be_drawn(fitted):
    display = TrainingHistoryDisplay.from_estimator(fitted["conditional"][0], quantities=["mean_score", "losses"])
    assert [ax.get_ylabel() for ax in display.axes_] == ["Mean score of the classes", "Loss"]


def test_scales_are_logarithmic_where_values_span_much():
    history = [{"step": step, "score": score} for step, score in ((50, 90.0), (100, 3.0))]
    assert TrainingHistoryDisplay({"a": history}).plot().ax_.get_yscale() == "log"
    history[0]["score"] = 4.0
    assert TrainingHistoryDisplay({"a": history}).plot().ax_.get_yscale() == "linear"
    history[0]["score"] = 0.0
    assert TrainingHistoryDisplay({"a": history}).plot().ax_.get_yscale() == "linear"


def test_several_trainings_and_values_that_are_none():
    """As the evaluation has them: repeats, and scores that were not finite."""
    repeats = [[{"step": 1, "score": 2.0}, {"step": 2, "score": float("inf")}], [{"step": 1, "score": 3.0}]]
    display = TrainingHistoryDisplay({"a": repeats}, kept_steps={"a": [1, 1]}).plot()
    assert [line.get_ydata().tolist() for line in display.lines_["a", "score"]] == [[2.0], [3.0]]
    assert len(display.markers_["a", "score"]) == 2
    assert display.lines_["a", "score"][0].get_marker() == "o"  # a line through one point is not seen


def test_panels_need_as_many_axes_or_one():
    history = {"a": [{"step": 1, "score": 2.0, "loss_generator": 1.0}]}
    axes = Figure().subplots(2)
    assert TrainingHistoryDisplay(history).plot(ax=axes).axes_ == list(axes)
    ax = Figure().subplots()
    assert len(TrainingHistoryDisplay(history).plot(ax=ax).axes_) == 2
    assert TrainingHistoryDisplay(history).plot(ax=ax, quantities=["score"]).axes_ == [ax]
    with pytest.raises(ValueError, match="ax must be 2 axes, one for each panel, or a single one; got 3"):
        TrainingHistoryDisplay(history).plot(ax=Figure().subplots(3))
    with pytest.raises(ValueError, match=r"quantities must name entries of the history, .*'score'.* got 'fid'"):
        TrainingHistoryDisplay(history).plot(quantities=["fid"])


def test_samplers_that_train_nothing_have_no_history(fitted):
    with pytest.raises(TypeError, match=r"sampler must be one that trains, .* got PixelSampler"):
        TrainingHistoryDisplay.from_estimator(fitted["pixel"][0])
    with pytest.raises(ValueError, match=r"labels must be classes that were trained, \['disc', 'ring'\]; got \['x'\]"):
        TrainingHistoryDisplay.from_estimator(fitted["dcgan"][0], labels=["x"])


# Embeddings


def test_points_of_real_and_synthetic_images_are_told_apart(fitted):
    display = EmbeddingDisplay.from_predictions(X, Y, *made(fitted), random_state=0)
    assert set(display.scatter_) == {(name, kind) for name in ("disc", "ring") for kind in ("real", "synthetic")}
    assert len(display.scatter_["disc", "real"].get_offsets()) == 12
    assert len(display.scatter_["disc", "synthetic"].get_offsets()) == 18
    assert re.fullmatch(r"Principal component 1 \(\d+%\)", display.ax_.get_xlabel())
    colours = [display.scatter_["disc", kind].get_edgecolor()[0, :3].tolist() for kind in ("real", "synthetic")]
    assert colours[0] == colours[1]


def test_each_point_is_that_of_its_image(fitted):
    statistics = FunctionTransformer(lambda X: np.stack([X.mean(axis=(1, 2)), X.std(axis=(1, 2))], axis=1))
    synthetic, labels = made(fitted)
    options = {"embedder": statistics, "transformer": FunctionTransformer(), "n_images": 5, "random_state": 0}
    display = EmbeddingDisplay.from_predictions(X, Y, synthetic, labels, **options)
    for name in ("disc", "ring"):
        for kind, images in (("real", X[name == Y]), ("synthetic", synthetic[labels == name])):
            known = set(map(tuple, statistics.transform(images).round(6)))
            drawn = set(map(tuple, np.asarray(display.scatter_[name, kind].get_offsets()).round(6)))
            assert len(drawn) == 5
            assert drawn <= known


def test_the_transformer_is_fitted_to_both_and_left_as_it_was(fitted):
    class Spy(FunctionTransformer):
        shapes = []

        def fit_transform(self, X, y=None):
            self.shapes.append(X.shape)
            return X[:, :3]

    spy = Spy()
    display = EmbeddingDisplay.from_predictions(X, Y, *made(fitted), transformer=spy, n_images=10, random_state=0)
    assert Spy.shapes == [(40, SIZE * SIZE)]
    assert display.points.shape == (40, 2)
    tsne = TSNE(perplexity=5, max_iter=250)
    first, second = (
        EmbeddingDisplay.from_predictions(X, Y, *made(fitted), transformer=tsne, n_images=8, random_state=3)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.points, second.points)
    assert tsne.random_state is None
    assert not hasattr(tsne, "embedding_")
    assert list(first.ax_.get_xticks()) == []  # t-SNE's axes mean nothing


@pytest.mark.parametrize(
    ("transformer", "error", "message"),
    [
        (TSNE, TypeError, "transformer must be an object with fit_transform"),
        ("tsne", TypeError, "transformer must be an object with fit_transform"),
        (FunctionTransformer(lambda X: X[:, :1]), ValueError, r"transformer must return two columns for .*\(\d+, 1\)"),
    ],
)
def test_transformers_that_give_no_plane_are_refused(transformer, error, message, fitted):
    with pytest.raises(error, match=message):
        EmbeddingDisplay.from_predictions(X, Y, *made(fitted), transformer=transformer)


def test_more_than_two_sources_have_marks_of_their_own():
    display = EmbeddingDisplay(np.zeros((4, 2)), [0, 0, 1, 1], ["real", "smote", "dcgan", "real"]).plot()
    assert set(display.scatter_) == {("0", "real"), ("0", "smote"), ("1", "dcgan"), ("1", "real")}
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["0", "1", "real", "smote", "dcgan"]


# Walks


@pytest.mark.parametrize("name", ["dcgan", "conditional"])
def test_a_walk_goes_from_one_image_to_another(name, fitted):
    """Its ends are what the generator draws from its ends, in the sampler's format."""
    display = LatentWalkDisplay.from_estimator(fitted[name][0], n_walks=2, n_steps=5, random_state=0)
    assert len(display.images) == 4
    assert display.display_labels == ["disc", "disc", "ring", "ring"]
    for images in display.images:
        assert images.shape == (5, SIZE, SIZE)
        assert images.dtype == np.uint8
    assert [tick.get_text() for tick in display.ax_.get_yticklabels()] == ["disc", "ring"]


def test_a_walk_draws_what_the_generator_does(fitted):
    import torch

    sampler = fitted["dcgan"][0]
    display = LatentWalkDisplay.from_estimator(sampler, n_walks=1, n_steps=3, random_state=7)
    start, end = np.random.RandomState(7).normal(size=(1, 2, 100))[0]
    noise = torch.from_numpy(np.stack([start, (start + end) / (2 * np.cos(np.arccos(cosine(start, end)) / 2)), end]))
    for images, label in zip(display.images, ("disc", "ring"), strict=True):
        expected = sampler.image_format_.to_array(sampler.generators_[label](noise.float()))
        assert np.abs(images.astype(int) - expected).max() <= 1


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_spherical_interpolation_stays_on_the_sphere():
    rng = np.random.RandomState(0)
    start, end = rng.normal(size=(2, 50))
    start, end = start / np.linalg.norm(start), end / np.linalg.norm(end)
    points = slerp(start, end, np.linspace(0, 1, 9))
    assert np.linalg.norm(points, axis=1) == pytest.approx(np.ones(9))
    np.testing.assert_allclose(points[[0, -1]], [start, end], atol=1e-12)
    angles = [np.arccos(cosine(a, b)) for a, b in itertools.pairwise(points)]
    assert angles == pytest.approx([angles[0]] * 8)
    np.testing.assert_allclose(slerp(start, 2 * start, [0.5]), [1.5 * start])


def test_a_walk_needs_a_generator(fitted):
    for name in ("pixel", "augmentation"):
        with pytest.raises(TypeError, match=r"sampler must be one whose generator draws from noise.*no noise to walk"):
            LatentWalkDisplay.from_estimator(fitted[name][0])
    with pytest.raises(ValueError, match=r"labels must be classes that have a generator, .* got \['square'\]"):
        LatentWalkDisplay.from_estimator(fitted["dcgan"][0], labels=["square"])
    with pytest.raises(ValueError, match="n_steps must be an integer of at least 2; got 1"):
        LatentWalkDisplay.from_estimator(fitted["dcgan"][0], n_steps=1)
    balanced = DCGANOverSampler(n_steps=2, base_channels=4)
    balanced.fit_resample(X[:24], np.repeat(["a", "b"], 12))
    with pytest.raises(ValueError, match="sampler must have over-sampled a class"):
        LatentWalkDisplay.from_estimator(balanced)
