"""Can a reward model be trained by these settings?"""

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.resolve import check_source
from persyn_kedro.foundations.settings.experiments import TrainRewardModelSettings
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.steps import LabelSettings


def check_recipe(
    models: Models, label: LabelSettings, train_reward_model: TrainRewardModelSettings
) -> None:
    """Refuse settings from which no reward model could be trained.

    Raises:
        PersynError: names the first such setting.
    """
    if label.quality.kind != "exact_answer":
        raise PersynError(
            "A reward model is trained on answers that are right or wrong: set label.quality to "
            "{kind: exact_answer} and label prompts that have references."
        )
    name = train_reward_model.model
    if name not in models.root:
        known = ", ".join(models.root)
        raise PersynError(
            f"train_reward_model.model is {name!r}, which models does not have ({known})."
        )
    if models.root[name].endpoint:
        raise PersynError(
            f"train_reward_model.model is {name!r}, an endpoint: only teachers can be endpoints."
        )
    check_source(name, models.root[name])
