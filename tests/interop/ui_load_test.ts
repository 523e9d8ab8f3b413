/** `tlsboot ui` with ten thousand requests, and while a thousand machines join at once: its page stays small and answers. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startBrowser, type TestBrowser } from "../support/browser.ts";
import { runProgram } from "../support/child.ts";
import { type RunningInstance, startInstance } from "../support/interop/instance.ts";
import { logIn } from "../support/interop/ui.ts";
import { peerPath } from "../support/peers/go.ts";
import { type RunningUi, startUi } from "../support/ui_client.ts";

const REQUESTS = 10_000;
const MACHINES = 1_000;
/** The rows of a page of the list, and its largest size in bytes, which do not depend on the number of requests. */
const [ROWS, LARGEST_PAGE] = [100, 200_000];

let instance: RunningInstance;
let browser: TestBrowser;
let ui: RunningUi;
before(async () => {
  instance = await startInstance({ args: ["--auto-approve"] });
  await load("create", `-requests=${REQUESTS}`, "-clients=16");
  browser = await startBrowser();
  ui = await startUi(["--kubeconfig", instance.adminKubeconfig], { cwd: instance.folder.path });
});
after(async () => {
  for (const one of [ui, browser, instance]) await one[Symbol.asyncDispose]();
});

/** Runs the program that puts load on the server, with stock client-go. */
async function load(mode: string, ...flags: readonly string[]): Promise<void> {
  const args = [mode, `-kubeconfig=${instance.bootstrapKubeconfig}`, "-timeout=5m", ...flags];
  const { code, stderr } = await runProgram(peerPath("load"), args);
  assert.equal(code, 0, stderr);
}

test(`ui: of ${REQUESTS} requests a page shows a hundred, and the rest is found; a storm of ${MACHINES} machines leaves it usable`, async () => {
  const { page, problems, requests } = await logIn(browser, ui);
  assert.match(await page.$eval("main", ({ innerText }) => innerText), new RegExp(`${REQUESTS} requests are pending`));
  assert.equal((await page.$$("tbody tr")).length, ROWS);
  const bytes = await page.evaluate(
    "fetch(location.href).then((answer) => answer.text()).then(({ length }) => length)",
  );
  assert.ok(bytes as number < LARGEST_PAGE, `${bytes} bytes`);
  await page.goto(`${ui.origin}/requests?page=${REQUESTS / ROWS}`);
  assert.equal((await page.$$("tbody tr")).length, ROWS);

  await page.goto(`${ui.origin}/requests?state=issued`);
  await page.evaluate(WATCH);
  await page.focus("input[type=search]");
  const before = requests.length;
  const storm = { isOver: false };
  const startedMs = performance.now();
  const storming = load("storm", `-nodes=${MACHINES}`).finally(() => storm.isOver = true);
  // Each key waits for the page, as a person who sees what is typed.
  let typed = "";
  for (; !storm.isOver; typed += "n") await page.keyboard.type("n", { delay: 100 });
  await storming;
  const seconds = (performance.now() - startedMs) / 1000;
  await page.waitForFunction(`document.querySelector("caption")?.innerText.startsWith("${MACHINES} ")`, {
    polling: 100,
  });

  const { busyMs, longestMs, value, active } = await page.evaluate("globalThis.watched()") as Watched;
  assert.equal(value, typed, "nothing that was typed is lost");
  assert.equal(active, "q", "the focus stays where it was");
  // Half of the time, because on a machine that does other work too the page waits while it is busy.
  assert.ok(busyMs < seconds * 1000 / 2, `the page was busy for ${busyMs} ms of ${seconds} s, ${longestMs} ms at once`);
  const fetched = requests.length - before;
  assert.ok(fetched > 0 && fetched < 2 * seconds + 5, `the page was fetched ${fetched} times in ${seconds} s`);
  assert.deepEqual(problems, []);
});

interface Watched {
  /** The time that the page was busy for longer than 50 ms at once, and the longest of these times. */
  readonly busyMs: number;
  readonly longestMs: number;
  /** The text of the field in which a person types, and the id of the element that has the focus. */
  readonly value: string;
  readonly active: string;
}

/** Watches in the browser how long the page's thread is busy. */
const WATCH = `{
  const times = [];
  new PerformanceObserver((list) => times.push(...list.getEntries().map(({ duration }) => duration)))
    .observe({ type: "longtask" });
  globalThis.watched = () => ({
    busyMs: times.reduce((sum, one) => sum + one, 0),
    longestMs: Math.max(0, ...times),
    value: document.getElementById("q").value,
    active: document.activeElement.id,
  });
}`;
