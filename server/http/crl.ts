/**
 * `/pki/<ca>.crl`: the revocation lists of the CAs, in DER (RFC 5280 §4.2.1.13). This path does not exist in Kubernetes.
 * Programs that check certificates have no credentials for the API, so it needs none, whatever `--anonymous-auth` says.
 */
import { hash } from "node:crypto";
import { pathNotFound } from "../../core/kube/status/status.ts";
import type { Answer } from "./answer.ts";
import { type Exchange, findHeader } from "./exchange.ts";
import { createBaseHeaders, respondEmpty } from "./respond.ts";
import { assertRoute, type ServedRoute } from "./routes.ts";

/** The CRLs that a server publishes. */
export interface PublishedCrls {
  /** Finds the DER of a CRL by its name, such as `ca.crl`; a new CRL is a new array. */
  find(name: string): Uint8Array | undefined;
}

const FOLDER = "/pki/";
/** The media type of a CRL in DER (RFC 2585 §4.2). */
export const CRL_TYPE = "application/pkix-crl";

export function toCrlTarget(name: string): string {
  return FOLDER + encodeURIComponent(name);
}

/** Reports whether a request reads a CRL that exists, for which it needs neither credentials nor permissions. */
export function isCrlRequest({ info, incoming }: Pick<Exchange, "info" | "incoming">, crls: PublishedCrls): boolean {
  if (info.isResourceRequest || !info.path.startsWith(FOLDER)) return false;
  return (incoming.method === "GET" || incoming.method === "HEAD") && crls.find(getName(info.path)) !== undefined;
}

/** Creates the route of the CRLs. A CRL is not compressed: serial numbers are random. */
export function createCrlRoute(crls: PublishedCrls): ServedRoute {
  const etags = new WeakMap<Uint8Array, string>();
  function findEtag(der: Uint8Array): string {
    const etag = etags.get(der) ?? `"${hash("sha256", der)}"`;
    etags.set(der, etag);
    return etag;
  }
  return {
    path: `${FOLDER}*`,
    answer(exchange): Promise<Answer> {
      assertRoute(exchange, ["GET", "HEAD"], [CRL_TYPE]);
      const der = crls.find(getName(exchange.info.path));
      if (der === undefined) throw pathNotFound();
      const etag = findEtag(der);
      if (findHeader(exchange, "if-none-match") === etag) return respondEmpty(exchange, 304, { etag });
      const headers = { etag, "content-type": CRL_TYPE, "content-length": String(der.length) };
      return Promise.resolve({ status: 200, headers: createBaseHeaders(exchange, headers), body: der });
    },
  };
}

function getName(path: string): string {
  return path.slice(FOLDER.length);
}
