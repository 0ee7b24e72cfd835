"""Kedro hooks: check a run before it starts, and print the report's table after it."""

from typing import Any

from kedro.framework.hooks import hook_impl

from persyn_kedro.domain.pool import check_pool
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.parameters import Models, StudentSettings, Teachers

# What a step's missing input is called in the sentence to the user.
_SPOKEN = {
    "prompts": "prompts",
    "splits": "splits",
    "rewards": "rewards",
    "router": "trained router",
    "assignments": "assignments",
    "routed_responses": "routed responses",
    "sft_dataset": "SFT dataset",
    "student": "fine-tuned student",
}


class ProjectHooks:
    """All hooks of the project; none of them changes what a run computes."""

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Any, catalog: Any) -> None:
        _check_inputs(pipeline, catalog)
        _check_models(pipeline, catalog)

    @hook_impl
    def after_pipeline_run(self, pipeline: Any, catalog: Any) -> None:
        if "report_summary" in pipeline.all_outputs():
            from persyn_kedro.domain.reporting.terminal import terminal_table

            print(terminal_table(catalog.load("report_summary")))


def _check_inputs(pipeline: Any, catalog: Any) -> None:
    """Raise one sentence that names the missing input and the steps that make it."""
    from persyn_kedro.pipeline_registry import STEPS

    missing = [
        name
        for name in sorted(pipeline.inputs())
        if not name.startswith("params:") and not catalog.exists(name)
    ]
    if not missing:
        return
    producers = {out: step for step, made in STEPS.items() for out in made().all_outputs()}
    steps = _upstream(missing, producers, catalog)
    first = max(
        (m for m in missing if m in producers), key=lambda m: list(STEPS).index(producers[m])
    )
    spoken = _SPOKEN.get(first, first.replace("_", " "))
    raise PersynError(f"No {spoken}: run `kedro run --pipelines={','.join(steps)}`.")


def _upstream(missing: list[str], producers: dict[str, str], catalog: Any) -> list[str]:
    from persyn_kedro.pipeline_registry import STEPS

    needed: set[str] = set()
    queue = [name for name in missing if name in producers]
    while queue:
        step = producers[queue.pop()]
        if step in needed:
            continue
        needed.add(step)
        inputs = STEPS[step]().inputs()
        queue += [i for i in inputs if i in producers and not catalog.exists(i)]
    return [step for step in STEPS if step in needed]


def _check_models(pipeline: Any, catalog: Any) -> None:
    wanted = ["params:models", "params:teachers", "params:student"]
    if not pipeline.inputs().isdisjoint(wanted):
        models, teachers, student = map(catalog.load, wanted)
        check_pool(
            Models.model_validate(models),
            Teachers.model_validate(teachers),
            StudentSettings.model_validate(student),
        )
