"""Boards as tables, and tables in the terminal, Markdown, LaTeX and CSV."""
