"""Ways of judging answers, checked before a teacher is asked."""

from persyn_kedro.api.pool import Pool
from persyn_kedro.domain.learnability import signal_of
from persyn_kedro.domain.quality import check_imported, check_judge, quality_function
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings import LabelSettings, is_own


def check_ways(label: LabelSettings, pool: Pool) -> None:
    """Refuse a way of judging, or a signal, whose model, file, rubric or function is not there.

    Raises:
        PersynError: names the first.
    """
    signal_of(label.learnability)
    for key, way in label.ways_by_key.items():
        if is_own(way.kind):
            quality_function(way.kind)
        if way.file is not None:
            check_imported(way.file)
        if way.model is not None and way.model not in pool.models.root:
            raise PersynError(f"{key}.model is {way.model!r}, which is not in models.")
        if way.kind == "judge":
            check_judge(key, way, pool.models, pool.engine)
