"""In what order models that run one at a time answer; it changes no answer."""

from collections.abc import Sequence

from persyn_kedro.domain.engines.resident import is_loaded
from persyn_kedro.domain.teachers.requests import TeacherRequests, follow_schema


def place_of(group: Sequence[TeacherRequests]) -> tuple[bool, int]:
    """Return by what one model's requests are sorted; equal ones stay in the settings' order.

    Those still loaded come first, as they may have to make room for others. The largest come last:
    what was used last stays loaded for the next step, and saves the most.
    """
    engine = group[0].engine
    if engine.settings.order == "settings" or not engine.stays:
        return False, 0
    return to_be_loaded(group), engine.model.size


def to_be_loaded(group: Sequence[TeacherRequests]) -> bool:
    """Return whether a model's files are read here before it answers."""
    engine = group[0].engine
    return engine.loads_here and not is_loaded(engine, follow_schema(group))
