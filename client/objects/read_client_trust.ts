/** The CAs that a remote API trusts for client certificates, from the ConfigMap that kube-apiserver publishes. */
import { AppError, getErrorMessage } from "../../core/errors.ts";
import type { ConfigMap } from "../../core/kube/kinds/core_v1.ts";
import type { Authority } from "../../core/pki/authority/authority.ts";
import { parseCaBundle } from "../../core/pki/x509/ca_bundle.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";
import type { Clock, Logger, Transport } from "../../core/ports.ts";
import { createApiClient } from "./api.ts";
import { findClientTrust } from "../../core/signing/profile.ts";

/** The clock and the logger of the lookup. */
interface ClientTrustDeps {
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * The path of the ConfigMap; the client needs `get` on it (`pkg/controlplane/controller/clusterauthenticationtrust`).
 */
export const CLIENT_CA_PATH = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";

const REFRESH_MS = 60_000;

/**
 * Creates a lookup that reports whether the API accepts client certificates of a CA. It is undefined when that is
 * unknown, because the ConfigMap cannot be read or the CA may be below a trusted one. The ConfigMap is read at most
 * once a minute.
 */
export function createClientTrust(
  transport: Transport,
  { clock, logger }: ClientTrustDeps,
  signal: AbortSignal,
): (authority: Authority) => Promise<boolean | undefined> {
  const api = createApiClient(transport, { clock });
  let trusted: readonly CertificateFacts[] | undefined;
  let readAt = -Infinity;
  let reading: Promise<void> | undefined;
  let reported = "";

  async function read(): Promise<void> {
    try {
      const { data } = await api.requestObject<ConfigMap>({ method: "GET", path: CLIENT_CA_PATH }, signal);
      trusted = parseTrusted(data?.["client-ca-file"]);
      reported = "";
    } catch (error) {
      signal.throwIfAborted();
      const text = getErrorMessage(error);
      if (text !== reported) logger.warn("cannot read which CAs the API trusts for clients", { error: text });
      reported = text;
    }
  }

  return async (authority) => {
    const now = clock.elapsedMs();
    if (reading === undefined && now - readAt >= REFRESH_MS) {
      readAt = now;
      reading = read().finally(() => {
        reading = undefined;
      });
    }
    await reading;
    return trusted === undefined ? undefined : findClientTrust(authority, trusted);
  };
}

/** Parses the bundle. An API without the entry trusts no client certificates. */
function parseTrusted(pem: string | undefined): readonly CertificateFacts[] {
  if (pem === undefined || pem.trim() === "") return [];
  const bundle = parseCaBundle(pem);
  if (bundle.ok) return bundle.value;
  throw new AppError("ca_invalid", `cannot read client-ca-file: ${bundle.error}`);
}
