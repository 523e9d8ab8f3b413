import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { buildCsr } from "../../tests/support/csr_builder.ts";
import { createTestApp, type TestApp, WatchReader } from "../../tests/support/test_app.ts";

const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
/** The creation of a request also writes its RequestRecord, and each write has its own revision. */
const CREATION = 2;
const MERGE = { "content-type": "application/merge-patch+json" };
const TABLE = { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" };

async function create(app: TestApp, name: string, labels: Record<string, string> = {}): Promise<string> {
  const body = await buildCsr({ name, metadata: { name, labels } });
  return String((await app.send("POST", CSRS, { body })).at("metadata/resourceVersion"));
}

function label(app: TestApp, name: string, labels: Record<string, string | null>) {
  return app.send("PATCH", `${CSRS}/${name}`, { body: { metadata: { labels } }, headers: MERGE });
}

async function watch(app: TestApp, query: string, headers: Record<string, string> = {}): Promise<WatchReader> {
  const response = await app.open("GET", `${CSRS}?watch=true&${query}`, { headers });
  assert.equal(response.status, 200);
  return new WatchReader(response);
}

// The start of a watch: apiserver `pkg/storage/cacher/cacher.go`.
for (const query of ["", "resourceVersion=0"]) {
  test(`watch ${query === "" ? "without resourceVersion" : "from 0"} shows the existing objects, then the changes`, async () => {
    await using app = await createTestApp();
    await create(app, "a");
    await using events = await watch(app, query);
    assert.equal((await events.next())?.at("metadata/name"), "a");
    const version = await create(app, "b");
    const added = await events.next();
    assert.equal(added?.type, "ADDED");
    assert.equal(added?.at("kind"), "CertificateSigningRequest");
    assert.equal(added?.at("metadata/resourceVersion"), version);
  });
}

test("watch from a revision shows every change after it, in order, and a deletion with its own revision", async () => {
  await using app = await createTestApp();
  const version = await create(app, "a");
  await label(app, "a", { x: "1" });
  await create(app, "b");
  await app.send("DELETE", `${CSRS}/a`);
  const deletedAt = String(app.storage.revision());
  await using events = await watch(app, `resourceVersion=${version}`);
  const seen = [await events.next(), await events.next(), await events.next()];
  assert.deepEqual(seen.map((event) => `${event?.type} ${event?.at("metadata/name")}`), [
    "MODIFIED a",
    "ADDED b",
    "DELETED a",
  ]);
  assert.equal(seen[2]?.at("metadata/resourceVersion"), deletedAt);
  assert.deepEqual(seen[2]?.at("metadata/labels"), { x: "1" });
});

test("watch from a future revision waits for it", async () => {
  await using app = await createTestApp();
  const now = app.storage.revision();
  await using events = await watch(app, `resourceVersion=${now + CREATION}`);
  await create(app, "skipped");
  const version = await create(app, "seen");
  const event = await events.next();
  assert.equal(event?.at("metadata/name"), "seen");
  assert.equal(event?.at("metadata/resourceVersion"), version);
  await app.clock.advance(4_000);
  await create(app, "later");
  assert.equal((await events.next())?.at("metadata/name"), "later");
});

test("watch from a revision that never arrives gets 410: it belongs to an earlier store", async () => {
  await using app = await createTestApp();
  const now = app.storage.revision();
  await using events = await watch(app, `resourceVersion=${now + 1_000}`);
  await create(app, "unheard");
  await app.clock.advance(4_000);
  const event = await events.next();
  assert.equal(event?.type, "ERROR");
  assert.deepEqual([event?.at("code"), event?.at("reason")], [410, "Expired"]);
  assert.equal(event?.at("message"), `resource version of another history: ${now + 1_000} (${now + CREATION})`);
  assert.equal(await events.next(), undefined);
});

test("watch from a future revision continues while the store does not answer whether it has it", async () => {
  await using app = await createTestApp();
  const now = app.storage.revision();
  let isAway = true;
  app.storage.catchUp = () => isAway ? Promise.reject(new Error("etcd is away")) : Promise.resolve();
  await using events = await watch(app, `resourceVersion=${now + 2 * CREATION}`);
  await app.clock.advance(4_000);
  for (const name of ["a", "b", "c"]) await create(app, name);
  await app.clock.advance(4_000);
  assert.equal((await events.next())?.at("metadata/name"), "c");
  await using strange = await watch(app, `resourceVersion=${now + 1_000}`);
  await app.clock.advance(4_000);
  isAway = false;
  await app.clock.advance(4_000);
  assert.equal((await strange.next())?.at("code"), 410);
});

test("watch with a selector adds objects that start to match and deletes those that stop", async () => {
  await using app = await createTestApp();
  const version = await create(app, "a", { in: "no" });
  await using events = await watch(app, `resourceVersion=${version}&labelSelector=in%3Dyes`);
  await create(app, "other");
  await label(app, "a", { in: "yes" });
  await label(app, "a", { more: "1" });
  const left = await label(app, "a", { in: "no" });
  const seen = [await events.next(), await events.next(), await events.next()];
  assert.deepEqual(seen.map((event) => event?.type), ["ADDED", "MODIFIED", "DELETED"]);
  assert.deepEqual(seen[2]?.at("metadata/labels"), { in: "yes", more: "1" });
  assert.equal(seen[2]?.at("metadata/resourceVersion"), left.at("metadata/resourceVersion"));
});

test("watch of one name, also on the legacy path", async () => {
  await using app = await createTestApp();
  await create(app, "a");
  await create(app, "b");
  await using byField = await watch(app, "resourceVersion=0&fieldSelector=metadata.name%3Db");
  assert.equal((await byField.next())?.at("metadata/name"), "b");
  const path = "/apis/certificates.k8s.io/v1/watch/certificatesigningrequests/b";
  await using byPath = new WatchReader(await app.open("GET", path));
  assert.equal((await byPath.next())?.at("metadata/name"), "b");
  const mismatch = await app.send("GET", `${path}?fieldSelector=metadata.name%3Da`);
  assert.equal(mismatch.at("message"), "fieldSelector metadata.name doesn't match requested name");
  const unnamed = await app.send("GET", `${path}?fieldSelector=spec.signerName%3Da`);
  assert.equal(unnamed.at("message"), "fieldSelector metadata.name doesn't match requested name");
});

test("watch-list ends its initial events with an annotated bookmark", async () => {
  await using app = await createTestApp();
  await create(app, "a");
  const version = await create(app, "b");
  await using events = await watch(
    app,
    "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=300",
  );
  assert.equal((await events.next())?.at("metadata/name"), "a");
  assert.equal((await events.next())?.at("metadata/name"), "b");
  const bookmark = await events.next();
  assert.equal(bookmark?.type, "BOOKMARK");
  assert.equal(bookmark?.at("kind"), "CertificateSigningRequest");
  assert.deepEqual(bookmark?.at("metadata"), {
    resourceVersion: version,
    annotations: { "k8s.io/initial-events-end": "true" },
  });
  await create(app, "c");
  assert.equal((await events.next())?.at("metadata/name"), "c");
});

for (const query of ["", "&resourceVersion=0"]) {
  test(`watch with bookmarks${query === "" ? "" : " from 0"} is a streaming list, but not on the legacy path`, async () => {
    await using app = await createTestApp();
    await using asked = await watch(app, `allowWatchBookmarks=true&timeoutSeconds=1${query}`);
    assert.deepEqual((await asked.next())?.at("metadata/annotations"), { "k8s.io/initial-events-end": "true" });
    const path = "/apis/certificates.k8s.io/v1/watch/certificatesigningrequests";
    await using byPath = new WatchReader(
      await app.open("GET", `${path}?allowWatchBookmarks=true&timeoutSeconds=1${query}`),
    );
    const end = byPath.next();
    await app.clock.advance(1_000);
    assert.equal(await end, undefined);
  });
}

test("watch-list is compressed for clients that accept it, each flush by itself; other watches are not", async () => {
  await using app = await createTestApp();
  await create(app, "a");
  const headers = { "accept-encoding": "gzip" };
  const response = await app.open("GET", `${CSRS}?watch=1&allowWatchBookmarks=true`, { headers });
  assert.equal(response.headers.get("content-encoding"), "gzip");
  assert.equal(response.headers.get("vary"), "Accept-Encoding");
  const reader = response.body!.getReader();
  const lines = gunzipSync((await reader.read()).value!).toString().trimEnd().split("\n");
  assert.deepEqual(lines.map((line) => (JSON.parse(line) as { readonly type: string }).type), ["ADDED", "BOOKMARK"]);
  await create(app, "b");
  assert.match(gunzipSync((await reader.read()).value!).toString(), /^\{"type":"ADDED"/);
  await reader.cancel();
  const plain = await app.open("GET", `${CSRS}?watch=1`, { headers });
  assert.equal(plain.headers.get("content-encoding"), null);
  await plain.body!.cancel();
});

test("watch-list at a revision that never arrives ends with an error", async () => {
  await using app = await createTestApp();
  const opened = watch(
    app,
    "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&resourceVersion=9000000",
  );
  await app.clock.advance(3_000);
  await using events = await opened;
  const error = await events.next();
  assert.deepEqual([error?.type, error?.at("code"), error?.at("reason")], ["ERROR", 504, "Timeout"]);
  assert.equal(await events.next(), undefined);
});

test("sendInitialEvents=false shows only changes", async () => {
  await using app = await createTestApp();
  await create(app, "a");
  await using events = await watch(app, "sendInitialEvents=false&resourceVersionMatch=NotOlderThan");
  await create(app, "b");
  assert.equal((await events.next())?.at("metadata/name"), "b");
});

test("watch sends bookmarks each minute and before its end, then ends cleanly", async () => {
  await using app = await createTestApp();
  const version = await create(app, "a");
  await using events = await watch(app, `resourceVersion=${version}&allowWatchBookmarks=true&timeoutSeconds=100`);
  const first = events.next();
  // A write of another resource advances the bookmark.
  const writeOther = (name: string) =>
    app.send("POST", "/api/v1/namespaces/default/configmaps", { body: { metadata: { name } } });
  const written = await writeOther("b");
  await app.clock.advance(60_000);
  const bookmark = await first;
  assert.equal(bookmark?.type, "BOOKMARK");
  assert.deepEqual(bookmark?.at("metadata"), { resourceVersion: written.at("metadata/resourceVersion") });
  await writeOther("c");
  const last = events.next();
  await app.clock.advance(38_000);
  assert.equal((await last)?.type, "BOOKMARK");
  assert.deepEqual((await last)?.at("metadata"), { resourceVersion: String(app.storage.revision()) });
  const end = events.next();
  await app.clock.advance(2_000);
  assert.equal(await end, undefined);
});

test("watch sends no bookmark for its start", async () => {
  await using app = await createTestApp();
  const version = await create(app, "a");
  await create(app, "b");
  for (
    const query of [
      `resourceVersion=${version}&labelSelector=none`,
      "resourceVersion=0&fieldSelector=metadata.name%3Dno",
    ]
  ) {
    await using events = await watch(app, `${query}&allowWatchBookmarks=true&timeoutSeconds=100`);
    if (query.startsWith("resourceVersion=0")) assert.equal((await events.next())?.type, "BOOKMARK");
    const end = events.next();
    for (const step of [60_000, 38_000, 2_000]) await app.clock.advance(step);
    assert.equal(await end, undefined);
  }
});

for (const timeoutSeconds of ["-1", "9223372037"]) {
  test(`watch ends at once with timeoutSeconds=${timeoutSeconds}`, async () => {
    await using app = await createTestApp();
    await create(app, "a");
    await using events = await watch(app, `timeoutSeconds=${timeoutSeconds}`);
    assert.equal(await events.next(), undefined);
  });
}

test("watch of one name sees no other names, also with the same prefix, and its bookmarks advance", async () => {
  await using app = await createTestApp();
  await using events = await watch(
    app,
    `fieldSelector=metadata.name%3Da&resourceVersion=${app.storage.revision()}&allowWatchBookmarks=true&timeoutSeconds=100`,
  );
  await create(app, "ab");
  await create(app, "a");
  const event = await events.next();
  assert.equal(`${event?.type} ${event?.at("metadata/name")}`, "ADDED a");
  const version = await create(app, "aa");
  const bookmark = events.next();
  await app.clock.advance(60_000);
  assert.deepEqual((await bookmark)?.at("metadata"), { resourceVersion: version });
});

test("watch without bookmarks ends after timeoutSeconds with no event", async () => {
  await using app = await createTestApp();
  await using events = await watch(app, `resourceVersion=${app.storage.revision()}&timeoutSeconds=5`);
  const end = events.next();
  await app.clock.advance(5_000);
  assert.equal(await end, undefined);
});

// Watch-list parameters: apimachinery `pkg/apis/meta/internalversion/validation/validation.go`.
for (
  const [query, message] of [
    [
      "sendInitialEvents=true",
      "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
    ],
    [
      "resourceVersionMatch=NotOlderThan",
      "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
    ],
    [
      "sendInitialEvents=true&resourceVersionMatch=Exact",
      "[resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan, " +
      'resourceVersionMatch: Unsupported value: "Exact": supported values: "NotOlderThan"]',
    ],
  ] as const
) {
  test(`watch refuses ${query}`, async () => {
    await using app = await createTestApp();
    const answer = await app.send("GET", `${CSRS}?watch=1&${query}`);
    assert.equal(answer.code, 422);
    assert.equal(answer.at("message"), `ListOptions.meta.k8s.io "" is invalid: ${message}`);
  });
}

test("watch of Tables sends the columns once, also for deletions", async () => {
  await using app = await createTestApp();
  await create(app, "a");
  await using events = await watch(app, "", TABLE);
  const first = await events.next();
  assert.equal(first?.at("kind"), "Table");
  assert.equal((first?.at("columnDefinitions") as unknown[]).length, 6);
  assert.equal(first?.at("rows/0/cells/0"), "a");
  await app.send("DELETE", `${CSRS}/a`);
  const deleted = await events.next();
  assert.equal(deleted?.type, "DELETED");
  assert.equal(deleted?.at("columnDefinitions"), null);
  assert.equal(deleted?.at("rows/0/cells/0"), "a");
});

for (const includeObject of ["None", "Metadata", "Object"]) {
  test(`watch of Tables with includeObject=${includeObject} marks the end of the initial events with a row`, async () => {
    await using app = await createTestApp();
    await using events = await watch(app, `allowWatchBookmarks=true&includeObject=${includeObject}`, TABLE);
    const end = await events.next();
    assert.equal((end?.at("columnDefinitions") as unknown[]).length, 6);
    assert.equal(
      end?.at("rows/0/object/kind"),
      includeObject === "Object" ? "CertificateSigningRequest" : "PartialObjectMetadata",
    );
    assert.deepEqual(end?.at("rows/0/object/metadata/annotations"), { "k8s.io/initial-events-end": "true" });
  });
}

test("a watch as lists of metadata ends at the first object, and as YAML is refused after all other checks", async () => {
  await using app = await createTestApp();
  const accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
  await using events = await watch(app, `resourceVersion=${app.storage.revision()}`, { accept });
  await create(app, "a");
  assert.equal(await events.next(), undefined);
  const yaml = { headers: { accept: "application/yaml" } };
  assert.equal((await app.send("GET", `${CSRS}?watch=1&labelSelector=-`, yaml)).code, 400);
  assert.equal((await app.send("GET", `${CSRS}?watch=1`, yaml)).code, 406);
});

test("watch in protobuf sends frames: a length, then the event with an envelope inside", async () => {
  await using app = await createTestApp();
  await create(app, "a");
  const response = await app.open("GET", `${CSRS}?watch=1&resourceVersion=0`, {
    headers: { accept: "application/vnd.kubernetes.protobuf" },
  });
  assert.equal(response.headers.get("content-type"), "application/vnd.kubernetes.protobuf;stream=watch");
  const reader = response.body!.getReader();
  const frame = Buffer.from((await reader.read()).value!);
  assert.equal(frame.readUInt32BE(0), frame.length - 4);
  assert.equal(frame.subarray(4, 11).toString("latin1"), "\n\x05ADDED");
  assert.ok(frame.includes(Buffer.from("k8s\0", "latin1")));
  await reader.cancel();
});

test("watch ends when the server stops, and a client that leaves stops its watch", async () => {
  const app = await createTestApp();
  const events = await watch(app, `resourceVersion=${app.storage.revision()}`);
  const end = events.next();
  await app[Symbol.asyncDispose]();
  assert.equal(await end, undefined);

  await using other = await createTestApp();
  const leaving = new AbortController();
  const response = await other.open("GET", `${CSRS}?watch=1`, { signal: leaving.signal });
  const read = response.body!.getReader().read();
  leaving.abort();
  await read.catch(() => undefined);
  await other.clock.advance(1);
  assert.equal(other.clock.sleepers, 0);
});

test("watch delivers an initial state of any size", async () => {
  await using app = await createTestApp();
  for (let number = 0; number <= 20_000; number++) {
    const metadata = { name: `c${number}`, namespace: "default" };
    await app.storage.create(`/registry/configmaps/default/${metadata.name}`, { metadata });
  }
  await using events = new WatchReader(await app.open("GET", "/api/v1/configmaps?watch=true"));
  assert.equal((await events.next())?.type, "ADDED");
});
