"""The one table of keys: whole, free of clashes, and changed by settings without making any."""

from itertools import combinations

import pytest
from textual import events

from parexec_tui.tui.actions.table import ACTIONS
from parexec_tui.tui.input.key_names import key_name
from parexec_tui.tui.input.keymap import (
    SECTIONS,
    Keymap,
    KeymapError,
    keys_text,
    table_lines,
)
from parexec_tui.tui.panels import PANELS


def test_every_action_has_one_row_and_no_handler_is_that_of_two() -> None:
    assert len({action.name for action in ACTIONS}) == len(ACTIONS)
    assert len({action.handler for action in ACTIONS}) == len(ACTIONS)


@pytest.mark.parametrize("panel", PANELS)
def test_no_key_does_two_things_in_a_panel(panel: str) -> None:
    here = [action for action in ACTIONS if action.is_for(panel)]
    for one, other in combinations(here, 2):
        assert set(one.keys).isdisjoint(other.keys), (one.name, other.name)


def test_no_key_is_one_that_terminals_take_or_that_destroys_by_a_slip() -> None:
    names = {name for action in ACTIONS for name in action.keys}
    assert names.isdisjoint({"ctrl+s", "ctrl+q", "ctrl+a", "ctrl+b"})
    assert [action.name for action in ACTIONS if "d" in action.keys] == ["diff"], "here it only looks"
    assert not [name for name in names if name.startswith("alt+") or (name[0] == "f" and name[1:].isdigit())]


def test_every_key_has_a_section_and_every_panel_it_is_for_exists() -> None:
    for action in ACTIONS:
        assert action.section in SECTIONS
        assert set(action.panels) <= set(PANELS)
        assert action.help
        assert action.label


def test_a_key_is_found_in_the_panels_it_is_for() -> None:
    keymap = Keymap(ACTIONS)
    assert keymap.find("W", "output") == keymap.of("wrap")
    assert keymap.find("W", "tickets") is None
    assert keymap.find("q", "claims") == keymap.of("leave")


def test_a_key_may_be_moved_and_its_old_place_used() -> None:
    keymap = Keymap(ACTIONS, {"hold": ("h",), "left": ("left",), "mouse": ()})
    assert keymap.find("h", "tickets") == keymap.of("hold")
    assert keymap.find("p", "tickets") is None
    assert keymap.find("M", "tickets") is None
    assert "hold" in [action.name for action in keymap.footer("tickets")]


@pytest.mark.parametrize(
    ("action", "names", "message"),
    [
        ("holt", ("h",), "holt: there is no such action (did you mean `hold`?)"),
        ("hold", ("1",), "hold: '1' is on panel (give panel other keys)"),
        ("hold", ("ctrl+home+x+y",), "hold: no key is called 'ctrl+home+x+y' (a key is"),
        ("hold", ("",), "hold: no key is called ''"),
        ("hold", (" ",), "hold: no key is called ' '"),
        ("hold", ("entre",), "hold: no key is called 'entre' (did you mean `enter`?)"),
        ("panel", ("a",), "panel: the panels keep their numbers"),
    ],
)
def test_what_cannot_be_a_key_is_refused(action: str, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(KeymapError) as caught:
        Keymap(ACTIONS, {action: names})
    assert str(caught.value).startswith(message)


def test_a_key_of_the_persons_own_wins_over_a_default_one_and_not_over_another_of_theirs() -> None:
    keymap = Keymap(ACTIONS, {"hold": ("h",)})
    assert keymap.find("h", "tickets") == keymap.of("hold")
    assert keymap.of("left").keys == ("left",), "it has another one"
    assert Keymap(ACTIONS, {"hold": ("r",)}).of("retry").keys == (), "the palette has it"
    with pytest.raises(KeymapError, match="hold: 'x' is on freeze"):
        Keymap(ACTIONS, {"hold": ("x",), "freeze": ("x",)})


def test_keys_of_different_panels_may_be_the_same() -> None:
    keymap = Keymap(ACTIONS, {"wrap": ("v",)})
    assert keymap.find("v", "output") == keymap.of("wrap")
    assert keymap.find("v", "graph") == keymap.of("graph-view")


@pytest.mark.parametrize("name", ["ctrl+x", "ctrl+shift+up", "f5", "space", "+", "ö"])
def test_any_key_that_a_terminal_sends_can_be_named(name: str) -> None:
    keymap = Keymap(ACTIONS, {"hold": (name,), "more": (), "mark": ()})
    assert keymap.find(name, "tickets") == keymap.of("hold")


def test_keys_are_shown_as_people_call_them() -> None:
    assert keys_text(("j", "down")) == "j ↓"
    assert keys_text(("j", "down"), ascii_only=True) == "j down"
    assert keys_text(Keymap(ACTIONS).of("panel").keys) == "1-9"


def test_the_table_for_the_readme_has_every_action_once() -> None:
    rows = [line for line in table_lines(ACTIONS) if line.startswith("| `")]
    assert len(rows) == len(ACTIONS)
    assert "| `z` | the panel alone, and back |" in rows


@pytest.mark.parametrize(
    ("key", "character", "name"),
    [("exclamation_mark", "!", "!"), ("space", " ", "space"), ("G", "G", "G"), ("enter", "\r", "enter")],
)
def test_the_name_of_a_pressed_key(key: str, character: str, name: str) -> None:
    assert key_name(events.Key(key, character)) == name
