"""A packed row gives each sequence what it gets alone."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    LlamaConfig,
    MambaConfig,
    Phi3Config,
    PhimoeConfig,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from persyn_kedro.foundations.models import packing, varlen
from persyn_kedro.foundations.models.norms_by_rows import norms_by_rows
from persyn_kedro.foundations.models.packing import hidden_states, pack, use_packing

SIZES = {
    "vocab_size": 50,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 4,
    "pad_token_id": 0,
}
WINDOWED = Gemma3TextConfig(
    **SIZES, sliding_window=4, layer_types=["sliding_attention", "full_attention"]
)
CONFIGS = [LlamaConfig(**SIZES), Qwen2Config(**SIZES), Qwen3Config(**SIZES), WINDOWED]

_ids = st.lists(st.integers(1, 49), min_size=1, max_size=12)
_families = st.lists(
    st.tuples(st.one_of(st.just([]), _ids), st.lists(_ids, min_size=1, max_size=3)),
    min_size=1,
    max_size=3,
)


def _model(config: PretrainedConfig) -> Any:
    torch.manual_seed(1)
    return AutoModelForCausalLM.from_config(deepcopy(config)).float().eval()


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.model_type)
def test_each_sequence_gets_what_it_gets_alone(config: PretrainedConfig) -> None:
    alone, together = _model(config), _model(config)
    assert use_packing(together)

    @given(families=_families)
    @settings(max_examples=15, deadline=None)
    def check(families: list[tuple[list[int], list[list[int]]]]) -> None:
        packed = pack(families)
        with torch.no_grad():
            states = hidden_states(together.base_model, packed)
            ends = iter([stop - 1 for _, stop, _, _ in packed.segments])
            for beginning, continuations in families:
                if beginning:
                    _same(states[next(ends)], alone, beginning)
                for continuation in continuations:
                    _same(states[next(ends)], alone, [*beginning, *continuation])

    check()


def _same(state: torch.Tensor, model: Any, ids: list[int]) -> None:
    wanted = model.base_model(input_ids=torch.tensor([ids])).last_hidden_state[0, -1]
    torch.testing.assert_close(state, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.model_type)
def test_gradients_are_those_of_separate_sequences(config: PretrainedConfig) -> None:
    sequences = [[3, 4, 5, 6, 7, 8, 9], [9, 8, 7]]
    alone, together = _model(config), _model(config)
    assert use_packing(together)
    packed = pack([([], sequences)])
    hidden_states(together.base_model, packed).square().sum().backward()
    for ids in sequences:
        output = alone.base_model(input_ids=torch.tensor([ids])).last_hidden_state
        output.square().sum().backward()
    pairs = zip(alone.named_parameters(), together.named_parameters(), strict=True)
    for (name, a), (_, b) in pairs:
        if a.grad is not None:
            torch.testing.assert_close(b.grad, a.grad, atol=1e-3, rtol=1e-3, msg=name)


@pytest.mark.parametrize(
    "config",
    [
        MambaConfig(vocab_size=50, hidden_size=16, num_hidden_layers=2, state_size=4),
        Gemma2Config(**SIZES, attn_logit_softcapping=5.0),
    ],
    ids=lambda config: config.model_type,
)
def test_a_model_with_other_means_keeps_its_own_attention(config: PretrainedConfig) -> None:
    model = _model(config)
    before = model.config._attn_implementation
    assert not use_packing(model)
    assert model.config._attn_implementation == before


def test_the_row_has_a_shared_beginning_once() -> None:
    packed = pack([([1, 2], [[3], [4, 5]]), ([], [[6, 7]])])
    assert packed.input_ids == [1, 2, 3, 4, 5, 6, 7]
    assert packed.position_ids == [0, 1, 2, 2, 3, 0, 1]
    assert packed.segments == ((0, 2, 0, 0), (2, 3, 0, 2), (3, 5, 0, 2), (5, 7, 5, 5))


def test_a_model_whose_tokens_see_more_of_the_row_is_not_packed() -> None:
    rope = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
    assert not use_packing(_model(LlamaConfig(**SIZES, rope_parameters=rope)))
    long = {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "short_factor": [1.0, 1.0],
        "long_factor": [2.0, 2.0],
        "original_max_position_embeddings": 16,
    }
    assert not use_packing(_model(Phi3Config(**SIZES, rope_parameters=long)))
    # Its window reaches the attention by a mask alone, and is longer than the probe's row.
    masked = PhimoeConfig(**SIZES, sliding_window=16, num_local_experts=2)
    assert not use_packing(_model(masked))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.model_type)
def test_norms_by_rows_give_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, config: PretrainedConfig
) -> None:
    model = _model(config).bfloat16()
    norms = [m for m in model.modules() if type(m).__name__.endswith("RMSNorm")]
    ids = torch.arange(6, 24)[None]
    with torch.inference_mode():
        before = model(ids, use_cache=False).logits
        monkeypatch.setattr(
            "persyn_kedro.foundations.models.norms_by_rows._CACHED", 50
        )  # 3 rows or so
        norms_by_rows(model)
        after = model(ids, use_cache=False).logits
    assert norms and all("forward" in vars(norm) for norm in norms)
    assert torch.equal(before, after)


@pytest.mark.parametrize("fault", [RuntimeError, None])
def test_a_gpu_whose_kernel_fails_or_errs_computes_one_sequence_after_another(
    monkeypatch: pytest.MonkeyPatch, fault: type[Exception] | None
) -> None:
    """Errs: a kernel that aligns queries with the first keys, so that a continuation sees less."""
    calls = []

    def kernel(query: torch.Tensor, *given: Any, **more: Any) -> torch.Tensor:
        calls.append(given)
        if fault:
            raise fault("no kernel image is available for execution on the device")
        return torch.zeros_like(query)

    monkeypatch.setattr(varlen, "kernel_of", lambda _: kernel)
    sizes = {**SIZES, "hidden_size": 32, "head_dim": 8}
    model = _model(LlamaConfig(**sizes)).bfloat16()
    assert use_packing(model) and calls
    assert model.config._attn_implementation == packing.IN_TURN
    calls.clear()
    with torch.inference_mode():
        hidden_states(model.base_model, pack([([5, 6], [[7], [8, 9]])]))
    assert not calls


def test_the_kernel_is_asked_for_nothing_that_it_does_not_compute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert varlen.kernel_of(torch.device("cpu")) is None
    half = torch.zeros(1, 2, 3, 16, dtype=torch.bfloat16)
    assert not varlen.computes(half, half, 0.0)
    monkeypatch.setattr(varlen, "kernel_of", lambda _: torch.add)
    assert varlen.computes(half, half, 0.0)
    assert not varlen.computes(half, half, 0.1)
    assert not varlen.computes(half.float(), half, 0.0)
    assert not varlen.computes(half[..., :12], half[..., :12], 0.0)
    assert not varlen.computes(half, half[..., :8], 0.0)
    wide = torch.zeros(1, 2, 3, 264, dtype=torch.float16)
    assert not varlen.computes(wide, wide, 0.0)
    with torch.autocast("cpu", torch.bfloat16):
        assert varlen.computes(half.float(), half, 0.0)


@pytest.mark.parametrize(
    ("capability", "runs", "has"),
    [((7, 5), True, False), ((8, 0), True, True), ((9, 0), True, True), ((9, 0), False, False)],
)
def test_gpus_before_ampere_have_no_such_kernel(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], runs: bool, has: bool
) -> None:
    from torch.nn.attention.varlen import varlen_attn

    monkeypatch.setattr(varlen, "_runs", lambda *_: runs)  # there is no GPU to try it on
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    found = varlen.kernel_of.__wrapped__(torch.device("cuda", 0))
    assert found is (varlen_attn if has else None)
