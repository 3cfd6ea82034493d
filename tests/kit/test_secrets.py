"""The key ring: what it seals opens only with the right key, in the right place, undamaged."""

import pytest

from hub.kit.secrets import KeyRing, SecretKey, SecretUnreadable

OLD = SecretKey("2025", bytes(range(32)))
NEW = SecretKey("2026", bytes(range(32, 64)))
CONTEXT = "organisation:connection"


def test_what_is_sealed_opens_again_and_does_not_show() -> None:
    blob = KeyRing([NEW]).seal(b"refresh token", CONTEXT)
    assert KeyRing([NEW]).open(blob, CONTEXT) == b"refresh token"
    assert b"refresh" not in blob


def test_sealing_twice_gives_different_blobs() -> None:
    ring = KeyRing([NEW])
    assert ring.seal(b"x", CONTEXT) != ring.seal(b"x", CONTEXT)


def test_another_context_does_not_open_it() -> None:
    ring = KeyRing([NEW])
    with pytest.raises(SecretUnreadable):
        ring.open(ring.seal(b"x", CONTEXT), "organisation:other")


def test_an_old_key_still_opens_and_asks_for_rotation() -> None:
    blob = KeyRing([OLD]).seal(b"x", CONTEXT)
    ring = KeyRing([NEW, OLD])
    assert ring.open(blob, CONTEXT) == b"x"
    assert ring.needs_rotation(blob)
    assert not ring.needs_rotation(ring.seal(b"x", CONTEXT))


def test_an_unknown_key_is_named() -> None:
    with pytest.raises(SecretUnreadable, match="2025"):
        KeyRing([NEW]).open(KeyRing([OLD]).seal(b"x", CONTEXT), CONTEXT)


def test_another_key_under_the_same_id_does_not_open_it() -> None:
    blob = KeyRing([OLD]).seal(b"x", CONTEXT)
    with pytest.raises(SecretUnreadable):
        KeyRing([SecretKey(OLD.id, NEW.value)]).open(blob, CONTEXT)


def test_every_flipped_or_missing_byte_is_noticed() -> None:
    ring = KeyRing([NEW, OLD])
    blob = ring.seal(b"secret", CONTEXT)
    for place in range(len(blob)):
        flipped = blob[:place] + bytes([blob[place] ^ 1]) + blob[place + 1 :]
        for damaged in (flipped, blob[:place]):
            with pytest.raises(SecretUnreadable):
                ring.open(damaged, CONTEXT)


def test_a_ring_without_keys_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one key"):
        KeyRing([])
