"""What the pages for developers name is there."""

import re

import pytest

from tests.docs.pages import DEVELOPERS, ROOT, page, quoted, section

PACKAGE = ROOT / "parexec_tui"
ARCHITECTURE, CONTRIBUTING = page("architecture"), page("contributing")
RECIPES = re.findall(r"^## (Add .*)$", CONTRIBUTING, re.MULTILINE)


def paths(text: str) -> list[str]:
    """What looks like the path of a file or folder of ours."""
    return [
        word
        for word in quoted(text)
        if not word.startswith(".venv/")
        and re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", word)
        and re.search(r"/|\.\w+$", word)
    ]


def missing(text: str) -> list[str]:
    """The paths that are neither in the package nor in the repository."""
    return [path for path in paths(text) if not ((PACKAGE / path).exists() or (ROOT / path).exists())]


@pytest.mark.parametrize("heading", RECIPES)
def test_each_file_of_a_recipe_exists(heading: str) -> None:
    recipe = section(CONTRIBUTING, heading)
    assert paths(recipe)
    assert missing(recipe) == []


def test_there_is_a_recipe_for_all_that_is_added_often() -> None:
    assert {heading.split()[-1] for heading in RECIPES} == {"status", "event", "verb", "key", "panel", "backend"}


@pytest.mark.parametrize(
    "text",
    [ARCHITECTURE, page("decisions"), DEVELOPERS.read_text(encoding="utf-8")],
    ids=["architecture", "decisions", "README"],
)
def test_each_file_that_is_named_exists(text: str) -> None:
    assert paths(text)
    assert missing(text) == []


@pytest.mark.parametrize("name", ["architecture", "contributing", "decisions"])
def test_each_class_that_is_named_exists(name: str) -> None:
    sources = "\n".join(file.read_text(encoding="utf-8") for file in PACKAGE.rglob("*.py"))
    for word in quoted(page(name)):
        if re.fullmatch(r"([A-Z][a-z]+)+", word):
            assert re.search(rf"^(class {word}\b|{word} = )", sources, re.MULTILINE), word


def test_every_room_is_in_the_architecture() -> None:
    rooms = {file.parent.relative_to(PACKAGE) for file in PACKAGE.rglob("*.py")}
    named = {path.rstrip("/") for path in paths(ARCHITECTURE)}
    inside = {room.parts[0] for room in rooms if len(room.parts) == 2}
    for room in rooms:
        if len(room.parts) == 2 or (len(room.parts) == 1 and room.parts[0] not in inside):
            assert str(room) in named, room
