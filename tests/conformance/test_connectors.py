"""What every connector keeps to, whatever its package: the structure of its folder and its behaviour under faults."""

import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pytest
import stamina

from hub.accounting.booking import Booking
from hub.accounting.chart import Master
from hub.engine import registry
from hub.engine.settings import CombiSettings
from hub.kit import json
from hub.kit.json import dumps
from hub.kit.log import redact_text, register_secret
from hub.sdk import conformance
from hub.sdk.connector import Key, Payload, Since, SourceStream, TargetWriter
from hub.sdk.errors import OutcomeUnknown, ReauthRequired, TransientError, VendorError
from hub.sdk.manifest import Dedupe
from tests.conformance.adapter import Adapter, Reading, Writing
from tests.connectors.support import FixedCredentials, NoLimit

FOLDERS = [folder.name for folder in registry.folders()]


def adapter(name: str) -> Adapter:
    """The adapter of a connector, or (`nmbrs@oauth`) of another of its ways in."""
    folder, _, way = name.partition("@")
    module = import_module(f"tests.conformance.{folder}")
    found: Adapter = module.OTHER_WAYS[way] if way else module.ADAPTER
    return found


def ways(name: str) -> list[str]:
    """A connector by all ways in of which the kit has an adapter."""
    module = import_module(f"tests.conformance.{name}")
    return [name, *(f"{name}@{way}" for way in getattr(module, "OTHER_WAYS", ()))]


NAMES = [way for folder in FOLDERS for way in ways(folder)]

READS = [(name, stream) for name in NAMES for stream in adapter(name).reads]
WRITES = [(name, kind) for name in NAMES for kind in adapter(name).writes]
EVERY_READ = pytest.mark.parametrize(("name", "stream"), READS, ids=[f"{name}-{kind}" for name, kind in READS])
EVERY_WRITE = pytest.mark.parametrize(("name", "kind"), WRITES, ids=[f"{name}-{kind}" for name, kind in WRITES])


@pytest.fixture(autouse=True)
def _without_waiting() -> Iterator[None]:
    stamina.set_testing(True, attempts=3, cap=True)
    yield
    stamina.set_testing(False)


@pytest.mark.parametrize("folder", registry.folders(), ids=FOLDERS)
def test_the_structure_of_every_connector_is_in_order(folder: Any) -> None:
    wrong = [f"{one.name}: {one.sentence}" for one in conformance.check(folder) if not one.ok]

    assert wrong == []


def test_the_names_the_engine_has_taken_are_the_engine_s() -> None:
    assert set(CombiSettings.model_fields) == conformance.ENGINE_SETTINGS


@pytest.mark.parametrize("name", NAMES)
def test_the_kit_reaches_everything_that_is_promised(name: str) -> None:
    facts = adapter(name).connector.manifest

    assert (set(adapter(name).reads), set(adapter(name).writes)) == (set(facts.sources), set(facts.targets))


@pytest.mark.parametrize("name", NAMES)
async def test_who_is_connected_is_the_same_each_time(name: str) -> None:
    one = adapter(name)
    box = one.sandbox()
    async with one.connect(box) as http:
        first, second = await one.connector.identify(http), await one.connector.identify(http)

    assert first.tenant
    assert first == second


@pytest.mark.parametrize("name", NAMES)
async def test_dead_secrets_ask_for_consent_again(name: str) -> None:
    one = adapter(name)
    box = one.sandbox()
    dead = FixedCredentials(dict.fromkeys(one.secrets(box), "x" * 32))
    async with one.connect(box, dead) as http:
        with pytest.raises(ReauthRequired):
            await one.connector.identify(http)


@dataclass
class Reader:
    """A source stream on its sandbox."""

    adapter: Adapter
    facts: Reading
    stream: SourceStream
    box: Any

    async def ids(self, credentials: FixedCredentials | None = None, limiter: NoLimit | None = None) -> list[str]:
        settings = self.adapter.connector.settings()
        async with self.adapter.connect(self.box, credentials, limiter) as http:
            pages = self.stream.read(http, Since(None, None), settings)
            return [self.stream.key(raw) async for page in pages for raw in page.records]


@pytest.fixture
def reader(name: str, stream: str) -> Reader:
    one = adapter(name)
    return Reader(one, one.reads[stream], one.connector.sources[stream], one.sandbox())


@EVERY_READ
async def test_a_listing_is_read_to_its_end(reader: Reader) -> None:
    found = await reader.ids()

    assert set(found) == reader.facts.ids(reader.box)
    assert len(found) > 3, "too few to have several pages"


