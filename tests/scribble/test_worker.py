"""A worker's answers are those of the classifier, and survive being sent to another worker."""

import hashlib
import pickle
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from PIL import Image
from scribble_scene import CATEGORIES, scene, strokes

from maskmill import rle
from maskmill.errors import ConfigError, ImageError, NotFound, PromptError
from maskmill.scribble.rules import Close as RuleClose
from maskmill.scribble.rules import Count, FillHoles, MaxArea, MinArea, Open, RuleSet
from maskmill.scribble.shaping import shape
from maskmill.scribble.strokes import Stroke
from maskmill.scribble.worker import ADDED, REMOVED, Marked, Worker, closed

NONE = msgspec.json.encode(RuleSet())


def unpng(content: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)


class Scene:
    """Two drawn images of a project's folder, the first one marked."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.images, self.labels = folder, [], []
        for seed in (1, 2):
            pixels, labels = scene(seed)
            path = folder / f"{seed}.png"
            Image.fromarray(pixels).save(path)
            self.images.append((hashlib.sha256(path.read_bytes()).hexdigest(), str(path)))
            self.labels.append(labels)
        self.marked = [Marked(*self.images[0], tuple(strokes("1.png", self.labels[0])))]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("worker"))


@pytest.fixture(scope="module")
def worker(drawn: Scene) -> Worker:
    made = Worker(drawn.folder, "tiny")
    made.use(made.train(drawn.marked, CATEGORIES))
    return made


def test_an_unmarked_image_is_told_apart(worker: Worker, drawn: Scene) -> None:
    look = worker.look(*drawn.images[1], NONE)
    labels, doubt = unpng(look.labels), unpng(look.doubt)
    assert labels.shape == doubt.shape == (67, 87)
    truth = cv2.resize(drawn.labels[1].astype(np.uint8), (87, 67), interpolation=cv2.INTER_NEAREST)
    assert (labels == truth).mean() > 0.9
    assert 0 < look.mean_doubt < 0.7
    assert look.passed is None


def test_another_worker_answers_the_same_after_a_pipe(worker: Worker, drawn: Scene) -> None:
    other = Worker(drawn.folder, "tiny")
    with pytest.raises(NotFound, match="no classifier yet"):
        other.look(*drawn.images[1], NONE)
    other.use(pickle.loads(pickle.dumps(worker.train(drawn.marked, CATEGORIES))))
    assert other.look(*drawn.images[1], NONE) == worker.look(*drawn.images[1], NONE)


def test_rules_take_away_and_decide(worker: Worker, drawn: Scene) -> None:
    rules = RuleSet(
        categories={"disc": (MinArea(area=10**6),)},
        decisions=(Count(category="disc", least=1),),
    )
    told = msgspec.json.encode(rules)
    free, close = (worker.close(*drawn.images[1], each) for each in (NONE, told))
    disc = CATEGORIES.index("disc")
    assert (unpng(free.labels) == disc).sum() > 500
    assert not (unpng(close.labels) == disc).any()
    assert ((unpng(close.changed) == REMOVED) == (unpng(free.labels) == disc)).all()
    assert close.passed is False
    assert close.findings == ((False, "0 of disc; allowed: at least 1"),)
    assert any("disc" in each for each in close.warnings)
    look = worker.look(*drawn.images[1], told)
    assert look.passed is False
    assert not (unpng(look.labels) == disc).any()
    with pytest.raises(ConfigError, match="rule speaks of category 'ring'"):
        worker.close(*drawn.images[1], b'{"decisions": [{"rule": "count", "category": "ring"}]}')


def test_regions_are_masks_of_the_images_size(worker: Worker, drawn: Scene) -> None:
    found = worker.regions(*drawn.images[1], NONE)
    assert {region.category for region in found} == {"disc", "bar"}
    union = np.zeros((200, 260), bool)
    for region in found:
        mask = rle.decode(region.mask)
        assert mask.any()
        assert 0.3 < region.certainty <= 1
        union |= mask
    truth = drawn.labels[1] > 0
    assert (union & truth).sum() / (union | truth).sum() > 0.7
    refined = worker.regions(*drawn.images[1], NONE, refined=True)
    assert len(refined) == len(found)


def test_regions_of_every_pixel_are_what_the_open_image_shows(worker: Worker, drawn: Scene) -> None:
    shown = unpng(worker.close(*drawn.images[1], NONE, full=True).labels)
    grid = unpng(worker.close(*drawn.images[1], NONE).labels)
    disc = CATEGORIES.index("disc")
    for full, labels in ((True, shown), (False, grid)):
        found = worker.regions(*drawn.images[1], NONE, full=full)
        union = np.any([rle.decode(r.mask) for r in found if r.category == "disc"], axis=0)
        assert np.array_equal(union, labels == disc)
    assert not np.array_equal(shown == disc, grid == disc)


def test_features_lie_on_the_disk_and_a_changed_file_is_refused(tmp_path: Path) -> None:
    drawn = Scene(tmp_path)
    worker = Worker(tmp_path, "tiny")
    worker.warm(*drawn.images[0])
    (kept,) = (tmp_path / "cache" / "features").iterdir()
    assert kept.stat().st_size < 2 << 20
    Path(drawn.images[1][1]).write_bytes(Path(drawn.images[0][1]).read_bytes())
    with pytest.raises(ImageError, match="is not the file that was added"):
        worker.warm(*drawn.images[1])


def test_a_changed_file_is_refused_also_where_its_embedding_is_there(tmp_path: Path) -> None:
    drawn = Scene(tmp_path)
    Worker(tmp_path, "tiny").warm(*drawn.images[1])
    (kept,) = (tmp_path / "cache" / "features").iterdir()
    kept.unlink()
    Path(drawn.images[1][1]).write_bytes(Path(drawn.images[0][1]).read_bytes())
    with pytest.raises(ImageError, match="is not the file that was added"):
        Worker(tmp_path, "tiny").features(*drawn.images[1])


def test_what_one_rule_takes_and_the_next_gives_back_is_no_change(worker: Worker) -> None:
    disc = np.zeros((40, 40), bool)
    disc[10:30, 10:30] = True
    disc[18:22, 14:18] = False  # a hole
    disc[20, 30:36] = True  # a hair
    found = np.stack([~disc, disc, np.zeros_like(disc)]).astype(np.float32)
    model = worker.trained()
    both = RuleSet(categories={"disc": (FillHoles(area=50), MaxArea(area=50))})
    gone = unpng(closed(model, found, both).changed)
    assert (gone[18:22, 14:18] == 0).all(), "filled and then taken: it was never there"
    assert (gone[disc] == REMOVED).all()
    rules = RuleSet(categories={"disc": (Open(radius=2), RuleClose(radius=2))})
    shaped = shape(found, model.categories, rules)
    changed = unpng(closed(model, found, rules).changed)
    after = shaped.regions["disc"] > 0
    assert ((changed == REMOVED) == (disc & ~after)).all()
    assert ((changed == ADDED) == (after & ~disc)).all()


def test_strokes_of_one_category_or_of_another_size_are_refused(
    worker: Worker, drawn: Scene
) -> None:
    one = Stroke(image="1.png", category="disc", points=((5, 5), (9, 9)))
    with pytest.raises(PromptError, match="only disc is marked"):
        worker.train([Marked(*drawn.images[0], (one,))], CATEGORIES)
    wrong = Stroke(image="1.png", category="disc", points=((5, 5),), size=(10, 10))
    with pytest.raises(PromptError, match="draw them again"):
        worker.train([Marked(*drawn.images[0], (wrong,))], CATEGORIES)
