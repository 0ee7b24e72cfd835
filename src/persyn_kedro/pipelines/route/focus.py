"""Find the train prompts that are worth a teacher's answer."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.prompts import (
    FOCUS_KEY,
    find_texts,
    focus_identity,
    focus_table,
    holds_system,
    round_schedule,
)
from persyn_kedro.domain.stores import QualityStore, ResponseStore
from persyn_kedro.domain.student import STUDENT, before_or_after, pass_rates, student_recipe
from persyn_kedro.domain.teachers import make_sure, with_texts
from persyn_kedro.domain.training_set import Wanted, quality_checker
from persyn_kedro.foundations.settings import (
    EngineSettings,
    Models,
    Needs,
    RoundsSettings,
    RouteSettings,
    StudentSettings,
    asks_student,
    leaves_out,
    step,
)
from persyn_kedro.foundations.tables import FOCUS


@step(
    versions_of=(round_schedule, pass_rates),
    needs_if={asks_student: Needs.STUDENT},
    settings=("focus",),
)
def focus_prompts(
    prompts: pads.Dataset,
    models: Models,
    student: StudentSettings,
    engine: EngineSettings,
    settings: RouteSettings,
    rounds: RoundsSettings,
    seed: int,
    response_store: ResponseStore,
    quality_store: QualityStore,
    before: pads.Dataset | None = None,
    directory: Path | None = None,
    number: int = 1,
) -> pa.Table:
    """Return why train prompts get a teacher's answer or not (``schemas.FOCUS``).

    It is empty if all of them do. The student answers only if its pass rate decides.

    Args:
        before: ``schemas.FOCUS`` of the round before.
        directory: of the student as the round before left it.
        number: of the round.
    """
    if not leaves_out((settings, rounds)):
        return FOCUS.empty_table()
    schedule = round_schedule(prompts, rounds, seed, number, before)
    rates, focus = None, settings.focus
    model = before_or_after(models, student, directory)
    if focus.keep != "all":
        recipe = student_recipe(model, student, focus.sampling, holds_system(prompts, ["train"]))

        def ask(wanted: Wanted) -> tuple[pa.Table, pa.Table]:
            return make_sure(wanted, [recipe], response_store, engine, seed)

        def texts(outcomes: pa.Table) -> Iterator[pa.RecordBatch]:
            return with_texts(outcomes, [recipe], response_store)

        thinks = {STUDENT: models.root[student.model].think}
        asked = find_texts(prompts, schedule["prompt_id"].filter(schedule["checkable"]))
        check = quality_checker(prompts, thinks, quality_store, texts)
        rates = pass_rates(asked, focus.draws, ask, check)
    table = focus_table(schedule, rates, focus, seed)
    identity = focus_identity(focus, rounds, model.weights_id)
    noted = rates.schema.metadata if rates is not None else {}
    return table.replace_schema_metadata({**noted, FOCUS_KEY: identity})
