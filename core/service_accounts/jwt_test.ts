import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonObject } from "../kube/json_value.ts";
import {
  checkTimes,
  encodeClaims,
  parseClaims,
  parseJwt,
  parseTokenKeys,
  parseTokenSigner,
  signJwt,
  type TokenClaims,
  type TokenSigner,
  toTokenUser,
  type UnverifiedJwt,
  verifyJwt,
} from "./jwt.ts";
import { Buffer } from "node:buffer";
import { createHash, createHmac, createPublicKey, generateKeyPairSync, type JsonWebKey, verify } from "node:crypto";
import fc from "../../tests/support/properties.ts";
import { generatePrivateKey, type KeyAlgorithm } from "../pki/keys/keys.ts";
import { createClientCa } from "../../tests/support/test_peers.ts";
import { checkDiscoverableIssuer, formatKeySet } from "./issuer_documents.ts";

const claims: TokenClaims = {
  issuer: "https://kubernetes.default.svc",
  subject: "system:serviceaccount:team:app",
  audiences: ["a"],
  issuedAt: 1000,
  notBefore: 1000,
  expiry: 4600,
  id: "id",
  namespace: "team",
  account: { name: "app", uid: "u" },
};

test("parseClaims() reads what encodeClaims() writes", () => {
  const all = { ...claims, pod: { name: "p", uid: "pu" }, node: { name: "n", uid: "" }, warnAfter: 1010 };
  for (const one of [claims, all, { ...claims, secret: { name: "s", uid: "su" } }]) {
    assert.deepEqual(parseClaims(JSON.parse(JSON.stringify(encodeClaims(one)))), one);
  }
});

test("parseClaims() reads a token without claims, and null as an absent claim", () => {
  const none = { issuer: "", subject: "", audiences: [], id: "", namespace: "", account: { name: "", uid: "" } };
  assert.deepEqual(parseClaims({}), none);
  const own = { namespace: null, serviceaccount: { name: null, uid: null }, pod: null, warnafter: 0 };
  assert.deepEqual(parseClaims({ iss: null, iat: null, nbf: null, exp: null, "kubernetes.io": own }), none);
});

for (const name of ["validatingwebhookconfiguration", "mutatingwebhookconfiguration"]) {
  test(`parseClaims() marks a token that is bound to a ${name}`, () => {
    const bound = (own: JsonObject) => parseClaims({ "kubernetes.io": own })?.isWebhookBound;
    assert.equal(bound({ [name]: { name: "hook", uid: "h" } }), true);
    assert.equal(bound({ pod: { name: "p", uid: "pu" } }), undefined);
  });
}

test("encodeClaims() leaves out the uid of a node that does not exist", () => {
  const { "kubernetes.io": own } = encodeClaims({ ...claims, node: { name: "n", uid: "" } });
  assert.deepEqual((own as JsonObject)["node"], { name: "n" });
});

test("parseClaims() reads one audience as a list, and times with fractions", () => {
  const parsed = parseClaims({ aud: "a", exp: 4600.9 });
  assert.deepEqual(parsed?.audiences, ["a"]);
  assert.equal(parsed?.expiry, 4600);
});

for (
  const members of [
    { iss: 1 },
    { aud: [1] },
    { aud: ["a", 1] },
    { aud: {} },
    { exp: "4600" },
    { exp: Infinity },
    { nbf: {} },
    { "kubernetes.io": [] },
    { "kubernetes.io": { serviceaccount: "app" } },
    { "kubernetes.io": { secret: { name: 1 } } },
    { "kubernetes.io": { warnafter: "1" } },
  ]
) {
  test(`parseClaims() refuses ${JSON.stringify(members)}`, () => {
    assert.equal(parseClaims(members), undefined);
  });
}

for (
  const { at, want } of [
    { at: 939, want: "service account token is not valid yet" },
    { at: 940, want: undefined },
    { at: 4660, want: undefined },
    { at: 4661, want: "service account token has expired" },
  ]
) {
  test(`checkTimes() at second ${at}: ${want ?? "valid"}`, () => {
    const result = checkTimes(claims, at * 1000);
    assert.equal(result.ok ? undefined : result.error, want);
  });
}

