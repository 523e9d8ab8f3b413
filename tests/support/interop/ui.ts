/** Uses the pages of `tlsboot ui` with a mouse, or only with a keyboard. */
import assert from "node:assert/strict";
import type { ElementHandle, Page } from "puppeteer-core";
import type { PageOptions, TestBrowser, WatchedPage } from "../browser.ts";
import type { RunningUi } from "../ui_client.ts";

/** The globals that functions in the browser use. The tests are checked without the types of a browser. */
declare const document: { readonly activeElement: unknown };
declare function getComputedStyle(element: unknown): { readonly outlineStyle: string; readonly boxShadow: string };

/** Opens the link, which starts a session. */
export async function logIn(
  browser: TestBrowser,
  { link, origin }: RunningUi,
  options?: PageOptions,
): Promise<WatchedPage> {
  const watched = await browser.openPage(options);
  await watched.page.goto(link);
  assert.equal(watched.page.url(), `${origin}/requests`, "the link leads to the requests, without its key");
  return watched;
}

/** A way to use a page. Controls are puppeteer selectors, such as `aria/Approve[role="button"]`. */
interface Input {
  readonly name: string;
  /** Activates a link or a button, or changes a checkbox. */
  press(page: Page, control: string): Promise<void>;
  /** Replaces the text of a field. */
  fill(page: Page, field: string, text: string): Promise<void>;
}

const MOUSE: Input = {
  name: "the mouse",
  async press(page, control) {
    await findControl(page, control);
    // A locator finds the control again after a redraw. Waiting for a stable bounding box would need JavaScript.
    await page.locator(control).setWaitForStableBoundingBox(false).click();
  },
  async fill(page, field, text) {
    await (await findControl(page, field)).click({ count: 3 });
    await page.keyboard.type(text);
  },
};

const KEYBOARD: Input = {
  name: "the keyboard",
  async press(page, control) {
    const isCheckbox = await (await tabTo(page, control)).evaluate((element) => element.matches("[type=checkbox]"));
    await page.keyboard.press(isCheckbox ? "Space" : "Enter");
  },
  async fill(page, field, text) {
    await tabTo(page, field);
    await page.keyboard.down("Control");
    await page.keyboard.press("a");
    await page.keyboard.up("Control");
    await page.keyboard.type(text);
  },
};

/** The ways to use a page. Every flow is tested with each. */
export const INPUTS: readonly Input[] = [MOUSE, KEYBOARD];

/** Waits for an action and for the page that it opens. */
export async function follow(page: Page, act: Promise<void>): Promise<void> {
  await Promise.all([page.waitForNavigation(), act]);
}

/** Waits until a control is visible. */
async function findControl(page: Page, control: string): Promise<ElementHandle> {
  const found = await page.waitForSelector(control, { visible: true }).catch((error: unknown) => {
    throw new Error(`${page.url()} has no ${control}`, { cause: error });
  });
  assert.ok(found !== null);
  return found;
}

/** The largest number of Tab presses to reach a control. */
const MAX_TABS = 300;

/** Moves the focus to a control with Tab, and asserts that the focus is visible. */
async function tabTo(page: Page, control: string): Promise<ElementHandle> {
  await findControl(page, control);
  for (let tabs = 0; tabs < MAX_TABS; tabs++) {
    await page.keyboard.press("Tab");
    // Find it again each time, because the page may have been redrawn.
    const found = await findControl(page, control);
    if (!await found.evaluate((element) => element === document.activeElement)) continue;
    const { outlineStyle, boxShadow } = await found.evaluate((element) => {
      const { outlineStyle, boxShadow } = getComputedStyle(element);
      return { outlineStyle, boxShadow };
    });
    assert.ok(outlineStyle !== "none" || boxShadow !== "none", `${page.url()}: the focus on ${control} is not visible`);
    return found;
  }
  throw new Error(`${page.url()}: pressing Tab ${MAX_TABS} times does not reach ${control}`);
}
