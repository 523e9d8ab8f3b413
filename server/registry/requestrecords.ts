/** The resource `tlsboot/v1alpha1` requestrecords, which the server writes together with the request of the same name. */
import { requestRecordKind } from "../../core/kube/kinds/mod.ts";
import type { RequestRecord } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { ageColumn, nameColumn, textColumn } from "./columns.ts";
import { READ_VERBS, type Resource } from "./resource.ts";

/** The addresses and decisions of requests, by the name of the request. */
export const requestRecords: Resource<RequestRecord> = {
  kind: requestRecordKind,
  storageName: "tlsboot/requestrecords",
  verbs: READ_VERBS,
  columns: [
    nameColumn,
    textColumn("Address", "IP address from which it came.", ({ spec }) => spec.address ?? ""),
    textColumn("Decision", "Approved or Denied.", ({ status }) => status.decision?.type ?? ""),
    textColumn("User", "User that decided.", ({ status }) => status.decision?.username ?? ""),
    ageColumn,
  ],
  strategy: {},
};