@EVERY_READ
async def test_a_page_and_its_cursor_are_json(reader: Reader) -> None:
    settings = reader.adapter.connector.settings()
    async with reader.adapter.connect(reader.box) as http:
        pages = [page async for page in reader.stream.read(http, Since(None, None), settings)]
        last = [page.cursor for page in pages if page.cursor is not None][-1]
        again = Since(json.loads(dumps(last)), None)
        [_ async for page in reader.stream.read(http, again, settings) for _ in page.records]


@EVERY_READ
async def test_a_busy_package_is_left_alone_for_as_long_as_it_says(reader: Reader) -> None:
    reader.box.fault("busy", path=reader.facts.path, times=99, seconds=7)
    limiter = NoLimit()

    with pytest.raises(TransientError) as busy:
        await reader.ids(limiter=limiter)

    assert (busy.value.retry_after, limiter.pauses) == (7, [7])


@EVERY_READ
@pytest.mark.parametrize("fault", ["html", "malformed", "lost", "error", "refused"])
async def test_an_answer_that_is_no_answer_is_a_reason_to_come_back(reader: Reader, fault: Any) -> None:
    reader.box.fault(fault, path=reader.facts.path, times=99)

    with pytest.raises(TransientError):
        await reader.ids()


@EVERY_READ
async def test_a_read_survives_a_hiccup(reader: Reader) -> None:
    reader.box.fault("error", path=reader.facts.path)

    assert set(await reader.ids()) == reader.facts.ids(reader.box)


@EVERY_READ
async def test_an_expired_secret_is_renewed_while_reading(reader: Reader) -> None:
    secrets = reader.adapter.secrets(reader.box)
    stale = FixedCredentials(dict.fromkeys(secrets, "x" * 32), fresh=secrets)

    assert set(await reader.ids(stale)) == reader.facts.ids(reader.box)


@EVERY_READ
async def test_mapping_changes_nothing_and_says_the_same_twice(reader: Reader) -> None:
    settings = reader.adapter.connector.settings()
    async with reader.adapter.connect(reader.box) as http:
        pages = reader.stream.read(http, Since(None, None), settings)
        raws = [raw async for page in pages for raw in page.records]

    for raw in raws:
        before = dumps(raw)
        assert reader.stream.map(raw, settings) == reader.stream.map(raw, settings)
        assert dumps(raw) == before


@dataclass
class Writer:
    """A target writer on its sandbox, with one document to write."""

    adapter: Adapter
    facts: Writing
    target: TargetWriter
    dedupe: Dedupe
    box: Any
    booking: Booking
    key: Key
    master: Master
    payload: Payload

    @property
    def stands(self) -> int:
        return self.facts.stands(self.box, self.booking, self.key)

    def fault(self, kind: Any, **facts: Any) -> None:
        self.box.fault(kind, method=self.facts.method, path=self.facts.path, **facts)


@pytest.fixture
async def writer(name: str, kind: str) -> AsyncIterator[Writer]:
    one = adapter(name)
    box, facts, target = one.sandbox(), one.writes[kind], one.connector.targets[kind]
    booking = facts.booking(box)
    master = Master(administration=booking.administration)
    if one.connector.master is not None:
        async with one.connect(box) as http:
            master = await one.connector.master(http, booking.administration)
    payload = target.encode(booking, master, one.connector.settings())
    dedupe = one.connector.manifest.targets[kind].dedupe
    return Writer(one, facts, target, dedupe, box, booking, facts.key(booking), master, json.loads(dumps(payload)))


@EVERY_WRITE
async def test_what_is_written_stands_once_and_is_found(writer: Writer) -> None:
    async with writer.adapter.connect(writer.box) as http:
        receipt = await writer.target.write(http, writer.payload, writer.key)
        found = await writer.target.find(http, writer.key, writer.payload)

    assert writer.stands == 1
    assert receipt.ref
    assert found is not None
    assert (found.ref, found.total) == (receipt.ref, receipt.total)


@EVERY_WRITE
async def test_what_was_never_written_is_not_found(writer: Writer) -> None:
    async with writer.adapter.connect(writer.box) as http:
        assert await writer.target.find(http, writer.key, writer.payload) is None


@EVERY_WRITE
@pytest.mark.parametrize("fault", ["lost", "error"])
async def test_a_write_whose_answer_was_lost_is_unknown_and_then_found(writer: Writer, fault: Any) -> None:
    writer.fault(fault)
    async with writer.adapter.connect(writer.box) as http:
        with pytest.raises(OutcomeUnknown):
            await writer.target.write(http, writer.payload, writer.key)
        found = await writer.target.find(http, writer.key, writer.payload)

    assert writer.stands == 1
    assert found is not None


