/** Debian's Chromium without a window, for tests of pages: a profile of its own, no names but ours, and nothing missed. */
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import puppeteer, { type Browser, type BrowserContext, type Page } from "puppeteer-core";
import { ROOT } from "./child.ts";
import { createTempFolder } from "./temp.ts";

/** The program of Debian's package `chromium`, which `deno task debian-packages` installs. */
const CHROMIUM = "/usr/bin/chromium";

/** How long the browser and a page have for one step, on a machine that does other work too, in milliseconds. */
const PATIENCE_MS = 180_000;

/** The folder of the pictures that the README and the guides show. */
const SCREENSHOTS = join(ROOT, "docs", "images");

/** How to start a browser. */
interface BrowserOptions {
  /** Names that the browser finds, and their addresses, with a port or without: `{ "evil.example": "127.0.0.1" }`. */
  readonly hosts?: Readonly<Record<string, string>>;
  /** The home folder: the CAs of its `.pki/nssdb` are trusted. It is a temporary folder unless one is given. */
  readonly home?: string;
}

/** How a page is shown. */
export interface PageOptions {
  readonly width?: number;
  readonly height?: number;
  readonly colorScheme?: "light" | "dark";
  /** False when scripts do not run. */
  readonly javascript?: boolean;
}

/** A page and all that Chromium complained of while it was shown. */
export interface WatchedPage {
  readonly page: Page;
  /** Errors and warnings of the console, among them violations of the Content-Security-Policy, and uncaught exceptions. */
  readonly problems: string[];
  /** The URL of every request that the page made. */
  readonly requests: string[];
}

/** A browser. Disposing it ends all of its processes. */
export interface TestBrowser extends AsyncDisposable {
  readonly browser: Browser;
  /** Opens a page with cookies and storage of its own, as if another person had started the browser. */
  openPage(options?: PageOptions): Promise<WatchedPage>;
  /** Opens another page with the cookies of one, and adds its problems and requests to those of that page. */
  openTab(watched: WatchedPage): Promise<Page>;
}

/**
 * Starts Chromium. It finds no host but loopback and those that are given. Its commands come through a pipe, so it ends
 * with the process of the test, even when that is killed.
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
    timeout: PATIENCE_MS,
    userDataDir: folder.join("profile"),
    env: { ...process.env, HOME: home ?? folder.path },
    args: [
      `--host-resolver-rules=${rules.join(",")}`,
      // Chromium's sandbox does not work for root, as whom tests run in containers.
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
  page.setDefaultTimeout(PATIENCE_MS);
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
 * Takes a picture of the page for the documents, always of the same size, and writes it as `docs/images/NAME.webp` when
 * TLSBOOT_UPDATE_SCREENSHOTS is 1: two runs never show the same times, so that nothing is compared.
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

/** Runs axe-core on the page that is shown and fails with each violation and the elements that it is about. */
export async function assertAccessible(page: Page): Promise<void> {
  // Evaluated through the protocol, which the page's Content-Security-Policy does not forbid.
  await page.evaluate(await readFile("node_modules/axe-core/axe.min.js", "utf8"));
  const found = await page.evaluate(`axe.run({ resultTypes: ["violations"] }).then(({ violations }) =>
    violations.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.map((node) => node.html + ": " + node.failureSummary) }))
  )`);
  assert.deepEqual(found, [], `${page.url()} keeps people with disabilities from using it`);
}
