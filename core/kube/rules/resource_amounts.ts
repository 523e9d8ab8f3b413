/** The rules of resource amounts (`pkg/apis/core/validation`, `pkg/apis/core/helper`). */
import { toMillis } from "../wire/quantity.ts";
import { type FieldError, invalid } from "../status/field_error.ts";
import { qualifiedNameErrors } from "../names.ts";

/** The resources whose amounts are whole numbers. */
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

/** Validates an amount: it is not negative, and it is a whole number for resources that are counted. */
export function validateAmount(field: string, name: string, amount: string): FieldError[] {
  const millis = toMillis(amount);
  return [
    ...(millis < 0n ? [invalid(field, amount, "must be greater than or equal to 0")] : []),
    ...(isCounted(name) && millis % 1_000n !== 0n ? [invalid(field, amount, "must be an integer")] : []),
  ];
}

function isCounted(name: string): boolean {
  return COUNTED.includes(name) || isExtended(name);
}

/** Reports whether a resource is an extended one, which has a domain: `example.com/gpu`. */
function isExtended(name: string): boolean {
  if (!name.includes("/") || name.includes("kubernetes.io/") || name.startsWith("requests.")) return false;
  return qualifiedNameErrors(`requests.${name}`).length === 0;
}
