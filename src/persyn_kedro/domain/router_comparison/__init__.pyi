"""Routers compared on prompts that they were not fitted on."""

from .cross_fitting import check_kinds as check_kinds, compared as compared, cross_fit as cross_fit
from .summary import summarise_routers as summarise_routers
