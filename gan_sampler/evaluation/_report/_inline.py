"""Figures and images as parts of the page itself, in colours that suit a light and a dark page."""

import io
import re

import matplotlib
from markupsafe import Markup, escape

from ...displays._pixels import png_data_uri
from .. import _figures as figures
from ._blocks import Picture

_IMAGE_SIDE = 64  # pixels; smaller images are drawn larger

# Colours of figures on a dark page.
ON_DARK = {
    figures.INK: "#e8eaed",
    figures.MUTED: "#9aa3ad",
    figures.GRID: "#343b44",
    "#0072b2": "#4aa8e8",
    "#d55e00": "#ff8533",
    "#882255": "#ee6699",
    "#332288": "#a7a3ff",
    "#009e73": "#2cc295",
    "#117733": "#6fbf73",
    "#999933": "#d6c84a",
    "#44aa99": "#66d0bd",
}
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_IN_FIGURES = re.compile("|".join(ON_DARK))


def page_colour(colour):
    """Return a colour as a CSS variable, which differs on dark pages."""
    return f"var(--c-{colour[1:]})" if colour in ON_DARK else colour


def embed(figure, alt, caption="", css=""):
    """Return a matplotlib figure as SVG within the page, with the colours of the page; None stays None."""
    return None if figure is None else Picture(Markup(_svg_of(figure, alt)), caption, css)


def _svg_of(figure, alt):
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": figures.STYLE["svg.hashsalt"] + alt}):
        figure.savefig(buffer, format="svg", transparent=True, metadata=_NO_METADATA)
    return _clean_svg(buffer.getvalue(), alt)


def _clean_svg(svg, alt):
    """Return the SVG element with page colours, short numbers and only identifiers that are referred to."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)  # matplotlib adds every text as a comment
    used = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", svg))
    svg = re.sub(r' id="([^"]+)"', lambda found: found[0] if found[1] in used else "", svg)
    svg = re.sub(r"<[^>]+>", lambda found: re.sub(r"(\d\.\d\d)\d+", r"\1", found[0]), svg)  # only in tags, not in text
    svg = _IN_FIGURES.sub(lambda found: page_colour(found[0]), svg)
    width, height = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups()
    head = f'<svg role="img" aria-label="{escape(alt)}" viewBox="0 0 {width} {height}"'
    head += ' xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    return re.sub(r"^<svg[^>]*>", lambda _: head, svg)


def embed_images(picture, side, alt, caption=""):
    """Return a picture of many images as a PNG within the page.

    Parameters
    ----------
    picture : ndarray of shape (height, width, 4), uint8
        What a display's `montage` returned.
    side : int
        Height of one image in it, in pixels; small ones are enlarged.
    """
    factor = max(1, -(-_IMAGE_SIDE // side))
    height, width = (factor * size for size in picture.shape[:2])
    html = f'<img src="{png_data_uri(picture, factor)}" width="{width}" height="{height}" alt="{escape(alt)}">'
    return Picture(Markup(html), caption, "pixels")
