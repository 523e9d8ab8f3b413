/** The Revocation object: its target, its name, which is derived from the target, and the validation of a new one. */
import { hash } from "node:crypto";
import { parseNodeName } from "../machine/node_name.ts";
import type { IdentifiedUser } from "../register/certificate_user.ts";
import { TOKEN_ID } from "../token/token_secret.ts";
import {
  type FieldError,
  forbiddenField,
  invalid,
  notSupported,
  requiredField,
  tooLong,
} from "../kube/status/field_error.ts";
import { getName, type ObjectMeta } from "../kube/meta.ts";
import { NODE_USER_PREFIX } from "../kube/user.ts";
import type { Revocation, RevocationSpec } from "../kube/kinds/tlsboot_v1alpha1.ts";
import { REVOCATION_REASONS, TLSBOOT_GROUP } from "../kube/kinds/constants.ts";
import { escapeControls } from "../lib/printable.ts";
import { byteLength, goQuote } from "../lib/go_text.ts";
import { err, ok, type Result } from "../lib/result.ts";

/**
 * The kinds of targets of a Revocation: one certificate by its serial number, a node, a user, a group or a bootstrap
 * token.
 */
export const REVOCATION_TARGET_KINDS = ["serial", "node", "user", "group", "token"] as const;

/** One of the kinds in `REVOCATION_TARGET_KINDS`. */
export type RevocationTargetKind = typeof REVOCATION_TARGET_KINDS[number];

/** The target of a Revocation, such as the node `n1`. */
export interface RevocationTarget {
  readonly kind: RevocationTargetKind;
  readonly value: string;
}

/** The reason and the other fields of a new Revocation. */
interface RevocationOptions {
  readonly reason: string;
  readonly message?: string;
  /** Whether every certificate that was requested with the token is revoked too. */
  readonly includeCertificates?: boolean;
  /** Whether the serial number or the token may be unknown to the server. */
  readonly isUnrecorded?: boolean;
}

/** The annotation that allows the revocation of a serial number or a token that the server does not know. */
export const UNRECORDED_ANNOTATION = "tlsboot/unrecorded";

const FIELD_OF_KIND = { serial: "serialNumber", node: "node", user: "user", group: "group", token: "token" } as const;
const MAX_NAME_BYTES = 1_024;
const MAX_MESSAGE_BYTES = 1_024;
/** The largest serial number that a certificate may have, in hex digits (RFC 5280 section 4.1.2.2), and one zero byte. */
const MAX_SERIAL_DIGITS = 42;
/** The text that an object name may not contain, and the prefix of the form that replaces it. */
const UNNAMEABLE = /[/%]|^sha256-/;

/** Creates a Revocation to be sent to the API. */
export function createRevocation(target: RevocationTarget, options: RevocationOptions): Revocation {
  const { reason, message = "", includeCertificates = false, isUnrecorded = false } = options;
  return {
    apiVersion: `${TLSBOOT_GROUP}/v1alpha1`,
    kind: "Revocation",
    metadata: {
      name: toRevocationName(target),
      ...(isUnrecorded ? { annotations: { [UNRECORDED_ANNOTATION]: "true" } } : {}),
    },
    spec: {
      [FIELD_OF_KIND[target.kind]]: target.value,
      ...(includeCertificates ? { includeCertificates } : {}),
      reason,
      ...(message === "" ? {} : { message }),
    },
    status: { time: null },
  };
}

/**
 * Returns the name of the Revocation of a target, such as `node:n1`, so that there can be only one for each target. A
 * value that cannot be in a name is replaced by its SHA-256.
 */
export function toRevocationName({ kind, value }: RevocationTarget): string {
  if (!UNNAMEABLE.test(value)) return `${kind}:${value}`;
  return `${kind}:sha256-${hash("sha256", value)}`;
}

/** Finds the target of a Revocation; undefined when it has none or more than one. */
export function findRevocationTarget(spec: RevocationSpec): RevocationTarget | undefined {
  const targets = listTargets(spec);
  return targets.length === 1 ? targets[0] : undefined;
}

