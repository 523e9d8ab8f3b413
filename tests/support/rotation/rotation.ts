/**
 * A CA rotation without interruption: a fleet of machines, stock kubelets and a watch by kubectl run through it while
 * servers are killed at random, and at the end nothing trusts the old CA.
 */
import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createApiClient } from "../../../client/objects/api.ts";
import { createConnector, readCluster } from "../../../client/transport/connect.ts";
import { createFilePort } from "../../../client/files.ts";
import { createSystemClock } from "../../../cli/system.ts";
import { isAppError } from "../../../core/errors.ts";
import { parseCaBundle } from "../../../core/pki/x509/ca_bundle.ts";
import type { Random } from "../../../core/ports.ts";
import { type CertificateFacts, verifyCertificateSignature } from "../../../core/pki/x509/certificate.ts";
import { runProgram, spawnTlsbootToEnd } from "../child.ts";
import { eventually } from "../eventually.ts";
import { createKubectl, type Kubectl } from "../interop/kubectl.ts";
import { createSeededRandom } from "../seeded_random.ts";
import { createTempFolder, type TempFolder } from "../temp.ts";
import { type Fleet, type FleetMachine, startFleet } from "./fleet.ts";
import type { KilledServers } from "./killed_servers.ts";
import { startFollowingKubelet, startRestartedWatch } from "./clients.ts";
import { requestUsername } from "../../torture/node.ts";

export const MACHINES = 40;
const KUBELETS = 2;
/** The number of machines that use their certificate at the end. */
const CHECKED_MACHINES = 10;

/**
 * The lifetime of the kubelets' certificates. They are backdated by five minutes, so a kubelet renews, at 70 to 90 % of
 * the validity period, within three minutes. The fleet's machines got longer certificates before, and renew only
 * because of the rotation.
 */
const SHORT_LIFE = "200s";
const STEP_WITHIN_MS = 300_000;
const ANSWERS_WITHIN_MS = 60_000;

/** The number of lines of the machines' output that a failure shows. */
const LINES_SHOWN = 20;

/** The seed for the times and targets of the kills. */
const SEED = 20261201;

/** Starts servers and clients, and replaces the CA. */
export async function rotateUnderLoad(
  start: (folder: TempFolder, random: Random) => Promise<KilledServers>,
): Promise<void> {
  await using folder = await createTempFolder();
  await using servers = await start(folder, createSeededRandom(SEED));
  await rotate(folder, servers);
}

async function rotate(folder: TempFolder, servers: KilledServers): Promise<void> {
  const [dataDir = ""] = servers.dataDirs;
  const [oldCa] = await readBundle(join(dataDir, "pki", "ca.crt"));
  assert.ok(oldCa !== undefined);
  await using fleet = startFleet(folder.join("fleet"), servers.bootstrapKubeconfig, MACHINES);
  await waitForAll(fleet, "a certificate", fleet.machines, async (one) => await one.readCertificate() !== undefined);
  await servers.restart(["--cluster-signing-duration", SHORT_LIFE]);
  await using stack = new AsyncDisposableStack();
  const kubelets = await Promise.all(
    Array.from(
      { length: KUBELETS },
      async (_, index) =>
        stack.use(await startFollowingKubelet(folder, `kubelet-${index}`, servers.bootstrapKubeconfig)),
    ),
  );
  const kubectl = createKubectl(folder, join(dataDir, "admin.kubeconfig"));
  const watch = stack.use(startRestartedWatch(kubectl));
  const oldPair = await keepOldPair(folder, servers, fleet.machines[0]!);
  const everyone = [...fleet.machines, ...kubelets.map(({ machine }) => machine)];

  await servers.disturb(() => step(dataDir, "begin"));
  const newCa = (await readBundle(join(dataDir, "pki", "next-ca.crt")))[0];
  assert.ok(newCa !== undefined && newCa.sha256Fingerprint !== oldCa.sha256Fingerprint);
  await servers.disturb(() => waitForAll(fleet, "trust in both CAs", everyone, (one) => trusts(one, [oldCa, newCa])));
  await watch.sees(kubectl, "begun");
  await servers.disturb(() => step(dataDir, "switch", "--over", "5s"));
  await servers.disturb(() =>
    waitForAll(fleet, "a certificate of the new CA", everyone, async (one) => {
      const certificate = await one.readCertificate();
      return certificate !== undefined && verifyCertificateSignature(certificate, newCa);
    })
  );
  await watch.sees(kubectl, "switched");
  await servers.disturb(() => step(dataDir, "finish"));
  await waitForAll(fleet, "trust in the new CA alone", everyone, (one) => trusts(one, [newCa]));
  await watch.sees(kubectl, "finished");

  assert.deepEqual(fleet.ended(), [], servers.stderr());
  for (const one of kubelets) {
    await eventually(
      `${one.machine.name} to be restarted`,
      () => Promise.resolve(one.restarts() >= 2 ? true : undefined),
    );
    assert.equal(one.fault(), undefined);
  }
  assert.ok(servers.kills() > 0);
  await assertOldIsGone(servers, kubectl, newCa);
  await assertServed(fleet.machines.slice(0, CHECKED_MACHINES), servers);
  await assert.rejects(whoami(oldPair), (error) => isAppError(error, "unauthorized"));
}

