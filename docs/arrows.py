"""Draw the architecture from its imports: ``python docs/arrows.py`` writes docs/arrows.svg.

A box is a package or module of persyn_kedro or of its domain; all pipelines are one, and so are the
foundations. An arrow means "imports". An arrow that a longer path implies is left out.
"""

from functools import cache
from html import escape
from pathlib import Path

import grimp

PACKAGE = "persyn_kedro"
BANDS = ("Kedro's side", "domain: works without Kedro", "foundations")
# The registry imports a pipeline by name on first access: no import statement shows it.
BY_NAME = {("pipeline_registry", "pipelines")}
Arrow = tuple[str, str]

WIDTH, HEIGHT, GAP, ROW, MARGIN = 132, 30, 14, 84, 24
STYLE = """\
text { font: 13px sans-serif; fill: #1f2933; text-anchor: middle; dominant-baseline: central }
.band { fill: #f3f5f8 } .title { font-size: 12px; fill: #52606d; text-anchor: start }
.room { fill: #fff; stroke: #52606d } .arrow { fill: none; stroke: #3b6ea8; stroke-width: 1.2 }
"""


def room_of(module: str) -> str | None:
    """Return the box of one of the package's modules; None for the packages of boxes."""
    parts = module.split(".")[1:]
    if not parts or parts == ["domain"]:
        return None
    return ".".join(parts[:2]) if parts[0] == "domain" else parts[0]


def read_arrows() -> set[Arrow]:
    """Return (importing, imported) for all boxes, from the package's import statements."""
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    pairs = {
        (room_of(module), room_of(imported))
        for module in graph.modules
        for imported in graph.find_modules_directly_imported_by(module)
    }
    return {(a, b) for a, b in pairs if a and b and a != b} | BY_NAME


def without_implied(arrows: set[Arrow]) -> set[Arrow]:
    """Return the arrows that are not implied by a longer path between the same boxes."""

    @cache
    def reached(room: str) -> frozenset[str]:
        below = {b for a, b in arrows if a == room}
        return frozenset(below.union(*(reached(b) for b in below)))

    return {(a, b) for a, b in arrows if not any(b in reached(c) for d, c in arrows if d == a)}


def band_of(room: str) -> int:
    """Return the index of the box's band in BANDS."""
    return 2 if room == "foundations" else 1 if room.startswith("domain.") else 0


def rows_of(arrows: set[Arrow]) -> list[list[str]]:
    """Return the boxes row by row from the top: every arrow points to a lower row."""
    rooms = sorted({room for arrow in arrows for room in arrow})

    @cache
    def depth(room: str) -> int:
        """Return the longest path below the box within its band."""
        below = [b for a, b in arrows if a == room and band_of(b) == band_of(room)]
        return 1 + max(map(depth, below), default=-1)

    rows: dict[tuple[int, int], list[str]] = {}
    for room in rooms:
        rows.setdefault((band_of(room), -depth(room)), []).append(room)
    ordered = [rows[place] for place in sorted(rows)]
    for _ in range(8):  # each box moves to the middle of those above it, then of those below
        _sort_by_neighbours(ordered, {(b, a) for a, b in arrows})
        _sort_by_neighbours(ordered[::-1], arrows)
    return ordered


def _sort_by_neighbours(rows: list[list[str]], arrows: set[Arrow]) -> None:
    places: dict[str, float] = {}
    for row in rows:
        middles = {}
        for i, room in enumerate(row):
            near = sorted(places[b] for a, b in arrows if a == room and b in places)
            own = (i + 0.5) / len(row)
            middles[room] = sum(near) / len(near) if near else own
        row.sort(key=lambda room: (middles[room], room))
        places |= {room: (i + 0.5) / len(row) for i, room in enumerate(row)}


def draw(arrows: set[Arrow]) -> str:
    """Return the drawing as SVG."""
    arrows = without_implied(arrows)
    rows = rows_of(arrows)
    width = 2 * MARGIN + max(len(row) for row in rows) * (WIDTH + GAP)
    centres = {
        room: (MARGIN + (width - 2 * MARGIN) * (i + 0.5) / len(row), MARGIN + ROW * (n + 0.6))
        for n, row in enumerate(rows)
        for i, room in enumerate(row)
    }
    height = 2 * MARGIN + ROW * len(rows)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        "<title>The packages of persyn_kedro; arrows are imports and point down</title>",
        f"<style>{STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#3b6ea8"/></marker></defs>',
        f'<rect width="{width}" height="{height}" rx="8" fill="#fff"/>',
    ]
    lines += [_band(band, rows, width) for band in range(len(BANDS))]
    lines += [_arrow(centres[a], centres[b]) for a, b in sorted(arrows)]
    lines += [_room(room, *centre) for room, centre in centres.items()]
    return "\n".join([*lines, "</svg>", ""])


def _band(band: int, rows: list[list[str]], width: float) -> str:
    own = [n for n, row in enumerate(rows) if band_of(row[0]) == band]
    top, height = MARGIN + ROW * own[0] + 6, ROW * len(own) - 12
    return (
        f'<rect class="band" x="{MARGIN / 2:g}" y="{top:g}" width="{width - MARGIN:g}" '
        f'height="{height:g}" rx="6"/>'
        f'<text class="title" x="{MARGIN:g}" y="{top + 14:g}">{escape(BANDS[band])}</text>'
    )


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x, y), (u, v) = start, end
    y, v = y + HEIGHT / 2, v - HEIGHT / 2
    bend = min(40, (v - y) / 2)
    return (
        f'<path class="arrow" marker-end="url(#tip)" '
        f'd="M{x:.0f} {y:.0f}C{x:.0f} {y + bend:.0f} {u:.0f} {v - bend:.0f} {u:.0f} {v:.0f}"/>'
    )


def _room(room: str, x: float, y: float) -> str:
    name = escape(room.removeprefix("domain."))
    return (
        f'<rect class="room" x="{x - WIDTH / 2:.0f}" y="{y - HEIGHT / 2:.0f}" width="{WIDTH}" '
        f'height="{HEIGHT}" rx="5"/><text x="{x:.0f}" y="{y:.0f}">{name}</text>'
    )


if __name__ == "__main__":
    Path(__file__).with_name("arrows.svg").write_text(draw(read_arrows()), encoding="utf-8")
