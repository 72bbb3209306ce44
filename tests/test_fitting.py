"""What a fit leaves behind: after success, errors and Ctrl-C, and when its images are poor."""

import warnings
from collections import Counter

import joblib
import numpy as np
import pytest
import torch
from conftest import make_shapes
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.preprocessing import FunctionTransformer
from test_samplers import SAMPLERS

from gan_sampler import (
    AugmentationOverSampler,
    CollapseWarning,
    DCGANOverSampler,
    PixelSampler,
    PoorQualityError,
    QualityWarning,
)
from gan_sampler.samplers import _base_gan, _judging
from gan_sampler.training import Checkpoint, PixelFrechetDistance, freeze
from gan_sampler.training._state import BatchOrder

PIXELS = FunctionTransformer(lambda X: X.reshape(len(X), -1) / 255)


def three_classes():
    X, _ = make_shapes(21, 0)
    return X, np.array(["a"] * 12 + ["b"] * 6 + ["c"] * 3)


@pytest.fixture
def sampler():
    return clone(SAMPLERS["dcgan"])


class TestSnapshot:
    """Which generator of a training is kept."""

    @pytest.mark.parametrize("snapshot", ["best", "last"])
    def test_last_is_kept_however_it_scores(self, snapshot, shapes, monkeypatch):
        """Whoever repeats an experiment that kept the last generator must get it."""
        scores, trained, train = [1.0, 2.0, 3.0], [], DCGANOverSampler._train

        def scripted(self, images):
            return {"score": scores.pop(0), "variance_ratio": 1.0, "spectral_distance": 0.0}

        def noted(self, networks, images, **options):
            trained.append(networks[0])
            return train(self, networks, images, **options)

        monkeypatch.setattr(PixelFrechetDistance, "__call__", scripted)
        monkeypatch.setattr(DCGANOverSampler, "_train", noted)
        sampler = clone(SAMPLERS["dcgan"]).set_params(n_steps=100, ema_decay=0.0, snapshot=snapshot)
        sampler.fit_resample(*shapes)
        weights = [next(network.parameters()) for network in (sampler.generators_["square"], *trained)]
        assert torch.equal(*weights) == (snapshot == "last")
        assert any("score" in record for record in sampler.history_["square"]) == (snapshot == "best")
        assert "Steps" in sampler._repr_html_()

    @pytest.mark.parametrize("method", ["fit", "fit_resample"])
    def test_last_without_scores_cannot_stop_early(self, method, sampler, shapes):
        """Told like any other wrong parameter, also where nothing is trained."""
        sampler.set_params(snapshot="last", n_iter_no_change=3)
        with pytest.raises(ValueError, match=r"n_iter_no_change must be None with snapshot='last'.*got 3"):
            getattr(sampler, method)(*shapes)

    def test_last_of_a_conditional_sampler(self, shapes):
        sampler = clone(SAMPLERS["conditional"]).set_params(snapshot="last")
        sampler.fit_resample(*shapes)
        assert not any("score" in record for record in sampler.history_["square"])

    def test_poor_images_of_the_last_are_told(self, sampler, shapes):
        """Its images are judged although none were scored in training."""
        sampler.set_params(snapshot="last", on_poor_quality="raise")
        with pytest.raises(PoorQualityError):
            sampler.fit_resample(*shapes)


