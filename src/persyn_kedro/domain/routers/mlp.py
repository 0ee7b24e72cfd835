"""A router that is a network with one hidden layer on frozen prompt embeddings."""

from persyn_kedro.domain.routers.linear import LinearRouter
from persyn_kedro.foundations.settings.routers import MlpRouterSettings


class MlpRouter(LinearRouter):
    """As the linear router, with ``hidden_units`` tanh units between embedding and scores."""

    arrays = "mlp.safetensors"
    settings: MlpRouterSettings

    @property
    def hidden(self) -> int:  # type: ignore[override]
        """The number of hidden units."""
        return self.settings.hidden_units
