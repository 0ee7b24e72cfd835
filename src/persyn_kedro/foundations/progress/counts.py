"""How much of a piece of work is done, in words."""

import time
from dataclasses import dataclass, field


@dataclass
class Work:
    """What a watch has counted; ``done`` includes ``items``, skipped ones and earlier runs'."""

    label: str
    total: int | None
    unit: str
    done: int = 0
    items: int = 0
    tokens: int = 0
    prompt_tokens: int = 0
    cost: float = 0.0
    failed: int = 0
    stored: int = 0
    note: str = ""
    seconds: float = 0.0
    begun: float = field(default_factory=lambda: time.monotonic())
    last: float = 0.0  # when the last item was done

    def add(self, items: int = 0, skipped: int = 0, note: str = "", **more: float) -> None:
        self.items += items
        self.done += items + skipped
        self.last = time.monotonic() if items else self.last
        self.note = note or self.note
        for name, value in more.items():
            setattr(self, name, getattr(self, name) + value)

    def begin(self, total: int | None = None, done: int = 0) -> None:
        self.total = self.total if total is None else total
        self.done += done
        if not self.items:  # another model that is loaded in between takes time as well
            self.begun = time.monotonic()

    def counts(self) -> str:
        """Return its progress among the work around it."""
        return f"{self.done:,}" + ("" if self.total is None else f"/{self.total:,}")

    def line(self) -> str:
        """Return its progress, speed, consumption and remaining time."""
        seconds = time.monotonic() - self.begun
        if self.items:  # until the last item, or until the next was due
            seconds = max(self.last - self.begun, seconds * self.items / (self.items + 1))
        if self.items and self.total:
            when = f"{clock(seconds * max(0, self.total - self.done) / self.items)} left"
        else:
            when = f"for {clock(seconds)}"
        amounts = self._amounts(seconds, "tokens")
        parts = [f"{self.counts()} {self.unit}", when, *amounts, self.note]
        return f"{self.label}: {', '.join(filter(None, parts))}"

    def summary(self) -> str:
        """Return what was done, as part of the step's summary."""
        kind = "completion tokens" if self.prompt_tokens else "tokens"
        rate, *amounts = self._amounts(self.seconds, kind)
        if self.prompt_tokens:
            amounts.insert(0, f"{self.prompt_tokens:,} prompt tokens")
        done = f"{self.items:,} {self.unit}" + (f" ({rate})" if rate else "")
        stored = f"{self.stored:,} from the store" if self.stored else ""
        return ", ".join(filter(None, [done, *amounts, stored]))

    def _amounts(self, seconds: float, kind: str) -> list[str]:
        parts = [_rate(self.items, seconds)]
        if self.tokens:
            parts.append(f"{self.tokens:,} {kind} ({_rate(self.tokens, seconds)})")
        if self.cost:
            parts.append(f"cost {_money(self.cost)}")
        if self.failed:
            parts.append(f"{self.failed:,} failed")
        return parts


def _rate(amount: float, seconds: float) -> str:
    rate = amount / seconds if seconds > 0 else 0.0
    if not rate:
        return ""
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s" if rate >= 1 else f"{rate:.2g}/s"


def clock(seconds: float) -> str:
    """Return minutes:seconds, with hours if there are any."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def _money(cost: float) -> str:
    return f"{cost:,.2f}" if cost >= 1 else f"{cost:.3g}"
