"""The REST half of the loopback servers: paths, JSON and codes as TensorFlow Serving has them."""

import base64
import json
import re
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar

import numpy as np
from google.protobuf.json_format import MessageToDict
from numpy.typing import NDArray

from mi_keras.serving.contract import DEFAULT_ENDPOINT
from mi_keras.serving.loopback_models import LoadedModels, LoadedVersion, Refusal

_MODEL = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_CODES = {
    "INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "NOT_FOUND": 404, "RESOURCE_EXHAUSTED": 429, "INTERNAL": 500,
    "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504,
}  # fmt: skip
METRICS = "/monitoring/prometheus/metrics"


class RestHandler(BaseHTTPRequestHandler):
    """Answers one connection from `models`, which a subclass brings."""

    models: ClassVar[LoadedModels]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == METRICS:
            self._send(200, b"", "text/plain")
            return
        match = re.fullmatch(f"{_MODEL}(?P<metadata>/metadata)?", self.path)
        if match is None:
            self._refuse("INVALID_ARGUMENT", f"Malformed request: GET {self.path}")
        elif not match["metadata"] and not match["label"]:
            self._send_status(match["name"], int(match["version"]) if match["version"] else None)
        elif model := self._find(match):
            if match["metadata"]:
                self._send_json(self._metadata(match["name"], model))
            else:
                self._send_status(match["name"], model.version)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        match = re.fullmatch(f"{_MODEL}:predict", self.path)
        if match is None:
            self._refuse("INVALID_ARGUMENT", f"Malformed request: POST {self.path}")
        elif model := self._find(match):
            self._predict(model, body)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _find(self, match: re.Match[str]) -> LoadedVersion | None:
        try:
            version = match["version"]
            return self.models.find(match["name"], int(version) if version else None, match["label"])
        except Refusal as refusal:
            self._refuse(refusal.status, str(refusal))
            return None

    def _predict(self, model: LoadedVersion, body: bytes) -> None:
        try:
            request = json.loads(body)
            endpoint = request.get("signature_name") or DEFAULT_ENDPOINT
            if endpoint not in model.signatures:
                raise Refusal(
                    "INVALID_ARGUMENT", f'Serving signature name: "{endpoint}" not found in signature def'
                )
            columns = _columns(request, list(model.signatures[endpoint].inputs))
            inputs = {name: np.asarray(column, np.float32) for name, column in columns.items()}
            outputs = self.models.predict(model, endpoint, inputs)
        except Refusal as refusal:
            self._refuse(refusal.status, str(refusal))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            self._refuse("INVALID_ARGUMENT", f"JSON Value: {error}")
        else:
            written = {name: _values(name, array) for name, array in outputs.items()}
            self._send_json(_answer(written, rows="instances" in request))

    def _metadata(self, name: str, model: LoadedVersion) -> dict[str, Any]:
        shown = {
            key: MessageToDict(
                signature, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
            )
            for key, signature in model.signatures.items()
        }
        spec = {"name": name, "signature_name": "", "version": str(model.version)}
        return {"model_spec": spec, "metadata": {"signature_def": {"signature_def": shown}}}

    def _refuse(self, status: str, words: str) -> None:
        self._send(_CODES[status], json.dumps({"error": words}).encode())

    def _send_status(self, name: str, version: int | None) -> None:
        try:
            self._send_json(_status(self.models.status(name, version)))
        except Refusal as refusal:
            self._refuse(refusal.status, str(refusal))

    def _send_json(self, answer: Any) -> None:
        self._send(200, json.dumps(answer, indent=4).encode())

    def _send(self, code: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _status(versions: list[int]) -> dict[str, Any]:
    common = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    return {"model_version_status": [{"version": str(version), **common} for version in versions]}


def _columns(request: dict[str, Any], names: list[str]) -> dict[str, Any]:
    if "inputs" in request:
        columns = request["inputs"]
        return columns if isinstance(columns, dict) else {names[0]: columns}
    rows = request["instances"]
    if rows and isinstance(rows[0], dict):
        return {name: [row[name] for row in rows] for name in rows[0]}
    return {names[0]: rows}


def _answer(outputs: dict[str, list[Any]], *, rows: bool) -> dict[str, Any]:
    columns: Any = next(iter(outputs.values())) if len(outputs) == 1 else outputs
    if not rows:
        return {"outputs": columns}
    if len(outputs) == 1:
        return {"predictions": columns}
    names = list(outputs)
    return {
        "predictions": [dict(zip(names, row, strict=True)) for row in zip(*outputs.values(), strict=True)]
    }


def _values(name: str, array: NDArray[Any]) -> list[Any]:
    if name.endswith("_bytes"):
        return [{"b64": base64.b64encode(value).decode()} for value in array]
    return list(array.tolist())
