"""Starts and stops a server: the socket, the parts of the service, Ctrl-C and SIGTERM."""

import ipaddress
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

# While OpenCV is imported its own folder is in sys.path. The process that embeds would inherit it,
# and take cv2's `typing` for Python's; so OpenCV is there before any thread begins.
import cv2  # noqa: F401
import uvicorn

from maskmill.errors import ConfigError, MaskmillError
from maskmill.server.access import Door
from maskmill.server.app import guarded
from maskmill.server.decoder import Decoder
from maskmill.server.embedder import Embedder
from maskmill.server.events import Events
from maskmill.server.ingesting import ingest
from maskmill.server.labeller import Labeller
from maskmill.server.outliner import Outliner
from maskmill.server.packer import Packer
from maskmill.server.pictures import Pictures
from maskmill.server.prefiller import Prefiller
from maskmill.server.redrawer import Redrawer
from maskmill.server.scribbler import Scribbler
from maskmill.server.security import LOOPBACK
from maskmill.server.service import Service
from maskmill.server.trainer import Trainer
from maskmill.store import Project

STOP_SECONDS = 5
"""How long open requests may take when the server is stopped."""
log = logging.getLogger("maskmill.server")


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """How a server is reached, and what it serves."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 0
    """Port to listen on; 0 takes a free one."""
    url: str | None = None
    """Where browsers reach it, if not on this machine: https://NAME, through a proxy."""
    model: str = "tiny"
    """The model's name or folder."""
    threads: int | None = None
    """Threads per model call; by default the runtime's."""


def serve(
    project: Project,
    config: ServerConfig,
    *,
    images: Path | None = None,
    ready: Callable[..., None] = lambda url, with_accounts: None,
    link: Callable[[str], None] = lambda url: None,
    until: Callable[[str], None] | None = None,
) -> None:
    """Serve a project until somebody stops it.

    Args:
        project: Open for writing.
        config: How it is reached.
        images: A folder whose images are brought into the project meanwhile.
        ready: Called with the address once it answers, and with `with_accounts`.
        link: Called with each address that lets one browser in without a password.
        until: Called with such an address once it answers, or with the plain one where there are
            accounts; the server stops when it returns. Without it, it runs until a signal comes.

    Raises:
        ConfigError: If it would be reached from elsewhere without accounts, or the address cannot
            be listened on.
    """
    accounts = project.accounts.all()
    names, https = _names(config, with_accounts=bool(accounts))
    with _listening(config) as bound, _service(project, config, names, https) as service:
        port = bound.getsockname()[1]
        url = config.url or f"http://{_in_url(config.host)}:{port}"
        service.door.announce = lambda token: link(f"{url}/#token={token}")
        server = _Server(_uvicorn_config(service), service.events)
        service.embedder.start()
        service.planner.start()
        service.trainer.go_on()
        service.prefiller.go_on()
        service.labeller.go_on()
        stop = threading.Event()
        if images is not None:
            _in_thread("ingest", lambda: ingest(service, images, stop))

        def begin() -> None:
            ready(url, with_accounts=service.door.with_accounts)
            address = url
            if not service.door.with_accounts:
                address = f"{url}/#token={service.door.new_token()}"
            if until is not None:
                _in_thread("until", lambda: _then_stop(until, address, server))

        server.begin = begin
        try:
            server.run(sockets=[bound])
        finally:
            stop.set()


def _then_stop(until: Callable[[str], None], address: str, server: "_Server") -> None:
    try:
        until(address)
    finally:
        server.should_exit = True


class _Server(uvicorn.Server):
    """uvicorn, with a word when it answers, and an end to all streams when it is stopped."""

    def __init__(self, config: uvicorn.Config, events: Events) -> None:
        super().__init__(config)
        self._events = events
        self.begin: Callable[[], None] = lambda: None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets=sockets)
        if self.started:
            self.begin()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop answering."""
        self._events.close()
        await super().shutdown(sockets=sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at Ctrl-C and SIGTERM, once and cleanly, and do not raise them again."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self._stop) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def _stop(self, number: int, _: FrameType | None) -> None:
        self.force_exit = self.should_exit and number == signal.SIGINT  # the second Ctrl-C
        self.should_exit = True


def _uvicorn_config(service: Service) -> uvicorn.Config:
    return uvicorn.Config(
        guarded(service),
        log_level="warning",
        access_log=False,  # addresses say who looked at what, and nobody asked for that
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        h11_max_incomplete_event_size=64 * 1024,
        ws="none",
    )


@contextmanager
def _service(
    project: Project, config: ServerConfig, names: tuple[str, ...], https: bool
) -> Iterator[Service]:
    """Put the parts together, and take them apart."""
    events = Events()
    decoder = Decoder(project, config.model, threads=config.threads)
    embedder = Embedder(
        project,
        model=config.model,
        model_id=decoder.model_id,
        events=events,
        threads=config.threads,
    )
    with_accounts = bool(project.accounts.all())
    trainer, prefiller = Trainer(project, events), Prefiller(project, events)
    labeller = Labeller(project, events)
    scribbler = Scribbler(project, model=config.model, events=events)
    outliner, packer = Outliner(project), Packer(project, events)
    redrawer = Redrawer(project)
    try:
        service = Service(
            project=project,
            door=Door(project=project, with_accounts=with_accounts, secure=https),
            decoder=decoder,
            embedder=embedder,
            pictures=Pictures(project.folder / "cache"),
            events=events,
            trainer=trainer,
            prefiller=prefiller,
            labeller=labeller,
            scribbler=scribbler,
            outliner=outliner,
            redrawer=redrawer,
            packer=packer,
            names=names,
            https=https,
        )
        trainer.promoted = service.follow
        try:
            yield service
        finally:
            service.planner.stop()
    finally:
        trainer.stop()
        prefiller.stop()
        labeller.stop()
        scribbler.stop()
        outliner.stop()
        redrawer.stop()
        packer.stop()
        embedder.stop()


@contextmanager
def _listening(config: ServerConfig) -> Iterator[socket.socket]:
    """Take the port before anything is begun."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    with socket.socket(family) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((config.host.strip("[]"), config.port))
            bound.listen(128)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ConfigError(
                f"{config.host}:{config.port} cannot be listened on ({reason}); "
                "choose another --port or --host"
            ) from error
        yield bound


def _names(config: ServerConfig, *, with_accounts: bool) -> tuple[tuple[str, ...], bool]:
    """Return the names under which the server is reached, and whether over HTTPS.

    Raises:
        ConfigError: If somebody else could reach it and would need no password, or would send it
            in the clear.
    """
    if is_loopback(config.host) and config.url is None:
        return LOOPBACK, False
    if not with_accounts:
        raise ConfigError(
            f"on {config.url or config.host} anybody could come in, and the project has no "
            "accounts; add one with `maskmill account add NAME --role admin`, or serve on 127.0.0.1"
        )
    parts = urlsplit(config.url or "")
    if parts.scheme != "https" or not parts.hostname or parts.path not in ("", "/"):
        raise ConfigError(
            f"--url is {config.url or 'not given'}; off this machine passwords travel over HTTPS "
            "only: put a TLS proxy in front and give its address, as https://masks.example.org"
        )
    return (parts.hostname, *LOOPBACK), True


def is_loopback(host: str) -> bool:
    """Tell whether an address is reached from this machine only.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _in_thread(name: str, work: Callable[[], None]) -> None:
    def run() -> None:
        try:
            work()
        except MaskmillError as error:
            log.warning("%s: %s", name, error)

    threading.Thread(target=run, name=name, daemon=True).start()
