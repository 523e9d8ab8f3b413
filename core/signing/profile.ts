/**
 * Signing profiles: the requirements of a signer on a request (`pkg/apis/certificates/helpers.go`,
 * `pkg/controller/certificates/signer/signer.go`). Refusals are predicted, so that a client can report them before it
 * generates a key or sends a request.
 */
import {
  type CertificateSigningRequest,
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBELET_SERVING_SIGNER,
  LEGACY_UNKNOWN_SIGNER,
} from "../kube/kinds/certificates_v1.ts";
import { NODE_USER_PREFIX, NODES_GROUP } from "../kube/user.ts";
import type { PlannedExtension } from "../pki/x509/certificate_extensions.ts";
import type { RequestFacts } from "../pki/x509/pkcs10.ts";
import type { SubjectField } from "./profile_spec.ts";
import { formatFieldError } from "../kube/status/field_error.ts";
import type { KeyAlgorithmOptions } from "../pki/keys/key_algorithm.ts";
import { parseRequest } from "../request/parse_request.ts";
import { findSubjectRestriction, validateCsrCreate } from "../request/validate.ts";

/** The part of a request that a rule applies to. */
export type RequestPart =
  | SubjectField
  | "organization"
  | "subject"
  | "subjectAltNames"
  | "dnsNames"
  | "ipAddresses"
  | "emailAddresses"
  | "uris"
  | "otherNames"
  | "usages"
  | "requiredUsages"
  | "extendedUsages"
  | "key"
  | "lifetime";

/** One requirement. The fault becomes the message of the Failed condition. */
export interface ProfileRule {
  readonly name: RequestPart;
  /** The requirement in help texts: `the subject organization is system:nodes`. */
  readonly sentence: string;
  /** Returns the fault, or undefined when the request satisfies the rule. */
  check(facts: RequestFacts, usages: readonly string[], expirationSeconds?: number): string | undefined;
}

/** A signer's requirements, in the order in which they are checked. */
export interface SigningProfile {
  readonly signerName: string;
  readonly rules: readonly ProfileRule[];
  /** The limits of the lifetime; by default the signer's own limit, without a minimum. */
  readonly lifetime?: ProfileLifetime;
  /** The usages of a request that names none. The API refuses such a request, but a file may contain one. */
  readonly defaultUsages?: readonly string[];
  /** Extensions that every certificate gets. */
  readonly extensions?: readonly PlannedExtension[];
  /** Whether the intermediates follow each certificate; by default the flags of the CA decide. */
  readonly chain?: boolean;
  /** More about the certificates, in sentences for help texts. */
  readonly remarks?: readonly string[];
}

/** How long certificates are valid, in seconds. */
export interface ProfileLifetime {
  readonly max: number;
  readonly default: number;
  /** The shortest lifetime; a rule refuses requests for less. */
  readonly min: number;
}

/** The fault of a request, and the name of the rule that refuses it. */
export interface ProfileFault {
  readonly rule: string;
  readonly message: string;
}

/** Finds the first fault of a request, or undefined when the profile allows it. */
export function findProfileFault(
  profile: SigningProfile,
  facts: RequestFacts,
  usages: readonly string[],
  expirationSeconds?: number,
): ProfileFault | undefined {
  for (const { name, check } of profile.rules) {
    const message = check(facts, usages, expirationSeconds);
    if (message !== undefined) return { rule: name, message };
  }
  return undefined;
}

/** Finds the message of the first fault, as `findProfileFault`. */
export function checkProfile(
  profile: SigningProfile,
  facts: RequestFacts,
  usages: readonly string[],
  expirationSeconds?: number,
): string | undefined {
  return findProfileFault(profile, facts, usages, expirationSeconds)?.message;
}

/** Describes a profile in sentences, one per line: its signer, its requirements, and its certificates. */
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

/** The requirements on kubelets' client certificates (kube-apiserver-client-kubelet). */
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

/** The requirements on kubelets' serving certificates (kubelet-serving). */
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

/** The requirements on API client certificates. Subject and SANs are unrestricted, because an approver has checked them. */
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

/** The legacy signer, which has no requirements and no guarantees. */
const legacyUnknown: SigningProfile = { signerName: LEGACY_UNKNOWN_SIGNER, rules: [] };

/** The profiles of the four signers that kube-controller-manager has, by signer name. */
export const BUILTIN_SIGNERS: ReadonlyMap<string, SigningProfile> = new Map(
  [kubeletServing, kubeletClient, apiServerClient, legacyUnknown].map((profile) => [profile.signerName, profile]),
);

/** Reports whether a request has the shape of a kubelet's client request, whatever its signer. */
export function isKubeletClientRequest(facts: RequestFacts, usages: readonly string[]): boolean {
  return checkProfile(kubeletClient, facts, usages) === undefined;
}

export function rule(name: RequestPart, sentence: string, check: ProfileRule["check"]): ProfileRule {
  return { name, sentence, check };
}

/** Creates the rule for node usages. Key encipherment is optional since 1.27; order and duplicates do not count. */
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

/**
 * Finds the refusals of the API, its admission and the signer, in their own words; empty when none is predicted. Only the
 * rules of the four signers that Kubernetes defines are known.
 */
export function findRefusals(
  csr: CertificateSigningRequest,
  options: KeyAlgorithmOptions = {},
): readonly string[] {
  const { signerName, usages = [] } = csr.spec;
  const faults = validateCsrCreate(csr, options).map(formatFieldError);
  const request = parseRequest(csr.spec.request);
  if (!request.ok || faults.length > 0) return faults;
  const restriction = findSubjectRestriction(signerName, request.value.subject.organizations);
  const profile = BUILTIN_SIGNERS.get(signerName);
  const refusal = profile === undefined ? undefined : checkProfile(profile, request.value, usages);
  return [
    ...(restriction === undefined ? [] : [restriction]),
    ...(refusal === undefined ? [] : [`the signer ${signerName} refuses it: ${refusal}`]),
  ];
}
