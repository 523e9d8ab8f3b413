/** The flows of `tlsboot ui` that work with every Kubernetes API, in a browser with a mouse or only with a keyboard. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import type { Page } from "puppeteer-core";
import type { TestBrowser, WatchedPage } from "../browser.ts";
import { succeedTlsboot } from "../child.ts";
import { eventually } from "../eventually.ts";
import { submitFirstRequest } from "../node_requests.ts";
import { type RunningUi, startUi } from "../ui_client.ts";
import type { Cluster } from "./clusters.ts";
import { csrManifest } from "./openssl.ts";
import { untilAllowed } from "./kubectl.ts";
import { follow, INPUTS, logIn } from "./ui.ts";

export { AUDIT_POLICY } from "./control_plane.ts";

/** A cluster with its administrator alice, and a browser. */
export interface UiWorld {
  readonly cluster: Cluster;
  readonly browser: TestBrowser;
  readonly ui: RunningUi;
  /** A page of alice's session. */
  readonly alice: WatchedPage;
  readonly auditLog: string;
}

const signal = new AbortController().signal;
const link = (name: string) => `aria/${name}[role="link"]`;
const button = (name: string) => `aria/${name}[role="button"]`;

/** Creates a kubeconfig for a user, and binds a cluster role if there is one. */
async function createUser(
  { folder, adminKubeconfig, kubectl }: Cluster,
  name: string,
  role?: string,
): Promise<string> {
  const args = ["kubeconfig", "user", name, "--kubeconfig", adminKubeconfig];
  await succeedTlsboot(args, { cwd: folder.path });
  if (role !== undefined) {
    await kubectl.run("create", "clusterrolebinding", name, `--clusterrole=${role}`, `--user=${name}`);
  }
  return folder.join(`${name}.kubeconfig`);
}

/** Starts `tlsboot ui` for alice and signs her in. */
export async function startWorld(
  stack: AsyncDisposableStack,
  cluster: Cluster,
  browser: TestBrowser,
  auditLog: string,
): Promise<UiWorld> {
  const kubeconfig = await createUser(cluster, "alice", "cluster-admin");
  await untilAllowed(cluster.kubectl.as(kubeconfig), "approve", "signers/a.b");
  const ui = stack.use(await startUi(["--kubeconfig", kubeconfig], { cwd: cluster.folder.path }));
  return { cluster, browser, ui, alice: await logIn(browser, ui), auditLog };
}

async function submitRequest({ cluster: { kubectl } }: UiWorld, name: string): Promise<void> {
  await kubectl.create(await csrManifest(name));
}

/** Reads the text of a page's main element. */
export function readMain(page: Page): Promise<string> {
  return page.$eval("main", ({ innerText }) => innerText as string);
}

/** Waits until the page shows a text in an element, without a reload. */
async function waitForText(page: Page, selector: string, text: string): Promise<void> {
  const found = `[...document.querySelectorAll(${
    JSON.stringify(selector)
  })].some((element) => element.innerText.includes(${JSON.stringify(text)}))`;
  await page.waitForFunction(found, { polling: 50 }).catch(async (cause) => {
    throw new Error(`${page.url()}: ${selector} does not show ${text}\n${await readMain(page)}`, { cause });
  });
}

/** Declares a test of a flow, with a new tab of alice's session. */
export function testFlow(
  getWorld: () => UiWorld,
  name: string,
  run: (world: UiWorld, page: Page) => Promise<void>,
): void {
  test(name, async () => {
    const world = getWorld();
    const page = await world.browser.openTab(world.alice);
    try {
      await run(world, page);
    } finally {
      await page.close();
    }
  });
}

/** Waits until the audit log has a write by alice from tlsboot. */
async function assertAudited({ auditLog }: UiWorld, write: string): Promise<void> {
  await eventually(`alice ${write}`, async () => {
    const events = (await readFile(auditLog, "utf8")).trim().split("\n").map((line) => JSON.parse(line));
    return events.some(({ stage, verb, objectRef, user, userAgent }) =>
      stage === "ResponseComplete" && /^tlsboot/.test(userAgent) && user.username === "alice" &&
      `${verb === "patch" ? "update" : verb} ${objectRef?.name} ${objectRef?.subresource ?? ""}`.trim() === write
    ) || undefined;
  });
}

