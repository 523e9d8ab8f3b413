/** Amounts of resources, by name (`pkg/apis/core/validation`, `pkg/apis/core/helper`). */
import { quantityMillis } from "../codec/quantity.ts";
import { type FieldError, invalid } from "../field_error.ts";
import { qualifiedNameErrors } from "../names.ts";

/** What can only be counted. */
const COUNTED: readonly string[] = [
  "pods",
  "resourcequotas",
  "services",
  "replicationcontrollers",
  "secrets",
  "configmaps",
  "persistentvolumeclaims",
  "services.nodeports",
  "services.loadbalancers",
];

/** Faults of an amount: it is never negative, and whole for what is counted. */
export function validateAmount(field: string, name: string, amount: string): FieldError[] {
  const millis = quantityMillis(amount);
  return [
    ...(millis < 0n ? [invalid(field, amount, "must be greater than or equal to 0")] : []),
    ...(isCounted(name) && millis % 1_000n !== 0n ? [invalid(field, amount, "must be an integer")] : []),
  ];
}

function isCounted(name: string): boolean {
  return COUNTED.includes(name) || isExtended(name);
}

/** Resources of others have a domain of theirs: `example.com/gpu`. */
function isExtended(name: string): boolean {
  if (!name.includes("/") || name.includes("kubernetes.io/") || name.startsWith("requests.")) return false;
  return qualifiedNameErrors(`requests.${name}`).length === 0;
}
