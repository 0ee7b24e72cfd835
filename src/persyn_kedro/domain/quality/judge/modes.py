"""Ways of judging: which questions a judge is asked, and what its verdicts say of each answer."""

import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any, ClassVar

import numpy as np

from persyn_kedro.domain.quality.judge import verdicts, wording
from persyn_kedro.domain.quality.judge.rubric import Rubric
from persyn_kedro.foundations.hashing import seed_for, settings_id

Verdict = Any  # what a mode's ``read`` returns
SAME = 0.5  # what an answer gets of a tie, and each pair gets beforehand to either side


@dataclass(frozen=True)
class Question:
    """A request to the judge.

    Attributes:
        text: all of it.
        sample: which of the judge's replies to this text is wanted.
        answers: what is shown, as numbers among the prompt's distinct answers, in the order shown.
    """

    text: str
    sample: int
    answers: tuple[int, ...]


@dataclass(frozen=True)
class Mode(ABC):
    """A way of judging the distinct answers to one prompt.

    Attributes:
        rubric: what makes an answer good.
        samples: replies to each question.
        tie: the quality of answers that are all the same text, if only others can tell what an
            answer is worth.
    """

    rubric: Rubric
    samples: int
    tie: ClassVar[float | None] = None

    def count(self, answers: int) -> int:
        """Return the number of questions about this many answers."""
        return answers * self.samples

    @abstractmethod
    def questions(self, row: Mapping[str, Any], answers: Sequence[str]) -> Iterator[Question]:
        """Yield what to ask about the answers to a prompt (a row of ``SOURCE_PROMPTS``)."""

    @abstractmethod
    def read(self, reply: str, question: Question) -> Verdict | None:
        """Return the verdict of a reply; None if it is unreadable."""

    @abstractmethod
    def qualities(
        self, count: int, judged: Sequence[tuple[Question, Verdict]], told: Counter[str]
    ) -> list[float | None]:
        """Return the quality of each of ``count`` answers by the readable verdicts.

        Args:
            told: counts for the report are added to it.
        """

    @property
    @abstractmethod
    def schema(self) -> str:
        """The JSON schema of a reply."""


class Score(Mode):
    """A number on the rubric's scale for each answer by itself; the mean over the replies."""

    def questions(self, row: Mapping[str, Any], answers: Sequence[str]) -> Iterator[Question]:
        """Yield one for each answer."""
        task = "Score the answer."
        for number, answer in enumerate(answers):
            text = wording.shown(self.rubric, row, [answer], task, wording.score_reply(self.rubric))
            yield from (Question(text, sample, (number,)) for sample in range(self.samples))

    def read(self, reply: str, question: Question) -> float | None:
        """Return the score."""
        return verdicts.read_score(reply, self.rubric)

    def qualities(
        self, count: int, judged: Sequence[tuple[Question, float]], told: Counter[str]
    ) -> list[float | None]:
        """Return mean scores."""
        scores: list[list[float]] = [[] for _ in range(count)]
        for question, score in judged:
            scores[question.answers[0]].append(score)
        return [float(np.mean(own)) if own else None for own in scores]

    @property
    def schema(self) -> str:
        """A number on the scale."""
        scale = {"minimum": self.rubric.least, "maximum": self.rubric.most}
        return wording.reply_schema("score", {"type": "number", **scale})


