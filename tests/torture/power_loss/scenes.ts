/** What real programs do on the recorded disk, and how they start again on what a crash left. */
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { parseCredentialPair } from "../../../core/machine/credential_pair.ts";
import type { KubeObject } from "../../../core/kube/meta.ts";
import { encodePem } from "../../../core/pki/asn1/pem.ts";
import { createCertificationRequest } from "../../../core/pki/x509/pkcs10.ts";
import {
  type Child,
  type Finished,
  NODE_FLAGS,
  ROOT,
  runProgram,
  spawnTlsboot,
  spawnTlsbootToEnd,
} from "../../support/child.ts";
import { sharedKey } from "../../support/csr_builder.ts";
import { connectWith } from "../../support/instance_process.ts";
import { waitUntilUp } from "../../support/interop/instance.ts";
import type { RecordedDisk } from "../../support/interop/recorded_disk.ts";
import { findServerPort, type TempFolder } from "../../support/temp.ts";
import { DATA, readValue, WRITTEN } from "./crash_check.ts";
import type { Mark, PowerLossLedger } from "./ledger.ts";

/** A sequence of programs on one disk. */
export interface Scene {
  readonly name: string;
  /** Runs the programs. Each must succeed, and then its files are marked as settled. `folder` is not on the disk. */
  run(disk: RecordedDisk, folder: TempFolder): Promise<void>;
  /** Starts programs on what a crash left in `root`, and returns the faults in their answers. */
  restart(root: string, ledger: PowerLossLedger, folder: TempFolder): Promise<readonly string[]>;
}

const CONFIG_MAPS = "/api/v1/namespaces/default/configmaps";
const ANSWERED_WITHIN_MS = 60_000;
const WRITERS = 4;
/** With `LARGE_BYTES`, enough for a checkpoint, which SQLite makes when its log has four megabytes. */
const WRITES = 16;
const LARGE_BYTES = 60_000;

export const SCENES: readonly Scene[] = [
  { name: "files", run: runFiles, restart: () => Promise.resolve([]) },
  { name: "server", run: runServer, restart: restartServer },
  { name: "commands", run: runCommands, restart: restartCommands },
  { name: "backup", run: runBackup, restart: restartBackup },
];

function mark(disk: RecordedDisk, text: Mark): Promise<void> {
  return disk.mark(JSON.stringify(text));
}

/** Runs a command, which must succeed, and settles its files. */
async function settle(disk: RecordedDisk, under: readonly string[], args: readonly string[]): Promise<void> {
  assertDone(await spawnTlsbootToEnd(args, { env: disk.env }), args);
  for (const path of under) await mark(disk, { kind: "settled", under: path });
}

function assertDone({ code, stdout, stderr }: Finished, args: readonly string[]): void {
  if (code !== 0) throw new Error(`tlsboot ${args.join(" ")} ended with ${code}:\n${stdout}${stderr}`);
}

/** Writes files and a log without a server, with few enough calls for a power loss at every place. */
async function runFiles(disk: RecordedDisk): Promise<void> {
  const node = process.env["TLSBOOT_TEST_NODE"] ?? process.execPath;
  const program = join(ROOT, "tests", "torture", "power_loss", "write_files.ts");
  assertDone(await runProgram(node, [...NODE_FLAGS, program, disk.root], { env: disk.env }), [program]);
  for (const under of ["new", "audit.log"]) await mark(disk, { kind: "settled", under });
}

/** Runs a server, and a client that marks what is acknowledged. */
async function runUp(
  disk: RecordedDisk,
  flags: readonly string[],
  use: (client: ObjectClient) => Promise<void>,
  signal: "SIGTERM" | "SIGKILL",
): Promise<void> {
  const dataDir = join(disk.root, DATA);
  await using running = await startUp(dataDir, flags, disk.env);
  await waitUntilUp(running);
  await mark(disk, { kind: "settled", under: DATA });
  {
    await using client = await connect(dataDir);
    await use(client);
  }
  running.kill(signal);
  await running.finished();
}

