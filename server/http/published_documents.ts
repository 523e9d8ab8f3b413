/**
 * Documents for verifying what this installation has issued: the revocation lists of its CAs, and the keys of its
 * service account tokens.
 */
import { hash } from "node:crypto";
import { pathNotFound } from "../../core/kube/status/status.ts";
import type { Answer } from "./answer.ts";
import { type Exchange, findHeader } from "./exchange.ts";
import { createBaseHeaders, respondBytes, respondEmpty } from "./respond.ts";
import { assertRoute, type ServedRoute } from "./routes.ts";
import {
  formatKeySet,
  formatOpenidConfiguration,
  KEY_SET_PATH,
  OPENID_CONFIGURATION_PATH,
} from "../../core/service_accounts/issuer_documents.ts";
import type { TokenKey } from "../../core/service_accounts/jwt.ts";

/** The CRLs that a server publishes. */
export interface PublishedCrls {
  /** Finds the DER of a CRL by its name, such as `ca.crl`; a new CRL is a new array. */
  find(name: string): Uint8Array | undefined;
}

/**
 * The folder of the CRLs in DER, `/pki/<ca>.crl` (RFC 5280 §4.2.1.13), which does not exist in Kubernetes. Programs
 * that check certificates have no credentials for the API, so it requires none, whatever the value of
 * `--anonymous-auth`.
 */
const CRL_FOLDER = "/pki/";
/** The media type of a CRL in DER (RFC 2585 §4.2). */
export const CRL_TYPE = "application/pkix-crl";

export function toCrlTarget(name: string): string {
  return CRL_FOLDER + encodeURIComponent(name);
}

/** True for a request that reads an existing CRL, which needs neither credentials nor permissions. */
export function isCrlRequest({ info, incoming }: Pick<Exchange, "info" | "incoming">, crls: PublishedCrls): boolean {
  if (info.isResourceRequest || !info.path.startsWith(CRL_FOLDER)) return false;
  return (incoming.method === "GET" || incoming.method === "HEAD") && crls.find(getCrlName(info.path)) !== undefined;
}

/** Creates the route of the CRLs. A CRL is not compressed, because serial numbers are random. */
export function createCrlRoute(crls: PublishedCrls): ServedRoute {
  const etags = new WeakMap<Uint8Array, string>();
  function findEtag(der: Uint8Array): string {
    const etag = etags.get(der) ?? `"${hash("sha256", der)}"`;
    etags.set(der, etag);
    return etag;
  }
  return {
    path: `${CRL_FOLDER}*`,
    answer(exchange): Promise<Answer> {
      assertRoute(exchange, ["GET", "HEAD"], [CRL_TYPE]);
      const der = crls.find(getCrlName(exchange.info.path));
      if (der === undefined) throw pathNotFound();
      const etag = findEtag(der);
      if (findHeader(exchange, "if-none-match") === etag) return respondEmpty(exchange, 304, { etag });
      const headers = { etag, "content-type": CRL_TYPE, "content-length": String(der.length) };
      return Promise.resolve({ status: 200, headers: createBaseHeaders(exchange, headers), body: der });
    },
  };
}

function getCrlName(path: string): string {
  return path.slice(CRL_FOLDER.length);
}

/** The token issuer that others can discover (`pkg/routes/openidmetadata.go`). */
export interface DiscoverableIssuer {
  readonly issuer: string;
  readonly keys: readonly TokenKey[];
  /** Returns the URL of the key set. */
  readonly jwksUri: () => string;
}

/** The media type of a key set (RFC 7517 section 8.5.1). */
const KEY_SET_TYPE = "application/jwk-set+json";
/**
 * Like kube-apiserver, lets caches keep the documents for an hour, so a new key must be published an hour before it
 * signs.
 */
const CACHE_HEADERS = { "cache-control": "public, max-age=3600" };

/** Creates the routes of the issuer's two documents, which every service account may read. */
export function createOpenidRoutes({ issuer, keys, jwksUri }: DiscoverableIssuer): readonly ServedRoute[] {
  const keySet = formatKeySet(keys);
  return [
    ...createDocumentRoutes(
      OPENID_CONFIGURATION_PATH,
      "application/json",
      () => formatOpenidConfiguration(issuer, jwksUri(), keys),
    ),
    ...createDocumentRoutes(KEY_SET_PATH, KEY_SET_TYPE, () => keySet),
  ];
}

function createDocumentRoutes(path: string, type: string, format: () => string): readonly ServedRoute[] {
  const answer: ServedRoute["answer"] = (exchange) => {
    assertRoute(exchange, ["GET"], [type]);
    return respondBytes(exchange, 200, type, new TextEncoder().encode(format()), CACHE_HEADERS);
  };
  return [
    { path, isListed: true, isLabel: true, answer },
    { path: `${path}/`, answer },
    { path: `${path}/*`, answer: () => Promise.reject(pathNotFound()) },
  ];
}
