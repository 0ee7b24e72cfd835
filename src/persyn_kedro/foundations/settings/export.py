"""Typed settings of ``export``: the training set and the student with their cards."""

from typing import Literal

from pydantic import Field

from persyn_kedro.foundations.settings.base import Group


class PreferencesSettings(Group):
    """Which pairs of calibration answers are exported as preferences."""

    by: Literal["reward", "quality"] = Field(
        "reward",
        description="what the chosen answer has more of: label's reward, or quality alone, in its "
        "own unit",
    )
    pairs: Literal["all", "best_vs_worst"] = Field("all", description="of a prompt's answers")
    min_margin: float = Field(
        0.0, ge=0, description="by how much the chosen answer must be better; ties give no pair"
    )


class ExportSettings(Group):
    """What the cards cannot find out by themselves. Models' licences are set in ``models``."""

    name: str = Field(
        "persyn_sft",
        pattern=r"^[A-Za-z0-9_.-]+$",
        description="of the training set in its card and in LLaMA-Factory's dataset_info.json",
    )
    language: list[str] = Field(
        [], description="of prompts and responses, as ISO 639 codes; empty: not stated"
    )
    prompts_license: str | None = Field(
        None, min_length=1, description="none: the hub card's, or that of reasoning-gym's tasks"
    )
    preferences: PreferencesSettings = PreferencesSettings()
