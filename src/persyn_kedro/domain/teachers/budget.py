"""The budget for teachers: what a run has spent, and a check before every further call."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from threading import Condition
from typing import TYPE_CHECKING, Any

from persyn_kedro.foundations.settings.spending import Budget

if TYPE_CHECKING:
    from persyn_kedro.domain.engines.base import Generation, Request
    from persyn_kedro.domain.teachers.recipe import Recipe

TEMPLATE_TOKENS = 64  # upper bound on the tokens that a chat template adds to a prompt
TURN_TOKENS = 16  # likewise, to each further turn of a conversation
WAIT_SECONDS = 0.5


class BudgetReached(Exception):
    """The next call could exceed a limit, whatever those in flight turn out to use."""


class Ledger:
    """Tokens (prompt and completion) and cost of a run, in total and per account.

    An account is a teacher, or a judge (``Recipe.account``).
    Before a call is made, its worst case is reserved: one token per byte sent, plus all of
    ``max_new_tokens``. Once it is answered, its actual usage is booked instead.
    """

    def __init__(self) -> None:
        self._spent: dict[str | None, list[float]] = defaultdict(lambda: [0.0, 0.0])
        self._reserved: dict[str, tuple[str, tuple[float, float]]] = {}  # key: account, worst case
        self._counts: dict[str, dict[str, float]] = {}
        self._changed = Condition()  # several models may run at once

    def spent(self, account: str | None = None) -> tuple[float, float]:
        """Return (tokens, cost) of an account, or of the whole run, reservations included."""
        tokens, cost = self._spent[account]
        return tokens, cost

    def reserve(
        self,
        recipe: "Recipe",
        request: "Request",
        run: Budget,
        context: float = float("inf"),
        blocked: Collection[str] = (),
    ) -> bool:
        """Reserve the most that a call can use; ``run`` is the limit for all teachers together.

        Args:
            context: the most tokens that prompt and answer can have together, if known.
            blocked: accounts whose calls in flight cannot end before this one is made.

        Returns:
            Whether it is reserved; False if it may fit once calls in flight are answered.

        Raises:
            BudgetReached: the call could exceed a limit even then; the message names the limit.
        """
        if not (run.limits or recipe.budget.limits):
            return True  # no limits; skip the bookkeeping, as there may be millions of calls
        worst = _worst(recipe, request, context)
        with self._changed:
            if not self._fits(recipe, worst, run, blocked):
                return False
            self._reserve(recipe, request, worst)
            return True

    def commit(self, recipe: "Recipe", request: "Request", run: Budget) -> None:
        """Reserve the most that a call can use that an earlier run made: it is due in any case."""
        if run.limits or recipe.budget.limits:
            with self._changed:
                self._reserve(recipe, request, _worst(recipe, request))

    def _reserve(self, recipe: "Recipe", request: "Request", worst: tuple[float, float]) -> None:
        self._reserved[request.key] = (recipe.account, worst)
        self._add(recipe.account, worst, 1)

    def _fits(
        self, recipe: "Recipe", worst: tuple[float, float], run: Budget, blocked: Collection[str]
    ) -> bool:
        fits = True
        for who, budget in ((recipe.account, recipe.budget), (None, run)):
            limits = (("max_tokens", budget.max_tokens), ("max_cost", budget.max_cost))
            for place, (name, limit) in enumerate(limits):
                booked = self._spent[who][place]
                if limit is None or booked + worst[place] <= limit:
                    continue
                fits = False
                in_flight = self._in_flight(who, place, blocked)
                if not in_flight or booked - in_flight + worst[place] > limit:
                    whose = recipe.spoken if who else "the run"
                    raise BudgetReached(
                        f"Stopped because the next call could exceed {name} = {limit:g} of {whose} "
                        f"({booked:g} spent or reserved). All answers are kept: raise the budget "
                        "and run again to continue."
                    )
        return fits

    def _in_flight(self, who: str | None, place: int, blocked: Collection[str]) -> float:
        """Return what is reserved for an account, or for all, and may be released."""
        return sum(
            worst[place]
            for account, worst in self._reserved.values()
            if who in (None, account) and account not in blocked
        )

    def has_in_flight(self, accounts: Collection[str]) -> bool:
        """Return whether anything is reserved for these accounts."""
        with self._changed:
            return any(account in accounts for account, _ in self._reserved.values())

    def wait(self) -> None:
        """Wait until a call is answered, but at most ``WAIT_SECONDS``."""
        with self._changed:
            self._changed.wait(WAIT_SECONDS)

    def release(self, accounts: Collection[str], under_way: Collection[str] = ()) -> None:
        """Release what is reserved for these accounts, none of whose calls is answered any more.

        Calls that are ``under_way`` (by key), for a later run to collect, count as spent instead.
        """
        with self._changed:
            for key in [key for key, (who, _) in self._reserved.items() if who in accounts]:
                who, worst = self._reserved.pop(key)
                if key not in under_way:
                    self._add(who, worst, -1)
            self._changed.notify_all()

    def book(self, recipe: "Recipe", key: str, generation: "Generation") -> None:
        """Replace a call's reservation by what it used: the worst case for each try of unknown
        usage, nothing if the prompt was skipped."""
        prompt = generation.prompt_tokens if generation.asked else 0
        completion = generation.completion_tokens
        cached = generation.cached_prompt_tokens or 0
        took = (float(prompt + completion), recipe.cost(prompt, completion, cached))
        with self._changed:
            _, worst = self._reserved.pop(key, ("", (0.0, 0.0)))
            self._add(recipe.account, worst, generation.unknown - 1)
            self._add(recipe.account, took, 1)
            self._count(
                recipe.teacher,
                calls=generation.asked,
                prompt_tokens=prompt,
                completion_tokens=completion,
                cached_prompt_tokens=cached,
                cost=took[1],
                failures=generation.error is not None,
                **({"by_batch": generation.asked} if recipe.model.settings.batch else {}),
                tries_of_unknown_cost=generation.unknown,
            )
            self._changed.notify_all()

    def time(self, seconds: float, tokens: Mapping[str, int]) -> None:
        """Record how long a model took, divided among its teachers by completion ``tokens``."""
        total = sum(tokens.values())
        for teacher, count in tokens.items():
            share = count / total if total else 1 / len(tokens)
            with self._changed:
                self._count(teacher, seconds=seconds * share)

    def take_counts(self) -> list[dict[str, Any]]:
        """Return and reset calls, tokens, cost, failures and seconds per teacher."""
        taken, self._counts = self._counts, {}
        return [{"teacher": teacher, **counts} for teacher, counts in taken.items()]

    def _count(self, teacher: str, **more: float) -> None:
        counts = self._counts.setdefault(teacher, {})
        for name, value in more.items():
            counts[name] = counts.get(name, 0) + value

    def _add(self, account: str, amounts: tuple[float, float], sign: int) -> None:
        for who in (account, None):
            for place, amount in enumerate(amounts):
                self._spent[who][place] += sign * amount


def _worst(
    recipe: "Recipe", request: "Request", context: float = float("inf")
) -> tuple[float, float]:
    """Return the most tokens that a call can use, and what they cost."""
    size = int(min(_most_tokens(request.messages), context))
    most = int(min(recipe.sampling.max_new_tokens, context))
    return float(size + most), recipe.cost(size, most)


def _most_tokens(messages: Sequence[Mapping[str, str]]) -> int:
    """Return an upper bound on the tokens of a rendered chat."""
    size = sum(len(message["content"].encode()) for message in messages)
    turns = sum(message["role"] != "system" for message in messages)
    return size + TEMPLATE_TOKENS + (turns - 1) * TURN_TOKENS
