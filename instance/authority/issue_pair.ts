/** Issues the certificates of the administrator and the server directly from a CA on disk, without a request. */
import { formatTime } from "../../core/kube/meta.ts";
import type { Authority } from "../../core/pki/authority/authority.ts";
import { encodeIssued, issueCertificate, SERIAL_BYTES } from "../../core/pki/authority/issue.ts";
import { BACKDATE_MS } from "../../core/signing/profile.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import type { SubjectFields } from "../../core/pki/x509/names.ts";
import { AppError } from "../../core/errors.ts";
import type { Clock, Random } from "../../core/ports.ts";
import { Secret } from "../../core/lib/brand.ts";
import { chainNotAfter } from "../../core/pki/x509/ca_bundle.ts";

/** The contents of a certificate to issue. */
interface PairPlan {
  readonly subject: SubjectFields;
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly usages: readonly string[];
  readonly lifetimeMs: number;
}

/** The subject and the lifetime of a client certificate. */
interface ClientIdentity {
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly lifetimeMs: number;
}

/** A certificate followed by the intermediates of its CA, and its private key, both PEM. */
interface IssuedPair {
  readonly certificatePem: string;
  readonly keyPem: Secret<string>;
  readonly notAfter: Date;
}

/** The ports that issuing a certificate uses. */
export interface IssueDeps {
  readonly clock: Pick<Clock, "now">;
  readonly random: Random;
}

/** Issues a certificate for a new P-256 key. It never outlives the CA. Throws AppError `ca_expired`. */
export async function issuePair(authority: Authority, plan: PairPlan, deps: IssueDeps): Promise<IssuedPair> {
  const now = deps.clock.now().getTime();
  const caEnd = chainNotAfter(authority);
  if (caEnd.getTime() <= now) {
    throw new AppError("ca_expired", `cannot issue a certificate: the CA expired at ${formatTime(caEnd)}`, {
      hint: "move the old CA away and start with a new one; every node must bootstrap again",
    });
  }
  const key = await generatePrivateKey("ecdsa-p256");
  const notAfter = new Date(Math.min(now + plan.lifetimeMs, caEnd.getTime()));
  const der = await issueCertificate(
    {
      subject: plan.subject,
      publicKeyDer: key.publicKeyDer(),
      dnsNames: plan.dnsNames ?? [],
      ipAddresses: plan.ipAddresses ?? [],
      emailAddresses: [],
      uris: [],
      notBefore: new Date(now - BACKDATE_MS),
      notAfter,
      usages: plan.usages,
      isCa: false,
    },
    authority,
    deps.random.bytes(SERIAL_BYTES),
  );
  return { certificatePem: encodeIssued(der, authority), keyPem: new Secret(key.toPem()), notAfter };
}

/** Issues a client certificate for a new key. Throws AppError `ca_expired`. */
export function issueClientPair(authority: Authority, identity: ClientIdentity, deps: IssueDeps): Promise<IssuedPair> {
  const { commonName, organizations, lifetimeMs } = identity;
  return issuePair(
    authority,
    { subject: { commonName, organizations }, usages: ["digital signature", "client auth"], lifetimeMs },
    deps,
  );
}
