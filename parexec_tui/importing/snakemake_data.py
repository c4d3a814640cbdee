"""Asks a Snakemake what its jobs are: its own Python runs `snakemake_probe` for that."""

import re
import shlex
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from parexec_tui.importing.draft import ImportFault

_SECONDS: Final = 600
_PROBE: Final = Path(__file__).with_name("snakemake_probe.py")
_EXEC = re.compile(r"""'''exec' (\S+|"[^"]+") "\$0" """)
"""The second line of a program whose interpreter has too long a path for the first one."""


class JobFile(msgspec.Struct, frozen=True):
    """An input or output of a job."""

    path: str
    flags: list[str] = []


class Job(msgspec.Struct, frozen=True):
    """A job of the graph: a rule, with its wildcards filled in."""

    id: int
    rule: str
    wildcards: dict[str, str]
    needs: list[int]
    input: list[JobFile]
    output: list[JobFile]
    log: list[str]
    benchmark: str
    message: str
    threads: int
    resources: dict[str, int | float | str]
    kind: str
    """`shell`, `none` if it only names its input, else `run`, `script` and others that Snakemake itself has to run"""
    command: str
    is_open: bool
    """Its input is known only when a checkpoint has run."""
    is_checkpoint: bool
    shadow: str
    priority: int
    retries: int
    environments: list[str]


class Workflow(msgspec.Struct, frozen=True):
    """What Snakemake told."""

    folder: str
    shell: str
    prefix: str
    """What it puts before each command."""
    handlers: list[str]
    jobs: list[Job]


def ask_snakemake(file: Path, folder: Path, targets: tuple[str, ...]) -> Workflow:
    """The jobs that Snakemake would look at for these targets, in this folder. Raises ImportFault."""
    python = _python(file)
    with tempfile.TemporaryDirectory() as temporary:
        told = Path(temporary, "told.json")
        command = [*python, str(_PROBE), str(told), "--snakefile", str(file.resolve()), "--cores", "all", "--nolock"]
        try:
            ran = subprocess.run(
                [*command, *targets],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ImportFault(str(file), f"Snakemake took longer than {_SECONDS} s to tell its jobs") from None
        try:
            return msgspec.json.decode(told.read_bytes(), type=Workflow)
        except (OSError, msgspec.DecodeError):
            said = ran.stderr.decode("utf-8", "replace")
            raise ImportFault(str(file), _fault(said)) from None


def _python(file: Path) -> list[str]:
    """The Python that Snakemake is installed for."""
    program = shutil.which("snakemake") or shutil.which("snakemake", path=sysconfig.get_path("scripts"))
    if program is None:
        raise ImportFault(str(file), "Snakemake reads it, and there is no snakemake here: install it")
    first, _, rest = Path(program).read_bytes()[:4096].decode("utf-8", "replace").partition("\n")
    if found := _EXEC.match(rest):
        return [found[1].strip('"')]
    if first.startswith("#!") and "python" in first:
        return shlex.split(first[2:])
    raise ImportFault(
        str(file), f"{program} is no script of Python, so it cannot be asked: put that one first in PATH"
    )


def _fault(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    start = next(
        (at for at, line in enumerate(lines) if re.search(r"(?:Error|Exception)\b", line)), max(len(lines) - 3, 0)
    )
    return " ".join(lines[start : start + 6])[:500] or "Snakemake tells nothing"
