"""Compute the tables of docs/results.md from docs/data again: ``python docs/results.py``.

No model is needed. ``docs/data/NAME`` is what the pipeline ``compare`` made as ``comparison_data``
(``data/08_reporting/comparison_data/<version>/comparison_data``, copied; its files are described in
``persyn_kedro.domain.comparison.published``). In the page, what stands between

    <!-- docs/data/NAME: students -->
    <!-- end -->

is replaced by that table: ``students``, ``students on KIND, KIND`` (the same on some kinds of test
prompts alone), ``kinds`` (their scores and truncated answers by the prompts' source), ``sided``
(syllogisms by their right answer), ``sets`` (what they were trained on, and how long they answer),
``taught`` (the quality and length of their training answers), ``merits`` (the rewards of what each
strategy chose, as far as `benchmarks/data/zoo_calibration.parquet` has these answers), ``costs``,
``routers``, ``curve`` (regret by the number of prompts that a router is fitted on), ``prospects``
(what a router could gain at most: ``domain.router_comparison.prospects``), ``kept by NAME`` (how
much of PerSyn's gain over Random is left to the PerSyn of another comparison), ``against NAME``
(what each strategy's students gain over those of another comparison), ``verdicts`` or ``notes``.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from persyn_kedro.domain.comparison import TABLES, recompute, recompute_strategies
from persyn_kedro.domain.designs import asked_of
from persyn_kedro.domain.reporting import comparison_figures as figures
from persyn_kedro.domain.reporting.formatting import number, percent, with_interval
from persyn_kedro.domain.rewards import reward_matrix
from persyn_kedro.domain.router_comparison import routing_prospects
from results_tables import against, kept, markdown, merits, sets, sided, taught

HERE = Path(__file__).parent
BLOCK = re.compile(r"(<!-- docs/data/([\w.-]+): ([^\n]+?) -->\n).*?(<!-- end -->)", re.DOTALL)
ON = "students on "
OF_TWO = {"kept by ": kept, "against ": against}


def tables_of(directory: Path, wanted: Iterable[str]) -> dict[str, str]:
    """Return the tables of a published comparison by name, as Markdown.

    Args:
        wanted: the names of those with an argument.
    """
    tables = {name: pq.read_table(directory / f"{name}.parquet") for name in TABLES}
    about = json.loads((directory / "about.json").read_text(encoding="utf-8"))
    comparison, routers = recompute(tables, about)
    return {
        "students": markdown(figures.STRATEGY_COLUMNS, figures.strategy_rows(comparison)),
        **{
            name: _students_on(name.removeprefix(ON), tables, about, routers)
            for name in wanted
            if name.startswith(ON)
        },
        **{
            name: table(tables["trials"], directory.parent / name.removeprefix(begin), about)
            for begin, table in OF_TWO.items()
            for name in wanted
            if name.startswith(begin)
        },
        "kinds": markdown(figures.kind_columns(comparison), figures.kind_rows(comparison)),
        "sided": sided(tables),
        "sets": sets(tables),
        "taught": taught(comparison, tables),
        "merits": merits(tables),
        "costs": markdown(figures.COST_COLUMNS, figures.cost_rows(comparison)),
        "routers": markdown(figures.router_columns(routers), figures.router_rows(routers)),
        "curve": _curve(routers["curve"]),
        "prospects": _prospects(tables["answers"], about),
        "verdicts": "".join(f"- {sentence}\n" for sentence in comparison["verdicts"]),
        "notes": "".join(f"- {note}\n" for note in [comparison["equal"], *comparison["notes"]]),
    }


def page(text: str, data: Path) -> str:
    """Return a page with its tables computed again."""
    known: dict[str, Mapping[str, str]] = {}
    wanted = defaultdict(list)
    for match in BLOCK.finditer(text):
        wanted[match[2]].append(match[3])

    def block(match: re.Match[str]) -> str:
        begin, name, table, end = match.groups()
        if name not in known:
            known[name] = tables_of(data / name, wanted[name])
        return f"{begin}\n{known[name][table]}\n{end}"

    return BLOCK.sub(block, text)


def _students_on(
    kinds: str, tables: Mapping[str, pa.Table], about: Mapping[str, Any], routers: dict[str, Any]
) -> str:
    """Return the table of students on the test prompts of these kinds, by commas."""
    prompts, trials = tables["prompts"], tables["trials"]
    names = [name.strip() for name in kinds.split(",")]
    if unknown := {*names} - {*prompts["source"].to_pylist()}:
        raise SystemExit(f"No prompts of {min(unknown)!r} are published there.")
    own = prompts.filter(pc.is_in(prompts["source"], pa.array(names)))["prompt_id"]
    some = {**tables, "trials": trials.filter(pc.is_in(trials["prompt_id"], own))}
    found = recompute_strategies(some, about, routers)
    return markdown(figures.STRATEGY_COLUMNS, figures.strategy_rows(found))


def _curve(curve: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of regrets, less the constant's, by router and number of prompts."""
    sizes = sorted({row["fitted_on"] for row in curve})
    rows = []
    for kind in dict.fromkeys(row["kind"] for row in curve):
        own = {row["fitted_on"]: row["regret_to_constant"] for row in curve if row["kind"] == kind}
        found = [own[size] for size in sizes]
        cells = [with_interval(each["value"], each["interval"], _signed) for each in found]
        rows.append([kind.replace("_", " "), *cells])
    return markdown(["router", *(f"fitted on {size:.0f}" for size in sizes)], rows)


def _signed(value: float) -> str:
    return f"{value:+.3f}"


def _prospects(answers: pa.Table, about: Mapping[str, Any]) -> str:
    """Return the table of what a router could gain at most; none of an incomplete design."""
    if asked_of(answers.schema) is not None:
        return "Not every teacher was asked every prompt, so the best one is not known.\n"
    teachers, bootstrap = about["teachers"], about["compare_routers"]
    prompt_ids, rewards = reward_matrix(answers, teachers)
    places = {prompt_id: place for place, prompt_id in enumerate(prompt_ids)}
    tokens = np.zeros(rewards.shape)
    for row in answers.to_pylist():
        if row["teacher"] in teachers:
            place = places[row["prompt_id"]], teachers.index(row["teacher"])
            tokens[place] = row["completion_tokens"]
    found = routing_prospects(
        rewards, tokens, teachers, bootstrap["resamples"], bootstrap["confidence"], about["seed"]
    )
    if found is None:
        return "No calibration prompt has two valid teachers.\n"
    head = ["prompts", "best constant", "room above it", "best elsewhere", "spread", "frontier"]
    row = [
        str(found["n"]),
        found["constant"],
        with_interval(found["room"]["value"], found["room"]["interval"], number),
        percent(found["elsewhere"]),
        number(found["spread"]),
        f"{len(found['frontier'])} of {len(teachers)}: {', '.join(found['frontier'])}",
    ]
    return markdown(head, [row])


def main() -> None:
    """Write the page."""
    path = HERE / "results.md"
    path.write_text(page(path.read_text(encoding="utf-8"), HERE / "data"), encoding="utf-8")


if __name__ == "__main__":
    main()
