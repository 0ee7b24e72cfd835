"""How often the student itself answers prompts right, before a teacher is asked."""

from collections.abc import Callable

import pyarrow as pa

from persyn_kedro.domain.prompts.chosen import ChosenPrompts
from persyn_kedro.domain.student.test_set import STUDENT
from persyn_kedro.foundations.tables.schemas import unsettled_rows, with_unsettled

VERSION = 1  # raise it when the same inputs give another result

# wanted -> (outcomes, calls), tables of schemas.OUTCOMES and CALLS
Ask = Callable[[dict[str, ChosenPrompts]], tuple[pa.Table, pa.Table]]


def pass_rates(
    prompts: ChosenPrompts, samples: int, ask: Ask, check: Callable[[pa.Table], pa.Table]
) -> pa.Table:
    """Return the mean quality of the student's answers to each prompt.

    Args:
        samples: answers to each.
        check: outcomes -> ``schemas.QUALITY``, by the prompts' references.

    Returns:
        A table of ``prompt_id``, ``answers`` (int32), those of known quality, and ``pass_rate``,
        null without any. It notes how many failed and are asked for again (``unsettled_rows``).
    """
    outcomes, _ = ask({STUDENT: prompts.several(samples)})
    by_prompt = check(outcomes).group_by("prompt_id", use_threads=False)
    known = by_prompt.aggregate([("quality", "count"), ("quality", "mean")])
    found = pa.table(
        {
            "prompt_id": known["prompt_id"],
            "answers": known["quality_count"].cast(pa.int32()),
            "pass_rate": known["quality_mean"],
        }
    )
    return with_unsettled(found, unsettled_rows(outcomes.schema))
