/** The rules of CSINodes apart from metadata (`pkg/apis/storage/validation/validation.go`). */
import { checkEach, duplicate, type FieldError, invalid, requiredField, tooLong } from "../status/field_error.ts";
import type { KubeObject } from "../meta.ts";
import { dns1123SubdomainErrors, qualifiedNameErrors } from "../names.ts";
import { byteLength } from "../../lib/quote.ts";
import { isEqualJson } from "../json_value.ts";

/** The parts of a CSINode that have rules. */
export interface CsiNodeShape extends KubeObject {
  readonly spec: { readonly drivers: readonly CsiDriverShape[] | null };
}

/** One storage driver of a node, as far as it has rules. */
export interface CsiDriverShape {
  readonly name: string;
  readonly nodeID: string;
  readonly topologyKeys?: readonly string[] | null;
  readonly allocatable?: { readonly count?: number };
}

const DRIVER_NAME_MAX_LENGTH = 63;
const NODE_ID_MAX_LENGTH = 256;

/** Validates a new CSINode apart from its metadata. */
export function validateCsiNodeCreate(node: CsiNodeShape): FieldError[] {
  const seen = new Set<string>();
  return checkEach(node.spec.drivers ?? [], (driver, index) => {
    const path = `spec.drivers[${index}]`;
    const errors = validateDriver(driver, path);
    if (seen.has(driver.name)) errors.push(duplicate(`${path}.name`, driver.name));
    seen.add(driver.name);
    return [...errors, ...validateTopologyKeys(driver.topologyKeys ?? [], path)];
  });
}

/** Validates a changed CSINode: of a driver that stays, only `allocatable` may change. */
export function validateCsiNodeUpdate(node: CsiNodeShape, old: CsiNodeShape): FieldError[] {
  const errors = validateCsiNodeCreate(node);
  const now = Map.groupBy(node.spec.drivers ?? [], ({ name }) => name);
  const changed = checkEach(old.spec.drivers ?? [], (before) =>
    checkEach(now.get(before.name) ?? [], (after) => {
      if (isEqualJson(withoutAllocatable(after), withoutAllocatable(before))) return [];
      return [invalid("spec.drivers", internalDriver(after), "field is immutable")];
    }));
  return [...errors, ...changed];
}

function validateDriver(driver: CsiDriverShape, path: string): FieldError[] {
  const { name, nodeID, allocatable } = driver;
  const errors: FieldError[] = [];
  if (name === "") errors.push(requiredField(`${path}.name`));
  else {
    if (byteLength(name) > DRIVER_NAME_MAX_LENGTH) errors.push(tooLong(`${path}.name`, DRIVER_NAME_MAX_LENGTH));
    errors.push(...dns1123SubdomainErrors(name.toLowerCase()).map((text) => invalid(`${path}.name`, name, text)));
  }
  if (nodeID === "") errors.push(requiredField(`${path}.nodeID`));
  if (byteLength(nodeID) > NODE_ID_MAX_LENGTH) {
    errors.push(invalid(`${path}.nodeID`, nodeID, `must be ${NODE_ID_MAX_LENGTH} characters or less`));
  }
  const count = allocatable?.count ?? 0;
  if (count < 0) errors.push(invalid(`${path}.allocatable.count`, count, "must be greater than or equal to 0"));
  return errors;
}

function validateTopologyKeys(keys: readonly string[], path: string): FieldError[] {
  const seen = new Set<string>();
  return checkEach(keys, (key) => {
    const isRepeated = seen.has(key);
    seen.add(key);
    return [
      ...(key === "" ? [requiredField(path)] : []),
      ...(isRepeated ? [duplicate(path, key)] : []),
      ...qualifiedNameErrors(key).map((text) => invalid(path, key, text)),
    ];
  });
}

function withoutAllocatable(driver: CsiDriverShape): unknown {
  return { name: driver.name, nodeID: driver.nodeID, topologyKeys: driver.topologyKeys ?? [] };
}

/** Names the fields as Go's internal type does, which the error prints. */
function internalDriver(driver: CsiDriverShape): unknown {
  return { Name: driver.name, NodeID: driver.nodeID, TopologyKeys: driver.topologyKeys ?? null, Allocatable: null };
}
