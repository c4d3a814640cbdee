"""The page docs/api.md: its examples run, and it names what there is."""

import inspect
import re
from pathlib import Path

import pytest

import parexec_tui
from tests.docs.pages import page, quoted

PAGE = page("api")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_each_example_runs(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "example.py", "exec"), {"__name__": "example"})


@pytest.mark.parametrize("name", sorted({*parexec_tui.__all__} - {"__version__"}))
def test_each_name_and_each_method_is_on_the_page(name: str) -> None:
    words = {word for text in quoted(PAGE) for word in re.findall(r"\w+", text)}
    found = getattr(parexec_tui, name)
    assert name in words
    assert {each for each, _ in inspect.getmembers(found) if each in vars(found) and each[0] != "_"} <= words
