"""Tables of docs/results.md that the comparison's own page does not have, as Markdown."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from persyn_kedro.domain.comparison import PERSYN, UNTRAINED, quality_matrices
from persyn_kedro.domain.intervals import certainty, common_luck
from persyn_kedro.domain.reporting import comparison_figures as figures
from persyn_kedro.domain.reporting.formatting import number, percent, with_interval

HERE = Path(__file__).parent
ANSWERS = HERE.parent / "benchmarks" / "data" / "zoo_calibration.parquet"
REFERENCES = HERE / "data" / "a_references.parquet"  # of (a)'s prompts, by experiment_files.py
SHARE = 0.8  # of the gain, that is asked to be kept: X2 of experiment_plan.md
YES_OR_NO = "syllogism"  # the kind of prompts whose answer is Yes or No


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of these cells."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def kept(trials: pa.Table, other: Path, about: Mapping[str, Any]) -> str:
    """Return the table of the gains over Random, of PerSyn here and in ``other``."""
    theirs = other.name
    sums = {
        f"{PERSYN} − random": {PERSYN: 1.0, "random": -1.0},
        f"{theirs} − random": {theirs: 1.0, "random": -1.0},
        f"{theirs} − {PERSYN}": {theirs: 1.0, PERSYN: -1.0},
        f"{theirs} − {SHARE} {PERSYN} − {1 - SHARE:.2g} random": {
            theirs: 1.0,
            PERSYN: -SHARE,
            "random": SHARE - 1,
        },
    }
    scores = _scores_of_both(trials, other, [PERSYN], lambda _: theirs)
    return _sums(sums, scores, about)


def against(trials: pa.Table, other: Path, about: Mapping[str, Any]) -> str:
    """Return the table of what each strategy's students gain over its students in ``other``."""
    theirs = _trained(pq.read_table(other / "trials.parquet", columns=["strategy"]))
    trained = [name for name in _trained(trials) if name in theirs]
    sums = {name: {name: 1.0, f"{other.name}: {name}": -1.0} for name in trained}
    scores = _scores_of_both(trials, other, trained, lambda name: f"{other.name}: {name}")
    return _sums(sums, scores, about)


def _trained(trials: pa.Table) -> list[str]:
    return [name for name in pc.unique(trials["strategy"]).to_pylist() if name != UNTRAINED]


def _scores_of_both(
    trials: pa.Table, other: Path, strategies: Sequence[str], rename: Callable[[str], str]
) -> dict[str, np.ndarray]:
    """Return the students' scores here, and those of ``strategies`` in ``other`` by new names."""
    theirs = pq.read_table(other / "trials.parquet").cast(trials.schema)
    renamed = []
    for name in strategies:
        own, same = (t.filter(pc.equal(t["strategy"], name)) for t in (trials, theirs))
        if _asked(own) != _asked(same):
            raise SystemExit(f"{name} has other seeds or test prompts in {other.name}.")
        place = same.schema.get_field_index("strategy")
        names = pa.array([rename(name)] * len(same))
        renamed.append(same.set_column(place, "strategy", names).cast(trials.schema))
    scores, _, _, _ = quality_matrices(pa.concat_tables([trials, *renamed]))
    return scores


def _sums(
    sums: Mapping[str, Mapping[str, float]],
    scores: Mapping[str, np.ndarray],
    about: Mapping[str, Any],
) -> str:
    """Return the table of weighted sums of scores, in points.

    The seeds' luck is that of all students, so that of a difference.
    """
    known = common_luck([own for name, own in scores.items() if name != UNTRAINED])
    rows = []
    for label, weights in sums.items():
        values = np.sum([weight * scores[name] for name, weight in weights.items()], axis=0)
        # A luck is that of a difference: of weights 1 and -1, whose squares add up to 2.
        scale = sum(weight**2 for weight in weights.values()) / 2
        luck = replace(known, mean_square=known.mean_square * scale) if known else None
        found = certainty(values, about["compare"]["confidence"], luck)
        interval = [found.low, found.high] if found else None
        rows.append([label, with_interval(float(values.mean()), interval, _points)])
    return markdown(["difference", "points, and other seeds"], rows)


def _asked(trials: pa.Table) -> set[tuple[int, str]]:
    return {*zip(trials["seed"].to_pylist(), trials["prompt_id"].to_pylist(), strict=True)}


def sided(tables: Mapping[str, pa.Table]) -> str:
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
    return markdown(["strategy", *heads], rows)


def sets(tables: Mapping[str, pa.Table]) -> str:
    """Return the table of the training sets' teachers and lengths, and of the students' answers."""
    sets = tables["examples"].to_pandas()
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
    return markdown([*head, "tokens of a student's answer", "of these truncated"], rows)


def taught(comparison: Mapping[str, Any], tables: Mapping[str, pa.Table]) -> str:
    """Return the table of the training answers' quality and mean length, by the prompts' source."""
    rows = figures.taught_rows(comparison)
    if len(rows) < 2:
        return "The quality of these answers is not known.\n"
    sets = tables["examples"].to_pandas().merge(tables["prompts"].to_pandas(), on="prompt_id")
    names, everything = figures.taught_columns(comparison), sets.assign(source=rows[0][0])
    both = pd.concat([everything, sets]).groupby(["strategy", "source"]).completion_tokens.mean()
    lines = []
    for kind, *shares in rows:
        lengths = [both.get((name, kind), np.nan) for name in names[1:]]
        cells = (f"{q} ({tokens:.0f})" for q, tokens in zip(shares, lengths, strict=True))
        lines.append([kind, *cells])
    return markdown(names, lines)


def merits(tables: Mapping[str, pa.Table]) -> str:
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
    return markdown(["strategy", "usable", *(f"reward of {each}" for each in head)], rows)


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"
