"""An explanation's figures as text, with their meaning for each kind of router."""

import math

from persyn_kedro.domain.reporting.formatting import number
from persyn_kedro.domain.rewards.reward import TIE
from persyn_kedro.domain.routers.explained import Explanation, Neighbour

TEACHER_COLUMNS = ["teacher", "score", "± error", "true reward", "quality", "learnability"]
KINDS = {
    "knn": "kNN router",
    "linear": "linear router",
    "mlp": "network router",
    "task_type": "router by task",
    "constant": "constant router",
    "ensemble": "ensemble of routers",
    "language_model": "language model router",
}
_PLACES = {
    "fit": "a calibration prompt that the router was fitted on",
    "holdout": "a calibration prompt held out from the router's fitting",
    "sft": "a train prompt",
    "withheld": "a train prompt withheld from the student's training",
}


def place_words(explanation: Explanation) -> str:
    """Return a description of the prompt's split and part."""
    if explanation.split is None:
        return "a new prompt, not in any table"
    return _PLACES.get(str(explanation.part), f"a {explanation.split} prompt")


def router_words(explanation: Explanation) -> str:
    """Return which router gave the scores, and when."""
    router = explanation.router
    when = "when it routed the prompt" if explanation.routed else "computed now"
    kind = KINDS.get(router["kind"], f"router {router['kind']}")
    if "chosen" in router:
        kind = f"router {router['chosen']}, which kind auto chose,"
    return (
        f"Scores: from the {kind} on {router['backbone']}, fitted on "
        f"{router['n_fit']} calibration prompts, {when}."
    )


def teacher_columns(explanation: Explanation) -> list[str]:
    """Return the column headings of ``teacher_rows``."""
    return TEACHER_COLUMNS + ["price", "expected tokens"] * _weighed(explanation)


def teacher_rows(explanation: Explanation) -> list[list[str]]:
    """Return the cells of ``teacher_columns``."""
    return [
        [
            t.teacher,
            *map(number, (t.score, t.standard_error, t.reward, t.quality, t.learnability)),
            *[number(t.price), f"{t.expected_tokens or 0:.0f}"] * _weighed(explanation),
        ]
        for t in explanation.teachers
    ]


def price_words(explanation: Explanation) -> str:
    """Return what the price means; empty if costs and limits do not count."""
    if not _weighed(explanation):
        return ""
    paid = explanation.split == "calibration"
    return (
        "Score: the router's, less the price of the answer: what its cost and the teacher's place "
        "are worth (route.objective, budget and capacity), in the unit of the score."
        + (" This is a calibration prompt, whose answers are there already." if paid else "")
    )


def _weighed(explanation: Explanation) -> bool:
    return explanation.teachers[0].price is not None


def choice_words(explanation: Explanation) -> str:
    """Return the choice, its margin, and what a margin means for this kind of router."""
    margin, runner_up = explanation.margin, explanation.teachers[1].teacher
    if margin == 0:
        choice = (
            f"Choice: {explanation.choice}, tied with {runner_up}; of equal scores the first "
            "in the settings' order wins."
        )
    else:
        choice = f"Choice: {explanation.choice}, by a margin of {margin:.3f} over {runner_up}."
    return " ".join(
        filter(None, [choice, _margin_meaning(explanation), certainty_words(explanation)])
    )


_LOG_ODDS = ("bradley_terry", "weighted", "soft")
_MARGINS = {
    "task_type": "A score is the mean true reward of the task's prompts, shrunk to the mean of "
    "all, so the margin is a difference of rewards.",
    "constant": "A score is the mean true reward of all prompts: it is the same for every prompt.",
    "ensemble": "A score is the mean of several routers' standardised scores, so the margin is in "
    "standard deviations.",
    "auto": "What a margin means depends on the router that was chosen.",
}


def certainty_words(explanation: Explanation) -> str:
    """Say how sure the lead over the runner-up is; empty without standard errors."""
    errors = [teacher.standard_error for teacher in explanation.teachers[:2]]
    if None in errors:
        return ""
    spread = math.hypot(*(error or 0.0 for error in errors))
    sure = "more" if explanation.margin > 2 * spread else "no more"
    return (
        f"The two scores' standard errors together are {spread:.3f}: the lead is {sure} than twice "
        "that."
    )


