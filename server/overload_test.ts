import assert from "node:assert/strict";
import { test } from "node:test";
import { parseTokenFile } from "../core/token/token_file.ts";
import { createFakeClock, settle } from "../tests/support/fake_clock.ts";
import { ADMIN, createTestApp, type TestApp } from "../tests/support/test_app.ts";
import { Exchange } from "./http/exchange.ts";
import { fromRequest } from "./loopback.ts";
import { LARGE_BODY_BYTES } from "./http/limits.ts";
import { createMemoryStorage } from "./storage/memory/journaled_storage.ts";
import type { Storage } from "./storage/storage.ts";

const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const TOKENS = `flood-token,flood,1,system:monitoring
node-token,system:node:a,2,"system:nodes"
admin-token,admin,3,"system:masters"
`;

/** Creates an app with one seat per level, whose storage delays lists of CSRs until `answer`. */
async function createFull(): Promise<{ app: TestApp; answer(): void; as(token: string): Sent }> {
  const tokenFile = parseTokenFile(TOKENS, "tokens.csv");
  assert.ok(tokenFile.ok);
  const clock = createFakeClock();
  const gate = Promise.withResolvers<void>();
  const memory = createMemoryStorage({ clock });
  // The server's own reads at startup do not wait.
  let isUp = false;
  const list: Storage["list"] = async (prefix, options) => {
    if (isUp && prefix.includes("certificatesigningrequests")) await gate.promise;
    return await memory.list(prefix, options);
  };
  const storage = new Proxy(memory, {
    get(target, name) {
      if (name === "list") return list;
      const member: unknown = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
  const app = await createTestApp({ storage, clock, tokenFile: tokenFile.value, maxRequestsInflight: 1 });
  isUp = true;
  await app.send("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
    body: {
      metadata: { name: "all" },
      subjects: [{ kind: "Group", name: "system:authenticated", apiGroup: "rbac.authorization.k8s.io" }],
      roleRef: { kind: "ClusterRole", name: "cluster-admin", apiGroup: "rbac.authorization.k8s.io" },
    },
  });
  return {
    app,
    answer: () => gate.resolve(),
    as: (token) => ({ user: undefined, headers: { authorization: `Bearer ${token}` } }),
  };
}

interface Sent {
  readonly user: undefined;
  readonly headers: Readonly<Record<string, string>>;
}

test("createApp() answers 429 with kube-apiserver's text to a request that has waited for 15 s", async () => {
  const { app, answer, as } = await createFull();
  const first = app.send("GET", CSRS, as("flood-token"));
  await settle(20);
  const second = app.send("GET", "/version", as("flood-token"));
  await settle(20);
  await app.clock.advance(15_000);
  const { code, headers, text } = await second;
  assert.equal(code, 429);
  assert.equal(text, "Too many requests, please try again later.\n");
  assert.deepEqual(
    ["retry-after", "content-type", "x-content-type-options", "cache-control"].map((name) => headers.get(name)),
    ["1", "text/plain; charset=utf-8", "nosniff", "no-cache, private"],
  );
  answer();
  assert.equal((await first).code, 200);
  assert.equal((await app.send("GET", "/version", as("flood-token"))).code, 200);
  await app[Symbol.asyncDispose]();
});

test("createApp() serves probes, administrators, nodes and in-process clients while a flood waits", async () => {
  const { app, answer, as } = await createFull();
  const flood = Array.from({ length: 50 }, () => app.send("GET", CSRS, as("flood-token")));
  await settle(20);
  for (const path of ["/healthz", "/readyz", "/livez"]) {
    for (const sent of [as("flood-token"), { user: undefined }]) {
      const { code, text } = await app.send("GET", path, sent);
      assert.deepEqual([path, code, text], [path, 200, "ok"]);
    }
  }
  assert.equal((await app.send("GET", "/version", as("admin-token"))).code, 200);
  assert.equal((await app.send("GET", "/api/v1/nodes/a", as("node-token"))).code, 404);
  assert.equal((await app.send("GET", "/version", { user: ADMIN })).code, 200);
  answer();
  assert.deepEqual(new Set((await Promise.all(flood)).map(({ code }) => code)), new Set([200]));
  await app[Symbol.asyncDispose]();
});

test("createApp() limits every request to a minute, and a watch only to its own timeout", async () => {
  const { app, as } = await createFull();
  const slow = app.send("GET", CSRS, as("node-token"));
  const watch = await app.open("GET", "/api/v1/nodes?watch=1&resourceVersion=1", as("admin-token"));
  await settle(20);
  await app.clock.advance(60_000);
  const { code, text } = await slow;
  assert.equal(code, 504);
  assert.match(text, /request did not complete within the allotted timeout/);
  assert.equal(watch.status, 200);
  await watch.body?.cancel();
  await app[Symbol.asyncDispose]();
});

test("createApp() lets an endless body occupy neither a seat nor the budget of other bodies", async () => {
  const { app, as } = await createFull();
  const body = new ReadableStream<Uint8Array>({ pull: () => new Promise(() => {}) }, { highWaterMark: 0 });
  const stuck = postBody(app, WHOAMI, body);
  await settle(20);
  const me = await app.send("POST", WHOAMI, { ...as("flood-token"), body: {} });
  assert.equal(me.code, 201);
  await app.clock.advance(60_000);
  assert.equal((await stuck).status, 504);
  await app[Symbol.asyncDispose]();
});

/** Begins a POST with a body that has not arrived. */
function postBody(app: TestApp, path: string, body: ReadableStream<Uint8Array>): Promise<{ readonly status: number }> {
  const request = new Request(`https://api.test${path}`, {
    method: "POST",
    headers: { authorization: "Bearer flood-token", "content-type": "application/json" },
    body,
    duplex: "half",
  } as RequestInit);
  return app.api.app(fromRequest(request, { peer: undefined, remoteAddress: "192.0.2.1" }));
}

/** Begins a POST whose body the test sends later. */
function post(
  app: TestApp,
  path: string,
): { readonly answer: Promise<{ readonly status: number }>; end(body: object): void } {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({ start: (own) => void (controller = own) });
  return {
    answer: postBody(app, path, body),
    end(sent) {
      controller?.enqueue(new TextEncoder().encode(JSON.stringify(sent)));
      controller?.close();
    },
  };
}

test("createApp() ends the wait for a seat when the request times out", async () => {
  const { app, answer, as } = await createFull();
  const slow = post(app, WHOAMI);
  await settle(20);
  await app.clock.advance(50_000);
  const busy = app.send("GET", CSRS, as("flood-token"));
  await settle(20);
  slow.end({});
  await settle(20);
  await app.clock.advance(10_000);
  assert.equal((await slow.answer).status, 504);
  await settle(20);
  answer();
  await busy;
  const { text } = await app.send("GET", "/metrics");
  assert.match(text, /^apiserver_flowcontrol_rejected_requests_total\{.*reason="cancelled"\} 1$/m);
  await app[Symbol.asyncDispose]();
});

test("createApp() ignores a body that ends after the timeout", async () => {
  const { app } = await createFull();
  const slow = post(app, "/api/v1/namespaces/default/configmaps");
  await settle(20);
  await app.clock.advance(60_000);
  assert.equal((await slow.answer).status, 504);
  slow.end({ metadata: { name: "late" } });
  await settle(20);
  assert.equal((await app.send("GET", "/api/v1/namespaces/default/configmaps/late")).code, 404);
  await app[Symbol.asyncDispose]();
});

/** Counts the turns of the event loop while a request is served. */
async function countTurns(serve: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let isServed = false;
  const count = (): void => {
    if (isServed) return;
    turns++;
    setImmediate(count);
  };
  setImmediate(count);
  await serve();
  isServed = true;
  return turns;
}

test("createApp() gives other requests a turn between the steps of a write with a large body", async () => {
  await using app = await createTestApp();
  const maps = "/api/v1/namespaces/default/configmaps";
  const labels = Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`k${index}`, ""]));
  const merge = { "content-type": "application/merge-patch+json" };
  const apply = { "content-type": "application/apply-patch+yaml" };
  const named = (name: string) => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name, labels } });
  await app.send("POST", maps, { body: { metadata: { name: "a" } } });
  for (
    const [method, path, headers, body] of [
      ["POST", maps, {}, named("b")],
      ["PUT", `${maps}/b`, {}, { ...named("b"), data: { a: "" } }],
      ["PATCH", `${maps}/a`, merge, { metadata: { labels } }],
      ["PATCH", `${maps}/c?fieldManager=m`, apply, named("c")],
    ] as const
  ) {
    const text = JSON.stringify(body);
    assert.ok(text.length >= LARGE_BODY_BYTES);
    let code = 0;
    const turns = await countTurns(async () => code = (await app.send(method, path, { headers, body: text })).code);
    assert.ok(code < 300, `${method}: ${code}`);
    assert.ok(turns >= 3, `${method}: ${turns} turns`);
  }
});

test("Exchange.pause() leaves as much time to other requests as the last step of a large body took, up to a limit", async () => {
  const slept: number[] = [];
  let elapsedMs = 1_000;
  const clock = {
    ...createFakeClock(),
    now: () => new Date(0),
    elapsedMs: () => elapsedMs,
    sleep: (ms: number) => {
      slept.push(ms);
      elapsedMs += ms;
      return Promise.resolve();
    },
  };
  const createRead = (bytes: number): Exchange => {
    const exchange = new Exchange({
      incoming: fromRequest(new Request("https://api.test/"), { peer: undefined, remoteAddress: "192.0.2.1" }),
      target: { requestUri: "/", path: "/", query: new URLSearchParams() },
      clock,
      createId: () => "id",
      stopping: new AbortController().signal,
    });
    exchange.beginSteps(bytes);
    return exchange;
  };
  const large = createRead(LARGE_BODY_BYTES);
  for (const stepMs of [50, 7, 0, 30_000]) {
    elapsedMs += stepMs;
    await large.pause();
  }
  assert.deepEqual(slept, [50, 7, 200]);
  const small = createRead(LARGE_BODY_BYTES - 1);
  elapsedMs += 50;
  await small.pause();
  assert.equal(slept.length, 3);
});
