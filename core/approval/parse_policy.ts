/** Parses a policy file (`kind: ApprovalPolicy`). Every unknown key is a fault. */
import { EXCHANGE_MS } from "../attestation/exchange.ts";
import { PROOF_KINDS } from "../kube/kinds/constants.ts";
import { ML_DSA_NAMES } from "../pki/keys/key_names.ts";
import { findUnknownUsages } from "../pki/x509/usages.ts";
import {
  checkedText,
  defaultKey,
  duration,
  fault,
  flag,
  integer,
  ipRange,
  listOf,
  mapped,
  mapping,
  nonEmptyListOf,
  oneOf,
  optionalKey,
  parseConfigDocument,
  requiredKey,
  type Shape,
  text,
} from "../lib/config_file.ts";
import { omitUndefined } from "../lib/record.ts";
import type { Result } from "../lib/result.ts";
import { type ApprovalRule, type AttestationRequirement, type Policy, type Requirements, WEEKDAYS } from "./policy.ts";

const POLICY_KIND = "ApprovalPolicy";

const signerPattern = checkedText((value) =>
  /^[^/\s*]+\/(?:\*|[^\s*]+)$/.test(value)
    ? undefined
    : `"${value}" is not a signer name; write domain/path or domain/*`
);
const usage = checkedText((value) =>
  findUnknownUsages([value]).length === 0
    ? undefined
    : `"${value}" is not a key usage, such as "digital signature" or "server auth"`
);
const END_OF_DAY = 24 * 60;
/** A time of day in minutes after midnight; `24:00` is the end of the day. */
const timeOfDay = mapped(text, (read, place) => {
  const [, hours, minutes] = /^(\d\d):(\d\d)$/.exec(read) ?? [];
  const total = Number(hours) * 60 + Number(minutes);
  const isTime = Number(minutes) < 60 && total <= END_OF_DAY;
  return isTime ? total : fault(place, `"${read}" is not a time of day, such as 08:00 or 24:00`);
});

const ATTESTATION: Shape<AttestationRequirement> = mapped(
  mapping({ kind: optionalKey(oneOf(PROOF_KINDS)), maxAge: optionalKey(duration) }),
  ({ kind, maxAge }) => omitUndefined({ kind, maxAgeMs: maxAge }),
);

const REQUIREMENTS: Shape<Requirements> = mapping({
  permission: optionalKey(text),
  subject: optionalKey(
    mapping({ commonNames: defaultKey(listOf(text), []), organizations: defaultKey(listOf(text), []) }),
  ),
  names: optionalKey(mapped(
    mapping({
      owned: defaultKey(flag, false),
      atLeastOne: defaultKey(flag, false),
      unclaimed: optionalKey(flag),
      dns: optionalKey(listOf(text)),
      ips: optionalKey(listOf(ipRange)),
      uris: defaultKey(listOf(text), []),
      emails: defaultKey(listOf(text), []),
    }),
    ({ dns, ips, ...names }, place) =>
      names.owned && (dns ?? ips) !== undefined
        ? fault(place, "owned requires evidence instead of patterns; leave dns and ips out")
        : { ...names, dns: dns ?? [], ips: ips ?? [] },
  )),
  usages: optionalKey(
    mapping({ allowed: requiredKey(nonEmptyListOf(usage)), required: defaultKey(listOf(usage), []) }),
  ),
  keys: optionalKey(nonEmptyListOf(mapping({
    type: requiredKey(oneOf(["RSA", "ECDSA", "Ed25519", ...ML_DSA_NAMES])),
    minBits: optionalKey(integer(1)),
  }))),
  lifetime: optionalKey(mapped(
    mapping({ max: optionalKey(duration), mayBeAbsent: defaultKey(flag, true) }),
    ({ max, mayBeAbsent }) => ({ ...omitUndefined({ maxMs: max }), mayBeAbsent }),
  )),
  hours: optionalKey(mapping({
    days: defaultKey(nonEmptyListOf(oneOf(WEEKDAYS)), WEEKDAYS),
    from: defaultKey(timeOfDay, 0),
    to: defaultKey(timeOfDay, END_OF_DAY),
  })),
  rate: optionalKey(mapped(
    mapping({ max: requiredKey(integer(1)), per: requiredKey(duration) }),
    ({ max, per }) => ({ max, perMs: per }),
  )),
  // `tpm` is short for `{ kind: tpm }`.
  attested: optionalKey((value, place) => ATTESTATION(typeof value === "string" ? { kind: value } : value, place)),
});

