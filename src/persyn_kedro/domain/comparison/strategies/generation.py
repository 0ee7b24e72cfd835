"""Every strategy's responses, with each (teacher, prompt) asked only once for all of them.

All strategies go through the rounds of ``training_set.routed`` side by side: in each round the
union of what they want is asked together, so that a model is loaded once per round, not once per
strategy.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.comparison.strategies.rules import Choices, choice_places
from persyn_kedro.domain.prompts.chosen import ChosenPrompts
from persyn_kedro.domain.prompts.select import places_of
from persyn_kedro.domain.training_set.routed import Check, Rounds, Wanted, routed_rounds
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.settings.steps import GenerateSettings
from persyn_kedro.foundations.tables import schemas

Union = dict[str, list[tuple[str, Prompt]]]  # {teacher: [(prompt_id, prompt)]}
# union -> (responses, calls), tables of schemas.RESPONSES and CALLS
Ask = Callable[[Union], tuple[pa.Table, pa.Table]]
Asked = dict[str, list[dict[str, Any]]]  # by strategy, all responses that it asked for


def generate_side_by_side(
    prompts: ChosenPrompts,
    choices: Mapping[str, Choices],
    teachers: list[str],
    settings: GenerateSettings,
    allow_truncated: bool,
    ask: Ask,
    check: Check,
) -> tuple[pa.Table, Asked]:
    """Return the kept responses, and everything that each strategy asked for.

    Args:
        prompts: all that any strategy uses.
        choices: by strategy; strategies may have different prompts.

    Returns:
        ``schemas.STRATEGY_RESPONSES``, and by strategy the rows of ``schemas.RESPONSES`` that it
        would have paid for by itself, including rejected ones.
    """
    running: dict[str, Rounds] = {}
    wants: dict[str, Wanted] = {}
    kept: dict[str, pa.Table] = {}
    among = pa.chunked_array([prompts.ids])
    for name, chosen in choices.items():
        own = prompts.at(places_of(pa.array(chosen, pa.string()), among))
        places = choice_places(chosen.values(), teachers)
        running[name] = routed_rounds(own, places, teachers, settings, allow_truncated)
        _advance(name, running, wants, kept, None)
    asked: Asked = {name: [] for name in choices}
    again = 0
    while wants:
        responses, _ = ask(_union(wants, teachers))
        quality = check(responses)
        again += schemas.unsettled_rows(responses.schema)
        rows = {(r["teacher"], r["prompt_id"]): r for r in responses.to_pylist()}
        for name, wanted in list(wants.items()):
            own_rows = [rows[teacher, p] for teacher, pairs in wanted.items() for p, _ in pairs]
            asked[name] += own_rows
            table = pa.Table.from_pylist(own_rows, schemas.RESPONSES)
            _advance(name, running, wants, kept, (table, quality))
    tables = [kept[n].add_column(0, "strategy", pa.repeat(n, len(kept[n]))) for n in choices]
    table = pa.concat_tables([schemas.STRATEGY_RESPONSES.empty_table(), *tables])
    return schemas.with_unsettled(table, again), asked


def _advance(
    name: str,
    running: dict[str, Rounds],
    wants: dict[str, Wanted],
    kept: dict[str, pa.Table],
    answered: tuple[pa.Table, pa.Table] | None,
) -> None:
    """Advance one strategy to its next round, or to its end."""
    try:
        wants[name] = next(running[name]) if answered is None else running[name].send(answered)
    except StopIteration as end:
        wants.pop(name, None)
        kept[name] = end.value


def _union(wants: Mapping[str, Wanted], teachers: list[str]) -> Union:
    """Return what any strategy wants, each pair once, in the pool's order."""
    union: dict[str, dict[str, Prompt]] = defaultdict(dict)
    for wanted in wants.values():
        for teacher, pairs in wanted.items():
            union[teacher].update(pairs)
    return {t: list(union[t].items()) for t in teachers if union[t]}
