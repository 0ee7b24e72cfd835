"""What a round of training has made: the first round's names, or those with its number."""

from collections.abc import Container
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Round:
    """A round, in a catalog: round_2.router is the router of the second one."""

    number: int
    catalog: Any

    def name(self, dataset: str) -> str:
        """Return what the catalog calls this round's own dataset."""
        return f"round_{self.number}.{dataset}" if self.number > 1 else dataset

    @property
    def pipeline(self) -> str:
        """The pipeline that routes in this round."""
        return "next_round" if self.number > 1 else "route"

    def load(self, dataset: str, own: Container[str]) -> Any:
        """Return a dataset: the round's if ``own`` has its name, otherwise that of all rounds."""
        name = self.name(dataset)
        return self.catalog.load(name if name in own else dataset)