test("checkTimes() refuses a token that was issued in the future, whatever its other times", () => {
  const { notBefore: _notBefore, ...without } = claims;
  const result = checkTimes(without, 939_000);
  assert.equal(result.ok ? undefined : result.error, "service account token is issued in the future");
});

test("toTokenUser() has the groups of the account, and the pod and node in extra", () => {
  const user = toTokenUser({ ...claims, pod: { name: "p", uid: "pu" }, node: { name: "n", uid: "nu" } });
  assert.deepEqual(user, {
    username: "system:serviceaccount:team:app",
    uid: "u",
    groups: ["system:serviceaccounts", "system:serviceaccounts:team"],
    extra: {
      "authentication.kubernetes.io/credential-id": ["JTI=id"],
      "authentication.kubernetes.io/node-name": ["n"],
      "authentication.kubernetes.io/node-uid": ["nu"],
      "authentication.kubernetes.io/pod-name": ["p"],
      "authentication.kubernetes.io/pod-uid": ["pu"],
    },
  });
});

for (
  const { name, edit, want } of [
    { name: "no pod and no node", edit: {}, want: [] },
    { name: "a pod without a uid", edit: { pod: { name: "p", uid: "" } }, want: [] },
    { name: "a pod without a name", edit: { pod: { name: "", uid: "pu" } }, want: [] },
    { name: "a node without a name", edit: { node: { name: "", uid: "nu" } }, want: [] },
    { name: "a node that does not exist", edit: { node: { name: "n", uid: "" } }, want: ["node-name"] },
  ]
) {
  test(`toTokenUser() lists in extra the objects to which a token is bound: ${name}`, () => {
    const { extra } = toTokenUser({ ...claims, id: "", ...edit });
    assert.deepEqual(Object.keys(extra), want.map((key) => `authentication.kubernetes.io/${key}`));
  });
}

async function createSigner(algorithm: KeyAlgorithm): Promise<TokenSigner> {
  const signer = parseTokenSigner((await generatePrivateKey(algorithm)).toPem());
  assert.ok(signer.ok);
  return signer.value;
}

function parse(token: string): UnverifiedJwt {
  const jwt = parseJwt(token);
  assert.ok(jwt !== undefined);
  return jwt;
}

const encode = (value: unknown) =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
const signer = await createSigner("ecdsa-p256");
const other = await createSigner("ecdsa-p384");
const keys = [other.key, signer.key];
const token = signJwt(signer, { iss: "i", "kubernetes.io": { namespace: "n", absent: undefined }, aud: ["a"] });
const [, payload = "", signature = ""] = token.split(".");

for (
  const [algorithm, name] of [
    ["rsa-2048", "RS256"],
    ["ecdsa-p256", "ES256"],
    ["ecdsa-p384", "ES384"],
    ["ecdsa-p521", "ES512"],
  ] as const
) {
  test(`signJwt() signs with ${name}, and verifyJwt() accepts it with the public key only`, async () => {
    const own = await createSigner(algorithm);
    const jwt = parse(signJwt(own, { iss: "i" }));
    assert.equal(jwt.algorithm, name);
    const published = parseTokenKeys(own.key.toPem());
    assert.ok(published.ok);
    assert.deepEqual(verifyJwt(jwt, published.value), { ok: true, value: { iss: "i" } });
    assert.equal(published.value[0]?.id, jwt.keyId);
    assert.equal(verifyJwt({ ...jwt, keyId: "" }, [(await createSigner(algorithm)).key]).ok, false);
  });
}

