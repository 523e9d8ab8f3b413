/** Files of policy tests (`kind: PolicyTest`): requests with their requesters, and the expected verdicts. */
import {
  defaultKey,
  duration,
  fault,
  integer,
  type Key,
  listOf,
  mapped,
  mapping,
  nonEmptyListOf,
  oneOf,
  optionalKey,
  parseConfigDocument,
  requiredKey,
  text,
} from "../lib/config_file.ts";
import { KEY_ALGORITHMS, type KeyAlgorithm, ML_DSA_KEY_ALGORITHMS } from "../pki/keys/key_names.ts";
import type { Result } from "../lib/result.ts";
import type { ProofKind } from "../attestation/proof.ts";
import { PROOF_KINDS } from "../kube/kinds/constants.ts";
import { findTokenId } from "../token/token_secret.ts";
import type { NodeNames } from "./evidence/inventory.ts";
import type { NameClaim, NodeCertificate } from "./evidence/ownership.ts";

/** The kind of a file of policy tests. */
export const POLICY_TEST_KIND = "PolicyTest";

/** The contents of a file of policy tests. */
interface PolicyFixture {
  /** Names of built-in policies, or paths relative to the file's folder. */
  readonly policies: readonly string[];
  /** Path relative to the file's folder. */
  readonly inventory: string | undefined;
  readonly cases: readonly PolicyCase[];
}

/** One case: a request and the expected verdict. */
export interface PolicyCase {
  readonly name: string;
  readonly request: RequestSource;
  readonly signerName: string;
  readonly usages: readonly string[];
  readonly user: string;
  readonly groups: readonly string[];
  readonly expirationSeconds: number | undefined;
  readonly now: Date;
  /** The names and addresses that nodes report, by node. */
  readonly nodes: ReadonlyMap<string, NodeNames>;
  /** The names in the current certificate of the requester. */
  readonly held: NodeNames | undefined;
  /** The valid client certificates of the requested node, all with other keys than the request. */
  readonly certificates: readonly NodeCertificate[];
  /** The names that other users hold, all with other keys than the request. */
  readonly holders: readonly NameClaim[];
  /** Names and addresses of the API server. */
  readonly server: readonly string[];
  /** The virtual subresources of certificatesigningrequests that the requester may create. */
  readonly permissions: readonly string[];
  /** The parts of the API that cannot be reached. */
  readonly unreachable: readonly ("nodes" | "permissions")[];
  /** The proof for which the requester got its bootstrap token, and its age. */
  readonly attested: { readonly kind: ProofKind; readonly ageMs: number } | undefined;
  /** How many requests of the requester the expected rule approved one minute ago. */
  readonly approvedBefore: number;
  readonly expect: Expectation;
}

type RequestSource =
  /** The path of a PEM file or a CSR object, relative to the fixture's folder. */
  | { readonly kind: "file"; readonly path: string }
  /** Created when the test runs. */
  | {
    readonly kind: "made";
    readonly commonName: string;
    readonly organizations: readonly string[];
    readonly dns: readonly string[];
    readonly ips: readonly string[];
    readonly emails: readonly string[];
    readonly uris: readonly string[];
    readonly key: KeyAlgorithm;
  };

/** The expected outcome of a case. */
export interface Expectation {
  readonly verdict: "approve" | "deny" | "pending" | "unknown";
  /** The name of the rule that decides; not checked when absent. */
  readonly rule?: string | undefined;
  /** A part of the message; not checked when absent. */
  readonly message?: string | undefined;
}

const KEYS: readonly KeyAlgorithm[] = [...KEY_ALGORITHMS, ...ML_DSA_KEY_ALGORITHMS];

const TEXTS = optionalKey(listOf(text));
const names = { dns: defaultKey(listOf(text), []), ips: defaultKey(listOf(text), []) };
const time = mapped(text, (value, place) => {
  const date = new Date(value);
  return Number.isNaN(date.getTime()) ? fault(place, `"${value}" is not a time, such as 2026-03-02T10:30:00Z`) : date;
});

const ANOTHER_KEY = { publicKeyFingerprint: "another key" };

