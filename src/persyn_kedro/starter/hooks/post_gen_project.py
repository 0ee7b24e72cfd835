"""Adds the tour, which this package keeps once for every project."""

import shutil

from persyn_kedro.runs.shared import shared_file

shutil.copy(shared_file("notebooks/tour.ipynb"), "notebooks/tour.ipynb")
