"""Generation with Transformers, for machines without vLLM."""

from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from typing import Any, Self

from persyn_kedro.domain.engines.base import Engine, Generation, Request
from persyn_kedro.domain.engines.turns import Prepared, Turns
from persyn_kedro.foundations import progress
from persyn_kedro.foundations.processes.memory import uses_gpu

LOOK_AHEAD = 4096  # requests, within which those of similar length are batched together


class TransformersEngine(Engine):
    """Runs greedy requests in batches, sampled ones one by one."""

    stays = True
    _loaded: tuple[Turns, Any] | None = None

    def load(self) -> Self:
        """Load tokenizer and weights, unless already loaded."""
        self._turns_and_model()
        return self

    def rest(self) -> bool:
        """Stay in main memory; a GPU's belongs to the next model."""
        return not uses_gpu()

    def _turns_and_model(self) -> tuple[Turns, Any]:
        from persyn_kedro.foundations.models.load import load_causal_lm

        if self._loaded is None:
            self._loaded = Turns.of(self.model, self.settings), load_causal_lm(self.model)
            progress.loaded()
        return self._loaded

    def generate(self, requests: Iterable[Request]) -> Generator[Generation, None, None]:
        """Yield a generation for each request; similar lengths are batched together."""
        turns, causal_lm = self._turns_and_model()
        iterator = iter(requests)
        while some := [turns.prepare(request) for request in islice(iterator, LOOK_AHEAD)]:
            yield from (each for each in some if isinstance(each, Generation))
            waiting = [each for each in some if isinstance(each, Prepared)]
            for batch in _batches(waiting, self.settings.batch_size):
                answers = _generate_batch(causal_lm, batch, sorted(turns.stop_ids))
                for prepared, token_ids in zip(batch, answers, strict=True):
                    yield turns.finish(prepared, token_ids)


def _batches(waiting: Iterable[Prepared], size: int) -> Iterator[list[Prepared]]:
    """Yield batches of requests of similar length.

    Requests with sampling or a repetition penalty run alone: a batch shares one random stream, and
    the penalty would count the padding.
    """
    greedy: dict[int, list[Prepared]] = {}
    for prepared in waiting:
        sampling = prepared.request.sampling
        if sampling.temperature == 0 and sampling.repetition_penalty == 1:
            greedy.setdefault(prepared.max_tokens, []).append(prepared)
        else:
            yield [prepared]
    for group in greedy.values():
        group.sort(key=lambda prepared: len(prepared.prompt_ids))
        yield from (group[start : start + size] for start in range(0, len(group), size))


def _generate_batch(causal_lm: Any, batch: list[Prepared], stop_ids: list[int]) -> list[list[int]]:
    """Return each request's new tokens; anything after a stop token is padding."""
    import torch
    from transformers import GenerationConfig

    width = max(len(prepared.prompt_ids) for prepared in batch)
    pads = [width - len(prepared.prompt_ids) for prepared in batch]
    padding = stop_ids[0] if stop_ids else 0
    ids = [[padding] * pad + list(p.prompt_ids) for pad, p in zip(pads, batch, strict=True)]
    mask = [[0] * pad + [1] * (width - pad) for pad in pads]
    request = batch[0].request
    sampling = request.sampling
    options: dict[str, Any] = {"do_sample": False}
    if sampling.temperature:
        torch.manual_seed(request.seed)
        options = {
            "do_sample": True,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
        }
    causal_lm.generation_config = GenerationConfig()  # the model's own defaults must not leak in
    with torch.inference_mode():
        output = causal_lm.generate(
            input_ids=torch.tensor(ids, device=causal_lm.device),
            attention_mask=torch.tensor(mask, device=causal_lm.device),
            generation_config=GenerationConfig(
                max_new_tokens=batch[0].max_tokens,
                repetition_penalty=sampling.repetition_penalty,
                eos_token_id=stop_ids or None,
                pad_token_id=padding,
                **options,
            ),
        )
    return output[:, width:].tolist()
