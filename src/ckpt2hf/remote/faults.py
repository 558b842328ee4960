"""What goes wrong between here and a store: what can pass is tried again, the rest is said in our words.

The libraries below fsspec try again on their own, each in its way and with its own patience. They are told not to, so
that the number of requests and the time they take are bounded in one place.
"""

from __future__ import annotations

import random
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from ckpt2hf.errors import CheckpointError, Ckpt2hfError, NotFoundError, UnreachableError
from ckpt2hf.remote.path import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

ATTEMPTS = 6
"""How often a request is made, at most."""
FIRST_PAUSE = 0.2
"""Seconds before the second attempt; twice as long before each further one, and a random part less."""
LONGEST_PAUSE = 8.0
_CHAIN = 8
_PASSING_STATUS = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_PASSING_CODES = {
    "RequestTimeout", "RequestTimeoutException", "SlowDown", "Throttling", "ThrottlingException", "InternalError",
    "ServiceUnavailable", "BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch", "OperationAborted",
}  # fmt: skip
"""Error codes of S3 that speak of this request only, whatever HTTP status they come with.

Source: Amazon S3 API Reference, Error Responses: IncompleteBody and RequestTimeout come with status 400."""
_PASSING_CLASSES = {
    "HTTPClientError", "ConnectionError", "ResponseParserError",  # botocore; requests has a ConnectionError, too
    "ClientConnectionError", "ClientPayloadError", "ServerTimeoutError",  # aiohttp
    "FSTimeoutError", "IncompleteRead", "gaierror",
}  # fmt: skip
_DENIED_CLASSES = {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "TokenRetrievalError"}
_CHANGED = {HTTPStatus.PRECONDITION_FAILED, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}
_DENIED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


class GarbledError(Exception):
    """An answer that is not what was asked for, such as one that ends early: the next may be right."""


def retried(call: Callable[[], T], what: str, where: str, refusal: type[Ckpt2hfError] = NotFoundError) -> T:
    """What the call gives, made again while its faults can pass.

    `what` is done to `where`, in words for an error. Raises UnreachableError once the attempts are used up,
    NotFoundError for what is not there or not allowed, CheckpointError for a file that changed, and `refusal`.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return call()
        except Ckpt2hfError:
            raise
        except Exception as error:  # the edge to libraries of which each has its own exceptions
            if not can_pass(error):
                raise _explained(error, what, where, refusal) from error
            if attempt == ATTEMPTS:
                raise UnreachableError(
                    f"cannot {what} {where}: the store does not answer, or not sensibly",
                    details=[_said(error)],
                    where=where,
                    tried=f"{ATTEMPTS} times, with pauses",
                    remedies=["try again later", "check the network, and the endpoint if you set one"],
                ) from error
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1))
        time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - so that many clients do not come back together
    raise AssertionError


def can_pass(error: BaseException) -> bool:
    """Whether the same request may well succeed the next time."""
    chain = list(_chain(error))
    if any(_code(each) in _PASSING_CODES or _is_lost(each) for each in chain):
        return True
    status = next((found for each in chain if (found := _status(each)) is not None), 0)
    server = status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED
    return server or status in _PASSING_STATUS


def _is_lost(error: BaseException) -> bool:
    """Whether an error speaks of the connection rather than of an answer."""
    return isinstance(error, ConnectionError | TimeoutError | GarbledError) or bool(_PASSING_CLASSES & _classes(error))


def _explained(error: Exception, what: str, where: str, refusal: type[Ckpt2hfError]) -> Ckpt2hfError:
    chain = list(_chain(error))
    statuses = {_status(each) for each in chain}
    details = [_said(error)]
    denied = any(isinstance(each, PermissionError) or _DENIED_CLASSES & _classes(each) for each in chain)
    if denied or statuses & _DENIED:
        return NotFoundError(
            f"access to {where} is denied",
            details=details,
            where=where,
            remedies=["give credentials in the environment, as docs/urls.md shows", "ask for the right to it"],
        )
    if statuses & _CHANGED:
        return CheckpointError(
            "the checkpoint changed while it was being read",
            details=details,
            where=where,
            remedies=["wait until training has saved"],
        )
    if any(isinstance(each, FileNotFoundError) for each in chain) or HTTPStatus.NOT_FOUND in statuses:
        return NotFoundError(f"there is no {where}", details=details, where=where)
    return refusal(f"cannot {what} {where}", details=details, where=where, remedies=["docs/urls.md"])


def is_missing(error: BaseException) -> bool:
    """Whether an error says that nothing is there, and nothing worse is behind it."""
    return any(isinstance(each, FileNotFoundError) for each in _chain(error)) and not can_pass(error)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what led to it, the cause first: libraries make a FileNotFoundError out of a reset connection."""
    found: list[BaseException] = []
    each: BaseException | None = error
    while each is not None and len(found) < _CHAIN:
        found.append(each)
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
    return reversed(found)


def _classes(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _status(error: BaseException) -> int | None:
    """The HTTP status an exception carries, in whichever of the usual ways."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        found = getattr(response, "status_code", None) or getattr(error, "status", None) or getattr(error, "code", None)
    return found if isinstance(found, int) and found >= HTTPStatus.BAD_REQUEST else None


def _code(error: BaseException) -> str | None:
    """The error code of S3 an exception carries."""
    response = getattr(error, "response", None)
    found = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    return found if isinstance(found, str) else None


def _said(error: BaseException) -> str:
    return shown(f"{type(error).__name__}: {error}".rstrip(": "))[:500]
