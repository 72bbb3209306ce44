"""How Sphinx builds the documentation: `make docs`, then open build/docs/html/index.html."""

import ast
import importlib.util
import inspect
import os
import re
import sys
import warnings
from pathlib import Path

# One thread and no window for the scripts of the gallery; before torch and matplotlib are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["MPLBACKEND"] = "Agg"

import gan_sampler

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from add_reference import FOLDER, URLS  # noqa: E402

project = "gan_sampler"
author = "The gan_sampler developers"
copyright = author
version = release = gan_sampler.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
root_doc = "index"
exclude_patterns = ["examples", "results/**/*.md", "_inventories"]
templates_path = ["_templates"]
default_role = "literal"  # numpydoc puts parameters into single backticks
nitpicky = True  # a reference that leads nowhere is a warning, and a warning an error

# -- Pages in Markdown ------------------------------------------------------------------------------------------------
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3  # so that `page.md#a-heading` is a link, and one that is checked

# -- The reference of the API -----------------------------------------------------------------------------------------
autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"  # the docstrings say them, in words
numpydoc_show_class_members = False  # _templates/autosummary/class.rst lists what belongs to this package
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"  # only the words below are links; types are written for readers
numpydoc_xref_aliases = {
    "Axes": "matplotlib.axes.Axes",
    "Bunch": "sklearn.utils.Bunch",
    "DataFrame": "pandas.DataFrame",
    "Figure": "matplotlib.figure.Figure",
    "RandomState": "numpy.random.RandomState",
    "Tensor": "torch.Tensor",
    "array-like": "array-like",  # numpydoc's own defaults for these are entries of glossaries
    "array_like": "array-like",
    "bool": "bool",
    "boolean": "bool",
    "True": "True",
    "False": "False",
    "generator": "generator",
    "iterable": "iterable",
    "sequence": "sequence",
    "ndarray": "numpy.ndarray",
    "path-like": "os.PathLike",
    "torch.device": "torch.device",
    "torch.nn.Module": "torch.nn.Module",
    **{name: f"gan_sampler.{name}" for name in gan_sampler.__all__ if name[0].isupper()},
}
numpydoc_validation_checks = {"GL03", "GL05", "GL06", "GL08", "PR02", "PR10"}
numpydoc_validation_exclude = {r"\.(get_params|set_params|set_fit_request|set_score_request|get_metadata_routing)$"}

# -- Links to other libraries -----------------------------------------------------------------------------------------
# The names that pages use, kept here: a build needs no network, and a name that is misspelt is found without one, too.
# `python docs/add_reference.py NAME` adds one.
intersphinx_mapping = {
    name: (url, str(FOLDER / f"{name}.txt")) for name, url in URLS.items() if (FOLDER / f"{name}.txt").exists()
}

# -- The gallery ------------------------------------------------------------------------------------------------------
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "gallery_order.ReadingOrder",
    "abort_on_example_error": False,
    "only_warn_on_example_error": False,
    "remove_config_comments": True,
    "download_all_examples": False,
    "show_memory": False,
    "parallel": 2,  # scripts at the same time, each on one thread
    "show_signature": False,
    "write_computation_times": False,  # a page with scripts from other hosts
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("gan_sampler",),
    "reference_url": {"gan_sampler": None},
    "matplotlib_animations": False,
    "thumbnail_size": (320, 224),
}

# -- The site ---------------------------------------------------------------------------------------------------------
# MathJax comes from the site itself, so that equations are there without a network.
_mathjax = Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent / "static"
mathjax_path = "mathjax/tex-chtml.js"
html_theme = "pydata_sphinx_theme"
html_title = "gan_sampler"
html_static_path = ["_static", str(_mathjax)]
html_css_files = ["gan_sampler.css"]
html_favicon = "_static/favicon.svg"
html_context = {"default_mode": "auto"}
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "gan_sampler"},
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "back_to_top_button": False,
    "show_prev_next": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {"index": [], "install": [], "api": []}
copybutton_exclude = ".linenos, .gp, .go"

