"""The calibration set as labelled, from which other rewards need no model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from persyn_kedro.domain.rewards.reward import compute_rewards, reward_matrix
from persyn_kedro.foundations.settings.label import LabelSettings


@dataclass(frozen=True)
class Labelled:
    """The calibration set's tables, from which rewards are computed anew."""

    responses: pa.Table
    statistics: pa.Table
    quality: pa.Table
    teachers: Sequence[str]
    label: LabelSettings

    def table_with(self, **changes: Any) -> pa.Table:
        """Return ``schemas.REWARDS`` with these changes to the settings."""
        settings = self.label.model_copy(update=changes)
        return compute_rewards(
            self.responses, self.statistics, self.quality, self.teachers, settings
        )

    def rewards_with(self, **changes: Any) -> tuple[list[str], np.ndarray]:
        """Return ``rewards.reward_matrix`` with them: prompt_ids, and (n, K) rewards."""
        return reward_matrix(self.table_with(**changes), self.teachers)
