import { test } from "node:test";
import {
  createIntermediate,
  createTestAuthority,
  hoursFromNow,
  issueTestCertificate,
  planTestLeaf,
  unwrap,
} from "../../../tests/support/test_authority.ts";
import { AppError } from "../../errors.ts";
import type { Result } from "../../lib/result.ts";
import type { CaKey } from "../../ports.ts";
import {
  type Authority,
  issueIntermediate,
  joinAuthority,
  parseAuthority,
  parseAuthorityCertificate,
  signText,
  verifyText,
} from "./authority.ts";
import { parseCaBundle } from "../x509/ca_bundle.ts";
import { permitNames } from "../x509/name_constraints.ts";
import { encodeBitString, encodeOid, encodeSequence } from "../asn1/der_writer.ts";
import { publicKeyPin } from "../keys/key_names.ts";
import { encodePem, parsePemBlocks } from "../asn1/pem.ts";
import { chooseSignatureAlgorithm } from "./issue.ts";
import assert from "node:assert/strict";

test("createAuthority() makes a root like kubeadm's that may also sign CRLs", async () => {
  const { certificate } = await createTestAuthority();
  assert.deepEqual(certificate.keyUsages, ["digitalSignature", "keyEncipherment", "keyCertSign", "cRLSign"]);
  assert.deepEqual(certificate.extendedKeyUsages, []);
  assert.deepEqual([certificate.isCa, certificate.maxPathLength], [true, undefined]);
  assert.deepEqual(certificate.subject.raw, certificate.issuer.raw);
  assert.match(certificate.subjectKeyId ?? "", /^[0-9a-f]{40}$/);
  assert.equal(certificate.authorityKeyId, undefined);
  assert.deepEqual(certificate.dnsNames, []);
  assert.deepEqual([certificate.notBefore, certificate.notAfter], [hoursFromNow(-24), hoursFromNow(24)]);
});

for (const algorithm of ["ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048", "ed25519"] as const) {
  test(`parseAuthority() reads a pair: ${algorithm}`, async () => {
    const { certificatePem, privateKey } = await createTestAuthority(algorithm);
    const authority = unwrap(await parseAuthority(certificatePem, privateKey.toPem()));
    assert.equal(authority.certificatePem, certificatePem);
    assert.deepEqual(await authority.key.publicKey(), authority.certificate.publicKeyDer);
    assert.equal(
      chooseSignatureAlgorithm(authority.certificate.publicKeyDer),
      authority.certificate.signatureAlgorithm,
    );
  });
}

test("chooseSignatureAlgorithm() refuses malformed and unknown keys", () => {
  assert.throws(() => chooseSignatureAlgorithm(new Uint8Array(3)), { code: "key_invalid" });
  const unknown = encodeSequence(encodeSequence(encodeOid("1.2.3")), encodeBitString(new Uint8Array(1)));
  assert.throws(() => chooseSignatureAlgorithm(unknown), { code: "key_invalid" });
});

test("parseAuthorityCertificate() refuses anything but one CA, and parseAuthority() the key of another CA", async () => {
  const one = await createTestAuthority();
  const other = await createTestAuthority();
  const keyPem = one.privateKey.toPem();
  const leaf = await issueTestCertificate(one, planTestLeaf(one.privateKey));
  const idle = await issueTestCertificate(one, planTestLeaf(one.privateKey, { isCa: true, usages: ["crl sign"] }));
  const answer = (result: Result<unknown, string>): string => result.ok ? "accepted" : result.error;
  const error = (certificatePem: string): string => answer(parseAuthorityCertificate(certificatePem));
  const keyError = async (key: string): Promise<string> => answer(await parseAuthority(one.certificatePem, key));
  assert.equal(error(one.certificatePem + other.certificatePem), "expected 1 certificate, found 2");
  assert.equal(error(""), "expected 1 certificate, found 0");
  assert.equal(await keyError(other.privateKey.toPem()), "private key does not match public key");
  assert.match(error(encodePem("CERTIFICATE", leaf.der)), /^the certificate is not a CA/);
  assert.match(error(encodePem("CERTIFICATE", idle.der)), /^the certificate may not sign certificates/);
  assert.equal(await keyError(""), "no private key found in PEM data");
  assert.equal(error(encodePem("CERTIFICATE", new Uint8Array(3))), "x509: malformed certificate");
  const { der } = one.certificate;
  const damaged = encodePem("CERTIFICATE", der.with(-1, der.at(-1)! ^ 1));
  assert.match(error(damaged), /^its signature is not by its own key/);
  assert.equal(error(keyPem + one.certificatePem), "accepted");
});

