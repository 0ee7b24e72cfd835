"""An answer's code, run against tests in a sandbox."""
