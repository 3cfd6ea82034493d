"""The lessons of others: the table in LESSONS.md names tests that exist, and a few lessons are proven here."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from hub.engine.outcome import OUTCOMES
from hub.kit import text
from tests.engine.world import World

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def rows() -> list[tuple[int, str]]:
    """Number and answer of every lesson."""
    table = (HERE / "LESSONS.md").read_text(encoding="utf-8")
    found = [line.strip("|\n ").split("|") for line in table.splitlines() if re.match(r"\| *\d", line)]
    return [(int(cells[0]), cells[2]) for cells in found]


def test_every_lesson_is_answered() -> None:
    assert [number for number, _ in rows()] == list(range(1, 35))


@pytest.mark.parametrize(("number", "answer"), rows())
def test_every_named_test_exists(number: int, answer: str) -> None:
    named = re.findall(r"`([\w./]+\.py)(?:::(\w+))?`", answer)
    assert named, number
    for file, name in named:
        path = (ROOT if file.startswith("hub/") else HERE) / file
        assert path.is_file(), file
        assert not name or re.search(rf"def {name}\b", path.read_text(encoding="utf-8")), name


def keys_in_code() -> set[str]:
    """Findings, errors and log lines that the engine names literally."""
    found: set[str] = set()
    for path in [
        *(ROOT / "hub/engine").glob("*.py"),
        *(ROOT / "hub/accounting").glob("*.py"),
        ROOT / "hub/sdk/http.py",
    ]:
        source = path.read_text(encoding="utf-8")
        pattern = r'(?:Finding\(\s*key=|ConfigError\(|RecordRejected\(|TransientError\(|OutcomeUnknown\(|kind\()"(\w+)"'
        found |= {f"finding.{key}" for key in re.findall(pattern, source)}
    return found


@pytest.mark.parametrize("language", ["nl", "en"])
def test_every_finding_and_outcome_has_a_sentence_in_both_languages(language: str) -> None:
    outcomes = {key for one in OUTCOMES.values() for key in (one.key, one.action_key)}
    silent = [key for key in sorted(keys_in_code() | outcomes) if text.sentence(key, language, {}).startswith(key)]
    assert silent == []


async def test_old_log_partitions_are_dropped_whole(world: World) -> None:
    await world.engine.maintain()
    world.clock.advance(timedelta(days=31 * 15))
    await world.engine.maintain()
    found = await world.rows("SELECT inhrelid::regclass::text AS name FROM pg_inherits")
    names = sorted(row["name"] for row in found if row["name"].startswith("log_2"))
    assert "log_2026_03" not in names
    assert world.clock.now().strftime("log_%Y_%m") in names


async def test_what_a_run_and_a_cursor_remember_does_not_grow_with_the_documents(world: World) -> None:
    sizes = []
    for count in (20, 200):
        world.simplicate.fill(count, customers=5)
        combi = await world.combi()
        run = await world.run(combi)
        cursors = await world.rows("SELECT cursor FROM position WHERE combi_id = :id", id=combi)
        kept = [run.progress, run.counts, *(row["cursor"] for row in cursors)]
        sizes.append(len(json.dumps(kept, default=str)))
    assert sizes[1] < sizes[0] + 200