test("joinAuthority() verifies a signature with the key", async () => {
  const one = await createTestAuthority();
  const other = await createTestAuthority();
  const outcome = async (edit: Partial<CaKey>): Promise<string> => {
    const joined = await joinAuthority(one, { ...one.key, ...edit });
    return joined.ok ? "joined" : joined.error;
  };
  const mismatch = "private key does not match public key";
  assert.equal(await outcome({}), "joined");
  assert.equal(await outcome(other.key), mismatch);
  assert.equal(await outcome({ sign: other.key.sign }), mismatch);
  assert.equal(await outcome({ publicKey: other.key.publicKey }), mismatch);
  assert.equal(await outcome({ sign: () => Promise.reject(new Error("no inverse")) }), mismatch);
  const unavailable = new AppError("unreachable", "the key does not answer");
  await assert.rejects(outcome({ sign: () => Promise.reject(unavailable) }), unavailable);
});

test("issueIntermediate() issues a CA below the root", async () => {
  const root = await createTestAuthority();
  const [notBefore, notAfter] = [hoursFromNow(-1), hoursFromNow(1)];
  const options = { commonName: "below", notBefore, notAfter, serial: Uint8Array.of(5) };
  const plan = { ...options, publicKeyDer: root.certificate.publicKeyDer };
  const below = unwrap(await issueIntermediate(plan, root));
  const { isCa, subject, issuer, nameConstraints } = below.certificate;
  assert.deepEqual([isCa, subject.commonName, issuer.commonName], [true, "below", "kubernetes"]);
  assert.deepEqual([nameConstraints, below.issuers], [undefined, [root.certificate]]);
  const narrow = permitNames(["example.org"], []);
  const permitted = unwrap(await issueIntermediate({ ...plan, nameConstraints: narrow }, root));
  assert.deepEqual(permitted.certificate.nameConstraints?.permitted.dnsNames, ["example.org"]);
  const refusal = async (
    edit: Partial<Parameters<typeof issueIntermediate>[0]>,
    ca: Authority = root,
  ): Promise<string> => {
    const signed = await issueIntermediate({ ...plan, ...edit }, ca);
    return signed.ok ? "signed" : signed.error;
  };
  assert.match(await refusal({ commonName: "kubernetes" }), /the name of the CA that signs it, "kubernetes"/);
  assert.match(
    await refusal({ notAfter: new Date("2400-01-01") }),
    /^it would end at 2400-.*, after the CA that signs/,
  );
  assert.equal(await refusal({ notAfter: root.certificate.notAfter }), "signed");
  const limited = await createIntermediate(root, "limited", { nameConstraints: narrow! });
  const lower = await createIntermediate(limited, "lower");
  for (const ca of [limited, lower]) {
    const wide = permitNames(["example.com"], []);
    assert.match(await refusal({ nameConstraints: wide }, ca), /for which "CN=limited" may not issue/);
    assert.equal(await refusal({ nameConstraints: narrow }, ca), "signed");
  }
});

test("parseAuthority() never rejects because of a damaged key", async () => {
  const { certificatePem, privateKey } = await createTestAuthority("rsa-2048");
  const [block] = parsePemBlocks(privateKey.toPem());
  assert.ok(block !== undefined);
  const { bytes } = block;
  for (let at = 5; at < bytes.length; at += 97) {
    const damaged = bytes.slice();
    damaged[at] = (damaged[at] ?? 0) ^ 4;
    const authority = await parseAuthority(certificatePem, encodePem("RSA PRIVATE KEY", damaged));
    assert.equal(typeof authority.ok, "boolean");
  }
});

