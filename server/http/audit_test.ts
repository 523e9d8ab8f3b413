import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAuditPolicy } from "../../core/audit/policy.ts";
import { assertShown, FORGING, HOSTILE } from "../../tests/support/hostile_text.ts";
import { createTestApp, type TestApp } from "../../tests/support/test_app.ts";
import type { Stored } from "../storage/storage.ts";
import type { AuditOptions } from "./audit.ts";

const CONFIG_MAPS = "/api/v1/namespaces/default/configmaps";
const config = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" }, data: { x: "1" } };

// deno-lint-ignore no-explicit-any -- events are read like JSON of any shape
type Event = any;

async function audited(
  rules: string,
  options: Partial<AuditOptions> = {},
): Promise<{ app: TestApp; events(): Event[] }> {
  const read = parseAuditPolicy(`apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n${rules}\n`);
  assert.ok(read.ok);
  const lines: string[] = [];
  const audit = { policy: read.value, sink: { write: (line: string) => lines.push(line) > 0 }, ...options };
  const app = await createTestApp({ audit });
  return { app, events: () => lines.splice(0).map((line) => JSON.parse(line)) };
}

test("the audit log has both bodies at RequestResponse, and the name that only the body has", async () => {
  const { app, events } = await audited("- level: RequestResponse");
  await using _ = app;
  await app.send("POST", CONFIG_MAPS, { body: config });
  const [received, complete] = events();
  assert.deepEqual([received.stage, received.responseStatus, received.objectRef.name], [
    "RequestReceived",
    undefined,
    undefined,
  ]);
  assert.equal(received.stageTimestamp, received.requestReceivedTimestamp);
  assert.deepEqual([complete.stage, complete.objectRef.name, complete.responseStatus.code], [
    "ResponseComplete",
    "a",
    201,
  ]);
  assert.deepEqual(complete.requestObject.data, { x: "1" });
  assert.equal(complete.responseObject.metadata.managedFields.length, 1);
});

test("a list as JSON parses no object unless the audit log includes the list", async () => {
  for (const [level, code] of [["None", 200], ["Metadata", 200], ["RequestResponse", 500]] as const) {
    const { app } = await audited(`- level: ${level}`);
    await using _ = app;
    await app.send("POST", CONFIG_MAPS, { body: config });
    const list = app.storage.list.bind(app.storage);
    app.storage.list = async (...args) => {
      const page = await list(...args);
      return { ...page, items: page.items.map(unparsed) };
    };
    const answer = await app.send("GET", CONFIG_MAPS);
    assert.equal(answer.code, code, level);
    if (code === 200) assert.deepEqual(answer.names(), ["a"]);
  }
});

/** Copies a state without its object, which must not be read. */
function unparsed({ key, revision, bytes, size }: Stored): Stored {
  return {
    key,
    revision,
    bytes,
    size,
    get object(): never {
      throw new Error("parsed");
    },
  };
}

test("the audit log has only the request body at Request, and no managed fields if they are omitted", async () => {
  const { app, events } = await audited(
    "- level: Request\n  verbs: [create]\n- level: RequestResponse\n  omitManagedFields: true",
  );
  await using _ = app;
  await app.send("POST", CONFIG_MAPS, { body: config });
  const created = events().at(-1);
  assert.deepEqual([created.requestObject.kind, created.responseObject], ["ConfigMap", undefined]);
  const accepts = [undefined, "application/json;as=Table;v=v1;g=meta.k8s.io"];
  for (const accept of accepts) {
    await app.send("GET", `${CONFIG_MAPS}?includeObject=Object`, accept === undefined ? {} : { headers: { accept } });
  }
  const bodies = events().filter(({ stage }) => stage === "ResponseComplete").map(({ responseObject }) =>
    responseObject
  );
  assert.deepEqual(bodies.map(({ kind }) => kind), ["ConfigMapList", "Table"]);
  assert.ok(!JSON.stringify(bodies).includes("managedFields"));
});

