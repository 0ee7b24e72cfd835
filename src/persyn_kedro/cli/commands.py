"""The project's commands: ``run`` with one-sentence errors, and those that Kedro lacks."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
from kedro.framework.cli.project import CONF_SOURCE_HELP, run as kedro_run
from kedro.framework.cli.utils import KedroCliError, validate_conf_source
from kedro.framework.session import KedroSession

from persyn_kedro.cli.errors import one_sentence
from persyn_kedro.cli.params import PARAMS
from persyn_kedro.cli.run_options import CONFIG, RUNNER, check_options

if TYPE_CHECKING:
    from persyn_kedro.foundations.settings import Settings


class _Command(click.Command):
    """Prints Kedro's own errors as one sentence; Kedro itself would print "NoneType: None"."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _kedro_sentence():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with _kedro_sentence():
            return super().invoke(ctx)


@contextmanager
def _kedro_sentence() -> Iterator[None]:
    try:
        yield
    except KedroCliError as error:
        raise click.ClickException(error.message) from error


class _Commands(click.Group):
    """Gives each command the ``--conf-source`` option of ``run``, which ``_open`` reads."""

    command_class = _Command

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        if "conf_source" not in {param.name for param in cmd.params}:
            cmd.params.append(_CONF_SOURCE)
        super().add_command(cmd, name)


def _remember(context: click.Context, param: click.Parameter, value: str) -> None:
    context.meta["conf_source"] = validate_conf_source(context, param, value)


_CONF_SOURCE = click.Option(
    ["--conf-source"], expose_value=False, callback=_remember, help=CONF_SOURCE_HELP
)


@click.group(name="persyn_kedro", cls=_Commands)
def cli() -> None:
    """Student-aware synthetic data."""


def _run(redo: bool, **kwargs: Any) -> Any:
    with one_sentence():
        check_options(kwargs)
        kwargs["runner"] = kwargs["runner"] or RUNNER
        kwargs["runner_params"] = {**kwargs["runner_params"], "redo": redo}
        callback = kedro_run.callback
        assert callback is not None  # noqa: S101 - click sets it for every decorated command
        return callback(**kwargs)


_REDO = click.Option(["--redo"], is_flag=True, help="Re-run every step, even if up to date.")
_OURS = {"params": PARAMS, "config": CONFIG}
run = _Command(  # this name is what `python -m persyn_kedro` looks for
    "run",
    callback=_run,
    params=[*(_OURS.get(str(p.name), p) for p in kedro_run.params), _REDO],
    help="Run the pipeline; steps that are up to date are skipped.",
)
cli.add_command(run)


def _open(env: str | None) -> tuple["Settings", Any]:
    """Return the settings and the catalog of an environment."""
    from persyn_kedro.foundations.settings import read_settings

    conf_source = click.get_current_context().meta.get("conf_source")
    with KedroSession.create(env=env, conf_source=conf_source) as session:
        context = cast(KedroSession, session).load_context()
        return read_settings(context.config_loader["parameters"]), context.catalog


@cli.command("fetch-models")
@click.option("--env", "-e", default=None, help="Kedro environment whose models to fetch.")
def fetch_models(env: str | None) -> None:
    """Fetch and convert every model that the settings use."""
    from persyn_kedro.foundations.models import resolve_models
    from persyn_kedro.foundations.settings import models_named

    with one_sentence():
        settings, _ = _open(env)
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
        settings, catalog = _open(env)
        recipes = resolve_recipes(settings.teachers, settings.models)
        counts = import_into(place(file), recipes, catalog.load("response_store"))
        for teacher, count in counts.items():
            click.echo(f"{teacher}: {count} responses imported")