suppress_warnings = ["config.cache"]


def skip_inherited_from_elsewhere(app, what, name, obj, skip, options):
    """List the methods that this package writes; those of scikit-learn and torch are told there."""
    written_in = getattr(getattr(obj, "fget", None) or getattr(obj, "__func__", obj), "__module__", None)
    if what == "class" and not (written_in or "").startswith("gan_sampler"):
        return True
    return None


_ITEM = re.compile(r"^\s*[\w*, ]+ : .*")


def escape_shapes(app, what, name, obj, options, lines):
    r"""Keep ``(n, *X.shape[1:])`` and ``(n_features_in_,)`` in types from being read as markup."""
    for number, line in enumerate(lines):
        if _ITEM.match(line):
            item, colon, described = line.partition(" : ")
            lines[number] = item + colon + re.sub(r"\*(?=\w)|(?<=\w)_(?=\W|$)", r"\\\g<0>", described)


_CITED = re.compile(r"\s*\[(\d+)\]_")


def bring_references(app, what, name, obj, options, lines):
    """Add the works that a docstring cites from its module's list, where it has no list of its own.

    The first line is also shown in tables, which have no list: there the number is left out.
    """
    cited = set(_CITED.findall("\n".join(lines)))
    if not cited or "References" in lines or what == "module":
        return
    module = inspect.getdoc(inspect.getmodule(obj)) or ""
    _, _, listed = module.partition("References\n----------\n")
    works = [work for work in re.split(r"\n(?=\.\. \[)", listed) if re.match(r"\.\. \[(\d+)\]", work)[1] in cited]
    lines[0] = _CITED.sub("", lines[0])
    while lines and not lines[-1].strip():
        lines.pop()
    lines += ["", "References", "----------", *"\n".join(works).splitlines(), ""]


def find_public_name(app, env, node, contnode):
    """Resolve ``QualityWarning``, written in a subpackage, as ``gan_sampler.QualityWarning``."""
    name = node["reftarget"].rpartition(".")[2]
    if node.get("refdomain") != "py" or name not in gan_sampler.__all__ or node["reftarget"] == f"gan_sampler.{name}":
        return None
    domain = env.get_domain("py")
    return domain.resolve_xref(env, node["refdoc"], app.builder, node["reftype"], f"gan_sampler.{name}", node, contnode)


def find_source(app, module):
    """Return the code of a module and where its functions and classes stand in it, for the links to the source.

    Sphinx's own parser fails at ``{**constraints}`` in a decorator.
    """
    code = Path(importlib.util.find_spec(module).origin).read_text(encoding="utf-8")
    tags = {}

    def visit(node, prefix):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                first = min([child.lineno, *(decorator.lineno for decorator in child.decorator_list)])
                kind = "class" if isinstance(child, ast.ClassDef) else "def"
                tags[prefix + child.name] = (kind, first, child.end_lineno)
                visit(child, f"{prefix}{child.name}.")

    visit(ast.parse(code), "")
    return code, tags


def lead_back(app, env):
    """Have the links from the source to the reference name the package under which a class is documented.

    Sphinx notes one package for each module, that of the first class with a method from there, which may be a subclass.
    """
    for module, entry in getattr(env, "_viewcode_modules", {}).items():
        if entry:
            *rest, used, package = entry
            packages = {page.rpartition("/")[2].rpartition(".")[0] for page in used.values()}
            env._viewcode_modules[module] = (*rest, used, packages.pop() if len(packages) == 1 else package)


def setup(app):
    """Connect what is defined here."""
    app.connect("env-updated", lead_back)
    app.connect("missing-reference", find_public_name)
    app.connect("viewcode-find-source", find_source)
    app.connect("autodoc-process-docstring", bring_references, priority=100)
    app.connect("autodoc-process-docstring", escape_shapes, priority=100)
    app.connect("autodoc-skip-member", skip_inherited_from_elsewhere)
    # The scripts of the gallery train for seconds, and say where that is too little.
    warnings.filterwarnings("ignore", category=DeprecationWarning)
