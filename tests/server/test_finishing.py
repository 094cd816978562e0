"""What a child says of a classifier as a whole: judged, given rules, tried, carried away."""

import hashlib
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from PIL import Image
from scribble_scene import CATEGORIES, scene, strokes

from maskmill import rle
from maskmill.deploy import load_deployment
from maskmill.errors import ConfigError, ImageError, NotFound
from maskmill.scribble.rules import Count, MinArea, RuleSet
from maskmill.scribble.worker import Marked, Worker
from maskmill.server import finishing
from maskmill.server.finishing import Finisher, Truth

NONE = msgspec.json.encode(RuleSet())
RULES = msgspec.json.encode(
    RuleSet(categories={"disc": (MinArea(area=60),)}, decisions=(Count(category="disc", least=1),))
)


class Bench:
    """Three drawn images: the first two are marked, the third is labelled."""

    def __init__(self, folder: Path) -> None:
        self.worker = Worker(folder, "tiny")
        self.finisher = Finisher(self.worker, "tiny")
        self.paths, marked = [], []
        for seed in range(3):
            pixels, labels = scene(seed)
            path = folder / f"{seed}.png"
            Image.fromarray(pixels).save(path)
            self.paths.append(path)
            if seed < 2:
                marked.append(Marked(digest(path), str(path), tuple(strokes(path.name, labels))))
        self.marked = marked
        self.worker.use(self.worker.train(marked, CATEGORIES))

    def truth(self, seed: int, *, wrong: bool = False) -> Truth:
        labels = scene(seed)[1]
        masks = tuple((CATEGORIES[3 - k if wrong else k], rle.encode(labels == k)) for k in (1, 2))
        path = self.paths[seed]
        return Truth(seed, digest(path), str(path), labels.shape, masks)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


def test_labelled_images_and_strokes_judge_and_the_worst_is_first(bench: Bench) -> None:
    labelled = [bench.truth(2), bench.truth(0, wrong=True)]
    told = bench.finisher.check(bench.marked, CATEGORIES, labelled, NONE)
    assert told.strokes is not None
    assert told.strokes.counts.sum() > 10
    assert [each.image_id for each in told.images] == [0, 2]
    worst, best = (each.iou for each in told.images)
    assert worst is not None
    assert best is not None
    assert worst < 0.2 < 0.7 < best
    assert told.masks is not None
    assert told.masks.counts.sum() == 2 * 200 * 260
    assert told.masks.counts[1, 2] > 100, "discs that were called bars"


def test_an_image_that_cannot_be_used_is_named_and_stops_nobody(
    bench: Bench, tmp_path: Path
) -> None:
    broken = tmp_path / "half.jpg"
    broken.write_bytes(bench.paths[2].read_bytes()[:2000])
    lost = bench.truth(2)._replace(image_id=9, path=str(broken), content_hash=digest(broken))
    told = bench.finisher.check(bench.marked, CATEGORIES, [lost, bench.truth(2)], NONE)
    assert [each.image_id for each in told.images] == [2]
    assert [each.image_id for each in told.left_out] == [9]
    assert told.left_out[0].reason.startswith("the image")
    assert str(tmp_path) not in told.left_out[0].reason


def test_a_category_that_is_labelled_nowhere_is_not_judged(bench: Bench) -> None:
    discs = [
        each._replace(masks=tuple(mask for mask in each.masks if mask[0] == "disc"))
        for each in (bench.truth(0), bench.truth(2))
    ]
    ious = [each.iou for each in bench.finisher.check([], CATEGORIES, discs, NONE).images]
    assert min(iou for iou in ious if iou is not None) > 0.7, "bars are found, and nobody asked"
    assert [each.category for each in bench.finisher.suggest(discs).suggestions] == ["disc"]
    nameless = [
        each._replace(masks=tuple(("tree", mask) for _, mask in each.masks)) for each in discs
    ]
    with pytest.raises(ConfigError, match="no label is called disc, bar"):
        bench.finisher.suggest(nameless)


def test_nothing_labelled_judges_by_strokes_alone(bench: Bench) -> None:
    told = bench.finisher.check(bench.marked, CATEGORIES, [], NONE)
    assert told.masks is None
    assert told.images == ()


