"""Typed settings, how they are read, and what a step reads of them."""

from .cluster import ClusterSettings as ClusterSettings
from .design import asks_adaptively as asks_adaptively, asks_some as asks_some
from .engine import EngineSettings as EngineSettings
from .experiments import (
    BenchmarkSettings as BenchmarkSettings,
    CompareRoutersSettings as CompareRoutersSettings,
    CompareSettings as CompareSettings,
    TrainRewardModelSettings as TrainRewardModelSettings,
    compares_cheap as compares_cheap,
)
from .export import ExportSettings as ExportSettings
from .generate import (
    GenerateSettings as GenerateSettings,
    check_samples as check_samples,
    draws_several as draws_several,
)
from .label import (
    REWARD_FIELDS as REWARD_FIELDS,
    LabelSettings as LabelSettings,
    QualitySettings as QualitySettings,
)
from .marks import hand as hand, lasting as lasting, step as step, step_of as step_of
from .models import Models as Models, ModelSettings as ModelSettings
from .needs import Needs as Needs
from .plugins import code_identity as code_identity, is_own as is_own
from .prepare import PrepareSettings as PrepareSettings, PromptSource as PromptSource
from .read import (
    GROUPS as GROUPS,
    Settings as Settings,
    read_group as read_group,
    read_settings as read_settings,
)
from .references import models_named as models_named, own_code_named as own_code_named
from .rounds import RoundsSettings as RoundsSettings, check_rounds as check_rounds
from .route import (
    CostUnit as CostUnit,
    RouteSettings as RouteSettings,
    asks_student as asks_student,
    check_route as check_route,
    leaves_out as leaves_out,
    needs_reward_scale as needs_reward_scale,
    weighs_costs as weighs_costs,
)
from .router_defaults import completed as completed
from .routers import (
    TrainRouterSettings as TrainRouterSettings,
    settings_of_kind as settings_of_kind,
)
from .signals import (
    CompareSignalsSettings as CompareSignalsSettings,
    FitSignalSettings as FitSignalSettings,
)
from .student import (
    EvaluateSettings as EvaluateSettings,
    SftSettings as SftSettings,
    StudentSettings as StudentSettings,
)
from .teachers import Teachers as Teachers, check_sampling as check_sampling, thinks_of as thinks_of
