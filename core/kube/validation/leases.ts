/** Leases (`pkg/apis/coordination/validation`, `pkg/registry/coordination/lease/strategy.go`). */
import type { Lease } from "../coordination_v1.ts";
import { type FieldError, invalid } from "../field_error.ts";

/** Coordinated leader election is off by default: its fields are dropped. */
export function prepareLeaseForCreate(lease: Lease): Lease {
  const { strategy: _strategy, preferredHolder: _holder, ...spec } = lease.spec;
  return { ...lease, spec };
}

/** As on creation, but what is stored already may stay. */
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

/** Faults of a new Lease beside its metadata. */
export function validateLeaseCreate(lease: Lease): FieldError[] {
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

/** Faults of a changed Lease beside its metadata. */
export function validateLeaseUpdate(lease: Lease, _old: Lease): FieldError[] {
  return validateLeaseCreate(lease);
}
