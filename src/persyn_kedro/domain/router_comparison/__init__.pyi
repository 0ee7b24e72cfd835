"""Routers compared on prompts that they were not fitted on."""

from .cross_fitting import (
    check_kinds as check_kinds,
    compared as compared,
    cross_fit as cross_fit,
    held_out_scores as held_out_scores,
)
from .frontier import Measured as Measured, trace_frontier as trace_frontier
from .more_calibration import calibration_spent as calibration_spent
from .own_router import cross_fit_own as cross_fit_own
from .summary import summarise_routers as summarise_routers
