/** The sentence about a request: its requester, token, certificate, signer and lifetime. */
import {
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBELET_SERVING_SIGNER,
} from "../kube/kinds/constants.ts";
import type { RequestFacts } from "../pki/x509/pkcs10.ts";
import { listAlternativeNames } from "../pki/x509/subject_alternative_names.ts";
import {
  formatIdentity,
  formatLifetime,
  formatTimeAgo,
  type Identity,
  joinWords,
  parseIdentity,
  quoteUnlessPlain,
} from "./words.ts";
import type { TokenView } from "./request_view.ts";
import { parseNodeUser } from "../kube/user.ts";

interface SentenceFacts {
  readonly username: string;
  readonly signerName: string;
  readonly expirationSeconds: number | undefined;
  /** Undefined when the request cannot be read. */
  readonly facts: RequestFacts | undefined;
  readonly token: TokenView | undefined;
  /** The known history of certificates for the same identity from the same signer. */
  readonly history: "none" | "some" | "unknown";
  /** Whether a valid certificate of another holder, with another key, has the requested name. */
  readonly isClaim: boolean;
  readonly isPending: boolean;
  readonly now: Date;
}

/** The largest number of names in the sentence; the rest are only counted. */
const MAX_NAMES = 3;

/** Describes a request in one sentence without a full stop. */
export function describeInSentence(input: SentenceFacts): string {
  const { username, signerName, facts, token, now } = input;
  const identity = parseIdentity(username);
  const verb = input.isPending ? "asks" : "asked";
  const since = token === undefined ? "" : describeToken(token, now);
  const holder = identity.kind === "token"
    ? `the holder of the token ${identity.id}${since}`
    : formatIdentity(identity);
  if (facts === undefined) {
    return `${holder} ${verb} for a certificate from ${quoteUnlessPlain(signerName)}, but the request cannot be read`;
  }
  const lifetime = input.expirationSeconds === undefined
    ? "for as long as the signer allows"
    : `for ${formatLifetime(input.expirationSeconds)}`;
  const { subject, object } = describeParties(input, facts, identity, { holder, since });
  return `${subject} ${verb} for ${object}, ${lifetime}`;
}

/** Describes the token after its id, as a relative clause; empty when nothing about it is known. */
function describeToken({ createdAt, expiresAt, isGone }: TokenView, now: Date): string {
  if (isGone === true) return ", which no longer exists,";
  const getAge = (time: string): string => formatTimeAgo(now.getTime() - Date.parse(time));
  const clauses = [
    ...(createdAt === undefined ? [] : [`was made ${getAge(createdAt)}`]),
    ...(expiresAt !== undefined && Date.parse(expiresAt) <= now.getTime() ? [`expired ${getAge(expiresAt)}`] : []),
  ];
  return clauses.length === 0 ? "" : ` that ${clauses.join(" and ")}`;
}

interface Parties {
  readonly subject: string;
  readonly object: string;
}

function describeParties(
  input: SentenceFacts,
  facts: RequestFacts,
  identity: Identity,
  { holder, since }: { readonly holder: string; readonly since: string },
): Parties {
  const { signerName } = input;
  const node = parseNodeUser(facts.subject.commonName);
  const kind = signerName === KUBE_APISERVER_CLIENT_KUBELET_SIGNER
    ? "client certificate"
    : signerName === KUBELET_SERVING_SIGNER
    ? "serving certificate"
    : undefined;
  if (kind === undefined) return { subject: holder, object: describeOther(input, facts) };
  const names = listNamesInWords(facts);
  const suffix = names === "" ? kind === "serving certificate" ? " without a name" : "" : ` for ${names}`;
  if (node === undefined) return { subject: holder, object: `a kubelet's ${kind} that names no node${suffix}` };
  const shownNode = `node ${quoteUnlessPlain(node)}`;
  if (identity.kind === "node" && identity.name === node) {
    const which = input.history === "none" ? "its first" : input.history === "some" ? "its next" : "a";
    return { subject: shownNode, object: `${which} ${kind}${suffix}` };
  }
  if (identity.kind !== "token") {
    const which = input.history === "none" ? "the first" : input.history === "some" ? "another" : "a";
    return { subject: holder, object: `${which} ${kind} of ${shownNode}${suffix}` };
  }
  // The text for a token that is gone already has its commas.
  const clause = `, with the token ${identity.id}${since}${since.endsWith(",") ? "" : ","}`;
  if (input.isClaim) {
    return { subject: `a machine that calls itself ${shownNode}${clause}`, object: `a ${kind} of that node${suffix}` };
  }
  const which = input.history === "none" ? "its first" : input.history === "some" ? "another" : "a";
  return { subject: `${shownNode}${clause}`, object: `${which} ${kind}${suffix}` };
}

/** Describes a certificate for a user of the API, or from a signer that Kubernetes does not know. */
function describeOther({ signerName, history }: SentenceFacts, facts: RequestFacts): string {
  const which = history === "some" ? "another" : "a";
  const { commonName, organizations } = facts.subject;
  const names = listNamesInWords(facts);
  if (signerName !== KUBE_APISERVER_CLIENT_SIGNER) {
    const whom = names === "" && commonName !== "" ? quoteUnlessPlain(commonName) : names;
    return `${which} certificate from ${quoteUnlessPlain(signerName)} ${
      whom === "" ? "without a name" : `for ${whom}`
    }`;
  }
  const groups = joinWords(organizations.map(quoteUnlessPlain), MAX_NAMES);
  const member = groups === "" ? "" : ` in the ${organizations.length === 1 ? "group" : "groups"} ${groups}`;
  const whom = commonName === "" ? " that names no user" : ` for ${formatIdentity(parseIdentity(commonName))}`;
  const noun = listAlternativeNames(facts).length === 1 ? "name" : "names";
  return `${which} client certificate${whom}${member}${names === "" ? "" : ` with the ${noun} ${names}`}`;
}

function listNamesInWords(facts: RequestFacts): string {
  return joinWords(listAlternativeNames(facts).map(quoteUnlessPlain), MAX_NAMES);
}
