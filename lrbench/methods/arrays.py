"""numpy for modules that declare components: every command declares them, and few compute with them.

It is loaded when something is first computed, which is an eighth of what `lrbench check` takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
else:

    class _Later:
        def __getattr__(self, name: str) -> Any:
            import numpy

            return getattr(numpy, name)

    np = _Later()

__all__ = ["np"]
