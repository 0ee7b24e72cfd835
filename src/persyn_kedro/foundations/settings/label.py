"""Typed settings of quality, learnability and the reward."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from persyn_kedro.foundations.settings.base import FILE, IF_SET, NO_EFFECT, RUBRIC, Group, ModelName
from persyn_kedro.foundations.settings.design import Design, DesignSettings
from persyn_kedro.foundations.settings.plugins import kind
from persyn_kedro.foundations.settings.sampling import SamplingSettings
from persyn_kedro.foundations.settings.spending import Budget, Prices

# A known kind, or file.py:name for the user's own code (foundations.settings.plugins).
QualityKind = Annotated[str, kind("exact_answer", "reward_model", "code", "judge", "imported")]
VERDICTS = ("exact_answer", "code")  # they say right or wrong: 0 is an answer that is wrong
LOCAL_LIKELIHOOD = "local_likelihood"
SIGNALS = {  # as exports and the report say them
    "mean_log_likelihood": "the student's mean log-likelihood of the answer's tokens",
    "rank_surprisal": "the ratio of the tokens' ranks to their surprisal under the student",
    "brier": "the mean Brier score of the student's predictions of the answer's tokens",
    "lark": "the expected rate of learning (LARK) of the answer by the student",
    "worst_window": "the student's mean log-likelihood of the answer's least likely stretch",
    LOCAL_LIKELIHOOD: "the student's mean log-likelihood of a sentence after the four before it",
}
SignalKind = Annotated[str, kind(*SIGNALS)]
Normalisation = Literal["prompt_minmax", "prompt_z", "pool_z", "pool_rank"]


JUDGE_FIELDS = {
    "rubric", "mode", "samples", "sampling", "structured", "price", "prompt_price", "budget",
}  # fmt: skip


class QualitySettings(Group):
    """``exact_answer`` compares with the reference; ``reward_model`` scores the response.

    ``code`` runs the response's code against the prompt's tests, in a sandbox. ``judge`` asks a
    language model, local or hosted, by a rubric (``domain.quality.judge``). ``imported`` takes
    scores that somebody else published from a file (``domain.quality.imported``). ``file.py:name``
    is the user's own function (``domain.quality.own_function``).
    """

    kind: QualityKind = Field(
        "exact_answer", description="or file.py:name (domain.quality.own_function)"
    )
    model: ModelName | None = Field(None, description="the reward model or judge, one of models")
    batch_size: Annotated[int, NO_EFFECT] = Field(
        1, ge=1, description="reward model: pairs per forward pass"
    )
    cpu_seconds: Annotated[int, IF_SET] = Field(
        6, ge=1, le=600, description="code: most CPU time of a test"
    )
    memory_mb: Annotated[int, IF_SET] = Field(
        1024, ge=64, le=65536, description="code: most memory of a test, in MiB"
    )
    container: Annotated[str | None, IF_SET] = Field(
        None,
        description="code: an image that has Python, for Podman or Docker; none: bubblewrap is the "
        "sandbox",
    )
    allow_unsandboxed: Annotated[bool, NO_EFFECT] = Field(
        False, description="code: run it with limits only where bubblewrap does not work"
    )
    rubric: Annotated[str | None, RUBRIC, IF_SET] = Field(
        None, description="judge: instruction_following, correctness, or a YAML file of yours"
    )
    mode: Annotated[Literal["score", "pairwise", "listwise"], IF_SET] = Field(
        "score",
        description="judge: a number for each answer, or a prompt's answers compared, two by two "
        "or all at once",
    )
    samples: Annotated[int, IF_SET] = Field(
        1, ge=1, le=100, description="judge: replies to each question, whose mean counts"
    )
    sampling: Annotated[SamplingSettings, IF_SET] = Field(
        SamplingSettings(), description="judge: as of a teacher"
    )
    structured: Annotated[bool, IF_SET] = Field(
        False,
        description="judge: have its reply follow a JSON schema (a server's response_format, or "
        "vLLM's structured outputs)",
    )
    file: Annotated[str | None, FILE, IF_SET] = Field(
        None, description="imported: JSONL as for import-responses, with scores by name"
    )
    score: Annotated[str | None, IF_SET] = Field(
        None, description="imported: which of the file's scores"
    )
    price: Annotated[float, NO_EFFECT] = Field(
        0.0, ge=0, le=1e12, description="judge: per million completion tokens"
    )
    prompt_price: Annotated[float, NO_EFFECT] = Field(
        0.0, ge=0, le=1e12, description="judge: per million prompt tokens"
    )
    budget: Annotated[Budget, NO_EFFECT] = Budget()

    @model_validator(mode="after")
    def _fits_its_kind(self) -> "QualitySettings":
        if (self.kind in ("reward_model", "judge")) != (self.model is not None):
            raise ValueError("model must be set if kind is reward_model or judge, and only then")
        judges, given = self.kind == "judge", self.model_fields_set & JUDGE_FIELDS
        if given and not judges:
            raise ValueError(f"{min(given)} is only for kind judge, not for {self.kind}")
        if judges and self.rubric is None:
            raise ValueError(
                "rubric must be set if kind is judge: instruction_following, correctness, or a "
                "YAML file of yours"
            )
        greedy = self.sampling.temperature == 0 and self.mode != "listwise"  # which shuffles anew
        if self.samples > 1 and greedy:
            raise ValueError(
                f"samples is {self.samples}, but sampling.temperature is 0, so all of them would "
                "be the same reply: raise it, or set samples to 1"
            )
        return self

    @model_validator(mode="after")
    def _scores_for_imported(self) -> "QualitySettings":
        for name in ("file", "score"):
            if (getattr(self, name) is not None) != (self.kind == "imported"):
                raise ValueError(f"{name} must be set if kind is imported, and only then")
        return self

    @model_validator(mode="after")
    def _sandbox_for_code(self) -> "QualitySettings":
        of_code = ("cpu_seconds", "memory_mb", "container", "allow_unsandboxed")
        given = [name for name in of_code if name in self.model_fields_set]
        if given and self.kind != "code":
            raise ValueError(f"{given[0]} is only for kind: code")
        return self

    @property
    def compares(self) -> bool:
        """Whether an answer's quality depends on the prompt's other answers."""
        return self.kind == "judge" and self.mode != "score"

    @property
    def prices(self) -> Prices:
        """What the judge's tokens cost."""
        return Prices(self.price, self.prompt_price)


