"""Regret against calibration tokens of the designs of `label.design`, from known answers.

    .venv/bin/python benchmarks/designs.py benchmarks/data/zoo_calibration.parquet
    .venv/bin/python benchmarks/designs.py --made-up

Every teacher's answer to every prompt is known, and looked up when a design asks for it. The table
has a row for each prompt and teacher: ``prompt_id``, ``teacher``, ``quality``, ``learnability`` and
``completion_tokens``; ``valid`` and ``prompt_tokens`` if known; and ``embedding`` or ``prompt``,
whose tf-idf stands in for embeddings. In place of the table, a project's data directory may be
given, whose newest tables are joined.

For each of five seeds and folds, the prompts of one fold are set aside. A design asks about the
others, the project's kNN and linear routers are fitted on what it got, and their choices for the
fold are measured by all true answers (``pool_z``, alpha 0.4). ``full`` and the balanced designs are
given growing shares of the prompts, the adaptive one growing budgets.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from persyn_kedro.domain.adaptive.batches import answer_adaptively
from persyn_kedro.domain.adaptive.calibration import Calibration
from persyn_kedro.domain.designs.asked import asked_of, with_asked
from persyn_kedro.domain.designs.balanced import balanced
from persyn_kedro.domain.rewards.reward import NOT_ASKED
from persyn_kedro.domain.rewards.scales import normalise
from persyn_kedro.domain.routers.knn import KnnRouter
from persyn_kedro.domain.routers.linear import LinearRouter
from persyn_kedro.foundations.hashing import unit_draw
from persyn_kedro.foundations.settings.design import AdaptiveSettings
from persyn_kedro.foundations.settings.routers import KnnRouterSettings, LinearRouterSettings
from persyn_kedro.foundations.settings.spending import Budget
from persyn_kedro.foundations.tables.schemas import CALLS

ALPHA, HOW, FOLDS = 0.4, "pool_z", 5
SHARES = (0.15, 0.3, 0.45, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class Answers:
    """All answers: (n, K) arrays in the order of ``prompt_ids`` and ``teachers``."""

    prompt_ids: list[str]
    teachers: list[str]
    points: np.ndarray
    quality: np.ndarray
    learnability: np.ndarray
    valid: np.ndarray
    tokens: np.ndarray

    def rewards(self, asked: np.ndarray) -> np.ndarray:
        """Return (n, K) rewards of what was asked, on a scale that only that decides."""
        used = asked & self.valid
        q, l = (normalise(t, used, HOW) for t in (self.quality, self.learnability))  # noqa: E741
        return np.where(asked, (1 - ALPHA) * q + ALPHA * l, NOT_ASKED)

    def of(self, rows: np.ndarray) -> "Answers":
        """Return those of some prompts."""
        arrays = (self.points, self.quality, self.learnability, self.valid, self.tokens)
        ids = [self.prompt_ids[i] for i in rows]
        return Answers(ids, self.teachers, *(array[rows] for array in arrays))


def read_answers(path: Path) -> Answers:
    """Return the answers of a table, or of a project's data directory."""
    table = (_of_project(path) if path.is_dir() else pq.read_table(path)).to_pylist()
    ids = sorted({row["prompt_id"] for row in table})
    teachers = list(dict.fromkeys(row["teacher"] for row in table))
    rows = {(row["prompt_id"], row["teacher"]): row for row in table}
    lines = [[rows[i, t] for t in teachers] for i in ids]

    def column(name: str, default: float = np.nan) -> np.ndarray:
        return np.array(
            [[default if (v := row.get(name)) is None else v for row in line] for line in lines],
            np.float64,
        )

    quality, learnability = column("quality"), column("learnability")
    known = np.isfinite(quality) & np.isfinite(learnability)
    if "embedding" in table[0]:
        points = np.array([line[0]["embedding"] for line in lines], np.float64)
    else:
        points = _of_texts([line[0]["prompt"] for line in lines])
    valid = known & (column("valid", 1.0) > 0)
    tokens = column("completion_tokens", 0.0) + column("prompt_tokens", 0.0)
    return Answers(ids, teachers, points, quality, learnability, valid, tokens)


