/** The resource `tlsboot/v1alpha1` trustreports: which CAs each user trusts, for the census of a CA rotation. */
import { trustReportKind } from "../../core/kube/kinds/mod.ts";
import type { TrustReport } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { replaceTrustReport, stampTrustReport, validateTrustReport } from "../../core/ca_rotation/trust.ts";
import { nameColumn, sinceColumn, textColumn } from "./columns.ts";
import { type Resource } from "./resource.ts";

/** The reports. The server names each after its user, so that no user can write another user's. */
export const trustReports: Resource<TrustReport> = {
  kind: trustReportKind,
  storageName: "tlsboot/trustreports",
  verbs: ["create", "delete", "deletecollection", "get", "list", "watch"],
  columns: [
    nameColumn,
    textColumn("Trusted", "Number of CAs that the user trusts.", ({ spec }) => countTrusted(spec.trusted)),
    sinceColumn("Reported", "Time since the report.", ({ status }) => status.reportedAt),
    sinceColumn("Seen", "Time since the user was seen.", ({ status }) => status.lastSeen),
  ],
  strategy: {
    validateCreate: validateTrustReport,
    prepareForCreate: (object, { user, now }) => stampTrustReport(object, user.username, now),
  },
  replace: replaceTrustReport,
};

function countTrusted(trusted: readonly string[] | undefined): string {
  return trusted === undefined ? "<unknown>" : `${trusted.length}`;
}