class TestFittedAttributes:
    """They are set together, at the end."""

    def test_a_refit_that_fails_leaves_the_sampler_as_it_was(self, sampler, shapes):
        """Else the old generator's images would be written in the new format."""
        sampler.fit_resample(*shapes)
        expected = sampler.sample(3, "square", random_state=0)
        before = vars(sampler).copy()
        with pytest.raises(ValueError, match="Class 'lonely' has 1 image"):
            sampler.fit_resample(shapes[0].astype(float) / 7, np.array(["lonely"] + ["many"] * 33))
        assert vars(sampler) == before
        np.testing.assert_array_equal(sampler.sample(3, "square", random_state=0), expected)

    def test_a_refit_that_fails_on_the_way_leaves_it_too(self, sampler, monkeypatch):
        """The second class diverged after the first one had been learnt anew."""
        X, y = three_classes()
        train, calls = DCGANOverSampler._train, []

        def fail_at_the_second(self, *args, **options):
            calls.append(1)
            if len(calls) == 2:
                raise FloatingPointError("planted")
            return train(self, *args, **options)

        monkeypatch.setattr(DCGANOverSampler, "_train", fail_at_the_second)
        with pytest.raises(FloatingPointError, match="class 'c' diverged: planted"):
            sampler.fit_resample(X, y)
        assert list(sampler.generators_) == ["b"]  # better than nothing
        calls.append(1)
        sampler.fit_resample(X, y)
        before = vars(sampler).copy()
        calls.clear()
        with pytest.raises(FloatingPointError, match="planted"):
            sampler.fit_resample(X, y)
        assert vars(sampler) == before

    def test_fit_alone_forgets_what_an_earlier_fit_learnt(self, sampler, shapes):
        """It was of other images."""
        sampler.fit_resample(*shapes)
        sampler.fit(shapes[0].astype(float), shapes[1])
        assert not hasattr(sampler, "generators_")
        with pytest.raises(NotFittedError, match="fit alone does not"):
            sampler.sample(1, "square")

    def test_sample_after_a_fit_that_had_nothing_to_make_says_so(self, sampler):
        """Not that label must be one of []."""
        sampler.fit_resample(*make_shapes(6, 6))
        with pytest.raises(ValueError, match="that fit had nothing to over-sample; got 'square'"):
            sampler.sample(1, "square")

    def test_indices_of_an_earlier_sampler_are_forgotten(self, shapes):
        """SMOTE repeats no rows."""
        from imblearn.over_sampling import SMOTE, RandomOverSampler

        sampler = PixelSampler(RandomOverSampler(random_state=0))
        sampler.fit_resample(*shapes)
        assert len(sampler.sample_indices_) == 48
        sampler.set_params(sampler=SMOTE(random_state=0)).fit_resample(*shapes)
        assert not hasattr(sampler, "sample_indices_")

    def test_labels_are_plain(self, sampler):
        """A report says 'b', not numpy.str_('b')."""
        sampler.fit_resample(*three_classes())
        for by_class in (sampler.generators_, sampler.history_, sampler.sampling_strategy_):
            assert {type(label) for label in by_class} == {str}

    def test_images_of_a_class_do_not_depend_on_which_others_are_made(self, sampler):
        """Neither their training nor the noise that they are drawn from."""
        X, y = three_classes()
        both, y_both = clone(sampler).fit_resample(X, y)
        alone, y_alone = sampler.set_params(sampling_strategy={"c": 12}).fit_resample(X, y)
        np.testing.assert_array_equal(both[21:][y_both[21:] == "c"], alone[21:][y_alone[21:] == "c"])


class TestNumPyNumbers:
    """A ParameterGrid over an array holds NumPy's scalars."""

    @pytest.mark.parametrize("name", SAMPLERS)
    def test_they_give_the_images_of_pythons(self, name, shapes):
        """And stay in the parameters as they were given."""
        plain, numpy = clone(SAMPLERS[name]), clone(SAMPLERS[name])
        kinds = {int: np.int64, float: np.float64, bool: np.bool_, str: np.str_}
        for parameter, value in plain.get_params(deep=False).items():
            if type(value) in kinds:
                numpy.set_params(**{parameter: kinds[type(value)](value)})
        np.testing.assert_array_equal(plain.fit_resample(*shapes)[0], numpy.fit_resample(*shapes)[0])
        assert type(numpy.random_state) is np.int64

    def test_single_precision_floats_are_taken(self, sampler, shapes):
        """torch's Adam does not take them."""
        sampler.set_params(beta_1=np.float32(0.5), learning_rate=np.float32(1e-3)).fit_resample(*shapes)

    def test_a_checkpoint_does_not_tell_them_apart(self, sampler, shapes, tmp_path):
        """16 is 16."""
        sampler.set_params(checkpoint_dir=tmp_path, batch_size=16).fit_resample(*shapes)
        sampler.set_params(batch_size=np.int64(16), n_steps=4).fit_resample(*shapes)
        assert sampler.history_["square"][-1]["step"] == 4


