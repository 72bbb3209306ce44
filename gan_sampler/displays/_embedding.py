"""Real and synthetic images as points in the plane."""

import numpy as np

from ._drawing import (
    MUTED,
    WIDTH,
    axes_of,
    check_matplotlib,
    colour_of_class,
    keywords,
    legend_below,
    names_of,
    room_for_legend,
)
from ._gathering import from_arrays, from_sampler, thinned

_MARKERS = ("x", "+", "1", "2", "3", "4", "|", "_")
_REAL = "real"


class EmbeddingDisplay:
    """Real and synthetic images as points in the plane: a colour for each class, dots for real, crosses for synthetic.

    Where crosses lie beside the dots of their class, synthetic images can be told from real ones; where they lie on a
    part of the dots, kinds of real images are missing.

    Make it with :meth:`from_estimator` or :meth:`from_predictions`. All parameters are stored as attributes.

    Parameters
    ----------
    points : ndarray of shape (n, 2)
        Where each image lies.
    labels : ndarray of shape (n,)
        Class of each.
    sources : ndarray of shape (n,), str
        Where each image comes from: "real", "synthetic" or any other name.
    axis_names : tuple of (str, str) or None, default=None
        What the axes mean; of principal components also their share of the variance. None writes nothing, and draws no
        ticks, as neither means anything after t-SNE.
    display_labels : sequence of str or None, default=None
        Names of the classes, in sorted order of their labels; None stands for the labels.

    Attributes
    ----------
    scatter_ : dict of (str, str) to matplotlib.collections.PathCollection
        The points of each class, by its name, and source.
    ax_ : matplotlib.axes.Axes
        Axes with the points.
    figure_ : matplotlib.figure.Figure
        Figure with the axes.

    See Also
    --------
    SyntheticImagesDisplay : A few of the images.

    Examples
    --------
    >>> import numpy as np
    >>> from gan_sampler.displays import EmbeddingDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.integers(0, 256, size=(60, 16, 16), dtype=np.uint8)
    >>> y = np.array(["sick"] * 10 + ["well"] * 50)
    >>> made = rng.integers(0, 256, size=(8, 16, 16), dtype=np.uint8)
    >>> display = EmbeddingDisplay.from_predictions(X, y, made, ["sick"] * 8, random_state=0)
    >>> display.points.shape, list(display.scatter_)
    ((18, 2), [('sick', 'real'), ('sick', 'synthetic')])
    """

    def __init__(self, points, labels, sources, *, axis_names=None, display_labels=None):
        self.points = points
        self.labels = labels
        self.sources = sources
        self.axis_names = axis_names
        self.display_labels = display_labels

    @classmethod
    def from_estimator(
        cls,
        sampler,
        X,
        y,
        *,
        transformer=None,
        embedder=None,
        labels=None,
        n_images=200,
        random_state=None,
        display_labels=None,
        ax=None,
        scatter_kw=None,
    ):
        """Draw images from a fitted sampler and show them among the real ones.

        Parameters
        ----------
        sampler : object
            Fitted sampler with ``sample``, whose generator draws from noise. For others, use :meth:`from_predictions`.
        X : array-like of shape (n, ...)
            Real images, as they were given to ``fit_resample``.
        y : array-like of shape (n,)
            Their labels.
        transformer, embedder, labels, n_images, random_state, display_labels, ax, scatter_kw
            As :meth:`from_predictions` takes them; `labels` None stands for all classes that have a generator.

        Returns
        -------
        display : EmbeddingDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            When this kind of sampler draws from no generator, or `transformer` has no ``fit_transform``.
        NotFittedError
            When the sampler is not fitted.
        ValueError
            When `X` and `y` do not fit each other or the sampler, or have no image of a class.
        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        images = from_sampler(sampler, X, y, labels, n_images, random_state, "EmbeddingDisplay.from_estimator")
        display = cls._of(images, transformer, embedder, n_images, random_state, display_labels)
        return display.plot(ax=ax, scatter_kw=scatter_kw)

    @classmethod
    def from_predictions(
        cls,
        X_real,
        y_real,
        X_synthetic,
        y_synthetic,
        *,
        transformer=None,
        embedder=None,
        labels=None,
        n_images=200,
        image_shape=None,
        data_format="auto",
        value_range=None,
        random_state=None,
        display_labels=None,
        ax=None,
        scatter_kw=None,
    ):
        """Show images that a sampler has made among the real ones.

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
        transformer : transformer or None, default=None
            Takes features of shape (n, d) to the plane with ``fit_transform``, such as
            :class:`sklearn.manifold.TSNE`; the first two columns of what it returns are drawn. None stands for two
            principal components. It is cloned, and fitted to real and synthetic images together: both have their say
            in where the axes lie.
        embedder : transformer or None, default=None
            Turns images into features; cloned and fitted to the real images. None stands for pixels, of images
            averaged down to 32 pixels a side at most.
        labels : sequence or None, default=None
            Classes to show; None stands for all that have synthetic images.
        n_images : int, default=200
            Largest number of images of each class and of either kind, chosen at random.
        image_shape : tuple of int, "row" or None, default=None
            Shape ``(H, W)`` or ``(H, W, C)`` of one image where the arrays hold rows.
        data_format : {"auto", "channels_first", "channels_last"}, default="auto"
            Where the channels of 4-D input stand.
        value_range : tuple of (float, float) or None, default=None
            Values of black and white. None stands for 0..255 for uint8 and for what is found in `X_real` otherwise.
        random_state : int, RandomState instance or None, default=None
            Chooses images, and seeds `transformer` where it has a ``random_state`` of None.
        display_labels : sequence of str or None, default=None
            Names of the classes shown, in their order; None stands for the labels.
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure.
        scatter_kw : dict or None, default=None
            As :meth:`plot` takes it.

        Returns
        -------
        display : EmbeddingDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            When `transformer` has no ``fit_transform``.
        ValueError
            When images and labels do not fit each other, there is no image of a class, or `transformer` does not
            return two columns.
        """
        check_matplotlib(f"{cls.__name__}.from_predictions")
        options = {"image_shape": image_shape, "data_format": data_format, "value_range": value_range}
        images = from_arrays(X_real, y_real, X_synthetic, y_synthetic, labels, **options)
        display = cls._of(images, transformer, embedder, n_images, random_state, display_labels)
        return display.plot(ax=ax, scatter_kw=scatter_kw)

    @classmethod
    def _of(cls, images, transformer, embedder, n_images, random_state, display_labels):
        from ..runtime import own_random_state

        names = names_of(images.labels, display_labels)
        random_state = own_random_state(random_state)
        transformer = _check_transformer(transformer, random_state)
        for kind in ("real", "synthetic"):
            rows = np.concatenate(thinned(getattr(images, f"y_{kind}"), images.labels, n_images, random_state))
            for array in ("X", "y"):
                setattr(images, f"{array}_{kind}", getattr(images, f"{array}_{kind}")[rows])
        features = np.concatenate(images.features(embedder))
        points = np.asarray(transformer.fit_transform(features))
        if points.ndim != 2 or len(points) != len(features) or points.shape[1] < 2:
            raise ValueError(
                f"transformer must return two columns for {len(features)} images; {type(transformer).__name__} "
                f"returned an array of shape {points.shape}. Pass one with n_components=2."
            )
        y = np.concatenate([images.y_real, images.y_synthetic]).tolist()
        places = {label: place for place, label in enumerate(images.labels)}
        return cls(
            points[:, :2],
            np.array([places[label] for label in y]),
            np.repeat([_REAL, "synthetic"], [len(images.y_real), len(images.y_synthetic)]),
            axis_names=_axis_names(transformer),
            display_labels=names,
        )

    def plot(self, ax=None, *, scatter_kw=None):
        """Draw the points.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure.
        scatter_kw : dict or None, default=None
            Keyword arguments of all points, for ``Axes.scatter``.

        Returns
        -------
        self : EmbeddingDisplay
        """
        points, labels, sources = (np.asarray(values) for values in (self.points, self.labels, self.sources))
        classes = np.unique(labels)
        ax = axes_of(self, ax, (WIDTH, 0.95 * WIDTH + room_for_legend(len(classes) + len(np.unique(sources)))))
        from matplotlib.collections import PathCollection
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        names = names_of(classes, self.display_labels)
        made = [source for source in dict.fromkeys(sources.tolist()) if source != _REAL]
        looks = {
            source: {"s": 26, "marker": _MARKERS[i % len(_MARKERS)], "linewidth": 1.1} for i, source in enumerate(made)
        }
        looks = {_REAL: {"s": 14, "marker": "o", "alpha": 0.45, "linewidth": 0}, **looks}
        self.scatter_ = {}
        for place, (label, name) in enumerate(zip(classes, names, strict=True)):
            for source, look in looks.items():
                chosen = (labels == label) & (sources == source)
                if chosen.any():
                    options = keywords(PathCollection, {"color": colour_of_class(place), **look}, scatter_kw)
                    self.scatter_[name, source] = ax.scatter(*points[chosen].T, **options)
        handles = [Patch(color=colour_of_class(place)) for place in range(len(classes))]
        shown = [source for source in looks if (sources == source).any()]
        handles += [
            Line2D([], [], color=MUTED, marker=looks[source]["marker"], linestyle="none", markersize=5)
            for source in shown
        ]
        if self.axis_names is None:
            ax.set(xticks=[], yticks=[])
        else:
            ax.set(xlabel=self.axis_names[0], ylabel=self.axis_names[1])
        ax.grid(visible=False)
        ax.set_aspect("equal", adjustable="datalim")
        ax.set_title("Real and synthetic images")
        legend_below(ax, handles, [*names, *shown], labelled=self.axis_names is not None)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _check_transformer(transformer, random_state):
    from sklearn.base import clone
    from sklearn.decomposition import PCA

    if transformer is None:
        transformer = PCA(2)
    elif not hasattr(transformer, "fit_transform") or isinstance(transformer, type):
        raise TypeError(
            f"transformer must be an object with fit_transform, such as TSNE(), or None; got {transformer!r}."
        )
    transformer = clone(transformer)
    parameters = transformer.get_params(deep=False)
    if "random_state" in parameters and parameters["random_state"] is None:
        transformer.set_params(random_state=random_state.randint(2**31 - 1))
    return transformer


def _axis_names(transformer):
    ratios = getattr(transformer, "explained_variance_ratio_", None)
    if ratios is not None:
        return tuple(f"Principal component {i + 1} ({ratio:.0%})" for i, ratio in enumerate(ratios[:2]))
    if type(transformer).__name__ == "TSNE":
        return None
    return tuple(f"{type(transformer).__name__}, dimension {i}" for i in (1, 2))
