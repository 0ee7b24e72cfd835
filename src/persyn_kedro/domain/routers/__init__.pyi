"""Routers: estimators from prompts to one score for each teacher."""

from .assignment import (
    assignments as assignments,
    check_assignments as check_assignments,
    pool_of as pool_of,
    ranked_places as ranked_places,
    weighed_by as weighed_by,
    with_pool as with_pool,
)
from .base import TeacherRouter as TeacherRouter
from .examples import calibration_examples as calibration_examples
from .explained import Explanation as Explanation
from .explanation import RouterTables as RouterTables, explain as explain
from .fit import fit_and_save as fit_and_save
from .jobs import (
    fit_router_job as fit_router_job,
    prompt_scorer as prompt_scorer,
    score_prompts_job as score_prompts_job,
)
from .metrics import measurable as measurable, router_metrics as router_metrics, worth as worth
from .pool_changes import Routed as Routed, pool_change as pool_change
from .registry import (
    load_router as load_router,
    router_class as router_class,
    save_router as save_router,
)
from .round_changes import Round as Round, round_change as round_change
from .route import Weigh as Weigh, assign as assign
from .saving import (
    check_pool as check_pool,
    pool_difference as pool_difference,
    read_description as read_description,
    readers_of as readers_of,
    selection_of as selection_of,
    settings_in as settings_in,
    task_columns_of as task_columns_of,
)
from .tasks import TaskColumns as TaskColumns, with_tasks as with_tasks
