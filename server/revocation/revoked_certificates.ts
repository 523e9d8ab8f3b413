/** The revoked certificates of the register, for the CRLs of their CAs. */
import type { IssuedCertificate } from "../../core/kube/tlsboot_v1alpha1.ts";
import { findRevoked, type RevokedCertificate } from "../../core/revocation/crl_plan.ts";
import { followStorage } from "../storage/follow.ts";
import type { Storage, Stored } from "../storage/storage.ts";

/** The prefix of the records in the storage. */
const PREFIX = "/registry/tlsboot/issuedcertificates/";

/** An index of the revoked certificates, which follows the storage until it is disposed. */
export interface RevokedCertificates extends Disposable {
  /** Lists the revoked certificates of a CA, in the order of their issuance. */
  list(issuerFingerprint: string): readonly RevokedCertificate[];
}

/** Reads the revoked certificates and follows their changes; `onChange` is called after each change of the list. */
export async function followRevokedCertificates(
  storage: Pick<Storage, "list" | "watch">,
  onChange: () => void,
): Promise<RevokedCertificates> {
  const revoked = new Map<string, RevokedCertificate>();
  const watch = await followStorage(storage, PREFIX, {
    replace(items) {
      revoked.clear();
      for (const { key, certificate } of items.flatMap(readRevoked)) revoked.set(key, certificate);
      onChange();
    },
    apply(events) {
      let isChanged = false;
      for (const { key, current } of events) {
        const [found] = current === undefined ? [] : readRevoked(current);
        if (found === undefined) isChanged = revoked.delete(key) || isChanged;
        else if (JSON.stringify(revoked.get(key)) !== JSON.stringify(found.certificate)) {
          revoked.set(key, found.certificate);
          isChanged = true;
        }
      }
      if (isChanged) onChange();
    },
  });
  return {
    list: (issuerFingerprint) =>
      [...revoked].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, certificate]) => certificate)
        .filter((certificate) => certificate.issuerFingerprint === issuerFingerprint),
    [Symbol.dispose]: () => watch.stop(),
  };
}

/** Lists the revoked certificates among stored objects of all kinds, for a command that follows nothing. */
export function listRevokedCertificates(
  items: readonly Pick<Stored, "key" | "object">[],
): readonly RevokedCertificate[] {
  return items.filter(({ key }) => key.startsWith(PREFIX)).flatMap(readRevoked).map(({ certificate }) => certificate);
}

function readRevoked(
  { key, object }: Pick<Stored, "key" | "object">,
): readonly { readonly key: string; readonly certificate: RevokedCertificate }[] {
  // Every object under the prefix passed the strategy of the resource, so its type is known.
  const certificate = findRevoked(object as IssuedCertificate);
  return certificate === undefined ? [] : [{ key, certificate }];
}
