"""Over-sampling with DeepSMOTE."""

from numbers import Integral, Real

import numpy as np
import torch
from imblearn.over_sampling import SMOTE
from sklearn.utils import gen_batches
from sklearn.utils._param_validation import Interval, StrOptions

from ..networks import Encoder, Generator
from ..runtime import draw_seed, isolated, own_modes, random_stream, training_context
from ..training import CallbackError, TrainingInterrupted, train_autoencoder
from ._bars import TrainingBar
from ._base import BaseImageOverSampler
from ._callback import for_training, raised_by
from ._docstrings import document
from ._judging import warn_of_early_end
from ._training import is_cut_off

_BATCH_SIZE = 64  # images encoded or decoded together


@document
class DeepSMOTE(BaseImageOverSampler):
    """Over-sample by SMOTE in the latent space of an autoencoder.

    An autoencoder is trained on all images, with a penalty that trains its decoder on codes between those of images of
    one class [1]_. A synthetic image of a class is decoded from a point between the code of one of its images and the
    code of one of this image's nearest neighbours in the class. In the paper all images that are added are synthetic,
    which is ``repeated_share=0``.

    Parameters
    ----------
    {sampling_strategy}
    {image_shape}
    {data_format}
    {value_range}
    k_neighbors : int, default=5
        Number of nearest neighbours in the class to interpolate with; all images of the class where it has fewer.
    latent_dim : int, default=300
        Length of a code.
    base_channels : int, default=64
        Channels of both networks at the highest resolution.
    {channels}
    n_steps : int, default=5000
        Number of updates of the autoencoder, for all classes together. With the default `base_channels` and
        `batch_size` they take an hour or more on two CPU cores for images of 32 x 32 pixels, and four times as long for
        64 x 64.
    {max_time}
    batch_size : int, default=100
        Number of images of all classes, and of images of one class, in one update.
    learning_rate : float, default=2e-4
        Learning rate of Adam.
    {callback_of_all_classes}
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
    encoder_ : torch.nn.Module
        Maps images in [-1, 1] to codes of shape (n, latent_dim).
    decoder_ : torch.nn.Module
        Maps codes to images in [-1, 1].
    history_ : list of dict
        For every 50 steps ``step``, ``seconds``, the mean losses ``loss_reconstruction`` and ``loss_penalty`` since the
        previous report, and their sum ``score``. The snapshot with the lowest score is kept.
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
        On Ctrl-C. The best networks so far are in `encoder_` and `decoder_`.

    Warns
    -----
    CollapseWarning
        When the images generated for a class vary much less than the real ones, as after too few steps.
    QualityWarning
        When the images generated for a class are too far from the real ones to be used, or could not be measured.
    ConvergenceWarning
        When `max_time` ended training early.

    See Also
    --------
    DCGANOverSampler : Over-sample with a generative adversarial network.
    PixelSampler : SMOTE and other imbalanced-learn samplers on pixels.

    Notes
    -----
    As in the paper, the networks are those of DCGAN with batch normalisation, and the snapshot with the smallest loss
    is kept. The paper trains for 50 to 350 epochs of batches of 100; here the length is a number of steps. New images
    are interpolated between the codes of training images, which are not kept after the fit: there is neither `sample`
    nor `save`.

    References
    ----------
    .. [1] D. Dablain, B. Krawczyk, N. V. Chawla, "DeepSMOTE: Fusing Deep Learning and SMOTE for Imbalanced Data",
       IEEE Transactions on Neural Networks and Learning Systems, 2022. https://arxiv.org/abs/2105.02340

    Examples
    --------
    >>> import numpy as np
    >>> from gan_sampler import DeepSMOTE
    >>> rng = np.random.default_rng(0)
    >>> X = rng.integers(0, 256, size=(60, 16, 16), dtype=np.uint8)
    >>> y = np.array(["sick"] * 10 + ["well"] * 50)
    >>> X_res, y_res = DeepSMOTE(n_steps=5, base_channels=8, random_state=0).fit_resample(X, y)
    >>> X_res.shape, int((y_res == "sick").sum())
    ((100, 16, 16), 50)
    """

    _network_attributes = ("encoder_", "decoder_")

    _parameter_constraints: dict = {
        **BaseImageOverSampler._parameter_constraints,
        "k_neighbors": [Interval(Integral, 1, None, closed="left")],
        "latent_dim": [Interval(Integral, 1, None, closed="left")],
        "base_channels": [Interval(Integral, 1, None, closed="left")],
        "channels": [StrOptions({"pyramid", "flat"})],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "max_time": [Interval(Real, 0, None, closed="neither"), None],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "callback": [callable, None],
    }

    def __init__(
        self,
        *,
        sampling_strategy="auto",
        image_shape=None,
        data_format="auto",
        value_range=None,
        k_neighbors=5,
        latent_dim=300,
        base_channels=64,
        channels="pyramid",
        n_steps=5000,
        max_time=None,
        batch_size=100,
        learning_rate=2e-4,
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
        self.k_neighbors = k_neighbors
        self.latent_dim = latent_dim
        self.base_channels = base_channels
        self.channels = channels
        self.n_steps = n_steps
        self.max_time = max_time
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.callback = callback

    def _training_rows(self, y, rows):
        return np.arange(len(y))

    def _learn(self, X, y, rows, random_states):
        """Train the autoencoder on all images, and set `encoder_`, `decoder_` and `history_`."""
        self.history_ = []
        if not rows:
            return
        seed = draw_seed(random_states[None])
        shape, shared = (
            self.image_format_.tensor_shape,
            {"base_channels": self.base_channels, "channels": self.channels},
        )
        with isolated(self.device_, seed):
            encoder = Encoder(shape, latent_dim=self.latent_dim, norm="batch", **shared).to(self.device_)
            decoder = Generator(shape, latent_dim=self.latent_dim, norm="batch", **shared).to(self.device_)
        images = self.image_format_.to_compact_tensor(X).to(self.device_)
        labels, classes = np.unique(y, return_inverse=True)
        classes = torch.from_numpy(classes).to(self.device_)
        indices = {label: int(np.flatnonzero(labels == label)[0]) for label in rows}
        bar = TrainingBar(type(self).__name__, n_steps=self.n_steps, max_time=self.max_time, verbose=self.verbose)
        try:
            with bar, training_context(self.device_, seed, [encoder, decoder]):
                self.history_ = train_autoencoder(
                    encoder,
                    decoder,
                    images,
                    classes,
                    n_steps=self.n_steps,
                    max_time=self.max_time,
                    batch_size=self.batch_size,
                    learning_rate=self.learning_rate,
                    stream=random_stream(self.device_, seed),
                    report=bar.report,
                    callback=for_training(self.callback, self.image_format_, indices=indices),
                )
        except FloatingPointError as exc:
            raise FloatingPointError(f"Training the autoencoder diverged: {exc}. Use a smaller learning_rate.") from exc
        except CallbackError as exc:
            self.encoder_, self.decoder_, self.history_ = *exc.network, exc.history
            self._callback_error = raised_by(exc, "all classes", "encoder_ and decoder_ are the best so far.")
        except TrainingInterrupted as exc:
            self.encoder_, self.decoder_, self.history_ = *exc.network, exc.history
            raise KeyboardInterrupt(
                f"Training the autoencoder was interrupted; its last report was at step {exc.history[-1]['step']:,}. "
                "encoder_ and decoder_ are the best so far."
            ) from exc
        if self._callback_error is not None:
            raise self._callback_error
        self.encoder_, self.decoder_ = encoder, decoder
        if is_cut_off(self.history_, self.n_steps, self.max_time):
            last_step = self.history_[-1]["step"]
            self._cut_off = {"the autoencoder": last_step}
            warn_of_early_end({"the autoencoder": (last_step, self.n_steps)})

    def _synthesise(self, X, y, label, n_images, random_state):
        """Yield images decoded from points between the codes of the class."""
        real, codes = X[y == label], []
        with own_modes(self.device_), torch.inference_mode():
            for batch in gen_batches(len(real), _BATCH_SIZE):
                images = self.image_format_.to_tensor(real[batch]).to(self.device_)
                codes.append(self.encoder_(images).cpu().numpy())
        mixed = self._mix(np.concatenate(codes), n_images, random_state)
        for batch in torch.from_numpy(mixed).split(_BATCH_SIZE):
            with own_modes(self.device_), torch.inference_mode():
                images = self.decoder_(batch.to(self.device_))
            yield images

    def _mix(self, codes, n_images, random_state):
        """Return `n_images` new codes by SMOTE, which requires a second class; its codes are not used."""
        n_all = len(codes) + n_images
        smote = SMOTE(
            sampling_strategy={1: n_all},
            k_neighbors=min(self.k_neighbors, len(codes) - 1),
            random_state=random_state,
        )
        X = np.concatenate([codes, np.zeros((n_all, codes.shape[1]), dtype=codes.dtype)])
        y = np.repeat([1, 0], [len(codes), n_all])
        return smote.fit_resample(X, y)[0][len(X) :]
