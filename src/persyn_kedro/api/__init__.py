"""The job as functions for notebooks and scripts; no Kedro project is needed."""