@EVERY_WRITE
@pytest.mark.parametrize("fault", ["refused", "html", "malformed"])
async def test_a_write_without_an_answer_is_unknown_and_then_provably_absent(writer: Writer, fault: Any) -> None:
    writer.fault(fault)
    async with writer.adapter.connect(writer.box) as http:
        with pytest.raises(OutcomeUnknown):
            await writer.target.write(http, writer.payload, writer.key)
        assert await writer.target.find(http, writer.key, writer.payload) is None
        assert writer.stands == 0
        await writer.target.write(http, writer.payload, writer.key)

    assert writer.stands == 1


@EVERY_WRITE
async def test_a_busy_package_has_written_nothing(writer: Writer) -> None:
    writer.fault("busy", seconds=7)
    limiter = NoLimit()
    async with writer.adapter.connect(writer.box, limiter=limiter) as http:
        with pytest.raises(TransientError) as busy:
            await writer.target.write(http, writer.payload, writer.key)

    assert (busy.value.retry_after, limiter.pauses, writer.stands) == (7, [7], 0)


@EVERY_WRITE
async def test_a_busy_package_that_names_no_time_is_left_alone_for_the_manifest_s(writer: Writer) -> None:
    writer.fault("busy", seconds=0)
    async with writer.adapter.connect(writer.box) as http:
        with pytest.raises(TransientError) as busy:
            await writer.target.write(http, writer.payload, writer.key)

    assert busy.value.retry_after == writer.adapter.connector.manifest.rate_limit.default_pause_s


@EVERY_WRITE
@pytest.mark.parametrize("fault", ["busy", "refused", "html", "malformed"])
async def test_a_search_that_fails_proves_no_absence(writer: Writer, fault: Any) -> None:
    writer.box.fault(fault, method="GET", times=99)
    async with writer.adapter.connect(writer.box) as http:
        with pytest.raises((TransientError, OutcomeUnknown)):
            await writer.target.find(http, writer.key, writer.payload)


@EVERY_WRITE
async def test_an_expired_secret_is_renewed_and_the_write_stands_once(writer: Writer) -> None:
    secrets = writer.adapter.secrets(writer.box)
    stale = FixedCredentials(dict.fromkeys(secrets, "x" * 32), fresh=secrets)
    async with writer.adapter.connect(writer.box, stale) as http:
        await writer.target.write(http, writer.payload, writer.key)

    assert writer.stands == 1


@EVERY_WRITE
async def test_writing_twice_under_one_key_stands_once(writer: Writer) -> None:
    if writer.dedupe is not Dedupe.key:
        pytest.skip("the package cannot store our key; the engine asks `find` first")
    async with writer.adapter.connect(writer.box) as http:
        first = await writer.target.write(http, writer.payload, writer.key)
        second = await writer.target.write(http, writer.payload, writer.key)

    assert (writer.stands, first.ref) == (1, second.ref)


@EVERY_WRITE
async def test_encoding_is_pure(writer: Writer) -> None:
    settings, before = writer.adapter.connector.settings(), writer.booking.model_dump_json()

    once, again = (writer.target.encode(writer.booking, writer.master, settings) for _ in range(2))

    assert dumps(once) == dumps(again)
    assert writer.booking.model_dump_json() == before


@EVERY_WRITE
async def test_writing_leaves_the_stored_payload_as_it_is(writer: Writer) -> None:
    before = dumps(writer.payload)
    async with writer.adapter.connect(writer.box) as http:
        await writer.target.write(http, writer.payload, writer.key)

    assert dumps(writer.payload) == before


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", ["error", "refused", "html", "malformed", "lost", "busy", "expired"])
async def test_no_secret_is_told_by_an_error_or_a_log_line(
    name: str, fault: Any, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    one = adapter(name)
    box = one.sandbox()
    secrets = one.secrets(box)
    box.fault(fault, times=99)
    async with one.connect(box, FixedCredentials(secrets)) as http:
        with pytest.raises(VendorError) as failed:
            await one.connector.identify(http)

    said = _told(failed.value) + caplog.text + "".join(capsys.readouterr())
    hidden: Mapping[str, str] = {**secrets, **one.oauth_client}
    assert [key for key, secret in hidden.items() if len(secret) > 8 and secret in said] == []
    for secret in hidden.values():
        register_secret(secret)  # As the hub does with every secret that it opens.
    said = redact_text(repr(failed.value.exchange))
    assert [key for key, secret in hidden.items() if len(secret) > 8 and secret in said] == []


def _told(error: VendorError) -> str:
    return f"{error} {error.words} {dumps(dict(error.values))}"
