"""``persyn new``: a small project of the user's own."""

import re
from importlib.metadata import version
from pathlib import Path

import click
from kedro.framework.cli.starters import KedroStarterSpec

from persyn_kedro.cli.errors import one_sentence
from persyn_kedro.cli.group import cli
from persyn_kedro.foundations.errors import PersynError

TEMPLATE = Path(__file__).parents[1] / "starter"
_NAME = re.compile(r"[\w .-]+")  # goes into TOML and Jinja as it is
STARTERS = [KedroStarterSpec("persyn", str(TEMPLATE))]  # for `kedro new --starter=persyn`


@cli.command("new")
@click.argument("name")
def new(name: str) -> None:
    """Make the directory NAME: settings with comments, example prompts, a notebook."""
    with one_sentence():
        place = Path(name)
        if place.name and not _NAME.fullmatch(place.name):
            raise PersynError(f"{name}: use letters, digits, spaces, -, _ and . in a name.")
        if place.exists():
            raise PersynError(f"{name} exists already: choose another name, or remove it.")
        if not place.parent.is_dir():
            raise PersynError(f"{name}: the directory {place.parent} does not exist.")
        make_project(place)
    click.echo(f"Made {name}. Next: cd {name}, then `persyn doctor` and `persyn run`.")


def make_project(place: Path) -> None:
    """Write the starter's files into ``place``, which does not exist yet."""
    from cookiecutter.main import cookiecutter

    cookiecutter(
        str(TEMPLATE),
        no_input=True,
        output_dir=str(place.parent),
        extra_context={
            "project_name": place.name,
            "repo_name": place.name,
            "kedro_version": version("kedro"),
        },
        keep_project_on_failure=False,
        default_config=True,
    )
