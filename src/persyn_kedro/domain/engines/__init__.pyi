"""Engines: run models, local or hosted, behind one contract."""

from .base import Engine as Engine, Generation as Generation, Request as Request, failed as failed
from .registry import engine_of as engine_of
from .turns import Turns as Turns
from .vllm import VllmEngine as VllmEngine, check_arguments_job as check_arguments_job
