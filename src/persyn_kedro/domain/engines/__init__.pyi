"""Engines: what runs a model, local or hosted, behind one contract."""

from .base import Generation as Generation, Request as Request, failed as failed
from .registry import check_installed as check_installed, engine_module as engine_module
