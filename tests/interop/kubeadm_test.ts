/**
 * Stock kubeadm 1.37 behaves the same with `up` as with a real control plane: tokens, phases of init, discovery, and a
 * machine that joins.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { peerPath } from "../support/peers/go.ts";
import { type Finished, runProgram, succeedProgram } from "../support/child.ts";
import { readGuide } from "../support/guide.ts";
import { findServerPort } from "../support/temp.ts";
import {
  discovery,
  INIT_CONFIG,
  joining,
  NODE,
  preparing,
  randomTokens,
  startClusters,
  tokens,
} from "../support/interop/kubeadm_scripts.ts";
import { startMachine } from "../support/interop/machine.ts";
import { compareScripts, formatStep } from "../support/interop/kubectl_comparison/comparison.ts";
import { type RunningInstance, startInstance } from "../support/interop/instance.ts";
import { untilReady } from "../support/interop/whole_kubelet.ts";

/** The files that kubeadm must not write on the host. */
const HOST_FILES = ["/etc/kubernetes", "/var/lib/kubelet/config.yaml"];
const listHostFiles = () => HOST_FILES.filter((path) => existsSync(path));

/** The group of kubeadm's tokens, to which the phases of init grant what a joining machine reads. */
const KUBEADM_GROUP = "system:bootstrappers:kubeadm:default-node-token";

test("kubeadm prints the same with up as with a real control plane: tokens, phases of init, discovery, join, reset", async () => {
  const before = listHostFiles();
  await using clusters = await startClusters();
  const compared = await compareScripts(clusters.targets, [tokens, preparing, discovery, joining, randomTokens]);
  assert.deepEqual(listHostFiles(), before);
  const faults = compared.filter(({ isFault }) => isFault);
  assert.equal(faults.length, 0, `${faults.length} of ${compared.length}\n${faults.map(formatStep).join("\n")}`);
});

test("kubeadm join discovers up by its cluster-info, with tokens of tlsboot and the pin of ca show", async () => {
  const before = listHostFiles();
  await using instance = await startInstance();
  const dataDir = ["--data-dir", instance.dataDir];
  const token = await readAnswer(instance, "token", "create", ...dataDir);
  const shown = await readAnswer(instance, "ca", "show", ...dataDir);
  const [pin = ""] = shown.match(/sha256:[0-9a-f]{64}/) ?? [];

  // Discovery succeeds; kubeadm then reads a configuration that has not been uploaded.
  const unprepared = await discover(instance, token, pin, { kubernetesAPICall: "1s" });
  assert.equal(unprepared.code, 1);
  assert.match(unprepared.stderr, /unable to fetch the kubeadm-config ConfigMap/);
  const wrongPin = await discover(instance, token, `sha256:${"0".repeat(64)}`, { discovery: "10s" });
  assert.equal(wrongPin.code, 1);
  assert.match(wrongPin.stderr, /cluster CA found in cluster-info ConfigMap is invalid/);

  await prepare(instance);
  const member = await readAnswer(instance, "token", "create", ...dataDir, "--groups", KUBEADM_GROUP);
  const { code, stdout, stderr } = await discover(instance, member, pin);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /Reading configuration from the "kubeadm-config" ConfigMap in namespace "kube-system"/);
  assert.deepEqual(listHostFiles(), before);
});

/** Joins a machine with a printed command, and waits until its node is Ready. */
async function assertJoins({ folder, kubectl }: RunningInstance, line: string): Promise<void> {
  const before = listHostFiles();
  await using machine = await startMachine(folder.path, NODE);
  const anyMachine = `--cri-socket unix://${machine.runtimeSocket} --ignore-preflight-errors all`;
  await succeedProgram(machine.enter, ["sh", "-c", `${line} ${anyMachine}`]);
  await untilReady(kubectl, NODE);
  assert.deepEqual(listHostFiles(), before);
}

test("docs/guides/kubeadm.md: the printed command turns a machine into a Ready node", async () => {
  await using instance = await startInstance();
  await assertJoins(instance, `${await prepare(instance)} --node-name ${NODE}`);
});

test("kubeadm join makes a Ready node with a token for this node only, and its certificate uses up the token", async () => {
  await using instance = await startInstance();
  await prepare(instance);
  const answer = await readAnswer(
    ...[instance, "token", "create", "--node", NODE, "--approve", "--groups", KUBEADM_GROUP] as const,
    ...["--print-join-command", "--server", instance.server, "--data-dir", instance.dataDir],
  );
  const line = answer.split("\n")[1] ?? "";
  assert.match(line, new RegExp(`^kubeadm join .* --node-name ${NODE}$`));
  await assertJoins(instance, line);
  const listed = await readAnswer(instance, "token", "list", "--data-dir", instance.dataDir);
  assert.match(listed, new RegExp(` node +${NODE} +<anywhere> +used 1/1 `));
});

async function readAnswer(instance: RunningInstance, ...args: readonly string[]): Promise<string> {
  const { stdout } = await instance.succeed(...args);
  return stdout.trim();
}

/** Runs the first phase of joining, which writes nothing. kubeadm retries each failure until a timeout. */
async function discover(
  { server, folder }: RunningInstance,
  token: string,
  pin: string,
  timeouts: Readonly<Record<string, string>> = {},
): Promise<Finished> {
  const path = folder.join("join.json");
  const config = {
    apiVersion: "kubeadm.k8s.io/v1beta4",
    kind: "JoinConfiguration",
    nodeRegistration: { name: "node-1", criSocket: "unix:///nobody.sock" },
    timeouts,
    discovery: { bootstrapToken: { apiServerEndpoint: new URL(server).host, token, caCertHashes: [pin] } },
  };
  await writeFile(path, JSON.stringify(config), { mode: 0o600 });
  const phase = ["join", "phase", "preflight", "--config", path, "--ignore-preflight-errors", "all"];
  return await runProgram(peerPath("kubeadm"), phase, { cwd: folder.path });
}

/** Runs the commands of docs/guides/kubeadm.md, and returns the command that the last one prints for the machine. */
async function prepare({ server, folder, dataDir }: RunningInstance): Promise<string> {
  const ports = { port: String(await findServerPort()), healthPort: String(await findServerPort()) };
  const values: Readonly<Record<string, string>> = { server: new URL(server).host, ...ports };
  await writeFile(
    folder.join("init.yaml"),
    INIT_CONFIG.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => values[name] ?? ""),
  );
  const { blocks } = await readGuide("kubeadm");
  assert.equal(blocks.length, 1);
  const script = ["set -e", `kubeadm() { '${peerPath("kubeadm")}' "$@"; }`, ...blocks].join("\n");
  const typed = await succeedProgram("bash", ["-c", script.replaceAll("tlsboot-data", dataDir)], { cwd: folder.path });
  const [line] = typed.stdout.match(/^kubeadm join .*$/m) ?? [];
  assert.ok(line !== undefined, typed.stdout);
  return line;
}
