"""The prompts of a plan: by split, by the teacher that a router chose, and by round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.domain.designs.balanced import asked_prompts
from persyn_kedro.domain.planning.lengths import SAMPLE
from persyn_kedro.domain.prompts.focus import round_schedule
from persyn_kedro.domain.prompts.left_out import FOCUS_KEY, KEPT, prompts_left_out, without
from persyn_kedro.domain.prompts.select import (
    ANSWERED,
    TEST,
    TRAIN,
    holds_system,
    select_ids,
    select_texts,
    within,
)
from persyn_kedro.domain.routers.assignment import pool_of
from persyn_kedro.domain.routers.saving import pool_difference
from persyn_kedro.domain.teachers.recipe import Recipe, pool_identity
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.settings.rounds import RoundsSettings
from persyn_kedro.foundations.settings.teachers import Teachers

NO_IDS = pa.array([], pa.string())


@dataclass(frozen=True)
class Prompts:
    """The prompts' ids by split, and some of them whole.

    Attributes:
        calibration: ids.
        train: ids.
        test: ids.
        sample: calibration and train prompts, evenly spaced.
        systems: whether a test prompt has a system message of its own.
        asked: by teacher, the calibration prompts that an incomplete design asks it at random;
            empty for a full one.
        adaptive: whether it may then ask all the others too.
        train_systems: as ``systems``, for train prompts.
        checkable: ids of the train prompts that the student may be asked before the teachers are.
        later: ids of the train prompts that wait for a later round.
    """

    calibration: pa.Array
    train: pa.Array
    test: pa.Array
    sample: Sequence[Prompt]
    systems: bool
    asked: Mapping[str, pa.Array] = field(default_factory=dict)
    adaptive: bool = False
    checkable: pa.Array = field(default_factory=lambda: NO_IDS)
    train_systems: bool = False
    later: pa.Array = field(default_factory=lambda: NO_IDS)

    def asked_of(self, teacher: str) -> pa.Array:
        """Return the calibration prompts that labelling asks a teacher."""
        return self.asked.get(teacher, self.calibration)


@dataclass(frozen=True)
class Routed:
    """The prompts that a router sent to one teacher."""

    calibration: pa.Array
    train: pa.Array


def read_prompts(
    prompts: pads.Dataset,
    teachers: Teachers,
    label: LabelSettings,
    rounds: RoundsSettings,
    seed: int,
) -> Prompts:
    """Return the prompts' ids by split, and a sample of them; never all texts.

    ``label`` says whom calibration asks, ``rounds`` which train prompts wait; both with ``seed``.
    """
    asked = select_texts(prompts, ANSWERED)
    some = np.linspace(0, len(asked) - 1, min(SAMPLE, len(asked))).astype(int)
    by_split = {
        name: select_ids(prompts, [name])["prompt_id"].combine_chunks()
        for name in ("calibration", "train", "test")
    }
    sample = [prompt for _, prompt in asked.at(some)]
    known = within(prompts, TRAIN) & pads.field("reference").is_valid()
    own, names = by_split["calibration"].to_pylist(), list(teachers.root)
    by_teacher = asked_prompts(own, names, label, seed)
    return Prompts(
        **by_split,
        sample=sample,
        systems=holds_system(prompts, TEST),
        asked={name: pa.array(ids, pa.string()) for name, ids in by_teacher.items()},
        adaptive=label.design.adaptive is not None,
        train_systems=holds_system(prompts, TRAIN),
        checkable=prompts.to_table(columns=["prompt_id"], filter=known)[
            "prompt_id"
        ].combine_chunks(),
        later=_later(prompts, rounds, seed),
    )


def _later(prompts: pads.Dataset, rounds: RoundsSettings, seed: int) -> pa.Array:
    if rounds.count == 1:
        return NO_IDS
    return prompts_left_out(pads.dataset(round_schedule(prompts, rounds, seed)))


def first_round(prompts: Prompts) -> Prompts:
    """Return the prompts without those that wait for a later round."""
    now = {
        name: ids.take(pa.array(without(ids, prompts.later)))
        for name in ("train", "checkable")
        if len(ids := getattr(prompts, name))
    }
    return replace(prompts, **now)


def routed_prompts(
    assignments: pads.Dataset, prompts: Prompts, recipes: Sequence[Recipe]
) -> dict[str, Routed] | None:
    """Return by teacher the prompts that a router sent to it (from ASSIGNMENTS).

    None if they are for another pool (including the same names with other models, prompts or
    sampling), or lack a train prompt.
    """
    if pool_difference(pool_of(assignments.schema), pool_identity(list(recipes))):
        return None
    table = assignments.to_table(columns=["prompt_id", "teacher"])
    if pc.sum(pc.is_in(prompts.train, value_set=table["prompt_id"])).as_py() != len(prompts.train):
        return None

    def sent(teacher: str, among: pa.Array) -> pa.Array:
        to_it = table.filter(pc.equal(table["teacher"], teacher))["prompt_id"]
        return to_it.filter(pc.is_in(to_it, value_set=among)).combine_chunks()

    return {
        r.teacher: Routed(sent(r.teacher, prompts.calibration), sent(r.teacher, prompts.train))
        for r in recipes
    }


def focused_prompts(
    prompts: Prompts, focus: pads.Dataset | None, wanted: str
) -> tuple[Prompts, pa.Table | None]:
    """Return the prompts without those that get no answer, and the rows of ``schemas.FOCUS``.

    These are None, and the prompts all of the first round, if ``focus`` was not made by the
    settings with the identity ``wanted``, or lacks a train prompt.
    """
    if focus is None or (focus.schema.metadata or {}).get(FOCUS_KEY) != wanted.encode():
        return first_round(prompts), None
    table = focus.to_table()
    table = table.filter(pc.is_in(table["prompt_id"], value_set=prompts.train))
    if len(table) < len(prompts.train):
        return first_round(prompts), None
    kept = table["prompt_id"].filter(pc.equal(table["why"], KEPT))
    asked = table["prompt_id"].filter(pc.is_valid(table["answers"])).combine_chunks()
    return replace(prompts, train=kept.combine_chunks(), checkable=asked), table
