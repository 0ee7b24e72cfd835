"""Which of a router's prompts are nearest to another one."""

from dataclasses import dataclass

import numpy as np

from persyn_kedro.domain.routers.space import Space
from persyn_kedro.foundations.settings.router_keys import EmbeddingSettings


@dataclass(frozen=True)
class Nearest:
    """Indices of the fitted prompts, nearest first.

    Attributes:
        places: (k,) int.
        distances: (k,) Euclidean, between points as the kNN router compares them.
        similarities: (k,) cosine of the angle between these points, 1 for the same prompt.
    """

    places: np.ndarray
    distances: np.ndarray
    similarities: np.ndarray


def nearest(
    point: np.ndarray,
    fitted: np.ndarray,
    count: int,
    how: EmbeddingSettings = EmbeddingSettings(),  # noqa: B008 - immutable
) -> Nearest:
    """Return the ``count`` nearest (at most all) of (n, d) points to a (d,) point.

    Points are standardised and compared as in the kNN router, so its neighbours are the same.
    """
    from sklearn.neighbors import NearestNeighbors

    space = Space.fit(fitted, how)
    points, own = space.of(fitted), space.of(point[None])
    search = NearestNeighbors(n_neighbors=min(count, len(points))).fit(points)
    distances, places = (found[0] for found in search.kneighbors(own))
    lengths = np.linalg.norm(points[places], axis=1) * np.linalg.norm(own)
    products = points[places] @ own[0]
    similarities = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
    return Nearest(places, distances, similarities)
