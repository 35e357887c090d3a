// The page in a browser, against the demo.
export default async ({ page, input, screenshot, axe }) => {
  await page.goto(input.url);
  await page.waitForSelector("body[data-ready]");
  const newest = await page.locator("#newest li").allTextContents();
  const call = (name, ...all) => page.evaluate(([name, all]) => window[name](...all), [name, all]);
  const films = [await call("showFilm", 1), await call("showFilm", 1)];
  const shown = { title: await page.textContent("#title"), cast: await page.locator("#cast li").first().textContent() };
  const missing = await call("showFilm", 999999);
  const problem = await page.textContent("#problem");
  const anonymous = await call("rate", 1, 5);
  await call("signIn", input.token);
  const rated = await call("rate", 1, 5);
  await screenshot("typed-client");
  return { newest, films, shown, missing, problem, anonymous, rated, axe: (await axe()).map((found) => found.id) };
};