async function startUp(
  dataDir: string,
  flags: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Child> {
  const port = `${await findServerPort()}`;
  return spawnTlsboot(["up", "--auto-approve", "--secure-port", port, "--data-dir", dataDir, ...flags], { env });
}

interface ObjectClient extends AsyncDisposable {
  /** Creates, replaces or, without a value, deletes an object. Throws unless the server acknowledges it. */
  write(method: "POST" | "PUT" | "DELETE", name: string, value?: string, bytes?: number): Promise<void>;
  /** Reads the values of the objects that scenes have written. */
  values(): Promise<ReadonlyMap<string, string>>;
}

async function connect(dataDir: string): Promise<ObjectClient> {
  const { api, ...connected } = await connectWith(join(dataDir, "admin.kubeconfig"));
  const soon = () => AbortSignal.timeout(ANSWERED_WITHIN_MS);
  return {
    ...connected,
    async write(method, name, value = "", bytes = 0) {
      const path = method === "POST" ? CONFIG_MAPS : `${CONFIG_MAPS}/${name}`;
      const data = { value, padding: "x".repeat(bytes) };
      const body = { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: "default" }, data };
      await api.requestJson({ method, path, ...method === "DELETE" ? {} : { body } }, soon());
    },
    async values() {
      const { items } = await api.requestList<KubeObject>({ method: "GET", path: CONFIG_MAPS }, soon());
      const written = items.filter(({ metadata }) => WRITTEN.test(metadata.name ?? ""));
      return new Map(written.map((object) => [object.metadata.name ?? "", readValue(object)]));
    },
  };
}

/** Writes objects with several writers at once, so that one commit has the writes of several. */
async function writeObjects(disk: RecordedDisk, client: ObjectClient, round: string, bytes: number): Promise<void> {
  const write = async (method: "POST" | "PUT" | "DELETE", name: string, value?: string): Promise<void> => {
    const written = { name, ...(value === undefined ? {} : { value }) };
    await mark(disk, { kind: "requested", ...written });
    await client.write(method, name, value, bytes);
    await mark(disk, { kind: "acknowledged", ...written });
  };
  await Promise.all(Array.from({ length: WRITERS }, async (_, writer) => {
    for (let number = 0; number < WRITES; number++) {
      const name = `w${writer}-${round}-${number}`;
      await write("POST", name, "first");
      if (number % 3 === 1) await write("PUT", name, "second");
      if (number % 3 === 2) await write("DELETE", name);
    }
  }));
}

const NODE = "node-a";
const WEB_NAME = "nas.home.lan";

const AUDIT_POLICY = `apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: Request
  resources: [{group: "", resources: [configmaps]}]
`;

function bootstrapArguments(root: string, node: string): readonly string[] {
  const home = join(root, node);
  return [
    ...["bootstrap", "--bootstrap-kubeconfig", join(root, DATA, "bootstrap.kubeconfig"), "--timeout", "60s"],
    ...["--kubeconfig", join(home, "kubeconfig"), "--cert-dir", join(home, "pki"), "--hostname-override", node],
  ];
}

/** Runs a server with nodes, a web server and enough writes for a checkpoint, through a kill and a graceful end. */
async function runServer(disk: RecordedDisk, folder: TempFolder): Promise<void> {
  const { root, env } = disk;
  await writeFile(folder.join("policy.yaml"), AUDIT_POLICY);
  const flags = [
    ...["--web-domain", "home.lan", "--audit-policy-file", folder.join("policy.yaml")],
    ...["--audit-log-path", join(root, "log", "audit.log"), "--audit-log-maxsize", "1", "--audit-log-compress"],
  ];
  await mark(disk, { kind: "store", under: DATA });
  await runUp(disk, flags, async (client) => {
    await settle(disk, [NODE], bootstrapArguments(root, NODE));
    await writeObjects(disk, client, "a", 10);
    const web = join(root, "web");
    const request = ["request", "web", WEB_NAME, "--join", join(root, DATA, "web.kubeconfig"), "--out", web];
    assertDone(await spawnTlsbootToEnd(request, { env }), request);
    await mark(disk, { kind: "settled", under: "web" });
    await writeObjects(disk, client, "b", LARGE_BYTES);
  }, "SIGKILL");
  await runUp(disk, flags, async (client) => {
    await settle(disk, ["node-b"], bootstrapArguments(root, "node-b"));
    await writeObjects(disk, client, "c", 10);
  }, "SIGTERM");
  await runUp(disk, flags, (client) => writeObjects(disk, client, "d", 1_000), "SIGKILL");
}

