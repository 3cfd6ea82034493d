"""The engine: moves documents safely from package to package and knows no vendor."""

from pathlib import Path

from hub.kit import text

text.register(Path(__file__).parent / "strings")
