"""What `help` shows: every parameter, with its default, in the same words wherever several classes share it."""

import dataclasses
import inspect
import re
import subprocess
import sys

import pytest
from numpydoc.docscrape import ClassDoc, FunctionDoc

import gan_sampler
from gan_sampler import (
    classifiers,
    data,
    datasets,
    displays,
    embedding,
    evaluation,
    images,
    networks,
    quality,
    samplers,
    training,
)
from gan_sampler.samplers._docstrings import SHARED

NUMBERS_AND_STRINGS = int | float | str | tuple
PACKAGES = (
    gan_sampler,
    classifiers,
    data,
    datasets,
    displays,
    embedding,
    evaluation,
    images,
    networks,
    quality,
    samplers,
    training,
)
SAMPLERS = {name: getattr(samplers, name) for name in samplers.__all__ if name.endswith("Sampler")}
# Entries that a class describes itself, because they mean something else there, and the classes that do.
OWN_WORDS = {
    "latent_dim": {"ConditionalDCGANOverSampler"},
    "callback": {"ConditionalDCGANOverSampler"},
    "sampling_strategy_": {"PixelSampler"},
}
OWN_DEFAULTS = {"n_steps"}


def documented_objects():
    """Return the public classes and functions, and the public methods of these classes, by their full names."""
    found = {}
    for package in PACKAGES:
        for name in getattr(package, "__all__", None) or [n for n in vars(package) if not n.startswith("_")]:
            value = getattr(package, name)
            if not callable(value) or not getattr(value, "__module__", "").startswith("gan_sampler"):
                continue
            found[f"{value.__module__}.{name}"] = value
            if inspect.isclass(value):
                own = [base for base in value.__mro__ if base.__module__.startswith("gan_sampler")]
                methods = {key: function for base in reversed(own) for key, function in vars(base).items()}
                for method, function in methods.items():
                    if inspect.isfunction(function) and not method.startswith("_"):
                        found[f"{value.__module__}.{name}.{method}"] = function
    return found


OBJECTS = documented_objects()


def parameters_of(value):
    """Return the parameters of a signature, without `self`."""
    try:
        signature = inspect.signature(value)
    except ValueError:  # an exception without an __init__ of its own
        return {}
    return {name: parameter for name, parameter in signature.parameters.items() if name != "self"}


def entries_of(value, section):
    """Return the entries of a section of a docstring, (type, description) by name."""
    doc = ClassDoc(value, config={"show_class_members": False}) if inspect.isclass(value) else FunctionDoc(value)
    entries = doc[section]
    return {
        name.lstrip("*"): (kind, " ".join(" ".join(text).split()))
        for names, kind, text in entries
        for name in names.split(", ")
    }


def default_in(kind):
    """Return what stands behind ``default=`` in the type of a parameter, or None."""
    found = re.search(r"default=(.+)$", kind)
    return found and found[1]


@pytest.mark.parametrize("name", [name for name, value in OBJECTS.items() if parameters_of(value)])
def test_every_parameter_is_documented_with_its_default(name):
    """One entry for each parameter, in the order of the signature; none for what is no parameter."""
    value = OBJECTS[name]
    if not inspect.isclass(value) and "\nParameters\n" not in inspect.getdoc(value):
        pytest.skip("described in one sentence")
    parameters, entries = parameters_of(value), entries_of(value, "Parameters")
    if dataclasses.is_dataclass(value) and not entries:  # made by the package alone
        entries = entries_of(value, "Attributes")
        assert {name for name in parameters if not name.startswith("_")} <= set(entries)
        return
    assert list(entries) == list(parameters)
    for parameter, (kind, text) in entries.items():
        default, described = parameters[parameter].default, default_in(kind)
        assert text, f"{parameter} is not described"
        if default is inspect.Parameter.empty:
            assert described is None, f"{parameter} has no default; described as {described}"
            continue
        assert described is not None, f"the default of {parameter}, {default!r}, is not named"
        if isinstance(default, NUMBERS_AND_STRINGS) or default is None:
            assert eval(described, {}) == default
        elif isinstance(default, type):
            assert described.rpartition(".")[2] == default.__name__


def test_classes_and_functions_were_found():
    """An error in the search would leave the tests above without anything to test."""
    assert {
        "gan_sampler.samplers._dcgan.DCGANOverSampler",
        "gan_sampler.samplers._gan.GANOverSampler.sample",
    } < set(OBJECTS)
    assert len(OBJECTS) > 100


@pytest.mark.parametrize("name", OBJECTS)
def test_no_placeholder_is_left(name):
    """Neither of imbalanced-learn's kind nor of matplotlib's, and no doubled brace."""
    doc = OBJECTS[name].__doc__ or ""
    left = [match for match in re.findall(r"\{(\w+)\}", doc) if match in SHARED]
    assert not left
    assert "%(" not in doc
    assert "{{" not in doc


def described_in_samplers():
    """Return, for each parameter and fitted attribute of samplers, its entry in each class."""
    found = {}
    for cls in SAMPLERS.values():
        for section in ("Parameters", "Attributes"):
            for entry, text in entries_of(cls, section).items():
                found.setdefault(entry, {})[cls.__name__] = text
    return found


def test_samplers_describe_what_they_share_in_the_same_words():
    """Whoever compares two samplers must not look for a difference where there is none."""
    for entry, texts in described_in_samplers().items():
        shared = {name: text for name, text in texts.items() if name not in OWN_WORDS.get(entry, ())}
        n_variants = len({name for name in SHARED if name.startswith(f"{entry}_or_")}) + 1
        if entry in SHARED:
            assert len(set(shared.values())) == n_variants, entry


def test_entries_that_a_class_describes_itself_differ():
    """Else the shared text should be used."""
    texts = described_in_samplers()
    for entry, classes in OWN_WORDS.items():
        (shared,) = {text for name, text in texts[entry].items() if name not in classes}
        assert all(texts[entry][name] != shared for name in classes)


def test_defaults_that_samplers_share_agree():
    """A parameter that means the same has the same default in every sampler."""
    defaults = {}
    for cls in SAMPLERS.values():
        for name, parameter in parameters_of(cls).items():
            defaults.setdefault(name, set()).add(repr(parameter.default))
    assert {name for name, values in defaults.items() if len(values) > 1} == OWN_DEFAULTS


def test_every_shared_text_is_used():
    """A text that no class names is out of date."""
    used = described_in_samplers()
    assert {name for name in SHARED if name not in used} == {"device_or_devices"}


def test_import_without_docstrings():
    """Under -OO there is nothing to substitute in."""
    command = "import gan_sampler.samplers as s; print([getattr(s, name).__doc__ for name in s.__all__])"
    printed = subprocess.run([sys.executable, "-OO", "-c", command], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == str([None] * len(samplers.__all__))
