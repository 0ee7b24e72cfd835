"""Which rewards are compared, and which cannot be."""

import pyarrow as pa
import pytest

from persyn_kedro.domain.signal_comparison.candidates import candidates, check_signals, computable
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.settings.signals import CompareSignalsSettings


def test_the_own_comes_first_and_each_reward_once():
    signals, normalisations = ["brier", "mean_log_likelihood"], ["prompt_minmax", "pool_z"]
    found = candidates(LabelSettings(), signals, normalisations, [1.0, 0.0, 0.4])
    assert [c.same for c in found] == [
        ("mean_log_likelihood", "prompt_minmax", 0.4),
        ("quality", "prompt_minmax", 0.0),
        ("brier", "prompt_minmax", 0.4),
        ("brier", "prompt_minmax", 1.0),
        ("mean_log_likelihood", "prompt_minmax", 1.0),
        ("quality", "pool_z", 0.0),
        ("brier", "pool_z", 0.4),
        ("brier", "pool_z", 1.0),
        ("mean_log_likelihood", "pool_z", 0.4),
        ("mean_log_likelihood", "pool_z", 1.0),
    ]
    assert [c.name for c in found[:3]] == [
        "mean_log_likelihood_alpha_0.4",
        "quality",
        "brier_alpha_0.4",
    ]


def test_a_signal_that_cannot_be_computed_is_refused_or_left_out():
    with pytest.raises(PersynError, match="fit_signal.signals: local_likelihood needs label.local"):
        check_signals(["brier", "local_likelihood"], "fit_signal", LabelSettings())
    check_signals(["local_likelihood"], "fit_signal", LabelSettings(local=True))
    with pytest.raises(PersynError, match="Cannot read nowhere.py"):
        check_signals(["nowhere.py:signal"], "fit_signal", LabelSettings())
    without = pa.table({"local_logp": pa.array([None, None], pa.float64())})
    assert computable(without, ["brier", "local_likelihood"]) == ["brier"]
    some = pa.table({"local_logp": pa.array([None, -1.0], pa.float64())})
    assert computable(some, ["local_likelihood"]) == ["local_likelihood"]


def test_a_list_without_repeats():
    with pytest.raises(ValueError, match="alphas must not contain duplicates"):
        CompareSignalsSettings(alphas=[0.4, 0.4])
