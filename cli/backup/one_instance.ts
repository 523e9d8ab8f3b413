/** Whether the objects of an etcd and the files of a folder are of one instance: a backup of two is of none. */
import { CLUSTER_INFO_NAME, CLUSTER_INFO_NAMESPACE, namesOtherCa } from "../../core/bootstrap/cluster_info.ts";
import { AppError } from "../../core/errors.ts";
import type { ConfigMap } from "../../core/kube/core_v1.ts";
import { encodeTrust, parseAuthorityChain } from "../../core/pki/authority_chain.ts";
import type { Stored } from "../../server/storage/storage.ts";

const CLUSTER_INFO_KEY = `/registry/configmaps/${CLUSTER_INFO_NAMESPACE}/${CLUSTER_INFO_NAME}`;

/** The two sides. */
export interface Sides {
  readonly items: readonly Pick<Stored, "key" | "object">[];
  /** Text of `pki/ca.crt`; undefined where there is none. */
  readonly caFile: string | undefined;
  /** Names the folder. */
  readonly root: string;
}

/** AppError `ca_invalid` where `cluster-info` has another CA than the folder; where one has none there is nothing to compare. */
export function assertOneInstance({ items, caFile, root }: Sides): void {
  const clusterInfo = items.find(({ key }) => key === CLUSTER_INFO_KEY)?.object;
  const chain = caFile === undefined ? undefined : parseAuthorityChain(caFile);
  if (clusterInfo === undefined || !chain?.ok || !namesOtherCa(clusterInfo as ConfigMap, encodeTrust(chain.value))) {
    return;
  }
  throw new AppError("ca_invalid", `cannot back up "${root}": the objects in etcd are of an instance with another CA`, {
    hint: "name the folder of a server of that instance with --data-dir, or check --etcd-servers and --etcd-prefix",
  });
}
