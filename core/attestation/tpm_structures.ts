/**
 * The structures of a TPM 2.0 that an attestation needs (TCG, Trusted Platform Module Library, part 2): public areas of
 * keys, names, quotes and signatures. Numbers are big endian; a buffer (`TPM2B`) follows its length in two bytes.
 */
import { createHash } from "node:crypto";
import { concatBytes, encodeUint } from "../lib/encodings.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { type Bytes, toResult } from "../pki/asn1/der.ts";
import { encodeSequence, encodeUnsigned } from "../pki/asn1/der_writer.ts";
import { encodePublicKey, parsePublicKey, type PublicKeyFacts } from "../pki/keys/public_key.ts";

/** The identifiers of algorithms (TPM_ALG_ID). */
export const TPM_ALGORITHM = {
  rsa: 0x0001,
  aes: 0x0006,
  sha256: 0x000b,
  none: 0x0010,
  rsassa: 0x0014,
  rsapss: 0x0016,
  ecdsa: 0x0018,
  ecc: 0x0023,
  cfb: 0x0043,
} as const;

const SIGNATURE_SCHEMES: readonly number[] = [TPM_ALGORITHM.rsassa, TPM_ALGORITHM.rsapss, TPM_ALGORITHM.ecdsa];

/** The attributes of a key (TPMA_OBJECT): its origin and its permitted uses. */
export const TPM_ATTRIBUTE = {
  fixedTPM: 1 << 1,
  fixedParent: 1 << 4,
  sensitiveDataOrigin: 1 << 5,
  userWithAuth: 1 << 6,
  adminWithPolicy: 1 << 7,
  noDA: 1 << 10,
  restricted: 1 << 16,
  decrypt: 1 << 17,
  sign: 1 << 18,
} as const;

/** The curve P-256 (TPM_ECC_CURVE), the only one in use here. */
const P256 = 0x0003;
const P256_BYTES = 32;
/** The exponent that a TPM writes as zero. */
const DEFAULT_EXPONENT = 65_537;
/** The first number of a TPMS_ATTEST that a TPM generated (TPM_GENERATED_VALUE). */
const GENERATED = 0xff544347;
/** The type of a quote in a TPMS_ATTEST (TPM_ST_ATTEST_QUOTE). */
const QUOTE = 0x8018;
/** The size of clock, resetCount, restartCount and safe (TPMS_CLOCK_INFO), and of the firmware version. */
const CLOCK_AND_FIRMWARE_BYTES = 8 + 4 + 4 + 1 + 8;
/** Limits on the banks of PCRs and the bytes of a selection, which exceed those of any TPM. */
const MAX_BANKS = 16;
const MAX_SELECT_BYTES = 8;
/** The size of a selection of PCRs 0 to 23, those of a PC. */
const SELECT_BYTES = 3;

/** A fault in an encoding, which `readTpm` returns as an error. */
class TpmFormatError extends Error {}

/** Reads values one after another. */
export class TpmReader {
  readonly #bytes: Bytes;
  #at = 0;

  constructor(bytes: Bytes) {
    this.#bytes = bytes;
  }

  uint8(): number {
    return this.bytes(1)[0]!;
  }

  uint16(): number {
    return this.uint8() * 0x100 + this.uint8();
  }

  uint32(): number {
    return this.uint16() * 0x10000 + this.uint16();
  }

  bytes(length: number): Bytes {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new TpmFormatError("it ends too early");
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }

  /** Reads a TPM2B without its length. */
  sized(): Bytes {
    return this.bytes(this.uint16());
  }

