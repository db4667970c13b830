"""The paragraph that readers hand to the parser; hides nothing, it is the seam of the two."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """One paragraph, heading or table row of a document, free of line breaks.

    ``kind`` is ``"heading"``, ``"paragraph"`` or ``"table"``; ``level`` is the heading level
    (1 is outermost) and 0 for everything else.
    """

    text: str
    kind: str = "paragraph"
    level: int = 0
