/** The two servers that a command of ours is tried at: our own, and Kubernetes'. */
import { mkdir } from "node:fs/promises";
import { takeTurns } from "../../runner/turns.ts";
import type { TempFolder } from "../temp.ts";
import { startControlPlane } from "./control_plane.ts";
import { createKubectl, type Kubectl } from "./kubectl.ts";
import { startInstance } from "./instance.ts";

/** One of the two servers of a comparison. */
export interface Cluster extends AsyncDisposable {
  readonly folder: TempFolder;
  readonly server: string;
  readonly caPath: string;
  readonly adminKubeconfig: string;
  readonly kubectl: Kubectl;
}

/**
 * The servers by the name that a test is called after; both sign client certificates by themselves once approved. They
 * take turns.
 */
export const CLUSTERS: readonly (readonly [name: string, start: () => Promise<Cluster>])[] = takeTurns([
  ["tlsboot up", () => startInstance()],
  ["kube-apiserver and kube-controller-manager", async () => {
    const certificates = ["approving", "signing"].map((name) => `certificatesigningrequest-${name}-controller`);
    // Without aggregation the cluster role view has no rules.
    const controllers = [...certificates, "clusterrole-aggregation-controller"].join(",");
    const plane = await startControlPlane({ controllers: true, controllerFlags: [`--controllers=${controllers}`] });
    await mkdir(plane.folder.join("home"));
    return { ...plane, kubectl: createKubectl(plane.folder, plane.adminKubeconfig) };
  }],
], ([name]) => name);
