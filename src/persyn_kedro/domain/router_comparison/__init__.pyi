"""Routers compared on prompts that they were not fitted on."""

from .cross_fitting import (
    check_kinds as check_kinds,
    compared as compared,
    cross_fit as cross_fit,
    held_out_scores as held_out_scores,
    preference_routers as preference_routers,
)
from .frontier import Measured as Measured, trace_frontier as trace_frontier
from .held_out import HeldOut as HeldOut
from .more_calibration import calibration_spent as calibration_spent
from .own_curve import own_learning as own_learning
from .own_router import cross_fit_own as cross_fit_own, own_scale as own_scale
from .prospects import routing_prospects as routing_prospects
from .summary import summarise_routers as summarise_routers