/** Checks that a server starts with the acknowledged objects, and that a node joins again. */
async function restartServer(root: string, ledger: PowerLossLedger): Promise<readonly string[]> {
  const dataDir = join(root, DATA);
  await using running = await startUp(dataDir, ["--web-domain", "home.lan"]);
  const isUp = await waitUntilUp(running).then(() => true, () => false);
  if (!isUp) return [`up does not start: ${running.stderr().trim().split("\n").slice(-2).join(" ")}`];
  await using client = await connect(dataDir);
  const faults = [...ledger.findObjectFaults(await client.values())];
  const joined = await spawnTlsbootToEnd(bootstrapArguments(root, NODE));
  if (joined.code !== 0) return [...faults, `bootstrap ends with ${joined.code}: ${joined.stderr.trim()}`];
  const text = await readFile(join(root, NODE, "pki", "kubelet-client-current.pem"), "utf8");
  if (!parseCredentialPair(text, text).ok) faults.push("bootstrap left no valid pair");
  return faults;
}

/** Runs the commands of a CA without a server, and a node that joins with a USB stick. */
async function runCommands(disk: RecordedDisk, folder: TempFolder): Promise<void> {
  const { root } = disk;
  await writeRequest(folder);
  await settle(disk, ["ca"], ["ca", "init", "--data-dir", join(root, "ca")]);
  for (const number of [1, 2, 3]) {
    await settle(disk, ["ca", `alice-${number}.crt`], signArguments(root, folder, number));
  }
  const ops = join(root, "ops.kubeconfig");
  await settle(disk, ["ca", "ops.kubeconfig"], ["kubeconfig", "admin", "--data-dir", join(root, "ca"), "--out", ops]);
  const offline = offlineArguments(root);
  await runProgram("mkdir", [join(root, "stick")], { env: disk.env });
  await settle(disk, ["stick", "node-o"], offline);
  const server = ["--server", "https://127.0.0.1:6443"];
  await settle(disk, ["ca", "stick"], [
    "sign",
    join(root, "stick"),
    "--data-dir",
    join(root, "ca"),
    "--yes",
    ...server,
  ]);
  await settle(disk, ["node-o"], offline);
  await settle(disk, ["rotated"], ["ca", "init", "--data-dir", join(root, "rotated")]);
  await writeFile(folder.join("empty.jsonl"), "");
  const rotate = (step: string, ...flags: readonly string[]) =>
    settle(disk, ["rotated"], ["ca", "rotate", step, "--ca-cert", rotatedCa(root), ...flags]);
  await rotate("begin");
  await rotate("switch");
  await rotate("abort");
  await rotate("switch");
  await rotate("finish", "--issued-log", folder.join("empty.jsonl"));
}

function rotatedCa(root: string): string {
  return join(root, "rotated", "pki", "ca.crt");
}

async function writeRequest(folder: TempFolder): Promise<void> {
  const der = createCertificationRequest({ subject: { commonName: "alice" } }, await sharedKey());
  await writeFile(folder.join("alice.csr"), encodePem("CERTIFICATE REQUEST", der));
}

function signArguments(root: string, folder: TempFolder, number: number): readonly string[] {
  const signer = ["--signer", "kubernetes.io/kube-apiserver-client", "--data-dir", join(root, "ca")];
  return ["sign", folder.join("alice.csr"), ...signer, "--out", join(root, `alice-${number}.crt`)];
}

function offlineArguments(root: string): readonly string[] {
  const home = join(root, "node-o");
  return [
    ...["bootstrap", "--offline", join(root, "stick"), "--hostname-override", "node-o"],
    ...["--kubeconfig", join(home, "kubeconfig"), "--cert-dir", join(home, "pki")],
  ];
}

