"""Which prompts are answered, and what their answers would need."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.domain.cost_aware.expected import prompt_bytes
from persyn_kedro.domain.designs.asked import asked_of, unanswered
from persyn_kedro.foundations.settings.teachers import Teachers


@dataclass(frozen=True)
class Asked:
    """Which of n prompts are answered, and how many answers of each teacher they lack.

    Attributes:
        sizes: (n,) the prompts' bytes.
        counted: (n,) bool, whether limits count the prompt: those of calibration and train.
        calibration: (n,) bool; these have answers from labelling.
        answers: wanted of the chosen teacher.
        known: (K,) answers of each teacher to a calibration prompt that it was asked.
        unasked: (c, K) bool, the teachers that an incomplete design did not ask each of the c
            calibration prompts, which lack all answers; None: every teacher was asked.
    """

    sizes: np.ndarray
    counted: np.ndarray
    calibration: np.ndarray
    answers: int
    known: np.ndarray
    unasked: np.ndarray | None = None

    @cached_property
    def lacking(self) -> np.ndarray:
        """(n, K) float32, the answers to ask for if the teacher is chosen."""
        found = np.full((len(self.sizes), len(self.known)), self.answers, np.float32)
        more = np.maximum(self.answers - self.known, 0)
        found[self.calibration] = (
            more if self.unasked is None else np.where(self.unasked, self.answers, more)
        )
        return found


def lacking_answers(
    prompts: pads.Dataset,
    counted: pa.Array | pa.ChunkedArray | None,
    calibration: pa.Array | pa.ChunkedArray,
    responses: pads.Dataset,
    teachers: Teachers,
    answers: int,
) -> Asked:
    """Return what each prompt's answers would need: those from labelling are there already.

    Args:
        prompts: with ``prompt_id`` and ``prompt``.
        counted: ids of those that limits count; None: all.
        calibration: ids of those that were labelled.
        responses: ``schemas.RESPONSES`` to these.
        answers: wanted of the chosen teacher.
    """
    ids, sizes = prompt_bytes(prompts)
    known = np.array([teacher.samples for teacher in teachers.root.values()])
    own = pc.is_in(ids, value_set=calibration)
    every = np.ones(len(ids), bool)
    limited = every if counted is None else pc.is_in(ids, value_set=counted).to_numpy()
    unasked = None
    if asked_of(responses.schema) is not None:
        pairs = responses.to_table(columns=["prompt_id", "teacher"])
        unasked = unanswered(pairs, ids.filter(own), list(teachers.root))
    return Asked(sizes, limited, own.to_numpy(), answers, known, unasked)
