"""A Compose file becomes a plan."""

import subprocess
from pathlib import Path

import pytest

from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.importing.docker_words import word
from parexec_tui.importing.draft import Draft, ImportFault
from parexec_tui.importing.formats import Wanted, read
from parexec_tui.importing.toml_text import plan_text

COMPOSE = """\
name: Shop
x-common: &common
  restart: unless-stopped
  environment: {TOKEN: }
services:
  web:
    <<: *common
    build: {context: ./web, dockerfile: Dev.Dockerfile, args: {A: 1}}
    command: python -m 'http server' {x}
    ports: ["8000:8000", {target: 80, published: "8080"}]
    stop_grace_period: 1m
    networks: {default: {aliases: [www]}}
    depends_on:
      db: {condition: service_healthy}
      migrate: {condition: service_completed_successfully}
  db:
    image: postgres:${PG_VERSION:-16}
    volumes: [data:/data, ./init.sql:/init.sql:ro]
    healthcheck: {test: [CMD, pg_isready, -U, $$USER], interval: 5s}
  migrate:
    image: migrate
    entrypoint: [run, --all]
    command: [it's]
    links: [db:store]
volumes: {data: }
"""


def imported(folder: Path, text: str, *parts: str) -> Draft:
    (folder / "compose.yaml").write_text(text)
    draft = read("compose", Wanted(folder, folder, parts))
    read_plan(plan_text(draft), source="plan.toml", folder=str(folder), format="toml")
    return draft


def command(run: str) -> list[str]:
    """The words of the last line of a command, as a shell passes them."""
    line = run.splitlines()[-1].removeprefix("exec ").replace("{{", "{").replace("}}", "}")
    told = subprocess.run(["sh", "-c", f"printf '%s\\n' {line}"], capture_output=True, text=True, check=True, cwd="/")
    return told.stdout.splitlines()


