"""Router metrics where a design did not ask everybody: by hand, and against the whole truth."""

import numpy as np
import pytest

from persyn_kedro.domain.designs.balanced import balanced
from persyn_kedro.domain.reporting import formatting
from persyn_kedro.domain.rewards.reward import NOT_ASKED
from persyn_kedro.domain.router_comparison.compare import Bootstrap, measure_scores
from persyn_kedro.domain.routers.constant import ConstantRouter
from persyn_kedro.domain.routers.metrics import constant_ranking, corrected, router_metrics
from persyn_kedro.domain.routers.selection import select
from persyn_kedro.foundations.settings.routers import ConstantRouterSettings

N = NOT_ASKED
NAN = np.nan
# Two of three teachers asked; the router likes c, then a, then b.
SCORES = np.tile([0.5, 0.1, 0.9], (3, 1))
REWARDS = np.array([[0.2, 0.8, N], [N, 0.4, 0.6], [0.7, N, 0.1]])


def test_hits_and_regret_are_among_those_asked_by_hand() -> None:
    # Chosen of those asked: a, c, c. The best: b, c, a. Regrets 0.6, 0, 0.6.
    found = router_metrics(SCORES, REWARDS, REWARDS)
    assert found["router"]["hit@1"] == pytest.approx(1 / 3)
    assert found["router"]["hit@2"] == 1.0  # all that were asked
    assert found["router"]["regret"] == pytest.approx(1.2 / 3)
    # By chance the regrets are 0.3, 0.1, 0.3; one of two is the oracle.
    assert found["random"]["hit@1"] == pytest.approx(0.5)
    assert found["random"]["regret"] == pytest.approx(0.7 / 3)


def test_the_constant_goes_by_the_means_of_what_was_asked_by_hand() -> None:
    # Means: a 0.45, b 0.6, c 0.35. With 0 for what was not asked: 0.3, 0.4, 0.233.
    assert constant_ranking(REWARDS).tolist() == [1, 0, 2]
    rewards = np.array([[0.2, N, 0.1], [N, 0.3, 0.1], [0.2, N, 0.1]])  # b is asked once
    assert constant_ranking(rewards).tolist() == [1, 0, 2]


def test_corrected_rewards_by_hand() -> None:
    # Propensity 2/3, so what an answer differs from the mean counts 3/2.
    found = corrected(REWARDS, np.array([0.4, 0.5, 0.3]))
    expected = [[0.1, 0.95, 0.3], [0.4, 0.35, 0.75], [0.85, 0.5, 0.0]]
    np.testing.assert_allclose(found, expected)
    invalid = corrected(np.array([[NAN, 0.5, N]]), np.array([0.4, 0.5, 0.3]))
    np.testing.assert_allclose(invalid, [[-0.2, 0.5, 0.3]])  # an invalid answer is worth 0


def test_the_corrected_reward_is_unbiased_where_the_naive_one_is_not() -> None:
    """Averaged over designs it is the truth, whatever the predictions are."""
    rng = np.random.default_rng(0)
    truth = rng.random((60, 4))
    ids, teachers = [f"p{i}" for i in range(60)], list("abcd")
    chosen = truth.argmax(axis=1)  # a perfect router
    true = truth.max(axis=1).mean()
    found, naive = [], []
    for seed in range(300):
        seen = np.where(balanced(ids, teachers, 2, seed), truth, N)
        worth = corrected(seen, np.array([0.9, 0.1, 0.3, 0.5]))
        found.append(worth[range(60), chosen].mean())
        naive.append(seen.max(axis=1).mean())  # the best of those asked
    assert np.mean(found) == pytest.approx(true, abs=4 * np.std(found) / 300**0.5)
    assert true - np.mean(naive) > 0.1


def test_a_router_beats_the_constant_by_its_corrected_reward() -> None:
    rng = np.random.default_rng(1)
    truth = rng.random((400, 3))
    seen = np.where(balanced([f"p{i}" for i in range(400)], list("abc"), 2, 0), truth, N)
    good = router_metrics(truth, seen, seen)
    assert good["beats_constant"] and not router_metrics(-truth, seen, seen)["beats_constant"]
    assert good["router"]["reward"] == pytest.approx(truth.max(axis=1).mean(), abs=0.05)
    assert good["random"]["reward"] == pytest.approx(0.5, abs=0.05)
    scores = {"mine": truth, "constant": np.tile([0.2, 0.3, 0.1], (400, 1))}
    compared = measure_scores(scores, seen, Bootstrap(200, 0.95, 0))
    difference = compared["mine"]["regret_to_constant"]
    gain = truth.max(axis=1).mean() - truth[:, 1].mean()
    assert difference["interval"][0] <= -gain <= difference["interval"][1]
    assert "reward" not in compared["oracle"] and "regret_to_constant" in compared["random"]
    assert compared["mine"]["regret"]["value"] == 0.0  # the best of those asked
    assert compared["mine"]["auc"]["value"] == 1.0


