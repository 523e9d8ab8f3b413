/**
 * Signing profiles: what a signer demands of a request before it signs (`pkg/apis/certificates/helpers.go`,
 * `pkg/controller/certificates/signer/signer.go`).
 */
import {
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBELET_SERVING_SIGNER,
  LEGACY_UNKNOWN_SIGNER,
} from "../kube/certificates_v1.ts";
import { NODE_USER_PREFIX, NODES_GROUP } from "../kube/user.ts";
import type { PlannedExtension } from "../pki/extra_extensions.ts";
import type { RequestFacts } from "../pki/pkcs10.ts";

/** One demand. The fault becomes the message of the Failed condition. */
export interface ProfileRule {
  /** What the rule is about, for people: `organization`, `usages`, … */
  readonly name: string;
  /** What is demanded, for people: `the subject organization is system:nodes`. */
  readonly sentence: string;
  /** The fault, or undefined when the request satisfies the rule. */
  check(facts: RequestFacts, usages: readonly string[], expirationSeconds?: number): string | undefined;
}

/** A signer's demands, in the order in which they are checked. */
export interface SigningProfile {
  readonly signerName: string;
  readonly rules: readonly ProfileRule[];
  /** The signer's own limit when absent, and then nothing is too short. */
  readonly lifetime?: ProfileLifetime;
  /** Of a request that names none; Kubernetes' API takes no such request, a file may be one. */
  readonly defaultUsages?: readonly string[];
  /** What stands in each certificate beside what was asked for. */
  readonly extensions?: readonly PlannedExtension[];
  /** Whether the intermediates come behind each certificate; as the flags of the CA say when absent. */
  readonly chain?: boolean;
  /** More about the certificates, in sentences for people. */
  readonly remarks?: readonly string[];
}

/** How long certificates are good, in seconds. */
export interface ProfileLifetime {
  readonly max: number;
  readonly default: number;
  /** None is good for less; a rule refuses requests for less. */
  readonly min: number;
}

/** The first fault of a request, or undefined when the profile allows it. */
export function checkProfile(
  profile: SigningProfile,
  facts: RequestFacts,
  usages: readonly string[],
  expirationSeconds?: number,
): string | undefined {
  for (const rule of profile.rules) {
    const fault = rule.check(facts, usages, expirationSeconds);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** A profile in sentences, one for each line: for whom it is, what it demands, what its certificates are. */
export function describeProfile({ signerName, rules, remarks = [] }: SigningProfile): readonly string[] {
  return [
    `Signer ${signerName}${rules.length === 0 ? " demands nothing, and promises nothing." : " demands that"}`,
    ...rules.map(({ sentence }) => `  ${sentence}`),
    ...remarks,
  ];
}

const isNodesOrganization = rule("organization", `the subject organization is ${NODES_GROUP}`, ({ subject }) => {
  const [only, ...more] = subject.organizations;
  return only === NODES_GROUP && more.length === 0 ? undefined : `subject organization is not ${NODES_GROUP}`;
});
const isNodeCommonName = rule(
  "commonName",
  `the subject common name begins with ${NODE_USER_PREFIX}`,
  ({ subject }) =>
    // An empty node name after the prefix passes upstream too.
    subject.commonName.startsWith(NODE_USER_PREFIX)
      ? undefined
      : `subject common name does not begin with ${NODE_USER_PREFIX}`,
);
const hasNoDnsNames = rule("dnsNames", "there are no DNS names", (facts) => refuseAny("DNS", facts.dnsNames));
const hasNoEmailAddresses = rule(
  "emailAddresses",
  "there are no e-mail addresses",
  (facts) => refuseAny("Email", facts.emailAddresses),
);
const hasNoIpAddresses = rule(
  "ipAddresses",
  "there are no IP addresses",
  (facts) => refuseAny("IP", facts.ipAddresses),
);
const hasNoUris = rule("uris", "there are no URIs", (facts) => refuseAny("URI", facts.uris));
const hasDnsNameOrIpAddress = rule(
  "subjectAltNames",
  "there is a DNS name or an IP address",
  (facts) => facts.dnsNames.length + facts.ipAddresses.length > 0 ? undefined : "DNS or IP subjectAltName is required",
);

/** What kubelets ask for, to be known by the API server (kube-apiserver-client-kubelet). */
const kubeletClient: SigningProfile = {
  signerName: KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  rules: [
    isNodesOrganization,
    hasNoDnsNames,
    hasNoEmailAddresses,
    hasNoIpAddresses,
    hasNoUris,
    isNodeCommonName,
    nodeUsages("client auth", "usages did not match [client auth digital signature key encipherment]"),
  ],
};

/** What kubelets ask for, to serve. */
const kubeletServing: SigningProfile = {
  signerName: KUBELET_SERVING_SIGNER,
  rules: [
    isNodesOrganization,
    hasDnsNameOrIpAddress,
    hasNoEmailAddresses,
    hasNoUris,
    nodeUsages("server auth", "usages did not match [digital signature key encipherment server auth]"),
    isNodeCommonName,
  ],
};

/** Clients of the API server: subject and SANs are free, an approver has looked at them. */
const apiServerClient: SigningProfile = {
  signerName: KUBE_APISERVER_CLIENT_SIGNER,
  rules: [
    rule("usages", "the usages are client auth and perhaps digital signature, key encipherment", (_facts, usages) => {
      const allowed = ["digital signature", "key encipherment", "client auth"];
      const bad = usages.find((usage) => !allowed.includes(usage));
      if (bad !== undefined) return `invalid usage for client certificate: ${bad}`;
      return usages.includes("client auth") ? undefined : "missing required usage for client certificate: client auth";
    }),
  ],
};

/** Promises nothing and demands nothing. */
const legacyUnknown: SigningProfile = { signerName: LEGACY_UNKNOWN_SIGNER, rules: [] };

/** The profiles of the four signers that kube-controller-manager has, by signer name. */
export const BUILTIN_SIGNERS: ReadonlyMap<string, SigningProfile> = new Map(
  [kubeletServing, kubeletClient, apiServerClient, legacyUnknown].map((profile) => [profile.signerName, profile]),
);

/** True when a request has the shape of a kubelet's client request, whatever signer it names. */
export function isKubeletClientRequest(facts: RequestFacts, usages: readonly string[]): boolean {
  return checkProfile(kubeletClient, facts, usages) === undefined;
}

/** Makes a rule of a check. */
export function rule(name: string, sentence: string, check: ProfileRule["check"]): ProfileRule {
  return { name, sentence, check };
}

/** Key encipherment is for RSA keys and may be missing (since 1.27). Compared as sets: order and repeats do not count. */
function nodeUsages(purpose: string, fault: string): ProfileRule {
  const sentence = `the usages are ${purpose} and digital signature, and perhaps key encipherment`;
  return rule("usages", sentence, (_facts, usages) => {
    const given = new Set(usages);
    const demanded = [purpose, "digital signature"].every((usage) => given.has(usage));
    const others = given.size - 2 - (given.has("key encipherment") ? 1 : 0);
    return demanded && others === 0 ? undefined : fault;
  });
}

function refuseAny(kind: string, names: readonly string[]): string | undefined {
  return names.length === 0 ? undefined : `${kind} subjectAltNames are not allowed`;
}
