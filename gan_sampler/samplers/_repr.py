"""What a notebook shows of a fitted sampler, within scikit-learn's diagram: classes, counts, scores, a few images."""

import html
import itertools
import math

from ..displays._pixels import displayable, lay_out, png_data_uri
from ._judging import best_record, describe_poor, find_poor
from ._labels import plain_label

_MAX_ROWS = 20  # of the table
_MAX_PICTURES = 8  # classes with images
_MAX_ALARMS = 5  # classes named in an alarm
_IMAGES, _LEAST_IMAGES = 6, 3  # of a class
_BYTES = 12_000  # of all images before they are compressed; noise is not compressed at all
_SIDE = 64  # pixels of an image at most
_SHOWN_SIDE = 48  # CSS pixels of an image at least
_SEED = 0  # of the images: the same ones each time
_ARROW, _DASH = "\N{RIGHTWARDS ARROW}", "\N{EN DASH}"
_STYLE = """\
<style>
.gan-sampler-fitted {padding: .5em; color: inherit; font-size: .95em}
.gan-sampler-fitted table {border-collapse: collapse; margin: .2em 0 .6em; color: inherit; background: none}
.gan-sampler-fitted :is(th, td) {padding: .15em .7em .15em 0; text-align: right; background: none; color: inherit}
.gan-sampler-fitted tr > :first-child {text-align: left; min-width: 6em; max-width: 20em; overflow-wrap: break-word}
.gan-sampler-fitted div {overflow-x: auto}
.gan-sampler-fitted thead th {border-bottom: 1px solid currentColor}
.gan-sampler-fitted p {margin: .3em 0; max-width: 45em; white-space: normal; color: inherit}
.gan-sampler-fitted p.alarm {border-left: 4px solid currentColor; padding-left: .5em; font-weight: bold}
.gan-sampler-fitted figure {display: inline-block; margin: 0 1.2em .5em 0; max-width: 100%}
.gan-sampler-fitted figcaption {overflow-wrap: anywhere}
.gan-sampler-fitted img {display: block; max-width: 100%; height: auto; image-rendering: pixelated}
</style>"""


class FittedReprMixin:
    """Adds what a fit has made to the parameters in scikit-learn's diagram, alone or as a step of a Pipeline.

    Images are drawn from the generators when the notebook asks, from a fixed seed: nothing is kept for it in the
    sampler, its pickles or its files, and no random state moves. Real images, and those that are made of real ones,
    are never shown.
    """

    def _get_params_html(self, *args, **kwargs):
        return _WithFit(super()._get_params_html(*args, **kwargs), self)


class _WithFit:
    """The parameters of a sampler as scikit-learn shows them, below what its fit has made."""

    def __init__(self, parameters, sampler):
        self._parameters, self._sampler = parameters, sampler

    def __getattr__(self, name):
        if name.startswith("__"):  # copies and pickles ask before there is anything to pass on to
            raise AttributeError(name)
        return getattr(self._parameters, name)

    def _repr_html_inner(self):
        return describe_fit(self._sampler) + self._parameters._repr_html_inner()


def describe_fit(sampler):
    """Return what a fit has made as HTML; an empty string where there was none.

    Parameters
    ----------
    sampler : BaseImageOverSampler
        Fitted or not.

    Returns
    -------
    section : str
        Safe to stand in a page: labels are escaped.
    """
    labels = _labels(sampler)
    if not labels:
        return ""
    records = _kept_records(sampler)
    alarms = [f'<p class="alarm">{html.escape(text)}</p>' for text in _alarms(sampler, records)]
    return (
        f'{_STYLE}<div class="gan-sampler-fitted">{"".join(alarms)}{_table(sampler, labels, records)}'
        f"{_pictures(sampler)}</div>"
    )


def _labels(sampler):
    """Return the classes that a fit saw; of one that was read from a file, those that it over-sampled."""
    counts = getattr(sampler, "class_counts_", None)
    return list(counts if counts is not None else getattr(sampler, "generators_", ()))


def _kept_records(sampler):
    """Return the record of the snapshot that was kept, for each class that was trained."""
    history = getattr(sampler, "history_", None) or {}
    return {label: best_record(own) for label, own in history.items() if own}


