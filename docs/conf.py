"""How Sphinx makes the documentation: the pages are Markdown, the API comes from the docstrings."""

from __future__ import annotations

from ws4py_ng import __version__

project = "ws4py_ng"
author = "the ws4py_ng authors"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme = "furo"
html_title = f"ws4py_ng {__version__}"
root_doc = "contents"
# contents.md has it in it.
exclude_patterns = ["index.md"]
# Anchors for headings: the pages link to each other's sections.
myst_heading_anchors = 3
# `this` in a docstring is code, a link where it names something.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True, "show-inheritance": True}
# eventlet lives in an environment of its own.
autodoc_mock_imports = ["eventlet"]


def mark_code(app: object, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Make a literal block of each indented example: docstrings here are written to be read as they are."""
    marked: list[str] = []
    for line in lines:
        begins = line.startswith("    ") and marked and not marked[-1].strip()
        if begins and not any(each.startswith(" ") or each.endswith("::") for each in _paragraph_before(marked)):
            marked += ["::", ""]
        marked.append(line)
    lines[:] = marked


def _paragraph_before(lines: list[str]) -> list[str]:
    return [each for each in lines if each.strip()][-1:]


def setup(app: object) -> None:
    """Tell Sphinx of it."""
    app.connect("autodoc-process-docstring", mark_code)  # type: ignore[attr-defined]
