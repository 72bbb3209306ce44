"""Real and synthetic images side by side."""

import numpy as np

from ._drawing import WIDTH, axes_of, check_matplotlib, keywords, names_of, plain
from ._gathering import from_arrays, from_sampler, thinned
from ._pixels import as_bytes, displayable, lay_out, nearest_rows

_COLUMNS = 4  # images of a kind in a line, where real ones stand beside
_COLUMNS_ALONE = 8


class SyntheticImagesDisplay:
    """Synthetic images of each class beside real ones, each above the real image that is nearest to it.

    The nearest real image shows a copy at a glance: a generator that memorised its training images draws pairs.

    Make it with :meth:`from_estimator` or :meth:`from_predictions`. All parameters are stored as attributes.

    Parameters
    ----------
    synthetic : sequence of ndarray of shape (n, H, W) or (n, H, W, C)
        Synthetic images of each class, all of one size. C is 1 or 2 (grey, opacity left out), 3 or 4 (colour).
    real : sequence of ndarray of shape (m, H, W) or (m, H, W, C), or None, default=None
        Real images of each class, drawn to the left; None draws none.
    nearest : sequence of ndarray of shape (n, H, W) or (n, H, W, C), or None, default=None
        The real image nearest to each synthetic one, drawn below it; None draws none.
    value_range : tuple of (float, float) or None, default=None
        Values of black and white, of all images. None stands for 0..255 for uint8, and otherwise for what is found in
        all of them together.
    display_labels : sequence of str or None, default=None
        Names of the classes; None numbers them from 0.

    Attributes
    ----------
    image_ : matplotlib.image.AxesImage
        All images, as one picture.
    text_ : list of matplotlib.text.Text
        The words above the images.
    ax_ : matplotlib.axes.Axes
        Axes with the images.
    figure_ : matplotlib.figure.Figure
        Figure with the axes.

    See Also
    --------
    EmbeddingDisplay : Many images as points.
    gan_sampler.quality_report : Measures of what is seen here.

    Examples
    --------
    >>> import numpy as np
    >>> from gan_sampler.displays import SyntheticImagesDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.integers(0, 256, size=(60, 16, 16), dtype=np.uint8)
    >>> y = np.array(["sick"] * 10 + ["well"] * 50)
    >>> made = rng.integers(0, 256, size=(8, 16, 16), dtype=np.uint8)
    >>> display = SyntheticImagesDisplay.from_predictions(X, y, made, ["sick"] * 8, random_state=0)
    >>> [text.get_text() for text in display.ax_.get_yticklabels()]
    ['sick']
    """

    def __init__(self, synthetic, *, real=None, nearest=None, value_range=None, display_labels=None):
        self.synthetic = synthetic
        self.real = real
        self.nearest = nearest
        self.value_range = value_range
        self.display_labels = display_labels

    @classmethod
    def from_estimator(
        cls,
        sampler,
        X,
        y,
        *,
        n_images=_COLUMNS,
        labels=None,
        embedder=None,
        random_state=None,
        display_labels=None,
        ax=None,
        image_kw=None,
        text_kw=None,
    ):
        """Draw images from a fitted sampler and show them beside real ones.

        Parameters
        ----------
        sampler : object
            Fitted sampler with ``sample``, whose generator draws from noise. For others, use :meth:`from_predictions`.
        X : array-like of shape (n, ...)
            Real images, as they were given to ``fit_resample``.
        y : array-like of shape (n,)
            Their labels.
        n_images : int, default=4
            Number of synthetic images of each class.
        labels : sequence or None, default=None
            Classes to show; None stands for all that have a generator.
        embedder : transformer or None, default=None
            Turns images into features, in which the nearest real image is looked for; cloned and fitted to `X`. None
            compares pixels, of images averaged down to 32 pixels a side at most.
        random_state : int, RandomState instance or None, default=None
            Draws synthetic images and chooses real ones.
        display_labels : sequence of str or None, default=None
            Names of the classes shown, in their order; None stands for the labels.
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure.
        image_kw, text_kw : dict or None, default=None
            As :meth:`plot` takes them.

        Returns
        -------
        display : SyntheticImagesDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            When this kind of sampler draws from no generator.
        NotFittedError
            When it is not fitted.
        ValueError
            When `X` and `y` do not fit each other or the sampler, or have no image of a class.
        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        images = from_sampler(sampler, X, y, labels, n_images, random_state, "SyntheticImagesDisplay.from_estimator")
        display = cls._of(images, n_images, embedder, random_state, display_labels)
        return display.plot(ax=ax, image_kw=image_kw, text_kw=text_kw)

    @classmethod
    def from_predictions(
        cls,
        X_real,
        y_real,
        X_synthetic,
        y_synthetic,
        *,
        n_images=_COLUMNS,
        labels=None,
        embedder=None,
        image_shape=None,
        data_format="auto",
        value_range=None,
        random_state=None,
        display_labels=None,
        ax=None,
        image_kw=None,
        text_kw=None,
    ):
        """Show images that a sampler has made beside real ones.

        Of what ``X_res, y_res = sampler.fit_resample(X, y)`` returned, the synthetic ones are
        ``X_res[sampler.synthetic_mask_]``.

        Parameters
        ----------
        X_real : array-like of shape (n_real, ...)
            Real images, in any layout that the samplers take.
        y_real : array-like of shape (n_real,)
            Their labels.
        X_synthetic : array-like of shape (n_synthetic, ...)
            Synthetic images, in the same layout.
        y_synthetic : array-like of shape (n_synthetic,)
            Their labels.
        n_images : int, default=4
            Number of synthetic images of each class that are shown, chosen at random.
        labels : sequence or None, default=None
            Classes to show; None stands for all that have synthetic images.
        embedder : transformer or None, default=None
            Turns images into features, in which the nearest real image is looked for; cloned and fitted to the real
            images. None compares pixels, of images averaged down to 32 pixels a side at most.
        image_shape : tuple of int, "row" or None, default=None
            Shape ``(H, W)`` or ``(H, W, C)`` of one image where the arrays hold rows.
        data_format : {"auto", "channels_first", "channels_last"}, default="auto"
            Where the channels of 4-D input stand.
        value_range : tuple of (float, float) or None, default=None
            Values of black and white. None stands for 0..255 for uint8 and for what is found in `X_real` otherwise.
        random_state : int, RandomState instance or None, default=None
            Chooses images.
        display_labels : sequence of str or None, default=None
            Names of the classes shown, in their order; None stands for the labels.
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure.
        image_kw, text_kw : dict or None, default=None
            As :meth:`plot` takes them.

        Returns
        -------
        display : SyntheticImagesDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            When images and labels do not fit each other, or there is no image of a class.
        """
        check_matplotlib(f"{cls.__name__}.from_predictions")
        options = {"image_shape": image_shape, "data_format": data_format, "value_range": value_range}
        images = from_arrays(X_real, y_real, X_synthetic, y_synthetic, labels, **options)
        display = cls._of(images, n_images, embedder, random_state, display_labels)
        return display.plot(ax=ax, image_kw=image_kw, text_kw=text_kw)

    @classmethod
    def _of(cls, images, n_images, embedder, random_state, display_labels):
        from ..runtime import own_random_state

        random_state = own_random_state(random_state)
        chosen = thinned(images.y_synthetic, images.labels, n_images, random_state)
        rows = np.concatenate(chosen)
        images.X_synthetic, images.y_synthetic = images.X_synthetic[rows], images.y_synthetic[rows]
        features, features_new = images.features(embedder)
        nearest, _ = nearest_rows(features_new, images.y_synthetic, features, images.y_real)
        ends = np.cumsum([len(own) for own in chosen])[:-1]
        real = thinned(images.y_real, images.labels, 2 * n_images, random_state)
        return cls(
            np.split(displayable(images.format, images.X_synthetic), ends),
            real=[displayable(images.format, images.X_real[own]) for own in real],
            nearest=np.split(displayable(images.format, images.X_real[nearest]), ends),
            display_labels=names_of(images.labels, display_labels),
        )

    def plot(self, ax=None, *, n_columns=None, image_kw=None, text_kw=None):
        """Draw the images, a class below the other.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure.
        n_columns : int or None, default=None
            Number of synthetic images in a line, and of real ones; None stands for 4 with real images, else 8.
        image_kw : dict or None, default=None
            Keyword arguments of the picture, for ``Axes.imshow``.
        text_kw : dict or None, default=None
            Properties of the words above the images, for ``Axes.set_xticks``.

        Returns
        -------
        self : SyntheticImagesDisplay
        """
        picture, places = self._lay_out(n_columns)
        height, width = picture.shape[:2]
        ax = axes_of(self, ax, (WIDTH, max(1.2, (WIDTH - 0.9) * height / width + 0.9)))
        from matplotlib import rcParams
        from matplotlib.image import AxesImage

        self.image_ = ax.imshow(picture, **keywords(AxesImage, {"interpolation": "antialiased"}, image_kw))
        names = range(len(places["classes"])) if self.display_labels is None else self.display_labels
        ax.set_yticks(places["classes"], [plain(name, 14) for name in names])
        words, middles = zip(*places["blocks"], strict=True)
        ax.xaxis.tick_top()
        ax.set_xticks(middles, words, **{"fontsize": "small", **(text_kw or {})})
        self.text_ = ax.get_xticklabels()
        ax.tick_params(length=0)
        ax.grid(visible=False)
        ax.set_frame_on(False)
        ax.set_anchor("N")  # else a layout leaves no room for what stands above a picture lower than its place
        # Above these words: matplotlib would move it there by itself, but after the layout has left no room for it.
        room = 1.2 * max(text.count("\n") + 1 for text in words) * rcParams["font.size"] + 6  # points
        ax.set_title("Synthetic images" if self.real is None else "Real and synthetic images", y=1, pad=room)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def montage(self, n_columns=None):
        """Return all images as one picture, without words; for pages that do not draw with matplotlib.

        Parameters
        ----------
        n_columns : int or None, default=None
            As :meth:`plot` takes it.

        Returns
        -------
        picture : ndarray of shape (height, width, 4), uint8
            Colours and opacity, 0 between the images.
        """
        return self._lay_out(n_columns)[0]

    def _lay_out(self, n_columns):
        """Return the picture, and where words go: the middle of each class, and of the blocks of real and synthetic."""
        value_range = self._find_value_range()
        if n_columns is None:
            n_columns = _COLUMNS_ALONE if self.real is None else _COLUMNS
        n_columns = min(n_columns, max(map(len, self.synthetic)))
        left = 0 if self.real is None else n_columns
        cells, starts, row = {}, [], 0
        for at, synthetic in enumerate(self.synthetic):
            starts.append(row)
            synthetic = as_bytes(synthetic, value_range)
            nearest = None if self.nearest is None else as_bytes(self.nearest[at], value_range)
            for first in range(0, len(synthetic), n_columns):
                for kind in [synthetic] if nearest is None else [synthetic, nearest]:
                    cells |= {(row, left + i): image for i, image in enumerate(kind[first : first + n_columns])}
                    row += 1
            if self.real is not None:
                real = as_bytes(self.real[at], value_range)[: (row - starts[-1]) * n_columns]
                cells |= {(starts[-1] + i // n_columns, i % n_columns): image for i, image in enumerate(real)}
        picture, tops, lefts = lay_out(cells, row_gaps=starts[1:], column_gaps=[left] if left else [])
        height, width = next(iter(cells.values())).shape[:2]
        ends = [start - 1 for start in starts[1:]] + [row - 1]
        middles = [(tops[start] + tops[end] + height) / 2 for start, end in zip(starts, ends, strict=True)]
        words = "synthetic" if self.nearest is None else "synthetic, each above\nthe nearest real image"
        blocks = [(words, (lefts[left] + lefts[-1] + width) / 2)]
        if left:
            blocks.insert(0, ("real", (lefts[0] + lefts[left - 1] + width) / 2))
        return picture, {"classes": middles, "blocks": blocks}

    def _find_value_range(self):
        groups = [*self.synthetic, *(self.real or []), *(self.nearest or [])]
        if self.value_range is not None or all(np.asarray(images).dtype == np.uint8 for images in groups):
            return self.value_range
        extremes = [(images.min(), images.max()) for images in map(np.asarray, groups) if images.size]
        return min(low for low, _ in extremes), max(high for _, high in extremes)
