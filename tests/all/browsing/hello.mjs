// That a browser is there, does what it is told, and reaches nobody else.
export default async ({ page, input, screenshot, axe }) => {
  await page.goto(input.url);
  const heading = await page.textContent("h1");
  const inline = await page.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = "window.ran = true";
    document.body.append(script);
    return window.ran ?? false;
  });
  const stranger = await page.evaluate(() => fetch("http://example.com/").then(() => "reached", () => "refused"));
  await screenshot("hello");
  const named = await page.goto(input.url.replace("127.0.0.1", "weft.test"));
  return { heading, inline, stranger, named: named.status(), axe: (await axe()).map((found) => found.id) };
};