test("parseCaBundle() reads every certificate, and ignores the text between them", async () => {
  const one = await createTestAuthority();
  const other = await createTestAuthority();
  const bundle = unwrap(parseCaBundle(`# one\n${one.certificatePem}\n# two\n${other.certificatePem}`));
  assert.deepEqual(bundle.map(({ der }) => der), [one.certificate.der, other.certificate.der]);
});

test("parseCaBundle() refuses anything but a bundle of certificates", async () => {
  const { certificatePem, privateKey } = await createTestAuthority();
  const error = (pem: string): string => {
    const result = parseCaBundle(pem);
    return result.ok ? "accepted" : result.error;
  };
  assert.equal(error(""), "must contain at least one CERTIFICATE PEM block");
  assert.equal(
    error(certificatePem + privateKey.toPem()),
    'only CERTIFICATE PEM blocks are allowed, found "EC PRIVATE KEY"',
  );
  const begin = "-----BEGIN CERTIFICATE-----\n";
  assert.equal(error(certificatePem.replace(begin, `${begin}a: b\n\n`)), "no PEM block headers are permitted");
  assert.equal(error(certificatePem.replace("M", "!") + certificatePem), "PEM block 1 is malformed");
  assert.equal(error(certificatePem + begin), "PEM block 2 is malformed");
  assert.equal(error(encodePem("CERTIFICATE", new Uint8Array(0))), "certificate 1: x509: malformed certificate");
});

test("publicKeyPin() is kubeadm's discovery hash", () => {
  // `openssl x509 -pubkey | openssl pkey -pubin -outform DER | sha256sum` of the certificate below.
  const [certificate] = unwrap(parseCaBundle(PINNED));
  assert.ok(certificate !== undefined);
  assert.equal(publicKeyPin(certificate), PIN);
});

const PINNED = `-----BEGIN CERTIFICATE-----
MIIBGzCBzqADAgECAgIBAjAFBgMrZXAwFTETMBEGA1UEAxMKa3ViZXJuZXRlczAe
Fw0yNjExMDEwMDAwMDBaFw0zNjExMDEwMDAwMDBaMBUxEzARBgNVBAMTCmt1YmVy
bmV0ZXMwKjAFBgMrZXADIQDU8RRhGki6Yco6M6VenRlsOJF0lDYEUjkPWNBu8hMv
2KNCMEAwDgYDVR0PAQH/BAQDAgKkMA8GA1UdEwEB/wQFMAMBAf8wHQYDVR0OBBYE
FHNYVunzXHwii9YyIk/8NGuvUJEoMAUGAytlcANBAD1fZrW8vIkL7I/uD5gNtySc
/YLxhewGxVzcXNovx2qC3jfGk2EplqicVBhAYaT735SZu7dxi6Kl2VIJSvTwIwc=
-----END CERTIFICATE-----`;
const PIN = "sha256:0192cb73e4f0d88394ab14affe1848d0b80bed2ee99afb64c261ed4c874a6493";

test("verifyText() accepts a signature for its text, its purpose and its key only", async () => {
  const [ca, other] = [await createTestAuthority(), await createTestAuthority()];
  const { publicKey } = ca.certificate;
  const signature = await signText("register seal", ca.key, "1\n");
  assert.equal(verifyText("register seal", publicKey, "1\n", signature), true);
  assert.equal(verifyText("register seal", publicKey, "2\n", signature), false);
  assert.equal(verifyText("bundle of answers", publicKey, "1\n", signature), false);
  assert.equal(verifyText("register seal", other.certificate.publicKey, "1\n", signature), false);
  assert.equal(verifyText("register seal", { ...publicKey, algorithm: "DSA" }, "1\n", signature), false);
});
