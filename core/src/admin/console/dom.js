// Elements. What is told by anybody else only ever becomes text.

/** `h("p", { class: "dim" }, "text", other)`: functions become listeners, all else attributes; `null` children are left out. */
export const h = (name, props, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(key, value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false).map((child) => (child instanceof Node ? child : String(child))));
  return element;
};

/** A table with a caption for those who don't see it. */
export const table = (caption, heads, rows, empty) => {
  if (rows.length === 0) return h("p", { class: "dim" }, empty);
  const head = (title) => h("th", { scope: "col", class: title.number && "number" }, title.text ?? title);
  const cell = (value, at) => h("td", { class: heads[at].number && "number" }, value);
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    h("table", null, h("caption", { class: "hidden" }, caption), h("thead", null, h("tr", null, heads.map(head))),
      h("tbody", null, rows.map((row) => h("tr", null, row.map(cell))))));
};

export const number = (text) => ({ text, number: true });
/** A state in a word, with a colour that says nothing more. */
export const badge = (text, kind) => h("span", { class: `badge ${kind ?? ""}` }, text);
export const ms = (value) => (value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2));
export const ago = (millis) => {
  const seconds = Math.max(0, Math.round((Date.now() - millis) / 1000));
  if (seconds < 90) return `${seconds} s ago`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min ago` : `${Math.round(seconds / 3600)} h ago`;
};
/** What a status means, as a class. */
export const kind = (status) => (status < 300 ? "good" : status < 500 ? "fair" : "bad");
