"""Kedro's project settings."""

from persyn_kedro.runs.config_loader import ProjectConfigLoader
from persyn_kedro.runs.hooks import ProjectHooks
from persyn_kedro.runs.lineage import LineageHooks
from persyn_kedro.runs.manifest import ManifestHooks
from persyn_kedro.runs.tracking import TrackingHooks

# Kedro calls the last first: a run is tracked once it is checked and, at its end, has a manifest.
HOOKS = (TrackingHooks(), ProjectHooks(), ManifestHooks(), LineageHooks())
CONFIG_LOADER_CLASS = ProjectConfigLoader
CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "local"}
# The .telemetry file says so for `kedro`; the packaged project has no such file.
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-telemetry",)