def test_rules_are_part_of_what_is_judged(bench: Bench) -> None:
    harsh = RuleSet(categories={name: (MinArea(area=50_000),) for name in ("disc", "bar")})
    told = bench.finisher.check([], CATEGORIES, [bench.truth(2)], msgspec.json.encode(harsh))
    assert told.images[0].iou == 0


def test_rules_are_suggested_for_every_category(bench: Bench) -> None:
    told = bench.finisher.suggest([bench.truth(0), bench.truth(2)])
    assert [each.category for each in told.suggestions] == ["disc", "bar"]
    assert all(each.after >= each.before > 0.5 for each in told.suggestions)
    assert (told.images, told.large) == (2, 0)
    with pytest.raises(ConfigError, match="label at least two"):
        bench.finisher.suggest([bench.truth(2)])


def test_large_images_are_neither_held_all_at_once_nor_searched_without_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, most = 0, 0

    class Counted(finishing.Labelled):
        def __init__(self, **named: Any) -> None:
            nonlocal held, most
            super().__init__(**named)
            held += 1
            most = max(most, held)

        def __del__(self) -> None:
            nonlocal held
            held -= 1

    monkeypatch.setattr(finishing, "Labelled", Counted)
    labelled = [bench.truth(seed)._replace(image_id=i) for i, seed in enumerate((0, 1, 2, 0))]
    assert len(bench.finisher.check([], CATEGORIES, labelled, NONE).images) == 4
    assert most <= 2, "the one that is judged, and the one before it"
    monkeypatch.setattr(finishing, "MOST_VALUES", 3 * 200 * 260 * 3)
    told = bench.finisher.suggest(labelled)
    assert (told.images, told.large) == (3, 1)
    monkeypatch.setattr(finishing, "MOST_VALUES", 1)
    told = bench.finisher.suggest(labelled)
    assert (told.images, told.large) == (2, 2), "two are the least"


def test_labels_of_another_size_judge_nothing(bench: Bench) -> None:
    small = bench.truth(0)._replace(size=(10, 10))
    told = bench.finisher.check([], CATEGORIES, [small], NONE)
    assert told.images == ()
    assert "another size than its labels" in told.left_out[0].reason
    with pytest.raises(ConfigError, match="judged on 0 labelled images"):
        bench.finisher.suggest([small, small])


def test_an_image_of_no_project_is_answered_as_one_of_the_project_would_be(bench: Bench) -> None:
    content = bench.paths[2].read_bytes()
    tried = bench.finisher.try_image(content, RULES)
    own = bench.worker.close(digest(bench.paths[2]), str(bench.paths[2]), RULES)
    assert tried.found == own
    assert tried.found.passed is True
    assert 0 < tried.doubt < 1
    with pytest.raises(ImageError):
        bench.finisher.try_image(b"no image", RULES)


def test_a_deployment_says_what_the_page_says(bench: Bench, tmp_path: Path) -> None:
    card = bench.finisher.deploy(str(tmp_path / "out"), RULES)
    assert card["categories"] == list(CATEGORIES)
    content = bench.paths[2].read_bytes()
    answer = load_deployment(tmp_path / "out", threads=1).answer(content)
    shown = cv2.imdecode(
        np.frombuffer(bench.finisher.try_image(content, RULES).found.labels, np.uint8),
        cv2.IMREAD_UNCHANGED,
    )
    drawn = np.zeros(shown.shape, np.uint8)
    for mask in answer["masks"]:
        height, width = mask["segmentation"]["size"]
        counts = mask["segmentation"]["counts"].encode()
        pixels = rle.decode(rle.Rle(size=(height, width), counts=counts))
        drawn[pixels] = CATEGORIES.index(mask["category"])
    assert np.array_equal(drawn, shown)
    assert answer["passed"] is True


def test_without_a_classifier_nothing_is_said(tmp_path: Path) -> None:
    finisher = Finisher(Worker(tmp_path, "tiny"), "tiny")
    with pytest.raises(NotFound, match="draw strokes"):
        finisher.check([], CATEGORIES, [], NONE)
    with pytest.raises(NotFound, match="draw strokes"):
        finisher.try_image(b"", NONE)
