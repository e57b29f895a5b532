"""The site: `pip install -e ".[docs]" && sphinx-build -W docs site`; it needs no network."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import mi_keras

project, author = "mi_keras", "The mi_keras developers"
copyright = "2026, the mi_keras developers"
version = release = mi_keras.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinxcontrib.mermaid"]
html_theme, html_title = "furo", "mi_keras"
exclude_patterns = ["measured"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
myst_fence_as_directive = ["mermaid"]
suppress_warnings = ["myst.header"]  # files that are included start at a heading of their own

default_role = "code"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_use_ivar = True
nitpicky = True
# What other libraries define is not looked up, as that would need a network; names of ours that are not exported are plain text
nitpick_ignore_regex = [("py:.*", r"(?!mi_keras\.(attacks|defenses|metrics|models|data)\.[A-Z]\w+$).*")]
