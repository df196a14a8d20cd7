"""`python main.py serve`: the detector behind a page, until it is asked to end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from importlib.util import find_spec

from dataio.schema import UserError
from dataio.stopping import StopRequest
from models.scoring.audio import check_calibration, probability
from models.scoring.run import load_scorer

PACKAGES = ("fastapi", "prometheus_client", "python_multipart", "uvicorn", "websockets")
LARGEST_MESSAGE = 1 << 20  # bytes of a stream's message, half a minute of sound


def serve(hparams: dict, run_options: dict) -> int:
    """Serve until SIGTERM, Ctrl-C or `time_limit`; what is in work then is still answered."""
    check(hparams)
    convert, basis = probability(hparams)
    with listening(hparams["host"], hparams["port"]) as listener:
        scorer = load_scorer(hparams, run_options)
        check_calibration(hparams, scorer)
        from models.serving.app import Service

        service = Service(scorer, convert, basis)
        host, port = listener.getsockname()[:2]
        host = f"[{host}]" if ":" in host else host
        with StopRequest(hparams["time_limit"]) as stop, contextlib.closing(service):
            print(f"{hparams['model']} answers on http://{host}:{port} (Ctrl-C ends)", flush=True)
            asyncio.run(serve_until(service, listener, stop))
    return 0


def check(hparams: dict) -> None:
    """`UserError`, before anything is loaded, for what cannot be served."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise UserError(f"serve needs {', '.join(missing)}: bash install.sh --with serve")
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise UserError("serve runs in one process: start it without torchrun")
    from models.serving.guard import LOOPBACK

    token = hparams["token"]
    if token is None and hparams["host"] not in LOOPBACK:
        raise UserError(
            f"host {hparams['host']} can be reached from other machines: give a --token, or listen"
            " on 127.0.0.1"
        )
    if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
        raise UserError("a token is of ASCII letters, digits and marks, without a space")


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; `UserError` where it cannot."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        words = error.strerror or str(error)
        raise UserError(f"cannot listen on {host} port {port}: {words}") from None
    return listener


async def serve_until(service, listener: socket.socket, stop) -> None:
    """Answer until `stop.reason` says why to end; then take nothing new and answer what is left."""
    import uvicorn

    class Server(uvicorn.Server):
        def capture_signals(self):  # `stop` has them
            return contextlib.nullcontext()

    server = Server(
        uvicorn.Config(
            service.guard, lifespan="off", log_config=None, access_log=False, server_header=False,
            ws_max_size=LARGEST_MESSAGE,
            timeout_graceful_shutdown=round(service.hparams["request_timeout"]) + 1,
        )
    )  # fmt: skip

    async def watch() -> None:
        while stop.reason is None:
            await asyncio.sleep(0.1)
        server.should_exit = True

    watching = asyncio.create_task(watch())
    try:
        await server.serve(sockets=[listener])
    finally:
        watching.cancel()
