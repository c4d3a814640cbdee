"""Values of secret-like variables are masked wherever they occur, however they are written and cut into parts."""

import base64
import json
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.keeping.archive import ArchiveError, Masked, packed
from parexec_tui.keeping.exporting import Export
from parexec_tui.keeping.importing import import_archive
from parexec_tui.keeping.redacting import Secrets, is_secret
from parexec_tui.paths import registry_file, session_folder
from parexec_tui.registry.registry import Registry
from tests.keeping.archives import Odd
from tests.keeping.kept import remember


@pytest.mark.parametrize(
    "name",
    ["GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "db_password", "MY_PASSWD", "SSHKEY", "HTTP_AUTH", "X_CREDENTIALS"],
)
def test_names_that_are_secret(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["PWD", "SSH_AUTH_SOCK", "GIT_AUTHOR_NAME", "KEYBOARD", "PATH", "XAUTHORITY"])
def test_names_that_are_not(name: str) -> None:
    assert not is_secret(name)


values = st.lists(st.text(min_size=6, max_size=12).filter(lambda text: text.strip() == text), min_size=1, max_size=3)
short_values = st.lists(st.text("ab*", min_size=6, max_size=8), min_size=1, max_size=4)


def noted(found: list[str]) -> Secrets:
    secrets = Secrets()
    for number, value in enumerate(found):
        secrets.note(f"TOKEN_{number}", value)
    return secrets


@given(values | short_values, st.data())
def test_no_value_is_left_in_whatever_parts_it_comes(found: list[str], data: st.DataObject) -> None:
    masks = noted(found).masks()
    pieces = st.sampled_from([*masks.forms, b"a", b"*", b"ab", b"\n", b"\xff"])
    content = b"".join(data.draw(st.lists(pieces, max_size=12)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=6)))
    parts = [content[start:end] for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True)]

    masked = b"".join(masks.stream(parts))

    assert not masks.occur_in(masked)
    assert masked == b"".join(masks.stream([content])), "whatever the parts are"
    assert (masked == content) == (not masks.occur_in(content))


@given(
    values, st.recursive(st.text(max_size=20) | st.integers() | st.none(), lambda each: st.lists(each, max_size=3))
)
def test_no_value_is_left_in_json(found: list[str], more: object) -> None:
    masks = noted(found).masks()
    value = {"a": [f"x{found[0]}y", found[-1], more], found[0]: 1}

    masked = msgspec.json.decode(masks.json(msgspec.json.encode(value)))

    def texts(each: object) -> list[str]:
        if isinstance(each, dict):
            return [text for pair in each.items() for part in pair for text in texts(part)]
        return [text for part in each for text in texts(part)] if isinstance(each, list) else [str(each)]

    left = [text for text in texts(masked) if masks.occur_in(text.encode())]
    assert left == [] or all(text.lstrip("-").isdigit() for text in left), "numbers stay"


@pytest.mark.parametrize(
    "written",
    [
        'the "p4ss/wörd"+1',
        json.dumps('the "p4ss/wörd"+1'),
        quote('the "p4ss/wörd"+1', safe=""),
        *(
            base64.b64encode(f'{before}the "p4ss/wörd"+1:and more'.encode()).decode()
            for before in ("", "u", "us", "use")
        ),
        base64.urlsafe_b64encode('the "p4ss/wörd"+1'.encode()).decode(),
    ],
)
def test_a_value_is_found_as_it_may_be_written(written: str) -> None:
    masks = noted(['the "p4ss/wörd"+1']).masks()

    assert b"***" in b"".join(masks.stream([f"before {written} after".encode()]))


def test_lines_of_a_key_are_masked_one_by_one() -> None:
    masks = noted(
        ["-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nBAQEFAASCBKcwggSjAgEAAoIB\n-----END KEY-----"]
    ).masks()

    masked = masks.text("1: MIIEvQIBADANBgkqhkiG9w0\r\n2: BAQEFAASCBKcwggSjAgEAAoIB\r\n")

    assert masked == "1: ***\r\n2: ***\r\n"


