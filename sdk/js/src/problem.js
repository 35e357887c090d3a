// Errors as the caller sees them: problem details after RFC 9457.

/** An error answer (`application/problem+json`): throw it. The host adds `instance` and `request_id`. */
export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.name = "Problem";
    this.status = status;
    this.detail = String(detail);
    this.kind = "";
    this.title = "";
    this.extensions = {};
  }

  static badRequest(detail) { return new Problem(400, detail); }
  static invalid(field, detail) { return new Problem(400, `${field}: ${detail}`).with("field", field); }
  static unauthorized(detail) { return new Problem(401, detail); }
  static forbidden(detail) { return new Problem(403, detail); }
  static notFound(what, id) { return new Problem(404, `there is no ${what} \`${id}\``); }
  static conflict(detail) { return new Problem(409, detail); }
  static unprocessable(detail) { return new Problem(422, detail); }
  static internal(detail) { return new Problem(500, detail); }
  static badGateway(detail) { return new Problem(502, detail); }
  static unavailable(detail) { return new Problem(503, detail); }
  static gatewayTimeout(detail) { return new Problem(504, detail); }

  /** Adds a member to the problem. */
  with(name, value) {
    this.extensions[name] = String(value);
    return this;
  }

  /** Sets `type`, a URI reference that names this kind of problem, and its title. */
  withKind(uri, title = "") {
    this.kind = uri;
    this.title = title;
    return this;
  }
}
