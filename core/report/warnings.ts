/**
 * The facts that a person should know before an approval: the rights that the certificate gives its holder, and
 * warnings about the request, the most serious first.
 */
import type { NodeNames } from "../approval/evidence/inventory.ts";
import {
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBELET_SERVING_SIGNER,
} from "../kube/kinds/constants.ts";
import { MASTERS_GROUP, NODES_GROUP, parseNodeUser } from "../kube/user.ts";
import { escapeControls } from "../lib/printable.ts";
import type { RequestFacts } from "../pki/x509/pkcs10.ts";
import { listAlternativeNames } from "../pki/x509/subject_alternative_names.ts";
import { type EarlierCertificate, getEarlierState, isOfHolder } from "./earlier.ts";
import { formatCount, formatIdentity, joinWords, parseIdentity, quoteUnlessPlain } from "./words.ts";
import type { OtherRequestView, SignerRuleView, TokenView } from "./request_view.ts";

/** The facts that warnings depend on. An unknown fact is undefined or empty. */
interface WarningFacts extends AllowedFacts {
  readonly username: string;
  readonly keyFingerprint: string;
  readonly address: string | undefined;
  readonly signatureFault: string | undefined;
  /** The description of the Revocation that forbids the approval. */
  readonly revocation: string | undefined;
  readonly token: TokenView | undefined;
  readonly lastCertificate: EarlierCertificate | undefined;
  /** A certificate with another key for the requested identity, when the requester is not its holder. */
  readonly claimed: EarlierCertificate | undefined;
  /** The reason why the approver holds the request for a person, although the requester has permission. */
  readonly hold: string | undefined;
  /** Every known certificate that shares the key or a name, the newest first. */
  readonly earlier: readonly EarlierCertificate[];
  readonly others: readonly OtherRequestView[];
  /** The names and addresses that nodes report. */
  readonly reported: ReadonlyMap<string, NodeNames> | undefined;
  readonly signerRules: readonly SignerRuleView[];
  readonly now: Date;
}

type Warn = (input: WarningFacts) => readonly string[];

export function listWarnings(input: WarningFacts): readonly string[] {
  return [...new Set(CHECKS.flatMap((check) => check(input)))];
}

const CHECKS: readonly Warn[] = [
  ({ signatureFault }) =>
    signatureFault === undefined
      ? []
      : [`the request is not signed by its key (${signatureFault}): the requester might not hold it`],
  ({ revocation }) => revocation === undefined ? [] : [revocation],
  ({ facts, isAdministrator, signerName, usages }) => {
    if (!isApiSigner(signerName) || !isClientUsage(usages)) return [];
    if (facts.subject.organizations.includes(MASTERS_GROUP)) {
      return [
        `it asks for the group ${MASTERS_GROUP}: its members may do everything, and only a new CA reliably ends that`,
      ];
    }
    return isAdministrator === true
      ? ["roles already let this user or one of the groups do everything at the API"]
      : [];
  },
  warnOfClaim,
  // For a claimed node name, the approver holds the request for the same reason.
  ({ claimed, hold }) => claimed === undefined && hold !== undefined ? [hold] : [],
  warnOfToken,
  warnOfReservedNames,
  warnOfOtherHolders,
  warnOfReports,
  ({ others, facts, signerName }) => {
    const rivals = others.filter(({ sameKey }) => !sameKey);
    if (rivals.length === 0) return [];
    const what = describeTarget(facts, signerName);
    const who = rivals.length === 1
      ? "another open request asks"
      : `${formatCount(rivals.length, "other open request")} ask`;
    return [
      `${who} for ${what} with ${rivals.length === 1 ? "another key" : "other keys"}: at most one can be genuine`,
    ];
  },
  ({ lastCertificate, address }) =>
    address === undefined || lastCertificate?.address === undefined || lastCertificate.address === address
      ? []
      : [`it came from ${address}, but the last certificate was requested from ${lastCertificate.address}`],
  warnOfKey,
  ({ lastCertificate, now }) =>
    lastCertificate !== undefined && getEarlierState(lastCertificate, now) === "revoked"
      ? ["the last certificate is revoked: find out why before another one is issued"]
      : [],
  ({ facts }) => {
    const hidden = [facts.subject.commonName, ...facts.subject.organizations, ...listAlternativeNames(facts)]
      .filter((name) => escapeControls(name) !== name);
    return hidden.length === 0
      ? []
      : [`a name contains invisible characters: ${joinWords(hidden.map(quoteUnlessPlain), 3)}`];
  },
  ({ facts }) => {
    const { overridden } = facts.subject;
    if (overridden.length === 0) return [];
    const values = overridden.map(({ value = "" }) => quoteUnlessPlain(value));
    return [`the subject has a second name, which some programs prefer: ${joinWords(values, 3)}`];
  },
  ({ signerRules }) => {
    const refused = signerRules.flatMap(({ outcome, fault }) =>
      outcome === "refused" && fault !== undefined ? [fault] : []
    );
    return refused.length === 0
      ? []
      : [`an approval would not lead to a certificate, because the signer refuses the request: ${refused.join("; ")}`];
  },
  ({ usages }) => usages.includes("cert sign") ? ["it asks to issue further certificates (usage cert sign)"] : [],
];