/** Checks that `ca init` completes what it began, that the CA signs again, and that a rotation can be continued. */
async function restartCommands(root: string, _ledger: PowerLossLedger, folder: TempFolder): Promise<readonly string[]> {
  const faults: string[] = [];
  const expect = async (codes: readonly number[], args: readonly string[]): Promise<void> => {
    const { code, stderr } = await spawnTlsbootToEnd(args);
    if (!codes.includes(code)) faults.push(`${args.slice(0, 3).join(" ")} ends with ${code}: ${stderr.trim()}`);
  };
  // The code is 1 if a CA exists already.
  await expect([0, 1], ["ca", "init", "--data-dir", join(root, "ca")]);
  await expect([0], signArguments(root, folder, 9));
  // The stick is another disk, which exists but may be empty.
  await mkdir(join(root, "stick"), { recursive: true });
  await expect([0, 3], offlineArguments(root));
  const ca = rotatedCa(root);
  await expect([0, 1], ["ca", "init", "--data-dir", join(root, "rotated")]);
  // The code is 1 if no rotation is in progress.
  await expect([0, 1], ["ca", "rotate", "status", "--ca-cert", ca]);
  const pair = ["--cluster-signing-cert-file", ca, "--cluster-signing-key-file", ca.replace(/crt$/, "key")];
  await expect([0], [
    "sign",
    folder.join("alice.csr"),
    "--signer",
    "kubernetes.io/kube-apiserver-client",
    ...pair,
  ]);
  return faults;
}

const RESTORED = "restored";

/** Makes a backup, restores it into a new folder, and restores it again over that folder. */
async function runBackup(disk: RecordedDisk, folder: TempFolder): Promise<void> {
  const { root } = disk;
  const identity = await generateX25519Identity();
  await writeFile(folder.join("key"), `${identity}\n`, { mode: 0o600 });
  const seal = ["--recipient", await identityToRecipient(identity)];
  await mark(disk, { kind: "store", under: DATA });
  await runUp(disk, [], (client) => writeObjects(disk, client, "a", 1_000), "SIGTERM");
  const [path, restored] = [join(root, "a.backup"), join(root, RESTORED)];
  await settle(disk, ["a.backup"], ["backup", path, "--data-dir", join(root, DATA), ...seal]);
  await settle(disk, ["a.backup"], ["backup", path, "--data-dir", join(root, DATA), ...seal, "--force"]);
  const restore = ["restore", path, "--data-dir", restored, "--identity", folder.join("key")];
  await settle(disk, [RESTORED], restore);
  await mark(disk, { kind: "store", under: RESTORED });
  await settle(disk, [RESTORED], [...restore, "--force"]);
}

/** Restores the backup again unless the restore was complete, and checks that a server starts on the folder. */
async function restartBackup(root: string, ledger: PowerLossLedger, folder: TempFolder): Promise<readonly string[]> {
  const restored = join(root, RESTORED);
  const isInterrupted = existsSync(`${restored}.restoring/format`) && !existsSync(join(restored, "format"));
  if (isInterrupted) {
    await using refused = await startUp(restored, []);
    const { code, stderr } = await refused.finished();
    if (code !== 1 || !/a restore into it was interrupted/.test(stderr)) return [`up ends with ${code}: ${stderr}`];
  }
  if (!ledger.stores.has(RESTORED) || isInterrupted) {
    const path = join(root, "a.backup");
    if (!ledger.isSettled("a.backup")) return [];
    const args = ["restore", path, "--data-dir", restored, "--identity", folder.join("key"), "--force"];
    const { code, stderr } = await spawnTlsbootToEnd(args);
    if (code !== 0) return [`restore ends with ${code}: ${stderr.trim()}`];
  }
  await using running = await startUp(restored, []);
  const isUp = await waitUntilUp(running).then(() => true, () => false);
  if (!isUp) return [`up does not start: ${running.stderr().trim().split("\n").slice(-2).join(" ")}`];
  await using client = await connect(restored);
  return ledger.findObjectFaults(await client.values());
}