def _margin_meaning(explanation: Explanation) -> str:
    router, margin = explanation.router, explanation.margin
    if router["kind"] == "knn":
        return (
            "A score is the mean true reward (from 0 to 1) on the nearest prompts that the router "
            "was fitted on, so the margin is how much more reward the choice had there."
        )
    loss = router.get("loss")
    if router["kind"] in ("linear", "mlp") and loss in (None, "regression"):
        fit = "a ridge regression" if router["kind"] == "linear" else "a small network"
        return (
            f"A score is the reward (from 0 to 1) that {fit} predicts, so the margin "
            "is a difference of predicted rewards."
        )
    if router["kind"] in _MARGINS:
        return _MARGINS[router["kind"]]
    if router["kind"] not in KINDS:
        return "What a margin means depends on this custom router."
    if loss is not None and loss not in _LOG_ODDS:
        return f"What a margin means depends on the loss {loss}."
    return (
        "A single score means nothing; a difference is in log-odds (Bradley-Terry). The router "
        f"gives a probability of {100 / (1 + math.exp(-margin)):.1f} % that the choice's response "
        "has more reward than the runner-up's."
    )


def reward_words(explanation: Explanation) -> str:
    """Return how the choice actually did; empty if the prompt was never labelled."""
    known = {t.teacher: t.reward for t in explanation.teachers if t.reward is not None}
    if not known:
        return ""
    best = max(known, key=lambda name: known[name])
    lost = known[best] - known.get(explanation.choice, 0.0)  # invalid: 0 (METHOD.md, 1)
    if lost <= TIE:
        return "In fact no teacher had a higher reward than the choice."
    return f"In fact {best} had the highest reward, {lost:.3f} more than the choice."


def neighbour_columns(explanation: Explanation) -> list[str]:
    """Return the column headings of ``neighbour_rows``."""
    return ["teacher", "score", *(f"#{i + 1}" for i in range(len(explanation.neighbours)))]


def neighbour_rows(explanation: Explanation) -> list[list[str]]:
    """Return for each teacher its score and its true rewards on the neighbours, the best starred.

    The last row has the neighbours' similarities.
    """
    near = explanation.neighbours
    rewards = [
        [t.teacher, number(t.score), *(_starred(n, t.teacher) for n in near)]
        for t in explanation.teachers
    ]
    return [*rewards, ["similarity", "", *(f"{number(n.similarity)} " for n in near)]]


def itself(explanation: Explanation, neighbour: Neighbour) -> str:
    """Mark a neighbour that is the explained prompt itself: its score saw its own rewards."""
    same = neighbour.prompt_id == explanation.prompt_id
    return "(this prompt itself, which the router was fitted on) " if same else ""


def _starred(neighbour: Neighbour, teacher: str) -> str:
    star = "*" if teacher in neighbour.best else " "
    return f"{number(neighbour.rewards[teacher])}{star}"


def neighbour_words(explanation: Explanation) -> str:
    """Return what the neighbours mean for this kind of router."""
    router, count = explanation.router, len(explanation.neighbours)
    if router["kind"] == "knn":
        own = min(router["neighbours"], router["n_fit"])
        mean = router.get("mean", "mean")
        nearness = (
            f"They are the router's reasons: a score is the {mean} of its row"
            if count == own
            else f"The router's reasons are its {own} nearest prompts: a score is their {mean}"
        )
        invalid = {"lose": "counted as 0", "leave_out": "left out of the mean"}[router["invalid"]]
        nearness += f" (–: invalid, {invalid}). Nearest by the embeddings it compares"
    elif router["kind"] in ("linear", "mlp", "ensemble", "auto"):
        nearness = (
            "The router does not average neighbours: these show what it could learn from (–: "
            "invalid). Nearest by the embeddings that it reads"
        )
    elif router["kind"] == "language_model":
        nearness = (
            "The router does not average neighbours: these show what it could learn from (–: "
            "invalid). Nearest by the fitted backbone's last hidden states, which its head "
            "reads"
        )
    else:
        known = router["kind"] in KINDS
        decides = (
            "The router does not look at neighbours"
            if known
            else "How this custom router decides is unknown here"
        )
        nearness = (
            f"{decides}: these show what it could learn from (–: invalid). Nearest by the "
            "backbone's embeddings"
        )
    return (
        f"Starred: the best teacher for a prompt. {nearness}, standardised; in order of Euclidean "
        "distance. Similarity: cosine."
    )