PLAN = """
[plan]
name = "Nightly with s3cr3t-value"
[agents.agent]
max = 1
env = { DEPLOY_TOKEN = "s3cr3t-value", MODE = "debug", AUTH = "abc", DATABASE = "pg://me:pg-pass-1@db/x" }
[tickets.a]
run = "API_KEY=from-command ./deploy; echo $DEPLOY_TOKEN"
env = { MY_PASSWORD = "läng er" }
"""


def exported(session: str, file: Path) -> Export:
    with (
        Registry.open(registry_file(), read_only=True) as registry,
        Export.of(registry, registry.session(session), redact=True) as found,
    ):
        file.write_bytes(b"".join(packed(found.parts(), ".tar.gz")))
    return found


def test_nothing_of_an_archive_has_a_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI_JOB_TOKEN", "of-who-exports")
    session = remember(tmp_path, text=PLAN)
    secret = ["s3cr3t-value", "pg-pass-1", "from-command", "läng er", "of-who-exports"]
    log = session_folder(session).attempts / "a.1.log"
    border = 256 * 1024
    log.write_bytes((b"x" * (border - 5)) + "\n".join(secret).encode() + b"\nMODE=debug\n")
    (session_folder(session).attempts / "s3cr3t-value.1.log").write_text("abc\n")

    found = exported(session, tmp_path / "x")

    odd = Odd(tmp_path / "x")
    everything = json.dumps(odd.manifest, ensure_ascii=False) + "".join(
        name + content.decode() for name, (_, content) in zip(odd.names(), odd.members, strict=True)
    )
    for value in secret:
        assert value not in everything
    assert odd.content("attempts/a.1.log").endswith(b"x" * 90 + b"***\n***\n***\n***\n***\nMODE=debug\n")
    plan = json.loads(odd.content("plan.json"))
    assert plan["agents"]["agent"]["env"]["AUTH"] == "***"
    assert plan["agents"]["agent"]["env"]["MODE"] == "debug"
    assert found.manifest.redacted is not None
    told = {each.variable: each for each in found.manifest.redacted}
    assert told["AUTH"] == Masked("AUTH", 0, "it is too short to be looked for elsewhere")
    assert told["DATABASE"].times == 2
    assert told["CI_JOB_TOKEN"].times == 1
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    done = import_archive(tmp_path / "x")
    assert (done.name, done.redacted) == ("Nightly with ***", True)
    assert (session_folder(session).attempts / "***.1.log").read_text() == "abc\n"


def test_values_that_members_of_a_family_have_are_masked(tmp_path: Path) -> None:
    family = """
        [tickets.part]
        foreach = { n = "100001..100099" }
        run = "API_KEY=from-{n} ./deploy"
        env = { A_TOKEN = "s3cr3t-{n}" }
    """

    exported(remember(tmp_path, text=family), tmp_path / "x")

    tickets = json.loads(Odd(tmp_path / "x").content("plan.json"))["tickets"]
    assert tickets["part-100077"]["run"] == "API_KEY=*** ./deploy"
    assert tickets["part-100077"]["env"] == {"A_TOKEN": "***"}


def test_a_value_without_which_it_could_not_be_read_is_refused(tmp_path: Path) -> None:
    session = remember(tmp_path, text='[tickets.a]\nrun = "true"\nenv = { MY_KEY = "session_open" }\n')

    with pytest.raises(ArchiveError, match="a word that parexec needs"):
        exported(session, tmp_path / "x")


def test_a_value_that_is_a_word_of_the_format_is_masked_where_it_is_set_only(tmp_path: Path) -> None:
    session = remember(
        tmp_path, text='[tickets.a]\nrun = "true"\nenv = { MY_KEY = "selected", A_KEY = "succeeded" }\n'
    )

    found = exported(session, tmp_path / "x")

    too_common = "it is too common to be looked for elsewhere"
    assert found.manifest.redacted == (Masked("MY_KEY", 0, too_common), Masked("A_KEY", 0, too_common))
    plan = json.loads(Odd(tmp_path / "x").content("plan.json"))
    assert plan["tickets"]["a"]["env"] == {"MY_KEY": "***", "A_KEY": "***"}
    assert b'"end":"succeeded"' in Odd(tmp_path / "x").content("attempts.jsonl")
