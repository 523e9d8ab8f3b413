/**
 * The resources of our own group, `tlsboot/v1alpha1`: CA rotations and the reports of their census, the records of
 * certificates and requests, which only the server writes, and revocations.
 */
import {
  caRotationKind,
  issuedCertificateKind,
  requestRecordKind,
  revocationKind,
  trustReportKind,
} from "../../core/kube/kinds/mod.ts";
import { alreadyExists, forbidden, invalidObject, StatusError } from "../../core/kube/status/status.ts";
import type {
  CaRotation,
  IssuedCertificate,
  RequestRecord,
  Revocation,
  TrustReport,
} from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import {
  planCaRotationStatus,
  validateCaRotation,
  validateCaRotationUpdate,
} from "../../core/ca_rotation/rotation_rules.ts";
import {
  ageColumn,
  nameColumn,
  READ_VERBS,
  type Resource,
  sinceColumn,
  STANDARD_VERBS,
  type StoredResource,
  SUBRESOURCE_VERBS,
  textColumn,
  type WriteContext,
} from "./resource.ts";
import { replaceTrustReport, stampTrustReport, validateTrustReport } from "../../core/ca_rotation/trust.ts";
import { findTokenSecret } from "./secrets.ts";
import { toTokenSecretName } from "../../core/token/token_secret.ts";
import { type FieldError, forbiddenField, invalid } from "../../core/kube/status/field_error.ts";
import { formatTime, getName } from "../../core/kube/meta.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";
import {
  canBeTakenBack,
  describeRevocation,
  findAuthorFault,
  findRevocationTarget,
  type RevocationTarget,
  toRevocationName,
  UNRECORDED_ANNOTATION,
  validateRevocation,
} from "../../core/revocation/revocation.ts";
import type { RecordedCertificates, RevocationIndex } from "../../core/revocation/revocation_index.ts";
import type { Storage } from "../storage/storage.ts";

/** The rotations of CAs, by the name of the CA's file. */
export const caRotations: Resource<CaRotation> = {
  kind: caRotationKind,
  storageName: "tlsboot/carotations",
  verbs: STANDARD_VERBS,
  columns: [
    nameColumn,
    textColumn("Step", "Step that was requested.", ({ spec }) => spec.step),
    textColumn("Servers", "Servers that have adopted it.", formatServers),
    ageColumn,
  ],
  strategy: {
    validateCreate: validateCaRotation,
    validateUpdate: validateCaRotationUpdate,
    needsResourceVersion: true,
    resetFields: ["status"],
    prepareForCreate: (object, { now }) => ({ ...object, status: planCaRotationStatus(object.spec, undefined, now) }),
    prepareForUpdate: (object, stored, { now }) => ({
      ...object,
      status: planCaRotationStatus(object.spec, stored, now),
    }),
  },
  deletion: {
    begin({ metadata, spec }) {
      if (spec.step !== "Switch") return { kind: "usual" };
      const why = "the new CA signs and the old one is trusted: finish the rotation, or set spec.step to Trust first";
      throw forbidden(caRotationKind, metadata.name ?? "", why);
    },
  },
  subresources: [
    {
      name: "status",
      verbs: SUBRESOURCE_VERBS,
      table: true,
      prepareForUpdate: (object, stored) => ({ ...object, spec: stored.spec }),
      resetFields: ["spec"],
    },
  ],
};

function formatServers({ spec, status: { servers = [] } }: CaRotation): string {
  return `${servers.filter(({ step }) => step === spec.step).length}/${servers.length}`;
}

/**
 * The reports of the census. The server derives the name of each from its user, so that users can write only their own.
 */
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

/**
 * The records of issued certificates. Their names are their sequence numbers, so lists are in the order of issuance.
 */
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

/** The dependencies of the resource. */
export interface RevocationResourceDeps {
  readonly revocations: { readonly index: RevocationIndex; readonly records: RecordedCertificates };
  readonly storage: Pick<Storage, "get" | "catchUp">;
  /** Returns the CAs whose client certificates are trusted now. */
  readonly clientCas: () => readonly CertificateFacts[];
}

/** The storage and the verbs of the resource, without its rules. */
export const REVOCATIONS: Pick<StoredResource, "kind" | "storageName"> & Pick<Resource, "verbs"> = {
  kind: revocationKind,
  storageName: "tlsboot/revocations",
  verbs: ["create", "delete", "get", "list", "watch"],
};

