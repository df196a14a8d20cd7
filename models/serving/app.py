"""The addresses: the page, `/v1/score`, `timeline`, `stream`, `model` and what a monitor asks.

Needs the packages of `bash install.sh --with serve`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import anyio
import prometheus_client
from fastapi import FastAPI, File, Query, Request, Response, UploadFile, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.websockets import WebSocketDisconnect

from dataio.words import shown
from models import TOOLKIT_VERSION
from models.scoring.audio import in_full
from models.scoring.run import Scorer
from models.scoring.timeline import Rule
from models.serving.guard import Guard, Refused, Rules
from models.serving.shared import Abandoned, Engine, Ticket
from models.serving.uploads import LONGEST_NAME, Judged, judge_upload, timeline_of_upload
from models.serving.windows import PcmWindows, RunningMean, difference_of

PAGE = Path(__file__).parent / "page"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " connect-src 'self'; media-src blob:; img-src 'self' data:; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Refusal(BaseModel):
    """Why there is no answer, in one sentence."""

    error: str


class WorstWindow(BaseModel):
    """Of a long file, in seconds: the window most likely fake, and the share of all judged so."""

    start: float
    stop: float
    p_real: float
    share_fake: float


class ChannelVerdict(BaseModel):
    """Of a file or one of its channels. `p_real`: the probability that the speech is real."""

    channel: str
    seconds: float
    p_real: float
    verdict: str
    fake_logit: float
    real_logit: float
    remark: str
    worst: WorstWindow | None


class LeftOut(BaseModel):
    channel: str
    reason: str


class Answer(BaseModel):
    """One uploaded file."""

    name: str
    verdicts: list[ChannelVerdict]
    left_out: list[LeftOut]
    threshold: float
    threshold_origin: str
    basis: str


class Service:
    """A loaded detector, the words that go with its verdicts, and what is counted."""

    def __init__(self, scorer: Scorer, convert: Callable[[float], float], basis: str):
        hparams = scorer.hparams
        self.scorer, self.convert, self.hparams = scorer, convert, hparams
        calibration = hparams["calibration"]
        if calibration is not None:  # a client has no use for the folders of this machine
            basis = basis.replace(str(calibration), Path(calibration).name)
        self.basis = in_full(basis, hparams)
        self.registry = prometheus_client.CollectorRegistry()
        self.requests = prometheus_client.Histogram(
            "antideepfake_request_seconds", "Requests, by address and status",
            ["path", "status"], registry=self.registry,
        )  # fmt: skip
        self.batch_files = prometheus_client.Histogram(
            "antideepfake_batch_files", "Files or windows that the detector took together",
            buckets=(1, 2, 4, 8, 16, 32), registry=self.registry,
        )  # fmt: skip
        self.audio = prometheus_client.Counter(
            "antideepfake_audio_seconds", "Audio computed, padding included", registry=self.registry
        )
        waiting = prometheus_client.Gauge(
            "antideepfake_in_work", "Requests and streams in work", registry=self.registry
        )
        waiting.set_function(lambda: self.guard.in_work)
        self.engine = Engine(scorer, self._on_batch)
        self.pool = ThreadPoolExecutor(hparams["max_waiting"], "request")
        rules = {key: hparams[key] for key in Rules.__dataclass_fields__}
        self.guard = Guard(make_app(self), Rules(**rules), self._count)

    def close(self) -> None:
        """Once no request is left."""
        self.pool.shutdown()
        self.engine.close()

    async def in_thread(self, ticket: Ticket, work: Callable, *arguments):
        """`work(*arguments)` in a thread; `ticket` is given up where nobody waits for it."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self.pool, work, *arguments)
        except Abandoned:
            raise Refused(503, "the service is ending: try another or later", 5) from None
        finally:
            ticket.given_up.set()

    async def answer(self, request: Request, file: UploadFile) -> Answer:
        """The verdicts on an upload."""
        judged = await self.compute(request, file, judge_upload, convert=self.convert)
        return self._answer(shown(file.filename or "", LONGEST_NAME), judged)

    async def timeline(self, request: Request, file: UploadFile) -> dict:
        """Where in an upload the detector hears a fake."""
        keys = ("threshold", "hysteresis", "least_seconds", "curve")
        rule = Rule(self.convert, *(self.hparams[key] for key in keys))
        meta = self.scorer.meta() | self.words() | {key: self.hparams[key] for key in keys}
        return await self.compute(request, file, timeline_of_upload, rule=rule, meta=meta)

    async def compute(self, request: Request, file: UploadFile, work: Callable, **options):
        """`work` on an upload, in a thread; its sender's going away ends it."""
        spooled, name = file.file, file.filename or ""
        spooled.rollover()  # from memory to a file that has no name
        spooled.flush()
        source = os.fdopen(os.dup(spooled.fileno()), "rb")  # lives as long as the thread reads it
        ticket = Ticket()
        scorer = self.engine.scorer(ticket)
        options["most_seconds"] = self.hparams["max_seconds"]
        work = functools.partial(work, scorer, source, name, **options)
        computing = asyncio.ensure_future(self.in_thread(ticket, work))
        leaving = asyncio.ensure_future(_until_gone(request))
        try:
            await asyncio.wait([computing, leaving], return_when=asyncio.FIRST_COMPLETED)
            if not computing.done():
                raise Refused(499, "the sender has gone")
            return computing.result()
        finally:
            ticket.given_up.set()
            computing.cancel()
            leaving.cancel()

    def _answer(self, name: str, judged: Judged) -> Answer:
        return Answer(
            name=name,
            verdicts=[_channel_verdict(verdict) for verdict in judged.verdicts],
            left_out=[LeftOut(channel=c, reason=r) for c, r in judged.left_out],
            **self.words(),
        )

    def words(self) -> dict:
        """What a verdict rests on."""
        threshold = self.hparams["threshold"]
        origin = "the default, tuned on no data" if threshold == 0.5 else "given to this service"
        return {"threshold": threshold, "threshold_origin": origin, "basis": self.basis}

    def model(self) -> dict:
        """What `/v1/model` says."""
        keys = ("max_upload_mb", "max_seconds", "max_waiting", "request_timeout", "channels")
        limits = {key: self.hparams[key] for key in keys}
        return self.scorer.meta() | self.words() | limits

    def _count(self, path: str, status: int, seconds: float) -> None:
        known = path if path in ADDRESSES else "other"  # a stranger names no series
        self.requests.labels(known, str(status)).observe(seconds)

    def _on_batch(self, files: int, seconds: float) -> None:
        self.batch_files.observe(files)
        self.audio.inc(seconds)


