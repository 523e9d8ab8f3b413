/** Client certificates from a CA on disk, without a request: for the administrator. */
import type { Authority } from "../core/pki/authority.ts";
import { issueCertificate } from "../core/pki/certificate.ts";
import { generatePrivateKey } from "../core/pki/keys.ts";
import { encodePem } from "../core/pki/pem.ts";
import type { Clock, Random } from "../core/ports.ts";
import { Secret } from "../core/brand.ts";

/** Whose certificate it is. */
export interface ClientIdentity {
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly lifeMs: number;
}

/** A certificate and its key, PEM. */
export interface IssuedPair {
  readonly certificatePem: string;
  readonly keyPem: Secret<string>;
  readonly notAfter: Date;
}

/** The group that may do everything, whatever RBAC says. */
export const MASTERS_GROUP = "system:masters";
const BACKDATE_MS = 5 * 60_000;
const SERIAL_BYTES = 16;

/** Issues a client certificate for a new P-256 key; it ends with the CA at the latest. */
export async function issueClientPair(
  authority: Authority,
  identity: ClientIdentity,
  deps: { readonly clock: Pick<Clock, "now">; readonly random: Random },
): Promise<IssuedPair> {
  const key = await generatePrivateKey("ecdsa-p256");
  const now = deps.clock.now().getTime();
  const notAfter = new Date(Math.min(now + identity.lifeMs, authority.certificate.notAfter.getTime()));
  const der = await issueCertificate(
    {
      subject: { commonName: identity.commonName, organizations: identity.organizations },
      publicKeyDer: key.publicKeyDer(),
      dnsNames: [],
      ipAddresses: [],
      emailAddresses: [],
      uris: [],
      notBefore: new Date(now - BACKDATE_MS),
      notAfter,
      usages: ["digital signature", "client auth"],
      isCa: false,
    },
    authority,
    deps.random.bytes(SERIAL_BYTES),
  );
  return { certificatePem: encodePem("CERTIFICATE", der), keyPem: new Secret(key.toPem()), notAfter };
}
