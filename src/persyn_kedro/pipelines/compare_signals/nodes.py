"""Compare rewards by other signals, normalisations and alphas, from stored answers alone."""

from typing import Any

import pyarrow.dataset as pads

from persyn_kedro.domain.comparison import Labelled
from persyn_kedro.domain.intervals import joint_level, spearman
from persyn_kedro.domain.learnability import signal_of
from persyn_kedro.domain.reporting import signals_text
from persyn_kedro.domain.rewards import compute_rewards
from persyn_kedro.domain.signal_comparison import best_teachers, compare_signals
from persyn_kedro.foundations.settings import (
    REWARD_FIELDS,
    CompareSignalsSettings,
    LabelSettings,
    Teachers,
    step,
)


def _check(compare_signals: CompareSignalsSettings) -> None:
    """Refuse the user's own signals that cannot be used.

    Raises:
        PersynError: names the first.
    """
    for name in compare_signals.signals:
        signal_of(name)


@step(
    check=_check,
    versions_of=(compare_signals, best_teachers, compute_rewards, joint_level, signal_of, spearman),
    prints={signals_text: ("signal_comparison",)},
    label=REWARD_FIELDS,
)
def compare_rewards(
    calibration_responses: pads.Dataset,
    token_statistics: pads.Dataset,
    quality: pads.Dataset,
    trials_before: pads.Dataset | None,
    strategy_examples_before: pads.Dataset | None,
    signal_trials_before: pads.Dataset | None,
    signal_examples_before: pads.Dataset | None,
    teachers: Teachers,
    label: LabelSettings,
    settings: CompareSignalsSettings,
) -> dict[str, Any]:
    """Return what other rewards change, and how well they predict trained students' scores."""
    labelled = Labelled(
        calibration_responses.to_table(),
        token_statistics.to_table(),
        quality.to_table(),
        list(teachers.root),
        label,
    )
    runs = {
        "compare": (trials_before, strategy_examples_before),
        "fit_signal": (signal_trials_before, signal_examples_before),
    }
    found = {
        name: (trials.to_table(), examples.to_table())
        for name, (trials, examples) in runs.items()
        if trials is not None and examples is not None
    }
    return compare_signals(labelled, found, settings)
