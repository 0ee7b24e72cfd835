"""Progress: one line on a terminal, a line a minute in a log, a summary of each step."""

from persyn_kedro.foundations.progress.report import (
    Event,
    Part,
    Watch,
    add_tokens,
    came_from_store,
    forget,
    hear,
    listen,
    loaded,
    mute,
    part,
    step,
    tell_parent,
    watching,
)

__all__ = [
    "Event",
    "Part",
    "Watch",
    "add_tokens",
    "came_from_store",
    "forget",
    "hear",
    "listen",
    "loaded",
    "mute",
    "part",
    "step",
    "tell_parent",
    "watching",
]
