"""The training set's card: a README.md with front matter for the hub."""

from pathlib import Path
from typing import Any

from persyn_kedro.domain.export.facts import IN_PAIRS, SEVERAL
from persyn_kedro.domain.export.licences import front_matter
from persyn_kedro.domain.export.markdown import code, table
from persyn_kedro.domain.export.preferences import CONFIG, PREFERENCES_FILE
from persyn_kedro.domain.export.rows import FILES
from persyn_kedro.domain.reporting import formatting as figures

PLACE = "path/to/this/directory"  # in the cards' examples; a push replaces it by the repository
TAGS = ["synthetic", "distillation", "sft", "trl", "llama-factory", "persyn"]
_SIZES = [(10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M")]


def dataset_card(facts: dict[str, Any]) -> str:
    """Return the card.

    Args:
        facts: as the step ``export`` collects them.
    """
    from huggingface_hub import DatasetCard, DatasetCardData

    pairs = facts["preferences"]["rows"]
    data = DatasetCardData(
        pretty_name=facts["name"],
        language=facts["language"] or None,
        **front_matter(facts["licence"]),
        task_categories=["text-generation"],
        size_categories=[size_category(sum(facts["rows"].values()) + pairs)],
        tags=[*TAGS, *(["dpo", "preference"] if pairs else [])],
        configs=[
            _config("default", {split: FILES[split] for split in facts["rows"]}),
            *([_config(CONFIG, {"train": PREFERENCES_FILE})] if pairs else []),
        ],
    )
    card = DatasetCard.from_template(
        data,
        template_path=str(Path(__file__).parent / "dataset_card.md.j2"),
        facts=facts,
        place=PLACE,
        code=code,
        router=table(figures.router_columns(facts["router"]), figures.router_rows(facts["router"])),
        teachers=table(*_teachers(facts["teachers"])),
        pool=table(*_pool(facts["pool"])),
        meaning={part: figures.in_words(terms) for part, terms in figures.MEANING.items()},
        several=SEVERAL,
    )
    return str(card)


def _config(name: str, files: dict[str, str]) -> dict[str, Any]:
    places = [{"split": split, "path": file} for split, file in files.items()]
    return {"config_name": name, "data_files": places}


def size_category(rows: int) -> str:
    """Return the hub's name for the dataset's size."""
    return next((name for most, name in _SIZES if rows < most), "n>1M")


def _teachers(teachers: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    columns = ["teacher", "model", "licence of the model", "source", "rows", "withheld", "share",
               "answers in pairs"]  # fmt: skip
    rows = [
        [
            t["teacher"],
            t["model"],
            t["licence"]["name"] or "**unknown: check before you publish**",
            t["licence"]["told_by"],
            str(t["rows"]),
            str(t["withheld"]),
            figures.percent(t["share"]),
            str(t[IN_PAIRS]),
        ]
        for t in teachers
    ]
    return columns, rows


def _pool(pool: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Return the calibration means of all teachers, in the order of ``scores``."""
    means = ("mean_reward", "mean_quality", "mean_learnability")
    rows = [[t["teacher"], *(figures.number(t[name]) for name in means)] for t in pool]
    return ["teacher", "reward", "quality", "learnability"], rows
