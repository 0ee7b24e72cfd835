"""Which of this project's hooks is called first."""

from kedro.framework.hooks.manager import _create_hook_manager

from persyn_kedro.runs.hooks import ProjectHooks
from persyn_kedro.settings import HOOKS


def test_what_children_import_is_told_before_another_hook_can_start_one() -> None:
    manager = _create_hook_manager()
    for hook in HOOKS:
        manager.register(hook)
    called_last_first = manager.hook.before_pipeline_run.get_hookimpls()
    assert isinstance(called_last_first[-1].plugin, ProjectHooks)