for (const algorithm of ["rsa-2048", "ecdsa-p384"] as const) {
  test(`a token is verified by its ${algorithm} key in the key set`, async () => {
    const own = await createSigner(algorithm);
    const { keys: [jwk] } = JSON.parse(formatKeySet([own.key])) as { readonly keys: readonly JsonWebKey[] };
    const jwt = parse(signJwt(own, { iss: "i" }));
    const key = { key: createPublicKey({ key: jwk!, format: "jwk" }), dsaEncoding: "ieee-p1363" as const };
    assert.ok(verify(algorithm === "rsa-2048" ? "sha256" : "sha384", Buffer.from(jwt.signedText), key, jwt.signature));
  });
}

test("parseTokenKeys() reads public keys, certificates and private keys, and skips other blocks and keys", async () => {
  const certificate = await createClientCa(new Date("2026-11-25T12:00:00Z"));
  const read = (pem: string) => {
    const parsed = parseTokenKeys(pem);
    return parsed.ok ? parsed.value.map(({ id }) => id) : parsed.error;
  };
  const own = await generatePrivateKey("ecdsa-p256");
  const ownId = createHash("sha256").update(own.publicKeyDer()).digest("base64url");
  const certified = createHash("sha256").update(certificate.certificate.publicKeyDer).digest("base64url");
  const edwards = (await generatePrivateKey("ed25519")).toPem();
  const breakPem = (pem: string) => pem.replace(/\n.{8}/, "\nAAAAAAAA");
  const encrypted = own.toPem().replace("\n", "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n");
  const { publicKey: short } = generateKeyPairSync("rsa", { modulusLength: 512 });
  const weak = short.export({ type: "spki", format: "pem" }).toString();
  const broken = [publicPem, certificate.certificatePem, own.toPem()].map(breakPem);
  const others = [weak, publicPem.replaceAll("PUBLIC KEY", "X509 CRL"), edwards, ...broken, encrypted];
  assert.deepEqual(read([publicPem, certificate.certificatePem, own.toPem(), ...others].join("")), [
    id,
    certified,
    ownId,
  ]);
  for (const other of others) assert.equal(read(other), "data does not contain any valid RSA or ECDSA public keys");
});

test("signJwt() writes the members in the order of Go, and no absent ones", () => {
  assert.equal(
    Buffer.from(payload, "base64url").toString(),
    '{"aud":["a"],"iss":"i","kubernetes.io":{"namespace":"n"}}',
  );
});

const failure = "go-jose/go-jose: error in cryptographic primitive";
const id = signer.key.id;
const publicPem = signer.key.toPem();
const hmac = (header: string) => createHmac("sha256", publicPem).update(`${header}.${payload}`).digest("base64url");
const hs256 = encode({ alg: "HS256" });

for (
  const { name, text, error } of [
    { name: "without an algorithm", text: `${encode({ alg: "none" })}.${payload}.`, error: failure },
    {
      name: "that is signed with the public key as a secret",
      text: `${hs256}.${payload}.${hmac(hs256)}`,
      error: failure,
    },
    {
      name: "of another algorithm",
      text: `${encode({ alg: "ES384", kid: id })}.${payload}.${signature}`,
      error: failure,
    },
    { name: "of RSA", text: `${encode({ alg: "RS256", kid: id })}.${payload}.${signature}`, error: failure },
    {
      name: "of an unknown key",
      text: `${encode({ alg: "ES256", kid: "x" })}.${payload}.${signature}`,
      error: "invalid signature, no keys found",
    },
    {
      name: "of another key",
      text: `${encode({ alg: "ES256", kid: other.key.id })}.${payload}.${signature}`,
      error: failure,
    },
    {
      name: "that carries its own key",
      text: `${encode({ alg: "ES256", jwk: other.key.jwk })}.${payload}.${signature}`,
      error: failure,
    },
    {
      name: "with an unknown extension",
      text: `${encode({ alg: "ES256", kid: id, crit: ["x"] })}.${payload}.${signature}`,
      error: failure,
    },
    { name: "with other claims", text: `${token.split(".")[0]}.${encode({ iss: "j" })}.${signature}`, error: failure },
    {
      name: "with a signature in DER",
      text: `${token.split(".")[0]}.${payload}.${encode("0".repeat(71))}`,
      error: failure,
    },
    { name: "without a signature", text: `${token.split(".")[0]}.${payload}.`, error: failure },
  ]
) {
  test(`verifyJwt() refuses a token ${name}`, () => {
    assert.deepEqual(verifyJwt(parse(text), keys), { ok: false, error });
  });
}

