"""The strategies' training sets: the same prompts, and so the same number, for each."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.strategies.allocation import ON_CALIBRATION
from persyn_kedro.domain.training_set.merge import trainable_text
from persyn_kedro.foundations import schemas
from persyn_kedro.foundations.parameters import Think


def strategy_examples(
    responses: pa.Table,
    prompts: Mapping[str, str],
    thinks: Mapping[str, Think],
    allow_truncated: bool,
    unsolved: frozenset[str],
    common: bool,
) -> pa.Table:
    """Return ``schemas.STRATEGY_EXAMPLES``, strategy by strategy in the order of ``prompts``.

    Left out are errors, empty responses, truncated ones unless allowed, and ``unsolved`` prompts.
    With ``common`` a prompt is also left out of all strategies that are compared with one another
    if it is left out of one of them.

    Args:
        responses: rows of ``schemas.STRATEGY_RESPONSES``.
        prompts: text by prompt_id.
        thinks: each teacher's ``think`` setting.
    """
    order = {prompt_id: place for place, prompt_id in enumerate(prompts)}
    sets: dict[str, dict[str, dict[str, Any]]] = {}
    for row in responses.to_pylist():
        own = sets.setdefault(row["strategy"], {})
        text = trainable_text(row, thinks[row["teacher"]], allow_truncated)
        if text is not None and row["prompt_id"] not in unsolved:
            example = {"prompt": prompts[row["prompt_id"]], "response": text}
            own[row["prompt_id"]] = {
                **{name: row[name] for name in ("strategy", "prompt_id", "teacher")},
                "response_key": row["response_key"],
                **example,
            }
    kept = {name: _shared(name, sets) if common else set(own) for name, own in sets.items()}
    rows = [
        sets[name][prompt_id]
        for name in sets
        for prompt_id in sorted(kept[name], key=order.__getitem__)
    ]
    return pa.Table.from_pylist(rows, schemas.STRATEGY_EXAMPLES)


def _shared(strategy: str, sets: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Return the prompts that all strategies of this one's kind may be trained on."""
    kind = strategy in ON_CALIBRATION
    return set.intersection(
        *(set(s) for name, s in sets.items() if (name in ON_CALIBRATION) == kind)
    )
