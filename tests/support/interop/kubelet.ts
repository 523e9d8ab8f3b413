/** An unmodified kubelet that blocks on its bootstrap (`rotateCertificates: false`). */
import { mkdir, writeFile } from "node:fs/promises";
import { peerPath } from "../peers/go.ts";
import { type Child, start } from "../child.ts";
import { findServerPort, type TempFolder } from "../temp.ts";

/** A running kubelet and its files. */
interface RunningKubelet extends AsyncDisposable {
  readonly running: Child;
  readonly kubeconfig: string;
  readonly certDir: string;
  readonly currentPair: string;
}

/** Starts a kubelet. It ends once it has its certificate, because there is no container runtime. */
export async function startKubelet(folder: TempFolder, node: string, bootstrap: string): Promise<RunningKubelet> {
  const root = folder.join(`kubelet-${node}`);
  // A test may have prepared the folder of its certificates.
  await mkdir(root, { recursive: true });
  const config = `${root}/config.json`;
  await writeFile(config, kubeletConfig(`${root}/nobody.sock`, await findServerPort()));
  const [kubeconfig, certDir] = [`${root}/kubeconfig`, `${root}/pki`];
  const running = start(peerPath("kubelet"), [
    ...[`--bootstrap-kubeconfig=${bootstrap}`, `--kubeconfig=${kubeconfig}`, `--cert-dir=${certDir}`],
    ...[`--root-dir=${root}/root`, `--hostname-override=${node}`, `--config=${config}`],
  ]);
  return {
    running,
    kubeconfig,
    certDir,
    currentPair: `${certDir}/kubelet-client-current.pem`,
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

/** Formats a configuration with which a kubelet starts on any machine. */
export function kubeletConfig(
  runtimeSocket: string,
  /** The port of its server. Kubelets of several tests run at the same time. */
  port: number,
  more: Readonly<Record<string, unknown>> = {},
): string {
  return JSON.stringify({
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    rotateCertificates: false,
    failSwapOn: false,
    failCgroupV1: false,
    cgroupsPerQOS: false,
    enforceNodeAllocatable: [],
    localStorageCapacityIsolation: false,
    containerRuntimeEndpoint: `unix://${runtimeSocket}`,
    healthzPort: 0,
    readOnlyPort: 0,
    address: "127.0.0.1",
    port,
    ...more,
  });
}
