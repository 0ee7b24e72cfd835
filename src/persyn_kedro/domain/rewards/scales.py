"""Quality and learnability on one scale from 0 to 1 (METHOD.md, section 1, "Normalisation")."""

from collections.abc import Callable

import numpy as np

from persyn_kedro.foundations.settings.label import Normalisation

Scale = Callable[[np.ndarray], np.ndarray]


def normalise(
    values: np.ndarray, valid: np.ndarray, how: Normalisation = "prompt_minmax"
) -> np.ndarray:
    """Put the valid values of a term on a scale from 0 to 1.

    ``values`` and ``valid`` are (n, K), a row per prompt and a column per teacher. Values without
    range give 0.5. Invalid or non-finite values have no part in the scale and are NaN in the
    (n, K) float64 result.
    """
    values = np.asarray(values, dtype=np.float64)
    used = np.asarray(valid, dtype=bool) & np.isfinite(values)
    kept = np.where(used, values, 0.0)
    return np.where(used, scale_of(kept, used, how)(kept[..., None])[..., 0], np.nan)


def scale_of(values: np.ndarray, used: np.ndarray, how: Normalisation) -> Scale:
    """Return the function that puts (n, K, S) values on the scale of the used ones of (n, K).

    Values beyond those that the scale was made of may, by ``prompt_minmax``, leave 0 to 1.
    """
    values, used = values[..., None], used[..., None]
    axis = 1 if how.startswith("prompt") else None
    low = np.where(used, values, np.inf).min(axis=axis, keepdims=True, initial=np.inf)
    high = np.where(used, values, -np.inf).max(axis=axis, keepdims=True, initial=-np.inf)
    spread = high > low
    if how == "pool_rank":
        return _ranks(np.sort(values[used]))
    if how == "prompt_minmax":
        return lambda v: np.where(spread, (v - low) / np.where(spread, high - low, 1.0), 0.5)
    return _normal(values, used, spread, axis)


def _ranks(pool: np.ndarray) -> Scale:
    """Return the mid-distribution function of the sorted values: P(V < v) + P(V = v) / 2."""

    def scale(values: np.ndarray) -> np.ndarray:
        sides = [np.searchsorted(pool, values, side) for side in ("left", "right")]
        return (sides[0] + sides[1]) / (2.0 * max(1, len(pool)))

    return scale


def _normal(values: np.ndarray, used: np.ndarray, spread: np.ndarray, axis: int | None) -> Scale:
    """Return the normal distribution function at the z-scores."""
    from scipy.special import ndtr

    count = np.maximum(used.sum(axis=axis, keepdims=True), 1)
    mean = np.where(used, values, 0.0).sum(axis=axis, keepdims=True) / count
    squares = np.where(used, (values - mean) ** 2, 0.0)
    deviation = np.sqrt(squares.sum(axis=axis, keepdims=True) / count)
    some = spread & (deviation > 0)
    return lambda v: np.where(some, ndtr((v - mean) / np.where(some, deviation, 1.0)), 0.5)
