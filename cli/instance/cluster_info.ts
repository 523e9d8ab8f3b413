/** `cluster-info` of an instance, as kubeadm publishes it. */
import {
  CLUSTER_INFO_NAME,
  CLUSTER_INFO_NAMESPACE,
  planClusterInfo,
  type PublishedCluster,
} from "../../core/bootstrap/cluster_info.ts";
import { AppError } from "../../core/errors.ts";
import type { ConfigMap } from "../../core/kube/core_v1.ts";
import { configMapKind } from "../../core/kube/kinds/mod.ts";
import { createObjectStore } from "../../client/objects/object_store.ts";
import type { Server } from "../../server/server.ts";
import { USER_AGENT } from "../user_agent.ts";
import { ROOT_USER } from "./control_plane.ts";
import type { ControllerDeps } from "./deps.ts";

/**
 * Publishes the address and the CA of a running instance; the bootstrap signer signs it. AppError `ca_invalid` when
 * other servers of the same store have another CA.
 */
export async function ensureClusterInfo(
  { server, isShared }: { readonly server: Pick<Server, "transportFor">; readonly isShared: boolean },
  cluster: PublishedCluster,
  deps: ControllerDeps,
  signal: AbortSignal,
): Promise<void> {
  const transport = server.transportFor(ROOT_USER, USER_AGENT);
  const configMaps = createObjectStore<ConfigMap>(transport, configMapKind, {
    ...deps,
    namespace: CLUSTER_INFO_NAMESPACE,
  });
  const plan = planClusterInfo(await configMaps.get(CLUSTER_INFO_NAME, signal), cluster, { isShared });
  switch (plan.kind) {
    case "none":
      return;
    case "foreign":
      if (!isShared) {
        deps.logger.warn("cluster-info names another server and is not changed", { server: plan.server });
      }
      return;
    case "otherCa":
      throw new AppError("ca_invalid", "cannot share this etcd: its instance has another CA", {
        hint:
          "copy pki/ca.crt and pki/ca.key from the data directory of the instance's first server, or choose another " +
          "--etcd-prefix for a separate instance",
      });
    case "create":
      await configMaps.create(plan.configMap, signal);
      break;
    case "update":
      await configMaps.update(plan.configMap, signal);
  }
  deps.logger.info("cluster-info published", { server: cluster.server });
}
