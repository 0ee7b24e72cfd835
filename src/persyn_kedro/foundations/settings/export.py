"""Typed settings of ``export``: the training set and the student with their cards."""

from pydantic import Field

from persyn_kedro.foundations.settings.base import Group


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
