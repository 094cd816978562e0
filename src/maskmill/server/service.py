"""What the routes work with: one open project, one model, and who is listening."""

from dataclasses import dataclass, field

from maskmill.engine.lineage import current_model, model_before, model_path
from maskmill.errors import NotFound, StoreError
from maskmill.server.access import Door
from maskmill.server.decoder import Decoder
from maskmill.server.embedder import Embedder
from maskmill.server.events import Events
from maskmill.server.labeller import Labeller
from maskmill.server.outliner import Outliner
from maskmill.server.packer import Packer
from maskmill.server.pictures import Pictures
from maskmill.server.planner import Planner
from maskmill.server.prefiller import Prefiller
from maskmill.server.redrawer import Redrawer
from maskmill.server.scribbler import Scribbler
from maskmill.server.trainer import Trainer
from maskmill.store import Image, Project


@dataclass(kw_only=True)
class Service:
    """The parts of a server, put together by whoever starts it.

    One model is current: images are embedded with it. While that lasts after a promotion, an image
    that it has not reached is served with the model before, whose decoder is kept.

    Attributes:
        project: Open for writing; this process holds it.
        door: Who may come in.
        decoder: The model that is current.
        embedder: Embeds images in the background.
        pictures: Thumbnails and images for display.
        events: Tells open pages what happens.
        trainer: Runs rounds.
        planner: Orders the queue.
        prefiller: Puts sure masks on images that people will see.
        labeller: Labels what nobody has labelled.
        scribbler: Learns from strokes.
        outliner: Finds the regions that are offered under clicks.
        redrawer: Lets pre-filled masks follow what is mended.
        packer: Makes deployments.
        names: Names under which browsers reach the server, without port.
        https: Whether they reach it over HTTPS.
    """

    project: Project
    door: Door
    decoder: Decoder
    embedder: Embedder
    pictures: Pictures
    events: Events
    trainer: Trainer
    prefiller: Prefiller
    labeller: Labeller
    scribbler: Scribbler
    outliner: Outliner
    redrawer: Redrawer
    packer: Packer
    planner: Planner = field(init=False)
    names: tuple[str, ...]
    https: bool = False
    _model_ids: dict[int, str] = field(default_factory=dict)
    _decoders: dict[str, Decoder] = field(default_factory=dict)
    _before: str | None = None

    def __post_init__(self) -> None:
        self.planner = Planner(self.project, lambda: (self.decoder.model, self.decoder.model_id))
        before = model_before(self.project)
        self._before = None if before is None else before.model_id

    def decoder_of(self, model_id: str | None) -> Decoder:
        """Return a model by its weights; None means the current one.

        Raises:
            NotFound: If the project does not know it, or its files are gone.
        """
        if model_id in (None, self.decoder.model_id):
            return self.decoder
        assert model_id is not None
        if model_id not in self._decoders:
            self.model_row(model_id)
            row = next(m for m in self.project.models.all() if m.model_id == model_id)
            try:
                folder = model_path(self.project, row)
            except StoreError as error:
                raise NotFound(str(error)) from error
            self._decoders[model_id] = Decoder(self.project, str(folder))
        return self._decoders[model_id]

    def model_of(self, image: Image) -> str:
        """Return the model that people use on an image just now: the newest that embedded it."""
        embeddings, current = self.project.embeddings, self.decoder.model_id
        if embeddings.has(image.content_hash, current):
            return current
        before = self._before
        known = before is not None and embeddings.has(image.content_hash, before)
        return before if known and before is not None else current

    def follow(self) -> None:
        """Serve the project's current model from now on, as after a promotion or a roll-back."""
        folder = str(model_path(self.project, current_model(self.project)))
        new = Decoder(self.project, folder, threads=self.decoder.threads)
        if new.model_id == self.decoder.model_id:
            return
        self._decoders[self.decoder.model_id] = self.decoder
        self._before, self.decoder = self.decoder.model_id, new
        self.embedder.use(model=folder, model_id=new.model_id)
        self.scribbler.use(folder)
        self.events.tell("model", model_id=new.model_id)

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
