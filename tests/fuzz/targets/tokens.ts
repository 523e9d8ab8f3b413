/**
 * Values that the server issues and gets back. It accepts only the exact text of a service account token, whatever the
 * header says, and opens only the exact bytes of a proof exchange's sealed state.
 */
import {
  beginAttestation,
  completeAttestation,
  createProofMessage,
  createSealingKey,
  type ExchangeContext,
} from "../../../core/attestation/exchange.ts";
import type { Evidence } from "../../../core/attestation/proof.ts";
import {
  formatSshFingerprint,
  PROOF_NAMESPACE,
  signSsh,
  toSshPublicKey,
} from "../../../core/attestation/ssh_signature.ts";
import { ok } from "../../../core/lib/result.ts";
import type { NodeName } from "../../../core/machine/node_name.ts";
import { equalBytes } from "../../../core/pki/asn1/der.ts";
import type { PublicKeyPin } from "../../../core/pki/keys/key_names.ts";
import { createSeededRandom } from "../../support/seeded_random.ts";
import { createSoftwareTpm } from "../../support/software_tpm.ts";
import { generatePrivateKey } from "../../../core/pki/keys/keys.ts";
import {
  encodeClaims,
  parseClaims,
  parseJwt,
  parseTokenSigner,
  signJwt,
  verifyJwt,
} from "../../../core/service_accounts/jwt.ts";
import { Buffer } from "node:buffer";
import { assertHolds, assertSame, toOutcome } from "../oracle.ts";
import { type Bytes, decodeText, encodeText, type Target } from "../target.ts";

export async function jwt(): Promise<Target> {
  const signer = parseTokenSigner((await generatePrivateKey("ecdsa-p256")).toPem());
  if (!signer.ok) throw new Error(signer.error);
  const { key } = signer.value;
  const claims = encodeClaims({
    issuer: "i",
    subject: "system:serviceaccount:n:a",
    audiences: ["i"],
    issuedAt: 1,
    notBefore: 1,
    expiry: 2,
    id: "x",
    namespace: "n",
    account: { name: "a", uid: "u" },
    node: { name: "m", uid: "v" },
    warnAfter: 3,
  });
  const token = signJwt(signer.value, claims);
  const [header = "", payload = "", signature = ""] = token.split(".");
  const signedText = `${header}.${payload}`;
  const encode = (text: string) => Buffer.from(text).toString("base64url");
  const headers = [
    '{"alg":"none"}',
    '{"alg":"HS256"}',
    '{"alg":"ES256","alg":"none"}',
    '{"alg":"ES256","crit":["b64"]}',
  ];
  return {
    seeds: [token, ...headers.map((one) => `${encode(one)}.${payload}.${signature}`), `${header}.e30.`, "a.b.c"].map(
      encodeText,
    ),
    words: [header, payload, signature, ...headers.map(encode), encode("{}"), encode('{"iss":"i","iss":"j"}')],
    maxBytes: 128 * 1024,
    run(input) {
      const parsed = parseJwt(decodeText(input));
      if (parsed === undefined) return "no token";
      const hasClaims = parseClaims(parsed.claims) !== undefined;
      const verified = verifyJwt(parsed, [key]);
      if (verified.ok) assertSame(parsed.signedText, signedText, "what was signed");
      return `${verified.ok} ${hasClaims} ${parsed.keyId === key.id}`;
    },
  };
}

const SUBJECT = {
  node: "n1" as NodeName,
  key: `sha256:${"a".repeat(64)}` as PublicKeyPin,
  caHash: `sha256:${"c".repeat(64)}` as PublicKeyPin,
};

export async function sealedState(): Promise<Target> {
  const now = new Date("2026-12-02T01:00:00Z");
  const sealingKey = createSealingKey(encodeText("secret"));
  const context: ExchangeContext = { caHash: SUBJECT.caHash, now, sealingKey };
  const begin = async (evidence: Evidence, more: Partial<ExchangeContext> = {}) => {
    const options = { ...context, ...more, pcrs: [0, 7], random: createSeededRandom() };
    const begun = await beginAttestation({ ...SUBJECT, evidence }, options);
    if (!begun.ok) throw new Error(begun.error.message);
    return begun.value;
  };
  const privateKey = await generatePrivateKey("ed25519");
  const key = toSshPublicKey(privateKey);
  if (!key.ok) throw new Error(key.error);
  const publicKey = key.value;
  const hostKey: Evidence = { kind: "ssh", hostKey: publicKey.wire };
  const real = await begin(hostKey);
  const message = createProofMessage({ ...SUBJECT, challenge: real.nonce });
  const signature = signSsh({ publicKey, privateKey, namespace: PROOF_NAMESPACE, message });
  const expected = { ssh: [formatSshFingerprint(publicKey)], pcrs: new Map() };
  const open = (state: Bytes) =>
    completeAttestation(
      { ...SUBJECT, answer: { kind: "ssh", signature }, state },
      { ...context, findExpected: () => ok(expected) },
    );
  const seals = [
    begin((await createSoftwareTpm()).evidence),
    begin(hostKey, { now: new Date("2026-12-02T00:30:00Z") }),
    begin(hostKey, { sealingKey: createSealingKey(encodeText("another")) }),
  ];
  const others = (await Promise.all(seals)).map(({ state }) => state);
  return {
    seeds: [real.state, ...others],
    words: ["\u0000", "\u0001", "\u0002"],
    maxBytes: 16_384,
    async run(input) {
      const opened = await open(input);
      assertHolds(opened.ok === equalBytes(input, real.state), "only the sealed state opens");
      const flipped = await open(flipBit(real.state, input));
      assertHolds(!flipped.ok && flipped.error.reason === "state", "a state with a flipped bit is refused");
      return opened.ok ? "ok" : `${opened.error.reason} ${toOutcome(opened.error.detail)}`;
    },
  };
}

/** Flips the bit of `bytes` that the bytes `by` select. */
function flipBit(bytes: Bytes, by: Bytes): Bytes {
  const bit = by.reduce((sum, byte) => (sum * 31 + byte) >>> 0, by.length) % (bytes.length * 8);
  return bytes.map((byte, index) => index === bit >> 3 ? byte ^ 1 << bit % 8 : byte);
}
