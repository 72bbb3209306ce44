"""What surrounds the code agrees with it: versions, requirements, documents, make targets."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import gan_sampler

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def _declared(extras):
    """Return the requirements of the package with `extras`, those of extras named by extras included."""
    found = [Requirement(line) for line in PROJECT["dependencies"]]
    for extra in extras:
        for requirement in map(Requirement, PROJECT["optional-dependencies"][extra]):
            if requirement.name == PROJECT["name"]:
                found += _declared(requirement.extras)
            else:
                found.append(requirement)
    return found


def _with_their_own(requirements):
    """Return the names of installed packages that `requirements` bring with them, themselves included."""
    found, waiting = set(), [requirement.name for requirement in requirements]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name not in found:
            found.add(name)
            needed = map(Requirement, importlib.metadata.requires(name) or [])
            waiting += [each.name for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
    return found


def _pins(name):
    """Return {package: requirements} of a pinned file; one package can have a pin for each Python version."""
    pins = {}
    for line in _read(f"requirements/{name}.txt").splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            pins.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return pins


@pytest.mark.parametrize("extra", ["bench", "dev", "docs"])
def test_pinned_requirements_satisfy_the_project(extra):
    """A dependency added or raised in pyproject.toml and not pinned would be missing from a fresh .venv."""
    pins = _pins(extra)
    for wanted in _declared([extra]):
        for pin in pins[canonicalize_name(wanted.name)]:
            (version,) = pin.specifier
            assert version.operator == "=="
            assert wanted.specifier.contains(version.version), f"run `make requirements`: {pin} does not fit {wanted}"


@pytest.mark.parametrize("extra", ["bench", "docs"])
def test_pinned_files_agree_where_they_overlap(extra):
    """They go into one .venv; a second version there would replace the one that was tested."""
    dev = _pins("dev")
    for package, pins in _pins(extra).items():
        if package in dev:
            assert {str(pin.specifier) for pin in pins} <= {str(pin.specifier) for pin in dev[package]}


@pytest.mark.parametrize("name", ["bootstrap", "bench", "dev", "docs"])
def test_requirements_name_no_package_index(name):
    """Where packages come from is the choice of the machine that installs them."""
    lines = [line for line in _read(f"requirements/{name}.txt").splitlines() if not line.startswith("#")]
    assert not [line for line in lines if "://" in line or line.lstrip().startswith("-")]


def test_version_is_the_same_everywhere():
    """A citation or changelog of another version sends readers to the wrong code."""
    version = PROJECT["version"]
    assert importlib.metadata.version("gan-sampler") == version
    assert re.search(r"^version: (.+)$", _read("CITATION.cff"), re.MULTILINE)[1] == version
    assert re.search(r"^## \[(\d.+?)\]", _read("CHANGELOG.md"), re.MULTILINE)[1] == version


def test_make_targets_named_in_the_documents_exist():
    """The first command that a newcomer types must not be an unknown target."""
    targets = set(re.findall(r"^([a-z]+):", _read("Makefile"), re.MULTILINE))
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    for document in documents:
        named = set(re.findall(r"(?:^|`)make ([a-z]+)", document.read_text(encoding="utf-8"), re.MULTILINE))
        assert named <= targets, f"{document.name} names {named - targets}"


def test_package_marks_itself_as_typed():
    """Without the marker type checkers ignore the annotations that are there."""
    assert Path(gan_sampler.__file__).with_name("py.typed").is_file()


def test_import_needs_no_optional_package():
    """A plain `pip install .` brings none of the extras, and must do."""
    extras = {canonicalize_name(requirement.name) for requirement in _declared(PROJECT["optional-dependencies"])}
    optional = extras - _with_their_own(_declared([]))
    modules = sorted(name.replace("-", "_") for name in optional)
    code = f"""
import sys
from importlib.machinery import PathFinder

class Finder(PathFinder):  # as if the optional packages had never been installed
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {modules} else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
import gan_sampler, gan_sampler.datasets
for name in gan_sampler.__all__:
    getattr(gan_sampler, name)
"""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
