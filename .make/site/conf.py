"""How Sphinx makes the site: pages are CommonMark as code hosts show it, anchors are called as there.

`build.py` lays the sources out and runs it. Nothing here names another host: fonts are those of the reader's
machine, and the search reads an index that lies beside the pages.
"""

from __future__ import annotations

from lrbench import __version__

project = "lrbench"
version = release = __version__
html_title = "lrbench"
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]

# As deep as any heading is linked to.
myst_heading_anchors = 4
# Pictures that a page shows for dark and light, or in a size, are written in HTML.
myst_enable_extensions = ["html_image"]
# Options begin with two hyphens, which would become a dash.
smartquotes = False

# Docstrings write names in single backticks.
default_role = "literal"
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_class_signature = "separated"
autodoc_preserve_defaults = True
# Imported by what is described, and needed by no description.
autodoc_mock_imports = [
    "numpy", "psutil", "pyarrow", "word2number", "torch", "transformers", "scipy", "filelock",
]  # fmt: skip

html_theme = "furo"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_show_sphinx = False
# Texts of pages beside what a search finds are fetched from a server; titles are in the index.
html_show_search_summary = False
# What was typed, without the prompt and without what was printed.
copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True
copybutton_remove_prompts = True
# Blocks without a word are of shells and of what they print.
highlight_language = "text"
pygments_style = "friendly"
pygments_dark_style = "monokai"
