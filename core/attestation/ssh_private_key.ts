/** Private keys of SSH without a passphrase, such as host keys (OpenSSH's `PROTOCOL.key`). */
import { decodeHex } from "../lib/encodings.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { type Bytes, contextTag, DerError, equalBytes, toResult } from "../pki/asn1/der.ts";
import {
  encodeBitString,
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeSmallInteger,
  encodeUnsigned,
  encodeValue,
} from "../pki/asn1/der_writer.ts";
import { encodePem, findKeyBlock } from "../pki/asn1/pem.ts";
import { parsePrivateKey, type PrivateKey } from "../pki/keys/keys.ts";
import { PUBLIC_KEY_OID, toBigInt } from "../pki/keys/public_key.ts";
import { readCurve, readKeyType, type SshPublicKey, SshReader, toSshPublicKey } from "./ssh_signature.ts";

/** A private key and its public key, as `signSsh` needs them. */
interface SshKeyPair {
  readonly publicKey: SshPublicKey;
  readonly privateKey: PrivateKey;
}

const MAGIC = "openssh-key-v1\0";
const DAMAGED = "the private key is damaged";

/** Parses a private key in the format of ssh-keygen since OpenSSH 7.8, or in one of the PEM formats before it. */
export function parseSshPrivateKey(text: string): Result<SshKeyPair, string> {
  const block = findKeyBlock(text);
  if (block?.label !== "OPENSSH PRIVATE KEY") return parsePem(text);
  const read = toResult(() => readFile(new SshReader(block.bytes)));
  if (!read.ok) return read;
  const pair = parsePem(read.value.pem);
  if (!pair.ok || equalBytes(pair.value.publicKey.wire, read.value.wire)) return pair;
  return err("its private part does not match its public part: the key was changed");
}

function parsePem(pem: string): Result<SshKeyPair, string> {
  const key = parsePrivateKey(pem);
  if (!key.ok) return key;
  const publicKey = toSshPublicKey(key.value);
  return publicKey.ok ? ok({ publicKey: publicKey.value, privateKey: key.value }) : publicKey;
}

/** Reads the public key in wire format, and the private key, which becomes PEM. */
function readFile(reader: SshReader): { readonly wire: Bytes; readonly pem: string } {
  reader.expectText(MAGIC, "it is not a key of OpenSSH");
  const cipher = reader.readName();
  if (cipher !== "none") throw new DerError("the private key is encrypted; ssh-keygen -p removes the passphrase");
  // The name and the options of a key derivation, which an unencrypted key does not use.
  reader.readString();
  reader.readString();
  if (reader.readUint32() !== 1) throw new DerError("the file must contain exactly one key");
  const wire = reader.readString();
  const inner = new SshReader(reader.readString());
  reader.expectEnd();
  if (inner.readUint32() !== inner.readUint32()) throw new DerError(DAMAGED);
  const pem = readPrivateParts(inner);
  // The comment, and the bytes 1, 2, 3 and so on up to a multiple of the cipher's block.
  inner.readString();
  if (inner.readRest().some((byte, index) => byte !== index + 1)) throw new DerError(DAMAGED);
  return { wire, pem };
}

function readPrivateParts(reader: SshReader): string {
  const type = readKeyType(reader);
  switch (type) {
    case "ssh-ed25519": {
      reader.readString();
      // The seed, followed by the public key again.
      const seed = reader.readString().subarray(0, 32);
      const algorithm = encodeSequence(encodeOid(PUBLIC_KEY_OID.ed25519));
      const key = encodeOctetString(encodeOctetString(seed));
      return encodePem("PRIVATE KEY", encodeSequence(encodeSmallInteger(0), algorithm, key));
    }
    case "ssh-rsa": {
      const [n, e, d] = [reader.readNumber(), reader.readNumber(), reader.readNumber()];
      const [inverse, p, q] = [reader.readNumber(), reader.readNumber(), reader.readNumber()];
      const numbers = [n, e, d, p, q, reduce(d, p), reduce(d, q), inverse];
      return encodePem(
        "RSA PRIVATE KEY",
        encodeSequence(encodeSmallInteger(0), ...numbers.map((number) => encodeUnsigned(number))),
      );
    }
    default: {
      const curve = readCurve(reader, type);
      const point = reader.readString();
      const hex = toBigInt(reader.readNumber()).toString(16).padStart(2 * curve.size, "0");
      return encodePem(
        "EC PRIVATE KEY",
        encodeSequence(
          encodeSmallInteger(1),
          encodeOctetString(decodeHex(hex)),
          encodeValue(contextTag(0, true), encodeOid(curve.oid)),
          encodeValue(contextTag(1, true), encodeBitString(point)),
        ),
      );
    }
  }
}

/** Computes the private exponent modulo a prime minus one, which PKCS#1 contains and SSH does not. */
function reduce(exponent: Bytes, prime: Bytes): Bytes {
  const modulus = toBigInt(prime) - 1n;
  if (modulus < 1n) throw new DerError(DAMAGED);
  const hex = (toBigInt(exponent) % modulus).toString(16);
  return decodeHex(hex.padStart(hex.length + hex.length % 2, "0"));
}
