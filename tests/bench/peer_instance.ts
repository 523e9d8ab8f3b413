/**
 * Starts real control planes on one etcd in an empty folder, with the two bindings that nodes need for bootstrapping.
 */
import { readFile } from "node:fs/promises";
import { ask } from "../support/https_request.ts";
import { type ControlPlane, startControlPlane } from "../support/interop/control_plane.ts";
import { startEtcd } from "../support/interop/etcd.ts";
import { type BenchInstance, startTogether } from "./instance.ts";

/** Flags that lift the default limit of kube-controller-manager, 20 requests to the API a second. */
const LIFTED = ["--kube-api-qps=10000", "--kube-api-burst=10000"] as const;

const BINDINGS = ["system:node-bootstrapper", "system:certificates.k8s.io:certificatesigningrequests:nodeclient"];

/** The flag with which the controllers of several control planes elect a leader. */
const ELECTED = ["--leader-elect=true"] as const;

/**
 * Starts an etcd of one member and `count` kube-apiservers on it, each with its kube-controller-manager: first one, and
 * once it is ready and has the bindings, the others at the same time. Resolves once all are ready.
 */
export async function startPeerInstance(count = 1): Promise<BenchInstance> {
  await using stack = new AsyncDisposableStack();
  const etcd = stack.use(await startEtcd());
  const options = {
    controllers: true,
    etcd,
    controllerFlags: count === 1 ? LIFTED : [...LIFTED, ...ELECTED],
  };
  const first = stack.use(await startControlPlane(options));
  await Promise.all(BINDINGS.map((role, index) => bindBootstrappers(first, `bench-${index}`, role)));
  const startOther = () => startControlPlane({ ...options, sharedWith: first });
  const planes = [first, ...await startTogether(stack, count - 1, startOther)];
  const bootstrapKubeconfigs = await Promise.all(
    planes.map((plane) => plane.kubeconfigWithToken("bootstrap", "bootstrap-token")),
  );
  const owned = stack.move();
  return {
    folder: first.folder,
    bootstrapKubeconfigs,
    adminKubeconfigs: planes.map(({ adminKubeconfig }) => adminKubeconfig),
    pids: [...planes.flatMap((plane) => plane.pids()), ...etcd.pids()],
    etcdPids: etcd.pids(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Creates a binding with a plain request, because kubectl would add its own start to the peer's time. */
async function bindBootstrappers(plane: ControlPlane, name: string, role: string): Promise<void> {
  const [ca, cert, key] = await Promise.all([
    readFile(plane.caPath, "utf8"),
    readFile(plane.folder.join("admin.crt"), "utf8"),
    readFile(plane.folder.join("admin.key"), "utf8"),
  ]);
  const apiGroup = "rbac.authorization.k8s.io";
  const path = `/apis/${apiGroup}/v1/clusterrolebindings`;
  const body = {
    apiVersion: `${apiGroup}/v1`,
    kind: "ClusterRoleBinding",
    metadata: { name },
    roleRef: { apiGroup, kind: "ClusterRole", name: role },
    subjects: [{ apiGroup, kind: "Group", name: "system:bootstrappers" }],
  };
  const { code } = await ask({ port: new URL(plane.server).port, path, body, ca, cert, key });
  if (code !== 201) throw new Error(`cannot bind ${role} on the real control plane: it answered ${code}`);
}
