import assert from "node:assert/strict";
import { test } from "node:test";
import { isAppError } from "../../core/errors.ts";
import { configMapKind } from "../../core/kube/kinds/mod.ts";
import type { ConfigMap } from "../../core/kube/kinds/core_v1.ts";
import type { ObjectChange, ObjectStore } from "../../core/ports.ts";
import { createFakeClock, createSkippingClock, type FakeClock, until } from "../../tests/support/fake_clock.ts";
import { failure, type FakeApi, startFakeApi } from "../../tests/support/fake_api.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { createObjectStore, reconnectDelayMs } from "./object_store.ts";
import { createTlsTransport, type TlsTransport } from "../transport/tls_transport.ts";

const COLLECTION = "/api/v1/configmaps";

interface Fixture extends AsyncDisposable {
  readonly api: FakeApi;
  readonly clock: FakeClock;
  readonly store: ObjectStore<ConfigMap>;
  readonly abort: AbortController;
  /** The changes in order, as `changed a`, `deleted a` or `synced`. */
  readonly seen: string[];
  /** Starts to follow the changes. */
  follow(): void;
  /** Waits until this number of changes has arrived. */
  sees(...changes: readonly string[]): Promise<void>;
}

async function fixture(edit: { readonly fieldSelector?: string } = {}): Promise<Fixture> {
  const api = await startFakeApi();
  const clock = createFakeClock();
  const transport: TlsTransport = createTlsTransport({ server: api.server, caPem: api.ca.caPem, userAgent: "x" });
  const store = createObjectStore<ConfigMap>(transport, configMapKind, {
    // Backoff is at most a minute, the limit of a watch at least five.
    clock: createSkippingClock(clock, 0, 60_000),
    random: createSeededRandom(),
    logger: createMemoryLogger(),
    ...edit,
  });
  const abort = new AbortController();
  const seen: string[] = [];
  let following: Promise<void> = Promise.resolve();
  return {
    api,
    clock,
    store,
    abort,
    seen,
    follow() {
      following = (async () => {
        try {
          for await (const change of store.changes(abort.signal)) seen.push(describe(change));
        } catch (error) {
          if (error !== abort.signal.reason) seen.push(`threw ${error}`);
        }
      })();
    },
    async sees(...changes) {
      await until(() => seen.length >= changes.length);
      assert.deepEqual(seen.splice(0), changes);
    },
    async [Symbol.asyncDispose]() {
      abort.abort(new Error("over"));
      await following;
      await transport[Symbol.asyncDispose]();
      await api[Symbol.asyncDispose]();
    },
  };
}

function describe(change: ObjectChange<ConfigMap>): string {
  return change.kind === "synced" ? "synced" : `${change.kind} ${change.object.metadata.name}`;
}

function object(name: string): ConfigMap {
  return { metadata: { name }, data: {} };
}

test("changes() lists and watches in one request where the server can", async () => {
  await using f = await fixture();
  f.api.put(object("a"));
  f.api.put(object("b"));
  f.follow();
  await f.sees("changed a", "changed b", "synced");
  f.api.put(object("b"));
  f.api.put(object("c"));
  f.api.remove("a");
  await f.sees("changed b", "changed c", "deleted a");
  assert.equal(f.api.requests.length, 1);
  assert.match(
    f.api.requests[0] ?? "",
    /^GET \/api\/v1\/configmaps\?allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&timeoutSeconds=[345]\d\d&watch=true$/,
  );
});

test("changes() falls back to list and watch on a server without watch-lists", async () => {
  await using f = await fixture({ fieldSelector: "metadata.name=a" });
  f.api.watchList = false;
  f.api.put(object("a"));
  f.api.put(object("b"));
  f.follow();
  await f.sees("changed a", "synced");
  await f.api.arrival(/watch=true.*|resourceVersion=3/, 1);
  f.api.put(object("a"));
  await f.sees("changed a");
  assert.deepEqual(
    f.api.requests.slice(1).map((request) => request.replace(/timeoutSeconds=\d+/, "timeoutSeconds=N")),
    [
      `GET ${COLLECTION}?fieldSelector=metadata.name=a&limit=500&resourceVersion=0`,
      `GET ${COLLECTION}?allowWatchBookmarks=true&fieldSelector=metadata.name=a&resourceVersion=3&timeoutSeconds=N&watch=true`,
    ],
  );
});

for (const how of ["clean", "cut"] as const) {
  test(`changes() resumes after a ${how} end, with each event once`, async () => {
    await using f = await fixture();
    f.api.put(object("a"));
    f.follow();
    await f.sees("changed a", "synced");
    f.api.put(object("a"));
    await f.sees("changed a");
    f.api.endWatches(how);
    f.api.put(object("b"));
    f.api.remove("a");
    await f.sees("changed b", "deleted a");
    assert.match(f.api.requests.at(-1) ?? "", /&resourceVersion=3&/);
  });
}

