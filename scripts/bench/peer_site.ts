/** A real control plane from an empty folder, with the two bindings that let nodes bootstrap by themselves. */
import { readFile } from "node:fs/promises";
import { request } from "node:https";
import { type ControlPlane, startControlPlane } from "../../tests/interop/support/control_plane.ts";
import type { Etcd } from "../../tests/interop/support/etcd.ts";
import type { Site } from "./site.ts";

/** kube-controller-manager asks the API at most 20 times a second unless told otherwise; this lifts that. */
export const LIFTED = ["--kube-api-qps=10000", "--kube-api-burst=10000"] as const;

const BINDINGS = ["system:node-bootstrapper", "system:certificates.k8s.io:certificatesigningrequests:nodeclient"];

/** Starts one, on an etcd of its own or a given one; answers once kube-apiserver is ready and the bindings are made. */
export async function startPeerSite(controllerFlags: readonly string[], etcd?: Etcd): Promise<Site> {
  const shared = etcd === undefined ? {} : { etcd };
  const plane = await startControlPlane({ controllers: true, controllerFlags, ...shared });
  try {
    await Promise.all(BINDINGS.map((role, index) => bindBootstrappers(plane, `bench-${index}`, role)));
    const bootstrapKubeconfig = await plane.kubeconfigWithToken("bootstrap", "bootstrap-token");
    const { folder, adminKubeconfig } = plane;
    const pids = plane.pids();
    return {
      folder,
      bootstrapKubeconfig,
      adminKubeconfig,
      pids,
      [Symbol.asyncDispose]: () => plane[Symbol.asyncDispose](),
    };
  } catch (error) {
    await plane[Symbol.asyncDispose]();
    throw error;
  }
}

/** By a plain request: starting kubectl would be charged to the peer. */
async function bindBootstrappers(plane: ControlPlane, name: string, role: string): Promise<void> {
  const [ca, cert, key] = await Promise.all([
    readFile(plane.caPath, "utf8"),
    readFile(plane.folder.join("admin.crt"), "utf8"),
    readFile(plane.folder.join("admin.key"), "utf8"),
  ]);
  const apiGroup = "rbac.authorization.k8s.io";
  const body = JSON.stringify({
    apiVersion: `${apiGroup}/v1`,
    kind: "ClusterRoleBinding",
    metadata: { name },
    roleRef: { apiGroup, kind: "ClusterRole", name: role },
    subjects: [{ apiGroup, kind: "Group", name: "system:bootstrappers" }],
  });
  const status = await new Promise<number>((resolve, reject) => {
    const post = request(
      `${plane.server}/apis/${apiGroup}/v1/clusterrolebindings`,
      { method: "POST", headers: { "content-type": "application/json" }, ca, cert, key },
      (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      },
    );
    post.once("error", reject);
    post.end(body);
  });
  if (status !== 201) throw new Error(`cannot bind ${role} on the real control plane: it answered ${status}`);
}
