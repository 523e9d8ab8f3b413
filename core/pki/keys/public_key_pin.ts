/** The pin of a public key, by which kubeadm's discovery identifies a CA, and a bootstrap token the key of a machine. */
import { hash } from "node:crypto";
import type { Brand } from "../../lib/brand.ts";
import { err, ok, type Result } from "../../lib/result.ts";

/** `sha256:` and the hexadecimal hash of a public key, as in `kubeadm join --discovery-token-ca-cert-hash`. */
export type PublicKeyPin = Brand<string, "PublicKeyPin">;

const PIN = /^sha256:[0-9a-f]{64}$/;

/** Computes the pin of the public key of a certificate or a request. */
export function publicKeyPin({ publicKeyDer }: { readonly publicKeyDer: Uint8Array }): PublicKeyPin {
  return `sha256:${hash("sha256", publicKeyDer)}` as PublicKeyPin;
}

/** Parses a pin; upper case is accepted, as in kubeadm. */
export function parsePublicKeyPin(text: string): Result<PublicKeyPin, string> {
  const pin = text.toLowerCase();
  if (PIN.test(pin)) return ok(pin as PublicKeyPin);
  return err("want sha256: and 64 hexadecimal digits, the public key pin of tlsboot ca show");
}
