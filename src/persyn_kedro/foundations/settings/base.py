"""What all typed settings share: Kedro builds them from the annotations of the nodes' arguments.

So an unknown key or a bad value stops a run before a model is loaded.
"""

from pydantic import BaseModel, ConfigDict

NO_EFFECT = "no effect"
"""Marks settings of time, memory, money and names: what a step makes does not hang on them.

A change of them is no reason to do a step again (``foundations.settings.marks``). Batch sizes are
among them although they move results by rounding.
"""


class Settings(BaseModel):
    """Base of all settings: unknown keys are errors, values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