class Pairwise(Mode):
    """Each pair in both orders; the wins become Bradley-Terry strengths (METHOD.md, section 1).

    ``told`` counts pairs with a verdict in both orders, how many verdicts follow the position
    (the first, or the second, is called better both times), and how many of these the first.
    """

    tie = 0.0

    def count(self, answers: int) -> int:
        """Return that of ordered pairs."""
        return answers * (answers - 1) * self.samples

    def questions(self, row: Mapping[str, Any], answers: Sequence[str]) -> Iterator[Question]:
        """Yield one for each ordered pair."""
        task = "Say which of the two answers is better."
        for pair in permutations(range(len(answers)), 2):
            two = [answers[number] for number in pair]
            text = wording.shown(self.rubric, row, two, task, wording.better_reply())
            yield from (Question(text, sample, pair) for sample in range(self.samples))

    def read(self, reply: str, question: Question) -> int | None:
        """Return 1 if the first is better, 2 if the second is, 0 if neither is."""
        return verdicts.read_better(reply)

    def qualities(
        self, count: int, judged: Sequence[tuple[Question, int]], told: Counter[str]
    ) -> list[float | None]:
        """Return strengths, whose mean is 0; None for an answer that was in no readable pair."""
        wins = np.zeros((count, count))
        positions = {(*question.answers, question.sample): better for question, better in judged}
        for (first, second, sample), better in positions.items():
            share = {0: SAME, 1: 1.0, 2: 0.0}[better]
            wins[first, second] += share
            wins[second, first] += 1 - share
            other = positions.get((second, first, sample))
            if first < second and other is not None:
                told["pairs"] += 1
                told["by_position"] += better == other != 0
                told["by_first"] += better == other == 1
        return _strengths(wins)

    @property
    def schema(self) -> str:
        """0, 1 or 2."""
        return wording.reply_schema("better", {"type": "integer", "enum": [0, 1, 2]})


def _strengths(wins: np.ndarray) -> list[float | None]:
    """Return Bradley-Terry strengths of (n, n) wins of rows over columns, among those compared.

    Each compared pair has a tie more than it had, which keeps the strengths finite.
    """
    from choix import ilsr_pairwise_dense

    known = np.flatnonzero((wins + wins.T).sum(axis=1))
    found: list[float | None] = [None] * len(wins)
    if len(known):
        own = wins[np.ix_(known, known)]
        ties = SAME * (1 - np.eye(len(known)))
        for number, strength in zip(known, ilsr_pairwise_dense(own + ties), strict=True):
            found[number] = float(strength)
    return found


class Listwise(Mode):
    """All answers at once, shuffled anew for each reply; the mean over the replies of the share of
    the other answers that are ranked below.

    ``told`` counts lists, those whose best is the first shown, and the share expected by chance.
    """

    tie = SAME

    def count(self, answers: int) -> int:
        """Return that of shuffles."""
        return self.samples if answers > 1 else 0

    def questions(self, row: Mapping[str, Any], answers: Sequence[str]) -> Iterator[Question]:
        """Yield one for each shuffle."""
        if len(answers) < 2:
            return
        task, reply = "Rank the answers.", wording.ranking_reply(len(answers))
        what = settings_id({"answers": list(answers)})
        for sample in range(self.samples):
            order = list(range(len(answers)))
            random.Random(seed_for(sample, "listwise", what)).shuffle(order)  # noqa: S311
            text = wording.shown(self.rubric, row, [answers[n] for n in order], task, reply)
            yield Question(text, sample, tuple(order))

    def read(self, reply: str, question: Question) -> tuple[int, ...] | None:
        """Return the places of the answers as shown, from 1, the best first."""
        return verdicts.read_ranking(reply, len(question.answers))

    def qualities(
        self,
        count: int,
        judged: Sequence[tuple[Question, tuple[int, ...]]],
        told: Counter[str],
    ) -> list[float | None]:
        """Return from 1, the best, to 0, the worst."""
        if not judged:
            return [None] * count
        below = np.zeros((len(judged), count))
        for row, (question, ranking) in enumerate(judged):
            for rank, place in enumerate(ranking):
                below[row, question.answers[place - 1]] = (count - 1 - rank) / (count - 1)
            told["lists"] += 1
            told["first_best"] += ranking[0] == 1
            told["first_by_chance"] += 1 / count  # type: ignore[assignment]  # a share, not a count
        return below.mean(axis=0).tolist()

    @property
    def schema(self) -> str:
        """A list of whole numbers."""
        return wording.reply_schema("ranking", {"type": "array", "items": {"type": "integer"}})


MODES: dict[str, type[Mode]] = {"score": Score, "pairwise": Pairwise, "listwise": Listwise}
