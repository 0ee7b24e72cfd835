"""Routers compared on prompts that they were not fitted on."""

from .cross_fitting import check_kinds as check_kinds, cross_fit as cross_fit
from .more_calibration import calibration_spent as calibration_spent
from .summary import summarise_routers as summarise_routers
