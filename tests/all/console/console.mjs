// Signs in by a link, tries an endpoint, looks at every view in light and dark, on a phone, and by the keyboard.
export default async ({ page, input, screenshot, axe }) => {
  const base = `http://localhost:${input.port}`;
  const told = { axe: {}, wide: [] };
  const look = async (name) => {
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      const found = await axe();
      if (found.length) told.axe[`${name} ${colorScheme}`] = found;
      await screenshot(`console-${name}-${colorScheme}`);
    }
    await page.setViewportSize({ width: 375, height: 2000 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (wide > 0) told.wide.push(`${name}: ${wide}`);
    await screenshot(`console-${name}-phone`);
    await page.setViewportSize({ width: 1280, height: 800 });
  };

  await page.goto(`${base}/`);
  await page.waitForURL(`${base}/sign-in`);
  await page.fill("#token", "none of them");
  await page.keyboard.press("Enter");
  await page.locator("#said:not(:empty)").waitFor();
  await look("sign-in");
  // A wrong token is no fault of the page.
  await page.goto("about:blank");
  await page.goto(`${base}/sign-in#token=${input.admin}`);
  await page.locator("nav a").first().waitFor();
  told.address = page.url();

  const entry = page.locator(".entry", { hasText: "/films/{id}" }).first();
  await entry.waitFor();
  await page.locator(".endpoints input[type=search]").focus();
  await page.keyboard.type("/films/{id}");
  await page.keyboard.press("Tab");
  told.keyboard = await page.evaluate(() => document.activeElement.textContent);
  await page.keyboard.press("Enter");
  await page.getByLabel("id path").fill("1");
  await page.getByRole("button", { name: "Try it" }).click();
  await page.locator(".waterfall").waitFor();
  told.body = await page.locator(".outcome .body").textContent();
  told.call = await page.locator("pre[aria-label='As a call']").textContent();
  told.waterfall = await page.locator(".waterfall").textContent();
  for (const summary of await page.locator(".chosen details > summary").all()) await summary.click();
  await look("play");

  await page.fill(".endpoints input[type=search]", "/me");
  await page.locator(".entry:visible", { hasText: "/me" }).first().click();
  await page.locator("input[type=password]").fill(input.caller);
  await page.getByRole("button", { name: "Try it" }).click();
  await page.locator(".outcome .badge.good").first().waitFor();
  told.me = await page.locator(".outcome .body").textContent();
  told.curl = await page.locator("pre[aria-label='As a command']").textContent();

  for (const view of ["requests", "plugins", "backends", "configuration"]) {
    await page.goto(`${base}/#/${view}`);
    await page.locator(`.${view} table`).first().waitFor();
    told[view] = await page.locator("main").textContent();
    await look(view);
  }
  told.owned = await page.evaluate(() => window.owned ?? null);
  told.stored = await page.evaluate(() => localStorage.length + sessionStorage.length);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL(`${base}/sign-in`);
  told.left = page.url();
  return told;
};
