/**
 * Serving certificates for web servers, as `tlsboot up --web-domain` offers them: a signer for names below a domain,
 * and a policy under which a machine with a token gets an identity for one name. The identity permits its own renewal
 * and requests for serving certificates, and nothing else. A name belongs to the first machine that requests it.
 */
import { isWithin, parseCidr } from "../../lib/ip_address.ts";
import type { Result } from "../../lib/result.ts";
import { CERTIFICATES_GROUP, KUBE_APISERVER_CLIENT_SIGNER } from "../../kube/kinds/constants.ts";
import type { ClusterRole } from "../../kube/kinds/rbac_v1.ts";
import { createCustomProfile } from "../../signing/custom_profile.ts";
import type { SigningProfile } from "../../signing/profile.ts";
import { parseProfile } from "../../signing/profile_file.ts";
import { parsePolicy } from "../parse_policy.ts";
import type { Policy } from "../policy.ts";

/** The signer of the serving certificates. */
export const WEB_SIGNER = "tlsboot.local/web";
/** The group and certificate organization of the identities of web servers. */
export const WEB_GROUP = "tlsboot:web";
/** The prefix of the user name of an identity, before the name of its web server. */
export const WEB_USER_PREFIX = "tlsboot:web:";
/** The group of the bootstrap tokens for identities of web servers. */
export const WEB_TOKEN_GROUP = "system:bootstrappers:tlsboot:web";
const WEB_POLICY = "web-domain";
/** The name of the role and of its binding. */
export const WEB_ROLE = "tlsboot:web";

/** The names for which certificates are issued. */
export interface WebScope {
  /** Domains in lower case; a name is a domain itself or below one. */
  readonly domains: readonly string[];
  /** Networks, in CIDR notation, whose addresses a certificate may contain. */
  readonly networks: readonly string[];
}

/** Top-level domains that no one can register: RFC 2606, RFC 6762 appendix G, RFC 8375, and ICANN's `internal`. */
const PRIVATE_TLDS = [
  "internal",
  "local",
  "lan",
  "home",
  "intranet",
  "private",
  "corp",
  "test",
  "example",
  "invalid",
  "arpa",
];
/** Second-level labels under which country registries sell names, such as `co.uk`. */
const SECOND_LEVEL = /^(?:ac|co|com|edu|gob|gov|ne|net|nom|or|org|sch)\.[a-z]{2}$/;
/** The private ranges (RFC 1918, RFC 6598, RFC 4193) and the documentation ranges (RFC 5737, RFC 3849). */
const PRIVATE_RANGES = [
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "100.64.0.0/10",
  "fc00::/7",
  "192.0.2.0/24",
  "2001:db8::/32",
];

/** A warning about a scope: a constant message, and the domain or network in question. */
interface ScopeWarning {
  readonly message: string;
  readonly fields: Readonly<Record<string, string>>;
}

const WIDE_DOMAIN =
  "other people own names under this domain of the setting webDomain: a machine with a token can get a certificate " +
  "for any of them, and every browser that trusts this CA accepts it; use a domain of your own";
const OPEN_NETWORK = "this network of the setting webNetwork has addresses of the Internet, which may belong to others";

/** Lists warnings that an operator should read before browsers trust the CA of a scope. */
export function listScopeWarnings({ domains, networks }: WebScope): readonly ScopeWarning[] {
  const isWide = (domain: string) => domain.includes(".") ? SECOND_LEVEL.test(domain) : !PRIVATE_TLDS.includes(domain);
  const isOpen = (network: string) => !PRIVATE_RANGES.some((range) => contains(range, network));
  return [
    ...domains.filter(isWide).map((domain) => ({ message: WIDE_DOMAIN, fields: { domain } })),
    ...networks.filter(isOpen).map((network) => ({ message: OPEN_NETWORK, fields: { network } })),
  ];
}

function contains(outer: string, inner: string): boolean {
  const [wide, narrow] = [parseCidr(outer), parseCidr(inner)];
  return wide !== undefined && narrow !== undefined && wide.prefixBits <= narrow.prefixBits &&
    isWithin(narrow.bytes, wide);
}

