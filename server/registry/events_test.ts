import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createTestApp, type TestApp, WatchReader } from "../../tests/support/test_app.ts";

const CORE = "/api/v1/namespaces/default/events";
const NEW = "/apis/events.k8s.io/v1/namespaces/default/events";
let app: TestApp;

describe("events", () => {
  before(async () => void (app = await createTestApp()));
  after(() => app[Symbol.asyncDispose]());

  function coreEvent(name: string): object {
    return {
      metadata: { name },
      involvedObject: { kind: "Node", name: "n1" },
      reason: "Started",
      message: "it has started",
      source: { component: "kubelet", host: "n1" },
      firstTimestamp: "2026-01-01T00:00:00Z",
      count: 2,
      type: "Normal",
    };
  }

  test("events: each version shows the objects of the other under its own field names", async () => {
    assert.equal((await app.send("POST", CORE, { body: coreEvent("both") })).code, 201);
    const shown = await app.send("GET", `${NEW}/both`);
    assert.deepEqual(
      ["apiVersion", "regarding/name", "note", "deprecatedSource/host", "deprecatedCount", "eventTime", "message"].map(
        shown.at,
      ),
      ["events.k8s.io/v1", "n1", "it has started", "n1", 2, null, undefined],
    );
    const core = await app.send("GET", `${CORE}/both`);
    assert.equal(core.at("metadata/uid"), shown.at("metadata/uid"));
    assert.equal(core.at("metadata/resourceVersion"), shown.at("metadata/resourceVersion"));
  });

  test("events: each version is selected by its own field names", async () => {
    assert.deepEqual((await app.send("GET", `${NEW}?fieldSelector=regarding.name%3Dn1`)).names(), ["both"]);
    assert.equal((await app.send("GET", `${NEW}?fieldSelector=involvedObject.name%3Dn1`)).code, 400);
    assert.equal((await app.send("GET", `${CORE}?fieldSelector=regarding.name%3Dn1`)).code, 400);
  });

  test("events: the newer version is strict, and its refusals contain the stored kind", async () => {
    const refused = await app.send("POST", NEW, { body: { metadata: { name: "bad" }, regarding: { kind: "Node" } } });
    assert.equal(refused.code, 422);
    assert.match(
      String(refused.at("message")),
      /^Event "bad" is invalid: \[eventTime: Required value, type: Invalid value/,
    );
  });

  test("events: a watch of one version sees the changes of the other", async () => {
    const { at } = await app.send("GET", NEW);
    const query = `watch=1&resourceVersion=${at("metadata/resourceVersion")}`;
    await using watch = new WatchReader(await app.open("GET", `${NEW}?${query}`));
    await app.send("POST", CORE, { body: coreEvent("seen") });
    await app.send("DELETE", `${CORE}/seen`);
    const added = await watch.next();
    assert.deepEqual([added?.type, added?.at("kind"), added?.at("note")], ["ADDED", "Event", "it has started"]);
    assert.equal(added?.at("apiVersion"), "events.k8s.io/v1");
    const deleted = await watch.next();
    assert.deepEqual([deleted?.type, deleted?.at("regarding/kind")], ["DELETED", "Node"]);
  });

  test("events: a watch has no bookmarks but the one that ends the initial events", async () => {
    await using watch = new WatchReader(
      await app.open("GET", `${NEW}?watch=1&allowWatchBookmarks=true&timeoutSeconds=100&labelSelector=none`),
    );
    assert.equal((await watch.next())?.type, "BOOKMARK");
    await app.send("POST", CORE, { body: coreEvent("unseen") });
    const end = watch.next();
    for (const step of [60_000, 38_000, 2_000]) await app.clock.advance(step);
    assert.equal(await end, undefined);
  });
});
