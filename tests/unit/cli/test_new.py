"""``persyn new`` refuses names that its files cannot hold."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from persyn_kedro import cli


@pytest.mark.parametrize("name", ['a"b', "a\\b", "{{ a }}", "{% a %}", "a\nb"])
def test_a_name_that_is_not_text_in_toml_and_jinja_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(cli.cli, ["new", name])
    assert said.exit_code == 1
    assert said.stderr.startswith(f"Error: {name}: use letters, digits, spaces, -, _ and . in")
    assert not [*tmp_path.iterdir()]