/** Declares the tests of the flows. `getWorld` is called when they run. */
export function testRequestFlows(getWorld: () => UiWorld): void {
  const flow = testFlow.bind(undefined, getWorld);

  flow("a new request appears on the open page, which keeps the typed text and the focus", async (world, page) => {
    const { ui } = world;
    await page.goto(`${ui.origin}/requests`);
    await page.evaluate("globalThis.isSamePage = true");
    await page.type("#q", "half a wo");
    await submitRequest(world, "anna");
    await page.waitForSelector(link("anna"));
    assert.equal(await page.evaluate("globalThis.isSamePage"), true);
    assert.equal(await page.evaluate("document.activeElement.value"), "half a wo");
  });

  flow("the title of a hidden tab counts the pending requests", async (world, page) => {
    await page.evaluateOnNewDocument(`
      Object.defineProperty(document, "hidden", { value: true });
      const every = setInterval;
      globalThis.setInterval = (run, ms) => every(run, Math.min(ms, 1000));
    `);
    await page.goto(`${world.ui.origin}/requests`);
    const before = await page.title();
    await submitRequest(world, "ada");
    await page.waitForFunction(`document.title !== ${JSON.stringify(before)}`, { polling: 100 });
    assert.match(await page.title(), /^\(\d+\) Requests/);
  });

  flow("a click works although a new request appears while the mouse button is down", async (world, page) => {
    await submitRequest(world, "abel");
    await page.goto(`${world.ui.origin}/requests`);
    await page.locator(link("abel")).hover();
    await page.mouse.down();
    const isFetched = page.waitForResponse((response) => response.request().headers()["x-refresh"] !== undefined);
    await submitRequest(world, "aaron");
    await (await isFetched).text();
    await follow(page, page.mouse.up());
    assert.match(page.url(), /\/requests\/abel$/);
    await page.goBack();
    await page.waitForSelector(link("aaron"));
  });

  for (const input of INPUTS) {
    const suffix = input === INPUTS[0] ? "mouse" : "keyboard";

    flow(`by ${input.name}: a request is approved, and its page shows that it is issued`, async (world, page) => {
      const { ui, cluster } = world;
      const name = `bert-${suffix}`;
      await submitRequest(world, name);
      await page.goto(`${ui.origin}/requests?q=bert`);
      await follow(page, input.press(page, link(name)));
      assert.match(await readMain(page), new RegExp(`user ${name}[^]*digital signature`));
      await follow(page, input.press(page, button("Approve")));
      assert.match(await readMain(page), /is approved/);
      await waitForText(page, ".state", "issued");
      assert.match(await cluster.kubectl.run("get", "csr", name), /Approved,Issued\n$/);
      assert.equal(await page.$(button("Approve")), null, "a decided request has no button");
      await assertAudited(world, `update ${name} approval`);
    });

    flow(`by ${input.name}: a request is denied with a reason, whose markup is escaped`, async (world, page) => {
      const { ui, cluster } = world;
      const name = `carl-${suffix}`;
      const reason = `<b>not</b> "known" & 'here'`;
      await submitRequest(world, name);
      await page.goto(`${ui.origin}/requests/${name}`);
      await input.fill(page, "#reason", reason);
      await follow(page, input.press(page, button("Deny")));
      const text = await readMain(page);
      assert.match(text, /is denied/);
      assert.ok(text.includes(reason), text);
      const template = "--output=jsonpath={.status.conditions[0].type} {.status.conditions[0].message}";
      const condition = await cluster.kubectl.run("get", "csr", name, template);
      assert.equal(condition, `Denied ${reason} (denied by user "alice" with tlsboot ui)`);
      await assertAudited(world, `update ${name} approval`);
    });

    flow(
      `by ${input.name}: the requests of expected machines are shown and then approved together`,
      async (world, page) => {
        const { ui, cluster } = world;
        const names = ["n1", "n2", "n3"].map((name) => `${name}-${suffix}`);
        for (const name of names) await submitFirstRequest(cluster.adminKubeconfig, `csr-${name}`, name, signal);
        await page.goto(`${ui.origin}/requests`);
        await follow(page, input.press(page, link("Approve the requests of expected machines")));
        await input.fill(page, "#machines", `${names[0]}\n${names[1]}\nn4-${suffix}`);
        await follow(page, input.press(page, button("Show what would be approved")));
        assert.match(
          await readMain(page),
          new RegExp(`${names[0]}[^]*${names[1]}[^]*n4-${suffix}[^]*has not requested a certificate yet`),
        );
        await follow(page, input.press(page, button("Approve 2 requests")));
        assert.match(await readMain(page), /2 requests are approved/);
        const state = async (name: string | undefined) => await cluster.kubectl.run("get", "csr", `csr-${name}`);
        assert.match(await state(names[0]), /Approved/);
        assert.match(await state(names[1]), /Approved/);
        assert.match(await state(names[2]), /Pending/);
        for (const name of names.slice(0, 2)) await assertAudited(world, `update csr-${name} approval`);
      },
    );

    flow(`by ${input.name}: the list is filtered by state and text`, async (world, page) => {
      const { ui, cluster } = world;
      const name = `gert-${suffix}`;
      for (const one of [name, `${name}-pending`]) await submitRequest(world, one);
      await cluster.kubectl.run("certificate", "deny", name);
      await page.goto(`${ui.origin}/requests`);
      await page.select("#state", "denied");
      await input.fill(page, "#q", name);
      await follow(page, input.press(page, button("Show")));
      // The page gets the requests by a watch, so wait.
      await waitForText(page, "tbody tr", name);
      const rows = await page.$$eval("tbody tr", (all) => all.map((one) => one.innerText as string));
      assert.equal(rows.length, 1, rows.join("\n"));
      assert.match(rows[0] ?? "", new RegExp(`denied[^]*${name}`));
    });

    flow(`by ${input.name}: a token is deleted, and no page shows its secret`, async (world, page) => {
      const { ui, cluster: { kubectl } } = world;
      const id = suffix.slice(0, 5).padStart(6, "0");
      const secret = {
        apiVersion: "v1",
        kind: "Secret",
        type: "bootstrap.kubernetes.io/token",
        metadata: { name: `bootstrap-token-${id}`, namespace: "kube-system" },
        stringData: { "token-id": id, "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true" },
      };
      await kubectl.create(JSON.stringify(secret));
      await page.goto(`${ui.origin}/tokens`);
      await follow(page, input.press(page, link(id)));
      assert.doesNotMatch(await page.content(), /0123456789abcdef/);
      await follow(page, input.press(page, button(`Delete token ${id}`)));
      assert.match(await readMain(page), new RegExp(`Token ${id} is deleted`));
      const found = await kubectl.try("get", "secret", "-n", "kube-system", `bootstrap-token-${id}`);
      assert.match(found.stderr, /not found/);
      await assertAudited(world, `delete bootstrap-token-${id}`);
    });
  }

  flow(
    "without JavaScript, a pending request is approved, and one that was denied meanwhile is not",
    async (world, page) => {
      const { ui, cluster } = world;
      await page.setJavaScriptEnabled(false);
      for (const name of ["dora", "emil"]) await submitRequest(world, name);
      await page.goto(`${ui.origin}/requests/dora`);
      await follow(page, INPUTS[0]!.press(page, button("Approve")));
      assert.match(await cluster.kubectl.run("get", "csr", "dora"), /Approved/);
      await page.goto(`${ui.origin}/requests/emil`);
      await cluster.kubectl.run("certificate", "deny", "emil");
      await follow(page, INPUTS[0]!.press(page, button("Approve")));
      assert.match(await readMain(page), /emil[^]*(?:changed|denied)/);
      assert.doesNotMatch(await cluster.kubectl.run("get", "csr", "emil"), /Approved/);
    },
  );

  test("a user without rights sees which are missing, and cannot approve", async () => {
    const { cluster, browser } = getWorld();
    await cluster.kubectl.run(
      ...["create", "clusterrole", "reader", "--verb=get,list,watch"],
      "--resource=certificatesigningrequests.certificates.k8s.io",
    );
    await submitRequest(getWorld(), "fred");
    const kubeconfig = await createUser(cluster, "vera", "reader");
    await untilAllowed(cluster.kubectl.as(kubeconfig), "list", "csr");
    await using ui = await startUi(["--kubeconfig", kubeconfig], { cwd: cluster.folder.path });
    const { page } = await logIn(browser, ui);
    await follow(page, INPUTS[0]!.press(page, link("fred")));
    const [answer] = await Promise.all([page.waitForNavigation(), INPUTS[0]!.press(page, button("Approve"))]);
    assert.equal(answer?.status(), 403);
    assert.match(await readMain(page), /vera[^]*cannot/);
    assert.match(await cluster.kubectl.run("get", "csr", "fred"), /Pending\n$/);
    for (const path of ["/machines", "/certificates", "/certificates/calendar", "/tokens", "/ca", "/activity"]) {
      const shown = await page.goto(ui.origin + path);
      assert.equal(shown?.status(), 200, path);
      assert.match(await readMain(page), /Not shown: /, path);
    }
  });
}
