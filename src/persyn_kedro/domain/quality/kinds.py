"""``label.quality`` to its way of judging."""

from collections.abc import Sequence

from persyn_kedro.domain.quality.code_tests import code_checker
from persyn_kedro.domain.quality.first_that_can import FirstThatCan
from persyn_kedro.domain.quality.imported import ImportedScores
from persyn_kedro.domain.quality.judge.judge import Judge
from persyn_kedro.domain.quality.own_function import OwnFunction
from persyn_kedro.domain.quality.reward_model import RewardModel
from persyn_kedro.domain.quality.scorer import Scorer
from persyn_kedro.domain.quality.verifier import EXACT
from persyn_kedro.domain.teachers.asking import Asking
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.resolve import resolve_models
from persyn_kedro.foundations.settings.label import QualitySettings, QualityTerm
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.plugins import is_own


def scorer_of(
    settings: QualitySettings | Sequence[QualityTerm], models: Models, calls: Asking
) -> Scorer:
    """Return how ``settings`` says that answers are judged.

    Of several terms it is the first that can judge an answer alone.

    Args:
        calls: how a judge's model is asked.

    Raises:
        PersynError: none of several can.
    """
    if not isinstance(settings, QualitySettings):
        alone = tuple(s for s in (scorer_of(term, models, calls) for term in settings) if s.alone)
        if not alone:
            raise PersynError(
                "No term of label.quality can judge an answer without the others to its prompt: "
                "add one that can, such as {kind: exact_answer}."
            )
        return alone[0] if len(alone) == 1 else FirstThatCan(alone)
    if settings.model is not None:
        found = resolve_models(models, [settings.model])[settings.model]
        if settings.kind == "judge":
            return Judge(found, settings, calls)
        return RewardModel(found, settings.batch_size)
    if settings.kind == "code":
        return code_checker(settings)
    if settings.kind == "imported":
        return ImportedScores(str(settings.file), str(settings.score))
    return OwnFunction(settings.kind) if is_own(settings.kind) else EXACT
