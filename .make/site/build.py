"""Build the documentation's site: `python .make/site/build.py FOLDER`.

Pages of docs/ are laid out beside those that are written now, with an index from `navigation.yaml`, and
Sphinx makes pages of them. A link or an anchor that leads nowhere, a page outside the navigation and a name
that the reference cannot find end it with a message.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# What a folder holds that was written by this: `lrbench export-site` may have written another one.
OURS = "searchindex.js"
# Pages link to files of this folder too, which the site then holds as they are.
BESIDE = "recipes"
# Pages that lie elsewhere or are no Markdown: their name in the site, and how other pages link to them.
ELSEWHERE = {"real_pair_run": "../experiments/real_pair/README.md", "notebook": "notebook.ipynb"}


def main(folder: Path) -> int:
    """Write the site into `folder`, in place of the one that is there; the exit code is Sphinx's."""
    if folder.exists() and not (folder / OURS).exists():
        print(f"{folder} holds something else than this documentation; move it away first", file=sys.stderr)
        return 2
    from sphinx.cmd.build import build_main

    with tempfile.TemporaryDirectory() as temporary:
        source, made = Path(temporary, "docs"), Path(temporary, "site")
        lay_out(source)
        code = build_main(["-W", "--keep-going", "-q", "-j", "1", "-c", str(HERE), str(source), str(made)])
        if code:
            return code
        for left in (".doctrees", ".buildinfo", "objects.inv"):
            path = made / left
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(made, folder)
    print(f"{folder}/index.html")
    return 0


def lay_out(source: Path) -> None:
    """Everything that Sphinx reads: the pages, what they show and link to, and the index."""
    from written import written

    shutil.copytree(ROOT / "docs", source)
    (source.parent / BESIDE).symlink_to(ROOT / BESIDE)
    for name, file in ELSEWHERE.items():
        if file.endswith(".md"):
            text = (ROOT / "docs" / file).read_text(encoding="utf-8").replace("](../../", "](../")
            (source / f"{name}.md").write_text(text, encoding="utf-8")
    for page in source.glob("*.md"):
        text = page.read_text(encoding="utf-8")
        for name, file in ELSEWHERE.items():
            text = text.replace(f"]({file})", f"]({name}.md)")
        # A link that is called by its file is called by its title here.
        text = re.sub(r"\[[a-z_]+\.md\]\((?=[a-z_]+\.md[)#])", "[](", text)
        page.write_text(text, encoding="utf-8")
    for name, text in written(source).items():
        (source / f"{name}.md").write_text(text, encoding="utf-8")
    (source / "index.md").write_text(index(), encoding="utf-8")


def index() -> str:
    """The first page: what this is, and every page with a line on it, which is the navigation too."""
    parts = [INTRODUCTION]
    for part in yaml.safe_load((HERE / "navigation.yaml").read_text(encoding="utf-8")):
        pages = {name: says for page in part["pages"] for name, says in page.items()}
        listed = [f"- [{says}]({name}.md)" for name, says in pages.items()]
        tree = ["```{toctree}", ":hidden:", f":caption: {part['section']}", "", *pages, "```"]
        parts += [f"## {part['section']}", "\n".join(listed), "\n".join(tree)]
    return "\n\n".join(parts) + "\n"


INTRODUCTION = """# lrbench

**Did this fine-tuning trick really help?** `lrbench` runs declared experiments on one question, *can a weak
model teach a strong one?*, and answers it with measurements that would survive a review: every accuracy with
an interval, every difference with a paired test, controls beside claims, and *inconclusive* where the runs
cannot tell.

Begin with the [tutorial](tutorial.md); it takes ten minutes, two cores and no network."""

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: build.py FOLDER")
    sys.exit(main(Path(sys.argv[1])))
