"""Descriptions of functions and objects, which tell whether a checkpoint was written with the same ones."""

import functools
import hashlib
import json
import sys
import types

import numpy as np
import torch
from torch import nn

_DIGITS = 16  # of a hash
_PLAIN = bool | int | float | complex | str | bytes | types.NoneType
# Packages whose functions and classes are described by their names; checkpoints name the versions that matter.
_KNOWN_BY_NAME = {"gan_sampler", "numpy", "sklearn", "torch", "torchvision", *sys.stdlib_module_names}


def identity_of(value):
    """Return a short text that differs where a function, a class or an object computes something else.

    Of functions and classes outside well-known packages it covers the bytecode, which depends on the version of Python,
    the defaults, the variables of an enclosing function, and the global numbers, strings and functions that are used;
    of `functools.partial` the arguments; of an object the attributes; of a tensor or a network the values.

    Parameters
    ----------
    value : object
        Usually a callable.

    Returns
    -------
    identity : str
        Its name, followed by a hash unless the name says everything.
    """
    name = name_of(value)
    described = _describe(value, {})
    return name if described == name else f"{name} {_hash(json.dumps(described).encode())}"


def name_of(value):
    """Return the full name of a function or a class, and of other objects that of their class."""
    if isinstance(value, functools.partial):
        return name_of(value.func)
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"


def hash_of_tensors(tensors):
    """Return a hash of the values of tensors."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:_DIGITS]


def _describe(value, seen):
    """Return a description that JSON can hold; `seen` has those of objects by id, to end at cycles."""
    if isinstance(value, _PLAIN):
        return repr(value)
    if id(value) not in seen:
        seen[id(value)] = value, "part of itself"  # with the value, so that the id is not given to another
        seen[id(value)] = value, _describe_object(value, seen)
    return seen[id(value)][1]


def _describe_object(value, seen):
    def each(values):
        return [_describe(element, seen) for element in values]

    match value:
        case list() | tuple():
            return [type(value).__name__, *each(value)]
        case set() | frozenset():
            return [type(value).__name__, *sorted(map(json.dumps, each(value)))]
        case dict():
            return ["dict", *each(pair for item in value.items() for pair in item)]
        case torch.Tensor():
            return [str(value.dtype), list(value.shape), hash_of_tensors([value])]
        case np.ndarray() if not value.dtype.hasobject:
            return [str(value.dtype), list(value.shape), _hash(np.ascontiguousarray(value).tobytes())]
        case types.ModuleType():  # as of an import within an enclosing function
            return value.__name__
        case functools.partial():
            return ["partial", *each([value.func, value.args, value.keywords])]
        case types.MethodType():
            return ["method", *each([value.__func__, value.__self__])]
        case type() | types.FunctionType() | types.BuiltinFunctionType() if _is_known(value):
            return name_of(value)
        case types.FunctionType():
            cells = [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
            variables = value.__defaults__, value.__kwdefaults__, cells, _globals_of(value)
            return [name_of(value), _of_code(value.__code__), *each(variables)]
        case staticmethod() | classmethod():
            return _describe(value.__func__, seen)
        case property():
            return each([value.fget, value.fset])
        case type():
            return [name_of(value), *each([_members_of(base) for base in value.__mro__ if not _is_known(base)])]
        case nn.Module():
            return [name_of(value), repr(value), hash_of_tensors(value.state_dict().values())]
    attributes = getattr(value, "__dict__", {})
    return [_describe(type(value), seen), _describe(attributes, seen)] if attributes else _describe(type(value), seen)


def _is_known(value):
    return (value.__module__ or "").partition(".")[0] in _KNOWN_BY_NAME


def _is_filled(cell):
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _of_code(code):
    """Return a hash of what a code object does, without its place in a file."""
    constants = [_of_code(c) if isinstance(c, types.CodeType) else _describe(c, {}) for c in code.co_consts]
    return _hash(repr((code.co_code, constants, code.co_names)).encode())


def _globals_of(function):
    """Return the numbers, strings, functions and classes among the global variables that a function uses."""
    names, codes = set(), [function.__code__]
    while codes:
        code = codes.pop()
        names.update(code.co_names)
        codes += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    kinds = _PLAIN | tuple | type | types.FunctionType | functools.partial
    found = {name: function.__globals__[name] for name in sorted(names) if name in function.__globals__}
    return {name: value for name, value in found.items() if isinstance(value, kinds)}


def _members_of(cls):
    """Return the methods and the plain attributes of a class."""
    methods = types.FunctionType | staticmethod | classmethod | property
    return {
        name: value
        for name, value in vars(cls).items()
        if isinstance(value, methods) or (isinstance(value, _PLAIN | tuple) and not name.startswith("__"))
    }


def _hash(content):
    return hashlib.sha256(content).hexdigest()[:_DIGITS]
