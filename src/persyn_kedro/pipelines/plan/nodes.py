"""What a run would take: no model is loaded, nobody is asked."""

from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.planning.plan import Work, make_plan, read_prompts, routed_prompts
from persyn_kedro.domain.stores.response_store import ResponseStore
from persyn_kedro.foundations.model_parameters import (
    EngineSettings,
    Models,
    StudentSettings,
    Teachers,
)
from persyn_kedro.foundations.step import step
from persyn_kedro.foundations.step_parameters import (
    EvaluateSettings,
    GenerateSettings,
    SftSettings,
)


@step(always=True, teachers=("price", "prompt_price"))
def plan_run(
    prompts: pads.Dataset,
    splits: pads.Dataset,
    routed_before: pads.Dataset | None,
    models: Models,
    teachers: Teachers,
    student: StudentSettings,
    engine: EngineSettings,
    generate: GenerateSettings,
    sft: SftSettings,
    evaluate: EvaluateSettings,
    response_store: ResponseStore,
) -> tuple[pa.Table, dict[str, Any]]:
    """Return PLAN and what it comes to, by what the store holds now.

    ``routed_before``: the newest assignments, if there are any; of another pool they do not count.
    """
    asked = read_prompts(prompts, splits)
    routed = None
    if routed_before is not None:
        routed = routed_prompts(routed_before, asked)
        there = sum(len(ids) for ids in routed.values()) == len(asked.train)
        routed = routed if there and routed.keys() <= teachers.root.keys() else None
    work = Work(models, teachers, student, engine, generate, sft, evaluate)
    return make_plan(asked, routed, work, response_store)
