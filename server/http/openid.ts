/** Issuer discovery: the documents with which others verify service account tokens (`pkg/routes/openidmetadata.go`). */
import {
  formatKeySet,
  formatOpenidConfiguration,
  KEY_SET_PATH,
  OPENID_CONFIGURATION_PATH,
} from "../../core/service_accounts/issuer_documents.ts";
import type { TokenKey } from "../../core/service_accounts/keys.ts";
import { pathNotFound } from "../../core/kube/status/status.ts";
import { respondBytes } from "./respond.ts";
import { assertRoute, type ServedRoute } from "./routes.ts";

/** The issuer whose tokens others may verify. */
export interface DiscoverableIssuer {
  readonly issuer: string;
  readonly keys: readonly TokenKey[];
  /** Returns the URL of the key set. */
  readonly jwksUri: () => string;
}

/** The media type of a key set (RFC 7517 section 8.5.1). */
const KEY_SET_TYPE = "application/jwk-set+json";
/** kube-apiserver lets caches keep the documents for an hour: a new key must be published that long before it signs. */
const HEADERS = { "cache-control": "public, max-age=3600" };

/** Creates the routes of the two documents, which every service account may read. */
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
    return respondBytes(exchange, 200, type, new TextEncoder().encode(format()), HEADERS);
  };
  return [
    { path, isListed: true, isLabel: true, answer },
    { path: `${path}/`, answer },
    { path: `${path}/*`, answer: () => Promise.reject(pathNotFound()) },
  ];
}
