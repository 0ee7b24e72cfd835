"""Send one model's calls to its engine, unless the budget is used up or it fails too often."""

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain
from typing import cast

from persyn_kedro.domain.engines.base import Engine, Generation, Request
from persyn_kedro.domain.engines.resident import generate_in_child
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers.budget import BudgetReached, Ledger
from persyn_kedro.domain.teachers.record import Recorder, Tally
from persyn_kedro.domain.teachers.requests import Call, TeacherRequests, follow_schema
from persyn_kedro.foundations.errors import PersynError, Waiting
from persyn_kedro.foundations.processes.child import check_stopped
from persyn_kedro.foundations.progress import watching

log = logging.getLogger(__name__)


class Stopped(Exception):
    """A model failed too often, or would fail on every further call."""


def dispatch(
    group: Sequence[TeacherRequests],
    store: ResponseStore,
    seed: int,
    ledger: Ledger,
    once_loaded: Callable[[], object],
) -> None:
    """Make one model's calls and record the answers; on any exit, those received are recorded.

    Args:
        once_loaded: called when the first answer is there.

    Raises:
        PersynError: the model's process died, the budget is used up, or calls were not answered.
        EngineError: the model cannot go on.
        Waiting: a later run collects the answers.
        Stopped: more than ``max_failure_share`` of the calls failed, or one failed in a way that
            all others would. The remaining calls are noted as not asked.
    """
    engine, count = group[0].engine, sum(len(each.missing) for each in group)
    label = f"{engine.name} {engine.model.name}"
    if engine.hosted:
        engine.jobs = store.jobs
    log.info("%s: generating %d responses with %s", engine.model.name, count, engine.name)
    for recipe in {each.recipe.shelf: each.recipe for each in group}.values():
        store.describe(recipe.shelf, recipe.identity)
    requests = _Admitted(group, ledger, seed)
    with watching(label, count, "calls") as watch:
        recorder = Recorder(group, Tally(label, count, watch), store, ledger)
        try:
            generations = _generations(engine, requests, follow_schema(group), label)
            failing = _record_all(engine, generations, recorder, once_loaded)
        finally:  # what was not sent: other models may be waiting for it
            ledger.release({each.recipe.account for each in group}, engine.under_way())
        if failing is not None:
            message = _why(failing, recorder)
            log.error(message)
            recorder.give_up()
            raise Stopped(message)
    if engine.waiting:
        raise Waiting(_waiting(group, recorder.pending.left, requests.reached))
    if requests.reached is not None:
        raise PersynError(str(requests.reached)) from requests.reached
    left = recorder.pending.left
    if left:
        raise PersynError(
            f"{label} returned no answer to {left} of {count} requests; run again to retry them."
        )


def _record_all(
    engine: Engine,
    made: Generator[Generation, None, None],
    recorder: Recorder,
    once_loaded: Callable[[], object],
) -> Generation | None:
    """Record all answers; return the one after which the model was stopped, if any."""
    tally, share = recorder.tally, engine.settings.max_failure_share
    try:
        with closing(made) as generations:
            for number, generation in enumerate(generations):
                if number == 0:
                    once_loaded()
                recorder.record(generation)
                check_stopped()
                if generation.remedy or tally.is_failing(share):
                    return generation
    finally:
        for late in engine.drain():  # these are paid for too
            recorder.record(late)
        recorder.flush()
        tally.report()
    return None


class _Admitted:
    """The calls' requests, as long as the budget lasts; ``reached`` is the limit that ended it.

    A call that does not fit waits for other models' calls in flight. A hosted model can wait for
    its own, too: it gets None, which means that one of them has to be answered first.
    """

    def __init__(self, group: Sequence[TeacherRequests], ledger: Ledger, seed: int) -> None:
        self._group, self._ledger, self._seed = group, ledger, seed
        self._accounts = {each.recipe.account for each in group}
        self._sent = group[0].engine.under_way()  # committed: what is new comes after
        self.reached: BudgetReached | None = None

    def __iter__(self) -> Iterator[Request | None]:
        engine = self._group[0].engine
        for call, request in self._requests(sent=True) if self._sent else ():
            self._ledger.commit(call.recipe, request, engine.settings.budget)
            yield request
        run, blocked = engine.settings.budget, () if engine.hosted else self._accounts
        for call, request in self._requests(sent=False):
            try:
                while not self._ledger.reserve(call.recipe, request, run, engine.context, blocked):
                    if engine.hosted and self._ledger.has_in_flight(self._accounts):
                        yield None
                    else:
                        self._ledger.wait()
                        check_stopped()
            except BudgetReached as reached:
                self.reached = reached
                return
            yield request

    def _requests(self, sent: bool) -> Iterator[tuple[Call, Request]]:
        """Yield the calls that were sent by an earlier run, or the others."""
        for call, request in chain.from_iterable(each.requests(self._seed) for each in self._group):
            if (call.key in self._sent) == sent:
                yield call, request


def _generations(
    engine: Engine, requests: Iterable[Request | None], follows_schema: bool, label: str
) -> Generator[Generation, None, None]:
    """Run the engine in a child process or in this one; start no child without a request."""
    admitted = iter(requests)
    try:
        first = next(admitted)
    except StopIteration:
        return
    feed = cast("Iterator[Request]", chain([first], admitted))  # only hosted ones get None
    if engine.in_child:
        yield from generate_in_child(engine, feed, follows_schema, label)
    else:
        yield from engine.generate(feed)


def _waiting(group: Sequence[TeacherRequests], left: int, reached: BudgetReached | None) -> str:
    """Return the sentence that says what a later run collects; ``left`` is what is not answered."""
    engine, asked = group[0].engine, dict.fromkeys(each.recipe.spoken for each in group)
    count, jobs = sum(engine.waiting.values()), ", ".join(engine.waiting)
    told = [
        f"Waiting for {count} answers of {' and '.join(asked)} from {engine.name} ({jobs}): run "
        "the same command again to collect them."
    ]
    if engine.trouble:
        told.append(engine.trouble)
    if reached is not None:
        told.append(str(reached))
    elif left > count and not engine.trouble:
        told.append(f"The budget has room for {left - count} more only once these are answered.")
    return " ".join(told)


def _why(last: Generation, recorder: Recorder) -> str:
    """Return the message that says why the model was stopped after its ``last`` answer."""
    tally = recorder.tally
    if last.remedy:
        recipe = recorder.pending.of(last.key).recipe
        remedy = last.remedy.replace("teachers.{teacher}", recipe.settings_key)
        why = (
            f"{recipe.spoken[0].upper()}{recipe.spoken[1:]} was stopped because every other call "
            f"to {tally.label} would fail too ({last.error}): "
            f"{remedy.replace('{teacher}', recipe.teacher)}"
        )
    else:
        why = (
            f"{tally.label} was stopped because it failed on {tally.failures} of {tally.sent} "
            f"prompts (last error: {last.error})"
        )
    return f"{why}; all answers are kept, and the next run requests only the missing ones."
