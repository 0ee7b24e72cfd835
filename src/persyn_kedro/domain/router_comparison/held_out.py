"""The trained router's scores of its held-out prompts, by the process that fits its curve."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from persyn_kedro.domain.router_comparison.fitting import Fitting, fit_and_score_job
from persyn_kedro.domain.routers import embeddings
from persyn_kedro.domain.routers.jobs import score_prompts_job
from persyn_kedro.foundations.processes.child import run_in_child
from persyn_kedro.foundations.prompts.conversation import Prompt


@dataclass
class HeldOut:
    """The prompts to score: the model that embeds them is loaded once for them and for all fits.

    Attributes:
        directory: the router's.
        pool: ``teachers.pool_identity``.
    """

    prompts: Sequence[Prompt]
    directory: Path
    pool: list[dict[str, Any]]
    batch_size: int
    _found: list[np.ndarray] = field(default_factory=list)

    def fit(self, fittings: list[Fitting]) -> Generator[np.ndarray, None, None]:
        """Score the prompts, then yield each fitting's (n, K) scores, as ``scores_of`` has it."""
        asked = (list(self.prompts), self.directory, self.pool, self.batch_size)
        work = (score_and_fit_job, asked, fittings)
        with closing(run_in_child(*work, label="measuring the router")) as results:
            left = len(self.prompts)
            while left > 0:
                self._found.append(next(results))
                left -= len(self._found[-1])
            yield from results

    def scores(self) -> np.ndarray:
        """Return the prompts' (n, K) float32 scores, by a process of their own if none was fit."""
        if not self._found:
            list(self.fit([]))
        return np.concatenate(self._found)


def score_and_fit_job(
    asked: tuple[list[Prompt], Path, list[dict[str, Any]], int], fittings: list[Fitting]
) -> Iterator[np.ndarray]:
    """Yield the trained router's scores in batches, then each fitting's (n, K) scores."""
    with embeddings.remembered():
        yield from score_prompts_job(*asked)
        yield from fit_and_score_job(fittings)
