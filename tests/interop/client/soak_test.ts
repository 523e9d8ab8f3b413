/** Runs client-go's shared informers and leader election for minutes, while `up` is restarted. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { peerPath } from "../../support/peers/go.ts";
import { start } from "../../support/child.ts";
import { eventually } from "../../support/eventually.ts";
import { findServerPort } from "../../support/temp.ts";
import { startInstance } from "../../support/interop/instance.ts";
import type { Kubectl } from "../../support/interop/kubectl.ts";
import { pause, restart, SOAK_SECONDS, type SoakVerdict } from "../../support/interop/soak.ts";

/** Longer than a leader's renewal deadline, so there is no leader when the server is back. */
const LONG_OUTAGE_SECONDS = 12;

/** The smallest meaningful numbers of events and of writes. */
const [MIN_EVENTS, MIN_WRITES] = [50, 10];

test("informers and an election survive two restarts of up: nothing is lost or repeated, and there is one leader at a time", async () => {
  await using instance = await startInstance({ args: ["--secure-port", `${await findServerPort()}`] });
  await using soak = start(peerPath("soak"), ["-kubeconfig", instance.adminKubeconfig]);
  const minutesPassed = pause(SOAK_SECONDS);
  await soak.waitFor(/^soaking$/m);
  const [, leader] = await soak.waitFor(/^(\S+) leads$/m);
  soak.kill("SIGUSR1");
  await soak.waitFor(new RegExp(`^${leader} leads\n(?:.*\n)*?\\S+ leads$`, "m"));
  await using first = await restart(instance, instance.running, "SIGTERM");
  assert.equal(first.code, 0);
  await untilRenewed(instance.kubectl, first.upAt);
  soak.kill("SIGUSR1");
  await using second = await restart(instance, first.running, "SIGKILL", () => pause(LONG_OUTAGE_SECONDS));
  await untilRenewed(instance.kubectl, second.upAt);
  await minutesPassed;
  soak.kill("SIGINT");
  const { code, stdout, stderr } = await soak.finished();
  assert.equal(code, 0, stderr);
  const verdict = JSON.parse(stdout.slice(stdout.indexOf("{"))) as SoakVerdict;

  assert.deepEqual(verdict.faults, [], `${stdout}\n${stderr}`);
  assert.equal(verdict.informers.length, 6);
  for (const { name, live, resumed } of verdict.informers) {
    assert.ok(live > MIN_EVENTS, `${name} saw ${live} events`);
    assert.ok(resumed >= 1, `${name} never resumed where it had stopped`);
  }
  for (const { kind, created, changed, removed } of verdict.writers) {
    assert.ok(created > MIN_WRITES && changed > 0 && removed > 0, `${kind}: ${created}, ${changed}, ${removed}`);
  }
  const { terms, renewals, crashes } = verdict.leadership;
  assert.ok(terms.length >= 2 && crashes.length === 2, stdout);
  for (const at of [first.upAt, second.upAt, ...crashes.map((text) => new Date(text))]) {
    assert.ok(
      renewals.some((renewal) => isAfter(renewal, at)),
      `no candidate led after ${at.toISOString()}\n${stdout}`,
    );
  }
});

function isAfter(time: string, other: Date): boolean {
  return Date.parse(time) > other.getTime();
}

/** Waits until a leader has renewed its lease after `since`. */
async function untilRenewed(kubectl: Kubectl, since: Date): Promise<void> {
  await eventually(`a leader after ${since.toISOString()}`, async () => {
    const { code, stdout } = await kubectl.try("get", "lease/soak", "--namespace=default", "--output=json");
    return code === 0 && isAfter(JSON.parse(stdout).spec.renewTime, since) ? true : undefined;
  });
}