/** The name of a policy or rule. It is written into conditions and read back from them. */
const name = checkedText((value) =>
  /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/.test(value)
    ? undefined
    : `"${value}" is not a name; want letters, digits, dots, dashes and underscores, at most 63`
);

const RULE: Shape<ApprovalRule> = mapped(
  mapping({
    name: requiredKey(name),
    match: requiredKey(mapping({
      signerNames: requiredKey(nonEmptyListOf(signerPattern)),
      users: optionalKey(nonEmptyListOf(text)),
      groups: optionalKey(nonEmptyListOf(text)),
    })),
    require: defaultKey(REQUIREMENTS, {}),
    then: requiredKey(oneOf(["approve", "deny", "pending", "next"])),
    otherwise: optionalKey(oneOf(["pending", "deny", "next"])),
  }),
  // By default, a rule that denies leaves all other requests to the next rule.
  (rule) => ({ ...rule, otherwise: rule.otherwise ?? (rule.then === "deny" ? "next" : "pending") }),
);

const POLICY: Shape<Policy> = mapping({
  name: requiredKey(name),
  description: defaultKey(text, ""),
  evidence: defaultKey(
    mapping({
      inventory: defaultKey(flag, true),
      heldCertificate: defaultKey(flag, true),
      trustNodeStatus: defaultKey(flag, false),
    }),
    { inventory: true, heldCertificate: true, trustNodeStatus: false },
  ),
  reissue: optionalKey(oneOf(["allow", "whenExpiring", "never"])),
  machines: optionalKey(oneOf(["any", "inventory"])),
  rules: defaultKey(nonEmptyListOf(RULE), []),
});

/** Parses a policy. The error lists every fault with its place. */
export function parsePolicy(fileText: string): Result<Policy, readonly string[]> {
  return parseConfigDocument(fileText, POLICY_KIND, checkedPolicy);
}

/** Past approvals are counted from the CSRs in the API, where the cleaner keeps issued ones for one hour. */
const LONGEST_RATE_MS = 3_600_000;

/**
 * Checks what the types cannot express: fields that an approving rule must have, and fields that exclude each other.
 */
const checkedPolicy = mapped(POLICY, (policy, place) => {
  const { rules, reissue, machines } = policy;
  if (rules.length === 0 && (reissue ?? machines) === undefined) {
    place.faults.push("rules: missing; a policy without rules must have reissue or machines");
  }
  const names = new Set<string>();
  for (const [index, rule] of rules.entries()) {
    const at = `rules[${index}]`;
    if (names.has(rule.name)) place.faults.push(`${at}.name: another rule is called "${rule.name}"`);
    names.add(rule.name);
    place.faults.push(...findRuleFaults(rule).map((fault) => `${at}.${fault}`));
  }
  return policy;
});

function findRuleFaults({ then, require: wanted }: ApprovalRule): readonly string[] {
  const faults: string[] = [];
  if (then === "approve" && wanted.subject === undefined) {
    faults.push("require.subject: a rule that approves must say for which subjects");
  }
  if (then === "approve" && wanted.usages === undefined) {
    faults.push("require.usages: a rule that approves must say for which usages");
  }
  const { hours, rate, attested, subject } = wanted;
  if (attested !== undefined && then === "deny") {
    faults.push("require.attested: a rule that denies cannot require a proof; use then: next with otherwise: deny");
  }
  if (attested?.maxAgeMs !== undefined && attested.maxAgeMs > EXCHANGE_MS) {
    faults.push("require.attested.maxAge: at most 10m; the token for a proof expires after that");
  }
  if (attested !== undefined && subject?.commonNames.some((pattern) => pattern.includes("${requester}")) === true) {
    faults.push("require.subject: the requester with a proof is a bootstrap token; name nodes, as system:node:*");
  }
  if (rate !== undefined && rate.perMs > LONGEST_RATE_MS) {
    faults.push("require.rate.per: at most 1h; Kubernetes deletes an issued request after that");
  }
  if (hours !== undefined && hours.from >= hours.to) {
    faults.push("require.hours: from must be before to");
  }
  return faults;
}
