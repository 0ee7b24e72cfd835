"""What several answers to a prompt show, as text for the terminal and the page."""

from collections.abc import Mapping
from typing import Any

from persyn_kedro.domain.reporting.formatting import number, percent

SPREAD_COLUMNS = ["teacher", "answers", "reward, ±"]
MEANING = {
    "answers": "to each calibration prompt",
    "reward, ±": "the standard deviation of the reward over a teacher's answers to one prompt; it "
    "may be large where only one of two terms differs between teachers",
}
MUCH = 0.5  # share of noise that deserves a warning


def spread_rows(samples: Mapping[str, Any]) -> list[list[str]]:
    """Return the cells of ``SPREAD_COLUMNS``."""
    return [
        [name, str(count), number(samples["spread"][name])]
        for name, count in samples["teachers"].items()
    ]


def calls_formula(samples: Mapping[str, Any] | None) -> tuple[str, str]:
    """Return the formulas of the calls: PerSyn's with an empty store, Generate-then-Select's."""
    if samples is None:
        return "K·n + (N − n)", "K·N"
    return "Σₖ Sₖ·n + S·(N − n), and what calibration prompts lack of S", "Σₖ Sₖ·N"


def sentences(samples: Mapping[str, Any]) -> list[str]:
    """Say how answers were used, and how much of the rewards' variance is sampling noise."""
    said = []
    if any(count > 1 for count in samples["teachers"].values()):
        how = {"mean": "the mean over its valid answers", "best": "that of its best answer"}
        said.append(f"A teacher's reward for a prompt is {how[samples['label']]}.")
    if samples["generate"] > 1:
        kept = {
            "first": "asked for one by one until one is accepted",
            "best": "of which the best is trained on",
            "all": "which are all trained on",
        }
        said.append(
            f"Routed prompts have up to {samples['generate']} answers of a teacher, "
            f"{kept[samples['keep']]}."
        )
    return [*said, *_noise(samples)]


def _noise(samples: Mapping[str, Any]) -> list[str]:
    noise = samples["noise"]
    if noise is None or noise["share"] is None:
        return []
    said = [
        f"Between a prompt's teachers the true rewards have a standard deviation of "
        f"{number(noise['between'])}, and the answers of one teacher {number(noise['within'])} "
        f"(estimated on {noise['prompts']} prompts). So {percent(noise['share'])} of the rewards' "
        f"variance is sampling noise; with one answer each it would be "
        f"{percent(noise['share_of_one'])}."
    ]
    if noise["share"] > MUCH:
        said.append(
            "Most of what tells the teachers apart at a prompt is chance: more samples would make "
            "the router's targets clearer."
        )
    return said
