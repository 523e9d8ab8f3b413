/** The resource `tlsboot/v1alpha1` carotations: the replacement of a CA, which all servers of an installation follow. */
import { caRotationKind } from "../../core/kube/kinds/mod.ts";
import { forbidden } from "../../core/kube/status/status.ts";
import type { CaRotation } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import {
  planCaRotationStatus,
  validateCaRotation,
  validateCaRotationUpdate,
} from "../../core/ca_rotation/rotation_rules.ts";
import { ageColumn, nameColumn, textColumn } from "./columns.ts";
import { type Resource, STANDARD_VERBS, SUBRESOURCE_VERBS } from "./resource.ts";

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
