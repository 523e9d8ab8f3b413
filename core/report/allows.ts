/** Lists the rights of the holder of a certificate, from its identity, its names, and each of its usages. */
import {
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBELET_SERVING_SIGNER,
} from "../kube/kinds/certificates_v1.ts";
import { MASTERS_GROUP, NODES_GROUP, parseNodeUser } from "../kube/user.ts";
import type { RequestFacts } from "../pki/x509/pkcs10.ts";
import { listAlternativeNames } from "../pki/x509/subject_alternative_names.ts";
import { formatIdentity, parseIdentity } from "./requester.ts";
import { joinWords, quoteUnlessPlain } from "./words.ts";

/** The certificate that would be issued, as it is requested. */
export interface AllowedFacts {
  readonly signerName: string;
  readonly usages: readonly string[];
  readonly facts: RequestFacts;
  /** Whether roles already grant everything to the user or to one of the groups; undefined when that is not known. */
  readonly isAdministrator: boolean | undefined;
}

/** The usages with which a certificate is more than the end of a TLS connection. */
const SPECIAL_USAGES: ReadonlyMap<string, string> = new Map([
  ["cert sign", "issue further certificates, if the signer makes it a CA"],
  ["crl sign", "sign lists of revoked certificates"],
  ["code signing", "sign programs"],
  ["ocsp signing", "answer whether certificates are revoked"],
  ["timestamping", "certify when a document existed"],
  ["email protection", "sign and decrypt e-mail"],
  ["s/mime", "sign and decrypt e-mail"],
  ["ipsec end system", "open IPsec connections"],
  ["ipsec tunnel", "open IPsec connections"],
  ["ipsec user", "open IPsec connections"],
]);

/** Usages that describe what the key does within any of the others. */
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

/** Lists what a certificate would allow, the most powerful first, each as the end of a sentence `the holder may …`. */
export function listAllowed(about: AllowedFacts): readonly string[] {
  const { signerName, usages } = about;
  const isAny = usages.includes("any");
  const isClient = isAny || usages.includes("client auth");
  const isServer = isAny || usages.includes("server auth");
  const isApiClient = signerName === KUBE_APISERVER_CLIENT_SIGNER ||
    signerName === KUBE_APISERVER_CLIENT_KUBELET_SIGNER;
  const special = [...new Set(usages.flatMap((usage) => SPECIAL_USAGES.get(usage) ?? []))];
  const allowed = [
    ...(isClient ? isApiClient ? listApiRights(about) : [describeClient(about)] : []),
    ...(isServer ? [describeServer(about)] : []),
    ...special,
    ...(isAny ? ["use it for any other purpose too, because of the usage any"] : []),
  ];
  if (allowed.length > 0) return allowed;
  const rest = usages.filter((usage) => KEY_USAGES_ALONE.includes(usage));
  return rest.length === 0
    ? ["use it for nothing that Kubernetes knows"]
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
    ...groups.map((group) => describeGroup(group)),
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

/** The number of names that one line has before it counts the rest. */
const MAX_NAMES = 5;
