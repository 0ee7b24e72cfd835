"""Typed settings, how they are read, and what a step reads of them."""

from .experiments import (
    BenchmarkSettings as BenchmarkSettings,
    CompareRoutersSettings as CompareRoutersSettings,
    CompareSettings as CompareSettings,
    TrainRewardModelSettings as TrainRewardModelSettings,
)
from .export import ExportSettings as ExportSettings
from .marks import hand as hand, lasting as lasting, step as step, step_of as step_of
from .models import (
    EngineSettings as EngineSettings,
    Models as Models,
    ModelSettings as ModelSettings,
    StudentSettings as StudentSettings,
    Teachers as Teachers,
    check_sampling as check_sampling,
    thinks_of as thinks_of,
)
from .needs import Needs as Needs
from .plugins import code_identity as code_identity, is_own as is_own
from .read import (
    GROUPS as GROUPS,
    Settings as Settings,
    read_group as read_group,
    read_settings as read_settings,
)
from .references import models_named as models_named, own_code_named as own_code_named
from .routers import (
    TrainRouterSettings as TrainRouterSettings,
    settings_of_kind as settings_of_kind,
)
from .steps import (
    EvaluateSettings as EvaluateSettings,
    GenerateSettings as GenerateSettings,
    LabelSettings as LabelSettings,
    PrepareSettings as PrepareSettings,
    PromptSource as PromptSource,
    QualitySettings as QualitySettings,
    RouteSettings as RouteSettings,
    SftSettings as SftSettings,
    check_samples as check_samples,
    draws_several as draws_several,
)
