"""What the routes share: models by their weights, whoever made them known."""

import pytest

from maskmill.errors import NotFound
from maskmill.server.service import Service


def test_models_that_came_later_are_found(service: Service) -> None:
    assert service.model_id(None) is None
    later = service.project.models.add("later-1", name="later")
    assert service.model_row("later-1") == later.id
    assert service.model_id(later.id) == "later-1"
    with pytest.raises(NotFound, match="never-1"):
        service.model_row("never-1")
