"""Kedro's project settings."""

from persyn_kedro.hooks import ProjectHooks

HOOKS = (ProjectHooks(),)
CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "local"}
