"""The kinds of router that are not made of others, by name: a class is imported on first use."""

from typing import Any

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.plugins import load_own


def plain_class(kind: str) -> Any:
    """Return the class of a kind of router that is not made of others.

    Raises:
        PersynError: a class of the user's own does not exist or is not a router.
    """
    if kind == "language_model":
        from persyn_kedro.domain.routers.language_model.router import LanguageModelRouter

        return LanguageModelRouter
    if kind == "linear":
        from persyn_kedro.domain.routers.linear import LinearRouter

        return LinearRouter
    if kind == "mlp":
        from persyn_kedro.domain.routers.mlp import MlpRouter

        return MlpRouter
    if kind == "knn":
        from persyn_kedro.domain.routers.knn import KnnRouter

        return KnnRouter
    if kind == "task_type":
        from persyn_kedro.domain.routers.task_type import TaskTypeRouter

        return TaskTypeRouter
    if kind == "constant":
        from persyn_kedro.domain.routers.constant import ConstantRouter

        return ConstantRouter
    return _own_class(kind)


def _own_class(kind: str) -> Any:
    from persyn_kedro.domain.routers.base import TeacherRouter

    found = load_own(kind)
    if not (isinstance(found, type) and issubclass(found, TeacherRouter)):
        raise PersynError(f"{kind} is not a subclass of {TeacherRouter.__module__}.TeacherRouter.")
    members = {name: getattr(found, name) for name in dir(TeacherRouter)}
    lacking = [n for n, own in members.items() if getattr(own, "__isabstractmethod__", False)]
    if lacking:
        raise PersynError(f"{kind} does not implement {', '.join(lacking)}.")
    return found