class TestInterruption:
    """Ctrl-C keeps what there is."""

    @pytest.fixture
    def interrupt_at(self, monkeypatch):
        def at(batch):
            calls, take = [], BatchOrder.next

            def interrupt(*args, **kwargs):
                calls.append(1)
                if len(calls) == batch:
                    raise KeyboardInterrupt
                return take(*args, **kwargs)

            monkeypatch.setattr(BatchOrder, "next", interrupt)

        return at

    def test_the_best_snapshots_so_far_draw(self, sampler, interrupt_at):
        """Of the class that was done, and of the one that was interrupted."""
        interrupt_at(100 + 72)
        X, y = three_classes()
        with pytest.raises(KeyboardInterrupt, match=r"class 'c' was interrupted.*step 50\. .* are in generators_"):
            sampler.set_params(n_steps=100).fit_resample(X, y)
        assert [len(sampler.history_[label]) for label in ("b", "c")] == [2, 1]
        assert sampler.sample(2, "b").shape == sampler.sample(2, "c").shape == (2, 12, 12)

    def test_other_processes_are_told_of(self, sampler, monkeypatch, tmp_path):
        """Ctrl-C ends them; what was done before is here."""
        X, y = three_classes()

        def one_and_ctrl_c(trainings, n_jobs):
            yield next(trainings).run()
            raise KeyboardInterrupt

        monkeypatch.setattr(_base_gan, "_run", one_and_ctrl_c)
        with pytest.raises(KeyboardInterrupt, match=r"n_jobs=2 was interrupted\. .*\['b'\].* the others lie in"):
            sampler.set_params(n_jobs=2, checkpoint_dir=tmp_path).fit_resample(X, y)
        assert sampler.sample(2, "b").shape == (2, 12, 12)

    def test_while_the_best_snapshot_is_made_ready(self, sampler, monkeypatch, shapes):
        """The last instant of a training counts as well."""
        calls = []

        def interrupt_once(*args):
            calls.append(1)
            if len(calls) == 1:
                raise KeyboardInterrupt
            return freeze(*args)

        monkeypatch.setattr("gan_sampler.training._loop.freeze", interrupt_once)
        with pytest.raises(KeyboardInterrupt, match="last report was at step 2"):
            sampler.fit_resample(*shapes)
        assert sampler.sample(2, "square").shape == (2, 12, 12)

    def test_before_the_first_report_there_is_nothing_to_keep(self, sampler, interrupt_at, shapes):
        """And an earlier fit stays."""
        sampler.fit_resample(*shapes)
        expected = sampler.sample(2, "square", random_state=0)
        interrupt_at(2)
        with pytest.raises(KeyboardInterrupt, match="class 'square' was interrupted before its first report"):
            sampler.set_params(n_steps=100).fit_resample(*shapes)
        np.testing.assert_array_equal(sampler.sample(2, "square", random_state=0), expected)


class Breaks(FunctionTransformer):
    """An embedder that runs out of memory after some images."""

    def __init__(self, n_images=2):
        super().__init__(PIXELS.func)
        self.n_images = n_images

    def transform(self, X):
        """Fail, as a network on a full device does."""
        if len(X) > self.n_images:
            raise RuntimeError("out of memory")
        return super().transform(X)


class OneClassIsNoise(FunctionTransformer):
    """An embedder to which new images of a bright class are far from all others."""

    def __init__(self):
        super().__init__(PIXELS.func)

    def fit(self, X, y=None):
        """Remember the real images."""
        self.known_, self.is_square_ = {image.tobytes() for image in X}, X.mean() > 88
        return super().fit(X, y)

    def transform(self, X):
        """Flatten; new ones are moved away."""
        features = super().transform(X)
        if self.is_square_:
            features[[image.tobytes() not in self.known_ for image in X]] += 100
        return features


class TestNothingIsLost:
    """What fails after the training must not lose it."""

    @pytest.mark.filterwarnings("ignore:The images drawn")
    def test_a_report_that_fails_in_any_way(self, sampler):
        """Not ValueError alone."""
        X, y = make_shapes(40, 20)
        with pytest.warns(QualityWarning, match=r"class 'square' was not measured: RuntimeError: out of memory"):
            X_res, _ = sampler.set_params(quality=Breaks(), repeated_share=0.5).fit_resample(X, y)
        assert len(X_res) == 80
        assert sampler.quality_ == {"square": None}

    @pytest.mark.filterwarnings("ignore:The images drawn")
    def test_a_disk_that_is_full(self, sampler, shapes, tmp_path, monkeypatch):
        """Its state is not written, the training goes on."""
        expected, _ = clone(sampler).fit_resample(*shapes)

        def full(self, state):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Checkpoint, "write", full)
        with pytest.warns(
            UserWarning, match=r"could not be written, and the training goes on without it: .*No space left"
        ):
            found, _ = sampler.set_params(checkpoint_dir=tmp_path).fit_resample(*shapes)
        np.testing.assert_array_equal(found, expected)

    @pytest.mark.filterwarnings("ignore:The images drawn")
    def test_herding_that_fails_on_the_way(self, sampler):
        """Its images are then taken as they come."""
        X, y = make_shapes(40, 20)
        sampler.set_params(repeated_share=0)
        plain, _ = clone(sampler).fit_resample(X, y)
        with pytest.warns(QualityWarning, match=r"Herding chose no images of class 'square'.*RuntimeError: out of"):
            X_res, _ = sampler.set_params(herding=Breaks()).fit_resample(X, y)
        np.testing.assert_array_equal(X_res, plain)

    def test_room_for_the_images_is_reserved_before_the_training(self, sampler, shapes, monkeypatch):
        """Not after an hour of it."""
        monkeypatch.setattr(DCGANOverSampler, "_train", lambda *_, **__: pytest.fail("trained"))
        with pytest.raises(MemoryError, match=r"sampling_strategy asks for 999,999,990 new images.* GiB"):
            sampler.set_params(sampling_strategy={"square": 10**9}).fit_resample(*shapes)


