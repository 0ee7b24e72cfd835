"""Quality as the weighted mean of several terms (METHOD.md, section 1, "Several terms")."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from persyn_kedro.domain.quality.judge.note import judged_of, with_judged
from persyn_kedro.domain.rewards.samples import usable
from persyn_kedro.domain.rewards.scales import normalise
from persyn_kedro.foundations.models.rendering import visible_text
from persyn_kedro.foundations.settings.label import VERDICTS, LabelSettings, QualityTerm
from persyn_kedro.foundations.settings.models import Think
from persyn_kedro.foundations.tables import schemas

VERSION = 2  # raise it when the same inputs give another result

_logger = logging.getLogger(__name__)


def combine_terms(
    responses: pa.Table, terms: pa.Table, thinks: Mapping[str, Think], settings: LabelSettings
) -> pa.Table:
    """Return the responses' quality, from 0 to 1, as ``schemas.QUALITY``.

    Each term is normalised over a prompt's answers as ``settings.normalise`` says. A term that is
    unknown for all of them is left out there, and the weights of the others count; if it is unknown
    for one answer alone, that answer's quality is unknown. So is that of answers that cannot be
    used (cut off, or nothing but thinking), and, with ``unsolved: leave_out``, of prompts whose
    answers are all wrong.

    Args:
        responses: ``schemas.RESPONSES``.
        terms: ``schemas.QUALITY_TERMS``.
        thinks: each teacher's ``think`` setting.
    """
    rows = [row for row in responses.to_pylist() if row["finish_reason"] != "error"]
    lines, columns = _index(r["prompt_id"] for r in rows), _index(map(_column, rows))
    places = [(lines[row["prompt_id"]], columns[_column(row)]) for row in rows]
    fit = np.zeros((len(lines), len(columns)), dtype=bool)
    for place, row in zip(places, rows, strict=True):
        visible = visible_text(row["response"] or "", thinks[row["teacher"]])
        fit[place] = usable({**row, "response": visible}, None, settings)
    values = _values(terms, places, rows, fit.shape, settings.terms)
    known = np.isfinite(values) & fit
    counts = known.any(axis=2)  # (terms, prompts): which terms count where
    for term, some in zip(settings.terms, counts, strict=True):
        if len(some) and not some.any():
            _logger.warning("The term %s of label.quality is unknown for all prompts", term.called)
    valid = fit & (known | ~counts[..., None]).all(axis=0) & counts.any(axis=0)[:, None]
    if settings.unsolved == "leave_out":
        valid &= ~_unsolved(values, valid, settings.terms)[:, None]
    scaled = np.stack([normalise(each, valid, settings.normalise) for each in values])
    weights = np.array([term.weight for term in settings.terms])[:, None, None] * counts[..., None]
    total = np.where(valid, weights.sum(axis=0), 1.0)
    mean = np.where(weights > 0, weights * scaled, 0.0).sum(axis=0) / total
    quality = np.where(valid, mean, np.nan)
    found = [
        {
            **{n: row[n] for n in ("prompt_id", "teacher", "response_key", "sample_index")},
            "quality": None if np.isnan(quality[place]) else float(quality[place]),
        }
        for place, row in zip(places, rows, strict=True)
    ]
    return with_judged(pa.Table.from_pylist(found, schemas.QUALITY), judged_of(terms.schema))


def _values(
    terms: pa.Table,
    places: Sequence[tuple[int, int]],
    rows: Sequence[dict],
    shape: tuple[int, int],
    settings: Sequence[QualityTerm],
) -> np.ndarray:
    """Return (terms, prompts, answers) float64, NaN where unknown."""
    of_term = {(r["term"], r["response_key"]): r["quality"] for r in terms.to_pylist()}
    values = np.full((len(settings), *shape), np.nan)
    for number, term in enumerate(settings):
        for place, row in zip(places, rows, strict=True):
            found = of_term.get((term.called, row["response_key"]))
            values[(number, *place)] = np.nan if found is None else found
    return values


def _unsolved(values: np.ndarray, valid: np.ndarray, settings: Sequence[QualityTerm]) -> np.ndarray:
    """Return (prompts,) bool: some term tells right from wrong, and finds every answer wrong."""
    verdicts = values[[term.kind in VERDICTS for term in settings]]
    verdicts = np.where(valid & np.isfinite(verdicts), verdicts, np.nan)
    told = np.isfinite(verdicts).any(axis=(0, 2))
    return told & ~(np.nan_to_num(verdicts) != 0).any(axis=(0, 2))


def _column(row: dict) -> tuple[str, int]:
    return row["teacher"], row["sample_index"]


def _index(names: object) -> dict:
    return {name: place for place, name in enumerate(dict.fromkeys(names))}  # type: ignore[call-overload]
