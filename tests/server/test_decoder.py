"""The served model: known to the project, loaded when it is first needed."""

from maskmill.rle import Rle
from maskmill.server.decoder import Decoder, embedding_bytes, wire_mask
from maskmill.server.service import Service


def test_the_model_is_made_known_once(service: Service) -> None:
    (model,) = service.project.models.all()
    assert (model.id, model.model_id) == (service.decoder.row_id, service.decoder.model_id)
    assert Decoder(service.project, "tiny").row_id == model.id
    assert service.decoder._predictor is None
    assert service.model_id(model.id) == model.model_id
    assert service.model_row(model.model_id) == model.id
    assert service.model_row(None) is None


def test_masks_and_embeddings_travel(service: Service) -> None:
    assert wire_mask(Rle((1, 2), b"11")).model_dump() == {"size": [1, 2], "counts": "11"}
    (image,) = service.project.images.page(limit=1)
    kept = service.project.embeddings.get(image.content_hash, service.decoder.model_id)
    assert kept is not None
    sizes = [array.nbytes for array in (kept.array, *kept.high_res)]
    assert len(embedding_bytes(kept)) == sum(sizes)
