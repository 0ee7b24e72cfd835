"""Progress: one line on a terminal, a line a minute in a log, a summary of each step."""

from persyn_kedro.foundations.progress.report import (
    Event,
    Watch,
    add_tokens,
    came_from_store,
    forget,
    hear,
    loaded,
    mute,
    step,
    tell_parent,
    watching,
)

__all__ = [
    "Event",
    "Watch",
    "add_tokens",
    "came_from_store",
    "forget",
    "hear",
    "loaded",
    "mute",
    "step",
    "tell_parent",
    "watching",
]
