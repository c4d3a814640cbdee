"""The one table of keys: whole, free of clashes, and changed by settings without making any."""

from itertools import combinations

import pytest
from textual import events

from parexec_tui.tui.input import steering
from parexec_tui.tui.input.actions import Actions
from parexec_tui.tui.input.keymap import (
    KEYS,
    SECTIONS,
    Key,
    Keymap,
    KeymapError,
    is_for,
    key_name,
    readme_table,
    shown,
)
from parexec_tui.tui.panels import PANELS


def test_every_action_is_a_method_or_a_request_and_every_method_an_action() -> None:
    actions = {key.action for key in KEYS}
    methods = {name.removeprefix("do_").replace("_", "-") for name in dir(Actions) if name.startswith("do_")}
    assert methods <= actions
    assert actions - methods <= steering._ACTIONS.keys()
    assert len(actions) == len(KEYS)


@pytest.mark.parametrize("panel", PANELS)
def test_no_key_does_two_things_in_a_panel(panel: str) -> None:
    here = [key for key in KEYS if is_for(key, panel)]
    for one, other in combinations(here, 2):
        assert set(one.keys).isdisjoint(other.keys), (one.action, other.action)


def test_no_key_is_one_that_terminals_take_or_that_destroys_by_a_slip() -> None:
    names = {name for key in KEYS for name in key.keys}
    assert names.isdisjoint({"ctrl+s", "ctrl+q", "ctrl+a", "ctrl+b", "d"})
    assert not [name for name in names if name.startswith("alt+") or (name[0] == "f" and name[1:].isdigit())]


def test_every_key_has_a_section_and_every_panel_it_is_for_exists() -> None:
    for key in KEYS:
        assert key.section in SECTIONS
        assert set(key.panels) <= set(PANELS)
        assert key.help
        assert key.label


def test_a_key_is_found_in_the_panels_it_is_for() -> None:
    keymap = Keymap()
    assert keymap.find("W", "output") == keymap.of("wrap")
    assert keymap.find("W", "tickets") is None
    assert keymap.find("q", "claims") == keymap.of("leave")


def test_a_key_may_be_moved_and_its_old_place_used() -> None:
    keymap = Keymap({"hold": ("h",), "left": ("left",), "mouse": ()})
    assert keymap.find("h", "tickets") == keymap.of("hold")
    assert keymap.find("p", "tickets") is None
    assert keymap.find("M", "tickets") is None
    assert "hold" in [key.action for key in keymap.footer("tickets")]


@pytest.mark.parametrize(
    ("action", "names", "message"),
    [
        ("holt", ("h",), "holt: there is no such action (did you mean `hold`?)"),
        ("hold", ("h",), "hold: 'h' is on left (give left other keys)"),
        ("hold", ("ctrl+home+x+y",), "hold: no key is called 'ctrl+home+x+y' (a key is"),
        ("hold", ("",), "hold: no key is called ''"),
        ("hold", (" ",), "hold: no key is called ' '"),
        ("hold", ("entre",), "hold: no key is called 'entre' (did you mean `enter`?)"),
        ("panel", ("a",), "panel: the panels keep their numbers"),
    ],
)
def test_what_cannot_be_a_key_is_refused(action: str, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(KeymapError) as caught:
        Keymap({action: names})
    assert str(caught.value).startswith(message)


def test_keys_of_different_panels_may_be_the_same() -> None:
    keymap = Keymap({"wrap": ("v",)})
    assert keymap.find("v", "output") == keymap.of("wrap")
    assert keymap.find("v", "graph") == keymap.of("graph-view")


@pytest.mark.parametrize("name", ["ctrl+x", "ctrl+shift+up", "f5", "space", "+", "ö"])
def test_any_key_that_a_terminal_sends_can_be_named(name: str) -> None:
    keymap = Keymap({"hold": (name,), "more": (), "mark": ()})
    assert keymap.find(name, "tickets") == keymap.of("hold")


def test_keys_are_shown_as_people_call_them() -> None:
    key = Key("x", ("j", "down"), "x", "x", "Moving")
    assert shown(key) == "j ↓"
    assert shown(key, ascii_only=True) == "j down"
    assert shown(Keymap().of("panel")) == "1-9"


def test_the_table_for_the_readme_has_every_action_once() -> None:
    rows = [line for line in readme_table() if line.startswith("| `")]
    assert len(rows) == len(KEYS)
    assert "| `z` | the panel alone, and back |" in rows


@pytest.mark.parametrize(
    ("key", "character", "name"),
    [("exclamation_mark", "!", "!"), ("space", " ", "space"), ("G", "G", "G"), ("enter", "\r", "enter")],
)
def test_the_name_of_a_pressed_key(key: str, character: str, name: str) -> None:
    assert key_name(events.Key(key, character)) == name
