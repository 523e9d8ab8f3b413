/** Extended key usages by the words of the API. */
import { KEY_USAGES } from "../../core/kube/certificates_v1.ts";
import { extendedKeyUsagesOf } from "../../core/csr/usages.ts";

const NAME_OF: ReadonlyMap<string, string> = new Map(
  KEY_USAGES.flatMap((usage) => extendedKeyUsagesOf([usage]).map((oid) => [oid, usage] as const)).reverse(),
);

/** `client auth` for its OID; the OID itself when the API has no word for it. */
export function extendedUsageName(oid: string): string {
  return NAME_OF.get(oid) ?? oid;
}
