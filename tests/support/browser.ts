/**
 * Debian's Chromium in headless mode, for tests of pages. It has a temporary profile and resolves no other host names.
 */
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import puppeteer, { type Browser, type BrowserContext, type Page } from "puppeteer-core";
import { ROOT } from "./child.ts";
import { createTempFolder } from "./temp.ts";

/** The program of Debian's package `chromium`, which `deno task debian-packages` installs. */
const CHROMIUM = "/usr/bin/chromium";

/** The longest time for one step of the browser or a page, on a busy machine, in milliseconds. */
const STEP_TIMEOUT_MS = 180_000;

/** The folder of the pictures that the README and the guides show. */
const SCREENSHOTS = join(ROOT, "docs", "images");

/** How to start a browser. */
interface BrowserOptions {
  /** Host names that the browser resolves, each with an address that may have a port. */
  readonly hosts?: Readonly<Record<string, string>>;
  /** The home folder, a temporary one by default. The CAs in its `.pki/nssdb` are trusted. */
  readonly home?: string;
}

/** How a page is shown. */
export interface PageOptions {
  readonly width?: number;
  readonly height?: number;
  readonly colorScheme?: "light" | "dark";
  /** False to turn scripts off. */
  readonly javascript?: boolean;
}

/** A page, and the problems that Chromium reported for it. */
export interface WatchedPage {
  readonly page: Page;
  /** Console errors and warnings, including Content-Security-Policy violations, and uncaught exceptions. */
  readonly problems: string[];
  /** The URL of every request that the page made. */
  readonly requests: string[];
}

/** A browser. Disposing it ends all of its processes. */
export interface TestBrowser extends AsyncDisposable {
  readonly browser: Browser;
  /** Opens a page with its own cookies and storage, as if another person had started the browser. */
  openPage(options?: PageOptions): Promise<WatchedPage>;
  /** Opens another page with the same cookies. Its problems and requests are added to those of the first page. */
  openTab(watched: WatchedPage): Promise<Page>;
}

/**
 * Starts Chromium, which reaches only loopback and the given hosts. It is controlled through a pipe, so it ends with
 * the process of the test, even when that is killed.
 */
export async function startBrowser({ hosts = {}, home }: BrowserOptions = {}): Promise<TestBrowser> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await createTempFolder());
  const rules = [
    ...Object.entries(hosts).map(([name, address]) => `MAP ${name} ${address}`),
    "MAP * ~NOTFOUND",
    "EXCLUDE 127.0.0.1",
    "EXCLUDE localhost",
  ];
  const browser = await puppeteer.launch({
    executablePath: CHROMIUM,
    pipe: true,
    timeout: STEP_TIMEOUT_MS,
    userDataDir: folder.join("profile"),
    env: { ...process.env, HOME: home ?? folder.path },
    args: [
      `--host-resolver-rules=${rules.join(",")}`,
      // Chromium's sandbox does not work for root, the user of tests in containers.
      ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
    ],
  });
  stack.defer(() => browser.close());
  const owned = stack.move();
  return {
    browser,
    async openPage(options = {}) {
      const watched = { problems: [], requests: [] };
      return { page: await openPage(await browser.createBrowserContext(), watched, options), ...watched };
    },
    openTab: (watched) => openPage(watched.page.browserContext(), watched, {}),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function openPage(
  context: BrowserContext,
  { problems, requests }: Omit<WatchedPage, "page">,
  { width = 1280, height = 800, colorScheme = "light", javascript = true }: PageOptions,
): Promise<Page> {
  const page = await context.newPage();
  page.setDefaultTimeout(STEP_TIMEOUT_MS);
  await page.setViewport({ width, height });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: colorScheme }]);
  await page.setJavaScriptEnabled(javascript);
  page.on("console", (message) => {
    if (["error", "warn", "issue", "assert"].includes(message.type())) {
      problems.push(`${message.type()}: ${message.text()} (${message.location().url ?? page.url()})`);
    }
  });
  page.on("pageerror", (error) => problems.push(`uncaught: ${String(error)}`));
  page.on("request", (request) => requests.push(request.url()));
  return page;
}

/** Larger pictures would make every clone of the repository slower. */
const MAX_SCREENSHOT_BYTES = 80_000;

/**
 * Takes a screenshot for the documents and writes it to `docs/images/NAME.webp` when TLSBOOT_UPDATE_SCREENSHOTS is 1.
 * It compares nothing, because the times on a page differ between runs.
 */
export async function takeScreenshot(
  page: Page,
  name: string,
  { width, height, colorScheme = "light" }: Required<Pick<PageOptions, "width" | "height">> & PageOptions,
): Promise<void> {
  await page.setViewport({ width, height });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: colorScheme }]);
  const image = await page.screenshot({ type: "webp", quality: 70 });
  assert.ok(image.length < MAX_SCREENSHOT_BYTES, `the picture ${name} has ${image.length} bytes`);
  if (process.env["TLSBOOT_UPDATE_SCREENSHOTS"] !== "1") return;
  await mkdir(SCREENSHOTS, { recursive: true });
  await writeFile(join(SCREENSHOTS, `${name}.webp`), image);
}

/** Runs axe-core on the page, and fails with each violation and its elements. */
export async function assertAccessible(page: Page): Promise<void> {
  // The protocol evaluates it despite the page's Content-Security-Policy.
  await page.evaluate(await readFile("node_modules/axe-core/axe.min.js", "utf8"));
  const found = await page.evaluate(`axe.run({ resultTypes: ["violations"] }).then(({ violations }) =>
    violations.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.map((node) => node.html + ": " + node.failureSummary) }))
  )`);
  assert.deepEqual(found, [], `${page.url()} keeps people with disabilities from using it`);
}
