"""Commands that bring things in, send them out or remove them."""

import click

from persyn_kedro.cli.errors import one_sentence
from persyn_kedro.cli.group import ENV, cli, open_project


@cli.command("fetch-models")
@click.option("--env", "-e", default=None, help="Kedro environment whose models to fetch.")
def fetch_models(env: str | None) -> None:
    """Fetch and convert every model that the settings use."""
    from persyn_kedro.foundations.models import resolve_models
    from persyn_kedro.foundations.settings import models_named

    with one_sentence():
        settings, _ = open_project(env)
        groups = {**vars(settings)}
        if settings.train_reward_model.model not in settings.models.root:
            del groups["train_reward_model"]  # its default is not among these models
        names = [name for group in groups.values() for name in models_named(group).values()]
        for model in resolve_models(settings.models, names).values():
            click.echo(f"{model.name}: {model.weights_id}")


@cli.command("import-responses")
@click.argument("file")
@click.option("--env", "-e", default=None, help="Kedro environment that names the teachers.")
def import_responses(file: str, env: str | None) -> None:
    """Import answers that you already have into the response store; no API call repeats them.

    FILE, a path or an fsspec URL, is JSONL with prompt (exactly as sent) or messages, teacher and
    response.
    """
    from persyn_kedro.domain.teachers import import_responses as import_into, resolve_recipes
    from persyn_kedro.foundations.storage import place

    with one_sentence():
        settings, catalog = open_project(env)
        recipes = resolve_recipes(settings.teachers, settings.models)
        counts = import_into(place(file), recipes, catalog.load("response_store"))
        for teacher, count in counts.items():
            click.echo(f"{teacher}: {count} responses imported")


@cli.command("prune")
@ENV
@click.option(
    "--keep", default=3, show_default=True, type=click.IntRange(1), help="Versions to keep."
)
@click.option("--yes", is_flag=True, help="Remove them; otherwise only list what would be removed.")
def prune(env: str | None, keep: int, yes: bool) -> None:
    """Remove old versions, except those that kept ones were made from. Stores are never touched.

    Do not run this during another run: it would remove that run's unfinished versions.
    """
    from persyn_kedro.cli.prune import removable, remove

    with one_sentence():
        _, catalog = open_project(env)
        items = removable(catalog, keep)
        for item in items:
            click.echo(f"{item.dataset} {item.version} ({item.size / 2**20:.1f} MiB)")
        total = f"{len(items)} versions, {sum(item.size for item in items) / 2**20:.1f} MiB"
        if yes:
            remove(items)
        click.echo(f"{total} {'removed' if yes else 'would be removed; add --yes to remove them'}")


@cli.command("push")
@ENV
@click.option("--dataset-repo", metavar="OWNER/NAME", help="Repository for the training set.")
@click.option("--student-repo", metavar="OWNER/NAME", help="Repository for the student.")
@click.option("--public", is_flag=True, help="Make the repositories public (default: private).")
@click.option("--allow-unknown-licences", is_flag=True)
@click.option("--yes", is_flag=True, help="Upload; otherwise only list what would be uploaded.")
def push(
    env: str | None,
    dataset_repo: str | None,
    student_repo: str | None,
    public: bool,
    allow_unknown_licences: bool,
    yes: bool,
) -> None:
    """Upload what `kedro run --pipelines=export` made to the Hugging Face Hub.

    The token is read from HF_TOKEN, in the environment or conf/local/credentials.yml.
    """
    from persyn_kedro.cli import push as pushing
    from persyn_kedro.domain.export import push as send

    with one_sentence():
        settings, catalog = open_project(env)
        uploads = pushing.prepare(
            catalog, settings.models, dataset_repo, student_repo, allow_unknown_licences
        )
        for upload in uploads:
            click.echo(f"{upload.kind} {upload.repository} ({'public' if public else 'private'}):")
            for name in sorted(upload.files):
                click.echo(f"  {name}")
        size = sum(upload.size for upload in uploads) / 2**20
        if not yes:
            click.echo(f"{size:.1f} MiB would be uploaded; add --yes to upload.")
            return
        token = pushing.token()
        for upload in uploads:
            click.echo(f"Uploaded: {send(upload, not public, token)}")
