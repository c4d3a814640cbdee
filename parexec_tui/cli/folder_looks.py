"""What a folder tells of the work that is done in it: for `parexec init`. Files are read, nothing is executed."""

import json
import re
import shutil
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple


class Draft(NamedTuple):
    """A ticket as it may be."""

    id: str
    run: str
    needs: tuple[str, ...] = ()
    keys: tuple[tuple[str, Any], ...] = ()
    """Other keys of it, with their values."""
    command: str = ""
    """What it needs on this machine; empty: the first word of `run`."""

    @property
    def lack(self) -> str:
        """The command that is not on this machine; empty: it is there."""
        command = self.command or self.run.split(maxsplit=1)[0]
        return "" if shutil.which(command) else command


class Look(NamedTuple):
    """What a file tells."""

    file: str
    tickets: tuple[Draft, ...] = ()
    remarks: tuple[str, ...] = ()
    """What it does not tell, for a person to decide; a line each."""


def look_at(folder: Path) -> list[Look]:
    """What the files of a folder tell. One that cannot be read, or says nothing, has a remark and no tickets."""
    found = []
    for names, look in _LOOKS:
        for name in names:
            if (folder / name).is_file():
                try:
                    found.append(look(folder / name))
                except (OSError, ValueError) as error:
                    found.append(Look(name, remarks=(f"it could not be read: {' '.join(str(error).split())}",)))
                break
    return found


# -- make and ninja --------------------------------------------------------------------------------------------

_RULE = re.compile(r"([\w./ -]+?)\s*:(?![:=]*=)", re.ASCII)
_MAKE_BUILDS = ("build", "all")
_MAKE_CHECKS = ("lint", "format-check", "fmt-check", "typecheck", "type-check", "check", "test", "tests", "docs")


def _makefile(file: Path) -> Look:
    text = file.read_text(encoding="utf-8", errors="replace")
    rules = [match[1].split() for line in text.splitlines() if (match := _RULE.match(line)) and line[0] != "\t"]
    targets = list(dict.fromkeys(name for names in rules for name in names if not name.startswith(".")))
    if not targets:
        return Look(file.name, remarks=("no target was found in it: it may include those of other files",))
    checks = [name for name in _MAKE_CHECKS if name in targets]
    builds = [name for name in _MAKE_BUILDS if name in targets] or [
        name for name in targets[:1] if name not in checks
    ]
    tickets = [Draft(f"make-{_id(name)}", f"make {name}") for name in builds[:1]]
    needs = tuple(ticket.id for ticket in tickets)
    locks = () if needs else (("locks", ["make"]),)
    tickets += (Draft(f"make-{_id(name)}", f"make {name}", needs, locks) for name in checks)
    rest = [name for name in targets if f"make {name}" not in {ticket.run for ticket in tickets}]
    remarks = [f"other targets: {_some(rest)}"] if rest else []
    if locks and len(checks) > 1:
        remarks.append("two targets may build the same file, so they run one at a time; if not, remove `locks`")
    remarks.append("target by target, as make knows them: `parexec import make . -o make.toml`")
    return Look(file.name, tuple(tickets), tuple(remarks))


def _ninja(file: Path) -> Look:
    return Look(
        file.name,
        (Draft("ninja", "ninja"),),
        (
            'ninja uses all CPUs by itself; to leave some to others: `run = "ninja -j4"`, `uses = { cpu = 4 }`',
            "edge by edge, as ninja knows them: `parexec import ninja . -o ninja.toml`",
        ),
    )


def _cmake(file: Path) -> Look:
    tickets = (
        Draft("cmake-configure", "cmake -S . -B build"),
        Draft("cmake-build", "cmake --build build --parallel", ("cmake-configure",)),
        Draft("cmake-test", "ctest --test-dir build --output-on-failure", ("cmake-build",)),
    )
    presets = file.with_name("CMakePresets.json").is_file()
    remarks = ("there are presets: `cmake --preset NAME` instead of the first command",) if presets else ()
    return Look(file.name, tickets, remarks)


# -- Python ----------------------------------------------------------------------------------------------------


def _pyproject(file: Path) -> Look:
    document = tomllib.loads(file.read_text(encoding="utf-8"))
    tools = document.get("tool") or {}
    project = document.get("project") or {}
    named = json.dumps([project, document.get("dependency-groups"), tools.get("poetry")], default=str)
    folder = file.parent

    def is_used(tool: str, *files: str) -> bool:
        if tool in tools or any((folder / name).exists() for name in files):
            return True
        return re.search(rf'"{tool}(?=["\[<>=~!; @])', named) is not None

    tickets = []
    if is_used("ruff", "ruff.toml", ".ruff.toml"):
        tickets.append(_python(folder, "ruff", "ruff", "check"))
    if is_used("mypy", "mypy.ini", ".mypy.ini"):
        files = (tools.get("mypy") or {}).get("files") or any(
            (folder / f).exists() for f in ("mypy.ini", ".mypy.ini")
        )
        tickets.append(_python(folder, "mypy", "mypy", *(() if files else (".",))))
    if is_used("pytest", "pytest.ini", "conftest.py"):
        tickets.append(_python(folder, "pytest", "pytest"))
    if is_used("tox", "tox.ini"):
        tickets.append(_python(folder, "tox", "tox"))
    remarks = () if tickets else ("neither pytest, ruff, mypy nor tox is mentioned in it",)
    return Look(file.name, tuple(tickets), remarks)


