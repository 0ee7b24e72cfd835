"""Routers compared on the published calibration answers (`docs/results.md`); no teacher is asked.

    .venv/bin/python benchmarks/zoo_routers.py frozen --store=data/zoo_routers
    .venv/bin/python benchmarks/zoo_routers.py tuned --repeats=1 --folds=2 --store=data/zoo_routers

The rewards are those of `benchmarks/data/zoo_calibration.parquet`; prompts are embedded and routers
are fitted here, by the project's own cross-validation. A fit is stored as soon as it is done, so a
run that was stopped goes on where it was, and `--only` and another group cost only what is new.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from zoo_table import TABLE

from persyn_kedro.domain.rewards import reward_matrix
from persyn_kedro.domain.router_comparison.compare import (
    CONSTANT,
    Bootstrap,
    constant_scores,
    losses_of,
    mean_with_interval,
    measure_scores,
)
from persyn_kedro.domain.router_comparison.cross_fitting import compared, cross_fit, fold_of
from persyn_kedro.domain.router_comparison.fitting import Fitting, scores_of
from persyn_kedro.domain.routers.metrics import measurable
from persyn_kedro.domain.routers.saving import readers_of
from persyn_kedro.domain.stores import RoutingStore
from persyn_kedro.foundations.settings import CompareRoutersSettings, Models, TrainRouterSettings

CONF = Path(__file__).parent.parent / "conf" / "base" / "parameters.yml"
ROUTERS = Path(__file__).parent / "data" / "zoo_routers.yml"
SEED = 7
DEMO = TrainRouterSettings(kind="knn", backbone="smollm2", invalid="lose", batch_size=4)


def compare(
    settings: CompareRoutersSettings, half: bool, against: str, store: RoutingStore
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the comparison's figures, and by router the difference of its regret from another's.

    With ``half``, routers are fitted on the prompts outside the first of the folds and measured on
    that one alone.
    """
    conf = yaml.safe_load(CONF.read_text())
    table = pq.read_table(TABLE)
    ids, rewards = reward_matrix(table, list(conf["teachers"]))
    texts = dict(zip(*(table[name].to_pylist() for name in ("prompt_id", "prompt")), strict=True))
    prompts = {i: texts[i] for i in ids}
    models = Models.model_validate(conf["models"])
    folds = np.array(
        [[fold_of(i, settings.folds, SEED, r) for i in ids] for r in range(settings.repeats)]
    )
    kept = measurable(rewards)
    if half:
        found = _one_fold(prompts, rewards, folds[0] == 0, compared(settings, DEMO), models, store)
        kept &= folds[0] == 0
    else:
        fits = cross_fit(prompts, rewards, settings, DEMO, models, SEED, store)
        found = _by_router(fits, ids, rewards, settings.repeats)
    bootstrap = Bootstrap(settings.resamples, settings.confidence, SEED)
    scores = {name: own[:, kept] for name, own in found.items()}
    constant = constant_scores(rewards, folds)[:, kept]
    figures = measure_scores({**scores, CONSTANT: constant}, rewards[kept], bootstrap)
    losses = {name: losses_of(own, rewards[kept]) for name, own in scores.items()}
    return figures, {
        name: mean_with_interval(own - losses[against], bootstrap) for name, own in losses.items()
    }


def _one_fold(
    prompts: dict[str, str],
    rewards: np.ndarray,
    out: np.ndarray,
    routers: dict[str, TrainRouterSettings],
    models: Models,
    store: RoutingStore,
) -> dict[str, np.ndarray]:
    """Return by router (1, n, K) scores of the prompts ``out``, fitted on the others."""
    scored = {i: text for (i, text), there in zip(prompts.items(), out, strict=True) if there}
    fitted = {i: text for i, text in prompts.items() if i not in scored}
    fittings = [
        Fitting(router, readers_of(models, router), SEED, fitted, rewards[~out], scored)
        for router in routers.values()
    ]
    found = {}
    for name, scores in zip(routers, scores_of(fittings, store), strict=True):
        found[name] = np.full((1, *rewards.shape), np.nan)
        found[name][0, out] = [scores[i] for i in scored]
    return found


def _by_router(
    fits: pa.Table, ids: list[str], rewards: np.ndarray, repeats: int
) -> dict[str, np.ndarray]:
    """Return by router the (repeats, n, K) scores."""
    place = {prompt_id: i for i, prompt_id in enumerate(ids)}
    found: dict[str, np.ndarray] = {}
    for row in fits.to_pylist():
        empty = np.full((repeats, *rewards.shape), np.nan)
        own = found.setdefault(row["kind"], empty)
        own[row["repeat"] or 0, place[row["prompt_id"]]] = row["scores"]
    return found


def _signed(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    low, high = found["interval"]
    return f"{found['value']:+.3f} [{low:+.3f}, {high:+.3f}]".replace("-", "−")


def main() -> None:
    """Print the table, best router first."""
    groups = yaml.safe_load(ROUTERS.read_text())
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="+", choices=groups, help="of data/zoo_routers.yml")
    parser.add_argument("--only", nargs="*", help="names of routers")
    parser.add_argument("--against", default="knn", help="a router to take differences from")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--size", type=float, default=1.0, help="share of the prompts to fit on")
    parser.add_argument("--half", action="store_true", help="measure on the first fold alone")
    parser.add_argument("--store", type=Path, required=True, help="a directory for the fits")
    given = parser.parse_args()
    routers = {n: r for group in given.groups for n, r in groups[group].items()}
    if given.only:
        routers = {n: routers[n] for n in given.only}
    store = RoutingStore(given.store)
    settings = CompareRoutersSettings(
        routers=routers, folds=given.folds, repeats=given.repeats
    ).model_copy(update={"sizes": [given.size]})
    figures, differences = compare(settings, given.half, given.against, store)
    other = f"against {given.against}"
    print(f"| router | Hit@1 | Hit@3 | AUC | regret | against the constant | {other} |")
    print("|---|---|---|---|---|---|---|")
    for name, own in sorted(figures.items(), key=lambda item: item[1]["regret"]["value"]):
        auc = f"{own['auc']['value']:.3f}" if own.get("auc") else ""
        hits = " | ".join(f"{100 * own[f'hit@{k}']['value']:.1f} %" for k in (1, 3))
        cells = f"{own['regret']['value']:.3f} | {_signed(own.get('regret_to_constant'))}"
        print(f"| {name} | {hits} | {auc} | {cells} | {_signed(differences.get(name))} |")


if __name__ == "__main__":
    main()
