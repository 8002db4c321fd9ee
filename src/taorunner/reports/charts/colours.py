"""The colours of runs and classes: six hues, then the same six with dashed lines.

Any two of the six can be told apart with each of the three kinds of colour blindness and stand out from the
background, on light and on dark paper (``tests/reports/charts/test_colours.py`` computes both).
"""

from __future__ import annotations

LIGHT = ("#14347d", "#7a2d00", "#00795a", "#e0569f", "#a68a2e", "#7434bd")
DARK = ("#8eb1f0", "#e57238", "#99fbe1", "#b0688e", "#fcbf31", "#7867e9")
MOST = 2 * len(LIGHT)
"""So many have a colour; the others are grey."""


def style_of(place: int) -> str:
    """The classes of the one at ``place``."""
    if place >= MOST:
        return "rest"
    return f"c{place % len(LIGHT)}" + (" dashed" if place >= len(LIGHT) else "")


def colour_css() -> str:
    """The rules of the classes that ``style_of`` gives."""
    light, dark = (
        "".join(f"--c{number}:{colour};" for number, colour in enumerate(colours)) + f"--rest:{rest};"
        for colours, rest in ((LIGHT, "#b4bbc5"), (DARK, "#59616d"))
    )
    each = "".join(
        f".c{number}{{stroke:var(--c{number});color:var(--c{number})}}" for number in range(len(LIGHT))
    )
    return (
        f":root{{{light}}}\n@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n@media print{{:root{{{light}}}}}\n"
        f"{each}.rest{{stroke:var(--rest);color:var(--rest)}}\n"
    )
