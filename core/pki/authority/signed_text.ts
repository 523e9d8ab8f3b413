/**
 * Signatures over texts of tlsboot itself. Each text is signed for one purpose, so that no signature counts for another one,
 * and none of these texts can be a certificate or a CRL, which begin with the byte 0x30.
 */
import type { CaKey } from "../../ports.ts";
import { chooseAlgorithm, chooseSignatureAlgorithm } from "./issue.ts";
import { isPrivateKeyAlgorithm } from "../keys/key_algorithm.ts";
import type { PublicKeyFacts } from "../keys/public_key.ts";
import { isSignatureGood } from "../keys/signature.ts";

/** The meaning of a signature. Signatures for these purposes are in files, so the names do not change. */
export type SignedTextPurpose = "bundle of requests" | "bundle of answers" | "register seal" | "use of a CA key";

/** Signs a text for a purpose. Rejects as the key does. */
export async function signText(purpose: SignedTextPurpose, key: CaKey, text: string): Promise<Uint8Array<ArrayBuffer>> {
  return await key.sign(encodeSigned(purpose, text), chooseSignatureAlgorithm(await key.publicKey()));
}

/** Reports whether a key signed a text for a purpose. The key may be of any kind, because it can come from a file. */
export function verifyText(
  purpose: SignedTextPurpose,
  key: PublicKeyFacts,
  text: string,
  signature: Uint8Array<ArrayBuffer>,
): boolean {
  return isPrivateKeyAlgorithm(key.algorithm) &&
    isSignatureGood(chooseAlgorithm(key), key, encodeSigned(purpose, text), signature);
}

function encodeSigned(purpose: SignedTextPurpose, text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`tlsboot/v1alpha1 ${purpose}\n${text}`);
}
