"""Kedro datasets of this project: atomic, versioned, local."""
