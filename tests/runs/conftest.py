"""The API on real servers."""

from tests.combis.stage import ours, stage, theirs

__all__ = ["ours", "stage", "theirs"]
