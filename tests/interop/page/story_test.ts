/** Clicks through the page of `tlsboot demo --ui` in Chromium, from the first step of its story to the last. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "puppeteer-core";
import { STEP_IDS, STEPS } from "../../../ui/story/chapters.ts";
import { assertAccessible, startBrowser, takeScreenshot } from "../../support/browser.ts";
import { spawnTlsboot } from "../../support/child.ts";
import { createTempFolder } from "../../support/temp.ts";

const CAST = { count: 2, victim: "node-2" };

test("the page of demo --ui shows every step, its reasons and the picture, and waits for the button", async () => {
  await using folder = await createTempFolder();
  await using demo = spawnTlsboot(["demo", "--nodes", "2", "--ui", "--step"], { cwd: folder.path });
  const [link = ""] = await demo.waitFor(/http:\/\/\S+key=\S+/);
  await using browser = await startBrowser();
  const { page, problems, requests } = await browser.openPage();
  await page.goto(link);
  assert.equal(new URL(page.url()).pathname, "/story");
  await assertAccessible(page);
  for (const [index, id] of STEP_IDS.entries()) {
    await page.waitForFunction(`document.getElementById("controls").textContent.includes("is running") === false`);
    await Promise.all([page.waitForNavigation(), page.click("#next")]);
    await waitForText(page, "#present", `step ${index + 1} of ${STEP_IDS.length}`);
    const shownText = await readText(page, "#present");
    const { title, happens, why, without } = STEPS[id];
    for (const words of [title(CAST), happens, why, without]) {
      assert.ok(shownText.includes(words), `${id}: ${shownText}`);
    }
    const want = PICTURE[id];
    if (want !== undefined) await waitForText(page, "#picture", want);
    if (id === "theft") await takeScreenshot(page, "ui-story", { width: 980, height: 700 });
  }
  await waitForText(page, "#controls", "The story has ended");
  const done = await readText(page, "#picture");
  assert.match(done, /node-2: valid until .*sleeper: valid until .*The thief is locked out\./);
  await assertAccessible(page);
  assert.deepEqual(problems, []);
  assert.deepEqual(requests.filter((url) => new URL(url).origin !== new URL(link).origin), []);

  await page.setViewport({ width: 360, height: 740 });
  assert.equal(await page.evaluate("document.documentElement.scrollWidth"), 360);
  await assertAccessible(page);
  demo.kill("SIGINT");
  assert.equal((await demo.finished()).code, 0);
});

/** The text that the picture shows after a step. */
const PICTURE: Readonly<Partial<Record<keyof typeof STEPS, string>>> = {
  authority: "The certificate authority is tlsboot-ca.",
  request: "Requests: 2 pending.",
  hand: "issued, by a person",
  issue: "issued, by a rule",
  refusal: "403 Forbidden",
  renewal: "node-1issued, by a rulemalloryrefused",
  short: "sleeper: switched off",
  expired: "sleeper: certificate expired.",
  recovery: "sleeper: valid until",
  theft: "A thief watches all requests.",
  revocation: "node-2: certificate revoked.",
  replacement: "issued, by its token",
};

async function readText(page: Page, selector: string): Promise<string> {
  return String(await page.evaluate(`document.querySelector(${JSON.stringify(selector)}).textContent`));
}

async function waitForText(page: Page, selector: string, text: string): Promise<void> {
  const place = `document.querySelector(${JSON.stringify(selector)})`;
  try {
    await page.waitForFunction(`${place}?.textContent.includes(${JSON.stringify(text)})`);
  } catch (cause) {
    throw new Error(`${selector} does not show ${text}: ${await readText(page, selector)}`, { cause });
  }
}