export function createRevocationResource(deps: RevocationResourceDeps): Resource<Revocation> {
  const { revocations } = deps;
  return {
    ...REVOCATIONS,
    columns: [
      nameColumn,
      textColumn("Reason", "Reason as in RFC 5280.", ({ spec }) => spec.reason),
      textColumn("Revoked By", "User that revoked it.", ({ status }) => status.revokedBy ?? ""),
      ageColumn,
      textColumn("Message", "Explanation in words.", ({ spec }) => spec.message ?? "", 1),
    ],
    strategy: {
      validateCreate: validateRevocation,
      prepareForCreate: (object, context) => prepare(object, context, revocations.records.lastSequence),
    },
    async guard(object, _stored, { user }) {
      const target = findRevocationTarget(object.spec);
      // Validation follows, and refuses a malformed object with all its faults.
      if (target === undefined || validateRevocation(withName(object, target)).length > 0) return;
      // The register must include every certificate issued before, even by other servers.
      await deps.storage.catchUp();
      const name = toRevocationName(target);
      const existing = revocations.index.get(name);
      if (existing !== undefined) throw createExistsError(existing);
      const fault = findAuthorFault(target, user) ?? await findTargetFault(deps, object, target);
      if (fault !== undefined) throw invalidObject(revocationKind, name, [fault]);
    },
    deletion: {
      begin(object) {
        if (canBeTakenBack(object)) return { kind: "usual" };
        const why =
          `${describeRevocation(object)}, and only a certificate on hold (reason certificateHold) can be taken ` +
          "back: issue a new certificate instead";
        throw forbidden(revocationKind, getName(object), why);
      },
    },
  };
}

/** Sets the name when it is omitted, and the status. */
function prepare(object: Revocation, { user, now }: WriteContext, lastSequence: number): Revocation {
  const target = findRevocationTarget(object.spec);
  return {
    ...(target === undefined ? object : withName(object, target)),
    status: {
      revokedBy: user.username,
      revokedByGroups: user.groups,
      time: formatTime(now),
      ...(lastSequence === 0 ? {} : { lastSequence }),
    },
  };
}

function withName(object: Revocation, target: RevocationTarget): Revocation {
  const { name = "", generateName = "" } = object.metadata;
  if (name !== "" || generateName !== "") return object;
  return { ...object, metadata: { ...object.metadata, name: toRevocationName(target) } };
}

/** Creates the usual 409, with the time and the reason of the first revocation. */
function createExistsError(existing: Revocation): StatusError {
  const { status } = alreadyExists(revocationKind, getName(existing));
  return new StatusError({ ...status, message: `${status.message}: ${describeRevocation(existing)}` });
}

const UNKNOWN = `to revoke it anyway, set the annotation ${UNRECORDED_ANNOTATION} to "true"`;

/** Finds the fault of a target that does not exist or that the server itself needs. */
async function findTargetFault(
  { revocations: { records }, storage, clientCas }: RevocationResourceDeps,
  { metadata }: Revocation,
  { kind, value }: RevocationTarget,
): Promise<FieldError | undefined> {
  const mayBeUnknown = metadata.annotations?.[UNRECORDED_ANNOTATION] === "true";
  if (kind === "serial") {
    const recorded = records.findBySerialNumber(value);
    if (clientCas().some(({ serialNumber }) => serialNumber === value) || recorded?.origin === "ca") {
      return forbiddenField(
        "spec.serialNumber",
        "it is the certificate of a CA: every certificate of it would have to be refused. Replace the CA, " +
          "and remove it from the client CAs of the server",
      );
    }
    if (recorded?.origin === "serving") {
      return forbiddenField(
        "spec.serialNumber",
        "it is the serving certificate of a server: delete its files in pki/ and restart the server, which makes a new one",
      );
    }
    if (recorded !== undefined || mayBeUnknown) return undefined;
    const why =
      `no certificate in the register has this serial number: list them with tlsboot get certificates; ${UNKNOWN}`;
    return invalid("spec.serialNumber", value, why);
  }
  if (kind === "token" && !mayBeUnknown && !records.hasToken(value)) {
    if (await findTokenSecret(storage, toTokenSecretName(value)) !== undefined) return undefined;
    const why = `no bootstrap token has this id, and no certificate in the register was requested with it; ${UNKNOWN}`;
    return invalid("spec.token", value, why);
  }
  return undefined;
}
