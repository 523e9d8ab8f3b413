/** Tests the socket of `tlsboot ui`, with requests that no browser sends and with those that a foreign page causes. */
import assert from "node:assert/strict";
import { get } from "node:http";
import { connect } from "node:net";
import { before, test } from "node:test";
import { settle, until } from "../support/fake_clock.ts";
import { describeInstance } from "../support/instance_process.ts";
import { submitFirstRequest } from "../support/node_requests.ts";
import { openLink, type RunningUi, send, startUi, type UiClient, type UiRequest } from "../support/ui_client.ts";

/** How many times a request is aborted, from its beginning to its end. */
const ROUNDS = 25;
const FORM = { token: "x" };

/** Counts the event loop turns until an answer arrives. The server runs in this process, so they are its turns too. */
async function countTurns(answer: Promise<unknown>): Promise<number> {
  let isThere = false;
  const done = answer.finally(() => isThere = true);
  let turns = 0;
  await until(() => {
    turns++;
    return isThere;
  });
  await done;
  return turns;
}

describeInstance("tlsboot ui: its socket", {}, (instance) => {
  let ui: RunningUi;
  let client: UiClient;

  before(async () => {
    ui = instance.use(await startPage());
    client = await openLink(ui);
  });

  function startPage(): Promise<RunningUi> {
    return startUi(["--data-dir", instance.data], { cwd: instance.folder.path });
  }

  test("ui: requests of foreign pages are refused", async () => {
    const { origin } = ui;
    const port = new URL(origin).port;
    const cases: readonly (readonly [what: string, status: number, request: UiRequest, path?: string])[] = [
      ["a name that is rebound", 421, { headers: { host: `evil.example:${port}` } }],
      ["a name that is rebound, for the link", 421, { headers: { host: `evil.example:${port}` } }, "/login?key=x"],
      ["another port", 421, { headers: { host: "127.0.0.1:1" } }],
      ["no port", 421, { headers: { host: "127.0.0.1" } }],
      ["another address of loopback", 421, { headers: { host: `127.0.0.2:${port}` } }],
      ["a name that ends in the right one", 421, { headers: { host: `evil127.0.0.1:${port}` } }],
      ["a foreign origin", 403, { headers: { origin: "https://evil.example" } }],
      ["the origin of another port", 403, { headers: { origin: "http://127.0.0.1:1" } }],
      ["an opaque origin", 403, { headers: { origin: "null" } }],
      ["a picture in a foreign page", 403, { headers: { "sec-fetch-site": "cross-site", "sec-fetch-dest": "image" } }],
      ["a frame in a page of another port", 403, {
        headers: { "sec-fetch-site": "same-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe" },
      }],
      ["a link in a foreign page", 200, {
        headers: { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" },
      }],
      ["a form without an origin", 403, { form: FORM, headers: { origin: "" } }, "/logout"],
      ["a form of another port", 403, { form: FORM, headers: { origin: "http://127.0.0.1:1" } }, "/logout"],
      ["a form in a page of another port", 403, { form: FORM, headers: { "sec-fetch-site": "same-site" } }, "/logout"],
      ["a form without its token", 403, { form: {} }, "/logout"],
      ["a form with another token", 403, { form: FORM }, "/logout"],
      ["a form that is plain text", 415, { form: FORM, headers: { "content-type": "text/plain" } }, "/logout"],
      [
        "a form with files",
        415,
        { form: FORM, headers: { "content-type": "multipart/form-data; boundary=x" } },
        "/logout",
      ],
      ["JSON", 415, { form: FORM, headers: { "content-type": "application/json" } }, "/logout"],
      ["a form that is too large", 413, { form: { x: "x".repeat(300_000) } }, "/logout"],
      ["a preflight", 405, { method: "OPTIONS", headers: { "sec-fetch-site": "same-origin" } }],
      ["another method", 405, { method: "DELETE" }],
      ["an address that is too long", 414, {}, `/requests?q=${"x".repeat(5_000)}`],
    ];
    for (const [what, status, request, path = "/requests"] of cases) {
      const answer = await client.send(path, status, request).catch((error) => assert.fail(`${what}: ${error}`));
      assert.equal(answer.headers["access-control-allow-origin"], undefined, what);
      assert.match(
        String(answer.headers["content-security-policy"]),
        /^default-src 'none';.*frame-ancestors 'none'/,
        what,
      );
    }
    await client.send("/requests", 200);
  });

  test("ui: without a session, only the static files are served", async () => {
    const { origin } = ui;
    for (const path of ["/", "/requests", "/requests/a", "/nowhere", "/events?live=requests"]) {
      const { status, body } = await send(origin + path);
      assert.equal(status, 401, path);
      assert.match(body, /tlsboot ui/, "the next step");
    }
    for (
      const cookie of ["", "tlsboot=x", `${client.cookie.split("=")[0]}=`, `${client.cookie}x`, `x${client.cookie}`]
    ) {
      assert.equal((await send(`${origin}/requests`, { headers: { cookie } })).status, 401, cookie);
    }
    for (const path of ["/style.css", "/script.js", "/icon.svg"]) assert.equal((await send(origin + path)).status, 200);
    assert.equal((await send(`${origin}/requests`, { headers: { cookie: `a=b; ${client.cookie}` } })).status, 200);
  });

  test("ui: a login link works once; using it again ends the session, and so does signing out", async () => {
    await using fresh = await startPage();
    assert.equal((await send(`${fresh.origin}/login`)).status, 403);
    assert.equal((await send(`${fresh.origin}/login?key=guess`)).status, 403);
    const first = await send(fresh.link);
    assert.equal(first.status, 303);
    assert.match(String(first.headers["set-cookie"]), /^tlsboot-\d+=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/);
    const [cookie = ""] = String(first.headers["set-cookie"]).split(";");
    const visit = () => send(`${fresh.origin}/requests`, { headers: { cookie } });
    assert.equal((await visit()).status, 200);
    assert.equal((await send(fresh.link)).status, 403);
    assert.equal((await visit()).status, 401);

    await using other = await startPage();
    const client = await openLink(other);
    await client.submit("/logout", 200);
    await client.send("/requests", 401);
  });

  test("ui: a browser that aborts requests does not end the program", async () => {
    const kubeconfig = `${instance.data}/admin.kubeconfig`;
    await submitFirstRequest(kubeconfig, "csr-n1", "n1", new AbortController().signal);
    const headers = { cookie: client.cookie };
    for (const path of ["/requests/csr-n1", "/machines", "/activity"]) {
      const turns = await countTurns(client.send(path, 200));
      for (let round = 0; round < ROUNDS; round++) {
        const request = get(ui.origin + path, { headers, agent: false });
        request.on("error", () => {});
        await settle(Math.floor(turns * round / ROUNDS));
        request.destroy();
      }
    }
    await client.send("/requests/csr-n1", 200);
    assert.equal(ui.running.hasEnded(), false, ui.running.stderr());
  });

  test("ui: the page listens on loopback only, and stops even if it is open", async () => {
    await using fresh = await startPage();
    const client = await openLink(fresh);
    const port = Number(new URL(fresh.origin).port);
    await assert.rejects(
      new Promise((resolve, reject) =>
        connect({ host: "127.0.0.2", port }).once("connect", resolve).once("error", reject)
      ),
      { code: "ECONNREFUSED" },
    );
    const events = client.send("/events?live=requests", 200).catch(() => undefined);
    await client.send("/requests", 200);
    fresh.running.kill("SIGINT");
    const { code } = await fresh.running.finished();
    await events;
    assert.equal(code, 0);
  });
});
