"""A draft becomes a plan file: what was put in is read back, and comments stand at their places."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.core.plan.expanding.references import parse
from parexec_tui.importing.draft import Draft, literal, patterns
from parexec_tui.importing.toml_text import plan_text

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=40)
NO_BRACES = TEXT.map(lambda text: text.replace("{", ""))
SCALAR = NO_BRACES | st.integers(-(2**40), 2**40) | st.booleans()
VALUE = SCALAR | st.lists(NO_BRACES, max_size=12) | st.dictionaries(TEXT, SCALAR, max_size=3)


@given(
    st.dictionaries(
        TEXT,
        st.dictionaries(TEXT.filter(lambda key: key not in ("matrix", "foreach")), VALUE, max_size=4),
        min_size=1,
        max_size=3,
    ),
    TEXT,
)
def test_what_is_put_into_a_draft_is_read_back(tickets: dict[str, dict[str, object]], comment: str) -> None:
    draft = Draft(comment)
    draft.tickets.update(tickets)
    for id_, keys in tickets.items():
        draft.comment(("tickets", id_), comment)
        for key in keys:
            draft.comment(("tickets", id_, key), comment)
    assert tomllib.loads(plan_text(draft)) == {"tickets": tickets}


def test_braces_are_doubled_just_where_something_is_filled_in() -> None:
    draft = Draft("")
    text = literal("awk '{print}' {{x}}")
    draft.tickets["plain"] = {"run": text, "env": {"A": [text]}}
    draft.tickets["family"] = {"matrix": {"x": ["1"]}, "run": f"{text} {{x}}"}
    tickets = tomllib.loads(plan_text(draft))["tickets"]
    assert tickets["plain"] == {"run": "awk '{print}' {{x}}", "env": {"A": ["awk '{print}' {{x}}"]}}
    assert tickets["family"]["run"] == f"{text} {{x}}"
    draft.tables["vars"]["y"] = "1"
    assert tomllib.loads(plan_text(draft))["tickets"]["plain"]["run"] == text


def test_a_draft_looks_as_a_person_would_write_it() -> None:
    draft = Draft("Imported.")
    draft.tables["defaults"]["up_to_date"] = True
    draft.tickets["a.o"] = {"run": 'echo "$x"', "env": {"A": "1"}, "needs": [f"ticket-{each}" for each in range(12)]}
    draft.leave_out(("tickets", "a.o"), "a colour", "Makefile:3")
    draft.comment(("tickets", "a.o", "run"), "as it was\nthere")
    draft.tickets["all"] = {"run": "one\ntwo\n"}
    needs = "".join(f'    "ticket-{each}",\n' for each in range(12))
    assert plan_text(draft) == (
        "# Imported.\n"
        "\n[defaults]\nup_to_date = true\n"
        "\n# not carried over: a colour (Makefile:3)\n"
        '[tickets."a.o"]\n'
        "# as it was\n# there\n"
        "run = 'echo \"$x\"'\n"
        'env = { A = "1" }\n'
        f"needs = [\n{needs}]\n"
        "\n[tickets.all]\nrun = '''\none\ntwo\n'''\n"
    )
    assert draft.warnings == ["Makefile:3: a colour"]


def test_ids_are_parts_of_paths_and_taken_once() -> None:
    draft = Draft("")
    taken = []
    for name in ("obj/a b.o", "obj/a/b.o", "../x", "...", "n" * 300):
        taken.append(draft.fresh_id(name))
        draft.tickets[taken[-1]] = {}
    assert taken[:4] == ["obj-a-b.o", "obj-a-b.o-2", "x", "ticket"]
    assert len(taken[4]) <= 200
    assert draft.fresh_id("n" * 301) not in taken


@given(st.text("{}$abc1!. ", max_size=20))
def test_no_text_of_a_source_stands_for_a_variable_of_the_plan(text: str) -> None:
    assert "".join(map(str, parse(literal(text)))) == text


def test_a_path_is_a_pattern_of_itself() -> None:
    assert patterns(["a*[1].c", "b.c", "b.c", "back\\slash"]) == ["a[*][[]1].c", "b.c"]
