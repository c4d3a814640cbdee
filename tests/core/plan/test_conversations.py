"""Prompts in files, and conversations that go on, as a plan file has them."""

import pytest

from parexec_tui.core.plan.reading.file import parse_plan
from tests.core.plan.documents import faults_of

AGENT = '[agents.c]\nkind = "claude"\n[defaults]\nprompt = "p"\n'


