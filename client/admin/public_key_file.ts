/** Reads the public key of a file, apart from `public_key_pin.ts`, so that those who only parse pins load no parsers. */
import { err, ok, type Result } from "../../core/lib/result.ts";
import { toResult } from "../../core/pki/asn1/der.ts";
import { findPemBlock } from "../../core/pki/asn1/pem.ts";
import { parsePublicKey } from "../../core/pki/keys/public_key.ts";
import { type PublicKeyPin, publicKeyPin } from "../../core/pki/keys/public_key_pin.ts";
import { parseCertificate } from "../../core/pki/x509/certificate.ts";
import { parseCertificationRequest } from "../../core/pki/x509/pkcs10.ts";

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
