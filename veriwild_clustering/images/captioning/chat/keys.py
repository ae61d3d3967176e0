"""Where the server is and the key to it: from the environment or typed in, and never to be seen again."""

from __future__ import annotations

import getpass
import ipaddress
import os
import sys
from typing import NoReturn
from urllib.parse import urlsplit

from veriwild_clustering.core.validation import DatasetError

__all__ = ["ApiKey", "EndpointError", "find_key", "find_url", "has_key"]

_OPENAI = "https://api.openai.com/v1"
_HIDDEN = "***"
_SHORTEST_SECRET = 8  # shorter ones are the placeholders of local servers, and hiding them would tear words apart


class EndpointError(DatasetError):
    """A server that does not answer at all: the message says which, why, and what to do."""


class ApiKey:
    """A key that shows itself to nobody: not printed, not pickled, not part of any message.

    Parameters
    ----------
    value : str
        The key.

    Examples
    --------
    >>> from veriwild_clustering.images.captioning.chat.keys import ApiKey
    >>> key = ApiKey("sk-a-long-secret")
    >>> key, key.hide("The key sk-a-long-secret is wrong.")
    (***, 'The key *** is wrong.')
    """

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value.strip()

    def __repr__(self) -> str:
        return _HIDDEN

    def __reduce__(self) -> NoReturn:
        raise TypeError("A key is not written anywhere. Make the endpoint where it is needed.")

    def reveal(self) -> str:
        """Return the key itself, for the one header that carries it."""
        return self.__value

    def hide(self, text: str) -> str:
        """Return a text in which the key, should a server have repeated it, is not to be read."""
        return text.replace(self.__value, _HIDDEN) if len(self.__value) >= _SHORTEST_SECRET else text


def find_url(given: str | None) -> str:
    """Return the base URL: the given one, else that of the environment, else OpenAI's.

    Raises
    ------
    ValueError
        If it is no http address, or holds a password.
    """
    url = (given or os.environ.get("OPENAI_BASE_URL") or _OPENAI).strip().rstrip("/")
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query:
        raise ValueError(
            "`base_url` must hold no user, password or query, since it is shown. The key belongs into the environment "
            "variable OPENAI_API_KEY."
        )
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"`base_url` must be an address such as {_OPENAI} or http://localhost:11434/v1. Got {url!r}.")
    return url


def find_key(url: str) -> ApiKey:
    """Return the key: that of the environment, none for a server on this machine, else what the user types.

    Raises
    ------
    EndpointError
        If there is none and nobody to type it.
    """
    if found := _key_of_environment():
        return ApiKey(found)
    if _is_local(url):
        return ApiKey("none")
    if _somebody_types() and (typed := getpass.getpass(f"Key to {urlsplit(url).hostname} (not shown, not kept): ")):
        return ApiKey(typed)
    raise EndpointError(
        f"There is no key to {url}. Set the environment variable OPENAI_API_KEY; for a server that needs none any text "
        f"will do."
    )


def has_key(url: str) -> bool:
    """Tell whether `find_key` has a key, or needs none, without asking anybody."""
    return bool(_key_of_environment()) or _is_local(url)


def _key_of_environment() -> str:
    return os.environ.get("OPENAI_API_KEY", "").strip()


def _is_local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _somebody_types() -> bool:
    return (sys.stdin is not None and sys.stdin.isatty()) or "ipykernel.kernelapp" in sys.modules
