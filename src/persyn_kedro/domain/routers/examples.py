"""The data a router is fitted and measured on: calibration prompts and their rewards."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.prompts.select import CALIBRATION, select_rows
from persyn_kedro.domain.rewards.reward import reward_matrix
from persyn_kedro.domain.routers.losses import rows_to_fit
from persyn_kedro.domain.routers.saving import settings_in
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.tables.messages import PROMPT


def calibration_examples(
    prompts: pads.Dataset, rewards: pa.Table, teachers: Sequence[str], part: str
) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Return the calibration prompts of a part (rows), and their (n, K) rewards, NaN if invalid.

    The prompts are in the table's order; ``part`` is fit or holdout.
    """
    rows = select_rows(prompts, CALIBRATION, [part], ["prompt_id", *PROMPT])
    prompt_ids, matrix = reward_matrix(rewards, teachers)
    place = {prompt_id: i for i, prompt_id in enumerate(prompt_ids)}
    rows = [row for row in rows if row["prompt_id"] in place]
    return rows, matrix[[place[row["prompt_id"]] for row in rows]]


def fitted_examples(
    prompts: pads.Dataset, rewards: pa.Table, description: dict[str, Any]
) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Return the prompts that a saved router was fitted on, and their (n, K) true rewards.

    Args:
        prompts: with ``rewards``, in the versions that the router was made from.
        description: its ``router.json``.

    Raises:
        PersynError: it was fitted on a different number of prompts.
    """
    teachers = [member["teacher"] for member in description["teachers"]]
    rows, matrix = calibration_examples(prompts, rewards, teachers, "fit")
    kept = np.flatnonzero(rows_to_fit(matrix, settings_in(description)))
    if len(kept) != description["n_fit"]:
        raise PersynError(
            f"The router was fitted on {description['n_fit']} prompts, but these tables have "
            f"{len(kept)}: they do not belong together."
        )
    return [rows[i] for i in kept], matrix[kept]