  /** Reads all of the remaining bytes. */
  rest(): Bytes {
    return this.bytes(this.#bytes.length - this.#at);
  }

  fail(fault: string): never {
    throw new TpmFormatError(fault);
  }
}

/** Reads a whole structure; nothing may follow it. */
export function readTpm<T>(bytes: Bytes, read: (reader: TpmReader) => T): Result<T, string> {
  try {
    const reader = new TpmReader(bytes);
    const value = read(reader);
    return reader.rest().length === 0 ? ok(value) : err("bytes follow it");
  } catch (error) {
    if (error instanceof TpmFormatError) return err(error.message);
    throw error;
  }
}

/** Encodes a TPM2B: the length, and the parts. */
export function tpmBuffer(...parts: readonly Uint8Array[]): Bytes {
  return concatBytes(encodeUint(2, parts.reduce((sum, { length }) => sum + length, 0)), ...parts);
}

/** The public area of a key (TPMT_PUBLIC). */
export interface TpmPublicArea {
  readonly nameAlgorithm: number;
  /** The attributes as bits of `TPM_ATTRIBUTE`. */
  readonly attributes: number;
  readonly authPolicy: Bytes;
  /** The cipher by which a storage key protects others; undefined for a signing key. */
  readonly symmetric?: { readonly algorithm: number; readonly bits: number; readonly mode: number } | undefined;
  /** The scheme that the key is limited to. */
  readonly scheme?: { readonly algorithm: number; readonly hash: number } | undefined;
  readonly key:
    | { readonly kind: "rsa"; readonly bits: number; readonly exponent: number; readonly modulus: Bytes }
    | { readonly kind: "ecc"; readonly curve: number; readonly x: Bytes; readonly y: Bytes };
}

/** Parses a TPMT_PUBLIC of an RSA or ECC key, without the size before it. */
export function parsePublicArea(bytes: Bytes): Result<TpmPublicArea, string> {
  return readTpm(bytes, (reader) => {
    const type = reader.uint16();
    if (type !== TPM_ALGORITHM.rsa && type !== TPM_ALGORITHM.ecc) reader.fail("it is not an RSA or ECC key");
    return {
      nameAlgorithm: reader.uint16(),
      attributes: reader.uint32(),
      authPolicy: reader.sized(),
      symmetric: readSymmetric(reader),
      scheme: readScheme(reader),
      key: type === TPM_ALGORITHM.rsa ? readRsa(reader) : readEcc(reader),
    };
  });
}

function readSymmetric(reader: TpmReader): TpmPublicArea["symmetric"] {
  const algorithm = reader.uint16();
  return algorithm === TPM_ALGORITHM.none ? undefined : { algorithm, bits: reader.uint16(), mode: reader.uint16() };
}

function readScheme(reader: TpmReader): TpmPublicArea["scheme"] {
  const algorithm = reader.uint16();
  if (algorithm === TPM_ALGORITHM.none) return undefined;
  if (!SIGNATURE_SCHEMES.includes(algorithm)) reader.fail("its scheme is not supported");
  return { algorithm, hash: reader.uint16() };
}

function readRsa(reader: TpmReader): TpmPublicArea["key"] {
  const [bits, exponent] = [reader.uint16(), reader.uint32()];
  return { kind: "rsa", bits, exponent: exponent === 0 ? DEFAULT_EXPONENT : exponent, modulus: reader.sized() };
}

function readEcc(reader: TpmReader): TpmPublicArea["key"] {
  const [curve, kdf] = [reader.uint16(), reader.uint16()];
  if (kdf !== TPM_ALGORITHM.none) reader.fail("its key derivation is not supported");
  return { kind: "ecc", curve, x: reader.sized(), y: reader.sized() };
}

/** Encodes a TPMT_PUBLIC. The key of a template is zeros or empty. */
export function encodePublicArea(
  { nameAlgorithm, attributes, authPolicy, symmetric, scheme, key }: TpmPublicArea,
): Bytes {
  const none = [encodeUint(2, TPM_ALGORITHM.none)];
  const head = [
    encodeUint(2, key.kind === "rsa" ? TPM_ALGORITHM.rsa : TPM_ALGORITHM.ecc),
    encodeUint(2, nameAlgorithm),
    encodeUint(4, attributes),
    tpmBuffer(authPolicy),
    ...symmetric === undefined
      ? none
      : [symmetric.algorithm, symmetric.bits, symmetric.mode].map((value) => encodeUint(2, value)),
    ...scheme === undefined ? none : [encodeUint(2, scheme.algorithm), encodeUint(2, scheme.hash)],
  ];
  if (key.kind === "ecc") {
    return concatBytes(...head, encodeUint(2, key.curve), ...none, tpmBuffer(key.x), tpmBuffer(key.y));
  }
  const exponent = key.exponent === DEFAULT_EXPONENT ? 0 : key.exponent;
  return concatBytes(...head, encodeUint(2, key.bits), encodeUint(4, exponent), tpmBuffer(key.modulus));
}

/** Computes the name of a key whose name algorithm is SHA-256: that identifier, and the hash of the public area. */
export function computeTpmName(publicArea: Bytes): Bytes {
  return concatBytes(encodeUint(2, TPM_ALGORITHM.sha256), createHash("sha256").update(publicArea).digest());
}

/** Parses the key of a public area: RSA, or ECC on P-256. */
export function parseTpmKey({ key }: TpmPublicArea): Result<PublicKeyFacts, string> {
  if (key.kind === "rsa") {
    const { bits, exponent, modulus } = key;
    if (modulus.length * 8 !== bits) return err("the modulus is not as long as the key");
    const parts = { algorithm: "RSA", modulus, exponent: encodeUint(4, exponent) } as const;
    return toResult(() => parsePublicKey(encodePublicKey(parts)));
  }
  if (key.curve !== P256) return err("the curve is not P-256");
  if (key.x.length > P256_BYTES || key.y.length > P256_BYTES) return err("the point is too long");
  const point = concatBytes(Uint8Array.of(4), padP256(key.x), padP256(key.y));
  return toResult(() => parsePublicKey(encodePublicKey({ algorithm: "ECDSA", curve: "P-256", point })));
}

/** Older TPMs omit leading zeros of a coordinate. */
function padP256(coordinate: Bytes): Bytes {
  return concatBytes(new Uint8Array(P256_BYTES - coordinate.length), coordinate);
}

/** The policy of the standard endorsement keys: PolicySecret with the endorsement hierarchy's authorization. */
const ENDORSEMENT_POLICY = Uint8Array.of(
  ...[0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24],
  ...[0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa],
);

const CREATED_IN_TPM = TPM_ATTRIBUTE.fixedTPM | TPM_ATTRIBUTE.fixedParent | TPM_ATTRIBUTE.sensitiveDataOrigin;

const ENDORSEMENT_KEY: Omit<TpmPublicArea, "key"> = {
  nameAlgorithm: TPM_ALGORITHM.sha256,
  attributes: CREATED_IN_TPM | TPM_ATTRIBUTE.adminWithPolicy | TPM_ATTRIBUTE.restricted | TPM_ATTRIBUTE.decrypt,
  authPolicy: ENDORSEMENT_POLICY,
  symmetric: { algorithm: TPM_ALGORITHM.aes, bits: 128, mode: TPM_ALGORITHM.cfb },
};

/**
 * The templates of the standard endorsement keys, in the order in which they are tried, and the NV indices of their
 * certificates (TCG EK Credential Profile, templates L-1 and L-2).
 */
export const ENDORSEMENT_TEMPLATES: readonly { readonly area: TpmPublicArea; readonly certificateIndex: number }[] = [
  {
    area: { ...ENDORSEMENT_KEY, key: { kind: "rsa", bits: 2048, exponent: 65_537, modulus: new Uint8Array(256) } },
    certificateIndex: 0x01c00002,
  },
  {
    area: {
      ...ENDORSEMENT_KEY,
      key: { kind: "ecc", curve: P256, x: new Uint8Array(P256_BYTES), y: new Uint8Array(P256_BYTES) },
    },
    certificateIndex: 0x01c0000a,
  },
];

/** The template of the attestation key: on P-256, and restricted to structures that the TPM itself made. */
export const ATTESTATION_TEMPLATE: TpmPublicArea = {
  nameAlgorithm: TPM_ALGORITHM.sha256,
  attributes: CREATED_IN_TPM | TPM_ATTRIBUTE.userWithAuth | TPM_ATTRIBUTE.noDA | TPM_ATTRIBUTE.restricted |
    TPM_ATTRIBUTE.sign,
  authPolicy: new Uint8Array(0),
  scheme: { algorithm: TPM_ALGORITHM.ecdsa, hash: TPM_ALGORITHM.sha256 },
  key: { kind: "ecc", curve: P256, x: new Uint8Array(0), y: new Uint8Array(0) },
};

/** PCRs of one bank (TPMS_PCR_SELECTION), in ascending order. */
interface PcrSelection {
  readonly hash: number;
  readonly pcrs: readonly number[];
}

/** Encodes a TPML_PCR_SELECTION of PCRs 0 to 23 in the SHA-256 bank. */
export function encodePcrSelection(pcrs: readonly number[]): Bytes {
  const bits = new Uint8Array(SELECT_BYTES);
  for (const pcr of pcrs) bits[pcr >> 3]! |= 1 << (pcr & 7);
  return concatBytes(encodeUint(4, 1), encodeUint(2, TPM_ALGORITHM.sha256), encodeUint(1, SELECT_BYTES), bits);
}

/** Reads the PCRs of each bank from a TPML_PCR_SELECTION. */
export function readPcrSelections(reader: TpmReader): readonly PcrSelection[] {
  const count = reader.uint32();
  if (count > MAX_BANKS) reader.fail("it selects too many banks of PCRs");
  return Array.from({ length: count }, () => {
    const hash = reader.uint16();
    const length = reader.uint8();
    if (length > MAX_SELECT_BYTES) reader.fail("it selects too many PCRs");
    const bits = reader.bytes(length);
    const all = Array.from({ length: length * 8 }, (_, pcr) => pcr);
    return { hash, pcrs: all.filter((pcr) => (bits[pcr >> 3]! & (1 << (pcr & 7))) !== 0) };
  });
}

/** The content of a quote. */
interface TpmQuote {
  readonly qualifyingData: Bytes;
  readonly selections: readonly PcrSelection[];
  readonly pcrDigest: Bytes;
}

/** Parses a TPMS_ATTEST, which must be a quote that a TPM made. */
export function parseQuote(bytes: Bytes): Result<TpmQuote, string> {
  return readTpm(bytes, (reader) => {
    if (reader.uint32() !== GENERATED) reader.fail("it was not made by a TPM");
    if (reader.uint16() !== QUOTE) reader.fail("it is not a quote");
    reader.sized(); // The name of the signing key, which the signature proves.
    const qualifyingData = reader.sized();
    reader.bytes(CLOCK_AND_FIRMWARE_BYTES);
    return { qualifyingData, selections: readPcrSelections(reader), pcrDigest: reader.sized() };
  });
}

/** A signature with its scheme; that of ECDSA in DER, as X.509 and `node:crypto` have it. */
interface TpmSignature {
  readonly algorithm: number;
  readonly hash: number;
  readonly signature: Bytes;
}

/** Parses a TPMT_SIGNATURE of RSASSA, RSAPSS or ECDSA. */
export function parseTpmSignature(bytes: Bytes): Result<TpmSignature, string> {
  return readTpm(bytes, (reader) => {
    const [algorithm, hash] = [reader.uint16(), reader.uint16()];
    if (!SIGNATURE_SCHEMES.includes(algorithm)) reader.fail("its scheme is not supported");
    if (algorithm !== TPM_ALGORITHM.ecdsa) return { algorithm, hash, signature: reader.sized() };
    const [r, s] = [reader.sized(), reader.sized()];
    return { algorithm, hash, signature: encodeSequence(encodeUnsigned(r), encodeUnsigned(s)) };
  });
}