def _alarms(sampler, records):
    """Yield, as sentences, why images should not be used."""
    poor = find_poor({label: record for label, record in records.items() if "score" in record})
    shown = [dict(itertools.islice(of_kind.items(), _MAX_ALARMS)) for of_kind in poor]
    n_more = sum(map(len, poor)) - sum(map(len, shown))
    if any(shown):
        yield f"{describe_poor(*shown)}{f' So it is with {n_more:,} more classes.' if n_more else ''}"
    for label, report in (getattr(sampler, "quality_", None) or {}).items():
        if report is not None and report.is_poor:
            yield f"Poor quality of class {plain_label(label)!r}: {'; '.join(report.faults)}."


def _table(sampler, labels, records):
    counts = getattr(sampler, "class_counts_", None)
    has_scores = any("score" in record for record in records.values())
    heads = ["Class", *(["Images", "Repeated", "Synthetic"] if counts else ["Added at the fit"])]
    heads += [*(["Steps"] if records else []), *(["Score kept"] if has_scores else [])]
    rows = []
    for label in labels[:_MAX_ROWS]:
        cells = [str(plain_label(label))]
        if counts:
            own = counts[label]
            cells.append(f"{own['real']:,} {_ARROW} {sum(own.values()):,}")
            cells += [f"{own[kind]:,}" if own[kind] else _DASH for kind in ("repeated", "synthetic")]
        else:
            cells.append(f"{sampler.sampling_strategy_.get(label, 0):,}")
        if records:
            cells.append(_steps(sampler, label, records))
        if has_scores:
            record = records.get(label, {})
            cells.append(f"{record['score']:.3g}" if "score" in record else _DASH)
        rows.append(cells)
    head = "".join(f'<th scope="col">{html.escape(word)}</th>' for word in heads)
    body = "".join(
        f'<tr><th scope="row">{html.escape(first)}</th>{"".join(f"<td>{html.escape(cell)}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    n_more = len(labels) - len(rows)
    notes = [f"And {n_more:,} more classes."] if n_more else []
    if has_scores:
        notes.append("Score: about 1 is as good as real images, above 10 the images cannot be used.")
    return (
        f"<div><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        f"{''.join(f'<p>{note}</p>' for note in notes)}"
    )


def _steps(sampler, label, records):
    if label not in records:
        return _DASH
    made, kept = sampler.history_[label][-1]["step"], records[label]["step"]
    return f"{made:,}" if kept == made else f"{made:,}, kept at {kept:,}"


def _pictures(sampler):
    generators = getattr(sampler, "generators_", None)
    if not hasattr(sampler, "sample"):
        return "<p>No image is shown, as those of this sampler are made of real ones, or may be.</p>"
    if not generators:
        return ""
    shown = list(generators)[:_MAX_PICTURES]
    n_images, side = _sizes(sampler.image_format_, len(shown))
    figures = []
    for label in shown:
        try:
            images = displayable(sampler.image_format_, sampler.sample(n_images, label, random_state=_SEED), side)
        except Exception as exc:  # without memory, or a device: a notebook shall show the rest nevertheless
            return f"<p>Images could not be drawn: {html.escape(f'{type(exc).__name__}: {exc}')}</p>"
        picture, _, _ = lay_out({(0, column): image for column, image in enumerate(images)})
        factor = max(1, -(-_SHOWN_SIDE // images.shape[1]))
        words = html.escape(f"Synthetic: {plain_label(label)}")
        figures.append(
            f'<figure><img src="{png_data_uri(picture)}" width="{factor * picture.shape[1]}" '
            f'height="{factor * picture.shape[0]}" alt="{words}"><figcaption>{words}</figcaption></figure>'
        )
    return "".join(figures)


def _sizes(image_format, n_classes):
    """Return how many images of each class are shown, and how many pixels a side has at most."""
    channels, *sides = image_format.tensor_shape
    n_images = _BYTES // (n_classes * channels * math.prod(min(side, _SIDE) for side in sides))
    if n_images >= _LEAST_IMAGES:
        return min(n_images, _IMAGES), _SIDE
    return _LEAST_IMAGES, max(1, math.isqrt(_BYTES // (n_classes * channels * _LEAST_IMAGES)))
