/**
 * The real program while its clock is set, and across dates that break clocks and formats. Server and clients share
 * a clock (libfaketime), as on one machine; it runs at normal speed.
 */
import assert from "node:assert/strict";
import { cp, readFile, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { test } from "node:test";
import { parseCredentialPair } from "../../../core/machine/credential_pair.ts";
import {
  type Child,
  type Finished,
  runProgram,
  spawnTlsboot,
  spawnTlsbootToEnd,
  succeedProgram,
} from "../../support/child.ts";
import { eventually } from "../../support/eventually.ts";
import { createTempFolder, findServerPort, type TempFolder } from "../../support/temp.ts";
import { waitUntilUp } from "../../support/interop/instance.ts";
import { createKubectl } from "../../support/interop/kubectl.ts";
import { createProgramClock, type ProgramClock } from "../../support/interop/program_clock.ts";

/** How long a machine waits for its certificate before the test starts it again. */
const ATTEMPT = "60s";

function createClock(folder: Pick<TempFolder, "join">, time: string, zone: string): Promise<ProgramClock> {
  return createProgramClock(folder.join("clock"), time, zone);
}

interface ClockedInstance extends AsyncDisposable {
  readonly running: Child;
  /** Bootstraps a node by this clock. */
  bootstrap(node: string): Promise<Finished>;
  requests(): Promise<Finished>;
}

async function startClockedInstance(
  folder: TempFolder,
  clock: ProgramClock,
  flags: readonly string[] = [],
  port = 0,
): Promise<ClockedInstance> {
  const data = folder.join("data");
  const options = { cwd: folder.path, env: clock.env };
  const args = ["up", "--auto-approve", "--secure-port", `${port}`, "--data-dir", data, ...flags];
  const running = spawnTlsboot(args, options);
  await waitUntilUp(running);
  return {
    running,
    bootstrap: (node) =>
      spawnTlsbootToEnd([
        ...["bootstrap", "--bootstrap-kubeconfig", `${data}/bootstrap.kubeconfig`, "--hostname-override", node],
        ...["--kubeconfig", folder.join(node, "kubeconfig"), "--cert-dir", folder.join(node, "pki")],
        ...["--timeout", ATTEMPT],
      ], options),
    requests: () => spawnTlsbootToEnd(["get", "csr", "-o", "name", "--data-dir", data], options),
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

/** Asserts that OpenSSL accepts the node's certificate by this clock, and returns its expiry. */
async function assertPair(folder: TempFolder, clock: ProgramClock, node: string): Promise<Date> {
  const path = folder.join(node, "pki", "kubelet-client-current.pem");
  const combined = await readFile(path, "utf8");
  const pair = parseCredentialPair(combined, combined);
  assert.ok(pair.ok);
  await succeedProgram(
    "openssl",
    ["verify", "-CAfile", folder.join("data", "pki", "ca.crt"), path],
    clock,
  );
  return pair.value.leaf.notAfter;
}

function countLines({ stdout }: Finished): number {
  return stdout.split("\n").filter((line) => line !== "").length;
}

test("up continues when its clock is set forward or back by a second, an hour and more than a year, and loses nothing", async () => {
  await using folder = await createTempFolder();
  // The CA is so old that it is valid at every time below.
  const clock = await createClock(folder, "-800d", "UTC");
  await using instance = await startClockedInstance(folder, clock);
  assert.equal((await instance.bootstrap("n0")).code, 0);
  let nodes = 1;
  for (const time of ["-19199h", "-19200h", "-800d", "-400d", "-399d", "-799d", "-69033601s", "-400d"]) {
    await clock.set(time);
    const node = `n${nodes++}`;
    await eventually(`a node bootstraps at ${time}`, async () => {
      assert.equal(instance.running.hasEnded(), false, instance.running.stderr());
      return (await instance.bootstrap(node)).code === 0 || undefined;
    });
    await assertPair(folder, clock, node);
    const requests = await instance.requests();
    assert.equal(requests.code, 0, requests.stderr);
    assert.equal(countLines(requests), nodes, `requests at ${time}`);
  }
});

test("up waits while its clock is before its CA, and continues when the clock is correct again", async () => {
  await using folder = await createTempFolder();
  const clock = await createClock(folder, "+0", "UTC");
  await using instance = await startClockedInstance(folder, clock);
  await clock.set("-365d");
  const refused = await instance.requests();
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^tlsboot: error: .*(not valid|not yet valid|valid from)/m);
  await clock.set("+0");
  await eventually("a node bootstraps", async () => {
    assert.equal(instance.running.hasEnded(), false, instance.running.stderr());
    return (await instance.bootstrap("n1")).code === 0 || undefined;
  });
  await assertPair(folder, clock, "n1");
});

test("bootstrap on a machine with an unset clock waits until it is set, and then joins", async () => {
  await using folder = await createTempFolder();
  const clock = await createClock(folder, "+0", "UTC");
  await using instance = await startClockedInstance(folder, clock);
  const unset = await createClock({ join: (name) => folder.join(`machine.${name}`) }, "@1970-01-01 00:02:11", "UTC");
  const { TLSBOOT_EARLIEST_TIME: _, ...env } = unset.env;
  await using waiting = spawnTlsboot([
    ...["bootstrap", "--bootstrap-kubeconfig", "data/bootstrap.kubeconfig", "--hostname-override", "n1"],
    ...["--kubeconfig", "n1/kubeconfig", "--cert-dir", "n1/pki"],
  ], { cwd: folder.path, env });
  await waiting.waitFor(
    /this machine's clock says 1970-01-01T00:0\d:\d\dZ, but this program was built at .*; waiting until it is set\n/,
  );
  assert.equal(countLines(await instance.requests()), 0);
  const refused = await spawnTlsbootToEnd(["ca", "init", "--data-dir", "other"], { cwd: folder.path, env });
  assert.match(refused.stderr, /cannot use the CA: this machine's clock says 1970-.*\ntlsboot: hint: set the clock/);
  await unset.set("+0");
  const joined = await waiting.finished();
  assert.equal(joined.code, 0, joined.stderr);
  assert.equal(joined.stderr.match(/waiting until it is set/g)?.length, 1);
  await assertPair(folder, clock, "n1");
});

for (
  const { name, from, to, zone } of [
    { name: "the end of 32-bit time", from: "2038-01-19 03:14:00", to: "2038-01-19 03:14:10", zone: "UTC" },
    { name: "the end of UTCTime", from: "2049-12-31 23:59:50", to: "2050-01-01 00:00:05", zone: "UTC" },
    { name: "a leap second", from: "2016-12-31 23:59:50", to: "2016-12-31 23:59:59", zone: "UTC" },
    {
      name: "the hour that daylight saving time skips",
      from: "2027-03-28 01:59:50",
      to: "2027-03-28 03:00:05",
      zone: "Europe/Berlin",
    },
    {
      name: "the hour that daylight saving time repeats",
      from: "2027-10-31 01:59:50",
      to: "2027-10-31 03:00:05",
      zone: "Europe/Berlin",
    },
  ]
) {
  test(`up continues across ${name}`, async () => {
    await using folder = await createTempFolder();
    const clock = await createClock(folder, `@${from}`, zone);
    await using instance = await startClockedInstance(folder, clock);
    const first = await instance.bootstrap("n1");
    assert.equal(first.code, 0, first.stderr);
    await assertPair(folder, clock, "n1");
    await clock.set(`@${to}`);
    await eventually(
      "a node bootstraps",
      async () => (await instance.bootstrap("n2")).code === 0 || undefined,
    );
    const notAfter = await assertPair(folder, clock, "n2");
    assert.ok(notAfter > new Date(`${to.replace(" ", "T")}Z`), notAfter.toISOString());
    assert.equal(countLines(await instance.requests()), 2);
  });
}

/** Runs `bootstrap` on a machine that has a kubeconfig and a certificate, and no bootstrap credentials. */
function bootstrapAgain(folder: TempFolder, clock: ProgramClock, machine: string): Promise<Finished> {
  const [kubeconfig, certDir] = [folder.join(machine, "kubeconfig"), folder.join(machine, "pki")];
  const args = ["bootstrap", "--hostname-override", "n1", "--kubeconfig", kubeconfig, "--cert-dir", certDir];
  return spawnTlsbootToEnd([...args, "--timeout", ATTEMPT], { cwd: folder.path, env: clock.env });
}

/** Copies the files of a machine and adjusts the paths in them. */
async function cloneMachine(folder: TempFolder, machine: string, clone: string): Promise<void> {
  await cp(folder.join(machine), folder.join(clone), { recursive: true, verbatimSymlinks: true });
  const kubeconfig = folder.join(clone, "kubeconfig");
  const text = await readFile(kubeconfig, "utf8");
  await writeFile(kubeconfig, text.replaceAll(folder.join(machine), folder.join(clone)), { mode: 0o600 });
  const link = folder.join(clone, "pki", "kubelet-client-current.pem");
  const target = basename(await readlink(link));
  await rm(link);
  await symlink(folder.join(clone, "pki", target), link);
}

test("a node that was off for fourteen months recovers by itself, and a clone of its disk does not", async () => {
  await using folder = await createTempFolder();
  const clock = await createClock(folder, "-430d", "UTC");
  await using instance = await startClockedInstance(folder, clock, ["--node-recovery", "90d"]);
  assert.equal((await instance.bootstrap("n1")).code, 0);
  await cloneMachine(folder, "n1", "clone");
  await clock.set("+0");

  const recovered = await eventually("the node recovers", async () => {
    const finished = await bootstrapAgain(folder, clock, "n1");
    return finished.code === 0 ? finished : undefined;
  });
  assert.match(recovered.stderr, /the certificate expired at 20.*; requesting the next one with it from https:/);
  assert.match(recovered.stdout, /certificate of n1 issued/);
  await assertPair(folder, clock, "n1");
  assert.match((await bootstrapAgain(folder, clock, "n1")).stdout, /nothing to do/);

  const refused = await bootstrapAgain(folder, clock, "clone");
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /the server does not accept the expired certificate: /);
  assert.match(refused.stderr, /tlsboot token create --node n1 -o command/);
  await instance.running.waitFor(/a node with an expired certificate was refused/);
  const kubectl = createKubectl(folder, folder.join("data", "admin.kubeconfig"));
  // The server writes the event after its log.
  const events = await eventually("the server records an event about the clone", async () => {
    const text = await kubectl.run("get", "events", "-o", "yaml");
    return /reason: NodeRecoveryRefused/.test(text) ? text : undefined;
  });
  assert.match(events, /Two machines hold the\s+key of this certificate/);
});

test("a server refuses an expired certificate without --node-recovery or after its period, and bootstrap prints the remedy", async () => {
  await using folder = await createTempFolder();
  const clock = await createClock(folder, "-430d", "UTC");
  const port = await findServerPort();
  for (const flags of [[], ["--node-recovery", "30d"]]) {
    await using instance = await startClockedInstance(folder, clock, flags, port);
    if (flags.length === 0) assert.equal((await instance.bootstrap("n1")).code, 0);
    await clock.set("+0");
    const refused = await eventually("the server uses the new clock", async () => {
      const finished = await bootstrapAgain(folder, clock, "n1");
      return /the server does not accept the expired certificate/.test(finished.stderr) ? finished : undefined;
    });
    assert.equal(refused.code, 1);
    assert.match(
      refused.stderr,
      /on the server, run the following command, and run here what it prints: tlsboot token create --node n1/,
    );
  }
});

test("a connection with an expired certificate may request the certificate of its node and do nothing else", async () => {
  await using folder = await createTempFolder();
  const clock = await createClock(folder, "-430d", "UTC");
  await using instance = await startClockedInstance(folder, clock, ["--node-recovery", "90d"]);
  for (const node of ["n1", "n2"]) assert.equal((await instance.bootstrap(node)).code, 0);
  await clock.set("+0");
  const pair = folder.join("n1", "pki", "kubelet-client-current.pem");
  const { server } = /server: (?<server>\S+)/.exec(await readFile(folder.join("n1", "kubeconfig"), "utf8"))!.groups!;
  const curl = async (...args: readonly string[]): Promise<string> => {
    const flags = ["-sk", "--cert", pair, "--key", pair, "-o", "/dev/null", "-w", "%{http_code}"];
    return (await runProgram("curl", [...flags, ...args])).stdout;
  };
  const csrs = `${server}/apis/certificates.k8s.io/v1/certificatesigningrequests`;
  await eventually("the server uses the new clock", async () => await curl(`${csrs}/absent`) === "404" || undefined);
  for (
    const path of [
      `${server}/api/v1/nodes/n1`,
      `${server}/api/v1/nodes`,
      `${server}/apis/tlsboot/v1alpha1/issuedcertificates`,
      csrs,
      `${csrs}?watch=true`,
      `${server}/openapi/v2`,
    ]
  ) assert.equal(await curl(path), "403", path);
  const requests = (await instance.requests()).stdout.trim().split("\n").map((name) => name.split("/").at(-1)!);
  for (const name of requests) assert.equal(await curl(`${csrs}/${name}`), "403", "a request that it did not make");
  const review = `{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1"}`;
  const post = ["-X", "POST", "-H", "content-type: application/json", "-d"];
  assert.equal(await curl(...post, review, `${server}/apis/authentication.k8s.io/v1/selfsubjectreviews`), "403");
  assert.equal(await curl("-H", "impersonate-user: alice", `${csrs}/absent`), "403");
});

test("bootstrap --rotate-certificates that was suspended for fourteen months renews with the expired certificate", async () => {
  await using folder = await createTempFolder();
  const clock = await createClock(folder, "-430d", "UTC");
  await using instance = await startClockedInstance(folder, clock, ["--node-recovery", "90d"]);
  const [kubeconfig, certDir] = [folder.join("n1", "kubeconfig"), folder.join("n1", "pki")];
  const token = ["--bootstrap-kubeconfig", folder.join("data", "bootstrap.kubeconfig")];
  const args = ["bootstrap", ...token, "--hostname-override", "n1", "--kubeconfig", kubeconfig, "--cert-dir", certDir];
  await using machine = spawnTlsboot([...args, "--rotate-certificates"], { cwd: folder.path, env: clock.env });
  await machine.waitFor(/issued/, undefined, "stdout");
  await clock.set("+0");
  await machine.waitFor(/certificate renewed, valid until/);
  await assertPair(folder, clock, "n1");
  assert.doesNotMatch(instance.running.stderr(), /was refused/);
});
