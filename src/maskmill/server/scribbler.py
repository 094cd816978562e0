"""Visual Prompting behind the pages: a changed stroke trains a classifier that looks at all images.

Two child processes keep features at hand and do the work; this file says what comes first. A new
stroke ends a sweep that is going on: its own image comes first, then the least certain ones. What
is found is held in memory alone: it is made again in seconds. Strokes and rules are in the store.
"""

import logging
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import msgspec

from maskmill.errors import MaskmillError, NotFound
from maskmill.scribble.rules import RuleSet
from maskmill.scribble.worker import Close, Look, Region, Trained
from maskmill.server.access import Busy
from maskmill.server.child import Child
from maskmill.server.events import Events
from maskmill.server.finishing import start
from maskmill.server.marking import marks, missing_packages, usable_rules
from maskmill.store import Image, Project

CHILDREN = 2
AUTOMATIC = 1000
"""Images that a changed stroke looks at by itself; the others wait until somebody asks for all."""
REMEMBERED = 20_000
"""Images of which what was found is kept."""
PAGE = 500
log = logging.getLogger("maskmill.server")


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How far it is.

    Attributes:
        run: Number of the classifier, which grows with each training; 0 before the first.
        phase: `idle`, `training` or `looking`.
        done: Images looked at with this classifier.
        total: Images that it will look at.
        classes: What the classifier knows, in the order of the values of its label maps.
        warnings: What is wrong with the strokes or the rules, a sentence each.
        trouble: Why there is no classifier of the latest strokes.
    """

    run: int
    phase: str
    done: int
    total: int
    classes: tuple[str, ...]
    warnings: tuple[str, ...]
    trouble: str | None


class Scribbler:
    """Visual Prompting of one project, as a server runs it.

    Args:
        project: Open for writing; its strokes, rules and images.
        model: The promptable model's name or folder.
        events: Told of what was found.
    """

    def __init__(self, project: Project, *, model: str, events: Events) -> None:
        self._project, self._events, self._model = project, events, model
        self._wake = threading.Condition()
        self._aside = threading.Lock()
        """Held for what stands back: one at a time, so that strokes find a free process."""
        self._free: SimpleQueue[Child] = SimpleQueue()
        self._children = self._new_children()
        self._known: dict[Child, int] = {}
        self._trained: Trained | None = None
        self._looks: OrderedDict[int, Look] = OrderedDict()
        self._doubts: dict[int, float] = {}
        self._run, self._phase, self._total = 0, "idle", 0
        self._classes: tuple[str, ...] = ()
        self._trouble: str | None = None
        self._troubles: tuple[str, ...] = ()
        self._learning = False
        self._drawn = self._ruled = self._wanted = self._everything = False
        self._prepared = 0
        """The last image that has features; those of higher numbers follow."""
        self._first: int | None = None
        self._said: tuple[Any, ...] = (0, "idle", None, ())
        self._stopping = False
        self._thread: threading.Thread | None = None

    def drawn(self, image_id: int) -> None:
        """Train anew: strokes of an image have changed."""
        self._begin(image_id, drawn=True)

    def ruled(self) -> None:
        """Look at all images again: the rules have changed."""
        self._begin(None, ruled=True)

    def wanted(self) -> None:
        """Begin, for somebody is here who will draw: train on what was drawn, make features."""
        if self._thread is None:
            self._begin(None, drawn=True)

    def renamed(self) -> None:
        """Train anew: a category has another name, or went."""
        if self._run:
            self._begin(None, drawn=True)

    def more(self) -> None:
        """Look at the images that were added, if somebody has begun."""
        if self._thread is not None:
            self._begin(None)

    def everything(self) -> None:
        """Look at every image of the project, however many there are, until the next stroke."""
        self._everything = True
        self._begin(None, ruled=True)

    def use(self, model: str) -> None:
        """Take the features of another promptable model from now on."""
        with self._wake:
            old, self._free = self._children, SimpleQueue()
            self._model, self._prepared = model, 0
            self._children = self._new_children()
        for child in old:
            child.close()
        if self._run:
            self._begin(None, drawn=True)

    def stop(self) -> None:
        """Stop within a second or two."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        for child in self._children:
            child.close()
        if self._thread is not None:
            self._thread.join(10)

    @property
    def learning(self) -> bool:
        """Whether what was drawn last is still to be learned."""
        return self._learning

    def standing(self) -> Standing:
        """Say how far it is."""
        return Standing(
            run=self._run,
            phase=self._phase,
            done=len(self._looks),
            total=self._total,
            classes=self._classes,
            warnings=(*(self._trained.warnings if self._trained else ()), *self._troubles),
            trouble=self._trouble,
        )

    def found(self) -> dict[int, Look]:
        """Return what was found with the current classifier, by image, in the order of looking."""
        with self._wake:
            return dict(self._looks)

    def look(self, image: Image) -> Look:
        """Return what is found on an image at the working grid; now, if nobody has looked yet.

        Raises:
            NotFound: If there is no classifier yet.
            ImageError: If the image cannot be used.
        """
        known = self._looks.get(image.id)
        return known if known is not None else self._look(image, self.rules())

    def close(self, image: Image, rules: RuleSet | None, *, full: bool = False) -> Close:
        """Return what is found on an image at its own size.

        Args:
            image: The image.
            rules: What to apply; None takes the project's.
            full: Classify each pixel, which takes seconds.

        Raises:
            NotFound: If there is no classifier yet.
            ImageError: If the image cannot be used.
            ConfigError: If a rule speaks of a category that the classifier does not know.
            Busy: If it is to be full, and another question is there or a sweep goes on.
        """
        given = self.rules() if rules is None else msgspec.json.encode(rules)
        with self._aside if full else nullcontext():
            # A process stays free for the next stroke; where there is but one, it is that.
            is_free = self._free.qsize() == len(self._children) and not self._learning
            if full and not (is_free and self._phase == "idle"):
                raise Busy("full resolution waits for all else; ask again later", retry_after=2)
            found: Close = self.ask("close", image.content_hash, image.path, given, full=full)
        return found

    def regions(self, image: Image, *, refined: bool, full: bool) -> list[Region]:
        """Return an image's objects as masks; errors as of `close`."""
        asked = (image.content_hash, image.path, self.rules())
        found: list[Region] = self.ask("regions", *asked, refined=refined, full=full)
        return found

    def _begin(self, image_id: int | None, *, drawn: bool = False, ruled: bool = False) -> None:
        with self._wake:
            self._drawn |= drawn
            self._learning |= drawn
            self._ruled |= ruled
            self._everything &= not drawn
            self._wanted = True
            self._first = image_id or self._first
            if self._thread is None and not self._stopping:
                self._thread = threading.Thread(target=self._work, name="scribbler", daemon=True)
                self._thread.start()
            self._wake.notify_all()

    def _work(self) -> None:
        for child in self._children:
            child.warm()
        while not self._stopping:
            with self._wake:
                while not (self._stopping or self._drawn or self._ruled or self._wanted):
                    self._wake.wait()
                drawn, self._drawn = self._drawn, False
                ruled, self._ruled, self._wanted = self._ruled, False, False
            try:
                if drawn and not self._stopping:
                    self._train()
                    with self._wake:
                        self._learning = self._drawn
                if self._trained is not None:
                    self._sweep(anew=ruled or (drawn and self._trouble is None))
                self._tell("idle")  # features of other images may take minutes
                self._prepare()
            except Exception:
                if not self._stopping:
                    log.exception("Visual Prompting met an error")
            with self._wake:
                self._learning = self._drawn
            self._tell("idle")

    def _train(self) -> None:
        marked, categories = marks(self._project)
        if not marked:
            self._forget(None)
            return
        self._tell("training")
        if missing := missing_packages():
            self._trouble = (
                f"learning from strokes needs {', '.join(missing)}; install with "
                "`pip install 'maskmill[scribble]'` and start the server again"
            )
            return
        try:
            self._trained = self.ask("train", marked, categories, bare=True)
        except MaskmillError as error:
            drawn = {stroke.category for each in marked for stroke in each.strokes} - {None}
            if len(drawn) < 2:
                self._forget(str(error))
            self._trouble = str(error)  # one stroke that is wrong takes nothing from the others
            return
        self._trouble = None
        with self._wake:
            self._run, self._classes = self._run + 1, self._trained.categories

    def _forget(self, trouble: str | None) -> None:
        """Answer nothing more: what was known is not of these strokes."""
        with self._wake:
            self._trouble, self._trained, self._classes = trouble, None, ()
            self._looks.clear()

    def _sweep(self, *, anew: bool) -> None:
        """Look at images until all are done or something changes; or at those that were added."""
        rules = self.rules()
        with self._wake:
            if self._drawn or self._ruled:  # changed again while it was trained
                return
            first, self._first = self._first, None
            # A sweep that was ended early has seen few: what earlier ones found still orders them.
            self._doubts |= {key: look.mean_doubt for key, look in self._looks.items()}
            if anew:
                self._looks.clear()
            known = set(self._looks)
        limit = None if self._everything else AUTOMATIC
        waiting = deque(i for i in self._in_order(first, limit) if i.id not in known)
        self._total = len(known) + len(waiting)
        if not waiting:
            return
        self._tell("looking")
        threads = [
            threading.Thread(target=self._look_at, args=(waiting, rules), daemon=True)
            for _ in self._children
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

    def _in_order(self, first: int | None, limit: int | None) -> Iterator[Image]:
        """Yield the image that was drawn on, those in doubt, then the others."""
        images, given = self._project.images, set[int]()
        doubted = sorted(self._doubts, key=lambda key: -self._doubts[key])
        for image_id in [*([first] if first else []), *doubted]:
            if image_id not in given and len(given) != limit:
                given.add(image_id)
                yield images.get(image_id)
        after = 0
        while page := images.page(after=after, limit=PAGE):
            for image in page:
                if len(given) == limit:
                    return
                if image.id not in given:
                    given.add(image.id)
                    yield image
            after = page[-1].id

    def _look_at(self, waiting: "deque[Image]", rules: bytes) -> None:
        while not (self._stopping or self._drawn or self._ruled):
            try:
                image = waiting.popleft()
            except IndexError:
                return
            try:
                look = self._look(image, rules)
            except MaskmillError as error:
                self._events.tell("scribbled", image_id=image.id, trouble=str(error))
                continue
            told: dict[str, Any] = {"run": self._run, "doubt": look.mean_doubt}
            self._events.tell("scribbled", image_id=image.id, passed=look.passed, **told)

    def _look(self, image: Image, rules: bytes) -> Look:
        run = self._run
        look: Look = self.ask("look", image.content_hash, image.path, rules)
        with self._wake:
            if run == self._run:
                self._looks[image.id] = look
                if len(self._looks) > REMEMBERED:
                    self._looks.popitem(last=False)
        return look

    def _prepare(self) -> None:
        """Make features of images that have none, while nothing else is to do."""
        while page := self._project.images.page(after=self._prepared, limit=PAGE):
            for image in page:
                if self._stopping or self._drawn or self._ruled or self._wanted:
                    return
                try:
                    with self._aside:
                        self.ask("warm", image.content_hash, image.path, bare=True)
                except MaskmillError as error:
                    log.warning("image %d has no features: %s", image.id, error)
                self._prepared = image.id

    def ask(self, what: str, *arguments: Any, bare: bool = False, **named: Any) -> Any:
        """Ask whichever child is free; one that does not know the classifier is told first.

        Args:
            what: A method of `Worker` or of `Finisher`.
            *arguments: Its arguments.
            bare: Whether it needs no classifier.
            **named: Its named arguments.

        Raises:
            NotFound: If there is no classifier yet.
            MaskmillError: As the method.
        """
        trained, run = self._trained, self._run
        if not bare and trained is None:
            raise NotFound("there is no classifier yet; draw strokes of two categories")
        free = self._free
        child = free.get()
        try:
            if not bare and self._known.get(child) != run:
                child.tell("use", (trained,), {})
                self._known[child] = run
            return child.ask(what, arguments, named)
        finally:
            free.put(child)

    def rules(self) -> bytes:
        """Return the project's rules, as JSON, without those of categories nobody has marked."""
        rules, self._troubles = usable_rules(self._project, self._classes)
        return msgspec.json.encode(rules)

    def _tell(self, phase: str) -> None:
        """Say what is news: pages ask for more whenever they are told."""
        self._phase = phase
        said = (self._run, phase, self._trouble, self._classes)
        if said != self._said:
            self._said = said
            self._events.tell("scribble", run=self._run, phase=phase)

    def _new_children(self) -> list[Child]:
        arguments = (start, self._project.folder, self._model)
        many = range(min(CHILDREN, os.cpu_count() or 1))
        children = [Child(*arguments, name="scribbler", alone=True) for _ in many]
        for child in children:
            self._free.put(child)
        return children
