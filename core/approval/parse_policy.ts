/** Parses a policy file (`kind: ApprovalPolicy`). Every unknown key is a fault. */
import { ML_DSA_NAMES } from "../pki/keys/key_algorithm.ts";
import { findUnknownUsages } from "../pki/x509/usages.ts";
import {
  checkedText,
  duration,
  fault,
  flag,
  integer,
  ipRange,
  listOf,
  mapping,
  nonEmptyListOf,
  oneOf,
  optionalKey,
  parseConfigDocument,
  type Read,
  requiredKey,
  type Shape,
  text,
} from "../lib/config_file.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { type ApprovalRule, type Policy, type Requirements, WEEKDAYS } from "./policy.ts";

/** The kind of a policy file. */
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
/** The end of the day in minutes. */
const END_OF_DAY = 24 * 60;
/** A time of day in minutes after midnight; `24:00` is the end of the day. */
const timeOfDay: Shape<number> = (value, place) => {
  const read = text(value, place);
  if (read === undefined) return undefined;
  const [, hours, minutes] = /^(\d\d):(\d\d)$/.exec(read) ?? [];
  const total = Number(hours) * 60 + Number(minutes);
  const isTime = Number(minutes) < 60 && total <= END_OF_DAY;
  return isTime ? total : fault(place, `"${read}" is not a time of day, such as 08:00 or 24:00`);
};

const KEYS = {
  type: requiredKey(oneOf(["RSA", "ECDSA", "Ed25519", ...ML_DSA_NAMES])),
  minBits: optionalKey(integer(1)),
};

const REQUIREMENTS = {
  permission: optionalKey(text),
  subject: optionalKey(mapping({ commonNames: optionalKey(listOf(text)), organizations: optionalKey(listOf(text)) })),
  names: optionalKey(mapping({
    owned: optionalKey(flag),
    atLeastOne: optionalKey(flag),
    unclaimed: optionalKey(flag),
    dns: optionalKey(listOf(text)),
    ips: optionalKey(listOf(ipRange)),
    uris: optionalKey(listOf(text)),
    emails: optionalKey(listOf(text)),
  })),
  usages: optionalKey(mapping({ allowed: requiredKey(nonEmptyListOf(usage)), required: optionalKey(listOf(usage)) })),
  keys: optionalKey(nonEmptyListOf(mapping(KEYS))),
  lifetime: optionalKey(mapping({ max: optionalKey(duration), mayBeAbsent: optionalKey(flag) })),
  hours: optionalKey(mapping({
    days: optionalKey(nonEmptyListOf(oneOf(WEEKDAYS))),
    from: optionalKey(timeOfDay),
    to: optionalKey(timeOfDay),
  })),
  rate: optionalKey(mapping({ max: requiredKey(integer(1)), per: requiredKey(duration) })),
};

/** The name of a policy or rule. It is written into conditions and parsed from there again. */
const name = checkedText((value) =>
  /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/.test(value)
    ? undefined
    : `"${value}" is not a name; letters, digits, dots, dashes and underscores, at most 63`
);

const RULE = mapping({
  name: requiredKey(name),
  match: requiredKey(mapping({
    signerNames: requiredKey(nonEmptyListOf(signerPattern)),
    users: optionalKey(nonEmptyListOf(text)),
    groups: optionalKey(nonEmptyListOf(text)),
  })),
  require: optionalKey(mapping(REQUIREMENTS)),
  then: requiredKey(oneOf(["approve", "deny", "pending", "next"])),
  otherwise: optionalKey(oneOf(["pending", "deny", "next"])),
});

const POLICY = mapping({
  name: requiredKey(name),
  description: optionalKey(text),
  evidence: optionalKey(mapping({
    inventory: optionalKey(flag),
    heldCertificate: optionalKey(flag),
    trustNodeStatus: optionalKey(flag),
  })),
  reissue: optionalKey(oneOf(["allow", "whenExpiring", "never"])),
  machines: optionalKey(oneOf(["any", "inventory"])),
  rules: optionalKey(nonEmptyListOf(RULE)),
});