for (
  const { name, text } of [
    { name: "of two parts", text: "a.b" },
    { name: "of four parts", text: `${token}.x` },
    { name: "in JSON form", text: '{"payload":"","signatures":[]}' },
    { name: "with a repeated claim", text: `${encode({ alg: "ES256" })}.${encode('{"iss":"i","iss":"j"}')}.AA` },
    { name: "with a repeated member of the header", text: `${encode('{"alg":"ES256","alg":"none"}')}.${payload}.AA` },
    { name: "with a repeated member of a claim", text: `${encode({ alg: "a" })}.${encode('{"k":{"a":1,"a":2}}')}.AA` },
    { name: "whose claims are a list", text: `${encode({ alg: "ES256" })}.${encode([])}.AA` },
    { name: "whose algorithm is not a string", text: `${encode({ alg: 1 })}.${payload}.AA` },
    { name: "whose key id is not a string", text: `${encode({ alg: "ES256", kid: {} })}.${payload}.AA` },
    { name: "with padding", text: `${token}=` },
    { name: "in the other alphabet", text: `${token.split(".")[0]}.${payload}.+/+/` },
    { name: "with an impossible length", text: `${token.split(".")[0]}.${payload}.AAAAA` },
    { name: "that is not UTF-8 JSON", text: `${encode({ alg: "a" })}._w.AA` },
  ]
) {
  test(`parseJwt() ignores a text ${name}`, () => {
    assert.equal(parseJwt(text), undefined);
  });
}

test("parseJwt() returns for every text, and no text without a signature is accepted", () => {
  const part = fc.oneof(fc.string(), fc.json().map(encode), fc.base64String().map((text) => text.replaceAll("=", "")));
  fc.assert(fc.property(fc.array(part, { maxLength: 4 }), (parts) => {
    const jwt = parseJwt(parts.join("."));
    assert.equal(jwt !== undefined && verifyJwt(jwt, keys).ok, false);
  }));
});

for (
  const { issuer, want } of [
    { issuer: "https://issuer.example/path", want: undefined },
    { issuer: "http://issuer.example", want: "issuer URL must use https scheme, got: http://issuer.example" },
    { issuer: "issuer", want: "issuer URL must use https scheme, got: issuer" },
    { issuer: "https://a.example/?", want: "issuer URL may not include a query, got: https://a.example/?" },
    { issuer: "https://a.example/#", want: "issuer URL may not include a fragment, got: https://a.example/#" },
  ]
) {
  test(`checkDiscoverableIssuer() ${want === undefined ? "accepts" : "refuses"} ${issuer}`, () => {
    const result = checkDiscoverableIssuer(issuer);
    assert.equal(result.ok ? undefined : result.error, want);
  });
}

test("verifyJwt() tries every key when a token names none", () => {
  const unnamed = `${encode({ alg: "ES256" })}.${payload}`;
  const signed = `${unnamed}.${Buffer.from(signer.sign(Buffer.from(unnamed))).toString("base64url")}`;
  assert.equal(verifyJwt(parse(signed), keys).ok, true);
  assert.equal(verifyJwt(parse(signed), [other.key]).ok, false);
});

for (
  const { name, pem, error } of [
    { name: "without a key", pem: "", error: undefined },
    {
      name: "whose key signs no tokens",
      pem: (await generatePrivateKey("ed25519")).toPem(),
      error: /^want an RSA key, or/,
    },
  ]
) {
  test(`parseTokenSigner() refuses a file ${name}`, () => {
    const parsed = parseTokenSigner(pem);
    assert.equal(parsed.ok, false);
    if (error !== undefined && !parsed.ok) assert.match(parsed.error, error);
  });
}
