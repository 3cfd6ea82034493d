"""What the pages say about a package: how to prepare it, and why it did not let somebody in."""

from hub.kit import text
from hub.kit.problem import Problem


def hints(name: str, language: str) -> list[str]:
    """What to prepare in a package, in the connector's own words and order (`prepare.<name>.1`, `.2`, …)."""
    return [text.sentence(key, language) for key in text.keys(f"prepare.{name}.")]


def refusal(problem: Problem, package: str, language: str) -> str:
    """Why an account was not linked, with the package's own words behind it."""
    key = f"install.refused.{problem.code}"
    sentence = text.sentence(key if text.known(key) else "install.refused.other", language, {"package": package})
    return f"{sentence} ({problem.detail})" if problem.detail and problem.code != "invalid" else sentence


def wrong_fields(problem: Problem, package: str, language: str) -> dict[str, str]:
    """Connect field -> what is wrong with what was typed there."""
    found = {}
    for error in problem.errors:
        key = f"install.wrong.{error['code']}"
        name = error["field"].removeprefix("fields.")
        found[error["field"]] = text.sentence(
            key if text.known(key) else "install.wrong.value", language, {"package": package, "field": name}
        )
    return found
