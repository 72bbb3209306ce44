"""Enter names of other libraries into docs/_inventories, so that pages can link to their documentation.

    python docs/add_reference.py sklearn.svm.SVC torch.nn.Module

Sphinx would otherwise fetch the list of all names of every library at each build, and a build without a network could
not check a reference. A name must exist in the installed library; where its page is follows from the library's scheme.
"""

import argparse
import importlib
import inspect
import re
from pathlib import Path

FOLDER = Path(__file__).with_name("_inventories")
HEADER = "# Sphinx inventory version 1\n# Project: {}\n# Version: stable\n"

# Where a library's pages begin, by the name that it is imported by.
URLS = {
    "PIL": "https://pillow.readthedocs.io/en/stable/",
    "imblearn": "https://imbalanced-learn.org/stable/",
    "joblib": "https://joblib.readthedocs.io/en/stable/",
    "matplotlib": "https://matplotlib.org/stable/",
    "numpy": "https://numpy.org/doc/stable/",
    "pandas": "https://pandas.pydata.org/docs/",
    "python": "https://docs.python.org/3/",
    "scipy": "https://docs.scipy.org/doc/scipy/",
    "skimage": "https://scikit-image.org/docs/stable/",
    "sklearn": "https://scikit-learn.org/stable/",
    "skorch": "https://skorch.readthedocs.io/en/stable/",
    "torch": "https://docs.pytorch.org/docs/stable/",
    "torchvision": "https://docs.pytorch.org/vision/stable/",
}

# The page of an object by the first pattern that its name matches; {} is the name of the class, function or module.
PAGES = {
    "PIL": [(r"PIL\.(\w+)", "reference/{group}.html")],
    "imblearn": [(r"", "references/generated/{}.html")],
    "joblib": [(r"", "generated/{}.html")],
    "matplotlib": [(r"", "api/_as_gen/{}.html")],
    "numpy": [
        (r"numpy\.random\.RandomState", "reference/random/legacy.html"),
        (r"numpy\.random\.Generator", "reference/random/generator.html"),
        (r"", "reference/generated/{}.html"),
    ],
    "pandas": [(r"", "reference/api/{}.html")],
    "scipy": [(r"", "reference/generated/{}.html")],
    "skimage": [(r"(skimage\.\w+)", "api/{group}.html")],
    "sklearn": [(r"", "modules/generated/{}.html")],
    "skorch": [(r"skorch\.(?:callbacks\.)?(\w+)\.", "{group}.html")],
    "torch": [
        (r"torch\.Tensor$", "tensors.html"),
        (r"torch\.(device|dtype)$", "tensor_attributes.html"),
        (r"torch\.utils\.(data|checkpoint|tensorboard)\.", "{group}.html"),
        (r"torch\.utils\.(data)$", "{group}.html"),
        (r"torch\.nn$", "nn.html"),
        (r"", "generated/{}.html"),
    ],
    "torchvision": [(r"torchvision\.transforms\.v2$", "transforms.html"), (r"", "generated/{}.html")],
}
CONSTANTS = {"None", "True", "False", "NotImplemented", "Ellipsis"}
BUILT_IN_FUNCTIONS = {"bool", "bytearray", "callable", "float", "int", "property", "super"}


def find(name):
    """Return the object called `name` and the name of its page: a method or attribute is on its class's."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        break
    else:
        found, length = importlib.import_module("builtins"), 0
    page = ".".join(parts[:length])
    for part in parts[length:]:
        if not inspect.isclass(found):
            page = f"{page}.{part}".lstrip(".")
        found = getattr(found, part)
    return found, page


def kind_of(found, name, page):
    """Return the type of an object as Sphinx's Python domain calls it ("mod" for a module)."""
    if inspect.ismodule(found):
        return "mod"
    if inspect.isclass(found):
        return "exception" if issubclass(found, BaseException) else "class"
    if name != page:
        return "method" if callable(found) else "attribute"
    return "function" if callable(found) else "data"


def line_of(name):
    """Return the library of `name` and its line of the inventory."""
    found, page = find(name)
    kind = kind_of(found, name, page)
    library = name.partition(".")[0]
    if library in PAGES:
        pattern, location = next((p, location) for p, location in PAGES[library] if re.match(p, page))
        groups = re.match(pattern, page).groups()
        return library, f"{name} {kind} {location.format(page, group=groups[0] if groups else None)}"
    if library == page and not inspect.ismodule(found):
        return "python", f"{name} {kind} library/{_page_of_builtin(page, kind)}.html"
    module = page if inspect.ismodule(found) else page.rpartition(".")[0]
    return "python", f"{name} {kind} library/{module}.html"


def _page_of_builtin(name, kind):
    if name in CONSTANTS:
        return "constants"
    if kind == "exception":
        return "exceptions"
    return "functions" if kind == "function" or name in BUILT_IN_FUNCTIONS else "stdtypes"


def main():
    """Enter the names of the command line, sorted, each once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="+", help="full name, as in its library's documentation")
    for name in parser.parse_args().name:
        library, line = line_of(name)
        file = FOLDER / f"{library}.txt"
        known = file.read_text(encoding="utf-8").splitlines()[3:] if file.exists() else []
        lines = sorted({*known, line})
        file.write_text(HEADER.format(library) + "\n".join(lines) + "\n", encoding="utf-8")
        print(f"{file.name}: {line}")


if __name__ == "__main__":
    main()
