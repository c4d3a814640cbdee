"""Compose: containers that go on become services, those that others wait for the end of become tickets.

Each is started by `docker run`, when what it depends on is ready.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from parexec_tui.core.plan.units import Duration
from parexec_tui.importing.docker_words import Unsaid, command_words, health_words, option, word
from parexec_tui.importing.draft import Draft, ImportFault, literal
from parexec_tui.importing.formats import Wanted, file_of
from parexec_tui.importing.yaml_file import YamlFile, as_list, as_table, as_text

_NAMES: Final = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_TOP: Final = frozenset({"name", "version", "services", "volumes", "networks", "secrets", "configs"})
_HERE: Final = frozenset(
    {"build", "command", "configs", "container_name", "depends_on", "entrypoint", "healthcheck", "image", "links"}
    | {"network_mode", "networks", "profiles", "restart", "secrets", "stop_grace_period", "volumes"}
)
"""Keys that are looked at here; the others are words of `docker run`, or left out."""

_GRACE: Final = 10
"""Seconds that docker gives a container to stop."""


def read(wanted: Wanted) -> Draft:
    """The plan of a Compose file. `parts`: containers that are to run to their end. Raises ImportFault."""
    path = file_of(wanted.source, _NAMES)
    file = YamlFile(path)
    draft = Draft(f"Imported from {path.name} by `parexec import compose`.")
    draft.set_workdir(path.parent, wanted.folder)
    _Importer(file, draft, path, wanted.folder).take(wanted.parts)
    return draft


class _Importer:
    def __init__(self, file: YamlFile, draft: Draft, path: Path, plan_folder: Path) -> None:
        self._file, self._draft, self._path = file, draft, path
        self._all = as_table(file.top.get("services"))
        named = as_text(file.top.get("name")) or path.resolve().parent.name
        self._project = re.sub(r"[^a-z0-9_-]", "", named.lower()).lstrip("_-") or "compose"
        self._once: set[str] = set()
        """Containers that run to their end: tickets."""
        self._variables = path.parent / ".env"
        self._env_file = os.path.relpath(self._variables, plan_folder)
        self._taken: dict[str, dict[str, Any]] = {}
        self._parts: tuple[str, ...] = ()
        """What a person named."""

    def take(self, parts: tuple[str, ...]) -> None:
        """Make services and tickets of these, or of all, and of what they depend on. Raises ImportFault."""
        draft, top, self._parts = self._draft, self._file.top, parts
        if not self._all:
            raise ImportFault(str(self._path), "it has no services")
        for part in parts:
            if part not in self._all:
                raise ImportFault(str(self._path), f"it has no service {part!r}: name one of {', '.join(self._all)}")
        for key in top:
            if key not in _TOP and not str(key).startswith("x-"):
                draft.leave_out((), f"{key}: {_short(top[key])}", self._file.where(top, key))
        active = [name for name in self._all if not as_table(self._all[name]).get("profiles")]
        self._take_with_needed(list(parts) or active)
        for name, service in self._all.items():
            if name not in self._taken and not parts and (profiles := as_list(as_table(service).get("profiles"))):
                of = ", ".join(map(as_text, profiles))
                draft.leave_out((), f"service {name} of profile {of}: name it to take it", self._where(name))
        self._once = {*parts}
        for name in self._taken:
            self._once |= {on for on, how in self._needed(name) if how == "service_completed_successfully"}
        for name in self._in_order():
            if name in self._once:
                self._ticket(name)
            else:
                self._service(name)
        if not parts:
            self._up()

    def _where(self, name: str, key: str = "") -> str:
        return self._file.where(self._all[name], key) if key else self._file.where(self._all, name)

    def _take_with_needed(self, names: list[str]) -> None:
        while names:
            name = names.pop(0)
            if name not in self._taken:
                self._taken[name] = as_table(self._all[name])
                names += [on for on, _ in self._needed(name)]

    def _needed(self, name: str) -> Iterator[tuple[str, str]]:
        """What a container depends on, and until when it waits for that."""
        service = as_table(self._all[name])
        depends = service.get("depends_on")
        for on in as_list(depends) if not isinstance(depends, dict) else depends:
            how = as_table(depends[on]).get("condition") if isinstance(depends, dict) else None
            if isinstance(depends, dict) and self._may_lack(str(on), as_table(depends[on])):
                continue
            if str(on) in self._all:
                yield str(on), str(how or "service_started")
        for link in as_list(service.get("links")):
            if (on := as_text(link).partition(":")[0]) in self._all:
                yield on, "service_started"

    def _may_lack(self, on: str, how: dict[str, Any]) -> bool:
        """Whether it is left out by itself: only a profile takes it, and who depends on it does without."""
        named = on in self._parts or not as_table(self._all.get(on)).get("profiles")
        return as_text(how.get("required", True)).lower() == "false" and not named

    def _in_order(self) -> list[str]:
        ordered: dict[str, None] = {}

        def add(name: str, above: tuple[str, ...]) -> None:
            if name in above:
                chain = " → ".join((*above, name))
                raise ImportFault(self._where(name), f"services depend on each other: {chain}")
            if name not in ordered:
                for on, _ in self._needed(name):
                    add(on, (*above, name))
                ordered[name] = None

        for name in self._all:
            if name in self._taken:
                add(name, ())
        return list(ordered)

    def _ticket(self, name: str) -> None:
        service = self._taken[name]
        place = ("tickets", name)
        ticket: dict[str, Any] = {}
        self._draft.tickets[name] = ticket
        self._wait(ticket, name)
        self._leave_out(name, place, is_ticket=True)
        ticket["run"] = self._run(name, service, place)
        self._let_see_variables(ticket)

    def _service(self, name: str) -> None:
        service = self._taken[name]
        place = ("services", name)
        container = self._container(name)
        table: dict[str, Any] = {"run": self._run(name, service, place)}
        is_checked = "healthcheck" in service and "--no-healthcheck" not in table["run"]
        how = {how for other in self._taken for on, how in self._needed(other) if on == name}
        if is_checked or "service_healthy" in how:
            table["ready"] = literal(
                f"docker inspect -f '{{{{.State.Health.Status}}}}' {container} | grep -qx healthy"
            )
        else:
            table["ready"] = literal(f"docker inspect -f '{{{{.State.Running}}}}' {container} | grep -qx true")
        table["ready_timeout"] = "10m"
        table["restart"] = self._restart(name, service, place)
        seconds = self._grace(name, service, place)
        table["stop"] = f"docker stop -t {seconds} {container}" if seconds != _GRACE else f"docker stop {container}"
        table["grace"] = f"{seconds + 10}s"
        self._let_see_variables(table)
        self._draft.tables["services"][name] = table
        self._leave_out(name, place, is_ticket=False)
        ready: dict[str, Any] = {"title": f"{name} is ready"}
        self._wait(ready, name)
        if ready.get("needs") or how:
            ready["uses_service"] = [*ready.get("uses_service", []), name]
            ready["run"] = "true"
            self._draft.tickets[f"{name}-ready"] = ready

    def _wait(self, ticket: dict[str, Any], name: str) -> None:
        """Let a ticket wait for what a container depends on, and for its image."""
        needs = [self._image_ticket(name)] if "build" in self._taken[name] else []
        needs += [on if on in self._once else f"{on}-ready" for on, _ in self._needed(name)]
        if needs:
            ticket["needs"] = list(dict.fromkeys(needs))
        if used := self._used(name):
            ticket["uses_service"] = used

    def _used(self, name: str) -> list[str]:
        """The services that have to go on while a container runs."""
        used: dict[str, None] = {}
        for on, _ in self._needed(name):
            if on not in self._once:
                used |= dict.fromkeys((*self._used(on), on))
        return list(used)

    def _up(self) -> None:
        if not (services := self._draft.tables["services"]):
            return
        id_ = "up"
        while id_ in self._all:
            id_ += "-all"
        needs = [f"{name}-ready" for name in services if f"{name}-ready" in self._draft.tickets]
        ticket: dict[str, Any] = {"title": f"Until you stop it: `parexec cancel {id_}`"}
        if needs:
            ticket["needs"] = needs
        self._draft.tickets[id_] = ticket | {"uses_service": list(services), "run": "exec sleep infinity"}

    def _container(self, name: str) -> str:
        return f"parexec-{self._project}-{name}"

    def _image(self, name: str) -> str:
        service = self._taken[name]
        return as_text(service.get("image")) or f"{self._project}-{name}"

    def _image_ticket(self, name: str) -> str:
        """The ticket that builds its image."""
        id_ = f"{name}-image"
        if id_ in self._draft.tickets:
            return id_
        build = self._taken[name]["build"]
        table = build if isinstance(build, dict) else {"context": build}
        context = as_text(table.get("context")) or "."
        words = ["docker", "build", "--tag", word(self._image(name))]
        if "dockerfile" in table:
            words += ["--file", word(os.path.normpath(f"{context}/{as_text(table['dockerfile'])}"))]
        if "target" in table:
            words += ["--target", word(as_text(table["target"]))]
        arguments = table.get("args")
        pairs = arguments.items() if isinstance(arguments, dict) else ((each, None) for each in as_list(arguments))
        for key, value in pairs:
            words += ["--build-arg", word(as_text(key) if value is None else f"{key}={as_text(value)}")]
        ticket = {"title": f"The image of {name}", "run": literal(" ".join((*words, word(context))))}
        self._let_see_variables(ticket)
        self._draft.tickets[id_] = ticket
        for key in table:
            if key not in ("context", "dockerfile", "target", "args"):
                what = f"build of service {name}, {key}: {_short(table[key])}"
                self._draft.leave_out(("tickets", id_), what, self._file.where(table, key))
        return id_

    def _run(self, name: str, service: dict[str, Any], place: tuple[str, ...]) -> str:
        container, network = self._container(name), f"parexec-{self._project}"
        words = ["exec docker run --rm --name", container]
        lines = []
        mode = as_text(service.get("network_mode"))
        if mode.startswith("service:"):
            words += ["--network", f"container:{self._container(mode.partition(':')[2])}"]
        elif mode:
            words += ["--network", word(mode)]
        else:
            lines.append(f"docker network create {network} > /dev/null 2>&1 || true")
            words += ["--network", network]
            for alias in self._aliases(name, service):
                words += ["--network-alias", word(alias)]
        for key, value in service.items():
            if key in _HERE:
                continue
            try:
                words += option(key, value)
            except Unsaid:
                what = f"service {name}, {key}: {_short(value)}"
                self._draft.leave_out(place, what, self._where(name, key))
        try:
            words += health_words(as_table(service.get("healthcheck")))
        except Unsaid:
            what = f"service {name}, healthcheck: {_short(service['healthcheck'])}"
            self._draft.leave_out(place, what, self._where(name, "healthcheck"))
        words += self._mounts(name, service, place)
        command = command_words(service["command"]) if service.get("command") is not None else []
        if entry := command_words(service["entrypoint"]) if service.get("entrypoint") else []:
            words += ["--entrypoint", entry[0]]
            command = [*entry[1:], *command]
        words += [word(self._image(name)), *command]
        lines += [f"docker rm -f {container} > /dev/null 2>&1 || true", " ".join(words)]
        return literal("\n".join(lines))

    def _aliases(self, name: str, service: dict[str, Any]) -> list[str]:
        aliases = [name, as_text(service.get("container_name"))]
        networks = service.get("networks")
        if isinstance(networks, dict):
            aliases += [as_text(each) for of in networks.values() for each in as_list(as_table(of).get("aliases"))]
        for other in self._taken.values():
            for link in as_list(other.get("links")):
                on, _, alias = as_text(link).partition(":")
                aliases += [alias] * (on == name)
        return list(dict.fromkeys(filter(None, aliases)))

    def _mounts(self, name: str, service: dict[str, Any], place: tuple[str, ...]) -> Iterator[str]:
        for each in as_list(service.get("volumes")):
            if not isinstance(each, dict):
                source, colon, rest = _split_volume(as_text(each))
                yield from ("--volume", _here(f"{self._volume(source)}{colon}{rest}") if colon else word(source))
                continue
            kind, source = as_text(each.get("type")), as_text(each.get("source"))
            parts = [f"type={kind}"]
            if source:
                parts.append(f"source={self._volume(source) if kind == 'volume' else source}")
            parts.append(f"target={as_text(each.get('target'))}")
            parts += ["readonly"] * (each.get("read_only") is True)
            yield from ("--mount", _here(",".join(parts)))
            for key in each.keys() - {"type", "source", "target", "read_only", "bind", "consistency"}:
                what = f"service {name}, volume {source}, {key}: {_short(each[key])}"
                self._draft.leave_out(place, what, self._file.where(each, key))
        for key, folder in (("secrets", "/run/secrets/"), ("configs", "/")):
            defined = as_table(self._file.top.get(key))
            for each in as_list(service.get(key)):
                table = each if isinstance(each, dict) else {"source": each}
                source = as_text(table.get("source"))
                path = as_table(defined.get(source)).get("file")
                if path is None:
                    what = f"service {name}, {key} {source}: it is in no file"
                    self._draft.leave_out(place, what, self._where(name, key))
                    continue
                target = as_text(table.get("target")) or source
                target = target if target.startswith("/") else f"{folder}{target}"
                path = as_text(path)
                path = path if path.startswith(("/", ".", "~", "$")) else f"./{path}"
                yield from ("--volume", _here(f"{path}:{target}:ro"))

    def _volume(self, source: str) -> str:
        """A volume that has a name, as Compose calls it; a path as it is."""
        if source.startswith((".", "/", "~", "$")):
            return source
        volume = as_table(as_table(self._file.top.get("volumes")).get(source))
        if "name" in volume:
            return as_text(volume["name"])
        return source if volume.get("external") else f"{self._project}_{source}"

    def _restart(self, name: str, service: dict[str, Any], place: tuple[str, ...]) -> str | int:
        said = as_text(service.get("restart")) if service.get("restart") is not False else "no"
        match said.partition(":"):
            case ["" | "no", _, _]:
                return "never"
            case ["always" | "unless-stopped" | "on-failure", _, ""]:
                return "always"
            case ["on-failure", _, number] if number.isdigit():
                return int(number)
            case _:
                pass
        self._draft.leave_out(place, f"service {name}, restart: {said}", self._where(name, "restart"))
        return "never"

    def _grace(self, name: str, service: dict[str, Any], place: tuple[str, ...]) -> int:
        said = as_text(service.get("stop_grace_period"))
        if not said:
            return _GRACE
        try:
            return round(Duration.parse(said))
        except ValueError:
            what = f"service {name}, stop_grace_period: {said}"
            self._draft.leave_out(place, what, self._where(name, "stop_grace_period"))
            return _GRACE

    def _leave_out(self, name: str, place: tuple[str, ...], *, is_ticket: bool) -> None:
        """Tell what a plan has in no other way."""
        service = self._taken[name]
        if is_ticket and as_text(service.get("restart")) not in ("", "no", "False", "false"):
            self._draft.leave_out(place, f"service {name}, restart: it runs once", self._where(name, "restart"))
        networks = service.get("networks")
        if [each for each in (networks or ()) if each != "default"]:
            what = f"service {name}, networks: all containers are in one"
            self._draft.leave_out(place, what, self._where(name, "networks"))
        depends = service.get("depends_on")
        for on in depends or ():
            if on not in self._all:
                what = f"service {name} depends on {on}, which is not in this file"
                self._draft.leave_out(place, what, self._where(name, "depends_on"))
        for on, how in depends.items() if isinstance(depends, dict) else ():
            for key, value in as_table(how).items():
                if key != "condition" and not (key == "required" and value is True):
                    what = f"service {name}, depends_on {on}, {key}: {_short(value)}"
                    self._draft.leave_out(place, what, self._file.where(how, key))

    def _let_see_variables(self, table: dict[str, Any]) -> None:
        if self._variables.is_file() and re.search(r"\$\{?[A-Za-z_]", table["run"]):
            table["env_file"] = [literal(self._env_file)]


def _split_volume(text: str) -> tuple[str, str, str]:
    """Its source, which may be `${NAME:-./default}`, a colon, and the rest."""
    found = re.match(r"((?:\$\{[^}]*\}|[^:$]|\$(?!\{))*)(:?)(.*)", text, re.DOTALL)
    assert found is not None
    return found[1], found[2], found[3]


def _here(text: str) -> str:
    """The word of a mount, whose source is seen from the folder of the file."""
    said = word(text)
    found = re.match(r"(.*?(?:source=)?)(\.{1,2}(?=[/:,])|~(?=[/:,]))", text)
    if found is None or found[1] not in ("", *re.findall(r"type=\w+,source=", text)):
        return said
    start = '"$HOME"' if found[2] == "~" else '"$PWD"/' + found[2]
    return (f"{found[1]}" if found[1] else "") + start + word(text[found.end() :])


def _short(value: object) -> str:
    text = " ".join(str(value if isinstance(value, dict | list) else as_text(value)).split())
    return text if len(text) <= 100 else f"{text[:99]}…"
