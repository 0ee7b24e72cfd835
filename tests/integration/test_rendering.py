"""Which tokens are the prompt's, the response's and the end of turn's."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from persyn_kedro.foundations.models.random import make_random_model
from persyn_kedro.foundations.models.rendering import render


def _tokenizer(directory: Path, kind: str) -> PreTrainedTokenizerBase:
    make_random_model(directory, kind, 0)
    return AutoTokenizer.from_pretrained(directory)


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerBase:
    return _tokenizer(tmp_path_factory.mktemp("chat"), "chat")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerBase:
    return _tokenizer(tmp_path_factory.mktemp("base"), "base")


def _masked(tokenizer: PreTrainedTokenizerBase, *texts: str | None) -> list[tuple[str, int]]:
    rendered = render(tokenizer, *texts)
    pairs = zip(rendered.input_ids, rendered.completion_mask, strict=True)
    return [(tokenizer.decode([token_id]), mask) for token_id, mask in pairs]


def test_mask_of_a_chat_student_token_by_token(chat: PreTrainedTokenizerBase) -> None:
    masked = _masked(chat, "s", "u", "ab")
    assert [text for text, mask in masked if mask] == ["a", "b", "<|im_end|>"]
    prompt = "".join(text for text, mask in masked if not mask)
    assert prompt == (
        "<|im_start|>system\ns<|im_end|>\n<|im_start|>user\nu<|im_end|>\n<|im_start|>assistant\n"
    )
    assert [mask for _, mask in masked] == [0] * (len(masked) - 3) + [1, 1, 1]


def test_mask_of_a_base_student_token_by_token(base: PreTrainedTokenizerBase) -> None:
    start, end = base.bos_token or "", base.eos_token
    prompt = [(text, 0) for text in ([start] if start else []) + list("u\n\n")]
    assert _masked(base, None, "u", "ab") == [*prompt, ("a", 1), ("b", 1), (end, 1)]
    rendered = render(base, "s", "u", "ab")
    assert base.decode(rendered.prompt_ids) == f"{start}s\n\nu\n\n"
