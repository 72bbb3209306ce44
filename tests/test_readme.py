"""The Python in the documents runs as it stands."""

import re
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = (
    "README.md",
    "docs/evaluation.md",
    "docs/extending.md",
    "docs/how_it_works.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs" / "guide").glob("*.md")),
)

_BLOCK = re.compile(
    r"^(?:<!-- *skip: *(?P<reason>[^\n]+?) *-->\s*\n)?```python *\n(?P<code>.*?)^``` *$", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True)
class Block:
    """One fenced block of Python, where it starts, and why it is not to be run (None when it is)."""

    code: str
    line: int
    skip_reason: str | None


def find_blocks(text):
    """Return the ```python blocks of a Markdown text in order."""
    return [
        Block(match["code"], 1 + text.count("\n", 0, match.start("code")), match["reason"])
        for match in _BLOCK.finditer(text)
    ]


@pytest.fixture
def run_blocks(monkeypatch):
    """Return a function that runs a document as a reader who types its blocks one after the other would."""
    main = types.ModuleType("__main__")  # what the snippets define must pickle as it does in a script
    monkeypatch.setitem(sys.modules, "__main__", main)

    def run(text, filename):
        for block in find_blocks(text):
            if block.skip_reason is None:
                padding = "\n" * (block.line - 1)  # so that a traceback shows the line of the document
                exec(compile(padding + block.code, filename, "exec"), vars(main))
        return main

    return run


def _skipped_blocks():
    """One skipped test for each block that is not run, so that its reason stands in pytest's report."""
    for name in DOCUMENTS:
        for block in find_blocks((ROOT / name).read_text(encoding="utf-8")):
            if block.skip_reason is not None:
                skip = pytest.mark.skip(reason=f"{name}, line {block.line}: {block.skip_reason}")
                yield pytest.param(name, marks=skip, id=f"{name}:{block.line}")


@pytest.mark.parametrize("name", [*DOCUMENTS, *_skipped_blocks()])
def test_python_of_the_document_runs(name, run_blocks, tmp_path, monkeypatch):
    """A newcomer pastes these lines first; they must work."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    path = ROOT / name
    text = path.read_text(encoding="utf-8")
    assert any(block.skip_reason is None for block in find_blocks(text)), f"{name} shows no Python that runs"
    run_blocks(text, str(path))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_python_of_the_document_is_overlooked(name):
    """A fence spelt otherwise would be shown to readers and never be run."""
    text = (ROOT / name).read_text(encoding="utf-8")
    assert len(re.findall(r"^\s*```\s*\{?\.?(?:py|python|python3|pycon)\b", text, re.MULTILINE | re.IGNORECASE)) == len(
        find_blocks(text)
    )


def test_blocks_share_names_and_skipped_ones_do_not_run(run_blocks):
    """The runner itself must see every block, in order, and obey the skip comment."""
    text = "\n".join(
        [
            "Text.",
            "```python",
            "seen = ['first']",
            "```",
            "<!-- skip: needs a download -->",
            "```python",
            "seen.append('skipped')",
            "```",
            "```bash",
            "exit 1",
            "```",
            "",
            "```python",
            "seen.append('last')",
            "```",
        ]
    )
    assert [(block.line, block.skip_reason) for block in find_blocks(text)] == [
        (3, None),
        (7, "needs a download"),
        (14, None),
    ]
    assert run_blocks(text, "text.md").seen == ["first", "last"]


def test_an_error_names_the_line_of_the_document(run_blocks):
    """Who breaks a snippet should be sent to it, not to a string in memory."""
    with pytest.raises(ZeroDivisionError) as caught:
        run_blocks("# Title\n\n```python\none = 1\none / 0\n```\n", "text.md")
    assert caught.traceback[-1].frame.code.raw.co_filename == "text.md"
    assert caught.traceback[-1].lineno + 1 == 5
