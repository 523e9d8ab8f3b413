/**
 * Core `v1` service accounts, the identities of programs, and the subresource that issues their tokens,
 * `serviceaccounts/token` (`pkg/registry/core/serviceaccount/storage/token.go`).
 */
import type { ObjectReference, ServiceAccount } from "../../core/kube/kinds/core_v1.ts";
import { podKind, serviceAccountKind, tokenRequestKind } from "../../core/kube/kinds/mod.ts";
import { subdomainNameErrors } from "../../core/kube/names.ts";
import {
  ageColumn,
  nameColumn,
  type PostContext,
  type PostedSubresource,
  type Resource,
  STANDARD_VERBS,
} from "./resource.ts";
import type { BoundObjectReference, TokenRequest, TokenRequestSpec } from "../../core/kube/kinds/authentication_v1.ts";
import { type FieldError, invalid } from "../../core/kube/status/field_error.ts";
import { formatTime, getName, type KubeObject } from "../../core/kube/meta.ts";
import { badRequest, conflict, invalidObject, notFound } from "../../core/kube/status/status.ts";
import { validateTokenRequest } from "../../core/kube/rules/reviews.ts";
import {
  encodeClaims,
  formatCredentialId,
  type ObjectClaim,
  signJwt,
  type TokenClaims,
  type TokenSigner,
} from "../../core/service_accounts/jwt.ts";
import type { Kind } from "../../core/kube/schema.ts";
import { toAccountUsername } from "../../core/kube/user.ts";
import { goQuote } from "../../core/lib/go_text.ts";
import type { Random } from "../../core/ports.ts";
import type { Storage } from "../storage/storage.ts";
import { nodes } from "./nodes.ts";
import { findPod } from "./absent_kinds.ts";
import { createUid, parseRequestedKey, type ResourceKeys, toStorageKey } from "./registry.ts";
import { secrets } from "./secrets.ts";
import { withMeta } from "./write.ts";

/** Service accounts; each namespace has one named `default`. */
export const serviceAccounts: Resource<ServiceAccount> = {
  kind: serviceAccountKind,
  verbs: STANDARD_VERBS,
  columns: [nameColumn, ageColumn],
  strategy: {
    checksGenerateName: true,
    validateName: subdomainNameErrors,
    prepareForCreate: prepareServiceAccount,
    prepareForUpdate: prepareServiceAccount,
    warn: getWarningsForServiceAccount,
  },
  deletion: { returnsObject: true },
};

const MOUNTABLE_SECRETS = "kubernetes.io/enforce-mountable-secrets";

/** Keeps only the names of referenced secrets, which are always in the namespace of the account. */
function prepareServiceAccount(account: ServiceAccount): ServiceAccount {
  const { secrets } = account;
  return secrets === undefined ? account : { ...account, secrets: secrets.map(toNameOnly) };
}

/** Creates the warnings about a valid account: a newly added deprecated annotation. */
function getWarningsForServiceAccount(account: ServiceAccount, old: ServiceAccount | undefined): string[] {
  const has = ({ metadata }: ServiceAccount) => Object.hasOwn(metadata.annotations ?? {}, MOUNTABLE_SECRETS);
  if (!has(account) || (old !== undefined && has(old))) return [];
  return [
    `metadata.annotations[${MOUNTABLE_SECRETS}]: deprecated in v1.32+; prefer separate namespaces to isolate access to ` +
    "mounted secrets",
  ];
}

function toNameOnly({ name = "" }: ObjectReference): ObjectReference {
  return name === "" ? {} : { name };
}

/** The issuer of tokens: its name, its key, and its limits. */
export interface TokenIssuer {
  readonly issuer: string;
  readonly signer: TokenSigner;
  /** The audiences of this server, for requests without any. */
  readonly apiAudiences: readonly string[];
  /** The longest lifetime; 0 for no limit. */
  readonly maxExpirationSeconds: number;
  /** Whether the tokens that kubelets request for pods by default are valid for a year, with a warning after an hour. */
  readonly extendsExpiration: boolean;
}

const NAME_REQUIRED = "Name parameter required.";

type BoundClaims = Pick<TokenClaims, "secret" | "pod" | "node">;

