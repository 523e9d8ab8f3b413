/**
 * Two clusters for stock kubeadm, which differ only in the server: a real control plane with the controllers of
 * certificates and bootstrap tokens, and `up` with the same CA. Each has a machine that can join.
 */
import { Buffer } from "node:buffer";
import { createHash, X509Certificate } from "node:crypto";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { SecretObject } from "../../../core/kube/kinds/core_v1.ts";
import { findServerPort } from "../temp.ts";
import { type ControlPlane, startControlPlane } from "./control_plane.ts";
import type { Place } from "./kubectl_comparison/comparison.ts";
import { createKubectl, formatKubeconfig } from "./kubectl.ts";
import { type Machine, startMachine } from "./machine.ts";
import { type RunningInstance, startInstance } from "./instance.ts";

/** The node that joins, on both sides. */
export const NODE = "node-1";

/** The token of the identity `bootstrap`, once a script has created it. */
const BOOTSTRAPPER = "abcdef.0123456789abcdef";

/** Both clusters. Disposing ends them. */
export interface Clusters extends AsyncDisposable {
  readonly plane: ControlPlane;
  readonly instance: RunningInstance;
  /** The real cluster, followed by tlsboot. */
  readonly places: readonly [Place, Place];
}

export async function startClusters(): Promise<Clusters> {
  await using stack = new AsyncDisposableStack();
  const plane = stack.use(await startControlPlane());
  const dataDir = plane.folder.join("up");
  await mkdir(`${dataDir}/pki`, { recursive: true, mode: 0o700 });
  for (const file of ["ca.crt", "ca.key"]) await cp(plane.folder.join(file), `${dataDir}/pki/${file}`);
  const instance = stack.use(await startInstance({ dataDir }));
  const theirKubectl = createKubectl(plane.folder, plane.adminKubeconfig);
  for (const namespace of ["kube-public", "kube-system"]) {
    await theirKubectl.run("wait", `namespace/${namespace}`, "--for=create");
  }
  await theirKubectl.create(await ownToken(instance));
  const theirs = await createPlace(plane, plane.folder.join("kubernetes"), plane.server, plane.adminKubeconfig);
  stack.use(theirs.machine);
  const ours = await createPlace(plane, plane.folder.join("tlsboot"), instance.server, instance.adminKubeconfig);
  stack.use(ours.machine);
  const owned = stack.move();
  return {
    plane,
    instance,
    places: [theirs.place, ours.place],
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function createPlace(
  { folder, caPath }: ControlPlane,
  home: string,
  url: string,
  adminKubeconfig: string,
): Promise<{ readonly place: Place; readonly machine: Machine }> {
  await mkdir(home);
  const kubectl = createKubectl(folder, adminKubeconfig);
  await writeFile(`${home}/admin.kubeconfig`, await kubectl.run("config", "view", "--flatten"), { mode: 0o600 });
  const cluster = { server: url, "certificate-authority": caPath };
  const bootstrap = formatKubeconfig(cluster, { token: BOOTSTRAPPER });
  await writeFile(`${home}/bootstrap.kubeconfig`, bootstrap, { mode: 0o600 });
  const machine = await startMachine(home, NODE);
  const ca = await readFile(caPath, "utf8");
  const values = {
    machine: machine.root,
    socket: machine.runtimeSocket,
    caHash: publicKeyHash(ca),
    caData: Buffer.from(ca).toString("base64"),
    port: String(await findServerPort()),
    healthPort: String(await findServerPort()),
  };
  return { place: { server: new URL(url).host, home, bin: dirname(machine.enter), values }, machine };
}

/** The token that `up` makes for itself, and makes anew when it is deleted, so that the other side can have it too. */
async function ownToken({ kubectl }: RunningInstance): Promise<string> {
  const text = await kubectl.run(
    ...["get", "secrets", "--namespace=kube-system", "--field-selector=type=bootstrap.kubernetes.io/token"],
    "--output=json",
  );
  const { items: [own] } = JSON.parse(text) as { readonly items: readonly SecretObject[] };
  const metadata = { name: own?.metadata.name, namespace: own?.metadata.namespace };
  return JSON.stringify({ apiVersion: "v1", kind: "Secret", metadata, type: own?.type, data: own?.data });
}

/** Hashes a public key as `--discovery-token-ca-cert-hash` expects it. */
function publicKeyHash(pem: string): string {
  const spki = new X509Certificate(pem).publicKey.export({ type: "spki", format: "der" });
  return `sha256:${createHash("sha256").update(spki).digest("hex")}`;
}
