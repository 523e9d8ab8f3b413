/** The pin of a public key, by which kubeadm's discovery identifies a CA, and a bootstrap token the key of a machine. */
import { createHash } from "node:crypto";
import type { Brand } from "../lib/brand.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { parseCertificate } from "./certificate.ts";
import { toResult } from "./der.ts";
import { findPemBlock } from "./pem.ts";
import { parseCertificationRequest } from "./pkcs10.ts";
import { parsePublicKey } from "./public_key.ts";

/** `sha256:` and the hexadecimal hash of a public key, as in `kubeadm join --discovery-token-ca-cert-hash`. */
export type PublicKeyPin = Brand<string, "PublicKeyPin">;

const PIN = /^sha256:[0-9a-f]{64}$/;

/** Computes the pin of the public key of a certificate or a request. */
export function publicKeyPin({ publicKeyDer }: { readonly publicKeyDer: Uint8Array }): PublicKeyPin {
  return `sha256:${createHash("sha256").update(publicKeyDer).digest("hex")}` as PublicKeyPin;
}

/** Reads the pin of a key from the first PEM block of a file: a public key, or a request or certificate for it. */
export function readPublicKeyPin(pem: string): Result<PublicKeyPin, string> {
  const block = findPemBlock(pem)?.block;
  switch (block?.label) {
    case "PUBLIC KEY": {
      const key = toResult(() => parsePublicKey(block.bytes));
      return key.ok ? ok(publicKeyPin({ publicKeyDer: block.bytes })) : key;
    }
    case "CERTIFICATE REQUEST": {
      const request = parseCertificationRequest(block.bytes);
      return request.ok ? ok(publicKeyPin(request.value)) : request;
    }
    case "CERTIFICATE": {
      const certificate = parseCertificate(block.bytes);
      return certificate.ok ? ok(publicKeyPin(certificate.value)) : certificate;
    }
  }
  return err("want a PEM block of type PUBLIC KEY, CERTIFICATE REQUEST or CERTIFICATE");
}

/** Parses a pin; upper case is accepted, as in kubeadm. */
export function parsePublicKeyPin(text: string): Result<PublicKeyPin, string> {
  const pin = text.toLowerCase();
  if (PIN.test(pin)) return ok(pin as PublicKeyPin);
  return err("want sha256: and 64 hexadecimal digits, the public key pin of tlsboot ca show");
}
