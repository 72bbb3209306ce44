"""Over-sampling with CycleGAN."""

from numbers import Integral, Real

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils import gen_batches
from sklearn.utils._param_validation import Interval, StrOptions

from ..networks import PatchDiscriminator, Translator
from ..runtime import check_precision, draw_seed, isolated, random_stream, training_context, warn_of_slow_precision
from ..training import CallbackError, TrainingInterrupted, train_cycle_gan, translate_images
from ._bars import TrainingBar
from ._base import BaseImageOverSampler
from ._callback import for_training, raised_by
from ._docstrings import document
from ._judging import best_record, warn_of_early_end
from ._labels import check_label
from ._training import is_cut_off

_BATCH_SIZE = 64  # images translated together


@document
class CycleGANOverSampler(BaseImageOverSampler):
    """Over-sample a class by translating images of the other classes into it.

    For each class that has too few images, one network learns to translate images of all other classes into images of
    this class, and a second network learns the reverse, so that the content of an image other than its class is kept
    [1]_. Pairs of images are not needed. Variety comes from the images of the other classes and not from noise. The
    method is for a class of few images beside many images of other classes with the same subject.

    Parameters
    ----------
    {sampling_strategy}
    {image_shape}
    {data_format}
    {value_range}
    base_channels : int, default=32
        Channels of all networks at full resolution; 64 in the paper.
    n_blocks : int, default=3
        Residual blocks of a translator; in the paper 6 for images of 128 x 128 pixels and 9 for larger ones.
    cycle_weight : float, default=10.0
        Weight of the cycle-consistency loss relative to the adversarial loss. With a larger weight, synthetic images
        are closer to the images that they are translated from.
    n_steps : int, default=5000
        Number of updates of the translators, for each class.
    {max_time}
    batch_size : int, default=1
        Number of images of the class, and of images of the other classes, in one update.
    learning_rate : float, default=2e-4
        Learning rate of Adam for all networks.
    {precision}
    {callback}
    {repeated_share}
    {synthetic_classes}
    {synthetic_ratio}
    {herding}
    {quality}
    {on_poor_quality}
    {device}
    {random_state}
    {verbose}

    Attributes
    ----------
    {sampling_strategy_}
    {synthetic_mask_}
    {class_counts_}
    translators_ : dict
        For each over-sampled class a `torch.nn.Module` that maps images of the other classes to images of this class,
        both in [-1, 1].
    history_ : dict
        For each over-sampled class a list of dicts, one for every 50 steps: ``step``, ``seconds``, the mean losses
        ``loss_discriminator``, ``loss_generator`` and ``loss_cycle`` since the previous report, and ``score``,
        ``variance_ratio`` and ``spectral_distance`` of images of the averaged translator, as in `DCGANOverSampler`.
    {quality_}
    {image_shape_}
    {n_features_in_}
    {feature_names_in_}
    {device_}

    Raises
    ------
    PoorQualityError
        With ``on_poor_quality="raise"``, when the images of a class cannot be used.
    FloatingPointError
        When training diverges.
    KeyboardInterrupt
        On Ctrl-C. The best snapshots so far are in `translators_`, and `translate` uses them.

    Warns
    -----
    CollapseWarning
        When the images generated for a class vary much less than the real ones.
    QualityWarning
        When the images generated for a class are too far from the real ones to be used, or could not be measured.
    ConvergenceWarning
        When `max_time` ended training early.

    See Also
    --------
    DCGANOverSampler : Over-sample with a generative adversarial network.

    Notes
    -----
    The losses are those of the paper. The networks are smaller: see `base_channels` and `n_blocks`; the discriminator
    has fewer layers and classifies smaller patches. Instead of a decaying learning rate, the moving average of the
    translator at its best report is used.

    The images of the other classes are translated equally often, up to a difference of one, and an image is always
    translated to the same result. So if a class needs more synthetic images than the other classes have images, they
    repeat; this cannot happen with the default `sampling_strategy`. `herding` selects from at most as many images as
    the other classes have.

    On CUDA the gradient of the padding is not deterministic, so that two fits with the same seed differ slightly.

    A translator learns whatever distinguishes the classes in these data, which may be the disease or the scanner, and
    it may remove or add features that a physician would look for [2]_. Use its images to train classifiers and not for
    diagnosis.

    References
    ----------
    .. [1] J.-Y. Zhu, T. Park, P. Isola, A. A. Efros, "Unpaired Image-to-Image Translation Using Cycle-Consistent
       Adversarial Networks", ICCV 2017. https://arxiv.org/abs/1703.10593
    .. [2] J. P. Cohen, M. Luck, S. Honari, "Distribution Matching Losses Can Hallucinate Features in Medical Image
       Translation", MICCAI 2018. https://arxiv.org/abs/1805.08841

    Examples
    --------
    >>> import numpy as np
    >>> from gan_sampler import CycleGANOverSampler
    >>> rng = np.random.default_rng(0)
    >>> X = rng.integers(0, 256, size=(60, 16, 16), dtype=np.uint8)
    >>> y = np.array(["sick"] * 10 + ["well"] * 50)
    >>> sampler = CycleGANOverSampler(n_steps=5, base_channels=4, random_state=0)
    >>> X_res, y_res = sampler.fit_resample(X, y)
    >>> X_res.shape, int((y_res == "sick").sum())
    ((100, 16, 16), 50)
    >>> sampler.translate(X[y == "well"], "sick").shape
    (50, 16, 16)
    """

    _network_attributes = ("translators_",)

    _parameter_constraints: dict = {
        **BaseImageOverSampler._parameter_constraints,
        "base_channels": [Interval(Integral, 1, None, closed="left")],
        "n_blocks": [Interval(Integral, 0, None, closed="left")],
        "cycle_weight": [Interval(Real, 0, None, closed="left")],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "max_time": [Interval(Real, 0, None, closed="neither"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "precision": [StrOptions({"auto", "float32", "bfloat16"})],
        "callback": [callable, None],
    }

    def __init__(
        self,
        *,
        sampling_strategy="auto",
        image_shape=None,
        data_format="auto",
        value_range=None,
        base_channels=32,
        n_blocks=3,
        cycle_weight=10.0,
        n_steps=5000,
        max_time=None,
        batch_size=1,
        learning_rate=2e-4,
        precision="auto",
        callback=None,
        repeated_share=0.75,
        synthetic_classes="resampled",
        synthetic_ratio=0.25,
        herding=False,
        quality=False,
        on_poor_quality="warn",
        device="auto",
        random_state=None,
        verbose=0,
    ):
        super().__init__(
            sampling_strategy=sampling_strategy,
            image_shape=image_shape,
            data_format=data_format,
            value_range=value_range,
            repeated_share=repeated_share,
            synthetic_classes=synthetic_classes,
            synthetic_ratio=synthetic_ratio,
            herding=herding,
            quality=quality,
            on_poor_quality=on_poor_quality,
            device=device,
            random_state=random_state,
            verbose=verbose,
        )
        self.base_channels = base_channels
        self.n_blocks = n_blocks
        self.cycle_weight = cycle_weight
        self.n_steps = n_steps
        self.max_time = max_time
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.precision = precision
        self.callback = callback

    def _training_rows(self, y, rows):
        return np.arange(len(y))

    def _learn(self, X, y, rows, random_states):
        """Train a pair of translators for each class, and set `translators_` and `history_`."""
        self.translators_, self.history_ = {}, {}
        if rows:
            check_precision(self.precision, self.device_)
            warn_of_slow_precision(self.precision, [self.device_])
        max_time = None if self.max_time is None else self.max_time / max(1, len(rows))
        for i, label in enumerate(rows):
            title = f"{type(self).__name__} class {label!r}"
            if len(rows) > 1:
                title += f" (class {i + 1} of {len(rows)})"
            with TrainingBar(title, n_steps=self.n_steps, max_time=max_time, verbose=self.verbose) as bar:
                self._train(X, y, label, draw_seed(random_states[label]), max_time, bar)
        self._cut_off = {
            f"class {label!r}": history[-1]["step"]
            for label, history in self.history_.items()
            if is_cut_off(history, self.n_steps, max_time)
        }
        warn_of_early_end({name: (step, self.n_steps) for name, step in self._cut_off.items()})

    def _train(self, X, y, label, seed, max_time, bar):
        shape = self.image_format_.tensor_shape
        with isolated(self.device_, seed):
            translators = [
                Translator(shape, base_channels=self.base_channels, n_blocks=self.n_blocks).to(self.device_)
                for _ in "ab"
            ]
            discriminators = [
                PatchDiscriminator(shape, base_channels=self.base_channels).to(self.device_) for _ in "ab"
            ]
        is_target = y == label
        source, target = (
            self.image_format_.to_compact_tensor(X[rows]).to(self.device_) for rows in (~is_target, is_target)
        )
        try:
            with training_context(self.device_, seed, [*translators, *discriminators]):
                self.translators_[label], self.history_[label] = train_cycle_gan(
                    translators,
                    discriminators,
                    source,
                    target,
                    n_steps=self.n_steps,
                    max_time=max_time,
                    batch_size=self.batch_size,
                    learning_rate=self.learning_rate,
                    precision=self.precision,
                    cycle_weight=self.cycle_weight,
                    stream=random_stream(self.device_, seed),
                    report=bar.report,
                    callback=for_training(self.callback, self.image_format_, label=label),
                )
        except FloatingPointError as exc:
            raise FloatingPointError(
                f"Training for class {label!r} diverged: {exc}. Use a smaller learning_rate."
            ) from exc
        except CallbackError as exc:
            self.translators_[label], self.history_[label] = exc.network, exc.history
            self._callback_error = raised_by(exc, f"class {label!r}", "The best snapshots are in translators_.")
        except TrainingInterrupted as exc:
            self.translators_[label], self.history_[label] = exc.network, exc.history
            raise KeyboardInterrupt(
                f"Training for class {label!r} was interrupted; its last report was at step "
                f"{exc.history[-1]['step']:,}. The best snapshots so far are in translators_, and translate uses them."
            ) from exc
        if self._callback_error is not None:
            raise self._callback_error

    def _score(self, X, y, label, random_state):
        return best_record(self.history_[label])

    def _synthesise(self, X, y, label, n_images, random_state):
        sources = random_state.permutation(np.flatnonzero(y != label))
        return self._translate(X, np.resize(sources, n_images), label)

    def _n_candidates(self, y, label, n_images):
        return min(super()._n_candidates(y, label, n_images), max(n_images, int((y != label).sum())))

    def _translate(self, X, rows, label):
        for batch in gen_batches(len(rows), _BATCH_SIZE):  # so that only one batch is converted to floats at a time
            images = self.image_format_.to_tensor(X[rows[batch]])
            yield from translate_images(self.translators_[label], images)

    def translate(self, X, label):
        """Translate images of other classes into a class without training.

        Parameters
        ----------
        X : array-like of shape (n, *X.shape[1:])
            Images in the layout, dtype and value range seen at fit.
        label : object
            One of the classes that were over-sampled, the keys of `translators_`.

        Returns
        -------
        images : ndarray of shape (n, *X.shape[1:])
            The translated images, in the same layout, dtype and value range.

        Raises
        ------
        NotFittedError
            When there is no translator yet.
        ValueError
            When `label` is no class with a translator, or the images are not like those at fit.
        """
        if not hasattr(self, "translators_"):
            raise NotFittedError(
                f"This {type(self).__name__} has no translators yet. Call fit_resample, which trains them (fit alone "
                "does not)."
            )
        check_label(label, self.translators_)
        X = self.image_format_.check_same(X)
        translated = np.empty((len(X), *self.image_format_.row_shape), dtype=self.image_format_.dtype)
        self.image_format_.fill(translated, self._translate(X, np.arange(len(X)), label))
        return translated
