"""Where the documentation says more about a user's error: docs/errors.md, section by section."""

from importlib.metadata import PackageNotFoundError, metadata

PAGE = "docs/errors.md"  # on the site: errors/
# The section about what a module refuses; the longest name that it begins with counts.
SECTIONS = {
    "api": "settings",
    "cli": "commands",
    "cli.push": "export",
    "datasets": "storage",
    "domain": "settings",
    "domain.benchmarks": "comparisons",
    "domain.comparison": "comparisons",
    "domain.cleaning": "prompts",
    "domain.cost_aware": "routers",
    "domain.designs": "calibration",
    "domain.engines": "teachers",
    "domain.export": "export",
    "domain.learnability": "calibration",
    "domain.prompts": "prompts",
    "domain.quality": "quality",
    "domain.quality_comparison": "quality",
    "domain.reward_model": "quality",
    "domain.rewards": "calibration",
    "domain.router_comparison": "routers",
    "domain.routers": "routers",
    "domain.signal_comparison": "comparisons",
    "domain.stores": "storage",
    "domain.student": "training",
    "domain.teachers": "teachers",
    "domain.training_set": "results",
    "foundations.models": "models",
    "foundations.processes": "machines",
    "foundations.settings": "settings",
    "foundations.storage": "storage",
    "foundations.tables": "storage",
    "foundations.templates": "models",
    "foundations.tracking": "tracking",
    "pipelines": "results",
    "pipelines.dpo": "training",
    "pipelines.fit_signal": "comparisons",
    "pipelines.label": "calibration",
    "pipelines.sft": "training",
    "pipelines.train_router": "routers",
    "runs": "results",
    "runs.extras": "settings",
    "runs.libraries": "settings",
    "runs.machines": "machines",
    "runs.pool_checks": "settings",
}


def section_of(module: str) -> str:
    """Return the section about what ``module`` refuses, ``settings`` for one that is not ours."""
    words = module.removeprefix("persyn_kedro.").split(".")
    names = (".".join(words[:n]) for n in range(len(words), 0, -1))
    return next((SECTIONS[name] for name in names if name in SECTIONS), "settings")


def link_to(section: str) -> str:
    """Return the address of a section: on the site that the package names, else in the sources."""
    try:
        urls = metadata("persyn-kedro").get_all("Project-URL") or []
    except PackageNotFoundError:
        urls = []
    site = next((u.partition(", ")[2] for u in urls if u.startswith("Documentation, ")), None)
    return f"{site.rstrip('/')}/errors/#{section}" if site else f"{PAGE}#{section}"
