"""Typed settings, how they are read, and what a step reads of them."""

from .cluster import ClusterSettings as ClusterSettings
from .compare import (
    CompareSettings as CompareSettings,
    VariantSettings as VariantSettings,
    compares_cheap as compares_cheap,
    names_routers as names_routers,
)
from .compare_quality import CompareQualitySettings as CompareQualitySettings
from .design import asks_adaptively as asks_adaptively, asks_some as asks_some
from .engine import EngineSettings as EngineSettings
from .experiments import (
    BenchmarkSettings as BenchmarkSettings,
    CompareRoutersSettings as CompareRoutersSettings,
    TrainRewardModelSettings as TrainRewardModelSettings,
)
from .export import ExportSettings as ExportSettings
from .generate import (
    GenerateSettings as GenerateSettings,
    check_samples as check_samples,
    draws_several as draws_several,
    verifies_code as verifies_code,
)
from .judging import asks_judge as asks_judge, runs_code as runs_code, ways_among as ways_among
from .label import (
    REWARD_FIELDS as REWARD_FIELDS,
    LabelSettings as LabelSettings,
    QualitySettings as QualitySettings,
    QualityTerm as QualityTerm,
    has_terms as has_terms,
)
from .marks import hand as hand, lasting as lasting, step as step, step_of as step_of
from .models import Models as Models, ModelSettings as ModelSettings
from .needs import ANSWERS as ANSWERS, Needs as Needs
from .plugins import code_identity as code_identity, is_own as is_own
from .prepare import (
    CLEANING as CLEANING,
    PrepareSettings as PrepareSettings,
    PromptSource as PromptSource,
    cleans as cleans,
)
from .prices import (
    PRICE_FACTOR as PRICE_FACTOR,
    PRICES as PRICES,
    has_price_factor as has_price_factor,
    prices_if as prices_if,
    prices_of as prices_of,
)
from .read import (
    GROUPS as GROUPS,
    Settings as Settings,
    read_group as read_group,
    read_settings as read_settings,
    with_groups as with_groups,
)
from .references import (
    files_named as files_named,
    models_named as models_named,
    own_code_named as own_code_named,
    rubrics_named as rubrics_named,
)
from .renamed import with_new_names as with_new_names
from .rounds import (
    RoundsSettings as RoundsSettings,
    check_rounds as check_rounds,
    has_rounds as has_rounds,
)
from .route import (
    CostUnit as CostUnit,
    RouteSettings as RouteSettings,
    asks_student as asks_student,
    check_route as check_route,
    leaves_out as leaves_out,
    limits_those_left as limits_those_left,
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
    DpoSettings as DpoSettings,
    EvaluateSettings as EvaluateSettings,
    SftSettings as SftSettings,
    StudentSettings as StudentSettings,
    check_precision as check_precision,
)
from .teachers import (
    Teachers as Teachers,
    check_model_sampling as check_model_sampling,
    check_sampling as check_sampling,
    thinks_of as thinks_of,
)
from .tracking import TrackingSettings as TrackingSettings
from .vllm_keys import unused_keys as unused_keys, with_engine_s as with_engine_s
