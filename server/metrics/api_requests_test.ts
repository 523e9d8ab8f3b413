import assert from "node:assert/strict";
import { test } from "node:test";
import { createTestApp, type TestApp, WatchReader } from "../../tests/support/test_app.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createFlowControl, OverloadError, type Place } from "../flowcontrol/flow_control.ts";
import { countRejections, gaugeInflight, gaugeLevels } from "./api_requests.ts";
import { createMetricsRegistry } from "./registry.ts";

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

test("a watch is counted as open from its start to its end, and its events are counted", async () => {
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

test("flow control is reported by level: requests that execute, wait or were rejected, with the reason", async () => {
  const registry = createMetricsRegistry();
  const clock = createFakeClock();
  const flow = createFlowControl({ clock, seats: 1, onRejected: countRejections(registry) });
  gaugeLevels(registry, flow);
  const place: Place = { level: "system", flow: "system-nodes/system:node:a" };
  const { signal } = new AbortController();
  await flow.acquireSeat(place, () => signal);
  const late = assert.rejects(flow.acquireSeat(place, () => signal), OverloadError);
  const hasLine = async (line: string) => assert.ok((await registry.metrics()).split("\n").includes(line), line);
  await hasLine('tlsboot_flowcontrol_executing_requests{priority_level="system"} 1');
  await hasLine('tlsboot_flowcontrol_inqueue_requests{priority_level="system"} 1');
  await hasLine('apiserver_flowcontrol_nominal_limit_seats{priority_level="system"} 1');
  await clock.advance(15_000);
  await late;
  await hasLine('tlsboot_flowcontrol_inqueue_requests{priority_level="system"} 0');
  await hasLine(
    'apiserver_flowcontrol_rejected_requests_total{priority_level="system",flow_schema="system-nodes",reason="time-out"} 1',
  );
});

test("createApi() reports its flow control in its metrics", async () => {
  await using app = await createTestApp();
  const { text } = await app.send("GET", "/metrics");
  assert.match(text, /^tlsboot_flowcontrol_executing_requests\{priority_level="node-high"\} 0$/m);
  assert.match(text, /^# TYPE apiserver_flowcontrol_rejected_requests_total counter$/m);
});

function create() {
  const registry = createMetricsRegistry();
  const clock = createFakeClock();
  const inflight = gaugeInflight(registry, clock);
  return {
    clock,
    begin: inflight.begin,
    async assertShown(readOnly: number, mutating: number): Promise<void> {
      const lines = (await registry.metrics()).split("\n").filter((line) => line.includes("inflight_requests{"));
      assert.deepEqual(lines, [
        `apiserver_current_inflight_requests{request_kind="readOnly"} ${readOnly}`,
        `apiserver_current_inflight_requests{request_kind="mutating"} ${mutating}`,
      ]);
    },
  };
}

test("gaugeInflight() reports the maximum of the last whole second, not the current number", async () => {
  const { clock, begin, assertShown } = create();
  const ends = ["get", "list", "watch"].map(begin);
  for (const end of ends) end();
  begin("get")();
  await assertShown(0, 0);
  await clock.advance(1_000);
  await assertShown(3, 0);
  await clock.advance(999);
  await assertShown(3, 0);
  await clock.advance(1);
  await assertShown(0, 0);
});

test("gaugeInflight() counts mutating requests separately", async () => {
  const { clock, begin, assertShown } = create();
  for (const verb of ["create", "update", "patch", "delete", "deletecollection", "post"]) begin(verb);
  begin("get");
  await clock.advance(1_000);
  await assertShown(1, 6);
});

test("gaugeInflight() keeps counting long requests, however rarely it is read", async () => {
  const { clock, begin, assertShown } = create();
  const ends = [begin("get"), begin("get")];
  await clock.advance(60_000);
  await assertShown(2, 0);
  ends[0]?.();
  await clock.advance(1_000);
  await assertShown(2, 0);
  await clock.advance(1_000);
  await assertShown(1, 0);
  ends[1]?.();
  await clock.advance(60_000);
  await assertShown(0, 0);
});

test("createApi() counts all served requests, also those within the process, and watches until they have begun", async () => {
  await using app = await createTestApp();
  const shown = async (): Promise<readonly string[]> =>
    [...(await app.send("GET", "/metrics")).text.matchAll(/^apiserver_current_inflight_requests\{[^}]*\} \d+$/gm)]
      .map(([line]) => line.replace("apiserver_current_inflight_requests", ""));
  assert.deepEqual(await shown(), ['{request_kind="readOnly"} 0', '{request_kind="mutating"} 0']);
  const watch = await app.open("GET", "/api/v1/configmaps?watch=true");
  await app.send("POST", "/api/v1/namespaces/default/configmaps", { body: { metadata: { name: "a" } } });
  await app.clock.advance(1_000);
  assert.deepEqual(await shown(), ['{request_kind="readOnly"} 1', '{request_kind="mutating"} 1']);
  await app.clock.advance(2_000);
  assert.deepEqual(await shown(), ['{request_kind="readOnly"} 0', '{request_kind="mutating"} 0']);
  await watch.body?.cancel();
});
