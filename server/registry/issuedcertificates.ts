/** The resource `tlsboot/v1alpha1` issuedcertificates: the register, which only the server writes (`server/register`). */
import { issuedCertificateKind } from "../../core/kube/kinds/mod.ts";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { ageColumn, nameColumn, textColumn } from "./columns.ts";
import { READ_VERBS, type Resource } from "./resource.ts";

/** The records of issued certificates. Their names are their positions, so lists are in the order of issuance. */
export const issuedCertificates: Resource<IssuedCertificate> = {
  kind: issuedCertificateKind,
  storageName: "tlsboot/issuedcertificates",
  verbs: READ_VERBS,
  columns: [
    nameColumn,
    textColumn("Serial", "Serial number in hex.", ({ spec }) => spec.serialNumber ?? "<unknown>"),
    textColumn("Subject", "Subject of the certificate.", ({ spec }) => spec.subject ?? ""),
    textColumn("Signer", "Signer or command.", ({ spec }) => spec.signerName ?? spec.source ?? ""),
    textColumn("Expires", "End of validity.", ({ spec }) => spec.notAfter ?? "<unknown>"),
    textColumn("Revoked", "Reason of the revocation.", ({ status }) => status.revocation?.reason ?? ""),
    ageColumn,
    textColumn("Requestor", "User that requested it.", ({ spec }) => spec.requester?.username ?? "", 1),
    textColumn("Approver", "User that approved it.", ({ spec }) => spec.approval?.username ?? "", 1),
  ],
  selectableFields: ["spec.serialNumber", "spec.signerName"],
  selectField: ({ spec }, field) => (field === "spec.signerName" ? spec.signerName : spec.serialNumber) ?? "",
  strategy: {},
};
