"""How many images each class has, before and after over-sampling."""

import numpy as np
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from ._drawing import (
    ARROW,
    REAL_COLOUR,
    SYNTHETIC_COLOUR,
    WIDTH,
    axes_of,
    check_matplotlib,
    keywords,
    legend_below,
    names_of,
    plain,
    sorted_labels,
)


class ClassDistributionDisplay:
    """Number of images of each class before and after over-sampling, real and synthetic ones stacked.

    Make it with :meth:`from_estimator`, :meth:`from_predictions` or :meth:`from_counts`. All parameters are stored as
    attributes.

    Parameters
    ----------
    n_real : array-like of shape (n_classes,), int
        Number of different real images of each class after resampling.
    n_synthetic : array-like of shape (n_classes,), int, or None, default=None
        Number of images of each class that were made; None stands for none.
    n_repeated : array-like of shape (n_classes,), int, or None, default=None
        Number of repetitions of real images in each class; None stands for none.
    n_before : array-like of shape (n_classes,), int, or None, default=None
        Number of images of each class before resampling; None stands for `n_real`. Where it is larger, images were
        removed.
    display_labels : sequence of str or None, default=None
        Names of the classes; None numbers them from 0.
    added_name : str, default="synthetic"
        What images that were made are called in the legend.

    Attributes
    ----------
    bars_ : dict of str to matplotlib.container.BarContainer
        The bars of each kind: "real", the one called `added_name`, "repeated", "removed", as far as there are any.
    text_ : list of matplotlib.text.Text
        The numbers beside the bars, one for each class.
    ax_ : matplotlib.axes.Axes
        Axes with the bars.
    figure_ : matplotlib.figure.Figure
        Figure with the axes.

    See Also
    --------
    SyntheticImagesDisplay : The images themselves.

    Examples
    --------
    >>> import numpy as np
    >>> from gan_sampler.displays import ClassDistributionDisplay
    >>> y = np.array(["sick"] * 10 + ["well"] * 50)
    >>> y_resampled = np.append(y, ["sick"] * 40)
    >>> display = ClassDistributionDisplay.from_predictions(y, y_resampled)
    >>> [text.get_text() for text in display.text_]
    ['10 → 50', '50']
    """

    def __init__(
        self, n_real, *, n_synthetic=None, n_repeated=None, n_before=None, display_labels=None, added_name="synthetic"
    ):
        self.n_real = n_real
        self.n_synthetic = n_synthetic
        self.n_repeated = n_repeated
        self.n_before = n_before
        self.display_labels = display_labels
        self.added_name = added_name

    @classmethod
    def from_estimator(
        cls, sampler, y=None, y_resampled=None, *, display_labels=None, ax=None, bar_kw=None, text_kw=None
    ):
        """Draw what a fitted sampler made of the classes.

        Parameters
        ----------
        sampler : object
            Fitted sampler. The over-samplers of this package know their classes; of others, such as those of
            imbalanced-learn, the labels are needed.
        y : array-like of shape (n,) or None, default=None
            Labels that were given to ``fit_resample``.
        y_resampled : array-like of shape (n_resampled,) or None, default=None
            Labels that ``fit_resample`` returned.
        display_labels : sequence of str or None, default=None
            Names of the classes, in sorted order of their labels; None stands for the labels.
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure.
        bar_kw, text_kw : dict or None, default=None
            As :meth:`plot` takes them.

        Returns
        -------
        display : ClassDistributionDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            When the sampler is not fitted.
        ValueError
            When labels are needed and not given, or `y_resampled` is not what this fit returned.
        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        check_is_fitted(sampler)
        counts = getattr(sampler, "class_counts_", None)
        if y is None and y_resampled is None and counts is not None:
            display = cls(
                [own["real"] for own in counts.values()],
                n_repeated=[own["repeated"] for own in counts.values()],
                n_synthetic=[own["synthetic"] for own in counts.values()],
                display_labels=names_of(list(counts), display_labels),
            )
            return display.plot(ax=ax, bar_kw=bar_kw, text_kw=text_kw)
        if y is None or y_resampled is None:
            raise ValueError(
                f"y and y_resampled must be given for {type(sampler).__name__}, the labels that fit_resample got and "
                "returned: the sampler itself does not keep the numbers of its classes."
            )
        mask = getattr(sampler, "synthetic_mask_", None)
        if mask is not None and len(mask) != len(y_resampled):
            raise ValueError(
                f"y_resampled must hold the {len(mask)} labels that the last fit_resample of this "
                f"{type(sampler).__name__} returned; got {len(y_resampled)}."
            )
        options = {"display_labels": display_labels, "ax": ax, "bar_kw": bar_kw, "text_kw": text_kw}
        return cls.from_predictions(y, y_resampled, synthetic_mask=mask, **options)

    @classmethod
    def from_predictions(
        cls, y, y_resampled=None, *, synthetic_mask=None, display_labels=None, ax=None, bar_kw=None, text_kw=None
    ):
        """Draw the classes of labels before and after resampling.

        Parameters
        ----------
        y : array-like of shape (n,)
            Labels before.
        y_resampled : array-like of shape (n_resampled,) or None, default=None
            Labels after; None draws those before alone.
        synthetic_mask : array-like of shape (n_resampled,), bool, or None, default=None
            True for images that were made. None calls all images that a class gained "added".
        display_labels : sequence of str or None, default=None
            Names of the classes, in sorted order of their labels; None stands for the labels.
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure.
        bar_kw, text_kw : dict or None, default=None
            As :meth:`plot` takes them.

        Returns
        -------
        display : ClassDistributionDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            When lengths do not agree, or `display_labels` has not one name for each class.
        """
        check_matplotlib(f"{cls.__name__}.from_predictions")
        y = np.asarray(y)
        y_resampled = y if y_resampled is None else np.asarray(y_resampled)
        labels = sorted_labels(y, y_resampled)
        before, after, n_synthetic = _count(y, labels), _count(y_resampled, labels), None
        if synthetic_mask is not None:
            check_consistent_length(y_resampled, synthetic_mask)
            n_synthetic = _count(y_resampled[np.asarray(synthetic_mask, dtype=bool)], labels)
        names = names_of(labels, display_labels)
        options = {"display_labels": names, "ax": ax, "bar_kw": bar_kw, "text_kw": text_kw}
        return cls.from_counts(before, after, n_synthetic, **options)

    @classmethod
    def from_counts(
        cls, n_before, n_after, n_synthetic=None, *, display_labels=None, ax=None, bar_kw=None, text_kw=None
    ):
        """Draw numbers of images before and after resampling.

        Parameters
        ----------
        n_before, n_after : array-like of shape (n_classes,), int
            Number of images of each class.
        n_synthetic : array-like of shape (n_classes,), int, or None, default=None
            How many of those after were made. None calls all images that a class gained "added".
        display_labels : sequence of str or None, default=None
            Names of the classes; None numbers them from 0.
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure.
        bar_kw, text_kw : dict or None, default=None
            As :meth:`plot` takes them.

        Returns
        -------
        display : ClassDistributionDisplay
            The display, drawn.
        """
        check_matplotlib(f"{cls.__name__}.from_counts")
        before, after = np.asarray(n_before), np.asarray(n_after)
        added_name = "added" if n_synthetic is None else "synthetic"
        n_synthetic = np.maximum(after - before, 0) if n_synthetic is None else np.asarray(n_synthetic)
        n_real = np.minimum(before, after - n_synthetic)
        display = cls(
            n_real,
            n_synthetic=n_synthetic,
            n_repeated=after - n_synthetic - n_real,
            n_before=before,
            display_labels=display_labels,
            added_name=added_name,
        )
        return display.plot(ax=ax, bar_kw=bar_kw, text_kw=text_kw)

    def plot(self, ax=None, *, bar_kw=None, text_kw=None):
        """Draw the bars, the class of the first label at the top.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a new figure.
        bar_kw : dict or None, default=None
            Keyword arguments of all bars, for ``Axes.barh``.
        text_kw : dict or None, default=None
            Keyword arguments of the numbers, for ``Axes.bar_label``.

        Returns
        -------
        self : ClassDistributionDisplay
        """
        n_real = np.asarray(self.n_real, dtype=np.int64)
        parts = {name: np.zeros_like(n_real) if part is None else np.asarray(part) for name, part in self._parts()}
        before = n_real if self.n_before is None else np.asarray(self.n_before)
        after = n_real + sum(parts.values())
        ax = axes_of(self, ax, (WIDTH, 1.1 + 0.32 * len(n_real)))
        from matplotlib.patches import Rectangle
        from matplotlib.ticker import MaxNLocator

        names = range(len(n_real)) if self.display_labels is None else self.display_labels
        places = np.arange(len(n_real))
        looks = {
            "real": {"facecolor": REAL_COLOUR, "edgecolor": REAL_COLOUR},
            "repeated": {"facecolor": "none", "edgecolor": REAL_COLOUR, "hatch": "...."},
            self.added_name: {"facecolor": SYNTHETIC_COLOUR, "edgecolor": "#7a5500", "hatch": "////"},
            "removed": {"facecolor": "none", "edgecolor": REAL_COLOUR, "linestyle": ":"},
        }
        self.bars_, left = {}, np.zeros_like(n_real)
        for name, widths in {"real": n_real, **parts, "removed": np.maximum(before - after, 0)}.items():
            if name == "real" or widths.any():
                options = keywords(Rectangle, {"height": 0.7, "linewidth": 0.8, **looks[name]}, bar_kw)
                self.bars_[name] = ax.barh(places, widths, left=left, **options)
                left = left + widths
        numbers = [
            f"{n:,}" if n == n_before else f"{n_before:,} {ARROW} {n:,}"
            for n, n_before in zip(after, before, strict=True)
        ]
        ends = list(self.bars_.values())[-1]
        self.text_ = ax.bar_label(ends, numbers, **{"padding": 3, "fontsize": "small", **(text_kw or {})})
        ax.set_yticks(places, [plain(name, 20) for name in names])
        ax.set_ylim(len(n_real) - 0.4, -0.6)
        ax.tick_params(axis="y", length=0)
        ax.grid(visible=False, axis="y")
        ax.set_xlim(0, 1.3 * max(1, int(left.max(initial=0))))
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        ax.set(xlabel="Number of images", title="Images of each class")
        if len(self.bars_) > 1:
            legend_below(ax, [bars[0] for bars in self.bars_.values()], list(self.bars_))
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _parts(self):
        return [("repeated", self.n_repeated), (self.added_name, self.n_synthetic)]


def _count(y, labels):
    counts = dict(zip(*np.unique(y, return_counts=True), strict=True)) if len(y) else {}
    return np.array([counts.get(label, 0) for label in labels], dtype=np.int64)