class QualityTerm(QualitySettings):
    """One of several ways of judging, whose weighted mean is the quality."""

    weight: float = Field(1.0, gt=0, description="of a list: relative to the other terms' weights")
    name: Annotated[str | None, IF_SET] = Field(
        None, description="of a list: what tables and the report call it; by default, its kind"
    )

    @property
    def called(self) -> str:
        """Its name, or what it is named after."""
        return self.name or " ".join(filter(None, (self.kind, self.model)))


QUALITY_FORMS = ("(one)", "(several)")  # in places of errors alone
Quality = Annotated[
    Annotated[QualitySettings, Tag(QUALITY_FORMS[0])]
    | Annotated[list[QualityTerm], Tag(QUALITY_FORMS[1])],
    Discriminator(lambda value: QUALITY_FORMS[isinstance(value, list)]),
]
Ways = QualitySettings | Sequence[QualityTerm]  # of judging: one, or several


def ways_of(quality: QualitySettings | Sequence[QualitySettings]) -> Sequence[QualitySettings]:
    """Return the one way of judging, or the several."""
    return [quality] if isinstance(quality, QualitySettings) else quality


REWARD_FIELDS = (  # of LabelSettings: what the rewards of scored answers depend on
    "alpha", "learnability", "window", "normalise", "allow_truncated", "unsolved", "samples",
)  # fmt: skip


