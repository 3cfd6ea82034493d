"""Whatever the vendors' undocumented habits are, the books come right: each document once, to the cent."""

from concurrent.futures import Future

import pytest

from tests.acceptance.moods import MOODS
from tests.acceptance.story import Story


@pytest.mark.parametrize("number", range(len(MOODS)), ids=[mood.name.replace(" ", "_")[:40] for mood in MOODS])
def test_books_come_right(stories: list[Future[Story]], number: int) -> None:
    """Each sent invoice, its customer and its payment: once."""
    stories[number].result(timeout=240)