/**
 * Reports whether a target covers a user by name, so that every credential of the user is refused, even a new one.
 * Revoking a certificate or a token does not prevent a new one.
 */
export function coversUser(
  { kind, value }: RevocationTarget,
  { username, groups }: IdentifiedUser,
): boolean {
  switch (kind) {
    case "user":
      return value === username;
    case "node":
      return `${NODE_USER_PREFIX}${value}` === username;
    case "group":
      return groups.includes(value);
    case "serial":
    case "token":
      return false;
  }
}

/** Finds the fault of a revocation that would lock out its author, who may be the only user able to undo it. */
export function findAuthorFault(
  target: RevocationTarget,
  user: IdentifiedUser,
): FieldError | undefined {
  if (!coversUser(target, user)) return undefined;
  const why =
    `it covers you, ${goQuote(user.username)}: a new credential of this name would be refused too; let another ` +
    "administrator revoke it, or revoke a certificate by its serial number";
  return forbiddenField(`spec.${FIELD_OF_KIND[target.kind]}`, why);
}

function listTargets(spec: RevocationSpec): readonly RevocationTarget[] {
  return REVOCATION_TARGET_KINDS.flatMap((kind) => {
    const value = spec[FIELD_OF_KIND[kind]] ?? "";
    return value === "" ? [] : [{ kind, value }];
  });
}

/**
 * Parses a serial number as people and programs write it, such as `0A:1B`, `0x0a1b` or `0a1b`, and returns it in the
 * form of the register: hex in lower case, two digits for each byte, without leading zero bytes.
 */
export function parseSerialNumber(text: string): Result<string, string> {
  const digits = text.trim().toLowerCase().replace(/^0x/, "").replace(/[:\s]/g, "");
  if (!/^[0-9a-f]+$/.test(digits)) return err("a serial number is written in hex digits, such as 0a1b or 0A:1B");
  const even = digits.length % 2 === 0 ? digits : `0${digits}`;
  const trimmed = even.replace(/^(?:00)+(?=..)/, "");
  if (trimmed.length > MAX_SERIAL_DIGITS) return err("a serial number has at most 20 bytes");
  return ok(trimmed);
}

/** Reports whether a revoked certificate may become valid again: only one that is on hold (RFC 5280 section 5.3.1). */
export function canBeTakenBack({ spec }: Revocation): boolean {
  return spec.serialNumber === undefined || spec.serialNumber === "" || spec.reason === "certificateHold";
}

/** Validates a new Revocation, whose name has been set. */
export function validateRevocation(revocation: Revocation): FieldError[] {
  const { metadata, spec } = revocation;
  const [target, ...others] = listTargets(spec);
  if (target === undefined) {
    return [requiredField("spec", "set exactly one of serialNumber, node, user, group and token")];
  }
  const errors = others.map(({ kind }) =>
    forbiddenField(`spec.${FIELD_OF_KIND[kind]}`, `may not be set together with ${FIELD_OF_KIND[target.kind]}`)
  );
  errors.push(...validateTarget(target), ...validateReason(spec), ...validateMetadata(metadata));
  const name = toRevocationName(target);
  if (errors.length === 0 && getName(revocation) !== name) {
    errors.push(invalid("metadata.name", getName(revocation), `must be ${goQuote(name)}, or be omitted`));
  }
  return errors;
}

function validateTarget(target: RevocationTarget): readonly FieldError[] {
  const { kind, value } = target;
  const field = `spec.${FIELD_OF_KIND[kind]}`;
  switch (kind) {
    case "serial": {
      const serial = parseSerialNumber(value);
      if (!serial.ok) return [invalid(field, value, serial.error)];
      return serial.value === value ? [] : [invalid(field, value, `must be written as ${goQuote(serial.value)}`)];
    }
    case "node": {
      const node = parseNodeName(value);
      return node.ok && node.value === value ? [] : [invalid(field, value, "must be the name of a node, such as n1")];
    }
    case "user":
    case "group":
      return byteLength(value) > MAX_NAME_BYTES ? [tooLong(field, MAX_NAME_BYTES)] : validateUnprotected(target);
    case "token":
      if (TOKEN_ID.test(value)) return [];
      // The message does not contain the value, because it may be a whole token with its secret.
      return [
        forbiddenField(field, "must be the id of a token: the six characters before its dot, without the secret"),
      ];
  }
}

