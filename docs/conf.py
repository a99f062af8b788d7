"""The site: Sphinx, with the pages in MyST Markdown."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "twelvefactor"
author = "The twelvefactor developers"
copyright = author
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click", "generated"]
exclude_patterns = ["_build", "_ext"]
html_theme = "furo"
html_title = "twelvefactor"
html_show_sphinx = False
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # `explain` prints rule pages alone, so their headings begin where they like
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
nitpick_ignore_regex = [("py:.*", ".*")]  # types in signatures may be private or another project's; -n is for our links
