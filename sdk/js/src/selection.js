// Which members of an answer a request asks for: `?fields=title,cast.actor.name`. The host has checked it, and cuts the answer by it.

/** The members that are asked for; by default all. */
export class Selection {
  constructor(paths) {
    this.paths = paths;
  }

  static all() {
    return new Selection(undefined);
  }

  static of(query) {
    const values = query.filter(([name]) => name === "fields").map(([, value]) => value);
    if (values.length === 0) return Selection.all();
    return new Selection(values.join(",").split(",").map((path) => path.trim()));
  }

  /** Whether something of this member is asked for, so that a handler need not make what nobody wants. */
  has(path) {
    if (this.paths === undefined) return true;
    return this.paths.some((one) => one === path || one.startsWith(`${path}.`) || path.startsWith(`${one}.`));
  }
}
