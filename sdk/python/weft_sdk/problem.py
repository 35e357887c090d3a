"""Errors as the caller sees them: problem details after RFC 9457."""

from __future__ import annotations


class Problem(Exception):
    """An error answer (`application/problem+json`): raise it. The host adds `instance` and `request_id`."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = str(detail)
        self.kind = ""
        self.title = ""
        self.extensions: dict[str, str] = {}

    @staticmethod
    def bad_request(detail: str) -> Problem:
        return Problem(400, detail)

    @staticmethod
    def invalid(field: str, detail: str) -> Problem:
        """400, with the field at fault, as in `body.stars`."""
        return Problem(400, f"{field}: {detail}").having("field", field)

    @staticmethod
    def unauthorized(detail: str) -> Problem:
        return Problem(401, detail)

    @staticmethod
    def forbidden(detail: str) -> Problem:
        return Problem(403, detail)

    @staticmethod
    def not_found(what: str, id: object) -> Problem:
        return Problem(404, f"there is no {what} `{id}`")

    @staticmethod
    def conflict(detail: str) -> Problem:
        return Problem(409, detail)

    @staticmethod
    def unprocessable(detail: str) -> Problem:
        return Problem(422, detail)

    @staticmethod
    def internal(detail: str) -> Problem:
        return Problem(500, detail)

    @staticmethod
    def bad_gateway(detail: str) -> Problem:
        return Problem(502, detail)

    @staticmethod
    def unavailable(detail: str) -> Problem:
        return Problem(503, detail)

    @staticmethod
    def gateway_timeout(detail: str) -> Problem:
        return Problem(504, detail)

    def having(self, name: str, value: object) -> Problem:
        """Adds a member to the problem."""
        self.extensions[name] = str(value)
        return self

    def with_kind(self, uri: str, title: str = "") -> Problem:
        """Sets `type`, a URI reference that names this kind of problem, and its title."""
        self.kind = uri
        self.title = title
        return self