const COMMON = {
  request: optionalKey(mapping({
    commonName: optionalKey(text),
    organizations: TEXTS,
    dns: TEXTS,
    ips: TEXTS,
    emails: TEXTS,
    uris: TEXTS,
    key: optionalKey(oneOf(KEYS)),
  })),
  requestFile: optionalKey(text),
  signerName: optionalKey(text),
  usages: TEXTS,
  user: optionalKey(text),
  groups: TEXTS,
  expiration: optionalKey(mapped(duration, (ms) => Math.round(ms / 1_000))),
  now: optionalKey(time),
  nodes: optionalKey(listOf(mapping({ name: requiredKey(text), ...names }))),
  held: optionalKey(mapping(names)),
  certificates: optionalKey(listOf(mapped(
    mapping({ from: requiredKey(time), until: requiredKey(time) }),
    ({ from, until }) => ({ ...ANOTHER_KEY, node: "", fingerprint: "", notBefore: from, notAfter: until }),
  ))),
  holders: optionalKey(listOf(mapped(
    mapping({ name: requiredKey(text), holder: requiredKey(text) }),
    (claim) => ({ ...ANOTHER_KEY, ...claim, notAfter: undefined }),
  ))),
  server: TEXTS,
  permissions: TEXTS,
  unreachable: optionalKey(listOf(oneOf(["nodes", "permissions"]))),
  attested: optionalKey(mapped(
    mapping({ kind: requiredKey(oneOf(PROOF_KINDS)), age: defaultKey(duration, 0) }),
    ({ kind, age }) => ({ kind, ageMs: age }),
  )),
  approvedBefore: optionalKey(integer(0)),
} as const satisfies Readonly<Record<string, Key<unknown>>>;

const FIXTURE = mapping({
  policies: defaultKey(listOf(text), []),
  inventory: optionalKey(text),
  defaults: defaultKey(mapping(COMMON), {}),
  cases: requiredKey(nonEmptyListOf(mapping({
    ...COMMON,
    name: requiredKey(text),
    expect: requiredKey(mapping({
      verdict: requiredKey(oneOf(["approve", "deny", "pending", "unknown"])),
      rule: optionalKey(text),
      message: optionalKey(text),
    })),
  }))),
});

type ReadFixture = NonNullable<ReturnType<typeof FIXTURE>>;
type ReadCase = ReadFixture["cases"][number];
type Common = ReadFixture["defaults"];

/** The time of a case that does not set one. */
const NOW = "2026-01-01T12:00:00Z";

/** Parses a file of policy tests. The error lists every fault with its place. */
export function parsePolicyFixture(fileText: string): Result<PolicyFixture, readonly string[]> {
  return parseConfigDocument(
    fileText,
    POLICY_TEST_KIND,
    mapped(FIXTURE, ({ policies, inventory, defaults, cases }, { faults }) => ({
      policies,
      inventory,
      cases: cases.map((own, index) => createCase(own, defaults, (fault) => faults.push(`cases[${index}]${fault}`))),
    })),
  );
}

function createCase(own: ReadCase, defaults: Common, fault: (text: string) => void): PolicyCase {
  if (own.request !== undefined && own.requestFile !== undefined) fault(": request and requestFile exclude each other");
  const { signerName = "", user = "", ...merged } = { ...defaults, ...own };
  if (signerName === "") fault(".signerName: missing, here and in defaults");
  if (user === "") fault(".user: missing, here and in defaults");
  else if (merged.attested !== undefined && findTokenId(user) === undefined) {
    fault(".attested: a proof is given for a bootstrap token, so user must be one, such as system:bootstrap:abcdef");
  }
  return {
    name: own.name,
    request: createRequestSource(own, defaults),
    signerName,
    usages: merged.usages ?? [],
    user,
    groups: merged.groups ?? [],
    expirationSeconds: merged.expiration,
    now: merged.now ?? new Date(NOW),
    nodes: new Map((merged.nodes ?? []).map(({ name, dns, ips }) => [name, { dns, ips }])),
    held: merged.held,
    certificates: merged.certificates ?? [],
    holders: merged.holders ?? [],
    server: merged.server ?? [],
    permissions: merged.permissions ?? [],
    unreachable: merged.unreachable ?? [],
    attested: merged.attested,
    approvedBefore: merged.approvedBefore ?? 0,
    expect: own.expect,
  };
}

/** Returns the source of a request. Each field is from the case, or else from the defaults. */
function createRequestSource(own: ReadCase, defaults: Common): RequestSource {
  if (own.requestFile !== undefined) return { kind: "file", path: own.requestFile };
  if (own.request === undefined && defaults.requestFile !== undefined) {
    return { kind: "file", path: defaults.requestFile };
  }
  return {
    kind: "made",
    commonName: "",
    organizations: [],
    dns: [],
    ips: [],
    emails: [],
    uris: [],
    key: "ecdsa-p256",
    ...defaults.request,
    ...own.request,
  };
}
