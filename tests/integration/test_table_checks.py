"""A table that breaks its rules is not saved: the sentence, the catalog, and what is streamed."""

import subprocess
import sys


def test_the_registry_does_not_import_pandera() -> None:
    code = (
        "import sys, persyn_kedro.pipeline_registry, persyn_kedro.datasets.parquet_table;"
        "sys.exit('pandera' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