ADDRESSES = ("/", "/v1/score", "/v1/timeline", "/v1/stream", "/v1/model", "/healthz", "/metrics")


def _channel_verdict(verdict) -> ChannelVerdict:
    fake, real = verdict.logits
    fields = {k: v for k, v in verdict._asdict().items() if k in ChannelVerdict.model_fields}
    fields["worst"] = verdict.worst and WorstWindow(**verdict.worst._asdict())
    return ChannelVerdict(**fields, fake_logit=fake, real_logit=real)


async def _until_gone(request: Request) -> None:
    while not await request.is_disconnected():
        await asyncio.sleep(0.25)


def make_app(service: Service) -> FastAPI:
    """The addresses of a service; no page of it asks anything from elsewhere."""
    app = FastAPI(
        title="AntiDeepfake", version=TOOLKIT_VERSION, docs_url=None, redoc_url=None,
        description="Is this speech real? Larger p_real means more likely real.",
    )  # fmt: skip
    _refusals_in_one_sentence(app)
    refusals = {code: {"model": Refusal} for code in (400, 401, 403, 413, 422, 429, 503)}

    @app.post("/v1/score", responses=refusals)
    async def score(
        request: Request, file: Annotated[UploadFile, File(description="an audio or video file")]
    ) -> Answer:
        """The verdict on one file, a form's field `file`. Nothing of it is kept."""
        return await service.answer(request, file)

    @app.post("/v1/timeline", responses=refusals)
    async def timeline(
        request: Request, file: Annotated[UploadFile, File(description="an audio or video file")]
    ) -> dict:
        """The file's timeline as `main.py timeline` writes it, `labels` for Audacity, `picture` (a
        PNG in base 64).
        """
        return await service.timeline(request, file)

    @app.get("/v1/model", responses={code: refusals[code] for code in (401, 403)})
    async def model() -> dict:
        """The detector, what its verdicts rest on, and the limits."""
        return service.model()

    @app.get("/healthz")
    async def healthz() -> dict:
        return {"status": "ok"}

    @app.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """In the text form of Prometheus."""
        text = prometheus_client.generate_latest(service.registry)
        return Response(text, media_type=prometheus_client.CONTENT_TYPE_LATEST)

    @app.websocket("/v1/stream")
    async def stream(
        socket: WebSocket,
        sample_rate: Annotated[int, Query(ge=4000, le=192000)] = 16000,
        window_seconds: Annotated[float, Query(ge=0.5, le=60)] = 4.0,
        hop_seconds: Annotated[float, Query(ge=0.1, le=60)] = 1.0,
    ) -> None:
        windows = PcmWindows(sample_rate, window_seconds, hop_seconds)
        await _stream(service, socket, windows)

    for name in ("/", "/page.css", "/page.js"):
        file = PAGE / (name[1:] or "index.html")
        app.get(name, include_in_schema=False)(_sender(file))
    return app


def _sender(file: Path):
    async def send() -> FileResponse:
        return FileResponse(file, headers=HEADERS)

    return send


async def _stream(service: Service, socket: WebSocket, windows: PcmWindows) -> None:
    """Binary messages of samples in; for each window a JSON message out, and one at `end`."""
    offered = socket.headers.get("sec-websocket-protocol", "")
    await socket.accept("bearer" if offered.startswith("bearer") else None)
    ticket, hparams = Ticket(), service.hparams
    mean = RunningMean(service.convert, hparams["threshold"])
    scorer = service.engine.scorer(ticket)
    loop = asyncio.get_running_loop()
    try:
        while (message := await socket.receive())["type"] == "websocket.receive":
            if message.get("bytes") is None:
                await socket.send_json({"end": True, "mean": mean.mean(), **service.words()})
                await socket.close()
                return
            for start, stop, samples in windows.feed(message["bytes"]):
                if stop - start < (hparams["min_duration"] or 0):
                    continue
                work = (service.pool, difference_of, scorer, samples, windows.rate)
                with anyio.fail_after(hparams["request_timeout"]):
                    found = mean.add(*await loop.run_in_executor(*work))
                await socket.send_json({"start": start, "stop": stop, **found, "mean": mean.mean()})
    except (Abandoned, TimeoutError):
        with contextlib.suppress(RuntimeError):
            await socket.close(1013)
    except WebSocketDisconnect:
        pass
    finally:
        ticket.given_up.set()


def _refusals_in_one_sentence(app: FastAPI) -> None:
    """All that goes wrong has the same form, whoever finds it."""

    def said(status: int, sentence: str, headers: dict | None = None) -> JSONResponse:
        return JSONResponse({"error": sentence}, status, headers=headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return said(422, "send one file as the field `file` of a form (multipart/form-data)")

    @app.exception_handler(HTTPException)
    async def failed(_: Request, error: HTTPException) -> JSONResponse:
        return said(error.status_code, shown(error.detail), dict(error.headers or {}))
