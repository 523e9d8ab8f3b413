import assert from "node:assert/strict";
import { test } from "node:test";
import { createTestApp, type TestApp, WatchReader } from "../../tests/support/test_app.ts";

const CONFIG_MAPS = "/api/v1/namespaces/default/configmaps";

async function readValue(app: TestApp, name: string, ...labels: readonly string[]): Promise<number | undefined> {
  const { text } = await app.send("GET", "/metrics");
  const lines = text.split("\n").filter((line) => line.startsWith(name));
  const found = lines.find((line) => labels.every((label) => line.includes(label)));
  return found === undefined ? undefined : Number(found.split(" ").at(-1));
}

const FROM_PROMETHEUS = {
  // prometheus/config: ScrapeProtocolsHeaders, by default and with native histograms.
  text: "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6," +
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4," +
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
  protobuf: "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6," +
    "text/plain;version=0.0.4;escaping=dots;q=0.2,*/*;q=0.1",
};

for (
  const { name, accept, escaping } of [
    { name: "nothing", accept: "", escaping: "underscores" },
    { name: "the format that Prometheus requests", accept: FROM_PROMETHEUS.text, escaping: "underscores" },
    { name: "protobuf first", accept: FROM_PROMETHEUS.protobuf, escaping: "dots" },
    { name: "protobuf alone", accept: "application/vnd.google.protobuf", escaping: "underscores" },
  ]
) {
  test(`metrics are text for ${name}`, async () => {
    await using app = await createTestApp();
    const { code, headers, text } = await app.send("GET", "/metrics", { headers: { accept } });
    assert.equal(code, 200);
    assert.equal(headers.get("content-type"), `text/plain; version=0.0.4; charset=utf-8; escaping=${escaping}`);
    assert.match(text, /^# TYPE apiserver_request_total counter$/m);
  });
}

test("a watch is open from its start to its end, and its events are counted", async () => {
  await using app = await createTestApp();
  const open = () => readValue(app, "apiserver_longrunning_requests", "configmaps");
  const reader = new WatchReader(await app.open("GET", `${CONFIG_MAPS}?watch=true`));
  assert.equal(await open(), 1);
  await app.send("POST", CONFIG_MAPS, { body: { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" } } });
  assert.equal((await reader.next())?.type, "ADDED");
  assert.equal(await readValue(app, "apiserver_watch_events_total", "configmaps"), 1);
  await reader[Symbol.asyncDispose]();
  assert.equal(await open(), 0);
});

test("authentications and authorizations are counted by their result", async () => {
  await using app = await createTestApp();
  await app.send("GET", CONFIG_MAPS, { user: undefined });
  await app.send("GET", CONFIG_MAPS, { user: undefined, headers: { authorization: "Bearer wrong" } });
  assert.equal(await readValue(app, "authentication_attempts", '"success"'), 1);
  assert.equal(await readValue(app, "authentication_attempts", '"error"'), 1);
  assert.equal(await readValue(app, "authenticated_user_requests", '"other"'), 1);
  assert.equal(await readValue(app, "authorization_attempts_total", '"no-opinion"'), 1);
  assert.ok((await readValue(app, "authorization_attempts_total", '"allowed"') ?? 0) >= 1);
});

test("objects are counted by their resource", async () => {
  await using app = await createTestApp();
  const count = () => readValue(app, "apiserver_resource_objects", '"configmaps"');
  assert.equal(await count(), 0);
  for (const name of ["a", "b"]) {
    await app.send("POST", CONFIG_MAPS, { body: { apiVersion: "v1", kind: "ConfigMap", metadata: { name } } });
  }
  assert.equal(await count(), 2);
});
