"""Episodes: strokes lie on what they say, and the answer is the image's."""

from pathlib import Path

import numpy as np
import pytest
from scribble_scene import labelled

from maskmill.errors import DatasetError
from maskmill.formats import LabelledImage, LabelledMask
from maskmill.model.pixel_encoder import STRIDE
from maskmill.scribble.pretrain import episodes
from maskmill.scribble.pretrain.episodes import (
    IMAGES,
    SIDE,
    Episode,
    Pool,
    fill_pool,
    in_cells,
    mark_cells,
    some_episode,
)
from maskmill.scribble.strokes import UNLABELLED

CELLS = SIDE // STRIDE


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    folder = tmp_path_factory.mktemp("photographs")
    textures = [np.random.default_rng(i).integers(0, 255, (80, 90, 3), np.uint8) for i in range(6)]
    return fill_pool([labelled(folder, i) for i in range(6)], textures)


def drawn(pool: Pool, number: int) -> list[Episode]:
    return [some_episode(np.random.default_rng([3, i]), pool) for i in range(number)]


def test_an_episode_is_a_question_and_its_answer(pool: Pool):
    stroked = set()
    for episode in drawn(pool, 25):
        assert episode.images.shape == (IMAGES, SIDE, SIDE, 3)
        assert 0 <= episode.images.min() <= episode.images.max() <= 1
        assert episode.labels.shape == (IMAGES, CELLS, CELLS)
        stroked.add(len(episode.marks))
        said = np.unique(episode.marks[episode.marks != UNLABELLED])
        assert said.tolist() == list(range(episode.categories))
        marked = episode.marks != UNLABELLED
        right = episode.marks[marked] == episode.labels[: len(episode.marks)][marked]
        assert right.mean() > 0.6  # a thin line covers a third of a cell whose middle is ground
        assert marked.mean() < 0.2
    assert stroked == {1, 2, 3}


def test_what_no_stroke_named_is_asked_of_nobody(pool: Pool, monkeypatch: pytest.MonkeyPatch):
    blank = np.zeros((SIDE, SIDE, 3), np.float32)
    labels = np.zeros((SIDE, SIDE), np.int16)
    labels[:60], labels[60:120] = 1, 2
    hidden = np.where(labels == 2, 0, labels).astype(np.int16)

    def project(rng: np.random.Generator, pool: Pool) -> list[episodes.Scene]:
        return [(blank, hidden), *[(blank, labels)] * (IMAGES - 1)]

    monkeypatch.setattr(episodes, "made_up_project", project)
    monkeypatch.setattr(episodes, "real_project", project)
    monkeypatch.setattr(episodes, "STROKED", (1.0, 0.0, 0.0))
    episode = some_episode(np.random.default_rng(0), pool)
    assert episode.categories == 2
    assert (episode.labels[1][15:30] == UNLABELLED).all()
    assert (episode.labels[1][:15] == 1).all()


def test_the_same_seed_draws_the_same(pool: Pool):
    one, other = (drawn(pool, 3)[2] for _ in range(2))
    assert np.array_equal(one.images, other.images)
    assert np.array_equal(one.marks, other.marks)


def test_cells_take_the_category_in_their_middle_and_thick_strokes_mark_them():
    labels = np.zeros((SIDE, SIDE), np.int16)
    labels[:, 100:] = 1
    assert in_cells(labels)[:, :25].max() == 0
    assert in_cells(labels)[:, 25:].min() == 1
    marks = mark_cells(labels, 2, np.random.default_rng(0))
    assert set(np.unique(marks)) == {UNLABELLED, 0, 1}
    assert (marks[:, :24] != 1).all()
    assert (marks[:, 26:] != 0).all()


def test_real_projects_show_one_category_on_every_image(pool: Pool):
    for seed in range(10):
        scenes = episodes.real_project(np.random.default_rng(seed), pool)
        assert len(scenes) == IMAGES
        assert {int(v) for _, labels in scenes for v in np.unique(labels)} <= {0, 1, 2}


def test_photographs_without_a_category_teach_nothing(tmp_path: Path):
    image = labelled(tmp_path, 0)
    unnamed = tuple(LabelledMask(rle=mask.rle) for mask in image.annotations)
    bare = LabelledImage(
        image_id="bare", path=image.path, size=image.size, source="bare", annotations=unnamed
    )
    with pytest.raises(DatasetError, match="names a category"):
        fill_pool([bare], [])
    assert set(fill_pool([bare, image], []).sources) == {"scenes"}
    assert set(fill_pool([image, labelled(tmp_path, 1, "other")], [], ["other"]).sources) == {
        "other"
    }
