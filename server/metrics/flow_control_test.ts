import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createTestApp } from "../../tests/support/test_app.ts";
import { createFlowControl, OverloadError, type Place } from "../flowcontrol/flow_control.ts";
import { countRejections, gaugeInflight, gaugeLevels } from "./flow_control.ts";
import { createMetricsRegistry } from "./registry.ts";

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

test("createApi() counts all served requests, in the process too, and watches until they have begun", async () => {
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
