/** The revoked certificates of a storage, for the CRLs of their CAs. */
import type { IssuedCertificate, Revocation } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { REGISTER_PREFIX } from "../register/register.ts";
import { REVOCATIONS_PREFIX } from "./revocations.ts";
import { findRevoked, findUnrecorded, type RevokedCertificate, selectRevoked } from "../../core/revocation/crl_plan.ts";
import { followResource } from "../storage/follow.ts";
import type { Storage, StorageWatch, Stored } from "../storage/storage.ts";

/** An index of the revoked certificates, which follows the storage until it is disposed. */
export interface RevokedCertificates extends Disposable {
  /** Lists the revoked certificates of a CA, the newest revocations last. */
  list(issuerFingerprint: string): readonly RevokedCertificate[];
}

/** Reads the revoked certificates and follows their changes; `onChange` is called after each change of the list. */
export async function followRevokedCertificates(
  storage: Pick<Storage, "list" | "watch">,
  onChange: () => void,
): Promise<RevokedCertificates> {
  const revoked = new Map<string, RevokedCertificate>();
  const watches = [
    await follow(storage, REGISTER_PREFIX, revoked, onChange),
    await follow(storage, REVOCATIONS_PREFIX, revoked, onChange),
  ];
  return {
    list: (issuerFingerprint) => selectRevoked([...revoked.values()], issuerFingerprint),
    [Symbol.dispose]() {
      for (const watch of watches) watch.stop();
    },
  };
}

async function follow(
  storage: Pick<Storage, "list" | "watch">,
  prefix: string,
  revoked: Map<string, RevokedCertificate>,
  onChange: () => void,
): Promise<StorageWatch> {
  let isChanged = false;
  return await followResource(storage, prefix, {
    clear() {
      for (const key of revoked.keys()) if (key.startsWith(prefix)) revoked.delete(key);
      isChanged = true;
    },
    added(_name, stored) {
      const found = readRevoked(stored);
      if (JSON.stringify(revoked.get(stored.key)) === JSON.stringify(found)) return;
      if (found === undefined) revoked.delete(stored.key);
      else revoked.set(stored.key, found);
      isChanged = true;
    },
    removed(_name, { key }) {
      if (revoked.delete(key)) isChanged = true;
    },
    changed() {
      if (isChanged) onChange();
      isChanged = false;
    },
  });
}

/** Lists the revoked certificates among stored objects of all kinds, for a command that follows nothing. */
export function listRevokedCertificates(
  items: readonly Pick<Stored, "key" | "object">[],
): readonly RevokedCertificate[] {
  return items.map(readRevoked).filter((certificate) => certificate !== undefined);
}

function readRevoked({ key, object }: Pick<Stored, "key" | "object">): RevokedCertificate | undefined {
  // Every object under a prefix passed the strategy of its resource, so its type is known.
  if (key.startsWith(REGISTER_PREFIX)) return findRevoked(object as IssuedCertificate);
  return key.startsWith(REVOCATIONS_PREFIX) ? findUnrecorded(object as Revocation) : undefined;
}
