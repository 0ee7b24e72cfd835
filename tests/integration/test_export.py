"""The training set for others: TRL trains on our very tokens, LLaMA-Factory finds the columns."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
import pytest

from persyn_kedro.datasets.export_directory import ArrowDirectory, ExportDirectory
from persyn_kedro.domain.export import facts as about, origins
from persyn_kedro.domain.export.dataset import dataset_card, size_category
from persyn_kedro.domain.export.rows import FILES, llama_factory_info, splits_of
from persyn_kedro.domain.export.student import student_card
from persyn_kedro.domain.student.sft import training_examples
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.load import load_causal_lm, load_tokenizer
from persyn_kedro.foundations.models.random import make_random_model
from persyn_kedro.foundations.models.rendering import closing_ids
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.settings.models import Models, ModelSettings
from persyn_kedro.foundations.settings.prepare import PromptSource
from persyn_kedro.foundations.settings.student import SftSettings
from persyn_kedro.foundations.settings.teachers import Teachers
from persyn_kedro.foundations.tables import schemas

SYSTEM = "Be exact."
PAIRS = [("2 + 3?", "It is 5."), ("Ünïcode | bars?\n", "  two\n\nlines  "), ("withheld?", "no")]


def sft_dataset(system: str | None = SYSTEM) -> pads.Dataset:
    first = [] if system is None else [{"role": "system", "content": system}]
    rows = [
        {
            "prompt": [*first, {"role": "user", "content": prompt}],
            "completion": [{"role": "assistant", "content": response}],
            "teacher": "t",
            "scores": [0.5, 1.0],
            "reward": None if i else 0.25,
            "prompt_id": f"{i}" * 64,
            "response_key": f"k{i}",
            "part": "withheld" if prompt == "withheld?" else "sft",
        }
        for i, (prompt, response) in enumerate(PAIRS)
    ]
    return pads.dataset(pa.Table.from_pylist(rows, schemas.SFT_DATASET))


def saved(directory: Path, dataset: pads.Dataset, **texts: str) -> Path:
    entry = ExportDirectory(filepath=str(directory / "version" / "dataset"))
    entry.save({**texts, **{FILES[s]: rows for s, rows in splits_of(dataset).items()}})
    return entry.load()


@pytest.fixture(params=["chat", "base"])
def student(request: pytest.FixtureRequest, tmp_path: Path) -> ResolvedModel:
    make_random_model(tmp_path / "model", request.param, 5)
    settings = ModelSettings(random=request.param, dtype="float32")
    return ResolvedModel("tiny", tmp_path / "model", f"random:{request.param}", settings)


@pytest.mark.parametrize("system", [SYSTEM, None])
def test_trl_trains_on_the_tokens_that_our_own_training_has(
    student: ResolvedModel, tmp_path: Path, system: str | None
) -> None:
    """But for what the template puts after the end of turn, which TRL's rendering has too."""
    from datasets import load_dataset
    from trl import SFTConfig, SFTTrainer

    directory = saved(tmp_path, sft_dataset(system), **{"README.md": dataset_card(FACTS)})
    data = load_dataset(str(directory), cache_dir=str(tmp_path / "cache"))
    tokenizer = load_tokenizer(student)
    trainer = SFTTrainer(
        model=load_causal_lm(student),
        args=SFTConfig(str(tmp_path / "out"), max_length=None, report_to="none", use_cpu=True),
        train_dataset=data["train"],
        processing_class=tokenizer,
    )
    rows = [{"prompt": prompt, "response": response} for prompt, response in PAIRS[:2]]
    ours = training_examples(tokenizer, rows, system, 512)
    rest = closing_ids(tokenizer)[1:]  # "\n" after ChatML's <|im_end|>; nothing for a base model
    assert tokenizer.decode(rest) == ("\n" if student.settings.random == "chat" else "")
    for theirs, own in zip(trainer.train_dataset, ours, strict=True):
        assert theirs["input_ids"] == own["input_ids"] + rest
        assert theirs["labels"] == own["labels"] + rest


def test_every_column_opens_as_it_was_and_from_disk_too(tmp_path: Path) -> None:
    from datasets import load_dataset, load_from_disk

    directory = saved(tmp_path, sft_dataset(), **{"README.md": dataset_card(FACTS)})
    info = json.dumps(llama_factory_info("mine", ["train", "withheld"]))
    (directory / "dataset_info.json").write_text(info)
    data = load_dataset(str(directory), cache_dir=str(tmp_path / "cache"))
    entry = ArrowDirectory(filepath=str(tmp_path / "version2" / "arrow"))
    entry.save({split: directory / FILES[split] for split in FILES})
    rows = sft_dataset().to_table().drop_columns(["kept"]).to_pylist()
    for opened in (data, load_from_disk(str(entry.load()))):
        assert {split: len(own) for split, own in opened.items()} == {"train": 2, "withheld": 1}
        found = [*opened["train"], *opened["withheld"]]
        assert found == [{**r, "messages": r["prompt"] + r["completion"]} for r in rows]
    for file in entry.load().rglob("*.json"):
        assert str(tmp_path) not in file.read_text()


