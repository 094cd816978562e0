"""Measure a model on labelled photographs, in this process or in several.

This file chooses images and masks and hands them round: `sessions` asks the model, `recall` runs
everything mode, `scores` averages. One bad photograph is reported and does not stop the rest.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from maskmill import rle
from maskmill.config import AutomaskConfig, Backend, EvaluateConfig
from maskmill.errors import DatasetError, ImageError
from maskmill.formats import (
    Dataset,
    LabelledImage,
    LabelledMask,
    Refused,
    even_sample,
    read_dataset,
    read_pixels,
)
from maskmill.predict import Predictor
from maskmill.rle import Rle
from maskmill.train.limits import refuse_nonsense_to_measure
from maskmill.train.recall import average_recall, loosened
from maskmill.train.scores import Evaluation, ImageResult, score_all
from maskmill.train.sessions import run_sessions


def evaluation_images(path: Path, config: EvaluateConfig) -> Dataset:
    """Read the images to measure on: those of the split and sources asked for, evenly limited.

    What the labels' reader refused, files or single annotations, is in `refused` of the result.

    Raises:
        DatasetError: If the path holds no labelled image that fits.
        ConfigError: If a setting makes no sense.
    """
    refuse_nonsense_to_measure(config)
    dataset = read_dataset(path, split=config.split, sources=config.sources or None)
    usable = [image for image in dataset if counted_masks(image, config)]
    if not usable:
        raise DatasetError(
            f"{path} holds {len(dataset)} images, but no mask between {config.min_mask_share:g} "
            f"and {config.max_mask_share:g} of its image; check the labels or widen the limits"
        )
    return Dataset(tuple(even_sample(usable, config.limit)), dataset.refused)


def counted_masks(image: LabelledImage, config: EvaluateConfig) -> list[Rle]:
    """Return the masks that are measured: no crowds, and neither too large nor too small."""
    return [mask.rle for mask in counted_annotations(image, config)]


def counted_annotations(image: LabelledImage, config: EvaluateConfig) -> list[LabelledMask]:
    """Return what `counted_masks` does, with all that the labels say of each mask."""
    pixels = image.size[0] * image.size[1]
    return [
        mask
        for mask in image.annotations
        if not mask.is_crowd
        and config.min_mask_share <= rle.area(mask.rle) / pixels <= config.max_mask_share
    ]


def evaluate(
    predictor: Predictor,
    images: Sequence[LabelledImage],
    config: EvaluateConfig | None = None,
    *,
    on_image: Callable[[], object] | None = None,
) -> Evaluation:
    """Measure a model on labelled images, in this process.

    Args:
        predictor: The model.
        images: What to measure on; those without a mask that counts are passed over.
        config: What to measure.
        on_image: Called after each image, for a progress bar.

    Returns:
        The numbers. They do not depend on the order of the images.

    Raises:
        DatasetError: If no image could be measured; the message gives the first reason.
    """
    return score_all(*measure_each(predictor, images, config, on_image=on_image))


def measure_each(
    predictor: Predictor,
    images: Sequence[LabelledImage],
    config: EvaluateConfig | None = None,
    *,
    on_image: Callable[[], object] | None = None,
) -> tuple[list[ImageResult], list[Refused]]:
    """Measure a model image by image, for who wants more than averages; as `evaluate`.

    Returns:
        One result for each image with a mask that counts, in the order of the images, and what was
        refused.
    """
    config = config or EvaluateConfig()
    outcomes = (measure_image(predictor, image, config, e) for image, e in _plan(images, config))
    return _collect(outcomes, on_image)


def evaluate_in_processes(
    model: str | Path,
    images: Sequence[LabelledImage],
    config: EvaluateConfig | None = None,
    *,
    workers: int,
    backend: Backend = "auto",
    on_image: Callable[[], object] | None = None,
) -> Evaluation:
    """Measure a model as `evaluate` does, in processes of one thread each.

    One process per core beats threads by far: most of a session is small NumPy work.

    Args:
        model: A name or a model's folder, which every process loads for itself.
        images: What to measure on.
        config: What to measure.
        workers: Processes.
        backend: Which runtime to use.
        on_image: Called after each image, for a progress bar.

    Raises:
        DatasetError: If no image could be measured; the message gives the first reason.
    """
    config = config or EvaluateConfig()
    pool = ProcessPoolExecutor(
        workers, get_context("spawn"), initializer=_start_worker, initargs=(model, backend)
    )
    with pool:
        plan = list(_plan(images, config))
        work = partial(_measure_in_worker, config=config)
        yielded = pool.map(work, *zip(*plan, strict=True)) if plan else iter(())
        return score_all(*_collect(yielded, on_image))


def measure_image(
    predictor: Predictor, image: LabelledImage, config: EvaluateConfig, everything: bool
) -> ImageResult | Refused | None:
    """Measure a model on one image.

    Args:
        predictor: The model.
        image: The image and its labels.
        config: What to measure.
        everything: Whether to run everything mode too, by far the dearest part.

    Returns:
        The measurement; the reason if the photograph cannot be used; None if no mask counts.
    """
    masks = counted_masks(image, config)
    if not masks:
        return None
    try:
        pixels = read_pixels(image)
    except (ImageError, DatasetError) as error:
        return Refused(image.path, str(error))
    recall = None
    if everything:
        settings = loosened(AutomaskConfig(points_per_side=config.points_per_side))
        recall = average_recall(predictor, pixels, masks, settings)
    sessions = run_sessions(predictor, predictor.embed(pixels), masks)
    return ImageResult(source=image.source, sessions=sessions, average_recall=recall)


def _plan(
    images: Sequence[LabelledImage], config: EvaluateConfig
) -> Iterator[tuple[LabelledImage, bool]]:
    chosen: set[Path] = set()
    if config.everything_images != 0:
        chosen = {image.path for image in even_sample(images, config.everything_images)}
    for image in images:
        yield image, image.path in chosen


_worker_predictor: Predictor | None = None


def _start_worker(model: str | Path, backend: Backend) -> None:
    # The one global: a process pool has no other place for what each process loads once.
    global _worker_predictor
    import cv2

    cv2.setNumThreads(1)
    _worker_predictor = Predictor.load(model, backend=backend, threads=1)


def _measure_in_worker(
    image: LabelledImage, everything: bool, config: EvaluateConfig
) -> ImageResult | Refused | None:
    assert _worker_predictor is not None  # `_start_worker` ran first
    return measure_image(_worker_predictor, image, config, everything)


def _collect(
    outcomes: Iterator[ImageResult | Refused | None], on_image: Callable[[], object] | None
) -> tuple[list[ImageResult], list[Refused]]:
    results: list[ImageResult] = []
    refused: list[Refused] = []
    for outcome in outcomes:
        if isinstance(outcome, ImageResult):
            results.append(outcome)
        elif isinstance(outcome, Refused):
            refused.append(outcome)
        if on_image is not None:
            on_image()
    if not results:
        reason = f"; the first reason: {refused[0].reason}" if refused else "; no mask counts"
        raise DatasetError(f"no image could be measured, {len(refused)} were refused{reason}")
    return results, refused
