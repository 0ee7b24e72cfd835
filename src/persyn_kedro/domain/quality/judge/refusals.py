"""A judge that cannot be asked is refused before a teacher is."""

from persyn_kedro.domain.quality.judge.rubric import load_rubric
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.label import QualitySettings
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.teachers import check_model_sampling


def check_judge(key: str, quality: QualitySettings, models: Models, engine: EngineSettings) -> None:
    """Refuse a judge without a rubric, or with settings that its model cannot take.

    Args:
        key: of its settings.

    Raises:
        PersynError: names the file or setting.
    """
    load_rubric(str(quality.rubric))
    check_model_sampling(key, str(quality.model), quality.sampling, models)
    local = models.root[str(quality.model)].endpoint is None
    if quality.structured and local and engine.name != "vllm":
        raise PersynError(
            f"Parameter {key}.structured: model {quality.model!r} is local, and of the engines of "
            f"local models only vllm takes a schema (engine.name is {engine.name}); without it "
            "replies are parsed, so leave it out."
        )