class LabelSettings(Group):
    """Reward r = (1 - alpha) r_q + alpha r_l, and what counts as a valid response."""

    alpha: float = Field(
        0.4, ge=0, le=1, description="weight of learnability; quality gets the rest"
    )
    quality: Quality = Field(
        QualitySettings(), description="one way of judging answers, or a list of several"
    )
    learnability: SignalKind = Field(
        "mean_log_likelihood",
        description=f"{', '.join(SIGNALS)}, or file.py:name (domain.learnability.signals)",
    )
    window: Annotated[int, IF_SET] = Field(
        32, ge=1, description="worst_window only: tokens in a row whose mean likelihood counts"
    )
    local: Annotated[bool, IF_SET] = Field(
        False,
        description="whether the student also reads each answer sentence by sentence; true if "
        "learnability is local_likelihood",
    )
    normalise: Annotated[Normalisation, IF_SET] = Field(
        "prompt_minmax",
        description="how quality and learnability are put on one scale: within a prompt, or over "
        "the whole calibration set (pool), which keeps the sizes of differences",
    )
    design: Annotated[Design, IF_SET] = Field(
        DesignSettings(), description="full, or {teachers_per_prompt: …} or {adaptive: {…}}"
    )
    allow_truncated: bool = Field(False, description="whether truncated answers may be trained on")
    unsolved: Literal["keep", "leave_out"] = Field(
        "keep",
        description="what to do with prompts that no teacher solves; leave_out needs "
        "label.design: full",
    )
    samples: Annotated[Literal["mean", "best"], IF_SET] = Field(
        "mean",
        description="of a teacher with several answers to a prompt: the terms' means over the "
        "valid ones, or the terms of the best (by quality, then by learnability)",
    )
    scoring_pack_tokens: Annotated[int, NO_EFFECT] = Field(
        2048, ge=1, description="tokens per forward pass of the student"
    )
    vocabulary_chunk: Annotated[int, NO_EFFECT] = Field(
        256, ge=1, description="response positions whose logits are in memory at once"
    )

    @model_validator(mode="before")
    @classmethod
    def _read_by_sentences(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("learnability") == LOCAL_LIKELIHOOD:
            return {"local": True, **values}
        return values

    @field_validator("quality")
    @classmethod
    def _distinct_terms(cls, value: Any) -> Any:
        if isinstance(value, QualitySettings):
            return value
        if not value:
            raise ValueError("must be a way of judging answers, or a list of at least one")
        names = [term.called for term in value]
        plain = [term.model_dump(exclude={"weight", "name", "batch_size"}) for term in value]
        for place, (name, own) in enumerate(zip(names, plain, strict=True)):
            if own in plain[:place]:
                raise ValueError(f"has the term {name!r} twice: leave one out")
            if name in names[:place]:
                raise ValueError(f"has two terms called {name!r}: give one another name")
        return value

    @property
    def terms(self) -> list[QualityTerm]:
        """The terms that quality is the weighted mean of; none if it is judged in one way."""
        return [] if isinstance(self.quality, QualitySettings) else self.quality

    @property
    def ways(self) -> Sequence[QualitySettings]:
        """The one way of judging answers, or the several."""
        return ways_of(self.quality)

    @property
    def ways_by_key(self) -> dict[str, QualitySettings]:
        """The ways of judging answers by the settings that they come from."""
        if not self.terms:
            return {"label.quality": self.ways[0]}
        return {f"label.quality.{place}": way for place, way in enumerate(self.ways)}

    @model_validator(mode="after")
    def _has_its_pass(self) -> "LabelSettings":
        if self.learnability == LOCAL_LIKELIHOOD and not self.local:
            raise ValueError("learnability: local_likelihood needs local: true")
        return self

    @model_validator(mode="after")
    def _tells_unsolved(self) -> "LabelSettings":
        """A tie of all answers is 0 by ``pairwise``, which is no wrong answer."""
        if self.unsolved == "leave_out" and not self.terms and self.ways[0].compares:
            raise ValueError(
                f"unsolved is leave_out, but mode {self.ways[0].mode} of quality compares answers "
                "and says of none that it is wrong: set unsolved to keep"
            )
        return self


def has_terms(settings: Iterable[Any]) -> bool:
    """Return whether quality has several terms, by these groups of settings."""
    return any(isinstance(group, LabelSettings) and bool(group.terms) for group in settings)
