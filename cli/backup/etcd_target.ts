/** An etcd as the place that a backup's objects are restored to. */
import type { Clock } from "../../core/ports.ts";
import { STORED_RESOURCES } from "../../server/registry/resources.ts";
import { kubeValues } from "../../server/registry/stored_values.ts";
import type { EtcdEndpoints } from "../../server/storage/etcd.ts";
import type { EtcdRestore } from "../../server/storage/etcd_restore.ts";
import type { EtcdPlace } from "../instance/etcd_place.ts";

/** Where, and how to begin there. */
export interface EtcdTarget {
  readonly place: EtcdPlace;
  open(what: { readonly backup: string; readonly createdAt: string; readonly force: boolean }): Promise<
    Pick<EtcdRestore, "isResumed" | "write" | "finish"> & AsyncDisposable
  >;
}

/** The etcd that the flags name. */
export function createEtcdTarget(endpoints: EtcdEndpoints, clock: Clock): EtcdTarget {
  const { servers, prefix } = endpoints;
  return {
    place: { servers, prefix },
    async open(what) {
      // Loaded here, so that an instance with a database of its own does without.
      const { EtcdRestore } = await import("../../server/storage/etcd_restore.ts");
      return await EtcdRestore.open({ ...what, endpoints, values: kubeValues(STORED_RESOURCES), clock });
    },
  };
}
