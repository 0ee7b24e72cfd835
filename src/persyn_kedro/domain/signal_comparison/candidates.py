"""The rewards that are compared: a signal of learnability, a normalisation and an alpha each."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from persyn_kedro.domain.learnability.signals import signal_of
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.label import LOCAL_LIKELIHOOD, LabelSettings, Normalisation

QUALITY = "quality"  # the name of a reward without learnability


class Candidate(NamedTuple):
    """A reward; the fields are those of ``LabelSettings``."""

    learnability: str
    normalise: Normalisation
    alpha: float

    @classmethod
    def of(cls, label: LabelSettings) -> "Candidate":
        """Return the settings' own."""
        return cls(label.learnability, label.normalise, label.alpha)

    @property
    def changes(self) -> dict[str, Any]:
        """The changes to ``LabelSettings`` that make it this reward."""
        return self._asdict()

    @property
    def signal(self) -> str:
        """What learnability is, in a table: nothing where it has no weight."""
        return self.learnability if self.alpha else QUALITY

    @property
    def name(self) -> str:
        """What it is called beside others of the same normalisation."""
        return f"{self.learnability}_alpha_{self.alpha:g}" if self.alpha else QUALITY

    @property
    def same(self) -> tuple[str, str, float]:
        """Equal for candidates that are the same reward."""
        return self.signal, self.normalise, self.alpha


def candidates(
    label: LabelSettings,
    signals: Sequence[str],
    normalisations: Sequence[Normalisation],
    alphas: Sequence[float],
) -> list[Candidate]:
    """Return the settings' own reward and then all combinations, each once."""
    several = [Candidate(s, n, a) for n in normalisations for s in signals for a in sorted(alphas)]
    found: dict[tuple[str, str, float], Candidate] = {}
    for each in [Candidate.of(label), *several]:
        found.setdefault(each.same, each)
    return list(found.values())


def check_signals(signals: Sequence[str], group: str, label: LabelSettings) -> None:
    """Refuse signals that cannot be computed, before any work.

    Raises:
        PersynError: names the signal.
    """
    for name in signals:
        signal_of(name)
        if name == LOCAL_LIKELIHOOD and not label.local:
            raise PersynError(
                f"Parameter {group}.signals: {name} needs label.local: true, with which the "
                "student also reads the answers sentence by sentence (`--pipelines=label`)."
            )


def computable(statistics: pa.Table, signals: Sequence[str]) -> list[str]:
    """Return the signals that these statistics allow: not all have the local pass."""
    column = statistics["local_logp"]
    some = column.null_count < len(column)
    return [name for name in signals if some or name != LOCAL_LIKELIHOOD]