/** Warns when the name belongs to a machine with another key. */
function warnOfClaim({ claimed, facts, signerName }: WarningFacts): readonly string[] {
  if (claimed === undefined) return [];
  const until = claimed.notAfter === undefined ? "a certificate" : `a certificate until ${claimed.notAfter}`;
  return [
    `${
      describeTarget(facts, signerName)
    } already has ${until}, with another key: another machine may be claiming the name`,
  ];
}

function warnOfToken({ token, facts, now }: WarningFacts): readonly string[] {
  if (token === undefined) return [];
  if (token.isGone === true) return [`the token ${token.id} no longer exists: it was deleted, or has expired`];
  const node = parseNodeUser(facts.subject.commonName);
  const warnings: string[] = [];
  if (token.node !== undefined && token.node !== node) {
    warnings.push(`the token ${token.id} was made for node ${token.node}`);
  }
  if (token.expiresAt !== undefined && Date.parse(token.expiresAt) <= now.getTime()) {
    warnings.push(`the token ${token.id} has since expired`);
  }
  return warnings;
}

/** Warns of names that begin with `system:`, which Kubernetes reserves and only the kubelet signers check. */
function warnOfReservedNames({ signerName, facts, username }: WarningFacts): readonly string[] {
  const { commonName, organizations } = facts.subject;
  if (signerName !== KUBE_APISERVER_CLIENT_SIGNER) {
    const requester = parseIdentity(username);
    if (!isKubeletSigner(signerName) || requester.kind === "token" || username === commonName) return [];
    return [
      `${formatIdentity(requester)} asks for the certificate of ${
        describeTarget(facts, signerName)
      }, but a node asks for its own`,
    ];
  }
  const reserved = organizations.filter((group) => group.startsWith("system:") && group !== MASTERS_GROUP);
  return [
    ...(commonName.startsWith("system:") ? [`Kubernetes reserves the user ${quoteUnlessPlain(commonName)}`] : []),
    ...(reserved.length === 0 ? [] : [
      `Kubernetes reserves the ${reserved.length === 1 ? "group" : "groups"} ${
        joinWords(reserved.map(quoteUnlessPlain), 3)
      }`,
    ]),
  ];
}

/** Warns of names that a valid certificate of another holder has. */
function warnOfOtherHolders({ earlier, facts, signerName, now, claimed }: WarningFacts): readonly string[] {
  const names = new Set(listAlternativeNames(facts));
  const holders = new Map<string, string>();
  for (const other of earlier) {
    if (other === claimed || isOfHolder(other, signerName, facts) || getEarlierState(other, now) !== "valid") continue;
    const shared = other.names.filter((name) => names.has(name));
    const holder = describeHolder(other);
    if (shared.length === 0 || holders.has(holder)) continue;
    holders.set(
      holder,
      `${joinWords(shared.map(quoteUnlessPlain), 3)} ${
        shared.length === 1 ? "is" : "are"
      } in a certificate of ${holder} that is valid until ${other.notAfter ?? ""}`,
    );
  }
  return [...holders.values()];
}

