import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createTestApp } from "../../tests/support/test_app.ts";
import { createFlowControl, OverloadError } from "../flowcontrol/flow_control.ts";
import type { Place } from "../flowcontrol/priority_levels.ts";
import { countRejections, gaugeLevels } from "./flow_control.ts";
import { createMetricsRegistry } from "./registry.ts";

test("flow control is told of by level: who is served, who waits, who was turned away and why", async () => {
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

test("createApi() tells of its flow control in its metrics", async () => {
  await using app = await createTestApp();
  const { text } = await app.send("GET", "/metrics");
  assert.match(text, /^tlsboot_flowcontrol_executing_requests\{priority_level="node-high"\} 0$/m);
  assert.match(text, /^# TYPE apiserver_flowcontrol_rejected_requests_total counter$/m);
});
