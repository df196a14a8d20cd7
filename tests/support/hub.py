"""As much of the model hub on loopback as a push and a download of a folder need."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

REVISION = 10 * "abcd"
LFS = ("safetensors", "onnx", "wav")


class FakeHub:
    """`files`: what each repository holds, by name and path; `token`: what it asks for."""

    def __init__(self, token: str) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.blobs: dict[str, bytes] = {}
        self.token = token
        self.endpoint = ""

    def answer(self, method: str, path: str, body: bytes) -> bytes | dict | list | None:
        """JSON, the bytes of a file, or None for what is not there."""
        path = path.partition("?")[0]
        if path == "/api/repos/create":
            wanted = json.loads(body)
            name = f"{wanted['organization']}/{wanted['name']}"
            self.files.setdefault(name, {})
            return {"url": f"{self.endpoint}/{name}"}
        if path == "/api/validate-yaml":
            return {}
        if path.startswith("/blobs/"):
            self.blobs[path.rpartition("/")[2]] = body
            return {}
        name = "/".join(path.removeprefix("/api/models").strip("/").split("/")[:2])
        name = name.removesuffix(".git")
        if name not in self.files:
            return None
        rest = path.partition(name)[2].removeprefix(".git")
        if rest.startswith("/preupload/"):
            return {"files": [self._mode(f["path"]) for f in json.loads(body)["files"]]}
        if rest == "/info/lfs/objects/batch":
            objects = [
                {**o, "actions": {"upload": {"href": f"{self.endpoint}/blobs/{o['oid']}"}}}
                for o in json.loads(body)["objects"]
            ]
            return {"transfer": "basic", "objects": objects}
        if rest.startswith("/commit/"):
            return self._commit(name, body)
        if rest.startswith("/resolve/"):
            return self.files[name].get(rest.removeprefix("/resolve/").partition("/")[2])
        if rest.startswith("/revision/"):
            return {"id": name, "sha": REVISION, "siblings": []}
        if rest.startswith("/tree/"):
            files = self.files[name].items()
            return [{"type": "file", "path": p, "size": len(c), "oid": p} for p, c in files]
        return {}

    def _mode(self, path: str) -> dict:
        mode = "lfs" if path.endswith(LFS) else "regular"
        return {"path": path, "uploadMode": mode, "shouldIgnore": False}

    def _commit(self, name: str, body: bytes) -> dict:
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                self.files[name][value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.files[name][value["path"]] = self.blobs[value["oid"]]
        return {"commitUrl": f"{self.endpoint}/{name}/commit/{REVISION}", "commitOid": REVISION}


@contextmanager
def fake_hub(token: str = "hf_right") -> Iterator[FakeHub]:
    hub = FakeHub(token)

    class Handler(http.server.BaseHTTPRequestHandler):
        def handle_request(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            allowed = self.headers.get("Authorization") == f"Bearer {hub.token}"
            open_to_all = self.command in ("GET", "HEAD") or self.path.startswith("/blobs/")
            found = hub.answer(self.command, self.path, body) if allowed or open_to_all else b""
            status = 404 if found is None else 200 if allowed or open_to_all else 401
            data = json.dumps(found).encode() if isinstance(found, (dict, list)) else found or b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
            self.send_header("X-Repo-Commit", REVISION)
            if status == 404:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_HEAD = do_POST = do_PUT = handle_request

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
