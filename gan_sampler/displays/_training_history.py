"""Losses and scores of a training."""

import math

import numpy as np
from sklearn.exceptions import NotFittedError

from ._drawing import WIDTH, axes_of, check_matplotlib, colour_of_class, keywords, legend_below, names_of

_LOSSES = ("loss_generator", "loss_discriminator", "loss_reconstruction")
_STYLES = {"loss_generator": "-", "loss_discriminator": "--", "loss_reconstruction": "-"}
_WORDS = {
    "score": "Score (1: as good as real)",
    "mean_score": "Mean score of the classes",
    "variance_ratio": "Variance over that of real images",
    "spectral_distance": "Spectral distance (0: as real)",
    "loss_generator": "Loss, generator",
    "loss_discriminator": "Loss, discriminator",
    "loss_reconstruction": "Loss, reconstruction",
    "losses": "Loss",
}
_LOG_FROM = 5  # ratio of the largest to the smallest value from which an axis is logarithmic
ALL_CLASSES = "all classes"


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
    kept_steps : dict of str to int, or None, default=None
        Step of the snapshot that was kept, for the classes where it is known.

    Attributes
    ----------
    lines_ : dict of (str, str) to list of matplotlib.lines.Line2D
        Lines of each class and quantity, such as ``("sick", "score")``, one for each training.
    markers_ : dict of (str, str) to matplotlib.lines.Line2D
        Mark at the kept snapshot of each class and quantity.
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
    ['Score (1: as good as real)', 'Loss']
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
        found = {name for _, records in self._trainings() for record in records for name in record}
        panels = {}
        for name in ("score", "losses") if quantities is None else quantities:
            names = [loss for loss in _LOSSES if loss in found] if name == "losses" else [name]
            if found.issuperset(names) and names:
                panels[name] = names
            elif quantities is not None:
                known = sorted(found - {"step", "seconds"})
                raise ValueError(f"quantities must name entries of the history, {known}, or 'losses'; got {name!r}.")
        if not panels:
            raise ValueError("history must hold records with a score or losses; got none. Pass quantities.")
        return panels

    def _trainings(self):
        for name, found in self.history.items():
            for records in [found] if found and isinstance(found[0], dict) else found:
                yield name, records

    def _draw_panel(self, axes, title, names, line_kw):
        from matplotlib.lines import Line2D
        from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

        places = {name: place for place, name in enumerate(self.history)}
        drawn = []
        for quantity in names:
            for of_class, records in self._trainings():
                points = [(record["step"], record[quantity]) for record in records if _is_number(record.get(quantity))]
                if not points:
                    continue
                steps, values = zip(*points, strict=True)
                defaults = {
                    "color": colour_of_class(places[of_class]),
                    "linewidth": 1.3,
                    "linestyle": _STYLES.get(quantity, "-"),
                    "marker": "o" if len(points) == 1 else "none",  # a line through one point is not seen
                    "markersize": 4,
                }
                (line,) = axes.plot(steps, values, **keywords(Line2D, defaults, line_kw))
                self.lines_.setdefault((of_class, quantity), []).append(line)
                drawn += values
                step = (self.kept_steps or {}).get(of_class)
                if step in steps:
                    (self.markers_[of_class, quantity],) = axes.plot(
                        step,
                        values[steps.index(step)],
                        marker="D",
                        markersize=6,
                        color=line.get_color(),
                        markeredgecolor="black",
                        linestyle="none",
                        zorder=3,
                    )
        positive = [value for value in drawn if value > 0]
        if len(positive) == len(drawn) > 0 and max(drawn) > _LOG_FROM * min(drawn):
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set(xlabel="Step of training", ylabel=_WORDS.get(title, title))
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")

    def _add_legends(self, panels):
        from matplotlib.lines import Line2D

        classes = {}
        for (of_class, _), (line, *_) in self.lines_.items():
            classes.setdefault(of_class, line.get_color())
        entries = [(Line2D([], [], color=colour, linewidth=2), name) for name, colour in classes.items()]
        drawn = {quantity for _, quantity in self.lines_}
        if "losses" in panels and len(drawn & set(_LOSSES)) > 1:
            entries += [
                (Line2D([], [], color="0.35", linestyle=_STYLES[loss]), _WORDS[loss].partition(", ")[2])
                for loss in panels["losses"]
            ]
        if self.markers_:
            mark = Line2D([], [], marker="D", color="0.6", markeredgecolor="black", linestyle="none", markersize=6)
            entries.append((mark, "kept snapshot"))
        legend_below(self.axes_[-1], *map(list, zip(*entries, strict=True)))


def kept_step(records):
    """Return the step of the snapshot that a sampler keeps of a training; None where none is chosen by a score."""
    scored = [record for record in records if "score" in record]
    if not scored:
        return None
    from ..training import rank

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
    return dict(history) if hasattr(history, "items") else {ALL_CLASSES: history}


def _axes_of_panels(display, ax, n_panels):
    """Return axes for the panels: those given, parts of the one given, or new ones."""
    if ax is None:
        check_matplotlib(f"{type(display).__name__}.plot")
        import matplotlib.pyplot as plt

        _, axes = plt.subplots(
            n_panels, figsize=(WIDTH, 2.1 * n_panels + 0.6), layout="constrained", squeeze=False, sharex=True
        )
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
