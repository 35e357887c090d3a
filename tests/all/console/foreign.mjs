// What a foreign page reaches: one whose own name leads to the host, and one that sends forms to it, reads it and frames it.
export default async ({ page, input }) => {
  const rebound = (await page.goto(`http://evil.test:${input.port}/`)).status();
  await page.goto("about:blank");
  const own = `http://127.0.0.1:${input.port}`;
  const form = page.waitForResponse(`${own}/v1/session`);
  await page.setContent(`<form method="post" action="${own}/v1/session"><input name="token" value="${input.admin}"><button>Go</button></form>`);
  await page.click("button");
  const status = (await form).status();
  await page.goto("about:blank");
  const read = await page.evaluate((url) => fetch(url, { credentials: "include" }).then(() => "reached", () => "refused"), `${own}/v1/plugins`);
  await page.setContent(`<iframe src="${own}/sign-in"></iframe>`);
  await page.waitForLoadState("networkidle");
  const framed = await page.frames().at(-1).evaluate(() => document.querySelector("#token")?.id ?? "").catch(() => "");
  return { rebound, form: status, read, framed };
};
