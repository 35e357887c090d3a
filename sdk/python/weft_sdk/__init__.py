"""Plugins for Weft in Python: endpoints declared in code, typed clients for the protos that plugin.toml grants, tests without a host."""

from .answers import Answer
from .app import App, DeclaredProblem, Identity, Request
from .call_error import CallError
from .calls import Call, Meta
from .host import cache, config, log
from .problem import Problem
from .selection import Fields
from .shapes import Int32, Schema, Uint32
from .tasks import gather, gather_all, sleep, start, wait_for

__all__ = [
    "Answer", "App", "Call", "CallError", "DeclaredProblem", "Fields", "Identity", "Int32", "Meta", "Problem", "Request", "Schema",
    "Uint32", "cache", "config", "gather", "gather_all", "log", "sleep", "start", "wait_for",
]  # fmt: skip