def test_what_depends_on_a_container_starts_when_that_is_ready_or_has_ended(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PG_VERSION=15\n")
    draft = imported(tmp_path, COMPOSE)
    assert draft.warnings == []
    assert list(draft.tables["services"]) == ["db", "web"]
    assert {id_: (each.get("needs", []), each.get("uses_service", [])) for id_, each in draft.tickets.items()} == {
        "db-ready": ([], ["db"]),
        "migrate": (["db-ready"], ["db"]),
        "web-image": ([], []),
        "web-ready": (["web-image", "db-ready", "migrate"], ["db", "web"]),
        "up": (["db-ready", "web-ready"], ["db", "web"]),
    }
    db, web = draft.tables["services"].values()
    assert "{{{{.State.Health.Status}}}}' parexec-shop-db" in db["ready"]
    assert "{{{{.State.Running}}}}' parexec-shop-web" in web["ready"]
    assert (db["restart"], web["restart"]) == ("never", "always")
    assert (web["stop"], web["grace"]) == ("docker stop -t 60 parexec-shop-web", "70s")
    assert db["env_file"] == [".env"]
    assert "env_file" not in web


def test_docker_gets_the_words_that_compose_means(tmp_path: Path) -> None:
    draft = imported(tmp_path, COMPOSE)
    db, web = (command(table["run"]) for table in draft.tables["services"].values())
    start = "docker run --rm --name parexec-shop-{0} --network parexec-shop --network-alias {0}"
    assert db == [
        *start.format("db").split(),
        *["--network-alias", "store", "--health-cmd", "pg_isready -U '$USER'", "--health-interval", "5s"],
        *["--volume", "shop_data:/data", "--volume", "//./init.sql:/init.sql:ro", "postgres:16"],
    ]
    assert web == [
        *start.format("web").split(),
        *["--network-alias", "www", "--publish", "8000:8000", "--publish", "8080:80/tcp", "--env", "TOKEN"],
        *["shop-web", "python", "-m", "http server", "{x}"],
    ]
    migrate = command(draft.tickets["migrate"]["run"])
    assert migrate[-5:] == ["--entrypoint", "run", "migrate", "--all", "it's"]
    assert command(draft.tickets["web-image"]["run"]) == (
        ["docker", "build", "--tag", "shop-web", "--file", "web/Dev.Dockerfile", "--build-arg", "A=1", "./web"]
    )


def test_a_container_that_is_named_runs_to_its_end_beside_what_it_depends_on(tmp_path: Path) -> None:
    text = COMPOSE + "  # end\n"
    text = text.replace("volumes: {data: }", "  e2e: {image: e2e, profiles: [test], depends_on: [web]}")
    assert imported(tmp_path, text).warnings == ["compose.yaml:25: service e2e of profile test: name it to take it"]
    draft = imported(tmp_path, text, "e2e")
    assert draft.tickets["e2e"]["needs"] == ["web-ready"]
    assert draft.tickets["e2e"]["uses_service"] == ["db", "web"]
    assert "up" not in draft.tickets


@pytest.mark.parametrize(("required", "is_taken"), [("false", False), ("true", True)])
def test_what_only_a_profile_has_is_taken_if_it_is_required(tmp_path: Path, required: str, is_taken: bool) -> None:
    draft = imported(
        tmp_path,
        f"""\
services:
  web:
    image: web
    depends_on: {{cache: {{condition: service_started, required: {required}}}}}
  cache: {{image: cache, profiles: [debug]}}
""",
    )
    assert ("cache" in draft.tables["services"]) is is_taken
    assert ("compose.yaml:5: service cache of profile debug: name it to take it" in draft.warnings) is not is_taken


def test_what_cannot_be_carried_over_is_said_at_its_place(tmp_path: Path) -> None:
    text = """\
include: [other.yaml]
services:
  a:
    image: a
    tty: true
    networks: [front]
    healthcheck: {test: [NONE, x]}
    deploy: {replicas: 2}
    restart: often
    secrets: [{source: key, target: k}, gone]
    build: {context: ., ssh: [default]}
    depends_on: {b: {condition: service_healthy, restart: true}, c: {}}
    volumes: [{type: volume, source: v, target: /v, volume: {nocopy: true}}]
  b: {image: b}
secrets: {key: {file: key.txt}}
"""
    draft = imported(tmp_path, text)
    assert draft.warnings == [
        "compose.yaml:1: include: ['other.yaml']",
        "compose.yaml:5: service a, tty: true",
        "compose.yaml:8: service a, deploy: {'replicas': 2}",
        "compose.yaml:7: service a, healthcheck: {'test': ['NONE', 'x']}",
        "compose.yaml:13: service a, volume v, volume: {'nocopy': True}",
        "compose.yaml:10: service a, secrets gone: it is in no file",
        "compose.yaml:9: service a, restart: often",
        "compose.yaml:6: service a, networks: all containers are in one",
        "compose.yaml:12: service a depends on c, which is not in this file",
        "compose.yaml:12: service a, depends_on b, restart: true",
        "compose.yaml:11: build of service a, ssh: ['default']",
    ]
    run = draft.tables["services"]["a"]["run"]
    assert '--volume "$PWD"/./key.txt:/run/secrets/k:ro' in run
    assert f"--mount type=volume,source={draft_project(tmp_path)}_v,target=/v" in run


def draft_project(folder: Path) -> str:
    return folder.name.lower()


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ('it\'s `x` "y" $$A \\', 'it\'s `x` "y" $A \\'),
        ('$A-${B:-b "c"}-${C-${A}}', '1-b "c"-1'),
        ("100% {x} $1", "100% {x} $1"),
    ],
)
def test_variables_are_filled_in_as_compose_does(text: str, filled: str) -> None:
    told = subprocess.run(
        ["sh", "-c", f"printf %s {word(text)}"], env={"A": "1"}, capture_output=True, text=True, check=True
    )
    assert told.stdout == filled


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("services: {}\n", "it has no services"),
        ("services: {a: {image: a}}\n", "it has no service 'x': name one of a"),
        ("services: {x: {depends_on: [y]}, y: {depends_on: [x]}}\n", "services depend on each other: x → y → x"),
    ],
)
def test_what_is_wrong_in_the_file_is_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ImportFault) as fault:
        imported(tmp_path, text, "x")
    assert said in str(fault.value)
