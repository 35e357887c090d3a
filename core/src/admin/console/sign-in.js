// Exchanges a token for a session. One that comes in the link's fragment, which no server is sent, is taken out of the address at once.
const form = document.getElementById("form");
const field = document.getElementById("token");
const said = document.getElementById("said");

const signIn = async (token) => {
  said.textContent = "";
  let answer;
  try {
    answer = await fetch("/v1/session", { method: "POST", body: new URLSearchParams({ token }) });
  } catch {
    said.textContent = "The host does not answer.";
    return;
  }
  if (answer.ok) {
    location.replace("/");
    return;
  }
  const problem = await answer.json().catch(() => ({}));
  const wait = answer.headers.get("retry-after");
  said.textContent = `${problem.detail ?? `The host answers ${answer.status}.`}${wait ? ` (${wait} s)` : ""}`;
  field.focus();
};

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const token = field.value;
  field.value = "";
  signIn(token);
});

const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (location.hash) history.replaceState(null, "", "/sign-in");
if (given) signIn(given);