def make_poor(monkeypatch, *labels, variance_ratio=1.0, score=1e12):
    """Let the images of some classes be judged unusable."""
    score_of = DCGANOverSampler._score

    def judged(self, X, y, label, random_state):
        record = {
            **score_of(self, X, y, label, random_state),
            "score": 1.0,
            "variance_ratio": 1.0,
            "spectral_distance": 0.0,
        }
        return {**record, "score": score, "variance_ratio": variance_ratio} if label in labels else record

    monkeypatch.setattr(DCGANOverSampler, "_score", judged)


class TestPoorQuality:
    """Whoever lets a fit run unattended gets no noise without a word."""

    def test_noise_is_told_once_for_all_classes(self, sampler, monkeypatch):
        """With the score, and what may help."""
        make_poor(monkeypatch, "b", "c")
        with pytest.warns(QualityWarning, match=r"'b' \(score 1e\+12, .*, 'c' \(.* too far from .*n_steps") as told:
            sampler.fit_resample(*three_classes())
        assert len([warning for warning in told if issubclass(warning.category, QualityWarning)]) == 1
        assert told[0].filename == __file__

    def test_collapse_is_told_once_and_knows_what_ended_training(self, sampler, monkeypatch):
        """More steps are no help where time ran out."""
        make_poor(monkeypatch, "b", "c", variance_ratio=0.01)
        with pytest.warns(CollapseWarning, match=r"classes 'b' \(variance_ratio 0\.01\), 'c' .*more time \(max_time\)"):
            sampler.set_params(max_time=1e-9).fit_resample(*three_classes())

    def test_real_images_are_repeated_in_their_place(self, sampler, monkeypatch):
        """Of that class alone, in as many numbers."""
        make_poor(monkeypatch, "b")
        X, y = three_classes()
        with pytest.warns(QualityWarning, match=r"Real images are repeated in their place"):
            X_res, y_res = sampler.set_params(on_poor_quality="repeat", augmented_share=0).fit_resample(X, y)
        assert {label: int((y_res == label).sum()) for label in "abc"} == {"a": 12, "b": 12, "c": 12}
        assert set(y_res[sampler.synthetic_mask_]) == {"c"}
        assert sampler.class_counts_["b"] == {"real": 6, "repeated": 6, "synthetic": 0}
        repeated = X_res[21:][y_res[21:] == "b"]
        assert {image.tobytes() for image in repeated} == {image.tobytes() for image in X[y == "b"]}

    @pytest.mark.parametrize("reaction", ["repeat", "raise"])
    def test_the_report_decides_too(self, sampler, reaction):
        """Where it is asked for; repeated images come before synthetic ones."""
        X, y = make_shapes(60, 15)
        y[y == "disc"] = np.repeat(["a", "z"], [45, 15])
        sampler = AugmentationOverSampler(
            repeated_share=0.5, on_poor_quality=reaction, quality=OneClassIsNoise(), random_state=0
        )
        if reaction == "raise":
            with pytest.raises(PoorQualityError, match=r"class 'square' should not be used: they are unlike any"):
                sampler.fit_resample(X, y)
            return
        with pytest.warns(QualityWarning, match=r"class 'square' should not be used: .* Real images are repeated"):
            X_res, y_res = sampler.fit_resample(X, y)
        mask = sampler.synthetic_mask_
        assert mask.tolist() == sorted(mask.tolist())
        assert sampler.class_counts_["square"] == {"real": 15, "repeated": 30, "synthetic": 0}
        assert sampler.class_counts_["z"] == {"real": 15, "repeated": 15, "synthetic": 15}
        uses = Counter(image.tobytes() for image in X_res[75:][y_res[75:] == "square"])
        assert uses == {
            image.tobytes(): 2 for image in X[y == "square"]
        }  # those that were to be repeated, and the rest

    def test_it_raises_and_keeps_what_was_learnt(self, sampler, monkeypatch):
        """For a look at what went wrong."""
        make_poor(monkeypatch, "c")
        with pytest.raises(PoorQualityError, match=r"class 'c' \(score 1e\+12, "):
            sampler.set_params(on_poor_quality="raise").fit_resample(*three_classes())
        assert sampler.sample(2, "c").shape == (2, 12, 12)
        assert not hasattr(sampler, "synthetic_mask_")

    @pytest.mark.parametrize("name", ["dcgan", "vision aided", "conditional", "gan"])
    def test_every_sampler_that_learns_is_judged(self, name, monkeypatch, shapes):
        """By the same measure."""
        monkeypatch.setattr(_judging, "is_unusable", lambda record: True)
        monkeypatch.setattr(_judging, "LEAST_VARIANCE_RATIO", -1.0)
        with pytest.raises(PoorQualityError, match=r"class 'square' \("):
            clone(SAMPLERS[name]).set_params(on_poor_quality="raise").fit_resample(*shapes)

    def test_speckle_of_a_short_training_is_found_out(self):
        """At 64 pixels a few steps give noise, of which nothing was said."""
        X, y = make_shapes(40, 20, size=64)
        with pytest.warns(QualityWarning, match=r"images drawn for class 'square'"):
            DCGANOverSampler(n_steps=30, base_channels=8, random_state=0).fit_resample(X, y)

    @pytest.mark.filterwarnings("ignore:The images drawn")
    def test_training_that_was_cut_off_is_told(self, sampler):
        """Once, with steps made and wanted."""
        with pytest.warns(ConvergenceWarning, match=r"max_time: class 'b' after 1 of 5,000 steps, class 'c'"):
            sampler.set_params(n_steps=5000, max_time=1e-9).fit_resample(*three_classes())
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            sampler.set_params(n_steps=2, max_time=1e6).fit_resample(*three_classes())

    def test_time_is_shared_by_the_classes(self, sampler, monkeypatch):
        """It is the fit's."""
        shares, train = [], DCGANOverSampler._train
        monkeypatch.setattr(
            DCGANOverSampler,
            "_train",
            lambda self, *args, **options: shares.append(options["max_time"]) or train(self, *args, **options),
        )
        sampler.set_params(max_time=60.0).fit_resample(*three_classes())
        assert shares == [30.0, 30.0]
        shares.clear()
        X = np.concatenate([make_shapes(12, 0)[0], make_shapes(18, 0)[0]])
        y = np.repeat([0, 1, 2, 3], [15, 5, 5, 5])
        with joblib.parallel_config(backend="threading"):  # two at once, so in two rounds
            sampler.set_params(n_jobs=2).fit_resample(X, y)
        assert shares == [30.0, 30.0, 30.0]


