"""Images on the way from one noise vector to another."""

import math
from numbers import Integral

import numpy as np

from ._drawing import ARROW, WIDTH, axes_of, check_matplotlib, keywords, names_of, plain
from ._gathering import generators_of
from ._pixels import as_bytes, displayable, lay_out

_ALMOST_PARALLEL = 1e-6  # radians, below which the way between two vectors is a straight line


class LatentWalkDisplay:
    """Images that a generator draws on the way from one noise vector to another, a line for each way.

    A generator that has learnt a class draws a plausible image everywhere on the way, and each is a little different
    from the last; one that memorised jumps from one training image to the next. The way is spherical interpolation
    [1]_: vectors in high dimension lie near a sphere, and a straight line between them passes where no noise is.

    Make it with :meth:`from_estimator`. There is no ``from_predictions``: a way takes a generator, and images alone
    have none.

    All parameters are stored as attributes.

    Parameters
    ----------
    images : sequence of ndarray of shape (n_steps, H, W) or (n_steps, H, W, C)
        Images on each way, in order.
    value_range : tuple of (float, float) or None, default=None
        Values of black and white. None stands for 0..255 for uint8, and otherwise for what is found in the images.
    display_labels : sequence of str or None, default=None
        Name of the class of each way; None writes none.

    Attributes
    ----------
    image_ : matplotlib.image.AxesImage
        All images, as one picture.
    ax_ : matplotlib.axes.Axes
        Axes with the images.
    figure_ : matplotlib.figure.Figure
        Figure with the axes.

    References
    ----------
    .. [1] T. White, "Sampling Generative Networks", 2016. https://arxiv.org/abs/1609.04468

    Examples
    --------
    >>> import numpy as np
    >>> from gan_sampler import DCGANOverSampler
    >>> from gan_sampler.displays import LatentWalkDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.integers(0, 256, size=(60, 16, 16), dtype=np.uint8)
    >>> y = np.array(["sick"] * 10 + ["well"] * 50)
    >>> sampler = DCGANOverSampler(n_steps=5, random_state=0)
    >>> X_res, y_res = sampler.fit_resample(X, y)
    >>> display = LatentWalkDisplay.from_estimator(sampler, n_walks=2, random_state=0)
    >>> [images.shape for images in display.images]
    [(8, 16, 16), (8, 16, 16)]
    """

    def __init__(self, images, *, value_range=None, display_labels=None):
        self.images = images
        self.value_range = value_range
        self.display_labels = display_labels

    @classmethod
    def from_estimator(
        cls,
        sampler,
        *,
        labels=None,
        n_walks=2,
        n_steps=8,
        random_state=None,
        display_labels=None,
        ax=None,
        image_kw=None,
    ):
        """Draw ways between noise vectors of a fitted sampler.

        Every class goes the same ways, so that of a class-conditional generator one sees what the class changes.

        Parameters
        ----------
        sampler : object
            Fitted sampler with ``generators_``, one for all classes or one for each.
        labels : sequence or None, default=None
            Classes to show; None stands for all that have a generator.
        n_walks : int, default=2
            Number of ways for each class.
        n_steps : int, default=8
            Number of images on a way, both ends included; at least 2.
        random_state : int, RandomState instance or None, default=None
            Draws the ends.
        display_labels : sequence of str or None, default=None
            Names of the classes shown, in their order; None stands for the labels.
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure.
        image_kw : dict or None, default=None
            As :meth:`plot` takes it.

        Returns
        -------
        display : LatentWalkDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            When this kind of sampler has no generator that draws from noise.
        NotFittedError
            When it is not fitted.
        ValueError
            When a class in `labels` has no generator, or `n_walks` or `n_steps` is too small.
        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        from ..runtime import own_random_state

        generators = generators_of(sampler, "LatentWalkDisplay", "It has no noise to walk through.")
        labels = list(generators) if labels is None else list(labels)
        unknown = [label for label in labels if label not in generators]
        if unknown:
            raise ValueError(
                f"labels must be classes that have a generator, {list(map(str, generators))}; got {unknown}."
            )
        for name, value, least in (("n_walks", n_walks, 1), ("n_steps", n_steps, 2)):
            if not isinstance(value, Integral) or value < least:
                raise ValueError(f"{name} must be an integer of at least {least}; got {value!r}.")
        names = names_of(labels, display_labels)
        latent_dim = generators[labels[0]].latent_dim
        ends = own_random_state(random_state).normal(size=(n_walks, 2, latent_dim))
        noise = np.concatenate([slerp(start, end, np.linspace(0, 1, n_steps)) for start, end in ends])
        images = []
        for label in labels:
            drawn = _draw(generators[label], noise)
            X = sampler.image_format_.to_array(drawn)
            images += np.split(displayable(sampler.image_format_, X), n_walks)
        display = cls(images, display_labels=[name for name in names for _ in range(n_walks)])
        return display.plot(ax=ax, image_kw=image_kw)

    def plot(self, ax=None, *, image_kw=None):
        """Draw the images, a way below the other.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure.
        image_kw : dict or None, default=None
            Keyword arguments of the picture, for ``Axes.imshow``.

        Returns
        -------
        self : LatentWalkDisplay
        """
        names = list(self.display_labels or [])
        new_class = [row for row in range(1, len(names)) if names[row] != names[row - 1]]
        cells = {
            (row, column): image
            for row, images in enumerate(self.images)
            for column, image in enumerate(as_bytes(images, self.value_range))
        }
        picture, tops, _ = lay_out(cells, row_gaps=new_class)
        height, width = picture.shape[:2]
        ax = axes_of(self, ax, (WIDTH, max(1.2, (WIDTH - 0.9) * height / width + 0.5)))
        from matplotlib.image import AxesImage

        self.image_ = ax.imshow(picture, **keywords(AxesImage, {"interpolation": "antialiased"}, image_kw))
        bottoms = [*tops[1:], height]
        starts = [0, *new_class]
        ends = [*new_class, len(self.images)]
        middles = [(tops[a] + bottoms[b - 1]) / 2 for a, b in zip(starts, ends, strict=True)]
        shown = [plain(names[start], 14) for start in starts] if names else []
        ax.set_yticks(middles if names else [], shown)
        ax.set_xticks([])
        ax.set_xlabel(f"one noise vector {ARROW} another", fontsize="small")
        ax.tick_params(length=0)
        ax.grid(visible=False)
        ax.set_frame_on(False)
        ax.set_anchor("N")  # else a layout leaves no room for what stands above a picture lower than its place
        ax.set_title("Latent walk")
        self.ax_, self.figure_ = ax, ax.figure
        return self


def slerp(start, end, shares):
    """Interpolate between two vectors on the sphere.

    Parameters
    ----------
    start, end : ndarray of shape (d,)
        The vectors.
    shares : ndarray of shape (n,)
        How far along the way, in [0, 1].

    Returns
    -------
    points : ndarray of shape (n, d)
        On the arc between the directions, of lengths between the two.
    """
    lengths = np.linalg.norm(start), np.linalg.norm(end)
    cosine = np.clip(start @ end / (lengths[0] * lengths[1]), -1, 1)
    angle = math.acos(cosine)
    shares = np.asarray(shares)[:, None]
    if math.sin(angle) < _ALMOST_PARALLEL:
        return (1 - shares) * start + shares * end
    return (np.sin((1 - shares) * angle) * start + np.sin(shares * angle) * end) / math.sin(angle)


def _draw(generator, noise):
    import torch

    from ..runtime import own_modes

    device = next(generator.parameters()).device
    with own_modes(device), torch.inference_mode():
        return generator(torch.from_numpy(noise.astype(np.float32)).to(device))