/** Groups that contain every user, or the server's own components. */
const PROTECTED_GROUPS: ReadonlyMap<string, string> = new Map([
  ["system:masters", "it would lock out every administrator and the server itself"],
  ["system:authenticated", "every user is in it, the server itself too"],
  ["system:unauthenticated", "run the server with the setting anonymousAuth=false instead"],
  ["system:serviceaccounts", "the controllers of the server are in it"],
  ["system:serviceaccounts:kube-system", "the controllers of the server are in it"],
]);

/** The users of the server itself and of its controllers. */
const PROTECTED_USERS = /^(?:system:apiserver|system:kube-controller-manager|system:serviceaccount:kube-system:.*)$/s;

/** Refuses the revocation of the users and groups of the server's own components. */
function validateUnprotected({ kind, value }: RevocationTarget): readonly FieldError[] {
  if (kind === "group") {
    const why = PROTECTED_GROUPS.get(value);
    if (why === undefined) return [];
    const instead = value === "system:unauthenticated" ? "" : "; revoke a user, or a certificate by its serial number";
    return [forbiddenField("spec.group", `${goQuote(value)} cannot be revoked: ${why}${instead}`)];
  }
  if (value === "system:anonymous") {
    const instead = "requests without credentials are turned off with the setting anonymousAuth=false";
    return [forbiddenField("spec.user", instead)];
  }
  if (!PROTECTED_USERS.test(value)) return [];
  const why = `${goQuote(value)} cannot be revoked: the server itself acts as this user`;
  return [forbiddenField("spec.user", `${why}; revoke one of its certificates by serial number`)];
}

function validateReason({ reason, message = "", includeCertificates, token }: RevocationSpec): readonly FieldError[] {
  const errors: FieldError[] = [];
  if (reason === "") {
    errors.push(requiredField("spec.reason", `one of ${REVOCATION_REASONS.join(", ")}`));
  } else if (!REVOCATION_REASONS.includes(reason)) {
    errors.push(notSupported("spec.reason", reason, REVOCATION_REASONS));
  }
  if (byteLength(message) > MAX_MESSAGE_BYTES) errors.push(tooLong("spec.message", MAX_MESSAGE_BYTES));
  if (includeCertificates === true && (token ?? "") === "") {
    errors.push(forbiddenField("spec.includeCertificates", "may only be set together with token"));
  }
  return errors;
}

/** A Revocation must not be garbage-collected, and no update could remove its finalizers. */
function validateMetadata({ finalizers = [], ownerReferences = [] }: ObjectMeta): readonly FieldError[] {
  const why = "a revocation ends only when it is deleted";
  return [
    ...(finalizers.length === 0 ? [] : [forbiddenField("metadata.finalizers", why)]),
    ...(ownerReferences.length === 0 ? [] : [forbiddenField("metadata.ownerReferences", why)]),
  ];
}

/** Describes a Revocation, such as `node "n1" is revoked since 2026-11-28T02:00:00Z (keyCompromise: stolen)`. */
export function describeRevocation({ spec, status }: Revocation): string {
  const { kind, value } = findRevocationTarget(spec) ?? { kind: "serial", value: "" };
  const what = kind === "serial" ? "certificate" : kind;
  const since = status.time === null ? "" : ` since ${status.time}`;
  const message = (spec.message ?? "") === "" ? "" : `: ${escapeControls(spec.message ?? "")}`;
  return `${what} ${goQuote(value)} is revoked${since} (${spec.reason}${message})`;
}
