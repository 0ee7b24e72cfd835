"""Preferences between calibration answers, in TRL's format (METHOD.md, "Preferences")."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, groupby
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.rewards.reward import TIE, compute_rewards
from persyn_kedro.domain.training_set.merge import trainable_text
from persyn_kedro.foundations.prompts.conversation import Prompt, as_rows, with_system
from persyn_kedro.foundations.settings.export import PreferencesSettings
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.settings.models import Think
from persyn_kedro.foundations.tables.schemas import PREFERENCES

VERSION = 1  # raise it when the same inputs give another result

PREFERENCES_FILE = "preferences/train.parquet"
CONFIG = "preferences"  # its name for ``load_dataset``
_BLOCK = 256  # prompts


def pair_preferences(
    scored: pa.Table,
    responses: pa.Table,
    prompts: Mapping[str, Prompt],
    thinks: Mapping[str, Think],
    system: str | None,
    settings: PreferencesSettings,
) -> pa.RecordBatchReader:
    """Return ``schemas.PREFERENCES``, streamed in the order of ``scored``.

    No pair has a failed, truncated, empty or otherwise invalid answer, also where truncated ones
    may be trained on. Equal texts count once.

    Args:
        scored: as returned by ``scores_of_answers``.
        responses: rows of ``schemas.RESPONSES``.
        prompts: by prompt_id.
        thinks: each teacher's ``think`` setting.
        system: the student's own system prompt.
    """
    valid = scored.filter(pc.field("score").is_valid())
    rows = responses.select(["response_key", "response", "finish_reason"])
    place = pc.index_in(valid["response_key"], value_set=rows["response_key"])
    answers = valid.append_column("place", place)

    def batches() -> Iterator[pa.RecordBatch]:
        found: list[dict[str, Any]] = []
        by_prompt = groupby(_rows(answers, rows), key=lambda row: row["prompt_id"])
        for number, (prompt_id, own) in enumerate(by_prompt, start=1):
            told = as_rows(with_system(prompts[prompt_id], system, "row_first"))
            found += [{"prompt": told, **pair} for pair in _pairs(own, thinks, settings)]
            if number % _BLOCK == 0:
                yield pa.RecordBatch.from_pylist(found, PREFERENCES)
                found = []
        yield pa.RecordBatch.from_pylist(found, PREFERENCES)

    return pa.RecordBatchReader.from_batches(PREFERENCES, batches())


def scores_of_answers(
    responses: pa.Table,
    statistics: pa.Table,
    quality: pa.Table,
    teachers: Sequence[str],
    label: LabelSettings,
    settings: PreferencesSettings,
) -> pa.Table:
    """Return prompt_id, teacher, response_key and score of each teacher's best answer to a prompt.

    The score is that of this one answer, also where labels are means over several; it is null where
    the answer is invalid. By quality alone it is the raw quality, and an answer without
    learnability is valid.
    """
    changes: dict[str, Any] = {"samples": "best"}
    if settings.by == "quality":
        changes["alpha"] = 0.0
    rewards = compute_rewards(
        responses, statistics, quality, teachers, label.model_copy(update=changes)
    )
    score = pc.if_else(rewards["valid"], rewards[settings.by], None)
    return rewards.select(["prompt_id", "teacher", "response_key"]).append_column("score", score)


def choose_pairs(
    scores: Sequence[float], settings: PreferencesSettings
) -> Iterator[tuple[int, int]]:
    """Yield the places of (chosen, rejected), best first; scores that differ by 1e-9 are tied."""
    order = sorted(range(len(scores)), key=lambda place: -scores[place])
    if settings.pairs == "best_vs_worst":
        order = [order[0], order[-1]] if len(order) > 1 else []
    for better, worse in combinations(order, 2):
        margin = scores[better] - scores[worse]
        if margin > TIE and margin >= settings.min_margin - TIE:
            yield better, worse


def _rows(answers: pa.Table, responses: pa.Table) -> Iterator[dict[str, Any]]:
    """Yield the answers with their texts, of which few are in memory twice."""
    for batch in answers.to_batches(max_chunksize=1024):
        texts = responses.take(batch["place"]).drop_columns(["response_key"])
        for row, text in zip(batch.to_pylist(), texts.to_pylist(), strict=True):
            yield {**row, **text}


def _pairs(
    rows: Iterator[dict[str, Any]], thinks: Mapping[str, Think], settings: PreferencesSettings
) -> Iterator[dict[str, Any]]:
    answers: dict[str, dict[str, Any]] = {}
    for row in rows:
        text = trainable_text(row, thinks[row["teacher"]], allow_truncated=False)
        if text is not None:
            answers.setdefault(text, row)
    texts, own = list(answers), list(answers.values())
    for better, worse in choose_pairs([row["score"] for row in own], settings):
        pair: dict[str, Any] = {
            "prompt_id": own[better]["prompt_id"],
            "margin": own[better]["score"] - own[worse]["score"],
        }
        for side, place in (("chosen", better), ("rejected", worse)):
            pair[side] = [{"role": "assistant", "content": texts[place]}]
            for name in ("score", "teacher", "response_key"):
                pair[f"{name}_{side}"] = own[place][name]
        yield pair