def test_invalid_answers_count_whoever_else_was_asked() -> None:
    """Half of a's answers are invalid; of two asked, no prompt with such a one has a pair."""
    rng, n = np.random.default_rng(0), 2000
    truth = np.tile([1.0, 0.6, 0.6, 0.6], (n, 1))
    truth[rng.random(n) < 0.5, 0] = NAN
    seen = np.where(balanced([f"p{i}" for i in range(n)], list("abcd"), 2, 0), truth, N)
    a_first = np.tile([1.0, 0.0, 0.0, 0.0], (n, 1))
    found = router_metrics(a_first, seen, seen)
    assert found["constant_index"] == 1 and not found["beats_constant"]
    assert found["router"]["reward"] == pytest.approx(0.5, abs=0.04)
    assert found["constant"]["reward"] == pytest.approx(0.6)
    scores = {"mine": a_first, "constant": -a_first}
    compared = measure_scores(scores, seen, Bootstrap(200, 0.95, 0))
    assert compared["mine"]["reward"]["value"] == pytest.approx(0.5, abs=0.04)
    assert compared["mine"]["regret_to_constant"]["interval"][0] > 0.05
    assert compared["mine"]["regret"]["value"] == 0.0  # among those asked, of two valid ones
    assert compared["mine"]["hit@1"]["value"] == 1.0


def test_the_constant_router_does_not_count_what_was_not_asked_by_hand() -> None:
    rewards = np.array([[0.5, 0.9, N], [0.5, N, 0.3], [NAN, N, 0.3], [0.5, N, 0.3]])
    found = ConstantRouter(None, ConstantRouterSettings()).fit(list("wxyz"), rewards)
    np.testing.assert_allclose(found.predict_scores(["v"])[0], [1.5 / 4, 0.9, 0.3], rtol=1e-6)
    # sd of 0.5, 0.5, 0, 0.5 is 0.25, over the root of four answers.
    np.testing.assert_allclose(found.predict_errors(["v"])[0], [0.125, 0, 0], atol=1e-6)


def adaptive(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (n, 3) true rewards, what was asked, and which of it at random.

    Everybody is worse on hard prompts, the second half; c is asked more on easy ones alone.
    """
    truth = np.tile([0.6, 0.5, 0.5], (n, 1)) + np.where(np.arange(n) < n // 2, 0.3, -0.3)[:, None]
    first = balanced([f"p{i}" for i in range(n)], list("abc"), 2, 0)
    more = first.copy()
    more[: n // 2, 2] = True
    return truth, np.where(more, truth, N), first


def test_the_constant_router_goes_by_what_was_asked_at_random() -> None:
    truth, seen, first = adaptive(400)
    naive = [seen[seen[:, k] != N, k].mean() for k in range(3)]
    assert naive[2] > truth[:, 2].mean() + 0.04
    router = ConstantRouter(None, ConstantRouterSettings())
    router.at_random = first
    scores = router.fit([f"p{i}" for i in range(400)], seen).predict_scores(["v"])[0]
    np.testing.assert_allclose(scores, truth.mean(axis=0), atol=0.04)


def test_a_choice_of_router_is_measured_by_what_was_asked_at_random() -> None:
    """Always c looks better than always a, only because c was asked more on easy prompts."""
    truth, seen, first = adaptive(400)
    truth[:, 2] += 0.08
    seen = np.where(seen == N, N, truth)
    constant = {"constant": [1.0, 0.0, 0.0], "c": [0.0, 0.0, 1.0]}

    def scores(name, fitted, rewards, scored, at_random=None):  # noqa: ARG001
        if name == "constant":
            assert np.isneginf(rewards).any(axis=1).all()  # not what was chosen by merit
        return np.tile(constant[name], (len(scored), 1))

    prompts, fair = [f"p{i}" for i in range(400)], np.where(first, seen, N)
    names = ["constant", "c"]
    assert (
        select(prompts, seen, names, lambda *a: scores(a[0], a[1], fair, a[3]), 5, 0)["candidates"][
            "c"
        ]["to_constant"]["value"]
        < -0.02
    )
    found = select(prompts, seen, names, scores, 5, 0, fair)
    assert found["candidates"]["c"]["to_constant"]["value"] == pytest.approx(0.02, abs=0.04)
    assert found["chosen"] == "constant"


def test_complete_rewards_have_no_corrected_figures() -> None:
    complete = np.array([[0.2, 0.8], [0.6, 0.4]])
    found = router_metrics(complete, complete, complete)
    assert all("reward" not in found[name] for name in ("router", "constant", "random"))


def test_the_report_shows_the_corrected_reward_where_there_is_one() -> None:
    found = {**router_metrics(SCORES, REWARDS, REWARDS), "constant_teacher": "b"}
    assert formatting.router_columns(found)[-1] == "reward, corrected"
    shown = [row[-1] for row in formatting.router_rows(found)]
    names = ("router", "constant", "random")
    assert shown == [f"{found[name]['reward']:.3f}" for name in names]
    whole = np.array([[0.2, 0.8, 0.1]])
    complete = {**router_metrics(whole, whole, whole), "constant_teacher": "b"}
    assert formatting.router_columns(complete)[-1] == "regret"
