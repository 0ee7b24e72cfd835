"""What ``kedro run --help`` offers is what ``kedro run`` takes."""

from click.testing import CliRunner

from persyn_kedro.cli.run import run


def test_options_that_are_refused_are_not_in_the_help() -> None:
    help_text = CliRunner().invoke(run, ["--help"]).output
    for option in ("--runner", "--async", "--only-missing-outputs"):
        assert option in {name for param in run.params for name in param.opts}
        assert option not in help_text
    assert "--params" in help_text and "--redo" in help_text
