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
much of PerSyn's gain over Random is left to the PerSyn of another comparison), ``verdicts`` or
``notes``.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from persyn_kedro.domain.comparison import (
    PERSYN,
    TABLES,
    UNTRAINED,
    quality_matrices,
    recompute,
    recompute_strategies,
)
from persyn_kedro.domain.designs import asked_of
from persyn_kedro.domain.intervals import certainty, common_luck
from persyn_kedro.domain.reporting import comparison_figures as figures
from persyn_kedro.domain.reporting.formatting import number, percent, with_interval
from persyn_kedro.domain.rewards import reward_matrix
from persyn_kedro.domain.router_comparison import routing_prospects

HERE = Path(__file__).parent
ANSWERS = HERE.parent / "benchmarks" / "data" / "zoo_calibration.parquet"
REFERENCES = HERE / "data" / "a_references.parquet"  # of (a)'s prompts, by experiment_files.py
BLOCK = re.compile(r"(<!-- docs/data/([\w.-]+): ([^\n]+?) -->\n).*?(<!-- end -->)", re.DOTALL)
ON = "students on "
KEPT = "kept by "
SHARE = 0.8  # of the gain, that is asked to be kept: X2 of experiment_plan.md
YES_OR_NO = "syllogism"  # the kind of prompts whose answer is Yes or No


