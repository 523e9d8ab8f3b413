/** `tlsboot ui` with `tlsboot up`, in Chromium: each flow, each page in light and dark, and the screenshots. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { after, before, describe } from "node:test";
import type { Page } from "puppeteer-core";
import { UI_PAGES } from "../../../ui/pages/mod.ts";
import { assertAccessible, startBrowser, takeScreenshot } from "../../support/browser.ts";
import type { Child } from "../../support/child.ts";
import { csrManifest } from "../../support/interop/openssl.ts";
import { type RunningInstance, startInstance } from "../../support/interop/instance.ts";
import {
  AUDIT_POLICY,
  readMain,
  startWorld,
  testFlow,
  testRequestFlows,
  type UiWorld,
} from "../../support/interop/ui_flows.ts";
import { follow, INPUTS } from "../../support/interop/ui.ts";
import { servingRequest, submitAs } from "../../support/node_requests.ts";
import { createTempFolder } from "../../support/temp.ts";

describe("ui with up", () => {
  const stack = new AsyncDisposableStack();
  let world: UiWorld;
  let instance: RunningInstance;
  before(async () => {
    const files = stack.use(await createTempFolder());
    await writeFile(files.join("policy.json"), AUDIT_POLICY);
    const audit = ["--audit-policy-file", files.join("policy.json"), "--audit-log-path", files.join("audit.log")];
    instance = stack.use(await startInstance({ args: audit }));
    const browser = stack.use(await startBrowser());
    world = await startWorld(stack, instance, browser, files.join("audit.log"));
  });
  after(() => stack.disposeAsync());

  const flow = testFlow.bind(undefined, () => world);

  for (const input of INPUTS) {
    const node = input === INPUTS[0] ? "web-01" : "web-02";

    flow(`by ${input.name}: a machine joins, and its certificate is revoked and taken back`, async ({ ui }, page) => {
      await page.goto(`${ui.origin}/requests?q=${node}`);
      await using joining = await startJoin(instance, node);
      const request = `main a::-p-text(node-csr-)`;
      await page.waitForSelector(request);
      await follow(page, input.press(page, request));
      await follow(page, input.press(page, `aria/Approve[role="button"]`));
      assert.equal((await joining.finished()).code, 0, joining.stderr());

      await page.goto(`${ui.origin}/machines`);
      await follow(page, input.press(page, `aria/${node}[role="link"]`));
      assert.match(await readMain(page), /Certificates of/);
      await follow(page, input.press(page, `main a[href^="/certificates/"]`));
      const serial = page.url().split("/").at(-1);
      await follow(page, input.press(page, `aria/Revoke this certificate…`));
      await page.select("select[name=reason]", "certificateHold");
      await input.fill(page, "[name=message]", "in repair");
      await follow(page, input.press(page, "main form [type=submit].danger"));
      assert.match(await readMain(page), /revoked/);
      const status = async () =>
        (await instance.tlsboot("describe", "certificate", serial!, "--data-dir", instance.dataDir)).stdout;
      assert.match(await status(), /revoked[^]*in repair/);
      assert.match(
        (await instance.kubectl.as(`${instance.folder.path}/${node}/kubeconfig`).try("get", "nodes")).stderr,
        /Unauthorized|logged in/,
      );

      await page.goto(`${ui.origin}/revocations`);
      await follow(page, input.press(page, `main a[href^="/revocations/"]::-p-text(${serial})`));
      await follow(page, input.press(page, `main form [type=submit]`));
      assert.match(await readMain(page), /no longer revoked/);
      assert.doesNotMatch(await status(), /in repair/);
    });
  }

  flow("screenshots of the pages are taken for the documentation", async ({ ui, cluster }, page) => {
    await cluster.kubectl.create(await csrManifest("jane"));
    await submitAs(instance.adminKubeconfig, await servingRequest("web-01"), new AbortController().signal);
    await using _waiting = await startJoin(instance, "nas");
    await page.goto(`${ui.origin}/requests?q=node+nas`);
    await page.waitForSelector("main tbody a");
    const request = await page.$eval("main tbody a", (link) => link.getAttribute("href") as string);
    const size = { width: 1000, height: 700 };
    for (
      const [name, path, options] of [
        ["ui-requests", "/requests", size],
        ["ui-request", request, { width: 1000, height: 1000 }],
        ["ui-machines", "/machines", { ...size, colorScheme: "dark" }],
        ["ui-calendar", "/certificates/calendar", size],
      ] as const
    ) {
      await page.goto(ui.origin + path);
      await takeScreenshot(page, name, options);
    }
  });

  testRequestFlows(() => world);

  flow("every page is accessible and fits, in light and dark, on a phone and on a large screen", async (
    { ui, alice: { requests, problems } },
    page,
  ) => {
    // Creates an object for each page.
    const data = ["--data-dir", instance.dataDir];
    await instance.kubectl.create(await csrManifest("june"));
    await using joining = await startJoin(instance, "db-01");
    await instance.succeed("approve", "db-01", ...data);
    assert.equal((await joining.finished()).code, 0, joining.stderr());
    await instance.succeed("revoke", "user/mallory", ...data, "--reason", "keyCompromise", "--yes");
    const paths = await findPaths(page, ui.origin);
    problems.length = 0;
    for (const path of paths) {
      for (const [width, colorScheme] of [[360, "dark"], [1920, "light"]] as const) {
        await page.setViewport({ width, height: 900 });
        await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: colorScheme }]);
        const answer = await page.goto(ui.origin + path);
        assert.equal(answer?.status(), 200, path);
        const wide = await page.evaluate("document.scrollingElement.scrollWidth") as number;
        assert.ok(wide <= width, `${path} is ${wide} pixels wide on a screen of ${width}`);
        await assertAccessible(page);
      }
    }
    assert.deepEqual(problems, [], "nothing violates the Content-Security-Policy, and nothing fails");
    assert.deepEqual(requests.filter((url) => !url.startsWith(ui.origin)), [], "nothing is loaded from elsewhere");
  });
});

/** Starts the bootstrap of a machine, and returns once it waits for its approval. */
async function startJoin(
  { folder, bootstrapKubeconfig, spawnTlsboot }: RunningInstance,
  node: string,
): Promise<Child> {
  const running = spawnTlsboot(
    ...["bootstrap", "--bootstrap-kubeconfig", bootstrapKubeconfig, "--hostname-override", node],
    ...["--kubeconfig", folder.join(node, "kubeconfig"), "--cert-dir", folder.join(node, "pki")],
  );
  await running.waitFor(/waiting for approval/);
  return running;
}

/** Finds an address for every page, in the navigation or as the first link to it. */
async function findPaths(page: Page, origin: string): Promise<readonly string[]> {
  const found = new Map<string, string>();
  const waiting = UI_PAGES.flatMap(({ path, nav }) => nav === undefined ? [] : [path]);
  for (const path of waiting) {
    const known = UI_PAGES.find((one) => isPath(one.path, path))?.path;
    if (known === undefined || found.has(known)) continue;
    found.set(known, path);
    await page.goto(origin + path);
    waiting.push(...await page.$$eval("main a[href^='/']", (links) => links.map((link) => link.getAttribute("href"))));
  }
  assert.deepEqual([...found.keys()].sort(), UI_PAGES.map(({ path }) => path).sort(), "a page has no link to it");
  return [...found.values()];
}

/** Reports whether an address belongs to a page, whose path may have variables. A fixed path takes precedence. */
function isPath(pattern: string, address: string): boolean {
  const path = address.replace(/[?#].*/, "");
  if (UI_PAGES.some((page) => page.path === path)) return pattern === path;
  return new RegExp(`^${pattern.replace(/:\w+/g, "[^/]+")}$`).test(path);
}
