"""Quality as a reward model's scalar for the chat-rendered prompt and response."""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from persyn_kedro.domain.quality.scorer import Answer, Key as AnswerKey, Scorer
from persyn_kedro.domain.stores.tables import QualityStore
from persyn_kedro.foundations import progress
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import text_id
from persyn_kedro.foundations.models.rendering import closing_ids, render
from persyn_kedro.foundations.processes.map_blocks import flat, spread
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.tables.messages import prompt_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from persyn_kedro.foundations.models.resolve import ResolvedModel

VERSION = 1  # raise it when the same inputs give another result

_BLOCK = 64  # about this many answers are judged together
_logger = logging.getLogger(__name__)

Key = TypeVar("Key")


@dataclass(frozen=True)
class RewardModel(Scorer):
    """Judges by a reward model's scalar."""

    model: "ResolvedModel"
    batch_size: int = 1

    @property
    def identity(self) -> dict[str, str]:
        """The weights, and how the pair is rendered and read."""
        identity = {
            "kind": "reward_model",
            "weights_id": self.model.weights_id,
            "dtype": self.model.settings.dtype,
            "chat_template": text_id(self.model.chat_template),
        }
        return {**identity, **({"version": str(VERSION)} if VERSION > 1 else {})}

    @property
    def label(self) -> str:
        """Names the model."""
        return f"reward model {self.model.name}"

    def keeps(self, quality: float | None) -> bool:
        """Keep also what got no score: the same weights will give none again."""
        return True

    def scores(self, answers: Sequence[Answer]) -> Iterator[tuple[AnswerKey, float | None]]:
        """See ``reward_scorer``; answers are spread over a cluster's actors, if there is one."""
        found = spread(
            reward_scorer,
            self.model,
            self.batch_size,
            items=[(a.key, prompt_of(a.prompt), a.response) for a in answers],
            block=self.batch_size * max(1, _BLOCK // self.batch_size),
            label=self.label,
            stays=True,
            size=self.model.size,
        )
        with closing(found):
            yield from flat(found)

    def qualities(
        self, answers: Sequence[Answer], store: QualityStore, stored: Any = None
    ) -> dict[AnswerKey, float | None]:
        """Warn of answers without a finite score."""
        found = super().qualities(answers, store, stored)
        unknown = sum(found[answer.key] is None for answer in answers)
        if unknown:
            _logger.warning(
                "%d of %d responses got no finite score from reward model %s; their quality is "
                "unknown",
                unknown,
                len(answers),
                self.model.name,
            )
        return found

    def _failed(self, scored: tuple[AnswerKey, float | None]) -> bool:
        return scored[1] is None


def reward_model_scores(
    requests: Iterable[tuple[Key, Prompt, str]], model: "ResolvedModel", batch_size: int = 1
) -> Iterator[tuple[Key, float | None]]:
    """As ``reward_scorer``, loading the model for one call."""
    yield from reward_scorer(model, batch_size)(requests)


def reward_scorer(
    model: "ResolvedModel", batch_size: int = 1
) -> Callable[[Iterable[tuple[Key, Prompt, str]]], Iterator[tuple[Key, float | None]]]:
    """Load the model; return a function from (key, prompt, response) to (key, score), in order.

    The pair is rendered by the reward model's own chat template, ended as the template ends an
    answer; ``response`` is the visible text. The score is None if the response is empty, does not
    fit the model's context, or gets NaN or an infinite score.

    Raises:
        PersynError: the model is not a sequence classifier with a single label.
    """
    from persyn_kedro.foundations.models.load import load_tokenizer
    from persyn_kedro.foundations.models.resolve import here

    model = here(model)
    tokenizer = load_tokenizer(model)
    classifier = _load_classifier(model)
    progress.loaded()

    def judge(requests: Iterable[tuple[Key, Prompt, str]]) -> Iterator[tuple[Key, float | None]]:
        iterator = iter(requests)
        while batch := list(islice(iterator, batch_size)):
            ids = [pair_ids(tokenizer, prompt, response) for _, prompt, response in batch]
            fitting = [i for i in ids if _fits(classifier, i)]
            scores = iter(_scores(classifier, fitting))
            for (key, _, _), item in zip(batch, ids, strict=True):
                score = next(scores) if _fits(classifier, item) else math.nan
                yield key, score if math.isfinite(score) else None

    return judge


def _load_classifier(model: "ResolvedModel") -> "PreTrainedModel":
    import torch
    from transformers import AutoModelForSequenceClassification

    from persyn_kedro.foundations.models.load import device, readable, source_options

    with readable(model):
        classifier, report = AutoModelForSequenceClassification.from_pretrained(
            model.directory,
            dtype=getattr(torch, model.settings.dtype),
            output_loading_info=True,
            **source_options(model),
        )
    if classifier.config.num_labels != 1 or report["missing_keys"]:
        raise PersynError(f"Model {model.name} is not a reward model with a single score.")
    return classifier.eval().to(device())


def pair_ids(tokenizer: "PreTrainedTokenizerBase", prompt: Prompt, response: str) -> list[int]:
    """Return the ids by which a reward model judges a pair; none for an empty response."""
    if not response:
        return []
    rendered = render(tokenizer, None, prompt, response)
    return rendered.prompt_ids + rendered.response_ids + closing_ids(tokenizer)


def _fits(classifier: "PreTrainedModel", ids: list[int]) -> bool:
    context = getattr(classifier.config.get_text_config(), "max_position_embeddings", None)
    return bool(ids) and (context is None or len(ids) <= context)


def _scores(classifier: "PreTrainedModel", batch: list[list[int]]) -> list[float]:
    import torch

    if not batch:
        return []
    # The classifier reads its head at the last id that is not padding. Models whose padding is
    # also their end of turn would then read one token too early, so the padding is an unused id.
    padding = next(i for i in range(len(set().union(*batch)) + 1) if not any(i in b for b in batch))
    classifier.config.get_text_config().pad_token_id = padding
    input_ids = torch.nn.utils.rnn.pad_sequence(
        [torch.tensor(ids) for ids in batch], batch_first=True, padding_value=padding
    ).to(classifier.device)
    mask = torch.nn.utils.rnn.pad_sequence(
        [torch.ones(len(ids), dtype=torch.long) for ids in batch], batch_first=True
    ).to(classifier.device)
    with torch.inference_mode():
        logits = classifier(input_ids=input_ids, attention_mask=mask).logits
    return logits[:, 0].float().tolist()