/** Warns of names for a kubelet's server that another node reports, or that the node itself does not report. */
function warnOfReports({ reported, facts, signerName }: WarningFacts): readonly string[] {
  const own = parseNodeUser(facts.subject.commonName);
  if (reported === undefined || own === undefined || signerName !== KUBELET_SERVING_SIGNER) return [];
  const warnings: string[] = [];
  for (const [node, { dns, ips }] of reported) {
    const shared = node === own
      ? []
      : [...facts.dnsNames.filter((name) => dns.includes(name)), ...facts.ipAddresses.filter((ip) => ips.includes(ip))];
    if (shared.length > 0) {
      warnings.push(`node ${quoteUnlessPlain(node)} reports ${joinWords(shared.map(quoteUnlessPlain), 3)} as its own`);
    }
  }
  const known = reported.get(own);
  if (known === undefined) return warnings;
  const foreign = [
    ...facts.dnsNames.filter((name) => !known.dns.includes(name)),
    ...facts.ipAddresses.filter((ip) => !known.ips.includes(ip)),
  ];
  if (foreign.length > 0) {
    warnings.push(
      `node ${quoteUnlessPlain(own)} does not report ${joinWords(foreign.map(quoteUnlessPlain), 3)} as its own`,
    );
  }
  return warnings;
}

function warnOfKey(
  { earlier, facts, signerName, keyFingerprint, lastCertificate, username }: WarningFacts,
): readonly string[] {
  const others = earlier.filter((other) =>
    other.keyFingerprint === keyFingerprint && other.commonName !== facts.subject.commonName
  );
  const warnings = others.slice(0, 1).map((other) => `a certificate of ${describeHolder(other)} has the same key`);
  // A kubelet makes a new key for each renewal. A first request with the known key is from the same machine.
  const isRenewal = username === facts.subject.commonName && isKubeletSigner(signerName);
  if (isRenewal && lastCertificate?.keyFingerprint === keyFingerprint) {
    warnings.push("the last certificate has the same key, but a kubelet makes a new key for each renewal");
  }
  const { keyAlgorithm, keyBits } = facts;
  if (keyAlgorithm === "RSA" && keyBits < 2_048) warnings.push(`an RSA key of ${keyBits} bits is too weak`);
  return warnings;
}

function describeHolder({ commonName, names }: EarlierCertificate): string {
  if (commonName === undefined) return "an unknown holder";
  if (commonName !== "") return formatIdentity(parseIdentity(commonName));
  return names[0] === undefined ? "another holder" : quoteUnlessPlain(names[0]);
}

/** Describes the holder of a certificate, for a sentence. */
export function describeTarget(facts: RequestFacts, signerName: string): string {
  const { commonName } = facts.subject;
  const node = parseNodeUser(commonName);
  if (node !== undefined || (isApiSigner(signerName) && commonName !== "")) {
    return formatIdentity(parseIdentity(commonName));
  }
  const [first = ""] = [commonName, ...listAlternativeNames(facts)].filter((name) => name !== "");
  return first === "" ? "the same" : quoteUnlessPlain(first);
}

function isKubeletSigner(signerName: string): boolean {
  return signerName === KUBE_APISERVER_CLIENT_KUBELET_SIGNER || signerName === KUBELET_SERVING_SIGNER;
}

function isApiSigner(signerName: string): boolean {
  return signerName === KUBE_APISERVER_CLIENT_KUBELET_SIGNER || signerName === KUBE_APISERVER_CLIENT_SIGNER;
}

function isClientUsage(usages: readonly string[]): boolean {
  return usages.includes("client auth") || usages.includes("any");
}

/** The certificate that would be issued, as it is requested. */
interface AllowedFacts {
  readonly signerName: string;
  readonly usages: readonly string[];
  readonly facts: RequestFacts;
  /** Whether roles already grant everything to the user or to one of the groups; undefined when that is not known. */
  readonly isAdministrator: boolean | undefined;
}

/** The usages for purposes other than TLS, and their permissions in words. */
const SPECIAL_USAGES: ReadonlyMap<string, string> = new Map([
  ["cert sign", "issue further certificates, if the signer makes it a CA"],
  ["crl sign", "sign certificate revocation lists"],
  ["code signing", "sign code"],
  ["ocsp signing", "sign OCSP responses about certificates"],
  ["timestamping", "sign timestamps of documents"],
  ["email protection", "sign and decrypt e-mail"],
  ["s/mime", "sign and decrypt e-mail"],
  ["ipsec end system", "open IPsec connections"],
  ["ipsec tunnel", "open IPsec connections"],
  ["ipsec user", "open IPsec connections"],
]);