/** The name of the resource in a conflict, which upstream takes from the kind. */
const REQUESTED = { group: tokenRequestKind.group, plural: tokenRequestKind.kind };
/** Kubernetes' annotation for the id of an issued token (`apiserver/pkg/authentication/serviceaccount/util.go`). */
const ISSUED_ID_ANNOTATION = "authentication.kubernetes.io/issued-credential-id";
const DEFAULT_EXPIRATION_SECONDS = 3_600;
/** The lifetime that kubelets request for pod tokens by default, and the lifetime to which it is extended. */
const POD_EXPIRATION_SECONDS = 3_607;
const EXTENDED_EXPIRATION_SECONDS = 365 * 86_400;

export interface TokenRequestDeps {
  readonly storage: Pick<Storage, "get">;
  readonly random: Random;
  readonly issuer: TokenIssuer;
}

/** Creates the subresource `serviceaccounts/token`, which issues tokens with one key. */
export function createTokenSubresource(deps: TokenRequestDeps): PostedSubresource {
  return {
    name: "token",
    kind: tokenRequestKind,
    applyDefaults(object) {
      const { spec } = object as TokenRequest;
      const expirationSeconds = spec.expirationSeconds ?? DEFAULT_EXPIRATION_SECONDS;
      return { ...object, spec: { ...spec, expirationSeconds } } as KubeObject;
    },
    answer: (object, context) => issueToken(deps, object as TokenRequest, context),
  };
}

async function issueToken(deps: TokenRequestDeps, posted: TokenRequest, context: PostContext): Promise<KubeObject> {
  const { issuer, storage, random } = deps;
  const { name, namespace, now } = context;
  const uid = await findAccountUid(storage, posted, context);
  const audiences = posted.spec.audiences ?? [];
  const request: TokenRequest = {
    ...withMeta(posted, { name, namespace, uid, creationTimestamp: formatTime(now) }),
    spec: { ...posted.spec, audiences: audiences.length === 0 ? issuer.apiAudiences : audiences },
    status: { token: "", expirationTimestamp: null },
  };
  const faults = validateTokenRequest(request);
  if (faults.length > 0) throw refuse("", faults);
  await context.validate(request);
  const bound = await findBound(storage, context, request.spec.boundObjectRef);
  const spec = { ...request.spec, expirationSeconds: limitExpiration(issuer, request.spec, context) };
  const id = createUid(random);
  const issuedAt = Math.floor(now.getTime() / 1000);
  const token = signJwt(
    issuer.signer,
    encodeClaims({
      issuer: issuer.issuer,
      subject: toAccountUsername(namespace, name),
      audiences: spec.audiences ?? [],
      issuedAt,
      notBefore: issuedAt,
      ...computeExpiry(issuer, spec, bound, issuedAt),
      id,
      namespace,
      account: { name, uid },
      ...bound,
    }),
  );
  context.annotate(ISSUED_ID_ANNOTATION, formatCredentialId(id));
  const expiry = new Date(now.getTime() + spec.expirationSeconds * 1000);
  return { ...request, spec, status: { token, expirationTimestamp: formatTime(expiry) } } as KubeObject;
}

/** Finds the uid of the account in the URL. The name and uid in the request, if any, must match it. */
async function findAccountUid(
  storage: Pick<Storage, "get">,
  posted: TokenRequest,
  { name, namespace }: PostContext,
): Promise<string> {
  const named = getName(posted);
  if (named !== "" && named !== name) {
    throw refuse(name, [invalid("metadata.name", named, "must match the service account name if specified")]);
  }
  const key = parseRequestedKey({ resource: serviceAccounts, namespace, name });
  const account = (await storage.get(key))?.object;
  if (account === undefined) throw notFound(serviceAccounts.kind, name);
  const { uid = "" } = account.metadata;
  const { uid: wanted = "" } = posted.metadata;
  if (wanted === "" || wanted === uid) return uid;
  const why = `the UID in the token request (${wanted}) does not match the UID of the service account (${uid})`;
  throw conflict(REQUESTED, name, why);
}

function refuse(name: string, faults: readonly FieldError[]) {
  return invalidObject(tokenRequestKind, name, faults);
}