class TestBars:
    """Of training and of drawing."""

    @pytest.mark.filterwarnings("ignore:The images drawn")
    def test_they_say_which_class_of_how_many(self, sampler, capsys):
        """And what is going on after the training."""
        sampler.set_params(verbose=1, repeated_share=0).fit_resample(*three_classes())
        shown = capsys.readouterr().err
        assert "class 'b' (class 1 of 2)" in shown
        assert "class 'c' (class 2 of 2)" in shown
        assert "drawing class 'c'" in shown
        assert "9/9" in shown
        X, y = make_shapes(40, 20)
        sampler.set_params(herding=PIXELS, quality=PIXELS).fit_resample(X, y)
        shown = capsys.readouterr().err
        assert "80/80" in shown  # four times as many as are kept
        assert "measuring" in shown

    @pytest.mark.filterwarnings("ignore:The images drawn")
    def test_a_resumed_fit_starts_where_it_was(self, sampler, capsys, shapes, tmp_path):
        """Not at 0."""
        sampler.set_params(checkpoint_dir=tmp_path, n_steps=50).fit_resample(*shapes)
        sampler.set_params(n_steps=60, verbose=1).fit_resample(*shapes)
        shown = capsys.readouterr().err
        assert "class 'square': going on from step 50 in" in shown
        assert "50/60" in shown
        assert "0/60 " not in shown.replace("50/60", "").replace("60/60", "")

    def test_time_left_knows_of_max_time(self, monkeypatch):
        """5,000 steps at 100 a second in 10 s are 1,000 steps."""
        from gan_sampler.samplers._bars import TrainingBar

        with TrainingBar("training", n_steps=5000, max_time=10.0, verbose=1) as bar:
            bar.report({"step": 100, "seconds": 1.0, "loss_generator": 0.7})
            assert bar._bar.total == 1000


