/** An unmodified kubelet with a container runtime that runs nothing. It registers its node and rotates certificates. */
import { writeFile } from "node:fs/promises";
import { type Child, start } from "../child.ts";
import { eventually } from "../eventually.ts";
import { untilLine } from "../packages/other_root.ts";
import { findServerPort, type TempFolder } from "../temp.ts";
import type { Kubectl } from "./kubectl.ts";
import { kubeletConfig } from "./kubelet.ts";
import { startMachine } from "./machine.ts";

/** An error or warning in the kubelet's log. */
export interface Complaint {
  readonly at: Date;
  readonly text: string;
}

/** A running kubelet and its files. */
export interface WholeKubelet extends AsyncDisposable {
  readonly running: Child;
  readonly kubeconfig: string;
  readonly certDir: string;
  /** Port of its own HTTPS server on 127.0.0.1. */
  readonly port: number;
  complaints(): readonly Complaint[];
  /** Ends the kubelet, runs `meanwhile`, and starts it again, as `systemctl restart kubelet` does. */
  restart(meanwhile?: () => Promise<unknown>): Promise<void>;
}

/** Ends a kubelet that may not have written its process id yet, and removes the file for the next one. */
const END_KUBELET = `${untilLine("[ -s /run/kubelet.pid ]")}
kill $(cat /run/kubelet.pid); rm /run/kubelet.pid`;

/** Starts a kubelet on a new machine that shares the folder. Needs root. */
export async function startWholeKubelet(
  folder: TempFolder,
  node: string,
  /** The bootstrap kubeconfig. Without it, the kubelet needs a kubeconfig and certificates in the node's folder. */
  bootstrap?: string,
  release?: string,
  /** Other fields of its configuration. */
  fields: Readonly<Record<string, unknown>> = {},
): Promise<WholeKubelet> {
  const root = folder.join(node);
  await using stack = new AsyncDisposableStack();
  const machine = stack.use(await startMachine(folder.path, node, release));
  const [kubeconfig, certDir, port] = [`${root}/kubeconfig`, `${root}/pki`, await findServerPort()];
  const config = kubeletConfig(machine.runtimeSocket, port, {
    rotateCertificates: true,
    serverTLSBootstrap: true,
    makeIPTablesUtilChains: false,
    volumePluginDir: "/var/lib/kubelet/volumeplugins",
    ...fields,
  });
  await writeFile(`${root}/config.json`, config);
  const run = (): Child =>
    start(machine.enter, [
      ...["sh", "-c", 'echo $$ > /run/kubelet.pid; exec "$@"', "sh"],
      ...["kubelet", `--config=${root}/config.json`, `--hostname-override=${node}`],
      ...(bootstrap === undefined ? [] : [`--bootstrap-kubeconfig=${bootstrap}`]),
      ...[`--kubeconfig=${kubeconfig}`, `--cert-dir=${certDir}`],
    ]);
  let running = run();
  const owned = stack.move();
  return {
    get running() {
      return running;
    },
    kubeconfig,
    certDir,
    port,
    complaints: () => parseComplaints(running.stderr()),
    async restart(meanwhile) {
      await start(machine.enter, ["sh", "-c", END_KUBELET]).finished();
      await running.finished();
      await meanwhile?.();
      running = run();
    },
    async [Symbol.asyncDispose]() {
      // The kubelet ends with the machine, and nsenter ends after the kubelet.
      await owned.disposeAsync();
      await running[Symbol.asyncDispose]();
    },
  };
}

/** Waits until a kubelet has registered its node and reports that it is ready. */
export async function untilReady(kubectl: Kubectl, node: string): Promise<void> {
  // A wait for a condition fails at once when there is no node yet.
  await kubectl.run("wait", `node/${node}`, "--for=create");
  await kubectl.run("wait", `node/${node}`, "--for=condition=Ready");
}

/** Waits until a kubelet has renewed its lease after a time. It creates the lease later than the node. */
export async function untilLease(kubectl: Kubectl, node: string, since: Date): Promise<void> {
  const lease = ["get", `lease/${node}`, "--namespace=kube-node-lease", "--ignore-not-found"];
  await eventually(
    "a renewed lease",
    async () => new Date(await kubectl.run(...lease, "--output=jsonpath={.spec.renewTime}")) > since || undefined,
  );
}

/** Parses the lines of klog: level and date, time, thread, file and line, text. */
function parseComplaints(log: string): readonly Complaint[] {
  const year = new Date().getFullYear();
  return [...log.matchAll(/^[EWF](\d\d)(\d\d) (\d\d:\d\d:\d\d)\.\d+ +\d+ (.*)$/gm)].map(
    ([, month, day, time, text = ""]) => ({ at: new Date(`${year}-${month}-${day}T${time}`), text }),
  );
}
