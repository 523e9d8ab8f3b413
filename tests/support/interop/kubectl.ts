/** Stock kubectl with one kubeconfig, and its own home directory, so that no test uses another's discovery cache. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { peerPath } from "../peers/go.ts";
import { type Child, type Finished, start } from "../child.ts";
import type { TempFolder } from "../temp.ts";
import { eventually } from "../eventually.ts";

const TIMEOUT_MS = 180_000;

/** The default timeout of `kubectl wait`, 30 seconds, is too short for a busy server. */
const WAIT_FLAG = "--timeout=170s";

export interface Kubectl {
  /** Runs kubectl to its end, whatever the exit code. */
  try(...args: readonly string[]): Promise<Finished>;
  /** Runs kubectl, which must succeed, and returns stdout. */
  run(...args: readonly string[]): Promise<string>;
  /** Creates the objects of a manifest in JSON or YAML, which must succeed, and returns stdout. */
  create(manifest: string, ...args: readonly string[]): Promise<string>;
  start(...args: readonly string[]): Child;
  /** Returns the same kubectl with something on stdin (`-f -`) or in the environment. */
  given(more: { readonly stdin?: string; readonly env?: Readonly<Record<string, string>> }): Kubectl;
  /** Returns the same kubectl with another kubeconfig. */
  as(kubeconfig: string): Kubectl;
}

/** Creates a kubectl that runs in `folder`, with the home directory `home` below it. */
export function createKubectl(
  folder: TempFolder,
  kubeconfig: string,
  more: {
    readonly stdin?: string;
    readonly env?: Readonly<Record<string, string>>;
    /** The version of kubectl; by default the newest. */
    readonly release?: string | undefined;
  } = {},
): Kubectl {
  const { release } = more;
  const program = peerPath("kubectl", release);
  const options = {
    cwd: folder.path,
    env: { HOME: folder.join("home"), KUBECONFIG: kubeconfig, ...more.env },
    ...(more.stdin === undefined ? {} : { stdin: more.stdin }),
  };
  const begin = (args: readonly string[]): Child => {
    const needsTimeout = args[0] === "wait" && !args.some((arg) => arg.startsWith("--timeout"));
    return start(program, needsTimeout ? [...args, WAIT_FLAG] : args, options);
  };
  const finish = async (args: readonly string[]): Promise<Finished> => {
    await using running = begin(args);
    // kubectl delete and wait run forever when the server never sends the response that they wait for.
    const timer = setTimeout(() => running.kill("SIGKILL"), TIMEOUT_MS);
    try {
      return await running.finished();
    } finally {
      clearTimeout(timer);
    }
  };
  const given: Kubectl["given"] = (other) => createKubectl(folder, kubeconfig, { ...other, release });
  return {
    try: (...args) => finish(args),
    async run(...args) {
      const { code, stdout, stderr } = await finish(args);
      assert.equal(code, 0, `kubectl ${args.join(" ")}: ${stdout}${stderr}`);
      return stdout;
    },
    create: (manifest, ...args) => given({ stdin: manifest }).run("create", "-f", "-", ...args),
    start: (...args) => begin(args),
    given,
    as: (other) => createKubectl(folder, other, { release }),
  };
}

/** A kubeconfig with one cluster and one user, in JSON. */
export function formatKubeconfig(cluster: object, user: object, name = "test"): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster }],
    users: [{ name, user }],
    contexts: [{ name, context: { cluster: "test", user: name } }],
    "current-context": name,
  });
}

/** Watches with kubectl until there is a CSR whose name matches a pattern, and returns the name. */
export async function waitForCsr(kubectl: Kubectl, pattern = /\S+/): Promise<string> {
  await using watch = kubectl.start("get", "csr", "--watch", "--output=name");
  const line = new RegExp(`certificatesigningrequest\\.certificates\\.k8s\\.io/(${pattern.source})\n`);
  return (await watch.waitFor(line))[1] ?? "";
}

/** Waits until a request has a certificate, and returns it as PEM. */
export async function waitForCertificate(kubectl: Kubectl, name: string): Promise<string> {
  const field = "jsonpath={.status.certificate}";
  await kubectl.run("wait", `csr/${name}`, `--for=${field}`);
  return Buffer.from(await kubectl.run("get", "csr", name, `--output=${field}`), "base64").toString();
}

/** Waits until `auth can-i` allows an action, because the server learns of a new binding by a watch. */
export async function untilAllowed(kubectl: Kubectl, ...action: readonly string[]): Promise<void> {
  await eventually(
    `the user may ${action.join(" ")}`,
    async () => (await kubectl.try("auth", "can-i", ...action)).code === 0 || undefined,
  );
}
