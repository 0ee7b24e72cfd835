"""The terms of quality, a line each, for the terminal and the page."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.reporting.formatting import number, percent
from persyn_kedro.foundations.settings.label import QualityTerm

VERSION = 1  # raise it when the same inputs give another result

MEANING = {
    "known": "the share of the calibration answers that the term could judge",
    "a teacher": "the term's mean over its answers, in the term's own unit",
}


def terms_summary(
    table: pa.Table, terms: Sequence[QualityTerm], teachers: Sequence[str]
) -> list[dict[str, Any]]:
    """Return each term's weight, share of known answers, and mean by teacher.

    Args:
        table: ``schemas.QUALITY_TERMS``.
    """
    found = []
    for term in terms:
        own = table.filter(pc.equal(table["term"], term.called))
        means = {
            name: pc.mean(own.filter(pc.equal(own["teacher"], name))["quality"]).as_py()
            for name in teachers
        }
        known = 1 - own["quality"].null_count / max(1, len(own))
        found.append({"term": term.called, "weight": term.weight, "known": known, "means": means})
    return found


def term_columns(terms: Sequence[dict[str, Any]]) -> list[str]:
    """Return the column headings of ``term_rows``."""
    return ["term of quality", "weight", "known", *terms[0]["means"]]


def term_rows(terms: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Return the cells of each term's line."""
    return [
        [t["term"], f"{t['weight']:g}", percent(t["known"]), *map(number, t["means"].values())]
        for t in terms
    ]