def test_llama_factory_finds_each_turn_where_its_format_wants_it(tmp_path: Path) -> None:
    """Sharegpt's rules (LLaMA-Factory's data/README.md): a system message may come first, then
    user and assistant by turns, an even number of them."""
    directory = saved(tmp_path, sft_dataset())
    info = llama_factory_info("mine", ["train", "withheld"])
    assert list(info) == ["mine", "mine_withheld"]
    for name, split in (("mine", "train"), ("mine_withheld", "withheld")):
        entry = info[name]
        assert entry["file_name"] == FILES[split] and entry["formatting"] == "sharegpt"
        tags, column = entry["tags"], entry["columns"]["messages"]
        for row in pads.dataset(directory / entry["file_name"]).to_table().to_pylist():
            roles = [m[tags["role_tag"]] for m in row[column]]
            assert roles == [tags[f"{who}_tag"] for who in ("system", "user", "assistant")]
            said = [m[tags["content_tag"]] for m in row[column]]
            assert (said[1], said[2]) in PAIRS and said[0] == SYSTEM


TEACHER: dict[str, Any] = {
    "teacher": "t",
    "model_setting": "m",
    "model": "owner/model at 0123",
    "licence": {"name": "apache-2.0", "told_by": "its card on the hub"},
    "rows": 2,
    "withheld": 1,
    "in_pairs": 3,
    "share": 1.0,
    "system": "Say ```a``` | b",
    "sampling": {"temperature": 0.0},
}
FIGURES = {"hit@1": 0.5, "regret": 0.1}
FACTS: dict[str, Any] = {
    "name": "persyn_sft",
    "language": ["en"],
    "made_by": "0",
    "seed": 1,
    "rows": {"train": 2, "withheld": 1},
    "preferences": {
        "rows": 0, "prompts": 0, "by": "reward", "pairs": "all", "min_margin": 0.0,
    },
    "calibration": 1,
    "teachers": [TEACHER],
    "prompts": {
        "what": "a file, p.jsonl",
        "hub": None,
        "rows": {"p.jsonl": 3},
        "suffixes": [],
        "every_suffix": True,
        "licence": {"name": "apache-2.0", "told_by": "the settings"},
    },
    "student": {
        "model_setting": "s",
        "model": "owner/student",
        "hub": "owner/student",
        "licence": {"name": "gemma", "told_by": "the settings"},
        "system": None,
    },
    "method": {
        "alpha": 0.4, "quality": "q", "router": "knn", "verification": "keep",
        "labelled_by": {"a": 1}, "label_samples": "mean", "samples": 1, "keep": "first",
    },
    "pool": [
        {"teacher": "t", "mean_reward": 0.5, "mean_quality": 1.0, "mean_learnability": -1.0},
        {"teacher": "u", "mean_reward": None, "mean_quality": None, "mean_learnability": None},
    ],
    "router": {"n": 4, "constant_teacher": "t", **dict.fromkeys(
        ("router", "constant", "random"), FIGURES
    )},
    "calls": {"on_an_empty_store": 4, "generate_then_select": 6},
    "left_out": ["Prompts without an answer: 7 the student solves."],
    "notes": ["A note."],
    "licence": "apache-2.0",
    "unknown": [],
}  # fmt: skip


def test_the_data_sets_card_reads_as_the_hub_reads_it() -> None:
    from huggingface_hub import DatasetCard

    card = DatasetCard(dataset_card(FACTS))
    data = card.data.to_dict()
    assert data["license"] == "apache-2.0" and data["language"] == ["en"]
    assert data["size_categories"] == ["n<1K"] and data["task_categories"] == ["text-generation"]
    (config,) = data["configs"]
    assert config["data_files"] == [
        {"split": "train", "path": "data/train.parquet"},
        {"split": "withheld", "path": "data/withheld.parquet"},
    ]
    row = "| t | owner/model at 0123 | apache-2.0 | its card on the hub | 2 | 1 | 100.0 % | 3 |"
    assert row in card.text
    assert "````text\nSay ```a``` | b\n````" in card.text
    assert "one per teacher of the pool in this order: t, u" in card.text
    assert "| router | 50.0 % | 0.100 |" in card.text and "A note." in card.text
    assert "Prompts without an answer: 7 the student solves." in card.text


