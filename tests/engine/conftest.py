"""Crowds of cells, and a region head that has learned to outline them."""

import pytest
from cell_crowds import cell_crowds, head_of_crowds

from maskmill.engine.region_finder import RegionFinder
from maskmill.formats import LabelledImage
from maskmill.predict import Predictor


@pytest.fixture(scope="session")
def predictor() -> Predictor:
    return Predictor.load("tiny", threads=1)


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[LabelledImage]:
    """Eight crowds."""
    return cell_crowds(tmp_path_factory.mktemp("crowds"))


@pytest.fixture(scope="session")
def trained(
    predictor: Predictor, images: list[LabelledImage], tmp_path_factory: pytest.TempPathFactory
) -> RegionFinder:
    """Taught by the first six, clicked on in the others."""
    return RegionFinder(
        head_of_crowds(predictor, images, tmp_path_factory.mktemp("heads") / "tiny")
    )
