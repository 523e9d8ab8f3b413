/** Tests a host whose clock has not been set since it started: a machine waits, and a CA refuses to sign. */
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { test } from "node:test";
import { type Running, runTlsboot, startCaptured, startTlsboot } from "../support/child.ts";
import { createFakeClock, type FakeClock, until } from "../support/fake_clock.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";
import { runCaptured } from "../support/run_captured.ts";

const STARTED = "1970-01-01T00:02:11Z";
const BOOTSTRAP = "bootstrap --bootstrap-kubeconfig none --kubeconfig n1/kubeconfig --cert-dir n1/pki";

/** Starts a command with a fake clock. */
function begin(folder: TempFolder, clock: FakeClock, line: string): Running {
  return startCaptured(line.split(" "), { cwd: folder.path, clock });
}

/** Waits until the command sleeps, and fails if it ends first. */
async function untilAsleep(clock: FakeClock, command: Running): Promise<void> {
  await until(() => clock.sleepers > 0 || command.hasEnded());
  assert.ok(!command.hasEnded(), command.stderr());
}

for (const line of [BOOTSTRAP, "request --kubeconfig none --signer example.com/web --subject CN=web --out web"]) {
  test(`tlsboot ${line.split(" ")[0]} waits until the clock is set, and reports that once`, async () => {
    await using folder = await createTempFolder();
    const clock = createFakeClock(STARTED);
    const command = begin(folder, clock, line);
    await untilAsleep(clock, command);
    await clock.advance(30_000);
    assert.equal(
      command.stderr(),
      "this machine's clock says 1970-01-01T00:02:11Z, but this program was built at 2024-01-01T00:00:00Z; waiting until it is set\n",
    );
    clock.set(Date.parse("2026-06-01T00:00:00Z"));
    await clock.advance(1_000);
    assert.equal((await command.finished()).code, 1);
    assert.match(
      command.stderr(),
      /^this machine's clock was set: 2026-06-01T00:0.*Z\ntlsboot: error: .*cannot read kubeconfig/m,
    );
  });
}

test("tlsboot bootstrap stops waiting for the clock after --timeout", async () => {
  await using folder = await createTempFolder();
  const clock = createFakeClock(STARTED);
  const command = begin(folder, clock, `${BOOTSTRAP} --timeout 2m`);
  await untilAsleep(clock, command);
  await clock.advance(121_000);
  assert.equal((await command.finished()).code, 1);
  assert.match(
    command.stderr(),
    /cannot request a certificate: this machine's clock says 1970-.*\ntlsboot: hint: set the clock, by NTP or/,
  );
});

test("commands that open a CA key refuse a clock before the program's build time, and write nothing", async () => {
  await using folder = await createTempFolder();
  const clock = createFakeClock("2023-12-30T23:59:59Z");
  for (
    const line of [
      "ca init",
      "ca init --shares 2-of-3 --shares-out shares",
      "ca request --out ca.csr",
      "ca sign a.csr --out ca.crt",
      "sign --signer kubernetes.io/kube-apiserver-client a.csr",
      "up --secure-port 0",
      "serve --secure-port 0",
    ]
  ) {
    const { code, stderr } = await runCaptured(line.split(" "), { cwd: folder.path, clock });
    assert.equal(code, 1, line);
    assert.match(
      stderr,
      /cannot use the CA: this machine's clock says 2023-12-30T23:59:59Z, but this program was built at 2024-01-01T00:00:00Z\ntlsboot: hint: set the clock, by NTP or with: date -u -s "/,
    );
  }
  assert.deepEqual(await readdir(folder.path), []);
});

test("TLSBOOT_EARLIEST_TIME replaces the program's build time, also with the real clock", async () => {
  await using folder = await createTempFolder();
  const env = { TLSBOOT_EARLIEST_TIME: "2100-01-01T00:00:00Z" };
  const refused = await runTlsboot(["ca", "init"], { cwd: folder.path, env });
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /but this program was built at 2100-01-01T00:00:00Z\n/);
  await using waiting = startTlsboot(BOOTSTRAP.split(" "), { cwd: folder.path, env });
  await waiting.waitFor(/this machine's clock says .*; waiting until it is set/);
  waiting.kill("SIGINT");
  assert.equal((await waiting.finished()).code, 130);
  const wrong = await runCaptured(["ca", "init"], { cwd: folder.path, env: { TLSBOOT_EARLIEST_TIME: "today" } });
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /TLSBOOT_EARLIEST_TIME: "today" found, want a time such as/);
});