async function findBound(
  storage: Pick<Storage, "get">,
  { name: account, namespace }: PostContext,
  reference: BoundObjectReference | null | undefined,
): Promise<BoundClaims> {
  if (reference === undefined || reference === null) return {};
  const { group, version } = parseApiVersion(reference.apiVersion ?? "");
  const { kind = "" } = reference;
  if (group === "" && kind === "Secret") return { secret: await readBound(storage, secrets, namespace, reference) };
  if (group === "" && kind === "Node") return { node: await readBound(storage, nodes, "", reference) };
  if (group === "" && kind === "Pod") return await findBoundPod(storage, account, namespace, reference);
  const gate = kind.endsWith("WebhookConfiguration") && group === "admissionregistration.k8s.io" && version === "v1"
    ? " (feature gate APIServerWebhookAuthenticationToken is disabled)"
    : "";
  throw badRequest(`cannot bind token to object of type ${group}/${version}, Kind=${kind}${gate}`);
}

/** Splits an API version; a malformed one counts as empty (apimachinery `schema.FromAPIVersionAndKind`). */
function parseApiVersion(apiVersion: string): { readonly group: string; readonly version: string } {
  const parts = apiVersion.split("/");
  if (parts.length > 2) return { group: "", version: "" };
  const [group = "", version] = parts;
  return version === undefined ? { group: "", version: group } : { group, version };
}

/** Finds a pod of the account, and its node. The token contains the node's name even if the node is gone. */
async function findBoundPod(
  storage: Pick<Storage, "get">,
  account: string,
  namespace: string,
  reference: BoundObjectReference,
): Promise<BoundClaims> {
  const { name = "" } = reference;
  if (name === "") throw badRequest(NAME_REQUIRED);
  const pod = await findPod(storage, namespace, name);
  if (pod === undefined) throw notFound(podKind, name);
  const { serviceAccountName = "", nodeName = "" } = pod.spec;
  if (serviceAccountName !== account) {
    const named = goQuote(account);
    throw badRequest(
      `cannot bind token for serviceaccount ${named} to pod running with different serviceaccount name.`,
    );
  }
  const claim = checkUid(podKind, pod, reference);
  if (nodeName === "") return { pod: claim };
  const node = (await storage.get(toStorageKey(nodes, "", nodeName)))?.object;
  return { pod: claim, node: { name: nodeName, uid: node?.metadata.uid ?? "" } };
}

async function readBound(
  storage: Pick<Storage, "get">,
  resource: ResourceKeys,
  namespace: string,
  reference: BoundObjectReference,
): Promise<ObjectClaim> {
  const { name = "" } = reference;
  if (name === "") throw badRequest(NAME_REQUIRED);
  const stored = (await storage.get(parseRequestedKey({ resource, namespace, name })))?.object;
  if (stored === undefined) throw notFound(resource.kind, name);
  return checkUid(resource.kind, stored, reference);
}

/** Returns the claim for an object, whose uid must be the requested one, if any. */
function checkUid(
  { group, kind }: Kind,
  { metadata: { uid = "" } }: KubeObject,
  { name = "", uid: wantedUid = "" }: BoundObjectReference,
): ObjectClaim {
  if (wantedUid === "" || wantedUid === uid) return { name, uid };
  const why = `the UID in the bound object reference (${wantedUid}) does not match the UID in record. ` +
    "The object might have been deleted and then recreated";
  throw conflict({ group, plural: kind }, name, why);
}

/** Shortens a lifetime that exceeds the server's limit, with a warning. */
function limitExpiration(
  { maxExpirationSeconds: limit }: TokenIssuer,
  { expirationSeconds }: TokenRequestSpec,
  { warn }: PostContext,
): number {
  const wanted = expirationSeconds ?? DEFAULT_EXPIRATION_SECONDS;
  if (limit === 0 || wanted <= limit) return wanted;
  warn(`requested expiration of ${wanted} seconds shortened to ${limit} seconds`);
  return limit;
}

/**
 * Computes the expiry of a token. Old programs read their token only once, so the default token of a pod stays valid
 * for a year. The audit log marks its use after the requested expiry.
 */
function computeExpiry(
  { extendsExpiration, apiAudiences }: TokenIssuer,
  { audiences, expirationSeconds }: TokenRequestSpec & { readonly expirationSeconds: number },
  { pod }: BoundClaims,
  issuedAt: number,
): Pick<TokenClaims, "expiry" | "warnAfter"> {
  const end = issuedAt + expirationSeconds;
  const isExtended = extendsExpiration && pod !== undefined && expirationSeconds === POD_EXPIRATION_SECONDS &&
    (audiences ?? []).every((audience) => apiAudiences.includes(audience));
  return isExtended ? { expiry: issuedAt + EXTENDED_EXPIRATION_SECONDS, warnAfter: end } : { expiry: end };
}
