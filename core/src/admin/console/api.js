// What the host is asked. A session that is over leads to the sign-in.
let csrf = "";

/** Why there is no answer of use. */
export class Trouble extends Error {}

const asked = async (path, options) => {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: { accept: "application/json", ...options?.headers } });
  } catch {
    throw new Trouble("The host does not answer.");
  }
  if (answer.status === 401) {
    location.replace("/sign-in");
    throw new Trouble("The session is over.");
  }
  return answer;
};

const told = async (answer) => {
  const text = await answer.text();
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    value = { detail: text };
  }
  if (!answer.ok) throw new Trouble(value.detail ?? `The host answers ${answer.status}.`);
  return value;
};

export const get = async (path) => told(await asked(path));

/** The answer, or `null` where there is none. */
export const maybe = async (path) => {
  const answer = await asked(path);
  return answer.ok ? told(answer) : null;
};

/** A change: with what only a page of this host knows. */
export const send = async (method, path, value) => {
  const headers = { "x-weft-csrf": csrf, ...(value === undefined ? {} : { "content-type": "application/json" }) };
  const answer = await asked(path, { method, headers, body: value === undefined ? undefined : JSON.stringify(value) });
  return answer.status === 204 ? null : told(answer);
};

export const session = async () => {
  const known = await get("/v1/session");
  csrf = known.csrf ?? "";
  return known;
};
