/**
 * Weeks of a certificate manager with a fake clock: outages, full disks, clock jumps and sleep. A pair is always
 * stored.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../core/errors.ts";
import type { PrivateKey } from "../core/pki/keys/keys.ts";
import { createFakeClock, createSkippingClock, until } from "../tests/support/fake_clock.ts";
import { createIssuingCa } from "../tests/support/issuing_ca.ts";
import { createMemoryFiles } from "../tests/support/memory_files.ts";
import { createMemoryLogger } from "../tests/support/memory_logger.ts";
import { createSeededRandom } from "../tests/support/seeded_random.ts";
import { createFixedSource } from "./keep_fresh.ts";
import { runCertificateManager } from "./certificate_manager.ts";
import { openCredentialStore } from "./certificate/credential_store.ts";

const START = new Date("2026-01-01T00:00:00Z");
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const LIFETIME = 24 * HOUR;
const WEEKS = 6;
const TEMPLATE = { commonName: "system:node:n1", organizations: ["system:nodes"], dnsNames: [], ipAddresses: [] };

test("a certificate manager survives six weeks of failures", async () => {
  const clock = createFakeClock(START);
  const files = createMemoryFiles();
  const logger = createMemoryLogger();
  const chance = createSeededRandom();
  const ca = await createIssuingCa(START);
  const store = await openCredentialStore({ files, clock, certDir: "/pki", prefix: "kubelet-client" });
  const abort = new AbortController();
  const world = { isApiAway: false, asked: { current: 0, bootstrap: 0 } };
  const renewals: Date[] = [];
  const shares: number[] = [];
  const manager = runCertificateManager({
    purpose: "client",
    store,
    template: createFixedSource(TEMPLATE),
    // Pauses of up to a minute end by themselves; the test ends longer sleeps.
    clock: createSkippingClock(clock, 0, MINUTE),
    random: chance,
    logger,
    async requestCertificate(key: PrivateKey, { commonName, organizations }, credentials) {
      if (world.isApiAway && chance.float() < 0.99) throw new AppError("unreachable", "away", { retryable: true });
      world.isApiAway = false;
      world.asked[credentials]++;
      const now = clock.now();
      const notAfter = new Date(now.getTime() + LIFETIME);
      const subject = { commonName, organizations };
      return await ca.issue({ publicKeyDer: key.publicKeyDer(), subject, notBefore: now, notAfter });
    },
    onRenewed(pair) {
      const before = renewals.at(-1);
      if (before !== undefined) shares.push((clock.now().getTime() - before.getTime()) / LIFETIME);
      renewals.push(clock.now());
      assert.equal(pair.leaf.subject.commonName, "system:node:n1");
    },
  }, abort.signal).catch((error: unknown) => error);

  const isAsleep = (): boolean => clock.sleepers > 0;
  await until(isAsleep);
  while (clock.now().getTime() < START.getTime() + WEEKS * 7 * 24 * HOUR) {
    const event = chance.float();
    if (event < 0.1) world.isApiAway = true;
    else if (event < 0.15) files.failOn = [/^writeAtomic/, /^symlink/, /^rename/][Math.floor(chance.float() * 3)];
    else if (event < 0.2) clock.jump(chance.float() * 40 * HOUR); // the lid was closed
    else if (event < 0.25) clock.set((chance.float() * 4 - 2) * HOUR); // the clock was set
    await clock.advance(HOUR);
    if (files.failOn !== undefined) {
      const warned = logger.messages("warn").length;
      await until(() => isAsleep() || logger.messages("warn").length > warned + 3);
      files.failOn = undefined;
    }
    await until(isAsleep);
    const current = await store.current();
    assert.equal(current?.leaf.subject.commonName, "system:node:n1");
    assert.ok(current !== undefined && current.leaf.notAfter >= clock.now(), "it sleeps only with a valid pair");
  }
  abort.abort(new Error("over"));
  assert.deepEqual(await manager, new Error("over"));
  assert.ok(renewals.length > 30, String(renewals.length));
  assert.ok(world.asked.bootstrap > 1, "it slept past the end, and used the bootstrap credentials again");
  assert.ok(Math.min(...shares) > 0.5, "near 70 % of its lifetime or later, clocks set back included");
});
