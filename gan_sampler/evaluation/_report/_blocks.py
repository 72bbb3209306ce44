"""What a page is made of: sections of tables, figures and text."""

from dataclasses import dataclass, field

from markupsafe import Markup


@dataclass(frozen=True)
class Cell:
    """A cell of a table: its text, its sort key ("" sorts last), a mark and a CSS class."""

    text: str
    sort: float | str | None = None
    mark: str = ""
    css: str = ""


@dataclass(frozen=True)
class Column:
    """The head of a column."""

    label: str
    is_number: bool = True


@dataclass(frozen=True)
class Table:
    """A table of the page."""

    caption: str
    columns: list
    rows: list


@dataclass(frozen=True)
class Picture:
    """A figure of the page, as the HTML that shows it."""

    html: Markup
    caption: str = ""
    css: str = ""


@dataclass
class Section:
    """A part of the page under its heading."""

    id: str
    title: str
    blocks: list = field(default_factory=list)

    def text(self, text, css=""):
        """Add a paragraph."""
        self.blocks.append(text_block(text, css))

    def heading(self, text):
        """Add a heading within the section."""
        self.blocks.append({"kind": "heading", "text": text})

    def table(self, table):
        """Add a table."""
        self.blocks.append({"kind": "table", "table": table})

    def figures(self, found, css="stack", legend=()):
        """Add figures, one below the other ("stack") or as many side by side as the page holds ("panels")."""
        found = [picture for picture in found if picture is not None]
        if found:
            self.blocks.append({"kind": "figures", "figures": found, "css": css, "legend": legend})

    def fold(self, summary, *blocks):
        """Add a collapsed block."""
        self.blocks.append({"kind": "details", "summary": summary, "blocks": list(blocks)})


def text_block(text, css=""):
    """Return a paragraph as a block."""
    return {"kind": "text", "text": text, "css": css}


def table_block(table):
    """Return a table as a block."""
    return {"kind": "table", "table": table}
