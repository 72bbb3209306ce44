"""What all displays share: matplotlib on demand, axes, colours, names of classes, legends."""

import textwrap

import numpy as np

# Okabe and Ito's colours, and some of Tol's: safe for colour-blind readers.
CLASS_COLOURS = (
    *("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"),
    *("#999933", "#882255", "#332288", "#44aa99", "#1b1f24", "#999999"),
)
REAL_COLOUR, SYNTHETIC_COLOUR = CLASS_COLOURS[0], CLASS_COLOURS[1]
INK, MUTED = "#1b1f24", "#6b7280"
WIDTH = 5.2  # inches; scaled to the 390 pixels of a phone, letters of 10 points can still be read
ARROW = "\N{RIGHTWARDS ARROW}"


def check_matplotlib(caller):
    """Raise an ImportError that names the extra to install, unless matplotlib can be imported.

    Parameters
    ----------
    caller : str
        What needs it, such as "EmbeddingDisplay.plot".
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as exc:
        raise ImportError(f"{caller} needs matplotlib. Install it with `pip install 'gan-sampler[plot]'`.") from exc


def axes_of(display, ax, figsize):
    """Return the axes to draw on: those given, or those of a new pyplot figure."""
    caller = f"{type(display).__name__}.plot"
    check_matplotlib(caller)
    from matplotlib.axes import Axes

    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=figsize, layout="constrained")
    elif not isinstance(ax, Axes):
        raise TypeError(f"ax must be matplotlib Axes or None; got {type(ax).__name__}. Pass figure.subplots().")
    return ax


def keywords(artist, defaults, given):
    """Return the keyword arguments of an artist: defaults, and over them what the user gave, under any alias."""
    from matplotlib.cbook import normalize_kwargs

    return {**normalize_kwargs(defaults, artist), **normalize_kwargs(given, artist)}


def colour_of_class(place):
    """Return the colour of the class at this place in a list; after twelve they start again."""
    return CLASS_COLOURS[place % len(CLASS_COLOURS)]


def plain(text, width=None):
    r"""Return text that matplotlib shows letter by letter, in lines of at most `width` letters.

    A ``$`` would start a formula, and a label with a leading ``_`` would be missing from a legend.
    """
    text = str(text)
    if width is not None:
        text = "\n".join(textwrap.wrap(text, width)) or text
    text = text.replace("$", r"\$")
    return f"\N{ZERO WIDTH SPACE}{text}" if text.startswith("_") else text


def names_of(labels, display_labels, argument="display_labels"):
    """Return what classes are called: `display_labels`, one for each label, or the labels themselves."""
    if display_labels is None:
        return [str(label) for label in labels]
    names = [str(name) for name in display_labels]
    if len(names) != len(labels):
        raise ValueError(
            f"{argument} must hold a name for each of {len(labels)} classes, {list(map(str, labels))}; got "
            f"{len(names)}."
        )
    return names


def sorted_labels(*arrays):
    """Return the labels that stand in any of the arrays, sorted, as Python's objects."""
    return sorted({label for array in arrays for label in np.asarray(array).tolist()})


def room_for_legend(n_entries, n_columns=3):
    """Return the height, in inches, of the lines of a legend beyond the second."""
    return 0.19 * max(0, -(-n_entries // n_columns) - 2)


def legend_below(ax, handles, names, *, n_columns=3, labelled=True):
    """Put a legend below the axes, where it covers nothing.

    Parameters
    ----------
    ax : Axes
        The axes.
    handles : list of Artist
        Their entries.
    names : list of str
        The words for them.
    n_columns : int, default=3
        Largest number of entries in a line.
    labelled : bool, default=True
        Whether the axis has tick labels and a label, for which room is left.
    """
    from matplotlib import rcParams
    from matplotlib.transforms import ScaledTranslation

    lines = 3.4 if labelled else 0.4
    down = ScaledTranslation(0, -lines * rcParams["font.size"] / 72, ax.figure.dpi_scale_trans)
    return ax.legend(
        handles,
        [plain(name, 20) for name in names],
        loc="upper left",
        bbox_to_anchor=(0, 0),
        bbox_transform=ax.transAxes + down,
        ncols=min(n_columns, len(handles)),
        frameon=False,
        borderaxespad=0,
        columnspacing=1.2,
        handlelength=1.6,
    )
