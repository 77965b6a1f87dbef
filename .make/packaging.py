"""What setuptools does not do by itself: recipes and studies, at the top of a checkout, go into the package.

`pyproject.toml` names the class. An editable installation has no copies: `lrbench.shipped.places` finds the
folders of the checkout there.
"""

from __future__ import annotations

from pathlib import Path

from setuptools.command.build_py import build_py

PACKAGE = Path("lrbench", "shipped")
PATTERNS = ("recipes/**/*.yaml", "recipes/*.json", "experiments/*.yaml")


def shipped() -> list[Path]:
    """The files, from the checkout's folder, where setuptools runs."""
    return sorted(file for pattern in PATTERNS for file in Path().glob(pattern))


class BuildWithShipped(build_py):
    """Copies them beside `lrbench/shipped/places.py`; sources of a distribution hold them where they are."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for file in shipped():
            copy = Path(self.build_lib) / PACKAGE / file
            self.mkpath(str(copy.parent))
            self.copy_file(str(file), str(copy))

    def get_source_files(self) -> list[str]:
        return [*super().get_source_files(), ".make/packaging.py", *map(str, shipped())]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        copies = [str(Path(self.build_lib) / PACKAGE / file) for file in shipped()]
        return [*super().get_outputs(include_bytecode), *([] if self.editable_mode else copies)]