def _of_project(data: Path) -> pa.Table:
    def newest(name: str) -> pa.Table:
        return pq.read_table(max(data.glob(f"*/{name}.parquet/*/{name}.parquet")))

    tokens = newest("calibration_responses").group_by(["prompt_id", "teacher"])
    sums = tokens.aggregate([("completion_tokens", "sum"), ("prompt_tokens", "sum")])
    sums = sums.rename_columns(["prompt_id", "teacher", "completion_tokens", "prompt_tokens"])
    texts = newest("prompts").select(["prompt_id", "prompt"])
    rewards = newest("rewards").select(["prompt_id", "teacher", "quality", "learnability", "valid"])
    return rewards.join(sums, ["prompt_id", "teacher"]).join(texts, "prompt_id")


def _of_texts(texts: list[str]) -> np.ndarray:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    found = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)).fit_transform(texts)
    return TruncatedSVD(min(64, found.shape[1] - 1), random_state=0).fit_transform(found)


def made_up(count: int, seed: int, teachers: int = 5, kinds: int = 4) -> Answers:
    """Return made-up answers: kinds of prompts on which the teachers' merits differ."""
    rng = np.random.default_rng(seed)
    kind, hard = rng.integers(kinds, size=count), rng.normal(0, 1.0, count)
    merit = rng.normal(0, 0.3, (1, teachers)) + rng.normal(0, 2.0, (kinds, teachers))
    lean = rng.normal(0, 0.5, (teachers,))  # who is better on hard prompts
    logits = merit[kind] - hard[:, None] + lean * hard[:, None]
    quality = (rng.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(float)
    fluent = rng.normal(-1, 0.1, (1, teachers)) + rng.normal(0, 0.2, logits.shape)
    points = np.concatenate([3 * np.eye(kinds)[kind], hard[:, None]], axis=1)
    points = np.concatenate([points, np.zeros((count, 27))], axis=1) @ rng.normal(size=(32, 32))
    return Answers(
        [f"p{i:05}" for i in range(count)],
        [f"t{k}" for k in range(teachers)],
        points + rng.normal(0, 1.0, points.shape),
        quality,
        fluent,
        rng.random(logits.shape) < 0.97,
        rng.lognormal(np.linspace(4, 5.5, teachers), 0.3, logits.shape),
    )


def choices(answers: Answers, rewards: np.ndarray, points: np.ndarray) -> dict[str, np.ndarray]:
    """Return by router the teachers chosen for new prompts."""
    known = {tuple(point): point for point in np.concatenate([answers.points, points])}

    def taught(kind: Any, settings: Any) -> np.ndarray:
        class Frozen(kind):
            def points(self, prompts: Any) -> np.ndarray:
                return np.array([known[p] for p in prompts], np.float32)

            def score_batches(self, prompts: Any, batch_size: int) -> Iterator[np.ndarray]:
                yield self.scores(self.points(prompts)).astype(np.float32)

        router = Frozen(None, settings, 0).fit([tuple(p) for p in answers.points], rewards)
        return router.predict([tuple(p) for p in points])

    return {
        "knn": taught(KnnRouter, KnnRouterSettings(backbone="none", invalid="lose")),
        "linear": taught(LinearRouter, LinearRouterSettings(backbone="none", invalid="lose")),
    }


def adaptive(answers: Answers, budget: float | None, seed: int, **settings: Any) -> np.ndarray:
    """Return (n, K) bool: what the adaptive design asks within a budget of tokens."""
    ids, names = answers.prompt_ids, answers.teachers
    place = {prompt_id: i for i, prompt_id in enumerate(ids)}

    def ask(pairs: np.ndarray) -> tuple[pa.Table, pa.Table]:
        rows = [
            {
                "teacher": names[k],
                "prompt_id": ids[i],
                "sample_index": 0,
                "prompt_tokens": 0,
                "completion_tokens": int(answers.tokens[i, k]),
                "cached_prompt_tokens": 0,
            }
            for k in range(len(names))
            for i in np.flatnonzero(pairs[:, k])
        ]
        return pa.Table.from_pylist(rows), CALLS.empty_table()

    def rewards(responses: pa.Table) -> pa.Table:
        asked = _asked(responses, place, names)
        matrix = answers.rewards(asked)
        rows = [
            {
                "prompt_id": ids[i],
                "teacher": names[k],
                "reward": None if np.isnan(matrix[i, k]) else matrix[i, k],
                "valid": bool(np.isfinite(matrix[i, k])),
            }
            for i, k in zip(*np.nonzero(asked), strict=True)
        ]
        return with_asked(pa.Table.from_pylist(rows), asked_of(responses.schema))

    recipes: list[Any] = [SimpleNamespace(teacher=name, cost=lambda *_: 0.0) for name in names]
    limit = Budget(max_tokens=None if budget is None else int(budget))
    calibration = Calibration(
        ids, answers.points, np.ones(len(ids), bool), recipes, 4 * len(ids), ask, rewards
    )
    design = AdaptiveSettings(
        **{"reward_worth": 1e6 if budget else 100.0, **settings, "budget": limit}
    )
    return _asked(answer_adaptively(calibration, design, seed)[0], place, names)


def _asked(responses: pa.Table, place: dict[str, int], names: list[str]) -> np.ndarray:
    asked = np.zeros((len(place), len(names)), bool)
    for row in responses.select(["prompt_id", "teacher"]).to_pylist():
        asked[place[row["prompt_id"]], names.index(row["teacher"])] = True
    return asked


def runs(answers: Answers, seed: int) -> Iterator[tuple[str, float, np.ndarray]]:
    """Yield each design, the share of what it was given, and (n, K) bool what it asked."""
    ids, names = answers.prompt_ids, answers.teachers
    order = np.argsort([unit_draw(seed, "share", i) for i in ids])
    everything = answers.tokens.sum()
    for count in (len(names), 3, 2):
        for share in SHARES:
            rows = np.sort(order[: round(share * len(ids))])
            asked = np.zeros(answers.tokens.shape, bool)
            asked[rows] = balanced([ids[i] for i in rows], names, count, seed)
            yield "full" if count == len(names) else f"{count} per prompt", share, asked
    for share in (0.45, 0.5, 0.6, 0.7, 0.8):
        yield "adaptive", share, adaptive(answers, share * everything, seed)
    yield "adaptive, until it does not pay", 0.0, adaptive(answers, None, seed)


def simulate(answers: Answers, seeds: int, designs: Callable[..., Any] = runs) -> list[dict]:
    """Return for each design and share: tokens relative to all, and the regret of each router."""
    true = answers.rewards(np.ones(answers.tokens.shape, bool))
    worth = np.nan_to_num(true, nan=0.0)
    losses = worth.max(axis=1, keepdims=True) - worth
    found: dict[tuple[str, float], list[dict[str, float]]] = {}
    for seed in range(seeds):
        fold = np.array([int(FOLDS * unit_draw(seed, "fold", i)) for i in answers.prompt_ids])
        for test in range(FOLDS):
            own, rest = np.flatnonzero(fold != test), np.flatnonzero(fold == test)
            known = answers.of(own)
            constant = np.full(len(rest), worth[own].mean(axis=0).argmax())
            for design, share, asked in designs(known, seed):
                kept = asked.any(axis=1)
                part = known.of(np.flatnonzero(kept))
                chosen = choices(part, part.rewards(asked[kept]), answers.points[rest])
                row = {"tokens": known.tokens[asked].sum() / known.tokens.sum()}
                for name, teachers in {**chosen, "constant": constant}.items():
                    row[name] = losses[rest, teachers].mean()
                found.setdefault((design, share), []).append({**row, "seed": seed})
    return [_mean(design, share, rows) for (design, share), rows in found.items()]


def _mean(design: str, share: float, rows: list[dict[str, float]]) -> dict[str, Any]:
    """Return the means over folds and seeds, and the standard errors over the seeds' means."""
    seeds = sorted({row["seed"] for row in rows})
    told: dict[str, Any] = {"design": design, "share": share}
    for name in ("tokens", "knn", "linear", "constant"):
        means = [np.mean([row[name] for row in rows if row["seed"] == seed]) for seed in seeds]
        told[name] = float(np.mean(means))
        told[f"{name}_error"] = (
            float(np.std(means, ddof=1) / len(means) ** 0.5) if len(means) > 1 else 0.0
        )
    return told


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("answers", nargs="?", type=Path)
    parser.add_argument("--made-up", action="store_true")
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    answers = made_up(400, 0) if given.made_up else read_answers(given.answers)
    print(f"{len(answers.prompt_ids)} prompts, {len(answers.teachers)} teachers")
    print("| design | share | tokens | kNN | linear | constant |\n|---|---|---|---|---|---|")
    for row in simulate(answers, given.seeds):
        cells = [f"{row[n]:.4f} ± {row[f'{n}_error']:.4f}" for n in ("knn", "linear", "constant")]
        print(f"| {row['design']} | {row['share']:g} | {row['tokens']:.3f} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
