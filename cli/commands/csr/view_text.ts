/** Formats the parts of a request's view for `describe csr` and `approve -i`. */
import { formatHumanDuration } from "../../../core/lib/duration.ts";
import { line, shellWord } from "../../../core/lib/printable.ts";
import type { RequestView, SignerRuleView, TokenView } from "../../../core/report/request_view.ts";
import { formatTimeAgo } from "../../../core/report/words.ts";
import type { DescribedLine } from "../../output/layout.ts";
import { formatTrace } from "../../output/findings.ts";
import { formatValidity } from "../../output/pki_facts.ts";

/** Shows the requested identity next to the requester, so that an approver sees the difference. */
export function identityLines({ requested, requester }: RequestView): readonly DescribedLine[] {
  const { commonName, organizations } = requested;
  const rows = Math.max(organizations.length, requester.groups.length, 1);
  return [
    "Identity:\tRequested\tRequester",
    line`  User:\t${commonName || "<none>"}\t${requester.user || "<none>"}`,
    ...Array.from({ length: rows }, (_, index) => {
      const title = index === 0 ? "  Groups:" : "";
      const none = index === 0 ? "<none>" : "";
      return line`${title}\t${organizations[index] ?? none}\t${requester.groups[index] ?? none}`;
    }),
  ];
}

/** Shows the key, the usages and the rest of the request, and where it came from. */
export function requestLines({ requested, requester }: RequestView, now: Date): readonly DescribedLine[] {
  const { otherAttributes, signatureAlgorithm, signatureFault, usages, extensions, lifetime } = requested;
  const { token, proof, address, userAgent } = requester;
  const signature = signatureFault === undefined ? "verified" : `not valid: ${signatureFault}`;
  return [
    "Request:",
    // kubectl does not show these attributes, but signers that copy the subject put them into the certificate.
    ["  Other subject attributes", otherAttributes.join(", ")],
    ["  Key", `${requested.key}, SHA-256 ${requested.keyFingerprint}`],
    ["  Signature", `${signatureAlgorithm}, ${signature}`],
    ["  Usages", usages.join(", ") || "<none>"],
    ["  Lifetime", lifetime ?? "left to the signer"],
    ["  Requested extensions", extensions.join(", ") || "<none>"],
    ["  Token", token && formatToken(token, now)],
    ["  Proof", proof],
    ["  Address", address],
    ["  Program", userAgent],
  ];
}

/** Describes a bootstrap token in one line. */
export function formatToken(token: TokenView, now: Date): string {
  const { id, createdAt, createdBy, expiresAt, description, node, usesLeft, isGone } = token;
  if (isGone === true) return `${id}, which no longer exists`;
  const left = expiresAt === undefined ? undefined : Date.parse(expiresAt) - now.getTime();
  const by = createdBy === undefined ? "" : ` by ${createdBy}`;
  return [
    id,
    ...(createdAt === undefined ? [] : [`made ${formatTimeAgo(now.getTime() - Date.parse(createdAt))}${by}`]),
    ...(left === undefined
      ? []
      : [left > 0 ? `expires in ${formatHumanDuration(left)}` : `expired ${formatTimeAgo(-left)}`]),
    ...(node === undefined ? [] : [`for node ${node}`]),
    ...(usesLeft === undefined ? [] : [`for ${usesLeft} more ${usesLeft === 1 ? "key" : "keys"}`]),
    ...(description === undefined ? [] : [`"${description}"`]),
  ].join(", ");
}

/** Shows the last certificate, and what the request changes; nothing when no certificate is known. */
export function historyLines({ lastCertificate, difference = [] }: RequestView): readonly DescribedLine[] {
  if (lastCertificate === undefined) return [];
  const { serialNumber, notBefore, notAfter, state, requestedBy, address } = lastCertificate;
  const from = address === undefined ? "" : ` from ${address}`;
  const range = notBefore === undefined || notAfter === undefined ? "" : `, from ${notBefore} to ${notAfter}`;
  return [
    "Last certificate:",
    ["  State", `${state}${range}`],
    ["  Serial number", serialNumber],
    ["  Requested by", requestedBy && `${requestedBy}${from}`],
    ...(difference.length === 0 ? ["  Differences:\tnone"] : [
      "  Differences:\tBefore\tNow",
      ...difference.map(({ what, before, now }) => line`    ${what}\t${before}\t${now}`),
    ]),
  ];
}

