"""Examples of each command, for its help and the man page."""

Examples = tuple[tuple[str, str], ...]

EXAMPLES: dict[str, Examples] = {
    "run": (
        ("parexec run plan.toml", "execute a plan; on a terminal ctrl-c leaves it running"),
        ("parexec run plan.toml --detach --hold", "start an engine that waits for `parexec release`"),
        ("parexec run plan.toml --headless --fail-fast", "run it here, and end with the first failure"),
        ("parexec run plan.toml --headless --brief", "run it here, and print a line for each ticket that is over"),
        ("parexec run plan.toml deploy --except 'test-*'", "run deploy and what it needs, without the tests"),
        ("parexec run plan.toml --from build -n", "what would run: build and all that needs it; nothing is started"),
        ("parexec run plan.toml --wait", "first wait for a living session that claims the same"),
        ("parexec run plan.toml --headless --json", "run it here, and print what happens as JSON lines"),
    ),
    "resume": (("parexec resume --retry-failed", "go on, and run once more what failed"),),
    "attach": (
        ("parexec attach", "follow the session of this directory"),
        ("parexec attach -s nightly", "follow the session of the plan that is called nightly"),
    ),
    "tour": (("parexec tour", "see and steer a sample plan; it says what to press"),),
    "validate": (("parexec validate plan.toml", "all errors of a plan, and what is likely to go wrong"),),
    "init": (
        ("parexec init", "a plan of the Makefile, package.json and the like of this folder"),
        ("parexec init -o - | less", "look at it first"),
    ),
    "each": (
        ("parexec each 'convert {} {.}.png' -- *.svg", "one command for many files, one per CPU at once"),
        ("parexec each -P8 gzip < names", "for each line that is read; eight at once"),
        ("parexec each --tag -k 'grep -c TODO {}' -- *.py", "each line with its file, in their order"),
    ),
    "schedule": (
        ("parexec schedule night.toml --on-calendar daily", "run it at midnight, by a timer of your systemd"),
        ("parexec schedule night.toml --on-calendar 'Mon..Fri 02:30' -n", "what would be written"),
        ("parexec schedule night.toml --remove", "no more"),
    ),
    "schema": (("parexec schema > plan.schema.json", "for editors"),),
    "doctor": (
        ("parexec doctor", "what of this machine may be in the way"),
        ("parexec doctor --repair --dry-run", "what could be saved of a damaged registry"),
    ),
    "hosts": (
        ("parexec hosts plan.toml", "reach each host of a plan: what it has, or what is missing there"),
        ("parexec hosts --json | jq -r '.hosts[] | select(.problem) | .host'", "which cannot be used, for scripts"),
    ),
    "ls": (
        ("parexec ls", "the sessions, newest first"),
        ("parexec ls --long", "also what each takes on the disk"),
    ),
    "show": (
        ("parexec show test", "the family test on a page: how it stands, what it took, what failed"),
        ("parexec show --json | jq '.tickets[] | select(.status == \"failed\")'", "what failed, for scripts"),
    ),
    "log": (
        ("parexec log T3 -f", "the output of T3 as it comes"),
        ("parexec log --all --grep warning", "warnings of all tickets, each with the name of its ticket"),
        ("parexec log -ig 'error|panic' --status failed", "errors of what failed, in any case"),
        ("parexec log 'MOD-*' --order time", "all that these tickets printed, by the start of their attempts"),
    ),
    "events": (("parexec events -f --json", "what happens, as JSON lines, until the engine leaves"),),
    "claims": (
        ("parexec claims", "who holds what, who waits for it, and what was written unclaimed"),
        ("parexec claims --json | jq '.unclaimed'", "the files that tickets wrote outside their claims"),
    ),
    "bottlenecks": (
        ("parexec bottlenecks", "what holds the session up, and what more of it would save"),
        ("parexec bottlenecks --json | jq -r '.bottlenecks[0].text'", "the worst one, for scripts"),
    ),
    "prune": (
        ("parexec prune -n", "which sessions would be removed, with their sizes, and which stay, and why"),
        ("parexec prune --keep 5 --older 7d", "the newest 5 of each plan stay, and what ended within a week"),
    ),
    "graph": (
        ("parexec graph plan.toml", "what needs what, the longest chain, and what will not run at once"),
        ("parexec graph --format mermaid", "the session of this directory, for a pull request"),
        ("parexec graph plan.toml --format dot | dot -Tpdf -o plan.pdf", "drawn by Graphviz"),
    ),
    "history": (
        ("parexec history", "what the tickets of the plan of this directory took before, the longest first"),
        ("parexec history plan.toml T3", "each attempt of T3 in earlier sessions, and why those failed that did"),
        ("parexec history --json | jq '.tickets[] | select(.flaky > 0.1)'", "what often passes only at a retry"),
    ),
    "optimise": (
        ("parexec optimise plan.toml", "which pool size, limits and estimates would make the plan faster"),
        ("parexec optimise plan.toml --write", "the same, and estimates and pool sizes are put into the file"),
        ("parexec optimise plan.toml --json | jq .savings", "what each need, lock and resource costs"),
    ),
    "simulate": (
        ("parexec simulate plan.toml", "how long the plan will take, and what binds it; nothing is run"),
        ("parexec simulate plan.toml --agents builder=6 --parallel 8", "the same with more agents and slots"),
        ("parexec simulate --json | jq .p90", "when the session of this directory is over, nine times in ten"),
    ),
    "what-if": (
        ("parexec what-if --agents builder=6", "how much earlier it would be over with six builders"),
        ("parexec what-if --without T7 --parallel 8", "without T7, and eight at once"),
        ("parexec what-if --freeze T3 --json | jq .then.p50", "if T3 stood still"),
    ),
    "export": (
        ("parexec export -o night.tar.gz", "the session of this directory, for a colleague or a bug report"),
        ("parexec export nightly -o night.tar.zst --redact", "another one, with zstd, without values like API_TOKEN"),
    ),
    "import": (
        ("parexec import ninja build -o plan.toml", "a plan out of build/build.ninja"),
        ("parexec import make . all -o plan.toml", "a plan out of the Makefile here, for its target all"),
        ("parexec import night.tar.gz", "look at a session of another machine"),
        ("parexec import night.tar.gz --json | jq -r .session", "the id that it has here, for scripts"),
    ),
    "metrics": (
        ("parexec metrics", "figures of the session of this directory"),
        ("parexec metrics nightly --prometheus", "in the text format of Prometheus"),
        (
            "parexec metrics --write /var/lib/node_exporter/parexec.prom &",
            "kept up to date until the session is over",
        ),
    ),
    "trace": (
        ("parexec trace", "send the session of this directory to a collector on this machine"),
        ("parexec trace nightly -f --endpoint https://otel.example.com", "the same while it runs, until it is over"),
    ),
    "report": (
        ("parexec report", "how the session of this directory went, and why it took so long"),
        ("parexec report nightly --format md", "for a pull request"),
        ("parexec report -o night.html", "one page with drawings: what ran where and when, curves, the graph"),
        ("parexec report -o junit.xml", "for a CI system; .txt, .md, .json and .csv are the others"),
        ("parexec report --format json | jq '.sessions[0].lost'", "what tickets waited for, for scripts"),
    ),
    "status": (
        ("parexec status", "the session of this directory on one page"),
        ("parexec status --json | jq .counts", "how many tickets are where, for scripts"),
    ),
    "why": (
        ("parexec why T3", "all that T3 waits for"),
        ("parexec why group:3", "the same for each ticket of the third group"),
    ),
    "hold": (
        ("parexec hold T3 'DOC-*'", "do not start these tickets"),
        ("parexec hold type:builder", "start nothing on agents of this type"),
        ("parexec hold -r 'the disk is full'", "start nothing at all"),
    ),
    "release": (("parexec release", "let the session go on"), ("parexec release builder-2", "use this agent again")),
    "freeze": (("parexec freeze T3", "let the processes of T3 stand still"),),
    "thaw": (("parexec thaw T3", "let T3 go on"),),
    "drain": (
        ("parexec drain builder-2", "let this agent finish what it runs, then stop it"),
        ("parexec drain --yes", "let what runs finish, then end the session"),
    ),
    "retry": (
        ("parexec retry status:failed", "run all that failed again, after a look at what that means"),
        ("parexec retry T3 --run 'make test' --note 'flaky'", "with another command"),
        ("parexec retry T3 --uses memory=2GiB", "with more memory, after it ran out of it"),
        ("parexec retry T3 --env MODE=debug --env LEVEL=2", "with other variables in its environment"),
        ("parexec retry T3 --wait", "and wait for it; the exit code says whether it succeeded"),
        ("parexec retry T3 --downstream --dry-run", "what would run again with all that depends on it"),
    ),
    "rollback": (
        ("parexec rollback migrate --dry-run", "what would be taken back, and what was built on it"),
        ("parexec rollback migrate --downstream", "first what was built on it, the last one first"),
    ),
    "restart": (
        ("parexec restart --from 2", "run again the second dependency group and all after it"),
        ("parexec restart --from build --rollback", "take back build and all that needs it, then run them again"),
    ),
    "reassign": (
        ("parexec reassign T3 builder-2", "stop T3 on purpose, and start it on this agent"),
        ("parexec reassign T3 any", "let whoever can run it"),
    ),
    "cancel": (("parexec cancel T3 T4", "end both; what needs them is skipped"),),
    "waive": (("parexec waive T3", "do without T3: what needs it may run"),),
    "answer": (
        ("parexec answer T3 'keep the old table, and write a new one'", "what its agent asked; it goes on with that"),
        ("parexec answer T3 --allow 'Bash(git push *)'", "it may do what it was denied"),
    ),
    "talk": (("parexec talk T3", "its conversation, in this terminal: T3 is held until you leave it"),),
    "approve": (
        ("parexec approve deploy", "what waits for approval may start, or has succeeded"),
        ("parexec approve status:approval", "all that waits for approval, after a look at it"),
    ),
    "diff": (
        ("parexec diff", "what changed since the session before: slower, newly failed, new in the plan"),
        ("parexec diff 20261123_0215 20261124_0215", "the same of two sessions; the parts of their ids are enough"),
        ("parexec diff T3 --stat", "how much T3 changed in which files"),
    ),
    "merge": (
        ("parexec merge T3 --theirs", "of what conflicts, what T3 did wins"),
        ("parexec merge T3 --by 'sort -u -o list list'", "a command resolves it, where T3 worked"),
    ),
    "reject": (
        ("parexec reject draft -m 'section 3 is missing'", "draft runs again, with PAREXEC_NOTE in its environment"),
    ),
    "priority": (("parexec priority 'MOD-*' high", "let these start first"),),
    "stop": (
        ("parexec stop --yes", "end what runs; `parexec resume` goes on"),
        ("parexec stop --now --yes", "with SIGKILL"),
    ),
    "scale": (
        ("parexec scale builder +2", "two more agents of this type"),
        ("parexec scale builder -1", "one fewer"),
        ("parexec scale --parallel 8", "at most eight tickets at once"),
        ("parexec scale --parallel auto", "as many at once as finish most"),
    ),
    "wait": (
        ("parexec wait && deploy", "go on once the session of this directory has succeeded"),
        ("parexec wait T3 'MOD-*' --timeout 30m", "wait for tickets; exit code 124 after half an hour"),
        ("parexec wait exec_20261129_021914", "wait for a session"),
    ),
    "on-failure": (("parexec on-failure stop", "let the next failure end the session"),),
    "edit": (
        ('parexec edit T3 timeout=30m \'needs=["T1", "T2"]\'', "change a ticket that is not running"),
        ("parexec edit T3 timeout=", "back to the default"),
    ),
    "session": (
        ("parexec session new", "begin a session that stays, for `parexec add -- COMMAND`"),
        ("parexec session new gpu -P1", "another one, which runs one command at a time"),
    ),
    "add": (
        ("parexec add more.toml", "add the tickets of a file"),
        ("parexec add -- make docs", "run a command in the session that stays; its id is printed"),
        ("parexec add --needs T3 -- ./deploy 'to production'", "when T3 has succeeded"),
    ),
    "reload": (
        ("parexec reload --dry-run", "what the edited plan file would change"),
        ("parexec reload plan.toml --yes", "apply it without asking"),
    ),
    "undo": (
        ("parexec undo", "take back what was done last"),
        ("parexec undo --list", "what was done, newest first"),
    ),
    "help": (
        ("parexec help retry", "all about a command, with examples"),
        ("parexec help plan-file", "every key of a plan file"),
        ("parexec help keys | grep filter", "as plain text"),
    ),
    "man": (("parexec man | man -l -", "read the manual"),),
    "completion": (
        ("parexec completion bash > ~/.local/share/bash-completion/completions/parexec", "for bash"),
        ("parexec completion zsh > ~/.zfunc/_parexec", "for zsh, with ~/.zfunc in fpath"),
        ("parexec completion fish > ~/.config/fish/completions/parexec.fish", "for fish"),
    ),
}


def epilog(name: str) -> str | None:
    """The end of the help of a command: its examples, if there are any."""
    if not (examples := EXAMPLES.get(name)):
        return None
    width = max(len(line) for line, _ in examples)
    lines = (f"  {line:<{width}}  # {meaning}" for line, meaning in examples)
    return "\b\nExamples:\n" + "\n".join(lines)
