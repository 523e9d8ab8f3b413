/** client-go's shared informers and leader election, for minutes, while `up` is restarted under them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { peerPath } from "../support/peers/go.ts";
import { start } from "../support/child.ts";
import { startInstance } from "../support/interop/instance.ts";
import { pause, restart, SOAK_SECONDS, type SoakVerdict } from "../support/interop/soak.ts";

/** Longer than a leader waits for its renewal, so that there is no leader when the server is back. */
const LONG_OUTAGE_SECONDS = 12;

/**
 * After a leader was killed, on top of the lease: a candidate checks every 2 to 4.4 s, so it may see the
 * last renewal, and the end of the lease, that much later (client-go's leaderelection, retry period and jitter).
 */
const LATE_SECONDS = 10;

test("informers and an election outlive two restarts of up: nothing lost, nothing twice, one leader", async () => {
  await using instance = await startInstance();
  await using soak = start(peerPath("soak"), [
    ...["-kubeconfig", instance.adminKubeconfig, `-duration=${SOAK_SECONDS}s`],
  ]);
  await soak.waitFor(/^soaking$/m);
  await pause(SOAK_SECONDS / 3);
  await using first = await restart(instance, instance.running, "SIGTERM", 0);
  assert.equal(first.code, 0);
  assert.ok(first.stoppedWithinMs < 5_000, `up took ${first.stoppedWithinMs} ms to stop with watches open`);
  await pause(SOAK_SECONDS / 3);
  await using second = await restart(instance, first.running, "SIGKILL", LONG_OUTAGE_SECONDS);
  const { code, stdout, stderr } = await soak.finished();
  assert.equal(code, 0, stderr);
  const verdict = JSON.parse(stdout.replace(/^soaking\n/, "")) as SoakVerdict;

  assert.deepEqual(verdict.faults, [], `${stdout}\n${stderr}`);
  assert.equal(verdict.informers.length, 6);
  for (const { name, live, resumed } of verdict.informers) {
    assert.ok(live > SOAK_SECONDS, `${name} saw ${live} events`);
    assert.ok(resumed >= 1, `${name} never resumed where it had stopped`);
  }
  for (const { kind, created, changed, removed } of verdict.writers) {
    assert.ok(created > SOAK_SECONDS / 5 && changed > 0 && removed > 0, `${kind}: ${created}, ${changed}, ${removed}`);
  }
  const { terms, renewals, crashes, leaseSeconds } = verdict.leadership;
  assert.ok(terms.length >= 2 && crashes.length === 2, stdout);
  const secondsWithoutLeader = (after: Date): number => {
    const next = renewals.map((text) => Date.parse(text)).find((renewal) => renewal > after.getTime());
    return next === undefined ? Infinity : (next - after.getTime()) / 1000;
  };
  for (const { upAt } of [first, second]) {
    const seconds = secondsWithoutLeader(upAt);
    assert.ok(seconds <= leaseSeconds, `no candidate led for ${seconds} s after the restart at ${upAt.toISOString()}`);
  }
  for (const at of crashes) {
    const seconds = secondsWithoutLeader(new Date(at));
    assert.ok(seconds <= leaseSeconds + LATE_SECONDS, `no candidate led for ${seconds} s after the crash at ${at}`);
  }
});
