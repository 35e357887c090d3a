// Greets whoever calls.

import { App, Problem, t } from "weft-sdk";

const app = new App();

const greet = {
  summary: "Greets the one who is named in the path.",
  params: { name: t.string() },
  response: t.named("Greeting", t.object({ text: t.string() })),
};

app.get("/greetings/{name}", greet, async ({ params: { name } }) => {
  if (name.length > 100) throw Problem.invalid("path.name", "is longer than 100 characters");
  return { text: `Hello, ${name}!` };
});

export default app;
