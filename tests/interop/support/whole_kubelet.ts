/** A whole, unmodified kubelet over a container runtime that runs nothing: it rotates, registers its node and stays. */
import { mkdir, writeFile } from "node:fs/promises";
import process from "node:process";
import { peerPath } from "../../../scripts/peers.ts";
import { type Running, start } from "../../support/child.ts";
import { findFreePort, type TempFolder } from "../../support/temp.ts";
import { startContainerRuntime } from "./container_runtime.ts";
import { rememberKernelSettings } from "./kernel_settings.ts";
import { kubeletConfig } from "./kubelet.ts";

/** How long it may take to end after SIGTERM. */
const END_WITHIN_MS = 10_000;

/** One line of its log that says error or warning. */
export interface Complaint {
  readonly at: Date;
  readonly text: string;
}

/** A running kubelet and where it writes. */
export interface WholeKubelet extends AsyncDisposable {
  readonly running: Running;
  readonly kubeconfig: string;
  readonly certDir: string;
  /** Port of its own HTTPS server on 127.0.0.1. */
  readonly port: number;
  complaints(): readonly Complaint[];
}

/**
 * Starts one. It runs in a mount namespace of its own: what it mounts below its root folder is gone with it, and the
 * folder can be removed. Needs root, as a kubelet does.
 */
export async function startWholeKubelet(
  folder: TempFolder,
  node: string,
  /** Without it, the kubeconfig and the certificates in the folder of the node's name are all it has. */
  bootstrap?: string,
): Promise<WholeKubelet> {
  const root = folder.join(node);
  await mkdir(root, { recursive: true });
  await using stack = new AsyncDisposableStack();
  stack.use(await rememberKernelSettings());
  const runtime = stack.use(await startContainerRuntime(root));
  const [kubeconfig, certDir, port] = [`${root}/kubeconfig`, `${root}/pki`, await findFreePort()];
  const config = kubeletConfig(runtime.socket, {
    rotateCertificates: true,
    serverTLSBootstrap: true,
    address: "127.0.0.1",
    port,
    makeIPTablesUtilChains: false,
    podLogsDir: `${root}/logs`,
  });
  await writeFile(`${root}/config.json`, config);
  const running = stack.use(start("unshare", [
    ...["--mount", peerPath("kubelet"), `--config=${root}/config.json`],
    ...(bootstrap === undefined ? [] : [`--bootstrap-kubeconfig=${bootstrap}`]),
    ...[`--kubeconfig=${kubeconfig}`, `--cert-dir=${certDir}`],
    ...[`--root-dir=${root}/root`, `--hostname-override=${node}`],
  ]));
  stack.defer(() => end(running));
  const owned = stack.move();
  return {
    running,
    kubeconfig,
    certDir,
    port,
    complaints: () => complaintsOf(running.stderr()),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Politely first: a killed kubelet leaves sockets behind. */
async function end(running: Running): Promise<void> {
  if (running.hasEnded()) return;
  process.kill(running.pid, "SIGTERM");
  const timer = setTimeout(() => running.kill("SIGKILL"), END_WITHIN_MS);
  await running.finished();
  clearTimeout(timer);
}

/** klog's lines: level and date, time, thread, place, text. */
function complaintsOf(log: string): readonly Complaint[] {
  const year = new Date().getFullYear();
  return [...log.matchAll(/^[EWF](\d\d)(\d\d) (\d\d:\d\d:\d\d)\.\d+ +\d+ (.*)$/gm)].map(
    ([, month, day, time, text = ""]) => ({ at: new Date(`${year}-${month}-${day}T${time}`), text }),
  );
}
