/** Attacks on `tlsboot ui` by other pages in the same browser, and by the objects that it shows. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import type { Page } from "puppeteer-core";
import { Secret } from "../../../core/lib/brand.ts";
import { encodeKubeconfig } from "../../../core/kube/kubeconfig/kubeconfig.ts";
import { startBrowser, type TestBrowser } from "../../support/browser.ts";
import { type FakeAnswer, startFakeApi } from "../../support/fake_api.ts";
import { eventually } from "../../support/eventually.ts";
import { createHostileObjects, hostileAnswer } from "../../support/hostile_api.ts";
import { HOSTILE } from "../../support/hostile_text.ts";
import { csrManifest } from "../../support/interop/openssl.ts";
import { type RunningInstance, startInstance } from "../../support/interop/instance.ts";
import { logIn } from "../../support/interop/ui.ts";
import { listenOnLoopback, type LoopbackServer } from "../../support/loopback_server.ts";
import { createSecretRun } from "../../support/secret_search.ts";
import { createTempFolder } from "../../support/temp.ts";
import { openLink, type RunningUi, startUi } from "../../support/ui_client.ts";

/** A host name of the attacker that resolves to this machine. */
const EVIL = "evil.example";
const REFUSED = /^(?:403|405|421) /;

let instance: RunningInstance;
let browser: TestBrowser;
let ui: RunningUi;

function startPage(): Promise<RunningUi> {
  return startUi(["--kubeconfig", instance.adminKubeconfig], { cwd: instance.folder.path });
}

async function assertUndecided(): Promise<void> {
  assert.match(await instance.kubectl.run("get", "csr", "jane"), /Pending\n$/);
}

/** A page of another site that attacks in a signed-in person's browser, and reports what it could read. */
const ATTACK = (target: string) =>
  `<!doctype html><title>attack</title>
<iframe id="frame" src="${target}/requests"></iframe><form method="post" action="${target}/requests/jane/approve"></form>
<script>
const settle = (promise) => promise.then((value) => "SAW " + value, (error) => error.name);
const load = (tag, src) => new Promise((resolve) => {
  const element = document.createElement(tag);
  element.onload = () => resolve("loaded");
  element.onerror = () => resolve("error");
  element.src = src;
  document.body.append(element);
});
// A new window has an empty page of the opener until the answer arrives.
const arrive = async (opened) => {
  while (opened.location.href === "about:blank") await new Promise((resolve) => setTimeout(resolve, 20));
};
const form = () => new URLSearchParams({ token: "guess", uid: "guess", reason: "attack" });
addEventListener("load", async () => {
  const opened = open("${target}/requests");
  const url = "${target}/requests/jane/approve";
  globalThis.report = {
    read: await settle(fetch("${target}/requests", { credentials: "include" }).then((answer) => answer.text())),
    blind: await settle(fetch("${target}/requests", { credentials: "include", mode: "no-cors" }).then(({ type }) => type)),
    form: await settle(fetch(url, { method: "POST", credentials: "include", mode: "no-cors", body: form() })
      .then(({ type }) => type)),
    text: await settle(fetch(url, { method: "POST", credentials: "include", mode: "no-cors", body: "token=guess" })
      .then(({ type }) => type)),
    json: await settle(fetch(url, { method: "POST", credentials: "include",
      headers: { "content-type": "application/json", "x-refresh": "1" }, body: "{}" }).then((answer) => answer.text())),
    script: await load("script", "${target}/script.js"),
    image: await load("img", "${target}/icon.svg"),
    events: await new Promise((resolve) => {
      const source = new EventSource("${target}/events?live=requests", { withCredentials: true });
      source.onopen = () => resolve("open");
      source.onerror = () => resolve("error");
    }),
    frame: await settle(new Promise((resolve) => resolve(document.getElementById("frame").contentDocument.body.innerText))),
    opened: await settle(arrive(opened).then(() => opened.document.body.innerText)),
  };
});
</script>`;

/** Markup that would run a script, draw an image or leave the page. */
const MARKUP =
  `</script></title></textarea>"'><img src=x onerror="document.title='pwned'"><script>document.title='pwned'` +
  `</script><a id=pwned href="javascript:document.title='pwned'">x</a><form id=pwned2 action=//evil.example>`;

/** Puts markup before every hostile text in an answer. */
function mark(value: unknown): unknown {
  if (typeof value === "string") return value.includes(HOSTILE) ? `${MARKUP}${value}` : value;
  if (Array.isArray(value)) return value.map(mark);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, mark(one)]));
}

