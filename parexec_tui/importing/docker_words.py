"""A container of a Compose file as words of `docker run`."""

import re
import shlex
from collections.abc import Iterator
from typing import Any, Final

from parexec_tui.importing.yaml_file import as_list, as_table, as_text

_SCALARS: Final = {
    "cgroup_parent": "cgroup-parent",
    "cpu_shares": "cpu-shares",
    "cpus": "cpus",
    "cpuset": "cpuset-cpus",
    "domainname": "domainname",
    "gpus": "gpus",
    "hostname": "hostname",
    "ipc": "ipc",
    "mac_address": "mac-address",
    "mem_limit": "memory",
    "mem_reservation": "memory-reservation",
    "memswap_limit": "memory-swap",
    "oom_score_adj": "oom-score-adj",
    "pid": "pid",
    "pids_limit": "pids-limit",
    "platform": "platform",
    "runtime": "runtime",
    "shm_size": "shm-size",
    "stop_signal": "stop-signal",
    "user": "user",
    "userns_mode": "userns",
    "uts": "uts",
    "working_dir": "workdir",
}
_SWITCHES: Final = {"init": "init", "oom_kill_disable": "oom-kill-disable", "privileged": "privileged"} | {
    "read_only": "read-only"
}
_LISTS: Final = {
    "cap_add": ("cap-add", "="),
    "cap_drop": ("cap-drop", "="),
    "device_cgroup_rules": ("device-cgroup-rule", "="),
    "devices": ("device", "="),
    "dns": ("dns", "="),
    "dns_opt": ("dns-option", "="),
    "dns_search": ("dns-search", "="),
    "environment": ("env", "="),
    "expose": ("expose", "="),
    "extra_hosts": ("add-host", ":"),
    "group_add": ("group-add", "="),
    "labels": ("label", "="),
    "security_opt": ("security-opt", "="),
    "sysctls": ("sysctl", "="),
    "tmpfs": ("tmpfs", "="),
}
_PULL: Final = {"always": "always", "if_not_present": "missing", "missing": "missing", "never": "never"}
_CHECK_TIMES: Final = {
    "interval": "health-interval",
    "start_interval": "health-start-interval",
    "start_period": "health-start-period",
    "timeout": "health-timeout",
}
_INTERPOLATED = re.compile(
    r"\$(?:(?P<dollar>\$)|(?P<name>[A-Za-z_]\w*)|\{(?P<braced>[A-Za-z_]\w*(?::?[-+?][^{}]*(?:\$\{\w+\}[^{}]*)?)?)\})"
)


class Unsaid(Exception):  # noqa: N818 - no error: it is told, and left out
    """docker run has no words for this."""


def word(text: str) -> str:
    """A text of a Compose file as one word of a shell, which fills in what Compose would."""
    if "$" not in text:
        return shlex.quote(text)
    parts, at = [], 0
    for found in _INTERPOLATED.finditer(text):
        braced = found["braced"] and re.sub(r'(["\\`])', r"\\\1", found["braced"])
        filled = "\\$" if found["dollar"] else f"${{{found['name'] or braced}}}"
        parts += [_quoted(text[at : found.start()]), filled]
        at = found.end()
    return '"' + "".join((*parts, _quoted(text[at:]))) + '"'


def _quoted(text: str) -> str:
    return re.sub(r'(["\\`$])', r"\\\1", text)


def command_words(value: object) -> list[str]:
    """A command as Compose has it: words, or a line that is split into words as a shell does."""
    if isinstance(value, list):
        return [word(as_text(each)) for each in value]
    return [word(each) for each in shlex.split(as_text(value))]


def option(key: str, value: Any) -> Iterator[str]:
    """The words of one key of a service. Raises Unsaid."""
    match key:
        case _ if key in _SCALARS:
            yield from (f"--{_SCALARS[key]}", word(as_text(value)))
        case _ if key in _SWITCHES:
            if value is True:
                yield f"--{_SWITCHES[key]}"
            elif value is not False:
                raise Unsaid
        case _ if key in _LISTS:
            flag, between = _LISTS[key]
            for each in _pairs(value, between):
                yield from (f"--{flag}", word(each))
        case "ulimits":
            for name, limit in as_table(value).items():
                table = as_table(limit)
                said = f"{table.get('soft')}:{table.get('hard')}" if table else as_text(limit)
                yield from ("--ulimit", word(f"{name}={said}"))
        case "env_file":
            for each in as_list(value):
                path = each.get("path") if isinstance(each, dict) else each
                if isinstance(each, dict) and each.get("required") is False:
                    raise Unsaid
                yield from ("--env-file", word(as_text(path)))
        case "ports":
            for each in as_list(value):
                yield from ("--publish", word(_port(each)))
        case "pull_policy":
            if value == "build":
                return
            if value not in _PULL:
                raise Unsaid
            yield from ("--pull", _PULL[value])
        case "deploy":
            yield from _deploy(as_table(value))
        case _:
            raise Unsaid


def _pairs(value: Any, between: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield str(name) if each is None else f"{name}{between}{as_text(each)}"
        return
    for each in as_list(value):
        if isinstance(each, dict | list):
            raise Unsaid
        yield as_text(each)


def _port(port: Any) -> str:
    if not isinstance(port, dict):
        return as_text(port)
    host = ":".join(as_text(port[key]) for key in ("host_ip", "published") if key in port)
    return (f"{host}:" if host else "") + as_text(port.get("target")) + f"/{port.get('protocol', 'tcp')}"


def _deploy(deploy: dict[str, Any]) -> Iterator[str]:
    resources = as_table(deploy.get("resources"))
    limits = as_table(resources.get("limits"))
    flags = {"cpus": "--cpus", "memory": "--memory", "pids": "--pids-limit"}
    if deploy.keys() - {"resources", "restart_policy"} or resources.keys() - {"limits", "reservations"}:
        raise Unsaid
    for key, value in limits.items():
        if key not in flags:
            raise Unsaid
        yield from (flags[key], word(as_text(value)))


def health_words(check: dict[str, Any]) -> Iterator[str]:
    """The words of a health check. Raises Unsaid."""
    match check.get("test"):
        case None if check.get("disable") is True:
            yield "--no-healthcheck"
            return
        case ["NONE"]:
            yield "--no-healthcheck"
            return
        case ["CMD-SHELL", line]:
            yield from ("--health-cmd", word(as_text(line)))
        case ["CMD", *words]:
            yield from ("--health-cmd", word(shlex.join(map(as_text, words))))
        case str() as line:
            yield from ("--health-cmd", word(line))
        case None:
            pass
        case _:
            raise Unsaid
    for key, flag in _CHECK_TIMES.items():
        if key in check:
            yield from (f"--{flag}", word(as_text(check[key])))
    if "retries" in check:
        yield from ("--health-retries", word(as_text(check["retries"])))
    if check.keys() - {"test", "retries", "disable", *_CHECK_TIMES}:
        raise Unsaid
