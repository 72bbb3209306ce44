"""Losses and scores of a training."""

import math
from numbers import Integral

import numpy as np
from sklearn.exceptions import NotFittedError

from .._snapshots import rank
from ._drawing import (
    INK,
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

_STYLES = ("-", "--", ":", "-.")  # of several losses in one panel
_FIRST = ("loss_generator", "loss_discriminator")  # whose styles are always the same
_WORDS = {
    "score": "Score (lower is better)",
    "mean_score": "Mean score of the classes",
    "variance_ratio": "Variance over that of real images",
    "spectral_distance": "Spectral distance (0: as real)",
    "losses": "Loss",
}
_SCORE_OF_IMAGES = "Score (real: about 1)"
_MARK = {"marker": "D", "markersize": 6, "markeredgecolor": INK, "linestyle": "none"}
_LOG_FROM = 5  # ratio of the largest to the smallest value from which an axis is logarithmic


class TrainingHistoryDisplay:
    """Losses and score of each class in the course of a training, with a mark at the snapshot that was kept.

    Losses of a GAN need not fall; a loss that vanishes or explodes while the score rises means trouble. The score is
    what chooses the snapshot: about 1 is as good as real images that were not seen, above 10 the images are unusable.

    Make it with :meth:`from_estimator`. There is no ``from_predictions``: a history is made by a training, not of
    images. Histories that were kept can be given to the class itself.

    All parameters are stored as attributes.

    Parameters
    ----------
    history : dict of str to list
        For each class a list of records, dicts with ``step`` and numbers; or a list of such lists, where a training
        was repeated.
    kept_steps : dict of str to int or list of int, or None, default=None
        Step of the snapshot that was kept, for the classes where it is known; of each training where there are several.

    Attributes
    ----------
    lines_ : dict of (str, str) to list of matplotlib.lines.Line2D
        Lines of each class and quantity, such as ``("sick", "score")``, one for each training.
    markers_ : dict of (str, str) to list of matplotlib.lines.Line2D
        Marks at the kept snapshots of each class and quantity.
    axes_ : list of matplotlib.axes.Axes
        Axes of each panel, the first panel first.
    ax_ : matplotlib.axes.Axes
        The first of them.
    figure_ : matplotlib.figure.Figure
        Figure with the axes.

    Examples
    --------
    >>> from gan_sampler.displays import TrainingHistoryDisplay
    >>> history = [{"step": 50 * i, "score": 9 / i, "loss_generator": 1.0} for i in range(1, 5)]
    >>> display = TrainingHistoryDisplay({"sick": history}, kept_steps={"sick": 200}).plot()
    >>> [ax.get_ylabel() for ax in display.axes_]
    ['Score (lower is better)', 'Loss']
    """

    def __init__(self, history, *, kept_steps=None):
        self.history = history
        self.kept_steps = kept_steps

    @classmethod
    def from_estimator(cls, sampler, *, labels=None, display_labels=None, quantities=None, ax=None, line_kw=None):
        """Draw how a fitted sampler was trained.

        Parameters
        ----------
        sampler : object
            Fitted sampler with ``history_``.
        labels : sequence or None, default=None
            Classes to show; None stands for all that were trained.
        display_labels : sequence of str or None, default=None
            Names of the classes shown, in their order; None stands for the labels.
        quantities, ax, line_kw
            As :meth:`plot` takes them.

        Returns
        -------
        display : TrainingHistoryDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            When this kind of sampler trains nothing.
        NotFittedError
            When it is not fitted.
        ValueError
            When its fit trained nothing, or a class in `labels` has no history.
        """
        check_matplotlib(f"{cls.__name__}.from_estimator")
        history = _history_of(sampler)
        labels = list(history) if labels is None else list(labels)
        unknown = [label for label in labels if label not in history]
        if unknown:
            raise ValueError(f"labels must be classes that were trained, {list(map(str, history))}; got {unknown}.")
        names = names_of(labels, display_labels)
        kept = {name: kept_step(history[label]) for name, label in zip(names, labels, strict=True)}
        display = cls(
            {name: history[label] for name, label in zip(names, labels, strict=True)},
            kept_steps={name: step for name, step in kept.items() if step is not None},
        )
        return display.plot(ax=ax, quantities=quantities, line_kw=line_kw)

    def plot(self, ax=None, *, quantities=None, line_kw=None):
        """Draw a panel for each quantity, a colour for each class.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, sequence of them, or None, default=None
            Where to draw: as many axes as panels, or one, which is divided where there are several panels. None makes
            a new figure.
        quantities : sequence of str or None, default=None
            What to draw: names of entries of the records, or "losses" for all losses in one panel. None stands for
            "score" and "losses", as far as there are any.
        line_kw : dict or None, default=None
            Keyword arguments of the lines, for ``Axes.plot``.

        Returns
        -------
        self : TrainingHistoryDisplay

        Raises
        ------
        ValueError
            When no record has one of the quantities, or there are more or fewer axes than panels.
        """
        panels = self._panels(quantities)
        self.axes_ = _axes_of_panels(self, ax, len(panels))
        self.lines_, self.markers_ = {}, {}
        for axes, (title, names) in zip(self.axes_, panels.items(), strict=True):
            self._draw_panel(axes, title, names, line_kw)
        self.axes_[0].set_title("Training")
        for axes in self.axes_[:-1]:
            axes.label_outer()
        self._add_legends(panels)
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        return self

    def _panels(self, quantities):
        found = {name for *_, records in self._trainings() for record in records for name in record}
        panels = {}
        for name in ("score", "losses") if quantities is None else quantities:
            names = _losses_of(found) if name == "losses" else [name]
            if found.issuperset(names) and names:
                panels[name] = names
            elif quantities is not None:
                known = sorted(found - {"step", "seconds"})
                raise ValueError(f"quantities must name entries of the history, {known}, or 'losses'; got {name!r}.")
        if not panels:
            raise ValueError("history must hold records with a score or losses; got none. Pass quantities.")
        return panels

    def _trainings(self):
        """Yield name of the class, step that was kept or None, and records of each training."""
        for name, found in self.history.items():
            trainings = [found] if found and isinstance(found[0], dict) else found
            kept = (self.kept_steps or {}).get(name)
            kept = [kept] * len(trainings) if kept is None or isinstance(kept, Integral) else kept
            yield from ((name, step, records) for step, records in zip(kept, trainings, strict=True))

    def _draw_panel(self, axes, title, names, line_kw):
        from matplotlib.lines import Line2D
        from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

        places = {name: place for place, name in enumerate(self.history)}
        styles, drawn = _styles_of(names), []
        for quantity in names:
            for of_class, kept, records in self._trainings():
                points = [(record["step"], record[quantity]) for record in records if _is_number(record.get(quantity))]
                if not points:
                    continue
                steps, values = zip(*points, strict=True)
                defaults = {
                    "color": colour_of_class(places[of_class]),
                    "linewidth": 1.3,
                    "linestyle": styles[quantity],
                    "marker": "o" if len(points) == 1 else "none",  # a line through one point is not seen
                    "markersize": 4,
                }
                (line,) = axes.plot(steps, values, **keywords(Line2D, defaults, line_kw))
                self.lines_.setdefault((of_class, quantity), []).append(line)
                drawn += values
                if kept in steps:
                    look = {**_MARK, "color": line.get_color()}
                    self.markers_.setdefault((of_class, quantity), []).extend(
                        axes.plot(kept, values[steps.index(kept)], **look, zorder=3)
                    )
        positive = [value for value in drawn if value > 0]
        if len(positive) == len(drawn) > 0 and max(drawn) > _LOG_FROM * min(drawn):
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
        words = words_for(title)
        if title == "score" and any(
            "spectral_distance" in record for *_, records in self._trainings() for record in records
        ):
            words = _SCORE_OF_IMAGES
        axes.set(xlabel="Step of training", ylabel=words)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")

    def _add_legends(self, panels):
        from matplotlib.lines import Line2D

        classes = {}
        for (of_class, _), (line, *_) in self.lines_.items():
            classes.setdefault(of_class, line.get_color())
        entries = [(Line2D([], [], color=colour, linewidth=2), name) for name, colour in classes.items()]
        if len(panels.get("losses", ())) > 1:
            entries += [
                (Line2D([], [], color=MUTED, linestyle=style), words_for(loss).removeprefix("Loss, "))
                for loss, style in _styles_of(panels["losses"]).items()
            ]
        if self.markers_:
            entries.append((Line2D([], [], **_MARK, color=MUTED), "kept snapshot"))
        legend_below(self.axes_[-1], *map(list, zip(*entries, strict=True)))


def words_for(quantity):
    """Return the words for a quantity of a history, such as "score"."""
    if quantity.startswith("loss_"):
        return f"Loss, {quantity.removeprefix('loss_').replace('_', ' ')}"
    return _WORDS.get(quantity, quantity)


def _losses_of(names):
    """Return the names of losses among those of quantities, generator and discriminator first."""
    losses = sorted(name for name in names if name.startswith("loss_"))
    return [*(loss for loss in _FIRST if loss in losses), *(loss for loss in losses if loss not in _FIRST)]


def _styles_of(quantities):
    """Return the style of the line of each quantity of a panel."""
    return {quantity: _STYLES[place % len(_STYLES)] for place, quantity in enumerate(quantities)}


def kept_step(records):
    """Return the step of the snapshot that a sampler keeps of a training; None where none is chosen by a score."""
    scored = [record for record in records if "score" in record]
    if not scored:
        return None
    return min(scored, key=rank)["step"]


def _history_of(sampler):
    history = getattr(sampler, "history_", None)
    if history is None:
        from sklearn.utils.validation import check_is_fitted

        if "n_steps" not in getattr(sampler, "get_params", dict)():
            raise TypeError(
                f"sampler must be one that trains, such as DCGANOverSampler; got {type(sampler).__name__}, which has "
                "no history_."
            )
        check_is_fitted(sampler)
        raise NotFittedError(f"This {type(sampler).__name__} has no history_ yet. Call fit_resample first.")
    if not history:
        raise ValueError(f"sampler must have trained on a class; this fit of {type(sampler).__name__} did not.")
    return dict(history)


def _axes_of_panels(display, ax, n_panels):
    """Return axes for the panels: those given, parts of the one given, or new ones."""
    if ax is None:
        check_matplotlib(f"{type(display).__name__}.plot")
        import matplotlib.pyplot as plt

        height = 2.1 * n_panels + 0.6 + room_for_legend(len(display.history) + 3)
        _, axes = plt.subplots(n_panels, figsize=(WIDTH, height), layout="constrained", squeeze=False, sharex=True)
        return list(axes[:, 0])
    given = list(np.ravel(ax))
    if len(given) == n_panels:
        return [axes_of(display, one, None) for one in given]
    if len(given) > 1:
        raise ValueError(f"ax must be {n_panels} axes, one for each panel, or a single one; got {len(given)}.")
    whole = axes_of(display, given[0], None)
    from matplotlib.gridspec import GridSpecFromSubplotSpec

    if whole.get_subplotspec() is None:
        raise ValueError(f"ax must be {n_panels} axes, one for each panel; the one given was not made by subplots.")
    whole.set_axis_off()
    grid = GridSpecFromSubplotSpec(n_panels, 1, subplot_spec=whole.get_subplotspec())
    return [whole.figure.add_subplot(part) for part in grid]


def _is_number(value):
    return isinstance(value, int | float) and math.isfinite(value)