/**
 * Collects the status and URL of each answer of a server to a page, including those that the browser hides from the
 * page.
 */
async function watchAnswers(page: Page, origin: string): Promise<readonly string[]> {
  const session = await page.createCDPSession();
  const urls = new Map<string, string>();
  const statuses = new Map<string, number>();
  const answers: string[] = [];
  // The browser reports a request and the status of its answer in either order.
  const note = (requestId: string) => {
    const [url, status] = [urls.get(requestId), statuses.get(requestId)];
    if (status !== undefined && url?.startsWith(origin)) answers.push(`${status} ${url}`);
  };
  session.on("Network.requestWillBeSent", ({ requestId, request }) => {
    urls.set(requestId, request.url);
    note(requestId);
  });
  session.on("Network.responseReceivedExtraInfo", ({ requestId, statusCode }) => {
    statuses.set(requestId, statusCode);
    note(requestId);
  });
  await session.send("Network.enable");
  return answers;
}

/** Serves pages of the attacker on another port. */
function serve(answer: (path: string) => string): Promise<LoopbackServer> {
  return listenOnLoopback(createServer((request, response) => {
    response.setHeader("content-type", "text/html");
    response.end(answer(request.url ?? "/"));
  }));
}

describe("attacks on the page", () => {
  before(async () => {
    instance = await startInstance();
    await instance.kubectl.create(await csrManifest("jane"));
    browser = await startBrowser({ hosts: { [EVIL]: "127.0.0.1" } });
    ui = await startPage();
  });
  after(async () => {
    for (const one of [ui, browser, instance]) await one[Symbol.asyncDispose]();
  });

  test("ui: a page whose name is rebound to this machine reaches nothing, with or without a session", async () => {
    const rebound = ui.link.replace("127.0.0.1", EVIL);
    const { page } = await browser.openPage();
    const visit = async (url: string) => {
      const answer = await page.goto(url);
      assert.equal(answer?.status(), 421, url);
      assert.doesNotMatch(await answer!.text(), /jane/);
    };
    await visit(rebound);
    for (const path of ["/requests", "/requests/jane", "/style.css", "/events?live=requests"]) {
      await visit(new URL(path, rebound).href);
    }
    // The attacker has not used up the link.
    const person = await logIn(browser, ui);
    const other = await browser.openTab(person);
    const answer = await other.goto(new URL("/requests", rebound).href);
    assert.equal(answer?.status(), 421);
    assert.equal(await other.evaluate("fetch('/requests').then(({ status }) => status)"), 421);
  });

  test("ui: a page of another site, or of another port, cannot read, approve, frame or follow anything", async () => {
    await using fresh = await startPage();
    const person = await logIn(browser, fresh);
    await using attacker = await serve((_path) => ATTACK(fresh.origin));
    for (const host of ["127.0.0.1", EVIL]) {
      const page = await browser.openTab(person);
      const answers = await watchAnswers(page, fresh.origin);
      await page.goto(`http://${host}:${attacker.port}/`);
      // A timer polls the report, because the window that the page opens hides it, and a hidden page draws no frames.
      await page.waitForFunction("globalThis.report", { polling: 50 });
      const report = await page.evaluate("globalThis.report") as Readonly<Record<string, string>>;
      for (const [attempt, result] of Object.entries(report)) {
        assert.match(result, /^(?:error|TypeError|SecurityError|SAW opaque)$/, `${attempt} from ${host}`);
      }
      await eventually("eight attempts reach the server", () => Promise.resolve(answers.length >= 8 || undefined));
      for (const answer of answers) assert.match(answer, REFUSED, `an answer to ${host}`);
      // A form needs no script, and includes the cookie if the attacker is on the same host.
      const [answer] = await Promise.all([page.waitForNavigation(), page.evaluate("document.forms[0].submit()")]);
      assert.equal(answer?.status(), 403, host);
    }
    await assertUndecided();
    assert.equal((await person.page.reload())?.status(), 200, "the session of the person still works");
  });

  test("ui: a link works once, and a second use ends its session", async () => {
    await using fresh = await startPage();
    const person = await logIn(browser, fresh);
    const [cookie] = await person.page.browserContext().cookies();
    assert.partialDeepStrictEqual(cookie, { httpOnly: true, sameSite: "Strict", path: "/", domain: "127.0.0.1" });
    assert.equal(await person.page.evaluate("document.cookie"), "");
    assert.doesNotMatch(person.page.url(), /key/);

    const { page: thief } = await browser.openPage();
    assert.equal((await thief.goto(fresh.link))?.status(), 403);
    assert.match(await thief.evaluate("document.body.innerText") as string, /link[^]*tlsboot ui/);
    assert.equal((await thief.goto(`${fresh.origin}/requests`))?.status(), 401);
    assert.equal((await person.page.reload())?.status(), 401, "the session has not ended");
  });

  test("ui: no page contains a secret, and no answer may be cached, framed or run inline scripts", async () => {
    const { folder, dataDir } = instance;
    await using fresh = await startPage();
    const run = createSecretRun(folder.path);
    const listed = await instance.tlsboot("token", "list", "--data-dir", dataDir, "--show-secrets");
    for (const token of listed.stdout.match(/\b[a-z0-9]{6}\.[a-z0-9]{16}\b/g) ?? []) {
      run.know("a token", token.slice(7));
    }
    assert.ok(await run.knowKeys("") > 2, "too few keys to search for");
    run.know("the key of the link", new URL(fresh.link).searchParams.get("key")!);
    const client = await openLink(fresh);
    run.know("the cookie", client.cookie.split("=")[1]!);

    const waiting = ["/", "/nowhere"];
    const seen = new Set(waiting);
    for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
      const answer = await client.send(path, path === "/" ? 303 : path === "/nowhere" ? 404 : 200);
      run.record(path, `${JSON.stringify(answer.headers)}\n${answer.body}`);
      const { headers } = answer;
      assert.equal(headers["cache-control"], "no-store", path);
      assert.equal(headers["x-content-type-options"], "nosniff", path);
      const csp = String(headers["content-security-policy"]);
      assert.match(csp, /default-src 'none'/, path);
      assert.match(csp, /frame-ancestors 'none'/, path);
      assert.doesNotMatch(csp, /unsafe|data:|\*/, path);
      for (
        const [, found = ""] of [...answer.body.matchAll(/ (?:href|src)="([^"]*)"/g), ["", headers["location"] ?? ""]]
      ) {
        const next = String(found).replaceAll("&amp;", "&").replace(/#.*/, "");
        if (next === "" || seen.has(next)) continue;
        assert.match(next, /^\/(?!\/)/, `${path} leads elsewhere`);
        seen.add(next);
        waiting.push(next);
      }
    }
    assert.ok(seen.has("/requests/jane"), [...seen].join(" "));
    assert.deepEqual(run.found(), []);
  });

  test("ui: names, reasons, groups and all other values of a hostile server stay text", async () => {
    await using api = await startFakeApi();
    const objects = await createHostileObjects(api.ca);
    api.intercept = (request) => {
      const answer = hostileAnswer(request, objects);
      return { ...answer, body: mark(answer.body) } as FakeAnswer;
    };
    await using folder = await createTempFolder();
    const config = {
      clusters: [{ name: "c", cluster: { server: api.server, certificateAuthorityData: api.ca.caPem } }],
      contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
      users: [{ name: "u", user: { token: new Secret("abcdef.0123456789abcdef") } }],
      currentContext: "c",
    };
    await writeFile(folder.join("kubeconfig"), encodeKubeconfig(config), { mode: 0o600 });
    await using hostile = await startUi(["--kubeconfig", folder.join("kubeconfig")], { cwd: folder.path });
    const { page, problems, requests } = await logIn(browser, hostile);
    const paths = await page.$$eval("nav a", (links) => links.map((link) => link.getAttribute("href")));
    await page.goto(`${hostile.origin}/requests`);
    paths.push(
      ...await page.$$eval("main a[href^='/requests/']", (links) => links.map((one) => one.getAttribute("href"))),
    );
    let shown = 0;
    for (const path of new Set(paths)) {
      const answer = await page.goto(new URL(path, hostile.origin).href);
      const text = await page.evaluate("document.documentElement.innerText") as string;
      if (text.includes("document.title='pwned'")) shown++;
      assert.doesNotMatch(await page.title(), /^pwned/, path);
      assert.equal(await page.$("#pwned, #pwned2, img[src=x]"), null, path);
      // deno-lint-ignore no-control-regex -- the test looks for these characters
      assert.doesNotMatch(await answer!.text(), /[\x00-\x08\x0b-\x1f\x7f-\x9f\p{Cf}\p{Zl}\p{Zp}]/u, path);
    }
    assert.ok(shown >= 2, "too few pages show the hostile text");
    assert.deepEqual(problems.filter((problem) => !problem.includes("Failed to load resource")), []);
    assert.deepEqual(requests.filter((url) => !url.startsWith(hostile.origin)), []);
  });
});
