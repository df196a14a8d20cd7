"""A running service as tests and benchmarks ask it: over HTTP, as any client would."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

from hparams.load import load_hparams
from models.scoring.audio import probability
from models.scoring.run import load_scorer
from models.serving.run import check, listening, serve_until


class Reply(NamedTuple):
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class Running:
    """The service of a checkpoint in this process, on a free port; `stop` lets it drain."""

    def __init__(self, checkpoint: Path, model: str = "w2v_tiny", **keys):
        from models.serving.app import Service

        words = [f"--{key}={value}" for key, value in keys.items()]
        words += ["--port=0", "--device=cpu", f"--ckpt_path={checkpoint}"]
        yaml = Path(__file__).parents[2] / f"hparams/{model}.yaml"
        self.hparams, options, _ = load_hparams(yaml, words, objects=False, needs_folders=False)
        check(self.hparams)
        self.service = Service(load_scorer(self.hparams, options), *probability(self.hparams))
        self._listener = listening("127.0.0.1", 0)
        self.port = self._listener.getsockname()[1]
        self._stop = SimpleNamespace(reason=None)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.run(serve_until(self.service, self._listener, self._stop))

    def stop(self) -> None:
        if self._stop.reason is None:
            self._stop.reason = "the test"
            self._thread.join(60)
            assert not self._thread.is_alive()
            self.service.close()

    def ask(self, method: str, path: str, body=None, headers: dict | None = None) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            return request(connection, method, path, body, headers)
        finally:
            connection.close()

    def score(self, content: bytes, name: str = "a.wav", **headers) -> Reply:
        body, kind = form(content, name)
        return self.ask("POST", "/v1/score", body, {"Content-Type": kind, **headers})


def request(connection, method: str, path: str, body=None, headers: dict | None = None) -> Reply:
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    headers = {name.title(): value for name, value in answer.getheaders()}
    return Reply(answer.status, headers, answer.read())


def form(content: bytes, name: str) -> tuple[bytes, str]:
    """A form with one file, and its content type."""
    mark = uuid.uuid4().hex
    quoted = name.encode("utf-8", "surrogateescape").replace(b'"', b"%22")
    head = b'Content-Disposition: form-data; name="file"; filename="' + quoted + b'"'
    body = b"--%s\r\n%s\r\n\r\n%s\r\n--%s--\r\n" % (mark.encode(), head, content, mark.encode())
    return body, f"multipart/form-data; boundary={mark}"
