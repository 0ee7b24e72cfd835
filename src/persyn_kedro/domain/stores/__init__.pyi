"""Append-only, content-addressed stores of what was paid for or computed."""

from .jobs import Job as Job, JobStore as JobStore
from .tables import (
    QualityStore as QualityStore,
    ResponseStore as ResponseStore,
    RoutingStore as RoutingStore,
    StatisticsStore as StatisticsStore,
    TrialStore as TrialStore,
)