def _python(folder: Path, id_: str, *words: str) -> Draft:
    """A ticket that runs a tool of Python: that of the environment of the project, if it has one."""
    tool = words[0]
    for name in (".venv", "venv"):
        if (folder / name / "bin" / tool).is_file():
            return Draft(id_, " ".join((f"{name}/bin/{tool}", *words[1:])), command=str(folder / name / "bin" / tool))
    for lock, runner in (("uv.lock", "uv"), ("poetry.lock", "poetry")):
        if (folder / lock).is_file():
            return Draft(id_, " ".join((runner, "run", *words)), command=runner)
    return Draft(id_, " ".join(words))


def _tox(file: Path) -> Look:
    if file.with_name("pyproject.toml").is_file():
        return Look(file.name)  # said with that
    return Look(file.name, (_python(file.parent, "tox", "tox"),))


# -- others ----------------------------------------------------------------------------------------------------

_NPM_SCRIPTS = ("lint", "typecheck", "type-check", "check", "build", "test", "test:unit")
_NO_TEST = "no test specified"  # what `npm init` writes


def _package_json(file: Path) -> Look:
    document = json.loads(file.read_text(encoding="utf-8"))
    scripts = document.get("scripts") if isinstance(document, dict) else None
    if not isinstance(scripts, dict) or not scripts:
        return Look(file.name, remarks=("it has no scripts",))
    runner, install = next(
        (
            (runner, install)
            for lock, runner, install in (
                ("pnpm-lock.yaml", "pnpm", "pnpm install --frozen-lockfile"),
                ("yarn.lock", "yarn", "yarn install"),
                ("package-lock.json", "npm", "npm ci"),
            )
            if file.with_name(lock).is_file()
        ),
        ("npm", "npm install"),
    )
    names = [name for name in _NPM_SCRIPTS if name in scripts and _NO_TEST not in str(scripts[name])]
    first = Draft(f"{runner}-install", install, (), (("skip_if", "test -d node_modules"),))
    tickets = [Draft(f"{runner}-{_id(name)}", f"{runner} run {name}", (first.id,)) for name in names]
    rest = [name for name in scripts if name not in names]
    remarks = (f"other scripts: {_some(rest)}",) if rest else ()
    return Look(file.name, (first, *tickets) if tickets else (), remarks)


def _cargo(file: Path) -> Look:
    one_at_a_time = (("locks", ["cargo"]),)  # cargo itself lets only one write to `target`
    tickets = [
        Draft("cargo-build", "cargo build", (), one_at_a_time),
        Draft("cargo-test", "cargo test", ("cargo-build",), one_at_a_time),
    ]
    if shutil.which("cargo-clippy"):
        tickets.append(Draft("cargo-clippy", "cargo clippy", (), one_at_a_time))
    return Look(file.name, tuple(tickets))


def _go(file: Path) -> Look:
    return Look(
        file.name,
        (
            Draft("go-build", "go build ./..."),
            Draft("go-vet", "go vet ./..."),
            Draft("go-test", "go test ./..."),
        ),
    )


def _id(name: str) -> str:
    """A name as a part of an id."""
    return re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII).replace("..", "-")


def _some(names: list[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


_LOOKS: tuple[tuple[tuple[str, ...], Callable[[Path], Look]], ...] = (
    (("GNUmakefile", "makefile", "Makefile"), _makefile),
    (("CMakeLists.txt",), _cmake),
    (("build.ninja",), _ninja),
    (("pyproject.toml",), _pyproject),
    (("tox.ini",), _tox),
    (("package.json",), _package_json),
    (("Cargo.toml",), _cargo),
    (("go.mod",), _go),
)
"""Of the names of each, the first file that is there counts."""


def written(found: list[Look], settings: dict[str, Any]) -> Iterator[str]:
    """The lines of a plan of what was found, or of an example. `settings`: its `[plan]` table."""
    yield "# Written by `parexec init`. Change what you like: `parexec help plan-file` explains every key,"
    yield "# `parexec validate FILE` finds mistakes. Needs that `init` could not know are yours to write."
    yield ""
    yield "[plan]"
    yield from (f"{key} = {toml(value)}" for key, value in settings.items())
    yield "# parallel = 4                # how many tickets run at once; default: one per CPU"
    yield '# on_failure = "stop"         # end with the first failure; default: go on with what does not need it'
    for look in found:
        if look.tickets or look.remarks:
            yield ""
            yield f"# -- {look.file} --"
        yield from (f"# {remark}" for remark in look.remarks)
        for draft in look.tickets:
            yield ""
            yield from _ticket(draft)
    if not any(not draft.lack for look in found for draft in look.tickets):
        yield from _SAMPLE.split("\n")


def _ticket(draft: Draft) -> Iterator[str]:
    lines = [f"[tickets.{toml_key(draft.id)}]", f"run = {toml(draft.run)}"]
    if draft.needs:
        lines.append(f"needs = {toml(list(draft.needs))}")
    lines += (f"{key} = {toml(value)}" for key, value in draft.keys)
    if lack := draft.lack:
        yield f"# {lack} is not found here:"
        lines = [f"# {line}" for line in lines]
    yield from lines


def toml(value: Any) -> str:
    """A value as TOML, in one line."""
    import tomlkit

    return str(tomlkit.item(value).as_string())


def toml_key(name: str) -> str:
    """A key as TOML."""
    return name if re.fullmatch(r"[\w-]+", name, re.ASCII) else toml(name)


_SAMPLE = """
# Nothing was found that could be run here: this is an example.

[tickets.hello]
run = "echo hello > hello.txt"
outputs = ["hello.txt"]            # it has succeeded only if it wrote this

[tickets.world]
run = "cat hello.txt"
needs = ["hello"]                  # it starts when hello has succeeded
# timeout = "10m"
# retries = 2"""
