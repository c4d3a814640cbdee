"""Prompts in files, and conversations that go on, as a plan file has them."""

import pytest

from parexec_tui.core.plan.reading.file import PlanErrors, read_plan

AGENT = '[agents.c]\nkind = "claude"\n[defaults]\nprompt = "p"\n'


@pytest.mark.parametrize(
    ("tickets", "message"),
    [
        ('[tickets.a]\nprompt_file = "p.md"', "there is a `prompt` as well"),
        (
            '[tickets.a]\n[tickets.b]\nfrom = "a"',
            "it goes on in the conversation of 'a', which it does not need (add 'a' to `needs`)",
        ),
        (
            '[tickets.a]\n[tickets.b]\nneeds = ["a"]\nfrom = "a"\n[tickets.c]\nneeds = ["a"]\nfrom = "a"',
            "'b' goes on in the conversation of 'a' already (write from = 'b' here, and need that)",
        ),
        (
            '[agents.o]\nkind = "codex"\n[tickets.a]\nagent = "c"\n[tickets.b]\n'
            'agent = "o"\nneeds = ["a"]\nfrom = "a"',
            "tickets.b.from: 'a' runs on `c`, and `o` cannot go on with a conversation of that",
        ),
        (
            '[agents.s]\n[tickets.a]\nagent = "s"\nrun = "x"\n[tickets.b]\n'
            'agent = "s"\nrun = "x"\nneeds = ["a"]\nfrom = "a"',
            "tickets.b.from: 'a' runs on `s`, and `s` cannot go on with a conversation of that",
        ),
        ('[tickets.a]\nprompt = ""\nprompt_file = "a\\u0000b"', "a NUL character cannot be passed to a process"),
        ('[tickets.a]\nprompt = "a\\u0000b"', "a NUL character cannot be passed to a process"),
        ('[tickets.a]\nconversation = "new"', "expected one of fresh, resume"),
    ],
)
def test_what_makes_no_sense_is_a_mistake(tickets: str, message: str) -> None:
    with pytest.raises(PlanErrors) as raised:
        read_plan(AGENT + tickets, source="plan.toml", folder="/work", format="toml")
    assert message in str(raised.value)


def test_a_prompt_in_a_file_is_seen_from_the_plan_and_stands_for_a_prompt() -> None:
    text = '[agents.c]\nkind = "claude"\n[agents.d]\ncommand = ["d", "{prompt_file}"]\n'
    plan = read_plan(
        f'[plan]\nworkdir = "sub"\n{text}[tickets.a]\nprompt_file = "p/a.md"\n',
        source="plan.toml",
        folder="/work",
        format="toml",
    )
    assert plan.tickets["a"].prompt_file == "/work/p/a.md"
    with pytest.raises(PlanErrors, match="`d` needs `prompt_file`"):
        read_plan(f'{text}[tickets.a]\nagent = "d"\nprompt = "p"\n', source="p", folder="/work", format="toml")
