"""Facts for both cards: whose answers, under which licences, chosen how."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.export.origins import (
    Licence,
    hub_model,
    model_licence,
    prompts_licence,
    spoken_model,
    spoken_source,
)
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.identities import source_identity
from persyn_kedro.foundations.models.resolve import identify_weights
from persyn_kedro.foundations.settings.export import PreferencesSettings
from persyn_kedro.foundations.settings.generate import GenerateSettings
from persyn_kedro.foundations.settings.label import SIGNALS, LabelSettings, QualitySettings
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.plugins import is_own
from persyn_kedro.foundations.settings.prepare import PrepareSettings, PromptSource
from persyn_kedro.foundations.settings.routers import TrainRouterSettings
from persyn_kedro.foundations.settings.student import StudentSettings
from persyn_kedro.foundations.settings.teachers import Teachers, thinks_of

IN_PAIRS = "in_pairs"  # the part of answers in the preferences
SEVERAL = "several, listed in the card"
_SAMPLED = ("sampling", "extra_body", "vllm")  # of a recipe: how answers were drawn
_ROW_SYSTEM = {"row": "is used in its place", "teacher": "is left out"}  # the default is not said
# weights_id, recipe_id -> what the response store records about them
Identity = Callable[[str, str], dict[str, Any]]


def teachers_facts(
    answers: pa.Table,
    responses: pa.Table,
    models: Models,
    teachers: Teachers,
    identity: Identity,
) -> list[dict[str, Any]]:
    """Return each teacher with rows, most rows first: model, licence, system prompt.

    Args:
        answers: columns ``response_key`` and ``part``: that of the training set, or ``IN_PAIRS``.
        responses: columns ``response_key``, ``teacher``, ``weights_id``, ``recipe_id``.

    Raises:
        PersynError: answers are by a teacher that is not in the settings, or has another model
            there.
    """
    columns = ("teacher", "weights_id", "recipe_id")
    made_by = {r["response_key"]: tuple(r[c] for c in columns) for r in responses.to_pylist()}
    keys = zip(answers["response_key"].to_pylist(), answers["part"].to_pylist(), strict=True)
    counts = Counter((made_by[key], part) for key, part in keys)
    trained = sum(n for (_, part), n in counts.items() if part == "sft")
    facts = []
    for who in dict.fromkeys(who for who, _ in counts):
        teacher, weights_id, recipe_id = who
        model = _model_of(teacher, weights_id, models, teachers)
        recipe = identity(weights_id, recipe_id)
        rows = counts[who, "sft"]
        facts.append(
            {
                "teacher": teacher,
                "model_setting": model,
                "model": spoken_model(models.root[model], weights_id),
                "licence": asdict(model_licence(models.root[model], weights_id)),
                "rows": rows,
                "withheld": counts[who, "withheld"],
                IN_PAIRS: counts[who, IN_PAIRS],
                "share": rows / trained if trained else None,
                "system": recipe.get("system"),
                "row_system": _ROW_SYSTEM.get(recipe.get("row_system", "")),
                "sampling": {k: v for part in _SAMPLED for k, v in recipe.get(part, {}).items()},
            }
        )
    return sorted(facts, key=lambda fact: -fact["rows"])


def _model_of(teacher: str, weights_id: str, models: Models, teachers: Teachers) -> str:
    if teacher not in teachers.root:
        raise PersynError(f"The export has answers by {teacher!r}, which is not in teachers.")
    model = teachers.root[teacher].model
    if identify_weights(model, models.root[model]) != weights_id:
        raise PersynError(
            f"Teacher {teacher!r} answered with a different model than models.{model} is now. Run "
            "`kedro run` first, or restore the setting, so that the card names the right model."
        )
    return model


def prompts_facts(
    prompts: pa.Table, chosen: set[str], prepare: PrepareSettings, given: str | None
) -> dict[str, Any]:
    """Return where the ``chosen`` prompts (ids) come from, and their licence.

    Args:
        prompts: columns ``prompt_id`` and ``source``.
        given: the settings' licence.
    """
    rows = zip(prompts["prompt_id"].to_pylist(), prompts["source"].to_pylist(), strict=True)
    found = [_source_facts(source, given) for source in prepare.all_sources]
    told = {source["licence"].name: source["licence"] for source in found}
    one = Licence(licence_of_all(told), "; ".join(dict.fromkeys(x.told_by for x in told.values())))
    suffixes = dict.fromkeys(source.prompt_suffix for source in prepare.all_sources)
    names = [f"{source.name}: " for source in prepare.sources] or [""]
    return {
        "what": "; ".join(n + source["what"] for n, source in zip(names, found, strict=True)),
        "hub": found[0]["hub"] if len(found) == 1 else None,
        "rows": dict(Counter(where for i, where in rows if i in chosen).most_common()),
        "suffixes": [suffix for suffix in suffixes if suffix],
        "every_suffix": len(suffixes) == 1,
        "licence": asdict(one),
    }


def _source_facts(source: PromptSource, given: str | None) -> dict[str, Any]:
    identity = source_identity(source) or ""
    commit = identity.removeprefix("hub:") if source.hub else None
    return {
        "what": spoken_source(source, commit),
        "hub": source.hub,
        "licence": prompts_licence(source, commit, given),
    }


def preferences_facts(pairs: pa.Table, settings: PreferencesSettings) -> dict[str, Any]:
    """Return how many preferences there are, and how they were chosen.

    Args:
        pairs: column ``prompt_id``.
    """
    return {
        **settings.model_dump(),
        "rows": len(pairs),
        "prompts": len(pairs["prompt_id"].unique()),
    }


def student_facts(models: Models, student: StudentSettings) -> dict[str, Any]:
    """Return facts about the student before training."""
    settings = models.root[student.model]
    weights_id = identify_weights(student.model, settings)
    return {
        "model_setting": student.model,
        "model": spoken_model(settings, weights_id),
        "hub": hub_model(settings),
        "licence": asdict(model_licence(settings, weights_id)),
        "system": student.system,
    }


def method_facts(
    models: Models,
    teachers: Teachers,
    label: LabelSettings,
    router: TrainRouterSettings,
    generate: GenerateSettings,
) -> dict[str, Any]:
    """Return the settings that determine the training set."""
    thinks = thinks_of(models, teachers)
    return {
        "alpha": label.alpha,
        "quality": _quality(label),
        "learnability": SIGNALS.get(label.learnability, _OWN.format(label.learnability)),
        "router": router.kind if is_own(router.kind) else router.kind.replace("_", " "),
        "invalid": router.invalid,
        "allow_truncated": label.allow_truncated,
        "unsolved": label.unsolved,
        "verification": generate.verification,
        "max_calls": generate.max_calls,
        "labelled_by": {name: teacher.samples for name, teacher in teachers.root.items()},
        "label_samples": label.samples,
        "samples": generate.samples,
        "keep": generate.keep,
        "thinking_kept": [name for name, think in thinks.items() if think == "keep"],
    }


_OWN = "the author's own function {}"


def _quality(label: LabelSettings) -> str:
    if label.terms:
        terms = [f"{_judged(term)} (weight {term.weight:g})" for term in label.terms]
        return f"the weighted mean of {', '.join(terms)}, each from 0 to 1 within a prompt"
    return _judged(label.ways[0])


def _judged(way: QualitySettings) -> str:
    if is_own(way.kind):
        return _OWN.format(way.kind)
    if way.kind == "code":
        return "the share of its tests that an answer's code passes"
    if way.kind == "imported":
        return f"the score {way.score} that was published with the answers"
    if way.kind == "judge":
        return f"the verdict of a language model ({way.model}) by the rubric {way.rubric}"
    return f"the score of a reward model ({way.model})" if way.model else "an exactly right answer"


def licence_of_all(names: Iterable[str | None]) -> str | None:
    """Return the one licence that all share, ``SEVERAL``, or None if one is unknown."""
    found = set(names)
    if None in found:
        return None
    return found.pop() if len(found) == 1 else SEVERAL


def unknown_licences(facts: dict[str, Any]) -> list[str]:
    """Return whose licences are unknown, each with the setting that would give it."""
    found = [
        f"teacher {t['teacher']} (models.{t['model_setting']}.license)"
        for t in facts["teachers"]
        if t["licence"]["name"] is None
    ]
    if facts["prompts"]["licence"]["name"] is None:
        found.append("the prompts (export.prompts_license)")
    student = facts["student"]
    if student["licence"]["name"] is None:
        found.append(f"the student's base model (models.{student['model_setting']}.license)")
    return found
