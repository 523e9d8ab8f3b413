/** The view of a request as sections of facts, for `tlsboot ui`. The page only chooses how a section looks. */
import type { RequestedView, RequestView, RuleView, TokenView } from "../core/report/request_view.ts";

/** A value: text, a time in RFC 3339, or the name of a request that the page links to. */
export type FactValue = string | { readonly time: string } | { readonly request: string };

/** A known fact: its name, and its value, which is never empty. */
type Fact = readonly [name: string, value: FactValue];

/** A list of texts under its own title, or directly under the title of its section. */
interface FactList {
  readonly title?: string;
  readonly texts: readonly string[];
}

interface FactTable {
  /** Describes the table, for users who cannot see it. */
  readonly caption: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly FactValue[])[];
  /** The sentence that is shown in place of an empty table. */
  readonly empty: string;
}

/** A section of a request's page. Its parts are shown in the order of the fields; an absent part has nothing to show. */
export interface FactSection {
  readonly title: string;
  readonly paragraphs?: readonly string[];
  readonly facts?: readonly Fact[];
  readonly lists?: readonly FactList[];
  /** The approval rules with their evidence. */
  readonly rules?: readonly RuleView[];
  readonly table?: FactTable;
}

/** Lists the sections below the sentence, the state and the warnings of a request; a section with no content is absent. */
export function listFactSections(view: RequestView): readonly FactSection[] {
  const { allows, verdict, requester, requested } = view;
  return [
    ...(allows.length === 0 ? [] : [{ title: "Rights of the holder", lists: [{ texts: allows }] }]),
    ...(verdict === undefined && view.rules.length === 0 ? [] : [listRules(view)]),
    {
      title: "Requester",
      facts: listKnown([
        ["Requester", requester.text],
        ["User", requester.user],
        ["Groups", requester.groups.join(", ")],
        ["Proof", requester.proof],
        ["Address", requester.address],
        ["Program", requester.userAgent],
        ...(requester.token === undefined ? [] : listTokenFacts(requester.token)),
      ]),
    },
    {
      title: "Requested certificate",
      facts: listRequestedFacts(requested),
      ...listTexts(
        "Rules of the signer",
        view.signerRules.map(({ outcome, sentence, fault }) =>
          `${outcome}: ${sentence}${fault === undefined ? "" : `; but ${fault}`}`
        ),
      ),
    },
    ...listLastCertificate(view),
    ...listOthers(view),
    ...listConditions(view),
    ...listCertificate(view),
  ];
}

function listRules({ verdict, origin, changes, rules }: RequestView): FactSection {
  return {
    title: "Approval rules",
    paragraphs: [
      ...(verdict === undefined ? [] : [verdict.text]),
      ...(origin === undefined ? [] : [`Policies: ${origin}`]),
    ],
    ...listTexts("To change the verdict", changes),
    rules,
  };
}

function listTokenFacts(token: TokenView): readonly (readonly [string, FactValue | undefined])[] {
  const { id, isGone, createdAt, createdBy, expiresAt, description, node, usesLeft } = token;
  return [
    ["Token", isGone === true ? `${id}, which no longer exists` : id],
    ["Token created", toTime(createdAt)],
    ["Token created by", createdBy],
    ["Token expires", toTime(expiresAt)],
    ["Token's description", description],
    ["Token is for node", node],
    ["Token's uses left", usesLeft?.toString()],
  ];
}

function listRequestedFacts(requested: RequestedView): readonly Fact[] {
  return listKnown([
    ["Signer", requested.signerName],
    ["Cannot be read", requested.unreadable],
    ["Subject", requested.subject],
    ["Other attributes", requested.otherAttributes.join(", ")],
    ["DNS names", requested.dnsNames.join(", ")],
    ["IP addresses", requested.ipAddresses.join(", ")],
    ["URIs", requested.uris.join(", ")],
    ["Email addresses", requested.emails.join(", ")],
    ["Usages", requested.usages.join(", ")],
    ["Lifetime", requested.lifetime ?? "left to the signer"],
    ["Key", requested.key],
    ["SHA-256 of the key", requested.keyFingerprint],
    ["Signature", requested.signatureFault ?? requested.signatureAlgorithm],
    ["Extensions", requested.extensions.join(", ")],
  ]);
}

function listLastCertificate({ lastCertificate: last, difference }: RequestView): readonly FactSection[] {
  if (last === undefined) return [];
  return [{
    title: "Last certificate",
    facts: listKnown([
      ["Serial number", last.serialNumber],
      ["State", last.state],
      ["Valid from", toTime(last.notBefore)],
      ["Valid until", toTime(last.notAfter)],
      ["Key", last.isSameKey === undefined ? undefined : describeKey(last.isSameKey)],
      ["Requested by", last.requestedBy],
      ["Address", last.address],
    ]),
    ...(difference === undefined ? {} : {
      table: {
        caption: "Differences",
        columns: ["Difference", "Before", "Now"],
        rows: difference.map(({ what, before, now }) => [what, before, now]),
        empty: "The request does not differ from this certificate.",
      },
    }),
  }];
}

function listOthers({ others }: RequestView): readonly FactSection[] {
  if (others === undefined) return [];
  return [{
    title: "Other open requests",
    table: {
      caption: others.length === 1 ? "One request" : `${others.length} requests`,
      columns: ["Name", "State", "For", "Key", "Requested by", "Requested"],
      rows: others.map(({ name, state, shares, sameKey, requestedBy, createdAt }) => [
        { request: name },
        state,
        shares,
        describeKey(sameKey),
        requestedBy,
        toTime(createdAt) ?? "",
      ]),
      empty: "There is no other open request for the same machine or names.",
    },
  }];
}

function listConditions({ conditions, decision }: RequestView): readonly FactSection[] {
  if (conditions.length === 0) return [];
  const from = decision?.address === undefined ? "" : ` from ${decision.address}`;
  return [{
    title: "Conditions",
    ...(decision === undefined
      ? {}
      : { paragraphs: [`The server recorded: ${decision.type} by ${decision.user}${from}`] }),
    table: {
      caption: "Conditions of the request",
      columns: ["Type", "Status", "Since", "Reason", "Message"],
      rows: conditions.map(({ type, status, since, reason, message }) => [
        type,
        status,
        toTime(since) ?? "",
        reason,
        message,
      ]),
      empty: "",
    },
  }];
}

function listCertificate({ certificate }: RequestView): readonly FactSection[] {
  if (certificate === undefined) return [];
  if (certificate.unreadable === true) {
    return [{ title: "Certificate", paragraphs: ["The certificate cannot be read."] }];
  }
  return [{
    title: "Certificate",
    facts: listKnown([
      ["Subject", certificate.subject],
      ["Issuer", certificate.issuer],
      ["Serial number", certificate.serialNumber],
      ["Valid from", toTime(certificate.notBefore)],
      ["Valid until", toTime(certificate.notAfter)],
    ]),
  }];
}

function listKnown(facts: readonly (readonly [string, FactValue | undefined])[]): readonly Fact[] {
  return facts.flatMap(([name, value]): Fact[] => value === undefined || value === "" ? [] : [[name, value]]);
}

function listTexts(title: string, texts: readonly string[]): { readonly lists?: readonly FactList[] } {
  return texts.length === 0 ? {} : { lists: [{ title, texts }] };
}

function toTime(time: string | undefined): FactValue | undefined {
  return time === undefined ? undefined : { time };
}

function describeKey(isSame: boolean): string {
  return isSame ? "the same key" : "a different key";
}
