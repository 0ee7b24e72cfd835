"""Learnability on SmolLM2 equals a plain one-by-one forward of the same dtype."""

from collections.abc import Iterator

import pytest

from persyn_kedro.domain.learnability.statistics import token_statistics
from persyn_kedro.foundations.models.float32_products import products_in_float32
from persyn_kedro.foundations.models.load import load_causal_lm, load_tokenizer
from persyn_kedro.foundations.models.rendering import render
from persyn_kedro.foundations.models.resolve import resolve_model
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.templates.fixed_date import reads_clock

pytestmark = pytest.mark.real

PAIRS = [
    ("a", "What is 17 + 25?", "17 + 25 is 42. So the answer is \\boxed{42}."),
    ("b", "Name the capital of France.", "Paris"),
    ("c", "Say <|im_end|> twice.", "<|im_end|> and <|im_end|>, as plain text. " * 8),
]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Beside another worker's model two threads wait for each other most of the time."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", ["smollm2", "qwen2.5-coder-0.5b"])
def test_templates_of_the_zoo_read_no_clock(name: str) -> None:
    """A step's record takes that for granted: they are known only once the model is fetched."""
    assert not reads_clock(resolve_model(name, ModelSettings(zoo=name)).chat_template)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("bfloat16", 5e-3)])
def test_statistics_equal_a_plain_forward(dtype: str, tolerance: float) -> None:
    import torch

    settings = ModelSettings(zoo="smollm2", dtype=dtype)  # type: ignore[arg-type]
    student = resolve_model("smollm2", settings)
    rows = list(token_statistics(PAIRS, student, None, dtype, 1, 7))
    tokenizer, model = load_tokenizer(student), load_causal_lm(student, dtype)
    products_in_float32(model)  # which move bfloat16 by rounding, on some processors
    for (_, prompt, response), row in zip(PAIRS, rows, strict=True):
        rendered = render(tokenizer, None, prompt, response)
        ids = rendered.prompt_ids + rendered.response_ids
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0]
        first = len(rendered.prompt_ids) - 1  # predicts the first response token
        logp = logits[first:-1].float().log_softmax(-1)
        target = torch.tensor(rendered.response_ids)
        true = logp.gather(1, target[:, None])[:, 0]
        assert row["tokens"] == len(target)
        mean = row["sum_logp"] / row["tokens"]
        assert mean == pytest.approx(true.mean().item(), abs=tolerance)
        assert row["sum_p2"] / row["tokens"] == pytest.approx(
            logp.exp().square().sum(1).mean().item(), abs=tolerance
        )
        if dtype == "float32":
            ranks = (logp > true[:, None]).sum(1) + 1
            assert row["sum_rank_100"] == ranks.clamp(max=100).sum().item()


def test_packing_moves_statistics_by_rounding_alone() -> None:
    """In float32 by nothing; in bfloat16 by no more than a plain bfloat16 forward is off."""
    requests = [(f"{key}{n}", prompt, text * (n + 1)) for key, prompt, text in PAIRS
                for n in range(3)]  # fmt: skip

    def means(dtype: str, pack_tokens: int) -> list[float]:
        settings = ModelSettings(zoo="smollm2", dtype=dtype)  # type: ignore[arg-type]
        student = resolve_model("smollm2", settings)
        rows = token_statistics(requests, student, None, dtype, pack_tokens)
        return [row["sum_logp"] / row["tokens"] for row in rows]

    exact = means("float32", 1)
    assert means("float32", 2048) == pytest.approx(exact, abs=1e-4)
    single, packed = means("bfloat16", 1), means("bfloat16", 2048)
    off = [sum(abs(a - b) for a, b in zip(way, exact, strict=True)) for way in (single, packed)]
    assert off[1] < 2 * off[0] + 0.02 * len(exact)
