import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createWorkQueue } from "../../controllers/engine/loop.ts";
import { createControllerMetrics, listenForMetrics } from "./controllers.ts";
import { createMetricsRegistry } from "./registry.ts";
import { Gauge } from "prom-client";

const NEVER = new AbortController().signal;

test("createControllerMetrics() counts queued names, each once, and measures waiting and work", async () => {
  const clock = createFakeClock();
  const registry = createMetricsRegistry();
  const metrics = createControllerMetrics(registry, clock);
  const queue = createWorkQueue(clock, metrics.queue("signer"));
  const readMetric = async (name: string) => {
    const page = await registry.metrics();
    return Number(new RegExp(`^${name}\\{[^}]*name="signer"[^}]*\\} (\\S+)$`, "m").exec(page)?.[1]);
  };
  assert.deepEqual([await readMetric("workqueue_depth"), await readMetric("workqueue_adds_total")], [0, 0]);

  queue.add("a");
  queue.add("a");
  queue.add("b");
  assert.deepEqual([await readMetric("workqueue_depth"), await readMetric("workqueue_adds_total")], [2, 2]);
  clock.jump(2_000);
  assert.equal(await queue.take(NEVER), "a");
  assert.equal(await readMetric("workqueue_depth"), 1);
  assert.equal(await readMetric("workqueue_queue_duration_seconds_sum"), 2);

  // A name that changes during the work on it is queued again only after that work.
  queue.add("a");
  clock.jump(3_000);
  assert.equal(await readMetric("workqueue_unfinished_work_seconds"), 3);
  assert.equal(await readMetric("workqueue_longest_running_processor_seconds"), 3);
  assert.equal(await readMetric("workqueue_depth"), 1);
  queue.done("a");
  assert.equal(await readMetric("workqueue_work_duration_seconds_sum"), 3);
  assert.deepEqual([await readMetric("workqueue_depth"), await readMetric("workqueue_adds_total")], [2, 3]);
  assert.equal(await readMetric("workqueue_longest_running_processor_seconds"), 0);

  queue.addRateLimited("b");
  assert.equal(await readMetric("workqueue_retries_total"), 1);
});

test("createControllerMetrics() reports the leader", async () => {
  const registry = createMetricsRegistry();
  const metrics = createControllerMetrics(registry, createFakeClock());
  for (const [isLeading, value] of [[false, 0], [true, 1], [false, 0]] as const) {
    metrics.setLeading("tlsboot-signer", isLeading);
    assert.match(
      await registry.metrics(),
      new RegExp(`^leader_election_master_status\\{name="tlsboot-signer"\\} ${value}$`, "m"),
    );
  }
});

test("listenForMetrics() answers 500 while a metric cannot be gathered, and keeps serving", async () => {
  const registry = createMetricsRegistry();
  let isBroken = true;
  new Gauge({
    name: "fragile",
    help: "Fails at first.",
    registers: [registry],
    collect() {
      if (isBroken) throw new Error("cannot be read");
      this.set(1);
    },
  });
  await using listener = await listenForMetrics(registry, { host: "127.0.0.1", port: 0 });
  const get = async (): Promise<readonly [number, string]> => {
    const answer = await fetch(`http://127.0.0.1:${listener.port}/metrics`);
    return [answer.status, await answer.text()];
  };
  assert.deepEqual(await get(), [500, "cannot gather the metrics\n"]);
  isBroken = false;
  const [code, text] = await get();
  assert.equal(code, 200);
  assert.match(text, /^fragile 1$/m);
});