def test_the_students_card_has_its_scores_with_intervals() -> None:
    from huggingface_hub import ModelCard

    accuracy = {
        "n": 44, "confidence": 0.95, "unknown": 0, "before": 0.25, "after": 0.5, "difference": 0.25,
        "before_interval": [0.15, 0.4], "after_interval": [0.36, 0.64],
        "difference_interval": [0.1, 0.4],
    }  # fmt: skip
    curve = [{"left_out": 1}, {"step": 1, "epoch": 1.0, "loss": 0.5, "learning_rate": 0.1}]
    metrics = {"accuracy": accuracy, "nll": accuracy}
    card = ModelCard(student_card(FACTS, metrics, SftSettings(), curve, "<s>{prompt}"))
    data = card.data.to_dict()
    assert data["base_model"] == "owner/student" and data["license"] == "gemma"
    (result,) = card.data.eval_results
    assert (result.metric_value, result.metric_type) == (0.5, "accuracy")
    assert "n = 44, interval [36.0 %, 64.0 %]" in result.metric_name
    assert "| test accuracy | 44 | 25.0 % [15.0 %, 40.0 %] | 50.0 % [36.0 %" in card.text
    assert "1 longer than 1024 tokens left out" in card.text and "<s>{prompt}" in card.text
    assert "Its template keeps" not in card.text
    fixed = {"enable_thinking": False, "effort": "low", "strftime_now": "2025-03-05"}
    told = student_card(FACTS, metrics, SftSettings(), curve, "<s>{prompt}", fixed)
    named = "enable_thinking is `false`, effort is `low`, the date is `2025-03-05`."
    assert "Its template keeps these values from training" in told
    assert f"whenever and wherever it is served: {named}" in told


@pytest.mark.parametrize(
    ("names", "licence", "front"),
    [
        (["mit", "mit"], "mit", {"license": "mit"}),
        (["mit", "gemma"], about.SEVERAL, {"license": "other"}),
        (["mit", None], None, {"license": "unknown"}),
        (["Our terms"], "Our terms", {"license": "other", "license_name": "our-terms"}),
    ],
)
def test_the_whole_has_a_licence_only_if_all_have_it(
    names: list[str | None], licence: str | None, front: dict[str, str]
) -> None:
    from huggingface_hub import DatasetCard

    assert about.licence_of_all(names) == licence
    data = DatasetCard(dataset_card({**FACTS, "licence": licence})).data.to_dict()
    assert {key: data.get(key) for key in front} == front


def test_licences_come_from_the_settings_or_with_the_weights(tmp_path: Path) -> None:
    def licence(**settings: Any) -> tuple[str | None, str]:
        found = origins.model_licence(ModelSettings(**settings), "")
        return found.name, found.told_by

    assert licence(zoo="gemma-3-270m") == ("gemma", "the zoo's list")
    assert licence(zoo="smollm2", license=" MIT ") == ("mit", "the settings")
    assert licence(random="chat") == (None, "nobody")
    endpoint = {"url": "https://secret.host/v1", "model": "big"}
    assert licence(endpoint=endpoint, license="Provider's terms")[0] == "Provider's terms"
    (tmp_path / "README.md").write_text("---\nlicense: llama3.1\n---\n")
    assert licence(local=str(tmp_path)) == ("llama3.1", "its card")
    spoken = origins.spoken_model(ModelSettings(endpoint=endpoint), "endpoint:https://secret.host")
    assert spoken == "big, called over the network"
    assert origins.prompts_licence(PromptSource(file="p.jsonl"), None, None).name is None


def test_an_answer_of_another_model_than_the_settings_have_is_refused() -> None:
    models = Models({"m": ModelSettings(random="chat"), "n": ModelSettings(random="base")})
    teachers = Teachers.model_validate({"t": {"model": "m"}, "u": {"model": "n"}})
    rows = pa.table({"response_key": ["k"], "part": ["sft"]})

    def facts(teacher: str, weights_id: str) -> list[dict[str, Any]]:
        made = {"response_key": ["k"], "teacher": [teacher], "weights_id": [weights_id]}
        routed = pa.table({**made, "recipe_id": ["r"]})
        return about.teachers_facts(rows, routed, models, teachers, lambda *_: {"system": "S"})

    (found,) = facts("t", "random:chat-0-v1")
    assert (found["rows"], found["share"], found["system"]) == (1, 1.0, "S")
    with pytest.raises(PersynError, match="'t' answered with a different model than models.m"):
        facts("t", "random:chat-1-v1")
    with pytest.raises(PersynError, match="answers by 'x', which is not in teachers"):
        facts("x", "random:chat-0-v1")


@pytest.mark.parametrize(("rows", "name"), [(999, "n<1K"), (1000, "1K<n<10K"), (10**6, "n>1M")])
def test_size_categories_are_the_hubs(rows: int, name: str) -> None:
    assert size_category(rows) == name
