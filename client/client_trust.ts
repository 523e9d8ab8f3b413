/** Whose client certificates a distant API believes, as it says itself (kube-apiserver's `ClusterAuthenticationInfo`). */
import { AppError, messageOf } from "../core/errors.ts";
import type { ConfigMap } from "../core/kube/core_v1.ts";
import type { Authority } from "../core/pki/authority.ts";
import { parseCaBundle } from "../core/pki/ca_bundle.ts";
import type { CertificateFacts } from "../core/pki/certificate.ts";
import type { Clock, Logger, Transport } from "../core/ports.ts";
import { findClientTrust } from "../core/signing/client_trust.ts";
import { createApiClient } from "./api.ts";

/** What asking needs. */
export interface ClientTrustDeps {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The path of the ConfigMap; the asker needs `get` on it. */
export const CLIENT_CA_PATH = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";

const ASK_AGAIN_MS = 60_000;

/**
 * Tells whether the API takes certificates of a CA for clients; undefined when nobody knows, because the ConfigMap cannot
 * be read or the CA may be below one that is believed. Asked at most once a minute.
 */
export function createClientTrust(
  transport: Transport,
  { clock, logger }: ClientTrustDeps,
  signal: AbortSignal,
): (authority: Authority) => Promise<boolean | undefined> {
  const api = createApiClient(transport, { clock });
  let believed: readonly CertificateFacts[] | undefined;
  let askedAt = -Infinity;
  let asking: Promise<void> | undefined;
  let told = "";

  async function ask(): Promise<void> {
    try {
      const { data } = await api.requestObject<ConfigMap>({ method: "GET", path: CLIENT_CA_PATH }, signal);
      believed = parseBelieved(data?.["client-ca-file"]);
      told = "";
    } catch (error) {
      signal.throwIfAborted();
      const text = messageOf(error);
      if (text !== told) logger.warn("cannot read which CAs the API believes for clients", { error: text });
      told = text;
    }
  }

  return async (authority) => {
    const now = clock.elapsedMs();
    if (asking === undefined && now - askedAt >= ASK_AGAIN_MS) {
      askedAt = now;
      asking = ask().finally(() => {
        asking = undefined;
      });
    }
    await asking;
    return believed === undefined ? undefined : findClientTrust(authority, believed);
  };
}

/** An API without the entry believes no client certificates. */
function parseBelieved(pem: string | undefined): readonly CertificateFacts[] {
  if (pem === undefined || pem.trim() === "") return [];
  const bundle = parseCaBundle(pem);
  if (bundle.ok) return bundle.value;
  throw new AppError("ca_invalid", `cannot read client-ca-file: ${bundle.error}`);
}
