"""What the routes work with: one open project, one model, and who is listening."""

from dataclasses import dataclass, field

from maskmill.errors import NotFound
from maskmill.server.access import Door
from maskmill.server.decoder import Decoder
from maskmill.server.embedder import Embedder
from maskmill.server.events import Events
from maskmill.server.pictures import Pictures
from maskmill.store import Project


@dataclass(kw_only=True)
class Service:
    """The parts of a server, put together by whoever starts it.

    Attributes:
        project: Open for writing; this process holds it.
        door: Who may come in.
        decoder: The model that is served.
        embedder: Embeds images in the background.
        pictures: Thumbnails and images for display.
        events: Tells open pages what happens.
        names: Names under which browsers reach the server, without port.
        https: Whether they reach it over HTTPS.
    """

    project: Project
    door: Door
    decoder: Decoder
    embedder: Embedder
    pictures: Pictures
    events: Events
    names: tuple[str, ...]
    https: bool = False
    _model_ids: dict[int, str] = field(default_factory=dict)

    def model_id(self, row_id: int | None) -> str | None:
        """Return which weights a row of `models` stands for."""
        if row_id is not None and row_id not in self._model_ids:
            self._model_ids |= {model.id: model.model_id for model in self.project.models.all()}
        return None if row_id is None else self._model_ids.get(row_id)

    def model_row(self, model_id: str | None) -> int | None:
        """Return the row of a model by its weights.

        Raises:
            NotFound: If the project does not know it.
        """
        if model_id is None:
            return None
        if model_id not in self._model_ids.values():
            self._model_ids |= {model.id: model.model_id for model in self.project.models.all()}
        for row_id, known in self._model_ids.items():
            if known == model_id:
                return row_id
        raise NotFound(f"the project knows no model {model_id!r}; see /api/model")
