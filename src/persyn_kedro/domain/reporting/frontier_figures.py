"""The frontier of reward against cost as rows of text and as a plot."""

from collections.abc import Mapping, Sequence
from typing import Any

from persyn_kedro.domain.reporting.chart import Chart, Series
from persyn_kedro.domain.reporting.formatting import percent

VERSION = 3  # raise it when the same inputs give another result

COLUMNS = [
    "choice", "cost weight", "reward", "lost",
    "tokens", "completion tokens", "cost", "of the tokens",
]  # fmt: skip
MEANING = {
    "reward": "mean over the calibration prompts, with its interval",
    "lost": "reward less than routing by score alone (cost weight 0), paired",
    "tokens": "of prompt and answer, per prompt",
    "cost": "per 1,000 prompts, by the prices",
    "of the tokens": "completion tokens relative to routing by score alone",
    "(*)": "the cheapest weight that keeps compare.kept_reward of the reward, on these prompts; "
    "on other prompts: chosen on nine tenths of them, measured on the last, by turns",
    "oracle": "knows every reward beforehand, and weighs the same cost: a bound for any router",
}
Rows = Sequence[dict[str, Any]]


def frontier_rows(frontier: Rows) -> list[list[str]]:
    """Return the cells of ``COLUMNS``; of the oracle only the row without a cost weight."""
    base = _routed(frontier)[0]["completion_tokens"] if frontier else 1.0
    return [
        [
            row["name"] + (" (*)" if row["kept"] else ""),
            "" if row["cost_weight"] is None else f"{row['cost_weight']:g}",
            f"{row['reward']:.3f} [{row['reward_low']:.3f}, {row['reward_high']:.3f}]",
            f"{row['reward_lost']:+.3f} [{row['reward_lost_low']:+.3f}, "
            f"{row['reward_lost_high']:+.3f}]",
            f"{row['tokens']:.0f}",
            f"{row['completion_tokens']:.0f}",
            f"{1000 * row['cost']:.4g}",
            percent(row["completion_tokens"] / base) if base else "–",
        ]
        for row in frontier
        if not (row["policy"] == "oracle" and row["cost_weight"])
    ]


def sentences(frontier: Rows) -> list[str]:
    """Say which setting spends least for nearly the same reward."""
    if not frontier:
        return ["No calibration prompt has two valid teachers, so there is nothing to measure."]
    routed = _routed(frontier)
    kept = next(row for row in routed if row["kept"])
    if len(routed) == 1:
        return [
            "The router's scores do not rise with the rewards of calibration prompts that it was "
            "not fitted on, or no teacher is cheaper: there is no cost weight to choose."
        ]
    found = [
        f"(*) `{kept['setting']}` keeps {_share(kept, routed[0])}: the cheapest weight that keeps "
        f"compare.kept_reward. Measured on {kept['prompts']} calibration prompts, by routers that "
        "were not fitted on them; but the weight was chosen on these prompts, which flatters it."
    ]
    for row in frontier:
        if row["policy"] == "nested" and routed[0]["reward"]:
            kept_low, kept_high = (
                percent(1 - row[f"reward_lost_{end}"] / routed[0]["reward"])
                for end in ("high", "low")
            )
            found.append(
                "Chosen in the same way on nine tenths of the prompts and measured on the last, by "
                f"turns, such a weight keeps {_share(row, routed[0])} (interval of the reward: "
                f"{kept_low} to {kept_high}): expect this of new prompts."
            )
    return found


def _share(row: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    tokens = row["completion_tokens"] / (whole["completion_tokens"] or 1.0)
    reward = row["reward"] / whole["reward"] if whole["reward"] else 1.0
    return f"{percent(reward)} of the reward with {percent(tokens)} of the completion tokens"


def weighed_sentences(note: Mapping[str, Any]) -> list[str]:
    """Say what costs and limits have changed in the routing, from the note of the assignments."""
    settings = [f"route.{key}: {_shown(note[key])}" for key in _GROUPS if _given(note, key)]
    alone, now = note["by_score_alone"], note["expected"]
    money = f", cost {alone['money']:.4g} and {now['money']:.4g}" if alone["money"] else ""
    found = [
        f"Routing weighed costs or kept limits ({'; '.join(settings)}). {note['moved']} of "
        f"{note['prompts']} prompts have another teacher than by score alone; expected tokens of "
        f"the routed calls, by score alone and now: {alone['tokens']:,.0f} and "
        f"{now['tokens']:,.0f}{money}."
    ]
    if full := [name for name, price in note["places"].items() if price > 0]:
        found.append(f"At its capacity, or close to it: {', '.join(full)}.")
    return found


_GROUPS = ("objective", "budget", "capacity")


def _given(note: Mapping[str, Any], key: str) -> bool:
    return bool(note[key].get("cost_weight") if key == "objective" else _set(note[key]))


def _set(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _shown(values: Mapping[str, Any]) -> str:
    pairs = (
        f"{n}: {v:g}" if isinstance(v, float) else f"{n}: {v}" for n, v in _set(values).items()
    )
    return f"{{{', '.join(pairs)}}}"


def frontier_plot(frontier: Rows) -> Chart:
    """Show expected reward against tokens: the router's and the oracle's line, and constants."""
    series = [
        _series(name.title(), [r for r in frontier if r["policy"] == name], line=True)
        for name in ("router", "oracle")
    ]
    series += [
        _series(row["name"], [row]) for row in frontier if row["policy"] in ("teacher", "random")
    ]
    return Chart(
        "Expected reward against cost",
        "completion tokens per prompt",
        "mean reward",
        series if frontier else [],
        empty=None if frontier else "no prompt has two valid teachers",
    )


def _series(name: str, rows: Rows, line: bool = False) -> Series:
    return Series(
        name,
        [row["completion_tokens"] for row in rows],
        [row["reward"] for row in rows],
        line=line,
        low=[row["reward_low"] for row in rows],
        high=[row["reward_high"] for row in rows],
        notes=[row["setting"] or name for row in rows],
    )


def _routed(frontier: Rows) -> list[dict[str, Any]]:
    return [row for row in frontier if row["policy"] == "router"]