/** Creates the file of the policy, in the form that `tlsboot approver --policy` reads and the approver publishes. */
export function createWebPolicyText({ domains, networks }: WebScope): string {
  const dns = JSON.stringify(listPatterns(domains));
  const ips = JSON.stringify(networks);
  const identity = (commonName: string) => `
      subject: { commonNames: ["${commonName}"], organizations: ["${WEB_GROUP}"] }
      usages: { allowed: [digital signature, key encipherment, client auth], required: [client auth] }`;
  const keys = `
      keys: [{ type: ECDSA, minBits: 256 }, { type: RSA, minBits: 2048 }, { type: Ed25519 }]`;
  const byToken = `{ signerNames: [${KUBE_APISERVER_CLIENT_SIGNER}], groups: ["${WEB_TOKEN_GROUP}"] }`;
  const byIdentity = (signer: string) =>
    `{ signerNames: [${signer}], users: ["${WEB_USER_PREFIX}*"], groups: ["${WEB_GROUP}"] }`;
  const serving = `
      subject: { commonNames: ["\${dns}"] }
      usages: { allowed: [digital signature, key encipherment, server auth], required: [server auth] }`;
  return `# Written by tlsboot up --web-domain.
apiVersion: tlsboot/v1alpha1
kind: ApprovalPolicy
name: ${WEB_POLICY}
description: >-
  Gives a machine with a token for web servers an identity for names that no other machine holds, and the identity serving
  certificates for such names and its own renewal. Needs tlsboot up --web-domain.
evidence: { inventory: false, heldCertificate: false, trustNodeStatus: false }
rules:
  # Other names are denied at once, so that the web server reports it; a name of another machine is left to a person.
  - name: identity-names
    match: ${byToken}
    require:${identity(`${WEB_USER_PREFIX}\${dns}`)}
      names: { atLeastOne: true, dns: ${dns} }${keys}
    then: next
    otherwise: deny
  - name: identity
    match: ${byToken}
    require:${identity(`${WEB_USER_PREFIX}\${dns}`)}
      names: { atLeastOne: true, unclaimed: true, dns: ${dns} }${keys}
    then: approve
  - name: renewal-names
    match: ${byIdentity(KUBE_APISERVER_CLIENT_SIGNER)}
    require:${identity(`${WEB_USER_PREFIX}\${dns}`)}
      names: { atLeastOne: true, dns: ${dns} }${keys}
    then: next
    otherwise: deny
  - name: renewal
    match: ${byIdentity(KUBE_APISERVER_CLIENT_SIGNER)}
    require:${identity("${requester}")}
      names: { atLeastOne: true, unclaimed: true, dns: ${dns} }${keys}
      rate: { max: 30, per: 1h }
    then: approve
  - name: certificate-names
    match: ${byIdentity(WEB_SIGNER)}
    require:${serving}
      names: { atLeastOne: true, dns: ${dns}, ips: ${ips} }${keys}
    then: next
    otherwise: deny
  - name: certificate
    match: ${byIdentity(WEB_SIGNER)}
    require:${serving}
      names: { atLeastOne: true, unclaimed: true, dns: ${dns}, ips: ${ips} }${keys}
      rate: { max: 30, per: 1h }
    then: approve
`;
}

/** Creates the policy of a scope, as the approver evaluates it. */
export function createWebPolicy(scope: WebScope): Policy {
  return unwrap(parsePolicy(createWebPolicyText(scope)));
}

export function createWebProfile({ domains, networks }: WebScope): SigningProfile {
  const dns = JSON.stringify(listPatterns(domains));
  const spec = parseProfile(`apiVersion: tlsboot/v1alpha1
kind: SigningProfile
signerName: ${WEB_SIGNER}
description: Serving certificates for web servers, for the domains of tlsboot up --web-domain.
subject:
  commonName: { allowed: ${dns} }
names:
  dns: { allowed: ${dns}, max: 50 }
${networks.length === 0 ? "" : `  ips: { allowed: ${JSON.stringify(networks)}, max: 20 }\n`}  atLeastOne: true
usages:
  allowed: [digital signature, key encipherment, server auth]
  required: [server auth]
  default: [digital signature, server auth]
lifetime: { max: 90d, default: 30d }
`);
  return createCustomProfile(WEB_SIGNER, unwrap(spec));
}

/**
 * The role of the tokens and the identities: to create requests, and to read one by its name. Unlike a node, a web
 * server cannot list requests.
 */
export const WEB_CLUSTER_ROLE: ClusterRole = {
  metadata: { name: WEB_ROLE },
  rules: [{ verbs: ["create", "get"], apiGroups: [CERTIFICATES_GROUP], resources: ["certificatesigningrequests"] }],
};

function listPatterns(domains: readonly string[]): readonly string[] {
  return domains.flatMap((domain) => [domain, `**.${domain}`]);
}

/** Unwraps the parsed text of a built-in file, in which a fault is a bug. */
function unwrap<T>(read: Result<T, readonly string[]>): T {
  if (read.ok) return read.value;
  throw new Error(`the built-in file is faulty: ${read.error.join("; ")}`);
}
