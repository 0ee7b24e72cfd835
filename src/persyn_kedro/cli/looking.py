"""Commands that show how something was made: a training row, a choice, the lineage, a mask."""

from pathlib import Path
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run

from persyn_kedro.cli.errors import one_sentence
from persyn_kedro.cli.group import ENV, ROUND, cli, open_project


@cli.command("trace")
@click.argument("prompt_id")
@ENV
@ROUND
def trace(prompt_id: str, env: str | None, number: int) -> None:
    """Print how a prompt's training row was made: source, scores, teacher, response.

    PROMPT_ID may be abbreviated to a prefix that matches one prompt.
    """
    import json

    from persyn_kedro.cli.rounds import Round
    from persyn_kedro.domain.training_set import trace as trace_row
    from persyn_kedro.runs.belonging import pin_versions_behind

    with one_sentence():
        _, catalog = open_project(env)
        its = Round(number, catalog)
        versions = pin_versions_behind(its.name("sft_dataset"), catalog)

        def load(name: str) -> Any:
            return its.load(name, versions)

        focus = load("focus") if its.name("focus") in versions else None
        chain = {**trace_row(prompt_id, load, focus), "versions": versions}
        click.echo(json.dumps(chain, indent=2, ensure_ascii=False))


@cli.command("lineage")
@ENV
def lineage(env: str | None) -> None:
    """Write the lineage, with previews and statistics, as a static site: build/index.html."""
    from persyn_kedro.runs.lineage import build_site

    with one_sentence():
        _, catalog = open_project(env)
        page = build_site(Path.cwd(), catalog, env)
        click.echo(f"Wrote {page}. To view it: `python -m http.server --directory {page.parent}`")


@cli.command("explain")
@click.argument("prompt_id", required=False)
@click.option("--text", help="The text of a prompt, instead of its id; may be new.")
@click.option("--messages", help="A conversation instead: a JSON file, or the JSON itself.")
@ENV
@ROUND
@click.option("--neighbours", type=click.IntRange(0), help="Nearest prompts to show.")
@click.option("--full", is_flag=True, help="Do not shorten long responses.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def explain(
    prompt_id: str | None,
    text: str | None,
    messages: str | None,
    env: str | None,
    number: int,
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
        settings, catalog = open_project(env)
        prompt = read_prompt(text, messages)
        suffixes = sorted(set(settings.prepare.suffixes.values()))
        found = explain_prompt(
            catalog, prompt_id, prompt, neighbours, load_versions, suffixes, number
        )
        if as_json:
            parts = {**found.explanation.as_dict(), "versions": found.versions}
            click.echo(json.dumps({**parts, "notes": found.notes}, indent=2, ensure_ascii=False))
        else:
            click.echo(explanation_text(found.explanation, found.notes, None if full else 400))


# The same option as in `kedro run`.
explain.params.append(next(p for p in kedro_run.params if p.name == "load_versions"))


@cli.command("show-mask")
@ENV
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
        settings, _ = open_project(env)
        student = settings.student
        model = resolve_models(settings.models, [student.model])[student.model]
        tokenizer = load_tokenizer(model)
        rendered = render(tokenizer, student.system, prompt, response)
        click.echo(coloured(tokenizer, rendered), color=True)  # even into a pipe
