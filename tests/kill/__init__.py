"""Tests that kill, stop and starve real processes."""

import pytest

pytest.register_assert_rewrite("tests.kill.stage", "tests.kill.wages")
