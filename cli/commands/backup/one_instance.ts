/** Checks that the objects in an etcd and the files of a folder belong to one instance; a backup of two would be useless. */
import { CLUSTER_INFO_NAME, CLUSTER_INFO_NAMESPACE, namesOtherCa } from "../../../core/token/cluster_info.ts";
import { AppError } from "../../../core/errors.ts";
import type { ConfigMap } from "../../../core/kube/kinds/core_v1.ts";
import { encodeTrust, parseAuthorityChain } from "../../../core/pki/authority/authority_chain.ts";
import type { Stored } from "../../../server/storage/storage.ts";

const CLUSTER_INFO_KEY = `/registry/configmaps/${CLUSTER_INFO_NAMESPACE}/${CLUSTER_INFO_NAME}`;

/** The objects and the files that a backup would combine. */
export interface Sides {
  readonly items: readonly Pick<Stored, "key" | "object">[];
  /** The text of `pki/ca.crt`; undefined when there is none. */
  readonly caFile: string | undefined;
  /** The path of the folder, for messages. */
  readonly root: string;
}

/** Throws AppError `ca_invalid` when `cluster-info` has another CA than the folder. Without a CA on either side it passes. */
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
