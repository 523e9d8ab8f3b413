/** The rules of a profile about subject and subject alternative names. */
import type { DistinguishedName } from "../pki/names.ts";
import type { RequestFacts } from "../pki/pkcs10.ts";
import {
  matchesCommonName,
  matchesDnsName,
  matchesEmail,
  matchesIpRange,
  matchesSubjectText,
  matchesUri,
} from "./name_patterns.ts";
import { type ProfileRule, rule } from "./profile.ts";
import {
  type NameRules,
  SUBJECT_FIELDS,
  type SubjectField,
  type SubjectRules,
  type ValueRule,
} from "./profile_spec.ts";

/** How faults and sentences call an attribute. */
const SUBJECT_WORDS: Readonly<Record<SubjectField, readonly [one: string, many: string]>> = {
  commonName: ["subject common name", "subject common name"],
  organizations: ["subject organization", "subject organizations"],
  organizationalUnits: ["subject organizational unit", "subject organizational units"],
  countries: ["subject country", "subject countries"],
  provinces: ["subject province", "subject provinces"],
  localities: ["subject locality", "subject localities"],
  streetAddresses: ["subject street address", "subject street addresses"],
  postalCodes: ["subject postal code", "subject postal codes"],
  serialNumber: ["subject serial number", "subject serial number"],
};

/** Rules for each attribute that the profile speaks of, and one against all others. */
export function createSubjectRules(rules: SubjectRules): readonly ProfileRule[] {
  const spoken = SUBJECT_FIELDS.flatMap((field) => {
    const wanted = rules[field];
    if (wanted === undefined) return [];
    const matches = field === "commonName" ? matchesCommonName : matchesSubjectText;
    return [valueRule(field, SUBJECT_WORDS[field], wanted, ({ subject }) => valuesOf(subject, field), matches)];
  });
  const silent = SUBJECT_FIELDS.filter((field) => rules[field] === undefined);
  const named = SUBJECT_FIELDS.filter((field) => rules[field] !== undefined).map((field) => SUBJECT_WORDS[field][0]);
  const sentence = named.length === 0 ? "the subject is empty" : `the subject has nothing beside ${named.join(", ")}`;
  const others = rule("subject", sentence, ({ subject }) => {
    const field = silent.find((one) => valuesOf(subject, one).length > 0);
    if (field !== undefined) return `${SUBJECT_WORDS[field][0]} is not allowed: ${valuesOf(subject, field)[0]}`;
    const [other] = subject.otherAttributes;
    if (other !== undefined) return `subject attribute is not allowed: ${other.oid}`;
    const [repeated] = subject.overridden;
    return repeated === undefined ? undefined : `subject attribute is given several times: ${repeated.oid}`;
  });
  return [...spoken, others];
}

/** Rules for each kind of name. */
export function createNameRules({ dns, ips, uris, emails, wildcards, atLeastOne }: NameRules): readonly ProfileRule[] {
  const matchesDns = (value: string, pattern: string) => matchesDnsName(value, pattern, wildcards);
  const plain = valueRule(
    "dnsNames",
    ["DNS subjectAltName", "DNS names"],
    dns ?? NONE,
    (facts) => facts.dnsNames,
    matchesDns,
  );
  const rules = [
    wildcards ? { ...plain, sentence: `${plain.sentence}; wildcards too` } : plain,
    valueRule(
      "ipAddresses",
      ["IP subjectAltName", "IP addresses"],
      ips ?? NONE,
      (facts) => facts.ipAddresses,
      matchesIpRange,
    ),
    valueRule("uris", ["URI subjectAltName", "URIs"], uris ?? NONE, (facts) => facts.uris, matchesUri),
    valueRule(
      "emailAddresses",
      ["Email subjectAltName", "e-mail addresses"],
      emails ?? NONE,
      (facts) => facts.emailAddresses,
      matchesEmail,
    ),
    rule("otherNames", "there are no names of other kinds", ({ otherNames }) => {
      return otherNames === 0 ? undefined : "a subjectAltName is neither DNS, IP, URI nor Email";
    }),
  ];
  if (!atLeastOne) return rules;
  const some = rule("subjectAltNames", "there is at least one name", (facts) => {
    const { dnsNames, ipAddresses, uris: given, emailAddresses } = facts;
    const count = dnsNames.length + ipAddresses.length + given.length + emailAddresses.length;
    return count > 0 ? undefined : "a subjectAltName is required";
  });
  return [...rules, some];
}

const NONE: ValueRule = { allowed: [], min: 0 };

function valueRule(
  name: string,
  [one, many]: readonly [one: string, many: string],
  wanted: ValueRule,
  read: (facts: RequestFacts) => readonly string[],
  matches: (value: string, pattern: string) => boolean,
): ProfileRule {
  const { allowed, exactly, min, max = Infinity } = wanted;
  return rule(name, describeValues(many, wanted, one === many), (facts) => {
    const values = read(facts);
    if (exactly !== undefined) return findInexact(one, values, exactly);
    const bad = values.find((value) => !allowed.some((pattern) => matches(value, pattern)));
    if (bad !== undefined) return `${one} is not allowed: ${bad}`;
    if (values.length < min) return min === 1 ? `${one} is required` : `${one}: at least ${min} are required`;
    return values.length > max ? `${one}: at most ${max} are allowed` : undefined;
  });
}

function findInexact(what: string, values: readonly string[], exactly: readonly string[]): string | undefined {
  const extra = values.find((value, index) => !exactly.includes(value) || values.indexOf(value) < index);
  if (extra !== undefined) return `${what} is not allowed: ${extra}`;
  const missing = exactly.find((value) => !values.includes(value));
  return missing === undefined ? undefined : `${what} is required: ${missing}`;
}

function describeValues(many: string, { allowed, exactly, min, max }: ValueRule, isSingle: boolean): string {
  if (exactly !== undefined) return `the ${many} are exactly ${exactly.join(", ")}`;
  if (allowed.length === 0) return `there are no ${many}`;
  if (isSingle) {
    return `the ${many} is ${allowed.join(" or ")}${min === 0 ? ", or is left out" : ""}`;
  }
  const count = min > 0 && max !== undefined
    ? `, ${min} to ${max} of them`
    : min > 0
    ? `, at least ${min} of them`
    : max !== undefined
    ? `, at most ${max} of them`
    : "";
  return `the ${many} are ${allowed.join(" or ")}${count}`;
}

function valuesOf(subject: DistinguishedName, field: SubjectField): readonly string[] {
  const value = subject[field];
  return typeof value !== "string" ? value : value === "" ? [] : [value];
}
