/** A real cluster that publishes `cluster-info`, as kubeadm does, with the rights in `docs/rbac/bootstrap.yaml`. */
import { readFile } from "node:fs/promises";
import { type ControlPlane, startControlPlane } from "./control_plane.ts";
import type { Kubectl } from "./kubectl.ts";

/** The controllers of certificates, and those that sign `cluster-info` and clean up tokens. */
const CONTROLLERS = ["approving", "signing", "cleaner"].map((name) => `certificatesigningrequest-${name}-controller`)
  .concat("bootstrap-signer-controller", "token-cleaner-controller");

/** Starts a cluster that approves the first requests of token holders automatically. */
export async function startPublishedCluster(controllerFlags: readonly string[] = []): Promise<ControlPlane> {
  const flags = [`--controllers=${CONTROLLERS.join(",")}`, ...controllerFlags];
  await using stack = new AsyncDisposableStack();
  const plane = stack.use(await startControlPlane({ controllers: true, controllerFlags: flags }));
  const { kubectl } = plane;
  for (const namespace of ["kube-system", "kube-public"]) {
    await kubectl.run("wait", `namespace/${namespace}`, "--for=create");
  }
  await publishClusterInfo(plane, kubectl);
  await kubectl.create(await readFile("docs/rbac/bootstrap.yaml", "utf8"));
  await kubectl.run(
    ...["create", "clusterrolebinding", "interop:autoapprove", "--group=system:bootstrappers"],
    "--clusterrole=system:certificates.k8s.io:certificatesigningrequests:nodeclient",
  );
  // The caller ends it.
  stack.move();
  return plane;
}

/** Publishes the cluster with kubectl alone, so that no code of tlsboot is involved. */
export async function publishClusterInfo(plane: ControlPlane, kubectl: Kubectl): Promise<void> {
  const path = plane.folder.join("cluster-info.kubeconfig");
  await kubectl.run(
    ...["config", `--kubeconfig=${path}`, "set-cluster", "kubernetes", `--server=${plane.server}`],
    ...[`--certificate-authority=${plane.caPath}`, "--embed-certs=true"],
  );
  const namespace = "--namespace=kube-public";
  await kubectl.run("create", "configmap", "cluster-info", namespace, `--from-file=kubeconfig=${path}`);
  const name = "kubeadm:bootstrap-signer-clusterinfo";
  await kubectl.run(
    ...["create", "role", name, namespace, "--verb=get", "--resource=configmaps", "--resource-name=cluster-info"],
  );
  await kubectl.run("create", "rolebinding", name, namespace, `--role=${name}`, "--user=system:anonymous");
}
