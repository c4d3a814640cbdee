#!/usr/bin/env python3
"""A stand-in for `claude`, `codex`, `gemini` and `opencode`, whichever name it is called by: no model, no network.

Called `acp` it is an agent that speaks the Agent Client Protocol.

It takes the arguments that parexec gives the real ones and refuses others as they do, reads the prompt from standard
input, and prints what they print. What it does stands in the prompt, a line each:

    [say TEXT]             [run COMMAND]        in a shell that really runs
    [write FILE TEXT]      [plan 1/3 TEXT]      [ask COMMAND]     one that needs a permission
    [retry 1/4 503 0.2]    [wait SECONDS]       [limit SECONDS]   the account is limited, once
    [error 401]            [refuse]             [crash CODE]      ends at once; [exit CODE]: after its last word
    [stubborn]             ends on no signal    [raw COMMAND]     whose output is what it prints
    [linger SECONDS]       stays after its last word
    [then]                 what follows is done when the conversation goes on

Its account, and the conversations that it can go on with, are kept in $STAND_IN_HOME. Standard library only.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

KIND = Path(sys.argv[0]).name
OWNER = f"parexec-stand-in-{os.getuid()}-{os.environ.get('PAREXEC_SESSION', 'alone')}"
HOME = Path(os.environ.get("STAND_IN_HOME") or Path(tempfile.gettempdir(), OWNER))
COST = 0.00579  # of a call of the model: 1,200 tokens read anew, 500 out of a cache, 42 written
VERBS = "say|run|write|plan|ask|retry|wait|limit|error|refuse|crash|exit|stubborn|raw|linger|then"
ACT = re.compile(rf"^[ \t]*\[({VERBS})(?: (.*))?\][ \t]*$", re.MULTILINE)

FLAGS = {  # with a value; without; what is said of others, and the exit code
    "claude": (
        "--output-format --input-format --permission-prompt-tool --permission-prompts --tools --permission-mode"
        " --settings --disallowedTools --allowedTools --model --max-budget-usd --session-id --resume --effort",
        "-p --verbose --dangerously-skip-permissions",
        ("error: unknown option '{}'", 1),
    ),
    "codex": ("-s -c -m resume", "exec --json --skip-git-repo-check -", ("error: unexpected argument '{}' found", 2)),
    "gemini": ("-o --approval-mode -m --session-id --resume", "-s", ("Unknown argument: {}", 1)),
    "opencode": ("--format -m -s", "run --auto", ("Unknown argument: {}", 1)),
    "acp": ("", "", ("error: unexpected argument '{}'", 2)),
}


def arguments(words):
    valued, plain, (said, code) = FLAGS[KIND]
    given, rest = {}, iter(words)
    for word in rest:
        if word not in f"{valued} {plain}".split():
            fail(said.format(word), code)
        given[word] = next(rest, "") if word in valued.split() else "yes"
    if given.get("--dangerously-skip-permissions") and os.getuid() == 0 and "IS_SANDBOX" not in os.environ:
        fail("--dangerously-skip-permissions cannot be used with root/sudo privileges for security reasons", 1)
    in_git = any(Path(each, ".git").exists() for each in (Path.cwd(), *Path.cwd().parents))
    if KIND == "codex" and not in_git and "--skip-git-repo-check" not in given:
        fail("Not inside a trusted directory and --skip-git-repo-check was not specified.", 1)
    if KIND == "gemini" and os.environ.get("GEMINI_CLI_TRUST_WORKSPACE") != "true":
        fail("This folder is not trusted.", 55)
    return given


def fail(text, code):
    print(text, file=sys.stderr)
    sys.exit(code)


def emit(**event):
    print(json.dumps(event, separators=(",", ":")), flush=True)


def heard():
    return json.loads(sys.stdin.readline())


def answer(request, **result):
    emit(jsonrpc="2.0", id=request["id"], result=result)


def kept(name):
    file = HOME / name
    return json.loads(file.read_text()) if file.exists() else {}


def keep(name, values):
    beside = HOME / f"{name}.{os.getpid()}"
    beside.write_text(json.dumps(values))
    beside.rename(HOME / name)


class StandIn:
    def __init__(self, given):
        HOME.mkdir(parents=True, exist_ok=True)
        self.given, self.asks = given, "--permission-prompt-tool" in given
        goes_on = given.get("resume") or given.get("--resume") or (KIND == "opencode" and given.get("-s"))
        if KIND == "acp":
            answer(heard(), protocolVersion=1, agentCapabilities={"loadSession": True})
            self.request = heard()
            goes_on = self.request["params"].get("sessionId")
        self.id = goes_on or given.get("--session-id") or f"{'ses_' * (KIND == 'opencode')}{uuid.uuid4()}"
        self.file = f"{KIND}-{self.id.replace('/', '-')}.json"
        self.talk = kept(self.file)
        if goes_on and (not self.talk or (KIND == "gemini" and self.talk["cwd"] != str(Path.cwd()))):
            self.knows_not()
        if self.talk and not goes_on:
            fail(f"Error: Session ID {self.id} is already in use.", 1)
        prompt = self.heard_prompt()
        told = ACT.findall(prompt)
        if told or not self.talk:
            turns = [[]]
            for verb, rest in told or [("say", "Done.")]:
                turns.append([]) if verb == "then" else turns[-1].append((verb, rest))
            self.talk = {"cwd": str(Path.cwd()), "calls": 0, **self.talk, "turns": turns, "turn": 0, "at": 0}
        self.before, self.calls, self.number, self.code = self.talk["calls"], 0, 0, 0
        self.denied, self.shell, self.lingers = [], None, 0.0
        called = {"kind": KIND, "argv": sys.argv[1:], "conversation": self.id, "goes_on": bool(goes_on)}
        called |= {"ticket": os.environ.get("PAREXEC_TICKET"), "size": len(prompt)}
        called |= {"prompt": prompt[-4000:], "cwd": str(Path.cwd()), "pid": os.getpid()}
        with (HOME / "calls.jsonl").open("a") as file:
            file.write(json.dumps(called) + "\n")

    def heard_prompt(self):
        if KIND == "acp":
            answer(self.request, sessionId=self.id)
            self.request = heard()
            return self.request["params"]["prompt"][0]["text"]
        return heard()["message"]["content"][0]["text"] if self.asks else sys.stdin.read()

    def knows_not(self):
        said = {
            "claude": "No conversation found with session ID: {}",
            "codex": "Error: thread/resume failed: no rollout found for thread id {}",
            "gemini": "Error resuming session: Invalid session identifier {}",
            "opencode": "Session not found: {}",
            "acp": "Resource not found: {}",
        }[KIND].format(self.id)
        if KIND == "acp":
            emit(jsonrpc="2.0", id=self.request["id"], error={"code": -32002, "message": said})
        if KIND == "claude":
            emit(type="result", subtype="error_during_execution", is_error=True, total_cost_usd=0, errors=[said])
        fail(said, 42 if KIND == "gemini" else 1)

    def play(self):
        if KIND == "claude":
            signal.signal(signal.SIGINT, self.on_interrupt)
        elif KIND == "gemini":
            signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        self.begin()
        if time.time() < kept(f"account-{KIND}.json").get("until", 0):
            self.is_limited()
        turns, turn = self.talk["turns"], self.talk["turn"]
        for verb, rest in (
            turns[turn][self.talk["at"] :] if turn < len(turns) else [("say", "Nothing is left to do.")]
        ):
            getattr(self, f"do_{verb}")(rest)
            self.talk["at"] += 1
            self.remember()
            budget = float(self.given.get("--max-budget-usd", "inf"))
            if self.calls * COST >= budget:
                self.fails("", subtype="error_max_budget_usd", errors=[f"Reached maximum budget (${budget:g})"])
        self.talk |= {"turn": turn + 1, "at": 0}
        self.remember()
        self.end()
        time.sleep(self.lingers)
        sys.exit(self.code)

    def remember(self):
        self.talk["calls"] = self.before + self.calls
        keep(self.file, self.talk)

    def begin(self):
        if KIND == "claude":
            mode = self.given.get("--permission-mode", "bypassPermissions")
            self.say(type="system", subtype="init", model="stand-in", permissionMode=mode, claude_code_version="0")
        elif KIND == "codex":
            emit(type="thread.started", thread_id=self.id)
            emit(type="turn.started")
        elif KIND == "gemini":
            emit(type="init", session_id=self.id, model="stand-in")

    def say(self, **event):
        emit(**event, **{"sessionID" if KIND == "opencode" else "session_id": self.id})

    def update(self, kind, /, **fields):
        params = {"sessionId": self.id, "update": {"sessionUpdate": kind, **fields}}
        emit(jsonrpc="2.0", method="session/update", params=params)

    def message(self, **content):
        used = {"input_tokens": 1200, "cache_read_input_tokens": 500, "output_tokens": 1}
        id_ = f"msg_{self.before + self.calls}"
        self.say(type="assistant", message={"id": id_, "role": "assistant", "content": [content], "usage": used})

    def item(self, kind, *, event="completed", **fields):
        emit(type=f"item.{event}", item={"id": f"item_{self.number}", "type": kind, **fields})

    def step(self, part=None, reason="tool-calls"):
        """OpenCode tells of what it did when that is done."""
        self.say(type="step_start", part={})
        if part is not None:
            self.say(type="text" if part["type"] == "text" else "tool_use", part=part)
        tokens = {"input": 700, "output": 42, "cache": {"read": 500, "write": 0}}
        self.say(type="step_finish", part={"reason": reason, "tokens": tokens, "cost": 0.00091})

    def do_say(self, text):
        self.calls, self.number = self.calls + 1, self.number + 1
        match KIND:
            case "claude":
                self.message(type="text", text=text)
            case "codex":
                self.item("agent_message", text=text)
            case "gemini":
                emit(type="message", role="assistant", content=text, delta=True)
            case "opencode":
                self.step({"type": "text", "text": text})
            case "acp":
                self.update("agent_message_chunk", content={"type": "text", "text": f"{text}\n"})

    def do_plan(self, rest):
        count, _, text = rest.partition(" ")
        done, of = map(int, count.split("/"))
        states = ["completed" if n < done else "in_progress" if n == done else "pending" for n in range(of)]
        todos = [{"content": text, "description": text, "status": state} for state in states]
        match KIND:
            case "claude":
                self.message(type="tool_use", id="todo", name="TodoWrite", input={"todos": todos})
            case "codex":
                self.item("todo_list", items=[{"text": text, "completed": each == "completed"} for each in states])
            case "gemini":
                emit(type="tool_use", tool_name="write_todos", parameters={"todos": todos})
            case "opencode":
                self.step({"type": "tool", "tool": "todowrite", "state": {"input": {"todos": todos}}})
            case "acp":
                self.update("plan", entries=todos)

    def do_run(self, command):
        with self.tool("Bash", "command", command) as tool:
            self.shell = subprocess.Popen(
                ["/bin/sh", "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=KIND != "codex",  # those of the others outlive them
            )
            tool.output = self.shell.communicate()[0].decode(errors="replace")
            tool.code, self.shell = self.shell.returncode, None

    def do_write(self, rest):
        path, _, text = rest.partition(" ")
        with self.tool("Write", "file_path", path):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(text.replace("\\n", "\n") + "\n")

    def do_ask(self, command):
        allowed = self.given.get("--allowedTools", "").partition("(")[2].rstrip(")*")
        if "--dangerously-skip-permissions" in self.given or (allowed and command.startswith(allowed)):
            return self.do_run(command)
        if KIND == "acp":
            options = [{"optionId": name, "name": name, "kind": f"{name}_once"} for name in ("allow", "reject")]
            params = {"sessionId": self.id, "toolCall": {"title": command}, "options": options}
            emit(jsonrpc="2.0", id="asked", method="session/request_permission", params=params)
            if heard()["result"]["outcome"].get("optionId") == "allow":
                return self.do_run(command)
            said = "The user rejected it."
        elif self.asks:
            request = {"subtype": "can_use_tool", "tool_name": "Bash", "input": {"command": command}}
            emit(type="control_request", request_id=f"{self.talk['turn']}.{self.talk['at']}", request=request)
            told = heard()["response"]["response"]
            if told["behavior"] == "allow":
                return self.do_run(command)
            said = told["message"]
        else:
            said = "The user rejected permission to use this specific tool call."
            self.denied.append({"tool_name": "Bash", "tool_input": {"command": command}})
        with self.tool("Bash", "command", command) as tool:
            tool.output, tool.code = said, -1
        return None

    def tool(self, *what):
        return Tool(self, *what)

    def do_retry(self, rest):
        count, status, seconds = rest.split()
        n, of = map(int, count.split("/"))
        milliseconds = float(seconds) * 1000
        if KIND == "claude":
            told = {"attempt": n, "max_retries": of, "retry_delay_ms": milliseconds, "error_status": int(status)}
            self.say(type="system", subtype="api_retry", error="server_error", **told)
        elif KIND == "codex":
            emit(type="error", message=f"Reconnecting... {count} (unexpected status {status})")
        elif KIND == "gemini":
            print(f"Attempt {n} failed with status {status}. Retrying after {milliseconds}ms", file=sys.stderr)
        time.sleep(float(seconds))

    def do_wait(self, seconds):
        time.sleep(float(seconds))

    def do_linger(self, seconds):
        self.lingers = float(seconds)

    def do_exit(self, code):
        self.code = int(code)

    def do_crash(self, code):
        os._exit(int(code))

    def do_raw(self, command):
        subprocess.run(["/bin/sh", "-c", command], check=False)

    def do_stubborn(self, _):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)

    # --- how it ends

    def do_limit(self, seconds):
        if not kept(f"account-{KIND}.json"):
            keep(f"account-{KIND}.json", {"until": time.time() + float(seconds)})
            self.is_limited()

    def is_limited(self):
        until = kept(f"account-{KIND}.json")["until"]
        when = f"try again in {max(0.1, until - time.time()):.1f} seconds"
        if KIND == "claude":
            self.say(type="rate_limit_event", rate_limit_info={"status": "rejected", "resetsAt": until})
            when = time.strftime("resets %I:%M%p", time.localtime(until)).lower()
        self.do_error("429", f"You\u2019ve hit your usage limit · {when}")

    def do_error(self, status, said="API Error: {} from the stand-in"):
        self.remember()
        self.fails(said.format(status), status=int(status))

    def do_refuse(self, _):
        self.fails("API Error: this message was flagged", stop_reason="refusal")

    def fails(self, said, *, status=None, **more):
        match KIND:
            case "claude":
                told = {
                    "terminal_reason": "api_error",
                    "subtype": "success",
                    "result": said,
                    "api_error_status": status,
                }
                self.result(**{**told, "is_error": True, **more})
            case "codex":
                emit(type="turn.failed", error={"message": said})
            case "gemini":
                emit(type="result", status="error", error={"message": said}, stats={})
                sys.exit((status or 1) & 255)
            case "opencode":
                self.say(type="error", error={"name": "APIError", "data": {"message": said, "statusCode": status}})
            case "acp":
                code = -32000 if status in (401, 403) else -32603
                emit(jsonrpc="2.0", id=self.request["id"], error={"code": code, "message": said})
        sys.exit(1)

    def used(self, calls, whole=1700, cached="cached"):
        return {"input_tokens": whole * calls, cached: 500 * calls, "output_tokens": 42 * calls}

    def result(self, **fields):
        """What this run used, and what the whole conversation has cost."""
        used = self.used(self.calls, 1200, "cache_read_input_tokens")
        cost = (self.before + self.calls) * COST
        self.say(type="result", num_turns=self.calls, usage=used, total_cost_usd=cost, **fields)

    def end(self):
        match KIND:
            case "claude":
                done = {"subtype": "success", "terminal_reason": "completed", "is_error": False, "result": "Done."}
                self.result(**done, permission_denials=self.denied)
            case "codex":  # of the whole conversation
                emit(type="turn.completed", usage=self.used(self.before + self.calls, cached="cached_input_tokens"))
            case "gemini":
                emit(type="result", status="success", stats=self.used(self.calls))
            case "opencode" if not self.denied:
                self.step(reason="stop")
            case "acp":
                used = {"inputTokens": 1200 * self.calls, "outputTokens": 42 * self.calls}
                answer(self.request, stopReason="end_turn", usage=used)

    def on_interrupt(self, *_):
        if self.shell is not None:
            os.killpg(self.shell.pid, signal.SIGKILL)
        self.remember()
        self.result(terminal_reason="aborted_tools", subtype="error_during_execution", is_error=True)
        os._exit(0)


class Tool:
    """One call of a tool, told of at its begin and its end."""

    def __init__(self, cli, name, key, value):
        self.cli, self.value, self.inputs, self.is_shell = cli, value, {key: value}, name == "Bash"
        other = {"gemini": {"Bash": "run_shell_command", "Write": "write_file"}, "claude": {}}
        self.name = other.get(KIND, {"Bash": "bash", "Write": "write"}).get(name, name)
        self.output, self.code = "", 0
        self.command = {"command": f"/bin/sh -lc {value!r}"}

    def __enter__(self):
        cli = self.cli
        cli.calls, cli.number = cli.calls + 1, cli.number + 1
        self.id = f"tool_{cli.number}"
        if KIND == "claude":
            cli.message(type="tool_use", id=self.id, name=self.name, input=self.inputs)
        elif KIND == "gemini":
            emit(type="tool_use", tool_name=self.name, tool_id=self.id, parameters=self.inputs)
        elif KIND == "codex" and self.is_shell:
            cli.item("command_execution", event="started", **self.command, status="in_progress")
        elif KIND == "acp":
            kind = "execute" if self.is_shell else "edit"
            cli.update("tool_call", toolCallId=self.id, title=self.value, kind=kind, rawInput=self.inputs)
        return self

    def __exit__(self, *_):
        cli, is_denied = self.cli, self.code < 0
        match KIND:
            case "claude":
                if is_denied:
                    told = {"tool_name": self.name, "tool_use_id": self.id, "message": self.output}
                    cli.say(type="system", subtype="permission_denied", **told)
                result = {
                    "type": "tool_result",
                    "tool_use_id": self.id,
                    "content": self.output,
                    "is_error": self.code != 0,
                }
                cli.say(type="user", message={"role": "user", "content": [result]})
            case "gemini":
                emit(type="tool_result", tool_id=self.id, status="success", output=self.output)
            case "codex" if not self.is_shell:
                cli.item("file_change", changes=[{"path": self.value, "kind": "update"}], status="completed")
            case "codex":
                status = "declined" if is_denied else "failed" if self.code else "completed"
                said = {"aggregated_output": self.output, "exit_code": self.code, "status": status}
                cli.item("command_execution", **self.command, **said)
            case "opencode":
                told = {"error": self.output, "status": "error"} if is_denied else {"output": self.output}
                state = {"status": "completed", "input": self.inputs, "metadata": {"exit": self.code}, **told}
                cli.step({"type": "tool", "tool": self.name, "callID": self.id, "state": state})
            case "acp":
                said = [{"type": "content", "content": {"type": "text", "text": self.output}}]
                told = {"status": "failed" if self.code else "completed", "rawOutput": {"exit_code": self.code}}
                cli.update("tool_call_update", toolCallId=self.id, content=said, **told)


if __name__ == "__main__":
    StandIn(arguments(sys.argv[1:])).play()
