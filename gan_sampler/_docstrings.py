"""Descriptions of parameters and attributes that several classes or functions share."""

import inspect


def substitution(shared):
    """Return a decorator that replaces the entries of `shared` that a docstring names by their texts.

    Parameters
    ----------
    shared : dict of str to str
        Texts by name, indented as in a docstring without indentation.

    Returns
    -------
    document : callable
        Decorator of classes and functions. Docstrings that are None, as under ``python -OO``, stay None.
    """

    def document(documented):
        if documented.__doc__ is not None:
            documented.__doc__ = inspect.cleandoc(documented.__doc__)  # so that all docstrings are indented alike
            documented.__doc__ = documented.__doc__.format(**shared)
        return documented

    return document