test("changes() resumes from the version of a bookmark", async () => {
  await using f = await fixture({ fieldSelector: "metadata.name=a" });
  f.api.put(object("a"));
  f.follow();
  await f.sees("changed a", "synced");
  f.api.put(object("other"));
  f.api.sendBookmarks();
  f.api.put(object("a"));
  await f.sees("changed a");
  f.api.put(object("other"));
  f.api.sendBookmarks();
  f.api.endWatches("clean");
  await f.api.arrival(/resourceVersion=5&/);
});

test("changes() starts over when the history has expired, and finds missed deletions", async () => {
  await using f = await fixture();
  for (const name of ["kept", "changed", "gone", "replaced"]) f.api.put(object(name));
  f.follow();
  await f.sees("changed kept", "changed changed", "changed gone", "changed replaced", "synced");
  f.api.intercept = () => failure(503, "ServiceUnavailable", "restarting");
  f.api.endWatches("clean");
  await f.api.arrival(/watch/, 1);
  f.api.put(object("changed"));
  f.api.remove("gone");
  f.api.remove("replaced");
  f.api.put(object("replaced"));
  f.api.put(object("new"));
  f.api.compact();
  f.api.intercept = undefined;
  await f.sees("changed changed", "deleted replaced", "changed replaced", "changed new", "deleted gone", "synced");
});

test("changes() lists in pages and starts over when a page has expired", async () => {
  await using f = await fixture();
  f.api.watchList = false;
  for (let number = 0; number < 501; number++) f.api.put(object(`o${String(number).padStart(3, "0")}`));
  f.api.intercept = ({ query }) => query.has("continue") ? failure(410, "Expired", "too old") : undefined;
  f.follow();
  await until(() => f.seen.includes("synced"));
  assert.equal(f.seen.length, 502);
  const lists = f.api.requests.filter((request) => !request.includes("watch="));
  assert.deepEqual(lists, [
    `GET ${COLLECTION}?limit=500&resourceVersion=0`,
    `GET ${COLLECTION}?continue=500&limit=500`,
    `GET ${COLLECTION}?resourceVersion=0`,
  ]);
});

for (
  const { name, answer } of [
    { name: "refuses", answer: failure(403, "Forbidden", "not yet") },
    { name: "does not know the client", answer: failure(401, "Unauthorized", "Unauthorized") },
    { name: "is overloaded", answer: failure(429, "TooManyRequests", "busy") },
    { name: "cuts the connection", answer: "destroy" as const },
  ]
) {
  test(`changes() requests a watch-list again when the server ${name}`, async () => {
    await using f = await fixture();
    f.api.put(object("a"));
    f.api.intercept = () => answer;
    f.follow();
    await f.api.arrival(/sendInitialEvents/);
    await f.api.arrival(/sendInitialEvents/, 1);
    f.api.intercept = undefined;
    await f.sees("changed a", "synced");
  });
}

test("changes() closes a connection that is silent for longer than the agreed time", async () => {
  await using f = await fixture();
  f.follow();
  await f.sees("synced");
  f.api.put(object("a"));
  await f.sees("changed a");
  await f.clock.advance(630_000);
  await f.api.arrival(/resourceVersion=2&/);
});

test("get(), create(), update() and delete() use the API's verbs", async () => {
  await using f = await fixture();
  const { signal } = f.abort;
  assert.equal(await f.store.get("a", signal), undefined);
  const created = await f.store.create(object("a"), signal);
  assert.deepEqual(f.api.received.at(-1)?.body, { apiVersion: "v1", kind: "ConfigMap", ...object("a") });
  await assert.rejects(f.store.create(object("a"), signal), (error) => isAppError(error, "already_exists"));
  const updated = await f.store.update({ ...created, data: { x: "1" } }, signal);
  await assert.rejects(f.store.update(created, signal), (error) => isAppError(error, "conflict"));
  await f.store.update(updated, signal, "status");
  assert.deepEqual((await f.store.list(signal)).map((item) => item.metadata.name), ["a"]);
  await f.store.delete("a", signal, { uid: "u" });
  const preconditions = { apiVersion: "v1", kind: "DeleteOptions", preconditions: { uid: "u" } };
  assert.deepEqual(f.api.received.at(-1)?.body, preconditions);
  await assert.rejects(f.store.delete("a", signal), (error) => isAppError(error, "not_found"));
  assert.deepEqual(f.api.requests, [
    `GET ${COLLECTION}/a`,
    `POST ${COLLECTION}`,
    `POST ${COLLECTION}`,
    `PUT ${COLLECTION}/a`,
    `PUT ${COLLECTION}/a`,
    `PUT ${COLLECTION}/a/status`,
    `GET ${COLLECTION}?limit=500`,
    `DELETE ${COLLECTION}/a`,
    `DELETE ${COLLECTION}/a`,
  ]);
});

test("reconnectDelayMs() doubles from 0.8 s to 30 s and adds up to as much again", () => {
  const delays = [0, 1, 2, 3, 4, 5, 6, 1000].map((attempt) => reconnectDelayMs(attempt, () => 0));
  assert.deepEqual(delays, [800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]);
  assert.equal(reconnectDelayMs(0, () => 0.5), 1200);
});