/** Usages that only describe the operations of the key, and permit nothing by themselves. */
const KEY_USAGES_ALONE: readonly string[] = [
  "digital signature",
  "signing",
  "content commitment",
  "key encipherment",
  "data encipherment",
  "key agreement",
  "encipher only",
  "decipher only",
];

/** Lists the rights of a certificate, the most powerful first, each as the end of a sentence `the holder may …`. */
export function listAllowed(input: AllowedFacts): readonly string[] {
  const { signerName, usages } = input;
  const isAny = usages.includes("any");
  const isServer = isAny || usages.includes("server auth");
  const special = [...new Set(usages.flatMap((usage) => SPECIAL_USAGES.get(usage) ?? []))];
  const allowed = [
    ...(isClientUsage(usages) ? isApiSigner(signerName) ? listApiRights(input) : [describeClient(input)] : []),
    ...(isServer ? [describeServer(input)] : []),
    ...special,
    ...(isAny ? ["use it for any other purpose too, because of the usage any"] : []),
  ];
  if (allowed.length > 0) return allowed;
  const rest = usages.filter((usage) => KEY_USAGES_ALONE.includes(usage));
  return rest.length === 0
    ? ["use it for no purpose that Kubernetes knows"]
    : [`use its key for ${joinWords(rest)}, but not as a TLS client or server`];
}

function listApiRights({ facts, isAdministrator }: AllowedFacts): readonly string[] {
  const { commonName, organizations } = facts.subject;
  // kube-apiserver takes the user from the common name, and refuses a certificate that has none.
  if (commonName === "") return ["do nothing at the API, because the certificate names no user"];
  const node = parseNodeUser(commonName);
  const isMaster = organizations.includes(MASTERS_GROUP);
  const groups = organizations.filter((group) =>
    group !== MASTERS_GROUP && (group !== NODES_GROUP || node === undefined)
  );
  return [
    ...(isMaster ? [`do everything at the API, which no role can limit, because of the group ${MASTERS_GROUP}`] : []),
    ...(!isMaster && isAdministrator === true
      ? ["do everything at the API, because roles grant it to this user or to one of the groups"]
      : []),
    node !== undefined && organizations.includes(NODES_GROUP)
      ? `act at the API as node ${
        quoteUnlessPlain(node)
      }: report its status, read the pods that run on it with their ` +
        "Secrets and ConfigMaps, and ask for its next certificates"
      : `act at the API as ${formatIdentity(parseIdentity(commonName))}, with everything that roles grant to that user`,
    ...groups.map(describeGroup),
  ];
}

function describeGroup(group: string): string {
  const what = `act as a member of the group ${quoteUnlessPlain(group)}`;
  if (group === NODES_GROUP) return `${what}, which Kubernetes reserves for nodes`;
  return `${what}, with everything that roles grant to it`;
}

function describeClient({ signerName, facts }: AllowedFacts): string {
  const { commonName } = facts.subject;
  const [first] = listAlternativeNames(facts);
  const name = commonName === "" ? first : commonName;
  const whom = name === undefined ? "log in without a name" : `log in as ${quoteUnlessPlain(name)}`;
  return `${whom} where clients with certificates of ${quoteUnlessPlain(signerName)} are accepted`;
}

function describeServer({ signerName, facts }: AllowedFacts): string {
  const names = joinWords(listAlternativeNames(facts).map(quoteUnlessPlain), MAX_NAMES);
  if (names === "") return "serve TLS, but under no name that clients verify";
  if (signerName !== KUBELET_SERVING_SIGNER) {
    return `serve TLS as ${names} to clients that trust certificates of ${quoteUnlessPlain(signerName)}`;
  }
  return `serve TLS as the kubelet at ${names}, and so receive what the API server sends there, such as commands for pods`;
}

/** The largest number of names in a line; the rest are only counted. */
const MAX_NAMES = 5;
