/** Tokens for service accounts: the subresource `serviceaccounts/token` (`pkg/registry/core/serviceaccount/storage/token.go`). */
import type { BoundObjectReference, TokenRequest, TokenRequestSpec } from "../../core/kube/authentication_v1.ts";
import { type FieldError, invalid } from "../../core/kube/field_error.ts";
import { tokenRequestKind } from "../../core/kube/kinds/mod.ts";
import { formatTime, getName, type KubeObject } from "../../core/kube/meta.ts";
import { badRequest, conflict, invalidObject, notFound } from "../../core/kube/status.ts";
import { validateTokenRequest } from "../../core/kube/validation/tokenrequests.ts";
import {
  encodeClaims,
  formatCredentialId,
  type ObjectClaim,
  toAccountUsername,
  type TokenClaims,
} from "../../core/service_accounts/claims.ts";
import { signJwt } from "../../core/service_accounts/jwt.ts";
import type { TokenSigner } from "../../core/service_accounts/keys.ts";
import type { Random } from "../../core/ports.ts";
import type { Storage } from "../storage/storage.ts";
import { createUid, parseRequestedKey } from "./registry.ts";
import { nodes } from "./nodes.ts";
import type { PostContext, PostedSubresource, StoredResource } from "./resource.ts";
import { secrets } from "./secrets.ts";
import { serviceAccounts } from "./serviceaccounts.ts";
import { withMeta } from "./write.ts";

/** What the server issues tokens with. */
export interface TokenIssuer {
  readonly issuer: string;
  readonly signer: TokenSigner;
  /** The audiences of this server, for requests that name none. */
  readonly apiAudiences: readonly string[];
  /** The longest lifetime; 0 for no limit. */
  readonly maxExpirationSeconds: number;
}

/** The names of pods, of which there are none here. */
const PODS = { group: "", plural: "pods" };
const NAME_REQUIRED = "Name parameter required.";

type NamedResource = Pick<StoredResource, "kind" | "storageName">;

/** Where the names of a bound object are in a token. */
type BoundClaims = Pick<TokenClaims, "secret" | "node">;

/** The names of the resource in a conflict, which upstream takes from the kind. */
const REQUESTED = { group: tokenRequestKind.group, plural: tokenRequestKind.kind };
/** Kubernetes' annotation for the id of an issued token (`apiserver/pkg/authentication/serviceaccount/util.go`). */
const ISSUED_ID_ANNOTATION = "authentication.kubernetes.io/issued-credential-id";
const DEFAULT_EXPIRATION_SECONDS = 3_600;

/** The dependencies of the subresource. */
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
  const bound = await findBound(storage, namespace, request.spec.boundObjectRef);
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
      expiry: issuedAt + spec.expirationSeconds,
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

/** Finds the uid of the account that the request names, which must be the one that the request means. */
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

/** Finds the object that a token is to be bound to. */
async function findBound(
  storage: Pick<Storage, "get">,
  namespace: string,
  reference: BoundObjectReference | null | undefined,
): Promise<BoundClaims> {
  if (reference === undefined || reference === null) return {};
  const { group, version } = parseApiVersion(reference.apiVersion ?? "");
  const { kind = "", name = "" } = reference;
  if (group === "" && kind === "Secret") return { secret: await readBound(storage, secrets, namespace, reference) };
  if (group === "" && kind === "Node") return { node: await readBound(storage, nodes, "", reference) };
  if (group === "" && kind === "Pod") throw name === "" ? badRequest(NAME_REQUIRED) : notFound(PODS, name);
  const gate = kind.endsWith("WebhookConfiguration") && group === "admissionregistration.k8s.io" && version === "v1"
    ? " (feature gate APIServerWebhookAuthenticationToken is disabled)"
    : "";
  throw badRequest(`cannot bind token to object of type ${group}/${version}, Kind=${kind}${gate}`);
}

/** Splits an API version; one that is malformed counts as empty (apimachinery `schema.FromAPIVersionAndKind`). */
function parseApiVersion(apiVersion: string): { readonly group: string; readonly version: string } {
  const parts = apiVersion.split("/");
  if (parts.length > 2) return { group: "", version: "" };
  const [group = "", version] = parts;
  return version === undefined ? { group: "", version: group } : { group, version };
}

async function readBound(
  storage: Pick<Storage, "get">,
  resource: NamedResource,
  namespace: string,
  { name = "", uid: wantedUid = "" }: BoundObjectReference,
): Promise<ObjectClaim> {
  if (name === "") throw badRequest(NAME_REQUIRED);
  const stored = (await storage.get(parseRequestedKey({ resource, namespace, name })))?.object;
  if (stored === undefined) throw notFound(resource.kind, name);
  const { uid = "" } = stored.metadata;
  if (wantedUid === "" || wantedUid === uid) return { name, uid };
  const why = `the UID in the bound object reference (${wantedUid}) does not match the UID in record. ` +
    "The object might have been deleted and then recreated";
  throw conflict({ group: resource.kind.group, plural: resource.kind.kind }, name, why);
}

/** Shortens a longer lifetime than the server allows, with a warning. */
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
