"""Encryption of what must stay secret at rest."""

import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hub.config import SecretKey

__all__ = ["KeyRing", "SecretKey", "SecretUnreadable"]

_VERSION = 1
_NONCE = 12
_TAG = 16


class SecretUnreadable(Exception):
    """A sealed value cannot be opened: unknown key, another context, or damage. Never says what it held."""


class KeyRing:
    """Seals with the newest key and opens with any key it knows.

    A blob is: version (1 byte), length of the key id (1 byte), key id, nonce (12 bytes), AES-256-GCM text and tag.
    The header and the context are associated data, so a blob cannot be moved to another row or relabelled.
    """

    def __init__(self, keys: Sequence[SecretKey]) -> None:
        """Take the keys, newest first; raise ValueError without any."""
        if not keys:
            raise ValueError("a key ring needs at least one key")
        self._newest = keys[0].id
        self._ciphers = {key.id: AESGCM(key.value) for key in keys}

    def seal(self, plaintext: bytes, context: str) -> bytes:
        """Encrypt under the newest key, bound to the context (organisation and connection, say)."""
        name = self._newest.encode()
        header = bytes([_VERSION, len(name)]) + name
        nonce = os.urandom(_NONCE)
        return header + nonce + self._ciphers[self._newest].encrypt(nonce, plaintext, header + context.encode())

    def open(self, blob: bytes, context: str) -> bytes:
        """Decrypt; raise `SecretUnreadable` when the key is unknown, the context differs or the blob is damaged."""
        header, name = _header(blob)
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise SecretUnreadable(f"sealed with key {name}, which HUB_SECRET_KEYS does not hold")
        nonce, sealed = blob[len(header) : len(header) + _NONCE], blob[len(header) + _NONCE :]
        if len(sealed) < _TAG:
            raise SecretUnreadable("the sealed value is cut off")
        try:
            return cipher.decrypt(nonce, sealed, header + context.encode())
        except InvalidTag:
            raise SecretUnreadable("the sealed value is damaged or belongs to something else") from None

    def needs_rotation(self, blob: bytes) -> bool:
        """Say whether a blob is sealed with another key than the newest."""
        return _header(blob)[1] != self._newest


def _header(blob: bytes) -> tuple[bytes, str]:
    blob = bytes(blob)
    if len(blob) < 2 or blob[0] != _VERSION or len(blob) < 2 + blob[1]:
        raise SecretUnreadable("this is not a sealed value")
    header = blob[: 2 + blob[1]]
    return header, header[2:].decode("ascii", "replace")