/** Shows other open requests for the same machine or names; nothing when there are none. */
export function otherLines({ others = [] }: RequestView, now: Date): readonly DescribedLine[] {
  if (others.length === 0) return [];
  return [
    "Other open requests:",
    ...others.map(({ name, state, createdAt, requestedBy, shares, sameKey }) => {
      const age = createdAt === undefined ? "" : ` ${formatTimeAgo(now.getTime() - Date.parse(createdAt))}`;
      return line`  ${name}\t${state}\tfor ${shares}, with ${
        sameKey ? "the same key" : "another key"
      }, requested by ${requestedBy}${age}`;
    }),
  ];
}

/** Shows what the holder of the certificate could do. */
export function allowedLines({ allows }: RequestView): readonly DescribedLine[] {
  return allows.length === 0 ? [] : ["The holder of the certificate may:", ...allows.map((text) => line`  ${text}`)];
}

/** Shows the conditions, and the user who decided, as the server authenticated them. */
export function conditionLines({ conditions, decision }: RequestView, now: Date): readonly DescribedLine[] {
  if (conditions.length === 0) return ["Conditions:\t<none>"];
  const from = decision?.address === undefined ? "" : ` from ${decision.address}`;
  return [
    "Conditions:",
    "  Type\tStatus\tAge\tReason\tMessage",
    ...conditions.map(({ type, status, since, reason, message }) => {
      const begin = Date.parse(since ?? "");
      const age = Number.isNaN(begin) ? "<unknown>" : formatHumanDuration(now.getTime() - begin);
      return line`  ${type}\t${status}\t${age}\t${reason}\t${message}`;
    }),
    ...(decision === undefined
      ? []
      : [line`  ${decision.type} by ${decision.user}${from} at ${decision.time ?? "<unknown>"}`]),
  ];
}

/**
 * Shows the approval rules with their evidence, the verdict, and the changes that would alter it; nothing without a
 * verdict.
 */
export function ruleLines(view: RequestView): readonly DescribedLine[] {
  const { name, verdict, origin, rules, changes } = view;
  if (verdict === undefined) return [];
  return [
    "Approval rules:",
    ["  Policies", origin ?? "unknown"],
    ...formatTrace(rules, { isBrief: true }),
    ["Verdict", verdict.text],
    ...changes.map((change) => ["  To change it", change] as const),
    ...view.otherPolicies.map((policy) =>
      ["Other policies", `see tlsboot policy explain ${shellWord(name)} --policy ${policy}`] as const
    ),
  ];
}

/** Shows the rules of the signer, each after its outcome. */
export function signerLines({ requested, signerRules }: RequestView): readonly DescribedLine[] {
  if (signerRules.length === 0) return [];
  return ["Signer rules:", ...signerRules.map((rule) => formatSignerRule(rule, requested.signerName))];
}

function formatSignerRule({ outcome, sentence, fault }: SignerRuleView, signerName: string): string {
  if (outcome === "unknown") return line`  ${signerName}\t${sentence} (--profile)`;
  return line`  ${outcome}\t${sentence}${fault === undefined ? "" : `; but ${fault}`}`;
}

/** Shows the certificate, or why there is none. */
export function certificateLines({ certificate, unsigned }: RequestView, now: Date): readonly DescribedLine[] {
  if (certificate === undefined) {
    return ["Certificate:\t<none>", ...(unsigned === undefined ? [] : [line`  ${unsigned}`])];
  }
  if (certificate.unreadable === true) return ["Certificate:\tcannot be read"];
  const { subject, issuer, serialNumber } = certificate;
  const validity = { notBefore: new Date(certificate.notBefore), notAfter: new Date(certificate.notAfter) };
  return [
    "Certificate:",
    line`  Subject:\t${subject}`,
    line`  Issuer:\t${issuer}`,
    line`  Serial number:\t${serialNumber}`,
    line`  Validity:\t${formatValidity(validity, now)}`,
  ];
}
