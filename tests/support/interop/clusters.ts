/** The two servers that commands are tested against: tlsboot and Kubernetes. */
import type { TempFolder } from "../temp.ts";
import { startInstance } from "./instance.ts";
import type { Kubectl } from "./kubectl.ts";
import { sharedControlPlane } from "./shared.ts";

/** A running server, with kubectl for it. */
export interface Cluster extends AsyncDisposable {
  readonly folder: TempFolder;
  readonly server: string;
  readonly caPath: string;
  readonly adminKubeconfig: string;
  readonly kubectl: Kubectl;
}

/** The servers by their names in test titles. Both sign approved client certificates automatically. */
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
