"""What `help` shows: every parameter, with its default, in the same words wherever several classes share it."""

import ast
import inspect
import re
import subprocess
import sys

import pytest
from numpydoc.docscrape import ClassDoc, FunctionDoc

import gan_sampler
from gan_sampler import (
    classifiers,
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

PACKAGES = (
    gan_sampler,
    classifiers,
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
SAMPLERS = {name: getattr(samplers, name) for name in samplers.__all__ if name.endswith(("Sampler", "DeepSMOTE"))}
# Entries that a class describes itself, because they mean something else there, and the classes that do.
OWN_WORDS = {
    "latent_dim": {"ConditionalDCGANOverSampler", "DeepSMOTE"},
    "base_channels": {"CycleGANOverSampler", "DeepSMOTE"},
    "batch_size": {"CycleGANOverSampler", "DeepSMOTE"},
    "learning_rate": {"CycleGANOverSampler", "DeepSMOTE"},
    "sampling_strategy_": {"PixelSampler"},
}
OWN_DEFAULTS = {"latent_dim", "base_channels", "batch_size", "learning_rate"}


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
                for method, function in vars(value).items():
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
    if name.count(".") and not inspect.isclass(value) and "Parameters\n" not in (inspect.getdoc(value) or ""):
        pytest.skip("described in one sentence")
    parameters = parameters_of(value)
    entries = entries_of(value, "Parameters")
    assert list(entries) == list(parameters)
    for parameter, (kind, text) in entries.items():
        default, described = parameters[parameter].default, default_in(kind)
        assert text, f"{parameter} is not described"
        if default is inspect.Parameter.empty:
            assert described is None, f"{parameter} has no default; described as {described}"
            continue
        assert described is not None, f"the default of {parameter}, {default!r}, is not named"
        try:
            assert ast.literal_eval(described) == default
        except (ValueError, SyntaxError):  # in words, such as 150 MiB, or an expression, such as 1/8
            assert not isinstance(default, str | bool | None), f"{parameter} is {default!r}; described as {described}"


def test_classes_and_functions_were_found():
    """An error in the search would leave the tests above without anything to test."""
    assert {
        "gan_sampler.samplers._dcgan.DCGANOverSampler",
        "gan_sampler.samplers._gan.BaseGANOverSampler.sample",
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
        if entry in SHARED and entry != "device":
            assert len(set(shared.values())) == 1, entry
    devices = {text for _, text in described_in_samplers()["device"].items()}
    assert len(devices) == 2  # one or several


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
    assert {name for name in SHARED if name not in used} <= {"device_or_devices"}


def test_import_without_docstrings():
    """Under -OO there is nothing to substitute in."""
    command = "import gan_sampler; assert gan_sampler.DCGANOverSampler.__doc__ is None"
    command += "; from gan_sampler.evaluation import compare"
    finished = subprocess.run(  # asserts are off: raise instead
        [sys.executable, "-OO", "-c", command + "; import sys; sys.exit(3 if gan_sampler.PixelSampler.__doc__ else 0)"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
