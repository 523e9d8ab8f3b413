/** `jwt`: service account tokens. No text but the issued token is accepted, whatever its header says. */
import { generatePrivateKey } from "../../../core/pki/keys/keys.ts";
import { encodeClaims, parseClaims } from "../../../core/service_accounts/claims.ts";
import { parseJwt, signJwt, verifyJwt } from "../../../core/service_accounts/jwt.ts";
import { parseTokenSigner } from "../../../core/service_accounts/keys.ts";
import { Buffer } from "node:buffer";
import { assertSame } from "../oracle.ts";
import { decodeText, encodeText, type Target } from "../target.ts";

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
    name: "jwt",
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