def tables_of(directory: Path, wanted: Iterable[str]) -> dict[str, str]:
    """Return the tables of a published comparison by name, as Markdown.

    Args:
        wanted: the names of those with an argument.
    """
    tables = {name: pq.read_table(directory / f"{name}.parquet") for name in TABLES}
    about = json.loads((directory / "about.json").read_text(encoding="utf-8"))
    comparison, routers = recompute(tables, about)
    return {
        "students": _markdown(figures.STRATEGY_COLUMNS, figures.strategy_rows(comparison)),
        **{
            name: _students_on(name.removeprefix(ON), tables, about, routers)
            for name in wanted
            if name.startswith(ON)
        },
        **{
            name: _kept(tables["trials"], directory.parent / name.removeprefix(KEPT), about)
            for name in wanted
            if name.startswith(KEPT)
        },
        "kinds": _markdown(figures.kind_columns(comparison), figures.kind_rows(comparison)),
        "sided": _sided(tables),
        "sets": _sets(tables),
        "taught": _taught(comparison, tables),
        "merits": _merits(tables),
        "costs": _markdown(figures.COST_COLUMNS, figures.cost_rows(comparison)),
        "routers": _markdown(figures.router_columns(routers), figures.router_rows(routers)),
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
    return _markdown(figures.STRATEGY_COLUMNS, figures.strategy_rows(found))


def _kept(trials: pa.Table, other: Path, about: Mapping[str, Any]) -> str:
    """Return the table of the gains over Random, of PerSyn here and in ``other``.

    The seeds' luck is that of all students here and the other PerSyn's, so that of a difference.
    """
    theirs = pq.read_table(other / "trials.parquet").cast(trials.schema)
    theirs = theirs.filter(pc.equal(theirs["strategy"], PERSYN))
    own = trials.filter(pc.equal(trials["strategy"], PERSYN))
    if _asked(own) != _asked(theirs):
        raise SystemExit(f"PerSyn has other seeds or test prompts in {other.name}.")
    place = theirs.schema.get_field_index("strategy")
    renamed = theirs.set_column(place, "strategy", pa.array([other.name] * len(theirs)))
    scores, _, _, _ = quality_matrices(pa.concat_tables([trials, renamed.cast(trials.schema)]))
    known = common_luck([own for name, own in scores.items() if name != UNTRAINED])
    sums = {
        f"{PERSYN} − random": {PERSYN: 1.0, "random": -1.0},
        f"{other.name} − random": {other.name: 1.0, "random": -1.0},
        f"{other.name} − {PERSYN}": {other.name: 1.0, PERSYN: -1.0},
        f"{other.name} − {SHARE} {PERSYN} − {1 - SHARE:.2g} random": {
            other.name: 1.0,
            PERSYN: -SHARE,
            "random": SHARE - 1,
        },
    }
    rows = []
    for label, weights in sums.items():
        values = np.sum([weight * scores[name] for name, weight in weights.items()], axis=0)
        # A luck is that of a difference: of weights 1 and -1, whose squares add up to 2.
        scale = sum(weight**2 for weight in weights.values()) / 2
        luck = replace(known, mean_square=known.mean_square * scale) if known else None
        found = certainty(values, about["compare"]["confidence"], luck)
        interval = [found.low, found.high] if found else None
        rows.append([label, with_interval(float(values.mean()), interval, _points)])
    return _markdown(["difference", "points, and other seeds"], rows)


def _asked(trials: pa.Table) -> set[tuple[int, str]]:
    return {*zip(trials["seed"].to_pylist(), trials["prompt_id"].to_pylist(), strict=True)}


def _sided(tables: Mapping[str, pa.Table]) -> str:
    """Return the table of how many syllogisms each seed's student is right on, by right answer."""
    prompts = tables["prompts"].to_pandas()
    trials = tables["trials"].to_pandas().merge(prompts[prompts.source == YES_OR_NO])
    trials = trials.merge(pq.read_table(REFERENCES).to_pandas(), on="prompt_id")
    if trials.empty:
        return "Their right answers are not known.\n"
    asked = trials.drop_duplicates("prompt_id").reference.value_counts()
    rows = []
    for name, own in trials.groupby("strategy", sort=False):
        right = own.groupby(["reference", "seed"], dropna=False).quality.sum().unstack("seed")
        rows.append(
            [str(name), *(", ".join(f"{n:.0f}" for n in right.loc[a]) for a in asked.index)]
        )
    heads = [
        f"right of {count} whose answer is {answer}, by seed" for answer, count in asked.items()
    ]
    return _markdown(["strategy", *heads], rows)


def _sets(tables: Mapping[str, pa.Table]) -> str:
    """Return the table of the training sets' teachers and lengths, and of the students' answers."""
    choices = tables["choices"].to_pandas()[["strategy", "prompt_id", "completion_tokens"]]
    sets = tables["examples"].to_pandas().merge(choices, on=["strategy", "prompt_id"])
    trials = tables["trials"].to_pandas()
    rows = []
    for name, own in sets.groupby("strategy", sort=False):
        answers = trials[trials.strategy == name]
        shares = own.teacher.value_counts(normalize=True).to_numpy()
        rows.append(
            [
                str(name),
                str(len(shares)),
                f"{-(shares * np.log2(shares)).sum() + 0.0:.2f}",
                f"{own.completion_tokens.mean():.0f}",
                f"{answers.completion_tokens.mean():.0f}",
                percent((answers.finish_reason == "length").mean()),
            ]
        )
    head = ["strategy", "teachers", "entropy of their shares, bits", "tokens of a training answer"]
    return _markdown([*head, "tokens of a student's answer", "of these truncated"], rows)


def _taught(comparison: Mapping[str, Any], tables: Mapping[str, pa.Table]) -> str:
    """Return the table of the training answers' quality and mean length, by the prompts' source."""
    rows = figures.taught_rows(comparison)
    if len(rows) < 2:
        return "The quality of these answers is not known.\n"
    choices = tables["choices"].to_pandas()[["strategy", "prompt_id", "completion_tokens"]]
    sets = tables["examples"].to_pandas().merge(choices, on=["strategy", "prompt_id"])
    sets = sets.merge(tables["prompts"].to_pandas(), on="prompt_id")
    names, everything = figures.taught_columns(comparison), sets.assign(source=rows[0][0])
    both = pd.concat([everything, sets]).groupby(["strategy", "source"]).completion_tokens.mean()
    lines = []
    for kind, *shares in rows:
        lengths = [both.get((name, kind), np.nan) for name in names[1:]]
        cells = (f"{q} ({tokens:.0f})" for q, tokens in zip(shares, lengths, strict=True))
        lines.append([kind, *cells])
    return _markdown(names, lines)


def _merits(tables: Mapping[str, pa.Table]) -> str:
    """Return the table of mean rewards of each strategy's choices for the routed prompts.

    The router was not fitted on these. An unusable answer has the reward 0.
    """
    known = pq.read_table(ANSWERS, columns=["prompt_id", "teacher", "reward", "valid"]).to_pandas()
    known["reward"] = known.reward.where(known.valid, 0.0).fillna(0.0)
    calibration = tables["answers"]["prompt_id"].to_pylist()
    choices = tables["choices"].to_pandas()[["strategy", "prompt_id", "teacher"]]
    choices = choices[~choices.prompt_id.isin(calibration)].merge(
        known, on=["prompt_id", "teacher"]
    )
    examples = tables["examples"].to_pandas()
    trained = [name for name in examples.strategy.unique() if name in set(choices.strategy)]
    if not trained:
        return "The rewards of these prompts' answers are not known.\n"
    common = set.intersection(*(set(examples[examples.strategy == n].prompt_id) for n in trained))
    rows = []
    for name in trained:
        own = choices[choices.strategy == name]
        inside = own.prompt_id.isin(common)
        parts = (own, own[inside], own[~inside])
        rows.append([name, percent(own.valid.mean()), *(number(o.reward.mean()) for o in parts)])
        counts = [len(part) for part in parts]
    head = [f"all {counts[0]}", f"the {counts[1]} with an example", f"the {counts[2]} without"]
    return _markdown(["strategy", "usable", *(f"reward of {each}" for each in head)], rows)


def _curve(curve: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of regrets, less the constant's, by router and number of prompts."""
    sizes = sorted({row["fitted_on"] for row in curve})
    rows = []
    for kind in dict.fromkeys(row["kind"] for row in curve):
        own = {row["fitted_on"]: row["regret_to_constant"] for row in curve if row["kind"] == kind}
        found = [own[size] for size in sizes]
        cells = [with_interval(each["value"], each["interval"], _signed) for each in found]
        rows.append([kind.replace("_", " "), *cells])
    return _markdown(["router", *(f"fitted on {size:.0f}" for size in sizes)], rows)


def _signed(value: float) -> str:
    return f"{value:+.3f}"


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"


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
    return _markdown(head, [row])


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """Write the page."""
    path = HERE / "results.md"
    path.write_text(page(path.read_text(encoding="utf-8"), HERE / "data"), encoding="utf-8")


if __name__ == "__main__":
    main()
