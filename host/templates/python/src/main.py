"""Greets whoever calls."""

from dataclasses import dataclass
from typing import Annotated

from weft_sdk import App, Schema

app = App()


@dataclass
class Greeting:
    text: str


@app.get("/greetings/{name}")
async def greet(name: Annotated[str, Schema(max_length=100)]) -> Greeting:
    """Greets the one who is named in the path."""
    return Greeting(text=f"Hello, {name}!")