@cli.command("trace")
@click.argument("prompt_id")
@click.option("--env", "-e", default=None)
@click.option("--round", "number", default=1, type=click.IntRange(1), help="Round of training.")
def trace(prompt_id: str, env: str | None, number: int) -> None:
    """Print how a prompt's training row was made: source, scores, teacher, response.

    PROMPT_ID may be abbreviated to a prefix that matches one prompt.
    """
    import json

    from persyn_kedro.domain.training_set import trace as trace_row
    from persyn_kedro.runs.belonging import pin_versions_behind

    with one_sentence():
        _, catalog = _open(env)
        its = f"round_{number}." if number > 1 else ""
        versions = pin_versions_behind(f"{its}sft_dataset", catalog)

        def load(name: str) -> Any:
            return catalog.load(f"{its}{name}" if f"{its}{name}" in versions else name)

        focus = load("focus") if f"{its}focus" in versions else None
        chain = {**trace_row(prompt_id, load, focus), "versions": versions}
        click.echo(json.dumps(chain, indent=2, ensure_ascii=False))


@cli.command("lineage")
@click.option("--env", "-e", default=None)
def lineage(env: str | None) -> None:
    """Write the lineage, with previews and statistics, as a static site: build/index.html."""
    from persyn_kedro.runs.lineage import build_site

    with one_sentence():
        _, catalog = _open(env)
        page = build_site(Path.cwd(), catalog, env)
        click.echo(f"Wrote {page}. To view it: `python -m http.server --directory {page.parent}`")


@cli.command("explain")
@click.argument("prompt_id", required=False)
@click.option("--text", help="The text of a prompt, instead of its id; may be new.")
@click.option("--messages", help="A conversation instead: a JSON file, or the JSON itself.")
@click.option("--env", "-e", default=None)
@click.option("--neighbours", type=click.IntRange(0), help="Nearest prompts to show.")
@click.option("--full", is_flag=True, help="Do not shorten long responses.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def explain(
    prompt_id: str | None,
    text: str | None,
    messages: str | None,
    env: str | None,
    neighbours: int | None,
    full: bool,
    as_json: bool,
    load_versions: dict[str, str],
) -> None:
    """Explain why a prompt goes to its teacher: scores, margin, nearest calibration prompts.

    PROMPT_ID may be abbreviated to a prefix that matches one prompt. Makes no API calls.
    """
    import json
    import logging

    from persyn_kedro.cli.explain import explain_prompt, read_prompt
    from persyn_kedro.domain.reporting import explanation_text

    logging.getLogger("persyn_kedro").setLevel(logging.WARNING)  # print only the answer
    with one_sentence():
        settings, catalog = _open(env)
        prompt = read_prompt(text, messages)
        suffixes = {source.prompt_suffix for source in settings.prepare.all_sources}
        found = explain_prompt(
            catalog, prompt_id, prompt, neighbours, load_versions, sorted(suffixes)
        )
        if as_json:
            parts = {**found.explanation.as_dict(), "versions": found.versions}
            click.echo(json.dumps({**parts, "notes": found.notes}, indent=2, ensure_ascii=False))
        else:
            click.echo(explanation_text(found.explanation, found.notes, None if full else 400))


# The same option as in `kedro run`.
explain.params.append(next(p for p in kedro_run.params if p.name == "load_versions"))


@cli.command("prune")
@click.option("--env", "-e", default=None)
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
        _, catalog = _open(env)
        items = removable(catalog, keep)
        for item in items:
            click.echo(f"{item.dataset} {item.version} ({item.size / 2**20:.1f} MiB)")
        total = f"{len(items)} versions, {sum(item.size for item in items) / 2**20:.1f} MiB"
        if yes:
            remove(items)
        click.echo(f"{total} {'removed' if yes else 'would be removed; add --yes to remove them'}")


@cli.command("push")
@click.option("--env", "-e", default=None)
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
        settings, catalog = _open(env)
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


@cli.command("show-mask")
@click.option("--env", "-e", default=None)
@click.option("--prompt", required=True)
@click.option("--response", required=True)
def show_mask(env: str | None, prompt: str, response: str) -> None:
    """Show in colour which tokens of a prompt and response the student is trained on."""
    from persyn_kedro.foundations.models import (
        load_tokenizer,
        render,
        resolve_models,
        show_mask as coloured,
    )

    with one_sentence():
        settings, _ = _open(env)
        student = settings.student
        model = resolve_models(settings.models, [student.model])[student.model]
        tokenizer = load_tokenizer(model)
        rendered = render(tokenizer, student.system, prompt, response)
        click.echo(coloured(tokenizer, rendered), color=True)  # even into a pipe
