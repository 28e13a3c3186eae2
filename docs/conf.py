"""How Sphinx makes a site of this folder: `pip install -e '.[docs]' && sphinx-build -W docs build/site`."""

project = "Peripatos"
author = "the Peripatos developers"
copyright = author
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "Peripatos"
autodoc_typehints = "description"
autodoc_member_order = "bysource"
exclude_patterns = ["build"]
