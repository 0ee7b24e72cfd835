"""How long a server asks to wait before the next request, from its headers."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime


def wait_of(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds of ``retry-after-ms`` or ``retry-after`` (a number or a date).

    A date in the past means 0. None if there is no such header, or it cannot be parsed.
    """
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        seconds = _seconds(headers.get(name), unit, now)
        if seconds is not None:
            return max(seconds, 0.0)
    return None


def _seconds(value: str | None, unit: float, now: datetime) -> float | None:
    if not value:
        return None
    try:
        number = float(value) * unit
        return number if math.isfinite(number) else None
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (zoned - now).total_seconds()


def when(seconds: float, now: datetime) -> str:
    """Format ``seconds`` from ``now`` as a duration and a time."""
    span = timedelta(seconds=math.ceil(min(seconds, 3e8)))  # ten years at most, or it overflows
    return f"in {span} h (at {now + span:%Y-%m-%d %H:%M} UTC)"
