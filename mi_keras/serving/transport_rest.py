"""Talks to TensorFlow Serving over REST: JSON over HTTP, with nothing but the standard library."""

import base64
import binascii
import http.client
import io
import json
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
from numpy.typing import NDArray

from mi_keras.display import line_of
from mi_keras.errors import InputError
from mi_keras.serving.contract import (
    ModelSpec,
    ServedModel,
    ServerError,
    Tensors,
    Unavailable,
    failure,
)
from mi_keras.serving.transport_metadata import Described, is_endpoint, served_model

LARGEST_ANSWER = 512 * 1024**2  # bytes; a float32 takes about 20 characters in JSON
_BLOCK = 1 << 16
# What passes when a server comes back; a port that speaks something else, or a certificate, stays as it is.
_PASSING = (ConnectionError, socket.gaierror, http.client.IncompleteRead)
# The statuses that TensorFlow Serving turns into these HTTP codes.
_STATUS = {
    400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}  # fmt: skip


class RestTransport:
    """Opens one connection a request, so that threads share nothing (see `contract.Transport`)."""

    def __init__(self, server: str) -> None:
        parts = urlsplit(server if "://" in server else f"http://{server}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(
                f"`server` must be HOST:PORT, http://HOST:PORT or https://HOST:PORT; got {server}."
            )
        self.server = server
        self._host, self._port = parts.hostname, parts.port
        self._connection: Callable[..., http.client.HTTPConnection] = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )

    def metadata(self, spec: ModelSpec, timeout: float) -> ServedModel:
        answer = self._request("GET", f"{_path(spec)}/metadata", None, spec, timeout)
        try:
            signatures = answer["metadata"]["signature_def"]["signature_def"]
            described = {
                name: (_described(found["inputs"]), _described(found["outputs"]))
                for name, found in signatures.items()
                if is_endpoint(str(found["method_name"]))
            }
            return served_model(spec, int(answer["model_spec"]["version"]), described)
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
            raise ServerError(self.server, "the metadata are not those of TensorFlow Serving") from None

    def predict(
        self, spec: ModelSpec, endpoint: str, tensors: Tensors, outputs: tuple[str, ...], timeout: float
    ) -> dict[str, NDArray[Any]]:
        inputs = {name: array.tolist() for name, array in tensors.items()}
        body = json.dumps({"signature_name": endpoint, "inputs": inputs}, separators=(",", ":"))
        answer = self._request("POST", f"{_path(spec)}:predict", body.encode(), spec, timeout)
        try:
            columns = answer["outputs"] if len(outputs) > 1 else {outputs[0]: answer["outputs"]}
            return {name: _decode(name, columns[name]) for name in outputs}
        except (KeyError, TypeError, ValueError, binascii.Error):
            raise ServerError(self.server, f"the answer must hold {', '.join(outputs)} in columns") from None

    def close(self) -> None:
        pass

    def _request(self, method: str, path: str, body: bytes | None, spec: ModelSpec, timeout: float) -> Any:
        try:
            code, content = self._exchange(method, path, body, timeout)
        except TimeoutError:
            raise failure(self.server, spec, "DEADLINE_EXCEEDED", "", timeout) from None
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, ServerError):
                raise
            reason = line_of(getattr(error, "strerror", None) or str(error) or type(error).__name__)
            if isinstance(error, _PASSING):
                raise failure(self.server, spec, "UNAVAILABLE", reason, timeout) from None
            hint = "; --rest needs its REST port" if isinstance(error, http.client.HTTPException) else ""
            raise ServerError(self.server, f"no HTTP with the server{hint} ({reason})") from None
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            if code == 503:  # a proxy before the server need not speak JSON
                raise Unavailable(self.server, "no answer from the server (HTTP 503)") from None
            raise ServerError(self.server, f"the answer to HTTP {code} is not JSON") from None
        if code != http.client.OK:
            said = str(answer.get("error", "")) if isinstance(answer, dict) else ""
            raise failure(
                self.server, spec, _STATUS.get(code, f"HTTP {code}"), said or f"HTTP {code}", timeout
            )
        return answer

    def _exchange(self, method: str, path: str, body: bytes | None, timeout: float) -> tuple[int, bytes]:
        end = time.monotonic() + timeout
        connection = self._connection(self._host, self._port, timeout=timeout)
        connection.response_class = partial(_Response, end)  # type: ignore[assignment]
        try:
            connection.connect()
            connection.sock.settimeout(_left(end))  # for all that is sent; what is read has `end`
            connection.request(
                method, path, body, {"Content-Type": "application/json", "Connection": "close"}
            )
            response = connection.getresponse()
            blocks: list[bytes] = []
            while block := response.read1(_BLOCK):
                blocks.append(block)
                if len(blocks) * _BLOCK > LARGEST_ANSWER and sum(map(len, blocks)) > LARGEST_ANSWER:
                    raise ServerError(self.server, f"the answer is larger than {LARGEST_ANSWER >> 20} MiB")
            if response.length:  # what `read1` says nothing of
                raise http.client.IncompleteRead(b"", response.length)
            return response.status, b"".join(blocks)
        finally:
            connection.close()


class _Response(http.client.HTTPResponse):
    """An answer that has to be there at a time, however many pieces it comes in."""

    def __init__(self, end: float, sock: socket.socket, *given: Any, **named: Any) -> None:
        super().__init__(sock, *given, **named)
        self.fp.close()
        self.fp = io.BufferedReader(_Punctual(sock, end))


class _Punctual(io.RawIOBase):
    """The bytes of a socket, each read of which has the time that is left."""

    def __init__(self, sock: socket.socket, end: float) -> None:
        self._sock, self._end = sock, end
        self._raw = sock.makefile(
            "rb", buffering=0
        )  # holds the socket, which the connection gives back at once

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_left(self._end))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _path(spec: ModelSpec) -> str:
    path = f"/v1/models/{quote(spec.name, safe='')}"
    if spec.version is not None:
        return f"{path}/versions/{spec.version}"
    return path if spec.label is None else f"{path}/labels/{quote(spec.label, safe='')}"


def _decode(name: str, column: Any) -> NDArray[Any]:
    if name.endswith("_bytes"):  # the ending by which TensorFlow Serving knows bytes from text
        values = np.empty(len(column), object)
        values[:] = [base64.b64decode(value["b64"], validate=True) for value in column]
        return values
    array = np.asarray(column)
    if array.dtype.kind not in "fiu":
        raise ValueError(name)
    return array.astype(np.float32)


def _described(infos: Any) -> Described:
    return {name: (str(info["dtype"]), _lengths(info["tensor_shape"])) for name, info in infos.items()}


def _lengths(shape: Any) -> list[int] | None:
    if shape.get("unknown_rank"):
        return None
    return [int(dim["size"]) for dim in shape["dim"]]  # 64-bit numbers are strings in JSON