/** Runs a command of the rotation until it succeeds, because a server may die meanwhile. */
async function step(dataDir: string, ...args: readonly string[]): Promise<void> {
  let last = "";
  await eventually(
    `ca rotate ${args.join(" ")}`,
    async () => {
      const { code, stdout, stderr } = await spawnTlsbootToEnd(["ca", "rotate", ...args, "--data-dir", dataDir]);
      last = `exit code ${code}\n${stdout}${stderr}`;
      return code === 0 ? true : undefined;
    },
    STEP_WITHIN_MS,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${last}`);
  });
}

async function waitForAll(
  fleet: Fleet,
  what: string,
  machines: readonly FleetMachine[],
  isDone: (machine: FleetMachine) => Promise<boolean>,
): Promise<void> {
  let left = machines;
  await eventually(
    `every machine to have ${what}`,
    async () => {
      const done = await Promise.all(left.map(isDone));
      left = left.filter((_, index) => done[index] !== true);
      return left.length === 0 ? true : undefined;
    },
    STEP_WITHIN_MS,
  ).catch((error: unknown) => {
    const names = left.map(({ name }) => name);
    const lines = fleet.output().split("\n").filter((line) => names.includes(line.split(":", 1)[0] ?? ""));
    throw new Error(`${String(error)}: ${names.join(" ")} left\n${lines.slice(-LINES_SHOWN).join("\n")}`);
  });
}

async function trusts(machine: FleetMachine, cas: readonly CertificateFacts[]): Promise<boolean> {
  const trusted = (await machine.readTrusted()).map(({ sha256Fingerprint }) => sha256Fingerprint).sort();
  return trusted.join() === cas.map(({ sha256Fingerprint }) => sha256Fingerprint).sort().join();
}

async function readBundle(path: string): Promise<readonly CertificateFacts[]> {
  return parseBundle(await readFile(path, "utf8"));
}

function parseBundle(pem: string): readonly CertificateFacts[] {
  const bundle = parseCaBundle(pem);
  assert.ok(bundle.ok, bundle.ok ? "" : `${bundle.error}: ${pem}`);
  return bundle.value;
}

/** Copies the pair of a machine, as a thief would, and returns a kubeconfig with it that follows the server's CA. */
async function keepOldPair(
  folder: TempFolder,
  { url, dataDirs }: KilledServers,
  machine: FleetMachine,
): Promise<string> {
  const pair = join(machine.kubeconfig, "..", "pki", "kubelet-client-current.pem");
  await writeFile(folder.join("old.pem"), await readFile(pair), { mode: 0o600 });
  const path = folder.join("old.kubeconfig");
  const cluster = { server: url, "certificate-authority": join(dataDirs[0] ?? "", "pki", "ca.crt") };
  const user = { "client-certificate": folder.join("old.pem"), "client-key": folder.join("old.pem") };
  const context = { cluster: "it", user: "old" };
  const config = {
    ...{ apiVersion: "v1", kind: "Config", "current-context": "it" },
    ...{ clusters: [{ name: "it", cluster }], users: [{ name: "old", user }], contexts: [{ name: "it", context }] },
  };
  await writeFile(path, JSON.stringify(config), { mode: 0o600 });
  return path;
}

/** Asserts that nothing that is published, written or served has the old CA. */
async function assertOldIsGone(
  { url, dataDirs }: KilledServers,
  kubectl: Kubectl,
  newCa: CertificateFacts,
): Promise<void> {
  const want = [newCa.sha256Fingerprint];
  const assertOnlyNew = (what: string, pem: string): void =>
    assert.deepEqual(parseBundle(pem).map(({ sha256Fingerprint }) => sha256Fingerprint), want, what);
  const get = async (...args: readonly string[]): Promise<string> => await kubectl.run("get", ...args);
  const json = 'jsonpath={range .items[*]}{.data.ca\\.crt}{"\\n"}{end}';
  const roots = await get(
    "configmaps",
    "--all-namespaces",
    "--field-selector=metadata.name=kube-root-ca.crt",
    "-o",
    json,
  );
  for (const pem of roots.split(/(?<=-----END CERTIFICATE-----)\n\n+/).filter((one) => one.trim() !== "")) {
    assertOnlyNew("kube-root-ca.crt", pem);
  }
  const selector = "--field-selector=spec.signerName=kubernetes.io/kube-apiserver-serving";
  assertOnlyNew(
    "trust bundle",
    await get("clustertrustbundles", selector, "-o", "jsonpath={.items[*].spec.trustBundle}"),
  );
  const authentication = ["configmap", "extension-apiserver-authentication", "-n", "kube-system"];
  assertOnlyNew(
    "extension-apiserver-authentication",
    await get(...authentication, "-o", "jsonpath={.data.client-ca-file}"),
  );
  const info = await get("configmap", "cluster-info", "-n", "kube-public", "-o", "jsonpath={.data.kubeconfig}");
  assertOnlyNew("cluster-info", atob(/certificate-authority-data: (\S+)/.exec(info)?.[1] ?? ""));
  for (const dataDir of dataDirs) {
    for (const file of ["admin.kubeconfig", "bootstrap.kubeconfig"]) {
      const text = await readFile(join(dataDir, file), "utf8");
      assertOnlyNew(file, atob(/certificate-authority-data: (\S+)/.exec(text)?.[1] ?? ""));
    }
    assertOnlyNew("pki/ca.crt", await readFile(join(dataDir, "pki", "ca.crt"), "utf8"));
    const left = (await readdir(join(dataDir, "pki"))).filter((name) => /^(?:next|old)-/.test(name));
    assert.deepEqual(left, []);
  }
  const pki = join(dataDirs[0] ?? "", "pki");
  const [retired = ""] = (await readdir(pki)).filter((name) => /^retired-ca-\w+\.crt$/.test(name));
  const connect = (caFile: string) =>
    runProgram("openssl", [
      ...["s_client", "-connect", new URL(url).host, "-showcerts", "-verify_return_error"],
      ...["-CAfile", join(pki, caFile)],
    ]);
  const old = await connect(retired);
  assert.match(old.stdout + old.stderr, /verify error/, "a client that trusts the old CA alone refuses the server");
  const { stdout } = await connect("ca.crt");
  assert.match(stdout, /Verify return code: 0 \(ok\)/);
  const sent = stdout.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g) ?? [];
  for (const one of parseBundle(sent.join("\n"))) {
    assert.ok(verifyCertificateSignature(one, newCa), "the cross-signed CA is no longer sent");
  }
  const register = await spawnTlsbootToEnd([
    ...["verify", "certificates", "--data-dir", dataDirs[0] ?? ""],
    ...["--ca-file", join(pki, retired), "--ca-file", join(pki, "ca.crt")],
  ]);
  assert.equal(register.code, 0, register.stderr);
}

async function assertServed(machines: readonly FleetMachine[], servers: KilledServers): Promise<void> {
  for (const { name, kubeconfig } of machines) {
    assert.equal(await whoami(kubeconfig), `system:node:${name}`, servers.stderr());
  }
}

/** Returns the name of a kubeconfig's user as the server reports it. */
async function whoami(kubeconfig: string): Promise<string | undefined> {
  const [clock, files] = [createSystemClock(), createFilePort()];
  const connect = createConnector({ files, clock, userAgent: "test" });
  await using transport = await connect(await readCluster(kubeconfig, files));
  return await requestUsername(createApiClient(transport, { clock }), AbortSignal.timeout(ANSWERS_WITHIN_MS));
}
