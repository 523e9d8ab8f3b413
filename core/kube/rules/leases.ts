/** The rules of Leases (`pkg/apis/coordination/validation`, `pkg/registry/coordination/lease/strategy.go`). */
import type { Lease } from "../kinds/coordination_v1.ts";
import { type FieldError, invalid } from "../status/field_error.ts";

/** Drops the fields of coordinated leader election, which is off by default. */
export function prepareLeaseForCreate(lease: Lease): Lease {
  const { strategy: _strategy, preferredHolder: _holder, ...spec } = lease.spec;
  return { ...lease, spec };
}

/** Drops the fields of coordinated leader election unless they are stored already. */
export function prepareLeaseForUpdate(lease: Lease, old: Lease): Lease {
  const { strategy, preferredHolder, ...spec } = lease.spec;
  return {
    ...lease,
    spec: {
      ...spec,
      ...(strategy === undefined || old.spec.strategy === undefined ? {} : { strategy }),
      ...(preferredHolder === undefined || old.spec.preferredHolder === undefined ? {} : { preferredHolder }),
    },
  };
}

/** Validates a new or a changed Lease apart from its metadata. */
export function validateLease(lease: Lease): FieldError[] {
  const { leaseDurationSeconds, leaseTransitions } = lease.spec;
  const errors: FieldError[] = [];
  if (leaseDurationSeconds !== undefined && leaseDurationSeconds <= 0) {
    errors.push(invalid("spec.leaseDurationSeconds", leaseDurationSeconds, "must be greater than 0"));
  }
  if (leaseTransitions !== undefined && leaseTransitions < 0) {
    errors.push(invalid("spec.leaseTransitions", leaseTransitions, "must be greater than or equal to 0"));
  }
  return errors;
}