/** Parses a policy. The error lists every fault with its place. */
export function parsePolicy(fileText: string): Result<Policy, readonly string[]> {
  const read = parseConfigDocument(fileText, POLICY_KIND, checkedPolicy);
  return read.ok ? ok(toPolicy(read.value)) : err(read.error);
}

/** Past approvals are counted in the API, where the cleaner keeps issued requests for one hour. */
const LONGEST_RATE_MS = 3_600_000;

type ReadPolicy = NonNullable<ReturnType<typeof POLICY>>;
type ReadRule = NonNullable<ReadPolicy["rules"]>[number];

/** Checks what the shape cannot express: the parts that an approving rule needs, and parts that exclude each other. */
const checkedPolicy: Shape<ReadPolicy> = (value, place) => {
  const policy = POLICY(value, place);
  if (policy === undefined || place.faults.length > 0) return policy;
  const { rules = [], reissue, machines } = policy;
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
};

function findRuleFaults({ then, require: wanted = {} }: ReadRule): readonly string[] {
  const faults: string[] = [];
  if (then === "approve" && wanted.subject === undefined) {
    faults.push("require.subject: a rule that approves must say for which subjects");
  }
  if (then === "approve" && wanted.usages === undefined) {
    faults.push("require.usages: a rule that approves must say for which usages");
  }
  const { names, hours, rate } = wanted;
  if (names?.owned === true && (names.dns ?? names.ips) !== undefined) {
    faults.push("require.names: owned requires evidence instead of patterns; leave dns and ips out");
  }
  if (rate !== undefined && rate.per > LONGEST_RATE_MS) {
    faults.push("require.rate.per: at most 1h; Kubernetes forgets an issued request after that");
  }
  if (hours !== undefined && (hours.from ?? 0) >= (hours.to ?? END_OF_DAY)) {
    faults.push("require.hours: from must be before to");
  }
  return faults;
}

function toPolicy({ name, description, evidence = {}, reissue, machines, rules = [] }: ReadPolicy): Policy {
  return {
    name,
    description: description ?? "",
    evidence: {
      inventory: evidence.inventory ?? true,
      heldCertificate: evidence.heldCertificate ?? true,
      trustNodeStatus: evidence.trustNodeStatus ?? false,
    },
    ...(reissue === undefined ? {} : { reissue }),
    ...(machines === undefined ? {} : { machines }),
    rules: rules.map(toApprovalRule),
  };
}

function toApprovalRule({ name, match, require: wanted = {}, then, otherwise }: ReadRule): ApprovalRule {
  // A rule that denies does not decide about other requests.
  const passing = then === "deny" ? "next" : "pending";
  return { name, match, require: toRequirements(wanted), then, otherwise: otherwise ?? passing };
}

function toRequirements(wanted: Read<typeof REQUIREMENTS>): Requirements {
  const { subject, names, usages, lifetime, hours, rate } = wanted;
  return {
    ...(wanted.permission === undefined ? {} : { permission: wanted.permission }),
    ...(subject === undefined
      ? {}
      : { subject: { commonNames: subject.commonNames ?? [], organizations: subject.organizations ?? [] } }),
    ...(names === undefined ? {} : {
      names: {
        owned: names.owned ?? false,
        atLeastOne: names.atLeastOne ?? false,
        ...(names.unclaimed === undefined ? {} : { unclaimed: names.unclaimed }),
        dns: names.dns ?? [],
        ips: names.ips ?? [],
        uris: names.uris ?? [],
        emails: names.emails ?? [],
      },
    }),
    ...(usages === undefined ? {} : { usages: { allowed: usages.allowed, required: usages.required ?? [] } }),
    ...(wanted.keys === undefined ? {} : { keys: wanted.keys }),
    ...(lifetime === undefined ? {} : {
      lifetime: {
        ...(lifetime.max === undefined ? {} : { maxMs: lifetime.max }),
        mayBeAbsent: lifetime.mayBeAbsent ?? true,
      },
    }),
    ...(hours === undefined
      ? {}
      : { hours: { days: hours.days ?? WEEKDAYS, from: hours.from ?? 0, to: hours.to ?? END_OF_DAY } }),
    ...(rate === undefined ? {} : { rate: { max: rate.max, perMs: rate.per } }),
  };
}