class TestLabels:
    """Errors that say what is wrong with labels."""

    @pytest.mark.parametrize(
        ("y", "message"),
        [
            (np.array([1, 0] * 17, dtype=object), r"y must hold numbers as numbers.*dtype object.*astype"),
            (["a"] * 10 + [None] * 24, r"y must hold a label for each image; got None at position 10 \(24 missing"),
            ([1.0] * 10 + [np.nan] * 24, r"got nan at position 10"),
            (["a", 1] * 17, r"labels of one type.*got str \(17\), int \(17\)"),
            (np.zeros((34, 12, 12)), r"shape \(34, 12, 12\), which looks like images"),
            (np.array(["2020-01-01"] * 34, dtype="M8[D]"), "got dtype datetime64"),
            (np.ones(34, dtype=complex), "got dtype complex128"),
            (3, "y must be an array of labels.*got int"),
            (np.array(3), "single value"),
        ],
    )
    def test_they_name_y_and_what_it_got(self, sampler, shapes, y, message):
        """Six of them said 'Unknown label type: unknown'."""
        with pytest.raises(ValueError, match=message):
            sampler.fit_resample(shapes[0], y)

    @pytest.mark.parametrize("as_given", [np.asarray, np.ndarray.tolist])
    def test_one_hot_labels_come_back_one_hot(self, sampler, shapes, as_given):
        """Two columns, of their dtype."""
        X, y = shapes
        columns = np.stack([y == "disc", y == "square"], axis=1).astype(np.uint8)
        X_res, y_res = sampler.fit_resample(X, as_given(columns))
        assert type(y_res) is type(as_given(columns))
        y_res = np.asarray(y_res)
        assert len(X_res) == 48
        assert y_res.sum(axis=0).tolist() == [24, 24]
        np.testing.assert_array_equal(y_res[:34], columns)


class TestStrategies:
    """What `sampling_strategy` may not be."""

    @pytest.mark.parametrize(
        ("strategy", "message"),
        [
            (lambda y: None, r"sampling_strategy must be a callable that returns a dict.*got NoneType"),
            ({"square": np.nan}, r"sampling_strategy must be a dict.*whole ones; got nan for class 'square'"),
            ({"square": np.inf}, r"whole ones; got inf for class 'square'"),
            ({"square": "20"}, r"whole ones; got '20' for class 'square'"),
            (lambda y: {"square": None}, r"whole ones; got None for class 'square'"),
            (None, "'sampling_strategy' parameter"),
            ({"circle": 30}, r"sampling_strategy must be .*'circle' is not present in the data, which have \['disc', "),
            ({"square": 3}, r"sampling_strategy must be .*got 3 for class 'square', of which there are 10"),
        ],
    )
    def test_they_are_refused_by_name(self, sampler, shapes, strategy, message):
        """NaN silently made nothing."""
        with pytest.raises(ValueError, match=message):
            sampler.set_params(sampling_strategy=strategy).fit_resample(*shapes)

    def test_numbers_beyond_memory_are_refused_by_name(self, sampler, shapes):
        """Also those that no array could have."""
        with pytest.raises(MemoryError, match="sampling_strategy asks for"):
            clone(sampler).set_params(sampling_strategy={"square": 10**30}).fit_resample(*shapes)
        sampler.fit_resample(*shapes)
        for n in (10**14, 10**30):
            with pytest.raises(MemoryError, match=f"n={n} images do not fit"):
                sampler.sample(n, "square")
        with pytest.raises(ValueError, match=r"random_state must be None, .* from 0 to 4294967295; got -1"):
            sampler.sample(1, "square", random_state=-1)

    def test_a_negative_seed_is_refused_by_name(self, sampler, shapes):
        """Not by NumPy, which names nothing."""
        with pytest.raises(ValueError, match="'random_state' parameter"):
            sampler.set_params(random_state=-1).fit_resample(*shapes)
