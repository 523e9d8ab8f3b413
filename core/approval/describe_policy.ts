/** Describes policies in sentences for help texts and `explain`. */
import { formatDuration } from "../lib/duration.ts";
import type { ApprovalRule, EvidenceSettings, Policy, Requirements, RuleMatch } from "./policy.ts";
import { WEEKDAYS } from "./policy.ts";

/** Describes a policy in sentences, one per line. */
export function describePolicy({ name, description, evidence, rules }: Policy): readonly string[] {
  const asksForOwnership = rules.some(({ require: wanted }) => wanted.names?.owned === true);
  return [
    `Policy "${name}".${description === "" ? "" : ` ${description}`}`,
    ...(asksForOwnership ? [describeEvidence(evidence)] : []),
    ...rules.flatMap(describeApprovalRule),
  ];
}

/** Describes a rule in sentences: which requests it applies to, what it requires, and the outcome. */
export function describeApprovalRule(
  { name, match, require: wanted, then, otherwise }: ApprovalRule,
): readonly string[] {
  const demands = then === "deny" ? describeDenied(wanted) : describeRequirements(wanted, then === "approve");
  const verb = { approve: "approved", deny: "denied", leave: "left to a person" };
  const other = otherwise === "next" ? "the next rule is asked" : `the request is ${verb[otherwise]}`;
  return [
    `Rule "${name}" is about requests ${describeMatch(match)}.`,
    ...demands.map((demand) => `  It demands that ${demand}.`),
    demands.length === 0
      ? `  The request is ${verb[then]}.`
      : `  The request is ${verb[then]} then; otherwise ${other}.`,
  ];
}

function describeEvidence({ inventory, heldCertificate, trustNodeStatus }: EvidenceSettings): string {
  const sources = [
    ...(inventory ? ["the inventory (which alone decides about a node that it knows)"] : []),
    ...(heldCertificate ? ["the serving certificate that the node holds now"] : []),
    ...(trustNodeStatus ? ["the addresses that the node itself reports"] : []),
  ];
  if (sources.length === 0) {
    return "Nothing proves that a name belongs to a node: whatever asks for names is left to a person.";
  }
  return `A name or address belongs to a node by ${
    sources.join(", else by ")
  }; never when two nodes claim it, or when it is the server's.`;
}

function describeMatch({ signerNames, users, groups }: RuleMatch): string {
  return [
    `for signer ${either(signerNames)}`,
    ...(users === undefined ? [] : [`from user ${either(users)}`]),
    ...(groups === undefined ? [] : [`in group ${groups.join(" and ")}`]),
  ].join(" ");
}

/** In a rule that denies, subject and names say what is denied; the other requirements read as in every rule. */
function describeDenied({ subject, names, ...rest }: Requirements): readonly string[] {
  const { commonNames = [], organizations = [] } = subject ?? {};
  const listed = names === undefined ? [] : [...names.dns, ...names.ips, ...names.uris, ...names.emails];
  return [
    ...(commonNames.length === 0 ? [] : [`a common name is ${either(commonNames)}`]),
    ...(organizations.length === 0 ? [] : [`${organizations.join(" and ")} are among the organizations`]),
    ...(names?.atLeastOne === true ? ["there is at least one DNS name or address"] : []),
    ...(names?.owned === true ? ["every DNS name and address belongs to the node that asks"] : []),
    ...(listed.length === 0 ? [] : [`one of the names is ${either(listed)}`]),
    ...describeRequirements(rest, false),
  ];
}

function describeRequirements(wanted: Requirements, isApproving: boolean): readonly string[] {
  const { permission, subject, names, usages, keys, lifetime, hours, rate } = wanted;
  const demands: string[] = [];
  if (subject !== undefined) {
    const { commonNames, organizations } = subject;
    demands.push(
      `the common name is ${commonNames.length === 0 ? "empty" : either(commonNames)} and the organizations are ` +
        `${organizations.length === 0 ? "none" : `exactly ${organizations.join(", ")}`}`,
    );
  }
  if (names === undefined && isApproving) demands.push("there are no subject alternative names");
  if (names !== undefined) {
    const { owned, atLeastOne, dns, ips, uris, emails } = names;
    if (atLeastOne) demands.push("there is at least one DNS name or address");
    if (owned) demands.push("every DNS name and address belongs to the node that asks");
    else demands.push(`DNS names are ${eitherOrNone(dns)} and addresses ${eitherOrNone(ips)}`);
    demands.push(`URIs are ${eitherOrNone(uris)} and e-mail addresses ${eitherOrNone(emails)}`);
  }
  if (usages !== undefined) {
    const { allowed, required } = usages;
    demands.push(
      `the usages are among ${allowed.join(", ")}${required.length === 0 ? "" : `, with ${required.join(" and ")}`}`,
    );
  }
  if (keys !== undefined) {
    const kinds = keys.map(({ type, minBits }) => minBits === undefined ? type : `${type} of at least ${minBits} bits`);
    demands.push(`the key is ${either(kinds)}`);
  }
  if (lifetime !== undefined) {
    if (lifetime.maxMs !== undefined) {
      demands.push(`the lifetime asked for is at most ${formatDuration(lifetime.maxMs)}`);
    }
    if (!lifetime.mayBeAbsent) demands.push("a lifetime is asked for");
  }
  if (hours !== undefined) {
    const days = hours.days.length === WEEKDAYS.length ? "every day" : hours.days.join(", ");
    demands.push(`it is ${days} from ${clock(hours.from)} to ${clock(hours.to)} UTC`);
  }
  if (rate !== undefined) {
    demands.push(
      `fewer than ${rate.max} requests of the same requester were approved within ${formatDuration(rate.perMs)}`,
    );
  }
  if (permission !== undefined) demands.push(`the requester may create certificatesigningrequests/${permission}`);
  return demands;
}

function either(values: readonly string[]): string {
  return values.join(" or ");
}

function eitherOrNone(values: readonly string[]): string {
  return values.length === 0 ? "none" : either(values);
}

function clock(minutes: number): string {
  return `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
}
