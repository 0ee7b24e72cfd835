"""Kedro datasets of this project: atomic, versioned, on a disk or in an object store."""
