"""Many tickets in git worktrees: `python tests/benchmarks/worktrees.py`.

200 tickets, 20 at once, each write a file and change a line of their own in a shared one, among 500 files.
Prints the time in all and for a ticket, and what the same plan takes without worktrees. Exits 1 unless each ticket
succeeded at its first attempt, each is merged once, all worktrees and branches are gone, and the repository is sound.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_PAUSE = 40
"""Lines between two that tickets change: git takes neighbouring ones for a conflict."""


def git(folder: Path, *words: str) -> str:
    return subprocess.run(("git", "-C", folder, *words), check=True, capture_output=True, text=True).stdout.strip()


def repository(folder: Path, tickets: int, files: int) -> Path:
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "config", "user.name", "Ada")
    git(folder, "config", "user.email", "ada@example.org")
    for number in range(files):
        (folder / f"file-{number}").write_text(f"{number}\n" * 50, encoding="utf-8")
    lines = [f"of {line // _PAUSE}" if line % _PAUSE == 0 else str(line) for line in range(tickets * _PAUSE)]
    (folder / "shared").write_text("\n".join(lines), encoding="utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "first")
    return folder


def run(folder: Path, tickets: int, at_once: int, isolation: str) -> float:
    """Seconds that the plan takes; exits if it does not succeed."""
    plan = f'[plan]\nworkdir = "repository"\nparallel = {at_once}\nmin_free_disk = 0\n'
    plan += f'[agents.coder]\nisolation = "{isolation}"\n'
    for number in range(tickets):
        run_ = f"echo {number} > new-{number}; sed -i 's/^of {number}$/done {number}/' shared"
        locks = "" if isolation == "worktree" else 'locks = ["shared"]\n'
        plan += f'[tickets.T{number}]\nrun = "{run_}"\n{locks}'
    (folder / "plan.toml").write_text(plan, encoding="utf-8")
    env = os.environ | {"XDG_STATE_HOME": str(folder / "state")}
    (folder / "state").mkdir()
    began = time.perf_counter()
    parexec = Path(sys.executable).with_name("parexec")
    with (folder / "output").open("w") as output:
        code = subprocess.run([parexec, "run", folder / "plan.toml", "--headless"], stdout=output, env=env).returncode
    took = time.perf_counter() - began
    if code:
        sys.exit((folder / "output").read_text()[-2000:])
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=20)
    parser.add_argument("--files", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        took = {}
        for isolation in ("none", "worktree"):
            folder = Path(scratch, isolation)
            made = repository(folder / "repository", options.tickets, options.files)
            took[isolation] = run(folder, options.tickets, options.at_once, isolation)
            print(
                f"{isolation:9} {took[isolation]:6.1f} s, {1000 * took[isolation] / options.tickets:5.0f} ms a ticket"
            )
        (merged,) = git(made, "for-each-ref", "--format=%(refname)", "refs/heads/parexec").split()
        problems = []
        if (count := int(git(made, "rev-list", "--count", "--first-parent", merged)) - 1) != options.tickets:
            problems.append(f"{count} merges")
        if len(git(made, "ls-tree", "--name-only", merged).split()) != options.files + 1 + options.tickets:
            problems.append("files are missing")
        if git(made, "show", f"{merged}:shared").count("done ") != options.tickets:
            problems.append("lines are missing")
        if " failed " in (text := (folder / "output").read_text()) or " stopped " in text:
            problems.append("a ticket was run more than once")
        if len(git(made, "worktree", "list").splitlines()) != 1:
            problems.append("worktrees are left")
        if git(made, "status", "--porcelain"):
            problems.append("the checkout was touched")
        git(made, "fsck")
        print("; ".join(problems) or f"{options.tickets} merged, 0 failures, nothing left over")
        sys.exit(bool(problems))


if __name__ == "__main__":
    main()
