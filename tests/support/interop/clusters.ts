/** The two servers that a command of ours is tried at: our own, and Kubernetes'. */
import type { TempFolder } from "../temp.ts";
import { startInstance } from "./instance.ts";
import type { Kubectl } from "./kubectl.ts";
import { sharedControlPlane } from "./shared.ts";

/** One of the two servers of a comparison. */
export interface Cluster extends AsyncDisposable {
  readonly folder: TempFolder;
  readonly server: string;
  readonly caPath: string;
  readonly adminKubeconfig: string;
  readonly kubectl: Kubectl;
}

/** The servers by the name that a test is called after; both sign client certificates by themselves once approved. */
export const CLUSTERS: readonly (readonly [name: string, start: () => Promise<Cluster>])[] = [
  ["tlsboot up", () => startInstance()],
  ["kube-apiserver and kube-controller-manager", async () => {
    await using stack = new AsyncDisposableStack();
    const plane = stack.use(await sharedControlPlane());
    const certificates = ["approving", "signing"].map((name) => `certificatesigningrequest-${name}-controller`);
    // Without aggregation the cluster role view has no rules.
    const controllers = [...certificates, "clusterrole-aggregation-controller"].join(",");
    stack.use(plane.startCertificateControllers(`--controllers=${controllers}`));
    const owned = stack.move();
    return { ...plane, [Symbol.asyncDispose]: () => owned.disposeAsync() };
  }],
];