test("the audit log records a patch as it was sent, and the Status of a refusal", async () => {
  const { app, events } = await audited("- level: RequestResponse");
  await using _ = app;
  await app.send("POST", CONFIG_MAPS, { body: config });
  const headers = { "content-type": "application/merge-patch+json" };
  await app.send("PATCH", `${CONFIG_MAPS}/a`, { headers, body: { data: { y: "2" } } });
  await app.send("GET", `${CONFIG_MAPS}/missing`);
  const [, , , patched, , missing] = events();
  assert.deepEqual(patched.requestObject, { data: { y: "2" } });
  assert.equal(missing.responseStatus.reason, "NotFound");
  assert.equal(missing.responseObject.kind, "Status");
});

test("the audit log never contains the body of a secret or a token review", async () => {
  const { app, events } = await audited("- level: RequestResponse");
  await using _ = app;
  const secret = { apiVersion: "v1", kind: "Secret", metadata: { name: "s" }, stringData: { password: "hidden-word" } };
  await app.send("POST", "/api/v1/namespaces/kube-system/secrets", { body: secret });
  await app.send("GET", "/api/v1/secrets");
  const review = { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token: "hidden-word" } };
  await app.send("POST", "/apis/authentication.k8s.io/v1/tokenreviews", { body: review });
  const lines = events();
  assert.equal(lines.length, 6);
  assert.ok(lines.every(({ level }) => level === "Metadata"));
  const text = JSON.stringify(lines);
  assert.ok(!text.includes("hidden-word") && !text.includes(btoa("hidden-word")));
});

test("the audit log records failed authentication with the answer, without a user", async () => {
  const { app, events } = await audited("- level: Metadata");
  await using _ = app;
  await app.send("GET", CONFIG_MAPS, { user: undefined, headers: { authorization: "Bearer wrong" } });
  const [event, ...more] = events();
  assert.deepEqual([event.stage, event.user, event.responseStatus.code, more], ["ResponseStarted", {}, 401, []]);
});

test("the audit log lists every address that a request claims, and the address of its connection last", async () => {
  const { app, events } = await audited("- level: Metadata\n  omitStages: [RequestReceived]");
  await using _ = app;
  const headers = { "x-forwarded-for": "10.0.0.1, nonsense,10.0.0.2", "x-real-ip": "10.0.0.3" };
  await app.send("GET", "/version", { headers });
  assert.deepEqual(events()[0].sourceIPs, ["10.0.0.1", "10.0.0.2", "10.0.0.3", "192.0.2.1"]);
});

test("a request whose arrival cannot be logged is refused if the log is strict, and served otherwise", async () => {
  for (const [isStrict, code] of [[true, 500], [false, 200]] as const) {
    const { app } = await audited("- level: Metadata", { sink: { write: () => false }, isStrict });
    await using _ = app;
    assert.equal((await app.send("GET", "/version")).code, code);
    const page = (await app.send("GET", "/metrics")).text;
    if (isStrict) continue;
    assert.match(page, /^apiserver_audit_error_total\{plugin="log"\} [1-9]/m);
    assert.match(page, /^apiserver_audit_level_total\{level="Metadata"\} [1-9]/m);
  }
});

test("an audit line contains no terminal control characters, and parses to the values that were sent", async () => {
  const read = parseAuditPolicy("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{ level: RequestResponse }]\n");
  assert.ok(read.ok);
  const user = { username: FORGING, uid: HOSTILE, groups: ["system:masters", HOSTILE], extra: {} };
  const body = { ...config, data: { x: FORGING }, metadata: { name: "a", annotations: { "a.b/c": HOSTILE } } };
  const lines: string[] = [];
  await using app = await createTestApp({
    audit: { policy: read.value, sink: { write: (line: string) => lines.push(line) > 0 } },
  });
  await app.send("POST", CONFIG_MAPS, { body, user, headers: { "user-agent": "x\x9b31m\xad" } });
  const line = lines.at(-1) ?? "";
  assertShown(line, false, "the audit line");
  assert.match(line, /009b31m/);
  const event = JSON.parse(line);
  assert.deepEqual([event.user.username, event.user.uid, event.user.groups[1]], [FORGING, HOSTILE, HOSTILE]);
  assert.deepEqual([event.requestObject.data.x, event.userAgent], [FORGING, "x\x9b31m\xad"]);
});
