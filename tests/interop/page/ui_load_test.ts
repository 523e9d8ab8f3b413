/**
 * `tlsboot ui` with thousands of requests, and while hundreds of machines join at once: its page stays small and
 * usable.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { startBrowser } from "../../support/browser.ts";
import { succeedProgram } from "../../support/child.ts";
import { isFullRun } from "../../support/full_run.ts";
import { type RunningInstance, startInstance } from "../../support/interop/instance.ts";
import { logIn } from "../../support/interop/ui.ts";
import { peerPath } from "../../support/peers/go.ts";
import { startUi } from "../../support/ui_client.ts";

const [REQUESTS, MACHINES] = isFullRun ? [10_000, 1_000] : [2_000, 200];
/** The rows of a page of the list and its maximum size in bytes, for any number of requests. */
const [ROWS, MAX_PAGE_BYTES] = [100, 200_000];

/** Runs the load program, which uses stock client-go. */
async function load(
  { bootstrapKubeconfig }: RunningInstance,
  mode: string,
  ...flags: readonly string[]
): Promise<void> {
  const args = [mode, `-kubeconfig=${bootstrapKubeconfig}`, "-timeout=5m", ...flags];
  await succeedProgram(peerPath("load"), args);
}

test(`ui: a page lists a hundred of ${REQUESTS} requests, further pages list the others, and a storm of ${MACHINES} machines leaves it usable`, async () => {
  await using instance = await startInstance({ args: ["--auto-approve"] });
  await load(instance, "create", `-requests=${REQUESTS}`, "-clients=16");
  await using browser = await startBrowser();
  await using ui = await startUi(["--kubeconfig", instance.adminKubeconfig], { cwd: instance.folder.path });
  const { page, problems, requests } = await logIn(browser, ui);
  assert.match(await page.$eval("main", ({ innerText }) => innerText), new RegExp(`${REQUESTS} requests are pending`));
  assert.equal((await page.$$("tbody tr")).length, ROWS);
  const bytes = await page.evaluate(
    "fetch(location.href).then((answer) => answer.text()).then(({ length }) => length)",
  );
  assert.ok(bytes as number < MAX_PAGE_BYTES, `${bytes} bytes`);
  await page.goto(`${ui.origin}/requests?page=${REQUESTS / ROWS}`);
  assert.equal((await page.$$("tbody tr")).length, ROWS);

  await page.goto(`${ui.origin}/requests?state=issued`);
  await page.focus("input[type=search]");
  const before = requests.length;
  const storm = { isOver: false };
  const storming = load(instance, "storm", `-nodes=${MACHINES}`).finally(() => storm.isOver = true);
  // Each key waits for the page, as when a person types.
  let typed = "";
  for (; !storm.isOver; typed += "n") await page.keyboard.type("n", { delay: 100 });
  await storming;
  await page.waitForFunction(`document.querySelector("caption")?.innerText.startsWith("${MACHINES} ")`, {
    polling: 100,
  });

  const { value, active } = await page.evaluate(
    "({ value: document.getElementById('q').value, active: document.activeElement.id })",
  ) as { readonly value: string; readonly active: string };
  assert.equal(value, typed, "the typed text");
  assert.equal(active, "q", "the focus stays in the field");
  assert.ok(requests.length > before, "the page was fetched");
  assert.deepEqual(problems, []);
});
