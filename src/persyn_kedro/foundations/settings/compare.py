"""Typed settings of the comparison of strategies."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from persyn_kedro.foundations.settings.base import IF_SET, Group, Seed, one_line
from persyn_kedro.foundations.settings.label import Normalisation, SignalKind

StrategyName = Literal[
    "persyn", "persyn_cheap", "strong", "best_constant", "task_type", "mix", "family_strong",
    "car", "random", "oracle",
]  # fmt: skip
ALPHA = "persyn_alpha_"  # begins PerSyn's name at another alpha
TASK_TYPE, RANDOM = "task_type", "random"
CALIBRATION_TWIN = "persyn_calibration"  # the oracle's opponent
RESERVED = {*StrategyName.__args__, CALIBRATION_TWIN, "untrained"}  # type: ignore[attr-defined]


class VariantSettings(Group):
    """PerSyn with another router or reward, or one teacher for all prompts; else as the settings.

    A router is fitted anew, on the same calibration prompts; no answer is asked for that.
    """

    router: str | None = Field(
        None,
        description="one of compare_routers.routers, or a kind of router with the keys of "
        "train_router that it has",
    )
    alpha: float | None = Field(None, ge=0, le=1, description="as label.alpha")
    learnability: SignalKind | None = Field(None, description="as label.learnability")
    normalise: Normalisation | None = Field(None, description="as label.normalise")
    teacher: str | None = Field(
        None, description="asked for every prompt; it is chosen without calibration answers"
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> "VariantSettings":
        others = {name for name, value in self if value is not None} - {"teacher"}
        if self.teacher is not None and others:
            raise ValueError(f"teacher leaves no choice to {min(others)}: set one of them")
        if self.teacher is None and not any(value is not None for _, value in self):
            raise ValueError("must set what differs from persyn, such as router or learnability")
        return self

    @property
    def reward(self) -> dict[str, Any]:
        """The fields of ``label`` that differ."""
        fields = {name: getattr(self, name) for name in ("alpha", "learnability", "normalise")}
        return {name: value for name, value in fields.items() if value is not None}

    @property
    def spoken(self) -> str:
        """What it is, for the reader."""
        if self.teacher is not None:
            return f"always {self.teacher}, chosen without calibration answers"
        found = {**({"router": self.router} if self.router else {}), **self.reward}
        return f"PerSyn with {', '.join(f'{name} {value}' for name, value in found.items())}"


class CompareSettings(Group):
    """Which training sets are built, and how students trained on them are compared.

    ``alphas`` add PerSyn with another ``label.alpha`` (METHOD.md's ablations are 0 and 1), and
    ``variants`` PerSyn with another router or reward. ``oracle`` adds ``persyn_calibration``,
    trained on the same calibration prompts.
    """

    strategies: list[StrategyName] = Field(
        ["persyn", "strong", "mix", "family_strong", "car", "random", "oracle"],
        description="to compare; must include persyn",
    )
    alphas: list[Annotated[float, Field(ge=0, le=1)]] = Field(
        [0.0, 1.0], description="values of label.alpha to also compare PerSyn with"
    )
    variants: Annotated[dict[str, VariantSettings], IF_SET] = Field(
        {}, description="more strategies by name: PerSyn with another router or reward"
    )
    seeds: list[Seed] = Field([1, 2, 3], min_length=1, description="one student per strategy each")
    students: Annotated[list[str] | None, IF_SET] = Field(
        None,
        description="strategies to train students of now, with persyn; none: all. The others "
        "still decide which prompts all have in common, so none of these is trained again when "
        "more are added",
    )
    mix_strong_share: float = Field(
        0.2, ge=0, le=1, description="mix: share of prompts sent to the strongest teacher"
    )
    car_beta: float = Field(3.0, ge=0, description="car: weight of the student's NLL")
    kept_reward: Annotated[float, IF_SET] = Field(
        0.99,
        gt=0,
        le=1,
        description="persyn_cheap and the frontier: share of the routed reward to keep for less",
    )
    examples: Literal["common", "own", "equal_tokens"] = Field(
        "common",
        description="common: only prompts whose answer is usable in every strategy; own: every "
        "usable answer of each strategy, so the numbers of examples differ; equal_tokens: the "
        "same teacher tokens for each strategy, the calibration answers that it chooses by "
        "included",
    )
    tokens: Annotated[int | None, IF_SET] = Field(
        None,
        ge=1,
        description="equal_tokens: completion tokens for each strategy; none: as many as the "
        "strategy that needs the fewest is expected to take for all prompts",
    )
    min_share: float = Field(
        0.5, ge=0, le=1, description="a strategy with a smaller share of usable answers is left out"
    )
    resamples: int = Field(10_000, ge=100, le=1_000_000, description="bootstrap resamples")
    confidence: float = Field(0.95, gt=0, lt=1, description="of the intervals")
    intervals: Annotated[Literal["pointwise", "simultaneous"], IF_SET] = Field(
        "pointwise",
        description="pointwise: each interval covers with this confidence; simultaneous: all of "
        "them at once do",
    )

    @field_validator("variants")
    @classmethod
    def _free_names(cls, value: dict[str, VariantSettings]) -> dict[str, VariantSettings]:
        for name in value:
            if not name.strip() or not one_line(name):
                raise ValueError("names must be one line and not empty")
            if name in RESERVED or name.startswith(ALPHA):
                raise ValueError(f"must not be named {name}, which is another strategy's name")
        return value

    @model_validator(mode="after")
    def _sensible(self) -> "CompareSettings":
        if "persyn" not in self.strategies:
            raise ValueError("strategies must include persyn, which the others are compared with")
        for name in ("strategies", "alphas", "seeds"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise ValueError(f"{name} must not contain duplicates")
        if self.students is not None:
            if "persyn" not in self.students:
                raise ValueError("students must include persyn, which the others are compared with")
            if unknown := sorted(set(self.students) - self.named):
                raise ValueError(f"students has {unknown[0]!r}, which is not compared")
        if self.tokens is not None and self.examples != "equal_tokens":
            raise ValueError("tokens is for examples: equal_tokens")
        return self

    @property
    def named(self) -> set[str]:
        """The names of everything that is compared."""
        also = {CALIBRATION_TWIN} if "oracle" in self.strategies else set()
        return {*self.strategies, *map(alpha_name, self.alphas), *self.variants, *also}

    @property
    def blind(self) -> set[str]:
        """The strategies that choose without any calibration answer."""
        return {RANDOM, *(name for name, each in self.variants.items() if each.teacher)}

    def routed(self, alpha: float) -> dict[str, VariantSettings]:
        """Return the strategies that need a router of their own, by name.

        Args:
            alpha: ``label.alpha``, which needs no other router.
        """
        found = {alpha_name(a): VariantSettings(alpha=a) for a in self.alphas if a != alpha}
        if TASK_TYPE in self.strategies:
            found[TASK_TYPE] = VariantSettings(router=TASK_TYPE)
        return {**found, **{n: each for n, each in self.variants.items() if not each.teacher}}


def alpha_name(alpha: float) -> str:
    """Return PerSyn's name at another alpha."""
    return f"{ALPHA}{alpha!r}".removesuffix(".0")


def compares_cheap(settings: Iterable[Any]) -> bool:
    """Return whether routing for less is compared, with these groups of settings."""
    return any(isinstance(g, CompareSettings) and "persyn_cheap" in g.strategies for g in settings)


def names_routers(settings: Iterable[Any]) -> bool:
    """Return whether a compared strategy's router is named, with these groups of settings."""
    return any(
        isinstance(group, CompareSettings)
        and any(getattr(each, "router", None) for each in group.variants.values())
        for group in settings
    )
