import assert from "node:assert/strict";
import { test } from "node:test";
import { Gauge } from "prom-client";
import { listenForMetrics } from "./client_role.ts";
import { createMetricsRegistry } from "./registry.ts";

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
