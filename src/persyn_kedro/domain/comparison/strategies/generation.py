"""Every strategy's responses, with each (teacher, prompt) asked only once for all of them.

All strategies go through the rounds of ``training_set.routed`` side by side: in each round the
union of what they want is asked together, so that a model is loaded once per round, not once per
strategy.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from persyn_kedro.domain.comparison.strategies.rules import Choices, choice_places
from persyn_kedro.domain.prompts.chosen import ChosenPrompts
from persyn_kedro.domain.prompts.select import places_of
from persyn_kedro.domain.training_set.routed import (
    Answered,
    Check,
    Rounds,
    Wanted,
    routed_rounds,
    unsettled_among,
)
from persyn_kedro.foundations.settings.generate import GenerateSettings
from persyn_kedro.foundations.tables import schemas

# wanted -> (responses, calls), tables of schemas.RESPONSES and CALLS
Ask = Callable[[Wanted], tuple[pa.Table, pa.Table]]
Asked = dict[str, list[dict[str, Any]]]  # by strategy, all responses that it asked for


def generate_side_by_side(
    prompts: ChosenPrompts,
    choices: Mapping[str, Choices],
    teachers: list[str],
    settings: GenerateSettings,
    allow_truncated: bool,
    ask: Ask,
    check: Check,
    judge: Check | None = None,
    best: np.ndarray | None = None,
) -> tuple[pa.Table, Asked]:
    """Return the kept responses, and everything that each strategy asked for.

    Args:
        prompts: all that any strategy uses.
        choices: by strategy; strategies may have different prompts.
        judge: how good responses are; None: as ``check`` says.
        best: (n, K) int, as for ``routed_rounds``.

    Returns:
        ``schemas.STRATEGY_RESPONSES``, and by strategy the rows of ``schemas.RESPONSES`` that it
        would have paid for by itself, including rejected ones.
    """
    running: dict[str, Rounds] = {}
    wants: dict[str, Wanted] = {}
    kept: dict[str, pa.Table] = {}
    among = pa.chunked_array([prompts.ids])
    for name, chosen in choices.items():
        own = places_of(pa.array(chosen, pa.string()), among)
        places = choice_places(chosen.values(), teachers)
        running[name] = routed_rounds(
            prompts.at(own),
            places,
            teachers,
            settings,
            allow_truncated,
            None if best is None else best[own],
        )
        _advance(name, running, wants, kept, None)
    asked: Asked = {name: [] for name in choices}
    again = 0
    while wants:
        responses, _ = ask(_union(wants, teachers))
        quality = check(responses)
        judged = judge(responses) if judge and settings.judged else quality
        again += unsettled_among(responses, quality, judged)
        rows = {(r["teacher"], r["prompt_id"], r["sample_index"]): r for r in responses.to_pylist()}
        for name, wanted in list(wants.items()):
            own_rows = [
                rows[teacher, prompt_id, sample]
                for teacher, own in wanted.items()
                for prompt_id, sample in zip(own.ids.to_pylist(), own.samples.tolist(), strict=True)
            ]
            asked[name] += own_rows
            table = pa.Table.from_pylist(own_rows, schemas.RESPONSES)
            _advance(name, running, wants, kept, (table, quality, judged))
    tables = [kept[n].add_column(0, "strategy", pa.repeat(n, len(kept[n]))) for n in choices]
    table = pa.concat_tables([schemas.STRATEGY_RESPONSES.empty_table(), *tables])
    return schemas.with_unsettled(table, again), asked


def _advance(
    name: str,
    running: dict[str, Rounds],
    wants: dict[str, Wanted],
    kept: dict[str, pa.Table],
    answered: Answered | None,
) -> None:
    """Advance one strategy to its next round, or to its end."""
    try:
        wants[name] = next(running[name]) if answered is None else running[name].send(answered)
    except StopIteration as end:
        wants.pop(name, None)
        kept[name] = end.value


def _union(wants: Mapping[str, Wanted], teachers: list[str]) -> Wanted:
    """Return what any strategy wants, each answer once, in the pool's order."""
    union: Wanted = {}
    for teacher in teachers:
        all_wanted = [wanted[teacher] for wanted in wants.values() if teacher in wanted]
        if all_wanted:
            union[teacher] = all_wanted[0].with_others(all_wanted[1:])
    return union
