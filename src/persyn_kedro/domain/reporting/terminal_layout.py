"""Paragraphs and tables of the terminal."""

import textwrap

WIDTH = 100


def prose(text: str) -> str:
    """Return a paragraph, wrapped."""
    return textwrap.fill(text, WIDTH, break_on_hyphens=False)  # words may be commands


def table(columns: list[str], rows: list[list[str]]) -> str:
    """Return cells in columns, the first one to the left and all others to the right."""
    widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [columns, *rows]
    ]
    return "\n".join([lines[0], "-" * (sum(widths) + 2 * len(widths) - 2), *lines[1:]])


def indented(text: str) -> str:
    """Return the text's lines, wrapped and indented by two."""
    lines = [
        textwrap.fill(line, WIDTH, initial_indent="  ", subsequent_indent="  ")
        for line in text.strip().splitlines()
    ]
    return "\n".join(lines)
