"""DeepSMOTE behind `fit_resample`."""

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
from ._judging import warn_of_early_end
from ._training import is_cut_off

_BATCH_SIZE = 64  # images encoded or decoded together


class DeepSMOTE(BaseImageOverSampler):
    """Over-sample by SMOTE between the codes that an autoencoder gives to images.

    An autoencoder learns all images, with a penalty that accustoms its decoder to codes between those of images of one
    class [1]_. New images of a class are decoded from points between the code of one of its images and that of one of
    that code's nearest neighbours in the class.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable, default="auto"
        How many images each class shall have, as in imbalanced-learn's over-samplers.
    image_shape : tuple of int, "row" or None, default=None
        Shape ``(H, W)`` or ``(H, W, C)`` of one image; needed only where `X` holds rows.
    data_format : {"auto", "channels_first", "channels_last"}, default="auto"
        Where the channels of 4-D input stand.
    value_range : tuple of (float, float) or None, default=None
        Smallest and largest value an image can have. None stands for 0..255 for uint8, and for what is found in
        `X` for every other dtype.
    k_neighbors : int, default=5
        Neighbours in its class that a code is mixed with; all where there are fewer.
    latent_dim : int, default=300
        Length of a code.
    width : int, default=64
        Channels of both networks at the highest resolution.
    channels : {"pyramid", "flat"}, default="pyramid"
        Whether channels double as the resolution halves, up to ``8 * width``, or stay at `width`.
    n_steps : int, default=5000
        Number of updates of the autoencoder, for all classes together. With the default `width` and `batch_size` they
        take an hour or more on two CPU cores for images of 32 x 32 pixels, and four times as long for 64 x 64.
    max_time : float or None, default=None
        Seconds of training after which it ends, with a warning, even if steps are left.
    batch_size : int, default=100
        Images of all classes, and of one class, in an update.
    learning_rate : float, default=2e-4
        Learning rate of Adam.
    callback : callable or None, default=None
        Called every 50 steps and at the end of the training with a :class:`gan_sampler.training.TrainingProgress`,
        which holds the class, the step, the losses and the score, and draws images with ``progress.sample(n)``.
        Returning True ends this training as if `n_steps` were reached; an exception ends the fit like Ctrl-C, with the
        best snapshot kept. Images do not depend on it otherwise, but its time counts for `max_time`. A function or a
        closure is safe; an object that holds what cannot be copied, such as an open file, fails in scikit-learn's
        `clone`.
    synthetic_classes : {"resampled", "all"}, default="resampled"
        Which classes get synthetic images, as in `DCGANOverSampler`.
    synthetic_ratio : float, default=0.25
        With "all", the number of synthetic images of each class, as a share of the largest class's number in `y`.
    herding : bool or transformer, default=False
        Whether to make four times as many images as needed and to keep those that together are most like the real
        ones, as in `DCGANOverSampler`.
    quality : bool or transformer, default=False
        Whether to measure the images made for each class with :func:`gan_sampler.quality_report`, into `quality_`.
    on_poor_quality : {"warn", "raise", "repeat"}, default="warn"
        What to do when the images of a class cannot be used, because they are noise or all alike: make them with a
        warning, raise a :class:`PoorQualityError`, or repeat real images in their place, as in `DCGANOverSampler`.
    device : str or torch.device, default="auto"
        Where to train: "auto" takes the first CUDA device, else the CPU.
    random_state : int, RandomState instance or None, default=None
        Seed; the same one gives the same images on one machine.
    verbose : int, default=0
        Whether to show a bar with losses and time left.

    Attributes
    ----------
    sampling_strategy_ : dict
        Number of images that each class lacked: made, or with `synthetic_classes="all"` repeated.
    synthetic_mask_ : ndarray of shape (n_resampled,), bool
        True for rows of the output that were made here.
    encoder_, decoder_ : torch.nn.Module
        Images in [-1, 1] to codes, and codes to images.
    history_ : list of dict
        At every 50 steps ``step``, ``seconds``, the mean losses ``loss_reconstruction`` and ``loss_penalty``, and their
        sum ``score``, which chooses the snapshot.
    quality_ : dict
        Where `quality` was asked for, the :class:`gan_sampler.QualityReport` of each class, or None with a warning
        where it cannot be measured, as with fewer than 10 images.
    image_shape_ : tuple of int
        Shape of one image as stored.
    n_features_in_ : int
        Number of values that one image stores.
    device_ : torch.device
        Where the networks were trained.

    See Also
    --------
    DCGANOverSampler : Over-sample with a generative adversarial network.
    PixelSampler : SMOTE and its kin on pixels.

    Warns
    -----
    CollapseWarning
        When the images made for a class are much more alike than the real ones, as they are after too few steps.

    Raises
    ------
    FloatingPointError
        When training diverges.

    Notes
    -----
    As in the paper the networks are those of DCGAN, with batch normalisation, and the snapshot with the smallest loss
    is kept. The paper trains for 50 to 350 epochs of batches of 100; here the length is a number of steps. It draws
    from the codes of training images, so there is nothing to draw from after the fit: there is neither
    `sample` nor `save`.

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
    >>> X_res, y_res = DeepSMOTE(n_steps=5, width=8, random_state=0).fit_resample(X, y)
    >>> X_res.shape, int((y_res == "sick").sum())
    ((100, 16, 16), 50)
    """

    _network_attributes = ("encoder_", "decoder_")

    _parameter_constraints: dict = {
        **BaseImageOverSampler._parameter_constraints,
        "k_neighbors": [Interval(Integral, 1, None, closed="left")],
        "latent_dim": [Interval(Integral, 1, None, closed="left")],
        "width": [Interval(Integral, 1, None, closed="left")],
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
        width=64,
        channels="pyramid",
        n_steps=5000,
        max_time=None,
        batch_size=100,
        learning_rate=2e-4,
        callback=None,
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
        self.width = width
        self.channels = channels
        self.n_steps = n_steps
        self.max_time = max_time
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.callback = callback

    def _rows_learnt(self, y, rows):
        return np.arange(len(y))

    def _learn(self, X, y, rows, random_states):
        """Train the autoencoder on all images, and set `encoder_`, `decoder_` and `history_`."""
        self.history_ = []
        if not rows:
            return
        seed = draw_seed(random_states[None])
        shape, shared = self.image_format_.tensor_shape, {"base_channels": self.width, "channels": self.channels}
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
        """Yield images decoded between the codes of those of the class."""
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
        """Return `n_images` new codes between those given, by SMOTE, which needs a second class that plays no part."""
        n_all = len(codes) + n_images
        smote = SMOTE(
            sampling_strategy={1: n_all},
            k_neighbors=min(self.k_neighbors, len(codes) - 1),
            random_state=random_state,
        )
        X = np.concatenate([codes, np.zeros((n_all, codes.shape[1]), dtype=codes.dtype)])
        y = np.repeat([1, 0], [len(codes), n_all])
        return smote.fit_resample(X, y)[0][len(X) :]
