"""A project with the settings of all guides at once, small enough for a test."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from persyn_kedro.foundations.models.random import make_random_model
from tests.conftest import Run, make_project
from tests.support import guides
from tests.support.endpoint import serve
from tests.support.hosted_teachers import KEY
from tests.support.random_judge import make_judge
from tests.support.tiny_gguf import write_tiny_gguf

TINY = {"dtype": "float32"}
OVERLAY: dict[str, Any] = {  # over the guides' settings: small enough for a test
    "seed": 3,
    "evaluate": {"sampling": {"max_new_tokens": 6}},
    "compare": {
        "strategies": ["persyn", "strong"], "alphas": [0.4], "seeds": [1, 2], "resamples": 100,
    },
}  # fmt: skip
# The server says the last number that it is asked, so of these it solves two in three.
QUESTIONS = ["What is {0} + 1?", "Say {1}, please.", "After {0}, say {1}."]


def guided_settings() -> dict[str, Any]:
    """Return the settings of all guides in one pool, but for the teacher that is added later."""
    found: dict[str, Any] = {"models": {}, "teachers": {}, "label": {}}
    for guide in ("own_prompts", "own_student", "hub_teacher", "gguf_teacher"):
        own = guides.settings(guide)
        pooled = {name: {**found[name], **own.pop(name, {})} for name in ("models", "teachers")}
        found = {**found, **own, **pooled}
    for guide in ("own_quality", "own_signal"):
        found["label"].update(guides.settings(guide)["label"])
    found["engine"] = guides.settings("own_engine")["engine"]
    found["train_router"] = guides.settings("own_router")["train_router"]
    found["compare_routers"] = guides.settings("own_router", 1)["compare_routers"]
    found = {**found, **OVERLAY}
    found["prepare"].update(calibration_fraction=0.4, holdout_fraction=0.3, withheld_fraction=0.3)
    found["label"]["allow_truncated"] = True
    found["compare_routers"].update(folds=2, resamples=100)
    zoo = {name for name, model in found["models"].items() if "zoo" in model}
    found["models"].update({name: {"random": "base", **TINY} for name in zoo})
    found["models"]["packed"]["think"] = "keep"
    found["models"]["judge"] = {"local": "judge", **TINY}
    found["teachers"] = small({n: t for n, t in found["teachers"].items() if t["model"] not in zoo})
    return found


def small(teachers: dict[str, Any]) -> dict[str, Any]:
    """Return the teachers with short answers."""
    return {
        name: {**teacher, "sampling": {**teacher["sampling"], "max_new_tokens": 6}}
        for name, teacher in teachers.items()
    }


def with_the_added_teacher(settings: dict[str, Any], url: str) -> dict[str, Any]:
    """Return the settings with the teacher of two guides, on the tests' own server."""
    added = guides.settings("adding_a_teacher")
    hosted = guides.settings("openai_teacher")
    assert added["models"]["hosted"]["revision"] == hosted["models"]["hosted"]["revision"]
    endpoint = {**hosted["models"]["hosted"]["endpoint"], "url": url}
    model = {**hosted["models"]["hosted"], "endpoint": endpoint}
    teacher = {**added["teachers"]["hosted"], **hosted["teachers"]["hosted"]}
    return {
        **settings,
        "models": {**settings["models"], "hosted": model},
        "teachers": {**settings["teachers"], "hosted": teacher},
    }


def make_hub_cache(directory: Path, model: dict[str, str]) -> None:
    """Write a model to where the hub's client would have put it."""
    repository = directory / "hub" / f"models--{model['hub'].replace('/', '--')}"
    make_random_model(repository / "snapshots" / model["revision"], "chat", 1)


def write_settings(directory: Path, settings: dict[str, Any]) -> None:
    (directory / "conf" / "mine").mkdir(exist_ok=True)
    (directory / "conf" / "mine" / "parameters.yml").write_text(
        yaml.safe_dump(settings, sort_keys=False)
    )


@contextmanager
def guided_project(directory: Path) -> Iterator[Run]:
    """Yield a project with the guides' files and settings, run once, while its server runs."""
    settings = guided_settings()
    with pytest.MonkeyPatch.context() as patch, serve() as endpoint:
        patch.setenv("HF_HOME", str(directory / "hf"))
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("PERSYN_CACHE", str(directory / "cache"))  # the GGUF file is converted here
        patch.setenv("MY_KEY", KEY)
        run = make_project(directory)
        rows = [{"question": QUESTIONS[i % 3].format(i, i + 1), "answer": str(i + 1)}
                for i in range(42)]  # fmt: skip
        rows += [row for guide in guides.GUIDES for row in guides.rows(guide)]
        file = directory / settings["prepare"]["source"]["file"]
        file.write_text("\n".join(map(json.dumps, rows)))
        guides.write_files(directory)
        make_hub_cache(directory / "hf", settings["models"]["qwen-7b"])
        make_random_model(directory / settings["models"]["my-student"]["local"], "base", 3)
        write_tiny_gguf(directory / settings["models"]["packed"]["gguf"])
        make_judge(directory / "judge", 9)
        write_settings(directory, settings)
        endpoint.say = lambda prompt: f"\\boxed{{{re.findall('[0-9]+', prompt)[-1]}}}"
        run.settings, run.endpoint = settings, endpoint  # type: ignore[attr-defined]
        run("run", "--env=mine")
        yield run
